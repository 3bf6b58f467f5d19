//! Answers: a request's path, query and body against the network, as HubSpot's CRM API answers them.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::clinic::{PIPELINE, STAGES};
use crate::kinds::Kind;
use crate::network::{Network, Object, iso};
use crate::search;

/// The portal's id, in every answer that names it.
pub(crate) const PORTAL: u64 = 50_000_001;

/// A request without its transport.
pub(crate) struct Call<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: Value,
    /// Milliseconds since 1970.
    pub(crate) now: i64,
}

pub(crate) type Answer = (StatusCode, Value);

/// The scope that a path needs.
pub(crate) fn scope(path: &str) -> Option<String> {
    let kinds = Kind::ALL.map(Kind::plural);
    let kind = path.split('/').find_map(|part| kinds.into_iter().find(|kind| *kind == part));
    match kind {
        Some(kind) => Some(format!("crm.objects.{kind}.read")),
        None if path.contains("/owners") => Some("crm.objects.owners.read".to_owned()),
        None => None,
    }
}

/// Both styles of path as one: `objects/…`, `associations/…`, …
fn route(path: &str) -> Vec<&str> {
    let parts: Vec<_> = path.trim_matches('/').split('/').collect();
    let is_version = |part: &str| part.len() == 7 && part.starts_with("20");
    match parts.as_slice() {
        ["crm", "v4", "objects", from, id, "associations", to] => vec!["record-associations", from, id, to],
        ["crm", "v3", rest @ ..] | ["crm", "v4", rest @ ..] => rest.to_vec(),
        ["crm", area, version, rest @ ..] if is_version(version) => [&[*area], rest].concat(),
        ["crm-object-schemas", _, "schemas", rest @ ..] => [&["schemas"], rest].concat(),
        ["account-info", _, "details"] => vec!["details"],
        _ => parts,
    }
}

/// Answers a call; `network` changes by PATCH alone.
pub(crate) fn answer(network: &mut Network, call: &Call<'_>) -> Answer {
    let parts = route(call.path);
    let get = *call.method == Method::GET;
    let post = *call.method == Method::POST;
    match parts.as_slice() {
        ["objects", kind] if get => with_kind(kind, |kind| list(network, kind, call)),
        ["objects", kind, "search"] if post => with_kind(kind, |kind| find(network, kind, call)),
        ["objects", kind, "batch", "read"] if post => with_kind(kind, |kind| batch_read(network, kind, call)),
        ["objects", kind, id] if *call.method == Method::PATCH => {
            with_kind(kind, |kind| patch(network, kind, id, call))
        }
        ["associations", from, to, "batch", "read"] if post => {
            with_kind(from, |from| with_kind(to, |to| associations(network, from, to, call)))
        }
        ["record-associations", from, id, to] if get => with_kind(from, |from| {
            with_kind(to, |to| {
                let id = id.parse().unwrap_or_default();
                (StatusCode::OK, json!({ "results": targets(network, from, to, id) }))
            })
        }),
        ["properties", kind] if get => with_kind(kind, properties),
        ["pipelines", "deals" | "deal" | "0-3"] if get => pipelines(),
        ["pipelines", _] if get => (StatusCode::OK, json!({ "results": [] })),
        ["owners"] if get => owners(),
        ["schemas"] if get => (StatusCode::OK, json!({ "results": [] })),
        ["details"] if get => details(),
        _ => error(StatusCode::NOT_FOUND, "OBJECT_NOT_FOUND", &format!("no resource at {}", call.path)),
    }
}

/// An error body as HubSpot writes it.
pub(crate) fn error(status: StatusCode, category: &str, message: &str) -> Answer {
    let correlation = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
    (status, json!({ "status": "error", "message": message, "correlationId": correlation, "category": category }))
}

fn invalid(message: &str) -> Answer {
    error(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message)
}

fn with_kind(name: &str, answer: impl FnOnce(Kind) -> Answer) -> Answer {
    let unknown =
        || error(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", &format!("Unable to infer object type from: {name}"));
    Kind::parse(name).map_or_else(unknown, answer)
}

fn record(kind: Kind, object: &Object, wanted: &[String]) -> Value {
    let always = ["createdate", "hs_object_id", kind.modified()];
    let pairs = kind
        .properties()
        .iter()
        .zip(&object.values)
        .filter(|((name, ..), _)| always.contains(name) || wanted.iter().any(|wanted| wanted == name));
    let properties: serde_json::Map<_, _> =
        pairs.map(|((name, ..), value)| ((*name).to_owned(), json!(value))).collect();
    json!({
        "id": object.id.to_string(),
        "properties": properties,
        "createdAt": iso(object.created),
        "updatedAt": iso(object.updated),
        "archived": object.archived,
    })
}

fn listed(call: &Call<'_>, key: &str) -> Vec<String> {
    let from_query = call.query.get(key).map(|text| text.split(',').map(str::to_owned).collect());
    let from_body = call.body.get(key).and_then(Value::as_array);
    let from_body = from_body.map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    from_query.or(from_body).unwrap_or_default()
}

fn list(network: &Network, kind: Kind, call: &Call<'_>) -> Answer {
    let limit: usize = call.query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(10);
    if limit > 100 {
        return invalid("The limit must be less than or equal to 100");
    }
    let after: u64 = call.query.get("after").and_then(|after| after.parse().ok()).unwrap_or(0);
    let archived = call.query.get("archived").is_some_and(|archived| archived == "true");
    let wanted = listed(call, "properties");
    let objects = network.objects.get(&kind);
    let range = objects.into_iter().flat_map(|objects| objects.range(after + 1..));
    let mut found: Vec<_> =
        range.map(|(_, object)| object).filter(|o| o.archived == archived).take(limit + 1).collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().map(|object| object.id.to_string());
    let results: Vec<_> = found.into_iter().map(|object| record(kind, object, &wanted)).collect();
    let mut answer = json!({ "results": results });
    if more && let Some(after) = last {
        answer["paging"] = json!({ "next": { "after": after, "link": "" } });
    }
    (StatusCode::OK, answer)
}

fn find(network: &Network, kind: Kind, call: &Call<'_>) -> Answer {
    let number = |key: &str, default: usize| match call.body.get(key) {
        Some(Value::String(text)) => text.parse().unwrap_or(default),
        Some(value) => value.as_u64().and_then(|value| usize::try_from(value).ok()).unwrap_or(default),
        None => default,
    };
    let (limit, after) = (number("limit", 10), number("after", 0));
    if limit > 200 {
        return invalid("The limit must be less than or equal to 200");
    }
    if after + limit > 10_000 {
        return invalid("The total number of results returned may not exceed 10000");
    }
    let objects = network.objects.get(&kind).into_iter().flat_map(BTreeMap::values);
    let passing = objects.filter(|object| !object.archived && search::passes(kind, object, &call.body));
    let mut found: Vec<_> = passing.collect();
    search::sort(kind, &mut found, &call.body);
    let wanted = listed(call, "properties");
    let results: Vec<_> = found.iter().skip(after).take(limit).map(|object| record(kind, object, &wanted)).collect();
    let mut answer = json!({ "total": found.len(), "results": results });
    if after + limit < found.len() {
        answer["paging"] = json!({ "next": { "after": (after + limit).to_string() } });
    }
    (StatusCode::OK, answer)
}

fn inputs<'a>(call: &'a Call<'_>) -> Vec<&'a str> {
    let inputs = call.body.get("inputs").and_then(Value::as_array).into_iter().flatten();
    inputs.filter_map(|input| input.get("id").and_then(Value::as_str)).collect()
}

fn batch_read(network: &Network, kind: Kind, call: &Call<'_>) -> Answer {
    let ids = inputs(call);
    if ids.len() > 100 {
        return invalid(&format!(
            "The maximum number of inputs supported in a batch request is 100, got {}",
            ids.len()
        ));
    }
    let wanted = listed(call, "properties");
    let find = |id: &&str| network.objects.get(&kind)?.get(&id.parse().ok()?);
    let results: Vec<_> = ids.iter().filter_map(find).map(|object| record(kind, object, &wanted)).collect();
    let missing = ids.len() - results.len();
    let status = if missing > 0 { StatusCode::MULTI_STATUS } else { StatusCode::OK };
    (status, json!({ "status": "COMPLETE", "results": results, "numErrors": missing }))
}

fn targets(network: &Network, from: Kind, to: Kind, id: u64) -> Vec<Value> {
    let types: Vec<_> = from
        .association_types(to)
        .iter()
        .map(|(type_id, label)| json!({ "category": "HUBSPOT_DEFINED", "typeId": type_id, "label": label }))
        .collect();
    let links = network.links.get(&(from, to)).and_then(|links| links.get(&id)).into_iter().flatten();
    links.map(|link| json!({ "toObjectId": link.to, "associationTypes": types })).collect()
}

fn associations(network: &Network, from: Kind, to: Kind, call: &Call<'_>) -> Answer {
    let ids = inputs(call);
    if ids.len() > 1000 {
        return invalid(&format!(
            "The maximum number of inputs supported in a batch request is 1000, got {}",
            ids.len()
        ));
    }
    let mut results = Vec::new();
    let mut errors = Vec::new();
    for id in ids {
        let to_ids = targets(network, from, to, id.parse().unwrap_or_default());
        if to_ids.is_empty() {
            errors.push(json!({
                "status": "error",
                "category": "OBJECT_NOT_FOUND",
                "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
                "message": format!("No {} is associated with {} {id}.", to.singular(), from.singular()),
                "context": { "fromObjectId": [id], "fromObjectType": [from.singular()], "toObjectType": [to.singular()] },
            }));
        } else {
            results.push(json!({ "from": { "id": id }, "to": to_ids }));
        }
    }
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::MULTI_STATUS };
    let mut answer = json!({ "status": "COMPLETE", "results": results });
    if !errors.is_empty() {
        answer["numErrors"] = json!(errors.len());
        answer["errors"] = json!(errors);
    }
    (status, answer)
}

fn patch(network: &mut Network, kind: Kind, id: &str, call: &Call<'_>) -> Answer {
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
    object.map_or_else(missing, |object| (StatusCode::OK, record(kind, object, &names)))
}

fn properties(kind: Kind) -> Answer {
    let property = |(name, label, data_type): &(&str, &str, &str)| {
        let field_type = match *data_type {
            "number" => "number",
            "datetime" => "date",
            "enumeration" => "select",
            "phone_number" => "phonenumber",
            _ => "text",
        };
        json!({
            "name": name, "label": label, "type": data_type, "fieldType": field_type, "groupName": "information",
            "options": [], "calculated": false, "hidden": false, "archived": false,
            "hubspotDefined": !["especialidade_medica", "valor_reembolsado"].contains(name),
        })
    };
    (StatusCode::OK, json!({ "results": kind.properties().iter().map(property).collect::<Vec<_>>() }))
}

fn pipelines() -> Answer {
    let time = "2023-01-01T00:00:00.000Z";
    let stage = |(order, (id, label, probability, closed)): (usize, &(&str, &str, &str, bool))| {
        json!({
            "id": id, "label": label, "displayOrder": order, "archived": false, "createdAt": time, "updatedAt": time,
            "metadata": { "probability": probability, "isClosed": closed.to_string() },
        })
    };
    let stages: Vec<_> = STAGES.iter().enumerate().map(stage).collect();
    let pipeline = json!({
        "id": PIPELINE, "label": "Consultas", "displayOrder": 0, "archived": false, "createdAt": time,
        "updatedAt": time, "stages": stages,
    });
    (StatusCode::OK, json!({ "results": [pipeline] }))
}

fn owners() -> Answer {
    let owner = |(id, first): (u64, &str)| {
        json!({
            "id": id.to_string(), "userId": id + 100, "email": format!("{}@clinica.com.br", first.to_lowercase()),
            "firstName": first, "lastName": "Souza", "type": "PERSON", "archived": false,
            "createdAt": "2023-01-01T00:00:00.000Z", "updatedAt": "2023-01-01T00:00:00.000Z",
        })
    };
    let owners: Vec<_> = [(7001, "Ana"), (7002, "Bruno"), (7003, "Carla")].into_iter().map(owner).collect();
    (StatusCode::OK, json!({ "results": owners }))
}

fn details() -> Answer {
    (
        StatusCode::OK,
        json!({
            "portalId": PORTAL, "accountType": "SANDBOX", "timeZone": crate::clinic::TIME_ZONE, "companyCurrency": "BRL",
            "additionalCurrencies": [], "utcOffset": "-03:00", "utcOffsetMilliseconds": -10_800_000,
            "uiDomain": "app.hubspot.com", "dataHostingLocation": "na1",
        }),
    )
}
