//! Benchmarks. `make bench` runs all of them; `cargo run --release -p bench -- NAME` runs one.
//!
//! | name | what it measures | option and default |
//! |---|---|---|
//! | none: runs all | first, extract, clean, marts and a whole run compared with the floor | `--patients 100000` |
//! | `growth` | extract and floor at 10 thousand, 100 thousand and a million records | |
//! | `identity` | merges, specialties, LTV and CAC compared with the ground truth | |
//! | `limited` | how much of a rate limit extract uses | |
//! | `rules` | rules as components compared with native rules | `--rows 1000000` |
//! | `columns` | the cost of columns that a rule does not read | `--rows 200000` |
//! | `groups` | `dedupe` on one group of matching records | `--rows 10000000` |
//! | `models` | models compared with the same SELECTs in DuckDB alone | `--deals 1000000` |
//! | `pages` | response times of `host serve` | `--patients 420000` |
//!
//! The floor is a minimal loader: it fetches the same pages with plain `reqwest` to disk and loads the same columns,
//! typed, with DuckDB. Its rows and sums have to equal the pipeline's before times are printed.
//!
//! The host binary is the one in this program's folder; HOST_PLUGINS is the folder of the plugins. Build both with
//! `make build`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

mod columns;
mod floor;
mod groups;
mod growth;
mod identity;
mod limited;
mod measure;
mod models;
mod pages;
mod plugins;
mod rules;

use std::path::{Path, PathBuf};
use std::process::Command;

use host::warehouse::Warehouse;
use measure::{Cost, measured};
use sandbox::{GeneratorOptions, Network, SandboxServer, ServerOptions, TOKEN, spend};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str, default: usize| {
        let value = arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1));
        value.and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let rules = || rules::run(option("--rows", 1_000_000));
    let columns = || columns::run(option("--rows", 200_000));
    let groups = || groups::run(option("--rows", 10_000_000));
    match arguments.first().map(String::as_str) {
        Some("--measure") => measure::child(&arguments[1..]),
        Some("--floor") => floor::run(&arguments[1], Path::new(&arguments[2])),
        Some("growth") => growth::run(),
        Some("identity") => identity::run(),
        Some("limited") => limited::run(),
        Some("rules") => rules(),
        Some("columns") => columns(),
        Some("groups") => groups(),
        Some("--by-hand") => models::by_hand(Path::new(&arguments[1])),
        Some("models") => models::run(option("--deals", 1_000_000)),
        Some("pages") => pages::run(option("--patients", 420_000)),
        _ => {
            pipeline(option("--patients", 100_000))?;
            growth::run()?;
            identity::run()?;
            limited::run()?;
            rules()?;
            columns()?;
            groups()?;
            models::run(1_000_000)?;
            pages::run(420_000)
        }
    }
}

/// A running sandbox, and a folder for warehouses and pipelines.
struct Bench {
    folder: PathBuf,
    server: SandboxServer,
}

/// Measures the steps of the pipeline and compares them with the floor.
fn pipeline(patients: usize) -> Result<()> {
    let bench = Bench::new(patients, ServerOptions::default(), true)?;
    let floor_file = bench.folder.join("floor.duckdb");
    let floor = bench.floor(&floor_file)?;
    let extract = bench.host("run", "extract.toml", "steps.duckdb")?;
    let clean = bench.host("clean", "clean.toml", "steps.duckdb")?;
    let marts = bench.host("run", "whole.toml", "steps.duckdb")?;
    let whole = bench.host("run", "whole.toml", "whole.duckdb")?;
    let records = bench.compare(&floor_file, "whole.duckdb")?;

    println!("\n{:<22}{:>9}{:>9}{:>14}{:>20}{:>10}", "", "wall s", "CPU s", "records/s", "CPU ms / 1000", "peak MB");
    let rows = [("floor", &floor), ("extract", &extract), ("clean", &clean), ("marts", &marts), ("whole run", &whole)];
    for (name, cost) in rows {
        #[expect(clippy::cast_precision_loss, reason = "shown to a digit")]
        let records = records as f64;
        let (rate, cpu) = (records / cost.wall, cost.cpu * 1_000_000.0 / records);
        println!("{name:<22}{:>9.1}{:>9.1}{rate:>14.0}{cpu:>20.1}{:>10.0}", cost.wall, cost.cpu, cost.peak_mb);
    }
    let ratio = |name: &str, cost: &Cost, target: f64| {
        let (wall, cpu) = (cost.wall / floor.wall, cost.cpu / floor.cpu);
        println!("{name} / floor: wall {wall:.2}, CPU {cpu:.2} (target {target})");
    };
    println!("\n{records} records of companies, contacts and deals");
    ratio("extract", &extract, 0.75);
    ratio("whole run", &whole, 2.0);
    Ok(())
}

impl Bench {
    /// Starts a sandbox with this number of patients. `unlimited` turns off the plugin's own rate limit, which would
    /// hide the cost of the work.
    fn new(patients: usize, server_options: ServerOptions, unlimited: bool) -> Result<Self> {
        Self::with_options(GeneratorOptions { patients, ..GeneratorOptions::default() }, server_options, unlimited)
    }

    /// Starts a sandbox with these options.
    fn with_options(options: GeneratorOptions, server_options: ServerOptions, unlimited: bool) -> Result<Self> {
        let folder = folder()?;
        spend::write(&spend::generate(&options), std::fs::File::create(folder.join("spend.csv"))?)?;
        println!("generating {} patients", options.patients);
        let server = SandboxServer::start(Network::generate(&options), server_options, 0)?;
        let bench = Self { folder, server };
        let text = std::fs::read_to_string(root().join("pipelines/hubspot.toml"))?;
        let mut text = text.replace("\"../sql", &format!("\"{}/sql", root().display()));
        if unlimited {
            let limits = "[connection.hubspot.rate_limits]\ngeneral = { requests = 1000000, per_seconds = 1 }\n\
                          search = { requests = 1000000, per_seconds = 1 }\n\n[[source]]";
            text = text.replacen("[[source]]", limits, 1);
        }
        let until = |section: &str| text.find(section).map(|at| &text[..at]).unwrap_or(&text).to_owned();
        bench.write("extract.toml", &until("[[rule]]"))?;
        bench.write("clean.toml", &until("[marts]"))?;
        bench.write("whole.toml", &text)?;
        Ok(bench)
    }

    /// Removes the databases of the previous round.
    fn clear(&self, names: &[&str]) -> Result<()> {
        for name in names {
            for path in [self.folder.join(name), self.folder.join(format!("{name}.wal"))] {
                if path.exists() {
                    std::fs::remove_file(path)?;
                }
            }
        }
        Ok(())
    }

    /// Runs the floor.
    fn floor(&self, file: &Path) -> Result<Cost> {
        measured(Command::new(std::env::current_exe()?).args(["--floor", &self.server.url()]).arg(file))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.folder.join(name), text)?)
    }

    /// Runs a command of the host.
    fn host(&self, command: &str, pipeline: &str, warehouse: &str) -> Result<Cost> {
        measured(
            Command::new(std::env::current_exe()?.with_file_name("host"))
                .args([command, pipeline, "--quiet"])
                .current_dir(&self.folder)
                .env("HUBSPOT_BASE_URL", self.server.url())
                .env("HUBSPOT_ACCESS_TOKEN", TOKEN)
                .env("MARKETING_SPEND_CSV", self.folder.join("spend.csv"))
                .env("WAREHOUSE", self.folder.join(warehouse)),
        )
    }

    /// Asserts that floor and warehouse have the same rows and sums. Returns the number of records.
    fn compare(&self, floor: &Path, warehouse: &str) -> Result<u64> {
        let host_warehouse = Warehouse::open(&self.folder.join(warehouse), "1GB")?;
        let floor_warehouse = Warehouse::open(floor, "1GB")?;
        let totals = |schema: &str, warehouse: &Warehouse| -> Result<Vec<host::warehouse::Row>> {
            Ok(warehouse.query(
                &format!(
                    "SELECT (SELECT count(*) FROM {schema}.companies) AS companies, (SELECT count(*) FROM {schema}.contacts) AS contacts, \
                     count(*) AS deals, sum(amount)::VARCHAR AS amount, sum(epoch_ms(closedate)::HUGEINT)::VARCHAR AS closed, \
                     (SELECT count(*) FROM {schema}.deals_contacts) AS deals_contacts, \
                     (SELECT count(*) FROM {schema}.deals_companies) AS deals_companies FROM {schema}.deals"
                ),
                (),
            )?)
        };
        let (host, floor) = (totals("raw_hubspot", &host_warehouse)?, totals("main", &floor_warehouse)?);
        if host != floor {
            return Err(format!("floor and host loaded different data: {floor:?} and {host:?}").into());
        }
        let count = |name: &str| host[0][name].as_u64().unwrap_or_default();
        Ok(count("companies") + count("contacts") + count("deals"))
    }
}

/// Creates an empty folder next to this program.
fn folder() -> Result<PathBuf> {
    let folder = std::env::current_exe()?.with_file_name("bench-data");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
