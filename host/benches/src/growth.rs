//! How extract grows: its cost beside the floor's at 10 thousand, 100 thousand and a million records.

use crate::{Bench, Result};

/// Patients; each brings about three and a half records.
const SIZES: [usize; 3] = [3_000, 30_000, 300_000];

pub(crate) fn run() -> Result<()> {
    let mut lines = Vec::new();
    for patients in SIZES {
        let bench = Bench::new(patients, sandbox::ServerOptions::default(), true)?;
        let file = bench.folder.join("floor.duckdb");
        let floor = bench.floor(&file)?;
        let extract = bench.host("run", "extract.toml", "extract.duckdb")?;
        let records = bench.compare(&file, "extract.duckdb")?;
        #[expect(clippy::cast_precision_loss, reason = "shown to a digit")]
        let thousands = records as f64 / 1000.0;
        lines.push(format!(
            "{records:>10}{:>11.1}{:>11.1}{:>16.1}{:>13.0}{:>13.2}{:>12.2}{:>15.0}",
            extract.wall,
            extract.cpu,
            extract.cpu * 1000.0 / thousands,
            extract.peak_mb,
            extract.wall / floor.wall,
            extract.cpu / floor.cpu,
            floor.peak_mb,
        ));
    }
    println!("\nextract by number of records");
    println!(
        "{:>10}{:>11}{:>11}{:>16}{:>13}{:>13}{:>12}{:>15}",
        "records", "wall s", "CPU s", "CPU ms / 1000", "peak MB", "wall/floor", "CPU/floor", "floor peak MB"
    );
    lines.iter().for_each(|line| println!("{line}"));
    Ok(())
}
