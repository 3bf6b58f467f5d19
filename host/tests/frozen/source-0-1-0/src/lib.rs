//! A source that uses all that version 0.1.0 of the contract gives a source. It stays as it is: later hosts have to run
//! it. Streams: `rates`, decoded by the host from `GET /rates`, and again with many requests under way; `own`, columns
//! of the guest's own with a prefix replaced; `lines`, a granted CSV file in slices.

use std::cell::Cell;

use elt::plugin::decode::{self, JsonColumn};
use elt::plugin::types::{Batch, Column, Error, ErrorKind, Field, Need, Schema, Spec};
use elt::plugin::{files, http, log};
use exports::elt::plugin::source::{
    Guest, GuestReader, Page, Part, Reader as ReaderHandle, Rows, Selection, StreamInfo, Sweep,
};

wit_bindgen::generate!({ path: "../plugin-0.1.0.wit", world: "source-plugin" });

struct Frozen;

struct Reading {
    stream: String,
    is_resumed: bool,
    page: Cell<u32>,
}

fn field(name: &str, format: &str) -> Field {
    Field { name: name.into(), format: format.into(), nullable: true, metadata: Vec::new() }
}

fn schema(stream: &str) -> Schema {
    let (fields, key) = match stream {
        "rates" => (vec![field("month", "tdD"), field("rate", "d:38,9")], "month"),
        "own" => (vec![field("id", "u"), field("n", "l")], "id"),
        _ => (vec![field("id", "u"), field("name", "u")], "id"),
    };
    Schema { fields, primary_key: vec![key.into()], cursor: None }
}

fn texts(texts: &[&str]) -> Column {
    let mut offsets = vec![0; 4];
    let mut end = 0_u32;
    for text in texts {
        end += u32::try_from(text.len()).expect("small");
        offsets.extend(end.to_le_bytes());
    }
    Column { validity: None, offsets: Some(offsets), values: texts.concat().into_bytes() }
}

fn request(path: &str) -> http::Request {
    http::Request {
        method: "GET".into(),
        path: path.into(),
        query: vec![("limit".into(), "10".into())],
        headers: vec![("accept".into(), "application/json".into())],
        body: None,
        bucket: Some("calls".into()),
    }
}

impl Guest for Frozen {
    type Reader = Reading;

    fn describe() -> Spec {
        let need = |kind: &str, name: &str, details: &str| Need {
            kind: kind.into(),
            name: name.into(),
            details_json: details.into(),
        };
        Spec {
            name: "frozen-source".into(),
            version: "0.1.0".into(),
            config_schema: r#"{"type": "object", "additionalProperties": false}"#.into(),
            needs: vec![
                need("connection", "rates", "{}"),
                need("file", "lines", r#"{"optional": true}"#),
                need("rate-bucket", "calls", r#"{"requests": 100, "per-ms": 1000}"#),
                need("retry", "again", r#"{"statuses": [{"status": 423, "wait-ms": 1}], "final": []}"#),
            ],
            hints: Vec::new(),
        }
    }

    fn check(_: String) -> Result<(), Error> {
        http::fetch("rates", &request("/rates")).map(drop)
    }

    fn identity(_: String) -> Result<Option<String>, Error> {
        Ok(Some("the only account".into()))
    }

    fn discover(_: String, wanted: Option<Vec<String>>) -> Result<Vec<StreamInfo>, Error> {
        let streams = ["rates", "own", "lines"].into_iter().map(|name| StreamInfo {
            name: name.into(),
            schema: schema(name),
            hints: vec![("disposition".into(), if name == "lines" { "replace" } else { "merge" }.into())],
        });
        Ok(streams.filter(|stream| wanted.as_ref().is_none_or(|wanted| wanted.contains(&stream.name))).collect())
    }

    fn open(_: String, selection: Selection) -> Result<ReaderHandle, Error> {
        log::write(log::Level::Info, &format!("{} of {}", selection.stream, selection.streams.len()));
        let is_resumed = selection.state.is_some() && selection.since.is_none();
        Ok(ReaderHandle::new(Reading { stream: selection.stream, is_resumed, page: Cell::new(0) }))
    }
}

impl Reading {
    fn rows(&self, page: u32) -> Result<Option<Rows>, Error> {
        if self.stream == "own" {
            let (ids, number) = (["a", "b"], if self.is_resumed { 2_i64 } else { 1 });
            let numbers =
                Column { validity: Some(vec![1]), offsets: None, values: [number, 0].map(i64::to_le_bytes).concat() };
            return Ok(Some(Rows::Guest(Batch { rows: 2, columns: vec![texts(&ids), numbers] })));
        }
        if self.stream == "lines" {
            let file = files::open("lines")?;
            let Some(table) = decode::csv(&file, &schema("lines"), r#"{"delimiter": ";"}"#)?.next()? else {
                return Ok(None);
            };
            return Ok(Some(Rows::Host(table.slice(0, table.rows() - 1))));
        }
        let answer = match page {
            0 => http::fetch("rates", &request("/rates"))?,
            _ => http::send_all("rates", &[request("/rates")]).answers().remove(0)?,
        };
        if answer.status() != 200 || answer.header("content-type").is_none() || answer.body().is_empty() {
            let message = format!("status {}", answer.status());
            return Err(Error {
                kind: ErrorKind::Data,
                code: "answer".into(),
                message,
                retry_after_ms: None,
                details_json: None,
            });
        }
        let note = answer.get(&["/note".into()]).remove(0).unwrap_or_default();
        log::write(log::Level::Info, &note);
        let mut rate = field("rate", "d:38,9");
        rate.metadata = vec![("accept".into(), "text,empty-null".into())];
        let columns = [
            JsonColumn { field: field("month", "tdD"), level: 0, path: "/month".into() },
            JsonColumn { field: rate, level: 0, path: "/rate".into() },
        ];
        decode::json_table(&answer, &["/rates".into()], &columns).map(|table| Some(Rows::Host(table)))
    }
}

impl GuestReader for Reading {
    fn next(&self) -> Result<Page, Error> {
        let page = self.page.replace(self.page.get() + 1);
        let is_last = self.stream == "lines" || page == 1;
        // What a sweep does not bring is gone.
        let sweep = (self.stream == "own").then_some(if page == 0 { Sweep::First } else { Sweep::Last });
        let replace = (self.stream == "own" && page == 0).then(|| Batch { rows: 1, columns: vec![texts(&["gone"])] });
        let part = Part { stream: self.stream.clone(), schema: schema(&self.stream), rows: self.rows(page)?, replace };
        Ok(Page {
            parts: vec![part],
            state: Some(format!("{{\"page\":{page}}}")),
            total: Some(2),
            sweep,
            expected: None,
            done: is_last,
        })
    }
}

export!(Frozen);
