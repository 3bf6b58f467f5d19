//! The cost of models: ten trivial models; all models of 1,000,000 deals compared with the same SELECTs in DuckDB
//! alone; an incremental build after 1 % of the rows changed compared with a full build.

use std::path::{Path, PathBuf};
use std::process::Command;

use host::ledger;
use host::ledger::versions::record_change;
use host::warehouse::{Table, Warehouse};

use crate::Result;
use crate::measure::{Cost, measured};

/// The median of these rounds counts.
const ROUNDS: usize = 3;

/// The models of the second and third benchmark in build order: schema, name, query.
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

/// The TOML file of `core.grown`, which makes it incremental.
const GROWN_TOML: &str = "materialized = \"incremental\"\nincremental = { strategy = \"merge\", key = [\"deal_id\"], cursor = \"loaded_at\" }\n";

pub(crate) fn run(deals: usize) -> Result<()> {
    let folder = std::env::current_exe()?.with_file_name("bench-models");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    trivial(&folder.join("trivial"))?;
    all_models(&folder.join("whole"), deals)
}

/// Builds ten models of one row each: the fixed cost of `host build`.
fn trivial(folder: &Path) -> Result<()> {
    write(folder, "pipeline.toml", &pipeline("1GB"))?;
    for n in 1..=10 {
        let from = if n == 1 { String::new() } else { format!(" FROM core.m{}", n - 1) };
        write(folder, &format!("sql/core/m{n}.sql"), &format!("SELECT {n} AS n{from}"))?;
    }
    let cost = median(|| build(folder, &["--full-refresh"]))?;
    println!("ten trivial models: {:.0} ms (limit 300)", cost.wall * 1e3);
    Ok(())
}

/// Builds all models in full, then one incrementally.
fn all_models(folder: &Path, deals: usize) -> Result<()> {
    write(folder, "pipeline.toml", &pipeline("2GB"))?;
    for (schema, name, query) in MODELS {
        write(folder, &format!("sql/{schema}/{name}.sql"), query)?;
    }
    write(folder, "sql/core/grown.toml", GROWN_TOML)?;
    let warehouse = ledger::open(&folder.join("warehouse.duckdb"), "2GB")?;
    warehouse.execute(&format!(
        "CREATE SCHEMA clean_shop; CREATE TABLE clean_shop.deals AS SELECT range::VARCHAR AS id, \
         (hash(range) % ({deals} // 3))::VARCHAR AS patient_id, (hash(range + 1) % 500)::VARCHAR AS doctor_id, \
         ((hash(range + 2) % 90000) / 100)::DECIMAL(18, 2) AS amount, ['won', 'won', 'lost'][(hash(range + 3) % 3)::BIGINT + 1] AS stage, \
         TIMESTAMPTZ '2024-01-01' + to_minutes((hash(range + 4) % 1000000)::BIGINT) AS closedate, false AS archived, \
         TIMESTAMPTZ '2026-01-01' AS _extracted_at FROM range({deals})"
    ))?;
    let deals_table = Table::new("clean_shop", "deals");
    record_change(&warehouse, &deals_table, "1")?;
    drop(warehouse);
    let duckdb = median(|| measured(Command::new(std::env::current_exe()?).arg("--by-hand").arg(folder)))?;
    let full = median(|| build(folder, &["--full-refresh"]))?;
    compare(folder)?;
    let ratio = full.wall / duckdb.wall;
    println!(
        "{deals} deals: all models {:.2} s, the same SELECTs in DuckDB alone {:.2} s: {ratio:.2} × (limit 1.3)",
        full.wall, duckdb.wall
    );
    println!(
        "  CPU {:.2} s and {:.2} s, peak {:.0} MB and {:.0} MB",
        full.cpu, duckdb.cpu, full.peak_mb, duckdb.peak_mb
    );

    let selection = ["--select", "core.grown", "--full-refresh"];
    let full = median(|| build(folder, &selection))?;
    let mut round = 1;
    let incremental = median(|| {
        round += 1;
        let warehouse = Warehouse::open(&folder.join("warehouse.duckdb"), "2GB")?;
        warehouse.execute(&format!(
            "UPDATE clean_shop.deals SET amount = amount + 1, _extracted_at = _extracted_at + to_days({round}) WHERE hash(id) % 100 = {round}"
        ))?;
        record_change(&warehouse, &deals_table, &round.to_string())?;
        warehouse.execute("CHECKPOINT")?;
        drop(warehouse);
        build(folder, &["--select", "core.grown"])
    })?;
    println!(
        "one model after 1 % of its rows changed: incremental {:.3} s, full {:.3} s: 1/{:.1} (limit 1/5)",
        incremental.wall,
        full.wall,
        full.wall / incremental.wall
    );
    Ok(())
}

/// The child process that runs the models' queries in DuckDB alone, in the schema `hand`.
pub(crate) fn by_hand(folder: &Path) -> Result<()> {
    let warehouse = Warehouse::open(&folder.join("warehouse.duckdb"), "2GB")?;
    let in_hand_schema =
        |query: &str| ["staging.", "core."].iter().fold(query.to_owned(), |sql, schema| sql.replace(schema, "hand."));
    warehouse.execute("DROP SCHEMA IF EXISTS hand CASCADE; CREATE SCHEMA hand")?;
    for (schema, name, query) in MODELS {
        let create = if schema == "staging" { "CREATE VIEW" } else { "CREATE TABLE" };
        warehouse.execute(&format!("{create} hand.{name} AS {}", in_hand_schema(query)))?;
    }
    Ok(())
}

/// Asserts that both made the same tables.
fn compare(folder: &Path) -> Result<()> {
    let warehouse = Warehouse::open(&folder.join("warehouse.duckdb"), "2GB")?;
    for (schema, name, _) in MODELS {
        let checksum = |table: String| {
            warehouse.value_text(&format!("SELECT count(*) || ' ' || sum(hash(t)) FROM {table} AS t"), ())
        };
        if checksum(format!("{schema}.{name}"))? != checksum(format!("hand.{name}"))? {
            return Err(format!("{schema}.{name} differs from hand.{name}").into());
        }
    }
    Ok(warehouse.execute("DROP SCHEMA hand CASCADE; CHECKPOINT")?)
}

fn build(folder: &Path, arguments: &[&str]) -> Result<Cost> {
    let host: PathBuf = std::env::current_exe()?.with_file_name("host");
    measured(Command::new(host).args(["build", "pipeline.toml", "--quiet"]).args(arguments).current_dir(folder))
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
