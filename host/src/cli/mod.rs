//! The command line: one file per command; this file has what they share.
#![expect(clippy::print_stderr, reason = "commands write errors and progress to the terminal")]

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
mod recover;
mod run;
mod serve;
mod test;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use host_core::clock::Clock;
use host_core::error::{Error, Kind, Result};
use host_core::progress::Progress;
use host_core::project::Project;
use host_core::secret::redact;
use host_core::text::escape_hidden;
use host_plugin::{Engine, PluginFolders};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::LevelFilter;

use crate::logs::{self, LogFormat};
use crate::pipeline::{Environment, Pipeline};
use crate::render::render_error;
use crate::run::{ServerContext, Session};

/// Loads sources through WebAssembly plugins into DuckDB, cleans the records, and builds SQL models up to LTV:CAC.
#[derive(Parser)]
#[command(
    name = "host",
    version,
    after_help = "Exit codes: 0 done, 1 bug in host, 2 fix the pipeline or the command, 3 run again later, 4 a plugin \
failed,\n5 fix the data, 6 partial: a stream was skipped, 130 stopped.\n\n\
Logs are written to standard error. RUST_LOG sets their level, such as RUST_LOG=debug.\n\n\
Examples:\n  host init clinic && cd clinic\n  host check pipelines/hubspot.toml\n  host run pipelines/hubspot.toml"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: GlobalArguments,
}

/// Arguments of every command.
#[derive(Args)]
struct GlobalArguments {
    /// The format of results and errors.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The format of logs. `host serve` logs at the level `info`; other commands log only with this option or `RUST_LOG`.
    #[arg(long, global = true, value_enum)]
    log_format: Option<LogFormat>,
    /// Print nothing but errors.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// A folder with plugins, searched before the others.
    #[arg(long, global = true, env = "HOST_PLUGINS", value_name = "FOLDER")]
    plugins: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Human-readable text.
    Text,
    /// JSON for machines.
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Creates a project in an empty folder.
    Init(init::Init),
    /// Loads what changed, cleans it, builds the models and prints a report.
    Run(run::Run),
    /// Serves pages, and runs pipelines on their schedules.
    Serve(serve::Serve),
    /// Shows what a run would do, without contacting the sources.
    Plan(plan::Plan),
    /// Checks secrets, scopes, plugins, rules and models before a long run. Writes nothing.
    Check(check::Check),
    /// Runs the rules on all raw rows and builds the models, without reading from the sources.
    Clean(run::Clean),
    /// Lists the models and draws their graph.
    Models(models::Models),
    /// Builds, tests and publishes models, without loading or cleaning.
    Build(build::Build),
    /// Tests the published models, and runs their unit tests.
    Test(test::Test),
    /// Shows what cleaning did, by stream and rule, or to one record.
    Quality(quality::Quality),
    /// Shows which figures change without the cleaning rules.
    Compare(compare::Compare),
    /// Traces a model's figures down to the records behind them, and to the rules that corrected these records.
    Explain(explain::Explain),
    /// Erases a person from all tables, and keeps them out of later loads.
    ///
    /// Erases the record, the records of the same person, and references to them, from raw and clean tables, the journal
    /// and the models. Later loads leave them out.
    ///
    /// Records that are or were linked with them stay. Their free text, such as a deal's name, is emptied, now and in
    /// later loads, if the source declares which columns hold free text. The warehouse's file is rewritten, so that none
    /// of the erased data is left in it; only a hash of each key stays. The source itself is not changed: erase the person
    /// there as well.
    Forget(forget::Forget),
    /// Opens a warehouse whose write-ahead log is damaged, as by a power loss.
    ///
    /// DuckDB does not open a warehouse whose write-ahead log is damaged. With `--discard-wal` the log is kept beside the
    /// warehouse, and the warehouse is opened as it was at its last checkpoint. The runs, erasures and versions of snapshots
    /// that may be lost are listed, as far as the log can be read. Whoever is forgotten is erased again.
    Recover(recover::Recover),
    /// Lists the streams and columns of the sources.
    Discover(discover::Discover),
    /// Prints JSON Schemas for editors.
    #[command(subcommand)]
    Schema(SchemaKind),
    /// Creates, builds, tests and inspects plugins.
    #[command(subcommand)]
    Plugin(plugin::Plugin),
}

#[derive(Subcommand)]
enum SchemaKind {
    /// The schema of a pipeline file.
    Pipeline,
    /// The schema of the TOML file beside a model.
    Model,
    /// The schema of `dashboard.toml`, the first page of `host serve`.
    Dashboard,
}

/// Runs a command, prints its output, and returns its exit code.
#[must_use]
pub fn main(arguments: Arguments) -> ExitCode {
    host_plugin::install_crypto();
    let Arguments { command, global } = arguments;
    let level = match (&command, global.log_format) {
        (Command::Serve(_), _) | (_, Some(_)) => LevelFilter::INFO,
        _ => LevelFilter::OFF,
    };
    logs::install(global.log_format.unwrap_or(LogFormat::Text), if global.quiet { LevelFilter::OFF } else { level });
    match dispatch(&command, &global) {
        Ok(Output { text, is_partial }) => {
            let code = if is_partial { ExitCode::from(PARTIAL) } else { ExitCode::SUCCESS };
            if global.quiet || text.is_empty() {
                return code;
            }
            match say(&text) {
                Ok(()) => code,
                Err(error) => failed(&error, &global),
            }
        }
        Err(error) => failed(&error, &global),
    }
}

/// Prints help, the version, or what is wrong with the arguments: as JSON if these ask for it.
pub fn usage_error(error: &clap::Error, arguments: impl Iterator<Item = String>) -> ExitCode {
    let arguments: Vec<_> = arguments.collect();
    let is_json = arguments.iter().any(|argument| argument == "--format=json")
        || arguments.windows(2).any(|pair| pair == ["--format", "json"]);
    if !(is_json && error.use_stderr()) {
        error.exit();
    }
    let text = error.to_string();
    let error = Error::config(text.trim_start_matches("error: ").trim_end());
    complain(&format!("{}\n", serde_json::json!({ "error": error })));
    ExitCode::from(error.kind.exit_code())
}

fn failed(error: &Error, global: &GlobalArguments) -> ExitCode {
    match global.format {
        Format::Text => complain(&render_error(error)),
        Format::Json => complain(&format!("{}\n", serde_json::json!({ "error": error }))),
    }
    ExitCode::from(error.kind.exit_code())
}

/// The exit code of a run that skipped a stream which the pipeline names.
pub(crate) const PARTIAL: u8 = 6;

/// The output of a command, and whether it did all that it was asked to.
struct Output {
    text: String,
    is_partial: bool,
}

impl From<String> for Output {
    fn from(text: String) -> Self {
        Self { text, is_partial: false }
    }
}

fn dispatch(command: &Command, global: &GlobalArguments) -> Result<Output> {
    let text = match command {
        Command::Run(run) => {
            return with_session(&run.pipeline, global, async |session| run.run(session, global).await);
        }
        Command::Init(init) => init.run()?,
        Command::Serve(serve) => serve.run(global)?,
        Command::Plan(plan) => on_pipeline(&plan.pipeline, global, async |session| plan.run(session, global).await)?,
        Command::Check(check) => {
            on_pipeline(&check.pipeline, global, async |session| check.run(session, global).await)?
        }
        Command::Clean(clean) => {
            with_session(&clean.pipeline, global, async |session| clean.run(session, global).await)?
        }
        Command::Models(models) => on_pipeline(&models.pipeline, global, async |session| models.run(session, global))?,
        Command::Build(build) => on_pipeline(&build.pipeline, global, async |session| build.run(session, global))?,
        Command::Test(test) => on_pipeline(&test.pipeline, global, async |session| test.run(session, global))?,
        Command::Quality(quality) => {
            on_pipeline(&quality.pipeline, global, async |session| quality.run(session, global))?
        }
        Command::Compare(compare) => {
            on_pipeline(&compare.pipeline, global, async |session| compare.run(session, global).await)?
        }
        Command::Explain(explain) => {
            on_pipeline(&explain.pipeline, global, async |session| explain.run(session, global))?
        }
        Command::Forget(forget) => {
            on_pipeline(&forget.pipeline, global, async |session| forget.run(session, global).await)?
        }
        Command::Recover(recover) => {
            on_pipeline(&recover.pipeline, global, async |session| recover.run(session, global))?
        }
        Command::Discover(discover) => {
            on_pipeline(&discover.pipeline, global, async |session| discover.run(session, global).await)?
        }
        Command::Schema(SchemaKind::Pipeline) => json(&crate::pipeline::schema())?,
        Command::Schema(SchemaKind::Model) => json(&host_models::schema())?,
        Command::Schema(SchemaKind::Dashboard) => json(&crate::dashboard::schema())?,
        Command::Plugin(plugin) => plugin.run(global)?,
    };
    Ok(text.into())
}

/// Loads a pipeline, writes its warnings, and runs work on it that makes no report.
fn on_pipeline<T>(
    path: &Path,
    global: &GlobalArguments,
    work: impl AsyncFnOnce(&Session<'_>) -> Result<T>,
) -> Result<T> {
    with_session(path, global, async |session| {
        let warnings = session.pipeline.environment.warnings().iter().filter(|_| !global.quiet);
        warnings.for_each(|warning| complain(&format!("warning: {warning}\n")));
        work(session).await
    })
}

/// Loads a pipeline and runs work on it. Ctrl-C or a termination signal asks the work to stop; a second signal ends the
/// process at once.
fn with_session<T>(
    path: &Path,
    global: &GlobalArguments,
    work: impl AsyncFnOnce(&Session<'_>) -> Result<T>,
) -> Result<T> {
    let (pipeline, engine, folders) = load(path, global, &engine()?)?;
    let is_silent = global.quiet || global.format == Format::Json;
    let progress = if is_silent { Progress::none() } else { progress::on_terminal() };
    runtime()?.block_on(async {
        let stop = CancellationToken::new();
        let cancel = stop.clone();
        tokio::spawn(async move {
            signal().await;
            cancel.cancel();
            signal().await;
            std::process::exit(i32::from(Kind::Interrupted.exit_code()));
        });
        let session = Session {
            pipeline: &pipeline,
            engine: &engine,
            folders: &folders,
            progress: &progress,
            stop,
            clock: Clock::system(),
            server: ServerContext::default(),
        };
        work(&session).await
    })
}

/// Loads a pipeline, with the engine and the folders of its plugins.
fn load(path: &Path, global: &GlobalArguments, engine: &Engine) -> Result<(Pipeline, Engine, PluginFolders)> {
    let project = Project::of_pipeline(path);
    let environment = Environment::new(variables(), &project)?;
    let pipeline = Pipeline::load(path, &environment)?;
    let call_time = std::time::Duration::from_secs(pipeline.file.pipeline.plugin_seconds.into());
    engine.limit_memory(pipeline.plugin_memory());
    let folders = PluginFolders::new(global.plugins.clone(), &project);
    Ok((pipeline, engine.clone().with_call_time(call_time), folders))
}

/// Writes to standard output without buffering: some commands take minutes and show where they are. Characters that a
/// terminal interprets are written as escapes, in text and in JSON.
fn say(text: &str) -> Result<()> {
    let text = escape_hidden(text);
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A reader that closes the pipe has read enough.
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(Kind::Unavailable, format!("the output cannot be written: {cause}"))
                .hint("the work of the command itself is done"))
        }
        _ => Ok(()),
    }
}

/// Writes to standard error, as [`say`] does to standard output, and without secrets.
fn complain(text: &str) {
    eprint!("{}", escape_hidden(&redact(text)));
}

/// Waits for Ctrl-C or a termination signal.
async fn signal() {
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

/// The environment variables of the process that are UTF-8.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    built.map_err(|cause| Error::internal(format!("cannot start the async runtime: {cause}")))
}

/// An engine that caches compiled plugins in the user's cache folder. A relative path would lead into whatever folder the
/// command runs in, such as a cloned repository, so it is ignored.
fn engine() -> Result<Engine> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let cache = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
    Engine::new(cache.map(|cache| cache.join("host").join("plugins")))
}

/// A value as JSON text.
fn json(value: &impl serde::Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n").map_err(|cause| Error::internal(cause.to_string()))
}
