//! Incremental cleaning: only rows and rules that depend on a change are computed again, with the same tables as a full
//! cleaning.

use sandbox::object_types::ObjectType;

use crate::support::{Project, people, stderr};

/// Rows first, then identity by e-mail and by phone, then rows again.
const RULES: &str = r#"
[[rule]]
plugin = "text"
name = "tidy"
streams = ["people.people"]
config = { columns = { email = ["trim", "lower"], phone = ["trim"] } }
[[rule]]
plugin = "dedupe"
name = "same_email"
streams = ["people.people"]
config = { matches = [{ same = { email = "email" } }] }
[[rule]]
plugin = "dedupe"
name = "same_phone"
streams = ["people.people"]
config = { matches = [{ same = { phone = "exact" } }], fill = ["email"] }
[[rule]]
plugin = "text"
name = "cities"
streams = ["people.people"]
config = { columns = { city = ["upper"] } }
[[rule]]
plugin = "require"
name = "complete"
streams = ["people.people"]
config = { columns = ["city"], action = "reject" }
"#;

/// A thousand people: every tenth has the e-mail of the one before, the ninth has the phone of the first, the fifth no city.
struct People {
    project: Project,
    rows: Vec<[String; 4]>,
}

impl People {
    fn new() -> Self {
        let row = |id: usize| {
            let email = if id.is_multiple_of(10) { id - 1 } else { id };
            let phone = if id == 9 { 1 } else { id };
            let city = if id == 5 { "" } else { "Recife" };
            [format!("{id:04}"), format!(" P{email}@exemplo.com"), format!("55{phone:09}"), city.to_owned()]
        };
        Self { project: Project::new(10), rows: (1..=1000).map(row).collect() }
    }

    fn edit(&mut self, id: usize, column: usize, value: &str) {
        let id = format!("{id:04}");
        self.rows.iter_mut().filter(|row| row[0] == id).for_each(|row| value.clone_into(&mut row[column]));
    }

    fn write(&self, rules: &str) -> std::path::PathBuf {
        let rows: String = self.rows.iter().map(|row| row.join(",") + "\n").collect();
        self.project.write("people.csv", &format!("id,email,phone,city\n{rows}"));
        self.project.write("pipeline.toml", &people("", &["id", "email", "phone", "city"], rules))
    }

    /// Runs; returns why all rows were cleaned again, and how many rows each rule checked.
    fn run(&self, rules: &str) -> (String, Vec<u64>) {
        let output = self.project.try_run(&self.write(rules), &[]);
        assert!(output.status.success(), "{}", stderr(&output));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a report");
        let cleaned = &report["cleaned"][0];
        let rules = cleaned["rules"].as_array().expect("rules");
        let because = cleaned["because"].as_str().unwrap_or_default().to_owned();
        (because, rules.iter().map(|rule| rule["checked"].as_u64().expect("a count")).collect())
    }

    /// All that cleaning writes: tables, the journal, and the staged tables that are left.
    fn left(&self) -> Vec<String> {
        let mut left: Vec<_> = self.project.fingerprint().into_iter().map(|row| format!("{row:?}")).collect();
        for table in ["changes", "rejects", "notes", "merges"] {
            let rows = self.project.query(&format!("SELECT * EXCLUDE load_id FROM _host.{table} ORDER BY ALL"));
            left.extend(rows.into_iter().map(|row| format!("{table} {row:?}")));
        }
        let staged = self.project.query("SELECT table_name FROM duckdb_tables() WHERE contains(table_name, '__next')");
        left.extend(staged.iter().map(|row| format!("{row:?}")));
        left
    }

    /// The same file loaded into an empty warehouse.
    fn after_full_cleaning(&self, rules: &str) -> Vec<String> {
        let fresh = Self { project: Project::new(10), rows: self.rows.clone() };
        fresh.run(rules);
        fresh.left()
    }

    /// How many of the present rows each rule checked, by `host quality`.
    fn quality(&self) -> Vec<u64> {
        let pipeline = self.project.folder.path().join("pipeline.toml");
        let arguments = ["quality", pipeline.to_str().expect("a path in UTF-8"), "--format", "json"];
        let output = self.project.command(&arguments).output().expect("the binary runs");
        let streams: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let rules = streams[0]["rules"].as_array().expect("rules");
        rules.iter().map(|rule| rule["counts"]["checked"].as_u64().expect("a count")).collect()
    }

    fn survivor(&self, key: &str) -> serde_json::Value {
        self.project.query(&format!("SELECT survivor_key FROM _host.merges WHERE key = '{key}'"))[0]["survivor_key"]
            .clone()
    }
}

#[test]
fn each_rule_checks_only_the_rows_that_changed_for_it() {
    let mut people = People::new();
    let ran = |people: &People, rules: &str, because: &str, checked: [u64; 5]| {
        assert_eq!(people.run(rules), (because.to_owned(), checked.to_vec()));
        assert!(
            people.left() == people.after_full_cleaning(rules),
            "{checked:?}: the tables differ from a full cleaning"
        );
    };
    ran(&people, RULES, "", [1000, 1000, 900, 899, 899]);
    assert_eq!(people.survivor("0010"), "0001", "through the ninth");
    // A column that no rule of table scope reads.
    people.edit(7, 3, "Olinda");
    ran(&people, RULES, "", [1, 0, 0, 1, 1]);
    // One rejected row: `max_rejected` counts all rows, not only changed ones.
    people.edit(8, 3, "");
    ran(&people, RULES, "", [1, 0, 0, 1, 1]);
    // The phone, which only the second rule reads: the ninth is a record of its own again, with the records merged into it.
    people.edit(9, 2, "550000999");
    ran(&people, RULES, "", [1, 0, 900, 1, 1]);
    assert_eq!(people.survivor("0010"), "0009");
    people.edit(9, 2, "55000000001");
    ran(&people, RULES, "", [1, 0, 900, 0, 0]);
    assert_eq!(people.survivor("0010"), "0001");
    // An e-mail: one more record is merged, and the later rules have no row of it.
    people.edit(12, 1, "p11@exemplo.com");
    ran(&people, RULES, "", [1, 1000, 899, 0, 0]);
    assert_eq!(people.quality(), [1000, 1000, 899, 898, 898], "of all rows, whichever run checked them");
    // A rejected record becomes valid; a record without duplicates and a merged record are deleted.
    people.edit(5, 3, "Natal");
    ran(&people, RULES, "", [1, 0, 0, 1, 1]);
    people.rows.retain(|row| !["0021", "0030"].contains(&row[0].as_str()));
    ran(&people, RULES, "", [0, 998, 898, 0, 0]);
    // Changed rules: the last rule's own rows; after the first rule only rows that it changed.
    let upper = RULES.replace("[\"upper\"]", "[\"upper\", \"trim\"]");
    ran(&people, &upper, "rule `cities` changed", [0, 0, 0, 897, 897]);
    let first = upper.replace("phone = [\"trim\"]", "phone = [\"trim\", \"lower\"]");
    ran(&people, &first, "rule `tidy` changed", [998, 0, 0, 897, 897]);
    let without = first.split("[[rule]]\nplugin = \"text\"\nname = \"cities\"").next().expect("the first three");
    assert_eq!(people.run(without).1, [0, 0, 898]);
    assert!(people.left() == people.after_full_cleaning(without), "the tables without the last rules differ");
    assert_eq!(people.run(&first).1, [0, 0, 898, 897, 897]);
    assert_eq!(people.run(&first), (String::new(), Vec::new()), "nothing changed");
    assert!(people.left() == people.after_full_cleaning(&first), "the tables with the last rules differ");
}

#[test]
fn a_run_killed_while_it_cleans_ends_in_the_same_tables() {
    let (mut expected, mut half_done) = (Vec::new(), 0);
    for kilobytes in [None, Some(0), Some(8), Some(40), Some(80), Some(110), Some(130), Some(180)] {
        let mut people = People::new();
        people.run(RULES);
        people.edit(9, 2, "550000999");
        people.edit(12, 1, "p11@exemplo.com");
        people.edit(7, 3, "Olinda");
        if let Some(kilobytes) = kilobytes {
            people.project.kill_at_log_of(&people.write(RULES), kilobytes << 10);
            let staged = "SELECT 1 FROM duckdb_tables() WHERE contains(table_name, '__next')";
            half_done += usize::from(!people.project.query(staged).is_empty());
        }
        people.run(RULES);
        if kilobytes.is_none() {
            expected = people.left();
        }
        assert!(people.left() == expected, "killed at a log of {kilobytes:?} kB");
    }
    assert!(half_done > 0, "no run was killed while it cleaned");
}

#[test]
fn a_change_of_an_input_matters_only_in_the_columns_that_a_rule_reads() {
    let project = Project::new(150);
    project.run(&[]);
    let now = project.server.now();
    let edited = project.server.with(|network| {
        let id = *network.records[&ObjectType::Contact].keys().next().expect("a contact");
        network.edit(ObjectType::Contact, id, "city", Some("Caicó"), now)
    });
    assert!(edited);
    let report = project.run(&[]);
    let of = |stream: &str| {
        report["cleaned"].as_array().expect("streams").iter().find(|one| one["stream"] == stream).expect("the stream")
    };
    let checked = |stream: &str| {
        let rules = of(stream)["rules"].as_array().expect("rules");
        rules.iter().map(|rule| rule["checked"].as_u64().expect("a count")).collect::<Vec<_>>()
    };
    assert_eq!(checked("hubspot.contacts"), [1, 1, 0], "no e-mail, phone or name changed");
    assert_eq!(of("hubspot.deals")["unchanged"], true, "the merges are unchanged: {report:#}");
}

#[test]
fn a_clean_row_has_the_run_that_last_changed_it() {
    const FILL: &str = r#"
[[rule]]
plugin = "dedupe"
name = "same_email"
streams = ["people.people"]
config = { matches = [{ same = { email = "email" } }], fill = ["city"] }
[marts]
path = "sql"
"#;
    let mut people = People::new();
    people.project.write("sql/core/grown.sql", "SELECT id, city, _load_id FROM clean_people.people");
    people.project.write(
        "sql/core/grown.toml",
        "materialized = \"incremental\"\nincremental = { strategy = \"merge\", key = [\"id\"], cursor = \"_load_id\" }\n",
    );
    let load_id = |people: &People, table: &str, id: &str| {
        let rows = people.project.query(&format!("SELECT _load_id FROM {table} WHERE id = '{id}'"));
        rows[0]["_load_id"].as_str().expect("a run").to_owned()
    };
    people.run(FILL);
    let first = load_id(&people, "clean_people.people", "0005");
    // The twelfth is merged into the fifth and fills its city; the raw row of the fifth is unchanged.
    people.edit(12, 1, "p5@exemplo.com");
    people.run(FILL);
    let second = load_id(&people, "clean_people.people", "0005");
    assert!(second > first);
    assert_eq!(load_id(&people, "raw_people.people", "0005"), first);
    assert_eq!(load_id(&people, "clean_people.people", "0006"), first);
    assert_eq!(people.project.query("SELECT city FROM core.grown WHERE id = '0005'")[0]["city"], "Recife");
    // Another merge: the rule judges all rows again, and the fifth is unchanged.
    people.edit(13, 1, "p6@exemplo.com");
    people.run(FILL);
    assert_eq!(load_id(&people, "clean_people.people", "0005"), second);
}
