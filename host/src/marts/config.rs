//! The shape of the TOML file beside a model, key by key. The doc comments are what editors show.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What SQL cannot say of a model, a seed or a check: `name.toml` beside `name.sql` or `name.csv`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What a row is, and what it is for.
    pub description: Option<String>,
    /// How the query is kept; views in `staging`, tables elsewhere unless given.
    pub materialized: Option<Kept>,
    /// Words to select models by: `--select tag:finance`.
    pub tags: Vec<String>,
    /// Tables that it needs and that its query does not show, each `schema.name`.
    pub depends_on: Vec<String>,
    /// Whether the query's columns must be exactly those below, in name and type.
    pub contract: bool,
    /// Of a check: whether rows that it returns fail the build or only warn.
    pub severity: Option<Severity>,
    /// How an incremental model grows.
    pub incremental: Option<Incremental>,
    /// How a snapshot keeps versions of rows (SCD2), in `valid_from` and `valid_to` (NULL: now).
    pub snapshot: Option<Snapshot>,
    /// Columns: what they mean and what must hold of them.
    pub column: Vec<Column>,
    /// Queries that must return no rows.
    pub test: Vec<Test>,
    /// The query on fixture rows.
    pub unit_test: Vec<UnitTest>,
    /// Queries for the rows behind the model's figures.
    pub drill: Vec<Drill>,
}

/// How a query is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// As a query.
    View,
    /// As its rows, computed whole.
    Table,
    /// As its rows, of which only new and changed ones are computed.
    Incremental,
    /// As all versions that its rows ever had.
    Snapshot,
}

/// Whether what does not hold fails the build.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The build fails and nothing is published.
    #[default]
    Error,
    /// The build warns.
    Warn,
}

/// How an incremental model grows.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Incremental {
    /// What happens to rows that are there.
    pub strategy: Strategy,
    /// Of `merge`: the columns that identify a row. Of `delete_insert`: those whose rows are replaced together.
    #[serde(default)]
    pub key: Vec<String>,
    /// A column of the query that grows: only rows after its greatest value so far are new.
    pub cursor: Option<String>,
    /// Of `time_window`: the column that says to which window a row belongs.
    pub time_column: Option<String>,
    /// Of `time_window`: how long a window is.
    pub window: Option<Window>,
    /// Of `time_window`: how many windows before the first new row's are rebuilt too.
    #[serde(default)]
    pub lookback: u32,
}

/// What happens to rows of an incremental model that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// They stay; rows after the cursor are added.
    Append,
    /// Those of a new row's key go, and all rows of that key come anew.
    DeleteInsert,
    /// A new row takes the place of the one of its key.
    Merge,
    /// Windows from the first new row's on are rebuilt whole.
    TimeWindow,
}

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// A day.
    Day,
    /// A week, from Monday.
    Week,
    /// A calendar month.
    Month,
    /// A calendar year.
    Year,
}

/// How a snapshot keeps versions.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The columns that identify a row.
    #[schemars(length(min = 1))]
    pub key: Vec<String>,
    /// The columns whose change makes a version; all but the key and `updated_at` where left out.
    #[serde(default)]
    pub compare: Vec<String>,
    /// The column that says when a version began; the time of the build where left out.
    pub updated_at: Option<String>,
    /// Columns that hold the key of a stream's record, each with that stream, such as `hubspot.contacts`: versions of a
    /// record that is forgotten go.
    #[serde(default)]
    pub records: BTreeMap<String, String>,
}

/// A column.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its SQL type: held to where the model has a contract, and what a seed's text is cast to.
    #[serde(rename = "type")]
    pub data_type: Option<String>,
    /// What it means.
    pub description: Option<String>,
    /// Who defines the formula.
    pub formula_source: Option<String>,
    /// Whether NULL fails.
    #[serde(default)]
    pub not_null: bool,
    /// Whether a value that is there twice fails.
    #[serde(default)]
    pub unique: bool,
    /// The only values that may be, as text.
    #[serde(default)]
    pub accepted_values: Vec<serde_json::Value>,
    /// The column that must have its values: `schema.table.column`.
    pub references: Option<String>,
    /// Whether its tests fail the build or only warn.
    #[serde(default)]
    pub severity: Severity,
}

/// A query that must return no rows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// Its name.
    pub name: String,
    /// What it makes sure of.
    pub description: Option<String>,
    /// The query.
    pub sql: String,
    /// Whether rows fail the build or only warn.
    #[serde(default)]
    pub severity: Severity,
}

/// Rows by column.
pub(super) type Fixture = Vec<serde_json::Map<String, serde_json::Value>>;

/// The model's query on fixture rows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitTest {
    /// Its name.
    pub name: String,
    /// What it shows.
    pub description: Option<String>,
    /// Values of variables, in place of the pipeline's.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Rows by `schema.table`. A column that is left out is NULL; a table that is left out is empty.
    #[serde(default)]
    pub given: BTreeMap<String, Fixture>,
    /// The rows that must come, in any order. Only the columns that one of them names are compared; where another leaves
    /// such a column out, it is NULL.
    pub expect: Fixture,
}

/// A query for the rows behind a mart's figures.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// Its name.
    pub name: String,
    /// What its rows are.
    pub description: Option<String>,
    /// Columns of both the mart and the drill that say which rows belong to which.
    #[schemars(length(min = 1))]
    pub key: Vec<String>,
    /// The column of the drill with a source record's id.
    pub record: Option<String>,
    /// The stream of that record, `source.stream`.
    pub stream: Option<String>,
    /// A column of the mart = an aggregate of the drill's rows, for each key.
    #[serde(default)]
    pub agrees: BTreeMap<String, String>,
    /// The query.
    pub sql: String,
}

/// The JSON Schema of a file beside a model, for editors and for the check itself.
#[must_use]
pub fn schema() -> serde_json::Value {
    let generator = schemars::generate::SchemaSettings::draft07().into_generator();
    generator.into_root_schema_for::<Config>().to_value()
}
