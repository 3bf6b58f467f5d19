//! Endpoints of associations: the first pages of many records in a batch, or one record page by page.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{ApiCall, ApiResponse, inputs, too_many};
use crate::network::Network;
use crate::object_types::ObjectType;

/// The maximum number of records in a batch read.
const MAX_INPUTS: usize = 1000;

/// One page of a record's associations, and the offset of the next page if there is one.
fn page(
    network: &Network,
    from: ObjectType,
    to: ObjectType,
    id: u64,
    after: usize,
    limit: usize,
) -> (Vec<Value>, Option<String>) {
    let associations: Vec<_> = network.active_associations(from, to, id).collect();
    let targets = associations.iter().skip(after).take(limit).map(|association| {
        let types = Network::association_types(from, to, association);
        let types = types
            .into_iter()
            .map(|(category, type_id, label)| json!({ "category": category, "typeId": type_id, "label": label }));
        json!({ "toObjectId": association.to, "associationTypes": types.collect::<Vec<_>>() })
    });
    let next = (after + limit < associations.len()).then(|| (after + limit).to_string());
    (targets.collect(), next)
}

fn after(value: Option<&Value>) -> usize {
    value.and_then(Value::as_str).and_then(|after| after.parse().ok()).unwrap_or_default()
}

pub(super) fn batch_read(network: &Network, from: ObjectType, to: ObjectType, call: &ApiCall<'_>) -> ApiResponse {
    let inputs = inputs(call);
    if inputs.len() > MAX_INPUTS {
        return too_many(MAX_INPUTS, inputs.len());
    }
    // v3 ignores `after` and always returns the first page.
    let is_v3 = call.path.contains("/v3/");
    let mut results = Vec::new();
    let mut errors = Vec::new();
    for (id, input) in inputs {
        let start = if is_v3 { 0 } else { after(input.get("after")) };
        let (targets, next) = page(network, from, to, id, start, call.association_page_size);
        if targets.is_empty() {
            errors.push(json!({
                "status": "error",
                "category": "OBJECT_NOT_FOUND",
                "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
                "message": format!("No {} is associated with {} {id}.", to.singular(), from.singular()),
                "context": {
                    "fromObjectId": [id.to_string()], "fromObjectType": [from.singular()], "toObjectType": [to.singular()],
                },
            }));
            continue;
        }
        let mut result = json!({ "from": { "id": id.to_string() }, "to": targets });
        if let Some(next) = next {
            result["paging"] = json!({ "next": { "after": next } });
        }
        results.push(result);
    }
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::MULTI_STATUS };
    let mut body = json!({ "status": "COMPLETE", "results": results });
    if !errors.is_empty() {
        body["numErrors"] = json!(errors.len());
        body["errors"] = json!(errors);
    }
    (status, body)
}

pub(super) fn of_record(
    network: &Network,
    from: ObjectType,
    to: ObjectType,
    id: &str,
    call: &ApiCall<'_>,
) -> ApiResponse {
    let limit = call.query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(100).min(500);
    let start = call.query.get("after").and_then(|after| after.parse().ok()).unwrap_or_default();
    let (targets, next) = page(network, from, to, id.parse().unwrap_or_default(), start, limit);
    let mut body = json!({ "results": targets });
    if let Some(next) = next {
        body["paging"] = json!({ "next": { "after": next } });
    }
    (StatusCode::OK, body)
}
