//! What plugins may call: requests over granted connections, granted files, the decoders, the log.

use std::sync::Arc;

use arrow_array::RecordBatch;
use futures_util::{StreamExt as _, stream};
use tokio::task::JoinSet;
use wasmtime::component::Resource;

use super::bindings::source_world::elt::plugin::{decode, files, http as wit_http, log};
use super::bindings::types as wit;
use super::codec;
use super::connection::Connection;
use super::decode_csv::CsvReader;
use super::decode_json::{self, JsonColumn};
use super::held::refused;
use super::http;
use super::names;
use super::resources::{Answers, GrantedFile, Response, Sent, Table};
use super::state::{REQUESTS_A_CALL, State};
use crate::error::{Error, Kind};
use crate::schema::{EXTRACTED_AT, Field, LOAD_ID, Schema, Type, UNFIT};

/// Bytes that one read of a file gives at most.
const READ_LIMIT: u32 = 16 << 20;
/// Bytes of values that one call takes out of an answer at most: one value may be asked for many times.
const VALUES_LIMIT: usize = 256 << 20;

type Answer<T> = wasmtime::Result<Result<T, wit::Error>>;

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            Kind::Config => wit::ErrorKind::Config,
            Kind::Unavailable => wit::ErrorKind::Transient,
            Kind::Data => wit::ErrorKind::Data,
            _ => wit::ErrorKind::Internal,
        };
        let details_json = error.hint.map(|hint| serde_json::json!({ "hint": hint }).to_string());
        Self { kind, code: "host".to_owned(), message: error.message, retry_after_ms: None, details_json }
    }
}

/// A contract's field as the host's.
pub(crate) fn field(field: wit::Field) -> crate::error::Result<Field> {
    names::check_column(&field.name)?;
    let data_type = Type::parse(&field.format).map_err(|error| error.on(format!("column `{}`", field.name)))?;
    Ok(Field { name: field.name, data_type, metadata: field.metadata.into_iter().collect() })
}

/// A contract's schema as the host's.
pub(crate) fn schema(schema: wit::Schema) -> crate::error::Result<Schema> {
    let fields = schema.fields.into_iter().map(field).collect::<crate::error::Result<Vec<_>>>()?;
    if let Some(own) = fields.iter().find(|field| names::is_hosts_own(&field.name)) {
        let error = Error::plugin(format!("its column `{}` is the host's own", own.name));
        return Err(
            error.hint(format!("`{UNFIT}`, `{LOAD_ID}`, `{EXTRACTED_AT}` and what begins with `_host` are taken"))
        );
    }
    if schema.primary_key.is_empty() {
        return Err(Error::plugin("it names no primary key: rows could be told apart by nothing"));
    }
    for key in &schema.primary_key {
        if !fields.iter().any(|field| field.name == *key) {
            return Err(Error::plugin(format!("its primary key `{key}` is no column of the stream")));
        }
    }
    Ok(Schema { fields, primary_key: schema.primary_key, cursor: schema.cursor })
}

/// The host's schema as the contract's.
pub(crate) fn lower_schema(schema: &Schema) -> wit::Schema {
    let field = |field: &Field| wit::Field {
        name: field.name.clone(),
        format: field.data_type.format(),
        nullable: true,
        metadata: field.metadata.clone().into_iter().collect(),
    };
    wit::Schema {
        fields: schema.fields.iter().map(field).collect(),
        primary_key: schema.primary_key.clone(),
        cursor: schema.cursor.clone(),
    }
}

impl State {
    fn connection(&self, name: &str) -> Result<Connection, wit::Error> {
        self.grants.connections.get(name).cloned().ok_or_else(|| {
            let error = Error::config(format!("the connection `{name}` is not granted"));
            error.hint(format!("add `connections = {{ {name} = \"{name}\" }}` to the source")).into()
        })
    }
}

impl wit::Host for State {}

impl wit_http::Host for State {
    async fn fetch(&mut self, conn: String, req: wit_http::Request) -> Answer<Resource<Response>> {
        let answers = self.requests(&conn, vec![req])?;
        let answers = self.call_time.give_back(self.held.during(answers)).await?;
        let answer = self.hand_over(answers)?.pop();
        Ok(answer.unwrap_or_else(|| Err(Error::internal("a request has no answer").into())))
    }

    async fn send_all(&mut self, conn: String, reqs: Vec<wit_http::Request>) -> wasmtime::Result<Resource<Sent>> {
        let mut answers = JoinSet::new();
        let requests = reqs.len() as u64;
        answers.spawn(self.requests(&conn, reqs)?);
        self.under_way += requests;
        Ok(self.handles.push(Sent { answers, requests })?)
    }
}

impl State {
    /// Sends requests, some at a time; gives back the answers in their order.
    fn requests(
        &mut self,
        connection: &str,
        reqs: Vec<wit_http::Request>,
    ) -> wasmtime::Result<impl Future<Output = Answers> + use<>> {
        let connection = self.connection(connection);
        self.requests += reqs.len() as u64;
        self.asked += reqs.len() as u64;
        if self.asked > REQUESTS_A_CALL {
            return Err(wasmtime::Error::msg(format!("sends more than {REQUESTS_A_CALL} requests in one call")));
        }
        let (retry, held) = (self.grants.retry.clone(), self.held.clone());
        Ok(async move {
            let connection = match connection {
                Ok(connection) => connection,
                Err(error) => return reqs.iter().map(|_| Err(error.clone())).collect(),
            };
            let sent = reqs.into_iter().map(|req| http::send(&connection, req, &retry, &held));
            stream::iter(sent).buffered(connection.patience.concurrent).collect().await
        })
    }

    fn hand_over(&mut self, answers: Answers) -> wasmtime::Result<Vec<Result<Resource<Response>, wit::Error>>> {
        let mut handles = Vec::with_capacity(answers.len());
        for answer in answers {
            handles.push(match answer {
                Ok(response) => Ok(self.handles.push(response)?),
                Err(error) => Err(error),
            });
        }
        Ok(handles)
    }
}

impl State {
    /// Keeps decoded rows for the guest.
    fn keep(&mut self, batch: RecordBatch) -> wasmtime::Result<Resource<Table>> {
        let hold = self.held.take(batch.get_array_memory_size()).ok_or_else(refused)?;
        Ok(self.handles.push(Table { batch, hold: Arc::new(hold) })?)
    }
}

impl wit_http::HostSent for State {
    async fn answers(&mut self, this: Resource<Sent>) -> wasmtime::Result<Vec<Result<Resource<Response>, wit::Error>>> {
        let sent = self.handles.get_mut(&this)?;
        let answers = self.call_time.give_back(self.held.during(sent.answers.join_next())).await?;
        self.under_way -= std::mem::take(&mut sent.requests);
        match answers {
            None => Ok(Vec::new()),
            Some(Ok(answers)) => self.hand_over(answers),
            Some(Err(cause)) => Err(wasmtime::Error::msg(format!("a request's task ended: {cause}"))),
        }
    }

    async fn drop(&mut self, this: Resource<Sent>) -> wasmtime::Result<()> {
        self.under_way -= self.handles.delete(this)?.requests;
        Ok(())
    }
}

impl wit_http::HostResponse for State {
    async fn status(&mut self, this: Resource<Response>) -> wasmtime::Result<u16> {
        Ok(self.handles.get(&this)?.status)
    }

    async fn header(&mut self, this: Resource<Response>, name: String) -> wasmtime::Result<Option<String>> {
        let headers = &self.handles.get(&this)?.headers;
        Ok(headers.get(&name).and_then(|value| value.to_str().ok()).map(str::to_owned))
    }

    async fn body(&mut self, this: Resource<Response>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.handles.get(&this)?.body.clone())
    }

    async fn get(&mut self, this: Resource<Response>, pointers: Vec<String>) -> wasmtime::Result<Vec<Option<String>>> {
        let response = self.handles.get(&this)?;
        let mut bytes = 0;
        let value = |pointer: &String| {
            let value = response.get(pointer);
            bytes += value.as_ref().map_or(0, String::len);
            let refused = || wasmtime::Error::msg(format!("asks for more than {} MiB in one call", VALUES_LIMIT >> 20));
            if bytes > VALUES_LIMIT { Err(refused()) } else { Ok(value) }
        };
        pointers.iter().map(value).collect()
    }

    async fn drop(&mut self, this: Resource<Response>) -> wasmtime::Result<()> {
        self.handles.delete(this)?;
        Ok(())
    }
}

impl files::Host for State {
    async fn open(&mut self, name: String) -> Answer<Resource<GrantedFile>> {
        let Some(path) = self.grants.files.get(&name).cloned() else {
            let error = Error::config(format!("the file `{name}` is not granted"));
            let error = wit::Error::from(error.hint(format!("add `files = {{ {name} = \"PATH\" }}`")));
            return Ok(Err(wit::Error { code: "not_granted".to_owned(), ..error }));
        };
        Ok(match std::fs::File::open(&path) {
            Ok(handle) => Ok(self.handles.push(GrantedFile { path, handle })?),
            Err(cause) => Err(Error::config(format!("file `{name}`: {}: {cause}", path.display())).into()),
        })
    }
}

impl files::HostFile for State {
    async fn size(&mut self, this: Resource<GrantedFile>) -> wasmtime::Result<u64> {
        Ok(self.handles.get(&this)?.handle.metadata().map_or(0, |metadata| metadata.len()))
    }

    async fn read(&mut self, this: Resource<GrantedFile>, offset: u64, len: u32) -> Answer<Vec<u8>> {
        use std::io::{Read as _, Seek as _};
        let file = self.handles.get_mut(&this)?;
        let mut bytes = Vec::new();
        let read = file.handle.seek(std::io::SeekFrom::Start(offset));
        let read = read.and_then(|_| file.handle.by_ref().take(len.min(READ_LIMIT).into()).read_to_end(&mut bytes));
        Ok(match read {
            Ok(_) => Ok(bytes),
            Err(cause) => Err(Error::config(format!("{}: {cause}", file.path.display())).into()),
        })
    }

    async fn drop(&mut self, this: Resource<GrantedFile>) -> wasmtime::Result<()> {
        self.handles.delete(this)?;
        Ok(())
    }
}

impl decode::Host for State {
    async fn json_table(
        &mut self,
        body: Resource<Response>,
        levels: Vec<String>,
        columns: Vec<decode::JsonColumn>,
    ) -> Answer<Resource<Table>> {
        let lift = |column: decode::JsonColumn| {
            let decode::JsonColumn { field: raw, level, path } = column;
            Ok(JsonColumn { field: field(raw)?, level: level as usize, path })
        };
        let columns: crate::error::Result<Vec<_>> = columns.into_iter().map(lift).collect();
        let body = &self.handles.get(&body)?.body;
        let decoded = columns.and_then(|columns| decode_json::decode(body, &levels, &columns));
        Ok(match decoded {
            Ok(batch) => Ok(self.keep(batch)?),
            Err(error) => Err(error.into()),
        })
    }

    async fn csv(
        &mut self,
        source: Resource<GrantedFile>,
        fields: wit::Schema,
        options_json: String,
    ) -> Answer<Resource<CsvReader>> {
        let options: serde_json::Value = serde_json::from_str(&options_json).unwrap_or_default();
        let delimiter = options.get("delimiter").and_then(|delimiter| delimiter.as_str()).unwrap_or(",");
        let delimiter = delimiter.bytes().next().unwrap_or(b',');
        let file = self.handles.get(&source)?;
        Ok(match schema(fields).and_then(|schema| CsvReader::open(file, schema, delimiter)) {
            Ok(reader) => Ok(self.handles.push(reader)?),
            Err(error) => Err(error.into()),
        })
    }
}

fn missing(column: &str) -> Error {
    Error::config(format!("no column `{column}` in the decoded table"))
}

impl decode::HostTable for State {
    async fn rows(&mut self, this: Resource<Table>) -> wasmtime::Result<u32> {
        Ok(u32::try_from(self.handles.get(&this)?.batch.num_rows()).unwrap_or(u32::MAX))
    }

    async fn columns(&mut self, this: Resource<Table>, names: Vec<String>) -> Answer<wit::Batch> {
        let batch = &self.handles.get(&this)?.batch;
        if names.len() > batch.num_columns() {
            return Ok(Err(Error::plugin("it asks for more columns than the decoded table has").into()));
        }
        let lower = |name: &String| codec::lower(batch.column_by_name(name).ok_or_else(|| missing(name))?);
        let columns: crate::error::Result<Vec<_>> = names.iter().map(lower).collect();
        let rows = u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
        Ok(columns.map(|columns| wit::Batch { rows, columns }).map_err(Into::into))
    }

    async fn slice(&mut self, this: Resource<Table>, start: u32, rows: u32) -> wasmtime::Result<Resource<Table>> {
        let Table { batch, hold } = self.handles.get(&this)?;
        let start = (start as usize).min(batch.num_rows());
        let batch = batch.slice(start, (rows as usize).min(batch.num_rows() - start));
        let hold = Arc::clone(hold);
        Ok(self.handles.push(Table { batch, hold })?)
    }

    async fn drop(&mut self, this: Resource<Table>) -> wasmtime::Result<()> {
        self.handles.delete(this)?;
        Ok(())
    }
}

impl decode::HostCsvReader for State {
    async fn next(&mut self, this: Resource<CsvReader>) -> Answer<Option<Resource<Table>>> {
        Ok(match self.handles.get_mut(&this)?.next() {
            Ok(Some(batch)) => Ok(Some(self.keep(batch)?)),
            Ok(None) => Ok(None),
            Err(error) => Err(error.into()),
        })
    }

    async fn drop(&mut self, this: Resource<CsvReader>) -> wasmtime::Result<()> {
        self.handles.delete(this)?;
        Ok(())
    }
}

impl log::Host for State {
    async fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => "debug",
            log::Level::Info => "info",
            log::Level::Warn => "warn",
            log::Level::Error => "error",
        };
        self.log(level, &message)
    }
}
