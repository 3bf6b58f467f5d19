//! The keys of the TOML file beside a model. Editors and the reference show these doc comments.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The file `name.toml` beside `name.sql` or `name.csv`: what SQL cannot express of a model, a seed or a check. Every
/// key is optional.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// What one row is, and what the model is for. Pages and `host models` show it.
    pub description: Option<String>,
    /// How the model is stored. By default models in the folder `staging` are views and all others are tables.
    pub materialized: Option<Materialization>,
    /// Tags for selecting models, as in `--select tag:finance`.
    pub tags: Vec<String>,
    /// Tables that the model depends on although its query does not name them, each `schema.name`.
    pub depends_on: Vec<String>,
    /// Whether the query must return exactly the columns listed under `[[column]]`, with these names and types.
    pub contract: bool,
    /// Only in the file of a check: whether rows that it returns fail the build or only warn.
    pub severity: Option<Severity>,
    /// How an incremental model is updated. Required for `materialized = "incremental"`.
    pub incremental: Option<IncrementalConfig>,
    /// How a snapshot keeps versions of rows. Required for `materialized = "snapshot"`. It adds the columns
    /// `valid_from` and `valid_to`; NULL in `valid_to` marks the current version.
    pub snapshot: Option<SnapshotConfig>,
    /// The columns: their meaning and their tests.
    pub column: Vec<ColumnConfig>,
    /// Tests on the model's rows: queries that must return no rows.
    pub test: Vec<TestConfig>,
    /// Unit tests: the model's query on fixture rows. They run before anything is built.
    pub unit_test: Vec<UnitTestConfig>,
    /// Drills: queries for the rows behind the model's figures.
    pub drill: Vec<DrillConfig>,
}

/// How a model is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Materialization {
    /// A view: the query runs whenever the model is read.
    View,
    /// A table, computed in full in each build.
    Table,
    /// A table to which a build adds only new and changed rows.
    Incremental,
    /// A table with every version that its rows ever had.
    Snapshot,
}

/// What a failed test does to the build.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The build fails and nothing is published.
    #[default]
    Error,
    /// The build continues with a warning.
    Warn,
}

/// How an incremental model is updated.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncrementalConfig {
    /// What happens to the rows that the table already has.
    pub strategy: Strategy,
    /// For `merge`: the columns that identify a row. For `delete_insert`: the columns whose rows are replaced together.
    #[serde(default)]
    pub key: Vec<String>,
    /// A column of the query whose values grow: rows above its greatest value so far are new. Required for `append`. By
    /// default all rows are new, and for `time_window` those of the last window.
    pub cursor: Option<String>,
    /// For `time_window`: the date or timestamp column that assigns a row to a window.
    pub time_column: Option<String>,
    /// For `time_window`: the length of a window.
    pub window: Option<Window>,
    /// For `time_window`: how many further windows are rebuilt, before the window of the first new row.
    #[serde(default)]
    pub lookback: u32,
}

/// What happens to the rows that an incremental model already has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// They stay. New rows are added.
    Append,
    /// All rows with the key of a new row are replaced by the rows that the query now has for that key.
    DeleteInsert,
    /// A new row replaces the row with the same key.
    Merge,
    /// All windows from that of the first new row on are rebuilt.
    TimeWindow,
}

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// A day.
    Day,
    /// A week, starting on Monday.
    Week,
    /// A calendar month.
    Month,
    /// A calendar year.
    Year,
}

/// How a snapshot keeps versions.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotConfig {
    /// The columns that identify a row.
    #[schemars(length(min = 1))]
    pub key: Vec<String>,
    /// The columns in which a change starts a new version. By default all columns except the key and `updated_at`.
    #[serde(default)]
    pub compare: Vec<String>,
    /// The column with the time at which a version starts. By default the time of the build.
    pub updated_at: Option<String>,
    /// Columns that hold the key of a stream's record, each with that stream, such as `hubspot.contacts`. `host forget`
    /// deletes the versions of a forgotten record by them.
    #[serde(default)]
    pub records: BTreeMap<String, String>,
}

/// The meaning and the tests of a column.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnConfig {
    /// The column's name.
    pub name: String,
    /// The SQL type, such as `DECIMAL(18,2)`. A contract requires it, and a seed's texts are cast to it.
    #[serde(rename = "type")]
    pub data_type: Option<String>,
    /// What the column means.
    pub description: Option<String>,
    /// The publication that defines the formula, such as `Skok 2010`.
    pub formula_source: Option<String>,
    /// Whether NULL is a failure.
    #[serde(default)]
    pub not_null: bool,
    /// Whether a value that occurs twice is a failure.
    #[serde(default)]
    pub unique: bool,
    /// The only values that may occur, as text.
    #[serde(default)]
    pub accepted_values: Vec<serde_json::Value>,
    /// A column that must contain every value of this one: `schema.table.column`.
    pub references: Option<String>,
    /// Whether the column's tests fail the build or only warn.
    #[serde(default)]
    pub severity: Severity,
}

/// A query that must return no rows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestConfig {
    /// The test's name.
    pub name: String,
    /// What the test ensures.
    pub description: Option<String>,
    /// The query. Every row that it returns is a failure.
    pub sql: String,
    /// Whether rows fail the build or only warn.
    #[serde(default)]
    pub severity: Severity,
}

/// Rows with their values by column.
pub(super) type Fixture = Vec<serde_json::Map<String, serde_json::Value>>;

/// A unit test: the model's query on fixture rows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitTestConfig {
    /// The unit test's name.
    pub name: String,
    /// What the test shows.
    pub description: Option<String>,
    /// Values of variables for this test. They replace the pipeline's.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// The fixture rows by `schema.table`. An omitted column is NULL, an omitted table is empty.
    #[serde(default)]
    pub given: BTreeMap<String, Fixture>,
    /// The rows that the query must return, in any order. Only columns that some row names are compared. A row that
    /// omits one of them expects NULL.
    pub expect: Fixture,
}

/// A drill: a query for the rows behind a mart's figures.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrillConfig {
    /// The drill's name.
    pub name: String,
    /// What the rows are.
    pub description: Option<String>,
    /// The columns, in the mart and in the drill, that match rows of the drill to rows of the mart.
    #[schemars(length(min = 1))]
    pub key: Vec<String>,
    /// The column of the drill that holds the id of a source's record.
    pub record: Option<String>,
    /// The stream of that record, `source.stream`. With it, the rules that changed the record are shown.
    pub stream: Option<String>,
    /// Columns of the mart that must equal an aggregate of the drill's rows for each key, such as `size = "count(*)"`.
    /// Each build tests them.
    #[serde(default)]
    pub agrees: BTreeMap<String, String>,
    /// The query.
    pub sql: String,
}

/// Returns the JSON Schema of the TOML file beside a model. Editors use it, and files are checked against it.
#[must_use]
pub fn schema() -> serde_json::Value {
    let generator = schemars::generate::SchemaSettings::draft07().into_generator();
    generator.into_root_schema_for::<ModelConfig>().to_value()
}
