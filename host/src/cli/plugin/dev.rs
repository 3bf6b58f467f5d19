//! `host plugin dev`: builds a rule's crate and shows what it does to the first raw rows, anew with each change of a file.

use std::fmt::Write as _;
use std::path::{Component as PathPart, Path, PathBuf};
use std::time::Duration;

use clap::Args;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::super::{Format, Shared, json, on_pipeline};
use super::{say, stem};
use crate::clean::{Sampled, loaded, sample};
use crate::error::{Error, Result};
use crate::plugin::build;
use crate::prepare::prepare;
use crate::run::Context;

/// Where in the crate's folder the component is built.
const OUTPUT: &str = "target/host-dev";
/// How long no file changes before what was written is taken for whole: an editor writes in several steps.
const QUIET: Duration = Duration::from_millis(150);

/// Builds a rule and shows what it does, in the place that it has in a pipeline.
#[derive(Args)]
#[command(after_help = "Example: host plugin dev my-rule --pipeline pipelines/hubspot.toml")]
pub(in crate::cli) struct Dev {
    /// The crate's folder, named as the plugin.
    folder: PathBuf,
    /// A pipeline with a `[[rule]]` of this plugin, whose streams a run has loaded. It is read once.
    #[arg(long)]
    pipeline: PathBuf,
    /// How many rows of each stream.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rows: u32,
    /// Cargo's profile.
    #[arg(long, default_value = "release")]
    profile: String,
    /// Once, without waiting for changes.
    #[arg(long)]
    once: bool,
}

impl Dev {
    pub(super) fn run(&self, shared: &Shared) -> Result<String> {
        let folder = self.folder.canonicalize();
        let folder = folder.map_err(|cause| Error::config(format!("{}: {cause}", self.folder.display())))?;
        on_pipeline(&self.pipeline, shared, async |context| {
            if self.once {
                return self.round(&folder, context, shared).await;
            }
            let mut stop = context.stop.clone();
            loop {
                // From before the build on, so that no change is missed, and anew each time, for new folders.
                let mut changes = Changes::of(&folder)?;
                match self.round(&folder, context, shared).await {
                    Ok(text) => say(&text)?,
                    // What does not compile yet is what one is at work on.
                    Err(error) => eprintln!("error: {error}"),
                }
                tokio::select! {
                    () = changes.next() => {}
                    _ = stop.wait_for(|stopped| *stopped) => return Ok(String::new()),
                }
            }
        })
    }

    /// Builds the crate and tries it on each of its streams.
    async fn round(&self, folder: &Path, context: &Context<'_>, shared: &Shared) -> Result<String> {
        let output = folder.join(OUTPUT);
        let folders = [folder.to_path_buf()];
        let built = tokio::task::block_in_place(|| build::build(&folders, &self.profile, &output))?;
        let component = built.first().ok_or_else(|| Error::internal("nothing was built"))?;
        let name = component.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let mut pipeline = context.pipeline.clone();
        let mut places = Vec::new();
        for (at, rule) in pipeline.file.rule.iter_mut().enumerate() {
            if stem(&rule.plugin) == name {
                // The file is called as the plugin, and so the rule keeps its name.
                rule.plugin = component.display().to_string();
                // The pin is that of the component in use.
                rule.sha256 = None;
                places.push(at);
            }
        }
        if places.is_empty() {
            let error = Error::config(format!("{}: no rule with the plugin `{name}`", self.pipeline.display()));
            return Err(error.hint(format!("add `[[rule]]` with `plugin = \"{name}\"`, `streams` and `config`")));
        }
        let rules = prepare(&pipeline, context.engine, context.search, false).await?.rules;
        let warehouse = context.look()?;
        let mut sampled = Vec::new();
        for at in places {
            for stream in &rules[at].streams {
                let stream = loaded(&warehouse, stream)?;
                sampled.push(sample(&warehouse, (&rules, at), &stream, self.rows).await?);
            }
        }
        if shared.format == Format::Json { json(&sampled) } else { Ok(sampled.iter().map(shown).collect()) }
    }
}

fn shown(sampled: &Sampled) -> String {
    let Sampled { rule, stream, rows, changes, remarks, warnings } = sampled;
    let mut out =
        format!("{rule} on {stream}: {rows} rows · {} fields changed · {} remarks\n", changes.len(), remarks.len());
    let quoted = |value: &Option<String>| value.as_ref().map_or_else(|| "–".to_owned(), |value| format!("`{value}`"));
    for change in changes {
        let (before, after) = (quoted(&change.before), quoted(&change.after));
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {:<16} {}: {before} → {after}", change.key, change.column);
    }
    for remark in remarks {
        let _ = writeln!(out, "  {:<16} {} {}", remark.key, remark.what, remark.message);
    }
    for warning in warnings {
        let _ = writeln!(out, "  warning: {warning}");
    }
    out
}

/// Changes of the files of a crate.
struct Changes {
    /// It watches as long as it lives.
    _watcher: RecommendedWatcher,
    heard: mpsc::UnboundedReceiver<()>,
}

impl Changes {
    fn of(folder: &Path) -> Result<Self> {
        let broken = |cause: notify::Error| Error::config(format!("{} cannot be watched: {cause}", folder.display()));
        let (sender, heard) = mpsc::unbounded_channel();
        let root = folder.to_path_buf();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let matters = |event: notify::Event| {
                !event.kind.is_access() && event.paths.iter().any(|path| is_of_the_crate(&root, path))
            };
            if event.is_ok_and(matters) {
                // Whoever listened is gone with the watcher.
                let _ = sender.send(());
            }
        })
        .map_err(broken)?;
        watcher.watch(folder, RecursiveMode::NonRecursive).map_err(broken)?;
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && is_of_the_crate(folder, &path) {
                watcher.watch(&path, RecursiveMode::Recursive).map_err(broken)?;
            }
        }
        Ok(Self { _watcher: watcher, heard })
    }

    /// Waits for a change, and until no other follows.
    async fn next(&mut self) {
        self.heard.recv().await;
        while matches!(tokio::time::timeout(QUIET, self.heard.recv()).await, Ok(Some(()))) {}
    }
}

/// Whether a person wrote it, rather than cargo or an editor.
fn is_of_the_crate(root: &Path, path: &Path) -> bool {
    let Ok(inside) = path.strip_prefix(root) else { return false };
    let Some(PathPart::Normal(first)) = inside.components().next() else { return false };
    let is_hidden = inside.iter().any(|part| part.to_string_lossy().starts_with('.'));
    !is_hidden && first != "target" && first != "Cargo.lock" && path.extension().is_none_or(|end| end != "wasm")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::is_of_the_crate;

    #[test]
    fn what_cargo_writes_is_no_change() {
        let check = |path: &str, expect: bool| {
            assert_eq!(is_of_the_crate(Path::new("/rule"), &Path::new("/rule").join(path)), expect, "{path}");
        };
        check("src/lib.rs", true);
        check("Cargo.toml", true);
        check("target/release/rule.wasm", false);
        check("Cargo.lock", false);
        check("src/.lib.rs.swp", false);
        check(".git/index", false);
        check("rule.wasm", false);
        check("", false);
    }
}
