//! Incremental models and snapshots: after any update they equal a full build, and snapshots keep every version.

use crate::models_support::Models;

const ORDERS: &str =
    "CREATE TABLE raw_shop.orders (id INTEGER, item VARCHAR, amount DECIMAL(9,2), day DATE, loaded_at TIMESTAMPTZ)";

/// `core.grown` is incremental with this configuration; `core.whole` is the same query as a table; `marts.sums` reads both.
fn growing(query: &str, incremental: &str) -> Models {
    let models = Models::new(&[
        ("staging/orders.sql", "SELECT * FROM raw_shop.orders"),
        ("core/whole.sql", query),
        ("core/grown.sql", query),
        ("core/grown.toml", &format!("materialized = \"incremental\"\n[incremental]\n{incremental}\n")),
        (
            "marts/sums.sql",
            "SELECT (SELECT sum(hash(t)) FROM core.grown AS t) = (SELECT sum(hash(t)) FROM core.whole AS t) AS same",
        ),
    ]);
    models.load("1", ORDERS);
    load(
        &models,
        "2",
        "(1, 'a', 1, '2026-01-30', '2026-02-01'), (2, 'a', 2, '2026-02-01', '2026-02-01'), (3, 'b', 3, '2026-02-02', '2026-02-02')",
    );
    models.build(&[]);
    models
}

fn load(models: &Models, load_id: &str, rows: &str) {
    let keys = format!("SELECT id FROM (VALUES {rows}) AS rows(id, item, amount, day, loaded_at)");
    models.load(
        load_id,
        &format!("DELETE FROM raw_shop.orders WHERE id IN ({keys}); INSERT INTO raw_shop.orders VALUES {rows}"),
    );
}

/// Builds. The incremental model must equal the table, and must have been updated (`grew`) or built in full.
fn check(models: &Models, grew: bool) {
    let built = models.build(&[]);
    let grown = built["models"].as_array().expect("models").iter().find(|model| model["model"] == "core.grown");
    assert_eq!(grown.expect("it was built")["grew"], grew, "{built:#}");
    let both = "(SELECT * FROM core.grown EXCEPT ALL FROM core.whole) UNION ALL (SELECT * FROM core.whole EXCEPT ALL FROM core.grown)";
    assert!(models.query(both).is_empty());
    // The model that reads it saw the staged version.
    assert_eq!(models.value("SELECT same FROM marts.sums"), "true");
    let rows = models.value("SELECT row_count FROM _host.model_builds WHERE model = 'grown'");
    assert_eq!(rows, models.value("SELECT count(*) FROM core.grown"));
    assert_eq!(
        models.value("SELECT count(*) FROM duckdb_columns() WHERE regexp_matches(table_name, '__(next|delta)$')"),
        "0"
    );
}

#[test]
fn merge_updates_and_inserts_rows() {
    let models =
        growing("SELECT * FROM raw_shop.orders", "strategy = \"merge\"\nkey = [\"id\"]\ncursor = \"loaded_at\"");
    load(&models, "3", "(2, 'a', 20, '2026-02-01', '2026-02-03'), (4, 'c', 4, '2026-02-03', '2026-02-03')");
    check(&models, true);
    // No changed row: the update adds none.
    models.load("4", "SELECT 1");
    check(&models, true);
    models.write("core/whole.sql", "SELECT *, 1 AS more FROM raw_shop.orders");
    models.write("core/grown.sql", "SELECT *, 1 AS more FROM raw_shop.orders");
    check(&models, false);
    models.load("5", "UPDATE raw_shop.orders SET amount = 5 WHERE id = 1");
    models.build(&[]);
    assert_eq!(models.value("SELECT amount FROM core.grown WHERE id = 1"), "1.00", "its cursor did not change");
    models.build(&["--full-refresh", "--select", "grown+"]);
    assert_eq!(models.value("SELECT amount FROM core.grown WHERE id = 1"), "5.00");
}

#[test]
fn append_inserts_rows() {
    let models = growing("SELECT * FROM raw_shop.orders", "strategy = \"append\"\ncursor = \"id\"");
    load(&models, "3", "(4, 'c', 4, '2026-02-03', '2026-02-03'), (5, NULL, 4, NULL, '2026-02-03')");
    check(&models, true);
}

#[test]
fn delete_insert_replaces_the_rows_of_a_key() {
    let models = growing(
        "SELECT * FROM raw_shop.orders",
        "strategy = \"delete_insert\"\nkey = [\"item\"]\ncursor = \"loaded_at\"",
    );
    load(&models, "3", "(2, 'a', 20, '2026-02-01', '2026-02-03'), (4, NULL, 4, '2026-02-03', '2026-02-03')");
    check(&models, true);
    load(&models, "4", "(5, NULL, 5, '2026-02-03', '2026-02-04')");
    check(&models, true);
}

#[test]
fn time_windows_are_rebuilt_from_the_first_changed_one_on() {
    let models = growing(
        "SELECT date_trunc('month', day) AS month, sum(amount) AS amount, max(loaded_at) AS loaded_at FROM raw_shop.orders GROUP BY ALL",
        "strategy = \"time_window\"\ntime_column = \"month\"\nwindow = \"month\"\ncursor = \"loaded_at\"\nlookback = 1",
    );
    load(&models, "3", "(2, 'a', 20, '2026-02-01', '2026-02-03'), (4, 'c', 4, '2026-03-03', '2026-02-03')");
    check(&models, true);
    load(&models, "4", "(1, 'a', 7, '2026-01-30', '2026-02-05'), (6, 'c', 4, NULL, '2026-02-05')");
    check(&models, true);
    load(&models, "5", "(7, 'c', 1, NULL, '2026-02-06'), (8, 'c', 1, '2026-12-31', '2026-02-06')");
    check(&models, true);
}

#[test]
fn a_key_that_is_not_unique_is_an_error() {
    let models =
        growing("SELECT * FROM raw_shop.orders", "strategy = \"merge\"\nkey = [\"id\"]\ncursor = \"loaded_at\"");
    models.load(
        "3",
        "INSERT INTO raw_shop.orders SELECT 9, 'z', 1, DATE '2026-02-03', TIMESTAMPTZ '2026-02-09' FROM range(2)",
    );
    models.fails(&["build"], 5, &["model `core.grown`: two rows have the same key: {\"id\":9,\"rows\":2}"]);
    models.write(
        "core/grown.toml",
        "materialized = \"incremental\"\n[incremental]\nstrategy = \"merge\"\nkey = [\"nr\"]\n",
    );
    models.fails(&["build"], 2, &["sql/core/grown.toml:4:1: unknown column `nr`", "`id`"]);
}

#[test]
fn a_changed_view_rebuilds_the_incremental_model_that_reads_it() {
    let models =
        growing("SELECT * FROM staging.orders", "strategy = \"merge\"\nkey = [\"id\"]\ncursor = \"loaded_at\"");
    load(&models, "3", "(2, 'a', 20, '2026-02-01', '2026-02-03')");
    check(&models, true);
    models.write("staging/orders.sql", "SELECT * REPLACE (amount * 2 AS amount) FROM raw_shop.orders");
    check(&models, false);
}

fn history(models: &Models) -> Vec<String> {
    let sql = "SELECT concat_ws(' ', id, item, valid_from::DATE, coalesce(valid_to::DATE::VARCHAR, 'now')) AS line \
               FROM core.items ORDER BY ALL";
    models.query(sql).iter().map(|row| row["line"].as_str().expect("a line").to_owned()).collect()
}

#[test]
fn snapshots_keep_every_version() {
    let models = Models::new(&[
        ("core/items.sql", "SELECT id, item, loaded_at FROM raw_shop.orders"),
        ("core/items.toml", "materialized = \"snapshot\"\nsnapshot = { key = [\"id\"], updated_at = \"loaded_at\" }\n"),
        ("core/open.sql", "SELECT * FROM core.items WHERE valid_to IS NULL"),
    ]);
    models.load("1", ORDERS);
    load(&models, "2", "(1, 'a', 1, NULL, '2026-01-01'), (2, 'b', 1, NULL, '2026-01-02')");
    models.build(&[]);
    assert_eq!(history(&models), ["1 a 2026-01-01 now", "2 b 2026-01-02 now"]);
    load(
        &models,
        "3",
        "(1, 'a', 1, NULL, '2026-02-01'), (2, 'c', 1, NULL, '2026-02-02'), (3, 'd', 1, NULL, '2026-02-03')",
    );
    models.build(&[]);
    let then = ["1 a 2026-01-01 now", "2 b 2026-01-02 2026-02-02", "2 c 2026-02-02 now", "3 d 2026-02-03 now"];
    assert_eq!(history(&models), then);
    assert_eq!(models.value("SELECT count(*) FROM core.open"), "3", "the model that reads it saw the staged versions");
    // The version of a deleted row ends today; neither a full refresh nor a new column ends a version.
    models.load("4", "DELETE FROM raw_shop.orders WHERE id = 1");
    models.build(&[]);
    assert_eq!(models.value("SELECT valid_to >= now() - INTERVAL 1 HOUR FROM core.items WHERE id = 1"), "true");
    models.build(&["--full-refresh"]);
    assert_eq!(models.value("SELECT count(*) FROM core.items"), "4");
    models.write("core/items.sql", "SELECT id, item, amount > 0 AS is_paid, loaded_at FROM raw_shop.orders");
    models.build(&[]);
    assert_eq!(models.value("SELECT count(*) || ' ' || count(is_paid) FROM core.items"), "6 2");
    // The row comes back with an earlier time: versions do not overlap.
    load(&models, "5", "(1, 'a', 1, NULL, '2026-01-05')");
    models.build(&[]);
    let overlaps = "SELECT count(*) FROM core.items AS a JOIN core.items AS b ON a.id = b.id AND a.valid_from < b.valid_from \
                    AND coalesce(a.valid_to, 'infinity') > b.valid_from";
    assert_eq!(models.value(overlaps), "0");
    assert_eq!(models.value("SELECT count(*) FROM core.items WHERE id = 1 AND valid_to IS NULL"), "1");
    models.load("6", "INSERT INTO raw_shop.orders SELECT * FROM raw_shop.orders WHERE id = 3");
    models.fails(&["build"], 5, &["model `core.items`: two rows have the same key"]);
}

#[test]
fn changed_rules_and_erasures_reach_incremental_models() {
    let project = crate::support::Project::new(20);
    let pipeline = project.hubspot(&["contacts"], "");
    let text = std::fs::read_to_string(&pipeline).expect("a file") + "[marts]\npath = \"sql\"\n";
    std::fs::write(&pipeline, text).expect("a file");
    let query = "SELECT id, email, updated_at FROM clean_hubspot.contacts";
    let merge = "materialized = \"incremental\"\nincremental = { strategy = \"merge\", key = [\"id\"], cursor = \"updated_at\" }\n";
    project.write("sql/core/grown.sql", query);
    project.write("sql/core/grown.toml", merge);
    project.write("sql/core/versions.sql", query);
    project.write(
        "sql/core/versions.toml",
        "materialized = \"snapshot\"\nsnapshot = { key = [\"id\"], records = { id = \"hubspot.contacts\" } }\n",
    );
    assert!(project.try_run(&pipeline, &[]).status.success());
    // A rule changes rows without a change of their cursor: the model is built in full.
    let rule =
        "[[rule]]\nplugin = \"text\"\nstreams = [\"hubspot.contacts\"]\n[rule.config.columns]\nemail = [\"upper\"]\n";
    let text = std::fs::read_to_string(&pipeline).expect("a file") + rule;
    std::fs::write(&pipeline, text).expect("a file");
    assert!(project.try_run(&pipeline, &[]).status.success());
    assert!(project.query("SELECT 1 FROM core.grown WHERE email <> upper(email)").is_empty());
    let id = project.query("SELECT min(id) AS id FROM core.versions")[0]["id"].as_str().expect("an id").to_owned();
    let email = project.query(&format!("SELECT email FROM raw_hubspot.contacts WHERE id = '{id}'"))[0]["email"].clone();
    let email = email.as_str().expect("an address").to_owned();
    // DuckDB leaves bytes of deleted rows in its file.
    let is_in_file = || {
        let bytes = std::fs::read(project.warehouse_path()).expect("a warehouse");
        bytes.windows(email.len()).any(|window| window == email.as_bytes())
    };
    assert!(is_in_file(), "`{email}` is not in the file");
    let path = pipeline.to_str().expect("a path in UTF-8");
    let forget = || project.command(&["forget", path, &format!("contacts/{id}")]).output().expect("the binary runs");
    // The next run completes an erasure that failed.
    let broken = project.write("sql/core/broken.sql", "SELECT error('broken') AS why FROM clean_hubspot.contacts");
    assert!(!forget().status.success());
    std::fs::remove_file(broken).expect("the file");
    assert!(project.try_run(&pipeline, &[]).status.success());
    for table in ["core.grown", "core.versions"] {
        assert!(project.query(&format!("SELECT 1 FROM {table} WHERE id = '{id}'")).is_empty(), "{table}");
        assert!(!project.query(&format!("SELECT 1 FROM {table}")).is_empty(), "{table}");
    }
    let output = forget();
    assert!(output.status.success(), "{}", crate::support::stderr(&output));
    assert!(!is_in_file(), "`{email}` is still in the file");
}
