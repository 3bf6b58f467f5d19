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
