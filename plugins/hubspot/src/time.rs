//! The server's clock, since a plugin has none: the `Date` header of an answer.

use plugin_sdk::prelude::*;

/// Milliseconds since 1970 at which an answer was made.
pub(crate) fn date_header(answer: &Response) -> Result<i64> {
    let date = answer.header("date").ok_or_else(|| Error::data("HubSpot's answer has no `Date` header"))?;
    let instant = jiff::fmt::rfc2822::parse(&date).map_err(|cause| Error::data(format!("`Date: {date}`: {cause}")))?;
    Ok(instant.timestamp().as_millisecond())
}

/// Milliseconds since 1970 of an RFC 3339 instant.
pub(crate) fn parse(text: &str) -> Result<i64> {
    let instant: jiff::Timestamp = text.parse().map_err(|cause| Error::config(format!("`{text}`: {cause}")))?;
    Ok(instant.as_millisecond())
}
