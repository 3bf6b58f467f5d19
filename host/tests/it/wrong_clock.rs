//! A clock that was wrong at a load: it is warned of, and the next load heals what depended on it.
#![cfg(target_os = "linux")]

use std::process::Command;

use crate::power_loss::library;
use crate::support::{Project, root, stderr};

const DAY: i64 = 86_400;

/// Runs the shipped pipeline with a clock that is ahead by some seconds. Returns its warnings.
fn run(project: &Project, seconds: i64) -> Vec<String> {
    let pipeline = root().join("pipelines/hubspot.toml");
    let mut command: Command = project.command(&["run", pipeline.to_str().expect("a path"), "--format", "json"]);
    command.env("LD_PRELOAD", library()).env("POWER_LOSS_CLOCK", seconds.to_string());
    let output = command.output().expect("the binary runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a report");
    let warnings = report["warnings"].as_array().into_iter().flatten();
    warnings
        .map(|warning| warning.as_str().expect("a text").to_owned())
        .filter(|text| text.contains("the clock"))
        .collect()
}

fn figures(project: &Project) -> Vec<host::warehouse::Row> {
    project.query("SELECT * FROM marts.mart_ltv_cac ORDER BY ALL")
}

fn loaded_on(project: &Project) -> String {
    let rows = project.query("SELECT loaded_on::VARCHAR AS day FROM core.settings");
    rows[0]["day"].as_str().expect("a day").to_owned()
}

#[test]
fn a_first_load_with_a_wrong_clock_is_healed_by_the_next() {
    let undisturbed = Project::new(200);
    assert_eq!(run(&undisturbed, 0), Vec::<String>::new());
    let expected = figures(&undisturbed);
    assert!(!expected.is_empty());
    let project = Project::new(200);
    let warnings = run(&project, -55 * 365 * DAY);
    assert!(warnings.iter().any(|warning| warning.contains("a record of")), "{warnings:?}");
    assert!(loaded_on(&project).starts_with("197"));
    let warnings = run(&project, 0);
    assert!(warnings.iter().any(|warning| warning.contains("was set ahead")), "{warnings:?}");
    assert_eq!((loaded_on(&project), figures(&project)), (loaded_on(&undisturbed), expected));
    assert_eq!(run(&project, 0), Vec::<String>::new());
}

#[test]
fn a_clock_that_jumps_is_warned_of() {
    let project = Project::new(20);
    for (seconds, part) in [
        (0, None),
        (DAY / 2, None),
        (-3600, Some("was set back")),
        (3600, None),
        (3600 + DAY + 60, Some("was set ahead")),
        (0, Some("was set back")),
        (0, None),
    ] {
        let warnings = run(&project, seconds);
        assert_eq!(warnings.len(), usize::from(part.is_some()), "{seconds}: {warnings:?}");
        assert!(part.is_none_or(|part| warnings[0].contains(part)), "{seconds}: {warnings:?}");
    }
}

#[test]
fn a_month_completes_without_changes() {
    let project = Project::new(20);
    run(&project, 0);
    let before = loaded_on(&project);
    run(&project, 40 * DAY);
    assert_ne!(loaded_on(&project), before);
}
