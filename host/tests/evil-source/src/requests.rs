//! What it asks of the host, over its connection and beside it. An answer ends in an error that tells of it.

use plugin_sdk::bindings::source_plugin::elt::plugin::decode::{self, JsonColumn};
use plugin_sdk::bindings::source_plugin::elt::plugin::files;
use plugin_sdk::bindings::source_plugin::elt::plugin::http::{self, Request};
use plugin_sdk::bindings::source_plugin::elt::plugin::types::{Error, ErrorKind};
use plugin_sdk::bindings::source_plugin::exports::elt::plugin::source::Page;

use crate::{CONNECTION, failure, pages};

/// How often it asks for what it asks for too often.
const TIMES: usize = 10_000;

/// A GET of this path.
pub(crate) fn get(path: &str) -> Request {
    Request {
        method: "GET".to_owned(),
        path: path.to_owned(),
        query: Vec::new(),
        headers: Vec::new(),
        body: None,
        bucket: None,
    }
}

/// Sends a request; where it is answered, tells how.
pub(crate) fn send(connection: &str, request: &Request) -> Result<Page, Error> {
    let answer = http::fetch(connection, request)?;
    let to = answer.header("location").unwrap_or_default();
    Err(failure(ErrorKind::Data, format!("the server answered {}, {to}", answer.status())))
}

/// Sends a request with this header.
pub(crate) fn with_header(name: &str, value: &str) -> Result<Page, Error> {
    let headers = vec![(name.to_owned(), value.to_owned())];
    send(CONNECTION, &Request { headers, ..get("/") })
}

/// Sends a request that a server may answer with the request itself, secret and all.
pub(crate) fn trace() -> Result<Page, Error> {
    send(CONNECTION, &Request { method: "TRACE".to_owned(), ..get("/") })
}

/// Sends a request and asks for one value of its answer again and again.
pub(crate) fn greedy(path: &str) -> Result<Page, Error> {
    let values = http::fetch(CONNECTION, &get(path))?.get(&vec!["/x".to_owned(); TIMES]);
    let bytes: usize = values.iter().flatten().map(String::len).sum();
    Err(failure(ErrorKind::Data, format!("the host gave {bytes} bytes in one call")))
}

/// Sends requests again and again, and gives them up.
pub(crate) fn many() -> Page {
    for _ in 0..TIMES {
        drop(http::send_all("other", &vec![get("/"); TIMES / 2]));
    }
    pages::last(Vec::new())
}

/// Sends a request three times and waits for the answers.
pub(crate) fn hoard(path: &str) -> Result<Page, Error> {
    let answers = http::send_all(CONNECTION, &vec![get(path); 3]).answers();
    Err(failure(ErrorKind::Data, format!("the host keeps {} answers", answers.len())))
}

/// Sends a request and takes a column out of its answer, by a path that is a million steps long.
pub(crate) fn deep(path: &str) -> Result<Page, Error> {
    let answer = http::fetch(CONNECTION, &get(path))?;
    let columns: Vec<_> = pages::schema()
        .fields
        .into_iter()
        .map(|field| JsonColumn { field, level: 0, path: "/x".repeat(1_000_000) })
        .collect();
    let table = decode::json_table(&answer, &["/rows".to_owned()], &columns)?;
    Err(failure(ErrorKind::Data, format!("the host made {} rows of it", table.rows())))
}

/// Sends a request that must be answered with 200.
pub(crate) fn expect_ok(path: &str) -> Result<(), Error> {
    let status = http::fetch(CONNECTION, &get(path))?.status();
    if status == 200 { Ok(()) } else { Err(failure(ErrorKind::Data, format!("the server answered {status}"))) }
}

/// Opens a file and tells what is in it.
pub(crate) fn open(name: &str) -> Result<Page, Error> {
    let bytes = files::open(name)?.read(0, 1000)?;
    Err(failure(ErrorKind::Data, format!("the file holds {}", String::from_utf8_lossy(&bytes))))
}
