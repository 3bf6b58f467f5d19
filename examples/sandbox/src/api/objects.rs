//! Records: list, search, batch read, edit.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Answer, Call, error, inputs, invalid, too_many};
use crate::kinds::Kind;
use crate::network::{Network, Object, iso};
use crate::search;

/// HubSpot lists up to so many records, fewer with their history.
const PAGE: usize = 100;
const PAGE_WITH_HISTORY: usize = 50;
/// HubSpot finds up to so many records a page, and so many in all.
const SEARCH_PAGE: usize = 200;
const SEARCH_RESULTS: usize = 10_000;

fn record(network: &Network, kind: Kind, object: &Object, wanted: &[String], with_history: &[String]) -> Value {
    let always =
        |name: &str| ["createdate", "hs_createdate", "hs_object_id"].contains(&name) || name == kind.modified();
    let definitions = network.properties[&kind].iter().enumerate();
    let asked = definitions.filter(|(_, definition)| {
        !definition.archived && (always(&definition.name) || wanted.contains(&definition.name))
    });
    let value = |index: usize| object.values.get(index).and_then(Option::as_deref);
    let properties: serde_json::Map<_, _> =
        asked.map(|(index, definition)| (definition.name.clone(), json!(value(index)))).collect();
    let mut record = json!({
        "id": object.id.to_string(),
        "properties": properties,
        "createdAt": iso(object.created),
        "updatedAt": iso(object.updated),
        "archived": object.archived.is_some(),
        "url": format!("https://app.hubspot.com/contacts/{}/record/{}/{}", super::PORTAL, kind.facts().type_id, object.id),
    });
    if let Some(at) = object.archived {
        record["archivedAt"] = json!(iso(at));
    }
    if !with_history.is_empty() {
        let versions = with_history.iter().map(|name| (name.clone(), versions(network, kind, object, name)));
        record["propertiesWithHistory"] = Value::Object(versions.collect());
    }
    record
}

/// A property's values, the newest first.
fn versions(network: &Network, kind: Kind, object: &Object, name: &str) -> Value {
    let older = network.history.get(&(kind, object.id, name.to_owned())).map(Vec::as_slice).unwrap_or_default();
    let version = |value: &str, since: i64| {
        json!({ "value": value, "timestamp": iso(since), "sourceType": "CRM_UI", "sourceId": "userId:101",
            "sourceLabel": null, "updatedByUserId": 101 })
    };
    let now = network.value(kind, object.id, name).map(|value| version(value, object.updated));
    now.into_iter().chain(older.iter().rev().map(|old| version(&old.value, old.since))).collect()
}

fn listed(call: &Call<'_>, key: &str) -> Vec<String> {
    let split = |text: &String| text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let from_query = call.query.get(key).map(split);
    let from_body = call.body.get(key).and_then(Value::as_array);
    let from_body = from_body.map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    from_query.or(from_body).unwrap_or_default()
}

pub(super) fn list(network: &Network, kind: Kind, call: &Call<'_>) -> Answer {
    let with_history = listed(call, "propertiesWithHistory");
    let most = if with_history.is_empty() { PAGE } else { PAGE_WITH_HISTORY };
    let limit: usize = call.query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(10);
    if limit > most {
        return invalid(&format!("The limit must be less than or equal to {most}"));
    }
    let after: u64 = call.query.get("after").and_then(|after| after.parse().ok()).unwrap_or(0);
    let archived = call.query.get("archived").is_some_and(|archived| archived == "true");
    let (wanted, linked) = (listed(call, "properties"), listed(call, "associations"));
    let objects = network.objects.get(&kind);
    let range = objects.into_iter().flat_map(|objects| objects.range(after + 1..));
    let passing = range.map(|(_, object)| object).filter(|object| object.archived.is_some() == archived);
    let mut found: Vec<_> = passing.take(limit + 1).collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().map(|object| object.id.to_string());
    let results: Vec<_> = found
        .into_iter()
        .map(|object| {
            let mut record = record(network, kind, object, &wanted, &with_history);
            if !linked.is_empty() {
                record["associations"] = inline(network, kind, object.id, &linked);
            }
            record
        })
        .collect();
    let mut answer = json!({ "results": results });
    if more && let Some(after) = last {
        answer["paging"] = json!({ "next": { "after": after, "link": "" } });
    }
    (StatusCode::OK, answer)
}

/// Links inside a record: an id once for each of its types.
fn inline(network: &Network, kind: Kind, id: u64, linked: &[String]) -> Value {
    let of = |name: &String| {
        let to = Kind::parse(name)?;
        let kind_name = format!("{}_to_{}", kind.singular(), to.singular());
        let links = network.live_links(kind, to, id);
        let types =
            links.flat_map(|link| Network::link_types(kind, to, link).into_iter().map(move |one| (link.to, one)));
        let results = types.map(|(to, (_, _, label))| {
            let suffix = if label.is_some() { "" } else { "_unlabeled" };
            json!({ "id": to.to_string(), "type": format!("{kind_name}{suffix}") })
        });
        let results: Vec<_> = results.collect();
        (!results.is_empty()).then(|| (to.plural().to_owned(), json!({ "results": results })))
    };
    Value::Object(linked.iter().filter_map(of).collect())
}

pub(super) fn find(network: &Network, kind: Kind, call: &Call<'_>) -> Answer {
    let number = |key: &str, default: usize| match call.body.get(key) {
        Some(Value::String(text)) => text.parse().unwrap_or(default),
        Some(value) => value.as_u64().and_then(|value| usize::try_from(value).ok()).unwrap_or(default),
        None => default,
    };
    let (limit, after) = (number("limit", 10), number("after", 0));
    if limit > SEARCH_PAGE {
        return invalid(&format!("The limit must be less than or equal to {SEARCH_PAGE}"));
    }
    if after + limit > SEARCH_RESULTS {
        return invalid(&format!("The total number of results returned may not exceed {SEARCH_RESULTS}"));
    }
    if search::asks_from_zero(call.body) {
        return error(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "internal error");
    }
    let indexed = call.now - call.search_lag;
    let objects = network.objects.get(&kind).into_iter().flat_map(BTreeMap::values);
    let passing = objects.filter(|object| {
        object.archived.is_none() && object.updated <= indexed && search::passes(network, kind, object, call.body)
    });
    let mut found: Vec<_> = passing.collect();
    search::sort(network, kind, &mut found, call.body);
    let wanted = listed(call, "properties");
    let page = found.iter().skip(after).take(limit);
    let results: Vec<_> = page.map(|object| record(network, kind, object, &wanted, &[])).collect();
    let mut answer = json!({ "total": found.len(), "results": results });
    if after + limit < found.len() {
        answer["paging"] = json!({ "next": { "after": (after + limit).to_string() } });
    }
    (StatusCode::OK, answer)
}

pub(super) fn batch_read(network: &Network, kind: Kind, call: &Call<'_>) -> Answer {
    let with_history = listed(call, "propertiesWithHistory");
    let most = if with_history.is_empty() { PAGE } else { PAGE_WITH_HISTORY };
    let inputs = inputs(call);
    if inputs.len() > most {
        return too_many(most, inputs.len());
    }
    let archived = call.query.get("archived").is_some_and(|archived| archived == "true");
    let wanted = listed(call, "properties");
    let objects = network.objects.get(&kind);
    let find = |id: &u64| objects?.get(id).filter(|object| object.archived.is_some() == archived);
    let (found, missing): (Vec<_>, Vec<_>) =
        inputs.iter().map(|(id, _)| (id, find(id))).partition(|(_, object)| object.is_some());
    let found = found.into_iter().filter_map(|(_, object)| object);
    let results: Vec<_> = found.map(|object| record(network, kind, object, &wanted, &with_history)).collect();
    let time = iso(call.now);
    let mut answer = json!({ "status": "COMPLETE", "results": results, "startedAt": time, "completedAt": time });
    if missing.is_empty() {
        return (StatusCode::OK, answer);
    }
    let ids: Vec<_> = missing.iter().map(|(id, _)| id.to_string()).collect();
    answer["numErrors"] = json!(1);
    answer["errors"] = json!([{
        "status": "error", "category": "OBJECT_NOT_FOUND",
        "message": format!("Could not get some {} objects, they may be deleted or not exist.", kind.plural().to_uppercase()),
        "context": { "ids": ids },
    }]);
    (StatusCode::MULTI_STATUS, answer)
}

pub(super) fn patch(network: &mut Network, kind: Kind, id: &str, call: &Call<'_>) -> Answer {
    let id: u64 = id.parse().unwrap_or_default();
    let properties = call.body.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, value) in &properties {
        if !network.edit(kind, id, name, value.as_str(), call.now) {
            return error(StatusCode::NOT_FOUND, "OBJECT_NOT_FOUND", "resource not found");
        }
    }
    let names: Vec<_> = properties.keys().cloned().collect();
    let object = network.objects.get(&kind).and_then(|objects| objects.get(&id));
    let missing = || error(StatusCode::NOT_FOUND, "OBJECT_NOT_FOUND", "resource not found");
    object.map_or_else(missing, |object| (StatusCode::OK, record(network, kind, object, &names, &[])))
}
