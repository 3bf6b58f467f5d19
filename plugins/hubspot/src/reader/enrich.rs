//! Requests what is read by the ids of records: links to other types, histories of properties and, if a type has more
//! properties than fit into a URL, the values of the records.

use std::borrow::Cow;

use plugin_sdk::prelude::*;
use plugin_sdk::source::Table;

use super::{LIST_LIMIT, QUERY_LIMIT};
use crate::config::Config;
use crate::responses::{checked, checked_batch, read_with_retry};
use crate::schema::{
    HISTORY_KEY, LINK_KEY, NEXT_CURSOR, ObjectSchema, history_table, link_cursor_table, link_table, record_link_table,
};
use crate::streams::{ObjectType, ObjectTypes};
use crate::{CONNECTION, GENERAL};

/// The records whose links HubSpot returns for one request.
pub(super) const LINK_INPUTS: usize = 1000;
/// The records whose histories HubSpot returns for one request.
const HISTORY_INPUTS: usize = 50;
/// HubSpot's category of an input that does not exist.
const NOT_FOUND: &str = "OBJECT_NOT_FOUND";
/// HubSpot's subcategory of a record without links.
const NO_LINKS: &str = "crm.associations.NO_ASSOCIATIONS_FOUND";

/// What is read in addition to the records of one type.
pub(super) struct Enrichment {
    api_version: String,
    object: ObjectType,
    schema: ObjectSchema,
    /// The streams of links, with the type at their other end.
    links: Vec<(String, ObjectType)>,
    /// The properties whose histories are read.
    history: Vec<String>,
    /// Whether the values are read by batch read instead of with the list.
    pub(super) reads_values: bool,
}

/// What a request reads.
#[derive(Clone)]
pub(super) enum EnrichmentKind {
    Values,
    History,
    /// Links; the index into `Enrichment::links`.
    Links(usize),
}

impl Enrichment {
    pub(super) fn new(
        config: &Config,
        object: &ObjectType,
        types: &ObjectTypes,
        schema: &ObjectSchema,
        selected: &[String],
    ) -> Self {
        let pair = |to: &ObjectType| (object.link_stream(to), to.clone());
        let links = types.0.iter().map(pair).filter(|(stream, _)| selected.contains(stream)).collect();
        let history = config.history.get(object.stream.as_ref()).cloned().unwrap_or_default();
        let history = if selected.contains(&object.history_stream()) { history } else { Vec::new() };
        // In a URL, a comma is escaped as three characters.
        let reads_values = schema.properties.iter().map(|name| name.len() + 3).sum::<usize>() > QUERY_LIMIT;
        let (api_version, object, schema) = (config.api_version.clone(), object.clone(), schema.clone());
        Self { api_version, object, schema, links, history, reads_values }
    }

    /// The names of what is read, for the state.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let history = self.history.iter().map(|property| format!("history of {property}"));
        self.links.iter().map(|(stream, _)| stream.clone()).chain(history).collect::<Vec<_>>().into_iter()
    }

    fn batch_path(&self) -> String {
        format!("/crm/objects/{}/{}/batch/read", self.api_version, self.object.path)
    }

    fn links_path(&self, to: &ObjectType) -> String {
        format!("/crm/associations/{}/{}/{}/batch/read", self.api_version, self.object.path, to.path)
    }

    /// The requests for these records. Of deleted records, HubSpot has only the values.
    pub(super) fn requests(&self, ids: &[String], archived: bool) -> Vec<(EnrichmentKind, Request)> {
        let mut requests = Vec::new();
        if self.reads_values {
            for inputs in ids.chunks(LIST_LIMIT).map(inputs) {
                let body = BatchRead { inputs, properties: Some(&self.schema.properties), history: None };
                let request = Request::post(self.batch_path(), &body).bucket(GENERAL);
                let request = if archived { request.query("archived", true) } else { request };
                requests.push((EnrichmentKind::Values, request));
            }
        }
        if archived {
            return requests;
        }
        if !self.history.is_empty() {
            for inputs in ids.chunks(HISTORY_INPUTS).map(inputs) {
                let body = BatchRead { inputs, properties: Some(&[]), history: Some(&self.history) };
                requests.push((EnrichmentKind::History, Request::post(self.batch_path(), &body).bucket(GENERAL)));
            }
        }
        for (index, (_, to)) in self.links.iter().enumerate() {
            let request = |ids| (EnrichmentKind::Links(index), self.links_request(to, &inputs(ids)));
            requests.extend(ids.chunks(LINK_INPUTS).map(request));
        }
        requests
    }

    fn links_request(&self, to: &ObjectType, inputs: &[BatchInput<'_>]) -> Request {
        let body = BatchRead { inputs: inputs.to_vec(), properties: None, history: None };
        Request::post(self.links_path(to), &body).bucket(GENERAL)
    }

    /// Adds what the responses hold to a page of these records. Existing links and histories of the records are replaced,
    /// even if no new ones came. Deleted records have none.
    pub(super) fn add_to_page(
        &self,
        mut page: Page,
        ids: &[String],
        requests: Vec<(EnrichmentKind, Request)>,
        responses: Vec<Response>,
    ) -> Result<Page> {
        let prefixes = Prefixes::texts(ids);
        let link_schema = link_table().schema(&LINK_KEY);
        for (stream, _) in &self.links {
            page = page.replace(stream, &link_schema, &prefixes);
        }
        let history_schema = history_table("").schema(&HISTORY_KEY);
        if !self.history.is_empty() {
            page = page.replace(&self.object.history_stream(), &history_schema, &prefixes);
        }
        for ((kind, request), response) in requests.into_iter().zip(responses) {
            page = match kind {
                EnrichmentKind::Values => {
                    let decode = |response: &Response| self.schema.table.decode(response);
                    let table = self.read_batch(response, &request, NOT_FOUND, decode)?;
                    page.rows(&self.object.stream, &self.schema.schema, table)
                }
                EnrichmentKind::History => {
                    let decode = |response: &Response| {
                        self.history
                            .iter()
                            .map(|property| history_table(property).decode(response))
                            .collect::<Result<Vec<_>>>()
                    };
                    let tables = self.read_batch(response, &request, NOT_FOUND, decode)?;
                    let stream = self.object.history_stream();
                    tables.into_iter().fold(page, |page, table| page.rows(&stream, &history_schema, table))
                }
                EnrichmentKind::Links(index) => self.add_links(page, index, response, &request)?,
            };
        }
        Ok(page)
    }

    /// Checks and decodes the response to a batch read. Inputs may fail with the category `expected`.
    fn read_batch<T>(
        &self,
        response: Response,
        request: &Request,
        expected: &str,
        decode: impl Fn(&Response) -> Result<T>,
    ) -> Result<T> {
        let read =
            |response| checked_batch(response, self.object.scope, expected).and_then(|response| decode(&response));
        read_with_retry(response, request, read, |_| true)
    }

    /// Adds the links of one response, and reads further pages for the records that have more links.
    fn add_links(&self, mut page: Page, index: usize, response: Response, request: &Request) -> Result<Page> {
        let (stream, to) = &self.links[index];
        let (table, cursors) = (link_table(), link_cursor_table());
        let schema = table.schema(&LINK_KEY);
        let decode = |response: &Response| Ok((table.decode(response)?, inputs_with_more(&cursors.decode(response)?)?));
        let (links, mut more) = self.read_batch(response, request, NO_LINKS, decode)?;
        page = page.rows(stream, &schema, links);
        while !more.is_empty() {
            let mut further = Vec::new();
            for inputs in more.chunks(LINK_INPUTS) {
                let request = self.links_request(to, inputs);
                let (links, next) = self.read_batch(request.clone().send(CONNECTION)?, &request, NO_LINKS, decode)?;
                page = page.rows(stream, &schema, links);
                further.extend(next);
            }
            // A response that ignores the cursor would repeat forever: such records are read one by one.
            let (repeated, advanced): (Vec<_>, Vec<_>) = further.into_iter().partition(|next| more.contains(next));
            for input in repeated {
                page = self.add_record_links(page, stream, to, &input.id)?;
            }
            more = advanced;
        }
        Ok(page)
    }

    /// Adds all links of one record, page by page.
    fn add_record_links(&self, mut page: Page, stream: &str, to: &ObjectType, id: &str) -> Result<Page> {
        let table = record_link_table(id);
        let schema = table.schema(&LINK_KEY);
        let path = format!("/crm/v4/objects/{}/{id}/associations/{}", self.object.path, to.path);
        let mut after: Option<String> = None;
        loop {
            let request = Request::get(&path).query("limit", 500).bucket(GENERAL);
            let request = after.iter().fold(request, |request, after| request.query("after", after));
            let response = checked(request.send(CONNECTION)?, self.object.scope)?;
            page = page.rows(stream, &schema, table.decode(&response)?);
            match response.get("/paging/next/after") {
                None => return Ok(page),
                next if next == after => {
                    return Err(Error::data(format!("{path}: HubSpot returned the same page twice")));
                }
                next => after = next,
            }
        }
    }
}

/// The body of a batch read.
#[derive(Serialize)]
struct BatchRead<'a> {
    inputs: Vec<BatchInput<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<&'a [String]>,
    #[serde(rename = "propertiesWithHistory", skip_serializing_if = "Option::is_none")]
    history: Option<&'a [String]>,
}

/// A record to read, and the cursor from which its links continue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct BatchInput<'a> {
    id: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

fn inputs(ids: &[String]) -> Vec<BatchInput<'_>> {
    ids.iter().map(|id| BatchInput { id: id.into(), after: None }).collect()
}

/// The records that have more links than the response holds, which are rare.
fn inputs_with_more(cursors: &Table) -> Result<Vec<BatchInput<'static>>> {
    if !cursors.has(NEXT_CURSOR)? {
        return Ok(Vec::new());
    }
    let pairs = cursors.texts("from_id")?.into_iter().zip(cursors.texts(NEXT_CURSOR)?);
    let next = pairs.filter(|(_, after)| !after.is_empty());
    Ok(next.map(|(id, after)| BatchInput { id: id.into(), after: Some(after) }).collect())
}
