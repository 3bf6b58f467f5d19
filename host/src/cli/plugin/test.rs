//! `host plugin test`: runs the conformance suite on a component, one line per check.

use std::path::PathBuf;

use clap::Args;
use host_core::error::{Error, Result, Subject};
use host_core::text::escape_line;

use super::super::{Format, GlobalArguments, engine, json, on_pipeline, runtime};
use super::{load, parse_config, parse_named_path, say};
use crate::kit::conformance::{CheckOutcome, ConformanceCheck, Suite};
use crate::kit::plugin_name;
use crate::kit::test::TestRequest;

/// Tests a component.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  host plugin test my-rule --config '{\"column\": \"email\"}' --schema email:text\n  \
host plugin test hubspot --pipeline pipelines/hubspot.toml --rows 10000"
)]
pub(in crate::cli) struct Test {
    /// A name in a plugins folder, or a path.
    plugin: String,
    /// The plugin's config: JSON, or the path of a JSON file.
    #[arg(long, value_name = "JSON|FILE")]
    config: Option<String>,
    /// A file to grant.
    #[arg(long = "file", value_name = "NAME=PATH", value_parser = parse_named_path)]
    files: Vec<(String, PathBuf)>,
    /// Take the config and the grants from the plugin's entry in this pipeline, matched by `plugin` or `name`.
    #[arg(long, conflicts_with_all = ["config", "files"])]
    pipeline: Option<PathBuf>,
    /// Columns of a rule's stream, or of a further input. By default, a text column for each text of the config.
    /// Types: text, bool, integer, float, decimal, date, timestamp.
    #[arg(long = "schema", value_name = "[INPUT=]NAME:TYPE,…")]
    schemas: Vec<String>,
    /// A CSV file with rows of a rule's stream. By default rows are generated.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// The number of rows to test a rule with, and the most rows to read from each stream of a source.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
}

impl Test {
    pub(super) fn run(&self, global: &GlobalArguments) -> Result<String> {
        let shows_checks = global.format == Format::Text && !global.quiet;
        let mut report = |check: &ConformanceCheck| {
            if shows_checks {
                // The last line is written with its error reported.
                let _ = say(&line(check));
            }
        };
        let mut suite = Suite::new(&mut report);
        let request = TestRequest {
            plugin: self.plugin.clone(),
            schemas: self.schemas.clone(),
            input: self.input.clone(),
            rows: self.rows,
        };
        match &self.pipeline {
            Some(pipeline) => {
                on_pipeline(pipeline, global, async |session| request.test_entry(session, &mut suite).await)?;
            }
            None => {
                let engine = engine()?;
                let (_, component) = load(&self.plugin, global, &engine)?;
                let config = parse_config(self.config.as_deref())?;
                runtime()?.block_on(request.test_component(&engine, &component, &config, &self.files, &mut suite))?;
            }
        }
        self.render(&suite.finish(), global)
    }

    /// The last line, or the error of a plugin that does not conform.
    fn render(&self, checks: &[ConformanceCheck], global: &GlobalArguments) -> Result<String> {
        let is_json = global.format == Format::Json;
        let shown = if is_json {
            json(&serde_json::json!({ "plugin": self.plugin, "checks": checks }))?
        } else {
            String::new()
        };
        let failed = checks.iter().filter(|check| check.outcome == CheckOutcome::Failed).count();
        if failed == 0 {
            return Ok(if is_json { shown } else { format!("{} checks, none failed\n", checks.len()) });
        }
        if !global.quiet {
            say(&shown)?;
        }
        let error = Error::plugin(format!("{failed} of {} checks failed", checks.len()));
        Err(error.about(&Subject::Plugin(plugin_name(&self.plugin).to_owned())))
    }
}

fn line(check: &ConformanceCheck) -> String {
    let outcome = match check.outcome {
        CheckOutcome::Ok => "ok",
        CheckOutcome::Failed => "FAILED",
        CheckOutcome::Skipped => "skipped",
    };
    // The log of a plugin that trapped follows its error, in lines that do not look like checks.
    let mut lines = check.detail.lines().map(escape_line);
    let first = lines.next().unwrap_or_default();
    let rest: String = lines.map(|line| format!("{:24}{}\n", "", line.trim_start())).collect();
    format!("{outcome:<8} {:<14} {first}\n{rest}", escape_line(&check.name))
}
