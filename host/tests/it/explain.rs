//! `host explain`: a figure of the shipped pipeline, the rows behind it, the rules that corrected them; conditions; drills.

use host::explain::{DrillQuery, RowRange, find};
use serde_json::{Value, json};

use crate::models_support::Models;
use crate::support::{Project, root, stderr};

/// Runs the command on the shipped pipeline; returns its exit code, its output and its errors.
fn explain(project: &Project, words: &[&str]) -> (Option<i32>, String, String) {
    let pipeline = root().join("pipelines/hubspot.toml");
    let words = [&["explain", pipeline.to_str().expect("a path in UTF-8")], words].concat();
    let output = project.command(&words).output().expect("the binary runs");
    let errors = stderr(&output);
    assert!(!errors.contains("panicked"), "{errors}");
    (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"), errors)
}

fn explained(project: &Project, mart: &str, condition: &str) -> Value {
    let (code, text, errors) = explain(project, &[mart, "--where", condition, "--format", "json"]);
    assert_eq!(code, Some(0), "{errors}");
    serde_json::from_str(&text).expect("JSON")
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn of<'a>(explained: &'a Value, drill: &str) -> &'a Value {
    list(explained, "drills").iter().find(|one| one["drill"] == drill).expect("a drill")
}

/// The rules that repaired a record among the rows of a drill, for one kind of repair.
fn rules<'a>(drill: &'a Value, record: &str, id: &Value, what: &str) -> Vec<&'a str> {
    let rows = list(drill, "rows").iter().filter(|row| row["row"][record] == *id);
    let repairs = rows.flat_map(|row| list(row, "repairs")).filter(|repair| repair["what"] == what);
    repairs.filter_map(|repair| repair["rule"].as_str()).collect()
}

#[test]
fn a_figure_is_traced_to_its_records_and_their_repairs() {
    let project = Project::new(400);
    project.run(&[]);
    let all = explained(&project, "mart_ltv_cac", "slice = 'all' and horizon = 12");
    assert_eq!((&all["mart"], &all["total"]), (&"marts.mart_ltv_cac".into(), &1.into()));
    let row = &all["rows"][0];
    for drill in list(&all, "drills") {
        assert!(!list(drill, "agreements").is_empty() && drill["total"] != 0, "{drill:#}");
        assert_eq!(drill["total"], list(drill, "rows").len(), "JSON lists all rows");
        for figure in list(drill, "agreements") {
            assert_eq!((&figure["is_equal"], &figure["of_mart"]), (&true.into(), &figure["of_rows"]), "{figure}");
            let column = figure["column"].as_str().expect("a name");
            assert_eq!(figure["of_mart"].as_str().expect("text"), row[column].to_string().trim_matches('"'));
        }
    }
    // The same figures, from the rows themselves.
    let (patients, consultations) = (of(&all, "patients"), of(&all, "consultations"));
    assert_eq!(patients["total"], row["new_patients"]);
    let cents = |row: &Value| {
        (row["row"]["margin"].as_str().expect("a margin").parse::<f64>().expect("a number") * 100.0).round()
    };
    let sum = |drill: &Value| list(drill, "rows").iter().map(cents).sum::<f64>();
    let margin = (row["margin"].as_str().expect("a margin").parse::<f64>().expect("a number") * 100.0).round();
    assert!((sum(patients) - margin).abs() < 100.0 && (sum(consultations) - margin).abs() < 400.0);
    // Patients that absorbed another record, and consultations whose doctor a rule found.
    let merged = project.query("SELECT survivor_key, key FROM _host.merges WHERE stream = 'hubspot.contacts'");
    let merged: Vec<_> = merged
        .iter()
        .filter(|merge| !rules(patients, "patient_id", &merge["survivor_key"], "absorbed").is_empty())
        .collect();
    assert!(!merged.is_empty());
    for merge in merged {
        assert!(
            rules(patients, "patient_id", &merge["survivor_key"], "absorbed")
                .iter()
                .all(|rule| *rule == "same_patient")
        );
        let is_it = |repair: &&Value| repair["absorbed"] == merge["key"];
        assert!(list(patients, "rows").iter().flat_map(|row| list(row, "repairs")).any(|repair| is_it(&repair)));
    }
    let linked = project
        .query("SELECT key FROM _host.changes WHERE stream = 'hubspot.deals' AND column_name = 'linked_company_id'");
    let found = linked
        .iter()
        .filter(|link| rules(consultations, "deal_id", &link["key"], "changed") == ["missing_doctor"])
        .count();
    let repaired =
        list(consultations, "rules").iter().find(|rule| rule["rule"] == "missing_doctor" && rule["what"] == "changed");
    assert!(found > 0);
    assert_eq!(repaired.expect("the rule")["records"], found);
    assert_eq!(repaired.expect("the rule")["details"], json!([["linked_company_id", found]]));

    let (code, text, errors) =
        explain(&project, &["marts.mart_ltv_cac", "--where", "slice = 'all' and horizon = 12", "--rows", "3"]);
    assert_eq!(code, Some(0), "{errors}");
    for part in [
        "ltv / cac_blended",
        "= sum(margin)",
        "showing the first 3 of",
        "corrected by",
        "tidy_contacts changed",
        "same_patient merged others into",
    ] {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
    let (_, text, _) = explain(&project, &["mart_ltv_cac", "--where", "horizon = 12"]);
    assert!(
        text.contains("showing the first 20 of") && text.contains("figures equal the sums of these rows"),
        "{text}"
    );
    let (_, text, _) = explain(&project, &["core.dim_channel", "--where", "true"]);
    assert!(text.contains("`core.dim_channel` has no drills"), "{text}");
}

#[test]
fn a_condition_is_one_expression_over_the_columns_of_a_mart() {
    let models = Models::new(&[
        (
            "core/items.sql",
            "FROM (VALUES ('bread', 1, DATE '2026-01-01'), ('milk', 2, NULL)) AS items(item, orders, day)",
        ),
        (
            "core/items.toml",
            "[[drill]]\nname = \"rows\"\nkey = [\"item\"]\nsql = \"SELECT item, orders FROM core.items\"\n",
        ),
    ]);
    models.build(&[]);
    let before = models.query("SELECT table_name FROM duckdb_tables() ORDER BY ALL");
    for (condition, parts) in [
        ("", vec!["the condition is empty"]),
        ("1; drop table x", vec!["the text is not one expression"]),
        ("true; select 1", vec!["expected one query, found 2 statements"]),
        ("true) or (true", vec!["syntax error"]),
        ("true union all select true", vec!["the text is not one expression"]),
        ("true from core.items", vec!["the text is not one expression"]),
        ("item = 'milk' as x", vec!["the text is not one expression"]),
        ("true, false", vec!["the text is not one expression"]),
        ("true limit 1", vec!["the text is not one expression"]),
        ("item = (select 'milk')", vec!["subqueries are not allowed in a condition"]),
        ("item in (from read_csv('/etc/passwd'))", vec!["the table function `read_csv` is not allowed"]),
        ("list_sum(range(3000000000)) > 0", vec!["`range` builds a value of 3000000000 elements"]),
        ("length(repeat('x', orders)) > 0", vec!["the size of `repeat` is not a number in the condition"]),
        // Built-in macros that call themselves.
        ("pg_get_constraintdef(1) is null", vec!["the function `pg_get_constraintdef` is not allowed"]),
        ("current_database() = 'x'", vec!["no row of `core.items` matches"]),
        (
            "read_csv('/etc/passwd')",
            vec!["`read_csv` is not allowed in a condition: it reads more than the current row"],
        ),
        ("write_log('x') is null", vec!["the function `write_log` is not allowed"]),
        ("pg_sleep(1) is null", vec!["the function `pg_sleep` is not allowed"]),
        ("sum(orders) > 1", vec!["`sum` is not allowed in a condition: it aggregates several rows"]),
        ("row_number() over () = 1", vec!["window functions are not allowed in a condition"]),
        ("orders = ?", vec!["parameters are not allowed in a condition"]),
        ("orders", vec!["the expression has type INTEGER, expected BOOLEAN"]),
        ("itme = 'milk'", vec!["unknown column `itme`", "did you mean `item`?"]),
        ("item = milk", vec!["unknown column `milk`", "single quotes: 'milk'"]),
        ("orders = 'many'", vec!["Could not convert string 'many'"]),
        ("uper(item) = 'MILK'", vec!["unknown function `uper`", "`upper`"]),
        (
            "item = 'milkk' and orders > 5",
            vec![
                "no row of `core.items` matches",
                "`item` is `bread`, `milk`; did you mean `milk`?",
                "`orders` is `1`, `2`",
            ],
        ),
    ] {
        let output = models.try_to(&["explain", "core.items", "--where", condition]);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{condition}: {text}");
        assert!(text.contains("hint:") && !text.contains("panicked"), "{condition}: {text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{condition}: {text}");
    }
    assert_eq!(models.query("SELECT table_name FROM duckdb_tables() ORDER BY ALL"), before);
    for condition in [
        "item = 'milk';",
        "item ilike 'M%' -- or nothing",
        "nullif(item, 'x') = 'milk' and current_date > '2020-01-01'",
        "(orders + 1) in (3, 4)",
        "day is null",
    ] {
        assert!(
            models.run(&["explain", "items", "--where", condition]).contains("core.items: 1 row where"),
            "{condition}"
        );
    }
    models.fails(&["explain", "itmes", "--where", "true"], 2, &["unknown model `itmes`", "did you mean `items`?"]);
    models.write("core/more.sql", "SELECT 1 AS n");
    models.fails(&["explain", "more", "--where", "true"], 2, &["`core.more` was never built"]);
}

#[test]
fn a_drill_is_read_page_by_page_and_its_key_is_never_sql() {
    let models = Models::new(&[
        (
            "core/sales.sql",
            "SELECT range AS id, CASE WHEN range < 7 THEN range % 2 END AS shop, 1.5 AS amount FROM range(10)",
        ),
        ("core/shops.sql", "SELECT shop, sum(amount) AS amount FROM core.sales GROUP BY shop"),
        (
            "core/shops.toml",
            "[[drill]]\nname = \"sales\"\nkey = [\"shop\"]\nagrees = { amount = \"sum(amount)\" }\nsql = \"FROM core.sales\"\n",
        ),
    ]);
    models.build(&[]);
    let warehouse = models.warehouse();
    let graph = host::models::load(&models.folder.path().join("sql"), &warehouse, &Default::default(), &|_| true);
    let graph = graph.expect("models");
    let shops = find(&graph, "shops").expect("a model");
    let of = |key: Value| DrillQuery::new(&warehouse, shops, "sales", &[key.as_object().expect("a key").clone()]);
    let ids = |drill: &DrillQuery<'_>, page: RowRange| -> Vec<i64> {
        let rows = drill.rows(page).expect("rows");
        rows.iter().map(|row| row.row["id"].as_i64().expect("a number")).collect()
    };
    let even = of(json!({ "shop": "0" })).expect("a drill");
    assert_eq!(even.total().expect("a total"), (4, None));
    assert_eq!(ids(&even, RowRange { offset: 0, rows: Some(3) }), [0, 2, 4]);
    assert_eq!(ids(&even, RowRange { offset: 3, rows: Some(3) }), [6]);
    let none = of(json!({ "shop": null })).expect("a drill");
    assert_eq!(ids(&none, RowRange::default()), [7, 8, 9]);
    let agreement = &none.agreements().expect("figures")[0];
    assert_eq!((agreement.mart_value.as_deref(), agreement.is_equal), (Some("4.5"), true));
    assert_eq!(of(json!({ "SHOP": 5 })).expect("a drill").total().expect("a total"), (0, None));
    for (key, part) in [
        (json!({ "shop": "0) OR (1 = 1" }), "Could not convert string"),
        (json!({}), "the key column `shop` has no value"),
        (json!({ "shop": 1, "id": 1 }), "`id` is not a column of the key"),
    ] {
        let error = of(key).err().expect("no such key");
        assert!(error.message().contains(part) && error.hint_text().is_some(), "{error}");
        assert_eq!(error.kind.exit_code(), 2, "{error}");
    }
    let error = DrillQuery::new(&warehouse, shops, "sale", &[]).err().expect("no such drill");
    assert_eq!(error.hint_text().as_deref(), Some("did you mean `sales`?"));
}
