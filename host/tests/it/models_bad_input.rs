//! Every mistake in models leads to one clear error with its file and line, and publishes nothing.

use crate::models_support::Models;

/// Builds these files, which must fail with an exit code and an error that contains these texts.
fn check(files: &[(&str, &str)], code: i32, parts: &[&str]) {
    let models = Models::new(files);
    models.pipeline("1GB", "rate = \"1\"");
    models.load("1", "CREATE TABLE raw_shop.orders AS SELECT 1 AS id, 'bread' AS item");
    models.fails(&["build"], code, parts);
    assert!(models.query("SELECT * FROM _host.model_builds").is_empty());
    let left = "SELECT schema_name FROM duckdb_tables() WHERE schema_name NOT IN ('_host', 'raw_shop')";
    assert!(models.query(left).is_empty(), "something was built");
}

#[test]
fn files_beside_models_are_read_strictly() {
    let sql = ("core/a.sql", "SELECT 1 AS id");
    check(
        &[sql, ("core/a.toml", "tags = [\"x\"]\ndescripton = \"y\"\n")],
        2,
        &["sql/core/a.toml:2:1: unknown key `descripton`", "`description`"],
    );
    check(
        &[sql, ("core/a.toml", "[[column]]\nname = \"id\"\nnotnull = true\n")],
        2,
        &["sql/core/a.toml:3:1: unknown key `notnull`", "`not_null`"],
    );
    check(
        &[sql, ("core/a.toml", "materialized = \"tabel\"\n")],
        2,
        &["sql/core/a.toml:1:1: unknown value `tabel`", "did you mean `table`"],
    );
    check(&[sql, ("core/a.toml", "tags = \n")], 2, &["sql/core/a.toml:1:"]);
    check(&[sql, ("core/b.toml", "")], 2, &["sql/core/b.toml: no model has this name"]);
    check(
        &[sql, ("core/sub/a.sql", "SELECT 2 AS id")],
        2,
        &["sql/core/sub: models in a subfolder of a schema are not read"],
    );
    check(
        &[sql, ("core/a.toml", "materialized = \"incremental\"\n")],
        2,
        &["sql/core/a.toml:1:1", "`[incremental]` go together"],
    );
    let merge = "materialized = \"incremental\"\n[incremental]\nstrategy = \"merge\"\n";
    check(&[sql, ("core/a.toml", merge)], 2, &["sql/core/a.toml:3:1: this strategy needs `key`"]);
    check(
        &[sql, ("core/a.toml", "contract = true\n[[column]]\nname = \"id\"\n")],
        2,
        &["sql/core/a.toml:3:1: column `id` has no `type`"],
    );
    check(
        &[("checks/a.sql", "SELECT 1"), ("checks/a.toml", "severity = \"loud\"\n")],
        2,
        &["sql/checks/a.toml:1:1: unknown value `loud`", "expected one of `error`, `warn`"],
    );
}

#[test]
fn queries_are_checked_before_a_row_is_read() {
    check(&[("core/a.sql", "-- a\nSELECT FROM\nWHERE")], 2, &["sql/core/a.sql:3: model `core.a`: syntax error"]);
    check(
        &[("core/a.sql", "SELECT 1;\nSELECT 2")],
        2,
        &["sql/core/a.sql: model `core.a`: expected one query, found 2 statements"],
    );
    check(&[("core/a.sql", "DROP TABLE core.b")], 2, &["sql/core/a.sql: model `core.a`: expected a SELECT"]);
    check(
        &[("core/a.sql", "SELECT 1\nFROM core.nowhere")],
        2,
        &["sql/core/a.sql:2: model `core.a`: unknown table `core.nowhere`"],
    );
    check(
        &[("core/a.sql", "SELECT id,\n  nonsense\nFROM raw_shop.orders")],
        2,
        &["sql/core/a.sql:2: model `core.a`: Referenced column \"nonsense\" not found"],
    );
    check(
        &[("core/a.sql", "SELECT id,\n  itme\nFROM raw_shop.orders")],
        2,
        &["sql/core/a.sql:2: model `core.a`: Referenced column \"itme\" not found", "did you mean `item`"],
    );
    check(
        &[("core/a.sql", "SELECT 1\nFROM other.core.b")],
        2,
        &["sql/core/a.sql:2: model `core.a`: tables of another database cannot be read: `other`"],
    );
    check(
        &[("core/a.sql", "SELECT 1 AS x\nFROM core.b"), ("core/b.sql", "FROM core.a")],
        2,
        &["sql/core/a.sql:2: model `core.a`: circular dependency: core.a → core.b → core.a"],
    );
}

#[test]
fn reserved_and_ambiguous_names_are_refused() {
    check(&[("core/a.sql", "SELECT 1"), ("core/A.sql", "SELECT 1")], 2, &["sql/core/a.sql", "has the same model name"]);
    check(&[("core/a.sql", "SELECT 1"), ("core/a.csv", "x\n1\n")], 2, &["has the same model name"]);
    check(
        &[("raw_shop/orders.sql", "SELECT 1")],
        2,
        &["sql/raw_shop/orders.sql: model `raw_shop.orders`: schema `raw_shop` is reserved for the host"],
    );
    check(&[("core/a.sql", "SELECT 1"), ("b.sql", "SELECT 1")], 2, &["sql/b.sql: the model is not in a schema folder"]);
    check(&[("_host/runs.sql", "SELECT 1")], 2, &["reserved for the host"]);
    check(&[("ledger_shop/a.sql", "SELECT 1")], 2, &["reserved for the host"]);
    check(&[("core/a__next.sql", "SELECT 1")], 2, &["names that end in `__next`"]);
    check(&[("warehouse/a.sql", "SELECT 1")], 2, &["the schema has the same name as the warehouse file"]);
    check(
        &[("staging/orders.sql", "FROM raw_shop.orders"), ("core/a.sql", "SELECT *\nFROM orders")],
        2,
        &["sql/core/a.sql:2: model `core.a`: `orders` has no schema", "write `raw_shop.orders` or `staging.orders`"],
    );
}

#[test]
fn a_table_that_no_model_made_stays_unchanged() {
    let models = Models::new(&[("core/a.sql", "SELECT 1 AS x")]);
    models.load("1", "CREATE SCHEMA core; CREATE TABLE core.a AS SELECT 'mine' AS x");
    models.fails(
        &["build"],
        2,
        &["sql/core/a.sql: model `core.a`: a table of this name exists, and no model built it"],
    );
    assert_eq!(models.value("SELECT x FROM core.a"), "mine");
}

#[test]
fn a_variable_without_a_value_is_named_with_the_nearest() {
    let sql = "SELECT 1 AS x,\n (SELECT value FROM _host.variables WHERE name = 'rat') AS rate";
    check(
        &[("core/a.sql", sql)],
        2,
        &["sql/core/a.sql:2: model `core.a`: unknown variable `rat`", "did you mean `rate`"],
    );
}

#[test]
fn an_invalid_row_of_a_seed_is_named_with_its_line() {
    check(
        &[("seeds/a.csv", "x,y\n1,2\n\"3\n4\",5\n6\n")],
        5,
        &["sql/seeds/a.csv:5: model `seeds.a`: the row has 1 values, expected 2 as in the header"],
    );
    let typed = "[[column]]\nname = \"y\"\ntype = \"DECIMAL(9,2)\"\n";
    check(
        &[("seeds/a.csv", "x,y\n1,2\n2,\n3,\"1,5\"\n"), ("seeds/a.toml", typed)],
        5,
        &["sql/seeds/a.csv:4: model `seeds.a`: column `y`: `1,5` is not a valid DECIMAL(9,2)"],
    );
    check(&[("seeds/a.csv", "x,X\n1,2\n")], 2, &["sql/seeds/a.csv:1: model `seeds.a`: duplicate column `X`"]);
}

#[test]
fn tests_on_unknown_columns_and_tables_are_errors() {
    let sql = ("core/a.sql", "SELECT 1 AS id");
    check(
        &[sql, ("core/a.toml", "[[column]]\nname = \"ids\"\nunique = true\n")],
        2,
        &["sql/core/a.toml:2:1: model `core.a`: unknown column `ids`", "did you mean `id`"],
    );
    let refers = "[[column]]\nname = \"id\"\nreferences = \"core.b.key\"\n";
    check(&[sql, ("core/a.toml", refers)], 2, &["sql/core/a.toml:3:1: unknown table `core.b`"]);
    check(
        &[sql, ("core/b.sql", "SELECT 1 AS keys"), ("core/a.toml", refers)],
        2,
        &["sql/core/a.toml:3:1: `core.b`: unknown column `key`"],
    );
    check(
        &[sql, ("core/a.toml", "[[test]]\nname = \"t\"\nsql = \"SELECT\\nFROM core.nowhere WHERE\"\n")],
        2,
        &["sql/core/a.toml:3:1: test `t`"],
    );
}
