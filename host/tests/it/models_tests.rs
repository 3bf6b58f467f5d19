//! Tests of models, in a build and by `host test`: columns, queries, contracts, fixtures and drills.

use crate::models_support::Models;
use crate::support::{json_error, stderr};

fn shop(beside: &str) -> Models {
    let models = Models::new(&[
        ("staging/orders.sql", "SELECT id, item, amount FROM raw_shop.orders"),
        ("core/items.sql", "SELECT item, count(*) AS orders, sum(amount) AS amount FROM staging.orders GROUP BY item"),
        ("core/items.toml", beside),
    ]);
    models.load(
        "1",
        "CREATE TABLE raw_shop.orders AS FROM (VALUES (1, 'bread', 2.50), (2, 'milk', 1.20), (3, 'milk', 1.30)) AS t(id, item, amount)",
    );
    models
}

#[test]
fn columns_and_queries_are_tested_before_anything_is_published() {
    let beside = "[[column]]\nname = \"item\"\nnot_null = true\nunique = true\naccepted_values = [\"bread\", \"milk\"]\n\
                  references = \"staging.orders.item\"\n[[column]]\nname = \"orders\"\nseverity = \"warn\"\naccepted_values = [1]\n\
                  [[test]]\nname = \"few\"\nsql = \"FROM core.items WHERE orders > 2\"\n";
    let models = shop(beside);
    let built = models.build(&[]);
    assert_eq!(built["tests_passed"], 5);
    assert!(
        built["warnings"][0].as_str().is_some_and(|warning| warning.contains("column `orders` of `core.items`: 1 row")),
        "{built:#}"
    );
    assert!(models.run(&["test"]).contains("5 tests"));
    models.load("2", "INSERT INTO raw_shop.orders VALUES (4, NULL, 1), (5, 'milk', 1), (6, 'soap', 1)");
    models.fails(
        &["build"],
        5,
        &[
            "sql/core/items.toml:2:1: column `item` of `core.items`: 1 row without a value, such as {\"item\":null",
            "1 row with a value that is not accepted, such as {\"item\":\"soap\"",
            "test `few` returned rows: {\"item\":\"milk\",\"orders\":3",
            "nothing was published",
        ],
    );
    assert_eq!(models.value("SELECT count(*) FROM core.items"), "2");
    // The published tables are unchanged and still pass.
    models.run(&["test"]);
}

#[test]
fn a_broken_contract_names_the_column_and_what_changed_upstream() {
    let contract = "contract = true\n[[column]]\nname = \"item\"\ntype = \"TEXT\"\n[[column]]\nname = \"orders\"\ntype = \"BIGINT\"\n\
                    [[column]]\nname = \"amount\"\ntype = \"DECIMAL(38,2)\"\n";
    let models = shop(contract);
    models.build(&[]);
    models.write("staging/orders.sql", "SELECT id, item, CAST(amount AS DOUBLE) AS amount FROM raw_shop.orders");
    models.fails(
        &["build"],
        2,
        &[
            "sql/core/items.toml:10:1: model `core.items`: its contract is broken: column `amount` has type DOUBLE, expected DECIMAL(38,2)",
            "because `staging.orders` changed upstream: column `amount` changed from DECIMAL(3,2) to DOUBLE",
        ],
    );
    models.write("core/items.sql", "SELECT item, count(*) AS orders, 1.5 AS more, sum(amount::DECIMAL(9,2)) AS amount FROM staging.orders GROUP BY item");
    models.fails(
        &["build"],
        2,
        &["model `core.items`: its contract is broken: column `more` (DECIMAL(2,1)) is not listed"],
    );
    assert_eq!(models.value("SELECT typeof(amount) FROM core.items LIMIT 1"), "DECIMAL(38,2)");
    // A query that does not bind has no columns to compare.
    models.write("staging/orders.sql", "SELECT id, item FROM raw_shop.orders");
    models.fails(
        &["build"],
        2,
        &[
            "sql/core/items.sql:1: model `core.items`: Referenced column \"amount\" not found",
            "`staging.orders` changed upstream: column `amount` (DECIMAL(3,2)) was removed",
        ],
    );
}

#[test]
fn unit_tests_run_the_query_on_fixtures_before_anything_is_built() {
    let test = |given: &str, expect: &str| {
        format!("[[unit_test]]\nname = \"sums\"\ngiven.\"staging.orders\" = [{given}]\nexpect = [{expect}]\n")
    };
    let rows = "{ item = \"x\", amount = 1 }, { item = \"x\", amount = \"2.5\" }, { id = 7 }";
    let models = shop(&test(rows, "{ item = \"x\", amount = 3.5, orders = 2 }, { orders = 1 }"));
    assert_eq!(models.build(&[])["unit_tests_passed"], 1);
    assert_eq!(models.value("SELECT count(*) FROM core.items"), "2", "the rows of a fixture exist in its test alone");
    models.write("core/items.toml", &test(rows, "{ item = \"x\", amount = 4, orders = 2 }, { orders = 1 }"));
    let fails = "sql/core/items.toml:2:1: unit test `sums` of `core.items` failed: expected {\"amount\":4,\"item\":\"x\",\"orders\":2}; it returned";
    models.fails(&["build"], 5, &[fails, "nothing was built"]);
    models.fails(&["test"], 5, &[fails]);
    for (given, expect, part) in [
        ("{ item = \"x\", amonut = 1 }", "", "row 1 of `staging.orders`: unknown column `amonut`"),
        ("{ item = \"x\", amount = \"much\" }", "", "row 1 of `staging.orders`: Could not convert string"),
        ("", "{ items = 1 }", "row 1 of `expect`: unknown column `items`"),
    ] {
        models.write("core/items.toml", &test(given, expect));
        models.fails(&["test"], 2, &[part]);
    }
    // A column that only another expected row has is expected to be NULL.
    models.write(
        "core/items.toml",
        &test(rows, "{ item = \"x\", amount = 3.5 }, { item = \"y\" }")
            .replace("{ id = 7 }", "{ item = \"y\", amount = 1 }"),
    );
    models.fails(&["test"], 5, &["expected {\"item\":\"y\",\"amount\":null}; it returned"]);
    models.write("core/items.toml", &test("", "").replace("staging.orders", "raw_shop.orders"));
    models.fails(&["test"], 2, &["unknown table `raw_shop.orders`"]);
    models.write("core/items.toml", &test("", ""));
    models.run(&["test"]);
}

#[test]
fn checks_have_unit_tests_too() {
    let models = shop("");
    models.write("checks/few.sql", "SELECT item FROM core.items WHERE orders > 2");
    let test = |expect: &str| {
        format!(
            "[[unit_test]]\nname = \"finds\"\ngiven.\"core.items\" = [{{ item = \"x\", orders = 3 }}, {{ item = \"y\", orders = 2 }}]\n\
             expect = [{expect}]\n"
        )
    };
    models.write("checks/few.toml", &test("{ item = \"x\" }"));
    assert_eq!(models.build(&[])["unit_tests_passed"], 1);
    assert!(models.run(&["test"]).contains("1 unit test"));
    models.write("checks/few.toml", &test("{ item = \"y\" }"));
    for command in ["test", "build"] {
        models.fails(&[command], 5, &["sql/checks/few.toml:2:1: unit test `finds` of `checks.few` failed"]);
    }
}

#[test]
fn variables_of_a_unit_test_replace_those_of_the_pipeline() {
    let models = Models::new(&[
        ("core/a.sql", "SELECT CAST(value AS INTEGER) * 2 AS n FROM _host.variables WHERE name = 'rate'"),
        ("core/a.toml", "[[unit_test]]\nname = \"t\"\nvariables = { rate = \"4\" }\nexpect = [{ n = 8 }]\n"),
    ]);
    models.pipeline("1GB", "rate = \"1\"");
    assert_eq!(models.build(&[])["unit_tests_passed"], 1);
    assert_eq!(models.value("SELECT n FROM core.a"), "2");
}

#[test]
fn the_rows_of_a_drill_add_up_to_the_figures_of_the_mart() {
    let drill = |aggregate: &str| {
        format!(
            "[[drill]]\nname = \"orders\"\nkey = [\"item\"]\nrecord = \"id\"\nstream = \"shop.orders\"\n\
                 agrees = {{ orders = \"count(*)\", amount = \"{aggregate}\" }}\nsql = \"SELECT item, id, amount FROM staging.orders\"\n"
        )
    };
    let models = shop(&drill("sum(amount)"));
    assert_eq!(models.build(&[])["tests_passed"], 2);
    models.write("core/items.toml", &drill("max(amount)"));
    let differs = "drill `orders` does not match its mart: {\"in_mart\":true,\"item\":\"milk\",\"amount\":\"2.50\",\"max(amount)\":\"1.30\"}";
    models.fails(&["test"], 5, &[&format!("sql/core/items.toml:6:1: {differs}")]);
}

#[test]
fn the_schema_of_model_files_is_printed() {
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_host")).args(["schema", "model"]).output().expect("it runs");
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(schema["properties"]["unit_test"].is_object(), "{schema:#}");
}

/// A table whose check fails, five marts that read it and fail because of that, and a model that fails for its own reason.
fn failing() -> Models {
    let models = Models::new(&[
        ("core/rates.sql", "SELECT 'USD' AS currency, CAST(NULL AS DOUBLE) AS rate"),
        ("core/sales.sql", "SELECT 10 * rate AS amount FROM core.rates"),
        ("core/stock.sql", "SELECT -1 AS pieces"),
        ("core/stock.toml", "[[column]]\nname = \"pieces\"\naccepted_values = [1]\n"),
        ("checks/rates_are_known.sql", "FROM core.rates WHERE rate IS NULL"),
    ]);
    for n in 1..=5 {
        models.write(&format!("marts/total{n}.sql"), "SELECT amount FROM core.sales");
        models.write(&format!("marts/total{n}.toml"), "[[column]]\nname = \"amount\"\nnot_null = true\n");
    }
    models
}

#[test]
fn causes_are_shown_before_their_consequences() {
    let models = failing();
    let output = models.try_to(&["build"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(5), "{text}");
    let errors: Vec<_> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 2, "{text}");
    let cause = "error: sql/checks/rates_are_known.sql: check `checks.rates_are_known` returned rows: {\"currency\":\"USD\",\"rate\":null}";
    let at = text.find(cause).unwrap_or_else(|| unreachable!("no cause in: {text}"));
    let below: Vec<_> = text[at..].lines().skip(1).take(4).collect();
    for (line, n) in below.iter().zip(1..=3) {
        let consequence = format!(
            "  follows from it: sql/marts/total{n}.toml:2:1: column `amount` of `marts.total{n}`: 1 row without a value"
        );
        assert!(line.starts_with(&consequence), "no `{consequence}` in: {text}");
    }
    assert_eq!(below[3], "  and 2 more that follow from it", "{text}");
    assert!(text.contains("column `pieces` of `core.stock`: 1 row with a value that is not accepted"), "{text}");
    assert!(text.contains("2 problems") && text.matches("nothing was published").count() == 1, "{text}");
}

#[test]
fn errors_in_json_have_all_problems_and_their_consequences() {
    let output = failing().try_to(&["build", "--format", "json"]);
    let error = json_error(&output);
    assert_eq!(error["kind"], "data", "{error:#}");
    assert!(error["message"].as_str().is_some_and(|message| message.lines().count() == 2), "{error:#}");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("nothing was published")), "{error:#}");
    let problems = error["problems"].as_array().expect("problems");
    assert_eq!(problems.len(), 2, "{error:#}");
    let of = |file: &str| problems.iter().find(|problem| problem["place"]["file"] == file).expect("a problem");
    let cause = of("sql/checks/rates_are_known.sql");
    assert_eq!(cause["consequences"].as_array().map(Vec::len), Some(5), "{cause:#}");
    assert_eq!(cause["consequences"][0]["place"]["file"], "sql/marts/total1.toml", "{cause:#}");
    let stock = of("sql/core/stock.toml");
    assert_eq!((&stock["place"]["line"], &stock["place"]["column"]), (&2.into(), &1.into()), "{stock:#}");
    assert!(stock["consequences"].is_null(), "{stock:#}");
}
