//! The shipped pipeline compared with the sandbox's ground truth: first runs, second runs, edits, kills.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use host::warehouse::Row;
use sandbox::clinic::SPECIALTIES;
use sandbox::object_types::ObjectType;
use sandbox::{Fault, GeneratorOptions, Network, SandboxServer, ServerOptions, spend, truth};

use crate::support::{Project, root, stderr};

#[test]
fn with_typos_the_figures_are_close_to_the_ground_truth() {
    let project = Project::of(
        GeneratorOptions { patients: 1500, typos: 0.03, ..GeneratorOptions::default() },
        ServerOptions::default(),
    );
    project.run(&[]);
    let spend = spend::generate(&project.options);
    let truth = project.server.with(|network| truth::compute(network, &spend));
    let truth = &truth[&("overall", "all".to_owned(), 12)];
    let rows = project.query(
        "SELECT ltv::DOUBLE AS ltv, cac_blended::DOUBLE AS cac FROM marts.mart_ltv_cac WHERE slice = 'all' AND horizon = 12",
    );
    for (name, truth) in [("ltv", truth.ltv()), ("cac", truth.cac_blended())] {
        let found = rows[0][name].as_f64().expect("a figure");
        let off = (found / truth - 1.0).abs();
        assert!(off < 0.005, "{name} is {found}, {off:.4} off {truth}");
    }
}

#[test]
fn ltv_and_cac_equal_the_ground_truth_to_the_cent() {
    let project = Project::new(600);
    project.run(&[]);
    let spend = spend::generate(&project.options);
    let expected = project.server.with(|network| truth::compute(network, &spend));
    let rows = project.query(
        "SELECT slice_type, slice, horizon, new_patients, new_patients_paid, ltv::DOUBLE AS ltv, \
         cac_blended::DOUBLE AS cac, cac_paid::DOUBLE AS cac_paid, ratio_status FROM marts.mart_ltv_cac",
    );
    for row in &rows {
        let text = |name: &str| row[name].as_str().expect("text").to_owned();
        let horizon = row["horizon"].as_i64().expect("a horizon");
        let (_, truth) = expected
            .iter()
            .find(|((slice_type, slice, at), _)| {
                (*slice_type, slice, *at) == (&text("slice_type"), &text("slice"), horizon)
            })
            .unwrap_or_else(|| unreachable!("unknown slice: {row:?}"));
        assert_eq!(i128::from(row["new_patients"].as_i64().expect("a count")), truth.new_patients, "{row:?}");
        assert_eq!(i128::from(row["new_patients_paid"].as_i64().expect("a count")), truth.paid_patients, "{row:?}");
        // Spend has no specialty: every patient bears the same share of it.
        let overall = &expected[&("overall", "all".to_owned(), horizon)];
        let cost = if text("slice_type") == "specialty" { overall } else { truth };
        let near = |name: &str, expected: f64| {
            let figure = row[name].as_f64().expect("a figure");
            assert!((figure - expected).abs() < 0.005, "{row:?} but {name} is {expected}");
        };
        if truth.new_patients > 0 {
            near("ltv", truth.ltv());
            near("cac", cost.cac_blended());
        }
        if truth.paid_patients > 0 {
            near("cac_paid", cost.cac_paid());
        }
        let status = match truth.new_patients {
            0 => "no_customers",
            _ if cost.spend_loaded == 0 => "organic",
            1..5 => "low_n",
            _ => "ok",
        };
        assert_eq!(row["ratio_status"], status, "{row:?}");
    }
    assert_eq!(rows.len(), expected.len());

    let expected = project.server.with(|network| truth::months(network, &spend));
    let rows = project.query(
        "SELECT strftime(month, '%Y-%m') AS month, (revenue * 1000000)::BIGINT AS revenue, \
         (margin * 1000000)::BIGINT AS margin, (spend * 1000000)::BIGINT AS spend, new_patients FROM marts.mart_kpi_month",
    );
    for row in &rows {
        let truth = &expected[row["month"].as_str().expect("a month")];
        let figures = ["revenue", "margin", "spend", "new_patients"]
            .map(|name| i128::from(row[name].as_i64().unwrap_or_default()));
        assert_eq!(figures, [truth.revenue, truth.margin, truth.spend, truth.new_patients], "{row:?}");
    }
    assert_eq!(rows.len(), expected.len());

    // The last points of the curves equal the slices: the same margin of the same cohorts at the same age.
    let rows = project.query(
        "SELECT horizon, margin, curve FROM ( \
           SELECT horizon, (ltv * new_patients)::DOUBLE AS margin FROM marts.mart_ltv_cac WHERE slice_type = 'overall') \
         JOIN (SELECT age + 1 AS horizon, sum(cum_margin)::DOUBLE AS curve FROM marts.mart_cohort_curve WHERE is_complete GROUP BY age) \
         USING (horizon)",
    );
    assert_eq!(rows.len(), 4, "{rows:?}");
    for row in rows {
        let [margin, curve] = ["margin", "curve"].map(|name| row[name].as_f64().expect("a figure"));
        assert!((margin - curve).abs() < 1.0, "{row:?}");
    }
}

#[test]
fn duplicates_and_specialties_equal_the_ground_truth() {
    let project = Project::new(400);
    project.run(&[]);
    let merges = project.query("SELECT stream, key, survivor_key FROM _host.merges");
    let found: BTreeSet<(String, String, String)> = merges
        .iter()
        .map(|row| ["stream", "key", "survivor_key"].map(|name| row[name].as_str().expect("text").to_owned()))
        .map(|[stream, key, survivor]| (stream, key, survivor))
        .collect();
    let expected: BTreeSet<(String, String, String)> = project.server.with(|network| {
        let pairs = |stream: &str, ids: &[u64]| {
            let first = ids[0].to_string();
            let stream = stream.to_owned();
            ids[1..].iter().map(move |id| (stream.clone(), id.to_string(), first.clone())).collect::<Vec<_>>()
        };
        let patients = network.patients.iter().flat_map(|patient| pairs("hubspot.contacts", &patient.contacts));
        let doctors = network.doctors.iter().flat_map(|doctor| pairs("hubspot.companies", &doctor.companies));
        patients.chain(doctors).collect()
    });
    assert!(!expected.is_empty());
    assert_eq!(found, expected);
    let rows = project.query(
        "SELECT stream, record_id, survivor_id FROM core.crosswalk WHERE how = 'merged' AND rule IS NOT NULL \
         AND evidence <> '' AND confidence > 0.5",
    );
    let texts =
        |row: &Row| ["stream", "record_id", "survivor_id"].map(|name| row[name].as_str().expect("text").to_owned());
    let crossed: BTreeSet<_> = rows.iter().map(texts).map(|[stream, id, survivor]| (stream, id, survivor)).collect();
    assert_eq!(crossed, expected);
    let linked = project.query(
        "SELECT count(*) AS rows, count(DISTINCT record_id) AS deals, count(linked_id) AS doctors, \
         min(confidence) AS least, avg(confidence) AS mean FROM core.crosswalk WHERE how = 'linked'",
    );
    let count = |name: &str| linked[0][name].as_u64().expect("a count");
    assert!(count("rows") > 0 && count("deals") == count("rows") && count("doctors") == count("rows"), "{linked:?}");
    let quality = project.query(
        "SELECT confidence_least AS least, confidence_mean AS mean FROM marts.mart_data_quality WHERE rule = 'missing_doctor'",
    );
    for figure in ["least", "mean"] {
        let [found, shown] = [&linked[0][figure], &quality[0][figure]].map(|value| value.as_f64().expect("a figure"));
        assert!((0.9..=0.98).contains(&shown) && (found - shown).abs() < 1e-9, "{figure}: {found} and {shown}");
    }

    let specialties = project.query("SELECT id, especialidade_medica FROM clean_hubspot.companies");
    let found: BTreeMap<String, String> = specialties
        .iter()
        .map(|row| ["id", "especialidade_medica"].map(|name| row[name].as_str().expect("text").to_owned()))
        .map(|[id, specialty]| (id, specialty))
        .collect();
    let expected: BTreeMap<String, String> = project.server.with(|network| {
        let doctors = network.doctors.iter();
        doctors.map(|doctor| (doctor.companies[0].to_string(), SPECIALTIES[doctor.specialty].0.to_owned())).collect()
    });
    assert_eq!(found, expected);

    let nameless = project.query(
        "SELECT count(*) AS raw, (SELECT count(*) FROM _host.notes WHERE code = 'missing' AND column_name = 'lastname') AS noted \
         FROM raw_hubspot.contacts WHERE lastname IS NULL",
    );
    assert_eq!(nameless[0]["raw"], nameless[0]["noted"]);
}

#[test]
fn raw_tables_hold_every_record_and_link() {
    let project = Project::new(300);
    project.run(&[]);
    for kind in ObjectType::CLINIC {
        let stream = kind.plural();
        let count = project.server.with(|network| network.records[&kind].len());
        let rows = project.query(&format!(
            "SELECT count(*) AS rows, count(DISTINCT id) AS ids, count(_unfit) AS unfit FROM raw_hubspot.{stream}"
        ));
        assert_eq!(rows[0]["rows"], count, "{stream}");
        assert_eq!(rows[0]["ids"], count, "{stream}");
        assert_eq!(rows[0]["unfit"], 0, "{stream}");
    }
    for (stream, from, to) in [
        ("deals_companies", ObjectType::Deal, ObjectType::Company),
        ("deals_contacts", ObjectType::Deal, ObjectType::Contact),
        ("contacts_companies", ObjectType::Contact, ObjectType::Company),
    ] {
        let types: usize = project.server.with(|network| {
            let links = network.associations[&(from, to)].values().flatten();
            links.map(|link| Network::association_types(from, to, link).len()).sum()
        });
        let rows = project.query(&format!("SELECT count(*) AS rows FROM raw_hubspot.{stream}"));
        assert_eq!(rows[0]["rows"], types, "{stream}");
    }
}

#[test]
fn a_second_run_requests_only_changes_and_writes_no_row() {
    let project = Project::new(200);
    project.run(&[]);
    let before = project.fingerprint();
    let _ = project.server.take_log();
    let report = project.run(&[]);
    let log = project.server.take_log();
    let pages = log.iter().filter(|line| line.contains("after=") || line.contains("associations"));
    assert_eq!(pages.count(), 0, "{log:#?}");
    assert_eq!(log.iter().filter(|line| line.contains("/search")).count(), 3, "{log:#?}");
    let changed = report["extracted"].as_array().expect("streams").iter().map(|stream| stream["changed"].as_u64());
    assert_eq!(changed.flatten().sum::<u64>(), 0, "{report:#}");
    assert!(
        report["cleaned"].as_array().expect("streams").iter().all(|stream| stream["unchanged"] == true),
        "{report:#}"
    );
    assert_eq!(report["built"]["unchanged"], true);
    assert_eq!(project.fingerprint(), before);
}

#[test]
fn an_edit_changes_only_its_own_row() {
    let project = Project::new(200);
    project.run(&[]);
    let now = project.server.now();
    let (id, edited) = project.server.with(|network| {
        let id = *network.records[&ObjectType::Contact].keys().next().expect("a contact");
        (id, network.edit(ObjectType::Contact, id, "firstname", Some("  ZÉLIA  "), now))
    });
    assert!(edited);
    let report = project.run(&[]);
    let changed: BTreeMap<&str, u64> = report["extracted"]
        .as_array()
        .expect("streams")
        .iter()
        .map(|stream| (stream["stream"].as_str().expect("a name"), stream["changed"].as_u64().expect("a count")))
        .filter(|(_, changed)| *changed > 0)
        .collect();
    assert_eq!(changed, BTreeMap::from([("hubspot.contacts", 1)]));
    let rows = project.query(&format!("SELECT firstname FROM clean_hubspot.contacts WHERE id = '{id}'"));
    assert_eq!(rows[0]["firstname"], "Zélia");
    let again = project.run(&[]);
    let contacts =
        again["extracted"].as_array().expect("streams").iter().find(|stream| stream["stream"] == "hubspot.contacts");
    assert_eq!(
        contacts.expect("contacts")["changed"],
        0,
        "the overlap reads the record again, and the merge writes nothing"
    );
}

#[test]
fn a_change_of_specialty_adds_a_version() {
    let project = Project::with(60, ServerOptions { clock: Some(1_800_000_000_000), ..ServerOptions::default() });
    project.run(&[]);
    let doctor = project.query(
        "SELECT doctor_id, specialty, valid_from::VARCHAR AS began FROM core.doctor_specialty_history \
         WHERE valid_to IS NULL ORDER BY doctor_id LIMIT 1",
    );
    let (id, was) = (doctor[0]["doctor_id"].as_str().expect("an id"), doctor[0]["specialty"].as_str().expect("a name"));
    let (other, _, _) = SPECIALTIES.iter().find(|(name, _, _)| *name != was).expect("another specialty");
    project.server.advance(Duration::from_secs(3600));
    let now = project.server.now();
    let number = id.parse().expect("a number");
    let edit = |value: &str| {
        project
            .server
            .with(|network| network.edit(ObjectType::Company, number, "especialidade_medica", Some(value), now))
    };
    assert!(edit(other));
    let versions = || {
        project.query(&format!(
            "SELECT specialty, valid_from::VARCHAR AS began, epoch_ms(valid_from) AS began_ms, epoch_ms(valid_to) AS ended_ms \
             FROM core.doctor_specialty_history WHERE doctor_id = '{id}' ORDER BY valid_from"
        ))
    };
    project.run(&[]);
    let found = versions();
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!((&found[0]["specialty"], &found[0]["began"]), (&was.into(), &doctor[0]["began"]));
    assert_eq!(found[0]["ended_ms"], now, "the version ends when HubSpot changed the company");
    assert_eq!((&found[1]["specialty"], &found[1]["began_ms"]), (&(*other).into(), &now.into()));
    assert!(found[1]["ended_ms"].is_null());
    let others = "SELECT count(*) AS rows FROM core.doctor_specialty_history WHERE valid_to IS NOT NULL";
    assert_eq!(project.query(others)[0]["rows"], 1);
    project.run(&[]);
    assert_eq!(versions(), found);
}

#[test]
fn since_a_day_after_the_cursor_skips_nothing() {
    let project = Project::new(60);
    project.run(&[]);
    let now = project.server.now();
    let edited = project.server.with(|network| {
        let id = *network.records[&ObjectType::Deal].keys().next().expect("a deal");
        network.edit(ObjectType::Deal, id, "dealname", Some("Consulta remarcada"), now)
    });
    assert!(edited);
    project.run(&["--since", "2099-01-01"]);
    let rows = project.query("SELECT count(*) AS rows FROM raw_hubspot.deals WHERE dealname = 'Consulta remarcada'");
    assert_eq!(rows[0]["rows"], 1);
}

#[test]
fn a_new_property_becomes_a_column_of_raw_and_clean() {
    let missing_properties = vec!["city".to_owned(), "valor_reembolsado".to_owned(), "deal_currency_code".to_owned()];
    let project = Project::with(60, ServerOptions { missing_properties, ..ServerOptions::default() });
    let pipeline = root().join("pipelines/hubspot.toml");
    let output = project.command(&["run", pipeline.to_str().expect("a path")]).output().expect("the binary runs");
    // Optional properties are empty columns; `city` is not optional, and a model names it.
    assert!(stderr(&output).contains("sql/staging/companies.sql:6: model `staging.companies`: Referenced column"));
    project.server.configure(|options| options.missing_properties.retain(|name| name != "city"));
    let now = project.server.now();
    let edited = project.server.with(|network| {
        let id = *network.records[&ObjectType::Contact].keys().next().expect("a contact");
        network.edit(ObjectType::Contact, id, "city", Some("Recife"), now)
    });
    assert!(edited);
    project.run(&[]);
    // The new column is filled for all contacts, also for those without an edit.
    let expected = project.server.with(|network| {
        let contacts = network.records[&ObjectType::Contact].keys();
        contacts.filter(|id| network.value(ObjectType::Contact, **id, "city") == Some("Recife")).count()
    });
    assert!(expected > 1);
    let rows = project.query(
        "SELECT count(*) AS raw, (SELECT count(*) FROM clean_hubspot.contacts WHERE city = 'Recife') AS clean, \
         count(merges.key) AS merged FROM raw_hubspot.contacts AS contacts \
         LEFT JOIN _host.merges AS merges ON merges.stream = 'hubspot.contacts' AND merges.key = contacts.id \
         WHERE city = 'Recife'",
    );
    let count = |name: &str| rows[0][name].as_u64().expect("a count");
    assert_eq!(count("raw"), expected as u64);
    assert_eq!(count("clean"), count("raw") - count("merged"));
    let changes = project.query("SELECT table_name, change FROM _host.schema_changes ORDER BY table_name");
    assert_eq!(changes.len(), 2, "{changes:?}");
    let amounts = project.query("SELECT count(*) AS rows FROM raw_hubspot.deals WHERE valor_reembolsado IS NOT NULL");
    assert_eq!(amounts[0]["rows"], 0);
}

#[test]
fn a_killed_run_ends_in_the_same_tables() {
    let undisturbed = Project::new(1500);
    undisturbed.run(&[]);
    let expected = undisturbed.fingerprint();
    for requests in [5, 25, 40] {
        let project = Project::new(1500);
        let pipeline = root().join("pipelines/hubspot.toml");
        let mut command = project.command(&["run", pipeline.to_str().expect("a path"), "--quiet"]);
        let mut child = command.stderr(std::process::Stdio::null()).spawn().expect("the binary runs");
        assert!(project.server.wait_for_requests(requests), "the run sends {requests} requests");
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        project.run(&[]);
        assert_eq!(project.fingerprint(), expected, "killed at request {requests}");
        let runs = project.query("SELECT status FROM _host.runs ORDER BY started_at");
        assert_eq!(runs.last().expect("a run")["status"], "ok");
    }
}

#[test]
fn temporary_errors_are_retried() {
    let faults = vec![
        Fault::response("/objects/2026-03/contacts", 429, "{}").retry_after(1),
        Fault::response("/objects/2026-03/deals", 503, "<html>"),
        Fault::response("/associations/", 502, ""),
        Fault::response("/owners", 423, "{}"),
    ];
    let project = Project::with(60, ServerOptions { faults, ..ServerOptions::default() });
    project.run(&[]);
    let rows = project.query("SELECT count(*) AS rows FROM raw_hubspot.contacts");
    assert_eq!(rows[0]["rows"], project.server.with(|network| network.records[&ObjectType::Contact].len()));
}

#[test]
fn without_a_spend_file_cac_is_null() {
    let mut project = Project::new(100);
    project.spend = None;
    project.run(&[]);
    let rows = project.query("SELECT DISTINCT ratio_status, cac_blended IS NULL AS no_cac, ratio IS NULL AS no_ratio FROM marts.mart_ltv_cac");
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["ratio_status"], "no_spend");
    assert_eq!(rows[0]["no_cac"], true);
    assert_eq!(rows[0]["no_ratio"], true);
}

#[test]
fn a_warehouse_refuses_another_portal() {
    let mut project = Project::new(60);
    project.run(&[]);
    let before = project.fingerprint();
    let options = GeneratorOptions { patients: 60, ..GeneratorOptions::default() };
    let other = ServerOptions { portal_id: Some(777), ..ServerOptions::default() };
    project.server = SandboxServer::start(Network::generate(&options), other, 0).expect("a loopback port");
    let pipeline = root().join("pipelines/hubspot.toml");
    let output = project.command(&["run", pipeline.to_str().expect("a path")]).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains("was loaded from HubSpot portal 50000001") && text.contains("HubSpot portal 777"), "{text}");
    assert_eq!(project.fingerprint(), before);
}

#[test]
fn the_seed_has_the_margins_of_the_ground_truth() {
    let text = std::fs::read_to_string(root().join("sql/seeds/margin.csv")).expect("the seed");
    for (specialty, basis_points, _) in SPECIALTIES {
        let line = format!("{specialty},2000-01-01,0.{basis_points}");
        assert!(text.lines().any(|known| known == line), "{line}");
    }
}

#[test]
fn cleaning_can_be_replayed_without_the_source() {
    let project = Project::new(100);
    project.run(&[]);
    let before = project.fingerprint();
    let _ = project.server.take_log();
    let pipeline = root().join("pipelines/hubspot.toml");
    let output = project.command(&["clean", pipeline.to_str().expect("a path")]).output().expect("the binary runs");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(project.server.take_log().len(), 0);
    assert_eq!(project.fingerprint(), before);
}

#[test]
fn compare_shows_figures_that_change_without_the_cleaning_rules() {
    let project = Project::new(300);
    project.run(&[]);
    let before = project.fingerprint();
    let pipeline = root().join("pipelines/hubspot.toml");
    let compare = || {
        let mut command = project.command(&["compare", pipeline.to_str().expect("a path"), "--format", "json"]);
        let output = command.output().expect("the binary runs");
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON")
    };
    let compared = compare();
    let differences = compared[0]["differences"].as_array().expect("differences");
    let ltv = differences.iter().find(|one| one["row"] == "all" && one["figure"] == "ltv").expect("LTV differs");
    let with = project.query(
        "SELECT ltv::DECIMAL(18, 2)::VARCHAR AS ltv FROM marts.mart_ltv_cac WHERE slice = 'all' AND horizon = 12",
    );
    assert_eq!(ltv["with"], with[0]["ltv"]);
    // Without the rules, deals without a company have an unknown specialty and margin: LTV is too low.
    assert!(ltv["off_by"].as_f64().is_some_and(|share| share < -0.01), "{ltv}");
    assert_eq!(project.fingerprint(), before);
    assert_eq!(compare(), compared, "a second comparison gives the same result");
}
