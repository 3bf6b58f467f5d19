//! Reads a query's rows batch by batch. The driver panics where a fetch fails (an interruption, a cast that fails late,
//! memory that runs out): here that is an error like any other.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use arrow_array::RecordBatch;

use super::{Named, Warehouse, lift, lift_text, named};
use crate::error::Result;

thread_local! {
    /// Set while the driver fetches; a panic then leaves its message here instead of on the terminal.
    static FETCHING: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What the driver says before the cause.
const PREFIX: &str = "Failed to fetch Arrow record batch: ";

/// Keeps the messages of the driver's panics; all others go where they went before.
fn keep_messages() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let kept = FETCHING.with(|fetching| match fetching.try_borrow_mut() {
                Ok(mut fetching) if fetching.is_some() => {
                    *fetching = Some(info.payload_as_str().unwrap_or("the driver failed").to_owned());
                    true
                }
                _ => false,
            });
            if !kept {
                before(info);
            }
        }));
    });
}

/// Runs a fetch of the driver's.
fn fetched<T>(fetch: impl FnOnce() -> T) -> Result<T> {
    FETCHING.set(Some(String::new()));
    let outcome = catch_unwind(AssertUnwindSafe(fetch));
    let message = FETCHING.take().unwrap_or_default();
    outcome.map_err(|_| lift_text(message.strip_prefix(PREFIX).unwrap_or(&message)))
}

/// A query's answer: values as JSON, decimals and times as text.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Answer {
    /// Its columns.
    pub columns: Vec<Named>,
    /// Its rows, each with a value a column.
    pub rows: Vec<Vec<serde_json::Value>>,
}

impl Warehouse {
    /// Streams a query's rows batch by batch.
    pub fn scan(&self, sql: &str, parameters: &[&str], mut each: impl FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        keep_messages();
        self.stop.check()?;
        let mut statement = self.connection.prepare(sql).map_err(|cause| lift(&cause))?;
        let mut batches = statement.stream_arrow(duckdb::params_from_iter(parameters)).map_err(|cause| lift(&cause))?;
        while let Some(batch) = fetched(|| batches.next())? {
            self.stop.check()?;
            each(&batch)?;
        }
        Ok(())
    }

    /// A query's columns and rows in their order, for answers that are shown.
    pub fn answer(&self, sql: &str, parameters: &[&str]) -> Result<Answer> {
        let described = self.query(&format!("DESCRIBE {sql}"), parameters)?;
        let rows = self.query(sql, parameters)?;
        let rows = rows.into_iter().map(|row| row.into_iter().map(|(_, value)| value).collect());
        Ok(Answer { columns: named(&described), rows: rows.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Warehouse;

    #[test]
    fn what_fails_late_is_an_error() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let sql = "SELECT CASE WHEN range = 99999 THEN CAST('x' || range AS INTEGER) END AS n FROM range(100000)";
        let mut rows = 0;
        let error = warehouse.scan(sql, &[], |batch| {
            rows += batch.num_rows();
            Ok(())
        });
        let error = error.expect_err("a cast that fails");
        assert!(error.message.contains("Conversion Error"), "{error}");
        assert!(warehouse.execute("SELECT 1").is_ok());
    }
}
