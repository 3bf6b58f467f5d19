//! The warehouse: a DuckDB file. The only crate that names `duckdb`.
//!
//! It reads and writes rows and batches, and adapts tables to schemas. It knows neither rules nor models. Its SQL uses only what DuckLake supports too: `MERGE`, several tables in one transaction, and adding, widening
//! and renaming columns; no constraints, indexes, `ON CONFLICT` or sequences.

mod backup;
mod bounds;
mod connection;
mod dialect;
mod fault;
mod files;
mod load;
mod lock;
mod private;
mod recover;
mod rows;
mod scan;
mod stop;
mod tables;

pub use bounds::QUERY_TIME;
pub use connection::{UserMacro, Warehouse, check_memory_limit};
pub use dialect::{Table, key_text, literal, quote, quote_all};
pub use duckdb::{Params, ToSql};
pub use files::{remove_database, with_suffix};
pub use load::{MergeColumns, ROW_ID, same_key};
pub use recover::{WithoutLog, remove_discarded_logs};
pub use rows::{QueryResult, Row, display_options, displayable, row_texts};
pub use stop::{Interrupter, StopGuard};
pub use tables::{ColumnChange, ColumnType, fit};
