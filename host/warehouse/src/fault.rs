//! Converts DuckDB's errors to the host's. Connections set `errors_as_json`, so that the class, position and candidates of an
//! error are data and need not be parsed from its message.

use host_core::error::{Error, FaultClass, Kind, StatementFault};

/// An error as DuckDB writes it in JSON.
#[derive(serde::Deserialize)]
struct JsonError {
    exception_type: String,
    exception_message: String,
    /// A number as text.
    position: Option<String>,
    /// Names separated by commas.
    candidates: Option<String>,
}

/// Converts an error of the driver about a statement.
pub(crate) fn convert(cause: &duckdb::Error, sql: &str) -> Error {
    let text = match cause {
        duckdb::Error::DuckDBFailure(_, Some(text)) => text.clone(),
        other => other.to_string(),
    };
    // Some calls put `Binder Error: ` before the JSON.
    let json = text.find('{').and_then(|start| serde_json::from_str::<JsonError>(&text[start..]).ok());
    from_json(&json.unwrap_or_else(|| from_text(&text)), sql)
}

/// Parses `Type Error: message`, the form of errors that DuckDB does not write in JSON, such as that of a commit.
fn from_text(text: &str) -> JsonError {
    let (class, message) = text.split_once(" Error: ").unwrap_or(("", text));
    let (exception_type, exception_message) = (class.to_owned(), message.to_owned());
    JsonError { exception_type, exception_message, position: None, candidates: None }
}

/// Converts the error of a file that cannot be opened. No setting of a connection applies yet, so the error is only a text.
pub(crate) fn convert_open(cause: &duckdb::Error) -> Error {
    match cause {
        // Another process has the file open: a temporary failure, for which DuckDB has no class.
        duckdb::Error::DuckDBFailure(_, Some(text)) if text.contains("Could not set lock on file") => {
            Error::unavailable(format!("another process has it open: {}", text.trim_end_matches('.')))
                .hint("`host serve` runs a pipeline from its pages; close any other program that has the file open, then run again")
                .with_fault(fault(FaultClass::Io))
        }
        duckdb::Error::DuckDBFailure(_, Some(text)) if is_log_damaged(text) => {
            Error::config(format!("its write-ahead log is damaged, as by a power loss: {}", text.trim_end_matches('.')))
                .hint(RECOVER_HINT)
                .with_fault(fault(FaultClass::DamagedLog))
        }
        duckdb::Error::DuckDBFailure(_, Some(text)) if text.contains("Corrupt database file") => {
            Error::config(format!("the file is damaged, as by a power loss: {}", text.trim_end_matches('.')))
                .hint("replace it by a backup; `host run PIPELINE` then loads what changed since")
                .with_fault(fault(FaultClass::Io))
        }
        duckdb::Error::DuckDBFailure(_, Some(text)) => io(text),
        other => io(&other.to_string()),
    }
}

const RECOVER_HINT: &str = "`host recover PIPELINE --discard-wal` opens the warehouse as it was at its last checkpoint, keeps the log \
                            beside it, and lists what may be lost";

/// Whether a file does not open because of what its write-ahead log contains. A log that could not be replayed for lack of
/// memory, space or rights is not damaged.
fn is_log_damaged(text: &str) -> bool {
    let is_replay = text.contains("Failure while replaying")
        || text.contains("Corrupt WAL")
        || text.contains("Corrupt Encrypted WAL");
    let other_causes = ["Out of Memory", "No space left", "Permission denied", "Cannot open file", "Could not write"];
    is_replay && !other_causes.iter().any(|cause| text.contains(cause))
}

/// The byte of a damaged write-ahead log up to which it can be read, if DuckDB reports it.
pub(crate) fn damaged_at(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("at byte position ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn from_json(reported: &JsonError, sql: &str) -> Error {
    let message = reported.exception_message.trim_end_matches('.');
    let class = match reported.exception_type.as_str() {
        "Parser" | "Syntax" => FaultClass::Syntax,
        "Catalog" => FaultClass::Catalog,
        "Binder" => FaultClass::Binder,
        "Conversion" | "Invalid Input" | "Out of Range" | "Constraint" | "Divide by Zero" | "Mismatch Type" => {
            FaultClass::Value
        }
        "Out of Memory" => FaultClass::Memory,
        "IO" | "Permission" | "FATAL" => FaultClass::Io,
        "INTERRUPT" => FaultClass::Interrupted,
        "TransactionContext" => FaultClass::Conflict,
        _ => FaultClass::Other,
    };
    let candidates = reported.candidates.iter().flat_map(|names| names.split(',')).map(|name| name.trim().to_owned());
    let position = reported.position.as_ref().and_then(|position| position.parse::<usize>().ok());
    let fault = StatementFault {
        class,
        position,
        line: position.and_then(|at| Some(sql.get(..at)?.matches('\n').count() + 1)),
        candidates: candidates.filter(|name| !name.is_empty()).collect(),
    };
    let error = match class {
        // A transaction fails if the file cannot be written: the host writes each table from one connection only.
        FaultClass::Io | FaultClass::Conflict => io(message),
        FaultClass::Interrupted => Error::new(Kind::Interrupted, "interrupted"),
        // The lines after the first suggest settings that a pipeline does not have.
        FaultClass::Memory => {
            let message = message.lines().next().unwrap_or(message);
            Error::config(format!("out of memory: {message}")).hint("raise `memory_limit` in `[pipeline]`")
        }
        _ => Error::internal(message.lines().next().unwrap_or(message)),
    };
    error.with_fault(fault)
}

const IO_HINT: &str = "the warehouse needs a writable path, free disk space, and a file that DuckDB wrote; the next run continues where \
                       this run stopped";

fn io(message: &str) -> Error {
    Error::config(message.trim_end_matches('.')).hint(IO_HINT).with_fault(fault(FaultClass::Io))
}

fn fault(class: FaultClass) -> StatementFault {
    StatementFault { class, position: None, line: None, candidates: Vec::new() }
}

#[cfg(test)]
mod tests {
    use host_core::error::FaultClass;

    use crate::Warehouse;

    #[test]
    fn a_failed_statement_has_a_class_a_position_and_candidates() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let check = |sql: &str, class: FaultClass, position: Option<usize>, candidates: &[&str]| {
            let error = warehouse.execute(sql).expect_err(sql);
            let fault = error.fault().expect("a fault");
            assert_eq!((fault.class, fault.position), (class, position), "{sql}: {error}");
            assert_eq!(fault.candidates, candidates, "{sql}");
        };
        check("SELECT rang FROM range(3)", FaultClass::Binder, Some(7), &["range"]);
        check("FROM nothing.there", FaultClass::Catalog, Some(5), &[]);
        check("SELEC 1", FaultClass::Syntax, Some(0), &[]);
        check("SELECT CAST('x' AS INTEGER)", FaultClass::Value, Some(7), &[]);
        check("SELECT error('no')", FaultClass::Value, None, &[]);
    }

    #[test]
    fn a_failed_prepared_statement_has_a_class() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let error = warehouse.query("SELECT * FROM nothing.there WHERE a = ?", ["x"]).expect_err("no such table");
        assert!(error.is_fault(FaultClass::Catalog), "{error:?}");
    }
}
