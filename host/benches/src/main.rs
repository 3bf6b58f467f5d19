//! What the pipeline costs at 100,000 patients, beside its floor in the same run: a program that fetches the same
//! pages with plain `reqwest` to disk and loads the same columns, typed, with DuckDB. Rows and sums are compared
//! before any time is printed. Then how extract grows with records, how right cleaning is about who is who, how much of a
//! rate limit extract uses, what WebAssembly costs rules, what columns cost that a rule does not read, what dedupe
//! does with one group of ten million, what models cost beside DuckDB alone, and how soon pages answer.
//!
//! `make bench`, or after it `cargo run --release -p bench -- --patients 10000`, `-- growth`, `-- identity`, `-- limited`,
//! `-- rules`, `-- columns`, `-- groups`, the last three with `--rows 100000` if need be, `-- models
//! --deals 100000`, `-- pages --patients 42000`; HOST_PLUGINS names the folder of components. The host is the one beside this program.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

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
use sandbox::{Network, Options, Server, ServerOptions, TOKEN, spend};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |name: &str, usual: usize| {
        let given = arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1));
        given.and_then(|given| given.parse().ok()).unwrap_or(usual)
    };
    let rules = || rules::run(given("--rows", 1_000_000));
    let columns = || columns::run(given("--rows", 200_000));
    let groups = || groups::run(given("--rows", 10_000_000));
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
        Some("models") => models::run(given("--deals", 1_000_000)),
        Some("pages") => pages::run(given("--patients", 420_000)),
        _ => {
            whole(given("--patients", 100_000))?;
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

/// A sandbox, and a folder beside this program for warehouses and pipelines.
struct Bench {
    folder: PathBuf,
    server: Server,
}

/// The steps of the whole pipeline, each beside the floor.
fn whole(patients: usize) -> Result<()> {
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
        let (rate, each) = (records / cost.wall, cost.cpu * 1_000_000.0 / records);
        println!("{name:<22}{:>9.1}{:>9.1}{rate:>14.0}{each:>20.1}{:>10.0}", cost.wall, cost.cpu, cost.peak_mb);
    }
    let ratio = |name: &str, cost: &Cost, aim: f64| {
        let (wall, cpu) = (cost.wall / floor.wall, cost.cpu / floor.cpu);
        println!("{name} / floor: wall {wall:.2}, CPU {cpu:.2} (aim {aim})");
    };
    println!("\n{records} records of companies, contacts and deals");
    ratio("extract", &extract, 0.75);
    ratio("whole run", &whole, 2.0);
    Ok(())
}

impl Bench {
    /// A network on a server that behaves so; `unlimited` lifts the plugin's own pace, which would hide what work costs.
    fn new(patients: usize, behaviour: ServerOptions, unlimited: bool) -> Result<Self> {
        Self::of(Options { patients, ..Options::default() }, behaviour, unlimited)
    }

    /// The same of a network of these options.
    fn of(options: Options, behaviour: ServerOptions, unlimited: bool) -> Result<Self> {
        let folder = folder()?;
        spend::write(&spend::generate(&options), std::fs::File::create(folder.join("spend.csv"))?)?;
        println!("generating {} patients", options.patients);
        let server = Server::start(Network::generate(&options), behaviour, 0)?;
        let bench = Self { folder, server };
        let shipped = std::fs::read_to_string(root().join("pipelines/hubspot.toml"))?;
        let mut shipped = shipped.replace("\"../sql", &format!("\"{}/sql", root().display()));
        if unlimited {
            let limits = "[connection.hubspot.rate_limits]\ngeneral = { requests = 1000000, per_seconds = 1 }\n\
                          search = { requests = 1000000, per_seconds = 1 }\n\n[[source]]";
            shipped = shipped.replacen("[[source]]", limits, 1);
        }
        let cut = |mark: &str| shipped.find(mark).map(|at| &shipped[..at]).unwrap_or(&shipped).to_owned();
        bench.write("extract.toml", &cut("[[rule]]"))?;
        bench.write("clean.toml", &cut("[marts]"))?;
        bench.write("whole.toml", &shipped)?;
        Ok(bench)
    }

    /// Removes databases of an earlier round.
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

    fn floor(&self, file: &Path) -> Result<Cost> {
        measured(Command::new(std::env::current_exe()?).args(["--floor", &self.server.url()]).arg(file))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.folder.join(name), text)?)
    }

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

    /// Rows and sums of both must be the same; gives back the number of records.
    fn compare(&self, floor: &Path, warehouse: &str) -> Result<u64> {
        let ours = Warehouse::open(&self.folder.join(warehouse), "1GB")?;
        let theirs = Warehouse::open(floor, "1GB")?;
        let facts = |schema: &str, warehouse: &Warehouse| -> Result<Vec<host::warehouse::Row>> {
            Ok(warehouse.query(
                &format!(
                    "SELECT (SELECT count(*) FROM {schema}.companies) AS companies, (SELECT count(*) FROM {schema}.contacts) AS contacts, \
                     count(*) AS deals, sum(amount)::VARCHAR AS amount, sum(epoch_ms(closedate)::HUGEINT)::VARCHAR AS closed, \
                     (SELECT count(*) FROM {schema}.deals_contacts) AS deals_contacts, \
                     (SELECT count(*) FROM {schema}.deals_companies) AS deals_companies FROM {schema}.deals"
                ),
                &[],
            )?)
        };
        let (ours, theirs) = (facts("raw_hubspot", &ours)?, facts("main", &theirs)?);
        if ours != theirs {
            return Err(format!("the floor loaded other data: {ours:?} against {theirs:?}").into());
        }
        let count = |name: &str| ours[0][name].as_u64().unwrap_or_default();
        Ok(count("companies") + count("contacts") + count("deals"))
    }
}

/// An empty folder beside this program.
fn folder() -> Result<PathBuf> {
    let folder = std::env::current_exe()?.with_file_name("bench-data");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
