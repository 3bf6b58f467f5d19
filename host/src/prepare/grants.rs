//! Grants: the connections, files and inputs that the pipeline gives to a plugin, checked against the plugin's needs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use host_core::error::{Error, Place, Result, nearest, one_of, unknown};
use host_document::PathStep;
use host_plugin::{
    Connection, ConnectionLimits, Credential, Description, FinalResponse, Grants, Need, NeedKind, OAuthClient,
    RateBucket, RateLimitHeaders, RetryPolicy, RetryableResponses,
};

use crate::pipeline::{ConnectionSettings, Pipeline, SecretReference};

/// The connections opened so far, by name and plugin: two sources with one connection share its rate limits.
#[derive(Default)]
pub(super) struct ConnectionPool {
    connections: BTreeMap<(String, String), Connection>,
}

/// The grants that the pipeline lists for one plugin.
pub(super) struct GrantRequest<'a> {
    pub(super) pipeline: &'a Pipeline,
    /// The path of the entry in the file.
    pub(super) base: [PathStep; 2],
    /// The plugin in errors, such as "source `hubspot`".
    pub(super) label: String,
    pub(super) connections: &'a BTreeMap<String, String>,
    pub(super) files: &'a BTreeMap<String, String>,
    /// The plugin's names for its further inputs.
    pub(super) inputs: Vec<&'a str>,
}

/// The grants of one plugin.
pub(super) struct Granted {
    pub(super) grants: Grants,
    /// As the plan shows them.
    pub(super) labels: Vec<String>,
}

impl<'a> GrantRequest<'a> {
    /// Grants what the plugin needs. A need without a grant is a problem, and so is a grant without a need.
    pub(super) fn grant(
        &self,
        description: &Description,
        pool: &mut ConnectionPool,
        problems: &mut Vec<Error>,
    ) -> Granted {
        let mut granted = Granted { grants: Grants::default(), labels: Vec::new() };
        for need in &description.needs {
            if let Err(error) = self.grant_need(need, description, pool, &mut granted) {
                problems.push(error.on(&self.label).at(&self.at("plugin", None)));
            }
        }
        let names = |map: &'a BTreeMap<String, String>| map.keys().map(String::as_str).collect::<Vec<_>>();
        let granted_names = [
            ("connections", NeedKind::Connection, names(self.connections)),
            ("files", NeedKind::File, names(self.files)),
            ("inputs", NeedKind::Input, self.inputs.clone()),
        ];
        for (table, kind, names) in granted_names {
            let known: Vec<_> = description.needs_of(&kind).map(|need| need.name.as_str()).collect();
            for name in names.into_iter().filter(|name| !known.contains(name)) {
                let error =
                    Error::config(format!("{}: the plugin does not declare the {} `{name}`", self.label, kind.name()));
                let hint = nearest(name, known.iter().copied()).or_else(|| one_of(known.iter().copied()));
                let hint = hint.unwrap_or_else(|| format!("remove it: the plugin needs no {}", kind.name()));
                problems.push(error.hint(hint).at(&self.at(table, Some(name))));
            }
        }
        granted
    }

    fn at(&self, key: &str, name: Option<&str>) -> Place {
        let mut path = self.base.to_vec();
        path.push(key.into());
        path.extend(name.map(PathStep::from));
        self.pipeline.source_map.at(&path)
    }

    fn grant_need(
        &self,
        need: &Need,
        description: &Description,
        pool: &mut ConnectionPool,
        granted: &mut Granted,
    ) -> Result<()> {
        let wanted = need.name.clone();
        match &need.kind {
            NeedKind::Connection => {
                let name = self.connections.get(&need.name);
                let key = (name.cloned().unwrap_or_default(), description.name.clone());
                let open = pool.connections.get(&key).cloned();
                let (connection, label) = match open {
                    Some(connection) => (connection, format!("connection {}", key.0)),
                    None => connection(self.pipeline, name, &need.name, &buckets(description))?,
                };
                pool.connections.insert(key, connection.clone());
                granted.grants.connections.insert(wanted, connection);
                granted.labels.push(label);
            }
            NeedKind::File => {
                if let Some(path) = file(self.pipeline, self.files, need)? {
                    granted.labels.push(format!("file {}", path.display()));
                    granted.grants.files.insert(wanted, path);
                }
            }
            NeedKind::Input if !self.inputs.contains(&need.name.as_str()) && !need.is_optional() => {
                let error = Error::config(format!("the plugin needs the input `{wanted}`, which is not granted"));
                return Err(error.hint(format!("add `inputs = {{ {wanted} = \"source.stream\" }}`")));
            }
            NeedKind::Retry => granted.grants.retry = retry(&need.details),
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

fn buckets(description: &Description) -> BTreeMap<String, RateBucket> {
    let bucket = |need: &Need| {
        let requests = u32::try_from(number(&need.details, "requests")?).unwrap_or(u32::MAX);
        let window = Duration::from_millis(number(&need.details, "per-ms")?);
        let header = |key| text(&need.details, key);
        let headers = header("max-header").zip(header("interval-ms-header")).zip(header("remaining-header"));
        let headers = headers.map(|((max, interval_ms), remaining)| RateLimitHeaders { max, interval_ms, remaining });
        Some((need.name.clone(), RateBucket { requests, window, headers, is_of_pipeline: false }))
    };
    description.needs_of(&NeedKind::RateBucket).filter_map(bucket).collect()
}

fn retry(details: &serde_json::Value) -> RetryableResponses {
    let list = |key: &str| details.get(key).and_then(serde_json::Value::as_array).into_iter().flatten();
    let status = |entry: &serde_json::Value| u16::try_from(number(entry, "status")?).ok();
    let wait = |entry| Some((status(entry)?, Duration::from_millis(number(entry, "wait-ms").unwrap_or_default())));
    let final_response =
        |entry| Some(FinalResponse { status: status(entry)?, value: text(entry, "pointer").zip(text(entry, "value")) });
    RetryableResponses {
        statuses: list("statuses").filter_map(wait).collect(),
        final_responses: list("final").filter_map(final_response).collect(),
    }
}

/// The credential of a connection.
fn credential(pipeline: &Pipeline, name: &str, spec: &ConnectionSettings) -> Result<Credential> {
    let at = |key: &str| pipeline.source_map.at(&["connection".into(), name.into(), key.into()]);
    let secret = |key: &str, reference: &SecretReference| {
        let secret = pipeline.secret(reference)?;
        secret.ok_or_else(|| missing_secret(reference, name).at(&at(key)))
    };
    match (&spec.token, &spec.oauth) {
        (Some(_), Some(_)) => {
            let error = Error::config(format!("connection `{name}` has both `token` and `oauth`")).at(&at("oauth"));
            Err(error.hint("keep the one that the account uses"))
        }
        (Some(token), None) => Ok(Credential::Token(secret("token", token)?)),
        (None, Some(oauth)) => Ok(Credential::OAuth(Arc::new(OAuthClient::new(
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
    buckets: &BTreeMap<String, RateBucket>,
) -> Result<(Connection, String)> {
    let name = granted.ok_or_else(|| {
        let error = Error::config(format!("the plugin needs the connection `{wanted}`, which is not granted"));
        error.hint(format!("add `connections = {{ {wanted} = \"NAME\" }}` with the name of a `[connection.NAME]`"))
    })?;
    let spec = pipeline.file.connection.get(name);
    let spec = spec.ok_or_else(|| Error::config(format!("unknown connection `{name}`")))?;
    let credential = credential(pipeline, name, spec)?;
    let mut limits = buckets.clone();
    for (name, limit) in &spec.rate_limits {
        if let Some(bucket) = limits.get_mut(name) {
            let window = Duration::from_secs(limit.per_seconds.into());
            *bucket = RateBucket { requests: limit.requests, window, headers: None, is_of_pipeline: true };
        }
    }
    let milliseconds = |number: u32| Duration::from_millis(number.into());
    if let Some(bucket) = spec.rate_limits.keys().find(|bucket| !buckets.contains_key(*bucket)) {
        let error = unknown("rate limit bucket", bucket, buckets.keys().map(String::as_str));
        return Err(error.on(format!("connection `{name}`")));
    }
    let retry = RetryPolicy {
        max_retries: spec.retry.attempts.into(),
        first_delay: milliseconds(spec.retry.first_ms),
        max_delay: milliseconds(spec.retry.longest_ms.max(spec.retry.first_ms)),
    };
    let limits = ConnectionLimits { retry, concurrent_requests: spec.concurrent_requests.into(), buckets: limits };
    let place = pipeline.source_map.at(&["connection".into(), name.as_str().into(), "base_url".into()]);
    let connection = Connection::new(&spec.base_url, credential, &limits).map_err(|error| error.at(&place))?;
    Ok((connection, format!("connection {name} ({})", spec.base_url)))
}

fn missing_secret(reference: &SecretReference, connection: &str) -> Error {
    match reference {
        SecretReference::Variable { secret } => {
            let error = Error::config(format!("connection `{connection}`: the secret `{secret}` is not set"));
            error.hint(format!(
                "add `{secret}=…` to .env beside the pipeline, or run against the sandbox with `make run`"
            ))
        }
        SecretReference::File { file } => {
            Error::config(format!("connection `{connection}`: the secret file `{file}` is empty"))
        }
    }
}

fn file(pipeline: &Pipeline, files: &BTreeMap<String, String>, need: &Need) -> Result<Option<PathBuf>> {
    match files.get(&need.name).filter(|path| !path.is_empty()) {
        Some(path) => {
            let path = pipeline.path(path);
            let failed = |cause: &str| Error::config(format!("file `{}`: {}: {cause}", need.name, path.display()));
            let kind = std::fs::metadata(&path).map_err(|cause| failed(&cause.to_string()))?;
            if !kind.is_file() {
                // A pipe or a device may block for ever, and has no end.
                return Err(failed("not a regular file").hint("write its contents into a file"));
            }
            std::fs::File::open(&path).map_err(|cause| failed(&cause.to_string()))?;
            Ok(Some(path))
        }
        None if need.is_optional() => Ok(None),
        None => {
            let error = Error::config(format!("the plugin needs the file `{}`, which is not granted", need.name));
            Err(error.hint(format!("add `files = {{ {} = \"PATH\" }}`", need.name)))
        }
    }
}
