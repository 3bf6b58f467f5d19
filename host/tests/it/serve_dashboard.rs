//! The dashboard of `host serve`: figures equal the marts for any combination of filters, the rows behind them add up, and
//! invalid requests and declarations are errors.

use host::warehouse::Row;
use serde_json::Value;

use crate::serve_support::Serving;
use crate::support::{Project, people, root, stderr};

fn first(answer: &Value) -> Value {
    answer["rows"][0][0].clone()
}

#[test]
fn figures_equal_the_marts_and_the_rows_behind_them() {
    let project = Project::new(300);
    let path = root().join("pipelines/hubspot.toml");
    project.run(&[]);
    let marts = project.query("SELECT * FROM marts.mart_ltv_cac WHERE new_patients > 0");
    let months_margin = project.query("SELECT sum(margin)::DOUBLE AS margin FROM marts.mart_kpi_month");
    let serving = Serving::start(&project, &path, &[]);
    let text = |row: &Row, key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut compared = 0;
    for row in &marts {
        let (kind, slice) = (text(row, "slice_type"), text(row, "slice"));
        let slice = slice.replace(' ', "%20");
        let choice = match kind.as_str() {
            "overall" => String::new(),
            "cohort" => format!("&period_from={slice}&period_to={slice}"),
            other => format!("&{other}={slice}"),
        };
        let query = format!("horizon={}{choice}", row["horizon"]);
        for (item, column) in [
            ("ltv_cac", "ratio"),
            ("ltv", "ltv"),
            ("cac", "cac_blended"),
            ("cac_paid", "cac_paid"),
            ("patients", "new_patients"),
        ] {
            let answer = serving.get(&format!("/api/items/{item}?{query}"));
            let (ours, mart) = (first(&answer), row.get(column).cloned().unwrap_or_default());
            let number = |value: &Value| value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
            let (ours, mart) = (number(&ours), number(&mart));
            // Shares of spend by specialty are rounded elsewhere: they differ by less than a thousandth.
            let same = ours.zip(mart).map_or(ours == mart, |(ours, mart)| (ours - mart).abs() < 0.001);
            assert!(same, "{item}?{query}: {ours:?} is not {mart:?} of {row:?}");
            compared += 1;
        }
        if row["horizon"] == 6 {
            let behind = serving.get(&format!("/api/items/ltv/drills/patients?{query}"));
            assert_eq!(behind["total"], row["new_patients"], "{query}");
        }
    }
    assert!(compared > 200, "only {compared} figures");

    let months = serving.get("/api/items/money_by_month");
    let margin = |row: &Value| row[2].as_str().and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    let sum: f64 = months["rows"].as_array().into_iter().flatten().map(margin).sum();
    assert!((sum - months_margin[0]["margin"].as_f64().expect("a number")).abs() < 0.01);

    // One row of a chart: the rows behind it depend on the row and on the filters, and are available as a file too.
    let by_channel = serving.get("/api/items/by_channel?horizon=6&channel=direct");
    let channel = by_channel["rows"].as_array().and_then(|rows| rows.iter().find(|row| row[0] == "google_ads"));
    let channel = channel.expect("a chart ignores the filter that it sets");
    let behind = "items/by_channel/drills/patients";
    let asked = "horizon=6&channel=direct&row.channel=google_ads";
    let patients = channel[5].as_str().and_then(|patients| patients.parse::<u64>().ok()).expect("a number");
    assert_eq!(serving.get(&format!("/api/{behind}?{asked}"))["total"], patients);
    let file = serving.get(&format!("/api/{behind}.csv?{asked}"));
    let lines = file.as_str().expect("a file").lines().count();
    assert_eq!(lines as u64 - 1, patients);

    let own = ("host", serving.address.as_str());
    let long = format!("/api/items/ltv?channel={}", "x".repeat(300));
    for (status, path, part) in [
        (404, "/api/items/ltvs", "did you mean `ltv`"),
        (404, "/api/items/ltv/drills/pacientes", "did you mean `patients`"),
        (404, "/api/records/hubspot.contacts/none", "unknown record `none`"),
        (400, "/api/items/ltv?horizon=7", "expected one of `3`, `6`, `12`, `24`"),
        (400, "/api/items/ltv?horizont=6", "did you mean `horizon`"),
        (400, "/api/items/ltv?channel=google_adz", "did you mean `google_ads`"),
        (400, "/api/items/ltv?channel='%3B%20DROP%20TABLE%20marts.mart_ltv_cac%3B--", "unknown value `'; DROP TABLE"),
        (400, "/api/items/ltv?period_from=2026-13", "write a month as `2026-10`"),
        (400, &long, "a value of 300 characters exceeds the limit of 200"),
    ] {
        let (found, answer) = serving.request("GET", path, &[own], "");
        assert_eq!(found, status, "{path}: {answer}");
        assert!(answer["error"].to_string().contains(part), "{path}: no `{part}` in {answer}");
    }
}

#[test]
fn a_folder_has_its_own_dashboard_and_errors_in_it_stop_the_start() {
    let project = Project::new(20);
    project.write("people.csv", "id,name\n1,Ana\n2,Bia\n");
    project.write("sql/marts/people.sql", "SELECT 'a' AS part, 2 AS people");
    let path = project.write("people.toml", &people("", &["id", "name"], "[marts]\npath = \"sql\"\n"));
    let served = path.to_str().expect("a path in UTF-8");
    let output = project.try_run(&path, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let page = |view: &str, item: &str| {
        project.write(
            "sql/dashboard.toml",
            &format!(
                "title = {{ en = \"People\" }}\n[[view]]\nname = \"parts\"\n{view}\n[[section]]\nlabel = {{ en = \"All\" }}\n\
                 [[section.item]]\nname = \"people\"\nlabel = {{ en = \"People\" }}\n{item}\n"
            ),
        );
    };
    let view = "sql = \"FROM marts.people\"";
    let figure = "kind = \"figure\"\nformat = \"integer\"\nsql = \"SELECT people AS value FROM parts\"";
    for (view, item, part) in [
        ("sql = \"FROM marts.peopel\"", figure, "dashboard.toml:4:1: unknown model or view `marts.peopel`"),
        ("sql = \"FROM raw_people.people\"", figure, "unknown model or view `raw_people.people`"),
        ("sql = \"SELEC 1\"", figure, "dashboard.toml:4:1: syntax error"),
        (view, "kind = \"bar\"\nsql = \"FROM parts\"", "needs `x` and `y`"),
        (view, "kind = \"figur\"\nsql = \"FROM parts\"", "dashboard.toml:10:1"),
        (view, "kind = \"table\"\nsql = \"FROM partz\"", "did you mean `parts`"),
        (view, "kind = \"table\"\nsql = \"FROM parts\"\nwithout = [\"month\"]", "unknown filter `month`"),
        (view, "kind = \"table\"\nsql = \"FROM parts\"\nbehind = [\"parts\"]", "unknown view with a mart `parts`"),
    ] {
        page(view, item);
        let output = project.command(&["serve", served, "--port", "0"]).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(2), "{part}");
        assert!(stderr(&output).contains(part), "no `{part}` in {}", stderr(&output));
    }
    page(view, figure);
    let serving = Serving::start(&project, &path, &[]);
    assert_eq!(first(&serving.get("/api/items/people")), 2);
    assert_eq!(serving.get("/api/dashboard")["title"]["en"], "People");
    // An edit of the file takes effect at once.
    page(view, &figure.replace("people AS value", "people + 1 AS value"));
    assert_eq!(first(&serving.get("/api/items/people")), 3);
}
