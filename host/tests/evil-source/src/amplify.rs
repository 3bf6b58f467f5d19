//! Makes the host use much memory or time for little. If the host does not refuse, the plugin fails with an error that
//! says what it got.

use plugin_sdk::bindings::source_plugin::elt::plugin::decode::{self, JsonColumn, Table};
use plugin_sdk::bindings::source_plugin::elt::plugin::files;
use plugin_sdk::bindings::source_plugin::elt::plugin::http::{self, Request};
use plugin_sdk::bindings::source_plugin::elt::plugin::types::{Error, ErrorKind, Field};
use plugin_sdk::bindings::source_plugin::exports::elt::plugin::source::Page;

use crate::requests::get;
use crate::{CONNECTION, FILE, failure};

/// The rate bucket that the source declares as a need.
pub(crate) const BUCKET: &str = "slow";

fn column(name: String, format: &str, path: &str) -> JsonColumn {
    let field = Field { name, format: format.to_owned(), nullable: true, metadata: Vec::new() };
    JsonColumn { field, level: 0, path: path.to_owned() }
}

fn decode(path: &str, levels: &[&str], columns: &[JsonColumn]) -> Result<Table, Error> {
    let response = http::fetch(CONNECTION, &get(path))?;
    let levels: Vec<_> = levels.iter().map(|level| (*level).to_owned()).collect();
    decode::json_table(&response, &levels, columns)
}

fn got(what: String) -> Result<Page, Error> {
    Err(failure(ErrorKind::Data, format!("the host returned {what}")))
}

pub(crate) fn wide_rows(path: &str) -> Result<Page, Error> {
    let columns: Vec<_> = (0..2000).map(|index| column(format!("c{index}"), "d:38,9", "/x")).collect();
    let table = decode(path, &["/rows"], &columns)?;
    got(format!("{} rows", table.rows()))
}

pub(crate) fn long_texts(path: &str) -> Result<Page, Error> {
    let table = decode(path, &["/rows", "/l"], &[column("x".to_owned(), "u", "/x")])?;
    got(format!("{} rows", table.rows()))
}

pub(crate) fn same_column(path: &str) -> Result<Page, Error> {
    let mut columns: Vec<_> = (0..1000).map(|index| column(format!("c{index}"), "b", "/none")).collect();
    columns.push(column("x".to_owned(), "u", "/x"));
    let table = decode(path, &["/rows"], &columns)?;
    let batch = table.columns(&vec!["x".to_owned(); 1000])?;
    got(format!("{} columns", batch.columns.len()))
}

pub(crate) fn slices(path: &str) -> Result<Page, Error> {
    let table = decode(path, &["/rows"], &[column("x".to_owned(), "u", "/x")])?;
    let slices: Vec<_> = (0..2_000_000).map(|_| table.slice(0, 1)).collect();
    got(format!("{} slices", slices.len()))
}

pub(crate) fn unsent(path: &str) -> Result<Page, Error> {
    let body = vec![b'x'; 64 << 20];
    let request = Request { method: "POST".to_owned(), body: Some(body), ..get(path) };
    let sent: Vec<_> = (0..100).map(|_| http::send_all(CONNECTION, std::slice::from_ref(&request))).collect();
    got(format!("{} handles", sent.len()))
}

pub(crate) fn many_files() -> Result<Page, Error> {
    let open: Result<Vec<_>, _> = (0..100_000).map(|_| files::open(FILE)).collect();
    got(format!("{} files", open?.len()))
}

pub(crate) fn bucket(path: &str) -> Result<Page, Error> {
    let request = Request { bucket: Some(BUCKET.to_owned()), ..get(path) };
    http::fetch(CONNECTION, &request)?;
    let status = http::fetch(CONNECTION, &request)?.status();
    got(format!("status {status} twice"))
}

/// Takes linear memory, and waits for a response.
pub(crate) fn allocate(path: &str) -> Result<Page, Error> {
    let memory: Vec<u8> = Vec::with_capacity(900 << 20);
    std::hint::black_box(&memory);
    let status = http::fetch(CONNECTION, &get(path))?.status();
    got(format!("status {status} with {} bytes", memory.capacity()))
}
