//! Owners and pipelines: small streams that every run reads whole.

use plugin_sdk::prelude::*;

use crate::answers::checked;
use crate::config::Config;
use crate::{CONNECTION, GENERAL};

/// The object types that have pipelines here.
const PIPELINE_OF: &str = "deals";

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

fn stages() -> JsonTable {
    JsonTable::rows_at("/results")
        .column(Field::text("pipeline_id"), "/id")
        .column(Field::text("pipeline_label"), "/label")
        .each("/stages")
        .column(Field::text("stage_id"), "/id")
        .column(Field::text("stage_label"), "/label")
        .column(Field::new("display_order", Type::Int64), "/displayOrder")
        .column(Field::new("probability", Type::Decimal).accept("text,empty-null"), "/metadata/probability")
        .column(Field::new("is_closed", Type::Bool).accept("text,empty-null"), "/metadata/isClosed")
        .column(Field::new("archived", Type::Bool), "/archived")
}

/// The small streams.
pub(crate) fn discover() -> Vec<StreamInfo> {
    vec![
        StreamInfo::new("owners", &owners().schema(&["id"])).replaced().scope("crm.objects.owners.read"),
        StreamInfo::new("pipelines", &stages().schema(&["pipeline_id", "stage_id"]))
            .replaced()
            .scope("crm.objects.deals.read"),
    ]
}

/// Reads one small stream.
pub(crate) struct SmallReader {
    stream: String,
    path: String,
    after: Option<String>,
}

impl SmallReader {
    /// A reader of `owners` or `pipelines`.
    pub(crate) fn open(config: &Config, stream: &str) -> Result<Self> {
        let path = match stream {
            "owners" => format!("/crm/owners/{}", config.api_version),
            "pipelines" => format!("/crm/pipelines/{}/{PIPELINE_OF}", config.api_version),
            other => return Err(Error::config(format!("HubSpot has no stream `{other}`"))),
        };
        Ok(Self { stream: stream.to_owned(), path, after: None })
    }
}

impl Reader for SmallReader {
    fn next(&mut self) -> Result<Page> {
        let owners_page = self.stream == "owners";
        let (table, key): (_, &[&str]) =
            if owners_page { (owners(), &["id"]) } else { (stages(), &["pipeline_id", "stage_id"]) };
        let mut request = Request::get(&self.path).bucket(GENERAL);
        if owners_page {
            request = request.query("limit", 100);
        }
        if let Some(after) = &self.after {
            request = request.query("after", after);
        }
        let answer = checked(request.send(CONNECTION)?, &format!("crm.objects.{}.read", self.stream))?;
        let next = answer.get("/paging/next/after");
        if next.is_some() && next == self.after {
            return Err(Error::data(format!("{}: HubSpot repeats a page", self.path)));
        }
        self.after = next;
        let schema = table.schema(key);
        Ok(Page::new().rows(&self.stream, &schema, table.decode(&answer)?).done(self.after.is_none()))
    }
}
