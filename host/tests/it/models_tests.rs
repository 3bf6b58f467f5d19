//! What must hold of models: columns, queries, contracts, fixtures, drills; in a build and by `host test`.

use crate::models_support::Models;

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
    // What is published is as it was; that of its inputs which are views is not.
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
            "sql/core/items.toml:10:1: model `core.items`: its contract is broken: column `amount` is DOUBLE, not DECIMAL(38,2)",
            "since `staging.orders` changed upstream: its column `amount` was DECIMAL(3,2) and is DOUBLE",
        ],
    );
    models.write("core/items.sql", "SELECT item, count(*) AS orders, 1.5 AS more, sum(amount::DECIMAL(9,2)) AS amount FROM staging.orders GROUP BY item");
    models.fails(
        &["build"],
        2,
        &["model `core.items`: its contract is broken: it has a column `more` (DECIMAL(2,1)) besides"],
    );
    assert_eq!(models.value("SELECT typeof(amount) FROM core.items LIMIT 1"), "DECIMAL(38,2)");
    // Where a query does not even bind any more it has no columns to compare.
    models.write("staging/orders.sql", "SELECT id, item FROM raw_shop.orders");
    models.fails(
        &["build"],
        2,
        &[
            "sql/core/items.sql:1: model `core.items`: Binder Error",
            "`staging.orders` changed upstream: its column `amount` (DECIMAL(3,2)) is gone",
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
    assert_eq!(
        models.value("SELECT count(*) FROM core.items"),
        "2",
        "the rows of a fixture are there for the test alone"
    );
    models.write("core/items.toml", &test(rows, "{ item = \"x\", amount = 4, orders = 2 }, { orders = 1 }"));
    let fails = "sql/core/items.toml:2:1: unit test `sums` of `core.items` fails: no row is {\"amount\":4,\"item\":\"x\",\"orders\":2}; there came";
    models.fails(&["build"], 5, &[fails, "nothing was built"]);
    models.fails(&["test"], 5, &[fails]);
    for (given, expect, part) in [
        ("{ item = \"x\", amonut = 1 }", "", "row 1 of `staging.orders`: no column `amonut`"),
        ("{ item = \"x\", amount = \"much\" }", "", "row 1 of `staging.orders`: Conversion Error"),
        ("", "{ items = 1 }", "row 1 of `expect`: no column `items`"),
    ] {
        models.write("core/items.toml", &test(given, expect));
        models.fails(&["test"], 2, &[part]);
    }
    // What another expected row names and this one does not is NULL.
    models.write(
        "core/items.toml",
        &test(rows, "{ item = \"x\", amount = 3.5 }, { item = \"y\" }")
            .replace("{ id = 7 }", "{ item = \"y\", amount = 1 }"),
    );
    models.fails(&["test"], 5, &["no row is {\"item\":\"y\",\"amount\":null}; there came"]);
    models.write("core/items.toml", &test("", "").replace("staging.orders", "raw_shop.orders"));
    models.fails(&["test"], 2, &["no table that the model reads is `raw_shop.orders`"]);
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
        models.fails(&[command], 5, &["sql/checks/few.toml:2:1: unit test `finds` of `checks.few` fails"]);
    }
}

#[test]
fn a_fixture_of_variables_takes_the_place_of_the_pipelines() {
    let models = Models::new(&[
        ("core/a.sql", "SELECT CAST(value AS INTEGER) * 2 AS n FROM _host.variables WHERE name = 'rate'"),
        ("core/a.toml", "[[unit_test]]\nname = \"t\"\nvariables = { rate = \"4\" }\nexpect = [{ n = 8 }]\n"),
    ]);
    models.pipeline("1GB", "rate = \"1\"");
    assert_eq!(models.build(&[])["unit_tests_passed"], 1);
    assert_eq!(models.value("SELECT n FROM core.a"), "2");
}

#[test]
fn drills_add_up_to_what_the_mart_says() {
    let drill = |aggregate: &str| {
        format!(
            "[[drill]]\nname = \"orders\"\nkey = [\"item\"]\nrecord = \"id\"\nstream = \"shop.orders\"\n\
                 agrees = {{ orders = \"count(*)\", amount = \"{aggregate}\" }}\nsql = \"SELECT item, id, amount FROM staging.orders\"\n"
        )
    };
    let models = shop(&drill("sum(amount)"));
    assert_eq!(models.build(&[])["tests_passed"], 2);
    models.write("core/items.toml", &drill("max(amount)"));
    let differs = "drill `orders` does not agree: {\"in_mart\":true,\"item\":\"milk\",\"amount\":\"2.50\",\"max(amount)\":\"1.30\"}";
    models.fails(&["test"], 5, &[&format!("sql/core/items.toml:6:1: {differs}")]);
}

#[test]
fn editors_get_a_schema() {
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_host")).args(["schema", "model"]).output().expect("it runs");
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(schema["properties"]["unit_test"].is_object(), "{schema:#}");
}
