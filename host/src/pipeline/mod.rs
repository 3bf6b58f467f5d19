//! Parses and checks a pipeline file. Every problem has a file, a line and a column. Loads no plugin and sends no request.

mod environment;
mod file;
mod schedule;
mod size;

use std::path::{Path, PathBuf};

pub use environment::Environment;
pub use file::{
    AlertEvent, AlertSettings, AlertUrl, ConnectionSettings, InputName, InterruptedPolicy, MissedPolicy, ModelSettings,
    OAuthSettings, PipelineFile, PipelineSettings, RateLimitSettings, ReportSettings, RetrySettings, RuleSettings,
    SecretReference, SourceSettings, StreamName,
};
pub use schedule::Schedule;

use host_core::error::{Error, Place, Result};
use host_core::secret::Secret;
use host_document::{PathStep, SourceMap};
use host_warehouse::check_memory_limit;

/// The least memory of all plugins together: the first instances of some plugins.
const MIN_PLUGIN_MEMORY: usize = 64 << 20;

/// A pipeline as its file declares it, with environment variables filled in.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The file's keys.
    pub file: PipelineFile,
    /// The position of each value in the file, for errors.
    pub source_map: SourceMap,
    /// Environment variables, for secrets.
    pub environment: Environment,
    folder: PathBuf,
    /// The secrets that the file names, kept so that they are redacted from every text as long as the pipeline exists.
    secrets: Vec<Secret>,
}

impl Pipeline {
    /// Reads and checks a pipeline file.
    ///
    /// # Errors
    /// All problems of the file as one error.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|cause| {
            let error = Error::config(format!("{}: {cause}", path.display()));
            error.hint("`host init` creates a project with a pipeline")
        })?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Self::parse(&text, &path.display().to_string(), folder, environment)
    }

    /// Parses the text of a pipeline file. `name` stands in errors; relative paths start at `folder`.
    ///
    /// # Errors
    /// Every problem of the text.
    pub fn parse(text: &str, name: &str, folder: PathBuf, environment: &Environment) -> Result<Self> {
        let source_map = SourceMap::parse_with_secrets(text, name, may_hold_secret)?;
        let (value, problems) = source_map.value(Some(&|text| environment.fill(text)));
        Error::check(problems)?;
        Error::check(source_map.violations(&[], &schema(), &value))?;
        let file: PipelineFile =
            serde_json::from_value(value).map_err(|cause| Error::config(cause.to_string()).at(&Place::file(name)))?;
        let environment = environment.clone();
        let mut pipeline = Self { file, source_map, environment, folder, secrets: Vec::new() };
        pipeline.secrets = pipeline.read_secrets();
        Error::check(pipeline.problems()).map(|()| pipeline)
    }

    /// A path named in the file. Relative paths start at the file's folder.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        let mut clean = PathBuf::new();
        for part in self.folder.join(path).components() {
            let is_parent = part == std::path::Component::ParentDir
                && matches!(clean.components().next_back(), Some(std::path::Component::Normal(_)));
            if is_parent {
                clean.pop();
            } else {
                clean.push(part);
            }
        }
        clean
    }

    /// The folder of the file.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The warehouse's path.
    #[must_use]
    pub fn warehouse(&self) -> PathBuf {
        self.path(&self.file.pipeline.warehouse)
    }

    /// The memory that all plugins may use together, in bytes.
    #[must_use]
    pub fn plugin_memory(&self) -> usize {
        size::parse_bytes(&self.file.pipeline.plugin_memory)
    }

    /// The problems that the JSON Schema cannot express.
    fn problems(&self) -> Vec<Error> {
        let mut problems = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for (index, source) in self.file.source.iter().enumerate() {
            let at = |key: &str| self.source_map.at(&["source".into(), index.into(), key.into()]);
            let name = source.name();
            if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
                let error = Error::config(format!(
                    "source name `{name}` is not valid: expected lower-case letters, digits and `_`"
                ));
                problems.push(error.at(&at("name")));
            }
            if !seen.insert(name) {
                let error = Error::config(format!("two sources are named `{name}`"));
                problems.push(error.hint("give one of them a `name`").at(&at("plugin")));
            }
            for (wanted, connection) in &source.connections {
                if !self.file.connection.contains_key(connection) {
                    let place = self.source_map.at(&[
                        "source".into(),
                        index.into(),
                        "connections".into(),
                        wanted.as_str().into(),
                    ]);
                    let error = Error::config(format!("source `{name}`: unknown connection `{connection}`"));
                    problems.push(
                        error.hint(format!("add `[connection.{connection}]` with `base_url` and `token`")).at(&place),
                    );
                }
            }
        }
        for (index, rule) in self.file.rule.iter().enumerate() {
            for (nth, stream) in rule.streams.iter().enumerate() {
                let is_known = self.file.source.iter().any(|source| source.name() == stream.source);
                if !is_known {
                    let place = self.source_map.at(&["rule".into(), index.into(), "streams".into(), nth.into()]);
                    let error = Error::config(format!("rule `{}`: unknown source `{}`", rule.name(), stream.source));
                    problems.push(error.hint("write a stream as `source.stream`").at(&place));
                }
            }
        }
        if let Err(cause) = jiff::tz::TimeZone::get(&self.file.pipeline.timezone) {
            let place = self.source_map.at(&["pipeline".into(), "timezone".into()]);
            problems.push(Error::config(cause.to_string()).at(&place));
        } else if let Err(error) = self.schedule() {
            problems.push(error.at(&self.source_map.at(&["pipeline".into(), "schedule".into()])));
        }
        if let Err(error) = check_memory_limit(&self.file.pipeline.memory_limit) {
            problems.push(error.at(&self.source_map.at(&["pipeline".into(), "memory_limit".into()])));
        }
        if self.plugin_memory() < MIN_PLUGIN_MEMORY {
            let error =
                Error::config(format!("`{}` is too little memory for plugins", self.file.pipeline.plugin_memory));
            let place = self.source_map.at(&["pipeline".into(), "plugin_memory".into()]);
            problems.push(error.hint("set at least `plugin_memory = \"64MiB\"`").at(&place));
        }
        for (index, alert) in self.file.alert.iter().enumerate() {
            let at = |key: &str| self.source_map.at(&["alert".into(), index.into(), key.into()]);
            if alert.on.contains(&AlertEvent::Late) && alert.late_after_seconds.is_none() {
                let error = Error::config("an alert on `late` needs `late_after_seconds`");
                problems.push(error.hint("add `late_after_seconds = 90000` for 25 hours").at(&at("on")));
            }
            if alert.on.contains(&AlertEvent::Quality) && (alert.query.is_none() || alert.threshold.is_none()) {
                let error = Error::config("an alert on `quality` needs `query` and `threshold`");
                let hint = "add `query = \"SELECT count(*) FROM _host.rejects\"` and `threshold = 100`";
                problems.push(error.hint(hint).at(&at("on")));
            }
            if let AlertUrl::Plain(url) = &alert.url
                && let Err(error) = Self::check_alert_url(url)
            {
                problems.push(error.at(&at("url")));
            }
        }
        problems
    }

    /// The schedule, if the file has one.
    ///
    /// # Errors
    /// An expression that is not valid.
    pub fn schedule(&self) -> Result<Option<Schedule>> {
        let settings = &self.file.pipeline;
        let zone = jiff::tz::TimeZone::get(&settings.timezone).unwrap_or(jiff::tz::TimeZone::UTC);
        settings.schedule.as_deref().map(|expression| Schedule::parse(expression, zone)).transpose()
    }

    /// A secret of the environment or of a file. None if it is unset or empty.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn secret(&self, reference: &SecretReference) -> Result<Option<Secret>> {
        let text = match reference {
            SecretReference::Variable { secret } => self.environment.get(secret).unwrap_or_default().to_owned(),
            SecretReference::File { file } => {
                let path = self.path(file);
                std::fs::read_to_string(&path).map_err(|cause| Error::config(format!("{}: {cause}", path.display())))?
            }
        };
        let text = text.trim();
        Ok((!text.is_empty()).then(|| Secret::new(text.to_owned())))
    }

    /// The values of all secrets that the file names. A secret that is unset or cannot be read is left out.
    fn read_secrets(&self) -> Vec<Secret> {
        let of_connection = |connection: &ConnectionSettings| {
            let oauth =
                connection.oauth.clone().map(|oauth| [oauth.client_id, oauth.client_secret, oauth.refresh_token]);
            connection.token.clone().into_iter().chain(oauth.into_iter().flatten()).collect::<Vec<_>>()
        };
        let of_alert = |alert: &AlertSettings| match &alert.url {
            AlertUrl::Secret(reference) => self.secret(reference).ok()?,
            AlertUrl::Plain(url) => Some(Secret::new(url.clone())),
        };
        let references = self.file.connection.values().flat_map(of_connection);
        let of_connections = references.filter_map(|reference| self.secret(&reference).ok()?);
        of_connections.chain(self.file.alert.iter().filter_map(of_alert)).collect()
    }

    /// Checks that alerts may be sent to a URL. The error does not show the URL, which may be a secret.
    ///
    /// # Errors
    /// A URL that is neither HTTPS nor on a loopback address.
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
        Err(Error::config("the URL of an alert must start with `https://`, or with `http://` and a loopback address"))
    }
}

/// Whether errors must not show the value at a path: a value below `connection` may be a secret that was written instead of
/// its name, and the URL of a webhook may contain one.
fn may_hold_secret(path: &[PathStep]) -> bool {
    let is_key = |step: Option<&PathStep>, name: &str| matches!(step, Some(PathStep::Key(key)) if key == name);
    is_key(path.first(), "connection") || (is_key(path.first(), "alert") && is_key(path.get(2), "url"))
}

/// The JSON Schema of a pipeline file, for editors and for the check itself.
#[must_use]
pub fn schema() -> serde_json::Value {
    let generator = schemars::generate::SchemaSettings::draft07().into_generator();
    generator.into_root_schema_for::<PipelineFile>().to_value()
}
