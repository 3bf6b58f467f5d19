//! The command `sandbox`: serves a generated clinic network while a command runs, or until Ctrl-C.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program prints")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use host_core::files;
use sandbox::{GeneratorOptions, Network, RateLimits, SandboxServer, ServerOptions, TOKEN, import, spend};

/// Serve a HubSpot portal on loopback, filled with a generated clinic network
#[derive(Parser)]
#[command(version, after_help = "Example: sandbox --patients 2000 -- host run pipelines/hubspot.toml")]
struct Arguments {
    /// Number of patients, duplicates not counted
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    patients: u32,
    /// Seed of the generator; the same options make the same network
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Port to listen on; 0 picks a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Requests allowed in 10 seconds, and 5 searches per second; 0 turns all limits off
    #[arg(long, default_value_t = 190)]
    rate_limit: usize,
    /// Delay of each response, in milliseconds
    #[arg(long, default_value_t = 0)]
    latency: u64,
    /// Generate records of every object type, not only companies, contacts and deals
    #[arg(long)]
    everything: bool,
    /// Write import_companies.csv, import_contacts.csv and import_deals.csv for a real portal to this folder and exit
    #[arg(long, value_name = "FOLDER")]
    import_files: Option<PathBuf>,
    /// Share of patients and doctors that are entered twice
    #[arg(long, default_value_t = GeneratorOptions::default().duplicates, value_parser = share)]
    duplicates: f64,
    /// Share of patients whose last name is missing
    #[arg(long, default_value_t = GeneratorOptions::default().missing_last_names, value_parser = share)]
    missing_last_names: f64,
    /// Share of companies whose specialty is misspelled
    #[arg(long, default_value_t = GeneratorOptions::default().misspelled, value_parser = share)]
    misspelled: f64,
    /// Share of deals without an associated company
    #[arg(long, default_value_t = GeneratorOptions::default().unlinked, value_parser = share)]
    unlinked: f64,
    /// Probability of a typo in each field of a duplicate
    #[arg(long, default_value_t = GeneratorOptions::default().typos, value_parser = share)]
    typos: f64,
    /// Share of patients who are relatives of the previous one and share a phone or e-mail address with them
    #[arg(long, default_value_t = GeneratorOptions::default().families, value_parser = share)]
    families: f64,
    /// Share of patients who have the name of an earlier one
    #[arg(long, default_value_t = GeneratorOptions::default().namesakes, value_parser = share)]
    namesakes: f64,
    /// Where to write the marketing spend file [default: a temporary file]
    #[arg(long)]
    spend: Option<PathBuf>,
    /// Command to run against the sandbox, which stops when the command ends
    #[arg(last = true)]
    command: Vec<String>,
}

/// Parses a share, a number from 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a number from 0 to 1".to_owned())
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
    let options = GeneratorOptions {
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
        ..GeneratorOptions::default()
    };
    if let Some(folder) = &arguments.import_files {
        for file in import::write(&Network::generate(&options), folder)? {
            println!("{}", file.display());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut lines = Vec::new();
    spend::write(&spend::generate(&options), &mut lines)?;
    // A temporary file has a name that nobody can guess, and is removed at the end.
    let temporary = tempfile::Builder::new().prefix("marketing_spend_").suffix(".csv").tempfile()?;
    let path = arguments.spend.as_deref().unwrap_or(temporary.path());
    files::replace(path, lines)?;
    let ten_secondly = Some(arguments.rate_limit).filter(|limit| *limit > 0);
    let limits = RateLimits { ten_secondly, search_secondly: ten_secondly.map(|_| 5), daily: None };
    let latency = std::time::Duration::from_millis(arguments.latency);
    let server_options = ServerOptions { limits, latency, ..ServerOptions::default() };
    let server = SandboxServer::start(Network::generate(&options), server_options, arguments.port)?;
    eprintln!("sandbox  {} patients at {}, marketing spend in {}", options.patients, server.url(), path.display());
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
                .env("MARKETING_SPEND_CSV", path)
                .status()
                .map_err(|cause| format!("cannot run `{program}`: {cause}"))?;
            status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    };
    Ok(code)
}
