//! Tests that the SQL of a project reads only what it was granted: in models, tests, drills, reports and alerts.

use crate::models_support::Models;

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
