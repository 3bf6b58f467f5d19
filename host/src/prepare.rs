//! From a pipeline to plugins ready to run: components found and compiled, configs checked against the plugins' own
//! schemas, needs met by grants. Names every problem at once.

use std::collections::BTreeMap;

use crate::error::{Error, Result, nearest};
use crate::pipeline::{Pipeline, RateLimit, Step};
use crate::plugin::{Component, Connection, Contract, Description, Engine, Grants, RulePlugin, Search, SourcePlugin};
use crate::schema::Stream;

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
pub async fn prepare(pipeline: &Pipeline, engine: &Engine, search: &Search) -> Result<Prepared> {
    let mut prepared = Prepared { sources: Vec::new(), rules: Vec::new() };
    let mut problems = Vec::new();
    for index in 0..pipeline.file.source.len() {
        match source(pipeline, index, engine, search).await {
            Ok(source) => prepared.sources.push(source),
            Err(mut errors) => problems.append(&mut errors),
        }
    }
    for index in 0..pipeline.file.rule.len() {
        match rule(pipeline, index, engine, search).await {
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
    let mut grants = Grants::default();
    let mut granted = Vec::new();
    let name = spec.name();
    let buckets = buckets(&description);
    for need in &description.needs {
        let wanted = &need.name;
        let result = match need.kind.as_str() {
            "connection" => {
                connection(pipeline, spec.connections.get(wanted), wanted, &buckets).map(|(connection, label)| {
                    grants.connections.insert(wanted.clone(), connection);
                    granted.push(label);
                })
            }
            "file" => file(pipeline, &spec.files, need).map(|path| {
                granted.extend(path.as_ref().map(|path| format!("file {}", path.display())));
                grants.files.extend(path.map(|path| (wanted.clone(), path)));
            }),
            "retry" => {
                let statuses = need.details.get("statuses").and_then(|statuses| statuses.as_array());
                let statuses = statuses.into_iter().flatten().filter_map(|status| u16::try_from(status.as_u64()?).ok());
                grants.retry.extend(statuses);
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(error) = result {
            problems.push(error.on(format!("{}: source `{name}`", at("plugin"))));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let plugin = SourcePlugin::new(engine, &component, grants, &config);
    let (name, wanted, sha256) = (name.to_owned(), spec.streams.clone(), component.sha256);
    Ok(PreparedSource { name, description, sha256, plugin, wanted, granted, index })
}

async fn rule(pipeline: &Pipeline, index: usize, engine: &Engine, search: &Search) -> Result<PreparedRule, Vec<Error>> {
    let spec = &pipeline.file.rule[index];
    let place = pipeline.places.at(&["rule".into(), index.into(), "plugin".into()]);
    let on = |error: Error| vec![error.on(&place)];
    let component = load(engine, search, pipeline, &spec.plugin, spec.sha256.as_deref(), Contract::Rule).map_err(on)?;
    let config = serde_json::Value::Object(spec.config.clone());
    let bare = RulePlugin::new(engine, &component, Grants::default(), &config);
    let description = bare.describe().await.map_err(on)?;
    let base: [Step; 3] = ["rule".into(), index.into(), "config".into()];
    let mut problems = pipeline.places.violations(&base, &description.config_schema, &config);
    let mut grants = Grants::default();
    let mut granted = Vec::new();
    let mut fingerprint = format!("{} {config}", component.sha256);
    // A rule may be granted more files than it always needs: its config names which it reads.
    for (name, path) in spec.files.iter().filter(|(_, path)| !path.is_empty()) {
        let path = pipeline.path(path);
        match std::fs::read(&path) {
            Ok(bytes) => fingerprint.push_str(&format!(" {name}={:x}", crc(&bytes))),
            Err(cause) => {
                let place = pipeline.places.at(&["rule".into(), index.into(), "files".into(), name.as_str().into()]);
                problems.push(Error::config(format!("file `{name}`: {}: {cause}", path.display())).on(place));
            }
        }
        granted.push(format!("file {}", path.display()));
        grants.files.insert(name.clone(), path);
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let plugin = RulePlugin::new(engine, &component, grants, &config);
    let streams = spec.streams.iter().map(ToString::to_string).collect();
    Ok(PreparedRule { name: spec.name().to_owned(), description, fingerprint, plugin, streams, place, granted })
}

fn crc(bytes: &[u8]) -> u64 {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
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

fn buckets(description: &Description) -> BTreeMap<String, RateLimit> {
    let number = |details: &serde_json::Value, key: &str| details.get(key).and_then(serde_json::Value::as_u64);
    let bucket = |need: &crate::plugin::Need| {
        let requests = u32::try_from(number(&need.details, "requests")?).ok()?;
        let per_seconds = u32::try_from(number(&need.details, "per-ms")? / 1000).ok()?.max(1);
        Some((need.name.clone(), RateLimit { requests, per_seconds }))
    };
    description.needs.iter().filter(|need| need.kind == "rate-bucket").filter_map(bucket).collect()
}

fn connection(
    pipeline: &Pipeline,
    granted: Option<&String>,
    wanted: &str,
    buckets: &BTreeMap<String, RateLimit>,
) -> Result<(Connection, String)> {
    let name = granted.ok_or_else(|| {
        let error = Error::config(format!("it needs the connection `{wanted}`, which is not granted"));
        error.hint(format!("add `connections = {{ {wanted} = \"NAME\" }}` with the name of a `[connection.NAME]`"))
    })?;
    let spec = pipeline.file.connection.get(name);
    let spec = spec.ok_or_else(|| Error::config(format!("no connection `{name}`")))?;
    let token = match &spec.token {
        None => None,
        Some(reference) => {
            let secret = pipeline.environment.secret(reference, pipeline)?;
            let place = || pipeline.places.at(&["connection".into(), name.as_str().into(), "token".into()]);
            Some(secret.ok_or_else(|| missing_secret(reference, name).on(place()))?)
        }
    };
    let mut limits = buckets.clone();
    limits.extend(spec.rate_limits.clone());
    if let Some(unknown) = spec.rate_limits.keys().find(|bucket| !buckets.contains_key(*bucket)) {
        let error = Error::config(format!("connection `{name}`: the plugin has no rate bucket `{unknown}`"));
        let known: Vec<_> = buckets.keys().map(|bucket| format!("`{bucket}`")).collect();
        return Err(error.hint(format!("its buckets are {}", known.join(", "))));
    }
    let place = pipeline.places.at(&["connection".into(), name.as_str().into(), "base_url".into()]);
    let connection = Connection::new(&spec.base_url, token, &limits).map_err(|error| error.on(place))?;
    Ok((connection, format!("connection {name} ({})", spec.base_url)))
}

fn missing_secret(reference: &crate::pipeline::SecretReference, connection: &str) -> Error {
    match reference {
        crate::pipeline::SecretReference::Variable { secret } => {
            let error = Error::config(format!("connection `{connection}` has no secret `{secret}`"));
            error.hint(format!(
                "put {secret}=… into .env beside the pipeline, or run against the sandbox with `make run`"
            ))
        }
        crate::pipeline::SecretReference::File { file } => {
            Error::config(format!("connection `{connection}`: the secret file `{file}` is empty"))
        }
    }
}

fn file(
    pipeline: &Pipeline,
    files: &BTreeMap<String, String>,
    need: &crate::plugin::Need,
) -> Result<Option<std::path::PathBuf>> {
    let optional = need.details.get("optional").and_then(serde_json::Value::as_bool).unwrap_or_default();
    match files.get(&need.name).filter(|path| !path.is_empty()) {
        Some(path) => {
            let path = pipeline.path(path);
            let opened = std::fs::File::open(&path);
            opened.map_err(|cause| Error::config(format!("file `{}`: {}: {cause}", need.name, path.display())))?;
            Ok(Some(path))
        }
        None if optional => Ok(None),
        None => {
            let error = Error::config(format!("it needs the file `{}`, which is not granted", need.name));
            Err(error.hint(format!("add `files = {{ {} = \"PATH\" }}`", need.name)))
        }
    }
}

impl PreparedSource {
    /// Keeps the streams asked for, of those that the source has; `select` narrows further.
    pub fn choose(&self, streams: Vec<Stream>, select: &[String], pipeline: &Pipeline) -> Result<Vec<Stream>> {
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
        let asked = |stream: &Stream| self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&stream.name));
        let mut chosen: Vec<_> = streams.into_iter().filter(asked).collect();
        for stream in &chosen {
            let carrier = stream.read_with.as_ref();
            if let Some(carrier) = carrier.filter(|carrier| !chosen.iter().any(|other| other.name == **carrier)) {
                let error =
                    Error::config(format!("stream `{}` is read with `{carrier}`, which is not asked for", stream.name));
                return Err(error.hint(format!("add \"{carrier}\" to the streams of source `{}`", self.name)));
            }
        }
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
        Ok(chosen)
    }
}
