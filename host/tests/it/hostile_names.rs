//! Names and keys that a source may choose: every column is loaded, merged, cleaned and erased under its own name, and a
//! record without a key is refused.

use std::process::Output;

use host::warehouse::Row;

use crate::models_support::Models;
use crate::support::{Project, people, stderr};

/// Names that DuckDB, the host's SQL or its own tables also use.
const NAMES: [&str; 28] = [
    "rowid",
    "RowId",
    "ROWID",
    "_rowid_",
    "filename",
    "file_row_number",
    "file_index",
    "key",
    "stream",
    "rule",
    "load_id",
    "old",
    "new",
    "c0",
    "c1",
    "named",
    "_rows",
    "_row",
    "_key",
    "_exists",
    "select",
    "a \"b\" c",
    "it's",
    "a.b",
    "--x",
    "; DROP TABLE x",
    "row_id",
    "ção",
];

/// A pipeline of a stream whose rows the source returns page by page, and further sections.
fn table(stream: &str, columns: &[&str], key: &[&str], replaces: bool, pages: &[&[&[&str]]], rest: &str) -> String {
    format!(
        "[pipeline]\nname = \"evil\"\nwarehouse = \"warehouse.duckdb\"\n\
         [connection.api]\nbase_url = \"${{HUBSPOT_BASE_URL}}\"\ntoken = {{ secret = \"HUBSPOT_ACCESS_TOKEN\" }}\n\
         [[source]]\nplugin = \"evil-source\"\nname = \"evil\"\nconnections = {{ api = \"api\" }}\n[source.config]\n\
         mode = \"table\"\n[source.config.table]\nstream = {stream:?}\ncolumns = {columns:?}\nkey = {key:?}\n\
         replaces = {replaces}\npages = {pages:?}\n{rest}"
    )
}

/// A rule of row scope on a column, and one of table scope on the key.
fn rules(stream: &str, column: &str) -> String {
    format!(
        "[[rule]]\nplugin = \"text\"\nstreams = [\"evil.{stream}\"]\n[rule.config.columns]\n{column:?} = [\"upper\"]\n\
         [[rule]]\nplugin = \"dedupe\"\nstreams = [\"evil.{stream}\"]\n\
         [[rule.config.matches]]\nname = \"same\"\nsame = {{ {column:?} = \"text\" }}\n"
    )
}

fn succeed(what: &str, output: &Output) {
    assert!(output.status.success(), "{what}: {}", stderr(output));
}

fn rows(project: &Project, table: &str, column: &str) -> Vec<Row> {
    let column = column.replace('"', "\"\"");
    project.query(&format!("SELECT id, \"{column}\" AS value FROM {table} ORDER BY ALL"))
}

fn values(rows: &[Row]) -> Vec<(String, String)> {
    let text = |row: &Row, name: &str| row[name].as_str().unwrap_or("NULL").to_owned();
    rows.iter().map(|row| (text(row, "id"), text(row, "value"))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(id, value)| ((*id).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_last_row_of_a_key_counts_whatever_its_columns_are_called() {
    for name in NAMES {
        for replaces in [false, true] {
            let what = format!("{name}, replaces: {replaces}");
            let project = Project::new(10);
            let run = |pages: &[&[&[&str]]]| {
                succeed(&what, &project.run_text(&table("t", &["id", name], &["id"], replaces, pages, "")));
                values(&rows(&project, "raw_evil.t", name))
            };
            // The second key sorts before the first one, so that an order by the column is noticed.
            let first = run(&[&[&["1", "z"], &["2", "b"], &["1", "m"]], &[&["1", "a"], &["3", "NULL"]]]);
            assert_eq!(first, pairs(&[("1", "a"), ("2", "b"), ("3", "NULL")]), "{what}");
            let second = run(&[&[&["2", "c"], &["1", "y"], &["1", "x"], &["4", ""]]]);
            let three = if replaces { vec![] } else { vec![("3", "NULL")] };
            let expected = [vec![("1", "x"), ("2", "c")], three, vec![("4", "")]].concat();
            assert_eq!(second, pairs(&expected), "{what}");
        }
    }
}

#[test]
fn a_key_column_may_have_any_name() {
    for name in ["rowid", "RowId", "key", "key_sha256", "stream", "linked_sha256", "_host", "load_id", "a \"b\""] {
        let project = Project::new(10);
        let reserved = name.starts_with("_host");
        let pages: [&[&[&str]]; 2] = [&[&["1", "z"], &["2", "b"], &["1", "m"]], &[&["1", "a"]]];
        let rule = "[[rule]]\nplugin = \"text\"\nstreams = [\"evil.t\"]\n[rule.config.columns]\nname = [\"upper\"]\n\
                    [[rule]]\nplugin = \"dedupe\"\nstreams = [\"evil.t\"]\n\
                    [[rule.config.matches]]\nname = \"same\"\nsame = { name = \"text\" }\n";
        let text = table("t", &[name, "name"], &[name], false, &pages, rule);
        let output = project.run_text(&text);
        if reserved {
            assert_eq!(output.status.code(), Some(4), "{name}: {}", stderr(&output));
            assert!(stderr(&output).contains("is reserved for the host"), "{name}: {}", stderr(&output));
            continue;
        }
        succeed(name, &output);
        let quoted = name.replace('"', "\"\"");
        let clean = |project: &Project| {
            let rows = project.query(&format!("SELECT \"{quoted}\" AS id, name AS value FROM clean_evil.t ORDER BY 1"));
            values(&rows)
        };
        assert_eq!(clean(&project), pairs(&[("1", "A"), ("2", "B")]), "{name}");
        // A person who is forgotten is erased, and kept out of later loads.
        let pipeline = project.folder.path().join("pipeline.toml");
        let pipeline = pipeline.to_str().expect("a path in UTF-8");
        let forget = project.command(&["forget", pipeline, "t/1"]).output().expect("the binary runs");
        succeed(name, &forget);
        assert_eq!(clean(&project), pairs(&[("2", "B")]), "{name}: {}", stderr(&forget));
        succeed(name, &project.run_text(&text));
        assert_eq!(clean(&project), pairs(&[("2", "B")]), "{name}");
    }
}

#[test]
fn rules_run_on_columns_of_any_name() {
    for name in NAMES {
        let project = Project::new(10);
        let pages: [&[&[&str]]; 1] = [&[&["1", "b"], &["2", "a"], &["3", "b"], &["4", "c"]]];
        succeed(name, &project.run_text(&table("t", &["id", name], &["id"], false, &pages, &rules("t", name))));
        let clean = values(&rows(&project, "clean_evil.t", name));
        assert_eq!(clean, pairs(&[("1", "B"), ("2", "A"), ("4", "C")]), "{name}");
        // Only the changed row is cleaned again.
        let pages: [&[&[&str]]; 1] = [&[&["2", "d"]]];
        succeed(name, &project.run_text(&table("t", &["id", name], &["id"], false, &pages, &rules("t", name))));
        let clean = values(&rows(&project, "clean_evil.t", name));
        assert_eq!(clean, pairs(&[("1", "B"), ("2", "D"), ("4", "C")]), "{name}");
    }
}

#[test]
fn names_that_the_warehouse_cannot_hold_are_refused_by_runs_and_by_tests_of_plugins() {
    let long = "x".repeat(10_000);
    let refused: [(&[&str], &[&str], &str); 12] = [
        (&["id", "_load_id"], &["id"], "column `_load_id` is reserved for the host"),
        (&["id", "_EXTRACTED_AT"], &["id"], "column `_EXTRACTED_AT` is reserved for the host"),
        (&["id", "_host_row"], &["id"], "column `_host_row` is reserved for the host"),
        (&["id", "_HostX"], &["id"], "column `_HostX` is reserved for the host"),
        (&["id", "name", "Name"], &["id"], "duplicate column `Name`"),
        (&["id", "name", "name"], &["id"], "duplicate column `name`"),
        (&["rowid", "ROWID"], &["rowid"], "duplicate column `ROWID`"),
        (&["id", "name"], &["id", "id"], "duplicate key column `id`"),
        (&["id", ""], &["id"], "`` is not a valid column name"),
        (&["id", &long], &["id"], "is not a valid column name"),
        (&["id", "name"], &[], "the schema has no primary key"),
        (&["id", "name"], &["name2"], "the primary key `name2` is not a column"),
    ];
    let project = Project::new(10);
    for (columns, key, why) in refused {
        let text = table("t", columns, key, false, &[&[&["1", "a", "b"]]], "");
        let output = project.run_text(&text);
        assert_eq!(output.status.code(), Some(4), "{why}: {}", stderr(&output));
        assert!(stderr(&output).contains(why) && stderr(&output).len() < 2_000, "{why}: {}", stderr(&output));
        let pipeline = project.folder.path().join("pipeline.toml");
        let pipeline = pipeline.to_str().expect("a path in UTF-8");
        let tested = project.command(&["plugin", "test", "evil-source", "--pipeline", pipeline]).output();
        let tested = tested.expect("the binary runs");
        assert_eq!(tested.status.code(), Some(4), "{why}: {}", stderr(&tested));
        assert!(String::from_utf8_lossy(&tested.stdout).contains(why), "{why}: {tested:?}");
    }
    // The warehouse tells letters apart that differ in case beyond ASCII.
    succeed("É", &project.run_text(&table("t", &["id", "É", "é"], &["id"], false, &[&[&["1", "a", "b"]]], "")));
}

#[test]
fn a_name_that_changes_its_case_is_the_same_column() {
    let project = Project::new(10);
    let run = |columns: &[&str], pages: &[&[&[&str]]]| {
        succeed("case", &project.run_text(&table("t", columns, &[columns[0]], false, pages, "")));
        values(&rows(&project, "raw_evil.t", "name"))
    };
    assert_eq!(run(&["id", "Name"], &[&[&["1", "a"], &["2", "b"]]]), pairs(&[("1", "a"), ("2", "b")]));
    assert_eq!(run(&["ID", "name"], &[&[&["1", "c"]]]), pairs(&[("1", "c"), ("2", "b")]));
}

#[test]
fn a_record_without_a_key_is_named_and_refused() {
    type Case<'a> = (&'a [&'a str], &'a [&'a [&'a str]], &'a str);
    let cases: [Case<'_>; 3] = [
        (&["id"], &[&["1", "a"], &["NULL", "b"], &["", "c"]], "row 2 has no value in its primary key `id`"),
        (&["id", "name"], &[&["1", "a"], &["2", "NULL"]], "row 2 (`id` is `2`) has no value in its primary key `name`"),
        (&["id", "name"], &[&["NULL", "NULL"]], "row 1 has no value in its primary key `id`"),
    ];
    for (key, page, why) in cases {
        for replaces in [false, true] {
            let project = Project::new(10);
            let good: &[&[&str]] = &[&["7", "g"]];
            succeed(why, &project.run_text(&table("t", &["id", "name"], key, replaces, &[good], "")));
            let output = project.run_text(&table("t", &["id", "name"], key, replaces, &[good, page], ""));
            assert_eq!(output.status.code(), Some(5), "{why}: {}", stderr(&output));
            for part in ["stream `evil.t`", "page 2", why, "hint: each record needs a value"] {
                assert!(stderr(&output).contains(part), "{part}: {}", stderr(&output));
            }
            assert_eq!(values(&rows(&project, "raw_evil.t", "name")), pairs(&[("7", "g")]), "{why}");
            let pipeline = project.folder.path().join("pipeline.toml");
            let pipeline = pipeline.to_str().expect("a path in UTF-8");
            let tested = project.command(&["plugin", "test", "evil-source", "--pipeline", pipeline]).output();
            let tested = tested.expect("the binary runs");
            assert!(String::from_utf8_lossy(&tested.stdout).contains(why), "{why}: {tested:?}");
        }
    }
    // An empty text is a value.
    let project = Project::new(10);
    let page: &[&[&str]] = &[&["", "a"], &["1", "b"]];
    succeed("empty", &project.run_text(&table("t", &["id", "name"], &["id"], false, &[page], "")));
    assert_eq!(values(&rows(&project, "raw_evil.t", "name")), pairs(&[("", "a"), ("1", "b")]));
}

#[test]
fn an_empty_key_cell_of_a_csv_file_is_a_text_or_an_error_with_its_line() {
    let project = Project::new(10);
    let run = |csv: &str, key: &str, id: &str| {
        project.write("people.csv", csv);
        let text = people("", &["id", "name"], "");
        let text = text.replace("primary_key = [\"id\"]", &format!("primary_key = {key}"));
        project.run_text(&text.replace("id = \"text\"", &format!("id = \"{id}\"")))
    };
    let both = "[\"id\", \"name\"]";
    succeed("both", &run("id,name\n1,a\n,a\n1,\n", both, "text"));
    let found = values(&rows(&project, "raw_people.people", "name"));
    assert_eq!(found, pairs(&[("", "a"), ("1", ""), ("1", "a")]), "no row is lost");
    for (csv, key, id, why) in [
        ("id,name\n1,a\n,a\n", "[\"id\"]", "text", "people.csv:3: the key is empty: id"),
        ("id,name\n1,a\n,\n", both, "text", "people.csv:3: the key is empty: id, name"),
        ("id,name\n1,a\n,a\n", both, "integer", "people.csv:3: the key column `id` is empty"),
        ("id,name\n,a\n,a\n", both, "text", "people.csv:3: duplicate key id, name = `, a`, first in line 2"),
        ("id,name,name\n1,a,b\n", both, "text", "people.csv:1: the header has two columns `name`"),
    ] {
        let output = run(csv, key, id);
        assert_eq!(output.status.code(), Some(5), "{why}: {}", stderr(&output));
        assert!(stderr(&output).contains(why), "{why}: {}", stderr(&output));
    }
}

#[test]
fn a_model_may_name_its_columns_as_it_likes_but_for_those_of_the_host() {
    let names = ["rowid", "_row", "_rows", "_exists", "_0", "_mart0", "_same", "_end", "_key", "filename", "a \"b\""];
    let quoted = names.map(|name| format!("\"{}\"", name.replace('"', "\"\"")));
    let columns = quoted.iter().enumerate().map(|(at, name)| format!("{at} AS {name}")).collect::<Vec<_>>().join(", ");
    let query = format!("SELECT 1 AS id, {columns}");
    let expected = names.iter().enumerate().map(|(at, name)| format!("{} = {at}", toml::Value::from(*name)));
    let expected = expected.collect::<Vec<_>>().join(", ");
    let keys = names.map(|name| toml::Value::from(name).to_string()).join(", ");
    let tests = format!(
        "[[unit_test]]\nname = \"u\"\nexpect = [{{ {expected} }}]\n[[drill]]\nname = \"d\"\nkey = [{keys}]\n\
         sql = '''{query}'''\nagrees = {{ id = \"sum(id)\" }}\n"
    );
    let snapshot = format!("materialized = \"snapshot\"\n[snapshot]\nkey = [{keys}]\n");
    let files =
        [("core/x.sql", query.as_str()), ("core/x.toml", &tests), ("core/s.sql", &query), ("core/s.toml", &snapshot)];
    let models = Models::new(&files);
    models.build(&[]);
    models.write("core/s.sql", &query.replace("1 AS id", "2 AS id"));
    models.build(&[]);
    assert_eq!(models.value("SELECT string_agg(id::VARCHAR, ' ' ORDER BY id) FROM core.s"), "1 2");
    models.run(&["explain", "core.x", "--where", "\"rowid\" = 0"]);
    for (name, text, column) in [
        ("core/y.sql", "SELECT 1 AS _HOST_row", "_HOST_row"),
        ("core/s.sql", "SELECT 1 AS id, 2 AS Valid_From", "Valid_From"),
    ] {
        models.write(name, text);
        models.fails(&["build"], 2, &[&format!("the column `{column}` is reserved for the host")]);
    }
}
