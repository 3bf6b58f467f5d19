//! TOML text in, a checked `Pipeline` out, every problem with file, line and column. Reads no plugin and no network.

mod environment;
mod file;
mod places;
mod schedule;

use std::path::{Path, PathBuf};

pub use environment::{Environment, Secret};
pub use file::{
    Alert, AlertOn, AlertUrl, Connection, File, InputName, Interrupted, Marts, Missed, OAuth, RateLimit, Report, Retry,
    Rule, SecretReference, Settings, Source, StreamName,
};
pub use places::{Places, Step, validator};
pub use schedule::Schedule;

use crate::error::{Error, Result};

/// A pipeline as its file declares it, paths resolved and variables filled in.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// What the file says.
    pub file: File,
    /// Where each value stands in the file, for errors.
    pub places: Places,
    /// Variables of the process and of `.env`, for secrets.
    pub environment: Environment,
    folder: PathBuf,
}

impl Pipeline {
    /// Reads and checks a pipeline file; all of its problems are one error.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|cause| {
            let error = Error::config(format!("{}: {cause}", path.display()));
            error.hint("`host init` makes a project with a pipeline in it")
        })?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Self::parse(&text, &path.display().to_string(), folder, environment)
    }

    fn parse(text: &str, name: &str, folder: PathBuf, environment: &Environment) -> Result<Self> {
        let places = Places::parse(text, name)?;
        let (value, problems) = places.value(Some(environment));
        Error::all(problems).map_or(Ok(()), Err)?;
        let schema = schema();
        Error::all(places.violations(&[], &schema, &value)).map_or(Ok(()), Err)?;
        let file: File = serde_json::from_value(value).map_err(|cause| Error::config(cause.to_string()).on(name))?;
        let pipeline = Self { file, places, environment: environment.clone(), folder };
        Error::all(pipeline.problems()).map_or(Ok(pipeline), Err)
    }

    /// A path of the file: relative ones start at the file's folder.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        let mut clean = PathBuf::new();
        for part in self.folder.join(path).components() {
            let climbs = part == std::path::Component::ParentDir
                && matches!(clean.components().next_back(), Some(std::path::Component::Normal(_)));
            if climbs {
                clean.pop();
            } else {
                clean.push(part);
            }
        }
        clean
    }

    /// The folder that holds the file.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The warehouse's path.
    #[must_use]
    pub fn warehouse(&self) -> PathBuf {
        self.path(&self.file.pipeline.warehouse)
    }

    fn problems(&self) -> Vec<Error> {
        let mut problems = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for (index, source) in self.file.source.iter().enumerate() {
            let at = |key: &str| self.places.at(&["source".into(), index.into(), key.into()]);
            let name = source.name();
            if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
                let error = Error::config(format!("source name `{name}` is not lower-case letters, digits and `_`"));
                problems.push(error.on(at("name")));
            }
            if !seen.insert(name) {
                let error = Error::config(format!("two sources are named `{name}`"));
                problems.push(error.hint("give one of them a `name`").on(at("plugin")));
            }
            for (wanted, connection) in &source.connections {
                if !self.file.connection.contains_key(connection) {
                    let place =
                        self.places.at(&["source".into(), index.into(), "connections".into(), wanted.as_str().into()]);
                    let error = Error::config(format!("source `{name}`: no connection `{connection}`"));
                    problems.push(
                        error.hint(format!("add `[connection.{connection}]` with `base_url` and `token`")).on(place),
                    );
                }
            }
        }
        for (index, rule) in self.file.rule.iter().enumerate() {
            for (nth, stream) in rule.streams.iter().enumerate() {
                let known = self.file.source.iter().any(|source| source.name() == stream.source);
                if !known {
                    let place = self.places.at(&["rule".into(), index.into(), "streams".into(), nth.into()]);
                    let error = Error::config(format!("rule `{}`: no source `{}`", rule.name(), stream.source));
                    problems.push(error.hint("a stream is written `source.stream`").on(place));
                }
            }
        }
        if let Err(cause) = jiff::tz::TimeZone::get(&self.file.pipeline.timezone) {
            let place = self.places.at(&["pipeline".into(), "timezone".into()]);
            problems.push(Error::config(cause.to_string()).on(place));
        } else if let Err(error) = self.schedule() {
            problems.push(error.on(self.places.at(&["pipeline".into(), "schedule".into()])));
        }
        for (index, alert) in self.file.alert.iter().enumerate() {
            let at = |key: &str| self.places.at(&["alert".into(), index.into(), key.into()]);
            if alert.on.contains(&AlertOn::Late) && alert.late_after_seconds.is_none() {
                let error = Error::config("an alert on `late` needs `late_after_seconds`");
                problems.push(error.hint("a day and an hour: `late_after_seconds = 90000`").on(at("on")));
            }
            if alert.on.contains(&AlertOn::Quality) && (alert.query.is_none() || alert.threshold.is_none()) {
                let error = Error::config("an alert on `quality` needs `query` and `threshold`");
                let hint = "`query = \"SELECT count(*) FROM _host.rejects\"` and `threshold = 100`";
                problems.push(error.hint(hint).on(at("on")));
            }
            if let AlertUrl::Plain(url) = &alert.url
                && let Err(error) = Self::check_alert_url(url)
            {
                problems.push(error.on(at("url")));
            }
        }
        problems
    }

    /// When it runs, if it says so.
    pub fn schedule(&self) -> Result<Option<Schedule>> {
        let settings = &self.file.pipeline;
        let zone = jiff::tz::TimeZone::get(&settings.timezone).unwrap_or(jiff::tz::TimeZone::UTC);
        settings.schedule.as_deref().map(|expression| Schedule::parse(expression, zone)).transpose()
    }

    /// The secrets that it names; one that is unset or cannot be read is in no text either.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        let of_connection = |connection: &Connection| {
            let oauth =
                connection.oauth.clone().map(|oauth| [oauth.client_id, oauth.client_secret, oauth.refresh_token]);
            connection.token.clone().into_iter().chain(oauth.into_iter().flatten()).collect::<Vec<_>>()
        };
        let of_alert = |alert: &Alert| match &alert.url {
            AlertUrl::Secret(reference) => Some(reference.clone()),
            AlertUrl::Plain(_) => None,
        };
        let references = self.file.connection.values().flat_map(of_connection);
        let references = references.chain(self.file.alert.iter().filter_map(of_alert));
        references.filter_map(|reference| self.environment.secret(&reference, self).ok()?).collect()
    }

    /// Refuses what alerts may not be sent to; says nothing of the URL, which may be a secret.
    pub fn check_alert_url(url: &str) -> Result<()> {
        let host = url.strip_prefix("http://").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or(rest));
        let is_loopback = host.is_some_and(|host| {
            ["127.0.0.1", "localhost", "[::1]"].iter().any(|own| {
                host.strip_prefix(own).is_some_and(|rest| {
                    rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
                })
            })
        });
        if is_loopback || url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty()) {
            return Ok(());
        }
        Err(Error::config("the URL of an alert starts with `https://`, or with `http://` on loopback"))
    }
}

/// The JSON Schema of a pipeline file, for editors and for the check itself.
#[must_use]
pub fn schema() -> serde_json::Value {
    let generator = schemars::generate::SchemaSettings::draft07().into_generator();
    generator.into_root_schema_for::<File>().to_value()
}
