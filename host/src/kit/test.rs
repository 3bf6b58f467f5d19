//! Runs the conformance suite on a plugin: with given config and files, or with those of its entry in a pipeline.

use std::collections::BTreeMap;
use std::path::PathBuf;

use host_core::error::{Error, Result};
use host_core::schema::Field;
use host_plugin::{Component, Engine, Grants, Need, NeedKind, PluginKind, RulePlugin, SourcePlugin};
use serde_json::Value;

use super::conformance::{self, RuleCase, Sample, SourceCase, Suite, parse_columns};
use super::plugin_name;
use crate::pipeline::Pipeline;
use crate::prepare::prepare;
use crate::run::Session;

/// What a plugin is tested with.
pub struct TestRequest {
    /// The plugin: a name, a path, or the name of an entry in a pipeline.
    pub plugin: String,
    /// Columns of a rule's inputs, as `[INPUT=]NAME:TYPE,…`.
    pub schemas: Vec<String>,
    /// A CSV file with rows of a rule's stream. Without one they are generated.
    pub input: Option<PathBuf>,
    /// Rows that a rule is shown at the end; rows after which a stream of a source is left.
    pub rows: u64,
}

impl TestRequest {
    /// Tests a component with this config and these files.
    ///
    /// # Errors
    /// A file that cannot be opened, and columns or rows that are not valid. What the plugin does wrong is in the
    /// suite.
    pub async fn test_component(
        &self,
        engine: &Engine,
        component: &Component,
        config: &Value,
        files: &[(String, PathBuf)],
        suite: &mut Suite<'_>,
    ) -> Result<()> {
        for (name, path) in files {
            let opened = std::fs::File::open(path);
            opened.map_err(|cause| Error::config(format!("file `{name}`: {}: {cause}", path.display())))?;
        }
        let files: BTreeMap<String, PathBuf> = files.iter().cloned().collect();
        let is_granted = |need: &Need| need.kind == NeedKind::File && files.contains_key(&need.name);
        let grants = Grants { files: files.clone(), ..Grants::default() };
        match component.kind {
            PluginKind::Rule => {
                let plugin = RulePlugin::new(engine, component, grants, config);
                self.test_rule(&plugin, config, suite).await?;
            }
            PluginKind::Source => {
                let plugin = SourcePlugin::new(engine, component, grants, config);
                let (is_granted, rows) = (&is_granted, self.rows);
                let case = SourceCase { plugin: &plugin, config, streams: None, is_granted, rows };
                conformance::test_source(&case, suite).await;
            }
        }
        Ok(())
    }

    /// Tests the plugin with the config and the grants of its entry in a pipeline.
    ///
    /// # Errors
    /// A pipeline that is not valid or has no such entry, and columns or rows that are not valid.
    pub async fn test_entry(&self, session: &Session<'_>, suite: &mut Suite<'_>) -> Result<()> {
        let pipeline: &Pipeline = session.pipeline;
        let is_source = pipeline.file.source.iter().any(|spec| self.names(&spec.plugin, spec.name()));
        let prepared = prepare(pipeline, session.engine, session.folders, is_source).await?;
        let mut sources = pipeline.file.source.iter().zip(&prepared.sources);
        if let Some((spec, source)) = sources.find(|(spec, _)| self.names(&spec.plugin, spec.name())) {
            let config = Value::Object(spec.config.clone());
            // A need that the pipeline does not grant is an error of `prepare`.
            let is_granted = |_: &Need| true;
            let (plugin, streams, rows) = (&source.plugin, source.wanted.as_deref(), self.rows);
            let case = SourceCase { plugin, config: &config, streams, is_granted: &is_granted, rows };
            conformance::test_source(&case, suite).await;
            return Ok(());
        }
        let mut rules = pipeline.file.rule.iter().zip(&prepared.rules);
        let found = rules.find(|(spec, _)| self.names(&spec.plugin, spec.name()));
        let missing = || {
            Error::config(format!("the pipeline has no source or rule `{}`", self.plugin))
                .hint("name one by its `plugin` or its `name`; `host plan` lists them")
        };
        let (spec, rule) = found.ok_or_else(missing)?;
        self.test_rule(&rule.plugin, &Value::Object(spec.config.clone()), suite).await
    }

    /// Whether the request names an entry with this plugin and name.
    fn names(&self, plugin: &str, name: &str) -> bool {
        name == self.plugin || plugin_name(plugin) == plugin_name(&self.plugin)
    }

    async fn test_rule(&self, plugin: &RulePlugin, config: &Value, suite: &mut Suite<'_>) -> Result<()> {
        let mut columns: Option<Vec<Field>> = None;
        let mut inputs = BTreeMap::new();
        for text in &self.schemas {
            match text.split_once('=') {
                Some((input, text)) => {
                    inputs.insert(input.to_owned(), Sample::of_columns(parse_columns(text)?));
                }
                None => columns = Some(parse_columns(text)?),
            }
        }
        let sample = match (&self.input, columns) {
            (Some(path), columns) => Sample::read(path, &columns.unwrap_or_default())?,
            (None, Some(columns)) => Sample::of_columns(columns),
            (None, None) => Sample::of_config(config),
        };
        let case = RuleCase { plugin, config, sample: &sample, inputs: &inputs, rows: self.rows };
        conformance::test_rule(&case, suite).await;
        Ok(())
    }
}
