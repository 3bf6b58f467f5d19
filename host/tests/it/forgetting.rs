//! Who is forgotten is gone from every table, also from what others say of them, and stays away.

use sandbox::kinds::Kind;

use crate::hubspot_common::{HOUR, first, still};
use crate::support::{Project, root, stderr};

#[test]
fn a_forgotten_person_stays_away() {
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
    // Ids are one's own within a type of records; an e-mail address is nobody else's anywhere.
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
    assert!(project.server.with(|network| network.edit(Kind::Contact, id, "firstname", Some("Voltou"), now)));
    for arguments in [&[][..], &["--full-refresh"]] {
        project.run(arguments);
        assert_eq!(left(), Vec::<String>::new(), "{arguments:?}");
    }
    // Twice is once; and of an id that the account never had it counts nothing.
    for id in [key.as_str(), "999"] {
        let output =
            project.command(&["forget", pipeline, &format!("contacts/{id}")]).output().expect("the binary runs");
        assert!(output.status.success(), "{}", stderr(&output));
    }
    project.server.advance(25 * HOUR);
    let told = project.run(&["--full-refresh"]).to_string();
    assert!(!told.contains("the source counts"), "{told}");
    project.query("DELETE FROM _host.forgotten WHERE key_sha256 = sha256('999')");
    let trace = project.query("SELECT count(*) AS rows, min(length(key_sha256)) AS letters FROM _host.forgotten");
    assert_eq!((&trace[0]["rows"], &trace[0]["letters"]), (&2.into(), &64.into()));
}

/// Rules and models that keep what a deal's name was: in the journal, between rules, and as versions.
const RULES_AND_MODELS: &str = r#"
[[rule]]
plugin = "text"
streams = ["hubspot.deals"]
[rule.config.columns]
dealname = ["upper"]
[marts]
path = "sql"
"#;

#[test]
fn what_linked_records_say_of_the_forgotten_goes_too() {
    let project = Project::with(60, still());
    let (deal, server) = (first(&project, Kind::Deal), &project.server);
    let linked = |kind| {
        let of = |network: &mut sandbox::Network| network.live_links(Kind::Deal, kind, deal).next().map(|link| link.to);
        server.with(of).expect("a link")
    };
    let (contact, company) = (linked(Kind::Contact), linked(Kind::Company));
    let other = server.with(|network| {
        let is_other = |id: &&u64| network.live_links(Kind::Deal, Kind::Contact, **id).all(|link| link.to != contact);
        *network.objects[&Kind::Deal].keys().find(is_other).expect("another's deal")
    });
    let say = |id, name: &str| {
        server.advance(HOUR);
        let now = server.now();
        assert!(server.with(|network| network.edit(Kind::Deal, id, "dealname", Some(name), now)));
    };
    say(deal, "Consulta Zuleide Quaresma");
    say(deal, "Retorno Zuleide Quaresma");
    say(other, "Consulta da prima de Zuleide Quaresma");
    server.advance(HOUR);
    let streams =
        ["companies", "contacts", "deals", "deals_companies", "deals_contacts", "contacts_companies", "deals_history"];
    let config = "history = { deals = [\"dealname\", \"dealstage\"] }";
    let base = std::fs::read_to_string(project.hubspot(&streams, config)).expect("a pipeline");
    let pipeline = project.write("pipeline.toml", &format!("{base}{RULES_AND_MODELS}"));
    project.write("sql/core/names.sql", "SELECT id, dealname AS name, amount FROM clean_hubspot.deals");
    project.write("sql/core/names.toml", "materialized = \"snapshot\"\nsnapshot = { key = [\"id\"] }\n");
    let load = |arguments: &[&str]| {
        let output = project.try_run(&pipeline, arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        output
    };
    load(&[]);
    // A version that ended, of the deal whose name it is.
    say(deal, "Pagamento Zuleide Quaresma");
    load(&[]);
    let is_said = |deal: u64| {
        let tables = project.query("SELECT schema_name || '.' || table_name AS name FROM duckdb_tables()");
        let tables = tables.iter().map(|row| row["name"].as_str().expect("a name").to_owned());
        let said = |table: &String| {
            let row = "lower(to_json(t)::VARCHAR)";
            let sql =
                format!("SELECT 1 FROM {table} t WHERE contains({row}, 'quaresma') AND contains({row}, '\"{deal}\"')");
            !project.query(&sql).is_empty()
        };
        let mut said: Vec<_> = tables.filter(said).collect();
        said.sort();
        said
    };
    let everywhere =
        ["_host.changes", "clean_hubspot.deals", "core.names", "raw_hubspot.deals", "raw_hubspot.deals_history"];
    assert_eq!(is_said(deal), everywhere);
    let count = || project.query("SELECT count(*) AS rows, sum(amount)::VARCHAR AS amount FROM clean_hubspot.deals");
    let deals = count();
    let path = pipeline.to_str().expect("a path in UTF-8");
    let forget = || {
        let record = format!("contacts/{contact}");
        let output = project.command(&["forget", path, &record, "--format", "json"]).output().expect("the binary runs");
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("a report")
    };
    let told = forget();
    assert!(told["emptied"].as_array().is_some_and(|rows| !rows.is_empty()), "{told:#}");
    assert_eq!(is_said(deal), Vec::<String>::new());
    // The deal itself stays, and whom it was with, and what is said of others.
    assert_eq!(count(), deals);
    let name = project.query(&format!("SELECT name FROM raw_hubspot.companies WHERE id = '{company}'"));
    assert!(name[0]["name"].is_string(), "{name:?}");
    assert_eq!(is_said(other), everywhere);
    assert_eq!(project.query("SELECT 1 FROM core.names WHERE valid_to IS NOT NULL").len(), 1);
    // As little as nothing changed, and then what changed is loaded without it.
    let again: serde_json::Value = serde_json::from_slice(&load(&["--full-refresh"]).stdout).expect("a report");
    let changed = again["extracted"].as_array().expect("streams").iter().filter(|one| one["changed"] != 0);
    assert_eq!(changed.collect::<Vec<_>>(), Vec::<&serde_json::Value>::new());
    say(deal, "Reembolso Zuleide Quaresma");
    load(&[]);
    assert_eq!(is_said(deal), Vec::<String>::new());
    // Once it is linked, so is what the other deal says, loaded long ago.
    server.advance(HOUR);
    let now = server.now();
    server.with(|network| {
        network.link(Kind::Deal, other, Kind::Contact, contact);
        network.touch(Kind::Deal, other, now);
    });
    load(&[]);
    forget();
    load(&["--full-refresh"]);
    let bytes = std::fs::read(project.warehouse_path()).expect("a warehouse");
    let said = b"Quaresma";
    assert_eq!(is_said(other), Vec::<String>::new());
    assert!(!bytes.windows(said.len()).any(|window| window.eq_ignore_ascii_case(said)));
}
