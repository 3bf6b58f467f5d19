//! Opens a warehouse whose write-ahead log is damaged as it was at its last checkpoint, and keeps the log.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use host_core::error::{Error, FaultClass, Result};
use host_core::files::folder_of;
use host_core::kill_point;

use crate::fault::damaged_at;
use crate::files::sync_folder;
use crate::lock::FileLock;
use crate::{Warehouse, private, with_suffix};

/// The files of a write-ahead log, in the order in which they are moved: without the last, DuckDB reads none of the others.
const LOG: [&str; 3] = [".wal.checkpoint", ".wal.recovery", ".wal"];

/// The bytes before an entry of the log: its length and its checksum. DuckDB reports the byte after them.
const ENTRY_HEADER: u64 = 16;

/// How often a log is cut further back, until what is left of it can be read.
const MAX_CUTS: usize = 4;

/// A warehouse that was opened without its write-ahead log.
pub struct WithoutLog<T> {
    /// The warehouse, as it was at its last checkpoint.
    pub warehouse: Warehouse,
    /// The files of the log, where they are now.
    pub kept: Vec<PathBuf>,
    /// What was read from the undamaged part of the log, and the warehouse below it. None if nothing of it can be read.
    pub read: Option<T>,
}

impl Warehouse {
    /// Moves the write-ahead log of a warehouse to `<file>.discarded-<name>.wal` and opens the warehouse without it. Before
    /// that, `read` gets the warehouse, read-only, with the transactions of the log up to where it is damaged.
    ///
    /// # Errors
    /// Same as [`Warehouse::open`], and files that cannot be moved.
    pub fn open_without_log<T>(
        path: &Path,
        memory_limit: &str,
        name: &str,
        read: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<WithoutLog<T>> {
        let on = |error: Error| error.on(format!("warehouse {}", path.display()));
        let failed = |cause: std::io::Error| on(Error::config(cause.to_string()));
        private::create_private_files();
        let database = private::real_path(path).map_err(failed)?;
        let lock = FileLock::acquire(&database).map_err(on)?;
        let kept = lock.while_closed(|| keep_log(&database, name).map_err(|cause| Error::config(cause.to_string())));
        let kept = kept.map_err(on)?;
        kill_point("recover.moved");
        // The readable part is for the report only: the warehouse is opened without it.
        let read = read_log(&database, memory_limit, &kept, read).ok();
        remove_log(&database).map_err(failed)?;
        kill_point("recover.read");
        let warehouse = Self::open_locked(path, memory_limit, lock)?;
        Ok(WithoutLog { warehouse, kept, read })
    }
}

/// Moves the files of the log. Returns where they are, the log itself last.
fn keep_log(database: &Path, name: &str) -> std::io::Result<Vec<PathBuf>> {
    let mut kept = Vec::new();
    for suffix in LOG {
        let file = with_suffix(database, suffix);
        if !file.exists() {
            continue;
        }
        private::restrict(&file);
        let target = (0..).map(|number| {
            let number = if number == 0 { String::new() } else { format!("-{number}") };
            with_suffix(database, &format!(".discarded-{name}{number}{suffix}"))
        });
        // A log that was kept before stays.
        let target = target.into_iter().find(|target| !target.exists()).unwrap_or_default();
        std::fs::rename(&file, &target)?;
        kept.push(target);
    }
    sync_folder(database)?;
    Ok(kept)
}

/// Opens the database with as much of the log as can be read, and reads. Writes nothing but the part of the log, which is
/// removed later; a process that dies before leaves a shorter log that is not damaged.
fn read_log<T>(
    database: &Path,
    memory_limit: &str,
    kept: &[PathBuf],
    read: impl FnOnce(&Warehouse) -> Result<T>,
) -> Result<T> {
    let unreadable = || Error::config("the log cannot be read");
    let log = kept.iter().find(|file| !LOG[..2].iter().any(|suffix| file.to_string_lossy().ends_with(suffix)));
    let log = log.ok_or_else(unreadable)?;
    let mut length = std::fs::metadata(log).map_err(Error::internal)?.len();
    for _ in 0..MAX_CUTS {
        copy_start(log, &with_suffix(database, ".wal"), length).map_err(|cause| Error::config(cause.to_string()))?;
        match Warehouse::open_read_only(database, memory_limit) {
            Ok(warehouse) => return read(&warehouse),
            Err(error) if error.is_fault(FaultClass::DamagedLog) => {
                let cut = damaged_at(&error.message()).map(|at| at.saturating_sub(ENTRY_HEADER));
                length = cut.filter(|cut| *cut < length).ok_or(error)?;
            }
            Err(error) => return Err(error),
        }
    }
    Err(unreadable())
}

/// Copies the first bytes of a file.
fn copy_start(from: &Path, to: &Path, length: u64) -> std::io::Result<()> {
    let mut copy = private::options().open(to)?;
    copy.set_len(0)?;
    std::io::copy(&mut File::open(from)?.take(length), &mut copy)?;
    copy.flush()?;
    copy.sync_all()
}

fn remove_log(database: &Path) -> std::io::Result<()> {
    for suffix in LOG {
        match std::fs::remove_file(with_suffix(database, suffix)) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
    }
    sync_folder(database)
}

/// Removes the logs that were kept beside a warehouse: they contain rows that were erased later. Returns those that existed.
///
/// # Errors
/// A file that cannot be removed.
pub fn remove_discarded_logs(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let database = private::real_path(path)?;
    let Some(start) = with_suffix(&database, ".discarded-").file_name().map(|name| name.to_string_lossy().into_owned())
    else {
        return Ok(Vec::new());
    };
    let mut removed = Vec::new();
    for entry in std::fs::read_dir(folder_of(&database))? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start)) {
            std::fs::remove_file(&path)?;
            removed.push(path);
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use host_core::error::FaultClass;

    use super::remove_discarded_logs;
    use crate::{Warehouse, with_suffix};

    fn open(path: &Path) -> host_core::error::Result<Warehouse> {
        Warehouse::open(path, "256MB")
    }

    /// A database with three rows in its file, and two transactions of one row each in a log that no checkpoint follows.
    fn database(folder: &Path) -> (PathBuf, Vec<u8>) {
        let path = folder.join("w.duckdb");
        let warehouse = open(&path).expect("a warehouse");
        warehouse.execute("CREATE TABLE t AS SELECT range AS a FROM range(3); CHECKPOINT").expect("a table");
        warehouse.execute("INSERT INTO t VALUES (3); INSERT INTO t VALUES (4)").expect("rows");
        let (file, log) =
            (std::fs::read(&path).expect("a file"), std::fs::read(with_suffix(&path, ".wal")).expect("a log"));
        drop(warehouse);
        std::fs::write(&path, file).expect("a file");
        (path, log)
    }

    fn rows(warehouse: &Warehouse) -> host_core::error::Result<u64> {
        warehouse.count("SELECT count(*) FROM t", ())
    }

    #[test]
    fn a_damaged_log_is_kept_and_read_up_to_the_damage() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, log) = database(folder.path());
        let flipped = |at: usize| {
            log.iter().enumerate().map(|(i, byte)| if i == at { byte ^ 0xff } else { *byte }).collect::<Vec<_>>()
        };
        let zeros_at_the_end = [log.as_slice(), &[0; 64]].concat();
        for (name, damaged, read) in [
            ("last", flipped(log.len() - 5), Some(4)),
            ("first", flipped(30), Some(3)),
            ("zeros", zeros_at_the_end, Some(5)),
        ] {
            std::fs::write(with_suffix(&path, ".wal"), &damaged).expect("a log");
            let error = open(&path).err().unwrap_or_else(|| unreachable!("{name}: it opens"));
            assert!(error.is_fault(FaultClass::DamagedLog), "{name}: {error}");
            assert!(error.hint_text().is_some_and(|hint| hint.contains("host recover")), "{name}");
            let opened = Warehouse::open_without_log(&path, "256MB", name, rows).expect("a warehouse");
            assert_eq!(opened.read, read, "{name}");
            assert_eq!(rows(&opened.warehouse).expect("rows"), 3, "{name}");
            let kept = with_suffix(&path, &format!(".discarded-{name}.wal"));
            assert_eq!(opened.kept, [kept.as_path()]);
            assert_eq!(std::fs::read(&kept).expect("a log"), damaged, "{name}");
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                assert_eq!(std::fs::metadata(kept).expect("a log").permissions().mode() & 0o777, 0o600);
            }
        }
        assert_eq!(remove_discarded_logs(&path).expect("a removal").len(), 3);
        assert_eq!(open(&path).and_then(|warehouse| rows(&warehouse)).expect("rows"), 3);
    }

    #[test]
    fn a_log_of_which_nothing_can_be_read_is_kept_too_and_none_is_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, _) = database(folder.path());
        for number in ["", "-1"] {
            std::fs::write(with_suffix(&path, ".wal"), [7; 100]).expect("a log");
            let opened = Warehouse::open_without_log(&path, "256MB", "x", |_| Ok(())).expect("a warehouse");
            assert_eq!(opened.kept, [with_suffix(&path, &format!(".discarded-x{number}.wal"))]);
            assert_eq!(rows(&opened.warehouse).expect("rows"), 3);
        }
    }
}
