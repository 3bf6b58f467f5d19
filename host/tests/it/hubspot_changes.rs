//! The sixteen behaviors of the HubSpot source: 1 to 9, changes and how none of them is missed. The others are in
//! `hubspot_responses.rs`.

use std::time::Duration;

use sandbox::object_types::{MERGED_IDS_PROPERTY, ObjectType};
use sandbox::{Chaos, Fault, GeneratorOptions, ServerOptions};
use serde_json::json;

use crate::hubspot_common::{DEAL_LINKS, DEAL_STREAMS, HOUR, first, same, still};
use crate::raw_truth::differences;
use crate::support::{Project, stderr};

#[test]
fn b01_keyset_search_reads_25000_records_of_one_millisecond() {
    let project = Project::with(10, still());
    project.load(&["companies"], "");
    project.server.advance(HOUR);
    let now = project.server.now();
    project.server.with(|network| {
        for number in 0..25_000 {
            network.add(ObjectType::Company, now, |name| (name == "name").then(|| format!("Clínica {number}")));
        }
    });
    let _ = project.server.take_log();
    project.load(&["companies"], "");
    same(&project, &[ObjectType::Company], &[]);
    let log = project.server.take_log();
    let searches: Vec<_> = log.iter().filter(|logged| logged.contains("/search")).collect();
    assert!(searches.len() >= 125, "{}", searches.len());
    assert!(searches.iter().all(|search| search.status == 200 && search.body.get("after").is_none()));
}

#[test]
fn b01_records_edited_while_they_are_searched_are_not_skipped() {
    let project = Project::with(400, still());
    project.load(&["contacts"], "");
    project.server.advance(HOUR);
    let now = project.server.now();
    project.server.with(|network| {
        let ids: Vec<_> = network.records[&ObjectType::Contact].keys().copied().collect();
        ids.iter().for_each(|id| network.touch(ObjectType::Contact, *id, now));
    });
    project.server.configure(|options| options.chaos = Some(Chaos::new(5, 0.0, 1.0)));
    project.load(&["contacts"], "");
    project.server.configure(|options| options.chaos = None);
    project.server.advance(25 * HOUR);
    project.load(&["contacts"], "");
    same(&project, &[ObjectType::Contact], &[]);
}

#[test]
fn b02_changes_that_the_search_index_lacks_are_found_by_the_next_run() {
    let project = Project::with(60, ServerOptions { search_lag: Duration::from_secs(200), ..still() });
    project.load(&["deals"], "");
    project.server.advance(HOUR);
    let (id, now) = (first(&project, ObjectType::Deal), project.server.now());
    project.server.with(|network| network.edit(ObjectType::Deal, id, "dealname", Some("Escondida"), now));
    let hidden = "SELECT count(*) AS rows FROM raw_hubspot.deals WHERE dealname = 'Escondida'";
    project.load(&["deals"], "");
    assert_eq!(project.query(hidden)[0]["rows"], 0);
    project.server.advance(Duration::from_secs(240));
    project.load(&["deals"], "");
    assert_eq!(project.query(hidden)[0]["rows"], 1);
    same(&project, &[ObjectType::Deal], &[]);
}

#[test]
fn b03_edits_during_the_backfill_are_captured() {
    let project = Project::new(800);
    let pipeline = project.hubspot(&["contacts"], "");
    let child =
        project.command(&["run", pipeline.to_str().expect("a path"), "--quiet"]).spawn().expect("the binary runs");
    assert!(project.server.wait_for_requests(5));
    let now = project.server.now();
    project.server.with(|network| {
        let ids: Vec<_> = network.records[&ObjectType::Contact].keys().copied().collect();
        for id in ids {
            network.edit(ObjectType::Contact, id, "city", Some("Olinda"), now);
        }
    });
    assert!(child.wait_with_output().expect("it ends").status.success());
    let _ = project.server.take_log();
    project.load(&["contacts"], "");
    same(&project, &[ObjectType::Contact], &[]);
    let log = project.server.take_log();
    assert!(log.iter().all(|logged| !logged.contains("objects/2026-03/contacts?")), "the second run lists nothing");
}

#[test]
fn b04_a_portal_with_2000_properties_never_causes_status_414() {
    let project = Project::with(120, ServerOptions { max_url_length: 8192, ..still() });
    project.server.with(|network| {
        for number in 0..2000 {
            let name = format!("propriedade_com_um_nome_muito_comprido_mesmo_{number}");
            network.add_property(ObjectType::Contact, &name, "string");
        }
        let width = network.properties[&ObjectType::Contact].len();
        for object in network.records.get_mut(&ObjectType::Contact).expect("contacts").values_mut() {
            let known = object.values.len();
            object.values.extend((known..width).map(|at| Some(format!("{} {at}", object.id))));
        }
    });
    project.load(&["contacts"], "");
    same(&project, &[ObjectType::Contact], &[]);
    let (id, now) = (first(&project, ObjectType::Contact), project.server.now() + 1000);
    project.server.advance(HOUR);
    project.server.with(|network| {
        network.edit(ObjectType::Contact, id, "city", Some("Natal"), now);
        network.archive(ObjectType::Contact, id + 1, now);
    });
    project.load(&["contacts"], "");
    project.server.advance(25 * HOUR);
    project.load(&["contacts"], "");
    same(&project, &[ObjectType::Contact], &[]);
    assert!(project.server.take_log().iter().all(|logged| logged.status != 414));
}

#[test]
fn b05_a_deal_keeps_all_of_1237_line_items() {
    let everything = GeneratorOptions { patients: 30, everything: true, ..GeneratorOptions::default() };
    let project = Project::of(everything, still());
    let deal = first(&project, ObjectType::Deal);
    project.server.with(|network| {
        for number in 0..1237 {
            let item = network
                .add(ObjectType::LineItem, 1_700_000_000_000, |name| (name == "name").then(|| number.to_string()));
            network.associate_as(ObjectType::LineItem, item, ObjectType::Deal, deal, false, None);
        }
    });
    let streams = ["deals", "line_items", "deals_line_items", "line_items_deals"];
    project.load(&streams, "");
    same(
        &project,
        &[ObjectType::Deal, ObjectType::LineItem],
        &[(ObjectType::Deal, ObjectType::LineItem), (ObjectType::LineItem, ObjectType::Deal)],
    );
}

#[test]
fn b05_an_api_that_ignores_after_does_not_loop() {
    let project = Project::with(60, ServerOptions { association_page_size: 2, ..still() });
    let doctor = project.server.with(|network| {
        let links = &network.associations[&(ObjectType::Company, ObjectType::Contact)];
        *links.iter().max_by_key(|(_, links)| links.len()).expect("a doctor with patients").0
    });
    // Pages of the batch never move on, as on v3.
    project.server.configure(|options| {
        options.rewrite = Some(|path, answer| {
            if path.contains("/associations/") && path.ends_with("/batch/read") {
                for result in answer["results"].as_array_mut().into_iter().flatten() {
                    if result.get("paging").is_some() {
                        result["paging"] = json!({ "next": { "after": "2" } });
                    }
                }
            }
        });
    });
    project.load(&["companies", "companies_contacts"], "");
    let links = project
        .server
        .with(|network| network.active_associations(ObjectType::Company, ObjectType::Contact, doctor).count());
    assert!(links > 4, "{links}");
    let rows = project.query(&format!(
        "SELECT count(DISTINCT to_id) AS links FROM raw_hubspot.companies_contacts WHERE from_id = '{doctor}'"
    ));
    assert_eq!(rows[0]["links"], links);
}

#[test]
fn b06_links_are_replaced_and_keep_their_labels() {
    let project = Project::with(60, still());
    let deal = first(&project, ObjectType::Deal);
    let (company, other) = project.server.with(|network| {
        let company =
            network.active_associations(ObjectType::Deal, ObjectType::Company, deal).next().map(|link| link.to);
        let other = *network.records[&ObjectType::Company].keys().last().expect("a company");
        network.associate_as(ObjectType::Deal, deal, ObjectType::Company, other, false, Some("Médico assistente"));
        (company, other)
    });
    project.load(&DEAL_STREAMS, "");
    same(&project, &[ObjectType::Deal], &DEAL_LINKS);
    let labels = project.query(&format!(
        "SELECT label FROM raw_hubspot.deals_companies WHERE from_id = '{deal}' AND to_id = '{other}' ORDER BY label"
    ));
    assert_eq!(labels[0]["label"], "Médico assistente");
    project.server.advance(HOUR);
    let now = project.server.now();
    project.server.with(|network| {
        company.map(|company| network.dissociate(ObjectType::Deal, deal, ObjectType::Company, company));
        network.dissociate(ObjectType::Deal, deal, ObjectType::Company, other);
        network.touch(ObjectType::Deal, deal, now);
    });
    project.load(&DEAL_STREAMS, "");
    same(&project, &[ObjectType::Deal], &DEAL_LINKS);
}

#[test]
fn b07_a_link_without_a_date_of_change_is_found_by_the_sweep() {
    let project = Project::with(60, still());
    project.load(&DEAL_STREAMS, "");
    let (deal, company) = (first(&project, ObjectType::Deal), first(&project, ObjectType::Company));
    project.server.with(|network| {
        network.associate_as(ObjectType::Deal, deal, ObjectType::Company, company, false, Some("Indicação"));
        network.dissociate(ObjectType::Deal, deal + 1, ObjectType::Company, company);
    });
    project.server.advance(HOUR);
    project.load(&DEAL_STREAMS, "");
    assert!(!differences(&project, &[], &DEAL_LINKS).is_empty(), "the change has no date");
    project.server.advance(24 * HOUR);
    let report = project.load(&DEAL_STREAMS, "");
    same(&project, &[ObjectType::Deal], &DEAL_LINKS);
    let deals = report["extracted"].as_array().expect("streams").iter().find(|s| s["stream"] == "hubspot.deals");
    assert_eq!(deals.expect("deals")["changed"], 0, "the sweep writes no unchanged row");
}

#[test]
fn b08_a_failed_read_of_links_fails_the_batch() {
    let project = Project::with(60, still());
    project.load(&DEAL_STREAMS, "");
    let cursor = "SELECT state FROM _host.cursors WHERE stream = 'deals'";
    let before = project.query(cursor);
    project.server.advance(HOUR);
    let (deal, now) = (first(&project, ObjectType::Deal), project.server.now());
    project.server.with(|network| network.edit(ObjectType::Deal, deal, "dealname", Some("Editada"), now));
    let half = r#"{"status":"COMPLETE","results":[],"numErrors":1,"errors":[{"status":"error","category":"INTERNAL","message":"shard is down"}]}"#;
    for fault in [Fault::response("/associations/", 207, half), Fault::response("/associations/", 400, "{}")] {
        project.server.configure(|options| options.faults = vec![fault]);
        let output = project.try_run(&project.hubspot(&DEAL_STREAMS, ""), &[]);
        assert!(!output.status.success());
        assert_eq!(project.query(cursor), before, "{}", stderr(&output));
    }
    project.load(&DEAL_STREAMS, "");
    same(&project, &[ObjectType::Deal], &DEAL_LINKS);
}

#[test]
fn b09_deleted_and_merged_records_are_marked_and_restored_ones_are_unmarked() {
    let project = Project::with(80, still());
    project.load(&DEAL_STREAMS, "");
    let (deal, contact, now) =
        (first(&project, ObjectType::Deal), first(&project, ObjectType::Contact), project.server.now());
    project.server.with(|network| {
        assert!(network.archive(ObjectType::Deal, deal, now));
        assert!(network.purge(ObjectType::Deal, deal + 1));
        assert!(network.merge(ObjectType::Contact, contact, contact + 1, now));
    });
    project.server.advance(25 * HOUR);
    project.load(&DEAL_STREAMS, "");
    same(&project, &[ObjectType::Deal, ObjectType::Contact], &DEAL_LINKS);
    let gone = project.query(&format!(
        "SELECT id, archived, archived_at IS NOT NULL AS has_date FROM raw_hubspot.deals WHERE id IN ('{deal}', '{}') ORDER BY id",
        deal + 1
    ));
    assert_eq!(gone.iter().map(|row| row["archived"].clone()).collect::<Vec<_>>(), [true, true]);
    assert_eq!(gone[0]["has_date"], true);
    let merged =
        project.query(&format!("SELECT {MERGED_IDS_PROPERTY} AS ids FROM raw_hubspot.contacts WHERE id = '{contact}'"));
    assert_eq!(merged[0]["ids"], (contact + 1).to_string());
    project.server.with(|network| assert!(network.restore(ObjectType::Deal, deal)));
    project.server.advance(25 * HOUR);
    project.load(&DEAL_STREAMS, "");
    same(&project, &[ObjectType::Deal, ObjectType::Contact], &DEAL_LINKS);
}

#[test]
fn b09_an_archived_duplicate_leaves_the_patient() {
    let project = Project::with(200, still());
    project.run(&[]);
    let merged = "SELECT key, survivor_key FROM _host.merges WHERE stream = 'hubspot.contacts' ORDER BY key LIMIT 1";
    let merged = project.query(merged).remove(0);
    let (loser, survivor) = (merged["key"].as_str().expect("a key"), merged["survivor_key"].as_str().expect("a key"));
    let patients = || {
        let sql = format!("SELECT patient_id FROM core.dim_patient WHERE patient_id IN ('{loser}', '{survivor}')");
        project.query(&sql).iter().map(|row| row["patient_id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(patients(), [survivor]);
    let (id, now) = (survivor.parse().expect("a number"), project.server.now());
    project.server.with(|network| assert!(network.archive(ObjectType::Contact, id, now)));
    project.server.advance(25 * HOUR);
    project.run(&[]);
    assert_eq!(patients(), [loser]);
}

#[test]
fn b09_revenue_of_merged_records_counts_once() {
    let project = Project::with(200, still());
    project.run(&[]);
    let revenue =
        "SELECT sum(revenue)::VARCHAR AS revenue, sum(new_patients)::BIGINT AS patients FROM marts.mart_kpi_month";
    let before = project.query(revenue);
    project.server.advance(HOUR);
    let now = project.server.now();
    // Two duplicates of one patient, merged by hand in HubSpot: the rules had merged them before.
    project.server.with(|network| {
        let twice: Vec<_> = network.patients.iter().filter(|patient| patient.contacts.len() > 1).cloned().collect();
        assert!(!twice.is_empty());
        for patient in twice {
            assert!(network.merge(ObjectType::Contact, patient.contacts[0], patient.contacts[1], now));
        }
    });
    project.run(&[]);
    assert_eq!(project.query(revenue), before, "before the sweep");
    // Two that no rule takes for one: their consultations are now those of one patient.
    let won = "SELECT patient_id AS id FROM core.dim_patient WHERE first_won_at IS NOT NULL ORDER BY id LIMIT 2";
    let ids: Vec<u64> =
        project.query(won).iter().map(|row| row["id"].as_str().expect("an id").parse().expect("an id")).collect();
    project.server.with(|network| assert!(network.merge(ObjectType::Contact, ids[1], ids[0], now)));
    project.run(&[]);
    let after = project.query(revenue);
    assert_eq!(after[0]["revenue"], before[0]["revenue"]);
    assert_eq!(after[0]["patients"].as_i64(), before[0]["patients"].as_i64().map(|patients| patients - 1));
    let merged =
        project.query(&format!("SELECT count(*) AS rows FROM core.dim_patient WHERE patient_id = '{}'", ids[0]));
    assert_eq!(merged[0]["rows"], 0);
    let sql = format!(
        "SELECT survivor_id, how FROM core.crosswalk WHERE record_id = '{}' AND stream = 'hubspot.contacts'",
        ids[0]
    );
    let crosses = || {
        let rows = project.query(&sql);
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!(
            (&rows[0]["survivor_id"], &rows[0]["how"]),
            (&ids[1].to_string().into(), &"merged_in_hubspot".into())
        );
    };
    crosses();
    project.server.advance(25 * HOUR);
    project.run(&[]);
    assert_eq!(project.query(revenue), after, "after the sweep");
    crosses();
}
