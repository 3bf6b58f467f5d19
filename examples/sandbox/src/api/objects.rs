//! Endpoints of records: list, search, batch read, edit.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{ApiCall, ApiResponse, error, inputs, invalid, too_many};
use crate::network::{Network, Record, iso};
use crate::object_types::ObjectType;
use crate::search;

/// The maximum number of records in a list or batch read.
const MAX_PAGE: usize = 100;
/// The same for requests with property history.
const MAX_PAGE_WITH_HISTORY: usize = 50;
/// The maximum number of records on a page of search results.
const MAX_SEARCH_PAGE: usize = 200;
/// The maximum number of records that a search can page through.
const MAX_SEARCH_RESULTS: usize = 10_000;

/// A record as JSON, with the requested properties and those that HubSpot always includes.
fn record_json(
    network: &Network,
    object_type: ObjectType,
    record: &Record,
    requested: &[String],
    with_history: &[String],
) -> Value {
    let is_always_included = |name: &str| {
        ["createdate", "hs_createdate", "hs_object_id"].contains(&name) || name == object_type.modified_property()
    };
    let definitions = network.properties[&object_type].iter().enumerate();
    let included = definitions.filter(|(_, definition)| {
        !definition.archived && (is_always_included(&definition.name) || requested.contains(&definition.name))
    });
    let value = |index: usize| record.values.get(index).and_then(Option::as_deref);
    let properties: serde_json::Map<_, _> =
        included.map(|(index, definition)| (definition.name.clone(), json!(value(index)))).collect();
    let mut json = json!({
        "id": record.id.to_string(),
        "properties": properties,
        "createdAt": iso(record.created),
        "updatedAt": iso(record.updated),
        "archived": record.archived.is_some(),
        "url": format!("https://app.hubspot.com/contacts/{}/record/{}/{}", super::PORTAL_ID, object_type.info().type_id, record.id),
    });
    if let Some(at) = record.archived {
        json["archivedAt"] = json!(iso(at));
    }
    if !with_history.is_empty() {
        let versions = with_history.iter().map(|name| (name.clone(), versions(network, object_type, record, name)));
        json["propertiesWithHistory"] = Value::Object(versions.collect());
    }
    json
}

/// The values of a property, newest first.
fn versions(network: &Network, object_type: ObjectType, record: &Record, name: &str) -> Value {
    let earlier =
        network.history.get(&(object_type, record.id, name.to_owned())).map(Vec::as_slice).unwrap_or_default();
    let version = |value: &str, since: i64| {
        json!({ "value": value, "timestamp": iso(since), "sourceType": "CRM_UI", "sourceId": "userId:101",
            "sourceLabel": null, "updatedByUserId": 101 })
    };
    let current = network.value(object_type, record.id, name).map(|value| version(value, record.updated));
    current.into_iter().chain(earlier.iter().rev().map(|one| version(&one.value, one.since))).collect()
}

/// A list parameter: comma separated in the query, or an array in the body.
fn list_parameter(call: &ApiCall<'_>, key: &str) -> Vec<String> {
    let split = |text: &String| text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let from_query = call.query.get(key).map(split);
    let from_body = call.body.get(key).and_then(Value::as_array);
    let from_body = from_body.map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    from_query.or(from_body).unwrap_or_default()
}

pub(super) fn list(network: &Network, object_type: ObjectType, call: &ApiCall<'_>) -> ApiResponse {
    let with_history = list_parameter(call, "propertiesWithHistory");
    let max = if with_history.is_empty() { MAX_PAGE } else { MAX_PAGE_WITH_HISTORY };
    let limit: usize = call.query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(10);
    if limit > max {
        return invalid(&format!("The limit must be less than or equal to {max}"));
    }
    let after: u64 = call.query.get("after").and_then(|after| after.parse().ok()).unwrap_or(0);
    let archived = call.query.get("archived").is_some_and(|archived| archived == "true");
    let (requested, associated_types) = (list_parameter(call, "properties"), list_parameter(call, "associations"));
    let records = network.records.get(&object_type);
    let range = records.into_iter().flat_map(|records| records.range(after + 1..));
    let matching = range.map(|(_, record)| record).filter(|record| record.archived.is_some() == archived);
    let mut page: Vec<_> = matching.take(limit + 1).collect();
    let has_more = page.len() > limit;
    page.truncate(limit);
    let last = page.last().map(|record| record.id.to_string());
    let results: Vec<_> = page
        .into_iter()
        .map(|record| {
            let mut json = record_json(network, object_type, record, &requested, &with_history);
            if !associated_types.is_empty() {
                json["associations"] = associations_json(network, object_type, record.id, &associated_types);
            }
            json
        })
        .collect();
    let mut body = json!({ "results": results });
    if has_more && let Some(after) = last {
        body["paging"] = json!({ "next": { "after": after, "link": "" } });
    }
    (StatusCode::OK, body)
}

/// The associations of a listed record. An id appears once for each type of its association.
fn associations_json(network: &Network, object_type: ObjectType, id: u64, associated_types: &[String]) -> Value {
    let with_type = |name: &String| {
        let to = ObjectType::parse(name)?;
        let type_name = format!("{}_to_{}", object_type.singular(), to.singular());
        let associations = network.active_associations(object_type, to, id);
        let types = associations.flat_map(|association| {
            let types = Network::association_types(object_type, to, association);
            types.into_iter().map(move |one| (association.to, one))
        });
        let results = types.map(|(to, (_, _, label))| {
            let suffix = if label.is_some() { "" } else { "_unlabeled" };
            json!({ "id": to.to_string(), "type": format!("{type_name}{suffix}") })
        });
        let results: Vec<_> = results.collect();
        (!results.is_empty()).then(|| (to.plural().to_owned(), json!({ "results": results })))
    };
    Value::Object(associated_types.iter().filter_map(with_type).collect())
}

pub(super) fn search(network: &Network, object_type: ObjectType, call: &ApiCall<'_>) -> ApiResponse {
    let number = |key: &str, default: usize| match call.body.get(key) {
        Some(Value::String(text)) => text.parse().unwrap_or(default),
        Some(value) => value.as_u64().and_then(|value| usize::try_from(value).ok()).unwrap_or(default),
        None => default,
    };
    let (limit, after) = (number("limit", 10), number("after", 0));
    if limit > MAX_SEARCH_PAGE {
        return invalid(&format!("The limit must be less than or equal to {MAX_SEARCH_PAGE}"));
    }
    if after + limit > MAX_SEARCH_RESULTS {
        return invalid(&format!("The total number of results returned may not exceed {MAX_SEARCH_RESULTS}"));
    }
    if search::compares_date_with_zero(call.body) {
        return error(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "internal error");
    }
    let indexed = call.now - call.search_lag;
    let records = network.records.get(&object_type).into_iter().flat_map(BTreeMap::values);
    let matching = records.filter(|record| {
        record.archived.is_none()
            && record.updated <= indexed
            && search::matches(network, object_type, record, call.body)
    });
    let mut found: Vec<_> = matching.collect();
    search::sort(network, object_type, &mut found, call.body);
    let requested = list_parameter(call, "properties");
    let page = found.iter().skip(after).take(limit);
    let results: Vec<_> = page.map(|record| record_json(network, object_type, record, &requested, &[])).collect();
    let mut body = json!({ "total": found.len(), "results": results });
    if after + limit < found.len() {
        body["paging"] = json!({ "next": { "after": (after + limit).to_string() } });
    }
    (StatusCode::OK, body)
}

pub(super) fn batch_read(network: &Network, object_type: ObjectType, call: &ApiCall<'_>) -> ApiResponse {
    let with_history = list_parameter(call, "propertiesWithHistory");
    let max = if with_history.is_empty() { MAX_PAGE } else { MAX_PAGE_WITH_HISTORY };
    let inputs = inputs(call);
    if inputs.len() > max {
        return too_many(max, inputs.len());
    }
    let archived = call.query.get("archived").is_some_and(|archived| archived == "true");
    let requested = list_parameter(call, "properties");
    let records = network.records.get(&object_type);
    let find = |id: &u64| records?.get(id).filter(|record| record.archived.is_some() == archived);
    let (found, missing): (Vec<_>, Vec<_>) =
        inputs.iter().map(|(id, _)| (id, find(id))).partition(|(_, record)| record.is_some());
    let found = found.into_iter().filter_map(|(_, record)| record);
    let results: Vec<_> =
        found.map(|record| record_json(network, object_type, record, &requested, &with_history)).collect();
    let time = iso(call.now);
    let mut body = json!({ "status": "COMPLETE", "results": results, "startedAt": time, "completedAt": time });
    if missing.is_empty() {
        return (StatusCode::OK, body);
    }
    let ids: Vec<_> = missing.iter().map(|(id, _)| id.to_string()).collect();
    body["numErrors"] = json!(1);
    body["errors"] = json!([{
        "status": "error", "category": "OBJECT_NOT_FOUND",
        "message": format!("Could not get some {} objects, they may be deleted or not exist.", object_type.plural().to_uppercase()),
        "context": { "ids": ids },
    }]);
    (StatusCode::MULTI_STATUS, body)
}

pub(super) fn patch(network: &mut Network, object_type: ObjectType, id: &str, call: &ApiCall<'_>) -> ApiResponse {
    let id: u64 = id.parse().unwrap_or_default();
    let properties = call.body.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, value) in &properties {
        if !network.edit(object_type, id, name, value.as_str(), call.now) {
            return error(StatusCode::NOT_FOUND, "OBJECT_NOT_FOUND", "resource not found");
        }
    }
    let names: Vec<_> = properties.keys().cloned().collect();
    let record = network.records.get(&object_type).and_then(|records| records.get(&id));
    let missing = || error(StatusCode::NOT_FOUND, "OBJECT_NOT_FOUND", "resource not found");
    record.map_or_else(missing, |record| (StatusCode::OK, record_json(network, object_type, record, &names, &[])))
}
