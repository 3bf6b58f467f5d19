//! The quality of cleaning: merges, specialties, LTV and CAC compared with the sandbox's ground truth, for duplicates
//! without and with typos.

use std::collections::BTreeMap;

use host::warehouse::Warehouse;
use sandbox::clinic::SPECIALTIES;
use sandbox::identity::{Score, score};
use sandbox::object_types::ObjectType;
use sandbox::{GeneratorOptions, ServerOptions, spend, truth};

use crate::{Bench, Result};

const PATIENTS: usize = 20_000;
/// Probabilities of a typo in each field of a duplicate.
const TYPOS: [f64; 2] = [0.0, 0.03];
/// The horizon of LTV and CAC, in months.
const HORIZON: i64 = 12;
/// Targets: precision, recall, share of correct specialties.
const TARGETS: [f64; 3] = [0.99, 0.97, 0.99];

pub(crate) fn run() -> Result<()> {
    let mut lines = Vec::new();
    for typos in TYPOS {
        let options = GeneratorOptions { patients: PATIENTS, typos, ..GeneratorOptions::default() };
        let bench = Bench::with_options(options.clone(), ServerOptions::default(), true)?;
        let spend = spend::generate(&options);
        bench.host("run", "whole.toml", "identity.duckdb")?;
        let warehouse = Warehouse::open(&bench.folder.join("identity.duckdb"), "1GB")?;
        for (what, object_type) in [("patients", ObjectType::Contact), ("doctors", ObjectType::Company)] {
            let merges = merges(&warehouse, object_type)?;
            let score = bench.server.with(|network| score(network, object_type, merges));
            let Score { true_pairs, found_pairs, correct_pairs } = score;
            let (precision, recall) = (score.precision(), score.recall());
            lines.push(format!(
                "{typos:>6.2}  {what:<12}{true_pairs:>8}{found_pairs:>8}{correct_pairs:>8}{precision:>11.4}{recall:>9.4}"
            ));
        }
        let [correct, wrong, unchanged] = specialties(&bench, &warehouse)?;
        let all = correct + wrong + unchanged;
        #[expect(clippy::cast_precision_loss, reason = "shown to four digits")]
        let share = |part: usize| part as f64 / all.max(1) as f64;
        lines.push(format!(
            "{typos:>6.2}  specialties {all:>8} records: {:.4} correct, {:.4} wrong, {:.4} not changed",
            share(correct),
            share(wrong),
            share(unchanged)
        ));
        let truth = bench.server.with(|network| truth::compute(network, &spend));
        let truth = &truth[&("overall", "all".to_owned(), HORIZON)];
        let figure = |column: &str| -> Result<f64> {
            let sql =
                format!("SELECT {column} FROM marts.mart_ltv_cac WHERE slice_type = 'overall' AND horizon = {HORIZON}");
            Ok(warehouse.value_text(&sql, ())?.ok_or_else(|| format!("no {column} in marts.mart_ltv_cac"))?.parse()?)
        };
        let (ltv, cac) = (truth.ltv(), truth.cac_blended());
        for (name, truth, found) in [
            ("LTV", ltv, figure("ltv")?),
            ("CAC", cac, figure("cac_blended")?),
            ("LTV:CAC", ltv / cac, figure("ratio")?),
        ] {
            let off = (found / truth - 1.0) * 100.0;
            lines.push(format!("{typos:>6.2}  {name:<12}{truth:>8.2}{found:>8.2}  off by {off:+.3} %"));
        }
    }
    let [precision, recall, specialties] = TARGETS;
    println!("\ncleaning quality at {PATIENTS} patients: pairs of records of the same person, specialties, figures");
    println!("{:>6}  {:<12}{:>8}{:>8}{:>8}{:>11}{:>9}", "typos", "", "true", "found", "correct", "precision", "recall");
    lines.iter().for_each(|line| println!("{line}"));
    println!("targets: precision {precision}, recall {recall}, specialties {specialties} correct");
    Ok(())
}

/// The merges of a type's records: record id and survivor id.
fn merges(warehouse: &Warehouse, object_type: ObjectType) -> Result<Vec<(u64, u64)>> {
    let sql = format!("SELECT key, survivor_key FROM _host.merges WHERE stream = 'hubspot.{}'", object_type.plural());
    let id = |row: &host::warehouse::Row, name: &str| -> Result<u64> {
        Ok(row[name].as_str().ok_or_else(|| format!("{name} is not text"))?.parse()?)
    };
    warehouse.query(&sql, ())?.iter().map(|row| Ok((id(row, "key")?, id(row, "survivor_key")?))).collect()
}

/// Counts companies after cleaning whose specialty is correct, wrong, and wrong but not changed.
fn specialties(bench: &Bench, warehouse: &Warehouse) -> Result<[usize; 3]> {
    let truth: BTreeMap<String, &str> = bench.server.with(|network| {
        let of_doctor = |doctor: &sandbox::Doctor| {
            let (canonical, ..) = SPECIALTIES[doctor.specialty];
            doctor.companies.iter().map(move |id| (id.to_string(), canonical)).collect::<Vec<_>>()
        };
        network.doctors.iter().flat_map(of_doctor).collect()
    });
    let rows = warehouse.query(
        "SELECT clean.id, coalesce(clean.especialidade_medica, '') AS specialty, \
         coalesce(clean.especialidade_medica = trim(raw.especialidade_medica), false) AS is_unchanged \
         FROM clean_hubspot.companies AS clean JOIN raw_hubspot.companies AS raw USING (id)",
        (),
    )?;
    let mut counts = [0; 3];
    for row in rows {
        let is_correct = row["id"].as_str().and_then(|id| truth.get(id)).copied() == row["specialty"].as_str();
        let at = match (is_correct, row["is_unchanged"] == true) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        };
        counts[at] += 1;
    }
    Ok(counts)
}
