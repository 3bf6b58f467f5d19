//! What models cost: ten trivial ones as a process; all models of 1,000,000 deals beside DuckDB running the same SELECTs
//! by hand; an incremental model after 1 % of its rows changed beside a full build.

use std::path::{Path, PathBuf};
use std::process::Command;

use host::warehouse::{Table, Warehouse};

use crate::Result;
use crate::measure::{Cost, measured};

/// Rounds of which the median counts.
const ROUNDS: usize = 3;

/// The models of the second bench, in their order: schema, name, query.
const MODELS: [(&str, &str, &str); 6] = [
    (
        "staging",
        "deals",
        "SELECT id AS deal_id, patient_id, doctor_id, CAST(amount AS DECIMAL(18, 2)) AS amount, stage, \
         CAST(closedate AS DATE) AS closed_on, _extracted_at AS loaded_at FROM clean_shop.deals WHERE NOT archived",
    ),
    (
        "core",
        "fct_consultation",
        "SELECT *, row_number() OVER (PARTITION BY patient_id ORDER BY closed_on, deal_id) AS visit_no, \
         amount * 0.4 AS margin, date_trunc('month', closed_on) AS closed_month FROM staging.deals WHERE stage = 'won'",
    ),
    (
        "core",
        "dim_patient",
        "SELECT patient_id, min(closed_on) AS first_won_on, date_trunc('month', min(closed_on)) AS cohort_month, \
         count(*) AS visits, arg_min(doctor_id, closed_on) AS first_doctor FROM core.fct_consultation GROUP BY ALL",
    ),
    (
        "marts",
        "cohorts",
        "SELECT cohort_month, datediff('month', cohort_month, closed_month) AS age, count(DISTINCT patient_id) AS active, \
         sum(margin) AS margin FROM core.fct_consultation JOIN core.dim_patient USING (patient_id) GROUP BY ALL",
    ),
    (
        "marts",
        "months",
        "SELECT closed_month, sum(amount) AS revenue, sum(margin) AS margin, count(DISTINCT patient_id) AS patients \
         FROM core.fct_consultation GROUP BY ALL",
    ),
    ("core", "grown", "SELECT deal_id, patient_id, amount, closed_on, loaded_at FROM staging.deals"),
];

/// Makes `core.grown` incremental.
const GROWN: &str = "materialized = \"incremental\"\nincremental = { strategy = \"merge\", key = [\"deal_id\"], cursor = \"loaded_at\" }\n";

pub(crate) fn run(deals: usize) -> Result<()> {
    let folder = std::env::current_exe()?.with_file_name("bench-models");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    trivial(&folder.join("trivial"))?;
    whole(&folder.join("whole"), deals)
}

/// Ten models that cost nothing: what is left is the program.
fn trivial(folder: &Path) -> Result<()> {
    write(folder, "pipeline.toml", &pipeline("1GB"))?;
    for n in 1..=10 {
        let from = if n == 1 { String::new() } else { format!(" FROM core.m{}", n - 1) };
        write(folder, &format!("sql/core/m{n}.sql"), &format!("SELECT {n} AS n{from}"))?;
    }
    let cost = median(|| build(folder, &["--full-refresh"]))?;
    println!("ten trivial models: {:.0} ms (at most 300)", cost.wall * 1e3);
    Ok(())
}

fn whole(folder: &Path, deals: usize) -> Result<()> {
    write(folder, "pipeline.toml", &pipeline("2GB"))?;
    for (schema, name, query) in MODELS {
        write(folder, &format!("sql/{schema}/{name}.sql"), query)?;
    }
    write(folder, "sql/core/grown.toml", GROWN)?;
    let warehouse = Warehouse::open(&folder.join("warehouse.duckdb"), "2GB")?;
    warehouse.execute(&format!(
        "CREATE SCHEMA clean_shop; CREATE TABLE clean_shop.deals AS SELECT range::VARCHAR AS id, \
         (hash(range) % ({deals} // 3))::VARCHAR AS patient_id, (hash(range + 1) % 500)::VARCHAR AS doctor_id, \
         ((hash(range + 2) % 90000) / 100)::DECIMAL(18, 2) AS amount, ['won', 'won', 'lost'][(hash(range + 3) % 3)::BIGINT + 1] AS stage, \
         TIMESTAMPTZ '2024-01-01' + to_minutes((hash(range + 4) % 1000000)::BIGINT) AS closedate, false AS archived, \
         TIMESTAMPTZ '2026-01-01' AS _extracted_at FROM range({deals})"
    ))?;
    let deals_table = Table::new("clean_shop", "deals");
    warehouse.touch(&deals_table, "1")?;
    drop(warehouse);
    let hand = median(|| measured(Command::new(std::env::current_exe()?).arg("--by-hand").arg(folder)))?;
    let full = median(|| build(folder, &["--full-refresh"]))?;
    compare(folder)?;
    let ratio = full.wall / hand.wall;
    println!(
        "{deals} deals: all models {:.2} s, the same SELECTs by hand {:.2} s: {ratio:.2} × (at most 1.3)",
        full.wall, hand.wall
    );
    println!("  CPU {:.2} s and {:.2} s, peak {:.0} MB and {:.0} MB", full.cpu, hand.cpu, full.peak_mb, hand.peak_mb);

    let alone = ["--select", "core.grown", "--full-refresh"];
    let full = median(|| build(folder, &alone))?;
    let mut round = 1;
    let grown = median(|| {
        round += 1;
        let warehouse = Warehouse::open(&folder.join("warehouse.duckdb"), "2GB")?;
        warehouse.execute(&format!(
            "UPDATE clean_shop.deals SET amount = amount + 1, _extracted_at = _extracted_at + to_days({round}) WHERE hash(id) % 100 = {round}"
        ))?;
        warehouse.touch(&deals_table, &round.to_string())?;
        warehouse.execute("CHECKPOINT")?;
        drop(warehouse);
        build(folder, &["--select", "core.grown"])
    })?;
    println!(
        "incremental after 1 %: {:.3} s, full {:.3} s: 1/{:.1} (at most 1/5)",
        grown.wall,
        full.wall,
        full.wall / grown.wall
    );
    Ok(())
}

/// The child that runs the models' queries with DuckDB alone.
pub(crate) fn by_hand(folder: &Path) -> Result<()> {
    let warehouse = Warehouse::open(&folder.join("warehouse.duckdb"), "2GB")?;
    let by_hand =
        |query: &str| ["staging.", "core."].iter().fold(query.to_owned(), |sql, schema| sql.replace(schema, "hand."));
    warehouse.execute("DROP SCHEMA IF EXISTS hand CASCADE; CREATE SCHEMA hand")?;
    for (schema, name, query) in MODELS {
        let kind = if schema == "staging" { "VIEW" } else { "TABLE" };
        warehouse.execute(&format!("CREATE {kind} hand.{name} AS {}", by_hand(query)))?;
    }
    Ok(())
}

/// Both made the same tables.
fn compare(folder: &Path) -> Result<()> {
    let warehouse = Warehouse::open(&folder.join("warehouse.duckdb"), "2GB")?;
    for (schema, name, _) in MODELS {
        let sum =
            |table: String| warehouse.value(&format!("SELECT count(*) || ' ' || sum(hash(t)) FROM {table} AS t"), &[]);
        if sum(format!("{schema}.{name}"))? != sum(format!("hand.{name}"))? {
            return Err(format!("{schema}.{name} is another table than the one by hand").into());
        }
    }
    Ok(warehouse.execute("DROP SCHEMA hand CASCADE; CHECKPOINT")?)
}

fn build(folder: &Path, words: &[&str]) -> Result<Cost> {
    let host: PathBuf = std::env::current_exe()?.with_file_name("host");
    measured(Command::new(host).args(["build", "pipeline.toml", "--quiet"]).args(words).current_dir(folder))
}

fn median(mut round: impl FnMut() -> Result<Cost>) -> Result<Cost> {
    let mut costs = (0..ROUNDS).map(|_| round()).collect::<Result<Vec<_>>>()?;
    costs.sort_by(|a, b| a.wall.total_cmp(&b.wall));
    Ok(costs.swap_remove(ROUNDS / 2))
}

fn pipeline(memory: &str) -> String {
    format!(
        "[pipeline]\nname = \"bench\"\nwarehouse = \"warehouse.duckdb\"\nmemory_limit = \"{memory}\"\n[marts]\npath = \"sql\"\n"
    )
}

fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
    Ok(std::fs::write(path, text)?)
}
