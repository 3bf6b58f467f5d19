//! Grants: what the pipeline lets one plugin use.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::http::{Connection, RetryableResponses};

/// What the pipeline grants one plugin, by the plugin's own names.
#[derive(Clone, Default)]
pub struct Grants {
    /// Connections.
    pub connections: BTreeMap<String, Connection>,
    /// Files.
    pub files: BTreeMap<String, PathBuf>,
    /// Which responses are retried.
    pub retry: RetryableResponses,
}

impl Grants {
    /// A text of the plugin without the secrets of its connections, which responses may contain.
    pub(super) fn redact(&self, text: &str) -> String {
        self.connections.values().fold(text.to_owned(), |text, connection| connection.redact(&text))
    }
}
