//! `sandbox`: serves a generated clinic network, for as long as a command runs or until stopped.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command speaks to its terminal")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use sandbox::{Limits, Network, Options, Server, ServerOptions, TOKEN, import, spend};

/// A HubSpot portal on loopback, with a clinic network in it.
#[derive(Parser)]
#[command(version, after_help = "Example: sandbox --patients 2000 -- host run pipelines/hubspot.toml")]
struct Arguments {
    /// Patients, before duplicates.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    patients: u32,
    /// The same seed and sizes make the same network.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The port; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Requests allowed within 10 seconds, beside 5 searches a second; 0: no limits.
    #[arg(long, default_value_t = 190)]
    rate_limit: usize,
    /// Milliseconds that each answer takes.
    #[arg(long, default_value_t = 0)]
    latency: u64,
    /// Records of every type, not of companies, contacts and deals alone.
    #[arg(long)]
    everything: bool,
    /// Write import_companies.csv, import_contacts.csv and import_deals.csv for a real portal into this folder, and end.
    #[arg(long, value_name = "FOLDER")]
    import_files: Option<PathBuf>,
    /// Share of contacts and companies that are entered twice.
    #[arg(long, default_value_t = Options::default().duplicates, value_parser = share)]
    duplicates: f64,
    /// Share of patients without last name.
    #[arg(long, default_value_t = Options::default().missing_last_names, value_parser = share)]
    missing_last_names: f64,
    /// Share of doctors whose specialty is misspelled.
    #[arg(long, default_value_t = Options::default().misspelled, value_parser = share)]
    misspelled: f64,
    /// Share of deals without a company.
    #[arg(long, default_value_t = Options::default().unlinked, value_parser = share)]
    unlinked: f64,
    /// Chance of a slip of the pen in each field of a duplicate.
    #[arg(long, default_value_t = Options::default().typos, value_parser = share)]
    typos: f64,
    /// Share of patients who are relatives of the one before, with the same phone or e-mail.
    #[arg(long, default_value_t = Options::default().families, value_parser = share)]
    families: f64,
    /// Share of patients with the name of an earlier one.
    #[arg(long, default_value_t = Options::default().namesakes, value_parser = share)]
    namesakes: f64,
    /// Where to write the marketing spend file; a temporary file by default.
    #[arg(long)]
    spend: Option<PathBuf>,
    /// A command to run against the sandbox, which stops with it.
    #[arg(last = true)]
    command: Vec<String>,
}

/// A number from 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("a share lies between 0 and 1".to_owned()) }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let options = Options {
        seed: arguments.seed,
        patients: arguments.patients as usize,
        duplicates: arguments.duplicates,
        missing_last_names: arguments.missing_last_names,
        misspelled: arguments.misspelled,
        unlinked: arguments.unlinked,
        typos: arguments.typos,
        families: arguments.families,
        namesakes: arguments.namesakes,
        everything: arguments.everything,
        ..Options::default()
    };
    if let Some(folder) = &arguments.import_files {
        for file in import::write(&Network::generate(&options), folder)? {
            println!("{}", file.display());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let path = std::env::temp_dir().join(format!("marketing_spend_{}.csv", std::process::id()));
    let path = arguments.spend.clone().unwrap_or(path);
    spend::write(&spend::generate(&options), std::fs::File::create(&path)?)?;
    let ten_secondly = Some(arguments.rate_limit).filter(|limit| *limit > 0);
    let limits = Limits { ten_secondly, search_secondly: ten_secondly.map(|_| 5), daily: None };
    let latency = std::time::Duration::from_millis(arguments.latency);
    let server_options = ServerOptions { limits, latency, ..ServerOptions::default() };
    let server = Server::start(Network::generate(&options), server_options, arguments.port)?;
    eprintln!("sandbox  {} patients at {}, spend in {}", options.patients, server.url(), path.display());
    let code = match arguments.command.split_first() {
        None => {
            println!("export HUBSPOT_BASE_URL={} HUBSPOT_ACCESS_TOKEN={TOKEN}", server.url());
            println!("export MARKETING_SPEND_CSV={}", path.display());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(tokio::signal::ctrl_c())?;
            ExitCode::SUCCESS
        }
        Some((program, rest)) => {
            let status = std::process::Command::new(program)
                .args(rest)
                .env("HUBSPOT_BASE_URL", server.url())
                .env("HUBSPOT_ACCESS_TOKEN", TOKEN)
                .env("MARKETING_SPEND_CSV", &path)
                .status()
                .map_err(|cause| format!("{program}: {cause}"))?;
            status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    };
    if arguments.spend.is_none() {
        std::fs::remove_file(&path)?;
    }
    Ok(code)
}
