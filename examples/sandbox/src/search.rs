//! The search endpoint's filters and sorts over a type's records.

use serde_json::Value;

use crate::kinds::Kind;
use crate::network::{Network, Object};

/// Whether a record passes the filter groups: any group, all filters of it.
pub(crate) fn passes(network: &Network, kind: Kind, object: &Object, body: &Value) -> bool {
    let top = body.get("filters").and_then(Value::as_array);
    let all = |filters: &Vec<Value>| filters.iter().all(|filter| passes_filter(network, kind, object, filter));
    let groups = body.get("filterGroups").and_then(Value::as_array);
    let any = groups.is_none_or(|groups| {
        groups.is_empty() || groups.iter().any(|group| group.get("filters").and_then(Value::as_array).is_none_or(all))
    });
    any && top.is_none_or(all)
}

fn passes_filter(network: &Network, kind: Kind, object: &Object, filter: &Value) -> bool {
    let text = |key: &str| filter.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let property = text("propertyName").unwrap_or_default();
    let index = network.index(kind, &property);
    let value = index.and_then(|index| object.values.get(index)).and_then(Option::as_deref);
    let is = |data_type: &str| index.is_some_and(|index| network.properties[&kind][index].data_type == data_type);
    let (is_time, is_number) = (is("datetime"), is("number"));
    let compare = |wanted: Option<String>| -> Option<std::cmp::Ordering> {
        let (value, wanted) = (value?, wanted?);
        if is_time {
            Some(milliseconds(value)?.cmp(&milliseconds(&wanted)?))
        } else if is_number {
            value.parse::<f64>().ok()?.partial_cmp(&wanted.parse().ok()?)
        } else {
            Some(value.to_lowercase().cmp(&wanted.to_lowercase()))
        }
    };
    let wanted = || compare(text("value"));
    let listed = || {
        let values = filter.get("values").and_then(Value::as_array).into_iter().flatten();
        values.filter_map(Value::as_str).any(|wanted| value == Some(wanted))
    };
    match text("operator").unwrap_or_default().as_str() {
        "EQ" => wanted().is_some_and(std::cmp::Ordering::is_eq),
        "NEQ" => wanted().is_some_and(std::cmp::Ordering::is_ne),
        "LT" => wanted().is_some_and(std::cmp::Ordering::is_lt),
        "LTE" => wanted().is_some_and(std::cmp::Ordering::is_le),
        "GT" => wanted().is_some_and(std::cmp::Ordering::is_gt),
        "GTE" => wanted().is_some_and(std::cmp::Ordering::is_ge),
        "BETWEEN" => {
            wanted().is_some_and(std::cmp::Ordering::is_ge)
                && compare(text("highValue")).is_some_and(std::cmp::Ordering::is_le)
        }
        "IN" => listed(),
        "NOT_IN" => !listed(),
        "HAS_PROPERTY" => value.is_some(),
        "NOT_HAS_PROPERTY" => value.is_none(),
        "CONTAINS_TOKEN" => contains(value, text("value")),
        "NOT_CONTAINS_TOKEN" => !contains(value, text("value")),
        _ => false,
    }
}

fn contains(value: Option<&str>, token: Option<String>) -> bool {
    let (Some(value), Some(token)) = (value, token) else { return false };
    value.split_whitespace().any(|word| word.eq_ignore_ascii_case(&token))
}

/// Epoch milliseconds or ISO.
fn milliseconds(text: &str) -> Option<i64> {
    let instant = || Some(text.parse::<jiff::Timestamp>().ok()?.as_millisecond());
    text.parse().ok().or_else(instant)
}

/// Whether a filter asks for everything since 1970, which HubSpot answers with 500.
pub(crate) fn asks_from_zero(body: &Value) -> bool {
    let groups = body.get("filterGroups").and_then(Value::as_array).into_iter().flatten();
    let mut filters = groups.filter_map(|group| group.get("filters")?.as_array()).flatten();
    filters.any(|filter| filter["value"] == "0" && filter["propertyName"].as_str().is_some_and(|n| n.ends_with("date")))
}

/// Sorts records by the first of the body's sorts, else by id.
pub(crate) fn sort(network: &Network, kind: Kind, objects: &mut [&Object], body: &Value) {
    let sort = body.pointer("/sorts/0");
    let property = sort.and_then(|sort| sort.get("propertyName").or(Some(sort))).and_then(Value::as_str);
    let Some(index) = property.and_then(|property| network.index(kind, property)) else { return };
    let numeric = network.properties[&kind][index].data_type == "number";
    if numeric {
        let key = |object: &&Object| {
            object.values.get(index).and_then(Option::as_deref).and_then(|v| v.parse::<f64>().ok()).unwrap_or(f64::MIN)
        };
        objects.sort_by(|a, b| key(a).total_cmp(&key(b)));
    } else {
        objects.sort_by(|a, b| a.values.get(index).cmp(&b.values.get(index)));
    }
    if sort.and_then(|sort| sort.get("direction")).and_then(Value::as_str) == Some("DESCENDING") {
        objects.reverse();
    }
}
