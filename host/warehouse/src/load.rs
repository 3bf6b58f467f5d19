//! Writes batches into tables: appends them, stages them in temporary tables, merges them by key.

use arrow_array::RecordBatch;
use host_core::error::Result;

use crate::fault::convert;
use crate::{Table, Warehouse, quote, quote_all};

/// Rows that an appender copies before it hands them to DuckDB.
const FLUSH_ROWS: usize = 20_480;

/// The column of [`Warehouse::with_row_ids`]. Names that start with `_host` are reserved for the host.
pub const ROW_ID: &str = "_host_row";

impl Warehouse {
    /// Appends a batch that has the table's columns in the table's order.
    ///
    /// # Errors
    /// Same as [`Warehouse::append_all`].
    pub fn append(&self, table: &Table, batch: RecordBatch) -> Result<()> {
        self.append_all(table, std::iter::once(Ok(batch)))
    }

    /// Appends batches. Each flush of the appender is a statement to DuckDB, so that many batches share one.
    ///
    /// # Errors
    /// The first batch that is an error, and rows that do not fit the table.
    pub fn append_all(&self, table: &Table, batches: impl Iterator<Item = Result<RecordBatch>>) -> Result<()> {
        let appender = match table.schema.as_str() {
            "temp" => self.connection.appender_to_catalog_and_db(&table.name, "temp", "main"),
            schema => self.connection.appender_to_db(&table.name, schema),
        };
        let mut appender = appender.map_err(|cause| convert(&cause, ""))?;
        let mut rows = 0;
        for batch in batches {
            let batch = batch?;
            rows += batch.num_rows();
            appender.append_record_batch(batch).map_err(|cause| convert(&cause, ""))?;
            if rows >= FLUSH_ROWS {
                rows = 0;
                appender.flush().map_err(|cause| convert(&cause, ""))?;
            }
        }
        appender.flush().map_err(|cause| convert(&cause, ""))
    }

    /// Creates an empty temporary table with the columns of the query `like`. Replaces a table of the same name.
    ///
    /// # Errors
    /// Same as [`Warehouse::execute`].
    pub fn stage(&self, name: impl Into<String>, like: &str) -> Result<Table> {
        let staged = Table::temporary(name);
        self.execute(&format!("CREATE OR REPLACE TEMP TABLE {} AS {like} LIMIT 0", quote(&staged.name)))?;
        Ok(staged)
    }

    /// Merges the rows of a staged table into a table by key: inserts new rows and updates rows that differ. Of several staged
    /// rows with one key, the last counts. Returns the number of rows inserted or updated.
    ///
    /// # Errors
    /// Same as [`Warehouse::execute`].
    pub fn merge(&self, table: &Table, staged: &Table, key: &[String], columns: MergeColumns<'_>) -> Result<u64> {
        let MergeColumns { all, compared, set } = columns;
        let set: Vec<_> = set.iter().map(|name| format!("{0} = new.{0}", quote(name))).collect();
        let sql = format!(
            "MERGE INTO {table} AS old USING (SELECT * FROM {} QUALIFY row_number() OVER \
             (PARTITION BY {} ORDER BY {ROW_ID} DESC) = 1) AS new ON {} \
             WHEN MATCHED AND row({}) IS DISTINCT FROM row({}) THEN UPDATE SET {} \
             WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})",
            self.with_row_ids(staged)?,
            quote_all(key.iter().map(String::as_str), ""),
            same_key(key, "old", "new"),
            quote_all(compared.iter().copied(), "old."),
            quote_all(compared.iter().copied(), "new."),
            set.join(", "),
            quote_all(all.iter().copied(), ""),
            quote_all(all.iter().copied(), "new."),
        );
        self.change(&sql, ())
    }

    /// Deletes all but the last row of each key. Returns the number of rows deleted.
    ///
    /// # Errors
    /// Same as [`Warehouse::execute`].
    pub fn keep_last(&self, table: &Table, key: &[String]) -> Result<u64> {
        let keys = quote_all(key.iter().map(String::as_str), "");
        // Distinct hashes mean distinct keys. If two hashes are equal, the statement below compares the keys themselves.
        let unique = format!("SELECT count(*) = count(DISTINCT hash({keys})) FROM {table}");
        if self.value::<bool>(&unique, ())? == Some(true) {
            return Ok(0);
        }
        let (rows, last) = (self.with_row_ids(table)?, Table::temporary("last_rows"));
        self.execute(&format!(
            "CREATE OR REPLACE TEMP TABLE last_rows AS SELECT * EXCLUDE ({ROW_ID}) FROM {rows} WHERE {ROW_ID} IN \
             (SELECT max({ROW_ID}) FROM {rows} GROUP BY {keys} HAVING count(*) > 1)"
        ))?;
        let same = same_key(key, "old", "new");
        let sql = format!("DELETE FROM {table} AS old WHERE EXISTS (SELECT 1 FROM {last} AS new WHERE {same})");
        let deleted = self.change(&sql, ())?;
        let kept = self.change(&format!("INSERT INTO {table} SELECT * FROM {last}"), ())?;
        self.execute(&format!("DROP TABLE {last}"))?;
        Ok(deleted - kept)
    }

    /// SQL for the rows of a table with the column [`ROW_ID`], in parentheses. Later rows have greater ids.
    ///
    /// DuckDB's `rowid` is hidden by a column of that name, in any case. Here every column has another name when `rowid` is
    /// read.
    ///
    /// # Errors
    /// Same as [`Warehouse::query`], and a table that does not exist.
    pub fn with_row_ids(&self, table: &Table) -> Result<String> {
        let columns = self.describe(&table.to_string())?;
        let aliases = (0..columns.len()).map(|at| format!("c{at}")).collect::<Vec<_>>().join(", ");
        let names: String =
            columns.iter().enumerate().map(|(at, column)| format!(", c{at} AS {}", quote(&column.name))).collect();
        Ok(format!("(SELECT rowid AS {ROW_ID}{names} FROM {table} AS named({aliases}))"))
    }
}

/// The columns of a merge.
#[derive(Debug, Clone, Copy)]
pub struct MergeColumns<'a> {
    /// All columns of the table.
    pub all: &'a [&'a str],
    /// The columns in which an old and a new row are compared.
    pub compared: &'a [&'a str],
    /// The columns that an update writes.
    pub set: &'a [&'a str],
}

/// SQL that is true if two rows, `left` and `right`, have the same key; NULL equals NULL.
#[must_use]
pub fn same_key(key: &[String], left: &str, right: &str) -> String {
    let same = |name: &String| format!("{left}.{0} IS NOT DISTINCT FROM {right}.{0}", quote(name));
    key.iter().map(same).collect::<Vec<_>>().join(" AND ")
}
