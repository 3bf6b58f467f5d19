//! Sweeps: the keys that a full read has seen so far, committed with its checkpoints. At its end, records that it did not see
//! are gone, even if the process crashed in between.

use host_core::error::Result;
use host_warehouse::{Table, Warehouse};

use crate::StreamTable;

/// The keys of one stream that its sweep has seen.
pub struct SeenKeys<'a> {
    warehouse: &'a Warehouse,
    table: Table,
}

impl<'a> SeenKeys<'a> {
    /// The seen keys of a stream; empty if no sweep is active.
    #[must_use]
    pub fn of(warehouse: &'a Warehouse, source: &str, stream: &str) -> Self {
        Self { warehouse, table: StreamTable::Seen.of(source, stream) }
    }

    /// Starts a sweep and discards the keys that an earlier one saw.
    ///
    /// # Errors
    /// Same as [`Warehouse::execute`].
    pub fn begin(&self) -> Result<()> {
        self.warehouse.execute(&format!("DELETE FROM {0}; INSERT INTO {0} VALUES (0, '')", self.table))
    }

    /// Discards all keys.
    ///
    /// # Errors
    /// Same as [`Warehouse::execute`].
    pub fn discard(&self) -> Result<()> {
        self.warehouse.execute(&format!("DELETE FROM {}", self.table))
    }

    /// Records keys, or prefixes of keys with `width` columns. `keys` is a query of their texts.
    ///
    /// # Errors
    /// Same as [`Warehouse::execute`].
    pub fn record(&self, width: usize, keys: &str) -> Result<()> {
        self.warehouse.execute(&format!("INSERT INTO {} SELECT {width}, key FROM ({keys}) AS keys(key)", self.table))
    }

    /// How many columns of the key the sweep has recorded: 0 if it saw nothing. None if its start was not recorded: then it saw
    /// only a part of the records, as the first load of a stream does.
    ///
    /// # Errors
    /// Same as [`Warehouse::query`].
    pub fn width(&self) -> Result<Option<usize>> {
        self.warehouse.value(&format!("SELECT max(width) FROM {} HAVING min(width) = 0", self.table), ())
    }

    /// Whether the sweep saw any key.
    ///
    /// # Errors
    /// Same as [`Warehouse::query`].
    pub fn saw_any(&self) -> Result<bool> {
        let sql = format!("SELECT 1 FROM {} WHERE width > 0 LIMIT 1", self.table);
        Ok(self.warehouse.value::<i32>(&sql, ())?.is_some())
    }

    /// SQL that is true if a key text was not seen.
    #[must_use]
    pub fn is_unseen(&self, key_text: &str) -> String {
        format!("{key_text} NOT IN (SELECT key FROM {} WHERE width > 0)", self.table)
    }

    /// Deletes keys for which a condition on the column `key` is true.
    ///
    /// # Errors
    /// Same as [`Warehouse::execute`].
    pub fn delete(&self, condition: &str) -> Result<()> {
        self.warehouse.execute(&format!("DELETE FROM {} WHERE {condition}", self.table))
    }
}
