//! What a recovery compares: the runs, erasures and versions of snapshots that a damaged write-ahead log held, and those that
//! are in the warehouse without it.

use std::collections::BTreeMap;

use host_core::error::Result;
use host_warehouse::{Table, Warehouse};

use crate::models;
use crate::runs::{self, RunFilter, RunSummary};

/// What a warehouse holds that nothing can load again.
#[derive(Debug, Default)]
pub struct Irreplaceable {
    /// The runs, newest first.
    runs: Vec<RunSummary>,
    forgotten: Vec<ForgottenKey>,
    gone_links: Vec<GoneLink>,
    /// The number of versions of each snapshot, `schema.name`.
    snapshots: BTreeMap<String, u64>,
}

#[derive(Debug, PartialEq, Eq, serde::Deserialize)]
struct ForgottenKey {
    stream: String,
    key_sha256: String,
    /// As DuckDB writes instants.
    forgotten_at: String,
}

#[derive(Debug, PartialEq, Eq, serde::Deserialize)]
struct GoneLink {
    stream: String,
    key_sha256: String,
    linked_stream: String,
    linked_sha256: String,
}

/// What a log held that the warehouse without it does not.
#[derive(Debug, Default, serde::Serialize)]
pub struct Lost {
    /// Runs whose start or end is lost, newest first.
    pub runs: Vec<RunSummary>,
    /// Records that were forgotten. They are forgotten again.
    pub erasures: u64,
    /// Versions of snapshots, by `schema.name`.
    pub snapshots: BTreeMap<String, u64>,
}

impl Irreplaceable {
    /// Reads all of it.
    ///
    /// # Errors
    /// Same as [`Warehouse::query_as`]; a warehouse of an earlier version, whose tables are other ones.
    pub fn read(warehouse: &Warehouse) -> Result<Self> {
        let mut snapshots = BTreeMap::new();
        for (name, _) in
            models::published(warehouse)?.iter().filter(|(_, model)| model.kind.as_deref() == Some("snapshot"))
        {
            let (schema, table) = name.split_once('.').unwrap_or(("", name));
            let versions = warehouse.count(&format!("SELECT count(*) FROM {}", Table::new(schema, table)), ())?;
            snapshots.insert(name.clone(), versions);
        }
        Ok(Self {
            runs: runs::list(warehouse, &RunFilter::default(), u32::MAX)?,
            forgotten: warehouse.query_as(
                "SELECT stream, key_sha256, forgotten_at::VARCHAR AS forgotten_at FROM _host.forgotten",
                (),
            )?,
            gone_links: warehouse
                .query_as("SELECT stream, key_sha256, linked_stream, linked_sha256 FROM _host.gone_links", ())?,
            snapshots,
        })
    }

    /// The id of the last run. None before the first.
    #[must_use]
    pub fn last_run(&self) -> Option<&RunSummary> {
        self.runs.first()
    }

    /// The names of the snapshots, `schema.name`.
    pub fn snapshots(&self) -> impl Iterator<Item = &str> {
        self.snapshots.keys().map(String::as_str)
    }

    /// What is in this warehouse and not in `other`.
    #[must_use]
    pub fn missing_in(&self, other: &Self) -> Lost {
        let is_lost =
            |run: &&RunSummary| !other.runs.iter().any(|kept| kept.run == run.run && kept.status == run.status);
        let forgotten = self.forgotten.iter().filter(|key| !other.forgotten.contains(key));
        let snapshots = self.snapshots.iter().filter_map(|(name, versions)| {
            let kept = other.snapshots.get(name).copied().unwrap_or_default();
            Some((name.clone(), versions.checked_sub(kept).filter(|lost| *lost > 0)?))
        });
        Lost {
            runs: self.runs.iter().filter(is_lost).cloned().collect(),
            erasures: forgotten.count() as u64,
            snapshots: snapshots.collect(),
        }
    }

    /// Records its forgotten records and gone links in a warehouse, unless they are there.
    ///
    /// # Errors
    /// Same as [`Warehouse::execute`].
    pub fn restore_forgotten(&self, warehouse: &Warehouse) -> Result<()> {
        let sql = "INSERT INTO _host.forgotten SELECT ?1, ?2, ?3::TIMESTAMPTZ WHERE NOT EXISTS \
                   (SELECT 1 FROM _host.forgotten WHERE stream = ?1 AND key_sha256 = ?2)";
        for ForgottenKey { stream, key_sha256, forgotten_at } in &self.forgotten {
            warehouse.change(sql, [stream, key_sha256, forgotten_at])?;
        }
        let sql = "INSERT INTO _host.gone_links SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM _host.gone_links \
                   WHERE stream = ?1 AND key_sha256 = ?2 AND linked_stream = ?3 AND linked_sha256 = ?4)";
        for GoneLink { stream, key_sha256, linked_stream, linked_sha256 } in &self.gone_links {
            warehouse.change(sql, [stream, key_sha256, linked_stream, linked_sha256])?;
        }
        Ok(())
    }
}
