//! Conditions of `--where`: every text is one expression over the mart or an error of the user, and changes nothing.

use std::collections::BTreeMap;

use host::explain::{RowLimits, explain};
use host_core::error::Kind;
use host_warehouse::Warehouse;

const WORDS: [&str; 52] = [
    "id ",
    "name ",
    "\"id\" ",
    "= ",
    "<> ",
    "> ",
    "1 ",
    "'x' ",
    "AND ",
    "OR ",
    "NOT ",
    "( ",
    ") ",
    "IS NULL ",
    "IN (1, 2) ",
    "BETWEEN 1 AND 2 ",
    "LIKE '%' ",
    "true ",
    "NULL ",
    ", ",
    "; ",
    "-- ",
    "\n",
    "/* ",
    "*/ ",
    "SELECT ",
    "FROM ",
    "marts.people ",
    "(SELECT 1) ",
    "EXISTS (FROM marts.people) ",
    "UNION ",
    "WHERE ",
    "LIMIT 1 ",
    "AS x ",
    "DROP TABLE ",
    "read_text('/etc/hostname') ",
    "getenv('HOME') ",
    "current_setting('threads') ",
    "lower(name) ",
    "count(*) ",
    "sum(id) OVER () ",
    "$1 ",
    "? ",
    "CAST(name AS INTEGER) ",
    "id::VARCHAR ",
    "list_sum([id]) ",
    "x -> x ",
    "CASE WHEN ",
    "THEN ",
    "END ",
    "COLUMNS(*) ",
    "é",
];

#[test]
fn condition() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("marts")).expect("a folder");
    std::fs::write(folder.path().join("marts/people.sql"), "SELECT 1 AS id, 'x' AS name").expect("a model");
    let warehouse = Warehouse::memory().expect("DuckDB");
    warehouse.execute("CREATE SCHEMA marts; CREATE TABLE marts.people AS SELECT 1 AS id, 'x' AS name").expect("a mart");
    let graph = host_models::load(folder.path(), &warehouse, &BTreeMap::new(), &|_| true).expect("a graph");
    let state = "SELECT (SELECT count(*) FROM duckdb_tables()) + (SELECT count(*) FROM duckdb_views() WHERE NOT internal) \
                 + (SELECT sum(id)::BIGINT FROM marts.people)";
    let parts = std::panic::AssertUnwindSafe((graph, warehouse));
    bolero::check!(name = "condition").for_each(|input: &[u8]| {
        let text = fuzz::text(input, &WORDS);
        let (graph, warehouse) = &*parts;
        match explain(graph, warehouse, "marts.people", &text, RowLimits { mart_rows: Some(5), drill_rows: Some(5) }) {
            Ok(found) => assert_eq!(found.total, 1),
            Err(error) => assert_ne!(error.kind, Kind::Internal, "{text:?}: {error}"),
        }
        assert_eq!(warehouse.count(state, ()).expect("a count"), 2, "{text:?} changed the warehouse");
    });
}
