//! Opens a warehouse of the version before `many_writers`, and finds in it what it held.

#[path = "../../tests/fixtures/before-many-writers/fixture.rs"]
mod fixture;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fixture::{NEWEST, Rows, VERSION, rows_of, text, version};
use host_ledger::erasures::{self, PendingErasure};
use host_ledger::forgotten::{self, Matching};
use host_ledger::runs::{self, RunFilter, RunStatus, Trigger};
use host_ledger::steps::{self, StepName};
use host_ledger::{
    StreamTable, cleanings, cursors, freshness, identities, journal, log, models, streams, variables, versions,
};
use host_warehouse::{Row, Table, Warehouse, with_suffix};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Names the warehouse to upgrade to the process that a test starts and kills.
const CHILD: &str = "UPGRADED_WAREHOUSE";

/// The fixture's warehouse, not upgraded.
struct Old {
    folder: TempDir,
    rows: Rows,
}

impl Old {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("warehouse.duckdb");
        fixture::make(&fixture::folder(env!("CARGO_MANIFEST_DIR")), &path);
        let rows = fixture::rows(&Warehouse::open(&path, "1GB").expect("a warehouse"));
        Self { folder, rows }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("warehouse.duckdb")
    }

    fn copy(&self) -> PathBuf {
        with_suffix(&self.path(), &format!(".version-{VERSION}"))
    }

    /// Upgrades it.
    fn open(&self) -> Warehouse {
        host_ledger::open(&self.path(), "1GB").expect("an upgraded warehouse")
    }

    /// Opens it, or its copy, as it is.
    fn look(path: &Path) -> Warehouse {
        Warehouse::open(path, "1GB").expect("a warehouse")
    }

    fn host(&self, table: &str) -> &[Row] {
        &self.rows[&format!("_host.{table}")]
    }
}

/// The tables and views that are not the host's own.
fn data(rows: &Rows) -> Vec<(&String, &Vec<Row>)> {
    rows.iter().filter(|(name, _)| !name.starts_with("_host.") && !name.starts_with("ledger_")).collect()
}

#[test]
fn raw_clean_and_model_tables_are_unchanged() {
    let old = Old::new();
    let warehouse = old.open();
    assert_eq!(version(&warehouse), NEWEST);
    let new = fixture::rows(&warehouse);
    assert_eq!(data(&new), data(&old.rows));
    // Each kind of table is in the fixture, and two versions of a person are in the snapshot.
    for name in [
        "raw_people.people",
        "clean_people.people",
        "kept_people.people_0",
        "core.people",
        "staging.people",
        "core.visits",
        "core.rejected",
        "core.people__next",
        "seeds.specialties",
        "raw_hubspot.deals",
    ] {
        assert!(!old.rows[name].is_empty(), "{name} is empty");
    }
    let versions = old.rows["core.people_history"].iter().filter(|row| text(row, "id") == "p8").count();
    assert_eq!(versions, 2);
}

#[test]
fn tables_that_users_read_keep_their_columns_and_rows() {
    let old = Old::new();
    let promised = ["runs", "changes", "rejects", "notes", "merges", "rule_runs", "variables"];
    for table in promised {
        // A user's view keeps the columns that it had when it was made.
        let view = format!("CREATE VIEW core.all_{table} AS SELECT * FROM _host.{table}");
        Old::look(&old.path()).execute(&view).expect("a view");
    }
    let warehouse = old.open();
    for table in promised.into_iter().chain(["steps", "cursors", "streams"]) {
        assert!(!old.host(table).is_empty(), "_host.{table} is empty");
        assert_eq!(rows_of(&warehouse, &format!("SELECT * FROM _host.{table}")), old.host(table), "_host.{table}");
    }
    for table in promised {
        assert_eq!(rows_of(&warehouse, &format!("SELECT * FROM core.all_{table}")), old.host(table), "_host.{table}");
    }
    // The views are in a rewritten file, too, whichever was made first.
    warehouse.rewrite("").expect("a rewritten file");
    let warehouse = old.open();
    for table in promised {
        assert_eq!(rows_of(&warehouse, &format!("SELECT * FROM core.all_{table}")), old.host(table), "_host.{table}");
    }
}

#[test]
fn runs_keep_status_trigger_steps_and_log() {
    let old = Old::new();
    let warehouse = old.open();
    let all = runs::list(&warehouse, &RunFilter::default(), 100).expect("runs");
    assert_eq!(all.len(), old.host("runs").len());
    assert_eq!(runs::count(&warehouse, &RunFilter::default()).expect("a count"), all.len() as u64);
    for was in old.host("runs") {
        let id = text(was, "load_id");
        let run = runs::read(&warehouse, id).expect("a run").expect("the run");
        let parsed = |column: &str| serde_json::from_str::<Value>(text(was, column)).unwrap_or_default();
        let found = serde_json::to_value(&run).expect("JSON");
        for (name, expected) in [
            ("pipeline", was["pipeline"].clone()),
            ("command", was["command"].clone()),
            ("cause", was["cause"].clone()),
            ("status", was["status"].clone()),
            ("message", was["message"].clone()),
            ("step", was["step"].clone()),
            ("hint", was["hint"].clone()),
            ("options", parsed("options")),
            ("nodes", parsed("nodes")),
            ("report", parsed("report")),
        ] {
            assert_eq!(found[name], expected, "run {id}: {name}");
        }
        assert_eq!(run.summary.finished_at.is_none(), was["finished_at"].is_null());
        let steps = steps::of_run(&warehouse, id).expect("steps");
        assert_eq!(steps.len(), old.host("steps").iter().filter(|step| text(step, "load_id") == id).count());
        let lines = log::read(&warehouse, id).expect("a log");
        let lines_before: Vec<_> = old.host("log").iter().filter(|line| text(line, "load_id") == id).collect();
        assert_eq!(lines.len(), lines_before.len());
        for (at, line) in lines.iter().enumerate() {
            let was = lines_before.iter().find(|was| text(was, "line") == at.to_string()).expect("the line");
            assert_eq!((line.level.name(), line.message.as_str()), (text(was, "level"), text(was, "message")));
        }
    }
    let newest = &all[0];
    assert_eq!((newest.status, newest.trigger), (RunStatus::Running, Some(Trigger::Manual)));
    assert_eq!(runs::last_load_id(&warehouse).expect("an id").as_ref(), Some(&newest.run));
    let built =
        steps::last(&warehouse).expect("steps").into_iter().filter(|step| step.step == StepName::Models).count();
    assert!(built > 0);
    // The run whose process was killed is marked once.
    let interrupted = runs::interrupt(&warehouse, None).expect("runs");
    assert_eq!(interrupted.iter().map(|run| &run.summary.run).collect::<Vec<_>>(), [&newest.run]);
    assert!(runs::interrupt(&warehouse, None).expect("runs").is_empty());
    let run = runs::read(&warehouse, &newest.run).expect("a run").expect("the run");
    assert_eq!((run.summary.status, run.summary.trigger), (RunStatus::Interrupted, Some(Trigger::Manual)));
    let filter = RunFilter { pipeline: "clinic", status: "interrupted" };
    assert_eq!(runs::count(&warehouse, &filter).expect("a count"), 2);
}

#[test]
fn streams_continue_where_they_were() {
    let old = Old::new();
    let warehouse = old.open();
    let loaded = streams::loaded(&warehouse).expect("streams");
    assert_eq!(loaded.len(), old.host("streams").len());
    for stream in &loaded {
        let is_it = |row: &&Row| text(row, "source") == stream.source && text(row, "stream") == stream.stream;
        let was = old.host("streams").iter().find(is_it).expect("the stream");
        let json = |column: &str| serde_json::from_str::<Value>(text(was, column)).expect("JSON");
        assert_eq!(json!(stream.primary_key), json("primary_key"));
        assert_eq!(json!(stream.refers), json("refers"));
        assert_eq!(json!(stream.free_text), json("free_text"));
        assert_eq!(stream.merged.as_deref(), was["merged"].as_str());
        let cursor = cursors::read(&warehouse, &stream.source, &stream.stream).expect("a cursor");
        let was = old.host("cursors").iter().find(is_it);
        assert_eq!(cursor.is_some(), was.is_some(), "{}", stream.name());
        if let (Some(cursor), Some(was)) = (cursor, was) {
            assert_eq!(
                (cursor.state.as_deref(), cursor.is_initial.to_string().as_str()),
                (was["state"].as_str(), text(was, "is_initial"))
            );
        }
        let seen = old.host("seen").iter().filter(is_it).map(|row| (text(row, "width"), text(row, "key")));
        let mut seen: Vec<_> = seen.map(|(width, key)| json!({ "width": width, "key": key })).collect();
        seen.sort_by_key(Value::to_string);
        let mut found: Vec<_> = rows_of(&warehouse, &format!("SELECT * FROM {}", stream.ledger(StreamTable::Seen)))
            .into_iter()
            .map(|row| json!({ "width": row["width"], "key": row["key"] }))
            .collect();
        found.sort_by_key(Value::to_string);
        assert_eq!(found, seen, "{}", stream.name());
    }
    let unfinished = streams::unfinished(&warehouse).expect("streams");
    let unfinished: Vec<_> = unfinished.iter().map(|stream| (stream.name.as_str(), stream.has_begun)).collect();
    assert_eq!(unfinished, [("rates.rates", true)]);
    // A declaration that is known changes nothing, another is found.
    assert!(!streams::declare(&warehouse, "people", &[]).expect("a declaration"));
    for row in old.host("identities") {
        identities::check(&warehouse, text(row, "source"), text(row, "identity")).expect("the same account");
        assert!(identities::check(&warehouse, text(row, "source"), "another account").is_err());
    }
    let fresh = freshness::of_streams(&warehouse).expect("freshness");
    let people = fresh.iter().find(|stream| stream.stream == "people.people").expect("the stream");
    assert_eq!((people.rejected, people.repaired, people.loaded_at.is_some()), (1, 5, true));
}

#[test]
fn the_journal_is_in_tables_of_the_streams() {
    let old = Old::new();
    let warehouse = old.open();
    let loaded = streams::loaded(&warehouse).expect("streams");
    for table in StreamTable::JOURNAL {
        let was = old.host(table.name());
        let mut count = 0;
        for stream in &loaded {
            let mut found = rows_of(&warehouse, &format!("SELECT * FROM {}", stream.ledger(table)));
            let mut expected: Vec<_> = was.iter().filter(|row| text(row, "stream") == stream.name()).cloned().collect();
            expected.iter_mut().for_each(|row| drop(row.shift_remove("stream")));
            for rows in [&mut found, &mut expected] {
                rows.sort_by_key(|row| json!(row).to_string());
            }
            assert_eq!(found, expected, "{} {}", stream.name(), table.name());
            count += found.len();
        }
        assert_eq!(count, was.len(), "{}", table.name());
    }
    let page = journal::JournalPage { rows: 1000, ..journal::JournalPage::default() };
    let (_, changes) = journal::changes(&warehouse, &page).expect("changes");
    assert_eq!(changes as usize, old.host("changes").len());
    let (_, remarks) = journal::remarks(&warehouse, &page).expect("remarks");
    let was = ["rejects", "notes", "merges"].map(|table| old.host(table).len()).iter().sum::<usize>();
    assert_eq!(remarks as usize, was);
    let people = loaded.iter().find(|stream| stream.name() == "people.people").expect("the stream");
    let merged = journal::merged_into(&warehouse, people, "p1").expect("merges");
    assert_eq!(merged.iter().map(|merged| merged.key.as_str()).collect::<Vec<_>>(), ["p2"]);
    let totals = journal::rule_totals(&warehouse, people, 7).expect("totals");
    assert_eq!(totals.len(), 5, "{totals:?}");
    for row in old.host("cleans") {
        let cleaning = cleanings::last(&warehouse, text(row, "stream")).expect("a cleaning").expect("the cleaning");
        assert_eq!(
            (cleaning.fingerprint.as_str(), cleaning.raw_load_id.as_str()),
            (text(row, "fingerprint"), text(row, "load_id"))
        );
        let segments = cleanings::last_segments(&warehouse, text(row, "stream")).expect("segments");
        let mut was: Vec<_> =
            old.host("segments").iter().filter(|segment| segment["stream"] == row["stream"]).collect();
        was.sort_by_key(|segment| text(segment, "segment").parse::<u64>().expect("a number"));
        let was: Vec<_> = was.iter().map(|row| (text(row, "fingerprint"), text(row, "digest"))).collect();
        let found: Vec<_> = segments.iter().map(|it| (it.fingerprint.as_str(), it.digest.as_str())).collect();
        assert_eq!(found, was);
        // An equal cleaning is not recorded again.
        cleanings::record(&warehouse, text(row, "stream"), &cleaning, &segments).expect("a record");
    }
    assert_eq!(
        warehouse.count("SELECT count(*) FROM _host.cleanings", ()).expect("a count") as usize,
        old.host("cleans").len()
    );
    assert_eq!(cleanings::last_segments(&warehouse, "people.people").expect("segments").len(), 3);
}

#[test]
fn forgotten_records_and_the_pending_erasure_stay_known() {
    let old = Old::new();
    let warehouse = old.open();
    let counts = forgotten::counts(&warehouse).expect("counts");
    let counts: Vec<_> = counts.iter().map(|(stream, count)| (stream.as_str(), *count)).collect();
    assert_eq!(counts, [("hubspot.contacts", 1), ("people.people", 2)]);
    for key in ["p4", "p7"] {
        assert!(forgotten::forgotten_at(&warehouse, "people.people", key).expect("a time").is_some(), "{key}");
    }
    assert!(forgotten::forgotten_at(&warehouse, "people.people", "p1").expect("a time").is_none());
    // The texts of the deal that was linked with the forgotten contact stay out.
    let condition = Matching::Linked.condition("id", "hubspot.deals");
    let linked = warehouse.count(&format!("SELECT count(*) FROM raw_hubspot.deals WHERE {condition}"), ());
    assert!(linked.expect("a count") > 0);
    assert!(!old.host("gone_links").is_empty());
    assert_eq!(rows_of(&warehouse, "SELECT * FROM _host.gone_links"), old.host("gone_links"));
    for holder in [PendingErasure::Models, PendingErasure::File] {
        assert!(erasures::is_pending(&warehouse, holder).expect("erasures"), "{holder:?}");
    }
    assert_eq!(erasures::statements_for_copy(&warehouse).expect("statements"), "");
    erasures::clear_models(&warehouse).expect("a record");
    assert_ne!(erasures::statements_for_copy(&warehouse).expect("statements"), "");
    assert!(forgotten::undo(&warehouse, "people.people", "p7").expect("an undo"));
    assert!(forgotten::forgotten_at(&warehouse, "people.people", "p7").expect("a time").is_none());
    assert!(forgotten::forgotten_at(&warehouse, "people.people", "p4").expect("a time").is_some());
}

#[test]
fn models_versions_and_variables_stay_known() {
    let old = Old::new();
    let warehouse = old.open();
    let published = models::published(&warehouse).expect("models");
    assert_eq!(published.len(), old.host("model_builds").len());
    for row in old.host("model_builds") {
        let model = &published[&format!("{}.{}", text(row, "model_schema"), text(row, "model"))];
        let found = [
            model.kind.as_deref().unwrap_or_default(),
            &model.fingerprint,
            &model.definition,
            &model.files,
            &model.load_id,
        ];
        assert_eq!(found, ["kind", "fingerprint", "definition", "files", "load_id"].map(|column| text(row, column)));
        assert_eq!(model.rows.map(|rows| rows.to_string()).as_deref(), row["row_count"].as_str());
        let columns = serde_json::from_str::<Value>(text(row, "columns")).unwrap_or_default();
        assert_eq!(model.columns.len(), columns.as_array().map_or(0, Vec::len));
    }
    let staged = models::staged(&warehouse).expect("models");
    assert_eq!(staged.len(), old.host("models_aside").len());
    assert!(staged["core.slow"].is_none(), "the run was killed while it built the model");
    for row in old.host("models_aside").iter().filter(|row| text(row, "status") == "built") {
        let (fingerprint, _) =
            staged[&format!("{}.{}", text(row, "model_schema"), text(row, "model"))].as_ref().expect("a model");
        assert_eq!(fingerprint, text(row, "fingerprint"));
    }
    models::drop_leftovers(&warehouse).expect("a drop");
    assert!(warehouse.exists(&Table::new("core", "people__next")).expect("tables"), "a retry may continue from it");
    let publication = models::last_publication(&warehouse).expect("a publication");
    let was = &old.host("publications")[0];
    assert_eq!(publication.fingerprint.as_deref(), was["fingerprint"].as_str());
    assert_eq!(json!(publication.warnings).to_string(), text(was, "warnings"));
    let changes = versions::numbers(&warehouse).expect("versions");
    assert_eq!(changes.len(), old.host("table_versions").len());
    for row in old.host("table_versions") {
        let table = Table::new(text(row, "table_schema"), text(row, "table_name"));
        assert_eq!(versions::of_table(&warehouse, &table).expect("a version").as_deref(), row["load_id"].as_str());
    }
    let variables = variables::published(&warehouse).expect("variables");
    assert_eq!(variables.len(), old.host("variables").len());
    assert_eq!(variables["low_price"], "200");
}

#[test]
fn the_copy_is_the_old_warehouse() {
    let old = Old::new();
    assert!(!old.copy().exists());
    drop(old.open());
    let copy = Old::look(&old.copy());
    assert_eq!(version(&copy), VERSION);
    assert_eq!(fixture::rows(&copy), old.rows);
    drop(copy);
    // The copy upgrades, too: a user goes back by renaming it.
    let again = host_ledger::open(&old.copy(), "1GB").expect("an upgraded copy");
    assert_eq!(data(&fixture::rows(&again)), data(&old.rows));
    drop(again);
    let removed = host_ledger::remove_copies(&old.path()).expect("a removal");
    assert_eq!(removed, [old.copy()]);
    assert!(!old.copy().exists() && old.path().exists());
    assert!(host_ledger::remove_copies(&old.path()).expect("a removal").is_empty());
}

#[test]
fn a_second_opening_changes_nothing() {
    let old = Old::new();
    let first = fixture::rows(&old.open());
    host_ledger::remove_copies(&old.path()).expect("a removal");
    let second = fixture::rows(&old.open());
    assert_eq!(first, second);
    assert!(!old.copy().exists(), "a warehouse that is up to date is not copied");
}

#[test]
fn the_rewritten_file_holds_the_same_rows() {
    let old = Old::new();
    let warehouse = old.open();
    let mut before = fixture::rows(&warehouse);
    let in_copy = erasures::statements_for_copy(&warehouse).expect("statements");
    warehouse.rewrite(in_copy).expect("a rewritten file");
    assert_eq!(fixture::rows(&old.open()), before);
    host_ledger::compact(&old.open()).expect("a compaction");
    // Two streams of a source bound it at the same time.
    before.get_mut("_host.identities").expect("a table").dedup();
    assert_eq!(fixture::rows(&old.open()), before, "nothing of one version is replaced by a later fact");
}

#[test]
fn too_little_space_is_reported_and_the_file_is_unchanged() {
    let old = Old::new();
    let bytes = std::fs::read(old.path()).expect("the file");
    // A hole makes the file larger than what is free on the disk, and takes no space itself.
    let excess: u64 = 1 << 40;
    let hole = fs4::available_space(old.folder.path()).expect("the free space") + excess;
    let file = std::fs::OpenOptions::new().write(true).open(old.path()).expect("the file");
    file.set_len(hole).expect("a file with a hole");
    drop(file);
    let Err(error) = host_ledger::open(&old.path(), "1GB") else { unreachable!("there is no space") };
    let message = error.message();
    // It says how much is lacking. Other tests write to the same disk meanwhile.
    let mut numbers = message.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
    assert!(numbers.any(|lacking| (excess / 2..excess * 2).contains(&lacking)), "{message}");
    assert!(error.hint_text().is_some(), "{message}");
    assert!(!old.copy().exists());
    let mut after = Vec::new();
    let file = std::fs::File::open(old.path()).expect("the file");
    assert_eq!(file.metadata().expect("its size").len(), hole);
    file.take(bytes.len() as u64).read_to_end(&mut after).expect("the file");
    assert!(after == bytes, "the file was changed");
    assert_eq!(version(&Old::look(&old.path())), VERSION);
}

#[test]
fn an_upgrade_that_fails_leaves_the_old_version() {
    let old = Old::new();
    // A table of the user's own is in the way of the one that the upgrade makes last.
    let way = "CREATE SCHEMA ledger_visits_people; CREATE TABLE ledger_visits_people.links__merges (mine INTEGER)";
    Old::look(&old.path()).execute(way).expect("a table");
    let before = fixture::rows(&Old::look(&old.path()));
    let Err(error) = host_ledger::open(&old.path(), "1GB") else { unreachable!("the table is in the way") };
    assert!(error.message().contains("links__merges"), "{}", error.message());
    let warehouse = Old::look(&old.path());
    assert_eq!(version(&warehouse), VERSION);
    assert_eq!(fixture::rows(&warehouse), before);
    warehouse.execute("DROP SCHEMA ledger_visits_people CASCADE").expect("a drop");
    drop(warehouse);
    assert_eq!(data(&fixture::rows(&old.open())), data(&old.rows));
}

/// Not a test of its own: the process that the next test kills.
#[test]
fn upgrade_in_a_process_of_its_own() {
    if let Some(path) = std::env::var_os(CHILD) {
        host_ledger::open(Path::new(&path), "1GB").expect("an upgraded warehouse");
    }
}

#[test]
fn an_upgrade_that_is_killed_is_done_again() {
    let old = Old::new();
    let expected = fixture::rows(&old.open());
    // The process is killed once one of these files has so many bytes.
    let points =
        [(".version-9", 0), (".version-9", 1 << 16), (".wal", 1), (".wal", 2_000), (".wal", 20_000), (".wal", 60_000)];
    for (suffix, bytes) in points {
        let old = Old::new();
        let file = with_suffix(&old.path(), suffix);
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "upgrade_in_a_process_of_its_own", "--quiet"])
            .env(CHILD, old.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("a process");
        while !std::fs::metadata(&file).is_ok_and(|file| file.len() >= bytes) && matches!(child.try_wait(), Ok(None)) {
            std::thread::yield_now();
        }
        // One that has ended cannot be killed.
        let _ = child.kill();
        child.wait().expect("it ends");
        let warehouse = Old::look(&old.path());
        let whole = if version(&warehouse) == VERSION { &old.rows } else { &expected };
        assert_eq!(&fixture::rows(&warehouse), whole, "killed at {bytes} bytes of {suffix}");
        drop(warehouse);
        assert_eq!(fixture::rows(&old.open()), expected);
        let copy = Old::look(&old.copy());
        assert_eq!(fixture::rows(&copy), old.rows);
    }
}
