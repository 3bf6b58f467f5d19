//! Models built, tested, published and listed by the binary, on DuckDB files.

use std::time::Duration;

use crate::models_support::{Models, names};

/// seeds.price, staging.orders → core.sales → marts.total.
fn shop() -> Models {
    let models = Models::new(&[
        ("seeds/price.csv", "item,price\nbread,2.50\nmilk,1.20\n"),
        ("seeds/price.toml", "[[column]]\nname = \"price\"\ntype = \"DECIMAL(9,2)\"\n"),
        ("staging/orders.sql", "-- Orders as loaded.\nSELECT id, item, quantity FROM raw_shop.orders"),
        (
            "core/sales.sql",
            "SELECT id, item, quantity * price AS amount FROM staging.orders JOIN seeds.price USING (item);\n",
        ),
        ("core/sales.toml", "description = \"One row an order.\"\ntags = [\"money\"]\n"),
        ("marts/total.sql", "SELECT CAST(coalesce(sum(amount), 0) AS DECIMAL(18,2)) AS total FROM core.sales"),
        ("checks/positive.sql", "FROM core.sales WHERE amount < 0"),
    ]);
    models.load("1", "CREATE TABLE raw_shop.orders AS SELECT 1 AS id, 'bread' AS item, 2 AS quantity");
    models
}

#[test]
fn only_models_that_changed_are_built() {
    let models = shop();
    let built = models.build(&[]);
    assert_eq!(names(&built), ["seeds.price", "staging.orders", "core.sales", "marts.total"]);
    assert_eq!(built["checks_passed"], 1);
    assert_eq!(models.value("SELECT total FROM marts.total"), "5.00");
    assert_eq!(models.build(&[])["unchanged"], true);

    models.write("marts/total.sql", "SELECT CAST(sum(amount) AS DECIMAL(18,2)) AS total FROM core.sales");
    let built = models.build(&[]);
    assert_eq!((names(&built), &built["models_unchanged"]), (vec!["marts.total".to_owned()], &3.into()));
    assert_eq!(models.build(&[])["unchanged"], true);

    models.load("2", "INSERT INTO raw_shop.orders VALUES (2, 'milk', 10)");
    assert_eq!(names(&models.build(&[])), ["staging.orders", "core.sales", "marts.total"]);
    assert_eq!(models.value("SELECT total FROM marts.total"), "17.00");

    models.remove("marts/total.sql");
    models.build(&[]);
    assert_eq!(models.value("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'total'"), "0");
}

#[test]
fn a_description_builds_nothing_and_a_selection_builds_only_itself() {
    let models = shop();
    models.build(&[]);
    models.write("core/sales.toml", "description = \"Each order.\"\n[[column]]\nname = \"id\"\nunique = true\n");
    let built = models.build(&[]);
    assert_eq!((names(&built).len(), &built["tests_passed"]), (0, &1.into()));
    models.load("2", "INSERT INTO raw_shop.orders VALUES (2, 'milk', 10)");
    models.write("marts/second.sql", "SELECT 1 AS one FROM core.sales");
    // A selected view is built too; models that read the selection are not.
    assert_eq!(names(&models.build(&["--select", "+sales"])), ["staging.orders", "core.sales"]);
    assert_eq!(models.value("SELECT total FROM marts.total"), "5.00");
    models.fails(&["build", "--select", "seconds"], 2, &["unknown model `seconds`", "did you mean `second`"]);
    assert_eq!(names(&models.build(&["--select", "state:modified"])), ["marts.second"]);
    assert_eq!(names(&models.build(&[])), ["marts.total"]);
}

#[test]
fn a_build_that_fails_publishes_nothing_and_is_retried() {
    let models = shop();
    models.build(&[]);
    models.load("2", "INSERT INTO raw_shop.orders VALUES (2, 'milk', 10)");
    models.write("core/odd.sql", "SELECT CAST(item AS INTEGER) AS n\nFROM raw_shop.orders");
    models.write("marts/odder.sql", "FROM core.odd");
    models.fails(
        &["build"],
        5,
        &[
            "sql/core/odd.sql:1: model `core.odd`: Could not convert string",
            "follows from it: model `marts.odder` was skipped",
            "nothing was published",
            "`host build PIPELINE --retry` continues from the failed models",
        ],
    );
    assert_eq!(models.value("SELECT total FROM marts.total"), "5.00");
    let staged = "SELECT string_agg(model_schema || '.' || model, ' ' ORDER BY model) FROM _host.staged_models WHERE status = 'built'";
    assert_eq!(models.value(staged), "staging.orders core.sales marts.total");
    let made = "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'sales__next'";
    assert_eq!(models.value(made), "1");
    let before = models.value("SELECT table_oid FROM duckdb_tables() WHERE table_name = 'sales__next'");
    models.fails(&["build", "--retry"], 5, &["Could not convert string"]);
    assert_eq!(models.value("SELECT table_oid FROM duckdb_tables() WHERE table_name = 'sales__next'"), before);
    models.write("core/odd.sql", "SELECT TRY_CAST(item AS INTEGER) AS n\nFROM raw_shop.orders");
    let built = models.build(&["--retry"]);
    assert_eq!(names(&built), ["core.odd", "staging.orders", "core.sales", "marts.odder", "marts.total"]);
    assert_eq!(models.value("SELECT table_oid FROM duckdb_tables() WHERE table_name = 'sales'"), before);
    assert_eq!(models.value("SELECT total FROM marts.total"), "17.00");
    assert_eq!(models.value(made), "0");
    models.fails(&["build", "--retry"], 2, &["`--retry`: no failed build to continue"]);
}

#[test]
fn a_retry_builds_staged_models_again_whose_inputs_changed() {
    let models = shop();
    models.write("core/odd.sql", "SELECT CAST(item AS INTEGER) AS n FROM raw_shop.orders");
    models.fails(&["build"], 5, &["Could not convert string"]);
    models.load("2", "INSERT INTO raw_shop.orders VALUES (2, 'milk', 10)");
    models.write("core/odd.sql", "SELECT n FROM core.fixed");
    models.write("core/fixed.sql", "SELECT 1 AS n");
    models.build(&["--retry"]);
    assert_eq!(models.value("SELECT total FROM marts.total"), "17.00");
}

#[test]
fn readers_see_the_published_variables_until_all_models_are_published() {
    let models = Models::new(&[
        ("staging/rate.sql", "SELECT CAST(value AS INTEGER) AS rate FROM _host.variables WHERE name = 'rate'"),
        ("core/doubled.sql", "SELECT rate * 2 AS doubled FROM staging.rate"),
    ]);
    models.pipeline("1GB", "rate = \"2\"");
    models.build(&[]);
    models.write("checks/small.sql", "FROM core.doubled WHERE doubled > 10");
    models.pipeline("1GB", "rate = \"7\"");
    models.fails(&["build"], 5, &["check `checks.small` returned rows: {\"doubled\":14}"]);
    assert_eq!(models.value("SELECT rate || ' ' || doubled FROM staging.rate, core.doubled"), "2 4");
    models.pipeline("1GB", "rate = \"3\"");
    models.build(&[]);
    assert_eq!(models.value("SELECT rate || ' ' || doubled FROM staging.rate, core.doubled"), "3 6");
    // A variable that no model names changes nothing.
    models.pipeline("1GB", "rate = \"3\", other = \"1\"");
    assert_eq!(names(&models.build(&[])).len(), 0);
    assert_eq!(models.value("SELECT count(*) FROM _host.variables WHERE name = 'other'"), "1");
}

#[test]
fn a_kill_at_any_moment_leaves_one_version_of_all_models() {
    let models = Models::new(&[]);
    models.load("00", "CREATE TABLE raw_shop.orders AS SELECT 0 AS version, 1 AS id");
    for n in 0..12 {
        models.write(&format!("core/t{n}.sql"), "SELECT version, range AS id FROM raw_shop.orders, range(3000)");
    }
    models.write("core/grown.sql", "SELECT version, range AS id FROM raw_shop.orders, range(3000)");
    models.write(
        "core/grown.toml",
        "materialized = \"incremental\"\nincremental = { strategy = \"merge\", key = [\"id\"], cursor = \"version\" }\n",
    );
    models.write("staging/v.sql", "SELECT DISTINCT version FROM core.t3");
    models.build(&[]);
    let tables = (0..12).map(|n| format!("SELECT version FROM core.t{n}"));
    let all = tables.chain(["SELECT version FROM core.grown".to_owned(), "SELECT version FROM staging.v".to_owned()]);
    let all = all.collect::<Vec<_>>().join(" UNION ");
    let mut seen = std::collections::BTreeSet::new();
    for round in 1..=16 {
        models.load(&format!("{round:02}"), &format!("UPDATE raw_shop.orders SET version = {round}"));
        let mut child =
            models.command(&["build", "--quiet"]).stderr(std::process::Stdio::null()).spawn().expect("it runs");
        std::thread::sleep(Duration::from_millis(20 + 25 * round));
        // A process that has ended cannot be killed.
        let _ = child.kill();
        child.wait().expect("it ends");
        let versions = models.query(&all);
        assert_eq!(versions.len(), 1, "round {round}: {versions:?}");
        seen.insert(versions[0]["version"].as_u64() == Some(round));
    }
    assert!(seen.contains(&false), "some rounds were killed before they published");
    models.build(&[]);
    assert_eq!(models.value(&all), "16");
}

#[test]
fn models_are_listed_drawn_and_described() {
    let models = shop();
    let text = models.run(&["models"]);
    assert!(text.contains("core.sales       table       money"), "{text}");
    let drawn = "marts.total\n└─ core.sales\n   ├─ seeds.price\n   └─ staging.orders\n      └─ raw_shop.orders\n";
    assert!(text.contains(drawn), "{text}");
    models.build(&[]);
    let manifest: serde_json::Value =
        serde_json::from_str(&models.run(&["models", "--format", "json"])).expect("a manifest");
    let sales = manifest["models"].as_array().expect("models").iter().find(|m| m["model"] == "core.sales").expect("it");
    assert_eq!(sales["reads"], serde_json::json!(["seeds.price", "staging.orders"]));
    assert_eq!(sales["read_by"], serde_json::json!(["checks.positive", "marts.total"]));
    assert_eq!(sales["columns"][2]["type"], "DECIMAL(18,2)", "{sales:#}");
    assert_eq!((&sales["rows"], &sales["is_modified"]), (&1.into(), &false.into()));
    assert!(models.run(&["models", "--mermaid"]).contains("core.sales[\"core.sales\"] --> marts.total"));
    assert!(models.run(&["build", "--full-refresh"]).contains("core.sales"));
}

#[test]
fn memory_is_limited_and_rows_beyond_the_limit_are_spilled() {
    let models = Models::new(&[(
        "core/sorted.sql",
        "SELECT range AS a, hash(range) AS b, md5(range::VARCHAR) AS c FROM range(3000000) ORDER BY b",
    )]);
    models.pipeline("130MB", "");
    models.build(&[]);
    models.write("core/one.sql", "SELECT list(range ORDER BY hash(range)) AS all_of_it FROM range(30000000)");
    models.fails(&["build"], 2, &["model `core.one`: out of memory: ", "raise `memory_limit` in `[pipeline]`"]);
}
