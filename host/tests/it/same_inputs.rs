//! A warehouse is a function of its inputs: the same histories end in the same tables, whatever the threads did, but for
//! times and the ids of runs.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use host::warehouse::{Row, Warehouse};
use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use sandbox::GeneratorOptions;
use sandbox::object_types::ObjectType;
use serde_json::Value;

use crate::hubspot_common::{HOUR, still};
use crate::support::{Project, root, stderr};

/// Columns of the host's tables that measure time, or describe the run as text with such a measure.
const MEASURED: [&str; 16] = [
    "started_at",
    "finished_at",
    "ended_at",
    "seconds",
    "built_at",
    "published_at",
    "logged_at",
    "forgotten_at",
    "_extracted_at",
    "valid_from",
    "valid_to",
    "report",
    "nodes",
    "requests",
    "read_at",
    "uptime_seconds",
];

/// The processors of a run: one, or all.
#[derive(Debug, Clone, Copy)]
enum Threads {
    One,
    All,
}

fn command(project: &Project, threads: Threads, arguments: &[&str]) -> Command {
    let command = project.command(arguments);
    let Threads::One = threads else { return command };
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", "0"]).arg(command.get_program()).args(command.get_args()).env_clear();
    pinned.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    pinned.env("TOKIO_WORKER_THREADS", "1");
    pinned
}

fn succeed(output: &Output) {
    assert!(output.status.success(), "{}", stderr(output));
}

/// A first load, and one of changes; the tables afterwards.
fn history(threads: Threads) -> BTreeMap<String, Vec<String>> {
    let project = Project::of(GeneratorOptions { patients: 60, ..GeneratorOptions::default() }, still());
    let pipeline = root().join("pipelines/hubspot.toml");
    let run = ["run", pipeline.to_str().expect("a path in UTF-8")];
    succeed(&command(&project, threads, &run).output().expect("the binary runs"));
    project.server.advance(HOUR * 30);
    let mut rng = ChaCha12Rng::seed_from_u64(7);
    let now = project.server.now();
    project.server.with(|network| {
        for at in 0..40 {
            network.random_edit([ObjectType::Contact, ObjectType::Deal][at % 2], &mut rng, now);
        }
    });
    succeed(&command(&project, threads, &run).output().expect("the binary runs"));
    tables(&project)
}

/// The rows of every table as text, sorted. A run's id is its number.
fn tables(project: &Project) -> BTreeMap<String, Vec<String>> {
    let warehouse = Warehouse::open(&project.warehouse_path(), "1GB").expect("a warehouse");
    let query = |sql: &str| warehouse.query(sql, ()).expect("a query");
    let text = |row: &Row, name: &str| row[name].as_str().expect("a text").to_owned();
    let runs: Vec<_> =
        query("SELECT load_id FROM _host.run_starts ORDER BY 1").iter().map(|row| text(row, "load_id")).collect();
    let measured = MEASURED.map(|name| format!("'{name}'")).join(", ");
    let columns = query(&format!(
        "SELECT schema_name || '.' || table_name AS name, string_agg('\"' || column_name || '\"', ', ' ORDER BY column_index) AS columns \
         FROM duckdb_columns() JOIN duckdb_tables() USING (schema_name, table_name) WHERE column_name NOT IN ({measured}) \
         AND schema_name || '.' || table_name <> '_host.log' GROUP BY ALL ORDER BY 1"
    ));
    let rows = |row: &Row| {
        let (name, columns) = (text(row, "name"), text(row, "columns"));
        let quoted = name.replacen('.', "\".\"", 1);
        let line = |row: &Row| {
            let mut line = Value::Object(row.clone()).to_string();
            for (at, run) in runs.iter().enumerate() {
                line = line.replace(run, &format!("run {at}"));
            }
            line
        };
        let mut lines: Vec<_> = query(&format!("SELECT {columns} FROM \"{quoted}\"")).iter().map(line).collect();
        lines.sort();
        (name, lines)
    };
    columns.iter().map(rows).collect()
}

#[test]
fn the_same_inputs_end_in_the_same_tables() {
    let expected = history(Threads::All);
    for threads in [Threads::One, Threads::All, Threads::One, Threads::All] {
        let found = history(threads);
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{threads:?}");
        for (name, rows) in &found {
            let before = &expected[name];
            let new: Vec<_> = rows.iter().filter(|row| !before.contains(row)).take(3).collect();
            let gone: Vec<_> = before.iter().filter(|row| !rows.contains(row)).take(3).collect();
            assert!(rows == before, "{threads:?}: {name}: {new:#?} instead of {gone:#?}");
        }
    }
}
