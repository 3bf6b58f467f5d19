//! Power losses by seed: a command is cut at a chosen write of the warehouse's files, with unsynced writes missing, torn or
//! out of order, while the clock jumps, requests fail and threads are delayed. Run again, it must end in the tables of an
//! uninterrupted run. `make soak SEEDS=500` runs as many seeds, `make soak SEED=7` one alone.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Instant;

use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};
use sandbox::object_types::ObjectType;
use sandbox::{Chaos, GeneratorOptions, Network};
use tempfile::TempDir;

use crate::hubspot_common::{HOUR, still};
use crate::soak::{number, report, say};
use crate::support::{Project, stderr};

/// The exit code of a process whose power was cut (`host/tests/power-loss/src/settings.rs`).
const CUT: i32 = 99;
/// The exit code of a process in which the simulator lost track.
const BROKEN: i32 = 98;

/// Columns of times and ids, which differ between runs.
const VOLATILE: [&str; 8] =
    ["_load_id", "_extracted_at", "load_id", "valid_from", "valid_to", "noted_at", "at", "changed_at"];

/// What a schedule may cut, in the order in which an uninterrupted history runs it.
const STAGES: [Stage; 5] = [Stage::FirstLoad, Stage::Changes, Stage::Forget, Stage::MoreChanges, Stage::FullRefresh];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    FirstLoad,
    Changes,
    Forget,
    MoreChanges,
    FullRefresh,
}

impl Stage {
    /// Changes the source before the stage, the same in every history.
    fn prepare(self, project: &Project) {
        project.server.advance(HOUR * 30);
        let edits = if matches!(self, Self::Changes | Self::MoreChanges) { 25 } else { 0 };
        let mut rng = ChaCha12Rng::seed_from_u64(self as u64);
        let now = project.server.now();
        project.server.with(|network| {
            for at in 0..edits {
                let kind = [ObjectType::Contact, ObjectType::Deal][at % 2];
                network.random_edit(kind, &mut rng, now);
            }
        });
    }

    fn arguments(self, pipeline: &str, person: &str) -> Vec<String> {
        let words: &[&str] = match self {
            Self::FirstLoad | Self::Changes | Self::MoreChanges => &["run", pipeline],
            Self::Forget => &["forget", pipeline, person],
            Self::FullRefresh => &["run", pipeline, "--full-refresh"],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }
}

/// A small clinic with rules and every kind of model.
struct Clinic {
    project: Project,
    pipeline: PathBuf,
    person: String,
}

const RULES_AND_MODELS: &str = r#"
[[source]]
plugin = "csv"
name = "marketing"
files = { file = "${MARKETING_SPEND_CSV}" }
[source.config]
stream = "spend"
primary_key = ["month", "channel", "campaign", "cost_type"]
columns = { month = "date", channel = "text", campaign = "text", cost_type = "text", amount = "decimal", currency = "text" }
[[rule]]
plugin = "text"
streams = ["hubspot.contacts"]
[rule.config.columns]
firstname = ["trim", "name_case"]
email = ["trim", "lower"]
[[rule]]
plugin = "dedupe"
streams = ["hubspot.contacts"]
[rule.config]
survivor = [{ oldest = "created_at" }]
fill = ["email"]
[[rule.config.matches]]
name = "email"
same = { email = "email" }
[marts]
path = "sql"
"#;

const MODELS: [(&str, &str); 8] = [
    ("staging/contacts.sql", "SELECT id, firstname, email, updated_at FROM clean_hubspot.contacts WHERE NOT archived"),
    ("core/people.sql", "SELECT * FROM staging.contacts"),
    (
        "core/people.toml",
        "materialized = \"snapshot\"\nsnapshot = { key = [\"id\"], records = { id = \"hubspot.contacts\" } }\n",
    ),
    ("core/deals.sql", "SELECT id, dealname, amount, updated_at FROM clean_hubspot.deals"),
    (
        "core/deals.toml",
        "materialized = \"incremental\"\n[incremental]\nstrategy = \"merge\"\nkey = [\"id\"]\ncursor = \"updated_at\"\n",
    ),
    ("core/links.sql", "SELECT from_id, to_id FROM clean_hubspot.deals_contacts"),
    (
        "marts/totals.sql",
        "SELECT count(*) AS deals, sum(amount) AS amount, count(DISTINCT to_id) AS people FROM core.deals LEFT JOIN core.links ON from_id = id",
    ),
    ("marts/spend.sql", "SELECT channel, sum(amount) AS amount FROM clean_marketing.spend GROUP BY channel"),
];

impl Clinic {
    fn new(patients: usize) -> Self {
        let project = Project::of(GeneratorOptions { patients, ..GeneratorOptions::default() }, still());
        let base = project.hubspot(&["contacts", "deals", "deals_contacts"], "sweep_hours = 24");
        let base = std::fs::read_to_string(base).expect("a pipeline");
        let base = base.replace("[connection.hubspot]\n", "[connection.hubspot]\nconcurrent_requests = 1\n");
        let pipeline = project.write("pipeline.toml", &format!("{base}{RULES_AND_MODELS}"));
        for (name, text) in MODELS {
            project.write(&format!("sql/{name}"), text);
        }
        let patient = |network: &mut Network| network.records[&ObjectType::Contact].keys().nth(3).copied();
        let person = format!("contacts/{}", project.server.with(patient).expect("a contact"));
        Self { project, pipeline, person }
    }

    fn command(&self, stage: Stage) -> Command {
        let arguments = stage.arguments(self.pipeline.to_str().expect("a path in UTF-8"), &self.person);
        self.project.command(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Every table without times and ids: the number and the hash of its rows.
    fn tables(&self) -> BTreeMap<String, String> {
        let warehouse = host::warehouse::Warehouse::open(&self.project.warehouse_path(), "1GB").expect("a warehouse");
        let volatile = VOLATILE.map(|name| format!("'{name}'")).join(", ");
        let tables = warehouse.query(
            &format!(
                "SELECT schema_name || '.' || table_name AS name, (SELECT string_agg('\"' || column_name || '\"', ', ' \
                 ORDER BY column_index) FROM duckdb_columns() AS c WHERE c.table_oid = t.table_oid AND column_name NOT IN \
                 ({volatile})) AS columns FROM duckdb_tables() AS t WHERE schema_name <> '_host' \
                 AND table_name NOT LIKE '%\\_\\_cursors' ESCAPE '\\' ORDER BY 1"
            ),
            (),
        );
        let sum = |row: host::warehouse::Row| {
            let (name, columns) = (row["name"].as_str().expect("a name"), row["columns"].as_str().expect("columns"));
            let quoted = name.replacen('.', "\".\"", 1);
            let sql =
                format!("SELECT count(*) || ' rows ' || coalesce(sum(hash({columns})::HUGEINT), 0) FROM \"{quoted}\"");
            (name.to_owned(), warehouse.value_text(&sql, ()).expect("a query").unwrap_or_default())
        };
        let mut sums: BTreeMap<_, _> = tables.expect("a query").into_iter().map(sum).collect();
        let forgotten = "SELECT coalesce(string_agg(key_sha256, ' ' ORDER BY key_sha256), '') FROM _host.forgotten";
        sums.insert(
            "_host.forgotten".into(),
            warehouse.value_text(forgotten, ()).expect("a query").unwrap_or_default(),
        );
        sums
    }
}

/// A stage of the uninterrupted history.
struct Uninterrupted {
    /// The warehouse before the stage.
    before: PathBuf,
    /// The tables after it.
    tables: BTreeMap<String, String>,
    /// The number of operations on the warehouse's files.
    operations: u64,
}

/// The library for LD_PRELOAD, which `make test-plugins` builds beside the binary.
pub(crate) fn library() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_host")).with_file_name("libpower_loss.so");
    assert!(path.exists(), "{} is missing: run the tests with `make test`", path.display());
    path
}

/// Runs a command with the library and these settings.
fn with_library(mut command: Command, folder: &Path, work: &Path, settings: &[(&str, String)]) -> Output {
    std::fs::create_dir_all(work).expect("a folder");
    command.env("LD_PRELOAD", library()).env("POWER_LOSS_FOLDER", folder).env("POWER_LOSS_WORK", work);
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    command.output().expect("the binary runs")
}

/// The uninterrupted history, which all seeds share.
fn uninterrupted() -> &'static [Uninterrupted] {
    static HISTORY: OnceLock<(TempDir, Vec<Uninterrupted>)> = OnceLock::new();
    let (_, history) = HISTORY.get_or_init(|| {
        let kept = tempfile::tempdir().expect("a temporary folder");
        let clinic = Clinic::new(PATIENTS);
        let warehouse = clinic.project.warehouse_path();
        let run = |(at, stage): (usize, &Stage)| {
            let before = kept.path().join(format!("{at}.duckdb"));
            if warehouse.exists() {
                std::fs::copy(&warehouse, &before).expect("a copy");
            }
            stage.prepare(&clinic.project);
            let work = kept.path().join(format!("work-{at}"));
            let output = with_library(clinic.command(*stage), clinic.project.folder.path(), &work, &[]);
            assert!(output.status.success(), "{stage:?}: {}", stderr(&output));
            let trace = std::fs::read_to_string(work.join("trace")).expect("a trace");
            let operations = trace.lines().count() as u64;
            assert!(operations > 10, "the library sees the writes of DuckDB");
            Uninterrupted { before, tables: clinic.tables(), operations }
        };
        let history = STAGES.iter().enumerate().map(run).collect();
        (kept, history)
    });
    history
}

/// Patients of the clinic: about 400 records.
const PATIENTS: usize = 50;

#[test]
fn a_command_whose_power_was_cut_ends_in_the_same_tables_when_run_again() {
    let (from, seeds) = (number("SOAK_FROM", 1), number("SOAK_SEEDS", 20));
    let started = Instant::now();
    let history = uninterrupted();
    let mut totals = Totals::default();
    let failures = report("power loss", from..from + seeds, |seed| {
        let story = schedule(seed, false, history, &mut totals)?;
        if seeds == 1 {
            say(&format!("power loss: seed {seed}: {story}"));
        }
        Ok(())
    });
    say(&format!("power loss: {seeds} schedules in {:.0} s: {totals:?}", started.elapsed().as_secs_f64()));
    assert_eq!(failures, Vec::<u64>::new(), "seeds that failed");
}

#[test]
fn a_disk_that_lies_about_syncs_is_noticed() {
    let mut totals = Totals::default();
    let fails = |seed| schedule(seed, true, uninterrupted(), &mut totals).is_err();
    assert!((1..=40).any(fails), "the simulator finds nothing, whatever the disk loses");
}

/// What the schedules did.
#[derive(Debug, Default)]
struct Totals {
    cuts: usize,
    cuts_after_success: usize,
    recovered: usize,
}

/// One schedule: a stage that is cut up to three times, then run without disturbance. Returns its story if the tables are
/// right, with the folder kept if they are not.
fn schedule(seed: u64, lies: bool, history: &[Uninterrupted], totals: &mut Totals) -> Result<String, String> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let at = rng.random_range(0..STAGES.len());
    let (stage, uninterrupted) = (STAGES[at], &history[at]);
    let mut clinic = Clinic::new(PATIENTS);
    STAGES[..=at].iter().for_each(|stage| stage.prepare(&clinic.project));
    if uninterrupted.before.exists() {
        std::fs::copy(&uninterrupted.before, clinic.project.warehouse_path()).expect("a copy");
    }
    let mut story = format!("{stage:?}");
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        disturb(&clinic, stage, seed, lies, uninterrupted, &mut rng, &mut story, totals)
    }));
    let why = match outcome {
        Ok(Ok(())) => return Ok(story),
        Ok(Err(why)) => why,
        Err(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "it panicked".to_owned()),
    };
    clinic.project.folder.disable_cleanup(!lies);
    Err(format!("{story}: {why} (kept in {})", clinic.project.folder.path().display()))
}

/// Runs the stage with cuts, and compares the tables at the end.
#[expect(clippy::too_many_arguments, reason = "the parts of one schedule")]
fn disturb(
    clinic: &Clinic,
    stage: Stage,
    seed: u64,
    lies: bool,
    uninterrupted: &Uninterrupted,
    rng: &mut ChaCha12Rng,
    story: &mut String,
    totals: &mut Totals,
) -> Result<(), String> {
    for cut in 0..rng.random_range(1..4) {
        let faults = rng.random_range(0.0..0.1);
        clinic.project.server.configure(|options| options.chaos = Some(Chaos::new(seed, faults, 0.0)));
        let work = TempDir::new().expect("a temporary folder");
        let clock = [0, 0, -3600, 86_400, -315_360_000, 172_800][rng.random_range(0..6)];
        let at = rng.random_range(1..=uninterrupted.operations);
        let delays = [0, 0, 20, 200][rng.random_range(0..4)];
        let is_after_success = rng.random_bool(0.2);
        let mut settings = vec![
            ("POWER_LOSS_SEED", (seed * 10 + cut).to_string()),
            ("POWER_LOSS_CLOCK", clock.to_string()),
            ("POWER_LOSS_DELAYS", delays.to_string()),
            if is_after_success { ("POWER_LOSS_AT_EXIT", "1".into()) } else { ("POWER_LOSS_CUT_AT", at.to_string()) },
        ];
        settings.extend(lies.then(|| ("POWER_LOSS_LIES", "1".to_owned())));
        let output = with_library(clinic.command(stage), clinic.project.folder.path(), work.path(), &settings);
        let how = std::fs::read_to_string(work.path().join("cut")).unwrap_or_default();
        let when =
            if is_after_success { "after success".to_owned() } else { format!("at {at}/{}", uninterrupted.operations) };
        let how = if how.is_empty() { "not cut" } else { how.trim() };
        story.push_str(&format!(", {when}: {how}, clock {clock}, delays {delays}"));
        keep_copy(clinic, work.path(), cut);
        totals.cuts += usize::from(output.status.code() == Some(CUT));
        match output.status.code() {
            Some(CUT) => {}
            Some(0) => {
                // A success that was reported survives the power loss.
                totals.cuts_after_success += usize::from(is_after_success);
                return compare(clinic, uninterrupted);
            }
            Some(BROKEN) => return Err("the simulator lost track".to_owned()),
            _ if recover(clinic, &output) => totals.recovered += 1,
            _ => return Err(stderr(&output)),
        }
    }
    clinic.project.server.configure(|options| options.chaos = None);
    let mut output = clinic.command(stage).output().expect("the binary runs");
    while !output.status.success() && recover(clinic, &output) {
        totals.recovered += 1;
        output = clinic.command(stage).output().expect("the binary runs");
    }
    if !output.status.success() {
        return Err(stderr(&output));
    }
    compare(clinic, uninterrupted)
}

/// Keeps what a cut left and the operations before it, for a schedule that fails.
fn keep_copy(clinic: &Clinic, work: &Path, cut: u64) {
    // A run that cannot open the file changes nothing, and has no trace.
    let _ = std::fs::copy(work.join("trace"), clinic.project.folder.path().join(format!("trace-{cut}")));
    for suffix in ["", ".wal"] {
        let file = host::warehouse::with_suffix(&clinic.project.warehouse_path(), suffix);
        if file.exists() {
            let copy = clinic.project.folder.path().join(format!("after-cut-{cut}.duckdb{suffix}"));
            std::fs::copy(file, copy).expect("a copy");
        }
    }
}

/// The tables that are not those of the uninterrupted run.
fn compare(clinic: &Clinic, uninterrupted: &Uninterrupted) -> Result<(), String> {
    let tables = clinic.tables();
    let other = tables.iter().filter(|(name, sum)| uninterrupted.tables.get(*name) != Some(sum));
    let mut other: Vec<_> = other.map(|(name, sum)| format!("{name} {sum}")).collect();
    other.extend(
        uninterrupted.tables.keys().filter(|name| !tables.contains_key(*name)).map(|name| format!("no {name}")),
    );
    if other.is_empty() { Ok(()) } else { Err(format!("other tables: {}", other.join(", "))) }
}

/// Recovers a warehouse that does not open. `false` if neither its log nor a block is damaged.
///
/// DuckDB writes blocks of its metadata in place, although the last checkpoint still needs their other parts. A torn write
/// leaves these parts as they were, and a wrong checksum, which the error names. No command repairs this.
fn recover(clinic: &Clinic, failed: &Output) -> bool {
    let text = stderr(failed);
    if let Some((_, rest)) = text.split_once("Corrupt database file: computed checksum ") {
        let numbers: Vec<u64> = rest.split_whitespace().filter_map(|word| word.parse().ok()).take(3).collect();
        let [computed, _, block] = numbers[..] else { return false };
        let path = clinic.project.warehouse_path();
        let file = std::fs::OpenOptions::new().write(true).open(path).expect("the warehouse");
        return file.write_all_at(&computed.to_le_bytes(), block).is_ok();
    }
    if !text.contains("`host recover PIPELINE --discard-wal`") {
        return false;
    }
    let pipeline = clinic.pipeline.to_str().expect("a path in UTF-8");
    let output = clinic.project.command(&["recover", pipeline, "--discard-wal"]).output().expect("the binary runs");
    output.status.success() || recover(clinic, &output)
}
