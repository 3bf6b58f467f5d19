//! Erasure: a forgotten person is gone from every table, from the free text of linked records too, and stays out of later
//! loads.

use std::path::PathBuf;

use sandbox::Network;
use sandbox::object_types::ObjectType;

use crate::hubspot_common::{HOUR, first, still};
use crate::support::{Project, root, stderr};

#[test]
fn a_forgotten_person_stays_out_of_later_loads() {
    let project = Project::new(300);
    project.run(&[]);
    let merged = project.query("SELECT key, survivor_key FROM _host.merges WHERE stream = 'hubspot.contacts' LIMIT 1");
    let key = merged[0]["key"].as_str().expect("a key").to_owned();
    let survivor = merged[0]["survivor_key"].as_str().expect("a key").to_owned();
    let email = project.query(&format!(
        "SELECT lower(email) AS email FROM raw_hubspot.contacts WHERE id IN ('{key}', '{survivor}') AND email IS NOT NULL"
    ));
    let email = email[0]["email"].as_str().expect("an address").to_owned();
    let pipeline = root().join("pipelines/hubspot.toml");
    let pipeline = pipeline.to_str().expect("a path in UTF-8");
    let output = project.command(&["forget", pipeline, &format!("contacts/{key}")]).output().expect("the binary runs");
    assert!(output.status.success(), "{}", stderr(&output));
    // An id is unique within a type of records; an e-mail address is unique everywhere.
    let left = || {
        let tables = project.query("SELECT schema_name || '.' || table_name AS name FROM duckdb_tables()");
        let mut left: Vec<_> = tables.iter().map(|row| row["name"].as_str().expect("a name").to_owned()).collect();
        left.retain(|name| {
            let sql = format!("SELECT 1 FROM {name} t WHERE contains(lower(to_json(t)::VARCHAR), '{email}')");
            !project.query(&sql).is_empty()
        });
        for (table, column) in [
            ("raw_hubspot.contacts", "id"),
            ("clean_hubspot.contacts", "id"),
            ("raw_hubspot.deals_contacts", "to_id"),
            ("raw_hubspot.contacts_companies", "from_id"),
            ("core.dim_patient", "patient_id"),
            ("core.fct_consultation", "patient_id"),
        ] {
            let sql = format!("SELECT 1 FROM {table} WHERE {column} IN ('{key}', '{survivor}')");
            left.extend((!project.query(&sql).is_empty()).then(|| format!("{table}.{column}")));
        }
        left
    };
    assert_eq!(left(), Vec::<String>::new());
    let id = key.parse().expect("an id");
    let now = project.server.now();
    assert!(project.server.with(|network| network.edit(ObjectType::Contact, id, "firstname", Some("Voltou"), now)));
    for arguments in [&[][..], &["--full-refresh"]] {
        project.run(arguments);
        assert_eq!(left(), Vec::<String>::new(), "{arguments:?}");
    }
    // A second request changes nothing, and neither does an id that the account never had.
    for id in [key.as_str(), "999"] {
        let output =
            project.command(&["forget", pipeline, &format!("contacts/{id}")]).output().expect("the binary runs");
        assert!(output.status.success(), "{}", stderr(&output));
    }
    project.server.advance(25 * HOUR);
    let report = project.run(&["--full-refresh"]).to_string();
    assert!(!report.contains("the source reports"), "{report}");
    project.query("DELETE FROM _host.forgotten WHERE key_sha256 = sha256('999')");
    let trace = project.query("SELECT count(*) AS rows, min(length(key_sha256)) AS letters FROM _host.forgotten");
    assert_eq!((&trace[0]["rows"], &trace[0]["letters"]), (&2.into(), &64.into()));
}

const STREAMS: [&str; 7] =
    ["companies", "contacts", "deals", "deals_companies", "deals_contacts", "contacts_companies", "deals_history"];

/// The tables that hold a deal's name.
const EVERYWHERE: [&str; 5] = [
    "clean_hubspot.deals",
    "core.names",
    "ledger_hubspot.deals__changes",
    "raw_hubspot.deals",
    "raw_hubspot.deals_history",
];

/// Rules and models that keep values: in the journal, between rules, and as versions.
const RULES_AND_MODELS: &str = r#"
[[rule]]
plugin = "text"
streams = ["hubspot.deals"]
[rule.config.columns]
dealname = ["upper"]
[marts]
path = "sql"
"#;

/// A clinic network in which the names of deals identify a patient, and the pipeline that loads it.
struct Clinic {
    project: Project,
    pipeline: PathBuf,
    deal: u64,
    contact: u64,
    company: u64,
}

impl Clinic {
    fn new() -> Self {
        let project = Project::with(60, still());
        let deal = first(&project, ObjectType::Deal);
        let linked = |kind| {
            let of = |network: &mut Network| {
                network.active_associations(ObjectType::Deal, kind, deal).next().map(|link| link.to)
            };
            project.server.with(of).expect("a link")
        };
        let (contact, company) = (linked(ObjectType::Contact), linked(ObjectType::Company));
        let config = "history = { deals = [\"dealname\", \"dealstage\"] }";
        let base = std::fs::read_to_string(project.hubspot(&STREAMS, config)).expect("a pipeline");
        let pipeline = project.write("pipeline.toml", &format!("{base}{RULES_AND_MODELS}"));
        let versions = |name: &str, query: &str, stream: &str| {
            let records = format!(
                "materialized = \"snapshot\"\nsnapshot = {{ key = [\"id\"], records = {{ id = \"{stream}\" }} }}\n"
            );
            project.write(&format!("sql/core/{name}.sql"), query);
            project.write(&format!("sql/core/{name}.toml"), &records);
        };
        versions("names", "SELECT id, dealname AS name, amount FROM clean_hubspot.deals", "hubspot.deals");
        versions("people", "SELECT id, email FROM clean_hubspot.contacts WHERE NOT archived", "hubspot.contacts");
        let clinic = Self { project, pipeline, deal, contact, company };
        clinic.rename(deal, "Consulta Zuleide Quaresma");
        clinic.rename(deal, "Retorno Zuleide Quaresma");
        clinic
    }

    /// Changes the portal one hour later.
    fn change(&self, change: impl FnOnce(&mut Network, i64) -> bool) {
        self.project.server.advance(HOUR);
        let now = self.project.server.now();
        assert!(self.project.server.with(|network| change(network, now)));
    }

    fn rename(&self, deal: u64, name: &str) {
        self.change(|network, now| network.edit(ObjectType::Deal, deal, "dealname", Some(name), now));
    }

    fn load(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.project.try_run(&self.pipeline, arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).expect("a report")
    }

    fn forget(&self, arguments: &[&str]) -> std::process::Output {
        let path = self.pipeline.to_str().expect("a path in UTF-8");
        let arguments = [&["forget", path, "--format", "json"], arguments].concat();
        self.project.command(&arguments).output().expect("the binary runs")
    }

    fn forget_record(&self, record: &str) -> serde_json::Value {
        let output = self.forget(&[record]);
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).expect("a report")
    }

    /// The tables with a row that holds the patient's name and this id.
    fn tables_about(&self, id: u64) -> Vec<String> {
        self.tables(&format!("contains(row, 'quaresma') AND contains(row, '\"{id}\"')"))
    }

    /// The tables with a row that holds the patient's name.
    fn tables_with_name(&self) -> Vec<String> {
        self.tables("contains(row, 'quaresma')")
    }

    fn tables(&self, which: &str) -> Vec<String> {
        let tables =
            self.project.query("SELECT schema_name || '.' || table_name AS name FROM duckdb_tables() ORDER BY 1");
        let tables = tables.iter().map(|row| row["name"].as_str().expect("a name").to_owned());
        let has_row = |table: &String| {
            let sql = format!("SELECT 1 FROM (SELECT lower(to_json(t)::VARCHAR) AS row FROM {table} t) WHERE {which}");
            !self.project.query(&sql).is_empty()
        };
        tables.filter(has_row).collect()
    }

    /// Whether the warehouse's file holds the patient's name anywhere.
    fn is_in_file(&self) -> bool {
        let bytes = std::fs::read(self.project.warehouse_path()).expect("a warehouse");
        bytes.windows(8).any(|window| window.eq_ignore_ascii_case(b"quaresma"))
    }

    /// A deal of another patient.
    fn deal_of_another(&self) -> u64 {
        self.project.server.with(|network| {
            let is_hers = |id| {
                network
                    .active_associations(ObjectType::Deal, ObjectType::Contact, id)
                    .any(|link| link.to == self.contact)
            };
            *network.records[&ObjectType::Deal].keys().find(|id| !is_hers(**id)).expect("another's deal")
        })
    }

    fn another(&self, kind: ObjectType, but: &[u64]) -> u64 {
        self.project.server.with(|network| *network.records[&kind].keys().find(|id| !but.contains(id)).expect("one"))
    }
}

#[test]
fn free_text_of_linked_records_is_erased_too() {
    let clinic = Clinic::new();
    let Clinic { project, deal, contact, company, .. } = &clinic;
    let other = clinic.deal_of_another();
    clinic.rename(other, "Consulta da prima de Zuleide Quaresma");
    clinic.load(&[]);
    // A version that has ended.
    clinic.rename(*deal, "Pagamento Zuleide Quaresma");
    clinic.load(&[]);
    assert_eq!(clinic.tables_about(*deal), EVERYWHERE);
    let count = || project.query("SELECT count(*) AS rows, sum(amount)::VARCHAR AS amount FROM clean_hubspot.deals");
    let deals = count();
    let record = format!("contacts/{contact}");
    let erased = clinic.forget_record(&record);
    assert!(erased["emptied"].as_array().is_some_and(|rows| !rows.is_empty()), "{erased:#}");
    assert_eq!(clinic.tables_about(*deal), Vec::<String>::new());
    // The deal, its stages, its doctor, and the texts of other deals stay.
    assert_eq!(count(), deals);
    let stages =
        format!("SELECT 1 FROM raw_hubspot.deals_history WHERE record_id = '{deal}' AND property = 'dealstage'");
    assert!(!project.query(&stages).is_empty());
    let name = project.query(&format!("SELECT name FROM raw_hubspot.companies WHERE id = '{company}'"));
    assert!(name[0]["name"].is_string(), "{name:?}");
    assert_eq!(clinic.tables_about(other), EVERYWHERE);
    assert_eq!(project.query("SELECT 1 FROM core.names WHERE valid_to IS NOT NULL").len(), 1);
    // A load without changes writes no row; a changed deal is loaded without its free text.
    let again = clinic.load(&["--full-refresh"]);
    let changed = again["extracted"].as_array().expect("streams").iter().filter(|one| one["changed"] != 0);
    assert_eq!(changed.collect::<Vec<_>>(), Vec::<&serde_json::Value>::new());
    clinic.rename(*deal, "Reembolso Zuleide Quaresma");
    clinic.load(&[]);
    assert_eq!(clinic.tables_about(*deal), Vec::<String>::new());
    // A new link also erases the free text of the other deal, which was loaded earlier.
    clinic.change(|network, now| {
        network.associate(ObjectType::Deal, other, ObjectType::Contact, *contact);
        network.touch(ObjectType::Deal, other, now);
        true
    });
    clinic.load(&[]);
    assert_eq!(clinic.tables_with_name(), Vec::<String>::new());
    assert!(!clinic.is_in_file());
    clinic.load(&["--full-refresh"]);
    assert_eq!(clinic.tables_with_name(), Vec::<String>::new());
}

#[test]
fn earlier_links_and_errors_of_runs_are_erased_too() {
    let clinic = Clinic::new();
    let Clinic { project, deal, contact, .. } = &clinic;
    let email = Some("zuleide@quaresma.example");
    clinic.change(|network, now| network.edit(ObjectType::Contact, *contact, "email", email, now));
    let broken = project.write(
        "sql/core/broken.sql",
        &format!("SELECT error('not ' || email) AS why FROM clean_hubspot.contacts WHERE id = '{contact}'"),
    );
    assert!(!project.try_run(&clinic.pipeline, &[]).status.success());
    std::fs::remove_file(broken).expect("the file");
    clinic.load(&[]);
    assert!(clinic.tables_with_name().contains(&"_host.run_ends".to_owned()), "{:?}", clinic.tables_with_name());
    // The portal deletes the record first, and its links with it; it deletes another record too.
    let another = clinic.another(ObjectType::Contact, &[*contact]);
    clinic.change(|network, now| {
        network.archive(ObjectType::Contact, *contact, now) && network.archive(ObjectType::Contact, another, now)
    });
    clinic.load(&["--full-refresh"]);
    assert!(project.query(&format!("SELECT 1 FROM raw_hubspot.deals_contacts WHERE to_id = '{contact}'")).is_empty());
    assert!(!clinic.tables_about(*deal).is_empty());
    clinic.forget_record(&format!("contacts/{contact}"));
    assert_eq!(clinic.tables_with_name(), Vec::<String>::new());
    assert!(!clinic.is_in_file());
    let versions = |id: u64| project.query(&format!("SELECT valid_to FROM core.people WHERE id = '{id}'")).len();
    assert_eq!((versions(*contact), versions(another)), (0, 1));
}

#[test]
fn an_erasure_that_has_not_reached_the_models_keeps_the_versions_of_others() {
    let clinic = Clinic::new();
    let Clinic { project, contact, .. } = &clinic;
    clinic.load(&[]);
    let broken = project.write("sql/core/broken.sql", "SELECT error('broken') AS why FROM clean_hubspot.contacts");
    assert!(!clinic.forget(&[&format!("contacts/{contact}")]).status.success());
    std::fs::remove_file(broken).expect("the file");
    // A build alone does not complete the erasure: cleaning comes first.
    let path = clinic.pipeline.to_str().expect("a path in UTF-8");
    assert!(project.command(&["build", path]).output().expect("the binary runs").status.success());
    let another = clinic.another(ObjectType::Contact, &[*contact]);
    let deal = clinic.deal_of_another();
    clinic.change(|network, now| {
        network.archive(ObjectType::Contact, another, now)
            && network.edit(ObjectType::Deal, deal, "dealname", None, now)
    });
    clinic.load(&["--full-refresh"]);
    let count = |sql: &str| project.query(sql).len();
    assert_eq!(count(&format!("SELECT 1 FROM core.people WHERE id = '{contact}'")), 0);
    assert_eq!(count(&format!("SELECT 1 FROM core.people WHERE id = '{another}' AND valid_to IS NOT NULL")), 1);
    assert_eq!(
        count(&format!("SELECT 1 FROM core.names WHERE id = '{deal}' AND name IS NOT NULL AND valid_to IS NOT NULL")),
        1
    );
    assert_eq!(clinic.tables_with_name(), Vec::<String>::new());
    // The run that completed the erasure rewrote the file too.
    assert!(!clinic.is_in_file());
}

#[test]
fn merges_and_other_sources_of_the_same_account_do_not_bring_a_person_back() {
    let clinic = Clinic::new();
    let Clinic { project, contact, .. } = &clinic;
    clinic.load(&[]);
    clinic.forget_record(&format!("contacts/{contact}"));
    let winner = clinic.another(ObjectType::Contact, &[*contact]);
    clinic.change(|network, now| network.merge(ObjectType::Contact, winner, *contact, now));
    clinic.load(&["--full-refresh"]);
    let is_there =
        |id: u64| !project.query(&format!("SELECT 1 FROM raw_hubspot.contacts WHERE id = '{id}'")).is_empty();
    assert!(!is_there(winner));
    assert_eq!(clinic.tables_with_name(), Vec::<String>::new());
    // Forgetting a record also forgets the records that were merged into it before.
    let one = clinic.another(ObjectType::Contact, &[*contact, winner]);
    let other = clinic.another(ObjectType::Contact, &[*contact, winner, one]);
    clinic.change(|network, now| network.merge(ObjectType::Contact, one, other, now));
    clinic.load(&["--full-refresh"]);
    assert!(is_there(one));
    clinic.forget_record(&format!("contacts/{one}"));
    assert!(!is_there(one) && !is_there(other));
    assert!(clinic.forget(&[&format!("contacts/{other}"), "--undo"]).status.success());
    clinic.load(&["--full-refresh"]);
    assert!(is_there(one) && !is_there(winner));
    // Another source of the same portal.
    let base = std::fs::read_to_string(project.hubspot(&STREAMS[..6], "")).expect("a pipeline");
    let named = base.replace("plugin = \"hubspot\"\n", "plugin = \"hubspot\"\nname = \"crm\"\n");
    let output = project.try_run(&project.write("crm.toml", &named), &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!project.query("SELECT 1 FROM raw_crm.contacts").is_empty());
    assert_eq!(clinic.tables_with_name(), Vec::<String>::new());
}

#[test]
fn new_declarations_of_free_text_erase_texts_of_forgotten_people() {
    let clinic = Clinic::new();
    let Clinic { project, contact, .. } = &clinic;
    clinic.load(&[]);
    project.query("UPDATE _host.stream_declarations SET free_text = NULL, merged = NULL");
    clinic.forget_record(&format!("contacts/{contact}"));
    assert!(!clinic.tables_with_name().is_empty());
    clinic.load(&[]);
    assert_eq!(clinic.tables_with_name(), Vec::<String>::new());
}

#[test]
fn an_unknown_record_erases_nothing_and_an_erasure_is_undone() {
    let clinic = Clinic::new();
    let Clinic { project, contact, .. } = &clinic;
    clinic.load(&[]);
    let built = || project.query("SELECT max(load_id) AS load_id FROM _host.model_builds");
    let before = built();
    let erased = clinic.forget_record("contacts/999");
    assert_eq!((&erased["rows"], &erased["emptied"]), (&serde_json::json!([]), &serde_json::json!([])));
    assert_eq!(built(), before);
    let record = format!("contacts/{contact}");
    clinic.forget_record(&record);
    let path = clinic.pipeline.to_str().expect("a path in UTF-8");
    let output = project.command(&["quality", path, "--record", &record]).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("was forgotten at"), "{}", stderr(&output));
    assert!(clinic.forget(&[&record, "--undo"]).status.success());
    clinic.load(&["--full-refresh"]);
    assert_eq!(clinic.tables_about(clinic.deal), EVERYWHERE);
}

#[test]
fn the_file_is_rewritten_behind_its_link_with_its_permissions() {
    use std::os::unix::fs::PermissionsExt as _;
    let clinic = Clinic::new();
    clinic.load(&[]);
    let (path, real) = (clinic.project.warehouse_path(), clinic.project.folder.path().join("real.duckdb"));
    std::fs::rename(&path, &real).expect("a file");
    std::os::unix::fs::symlink(&real, &path).expect("a link");
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o600)).expect("permissions");
    clinic.forget_record(&format!("contacts/{}", clinic.contact));
    assert!(path.is_symlink() && !clinic.is_in_file());
    assert_eq!(std::fs::metadata(&real).expect("a file").permissions().mode() & 0o777, 0o600);
}
