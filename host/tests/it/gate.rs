//! Tests that the SQL of a project reads only what it was granted: in models, tests, drills, reports and alerts.

use host::warehouse::Warehouse;

use crate::models_support::Models;
#[cfg(target_os = "linux")]
use crate::support::{Project, people, stderr};

/// Adds text to the pipeline file.
fn append(models: &Models, text: &str) {
    let path = models.folder.path().join("pipeline.toml");
    let before = std::fs::read_to_string(&path).expect("the pipeline");
    std::fs::write(path, before + text).expect("the pipeline");
}

/// A pipeline with a table of another program in its warehouse.
fn models(files: &[(&str, &str)]) -> Models {
    let models = Models::new(files);
    let sql = "CREATE SCHEMA finance; CREATE TABLE finance.budget AS SELECT 100 AS amount";
    models.warehouse().execute(sql).expect("a table");
    models
}

#[test]
fn no_query_reads_files_or_tables_that_were_not_granted() {
    let ok = ("core/ok.sql", "SELECT 1 AS a");
    let secret = "FROM read_text('.env')";
    let with_test = format!("[[test]]\nname = \"t\"\nsql = \"{secret}\"\n");
    let with_drill = format!("[[drill]]\nname = \"d\"\nkey = [\"a\"]\nsql = \"SELECT 1 AS a {secret}\"\n");
    let with_aggregate = "[[drill]]\nname = \"d\"\nkey = [\"a\"]\nsql = \"SELECT 1 AS a\"\n\
                          agrees = { a = \"(SELECT count(*) FROM read_text('.env'))\" }\n";
    let cases: [(&str, &str, &str); 10] = [
        ("core/x.sql", "SELECT content FROM read_text('.env')", "the table function `read_text` is not allowed"),
        ("core/x.sql", "FROM '.env'", "unknown table `.env`"),
        ("core/x.sql", "FROM core.\"../x.csv\"", "unknown table `core.../x.csv`"),
        ("core/x.sql", "FROM core.csv", "unknown table `core.csv`"),
        ("core/x.sql", "WITH \"x.csv\" AS (FROM \"x.csv\") FROM \"x.csv\"", "unknown table `x.csv`"),
        ("core/x.sql", "SELECT * FROM finance.budget", "the models may not read `finance.budget`"),
        ("core/x.sql", "SELECT * FROM _host.forgotten", "the models may not read `_host.forgotten`"),
        ("core/ok.toml", &with_test, "the table function `read_text` is not allowed"),
        ("core/ok.toml", &with_drill, "the table function `read_text` is not allowed"),
        ("core/ok.toml", with_aggregate, "the table function `read_text` is not allowed"),
    ];
    for (name, text, message) in cases {
        let models = models(&[ok, (name, text)]);
        models.fails(&["build"], 2, &[message]);
        assert!(models.query("FROM duckdb_tables() WHERE schema_name = 'core'").is_empty(), "{name}: {text}");
    }
}

#[test]
fn reports_and_alerts_are_single_queries_on_granted_tables() {
    let alert = |query: &str| {
        format!("[[alert]]\nurl = \"https://example.com\"\non = [\"quality\"]\nthreshold = 1\nquery = \"{query}\"\n")
    };
    let report = |query: &str| format!("[[report]]\ntitle = \"t\"\nquery = \"{query}\"\n");
    let cases = [
        (alert("DELETE FROM core.ok"), "expected a SELECT statement"),
        (alert("SELECT 1; DROP SCHEMA core"), "expected a SELECT statement"),
        (alert("SELECT 1; SELECT 2"), "expected one query, found 2 statements"),
        (alert("COPY core.ok TO 'x.csv'"), "expected a SELECT statement"),
        (alert("ATTACH 'x.duckdb'"), "expected a SELECT statement"),
        (alert("SELECT amount FROM finance.budget"), "unknown table `finance.budget`"),
        (report("FROM read_csv('x')"), "the table function `read_csv` is not allowed"),
        (report("FROM finance.budget"), "unknown table `finance.budget`"),
    ];
    for (section, message) in cases {
        let models = models(&[("core/ok.sql", "SELECT 1 AS a")]);
        append(&models, &section);
        models.fails(&["build"], 2, &[message]);
    }
}

#[test]
fn a_table_of_another_program_is_read_if_the_pipeline_grants_it() {
    let models = models(&[("core/x.sql", "SELECT amount FROM finance.budget")]);
    let path = models.folder.path().join("pipeline.toml");
    let text = std::fs::read_to_string(&path).expect("the pipeline");
    std::fs::write(path, text.replace("reads = [", "reads = [\"finance.budget\", ")).expect("the pipeline");
    models.build(&[]);
    assert_eq!(models.value("SELECT amount FROM core.x"), "100");
}

/// Runs SQL on the warehouse as another program would.
fn as_another_program(models: &Models, sql: &str) {
    let warehouse = Warehouse::open(&models.warehouse_path(), "1GB").expect("a warehouse");
    warehouse.execute(sql).expect("a statement");
}

#[test]
fn a_macro_neither_hides_a_built_in_function_nor_is_called() {
    let models = models(&[("core/ok.sql", "SELECT abs(-1) AS a")]);
    models.build(&[]);
    for (create, drop, name) in [
        ("CREATE MACRO abs(x) AS x + 1000", "DROP MACRO abs", "abs"),
        ("CREATE MACRO Sha256(x) AS 'same'", "DROP MACRO Sha256", "sha256"),
        ("CREATE MACRO \"+\"(a, b) AS 7", "DROP MACRO \"+\"", "+"),
        ("CREATE MACRO array_extract(a, b) AS 99", "DROP MACRO array_extract", "array_extract"),
        (
            "CREATE MACRO duckdb_functions() AS TABLE SELECT 1 AS x",
            "DROP MACRO TABLE duckdb_functions",
            "duckdb_functions",
        ),
        ("CREATE MACRO range(x) AS TABLE SELECT 1 AS range", "DROP MACRO TABLE range", "range"),
    ] {
        as_another_program(&models, create);
        for command in [&["build"] as &[_], &["test"], &["models"], &["explain", "core.ok", "--where", "a = 1"]] {
            models.fails(command, 2, &[&format!("the macro `{name}` hides a built-in function"), "hint: drop it"]);
        }
        as_another_program(&models, drop);
    }
    as_another_program(&models, "CREATE MACRO spent(x) AS (SELECT sum(amount) + x FROM finance.budget)");
    models.build(&[]);
    models.write("core/x.sql", "SELECT spent(1) AS a");
    models.fails(&["build"], 2, &["the function `spent` is not allowed: a user created it"]);
    models.remove("core/x.sql");
    models.fails(&["explain", "core.ok", "--where", "spent(a) > 1"], 2, &["the function `spent` is not allowed"]);
    append(&models, "[[report]]\ntitle = \"t\"\nquery = \"SELECT Spent(1)\"\n");
    models.fails(&["build"], 2, &["the function `spent` is not allowed"]);
}

/// A value of 32 GB, whose size is not a constant.
#[cfg(target_os = "linux")]
const HUGE: &str = "list_sum(range(4000000000 + a))";

#[cfg(target_os = "linux")]
#[test]
fn a_value_of_many_gigabytes_fails_in_every_query() {
    let ok = ("core/ok.sql", "SELECT 1 AS a");
    let models = Models::new(&[ok, ("core/x.sql", &format!("SELECT {HUGE} AS b FROM core.ok"))]);
    models.fails(&["build"], 2, &["core/x.sql", "out of memory"]);

    let query = format!("SELECT a, CASE WHEN a > 1 THEN {HUGE} END AS b FROM core.ok");
    let test =
        "[[unit_test]]\nname = \"u\"\nexpect = [{ a = 2, b = 0 }]\n[unit_test.given]\n\"core.ok\" = [{ a = 2 }]\n";
    let models = Models::new(&[ok, ("core/x.sql", &query), ("core/x.toml", test)]);
    models.fails(&["build"], 2, &["unit test `u`", "out of memory"]);

    let drill = format!("[[drill]]\nname = \"d\"\nkey = [\"a\"]\nsql = \"SELECT a, {HUGE} AS b FROM core.ok\"\n");
    let models = Models::new(&[ok, ("core/x.sql", "SELECT a FROM core.ok"), ("core/x.toml", &drill)]);
    models.build(&[]);
    models.fails(&["explain", "core.x", "--where", "a = 1"], 2, &["drill `d`", "out of memory"]);

    let project = Project::new(10);
    project.write("people.csv", "id,name\n1,Ana\n");
    let report = format!("[[report]]\ntitle = \"t\"\nquery = \"SELECT {HUGE} FROM (SELECT 1 AS a)\"\n");
    let output = project.run_text(&people("", &["id", "name"], &report));
    assert!(output.status.success(), "{}", stderr(&output));
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("report `t`: out of memory"), "{shown}");
}
