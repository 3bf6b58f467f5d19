//! Answers: a request's path, query and body against the network, as HubSpot's CRM API answers them.

mod account;
mod associations;
mod objects;

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::kinds::Kind;
use crate::network::Network;

/// The portal's id, in every answer that names it.
pub(crate) const PORTAL: u64 = 50_000_001;

/// A request without its transport.
pub(crate) struct Call<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: &'a BTreeMap<String, String>,
    pub(crate) body: &'a Value,
    /// Milliseconds since 1970.
    pub(crate) now: i64,
    /// For how many milliseconds a change is hidden from search.
    pub(crate) search_lag: i64,
    /// Links of one record on one page.
    pub(crate) association_page: usize,
}

pub(crate) type Answer = (StatusCode, Value);

/// The type that a path speaks of first.
pub(crate) fn kind(path: &str) -> Option<Kind> {
    path.split('/').find_map(Kind::parse)
}

/// The scopes that a path needs.
pub(crate) fn scopes(path: &str) -> Vec<&'static str> {
    match route(path).as_slice() {
        ["owners"] => vec!["crm.objects.owners.read"],
        ["schemas", ..] => vec!["crm.schemas.custom.read"],
        ["pipelines", "tickets", ..] => vec!["tickets"],
        ["associations", from, to, ..] => [*from, *to].iter().filter_map(|name| Kind::parse(name)).map(scope).collect(),
        _ => kind(path).map(scope).into_iter().collect(),
    }
}

fn scope(kind: Kind) -> &'static str {
    kind.facts().scope
}

/// Both styles of path as one: `objects/…`, `associations/…`, …
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

/// Answers a call that changes nothing.
pub(crate) fn answer(network: &Network, call: &Call<'_>) -> Answer {
    let parts = route(call.path);
    let get = *call.method == Method::GET;
    let post = *call.method == Method::POST;
    match parts.as_slice() {
        ["objects", kind] if get => with_kind(kind, |kind| objects::list(network, kind, call)),
        ["objects", kind, "search"] if post => with_kind(kind, |kind| objects::find(network, kind, call)),
        ["objects", kind, "batch", "read"] if post => with_kind(kind, |kind| objects::batch_read(network, kind, call)),
        ["associations", from, to, "batch", "read"] if post => {
            with_kind(from, |from| with_kind(to, |to| associations::batch_read(network, from, to, call)))
        }
        ["record-associations", from, id, to] if get => {
            with_kind(from, |from| with_kind(to, |to| associations::of_record(network, from, to, id, call)))
        }
        ["properties", kind] if get => with_kind(kind, |kind| account::properties(network, kind)),
        ["pipelines", "deals" | "deal" | "0-3"] if get => account::deal_pipelines(),
        ["pipelines", "tickets" | "ticket" | "0-5"] if get => account::ticket_pipelines(),
        ["pipelines", _] if get => (StatusCode::OK, json!({ "results": [] })),
        ["owners"] if get => account::owners(call),
        ["schemas"] if get => account::schemas(network),
        ["details"] if get => account::details(),
        _ => nothing(call),
    }
}

/// Answers a PATCH.
pub(crate) fn change(network: &mut Network, call: &Call<'_>) -> Answer {
    match route(call.path).as_slice() {
        ["objects", kind, id] => with_kind(kind, |kind| objects::patch(network, kind, id, call)),
        _ => nothing(call),
    }
}

fn nothing(call: &Call<'_>) -> Answer {
    error(StatusCode::NOT_FOUND, "OBJECT_NOT_FOUND", &format!("no resource at {}", call.path))
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

/// The inputs of a batch: ids as strings or numbers, each with what else it holds.
fn inputs<'a>(call: &'a Call<'_>) -> Vec<(u64, &'a Value)> {
    let inputs = call.body.get("inputs").and_then(Value::as_array).into_iter().flatten();
    let id = |input: &Value| match input.get("id") {
        Some(Value::String(id)) => id.parse().ok(),
        Some(id) => id.as_u64(),
        None => None,
    };
    inputs.map(|input| (id(input).unwrap_or_default(), input)).collect()
}

fn too_many(limit: usize, inputs: usize) -> Answer {
    invalid(&format!("The maximum number of inputs supported in a batch request is {limit}, got {inputs}"))
}
