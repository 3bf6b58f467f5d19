//! Where a stream's reading stands: the state that commits with its rows.

use std::collections::BTreeSet;

use plugin_sdk::prelude::*;

use super::ranges::Range;
use crate::time;

/// The version of the state that this plugin writes.
const VERSION: u32 = 1;

/// Where a stream's reading stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    version: u32,
    pub(super) phase: Phase,
    /// What every record was read with: `property:type`, and the streams read with it. Where more is asked for, the
    /// list is read anew, so that old records get what they lack.
    covers: BTreeSet<String>,
    /// When the last full reading began, in milliseconds since 1970.
    pub(super) swept: i64,
}

/// How it is read. Instants are milliseconds since 1970, by the server's clock.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// A full reading: the live records, in ranges of ids.
    List {
        /// What is left of the list.
        ranges: Vec<Range>,
        /// Whether it was cut into ranges.
        is_split: bool,
        /// When it began: what changed since is asked for afterwards.
        started: i64,
    },
    /// A full reading: the deleted records.
    Archived {
        /// The last id of the page before.
        after: Option<String>,
        /// Whether there is no further page.
        done: bool,
        /// When the full reading began.
        started: i64,
    },
    /// Records changed since an instant.
    Changes {
        /// That instant.
        from: i64,
        /// When they were asked for: the next run asks from here on.
        until: i64,
        /// Of those, records after this id.
        after: Option<String>,
        /// Whether there is no further page.
        done: bool,
    },
}

impl Phase {
    /// A full reading from its start.
    pub(super) fn list(started: i64) -> Self {
        Self::List { ranges: vec![Range::default()], is_split: false, started }
    }

    /// What changed from an instant (HubSpot answers a search from 1970 with 500) until now: to the end of the second
    /// that the server just told.
    pub(super) fn changes(from: i64, now: i64) -> Self {
        Self::Changes { from: from.max(1), until: now + 999, after: None, done: false }
    }
}

/// The version of a state, whatever else it holds.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl State {
    /// From the stored state, if it serves; else a full reading. Also says whether that begins now.
    pub(super) fn open(selection: &Selection, now: i64, covers: BTreeSet<String>) -> Result<(Self, bool)> {
        let anew = |covers| (Self { version: VERSION, phase: Phase::list(now), covers, swept: now }, true);
        let Some(Versioned { version }) = selection.state()? else { return Ok(anew(covers)) };
        if version > VERSION {
            let error = Error::config(format!(
                "the cursor of `{}` was written by a newer plugin (version {version}, this one knows {VERSION})",
                selection.stream
            ));
            return Err(error.hint("use that plugin, or read the stream anew with `--full-refresh`"));
        }
        let Some(stored) = selection.state::<Self>()?.filter(|stored| covers.is_subset(&stored.covers)) else {
            return Ok(anew(covers));
        };
        let since = selection.since.as_deref().map(time::parse).transpose()?;
        let phase = match stored.phase {
            // What was read of a window need not be read again.
            phase @ Phase::Changes { done: false, after: Some(_), .. } if since.is_none() => phase,
            Phase::Changes { from, .. } => {
                // A later instant than the cursor's must not skip what lies between.
                Phase::changes(since.map_or(from, |since| since.min(from)), now)
            }
            phase => phase,
        };
        Ok((Self { version: VERSION, phase, covers, swept: stored.swept }, false))
    }
}
