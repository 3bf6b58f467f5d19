//! How the cost of extract grows: compared with the floor at about 10 thousand, 100 thousand and a million records. The
//! two run alternately and medians are shown, so that a single slow round does not matter.

use crate::measure::Cost;
use crate::{Bench, Result};

/// Number of patients (each has about three and a half records) and of rounds.
const SIZES: [(usize, usize); 3] = [(3_000, 7), (30_000, 5), (300_000, 3)];

pub(crate) fn run() -> Result<()> {
    let mut lines = Vec::new();
    for (patients, rounds) in SIZES {
        let bench = Bench::new(patients, sandbox::ServerOptions::default(), true)?;
        let file = bench.folder.join("floor.duckdb");
        let (mut floors, mut extracts) = (Vec::new(), Vec::new());
        let mut records = 0;
        for _ in 0..rounds {
            bench.clear(&["floor.duckdb", "extract.duckdb"])?;
            floors.push(bench.floor(&file)?);
            extracts.push(bench.host("run", "extract.toml", "extract.duckdb")?);
            records = bench.compare(&file, "extract.duckdb")?;
        }
        let median = |costs: &[Cost], figure: fn(&Cost) -> f64| median(costs.iter().map(figure).collect());
        let ratio = |figure: fn(&Cost) -> f64| {
            let pairs = extracts.iter().zip(&floors);
            self::median(pairs.map(|(extract, floor)| figure(extract) / figure(floor)).collect())
        };
        #[expect(clippy::cast_precision_loss, reason = "shown to a digit")]
        let thousands = records as f64 / 1000.0;
        let cpu = median(&extracts, |cost| cost.cpu);
        lines.push(format!(
            "{records:>10}{:>11.1}{cpu:>11.1}{:>16.1}{:>13.0}{:>13.2}{:>12.2}{:>15.0}",
            median(&extracts, |cost| cost.wall),
            cpu * 1000.0 / thousands,
            median(&extracts, |cost| cost.peak_mb),
            ratio(|cost| cost.wall),
            ratio(|cost| cost.cpu),
            median(&floors, |cost| cost.peak_mb),
        ));
    }
    println!("\nextract by number of records (target: 0.75 of the floor)");
    println!(
        "{:>10}{:>11}{:>11}{:>16}{:>13}{:>13}{:>12}{:>15}",
        "records", "wall s", "CPU s", "CPU ms / 1000", "peak MB", "wall/floor", "CPU/floor", "floor peak MB"
    );
    lines.iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// The median, the upper one of an even number.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
