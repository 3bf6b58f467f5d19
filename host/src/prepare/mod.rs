//! From a pipeline to plugins ready to run: components found and compiled, configs checked against the plugins' own
//! schemas, needs met by grants. Names every problem at once.

mod grants;

use std::collections::BTreeMap;

use crate::error::{Error, Result, nearest};
use crate::pipeline::{InputName, Pipeline, Step};
use crate::plugin::{Component, Contract, Description, Engine, Grants, RulePlugin, Search, SourcePlugin};
use crate::schema::Stream;
use grants::{Granted, Granting, Shared};

/// A source ready to read.
#[derive(Clone)]
pub struct PreparedSource {
    /// Its name in the warehouse.
    pub name: String,
    /// What it says of itself.
    pub description: Description,
    /// SHA-256 of its component.
    pub sha256: String,
    /// The plugin.
    pub plugin: SourcePlugin,
    /// The streams asked for; all where none are named.
    pub wanted: Option<Vec<String>>,
    /// Grants, as the plan shows them.
    pub granted: Vec<String>,
    /// Which account it reaches, once it was asked.
    pub account: Option<String>,
    index: usize,
}

/// A rule ready to clean.
#[derive(Clone)]
pub struct PreparedRule {
    /// Its name in reports.
    pub name: String,
    /// What it says of itself.
    pub description: Description,
    /// SHA-256 of its component, its config and its granted files.
    pub fingerprint: String,
    /// The plugin.
    pub plugin: RulePlugin,
    /// The streams it cleans, `source.stream`.
    pub streams: Vec<String>,
    /// Further streams that it reads, by its names for them.
    pub inputs: BTreeMap<String, InputName>,
    /// Where the rule stands in the pipeline file, for errors.
    pub place: String,
    /// Grants, as the plan shows them.
    pub granted: Vec<String>,
}

/// All plugins of a pipeline.
pub struct Prepared {
    /// In the order of the file.
    pub sources: Vec<PreparedSource>,
    /// In the order of the file.
    pub rules: Vec<PreparedRule>,
}

/// Finds, compiles and checks every plugin of a pipeline. Reads files, never the network.
/// Without `with_sources` their plugins, secrets and files are not looked at.
pub async fn prepare(pipeline: &Pipeline, engine: &Engine, search: &Search, with_sources: bool) -> Result<Prepared> {
    let mut prepared = Prepared { sources: Vec::new(), rules: Vec::new() };
    let mut problems = Vec::new();
    let mut shared = Shared::default();
    for index in (0..pipeline.file.source.len()).filter(|_| with_sources) {
        match source(pipeline, index, engine, search, &mut shared).await {
            Ok(source) => prepared.sources.push(source),
            Err(mut errors) => problems.append(&mut errors),
        }
    }
    for index in 0..pipeline.file.rule.len() {
        match rule(pipeline, index, engine, search, &mut shared).await {
            Ok(rule) => prepared.rules.push(rule),
            Err(mut errors) => problems.append(&mut errors),
        }
    }
    Error::all(problems).map_or(Ok(prepared), Err)
}

async fn source(
    pipeline: &Pipeline,
    index: usize,
    engine: &Engine,
    search: &Search,
    shared: &mut Shared,
) -> Result<PreparedSource, Vec<Error>> {
    let spec = &pipeline.file.source[index];
    let at = |key: &str| pipeline.places.at(&["source".into(), index.into(), key.into()]);
    let on = |error: Error| vec![error.on(at("plugin"))];
    let component =
        load(engine, search, pipeline, &spec.plugin, spec.sha256.as_deref(), Contract::Source).map_err(on)?;
    let config = serde_json::Value::Object(spec.config.clone());
    let bare = SourcePlugin::new(engine, &component, Grants::default(), &config);
    let description = bare.describe().await.map_err(on)?;
    let base: [Step; 3] = ["source".into(), index.into(), "config".into()];
    let mut problems = pipeline.places.violations(&base, &description.config_schema, &config);
    let name = spec.name();
    let grant = Granting {
        pipeline,
        base: ["source".into(), index.into()],
        who: format!("source `{name}`"),
        connections: &spec.connections,
        files: &spec.files,
        inputs: Vec::new(),
    };
    let Granted { grants, labels } = grant.grant(&description, shared, &mut problems);
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
    search: &Search,
    shared: &mut Shared,
) -> Result<PreparedRule, Vec<Error>> {
    let spec = &pipeline.file.rule[index];
    let place = pipeline.places.at(&["rule".into(), index.into(), "plugin".into()]);
    let on = |error: Error| error.on(&place);
    let component = load(engine, search, pipeline, &spec.plugin, spec.sha256.as_deref(), Contract::Rule);
    let component = component.map_err(|error| vec![on(error)])?;
    let config = serde_json::Value::Object(spec.config.clone());
    let bare = RulePlugin::new(engine, &component, Grants::default(), &config);
    let description = bare.describe().await.map_err(|error| vec![on(error)])?;
    let base: [Step; 3] = ["rule".into(), index.into(), "config".into()];
    let mut problems = pipeline.places.violations(&base, &description.config_schema, &config);
    let grant = Granting {
        pipeline,
        base: ["rule".into(), index.into()],
        who: format!("rule `{}`", spec.name()),
        connections: &BTreeMap::new(),
        files: &spec.files,
        inputs: spec.inputs.keys().map(String::as_str).collect(),
    };
    let Granted { grants, labels } = grant.grant(&description, shared, &mut problems);
    // A config may hold what is not for everyone to read, such as the salt of hashes.
    let inputs: Vec<_> = spec.inputs.iter().map(|(name, input)| format!("{name}={}", input.stream)).collect();
    let mut fingerprint =
        format!("{} {} {}", component.sha256, sha256(config.to_string().as_bytes()), inputs.join(" "));
    for (name, path) in &grants.files {
        match std::fs::read(path) {
            Ok(bytes) => fingerprint.push_str(&format!(" {name}={}", sha256(&bytes))),
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
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn load(
    engine: &Engine,
    search: &Search,
    pipeline: &Pipeline,
    plugin: &str,
    pin: Option<&str>,
    contract: Contract,
) -> Result<Component> {
    let component = engine.load(&search.find(plugin, pipeline.folder())?, pin)?;
    if component.contract != contract {
        let (is, belongs) = match component.contract {
            Contract::Source => ("source", "[[source]]"),
            Contract::Rule => ("rule", "[[rule]]"),
        };
        return Err(Error::config(format!("plugin `{plugin}` is a {is}")).hint(format!("name it under `{belongs}`")));
    }
    Ok(component)
}

impl PreparedSource {
    /// Keeps the streams asked for, of those that the source has; `select` narrows further. What cannot be read now is
    /// told apart, and what is read with it.
    pub fn choose(&self, streams: Vec<Stream>, select: &[String], pipeline: &Pipeline) -> Result<Chosen> {
        let mut problems = Vec::new();
        for (nth, wanted) in self.wanted.iter().flatten().enumerate() {
            if !streams.iter().any(|stream| stream.name == *wanted) {
                let place = pipeline.places.at(&["source".into(), self.index.into(), "streams".into(), nth.into()]);
                let error = Error::config(format!("source `{}` has no stream `{wanted}`", self.name)).on(place);
                let near = nearest(wanted, streams.iter().map(|stream| stream.name.as_str()));
                problems.push(error.hint(near.unwrap_or_else(|| "`host discover` lists them".to_owned())));
            }
        }
        Error::all(problems).map_or(Ok(()), Err)?;
        let asked = |stream: &Stream| match &self.wanted {
            Some(wanted) => wanted.contains(&stream.name),
            None => !stream.on_request,
        };
        let (mut chosen, out_of_reach): (Vec<_>, Vec<_>) =
            streams.into_iter().filter(asked).partition(|stream| stream.unavailable.is_none());
        let mut skipped: Vec<_> = out_of_reach
            .into_iter()
            .filter_map(|stream| Some(self.skipped(&stream.name, stream.unavailable?)))
            .collect();
        for stream in &chosen {
            let Some(carrier) = stream.read_with.as_ref() else { continue };
            if chosen.iter().any(|other| other.name == *carrier) {
                continue;
            }
            let its_name = format!("{}.{carrier}", self.name);
            if let Some(why) = skipped.iter().find(|skipped| skipped.stream == its_name) {
                skipped.push(self.skipped(&stream.name, why.error.clone()));
                continue;
            }
            let error =
                Error::config(format!("stream `{}` is read with `{carrier}`, which is not asked for", stream.name));
            return Err(error.hint(format!("add \"{carrier}\" to the streams of source `{}`", self.name)));
        }
        chosen.retain(|stream| !skipped.iter().any(|out| out.stream == format!("{}.{}", self.name, stream.name)));
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
        Ok(Chosen { streams: chosen, skipped })
    }

    fn skipped(&self, stream: &str, error: Error) -> Skipped {
        let is_named = self.wanted.as_ref().is_some_and(|wanted| wanted.iter().any(|name| name == stream));
        Skipped { stream: format!("{}.{stream}", self.name), is_named, error }
    }
}

/// The streams of a source that a run reads, and those that it cannot.
pub struct Chosen {
    /// To be read.
    pub streams: Vec<Stream>,
    /// Asked for, and out of reach.
    pub skipped: Vec<Skipped>,
}

/// A stream that was asked for and cannot be read now.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Skipped {
    /// `source.stream`.
    pub stream: String,
    /// Whether the pipeline names it, so that the run is not complete without it.
    pub is_named: bool,
    /// Why, and how to mend it.
    pub error: Error,
}
