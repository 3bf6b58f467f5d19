//! Links between records: many records' first pages at once, or one record's page by page.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Answer, Call, inputs, too_many};
use crate::kinds::Kind;
use crate::network::Network;

/// HubSpot reads the links of up to so many records at once.
const INPUTS: usize = 1000;

/// A record's links from an offset on, at most so many, and where they go on.
fn page(network: &Network, from: Kind, to: Kind, id: u64, after: usize, limit: usize) -> (Vec<Value>, Option<String>) {
    let links: Vec<_> = network.live_links(from, to, id).collect();
    let targets = links.iter().skip(after).take(limit).map(|link| {
        let types = Network::link_types(from, to, link);
        let types = types
            .into_iter()
            .map(|(category, type_id, label)| json!({ "category": category, "typeId": type_id, "label": label }));
        json!({ "toObjectId": link.to, "associationTypes": types.collect::<Vec<_>>() })
    });
    let next = (after + limit < links.len()).then(|| (after + limit).to_string());
    (targets.collect(), next)
}

fn after(value: Option<&Value>) -> usize {
    value.and_then(Value::as_str).and_then(|after| after.parse().ok()).unwrap_or_default()
}

pub(super) fn batch_read(network: &Network, from: Kind, to: Kind, call: &Call<'_>) -> Answer {
    let inputs = inputs(call);
    if inputs.len() > INPUTS {
        return too_many(INPUTS, inputs.len());
    }
    // The undated v3 ignores `after`: whoever pages by it never ends.
    let is_v3 = call.path.contains("/v3/");
    let mut results = Vec::new();
    let mut errors = Vec::new();
    for (id, input) in inputs {
        let start = if is_v3 { 0 } else { after(input.get("after")) };
        let (targets, next) = page(network, from, to, id, start, call.association_page);
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
    let mut answer = json!({ "status": "COMPLETE", "results": results });
    if !errors.is_empty() {
        answer["numErrors"] = json!(errors.len());
        answer["errors"] = json!(errors);
    }
    (status, answer)
}

pub(super) fn of_record(network: &Network, from: Kind, to: Kind, id: &str, call: &Call<'_>) -> Answer {
    let limit = call.query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(100).min(500);
    let start = call.query.get("after").and_then(|after| after.parse().ok()).unwrap_or_default();
    let (targets, next) = page(network, from, to, id.parse().unwrap_or_default(), start, limit);
    let mut answer = json!({ "results": targets });
    if let Some(next) = next {
        answer["paging"] = json!({ "next": { "after": next } });
    }
    (StatusCode::OK, answer)
}
