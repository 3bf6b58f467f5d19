//! Commands that are killed at a named point and run again: the tables equal those of an undisturbed run.

use std::process::Output;

use crate::people::People;
use crate::support::stderr;

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

fn people() -> People {
    People::new("core/names")
}

fn succeed(people: &People, arguments: &[&str]) {
    let output = people.command(arguments).output().expect("the binary runs");
    assert!(output.status.success(), "{}", stderr(&output));
}

/// Whether a process was ended by a kill point.
fn is_killed(output: &Output) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&output.status) == Some(6)
}

#[test]
fn a_run_that_is_killed_at_a_named_point_ends_in_the_same_tables_when_run_again() {
    let undisturbed = people();
    succeed(&undisturbed, &["run"]);
    undisturbed.change();
    succeed(&undisturbed, &["run"]);
    let expected = undisturbed.project.fingerprint();
    for point in OF_RUNS {
        let people = people();
        let first = people.command(&["run"]).env("HOST_KILL_POINT", point).output().expect("the binary runs");
        assert!(is_killed(&first), "{point}: {}", stderr(&first));
        succeed(&people, &["run"]);
        people.change();
        let second = people.command(&["run"]).env("HOST_KILL_POINT", point).output().expect("the binary runs");
        assert!(is_killed(&second), "{point}: {}", stderr(&second));
        succeed(&people, &["run"]);
        assert_eq!(people.project.fingerprint(), expected, "{point}");
    }
}
