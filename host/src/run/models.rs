//! Models alone: built, tested and listed from what is loaded and cleaned.

use std::collections::BTreeMap;

use super::Context;
use crate::error::{Error, Kind, Result};
use crate::marts::{self, Built, BuiltModel, Entry, Graph, Target};
use crate::progress::Event;
use crate::warehouse::{Table, Warehouse};

impl Context<'_> {
    /// Builds, tests and publishes models; gives back what was built and the run's id.
    pub fn build(&self, options: &marts::Options) -> Result<(Built, String)> {
        if !self.pipeline.warehouse().is_file() {
            // What is wrong with the models is said before a file is made, and what sources load comes first.
            self.models(&Warehouse::memory()?, &[], &[])?;
            if !self.pipeline.file.source.is_empty() {
                self.look()?;
            }
        }
        let warehouse = self.warehouse()?;
        let graph = self.models(&warehouse, &[], &[])?.ok_or_else(no_models)?;
        let load_id = self.begin(&warehouse, "build")?;
        let built = {
            let _stopping = warehouse.stop_when(&self.stop);
            self.build_models(&graph, &warehouse, &load_id, options)
        };
        let (status, message) = match &built {
            Ok(_) => ("ok", ""),
            Err(error) if error.kind == Kind::Interrupted => ("interrupted", error.message.as_str()),
            Err(error) => ("failed", error.message.as_str()),
        };
        // The error matters more than the note of it.
        let noted = warehouse.end_run(&load_id, status, message);
        let built = built?;
        noted.map(|()| (built, load_id))
    }

    /// Tests models as they are published.
    pub fn test(&self, options: &marts::Options) -> Result<Built> {
        let warehouse = self.look()?;
        let graph = self.models(&warehouse, &[], &[])?.ok_or_else(no_models)?;
        let _stopping = warehouse.stop_when(&self.stop);
        let stopped = || *self.stop.borrow();
        let variables = self.variables();
        let (load_id, now) = ("", "");
        let target = Target { warehouse: &warehouse, variables: &variables, load_id, now, progress: self.progress };
        tokio::task::block_in_place(|| marts::test(&graph, &target, options, &stopped))
    }

    /// All models; with what is known of them as published, where there is a warehouse.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let is_there = self.pipeline.warehouse().is_file();
        let warehouse = if is_there { self.warehouse()? } else { Warehouse::memory()? };
        marts::manifest(&self.graph(&warehouse)?, &warehouse)
    }

    /// The models, where any table of a known source counts as there: which it has is known once it is asked.
    pub fn graph(&self, warehouse: &Warehouse) -> Result<Graph> {
        let marts = self.pipeline.file.marts.as_ref().ok_or_else(no_models)?;
        let sources = self.pipeline.file.source.iter().map(|source| source.name());
        let schemas: Vec<_> = sources.flat_map(|name| [format!("raw_{name}"), format!("clean_{name}")]).collect();
        let exists = |table: &Table| schemas.contains(&table.schema) || matches!(warehouse.columns(table), Ok(Some(_)));
        marts::load(&self.pipeline.path(&marts.path), warehouse, &self.variables(), &exists)
    }

    pub(super) fn build_models(
        &self,
        graph: &Graph,
        warehouse: &Warehouse,
        load_id: &str,
        options: &marts::Options,
    ) -> Result<Built> {
        let stopped = || *self.stop.borrow();
        let (variables, now) = (self.variables(), self.clock.now().to_string());
        let target = Target { warehouse, variables: &variables, load_id, now: &now, progress: self.progress };
        self.progress.tell(Event::Step { step: "marts" });
        let built = tokio::task::block_in_place(|| marts::build(graph, &target, options, &stopped))?;
        warehouse.record_steps(load_id, built.models.iter().map(BuiltModel::step))?;
        Ok(built)
    }

    /// What models read from `_host.variables`.
    pub(super) fn variables(&self) -> BTreeMap<String, String> {
        let settings = &self.pipeline.file.pipeline;
        let mut variables = self.pipeline.file.marts.as_ref().map(|marts| marts.variables.clone()).unwrap_or_default();
        variables.insert("timezone".to_owned(), settings.timezone.clone());
        variables.insert("currency".to_owned(), settings.currency.clone());
        variables
    }
}

fn no_models() -> Error {
    Error::config("the pipeline has no models").hint("add `[marts]` with the `path` of a folder of SQL files")
}
