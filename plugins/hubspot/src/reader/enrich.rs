//! What belongs to records beside themselves: links to other types, histories of properties, and, where a type has more
//! property names than a URL holds, the values. Each is asked for by the records' ids, many at once.

use std::borrow::Cow;

use plugin_sdk::prelude::*;
use plugin_sdk::source::Table;

use super::{LIST_LIMIT, QUERY_LIMIT};
use crate::answers::{checked, checked_batch, sure};
use crate::config::Config;
use crate::schema::{
    ASSOCIATION_KEY, HISTORY_KEY, NEXT, ObjectSchema, association_pages, association_table, history_table,
    record_association_table,
};
use crate::streams::{Object, Objects};
use crate::{CONNECTION, GENERAL};

/// HubSpot reads the links of up to so many records at once.
pub(super) const LINK_INPUTS: usize = 1000;
/// And the histories of so many.
const HISTORY_INPUTS: usize = 50;

/// What is read beside the records of one type.
pub(super) struct Enrichment {
    api_version: String,
    object: Object,
    schema: ObjectSchema,
    /// Streams of links, with the type that they lead to.
    links: Vec<(String, Object)>,
    /// Properties whose histories are read.
    history: Vec<String>,
    /// Whether the values come by batch read, not with the list.
    pub(super) reads_values: bool,
}

/// What a request is for.
#[derive(Clone)]
pub(super) enum Job {
    Values,
    History,
    /// An index of the links.
    Links(usize),
}

impl Enrichment {
    pub(super) fn new(
        config: &Config,
        object: &Object,
        objects: &Objects,
        schema: &ObjectSchema,
        selected: &[String],
    ) -> Self {
        let pair = |to: &Object| (object.association_stream(to), to.clone());
        let links = objects.0.iter().map(pair).filter(|(stream, _)| selected.contains(stream)).collect();
        let history = config.history.get(object.stream.as_ref()).cloned().unwrap_or_default();
        let history = if selected.contains(&object.history_stream()) { history } else { Vec::new() };
        // A URL writes a comma as three letters.
        let reads_values = schema.properties.iter().map(|name| name.len() + 3).sum::<usize>() > QUERY_LIMIT;
        let (api_version, object, schema) = (config.api_version.clone(), object.clone(), schema.clone());
        Self { api_version, object, schema, links, history, reads_values }
    }

    /// What it reads, by name.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let history = self.history.iter().map(|property| format!("history of {property}"));
        self.links.iter().map(|(stream, _)| stream.clone()).chain(history).collect::<Vec<_>>().into_iter()
    }

    fn batch_path(&self) -> String {
        format!("/crm/objects/{}/{}/batch/read", self.api_version, self.object.path)
    }

    fn links_path(&self, to: &Object) -> String {
        format!("/crm/associations/{}/{}/{}/batch/read", self.api_version, self.object.path, to.path)
    }

    /// The requests for these records; of deleted ones HubSpot has the values alone.
    pub(super) fn requests(&self, ids: &[String], archived: bool) -> Vec<(Job, Request)> {
        let mut requests = Vec::new();
        if self.reads_values {
            for inputs in ids.chunks(LIST_LIMIT).map(inputs) {
                let body = Batch { inputs, properties: Some(&self.schema.properties), history: None };
                let request = Request::post(self.batch_path(), &body).bucket(GENERAL);
                let request = if archived { request.query("archived", true) } else { request };
                requests.push((Job::Values, request));
            }
        }
        if archived {
            return requests;
        }
        if !self.history.is_empty() {
            for inputs in ids.chunks(HISTORY_INPUTS).map(inputs) {
                let body = Batch { inputs, properties: Some(&[]), history: Some(&self.history) };
                requests.push((Job::History, Request::post(self.batch_path(), &body).bucket(GENERAL)));
            }
        }
        for (index, (_, to)) in self.links.iter().enumerate() {
            let request = |ids| (Job::Links(index), self.links_request(to, &inputs(ids)));
            requests.extend(ids.chunks(LINK_INPUTS).map(request));
        }
        requests
    }

    fn links_request(&self, to: &Object, inputs: &[Input<'_>]) -> Request {
        let body = Batch { inputs: inputs.to_vec(), properties: None, history: None };
        Request::post(self.links_path(to), &body).bucket(GENERAL)
    }

    /// Adds what the answers hold to a page of these records; old links and versions of a record go, even where no new
    /// one comes. Deleted records have none.
    pub(super) fn add(
        &self,
        mut page: Page,
        ids: &[String],
        requests: Vec<(Job, Request)>,
        answers: Vec<Response>,
    ) -> Result<Page> {
        let prefixes = Prefixes::texts(ids);
        let links_schema = association_table().schema(&ASSOCIATION_KEY);
        for (stream, _) in &self.links {
            page = page.replace(stream, &links_schema, &prefixes);
        }
        let history_schema = history_table("").schema(&HISTORY_KEY);
        if !self.history.is_empty() {
            page = page.replace(&self.object.history_stream(), &history_schema, &prefixes);
        }
        for ((job, request), answer) in requests.into_iter().zip(answers) {
            page = match job {
                Job::Values => {
                    let decode = |answer: &Response| self.schema.table.decode(answer);
                    let table = self.sure(answer, &request, "OBJECT_NOT_FOUND", decode)?;
                    page.rows(&self.object.stream, &self.schema.schema, table)
                }
                Job::History => {
                    let decode = |answer: &Response| {
                        self.history
                            .iter()
                            .map(|property| history_table(property).decode(answer))
                            .collect::<Result<Vec<_>>>()
                    };
                    let tables = self.sure(answer, &request, "OBJECT_NOT_FOUND", decode)?;
                    let stream = self.object.history_stream();
                    tables.into_iter().fold(page, |page, table| page.rows(&stream, &history_schema, table))
                }
                Job::Links(index) => self.add_links(page, index, answer, &request)?,
            };
        }
        Ok(page)
    }

    /// Decodes a batch's answer.
    fn sure<T>(
        &self,
        answer: Response,
        request: &Request,
        expected: &str,
        decode: impl Fn(&Response) -> Result<T>,
    ) -> Result<T> {
        let read = |answer| checked_batch(answer, self.object.scope, expected).and_then(|answer| decode(&answer));
        sure(answer, request, read, |_| true)
    }

    /// Adds one answer's links, and follows those records whose links go on.
    fn add_links(&self, mut page: Page, index: usize, answer: Response, request: &Request) -> Result<Page> {
        let (stream, to) = &self.links[index];
        let (table, pages) = (association_table(), association_pages());
        let schema = table.schema(&ASSOCIATION_KEY);
        let none = "crm.associations.NO_ASSOCIATIONS_FOUND";
        let decode = |answer: &Response| Ok((table.decode(answer)?, next_pages(&pages.decode(answer)?)?));
        let (links, mut more) = self.sure(answer, request, none, decode)?;
        page = page.rows(stream, &schema, links);
        while !more.is_empty() {
            let mut further = Vec::new();
            for inputs in more.chunks(LINK_INPUTS) {
                let request = self.links_request(to, inputs);
                let (links, next) = self.sure(request.clone().send(CONNECTION)?, &request, none, decode)?;
                page = page.rows(stream, &schema, links);
                further.extend(next);
            }
            // An API that ignores `after` gives the same page for ever: such records are read one by one.
            let (repeated, going_on): (Vec<_>, Vec<_>) = further.into_iter().partition(|next| more.contains(next));
            for input in repeated {
                page = self.record_links(page, stream, to, &input.id)?;
            }
            more = going_on;
        }
        Ok(page)
    }

    /// All links of one record, page by page.
    fn record_links(&self, mut page: Page, stream: &str, to: &Object, id: &str) -> Result<Page> {
        let table = record_association_table(id);
        let schema = table.schema(&ASSOCIATION_KEY);
        let path = format!("/crm/v4/objects/{}/{id}/associations/{}", self.object.path, to.path);
        let mut after: Option<String> = None;
        loop {
            let request = Request::get(&path).query("limit", 500).bucket(GENERAL);
            let request = after.iter().fold(request, |request, after| request.query("after", after));
            let answer = checked(request.send(CONNECTION)?, self.object.scope)?;
            page = page.rows(stream, &schema, table.decode(&answer)?);
            match answer.get("/paging/next/after") {
                None => return Ok(page),
                next if next == after => return Err(Error::data(format!("{path}: HubSpot repeats a page"))),
                next => after = next,
            }
        }
    }
}

/// The body of a batch read.
#[derive(Serialize)]
struct Batch<'a> {
    inputs: Vec<Input<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<&'a [String]>,
    #[serde(rename = "propertiesWithHistory", skip_serializing_if = "Option::is_none")]
    history: Option<&'a [String]>,
}

/// A record to read, and the cursor of its links that they go on from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Input<'a> {
    id: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

fn inputs(ids: &[String]) -> Vec<Input<'_>> {
    ids.iter().map(|id| Input { id: id.into(), after: None }).collect()
}

/// Inputs for the records whose links go on. Almost none do.
fn next_pages(pages: &Table) -> Result<Vec<Input<'static>>> {
    if !pages.has(NEXT)? {
        return Ok(Vec::new());
    }
    let pairs = pages.texts("from_id")?.into_iter().zip(pages.texts(NEXT)?);
    let next = pairs.filter(|(_, after)| !after.is_empty());
    Ok(next.map(|(id, after)| Input { id: id.into(), after: Some(after) }).collect())
}
