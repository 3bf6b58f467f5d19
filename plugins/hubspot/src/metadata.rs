//! Owners, pipelines and property definitions: small streams that every run replaces.

use plugin_sdk::prelude::*;

use crate::config::Config;
use crate::responses::{checked, read_with_retry};
use crate::streams::ObjectTypes;
use crate::{CONNECTION, GENERAL};

/// The standard object types that have pipelines.
const WITH_PIPELINES: [&str; 2] = ["deals", "tickets"];

fn owners() -> JsonTable {
    JsonTable::rows_at("/results")
        .column(Field::text("id"), "/id")
        .column(Field::text("user_id"), "/userId")
        .column(Field::text("email"), "/email")
        .column(Field::text("first_name"), "/firstName")
        .column(Field::text("last_name"), "/lastName")
        .column(Field::text("type"), "/type")
        .column(Field::new("archived", Type::Bool), "/archived")
}

fn stages(object: &str) -> JsonTable {
    JsonTable::rows_at("/results")
        .constant("object", object)
        .column(Field::text("pipeline_id"), "/id")
        .column(Field::text("pipeline_label"), "/label")
        .each("/stages")
        .column(Field::text("stage_id"), "/id")
        .column(Field::text("stage_label"), "/label")
        .column(Field::new("display_order", Type::Int64), "/displayOrder")
        .column(Field::new("probability", Type::Decimal).accept("text,empty-null"), "/metadata/probability")
        .column(Field::new("is_closed", Type::Bool).accept("text,empty-null"), "/metadata/isClosed")
        .column(Field::text("ticket_state"), "/metadata/ticketState")
        .column(Field::new("archived", Type::Bool), "/archived")
}

fn properties(object: &str) -> JsonTable {
    JsonTable::rows_at("/results")
        .constant("object", object)
        .column(Field::text("name"), "/name")
        .column(Field::text("label"), "/label")
        .column(Field::text("description"), "/description")
        .column(Field::text("group_name"), "/groupName")
        .column(Field::text("type"), "/type")
        .column(Field::text("field_type"), "/fieldType")
        .column(Field::new("calculated", Type::Bool), "/calculated")
        .column(Field::new("hidden", Type::Bool), "/hidden")
        .column(Field::new("hubspot_defined", Type::Bool), "/hubspotDefined")
        .column(Field::new("has_unique_value", Type::Bool), "/hasUniqueValue")
        .column(Field::text("data_sensitivity"), "/dataSensitivity")
        .column(Field::new("options", Type::Json), "/options")
}

fn schema(stream: &str) -> Schema {
    match stream {
        "owners" => owners().schema(&["id"]),
        "pipelines" => stages("").schema(&["object", "pipeline_id", "stage_id"]),
        _ => properties("").schema(&["object", "name"]),
    }
}

/// The streams that this module reads.
pub(crate) fn discover() -> Vec<StreamInfo> {
    let stream = |name: &str, scope: &str| StreamInfo::new(name, &schema(name)).replaced().scope(scope);
    vec![
        stream("owners", "crm.objects.owners.read"),
        stream("pipelines", "crm.objects.deals.read"),
        stream("properties", "the scope of each object").on_request(),
    ]
}

/// A list to read.
struct MetadataList {
    path: String,
    archived: bool,
    table: JsonTable,
    scope: &'static str,
}

/// Reads one stream, list by list.
pub(crate) struct MetadataReader {
    stream: String,
    /// The lists that are left; the last one is read next.
    lists: Vec<MetadataList>,
    /// The cursor of the list that is being read.
    after: Option<String>,
}

impl MetadataReader {
    /// A reader of `owners`, `pipelines` or `properties`; the latter two of the selected object types.
    pub(crate) fn open(config: &Config, types: &ObjectTypes, selection: &Selection) -> Result<Self> {
        let version = &config.api_version;
        let selected = || types.0.iter().filter(|object| selection.streams.iter().any(|s| *s == object.stream));
        let list = |path: String, table: JsonTable, scope| MetadataList { path, archived: false, table, scope };
        let mut lists: Vec<MetadataList> = match selection.stream.as_str() {
            "owners" => {
                let list = |archived| MetadataList {
                    path: format!("/crm/owners/{version}"),
                    archived,
                    table: owners(),
                    scope: "crm.objects.owners.read",
                };
                // Archived owners too: people who left still own records.
                vec![list(true), list(false)]
            }
            "pipelines" => {
                let has_pipelines = |path: &str| WITH_PIPELINES.contains(&path) || path.starts_with("2-");
                let objects = selected().filter(|object| has_pipelines(&object.path));
                let path = |path: &str| format!("/crm/pipelines/{version}/{path}");
                objects.map(|object| list(path(&object.path), stages(&object.stream), object.scope)).collect()
            }
            "properties" => {
                let path = |path: &str| format!("/crm/properties/{version}/{path}");
                selected().map(|object| list(path(&object.path), properties(&object.stream), object.scope)).collect()
            }
            other => return Err(Error::config(format!("HubSpot has no stream `{other}`"))),
        };
        if lists.is_empty() {
            // Without a selected object type, deals.
            let path = format!("/crm/{}/{version}/deals", selection.stream);
            let table = if selection.stream == "pipelines" { stages("deals") } else { properties("deals") };
            lists.push(list(path, table, "crm.objects.deals.read"));
        }
        Ok(Self { stream: selection.stream.clone(), lists, after: None })
    }
}

impl Reader for MetadataReader {
    fn next(&mut self) -> Result<Page> {
        let Some(list) = self.lists.last() else { return Ok(Page::new().done(true)) };
        let mut request = Request::get(&list.path).bucket(GENERAL);
        if self.stream == "owners" {
            request = request.query("limit", 100).query("archived", list.archived);
        }
        if let Some(after) = &self.after {
            request = request.query("after", after);
        }
        let read = |response| {
            let response = checked(response, list.scope)?;
            Ok((list.table.decode(&response)?, response.get("/paging/next/after")))
        };
        let (table, next) = read_with_retry(request.clone().send(CONNECTION)?, &request, read, |_| true)?;
        if next.is_some() && next == self.after {
            return Err(Error::data(format!("{}: HubSpot returned the same page twice", list.path)));
        }
        let page = Page::new().rows(&self.stream, &schema(&self.stream), table);
        self.after = next;
        if self.after.is_none() {
            self.lists.pop();
        }
        Ok(page.done(self.lists.is_empty()))
    }
}
