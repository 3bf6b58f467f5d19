//! The pipeline's `config` of the rule: when two records are duplicates, which one survives, and what it takes over.

use std::collections::BTreeMap;

use plugin_sdk::prelude::*;

use crate::form::Form;

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Config {
    /// The conditions under which two records are duplicates; one of them is enough.
    #[schemars(length(min = 1))]
    pub(crate) matches: Vec<Match>,
    /// Which record of a group survives: the first by these orders, and at last by the lowest primary key.
    #[serde(default)]
    pub(crate) survivor: Vec<SurvivorOrder>,
    /// The columns in which the survivor takes the first value of the other records if it has none.
    #[serde(default)]
    pub(crate) fill: Vec<String>,
    /// A larger group is not merged, but reported: a value that so many records share is probably a placeholder.
    #[serde(default = "largest_group")]
    #[schemars(range(min = 2, max = 1000))]
    pub(crate) largest_group: usize,
}

fn largest_group() -> usize {
    20
}

/// Conditions under which two records are duplicates. All of them must be met.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Match {
    /// The name in the journal; by default the names of the columns in `same`.
    pub(crate) name: Option<String>,
    /// The columns with equal values in both records, after normalization. Blank values are not equal.
    #[schemars(length(min = 1))]
    pub(crate) same: BTreeMap<String, Form>,
    /// The columns with equal or almost equal values in both records. Blank values are not equal.
    #[serde(default)]
    pub(crate) similar: BTreeMap<String, Form>,
    /// The columns that are similar, or blank in at least one of the two records.
    #[serde(default)]
    pub(crate) agree: BTreeMap<String, Form>,
}

/// An order by which the survivor of a group is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SurvivorOrder {
    /// The record with the most values in the compared columns.
    MostComplete,
    /// The record with the latest value of this column of timestamps, dates or integers.
    Newest(String),
    /// The record with the earliest value of this column of timestamps, dates or integers.
    Oldest(String),
    /// A record in which this boolean column, such as `archived`, is not true.
    Unless(String),
}
