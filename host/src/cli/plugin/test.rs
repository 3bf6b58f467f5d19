//! `host plugin test`: the conformance battery on a component, a line a check.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::super::{Format, Shared, engine, json, on_pipeline, runtime};
use super::{config, named_path, say, stem};
use crate::error::{Error, Result};
use crate::pipeline::Pipeline;
use crate::plugin::conformance::{self, Battery, Check, Outcome, RuleCase, Sample, SourceCase, parse_columns};
use crate::plugin::{Contract, Grants, Need, RulePlugin, Search, SourcePlugin};
use crate::prepare::{Prepared, prepare};
use crate::schema::Field;

/// Tries a component.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  host plugin test my-rule --config '{\"column\": \"email\"}' --schema email:text\n  \
host plugin test hubspot --pipeline pipelines/hubspot.toml --rows 10000"
)]
pub(in crate::cli) struct Test {
    /// A name in a plugins folder, or a path.
    plugin: String,
    /// The plugin's config: JSON text, or a file of it.
    #[arg(long, value_name = "JSON|FILE")]
    config: Option<String>,
    /// A file that it is granted.
    #[arg(long = "file", value_name = "NAME=PATH", value_parser = named_path)]
    files: Vec<(String, PathBuf)>,
    /// Take config and grants from this plugin's entry in a pipeline, by its plugin or its name.
    #[arg(long, conflicts_with_all = ["config", "files"])]
    pipeline: Option<PathBuf>,
    /// Columns of a rule's stream, or of a further input; without it, text columns named as the texts of the config.
    /// Types: text, bool, integer, float, decimal, date, timestamp.
    #[arg(long = "schema", value_name = "[INPUT=]NAME:TYPE,…")]
    schemas: Vec<String>,
    /// Rows of a rule's stream, as CSV; made up without it.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// How many rows a rule is shown in the end, or after how many a stream of a source is left.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
}

impl Test {
    pub(super) fn run(&self, shared: &Shared) -> Result<String> {
        let tells = shared.format == Format::Text && !shared.quiet;
        let mut tell = |check: &Check| {
            if tells {
                // What it says at the end tells whether it could be said.
                let _ = say(&line(check));
            }
        };
        let mut battery = Battery::new(&mut tell);
        match &self.pipeline {
            None => self.on_grants(shared, &mut battery)?,
            Some(pipeline) => on_pipeline(pipeline, shared, async |context| {
                let is_source = context.pipeline.file.source.iter().any(|spec| self.is_it(&spec.plugin, spec.name()));
                let prepared = prepare(context.pipeline, context.engine, context.search, is_source).await?;
                self.on_entry(context.pipeline, &prepared, &mut battery).await
            })?,
        }
        self.judged(&battery.finish(), shared)
    }

    /// With config and files of the command line.
    fn on_grants(&self, shared: &Shared, battery: &mut Battery<'_>) -> Result<()> {
        let here = Path::new(".");
        let engine = engine()?;
        let path = Search::new(shared.plugins.clone(), here).find(&self.plugin, here)?;
        let component = engine.load(&path, None)?;
        let config = config(self.config.as_deref())?;
        for (name, path) in &self.files {
            let opened = std::fs::File::open(path);
            opened.map_err(|cause| Error::config(format!("file `{name}`: {}: {cause}", path.display())))?;
        }
        let files: BTreeMap<String, PathBuf> = self.files.iter().cloned().collect();
        let is_granted = |need: &Need| need.kind == "file" && files.contains_key(&need.name);
        let grants = Grants { files: files.clone(), ..Grants::default() };
        runtime()?.block_on(async {
            match component.contract {
                Contract::Rule => {
                    let plugin = RulePlugin::new(&engine, &component, grants, &config);
                    self.rule(&plugin, &config, battery).await
                }
                Contract::Source => {
                    let plugin = SourcePlugin::new(&engine, &component, grants, &config);
                    let (config, is_granted, rows) = (&config, &is_granted, self.rows);
                    let case = SourceCase { plugin: &plugin, config, streams: None, is_granted, rows };
                    conformance::source(&case, battery).await;
                    Ok(())
                }
            }
        })
    }

    /// With what its entry in a pipeline gives it.
    async fn on_entry(&self, pipeline: &Pipeline, prepared: &Prepared, battery: &mut Battery<'_>) -> Result<()> {
        let mut sources = pipeline.file.source.iter().zip(&prepared.sources);
        if let Some((spec, source)) = sources.find(|(spec, _)| self.is_it(&spec.plugin, spec.name())) {
            let config = Value::Object(spec.config.clone());
            // What a pipeline does not grant was an error before.
            let is_granted = |_: &Need| true;
            let (plugin, streams, rows) = (&source.plugin, source.wanted.as_deref(), self.rows);
            let case = SourceCase { plugin, config: &config, streams, is_granted: &is_granted, rows };
            conformance::source(&case, battery).await;
            return Ok(());
        }
        let mut rules = pipeline.file.rule.iter().zip(&prepared.rules);
        let found = rules.find(|(spec, _)| self.is_it(&spec.plugin, spec.name()));
        let missing = || {
            Error::config(format!("the pipeline has no source or rule `{}`", self.plugin))
                .hint("name one by its `plugin` or its `name`; `host plan` lists them")
        };
        let (spec, rule) = found.ok_or_else(missing)?;
        self.rule(&rule.plugin, &Value::Object(spec.config.clone()), battery).await
    }

    fn is_it(&self, plugin: &str, name: &str) -> bool {
        name == self.plugin || stem(plugin) == stem(&self.plugin)
    }

    async fn rule(&self, plugin: &RulePlugin, config: &Value, battery: &mut Battery<'_>) -> Result<()> {
        let mut columns: Option<Vec<Field>> = None;
        let mut beside = BTreeMap::new();
        for text in &self.schemas {
            match text.split_once('=') {
                Some((input, text)) => {
                    beside.insert(input.to_owned(), Sample::of_columns(parse_columns(text)?));
                }
                None => columns = Some(parse_columns(text)?),
            }
        }
        let sample = match (&self.input, columns) {
            (Some(path), columns) => Sample::read(path, &columns.unwrap_or_default())?,
            (None, Some(columns)) => Sample::of_columns(columns),
            (None, None) => Sample::of_config(config),
        };
        let case = RuleCase { plugin, config, sample: &sample, beside: &beside, rows: self.rows };
        conformance::rule(&case, battery).await;
        Ok(())
    }

    /// The last line, or the error of a plugin that failed.
    fn judged(&self, checks: &[Check], shared: &Shared) -> Result<String> {
        let is_json = shared.format == Format::Json;
        let shown = if is_json {
            json(&serde_json::json!({ "plugin": self.plugin, "checks": checks }))?
        } else {
            String::new()
        };
        let failed = checks.iter().filter(|check| check.outcome == Outcome::Failed).count();
        if failed == 0 {
            return Ok(if is_json { shown } else { format!("{} checks, none failed\n", checks.len()) });
        }
        if !shared.quiet {
            say(&shown)?;
        }
        Err(Error::plugin(format!("plugin `{}`: {failed} of {} checks failed", stem(&self.plugin), checks.len())))
    }
}

fn line(check: &Check) -> String {
    let outcome = match check.outcome {
        Outcome::Ok => "ok",
        Outcome::Failed => "FAILED",
        Outcome::Skipped => "skipped",
    };
    // What a guest logged stands below its error, in lines of its own.
    format!("{outcome:<8} {:<14} {}\n", check.name, check.detail)
}
