//! A warehouse whose write-ahead log is damaged: every command says so, and `host recover` opens it as it was at its last
//! checkpoint, names what may be lost, and erases whoever is forgotten.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::people::People;
use crate::support::{json_error, stderr};

/// Two people, and a snapshot of them.
fn people_with_history() -> People {
    let people = People::new("marts/history");
    let config = "materialized = \"snapshot\"\nsnapshot = { key = [\"id\"], records = { id = \"people.people\" } }\n";
    people.project.write("sql/marts/history.toml", config);
    people
}

impl People {
    /// A command that answers in JSON.
    fn in_json(&self, arguments: &[&str]) -> Command {
        self.command(&[arguments, &["--format", "json"]].concat())
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.in_json(arguments).output().expect("the binary runs")
    }

    fn succeed(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.output(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Kills a command at a named point.
    fn kill_at(&self, point: &str, arguments: &[&str]) {
        let output = self.in_json(arguments).env("HOST_KILL_POINT", point).output().expect("the binary runs");
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        assert_eq!(signal, Some(6), "{point}: {}", stderr(&output));
    }

    fn log(&self) -> PathBuf {
        self.project.folder.path().join("warehouse.duckdb.wal")
    }

    /// Damages the write-ahead log behind its last transaction, as a torn write does.
    fn damage(&self) {
        let mut log = std::fs::read(self.log()).expect("a log");
        assert!(log.len() > 100, "the killed command left a log");
        log.extend([0; 64]);
        std::fs::write(self.log(), log).expect("a log");
    }

    fn kept(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.project.folder.path()).expect("a folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.to_string_lossy().contains(".discarded-")).collect()
    }

    fn count(&self, table: &str) -> i64 {
        self.project.query(&format!("SELECT count(*) AS rows FROM {table}"))[0]["rows"].as_i64().expect("a count")
    }
}

#[test]
fn a_damaged_log_is_kept_and_what_it_held_is_named() {
    let undisturbed = people_with_history();
    undisturbed.succeed(&["run"]);
    undisturbed.change();
    undisturbed.succeed(&["run"]);
    let people = people_with_history();
    let first = people.succeed(&["run"])["load_id"].as_str().expect("an id").to_owned();
    people.change();
    people.kill_at("publish.committed", &["run"]);
    people.damage();
    for arguments in [&["run"][..], &["quality"], &["forget", "people/1"], &["recover"], &["serve", "--port", "0"]] {
        let output = people.output(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        let error = json_error(&output).to_string();
        assert!(error.contains("its write-ahead log is damaged"), "{arguments:?}: {error}");
        assert!(error.contains("host recover PIPELINE --discard-wal"), "{arguments:?}: {error}");
    }
    let damaged = std::fs::read(people.log()).expect("a log");
    let recovered = people.succeed(&["recover", "--discard-wal"]);
    let kept = people.kept();
    assert_eq!(kept.len(), 1, "{recovered}");
    assert_eq!(std::fs::read(&kept[0]).expect("the log"), damaged);
    assert_eq!(std::fs::metadata(&kept[0]).expect("the log").permissions().mode() & 0o777, 0o600);
    assert_eq!(recovered["last_run"]["run"], first.as_str(), "{recovered}");
    let lost = &recovered["lost"];
    assert_eq!(lost["runs"].as_array().map(Vec::len), Some(1), "{recovered}");
    assert_ne!(lost["runs"][0]["run"], first.as_str());
    assert_eq!((&lost["snapshots"]["marts.history"], &lost["erasures"]), (&2.into(), &0.into()), "{recovered}");
    assert_eq!(people.count("marts.history"), 2);
    people.succeed(&["run"]);
    assert_eq!(people.project.fingerprint(), undisturbed.project.fingerprint());
    assert_eq!(people.count("marts.history"), undisturbed.count("marts.history"));
    let again = people.succeed(&["recover", "--discard-wal"]);
    assert_eq!(again["kept"].as_array().map(Vec::len), Some(0), "{again}");
    people.succeed(&["forget", "people/2"]);
    assert_eq!(people.kept(), Vec::<PathBuf>::new(), "the log holds the forgotten person");
}

#[test]
fn a_log_that_is_not_damaged_is_not_discarded() {
    let people = people_with_history();
    people.succeed(&["run"]);
    people.change();
    people.kill_at("publish.committed", &["run"]);
    let recovered = people.succeed(&["recover", "--discard-wal"]);
    assert_eq!(recovered["kept"].as_array().map(Vec::len), Some(0), "{recovered}");
    assert_eq!(people.count("raw_people.people"), 3, "what the killed run committed");
}

#[test]
fn whoever_a_damaged_log_says_is_forgotten_is_erased_again() {
    let people = people_with_history();
    people.succeed(&["run"]);
    people.kill_at("forget.erased", &["forget", "people/1"]);
    people.damage();
    let recovered = people.succeed(&["recover", "--discard-wal"]);
    assert_eq!(recovered["lost"]["erasures"], 1, "{recovered}");
    assert_eq!((people.count("raw_people.people"), people.count("clean_people.people")), (1, 1), "{recovered}");
    people.succeed(&["run"]);
    assert_eq!((people.count("raw_people.people"), people.count("marts.history")), (1, 1));
    assert_eq!(people.count("_host.erasures"), 0);
    // A recovery that is killed is done again, or the warehouse opens.
    for point in ["recover.moved", "recover.read"] {
        people.project.write("people.csv", "id,name\n1,Ana\n2,Rui\n4,Lia\n5,Edu\n");
        people.succeed(&["run", "--full-refresh"]);
        people.kill_at("forget.erased", &["forget", "people/4"]);
        people.damage();
        people.kill_at(point, &["recover", "--discard-wal"]);
        people.succeed(&["recover", "--discard-wal"]);
        people.succeed(&["forget", "people/4"]);
        people.succeed(&["run", "--full-refresh"]);
        assert_eq!(people.count("raw_people.people"), 2, "{point}");
        people.succeed(&["forget", "people/4", "--undo"]);
    }
}

#[test]
fn an_erasure_that_was_reported_is_not_in_the_log_alone() {
    let people = people_with_history();
    people.succeed(&["run"]);
    for (record, forgotten) in [("people/999", 1), ("people/1", 2)] {
        people.kill_at("forget.done", &["forget", record]);
        if people.log().exists() {
            std::fs::remove_file(people.log()).expect("a log");
        }
        assert_eq!(people.count("_host.forgotten"), forgotten, "{record}");
    }
    assert_eq!(people.count("raw_people.people"), 1);
}
