//! The shape of a pipeline file, key by key. The doc comments are what editors show.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// A pipeline: where data comes from, how it is cleaned, what is computed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Name, warehouse, time zone, currency.
    pub pipeline: Settings,
    /// Named base URLs with secrets; plugins see the names alone.
    #[serde(default)]
    pub connection: BTreeMap<String, Connection>,
    /// Sources, loaded side by side.
    #[serde(default)]
    pub source: Vec<Source>,
    /// Rules, applied to each stream in this order.
    #[serde(default)]
    pub rule: Vec<Rule>,
    /// SQL models, built after cleaning.
    pub marts: Option<Marts>,
    /// Tables that close the report of a run.
    #[serde(default)]
    pub report: Vec<Report>,
    /// Whom `host serve` tells of what.
    #[serde(default)]
    pub alert: Vec<Alert>,
}

/// A table that closes the report of a run.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// What it shows.
    pub title: String,
    /// A query on the marts.
    pub query: String,
    /// What the figures mean, in a line.
    pub meaning: Option<String>,
}

/// What holds for the whole pipeline.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Shown in reports.
    pub name: String,
    /// Path of the DuckDB file; relative paths start at the pipeline file's folder.
    pub warehouse: String,
    /// IANA time zone that months and cohorts follow.
    #[serde(default = "utc")]
    pub timezone: String,
    /// ISO 4217 code of the home currency.
    #[serde(default = "usd")]
    #[schemars(regex(pattern = r"^[A-Z]{3}$"))]
    pub currency: String,
    /// When `host serve` runs it: minute, hour, day of the month, month, day of the week, in the time zone.
    pub schedule: Option<String>,
    /// What `host serve` does about times of the schedule at which it was not there.
    #[serde(default)]
    pub missed: Missed,
    /// What `host serve` does about a run that ended with its process.
    #[serde(default)]
    pub interrupted: Interrupted,
    /// Seconds after which `host serve` stops a run.
    #[schemars(range(min = 1))]
    pub timeout_seconds: Option<u32>,
    /// How often `host serve` runs a step again that failed for a reason that may pass.
    #[serde(default = "retries")]
    #[schemars(range(max = 100))]
    pub retries: u32,
    /// Seconds before the first of these; each further wait is twice as long.
    #[serde(default = "retry_wait_seconds")]
    #[schemars(range(min = 1, max = 86_400))]
    pub retry_wait_seconds: u32,
    /// Memory that DuckDB may use, such as `2GB`; it spills to disk beyond.
    #[serde(default = "memory_limit")]
    #[schemars(regex(pattern = r"^[0-9]+(\.[0-9]+)? ?([KMG]i?B|[kmg]i?b)$"))]
    pub memory_limit: String,
    /// The share of a stream's rows, from 0 to 1, above which rejects fail the run.
    #[serde(default = "max_rejected")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_rejected: f64,
    /// Seconds that one call into a plugin may take, asleep or not; requests that it waits for do not count.
    #[serde(default = "plugin_seconds")]
    #[schemars(range(min = 1, max = 86_400))]
    pub plugin_seconds: u32,
}

/// What becomes of times of a schedule that were missed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// One run makes up for all of them.
    #[default]
    RunOnce,
    /// The next time is waited for.
    Skip,
}

/// What becomes of a run that ended with its process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interrupted {
    /// It is run again: what was committed is not read twice.
    #[default]
    Resume,
    /// It is left.
    Leave,
}

fn retries() -> u32 {
    2
}

fn retry_wait_seconds() -> u32 {
    60
}

fn plugin_seconds() -> u32 {
    600
}

fn max_rejected() -> f64 {
    0.5
}

fn utc() -> String {
    "UTC".to_owned()
}

fn usd() -> String {
    "USD".to_owned()
}

fn memory_limit() -> String {
    "1GB".to_owned()
}

/// A base URL with its secret.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// `https://host`, or `http://` on loopback.
    pub base_url: String,
    /// Sent as `Authorization: Bearer …`.
    pub token: Option<SecretReference>,
    /// In place of `token`: an OAuth refresh token, for which the host fetches access tokens.
    pub oauth: Option<OAuth>,
    /// Rate limits that override the plugin's own, by bucket.
    #[serde(default)]
    pub rate_limits: BTreeMap<String, RateLimit>,
    /// How a failed request is tried again.
    #[serde(default)]
    pub retry: Retry,
    /// Requests over the connection that are under way at once, of all streams of a plugin together.
    #[serde(default = "concurrent_requests")]
    #[schemars(range(min = 1, max = 256))]
    pub concurrent_requests: u16,
}

fn concurrent_requests() -> u16 {
    16
}

/// An OAuth client with a refresh token (RFC 6749, section 6).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuth {
    /// The path below `base_url` that gives access tokens.
    pub token_path: String,
    /// The client's id.
    pub client_id: SecretReference,
    /// The client's secret.
    pub client_secret: SecretReference,
    /// The refresh token.
    pub refresh_token: SecretReference,
}

/// How a failed request is tried again: the waits double from the first to the longest.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Tries after the first.
    pub attempts: u16,
    /// The first wait, in milliseconds.
    #[schemars(range(min = 1))]
    pub first_ms: u32,
    /// The longest wait, in milliseconds, unless the server asks for more.
    #[schemars(range(min = 1))]
    pub longest_ms: u32,
}

impl Default for Retry {
    /// Rides out about two minutes.
    fn default() -> Self {
        Self { attempts: 8, first_ms: 500, longest_ms: 30_000 }
    }
}

/// Where a secret is kept.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum SecretReference {
    /// In a variable of the environment or of `.env`.
    Variable {
        /// The variable's name.
        secret: String,
    },
    /// In a file of its own.
    File {
        /// The file's path.
        file: String,
    },
}

/// A web hook, and of what it is told.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// What it is told of.
    #[schemars(length(min = 1))]
    pub on: Vec<AlertOn>,
    /// `https://…`, or `http://` on loopback, or where that is kept; it gets a POST of JSON.
    pub url: AlertUrl,
    /// Seconds without a run that succeeded, after which the pipeline is late.
    #[schemars(range(min = 1))]
    pub late_after_seconds: Option<u32>,
    /// A query on the warehouse that gives one number.
    pub query: Option<String>,
    /// The greatest number that is still fine.
    pub threshold: Option<f64>,
}

/// What an alert is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertOn {
    /// A run failed.
    Failure,
    /// A run succeeded after one that failed, or late.
    Recovery,
    /// No run has succeeded for `late_after_seconds`.
    Late,
    /// After a run `query` gave more than `threshold`.
    Quality,
}

/// Where an alert goes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AlertUrl {
    /// To this URL.
    Plain(String),
    /// To a URL that is a secret.
    Secret(SecretReference),
}

/// At most so many requests in so many seconds.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests.
    #[schemars(range(min = 1))]
    pub requests: u32,
    /// Seconds.
    #[schemars(range(min = 1))]
    pub per_seconds: u32,
}

/// A source plugin at work.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A name in a plugins folder, or a path to a component.
    pub plugin: String,
    /// The source's name in the warehouse; the plugin's unless given.
    pub name: Option<String>,
    /// SHA-256 of the component, in hex: another file is refused.
    pub sha256: Option<String>,
    /// The streams to load; all where left out.
    pub streams: Option<Vec<String>>,
    /// Connections granted: the plugin's name for it = the pipeline's.
    #[serde(default)]
    pub connections: BTreeMap<String, String>,
    /// Files granted: the plugin's name for it = a path; empty grants nothing.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// The plugin's own settings.
    #[serde(default)]
    pub config: serde_json::Map<String, serde_json::Value>,
}

impl Source {
    /// The source's name in the warehouse.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| stem(&self.plugin))
    }
}

/// A rule plugin at work.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// A name in a plugins folder, or a path to a component.
    pub plugin: String,
    /// The rule's name in reports; the plugin's unless given.
    pub name: Option<String>,
    /// SHA-256 of the component, in hex: another file is refused.
    pub sha256: Option<String>,
    /// The streams it cleans, each `source.stream`.
    #[schemars(length(min = 1), inner(regex(pattern = r"^[a-z0-9_]+\.[a-z0-9_]+$")))]
    pub streams: Vec<StreamName>,
    /// Files granted: the plugin's name for it = a path.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Further streams that it reads, as they are once cleaned: the plugin's name for it = `source.stream`, or
    /// `source.stream.merges` for which records of it merged into which.
    #[serde(default)]
    pub inputs: BTreeMap<String, InputName>,
    /// The plugin's own settings.
    #[serde(default)]
    pub config: serde_json::Map<String, serde_json::Value>,
}

impl Rule {
    /// The rule's name in reports.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| stem(&self.plugin))
    }
}

fn stem(plugin: &str) -> &str {
    std::path::Path::new(plugin).file_stem().and_then(|stem| stem.to_str()).unwrap_or(plugin)
}

/// What a rule reads beside its stream: `source.stream`, or `source.stream.merges`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct InputName {
    /// The stream.
    pub stream: StreamName,
    /// Whether its merges are meant, not its records.
    pub is_merges: bool,
}

impl TryFrom<String> for InputName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (stream, is_merges) = text.strip_suffix(".merges").map_or((text.as_str(), false), |stream| (stream, true));
        Ok(Self { stream: stream.to_owned().try_into()?, is_merges })
    }
}

/// A stream of a source: `source.stream`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct StreamName {
    /// The source's name.
    pub source: String,
    /// The stream's name.
    pub stream: String,
}

impl TryFrom<String> for StreamName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let split = text.split_once('.').ok_or_else(|| format!("`{text}` is not `source.stream`"))?;
        Ok(Self { source: split.0.to_owned(), stream: split.1.to_owned() })
    }
}

impl std::fmt::Display for StreamName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.source, self.stream)
    }
}

/// SQL models and what they may ask of the pipeline.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Marts {
    /// The folder with `staging`, `core`, `marts`, `checks`, `seeds`.
    pub path: String,
    /// Values that models read from `_host.variables`.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}
