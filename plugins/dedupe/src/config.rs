//! Settings of the rule: by what two records are one, who survives, what the survivor takes over.

use std::collections::BTreeMap;

use plugin_sdk::prelude::*;

use crate::normal::Kind;

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Config {
    /// Ways in which two records are one; any of them is enough.
    #[schemars(length(min = 1))]
    pub(crate) matches: Vec<Match>,
    /// Who survives of a group: the first of these that tells, then the lowest primary key.
    #[serde(default)]
    pub(crate) survivor: Vec<Order>,
    /// Columns in which the survivor takes the first value of the others, in their order, where it has none.
    #[serde(default)]
    pub(crate) fill: Vec<String>,
    /// A larger group is reported, not merged: so many records with one e-mail are rather a placeholder.
    #[serde(default = "largest_group")]
    #[schemars(range(min = 2, max = 1000))]
    pub(crate) largest_group: usize,
}

fn largest_group() -> usize {
    20
}

/// One way in which two records are one: all of its conditions hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Match {
    /// How the journal names it; the names of `same` by default.
    pub(crate) name: Option<String>,
    /// Columns that are the same in both, once brought to one form. A blank is like nothing.
    #[schemars(length(min = 1))]
    pub(crate) same: BTreeMap<String, Kind>,
    /// Columns that are the same or a slip of the pen apart. A blank is like nothing.
    #[serde(default)]
    pub(crate) similar: BTreeMap<String, Kind>,
    /// Columns that are similar, or blank in one of the two: what is there must not speak against it.
    #[serde(default)]
    pub(crate) agree: BTreeMap<String, Kind>,
}

/// By what a survivor is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// The record with the most values in the columns that the rule reads.
    MostComplete,
    /// The record with the latest value of this column: an instant, a date or a whole number.
    Newest(String),
    /// The record with the earliest value of this column.
    Oldest(String),
    /// A record of which this boolean column is not true, before one of which it is: `archived`.
    Unless(String),
}
