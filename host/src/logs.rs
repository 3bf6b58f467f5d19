//! Structured logs: written to standard error, and captured for the log of a run.
//!
//! Code logs with `tracing`. Events inside a span `run` with the field `run` belong to the log of that run.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use host_core::clock::Clock;
use host_core::secret::redact;
use host_core::text::escape_hidden;
use host_ledger::log::{LogLevel, LogLine};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The number of lines of a run's log that are kept. After that, only errors are kept.
const MAX_LINES: u64 = 5_000;
/// The number of errors that are kept after that.
const MAX_FURTHER_ERRORS: u64 = 5_000;

/// How logs are written to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line of text per event.
    Text,
    /// One JSON object per event.
    Json,
}

/// Installs the logs of the process. `RUST_LOG` selects what is written to standard error; `default` is its value if it is
/// not set.
pub fn install(format: LogFormat, default: LevelFilter) {
    let filter = EnvFilter::builder().with_default_directive(default.into()).from_env_lossy();
    let output = tracing_subscriber::fmt::layer().with_writer(|| SafeError).with_ansi(false);
    let output = match format {
        LogFormat::Text => output.boxed(),
        LogFormat::Json => output.json().boxed(),
    };
    let registry = tracing_subscriber::registry().with(output.with_filter(filter));
    // A second installation in one process finds the first one, which works as well.
    let _ = registry.with(RunLogs.with_filter(LevelFilter::INFO)).try_init();
}

/// Standard error without secrets, and without characters that a terminal interprets. The logs write one event at a time.
struct SafeError;

impl std::io::Write for SafeError {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = escape_hidden(&redact(String::from_utf8_lossy(bytes)));
        // A message of several lines, such as that of a plugin, does not look like several events.
        let text = text.trim_end_matches('\n').replace('\n', "\n    ") + "\n";
        std::io::stderr().write_all(text.as_bytes()).map(|()| bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// Where the lines of a run's log are sent.
type LogSink = Arc<dyn Fn(LogLine) + Send + Sync>;

/// The runs whose events are captured, by id.
static CAPTURES: LazyLock<Mutex<HashMap<String, Arc<Capture>>>> = LazyLock::new(Mutex::default);

fn captures() -> std::sync::MutexGuard<'static, HashMap<String, Arc<Capture>>> {
    CAPTURES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lines of one run: numbered, without secrets.
struct Capture {
    next: Mutex<u64>,
    clock: Clock,
    sink: LogSink,
}

impl Capture {
    fn add(&self, level: LogLevel, message: &str) {
        const END: u64 = MAX_LINES + MAX_FURTHER_ERRORS;
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let line = *next;
        let is_error = level == LogLevel::Error;
        let message = match line {
            MAX_LINES if !is_error => "further lines are left out".to_owned(),
            END if is_error => "further errors are left out".to_owned(),
            END.. => return,
            MAX_LINES.. if !is_error => return,
            _ => redact(message),
        };
        *next += 1;
        (self.sink)(LogLine { line, at: self.clock.now().to_string(), level, message });
    }
}

/// Captures the log of one run as long as it lives.
pub struct RunLog {
    run: String,
    capture: Arc<Capture>,
}

impl RunLog {
    /// Captures events of a run and sends them to `sink`, without secrets.
    pub fn capture(run: &str, clock: Clock, sink: impl Fn(LogLine) + Send + Sync + 'static) -> Self {
        let capture = Arc::new(Capture { next: Mutex::new(0), clock, sink: Arc::new(sink) });
        captures().insert(run.to_owned(), Arc::clone(&capture));
        Self { run: run.to_owned(), capture }
    }

    /// Adds a line that no event made.
    pub fn add(&self, level: LogLevel, message: &str) {
        self.capture.add(level, message);
    }
}

impl Drop for RunLog {
    fn drop(&mut self) {
        captures().remove(&self.run);
    }
}

/// The layer that finds the run of each event.
struct RunLogs;

/// The run of a span.
struct RunOfSpan(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for RunLogs {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() != "run" {
            return;
        }
        let mut fields = EventFields::default();
        attributes.record(&mut fields);
        if let (Some(run), Some(span)) = (fields.run, context.span(id)) {
            span.extensions_mut().insert(RunOfSpan(run));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(scope) = context.event_scope(event) else { return };
        let run = scope.into_iter().find_map(|span| Some(span.extensions().get::<RunOfSpan>()?.0.clone()));
        let Some(capture) = run.and_then(|run| captures().get(&run).cloned()) else { return };
        let level = match *event.metadata().level() {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            _ => LogLevel::Info,
        };
        let mut fields = EventFields::default();
        event.record(&mut fields);
        capture.add(level, &fields.text());
    }
}

/// The fields of a span or an event.
#[derive(Default)]
struct EventFields {
    message: String,
    run: Option<String>,
    others: String,
}

impl EventFields {
    fn text(self) -> String {
        format!("{}{}", self.message, self.others)
    }
}

impl Visit for EventFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            "run" => {
                self.run = Some(format!("{value:?}"));
                Ok(())
            }
            name => write!(self.others, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use host_core::clock::Clock;
    use host_core::secret::Secret;
    use host_ledger::log::LogLevel;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::{RunLog, RunLogs};

    #[test]
    fn a_log_has_an_end() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let captured = Arc::clone(&lines);
        let log = RunLog::capture("R3", Clock::system(), move |line| captured.lock().expect("lines").push(line));
        for level in [LogLevel::Info, LogLevel::Error, LogLevel::Error, LogLevel::Info] {
            (0..8_000).for_each(|_| log.add(level, "a line"));
        }
        let lines = lines.lock().expect("lines");
        let others: Vec<_> = lines.iter().filter(|line| line.message != "a line").collect();
        let others: Vec<_> = others.iter().map(|line| (line.line, line.message.as_str())).collect();
        assert_eq!(others, [(5_000, "further lines are left out"), (10_000, "further errors are left out")]);
        assert_eq!(lines.len(), 10_001);
    }

    #[test]
    fn events_inside_a_run_are_captured_without_secrets() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let captured = Arc::clone(&lines);
        let _secret = Secret::new("pat-na1-0123".to_owned());
        let log = RunLog::capture("R1", Clock::system(), move |line| captured.lock().expect("lines").push(line));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(RunLogs), || {
            tracing::info!("outside of any run");
            let run = tracing::info_span!("run", run = "R1");
            run.in_scope(|| {
                let stream = tracing::info_span!("stream", stream = "hubspot.deals");
                stream.in_scope(|| tracing::warn!(plugin = "hubspot", "refused: pat-na1-0123"));
            });
            tracing::info_span!("run", run = "R2").in_scope(|| tracing::info!("another run"));
        });
        drop(log);
        let lines = lines.lock().expect("lines");
        let texts: Vec<_> = lines.iter().map(|line| (line.line, line.level, line.message.as_str())).collect();
        assert_eq!(texts, [(0, LogLevel::Warn, "refused: *** plugin=hubspot")]);
    }
}
