//! The keys of `dashboard.toml`. Editors and the reference show these doc comments.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text by language, `en` or `pt`.
pub(super) type LocalizedText = BTreeMap<String, String>;

/// The first page of `host serve`: filters, and sections of figures and charts.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DashboardFile {
    /// The page's title by language, such as `{ en = "Growth", pt = "Crescimento" }`.
    pub title: LocalizedText,
    /// The filters. Queries read the selected values from `filter`, a table with one row.
    #[serde(default)]
    pub filter: Vec<Filter>,
    /// Named queries that items and later views can read.
    #[serde(default)]
    pub view: Vec<DashboardView>,
    /// Sections of figures and charts, in the order of the page.
    #[schemars(length(min = 1))]
    pub section: Vec<Section>,
}

/// How many values of a filter can be selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum FilterKind {
    /// One value, the column `filter.NAME`.
    One,
    /// Several values, a list in the column `filter.NAME`.
    Many,
    /// A range of months. The columns `filter.NAME_from` and `filter.NAME_to` are the first days of its months.
    Period,
}

/// A filter of the page. Its columns are NULL if nothing is selected.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// The filter's name: its column in `filter` and its parameter in the page's address.
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]*$"))]
    pub name: String,
    /// How many values can be selected.
    pub kind: FilterKind,
    /// The label by language.
    pub label: LocalizedText,
    /// For `one` and `many`: the SQL type of a value.
    #[serde(rename = "type", default = "default_type")]
    #[schemars(regex(pattern = "^(VARCHAR|INTEGER|BIGINT|DATE|BOOLEAN)$"))]
    pub data_type: String,
    /// A query for the values that can be selected, one in each row.
    pub values: String,
    /// For `one`: the value that is selected if the address has none.
    pub default: Option<String>,
}

fn default_type() -> String {
    "VARCHAR".to_owned()
}

/// A named query.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DashboardView {
    /// The view's name.
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]*$"))]
    pub name: String,
    /// The mart, `schema.name`, whose drills list the records behind items of this view.
    pub mart: Option<String>,
    /// The query. It can read the filters, earlier views and models.
    pub sql: String,
}

/// Figures and charts under a heading.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Section {
    /// The heading by language.
    pub label: LocalizedText,
    /// The figures and charts of the section.
    #[schemars(length(min = 1))]
    pub item: Vec<Item>,
}

/// How an item is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ItemKind {
    /// One number: the column `value` of the first row. If it may be missing, the column `status` gives the reason.
    Figure,
    /// A bar chart with one group of bars for each value of `x`.
    Bar,
    /// A line chart over `x`.
    Line,
    /// A line chart with many lines over `x`. The color of a line shows its place in the order of `series`, such as the
    /// age of a cohort.
    Curves,
    /// A table of the rows, without a chart.
    Table,
}

/// The format of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum NumberFormat {
    /// A number with two decimals.
    Ratio,
    /// An amount in the pipeline's currency.
    Money,
    /// A percentage. The value is a share from 0 to 1.
    Percent,
    /// A whole number.
    Integer,
    /// A whole number of months.
    Months,
    /// A decimal number with all of its digits.
    Decimal,
}

/// The direction in which a figure gets better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Direction {
    /// A higher value is better.
    Up,
    /// A lower value is better.
    Down,
}

/// A figure or a chart.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Item {
    /// How the item is drawn.
    pub kind: ItemKind,
    /// The item's name.
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]*$"))]
    pub name: String,
    /// The label by language.
    pub label: LocalizedText,
    /// A sentence that explains the item, by language.
    #[serde(default)]
    pub description: LocalizedText,
    /// The format of the item's numbers.
    pub format: Option<NumberFormat>,
    /// The format of single columns, which replaces `format`.
    #[serde(default)]
    pub formats: BTreeMap<String, NumberFormat>,
    /// The labels of columns, by language.
    #[serde(default)]
    pub labels: BTreeMap<String, LocalizedText>,
    /// For a figure: the direction in which it gets better.
    pub good: Option<Direction>,
    /// For a chart: the column of the horizontal axis.
    pub x: Option<String>,
    /// For a chart: the columns that are drawn. Other columns appear in the item's table and CSV file.
    #[serde(default)]
    pub y: Vec<String>,
    /// For a chart: the column that splits the rows into lines, one for each of its values.
    pub series: Option<String>,
    /// Filters that do not apply to this item, usually those that a click on it sets.
    #[serde(default)]
    pub without: Vec<String>,
    /// For each column, the filter that a click on its mark sets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub filter_on_click: BTreeMap<String, String>,
    /// Views whose marts' drills list the records behind the item.
    #[serde(default)]
    pub behind: Vec<String>,
    /// Columns, in the item and in those views, that limit the drills to one row of the item.
    #[serde(default)]
    pub drill_key: Vec<String>,
    /// The query.
    #[serde(skip_serializing)]
    pub sql: String,
    /// For a figure: a query for its past, one row for each month with the column `value`.
    #[serde(skip_serializing)]
    pub trend: Option<String>,
}

/// Returns the JSON Schema of `dashboard.toml`. Editors use it, and the file is checked against it.
#[must_use]
pub fn schema() -> serde_json::Value {
    let generator = schemars::generate::SchemaSettings::draft07().into_generator();
    generator.into_root_schema_for::<DashboardFile>().to_value()
}
