//! `host forget`: erases a person, and keeps them out of later loads.

use std::path::PathBuf;

use clap::Args;
use host_core::error::Result;

use super::{Format, GlobalArguments, json};
use crate::render::render_erased;
use crate::run::{self, Session};

/// Erases a person.
#[derive(Args)]
pub(super) struct Forget {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
    /// The record: `stream/key`, such as `contacts/123`.
    record: String,
    /// Undo a `forget` that named the wrong record. A full refresh then loads it.
    #[arg(long)]
    undo: bool,
}

impl Forget {
    pub(super) async fn run(&self, session: &Session<'_>, global: &GlobalArguments) -> Result<String> {
        if self.undo {
            return self.undo(session, global);
        }
        let (erased, report) = run::forget(session, &self.record).await?;
        match global.format {
            Format::Json => json(&erased),
            Format::Text => Ok(render_erased(&self.record, &erased, report.built.as_ref())),
        }
    }

    fn undo(&self, session: &Session<'_>, global: &GlobalArguments) -> Result<String> {
        let is_undone = run::undo_forget(session, &self.record)?;
        if global.format == Format::Json {
            return json(&serde_json::json!({ "let_in_again": is_undone }));
        }
        Ok(if is_undone {
            format!("later loads include {} again; `host run PIPELINE --full-refresh` loads it now\n", self.record)
        } else {
            format!("{} was not forgotten\n", self.record)
        })
    }
}
