//! The shape of `sql/dashboard.toml`, key by key. The doc comments are what editors show.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text by language: `en`, `pt`.
pub(super) type Words = BTreeMap<String, String>;

/// The first page of `host serve`: filters, and sections of figures and charts.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// What the page is called.
    pub title: Words,
    /// What the page can be narrowed by. Queries read the choice from `filter`, a table of one row.
    #[serde(default)]
    pub filter: Vec<Filter>,
    /// Queries under a name, for items and later views to read.
    #[serde(default)]
    pub view: Vec<View>,
    /// Figures and charts, in the order of the page.
    #[schemars(length(min = 1))]
    pub section: Vec<Section>,
}

/// How much of a filter is chosen at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum FilterKind {
    /// One value: `filter.NAME`.
    One,
    /// A list: `filter.NAME`.
    Many,
    /// From one month to another: `filter.NAME_from` and `filter.NAME_to`, the months' first days.
    Period,
}

/// What the page can be narrowed by; NULL where nothing is chosen.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Its name: the column of `filter`, and its place in the address.
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]*$"))]
    pub name: String,
    /// How much is chosen at once.
    pub kind: FilterKind,
    /// What it is called.
    pub label: Words,
    /// Of `one` and `many`: the SQL type of a value.
    #[serde(rename = "type", default = "text")]
    #[schemars(regex(pattern = "^(VARCHAR|INTEGER|BIGINT|DATE|BOOLEAN)$"))]
    pub data_type: String,
    /// A query for the values that may be chosen, one a row.
    pub values: String,
    /// Of `one`: what is chosen where the address says nothing.
    pub default: Option<String>,
}

fn text() -> String {
    "VARCHAR".to_owned()
}

/// A query under a name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct View {
    /// Its name.
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]*$"))]
    pub name: String,
    /// The model whose rows they are, `schema.name`, where the rows behind a figure are asked for.
    pub mart: Option<String>,
    /// The query.
    pub sql: String,
}

/// Figures and charts under a heading.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Section {
    /// The heading.
    pub label: Words,
    /// What is under it.
    #[schemars(length(min = 1))]
    pub item: Vec<Item>,
}

/// How an item is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ItemKind {
    /// A number: the first row's `value`; `status` says why there is none.
    Figure,
    /// Bars, a group a value of `x`.
    Bar,
    /// Lines over `x`.
    Line,
    /// Many lines over `x` whose order tells their age.
    Curves,
    /// Its rows alone.
    Table,
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    /// Two decimals.
    Ratio,
    /// In the pipeline's currency.
    Money,
    /// Of a share from 0 to 1.
    Percent,
    /// Whole.
    Integer,
    /// Whole months.
    Months,
    /// As it is.
    Decimal,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Good {
    /// More.
    Up,
    /// Less.
    Down,
}

/// A figure or a chart.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Item {
    /// How it is drawn.
    pub kind: ItemKind,
    /// Its name.
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]*$"))]
    pub name: String,
    /// What it is called.
    pub label: Words,
    /// What it shows, and of what.
    #[serde(default)]
    pub description: Words,
    /// How its numbers are written.
    pub format: Option<Format>,
    /// The same for single columns.
    #[serde(default)]
    pub formats: BTreeMap<String, Format>,
    /// What columns are called.
    #[serde(default)]
    pub labels: BTreeMap<String, Words>,
    /// Of a figure: which way is better.
    pub good: Option<Good>,
    /// Of a chart: the column of its categories.
    pub x: Option<String>,
    /// Of a chart: the columns that are drawn.
    #[serde(default)]
    pub y: Vec<String>,
    /// Of a chart: the column whose every value is a line.
    pub series: Option<String>,
    /// Filters that do not narrow it: those that its own marks set.
    #[serde(default)]
    pub without: Vec<String>,
    /// Column → the filter that a click on its mark sets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub filter_on_click: BTreeMap<String, String>,
    /// Views whose marts' drills say what is behind it.
    #[serde(default)]
    pub behind: Vec<String>,
    /// Columns, of the item and of those views, that narrow what is behind it to a row.
    #[serde(default)]
    pub drill_key: Vec<String>,
    /// The query.
    #[serde(skip_serializing)]
    pub sql: String,
    /// Of a figure: a query for its past, a month and `value`.
    #[serde(skip_serializing)]
    pub trend: Option<String>,
}

/// The JSON Schema of the file, for editors and for the check itself.
#[must_use]
pub fn schema() -> serde_json::Value {
    let generator = schemars::generate::SchemaSettings::draft07().into_generator();
    generator.into_root_schema_for::<File>().to_value()
}
