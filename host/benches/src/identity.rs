//! How well cleaning tells who is who and what is meant: merges and specialties against the sandbox's own truth, with
//! duplicates entered neatly and with slips of the pen; and how far that leaves LTV and CAC from the truth.

use std::collections::BTreeMap;

use host::warehouse::Warehouse;
use sandbox::clinic::SPECIALTIES;
use sandbox::identity::{Score, score};
use sandbox::kinds::Kind;
use sandbox::{Options, ServerOptions, spend, truth};

use crate::{Bench, Result};

const PATIENTS: usize = 20_000;
/// Chances of a slip in each field of a duplicate.
const TYPOS: [f64; 2] = [0.0, 0.03];
/// Months of the figures.
const HORIZON: i64 = 12;
/// Precision, recall, specialties that are right.
const AIMS: [f64; 3] = [0.99, 0.97, 0.99];

pub(crate) fn run() -> Result<()> {
    let mut lines = Vec::new();
    for typos in TYPOS {
        let options = Options { patients: PATIENTS, typos, ..Options::default() };
        let bench = Bench::of(options.clone(), ServerOptions::default(), true)?;
        let spend = spend::generate(&options);
        bench.host("run", "whole.toml", "identity.duckdb")?;
        let warehouse = Warehouse::open(&bench.folder.join("identity.duckdb"), "1GB")?;
        for (what, kind) in [("patients", Kind::Contact), ("doctors", Kind::Company)] {
            let merges = merges(&warehouse, kind)?;
            let score = bench.server.with(|network| score(network, kind, merges));
            let Score { truth, found, right } = score;
            let (precision, recall) = (score.precision(), score.recall());
            lines.push(format!("{typos:>6.2}  {what:<12}{truth:>8}{found:>8}{right:>8}{precision:>11.4}{recall:>9.4}"));
        }
        let [right, wrong, left] = specialties(&bench, &warehouse)?;
        let all = right + wrong + left;
        #[expect(clippy::cast_precision_loss, reason = "shown to four digits")]
        let share = |part: usize| part as f64 / all.max(1) as f64;
        lines.push(format!(
            "{typos:>6.2}  specialties {all:>8} records: {:.4} right, {:.4} wrong, {:.4} left as they were",
            share(right),
            share(wrong),
            share(left)
        ));
        let truth = bench.server.with(|network| truth::compute(network, &spend));
        let truth = &truth[&("overall", "all".to_owned(), HORIZON)];
        let figure = |column: &str| -> Result<f64> {
            let sql =
                format!("SELECT {column} FROM marts.mart_ltv_cac WHERE slice_type = 'overall' AND horizon = {HORIZON}");
            Ok(warehouse.value(&sql, &[])?.ok_or("no figure")?.parse()?)
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
    let [precision, recall, meant] = AIMS;
    println!("\nidentity at {PATIENTS} patients: pairs of records that are one person's");
    println!("{:>6}  {:<12}{:>8}{:>8}{:>8}{:>11}{:>9}", "typos", "", "truth", "found", "right", "precision", "recall");
    lines.iter().for_each(|line| println!("{line}"));
    println!("aims: precision {precision}, recall {recall}, specialties {meant} right");
    Ok(())
}

/// Which record of a type merged into which.
fn merges(warehouse: &Warehouse, kind: Kind) -> Result<Vec<(u64, u64)>> {
    let sql = format!("SELECT key, survivor_key FROM _host.merges WHERE stream = 'hubspot.{}'", kind.plural());
    let id = |row: &host::warehouse::Row, name: &str| -> Result<u64> {
        Ok(row[name].as_str().ok_or("an id that is no text")?.parse()?)
    };
    warehouse.query(&sql, &[])?.iter().map(|row| Ok((id(row, "key")?, id(row, "survivor_key")?))).collect()
}

/// Specialties that are right, wrong, and as they came, of the companies that stay.
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
         coalesce(clean.especialidade_medica = trim(raw.especialidade_medica), false) AS is_left \
         FROM clean_hubspot.companies AS clean JOIN raw_hubspot.companies AS raw USING (id)",
        &[],
    )?;
    let mut counts = [0; 3];
    for row in rows {
        let is_right = row["id"].as_str().and_then(|id| truth.get(id)).copied() == row["specialty"].as_str();
        let at = match (is_right, row["is_left"] == true) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        };
        counts[at] += 1;
    }
    Ok(counts)
}
