//! The exit codes, from the kinds of errors.

use host_core::error::Kind;

use super::{paragraph, table};
use crate::cli::PARTIAL;

/// The page of all exit codes.
pub(super) fn render() -> String {
    let mut codes = vec![
        (0, "none", "Nothing: the command did everything."),
        (
            PARTIAL,
            "none",
            "Read the report: the run is partial. A stream that the pipeline names was skipped because its scope is \
                     missing, or the first load of a stream is not complete.",
        ),
    ];
    codes.extend(KINDS.map(|kind| (kind.exit_code(), kind.name(), next_step(kind))));
    codes.sort_by_key(|(code, ..)| *code);
    let rows: Vec<_> =
        codes.iter().map(|(code, kind, next)| vec![format!("`{code}`"), kind_text(kind), (*next).to_owned()]).collect();
    format!("# Exit codes\n\n{}\n{}", paragraph(INTRODUCTION), table(&["code", "`kind`", "what to do next"], &rows))
}

const INTRODUCTION: &str = "The exit code of `host` says what to do next. An error is printed to standard error; with `--format json` as \
                            an object `{\"error\": {\"kind\": …, \"message\": …, \"hint\": …, \"problems\": […]}}`, where `kind` \
                            is the name below.";

const KINDS: [Kind; 6] = [Kind::Internal, Kind::Config, Kind::Unavailable, Kind::Plugin, Kind::Data, Kind::Interrupted];

fn kind_text(kind: &str) -> String {
    if kind == "none" { kind.to_owned() } else { format!("`{kind}`") }
}

const fn next_step(kind: Kind) -> &'static str {
    match kind {
        Kind::Config => "Fix the pipeline, a secret, a file or the command.",
        Kind::Unavailable => "Run the same command again later: a service or a file was not available.",
        Kind::Plugin => "Check the plugin.",
        Kind::Data => "Check the data: a check failed, or a response is not as expected.",
        Kind::Internal => "Report a bug in `host`.",
        Kind::Interrupted => "Run the same command again: it was stopped on request and continues where it stopped.",
    }
}
