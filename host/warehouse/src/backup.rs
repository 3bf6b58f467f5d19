//! Copies of the whole database into another file, made by DuckDB itself.
//!
//! The host itself never opens the warehouse's file while DuckDB has it open: POSIX drops a process's lock when any descriptor
//! of the file is closed, and another process could then open the warehouse for writing.

use std::path::Path;

use host_core::error::{Error, Result};
use host_core::kill_point;

use crate::files::{remove_database, sync_folder, with_suffix};
use crate::{Warehouse, literal, quote};

/// The name under which a copy is attached while it is written.
const COPY: &str = "host_copy";

impl Warehouse {
    /// Writes a copy of the database to `path`, which must not exist, with the owner and the permissions of the warehouse's
    /// file. Runs `in_copy` on the copy, whose schemas are written `host_copy.schema`, before it is closed.
    ///
    /// # Errors
    /// A full disk, a folder that cannot be written, and an error of `in_copy`. Nothing is left at `path` then.
    pub fn copy_to(&self, path: &Path, in_copy: &str) -> Result<()> {
        let on = |error: Error| error.on(path.display());
        let failed = |cause: std::io::Error| on(Error::config(cause.to_string()));
        remove_database(path).map_err(failed)?;
        let database = self.database()?;
        let like = std::fs::metadata(self.path()).map_err(failed)?;
        let attached = self.execute(&format!("CHECKPOINT; ATTACH {} AS {COPY}", literal(&path.to_string_lossy())));
        let copied = attached.and_then(|()| {
            copy_owner_and_permissions(path, &like).map_err(failed)?;
            kill_point("backup.attached");
            self.execute(&format!("COPY FROM DATABASE {} TO {COPY}; {in_copy}", quote(&database)))?;
            kill_point("backup.copied");
            self.execute(&format!("DETACH {COPY}"))?;
            let log = with_suffix(path, ".wal");
            // A copy that replaces the warehouse's file has no log.
            if log.exists() {
                Err(Error::config(format!("{} was not written into the copy", log.display())))
            } else {
                Ok(())
            }
        });
        if let Err(error) = copied {
            // A partial copy takes space and contains data. An error of its removal matters less than the first error.
            let _ = self.execute("ROLLBACK");
            let _ = self.execute(&format!("DETACH DATABASE IF EXISTS {COPY}"));
            let _ = remove_database(path);
            return Err(on(error));
        }
        Ok(())
    }

    /// Rewrites the file without the free blocks that still hold deleted rows, and closes it, which must be the last
    /// connection. The new file replaces the old one. If the path is a symbolic link, its target is replaced. No other process
    /// of the host opens the warehouse before that.
    ///
    /// # Errors
    /// Same as [`Warehouse::copy_to`]; the old file is unchanged then.
    pub fn rewrite(self, in_copy: &str) -> Result<()> {
        let on = |error: Error| error.on("rewriting the warehouse's file");
        let path = std::fs::canonicalize(self.path()).map_err(|cause| on(Error::config(cause.to_string())))?;
        let next = with_suffix(&path, ".next");
        self.copy_to(&next, in_copy).map_err(on)?;
        kill_point("rewrite.copied");
        let lock = self.lock.clone();
        drop(self);
        kill_point("rewrite.closed");
        let renamed = std::fs::rename(&next, &path).and_then(|()| sync_folder(&path));
        renamed.map_err(|cause| on(Error::config(cause.to_string())))?;
        kill_point("rewrite.renamed");
        drop(lock);
        Ok(())
    }
}

/// Gives a file the owner and the permissions of another before data is written to it. A user who may not change owners
/// already owns both files.
fn copy_owner_and_permissions(file: &Path, like: &std::fs::Metadata) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let _ = std::os::unix::fs::chown(file, Some(like.uid()), Some(like.gid()));
    }
    std::fs::set_permissions(file, like.permissions())
}

#[cfg(all(test, unix))]
mod tests {
    use std::path::Path;

    use crate::Warehouse;

    #[test]
    fn a_warehouse_behind_a_link_is_copied_and_rewritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("real")).expect("a folder");
        std::fs::create_dir(at("links")).expect("a folder");
        std::os::unix::fs::symlink(at("real"), at("folder")).expect("a link");
        std::os::unix::fs::symlink(at("real/w.duckdb"), at("links/w.duckdb")).expect("a link");
        Warehouse::open(&at("real/w.duckdb"), "256MB")
            .and_then(|new| new.execute("CREATE TABLE t AS SELECT 7 AS a"))
            .expect("a warehouse");
        for path in ["folder/w.duckdb", "links/w.duckdb"] {
            let open = || Warehouse::open(&at(path), "256MB").expect("a warehouse");
            let beside = at(path).with_extension("copy");
            open().copy_to(Path::new(&beside), "").expect("a copy");
            open().rewrite("").expect("a rewritten file");
            assert_eq!(open().count("SELECT a FROM t", ()).expect("a row"), 7, "{path}");
        }
    }
}
