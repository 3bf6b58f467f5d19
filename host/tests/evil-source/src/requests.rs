//! Requests to the host that it has to refuse. If it does not, the plugin fails with an error that says what it got.

use plugin_sdk::bindings::source_plugin::elt::plugin::decode::{self, JsonColumn};
use plugin_sdk::bindings::source_plugin::elt::plugin::files;
use plugin_sdk::bindings::source_plugin::elt::plugin::http::{self, Request};
use plugin_sdk::bindings::source_plugin::elt::plugin::types::{Error, ErrorKind};
use plugin_sdk::bindings::source_plugin::exports::elt::plugin::source::Page;

use crate::{CONNECTION, failure, pages};

/// Repetitions of a call that is repeated too often.
const TIMES: usize = 10_000;

/// A GET request.
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

/// Sends a request and reports the response as an error.
pub(crate) fn send(connection: &str, request: &Request) -> Result<Page, Error> {
    let response = http::fetch(connection, request)?;
    let location = response.header("location").unwrap_or_default();
    Err(failure(ErrorKind::Data, format!("the server answered {}, {location}", response.status())))
}

/// Sends a request with this header.
pub(crate) fn with_header(name: &str, value: &str) -> Result<Page, Error> {
    let headers = vec![(name.to_owned(), value.to_owned())];
    send(CONNECTION, &Request { headers, ..get("/") })
}

/// Sends a TRACE request: a server may return the whole request, with the secret.
pub(crate) fn trace() -> Result<Page, Error> {
    send(CONNECTION, &Request { method: "TRACE".to_owned(), ..get("/") })
}

/// Sends a request and reads one value of the response many times.
pub(crate) fn greedy(path: &str) -> Result<Page, Error> {
    let values = http::fetch(CONNECTION, &get(path))?.get(&vec!["/x".to_owned(); TIMES]);
    let bytes: usize = values.iter().flatten().map(String::len).sum();
    Err(failure(ErrorKind::Data, format!("the host returned {bytes} bytes in one call")))
}

/// Sends millions of requests and drops them before they are answered.
pub(crate) fn many() -> Page {
    for _ in 0..TIMES {
        drop(http::send_all("other", &vec![get("/"); TIMES / 2]));
    }
    pages::last(Vec::new())
}

/// Sends a request three times and waits for all responses.
pub(crate) fn hoard(path: &str) -> Result<Page, Error> {
    let responses = http::send_all(CONNECTION, &vec![get(path); 3]).answers();
    Err(failure(ErrorKind::Data, format!("the host keeps {} responses", responses.len())))
}

/// Sends a request and decodes the rows of the response into the columns of the stream, all from one pointer.
pub(crate) fn decode(path: &str, pointer: &str) -> Result<Page, Error> {
    let response = http::fetch(CONNECTION, &get(path))?;
    let columns: Vec<_> = pages::schema()
        .fields
        .into_iter()
        .map(|field| JsonColumn { field, level: 0, path: pointer.to_owned() })
        .collect();
    let table = decode::json_table(&response, &["/rows".to_owned()], &columns)?;
    Err(failure(ErrorKind::Data, format!("the host decoded {} rows", table.rows())))
}

/// Sends a request and fails unless the status is 200.
pub(crate) fn expect_ok(path: &str) -> Result<(), Error> {
    let status = http::fetch(CONNECTION, &get(path))?.status();
    if status == 200 { Ok(()) } else { Err(failure(ErrorKind::Data, format!("the server answered {status}"))) }
}

/// Opens a file and reports its contents as an error.
pub(crate) fn open(name: &str) -> Result<Page, Error> {
    let bytes = files::open(name)?.read(0, 1000)?;
    Err(failure(ErrorKind::Data, format!("the file contains {}", String::from_utf8_lossy(&bytes))))
}
