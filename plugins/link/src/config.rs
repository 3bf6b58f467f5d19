//! The pipeline's `config` of the rule, and the names of its inputs.

use plugin_sdk::prelude::*;

/// The existing links from records to targets.
pub(crate) const LINKS: &str = "links";
/// Links from records to related records, such as from deals to contacts.
pub(crate) const NEAR: &str = "near";
/// Links from related records to targets, such as from contacts to companies.
pub(crate) const FAR: &str = "far";
/// The targets, with the texts by which records mention them.
pub(crate) const TARGETS: &str = "targets";
/// Which targets were merged into which.
pub(crate) const TARGET_MERGES: &str = "target_merges";
/// Which related records were merged into which.
pub(crate) const NEAR_MERGES: &str = "near_merges";

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Config {
    /// The text column that the rule adds: the target of a record without a link.
    #[serde(default = "column")]
    pub(crate) column: String,
    /// Only consider targets that the record mentions.
    pub(crate) mentions: Option<Mentions>,
}

fn column() -> String {
    "linked_to".to_owned()
}

/// Where a record mentions its target.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mentions {
    /// The text column of the record that mentions a target.
    pub(crate) column: String,
    /// The column of the target with the text that records mention.
    pub(crate) target: String,
}
