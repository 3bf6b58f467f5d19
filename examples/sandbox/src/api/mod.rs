//! HubSpot's CRM API: routes a request and computes its response from the network.

mod account;
mod associations;
mod objects;

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::network::Network;
use crate::object_types::ObjectType;

/// The default portal id.
pub(crate) const PORTAL_ID: u64 = 50_000_001;

/// An API request.
pub(crate) struct ApiCall<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: &'a BTreeMap<String, String>,
    pub(crate) body: &'a Value,
    /// The current time, in milliseconds since 1970.
    pub(crate) now: i64,
    /// How long search does not see a change, in milliseconds.
    pub(crate) search_lag: i64,
    /// Associations of one record on one page of a batch read.
    pub(crate) association_page_size: usize,
}

/// Status and JSON body.
pub(crate) type ApiResponse = (StatusCode, Value);

/// The first object type in a path.
pub(crate) fn object_type(path: &str) -> Option<ObjectType> {
    path.split('/').find_map(ObjectType::parse)
}

/// The scopes that a path requires.
pub(crate) fn scopes(path: &str) -> Vec<&'static str> {
    match route(path).as_slice() {
        ["owners"] => vec!["crm.objects.owners.read"],
        ["schemas", ..] => vec!["crm.schemas.custom.read"],
        ["pipelines", "tickets", ..] => vec!["tickets"],
        ["associations", from, to, ..] => {
            [*from, *to].iter().filter_map(|name| ObjectType::parse(name)).map(scope).collect()
        }
        _ => object_type(path).map(scope).into_iter().collect(),
    }
}

fn scope(object_type: ObjectType) -> &'static str {
    object_type.info().scope
}

/// The path in segments, with versions removed: both styles of HubSpot's paths become `objects/…`, `associations/…`.
fn route(path: &str) -> Vec<&str> {
    let parts: Vec<_> = path.trim_matches('/').split('/').collect();
    let is_version = |part: &str| part.len() == 7 && part.starts_with("20");
    match parts.as_slice() {
        ["crm", "v4", "objects", from, id, "associations", to] => vec!["record-associations", from, id, to],
        ["crm", "objects", version, from, id, "associations", to] if is_version(version) => {
            vec!["record-associations", from, id, to]
        }
        ["crm", "v3", rest @ ..] | ["crm", "v4", rest @ ..] => rest.to_vec(),
        ["crm", area, version, rest @ ..] if is_version(version) => [&[*area], rest].concat(),
        ["crm-object-schemas", _, "schemas", rest @ ..] => [&["schemas"], rest].concat(),
        ["account-info", _, "details"] => vec!["details"],
        _ => parts,
    }
}

/// Responds to a request that changes nothing.
pub(crate) fn respond(network: &Network, call: &ApiCall<'_>) -> ApiResponse {
    let parts = route(call.path);
    let get = *call.method == Method::GET;
    let post = *call.method == Method::POST;
    match parts.as_slice() {
        ["objects", name] if get => with_type(name, |object_type| objects::list(network, object_type, call)),
        ["objects", name, "search"] if post => {
            with_type(name, |object_type| objects::search(network, object_type, call))
        }
        ["objects", name, "batch", "read"] if post => {
            with_type(name, |object_type| objects::batch_read(network, object_type, call))
        }
        ["associations", from, to, "batch", "read"] if post => {
            with_type(from, |from| with_type(to, |to| associations::batch_read(network, from, to, call)))
        }
        ["record-associations", from, id, to] if get => {
            with_type(from, |from| with_type(to, |to| associations::of_record(network, from, to, id, call)))
        }
        ["properties", name] if get => with_type(name, |object_type| account::properties(network, object_type)),
        ["pipelines", "deals" | "deal" | "0-3"] if get => account::deal_pipelines(),
        ["pipelines", "tickets" | "ticket" | "0-5"] if get => account::ticket_pipelines(),
        ["pipelines", _] if get => (StatusCode::OK, json!({ "results": [] })),
        ["owners"] if get => account::owners(call),
        ["schemas"] if get => account::schemas(network),
        ["details"] if get => account::details(),
        _ => not_found(call),
    }
}

/// Responds to a PATCH.
pub(crate) fn patch(network: &mut Network, call: &ApiCall<'_>) -> ApiResponse {
    match route(call.path).as_slice() {
        ["objects", name, id] => with_type(name, |object_type| objects::patch(network, object_type, id, call)),
        _ => not_found(call),
    }
}

fn not_found(call: &ApiCall<'_>) -> ApiResponse {
    error(StatusCode::NOT_FOUND, "OBJECT_NOT_FOUND", &format!("no resource at {}", call.path))
}

/// An error response in HubSpot's format.
pub(crate) fn error(status: StatusCode, category: &str, message: &str) -> ApiResponse {
    let correlation = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
    (status, json!({ "status": "error", "message": message, "correlationId": correlation, "category": category }))
}

fn invalid(message: &str) -> ApiResponse {
    error(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message)
}

/// Calls `respond` with the object type of this name, or responds with HubSpot's error about an unknown name.
fn with_type(name: &str, respond: impl FnOnce(ObjectType) -> ApiResponse) -> ApiResponse {
    let unknown =
        || error(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", &format!("Unable to infer object type from: {name}"));
    ObjectType::parse(name).map_or_else(unknown, respond)
}

/// The inputs of a batch request: the id, a string or a number, and the whole input.
fn inputs<'a>(call: &'a ApiCall<'_>) -> Vec<(u64, &'a Value)> {
    let inputs = call.body.get("inputs").and_then(Value::as_array).into_iter().flatten();
    let id = |input: &Value| match input.get("id") {
        Some(Value::String(id)) => id.parse().ok(),
        Some(id) => id.as_u64(),
        None => None,
    };
    inputs.map(|input| (id(input).unwrap_or_default(), input)).collect()
}

fn too_many(limit: usize, inputs: usize) -> ApiResponse {
    invalid(&format!("The maximum number of inputs supported in a batch request is {limit}, got {inputs}"))
}
