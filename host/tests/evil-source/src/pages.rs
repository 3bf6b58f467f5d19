//! Builds pages of rows, well formed and malformed.

use plugin_sdk::bindings::source_plugin::elt::plugin::types::{Batch, Column, Field, Schema};
use plugin_sdk::bindings::source_plugin::exports::elt::plugin::source::{Page, Part, Rows};

use crate::{Mode, STREAM};

/// The schema of the stream.
pub(crate) fn schema() -> Schema {
    let field =
        |name: &str| Field { name: name.to_owned(), format: "u".to_owned(), nullable: true, metadata: Vec::new() };
    Schema { fields: vec![field("id"), field("name")], primary_key: vec!["id".to_owned()], cursor: None }
}

/// A page that is not the last.
pub(crate) fn more(parts: Vec<Part>) -> Page {
    Page { parts, state: Some("1".to_owned()), total: None, sweep: None, expected: None, done: false }
}

/// The last page.
pub(crate) fn last(parts: Vec<Part>) -> Page {
    Page { done: true, ..more(parts) }
}

/// Rows of the stream.
pub(crate) fn rows(ids: &[&str], names: &[&str]) -> Vec<Part> {
    part(STREAM, schema(), batch(ids, names))
}

/// Rows that break the contract as the mode says.
pub(crate) fn malformed(mode: Mode) -> Vec<Part> {
    let well_formed = || batch(&["5"], &["evil"]);
    match mode {
        Mode::OtherStream => part("others", schema(), well_formed()),
        Mode::NoKey => part(STREAM, Schema { primary_key: Vec::new(), ..schema() }, well_formed()),
        Mode::ClaimedRows => part(STREAM, schema(), Batch { rows: u32::MAX, ..well_formed() }),
        _ => part(STREAM, schema(), Batch { rows: 1, columns: vec![texts(&["5"])] }),
    }
}

pub(crate) fn part(stream: &str, schema: Schema, batch: Batch) -> Vec<Part> {
    vec![Part { stream: stream.to_owned(), schema, rows: Some(Rows::Guest(batch)), replace: None }]
}

fn batch(ids: &[&str], names: &[&str]) -> Batch {
    Batch { rows: u32::try_from(ids.len()).unwrap_or(u32::MAX), columns: vec![texts(ids), texts(names)] }
}

/// A column of texts. `None` is null.
pub(crate) fn nullable(values: &[Option<&str>]) -> Column {
    let bit = |(at, value): (usize, &Option<&str>)| u8::from(value.is_some()) << (at % 8);
    let bits: Vec<u8> = values.iter().enumerate().map(bit).collect();
    let validity = bits.chunks(8).map(|bits| bits.iter().fold(0, |byte, bit| byte | bit)).collect();
    let present: Vec<_> = values.iter().map(|value| value.unwrap_or_default()).collect();
    Column { validity: Some(validity), ..texts(&present) }
}

fn texts(values: &[&str]) -> Column {
    let mut offsets = 0_u32.to_le_bytes().to_vec();
    let mut end = 0;
    for value in values {
        end += value.len();
        offsets.extend(u32::try_from(end).unwrap_or(u32::MAX).to_le_bytes());
    }
    Column { validity: None, offsets: Some(offsets), values: values.concat().into() }
}
