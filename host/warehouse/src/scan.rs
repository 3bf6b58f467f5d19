//! Reads the rows of a query in batches.

use arrow_array::RecordBatch;
use duckdb::Params;
use host_core::error::Result;

use crate::Warehouse;
use crate::fault::convert;

impl Warehouse {
    /// Calls `each` with the rows of a query, batch by batch, without keeping all of them in memory.
    ///
    /// # Errors
    /// A statement that does not bind, a failure while rows are fetched (an interruption, a cast, memory), and an error of
    /// `each`.
    pub fn scan(
        &self,
        sql: &str,
        parameters: impl Params,
        mut each: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        self.check_stopped()?;
        let mut statement = self.connection.prepare(sql).map_err(|cause| convert(&cause, sql))?;
        // The iterator that this returns panics if a fetch fails, so `step` is called instead, which returns the error.
        let _ = statement.stream_arrow(parameters).map_err(|cause| convert(&cause, sql))?;
        while let Some(batch) = statement.step().map_err(|cause| convert(&cause, sql))? {
            self.check_stopped()?;
            each(&RecordBatch::from(&batch))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use host_core::error::FaultClass;

    use crate::Warehouse;

    #[test]
    fn a_failure_after_the_first_batch_is_an_error() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let sql = "SELECT CASE WHEN range = 99999 THEN CAST('x' || range AS INTEGER) END AS n FROM range(100000)";
        let error = warehouse.scan(sql, (), |_| Ok(())).expect_err("a cast that fails");
        assert!(error.is_fault(FaultClass::Value), "{error}");
        assert!(warehouse.execute("SELECT 1").is_ok());
    }
}
