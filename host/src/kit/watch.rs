//! Watches the files of a crate for changes.

use std::path::{Component as PathPart, Path};
use std::time::Duration;

use host_core::error::{Error, Result};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// How long no file changes before a change is complete: an editor saves in several steps.
const QUIET: Duration = Duration::from_millis(150);

/// Changes of the files of a crate.
pub struct CrateChanges {
    /// It watches until it is dropped.
    _watcher: RecommendedWatcher,
    changes: mpsc::UnboundedReceiver<()>,
}

impl CrateChanges {
    /// Starts to watch a crate's folder. Folders that are made later need a new watch.
    pub(super) fn of(folder: &Path) -> Result<Self> {
        let failed = |cause: notify::Error| Error::config(format!("cannot watch {}: {cause}", folder.display()));
        let (sender, changes) = mpsc::unbounded_channel();
        let root = folder.to_path_buf();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let matters = |event: notify::Event| {
                !event.kind.is_access() && event.paths.iter().any(|path| is_source_file(&root, path))
            };
            if event.is_ok_and(matters) {
                // The receiver is dropped with the watcher.
                let _ = sender.send(());
            }
        })
        .map_err(failed)?;
        watcher.watch(folder, RecursiveMode::NonRecursive).map_err(failed)?;
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && is_source_file(folder, &path) {
                watcher.watch(&path, RecursiveMode::Recursive).map_err(failed)?;
            }
        }
        Ok(Self { _watcher: watcher, changes })
    }

    /// Waits for a change, and until it is complete.
    pub async fn next(&mut self) {
        self.changes.recv().await;
        while matches!(tokio::time::timeout(QUIET, self.changes.recv()).await, Ok(Some(()))) {}
    }
}

/// Whether a person wrote the file, rather than cargo or an editor.
fn is_source_file(root: &Path, path: &Path) -> bool {
    let Ok(inside) = path.strip_prefix(root) else { return false };
    let Some(PathPart::Normal(first)) = inside.components().next() else { return false };
    let is_hidden = inside.iter().any(|part| part.to_string_lossy().starts_with('.'));
    !is_hidden && first != "target" && first != "Cargo.lock" && path.extension().is_none_or(|end| end != "wasm")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::is_source_file;

    #[test]
    fn files_of_cargo_and_editors_do_not_count_as_changes() {
        let check = |path: &str, expect: bool| {
            assert_eq!(is_source_file(Path::new("/rule"), &Path::new("/rule").join(path)), expect, "{path}");
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
