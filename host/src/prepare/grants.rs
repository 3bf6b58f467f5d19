//! What a plugin needs ∩ what the pipeline grants: connections with their secrets, files, paces.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result, nearest};
use crate::pipeline::{self, Pipeline, SecretReference, Step};
use crate::plugin::{
    Connection, Credential, Description, Final, Grants, Need, OAuth, Pace, PaceHeaders, Patience, Retry,
};

/// Connections made so far, by name and plugin: two sources over one connection keep one pace.
#[derive(Default)]
pub(super) struct Shared {
    connections: BTreeMap<(String, String), Connection>,
}

/// One plugin's entry in the pipeline.
pub(super) struct Granting<'a> {
    pub(super) pipeline: &'a Pipeline,
    /// Where the entry stands in the file.
    pub(super) base: [Step; 2],
    /// How errors call it.
    pub(super) who: String,
    pub(super) connections: &'a BTreeMap<String, String>,
    pub(super) files: &'a BTreeMap<String, String>,
    /// The plugin's names of its further inputs.
    pub(super) inputs: Vec<&'a str>,
}

/// What it gets.
pub(super) struct Granted {
    pub(super) grants: Grants,
    /// As the plan shows them.
    pub(super) labels: Vec<String>,
}

impl<'a> Granting<'a> {
    /// Meets the plugin's needs; what is missing, or granted and not asked for, is a problem.
    pub(super) fn grant(&self, description: &Description, shared: &mut Shared, problems: &mut Vec<Error>) -> Granted {
        let mut granted = Granted { grants: Grants::default(), labels: Vec::new() };
        for need in &description.needs {
            if let Err(error) = self.meet(need, description, shared, &mut granted) {
                problems.push(error.on(format!("{}: {}", self.at("plugin", None), self.who)));
            }
        }
        let names = |map: &'a BTreeMap<String, String>| map.keys().map(String::as_str).collect::<Vec<_>>();
        let granted_names = [
            ("connections", "connection", names(self.connections)),
            ("files", "file", names(self.files)),
            ("inputs", "input", self.inputs.clone()),
        ];
        for (table, kind, names) in granted_names {
            let known: Vec<_> =
                description.needs.iter().filter(|need| need.kind == kind).map(|need| need.name.as_str()).collect();
            for name in names.into_iter().filter(|name| !known.contains(name)) {
                let error = Error::config(format!("{}: its plugin asks for no {kind} `{name}`", self.who));
                let asks =
                    if known.is_empty() { "for none".to_owned() } else { format!("for `{}`", known.join("`, `")) };
                let hint = nearest(name, known.iter().copied()).unwrap_or_else(|| format!("it asks {asks}"));
                problems.push(error.hint(hint).on(self.at(table, Some(name))));
            }
        }
        granted
    }

    fn at(&self, key: &str, name: Option<&str>) -> String {
        let mut path = self.base.to_vec();
        path.push(key.into());
        path.extend(name.map(Step::from));
        self.pipeline.places.at(&path)
    }

    fn meet(&self, need: &Need, description: &Description, shared: &mut Shared, granted: &mut Granted) -> Result<()> {
        let wanted = need.name.clone();
        match need.kind.as_str() {
            "connection" => {
                let name = self.connections.get(&need.name);
                let key = (name.cloned().unwrap_or_default(), description.name.clone());
                let known = shared.connections.get(&key).cloned();
                let (connection, label) = match known {
                    Some(connection) => (connection, format!("connection {}", key.0)),
                    None => connection(self.pipeline, name, &need.name, &buckets(description))?,
                };
                shared.connections.insert(key, connection.clone());
                granted.grants.connections.insert(wanted, connection);
                granted.labels.push(label);
            }
            "file" => {
                if let Some(path) = file(self.pipeline, self.files, need)? {
                    granted.labels.push(format!("file {}", path.display()));
                    granted.grants.files.insert(wanted, path);
                }
            }
            "input" if !self.inputs.contains(&need.name.as_str()) && !is_optional(need) => {
                let error = Error::config(format!("it needs the input `{wanted}`, which is not granted"));
                return Err(error.hint(format!("add `inputs = {{ {wanted} = \"source.stream\" }}`")));
            }
            "retry" => granted.grants.retry = retry(&need.details),
            _ => {}
        }
        Ok(())
    }
}

fn number(details: &serde_json::Value, key: &str) -> Option<u64> {
    details.get(key).and_then(serde_json::Value::as_u64)
}

fn text(details: &serde_json::Value, key: &str) -> Option<String> {
    details.get(key)?.as_str().map(str::to_owned)
}

fn buckets(description: &Description) -> BTreeMap<String, Pace> {
    let bucket = |need: &Need| {
        let requests = u32::try_from(number(&need.details, "requests")?).ok()?;
        let length = Duration::from_millis(number(&need.details, "per-ms")?);
        let header = |key| text(&need.details, key);
        let headers = header("max-header").zip(header("interval-ms-header")).zip(header("remaining-header"));
        let headers = headers.map(|((max, interval_ms), remaining)| PaceHeaders { max, interval_ms, remaining });
        Some((need.name.clone(), Pace { requests, length, headers }))
    };
    description.needs.iter().filter(|need| need.kind == "rate-bucket").filter_map(bucket).collect()
}

fn retry(details: &serde_json::Value) -> Retry {
    let list = |key: &str| details.get(key).and_then(serde_json::Value::as_array).into_iter().flatten();
    let status = |entry: &serde_json::Value| u16::try_from(number(entry, "status")?).ok();
    let wait = |entry| Some((status(entry)?, Duration::from_millis(number(entry, "wait-ms").unwrap_or_default())));
    let last = |entry| Some(Final { status: status(entry)?, value: text(entry, "pointer").zip(text(entry, "value")) });
    Retry { statuses: list("statuses").filter_map(wait).collect(), last: list("final").filter_map(last).collect() }
}

/// What a connection proves itself with.
fn credential(pipeline: &Pipeline, name: &str, spec: &pipeline::Connection) -> Result<Credential> {
    let at = |key: &str| pipeline.places.at(&["connection".into(), name.into(), key.into()]);
    let secret = |key: &str, reference: &SecretReference| {
        let secret = pipeline.environment.secret(reference, pipeline)?;
        secret.ok_or_else(|| missing_secret(reference, name).on(at(key)))
    };
    match (&spec.token, &spec.oauth) {
        (Some(_), Some(_)) => {
            let error = Error::config(format!("connection `{name}` has both `token` and `oauth`")).on(at("oauth"));
            Err(error.hint("keep the one that the account was given"))
        }
        (Some(token), None) => Ok(Credential::Token(secret("token", token)?)),
        (None, Some(oauth)) => Ok(Credential::OAuth(Arc::new(OAuth::new(
            oauth.token_path.clone(),
            secret("oauth", &oauth.client_id)?,
            secret("oauth", &oauth.client_secret)?,
            secret("oauth", &oauth.refresh_token)?,
        )))),
        (None, None) => Ok(Credential::None),
    }
}

fn connection(
    pipeline: &Pipeline,
    granted: Option<&String>,
    wanted: &str,
    buckets: &BTreeMap<String, Pace>,
) -> Result<(Connection, String)> {
    let name = granted.ok_or_else(|| {
        let error = Error::config(format!("it needs the connection `{wanted}`, which is not granted"));
        error.hint(format!("add `connections = {{ {wanted} = \"NAME\" }}` with the name of a `[connection.NAME]`"))
    })?;
    let spec = pipeline.file.connection.get(name);
    let spec = spec.ok_or_else(|| Error::config(format!("no connection `{name}`")))?;
    let credential = credential(pipeline, name, spec)?;
    let mut limits = buckets.clone();
    for (name, limit) in &spec.rate_limits {
        if let Some(pace) = limits.get_mut(name) {
            let length = Duration::from_secs(limit.per_seconds.into());
            *pace = Pace { requests: limit.requests, length, headers: None };
        }
    }
    let milliseconds = |number: u32| Duration::from_millis(number.into());
    let patience = Patience {
        retries: spec.retry.attempts.into(),
        first: milliseconds(spec.retry.first_ms),
        longest: milliseconds(spec.retry.longest_ms.max(spec.retry.first_ms)),
        concurrent: spec.concurrent_requests.into(),
    };
    if let Some(unknown) = spec.rate_limits.keys().find(|bucket| !buckets.contains_key(*bucket)) {
        let error = Error::config(format!("connection `{name}`: the plugin has no rate bucket `{unknown}`"));
        let known: Vec<_> = buckets.keys().map(|bucket| format!("`{bucket}`")).collect();
        return Err(error.hint(format!("its buckets are {}", known.join(", "))));
    }
    let place = pipeline.places.at(&["connection".into(), name.as_str().into(), "base_url".into()]);
    let connection = Connection::new(&spec.base_url, credential, patience, &limits).map_err(|error| error.on(place))?;
    Ok((connection, format!("connection {name} ({})", spec.base_url)))
}

fn missing_secret(reference: &SecretReference, connection: &str) -> Error {
    match reference {
        SecretReference::Variable { secret } => {
            let error = Error::config(format!("connection `{connection}` has no secret `{secret}`"));
            error.hint(format!(
                "put {secret}=… into .env beside the pipeline, or run against the sandbox with `make run`"
            ))
        }
        SecretReference::File { file } => {
            Error::config(format!("connection `{connection}`: the secret file `{file}` is empty"))
        }
    }
}

fn is_optional(need: &Need) -> bool {
    need.details.get("optional").and_then(serde_json::Value::as_bool).unwrap_or_default()
}

fn file(pipeline: &Pipeline, files: &BTreeMap<String, String>, need: &Need) -> Result<Option<PathBuf>> {
    match files.get(&need.name).filter(|path| !path.is_empty()) {
        Some(path) => {
            let path = pipeline.path(path);
            let opened = std::fs::File::open(&path);
            opened.map_err(|cause| Error::config(format!("file `{}`: {}: {cause}", need.name, path.display())))?;
            Ok(Some(path))
        }
        None if is_optional(need) => Ok(None),
        None => {
            let error = Error::config(format!("it needs the file `{}`, which is not granted", need.name));
            Err(error.hint(format!("add `files = {{ {} = \"PATH\" }}`", need.name)))
        }
    }
}
