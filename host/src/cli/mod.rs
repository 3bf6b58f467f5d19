//! The command line: one file a command; this one has what they share.
#![expect(clippy::print_stderr, reason = "a command speaks to its terminal")]

mod build;
mod check;
mod compare;
mod discover;
mod explain;
mod forget;
mod init;
mod models;
mod plan;
mod plugin;
mod progress;
mod quality;
mod run;
mod serve;
mod test;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::pipeline::{Environment, Pipeline};
use crate::plugin::{Engine, Search};
use crate::progress::Progress;
use crate::run::{Context, Given};

/// Loads HubSpot through WebAssembly plugins into DuckDB, cleans it, and computes LTV:CAC.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 done, 2 mend the pipeline or the command, 3 run again later, 4 a plugin failed,\n\
5 the data is not as it must be, 6 partial: a stream was skipped, 1 a defect of host, 130 stopped.\n\n\
Examples:\n  host init clinic && cd clinic\n  host check pipelines/hubspot.toml\n  host run pipelines/hubspot.toml"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    shared: Shared,
}

/// What every command takes.
#[derive(Args)]
struct Shared {
    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// No progress, and no report but errors.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// A folder of plugins, looked in first.
    #[arg(long, global = true, env = "HOST_PLUGINS", value_name = "FOLDER")]
    plugins: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a project in an empty folder.
    Init(init::Init),
    /// Loads, cleans, builds and reports.
    Run(run::Run),
    /// Serves pages, and runs pipelines on their schedules.
    Serve(serve::Serve),
    /// Shows what a run would do; asks nobody.
    Plan(plan::Plan),
    /// Tries secrets, scopes, plugins, rules and models before a long run; writes nothing.
    Check(check::Check),
    /// Replays the rules from raw and builds the marts; asks no source.
    Clean(run::Clean),
    /// Lists the models and draws their graph.
    Models(models::Models),
    /// Builds, tests and publishes models; loads and cleans nothing.
    Build(build::Build),
    /// Tests the models as they are published, and runs their unit tests.
    Test(test::Test),
    /// Shows what cleaning did, by stream and rule, or to one record.
    Quality(quality::Quality),
    /// Shows which figures would be other ones without the rules.
    Compare(compare::Compare),
    /// Traces a mart's figures down to the records behind them, and the rules that repaired these.
    Explain(explain::Explain),
    /// Erases a person from all tables, and keeps them out of later loads.
    Forget(forget::Forget),
    /// Lists the streams and columns of the pipeline's sources.
    Discover(discover::Discover),
    /// JSON Schemas for editors.
    #[command(subcommand)]
    Schema(Schema),
    /// Looks at plugins and builds them.
    #[command(subcommand)]
    Plugin(plugin::Plugin),
}

#[derive(Subcommand)]
enum Schema {
    /// Of a pipeline file.
    Pipeline,
    /// Of the file beside a model.
    Model,
    /// Of the first page of `host serve`, `dashboard.toml`.
    Dashboard,
}

/// Runs a command, prints what it gives, and says how it ended.
#[must_use]
pub fn main(arguments: Arguments) -> ExitCode {
    crate::install_crypto();
    let Arguments { command, shared } = arguments;
    match dispatch(&command, &shared) {
        Ok(Output { text, is_partial }) => {
            let code = if is_partial { ExitCode::from(PARTIAL) } else { ExitCode::SUCCESS };
            if shared.quiet || text.is_empty() {
                return code;
            }
            match say(&text) {
                Ok(()) => code,
                Err(error) => failed(&error, &shared),
            }
        }
        Err(error) => failed(&error, &shared),
    }
}

fn failed(error: &Error, shared: &Shared) -> ExitCode {
    match shared.format {
        Format::Text => eprintln!("error: {error}"),
        Format::Json => eprintln!("{}", serde_json::json!({ "error": error })),
    }
    ExitCode::from(error.kind.exit_code())
}

/// The exit code of a run that skipped a stream which the pipeline names.
const PARTIAL: u8 = 6;

/// What a command prints, and whether it did all that was asked.
struct Output {
    text: String,
    is_partial: bool,
}

impl From<String> for Output {
    fn from(text: String) -> Self {
        Self { text, is_partial: false }
    }
}

fn dispatch(command: &Command, shared: &Shared) -> Result<Output> {
    if let Command::Run(run) = command {
        return on_pipeline(&run.pipeline, shared, async |context| run.run(context, shared).await);
    }
    let text = match command {
        Command::Run(_) => String::new(),
        Command::Init(init) => init.run()?,
        Command::Serve(serve) => serve.run(shared)?,
        Command::Plan(plan) => on_pipeline(&plan.pipeline, shared, async |context| plan.run(context, shared).await)?,
        Command::Check(check) => {
            on_pipeline(&check.pipeline, shared, async |context| check.run(context, shared).await)?
        }
        Command::Clean(clean) => {
            on_pipeline(&clean.pipeline, shared, async |context| clean.run(context, shared).await)?
        }
        Command::Models(models) => on_pipeline(&models.pipeline, shared, async |context| models.run(context, shared))?,
        Command::Build(build) => on_pipeline(&build.pipeline, shared, async |context| build.run(context, shared))?,
        Command::Test(test) => on_pipeline(&test.pipeline, shared, async |context| test.run(context, shared))?,
        Command::Quality(quality) => {
            on_pipeline(&quality.pipeline, shared, async |context| quality.run(context, shared).await)?
        }
        Command::Compare(compare) => {
            on_pipeline(&compare.pipeline, shared, async |context| compare.run(context, shared).await)?
        }
        Command::Explain(explain) => {
            on_pipeline(&explain.pipeline, shared, async |context| explain.run(context, shared))?
        }
        Command::Forget(forget) => {
            on_pipeline(&forget.pipeline, shared, async |context| forget.run(context, shared).await)?
        }
        Command::Discover(discover) => {
            on_pipeline(&discover.pipeline, shared, async |context| discover.run(context, shared).await)?
        }
        Command::Schema(Schema::Pipeline) => json(&crate::pipeline::schema())?,
        Command::Schema(Schema::Model) => json(&crate::marts::schema())?,
        Command::Schema(Schema::Dashboard) => json(&crate::dashboard::schema())?,
        Command::Plugin(plugin) => plugin.run(shared)?,
    };
    Ok(text.into())
}

/// Loads a pipeline and runs work on it, which Ctrl-C or a request to terminate asks to stop; a second one ends the
/// process at once.
fn on_pipeline<T>(path: &Path, shared: &Shared, work: impl AsyncFnOnce(&Context<'_>) -> Result<T>) -> Result<T> {
    let (pipeline, engine, search) = opened(path, shared, &engine()?)?;
    let progress =
        if shared.quiet || shared.format == Format::Json { Progress::new(|_| {}) } else { progress::on_terminal() };
    runtime()?.block_on(async {
        let (sender, stop) = watch::channel(false);
        tokio::spawn(async move {
            ended().await;
            sender.send_replace(true);
            ended().await;
            std::process::exit(i32::from(Kind::Interrupted.exit_code()));
        });
        let clock = Clock::system();
        let given = Given::default();
        let context =
            Context { pipeline: &pipeline, engine: &engine, search: &search, progress: &progress, stop, clock, given };
        work(&context).await
    })
}

/// A pipeline, with what runs and what finds its plugins.
fn opened(path: &Path, shared: &Shared, engine: &Engine) -> Result<(Pipeline, Engine, Search)> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let environment = Environment::new(variables(), folder)?;
    let pipeline = Pipeline::load(path, &environment)?;
    let call_time = std::time::Duration::from_secs(pipeline.file.pipeline.plugin_seconds.into());
    Ok((pipeline, engine.clone().with_call_time(call_time), Search::new(shared.plugins.clone(), folder)))
}

/// Writes to standard output at once: some commands take minutes, and show where they are.
fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever closed the pipe has read enough.
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(Kind::Unavailable, format!("the output cannot be written: {cause}"))
                .hint("what the command did stays done"))
        }
        _ => Ok(()),
    }
}

/// Waits for Ctrl-C, or for whoever manages processes.
async fn ended() {
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<Option<()>>();
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupted => {}
        _ = terminated => {}
    }
}

/// The process's variables; one that is not UTF-8 is none of ours.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    built.map_err(|cause| Error::internal(format!("the async runtime does not start: {cause}")))
}

/// An engine that keeps compiled plugins in the user's cache folder.
fn engine() -> Result<Engine> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|cache| !cache.is_empty()).map(PathBuf::from).or_else(home);
    Engine::new(cache.map(|cache| cache.join("host").join("plugins")))
}

/// A value as JSON text.
fn json(value: &impl serde::Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n").map_err(|cause| Error::internal(cause.to_string()))
}
