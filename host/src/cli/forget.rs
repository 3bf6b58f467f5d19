//! `host forget`: erases a person, and keeps them out.

use std::path::PathBuf;

use clap::Args;

use super::{Format, Shared, json};
use crate::error::Result;
use crate::run::Context;

/// Erases a record, those that are the same person, and what refers to them, from raw, clean, the journal and the marts;
/// later loads leave them out. Records that they are or were linked with stay, and their free text, such as a deal's name,
/// is emptied, now and in later loads, where the source says which columns hold such text. The warehouse's file is written
/// anew, so that no byte of them is left in it: what stays is a hash of each key. The source itself is not asked: erase
/// there as well.
#[derive(Args)]
pub(super) struct Forget {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
    /// The record: `stream/key`, such as `contacts/123`.
    record: String,
    /// Let the record in again, which was named by mistake; a full refresh brings it back.
    #[arg(long)]
    undo: bool,
}

impl Forget {
    pub(super) async fn run(&self, context: &Context<'_>, shared: &Shared) -> Result<String> {
        if self.undo {
            return self.undone(context, shared);
        }
        let (forgotten, report) = context.forget(&self.record).await?;
        if shared.format == Format::Json {
            return json(&forgotten);
        }
        let mut lines: Vec<_> =
            forgotten.rows.iter().map(|(table, rows)| format!("erased   {rows} rows of {table}")).collect();
        let emptied = forgotten.emptied.iter();
        lines.extend(emptied.map(|(table, rows)| format!("emptied  the free text in {rows} linked rows of {table}")));
        if lines.is_empty() {
            lines.push(format!("nothing of {} was here; `--undo` lets it in again if that is a slip", self.record));
        }
        let records =
            if forgotten.records == 1 { "record is".to_owned() } else { format!("{} records are", forgotten.records) };
        let warnings = report.built.iter().flat_map(|built| &built.warnings);
        lines.extend(warnings.map(|warning| format!("warning  {warning}")));
        lines.push(format!("the {records} kept out of later loads; backups of the warehouse are yours to erase"));
        Ok(lines.join("\n") + "\n")
    }

    fn undone(&self, context: &Context<'_>, shared: &Shared) -> Result<String> {
        let is_undone = context.let_in_again(&self.record)?;
        if shared.format == Format::Json {
            return json(&serde_json::json!({ "let_in_again": is_undone }));
        }
        Ok(if is_undone {
            format!("{} is let in again: `host run PIPELINE --full-refresh` brings it back\n", self.record)
        } else {
            format!("{} was not forgotten\n", self.record)
        })
    }
}
