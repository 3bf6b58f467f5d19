//! The keys of a pipeline file. Editors and the reference show these doc comments.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// A pipeline: where data comes from, how it is cleaned, and which models are built.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineFile {
    /// Settings of the whole pipeline: name, warehouse, time zone, currency, schedule, limits.
    pub pipeline: PipelineSettings,
    /// Base URLs with their secrets, by name. Plugins see only the names.
    #[serde(default)]
    pub connection: BTreeMap<String, ConnectionSettings>,
    /// Sources, loaded concurrently.
    #[serde(default)]
    pub source: Vec<SourceSettings>,
    /// Cleaning rules, applied to each stream in this order.
    #[serde(default)]
    pub rule: Vec<RuleSettings>,
    /// SQL models, built after cleaning.
    #[serde(rename = "marts")]
    pub models: Option<ModelSettings>,
    /// Tables at the end of a run's report.
    #[serde(default)]
    pub report: Vec<ReportSettings>,
    /// Notifications that `host serve` sends to webhooks.
    #[serde(default)]
    pub alert: Vec<AlertSettings>,
}

/// A table at the end of a run's report.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportSettings {
    /// The table's title.
    pub title: String,
    /// A query on the models.
    pub query: String,
    /// One line below the table that says what the figures mean.
    pub meaning: Option<String>,
}

/// Settings of the whole pipeline.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineSettings {
    /// The pipeline's name, shown in reports and on pages.
    pub name: String,
    /// Path of the DuckDB file. Relative paths start at the pipeline file's folder.
    pub warehouse: String,
    /// IANA time zone of months and cohorts, such as `America/Sao_Paulo`.
    #[serde(default = "utc")]
    pub timezone: String,
    /// ISO 4217 code of the home currency, such as `BRL`.
    #[serde(default = "usd")]
    #[schemars(regex(pattern = r"^[A-Z]{3}$"))]
    pub currency: String,
    /// When `host serve` runs the pipeline: a cron expression (minute, hour, day of the month, month, day of the week) in the
    /// pipeline's time zone.
    pub schedule: Option<String>,
    /// What `host serve` does about runs missed while the server was down.
    #[serde(default)]
    pub missed: MissedPolicy,
    /// What `host serve` does about a run whose process died.
    #[serde(default)]
    pub interrupted: InterruptedPolicy,
    /// Seconds after which `host serve` stops a run and marks it as failed. By default there is no limit.
    #[schemars(range(min = 1))]
    pub timeout_seconds: Option<u32>,
    /// How many times `host serve` retries a step that failed for a temporary reason.
    #[serde(default = "retries")]
    #[schemars(range(max = 100))]
    pub retries: u32,
    /// Seconds before the first retry of a step. Each further wait is twice as long, up to an hour.
    #[serde(default = "retry_wait_seconds")]
    #[schemars(range(min = 1, max = 86_400))]
    pub retry_wait_seconds: u32,
    /// Memory that DuckDB may use, such as `2GB`, and at least `64MB`. DuckDB spills to disk beyond it.
    #[serde(default = "memory_limit")]
    #[schemars(regex(pattern = r"^[0-9]+(\.[0-9]+)? ?([KMG]i?B|[kmg]i?b)$"))]
    pub memory_limit: String,
    /// Memory that all plugins may use together, such as `4GiB`, with the responses and rows that they keep. A run that needs
    /// more fails. At least 64MiB.
    #[serde(default = "plugin_memory")]
    #[schemars(regex(pattern = r"^[0-9]+(\.[0-9]+)? ?([KMG]i?B|[kmg]i?b)$"))]
    pub plugin_memory: String,
    /// The share of a stream's rows, from 0 to 1, above which rejected rows fail the run.
    #[serde(default = "max_rejected")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_rejected: f64,
    /// Seconds that one call into a plugin may take. Time spent waiting for HTTP responses does not count.
    #[serde(default = "plugin_seconds")]
    #[schemars(range(min = 1, max = 86_400))]
    pub plugin_seconds: u32,
}

/// What to do about runs missed while the server was down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissedPolicy {
    /// Run once for all missed times.
    #[default]
    RunOnce,
    /// Wait for the next scheduled time.
    Skip,
}

/// What to do about a run whose process died.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InterruptedPolicy {
    /// Run it again from its last checkpoint.
    #[default]
    Resume,
    /// Leave it marked as interrupted.
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

fn plugin_memory() -> String {
    "2GiB".to_owned()
}

fn memory_limit() -> String {
    "1GB".to_owned()
}

/// A base URL with its secret and its limits.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionSettings {
    /// The URL below which requests are sent: `https://host`, or `http://` on a loopback address.
    pub base_url: String,
    /// The secret sent as `Authorization: Bearer …`.
    pub token: Option<SecretReference>,
    /// Instead of `token`: an OAuth client whose refresh token the host exchanges for access tokens.
    pub oauth: Option<OAuthSettings>,
    /// Rate limits that replace the plugin's own, by bucket.
    #[serde(default)]
    pub rate_limits: BTreeMap<String, RateLimitSettings>,
    /// How failed requests are retried.
    #[serde(default)]
    pub retry: RetrySettings,
    /// Concurrent requests over the connection, for all streams of a plugin together.
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
pub struct OAuthSettings {
    /// The path below `base_url` that returns access tokens.
    pub token_path: String,
    /// The client's id.
    pub client_id: SecretReference,
    /// The client's secret.
    pub client_secret: SecretReference,
    /// The refresh token.
    pub refresh_token: SecretReference,
}

/// How failed requests are retried: each wait is twice as long as the one before, up to the longest.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetrySettings {
    /// Retries after the first attempt.
    pub attempts: u16,
    /// The first wait, in milliseconds.
    #[schemars(range(min = 1))]
    pub first_ms: u32,
    /// The longest wait, in milliseconds. A `Retry-After` of the server may ask for more.
    #[schemars(range(min = 1))]
    pub longest_ms: u32,
}

impl Default for RetrySettings {
    /// Bridges an outage of about two minutes.
    fn default() -> Self {
        Self { attempts: 8, first_ms: 500, longest_ms: 30_000 }
    }
}

/// Where a secret is stored.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum SecretReference {
    /// In an environment variable, or in `.env`.
    Variable {
        /// The variable's name.
        secret: String,
    },
    /// In a file that contains nothing else.
    File {
        /// The file's path.
        file: String,
    },
}

/// A webhook and the events that it receives.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertSettings {
    /// The events that it receives.
    #[schemars(length(min = 1))]
    pub on: Vec<AlertEvent>,
    /// The URL, or the secret that holds it: `https://…`, or `http://` on a loopback address. It receives a POST with JSON.
    pub url: AlertUrl,
    /// For `late`: seconds without a successful run after which the pipeline is late.
    #[schemars(range(min = 1))]
    pub late_after_seconds: Option<u32>,
    /// For `quality`: a query on the warehouse that returns one number.
    pub query: Option<String>,
    /// For `quality`: the largest number that is still acceptable.
    pub threshold: Option<f64>,
}

/// An event of which a webhook is notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertEvent {
    /// A run failed.
    Failure,
    /// A run succeeded after a failed one, or after the pipeline was late.
    Recovery,
    /// No run has succeeded for `late_after_seconds`.
    Late,
    /// After a run, `query` returned more than `threshold`.
    Quality,
}

/// The URL of a webhook.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AlertUrl {
    /// The URL itself.
    Plain(String),
    /// A URL that is a secret.
    Secret(SecretReference),
}

/// The number of requests allowed in a time window.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimitSettings {
    /// Requests per window.
    #[schemars(range(min = 1))]
    pub requests: u32,
    /// Length of the window in seconds.
    #[schemars(range(min = 1))]
    pub per_seconds: u32,
}

/// A source: a plugin with its grants and settings.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    /// A name in a plugins folder, or a path to a component.
    pub plugin: String,
    /// The source's name in the warehouse: its schemas are `raw_NAME` and `clean_NAME`. By default the plugin's name.
    pub name: Option<String>,
    /// SHA-256 of the component in hexadecimal. A component with another hash is refused.
    pub sha256: Option<String>,
    /// The streams to load. By default all streams, except those that a source loads only on request.
    pub streams: Option<Vec<String>>,
    /// Granted connections: the plugin's name for a connection = the pipeline's name for it.
    #[serde(default)]
    pub connections: BTreeMap<String, String>,
    /// Granted files: the plugin's name for a file = its path. An empty path grants nothing.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// The plugin's own settings. `host plugin inspect` shows their schema.
    #[serde(default)]
    pub config: serde_json::Map<String, serde_json::Value>,
}

impl SourceSettings {
    /// The source's name in the warehouse.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| stem(&self.plugin))
    }
}

/// A cleaning rule: a plugin with its streams, grants and settings.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSettings {
    /// A name in a plugins folder, or a path to a component.
    pub plugin: String,
    /// The rule's name in reports and in the journal. By default the plugin's name.
    pub name: Option<String>,
    /// SHA-256 of the component in hexadecimal. A component with another hash is refused.
    pub sha256: Option<String>,
    /// The streams that the rule cleans, each `source.stream`.
    #[schemars(length(min = 1), inner(regex(pattern = r"^[a-z0-9_]+\.[a-z0-9_]+$")))]
    pub streams: Vec<StreamName>,
    /// Granted files: the plugin's name for a file = its path.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Further streams that the rule reads, after they are cleaned: the plugin's name for an input = `source.stream`, or
    /// `source.stream.merges` for the pairs of its records that were merged.
    #[serde(default)]
    pub inputs: BTreeMap<String, InputName>,
    /// The plugin's own settings. `host plugin inspect` shows their schema.
    #[serde(default)]
    pub config: serde_json::Map<String, serde_json::Value>,
}

impl RuleSettings {
    /// The rule's name in reports.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| stem(&self.plugin))
    }
}

fn stem(plugin: &str) -> &str {
    std::path::Path::new(plugin).file_stem().and_then(|stem| stem.to_str()).unwrap_or(plugin)
}

/// A further input of a rule: `source.stream`, or `source.stream.merges`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct InputName {
    /// The stream.
    pub stream: StreamName,
    /// Whether the input is the stream's merges instead of its records.
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

/// SQL models and their variables.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    /// The folder of the models. Each folder in it is a schema.
    pub path: String,
    /// Values that models read from `_host.variables`.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Tables that the models, reports and alerts may read besides the models, the raw and clean tables of this pipeline's
    /// sources, and the journal: each as `schema.table`, or `schema.*` for all tables of a schema.
    #[serde(default)]
    pub reads: Vec<String>,
}
