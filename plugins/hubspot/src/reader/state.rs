//! How far a stream was read: the state that is committed with its rows.

use std::collections::BTreeSet;

use plugin_sdk::prelude::*;

use super::ranges::IdRange;
use crate::time;

/// The version of the state that this plugin writes.
const VERSION: u32 = 1;

/// How far a stream was read. Warehouses store it as JSON: its field names must not change within one version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StreamState {
    version: u32,
    pub(super) phase: Phase,
    /// What every record was read with: its properties as `property:type`, and the links and histories. If more is
    /// wanted, everything is listed again, so that records read earlier get it too.
    covers: BTreeSet<String>,
    /// When the last full read started, in milliseconds since 1970.
    pub(super) swept: i64,
}

/// What is being read. Times are milliseconds since 1970, by HubSpot's clock.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// A full read: the list of records that are not deleted, in ranges of ids.
    List {
        /// The parts of the list that are left.
        ranges: Vec<IdRange>,
        /// Whether the list was split into ranges.
        is_split: bool,
        /// When the full read started. Changes since then are read afterwards.
        started: i64,
    },
    /// A full read: the list of deleted records.
    Archived {
        /// The cursor of the next page.
        after: Option<String>,
        /// Whether there is no further page.
        done: bool,
        /// When the full read started.
        started: i64,
    },
    /// A search for changed records.
    Changes {
        /// The search finds records that changed from this time on.
        from: i64,
        /// When the search started. The next run searches from here.
        until: i64,
        /// The search continues after this id.
        after: Option<String>,
        /// Whether there is no further page.
        done: bool,
    },
}

impl Phase {
    /// The start of a full read.
    pub(super) fn list(started: i64) -> Self {
        Self::List { ranges: vec![IdRange::default()], is_split: false, started }
    }

    /// The start of a search for changes from a time until now. HubSpot answers a search from 0 with status 500, and its
    /// clock has whole seconds: `until` is the end of the current one.
    pub(super) fn changes(from: i64, now: i64) -> Self {
        Self::Changes { from: from.max(1), until: now + 999, after: None, done: false }
    }
}

/// The version of a state, read before everything else.
#[derive(Deserialize)]
struct StateVersion {
    version: u32,
}

impl StreamState {
    /// Continues from the stored state, or starts a full read if there is none or it covers too little. The second value
    /// is whether a full read starts.
    pub(super) fn open(selection: &Selection, now: i64, covers: BTreeSet<String>) -> Result<(Self, bool)> {
        let full_read = |covers| (Self { version: VERSION, phase: Phase::list(now), covers, swept: now }, true);
        let Some(StateVersion { version }) = selection.state()? else { return Ok(full_read(covers)) };
        if version > VERSION {
            let error = Error::config(format!(
                "the stored cursor was written by a newer version of the plugin (cursor version {version}, this plugin \
                 reads {VERSION})"
            ));
            return Err(
                error.hint("use that version of the plugin, or read the stream from the start with `--full-refresh`")
            );
        }
        let Some(stored) = selection.state::<Self>()?.filter(|stored| covers.is_subset(&stored.covers)) else {
            return Ok(full_read(covers));
        };
        let since = selection.since.as_deref().map(time::parse_rfc3339).transpose()?;
        let phase = match stored.phase {
            // A search that was interrupted continues after the last committed page.
            phase @ Phase::Changes { done: false, after: Some(_), .. } if since.is_none() => phase,
            Phase::Changes { from, .. } => {
                // A `since` later than the cursor must not skip the changes between them.
                Phase::changes(since.map_or(from, |since| since.min(from)), now)
            }
            phase => phase,
        };
        Ok((Self { version: VERSION, phase, covers, swept: stored.swept }, false))
    }
}
