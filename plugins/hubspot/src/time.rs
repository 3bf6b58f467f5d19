//! HubSpot's clock, read from the `Date` header of its responses, since a plugin has no clock of its own.

use plugin_sdk::prelude::*;

/// When HubSpot sent a response, in milliseconds since 1970.
pub(crate) fn server_time(response: &Response) -> Result<i64> {
    let date = response.header("date").ok_or_else(|| Error::data("HubSpot's response has no `Date` header"))?;
    let invalid = |cause| Error::data(format!("HubSpot's header `Date: {date}` is not a valid date: {cause}"));
    let time = jiff::fmt::rfc2822::parse(&date).map_err(invalid)?;
    Ok(time.timestamp().as_millisecond())
}

/// An RFC 3339 time in milliseconds since 1970.
pub(crate) fn parse_rfc3339(text: &str) -> Result<i64> {
    let invalid = |cause| Error::config(format!("`{text}` is not a time such as `2026-01-31T00:00:00Z`: {cause}"));
    let time: jiff::Timestamp = text.parse().map_err(invalid)?;
    Ok(time.as_millisecond())
}
