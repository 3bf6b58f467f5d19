//! Only what depends on a change is computed anew, row by row and rule by rule, and ends in the same tables as all anew.

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

/// A thousand people: every tenth has the e-mail of the one before, the ninth the phone of the first, the fifth no city.
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

    /// Runs, and gives back why the stream was cleaned anew and how many rows each rule saw.
    fn run(&self, rules: &str) -> (String, Vec<u64>) {
        let output = self.project.try_run(&self.write(rules), &[]);
        assert!(output.status.success(), "{}", stderr(&output));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a report");
        let cleaned = &report["cleaned"][0];
        let rules = cleaned["rules"].as_array().expect("rules");
        let because = cleaned["because"].as_str().unwrap_or_default().to_owned();
        (because, rules.iter().map(|rule| rule["checked"].as_u64().expect("a count")).collect())
    }

    /// All that cleaning leaves: tables, journal, and whom the clean rows stand for.
    fn left(&self) -> Vec<String> {
        let mut left: Vec<_> = self.project.fingerprint().into_iter().map(|row| format!("{row:?}")).collect();
        for table in ["changes", "rejects", "notes", "merges"] {
            let rows = self.project.query(&format!("SELECT * EXCLUDE load_id FROM _host.{table} ORDER BY ALL"));
            left.extend(rows.into_iter().map(|row| format!("{table} {row:?}")));
        }
        let aside = self.project.query("SELECT table_name FROM duckdb_tables() WHERE contains(table_name, '__next')");
        left.extend(aside.iter().map(|row| format!("{row:?}")));
        left
    }

    /// As if the same file had been loaded into an empty warehouse.
    fn anew(&self, rules: &str) -> Vec<String> {
        let fresh = Self { project: Project::new(10), rows: self.rows.clone() };
        fresh.run(rules);
        fresh.left()
    }

    /// How many rows each rule looked at, of those that are there, as `host quality` tells.
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
fn each_rule_sees_what_changed_for_it_and_no_more() {
    let mut people = People::new();
    let ran = |people: &People, rules: &str, because: &str, checked: [u64; 5]| {
        assert_eq!(people.run(rules), (because.to_owned(), checked.to_vec()));
        assert!(people.left() == people.anew(rules), "{checked:?}: other tables than all anew");
    };
    ran(&people, RULES, "", [1000, 1000, 900, 899, 899]);
    assert_eq!(people.survivor("0010"), "0001", "led on from the ninth");
    // A column that no rule of table scope reads.
    people.edit(7, 3, "Olinda");
    ran(&people, RULES, "", [1, 0, 0, 1, 1]);
    // One is refused: of all rows, not of those that changed, too little to fail.
    people.edit(8, 3, "");
    ran(&people, RULES, "", [1, 0, 0, 1, 1]);
    // The phone, which the second alone reads: the ninth is its own again, and with it who merged into it before.
    people.edit(9, 2, "550000999");
    ran(&people, RULES, "", [1, 0, 900, 1, 1]);
    assert_eq!(people.survivor("0010"), "0009");
    people.edit(9, 2, "55000000001");
    ran(&people, RULES, "", [1, 0, 900, 0, 0]);
    assert_eq!(people.survivor("0010"), "0001");
    // An e-mail: one more merges, and nothing is left of it for the rules after that.
    people.edit(12, 1, "p11@exemplo.com");
    ran(&people, RULES, "", [1, 1000, 899, 0, 0]);
    assert_eq!(people.quality(), [1000, 1000, 899, 898, 898], "of all rows, whichever run saw them");
    // One who was refused is mended, one who stood alone is gone, one who merged is gone.
    people.edit(5, 3, "Natal");
    ran(&people, RULES, "", [1, 0, 0, 1, 1]);
    people.rows.retain(|row| !["0021", "0030"].contains(&row[0].as_str()));
    ran(&people, RULES, "", [0, 998, 898, 0, 0]);
    // Rules: the last one's own rows, and all that follows the first where what it makes is the same.
    let upper = RULES.replace("[\"upper\"]", "[\"upper\", \"trim\"]");
    ran(&people, &upper, "rule `cities` changed", [0, 0, 0, 897, 897]);
    let first = upper.replace("phone = [\"trim\"]", "phone = [\"trim\", \"lower\"]");
    ran(&people, &first, "rule `tidy` changed", [998, 0, 0, 897, 897]);
    let without = first.split("[[rule]]\nplugin = \"text\"\nname = \"cities\"").next().expect("the first three");
    assert_eq!(people.run(without).1, [0, 0, 898]);
    assert!(people.left() == people.anew(without), "other tables without the last rules");
    assert_eq!(people.run(&first).1, [0, 0, 898, 897, 897]);
    assert_eq!(people.run(&first), (String::new(), Vec::new()), "nothing changed");
    assert!(people.left() == people.anew(&first), "other tables with the last rules again");
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
            let aside = "SELECT 1 FROM duckdb_tables() WHERE contains(table_name, '__next')";
            half_done += usize::from(!people.project.query(aside).is_empty());
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
fn what_a_rule_reads_beside_its_stream_counts_by_what_it_reads() {
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
    assert_eq!(of("hubspot.deals")["unchanged"], true, "who merged into whom is as it was: {report:#}");
}

#[test]
fn a_clean_row_carries_the_run_that_last_changed_it() {
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
    // The twelfth is the fifth, and gives it the city that it lacks: its raw row is as it was.
    people.edit(12, 1, "p5@exemplo.com");
    people.run(FILL);
    let second = load_id(&people, "clean_people.people", "0005");
    assert!(second > first);
    assert_eq!(load_id(&people, "raw_people.people", "0005"), first);
    assert_eq!(load_id(&people, "clean_people.people", "0006"), first);
    assert_eq!(people.project.query("SELECT city FROM core.grown WHERE id = '0005'")[0]["city"], "Recife");
    // Another merge: the rule decides anew on all rows, and the fifth is as the second run left it.
    people.edit(13, 1, "p6@exemplo.com");
    people.run(FILL);
    assert_eq!(load_id(&people, "clean_people.people", "0005"), second);
}
