//! Texts of models: a query with redirected tables parses again, and reads the other tables.

use std::collections::BTreeSet;

use host_core::error::Kind;
use host_models::fuzzing::redirected;
use host_warehouse::{Table, Warehouse};

const WORDS: [&str; 56] = [
    "SELECT ",
    "* ",
    "FROM ",
    "core.a ",
    "a ",
    "\"core\".\"a\" ",
    "core . a ",
    "b.\"x\"\"y\" ",
    ", ",
    "JOIN ",
    "LEFT JOIN ",
    "CROSS JOIN ",
    "USING (id) ",
    "ON true ",
    "WHERE ",
    "id ",
    "= ",
    "1 ",
    "'x' ",
    "'''' ",
    "(",
    ") ",
    "AS ",
    "t ",
    "WITH ",
    "a AS (",
    "RECURSIVE ",
    "UNION ALL ",
    "GROUP BY ALL ",
    "ORDER BY ",
    "LIMIT 1 ",
    "EXISTS ",
    "-- core.a\n",
    "/* core.a */ ",
    "\n",
    "$$core.a$$ ",
    "é ",
    "\"é\".\"é\" ",
    "getvariable('v') ",
    "core.a.id ",
    "a.* ",
    "PIVOT ",
    "TABLE core.a ",
    "FROM core.a ",
    "SELECT * FROM core.a ",
    "LATERAL ",
    "unnest([1]) ",
    "CASE WHEN ",
    "THEN ",
    "END ",
    "; ",
    "VALUES (1) ",
    "IN ",
    "OVER () ",
    "core.a TABLESAMPLE 10% ",
    "E'\\n' ",
];

#[test]
fn model() {
    let warehouse = Warehouse::memory().expect("DuckDB");
    let warehouse = std::panic::AssertUnwindSafe(warehouse);
    bolero::check!(name = "model").for_each(|input: &[u8]| {
        let sql = fuzz::text(input, &WORDS);
        let warehouse = &*warehouse;
        let reads = match host_models::reads(&sql, warehouse) {
            Ok(reads) => reads,
            Err(error) => {
                assert_ne!(error.kind, Kind::Internal, "{sql:?}: {error}");
                return;
            }
        };
        // As in a build: a name without a schema is no model's.
        let next_of = |table: &Table| Table::new("other", format!("{}__next", table.name));
        let other = |table: &Table| (!table.schema.is_empty()).then(|| next_of(table));
        let next = redirected(&sql, warehouse, &other).unwrap_or_else(|error| panic!("{sql:?}: {error}"));
        let found = host_models::reads(&next, warehouse).unwrap_or_else(|error| panic!("{sql:?} → {next:?}: {error}"));
        let name = |full: &String| match full.split_once('.') {
            Some((schema, name)) if !schema.is_empty() => format!("other.{name}__next"),
            _ => full.clone(),
        };
        let expected: BTreeSet<_> = reads.iter().map(name).collect();
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected, "{sql:?} → {next:?}");
    });
}
