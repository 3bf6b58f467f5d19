//! Prepares plugins: finds and compiles components, checks configs against the plugins' own schemas, and grants what the
//! plugins need. All problems are reported at once.

mod grants;

use std::collections::BTreeMap;

use host_core::error::{Error, Place, Result, nearest};
use host_core::schema::Stream;
use host_document::PathStep;
use host_plugin::{Component, Description, Engine, Grants, PluginFolders, PluginKind, RulePlugin, SourcePlugin};

use sha2::Digest as _;

use crate::pipeline::{InputName, Pipeline};
use grants::{ConnectionPool, GrantRequest, Granted};

/// A source ready to read.
#[derive(Clone)]
pub struct PreparedSource {
    /// Its name in the warehouse.
    pub name: String,
    /// The plugin's description of itself.
    pub description: Description,
    /// SHA-256 of its component.
    pub sha256: String,
    /// The plugin.
    pub plugin: SourcePlugin,
    /// The streams that the pipeline names. None if it names no stream, which selects all.
    pub wanted: Option<Vec<String>>,
    /// Its grants, as the plan shows them.
    pub granted: Vec<String>,
    /// The account that it reaches. None before discovery, and if the source names none.
    pub account: Option<String>,
    index: usize,
}

/// A rule ready to clean.
#[derive(Clone)]
pub struct PreparedRule {
    /// Its name in reports.
    pub name: String,
    /// The plugin's description of itself.
    pub description: Description,
    /// SHA-256 of its component, its config and its granted files.
    pub fingerprint: String,
    /// The plugin.
    pub plugin: RulePlugin,
    /// The streams it cleans, `source.stream`.
    pub streams: Vec<String>,
    /// Further streams that it reads, by the plugin's names for them.
    pub inputs: BTreeMap<String, InputName>,
    /// The rule's place in the pipeline file, for errors.
    pub place: Place,
    /// Its grants, as the plan shows them.
    pub granted: Vec<String>,
}

/// All plugins of a pipeline.
pub struct PreparedPlugins {
    /// In the order of the file.
    pub sources: Vec<PreparedSource>,
    /// In the order of the file.
    pub rules: Vec<PreparedRule>,
}

/// Finds, compiles and checks every plugin of a pipeline. It reads files, never the network. Without `with_sources`,
/// sources are left out, so that a command on loaded data needs none of their plugins, secrets and files.
///
/// # Errors
/// All problems of all plugins.
pub async fn prepare(
    pipeline: &Pipeline,
    engine: &Engine,
    folders: &PluginFolders,
    with_sources: bool,
) -> Result<PreparedPlugins> {
    let mut prepared = PreparedPlugins { sources: Vec::new(), rules: Vec::new() };
    let mut problems = Vec::new();
    let mut pool = ConnectionPool::default();
    for index in (0..pipeline.file.source.len()).filter(|_| with_sources) {
        match source(pipeline, index, engine, folders, &mut pool).await {
            Ok(source) => prepared.sources.push(source),
            Err(mut errors) => problems.append(&mut errors),
        }
    }
    for index in 0..pipeline.file.rule.len() {
        match rule(pipeline, index, engine, folders, &mut pool).await {
            Ok(rule) => prepared.rules.push(rule),
            Err(mut errors) => problems.append(&mut errors),
        }
    }
    Error::check(problems).map(|()| prepared)
}

async fn source(
    pipeline: &Pipeline,
    index: usize,
    engine: &Engine,
    folders: &PluginFolders,
    pool: &mut ConnectionPool,
) -> Result<PreparedSource, Vec<Error>> {
    let spec = &pipeline.file.source[index];
    let at = |key: &str| pipeline.source_map.at(&["source".into(), index.into(), key.into()]);
    let on = |error: Error| vec![error.at(&at("plugin"))];
    let component =
        load(engine, folders, pipeline, &spec.plugin, spec.sha256.as_deref(), PluginKind::Source).map_err(on)?;
    let config = serde_json::Value::Object(spec.config.clone());
    let ungranted = SourcePlugin::new(engine, &component, Grants::default(), &config);
    let description = ungranted.describe().await.map_err(on)?;
    let base: [PathStep; 3] = ["source".into(), index.into(), "config".into()];
    let mut problems = pipeline.source_map.violations(&base, &description.config_schema, &config);
    let name = spec.name();
    let grant = GrantRequest {
        pipeline,
        base: ["source".into(), index.into()],
        label: format!("source `{name}`"),
        connections: &spec.connections,
        files: &spec.files,
        inputs: Vec::new(),
    };
    let Granted { grants, labels } = grant.grant(&description, pool, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let plugin = SourcePlugin::new(engine, &component, grants, &config);
    let (name, wanted, sha256) = (name.to_owned(), spec.streams.clone(), component.sha256);
    Ok(PreparedSource { name, description, sha256, plugin, wanted, granted: labels, account: None, index })
}

async fn rule(
    pipeline: &Pipeline,
    index: usize,
    engine: &Engine,
    folders: &PluginFolders,
    pool: &mut ConnectionPool,
) -> Result<PreparedRule, Vec<Error>> {
    let spec = &pipeline.file.rule[index];
    let place = pipeline.source_map.at(&["rule".into(), index.into(), "plugin".into()]);
    let on = |error: Error| error.at(&place);
    let component = load(engine, folders, pipeline, &spec.plugin, spec.sha256.as_deref(), PluginKind::Rule);
    let component = component.map_err(|error| vec![on(error)])?;
    let config = serde_json::Value::Object(spec.config.clone());
    let ungranted = RulePlugin::new(engine, &component, Grants::default(), &config);
    let description = ungranted.describe().await.map_err(|error| vec![on(error)])?;
    let base: [PathStep; 3] = ["rule".into(), index.into(), "config".into()];
    let mut problems = pipeline.source_map.violations(&base, &description.config_schema, &config);
    let grant = GrantRequest {
        pipeline,
        base: ["rule".into(), index.into()],
        label: format!("rule `{}`", spec.name()),
        connections: &BTreeMap::new(),
        files: &spec.files,
        inputs: spec.inputs.keys().map(String::as_str).collect(),
    };
    let Granted { grants, labels } = grant.grant(&description, pool, &mut problems);
    // A config may contain a secret, such as the salt of hashes: only its hash is recorded.
    let inputs: Vec<_> = spec.inputs.iter().map(|(name, input)| format!("{name}={}", input.stream)).collect();
    let mut fingerprint =
        format!("{} {} {}", component.sha256, sha256(config.to_string().as_bytes()), inputs.join(" "));
    for (name, path) in &grants.files {
        match sha256_of_file(path) {
            Ok(hash) => fingerprint.push_str(&format!(" {name}={hash}")),
            Err(cause) => problems.push(on(Error::config(format!("file `{name}`: {}: {cause}", path.display())))),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let plugin = RulePlugin::new(engine, &component, grants, &config);
    let streams = spec.streams.iter().map(ToString::to_string).collect();
    let (name, inputs) = (spec.name().to_owned(), spec.inputs.clone());
    Ok(PreparedRule { name, description, fingerprint, plugin, streams, inputs, place, granted: labels })
}

fn sha256(bytes: &[u8]) -> String {
    hex(&sha2::Sha256::digest(bytes))
}

/// The hash of a file, which may be larger than the memory.
fn sha256_of_file(path: &std::path::Path) -> std::io::Result<String> {
    let mut hash = sha2::Sha256::new();
    std::io::copy(&mut std::fs::File::open(path)?, &mut hash)?;
    Ok(hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn load(
    engine: &Engine,
    folders: &PluginFolders,
    pipeline: &Pipeline,
    plugin: &str,
    pin: Option<&str>,
    kind: PluginKind,
) -> Result<Component> {
    let component = engine.load_found(&folders.find(plugin, pipeline.folder())?, pin)?;
    if component.kind != kind {
        let (kind, section) = match component.kind {
            PluginKind::Source => ("source", "[[source]]"),
            PluginKind::Rule => ("rule", "[[rule]]"),
        };
        return Err(Error::config(format!("plugin `{plugin}` is a {kind}")).hint(format!("move it to `{section}`")));
    }
    Ok(component)
}

impl PreparedSource {
    /// Selects the streams that the pipeline names from the streams of the source. `select` narrows them further; all if it
    /// is empty. Streams that cannot be read now are skipped, and so are the streams that are read with them.
    ///
    /// # Errors
    /// A stream that the source does not have, and a stream that is read with another one which is not selected.
    pub fn select(&self, streams: Vec<Stream>, select: &[String], pipeline: &Pipeline) -> Result<SelectedStreams> {
        let mut problems = Vec::new();
        for (nth, wanted) in self.wanted.iter().flatten().enumerate() {
            if !streams.iter().any(|stream| stream.name == *wanted) {
                let place = pipeline.source_map.at(&["source".into(), self.index.into(), "streams".into(), nth.into()]);
                let error = Error::config(format!("source `{}`: unknown stream `{wanted}`", self.name)).at(&place);
                let near = nearest(wanted, streams.iter().map(|stream| stream.name.as_str()));
                problems
                    .push(error.hint(near.unwrap_or_else(|| "`host discover PIPELINE` lists the streams".to_owned())));
            }
        }
        Error::check(problems)?;
        let is_wanted = |stream: &Stream| match &self.wanted {
            Some(wanted) => wanted.contains(&stream.name),
            None => !stream.on_request,
        };
        let (mut chosen, unavailable): (Vec<_>, Vec<_>) =
            streams.into_iter().filter(is_wanted).partition(|stream| stream.unavailable.is_none());
        let mut skipped: Vec<_> = unavailable
            .into_iter()
            .filter_map(|stream| Some(self.skipped(&stream.name, stream.unavailable?)))
            .collect();
        for stream in &chosen {
            let Some(carrier) = stream.read_with.as_ref() else { continue };
            if chosen.iter().any(|other| other.name == *carrier) {
                continue;
            }
            let carrier_name = format!("{}.{carrier}", self.name);
            if let Some(carrier) = skipped.iter().find(|skipped| skipped.stream == carrier_name) {
                skipped.push(self.skipped(&stream.name, carrier.error.clone()));
                continue;
            }
            let error =
                Error::config(format!("stream `{}` is read with `{carrier}`, which is not selected", stream.name));
            return Err(error.hint(format!("add \"{carrier}\" to the streams of source `{}`", self.name)));
        }
        chosen
            .retain(|stream| !skipped.iter().any(|skipped| skipped.stream == format!("{}.{}", self.name, stream.name)));
        if !select.is_empty() {
            let named = |name: &str| select.iter().any(|s| *s == name || *s == format!("{}.{name}", self.name));
            let carriers: Vec<_> =
                chosen.iter().filter(|s| named(&s.name)).filter_map(|s| s.read_with.clone()).collect();
            chosen.retain(|s| {
                let carried = s
                    .read_with
                    .as_deref()
                    .is_some_and(|carrier| named(carrier) || carriers.iter().any(|c| c == carrier));
                named(&s.name) || carriers.contains(&s.name) || carried
            });
        }
        Ok(SelectedStreams { streams: chosen, skipped })
    }

    fn skipped(&self, stream: &str, error: Error) -> SkippedStream {
        let is_named = self.wanted.as_ref().is_some_and(|wanted| wanted.iter().any(|name| name == stream));
        SkippedStream { stream: format!("{}.{stream}", self.name), is_named, error }
    }
}

/// The streams of a source that a run reads, and those that it skips.
pub struct SelectedStreams {
    /// Streams to read.
    pub streams: Vec<Stream>,
    /// Streams that cannot be read now.
    pub skipped: Vec<SkippedStream>,
}

/// A stream that is selected and cannot be read now.
#[derive(Debug, Clone, serde::Serialize)]
pub struct SkippedStream {
    /// `source.stream`.
    pub stream: String,
    /// Whether the pipeline names it, so that a run without it is partial.
    pub is_named: bool,
    /// Why, and how to fix it.
    pub error: Error,
}
