//! Settings of the rule, and the inputs that it reads.

use plugin_sdk::prelude::*;

/// The links that there are: which record leads to which target.
pub(crate) const LINKS: &str = "links";
/// Which record leads to which third one, such as a deal to its contact.
pub(crate) const NEAR: &str = "near";
/// Which third one leads to which target, such as a contact to its company.
pub(crate) const FAR: &str = "far";
/// The targets, for what records mention of them.
pub(crate) const TARGETS: &str = "targets";
/// Which targets merged into which.
pub(crate) const TARGET_MERGES: &str = "target_merges";
/// Which third ones merged into which.
pub(crate) const NEAR_MERGES: &str = "near_merges";

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Config {
    /// The text column that the rule adds: the target of a record that had none, by the evidence.
    #[serde(default = "column")]
    pub(crate) column: String,
    /// Of several targets only those count that the record mentions.
    pub(crate) mentions: Option<Mentions>,
}

fn column() -> String {
    "linked_to".to_owned()
}

/// Where a record mentions its target.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mentions {
    /// A text column of the record …
    pub(crate) column: String,
    /// … that holds what this column of the target says.
    pub(crate) target: String,
}
