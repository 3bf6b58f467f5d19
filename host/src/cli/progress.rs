//! Progress on standard error: moving lines on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use host_core::progress::{Event, Progress};
use host_core::text::escape_line;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::complain;
use crate::render::render_count;

/// Progress for standard error.
pub(super) fn on_terminal() -> Progress {
    if std::io::stderr().is_terminal() { moving() } else { plain() }
}

fn plain() -> Progress {
    Progress::new(|event| match event {
        Event::Extract { stream, rows, requests, done: true, .. } => {
            let (rows, requests) = (count_rows(rows), count_requests(requests));
            complain(&format!("extract  {stream}: {rows}, {requests}\n"));
        }
        Event::Clean { stream, rows, done: true } => {
            complain(&format!("clean    {stream}: {}\n", count_rows(rows)));
        }
        Event::Model { done, of, .. } if done == of => complain(&format!("models   {of} models and checks\n")),
        _ => {}
    })
}

fn moving() -> Progress {
    let all = MultiProgress::new();
    let started = std::time::Instant::now();
    let bars: Mutex<BTreeMap<String, ProgressBar>> = Mutex::new(BTreeMap::new());
    let spinner =
        ProgressStyle::with_template("{prefix:<9}{msg}  {elapsed}").unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressStyle::with_template("{prefix:<9}{msg}  {wide_bar} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    Progress::new(move |event| {
        let mut bars = bars.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = |key: String, prefix: &'static str, message: String, done: bool, total: Option<(u64, u64)>| {
            let progress = bars.entry(key).or_insert_with(|| all.add(ProgressBar::new_spinner().with_prefix(prefix)));
            match total {
                Some((at, of)) => {
                    progress.set_style(bar.clone());
                    progress.set_length(of);
                    progress.set_position(at);
                }
                None => progress.set_style(spinner.clone()),
            }
            progress.set_message(escape_line(&message));
            if done {
                progress.finish_and_clear();
            } else {
                progress.tick();
            }
        };
        match event {
            Event::Extract { stream, rows, requests, allowed, total, done } => {
                let seconds = started.elapsed().as_secs_f64().max(0.1);
                #[expect(clippy::cast_precision_loss, reason = "shown to a digit")]
                let rate = requests as f64 / seconds;
                let allowed = allowed.map(|allowed| format!(" of {allowed:.0} allowed")).unwrap_or_default();
                let (read, sent) = (count_rows(rows), count_requests(requests));
                let message = format!("{stream}: {read}, {sent}, {rate:.0}/s{allowed}");
                line(format!("extract {stream}"), "extract", message, done, total.map(|total| (rows, total)));
            }
            Event::Step { .. } | Event::Retry { .. } => {}
            Event::Clean { stream, rows, done } => {
                line(format!("clean {stream}"), "clean", format!("{stream}: {}", count_rows(rows)), done, None);
            }
            Event::Model { model, done, of, .. } => {
                line("models".to_owned(), "models", model, done == of, Some((done as u64, of as u64)));
            }
        }
    })
}

fn count_rows(rows: u64) -> String {
    render_count(rows, "row", "rows")
}

fn count_requests(requests: u64) -> String {
    render_count(requests, "request", "requests")
}
