//! Keeps a warehouse's files private: only their owner reads them, and nothing that DuckDB moved to disk stays there.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use host_core::error::{Error, Result};
use host_core::files::folder_of;

use crate::files::{remove_database, with_suffix};

/// What stands beside a warehouse's file and may contain its rows: the write-ahead log, its copies while DuckDB writes a
/// checkpoint, and a rewritten file that did not replace the old one.
const BESIDE: [&str; 5] = [".wal", ".wal.checkpoint", ".wal.recovery", ".next", ".next.wal"];

/// The beginning of the suffixes of copies that the host keeps.
const COPIES: [&str; 2] = [".version-", ".discarded-"];

/// The path of a file without links. The file need not exist, its folder must.
pub(crate) fn real_path(path: &Path) -> std::io::Result<PathBuf> {
    match std::fs::canonicalize(path) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
        found => return found,
    }
    let folder = folder_of(path);
    match std::fs::read_link(path) {
        // DuckDB creates the file to which a link leads.
        Ok(target) => real_path(&folder.join(target)),
        Err(_) => Ok(std::fs::canonicalize(folder)?.join(path.file_name().unwrap_or_default())),
    }
}

/// The folder into which DuckDB moves what does not fit into memory.
pub(crate) fn spill_folder(database: &Path) -> PathBuf {
    with_suffix(database, ".tmp")
}

/// Makes every file that this process creates from now on private, whoever creates it: DuckDB has no setting for it.
pub(crate) fn create_private_files() {
    #[cfg(unix)]
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
}

/// How a private file is opened or created. A link is not followed.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600).custom_flags(nix::libc::O_NOFOLLOW);
    }
    options
}

/// Whether an open file is the one at a path.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let same =
            |file: std::fs::Metadata, other: std::fs::Metadata| (file.dev(), file.ino()) == (other.dev(), other.ino());
        file.metadata().and_then(|file| Ok(same(file, std::fs::symlink_metadata(path)?))).unwrap_or(false)
    }
    #[cfg(not(unix))]
    {
        path.exists()
    }
}

/// Takes the rights of all other users from the files of a warehouse, which an earlier version may have created with them.
/// A file of another user stays as it is.
pub(crate) fn restrict_files(database: &Path) {
    restrict(database);
    BESIDE.iter().for_each(|suffix| restrict(&with_suffix(database, suffix)));
    let Some(name) = database.file_name().and_then(|name| name.to_str()) else { return };
    for entry in std::fs::read_dir(folder_of(database)).into_iter().flatten().flatten() {
        let found = entry.file_name();
        let suffix = found.to_str().and_then(|found| found.strip_prefix(name)).unwrap_or_default();
        if COPIES.iter().any(|copies| suffix.starts_with(copies)) {
            restrict(&entry.path());
        }
    }
}

/// Makes a file readable and writable by its owner only.
pub(crate) fn restrict(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let Ok(metadata) = std::fs::symlink_metadata(path) else { return };
        if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
            // Only the owner may do this.
            let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
        }
    }
}

/// Removes a file of no bytes, which DuckDB does not open: the power failed after the file was created.
///
/// # Errors
/// A file that cannot be removed.
pub(crate) fn remove_if_empty(database: &Path) -> Result<()> {
    if std::fs::symlink_metadata(database).is_ok_and(|found| found.is_file() && found.len() == 0) {
        std::fs::remove_file(database).map_err(|cause| Error::config(cause.to_string()))?;
    }
    Ok(())
}

/// Removes a rewritten file that did not replace the old one, because the process was killed: it may contain rows that were
/// erased since.
///
/// # Errors
/// A file that cannot be removed.
pub(crate) fn remove_rewritten(database: &Path) -> Result<()> {
    let next = with_suffix(database, ".next");
    remove_database(&next).map_err(|cause| Error::config(cause.to_string()).on(next.display()))
}

/// Removes what a killed process left in the folder of rows that did not fit into memory. Only the process that has locked the
/// warehouse may do this.
///
/// # Errors
/// A file that cannot be removed: it may contain the rows of people who are erased.
pub(crate) fn clear_spill(database: &Path) -> Result<()> {
    let folder = spill_folder(database);
    let failed = |path: &Path, cause: std::io::Error| {
        let error = Error::config(format!("cannot remove {}, which a killed run left: {cause}", path.display()));
        error.hint("it may contain rows of the warehouse: remove it, then run again")
    };
    // A link is not followed, and files that are not DuckDB's stay.
    if !std::fs::symlink_metadata(&folder).is_ok_and(|found| found.is_dir()) {
        return Ok(());
    }
    for entry in std::fs::read_dir(&folder).map_err(|cause| failed(&folder, cause))?.flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with("duckdb_temp_")) {
            std::fs::remove_file(entry.path()).map_err(|cause| failed(&entry.path(), cause))?;
        }
    }
    // The folder stays if something else is in it.
    let _ = std::fs::remove_dir(&folder);
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::spill_folder;
    use crate::{Warehouse, with_suffix};

    /// The permissions of a file or folder.
    fn mode(path: &Path) -> u32 {
        std::fs::symlink_metadata(path).expect("a file").permissions().mode() & 0o777
    }

    #[test]
    fn the_files_of_a_warehouse_are_private_whatever_they_were() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("w.duckdb");
        let open = || Warehouse::open(&path, "256MB").expect("a warehouse");
        drop(open());
        assert_eq!(mode(&path), 0o600);
        let old = ["w.duckdb", "w.duckdb.version-3", "w.duckdb.discarded-1.wal", "other.duckdb"]
            .map(|name| folder.path().join(name));
        for file in &old {
            let _ = std::fs::OpenOptions::new().create(true).append(true).open(file).expect("a file");
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o664)).expect("permissions");
        }
        let warehouse = open();
        assert_eq!(old.each_ref().map(|file| mode(file)), [0o600, 0o600, 0o600, 0o664]);
        warehouse.execute("CREATE TABLE t AS SELECT 7 AS a").expect("a table");
        assert_eq!(mode(&with_suffix(&path, ".wal")), 0o600);
        warehouse.copy_to(&folder.path().join("copy"), "").expect("a copy");
        assert_eq!(mode(&folder.path().join("copy")), 0o600);
    }

    #[test]
    fn rows_that_do_not_fit_into_memory_are_private_and_leave_with_the_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("w.duckdb");
        let warehouse = Warehouse::open(&path, "100MB").expect("a warehouse");
        let large = "CREATE TEMP TABLE large AS SELECT range AS a, md5(range::VARCHAR) AS b FROM range(4000000)";
        warehouse.execute(large).expect("a table");
        let spill = spill_folder(&path);
        assert_eq!(mode(&spill), 0o700);
        let files = std::fs::read_dir(&spill).expect("a folder").map(|entry| entry.expect("an entry").path());
        let files: Vec<_> = files.collect();
        assert!(!files.is_empty() && files.iter().all(|file| mode(file) == 0o600), "{files:?}");
        drop(warehouse);
        assert!(!spill.exists());
    }

    #[test]
    fn what_a_killed_process_left_is_removed_when_the_warehouse_is_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("w.duckdb");
        drop(Warehouse::open(&path, "256MB").expect("a warehouse"));
        let spill = spill_folder(&path);
        let leave = |name: &str| {
            std::fs::create_dir_all(&spill).expect("a folder");
            std::fs::write(spill.join(name), "ana@example.com").expect("a file");
        };
        leave("duckdb_temp_storage_DEFAULT-0.tmp");
        leave("duckdb_temp_block-7.block");
        let next = with_suffix(&path, ".next");
        std::fs::write(&next, "ana@example.com").expect("a file");
        let open = Warehouse::open(&path, "256MB").expect("a warehouse");
        assert!(!spill.exists() && !next.exists());
        // The process that has the warehouse open may need the files.
        leave("duckdb_temp_storage_DEFAULT-0.tmp");
        assert!(Warehouse::open(&path, "256MB").is_err());
        assert!(spill.join("duckdb_temp_storage_DEFAULT-0.tmp").exists());
        drop(open);
        leave("notes.txt");
        drop(Warehouse::open(&path, "256MB").expect("a warehouse"));
        assert_eq!(std::fs::read_dir(&spill).expect("a folder").count(), 1, "a file that is not DuckDB's stays");
    }
}
