//! Merges and specialties by the shipped rules, compared with the sandbox's ground truth: with typos, families that share a
//! phone or an e-mail, and namesakes.

use std::collections::{BTreeMap, BTreeSet};

use sandbox::clinic::SPECIALTIES;
use sandbox::identity::{Score, score};
use sandbox::object_types::ObjectType;
use sandbox::{GeneratorOptions, ServerOptions};

use crate::support::{Project, root, stderr};

/// Extracts and cleans the streams, without models.
fn cleaned(options: GeneratorOptions) -> Project {
    let project = Project::of(options, ServerOptions::default());
    let shipped = std::fs::read_to_string(root().join("pipelines/hubspot.toml")).expect("the shipped pipeline");
    let shipped = shipped.replace("\"../sql", &format!("\"{}/sql", root().display()));
    let rules = shipped.find("[marts]").map_or(shipped.as_str(), |at| &shipped[..at]);
    let output = project.run_text(rules);
    assert!(output.status.success(), "{}", stderr(&output));
    project
}

fn scored(project: &Project, kind: ObjectType) -> Score {
    let stream = kind.plural();
    let rows = project.query(&format!("SELECT key, survivor_key FROM _host.merges WHERE stream = 'hubspot.{stream}'"));
    let ids = rows.iter().map(|row| {
        ["key", "survivor_key"].map(|name| row[name].as_str().expect("an id").parse::<u64>().expect("a number"))
    });
    let merges: Vec<_> = ids.map(|[key, survivor]| (key, survivor)).collect();
    project.server.with(|network| score(network, kind, merges))
}

/// Checks the targets: a precision of at least 0.99 and a recall of at least 0.97, on at least this number of true pairs.
fn check_targets(project: &Project, kind: ObjectType, pairs: u64) {
    let score = scored(project, kind);
    assert!(score.true_pairs >= pairs, "{score:?}");
    assert!(score.precision() >= 0.99, "{kind:?}: {score:?}, precision {}", score.precision());
    assert!(score.recall() >= 0.97, "{kind:?}: {score:?}, recall {}", score.recall());
}

#[test]
fn patients_and_doctors_are_merged_correctly_despite_typos() {
    let options = GeneratorOptions { patients: 1500, typos: 0.03, ..GeneratorOptions::default() };
    let default_dirt = cleaned(options.clone());
    check_targets(&default_dirt, ObjectType::Contact, 30);
    // At 3 % of duplicates there may be no duplicate among so few doctors.
    check_targets(&default_dirt, ObjectType::Company, 0);
    let entered_twice = cleaned(GeneratorOptions { duplicates: 0.3, ..options });
    check_targets(&entered_twice, ObjectType::Contact, 400);
    check_targets(&entered_twice, ObjectType::Company, 5);
}

#[test]
fn without_typos_every_duplicate_is_found_and_relatives_are_not_merged() {
    let project =
        cleaned(GeneratorOptions { patients: 1500, families: 0.3, namesakes: 0.1, ..GeneratorOptions::default() });
    for kind in [ObjectType::Contact, ObjectType::Company] {
        let score = scored(&project, kind);
        assert_eq!(score.correct_pairs, score.true_pairs, "{kind:?}: {score:?}");
        assert!(score.precision() >= 0.99, "{kind:?}: {score:?}");
    }
}

#[test]
fn specialties_are_correct_or_have_a_note() {
    let project =
        cleaned(GeneratorOptions { patients: 6000, duplicates: 0.1, typos: 0.03, ..GeneratorOptions::default() });
    let truth: BTreeMap<String, &str> = project.server.with(|network| {
        let of_doctor = |doctor: &sandbox::Doctor| {
            let (canonical, ..) = SPECIALTIES[doctor.specialty];
            doctor.companies.iter().map(move |id| (id.to_string(), canonical)).collect::<Vec<_>>()
        };
        network.doctors.iter().flat_map(of_doctor).collect()
    });
    let text = |row: &host::warehouse::Row, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let noted = |codes: &str| -> BTreeSet<String> {
        let sql = format!("SELECT key FROM _host.notes WHERE stream = 'hubspot.companies' AND code IN ({codes})");
        project.query(&sql).iter().map(|row| text(row, "key")).collect()
    };
    let raw = project.query("SELECT id FROM raw_hubspot.companies");
    let absent = noted("'alike', 'ambiguous', 'unknown_value'");
    assert!(absent.len() * 4 > raw.len(), "the map lacks {} of {} spellings", absent.len(), raw.len());

    let clean = project.query("SELECT id, especialidade_medica AS specialty FROM clean_hubspot.companies");
    let wrong: Vec<String> = clean
        .iter()
        .filter(|row| truth[&text(row, "id")] != text(row, "specialty"))
        .map(|row| text(row, "id"))
        .collect();
    assert!(wrong.len() * 100 <= clean.len(), "{} of {} specialties are wrong: {wrong:?}", wrong.len(), clean.len());
    let alike = noted("'alike'");
    let without_note: Vec<_> = wrong.iter().filter(|id| !alike.contains(*id)).collect();
    assert!(without_note.is_empty(), "{without_note:?}");
}
