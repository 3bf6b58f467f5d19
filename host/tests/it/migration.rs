//! A warehouse of an older version, with a killed run and an unfinished erasure, ends like an undisturbed one.

#[path = "../fixtures/before-many-writers/fixture.rs"]
mod fixture;

use std::path::Path;
use std::process::Output;

use host_warehouse::{Warehouse, with_suffix};
use sandbox::{Fault, ServerOptions};
use serde_json::Value;

use crate::support::{Project, stderr};
use fixture::{NEWEST, Rows, VERSION, rows_of, text, version};

/// The name of the person whose erasure the old version did not complete.
const ERASED: &str = "quaresma";

/// What the source `rates` answers.
const RATES: &str =
    r#"{"note":"monthly","rates":[{"month":"2026-10-01","rate":"5.4"},{"month":"2026-09-01","rate":""}]}"#;

/// The fixture's pipeline in a folder of its own.
struct Clinic(Project);

impl Clinic {
    /// The pipeline, without a warehouse.
    fn new() -> Self {
        let faults = (0..20).map(|_| Fault::response("/rates", 200, RATES)).collect();
        let clinic = Self(Project::with(10, ServerOptions { faults, ..ServerOptions::default() }));
        copy(&fixture::folder(env!("CARGO_MANIFEST_DIR")).join("pipeline"), clinic.0.folder.path());
        clinic
    }

    /// The pipeline, with the fixture's warehouse.
    fn with_old_warehouse() -> Self {
        let clinic = Self::new();
        fixture::make(&fixture::folder(env!("CARGO_MANIFEST_DIR")), &clinic.0.warehouse_path());
        clinic
    }

    /// The pipeline, with a warehouse of this version that saw the same data and forgot the same people.
    fn undisturbed() -> Self {
        let clinic = Self::new();
        let folder = clinic.0.folder.path();
        copy(&folder.join("earlier"), folder);
        clinic.host("run", &[]);
        copy(&fixture::folder(env!("CARGO_MANIFEST_DIR")).join("pipeline"), folder);
        clinic.host("run", &[]);
        clinic.host("forget", &["people/p7"]);
        clinic.host("forget", &["people/p4"]);
        clinic
    }

    fn try_host(&self, command: &str, arguments: &[&str]) -> Output {
        let pipeline = self.0.folder.path().join("clinic.toml");
        let pipeline = pipeline.to_str().expect("a path in UTF-8");
        let arguments = [&[command, pipeline, "--format", "json"], arguments].concat();
        self.0.command(&arguments).env("RATES_URL", self.0.server.url()).output().expect("the binary runs")
    }

    /// Runs a command that must succeed; returns its report.
    fn host(&self, command: &str, arguments: &[&str]) -> Value {
        let output = self.try_host(command, arguments);
        assert!(output.status.success(), "{command} {arguments:?}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).expect("a report")
    }

    fn warehouse(&self) -> Warehouse {
        Warehouse::open(&self.0.warehouse_path(), "1GB").expect("a warehouse")
    }

    fn has_copy(&self) -> bool {
        with_suffix(&self.0.warehouse_path(), &format!(".version-{VERSION}")).exists()
    }

    /// The tables and views with a row that contains a text, in any case.
    fn tables_with(&self, text: &str) -> Vec<String> {
        let all = fixture::rows(&self.warehouse());
        let has_text = |value: &Value| value.as_str().is_some_and(|value| value.to_lowercase().contains(text));
        let has_row = |rows: &Vec<host_warehouse::Row>| rows.iter().any(|row| row.values().any(has_text));
        all.into_iter().filter(|(_, rows)| has_row(rows)).map(|(name, _)| name).collect()
    }

    /// Whether a file in the folder of the warehouse contains a text, in any case.
    fn is_in_files(&self, text: &str) -> bool {
        let files = std::fs::read_dir(self.0.folder.path()).expect("a folder").map(|file| file.expect("a file").path());
        let mut of_warehouse = files.filter(|path| path.to_string_lossy().contains("warehouse.duckdb"));
        of_warehouse.any(|path| {
            let bytes = std::fs::read(path).expect("a file");
            bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
        })
    }

    /// Raw, clean and kept tables and the models of the pipeline, without what differs from run to run.
    fn data(&self) -> Rows {
        let mut rows = fixture::rows(&self.warehouse());
        rows.retain(|name, _| {
            !["_host", "ledger_", "raw_hubspot", "clean_hubspot"].iter().any(|other| name.starts_with(other))
        });
        for row in rows.values_mut().flatten() {
            row.retain(|column, _| !["_load_id", "_extracted_at"].contains(&column.as_str()));
        }
        // Rows were sorted with those columns, too.
        rows.values_mut().for_each(|rows| rows.sort_by_key(|row| Value::Object(row.clone()).to_string()));
        rows
    }

    /// The journal, without the runs that wrote it.
    fn journal(&self) -> Vec<host_warehouse::Row> {
        let warehouse = self.warehouse();
        let of_table = |table: &str| rows_of(&warehouse, &format!("SELECT * EXCLUDE (load_id) FROM _host.{table}"));
        ["changes", "rejects", "notes", "merges"].into_iter().flat_map(of_table).collect()
    }
}

/// Copies the files below a folder into another one.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("a file");
        }
    }
}

#[test]
fn a_run_completes_what_the_old_version_left() {
    let clinic = Clinic::with_old_warehouse();
    assert!(clinic.tables_with(ERASED).contains(&"core.people_history".to_owned()), "the erasure is not complete");
    // Whatever opens the warehouse first upgrades it, and the copy holds the erased person, too.
    clinic.host("quality", &["--record", "people/p1"]);
    assert!(clinic.has_copy() && clinic.is_in_files(ERASED));
    assert_eq!(version(&clinic.warehouse()), NEWEST);
    let report = clinic.host("run", &[]);
    assert!(!clinic.has_copy(), "the copy was kept after the erasure");
    assert_eq!(clinic.tables_with(ERASED), Vec::<String>::new());
    assert!(!clinic.is_in_files(ERASED));
    let warehouse = clinic.warehouse();
    assert_eq!(warehouse.count("SELECT count(*) FROM _host.erasures", ()).expect("a count"), 0);
    let runs = rows_of(&warehouse, "SELECT load_id, status FROM _host.runs WHERE pipeline = 'clinic'");
    let statuses: Vec<_> = runs.iter().map(|row| text(row, "status")).collect();
    let expected =
        ["failed", "interrupted", "partial", "partial", "cancelled", "partial", "failed", "interrupted", "ok"];
    assert_eq!(statuses, expected);
    let staged = "SELECT count(*) FROM information_schema.tables WHERE regexp_matches(table_name, '__(next|delta)$')";
    assert_eq!(warehouse.count(staged, ()).expect("a count"), 0, "staged models are left");
    drop(warehouse);
    let undisturbed = Clinic::undisturbed();
    assert_eq!(clinic.data(), undisturbed.data());
    assert_eq!(clinic.journal(), undisturbed.journal());
    // The figures of the report, and nothing to do for a second run.
    let again = undisturbed.host("run", &[]);
    assert!(report["tables"].as_array().is_some_and(|tables| !tables.is_empty()), "{report:#}");
    assert_eq!(report["tables"], again["tables"]);
    let before = clinic.data();
    clinic.host("run", &[]);
    assert_eq!(clinic.data(), before);
    assert!(!clinic.has_copy());
}

#[test]
fn cleaning_alone_completes_the_erasure() {
    let clinic = Clinic::with_old_warehouse();
    clinic.host("clean", &[]);
    assert!(!clinic.has_copy());
    assert_eq!(clinic.tables_with(ERASED), Vec::<String>::new());
    assert!(!clinic.is_in_files(ERASED));
    let versions = "SELECT city FROM core.people_history WHERE id = 'p8'";
    assert_eq!(rows_of(&clinic.warehouse(), versions).len(), 2, "the history of other people is kept");
}

#[test]
fn a_person_who_was_forgotten_before_the_upgrade_is_let_in_again() {
    let clinic = Clinic::with_old_warehouse();
    let output = clinic.try_host("forget", &["people/p4", "--undo"]);
    assert!(output.status.success(), "{}", stderr(&output));
    clinic.host("run", &[]);
    let people = rows_of(&clinic.warehouse(), "SELECT id FROM clean_people.people WHERE id IN ('p4', 'p7')");
    assert_eq!(people.iter().map(|row| text(row, "id")).collect::<Vec<_>>(), ["p4"]);
    // The erasure had not reached the models.
    let versions = rows_of(&clinic.warehouse(), "SELECT city FROM core.people_history WHERE id = 'p4'");
    assert_eq!(versions.iter().map(|row| text(row, "city")).collect::<Vec<_>>(), ["Mariana", "Ouro Preto"]);
}

#[test]
fn forgetting_reaches_links_and_texts_that_the_old_version_loaded() {
    let clinic = Clinic::with_old_warehouse();
    let link = "SELECT min(to_id) AS contact FROM raw_hubspot.deals_contacts";
    let contact = text(&rows_of(&clinic.warehouse(), link)[0], "contact").to_owned();
    let deals = format!("SELECT from_id FROM raw_hubspot.deals_contacts WHERE to_id = '{contact}'");
    let deals = rows_of(&clinic.warehouse(), &deals);
    assert!(!deals.is_empty());
    clinic.host("forget", &[&format!("contacts/{contact}")]);
    let warehouse = clinic.warehouse();
    let count = |sql: &str| warehouse.count(sql, ()).expect("a count");
    assert_eq!(count(&format!("SELECT count(*) FROM raw_hubspot.contacts WHERE id = '{contact}'")), 0);
    assert_eq!(count(&format!("SELECT count(*) FROM raw_hubspot.deals_contacts WHERE to_id = '{contact}'")), 0);
    for deal in deals {
        let name = format!("SELECT dealname FROM raw_hubspot.deals WHERE id = '{}'", text(&deal, "from_id"));
        assert!(rows_of(&warehouse, &name)[0]["dealname"].is_null());
    }
    let sweep = format!("SELECT count(*) FROM ledger_hubspot.contacts__seen WHERE key = '{contact}'");
    assert_eq!(count(&sweep), 0, "the sweep that the old version began still names the contact");
    drop(warehouse);
    assert!(!clinic.has_copy() && !clinic.is_in_files(ERASED));
}
