//! Builds models into staged tables and views, `name__next`. After a failure the models that do not read the failed
//! model are still built.

mod builder;
mod incremental;
mod publish;
mod snapshot;

use std::collections::BTreeSet;
use std::time::Instant;

use host_core::error::{Error, FaultClass, Kind, Result};
use host_core::progress::{Event, Progress};
use host_ledger::models::{self, ModelForm, StagedModel};

use crate::files::{Model, ModelKind};
use crate::seed;

pub(super) use builder::ModelBuilder;
pub(super) use publish::{PublicationDetails, publish};
pub(super) use snapshot::VALIDITY_COLUMNS;

/// The models that were not built.
#[derive(Debug, Default)]
pub(super) struct BuildFailures {
    /// The errors of models that failed.
    pub(super) errors: Vec<Error>,
    /// The names of models that were skipped because they read a failed model.
    pub(super) skipped: Vec<String>,
}

impl ModelBuilder<'_> {
    /// Builds models in dependency order, except those that are already staged. `total` is the number of steps in
    /// progress events.
    pub(super) fn build(
        &mut self,
        models: &[&Model],
        progress: &Progress,
        total: usize,
        stopped: &dyn Fn() -> bool,
    ) -> Result<BuildFailures> {
        let mut failures = BuildFailures::default();
        let mut failed_names = BTreeSet::new();
        for (done, model) in models.iter().enumerate() {
            if stopped() {
                return Err(Error::stopped());
            }
            let name = model.name();
            if self.staged.contains_key(&name) {
                continue;
            }
            if self.graph.reads(&name).iter().any(|read| failed_names.contains(read)) {
                failed_names.insert(name.clone());
                failures.skipped.push(name);
                continue;
            }
            let _span = tracing::info_span!("model", model = name).entered();
            let started = Instant::now();
            match self.stage(model) {
                Ok((form, rows)) => {
                    let staged = StagedModel { form, rows, seconds: started.elapsed().as_secs_f64() };
                    let fingerprint = self.hashes.get(&name).map_or("", |hashes| &hashes.fingerprint);
                    models::record_staged(self.warehouse, &model.table, fingerprint, &staged)?;
                    let rows = staged.rows.map(|rows| format!("{rows} rows, ")).unwrap_or_default();
                    tracing::info!("{name}: built, {rows}{:.2} s", staged.seconds);
                    self.staged.insert(name.clone(), staged);
                }
                Err(error) if error.kind == Kind::Interrupted => return Err(error),
                Err(error) => {
                    self.drop_staged(&model.table)?;
                    failures.errors.push(error);
                    failed_names.insert(name.clone());
                }
            }
            let failed = failed_names.contains(&name);
            progress.send(Event::Model { model: name, failed, done: done + 1, of: total });
        }
        Ok(failures)
    }

    /// Builds one model. Returns its staged form and its number of rows, which is `None` for a view.
    fn stage(&self, model: &Model) -> Result<(ModelForm, Option<u64>)> {
        let next = model.table.suffixed("__next");
        let at_model = |error: Error| on_model(model, error);
        self.warehouse.create_schema_of(&next)?;
        self.drop_staged(&model.table)?;
        let form = match model.kind {
            ModelKind::View => {
                self.warehouse.execute(&format!("CREATE VIEW {next} AS {}", self.query(model)?)).map_err(at_model)?;
                return Ok((ModelForm::View, None));
            }
            ModelKind::Seed => {
                seed::load(model, &next, self.warehouse).map_err(at_model)?;
                ModelForm::Whole
            }
            ModelKind::Incremental => self.incremental(model).map_err(at_model)?,
            ModelKind::Snapshot => self.snapshot(model).map_err(at_model)?,
            ModelKind::Table | ModelKind::Check => {
                self.warehouse.execute(&format!("CREATE TABLE {next} AS {}", self.query(model)?)).map_err(at_model)?;
                ModelForm::Whole
            }
        };
        let rows = match &form {
            ModelForm::Delta { replaced } => {
                let delta = model.table.suffixed("__delta");
                let kept = format!("SELECT count(*) FROM {} AS published WHERE NOT ({replaced})", model.table);
                self.warehouse
                    .count(&format!("SELECT ({kept}) + (SELECT count(*) FROM {delta})"), ())
                    .map_err(at_model)?
            }
            _ => self.warehouse.count(&format!("SELECT count(*) FROM {next}"), ())?,
        };
        Ok((form, Some(rows)))
    }
}

/// Turns an error of the database on a model's query into an error of the model. A query that does not bind is a
/// configuration error; a value that cannot be computed is a data error. Other failures, such as a full disk, keep
/// their kind.
pub(super) fn on_model(model: &Model, error: Error) -> Error {
    if error.kind == Kind::Interrupted || error.problems().iter().all(|problem| problem.place.is_some()) {
        return error;
    }
    if error.kind != Kind::Internal {
        return model.error(None, error);
    }
    let kind = if error.is_fault(FaultClass::Value) { Kind::Data } else { Kind::Config };
    // Statements start with the first line of the model, so that their lines are lines of the file.
    let line = error.fault().and_then(|fault| fault.line);
    let hint = column_candidates(&error);
    model.error(line, without_suffix(error).with_kind(kind).maybe_hint(hint))
}

/// Removes the suffix of staged tables from the messages of an error, because users never write it.
pub(super) fn without_suffix(error: Error) -> Error {
    error.map_messages(|message| message.replace("__next", ""))
}

/// Returns the columns nearest to an unknown one, as a hint.
pub(super) fn column_candidates(error: &Error) -> Option<String> {
    let fault = error.fault().filter(|fault| fault.class == FaultClass::Binder)?;
    // The candidates for a function are signatures, which do not help here.
    let names: Vec<_> = fault.candidates.iter().filter(|name| !name.contains('(')).take(3).collect();
    let names = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
    (!names.is_empty()).then(|| format!("did you mean {}?", names.join(" or ")))
}
