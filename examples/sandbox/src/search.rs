//! Filters and sorting of the search endpoint.

use serde_json::Value;

use crate::network::{Network, Record};
use crate::object_types::ObjectType;

/// Whether a record matches a search: all filters of any one filter group, and all top-level filters.
pub(crate) fn matches(network: &Network, object_type: ObjectType, record: &Record, body: &Value) -> bool {
    let top = body.get("filters").and_then(Value::as_array);
    let all = |filters: &Vec<Value>| filters.iter().all(|filter| matches_filter(network, object_type, record, filter));
    let groups = body.get("filterGroups").and_then(Value::as_array);
    let any = groups.is_none_or(|groups| {
        groups.is_empty() || groups.iter().any(|group| group.get("filters").and_then(Value::as_array).is_none_or(all))
    });
    any && top.is_none_or(all)
}

fn matches_filter(network: &Network, object_type: ObjectType, record: &Record, filter: &Value) -> bool {
    let text = |key: &str| filter.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let property = text("propertyName").unwrap_or_default();
    let index = network.index(object_type, &property);
    let value = index.and_then(|index| record.values.get(index)).and_then(Option::as_deref);
    let is =
        |data_type: &str| index.is_some_and(|index| network.properties[&object_type][index].data_type == data_type);
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

/// Whether one of the value's words equals the token, ignoring case.
fn contains(value: Option<&str>, token: Option<String>) -> bool {
    let (Some(value), Some(token)) = (value, token) else { return false };
    value.split_whitespace().any(|word| word.eq_ignore_ascii_case(&token))
}

/// Parses milliseconds since 1970 or an ISO 8601 timestamp.
fn milliseconds(text: &str) -> Option<i64> {
    let instant = || Some(text.parse::<jiff::Timestamp>().ok()?.as_millisecond());
    text.parse().ok().or_else(instant)
}

/// Whether a filter compares a date with 0, which HubSpot answers with status 500.
pub(crate) fn compares_date_with_zero(body: &Value) -> bool {
    let groups = body.get("filterGroups").and_then(Value::as_array).into_iter().flatten();
    let mut filters = groups.filter_map(|group| group.get("filters")?.as_array()).flatten();
    filters.any(|filter| filter["value"] == "0" && filter["propertyName"].as_str().is_some_and(|n| n.ends_with("date")))
}

/// Sorts records by the first sort of the body; without one, they stay sorted by id.
pub(crate) fn sort(network: &Network, object_type: ObjectType, records: &mut [&Record], body: &Value) {
    let sort = body.pointer("/sorts/0");
    let property = sort.and_then(|sort| sort.get("propertyName").or(Some(sort))).and_then(Value::as_str);
    let Some(index) = property.and_then(|property| network.index(object_type, property)) else { return };
    let numeric = network.properties[&object_type][index].data_type == "number";
    if numeric {
        let key = |record: &&Record| {
            record.values.get(index).and_then(Option::as_deref).and_then(|v| v.parse::<f64>().ok()).unwrap_or(f64::MIN)
        };
        records.sort_by(|a, b| key(a).total_cmp(&key(b)));
    } else {
        records.sort_by(|a, b| a.values.get(index).cmp(&b.values.get(index)));
    }
    if sort.and_then(|sort| sort.get("direction")).and_then(Value::as_str) == Some("DESCENDING") {
        records.reverse();
    }
}
