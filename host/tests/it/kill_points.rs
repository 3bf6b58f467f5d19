//! Commands that are killed at a named point and run again: the tables equal those of an undisturbed run.

use std::process::{Command, Output};

use crate::support::{Project, people, stderr};

/// Where a run is killed: before and after each commit of a load, a cleaning and a publication.
const OF_RUNS: &[&str] = &[
    "load.commit",
    "load.committed",
    "clean.publish.start",
    "clean.publish.commit",
    "clean.publish.committed",
    "publish.start",
    "publish.renamed",
    "publish.commit",
    "publish.committed",
];

/// A file with two people and a rule, and a model of them.
struct People {
    project: Project,
    pipeline: String,
}

impl People {
    fn new() -> Self {
        let project = Project::new(1);
        project.write("people.csv", "id,name\n1,Ana\n2,Rui\n");
        project.write("sql/core/names.sql", "SELECT id, name FROM clean_people.people");
        let rest = "[[rule]]\nplugin = \"text\"\nstreams = [\"people.people\"]\n[rule.config.columns]\nname = [\"upper\"]\n\
                    [marts]\npath = \"sql\"\n";
        let pipeline = project.write("pipeline.toml", &people("", &["id", "name"], rest));
        let pipeline = pipeline.to_str().expect("a path in UTF-8").to_owned();
        Self { project, pipeline }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.project.command(&[&[arguments[0], &self.pipeline], &arguments[1..]].concat())
    }

    fn succeed(&self, arguments: &[&str]) {
        let output = self.command(arguments).output().expect("the binary runs");
        assert!(output.status.success(), "{}", stderr(&output));
    }

    fn change(&self) {
        self.project.write("people.csv", "id,name\n1,Ana Maria\n2,Rui\n3,Eva\n");
    }
}

/// Whether a process was ended by a kill point.
fn is_killed(output: &Output) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&output.status) == Some(6)
}

#[test]
fn a_run_that_is_killed_at_a_named_point_ends_in_the_same_tables_when_run_again() {
    let undisturbed = People::new();
    undisturbed.succeed(&["run"]);
    undisturbed.change();
    undisturbed.succeed(&["run"]);
    let expected = undisturbed.project.fingerprint();
    for point in OF_RUNS {
        let people = People::new();
        let first = people.command(&["run"]).env("HOST_KILL_POINT", point).output().expect("the binary runs");
        assert!(is_killed(&first), "{point}: {}", stderr(&first));
        people.succeed(&["run"]);
        people.change();
        let second = people.command(&["run"]).env("HOST_KILL_POINT", point).output().expect("the binary runs");
        assert!(is_killed(&second), "{point}: {}", stderr(&second));
        people.succeed(&["run"]);
        assert_eq!(people.project.fingerprint(), expected, "{point}");
    }
}
