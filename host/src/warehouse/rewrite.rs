//! What has to follow an erasure: models are built without what was erased, and the file is written anew, since DuckDB
//! leaves what was deleted in free blocks until they are used again.

use std::path::Path;

use super::{Warehouse, literal, quote};
use crate::error::{Error, Result};

impl Warehouse {
    /// Notes that models and free blocks of the file hold what was erased.
    pub(super) fn note_erasure(&self, load_id: &str) -> Result<()> {
        self.change("INSERT INTO _host.erasures VALUES (?1, 'models'), (?1, 'file')", &[load_id]).map(drop)
    }

    /// Whether models may still hold what was erased.
    pub fn has_erased(&self) -> Result<bool> {
        Ok(self.value("SELECT 1 FROM _host.erasures WHERE holder = 'models' LIMIT 1", &[])?.is_some())
    }

    /// Notes that no model holds it any more.
    pub fn models_are_clear(&self) -> Result<()> {
        self.execute("DELETE FROM _host.erasures WHERE holder = 'models'")
    }

    /// Notes it where there are no models.
    pub fn no_models_are_clear(&self) -> Result<()> {
        let sql =
            "DELETE FROM _host.erasures WHERE holder = 'models' AND NOT EXISTS (SELECT 1 FROM _host.model_builds)";
        self.execute(sql)
    }

    /// Whether free blocks of the file may hold what was erased.
    pub fn is_rewrite_due(&self) -> Result<bool> {
        Ok(self.value("SELECT 1 FROM _host.erasures WHERE holder = 'file' LIMIT 1", &[])?.is_some())
    }

    /// Writes the file anew and closes it. The new file takes the old one's place whole, with its permissions, and behind
    /// the link where it is one.
    pub fn rewrite(self) -> Result<()> {
        let on = |path: &Path, error: Error| {
            let error = error.on(format!("{}, the warehouse without what was erased", path.display()));
            error.hint("the rows are gone, but their bytes may still be in free blocks of the file: the same command again writes it anew")
        };
        let path = std::fs::canonicalize(&self.path);
        let path = path.map_err(|cause| on(&self.path, Error::config(cause.to_string())))?;
        let mut next = path.clone().into_os_string();
        next.push(".next");
        let next = std::path::PathBuf::from(next);
        let broken = |cause: std::io::Error| on(&next, Error::config(cause.to_string()));
        let log = next.with_extension("next.wal");
        let clear = || {
            let mut left = [&next, &log].into_iter().filter(|left| left.exists());
            left.try_for_each(|left| std::fs::remove_file(left).map_err(broken))
        };
        clear()?;
        let this = self.value("SELECT current_database()", &[])?.unwrap_or_default();
        let is_clear = if self.has_erased()? { "" } else { "DELETE FROM rewritten._host.erasures; " };
        let before = std::fs::metadata(&path).map_err(broken)?;
        let written = self.execute(&format!("CHECKPOINT; ATTACH {} AS rewritten", literal(&next.to_string_lossy())));
        let written = written.and_then(|()| {
            give(&next, &before).map_err(broken)?;
            self.execute(&format!("COPY FROM DATABASE {} TO rewritten; {is_clear}DETACH rewritten", quote(&this)))
        });
        if let Err(error) = written {
            // A half of a copy holds space, and what others say of themselves; the failure matters more.
            let _ = self.execute("ROLLBACK");
            let _ = self.execute("DETACH DATABASE IF EXISTS rewritten");
            let _ = clear();
            return Err(on(&next, error));
        }
        drop(self);
        std::fs::rename(&next, &path).map_err(broken)
    }
}

/// Gives a file to whom another belongs, before anything is in it. Who may not give files away owns both.
fn give(file: &Path, like: &std::fs::Metadata) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let _ = std::os::unix::fs::chown(file, Some(like.uid()), Some(like.gid()));
    }
    std::fs::set_permissions(file, like.permissions())
}
