//! Cleaning: masked values, the story of a record, the limit of rejects, and the reason why a stream was cleaned again.

use crate::support::{Project, root, stderr};

/// A pipeline of contacts: lines of `[pipeline]`, and rules.
fn contacts(project: &Project, settings: &str, rules: &str) -> std::path::PathBuf {
    let base = std::fs::read_to_string(project.hubspot(&["companies", "contacts"], "")).expect("a pipeline");
    let base = base.replacen("[connection.hubspot]", &format!("{settings}\n[connection.hubspot]"), 1);
    project.write("contacts.toml", &format!("{base}\n{rules}"))
}

fn report(output: &std::process::Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).expect("a report")
}

const TIDY: &str = r#"
[[rule]]
plugin = "text"
name = "tidy"
streams = ["hubspot.contacts"]
[rule.config.columns]
email = ["trim", "lower"]
firstname = ["trim"]
phone = ["phone_br"]
"#;

#[test]
fn masked_values_stay_out_of_the_journal() {
    let project = Project::new(200);
    let mask = r#"
[[rule]]
plugin = "mask"
streams = ["hubspot.contacts"]
[rule.config]
salt = "uma-pitada-de-sal-grosso"
columns = { email = "hash", phone = "redact" }
"#;
    // The journal of earlier rules is masked too, although these rules did not change.
    let same = "[[rule]]\nplugin = \"dedupe\"\nstreams = [\"hubspot.contacts\"]\nconfig = { matches = [{ same = { id = \"exact\" } }] }\n";
    for rules in [format!("{TIDY}{same}"), format!("{TIDY}{same}{mask}")] {
        report(&project.try_run(&contacts(&project, "", &rules), &[]));
    }
    let clean = project.query(
        "SELECT count(*) AS rows, count(phone) AS phones, count(*) FILTER (WHERE email IS NOT NULL \
         AND NOT regexp_matches(email, '^[0-9a-f]{64}$')) AS readable FROM clean_hubspot.contacts",
    );
    assert!(clean[0]["rows"].as_i64().expect("a count") > 200, "{clean:?}");
    assert_eq!((&clean[0]["phones"], &clean[0]["readable"]), (&0.into(), &0.into()), "{clean:?}");
    let journal = project.query(
        "SELECT column_name, count(*) AS rows, count(value_before) + count(value_after) AS shown \
         FROM _host.changes GROUP BY ALL ORDER BY column_name",
    );
    let shown = |column: &str| {
        let found = journal.iter().find(|row| row["column_name"] == column).expect("changes");
        (found["rows"].as_i64().expect("a count") > 0, found["shown"].as_i64().expect("a count") > 0)
    };
    assert_eq!([shown("email"), shown("phone"), shown("firstname")], [(true, false), (true, false), (true, true)]);
    let bytes = std::fs::read(project.warehouse_path()).expect("the warehouse");
    assert!(!bytes.windows(24).any(|window| window == b"uma-pitada-de-sal-grosso"), "the salt is in the warehouse");
}

#[test]
fn the_story_of_a_record_shows_what_rules_did_to_it() {
    let project = Project::new(300);
    project.run(&[]);
    let merged = project.query("SELECT key, survivor_key FROM _host.merges WHERE stream = 'hubspot.contacts' LIMIT 1");
    let text = |name: &str| merged[0][name].as_str().expect("a key").to_owned();
    let (key, survivor) = (text("key"), text("survivor_key"));
    let pipeline = root().join("pipelines/hubspot.toml");
    let quality = |arguments: &[&str]| {
        let pipeline = pipeline.to_str().expect("a path in UTF-8");
        project.command(&[&["quality", pipeline], arguments].concat()).output().expect("the binary runs")
    };
    let story = report(&quality(&["--record", &format!("contacts/{key}"), "--format", "json"]));
    assert_eq!(story["fate"], format!("merged into {survivor}"));
    assert!(story["raw"].is_object() && story["clean"].is_null(), "{story:#}");
    let story = report(&quality(&["--record", &format!("hubspot.contacts/{survivor}"), "--format", "json"]));
    assert_eq!((&story["fate"], &story["merged_from"][0]["key"]), (&"clean".into(), &key.into()), "{story:#}");
    let output = quality(&[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).expect("text");
    for part in ["hubspot.contacts", "same_patient", " → ", "amount  raw ", " = clean "] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let output = quality(&["--record", "contact/1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("stream `contact` is not loaded"), "{}", stderr(&output));
}

#[test]
fn rules_that_reject_too_much_fail_the_run() {
    let project = Project::new(50);
    let reject = r#"
[[rule]]
plugin = "require"
name = "complete"
streams = ["hubspot.contacts"]
config = { columns = ["hs_merged_object_ids"], action = "reject" }
"#;
    let config = "optional_properties = { contacts = { hs_merged_object_ids = \"enumeration\" } }";
    let pipeline = |settings: &str| {
        let path = contacts(&project, settings, reject);
        let text = std::fs::read_to_string(&path).expect("a pipeline");
        project.write("contacts.toml", &text.replacen("[source.config]\n", &format!("[source.config]\n{config}\n"), 1))
    };
    let output = project.try_run(&pipeline(""), &[]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let text = stderr(&output);
    assert!(text.contains("most of them by `complete`") && text.contains("set `max_rejected`"), "{text}");
    let cleanings = project.query("SELECT count(*) AS rows FROM _host.cleanings WHERE stream = 'hubspot.contacts'");
    assert_eq!(cleanings[0]["rows"], 0);
    report(&project.try_run(&pipeline("max_rejected = 1.0"), &[]));
    let rows = project.query("SELECT count(*) AS rows FROM clean_hubspot.contacts");
    assert_eq!(rows[0]["rows"], 0);
}

#[test]
fn only_streams_that_depend_on_a_change_are_cleaned_again() {
    let project = Project::new(50);
    let companies = TIDY.replace("contacts", "companies").replace("\"tidy\"", "\"tidy_companies\"");
    let companies = companies.replace("email = [\"trim\", \"lower\"]\nfirstname = [\"trim\"]\n", "");
    report(&project.try_run(&contacts(&project, "", &format!("{TIDY}{companies}")), &[]));
    let changed = TIDY.replace("firstname = [\"trim\"]", "firstname = [\"trim\", \"upper\"]");
    let second = report(&project.try_run(&contacts(&project, "", &format!("{changed}{companies}")), &[]));
    let of = |stream: &str| {
        second["cleaned"].as_array().expect("streams").iter().find(|one| one["stream"] == stream).expect("the stream")
    };
    assert_eq!(of("hubspot.contacts")["because"], "rule `tidy` changed", "{second:#}");
    assert_eq!(of("hubspot.companies")["unchanged"], true, "{second:#}");
}

#[test]
fn two_rules_may_set_one_column_in_order() {
    let project = Project::new(30);
    let upper = TIDY.replace("\"tidy\"", "\"loud\"").replace("firstname = [\"trim\"]", "firstname = [\"upper\"]");
    report(&project.try_run(&contacts(&project, "", &format!("{TIDY}{upper}")), &[]));
    let rows =
        project.query("SELECT count(*) AS rows FROM clean_hubspot.contacts WHERE firstname <> upper(trim(firstname))");
    assert_eq!(rows[0]["rows"], 0);
}
