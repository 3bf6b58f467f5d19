//! Keeps other processes out of a warehouse's file while this process has it open.
//!
//! DuckDB locks its file with a POSIX lock, which belongs to the process and which the kernel drops when the process closes
//! any descriptor of the file: a plugin that reads a granted file which is the warehouse is enough. So the host holds two
//! locks of its own, which belong to descriptors that nothing else has:
//!
//! - **The lock file** `FILE.lock` keeps out other processes of the host, from before DuckDB opens the file until after it is
//!   closed, and while a rewritten file replaces the old one.
//! - **A lock on the file itself** keeps out other programs that use DuckDB. It conflicts with DuckDB's own lock, which it
//!   therefore replaces once the file is open. Only Linux has such locks.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use host_core::error::{Error, Result};

use crate::files::with_suffix;
use crate::private;

const OWNER_HINT: &str = "a warehouse belongs to the user who created it: run `host` as that user, or `chown` it and the files \
                          beside it";

/// The locks on a warehouse's file. They are released when the value is dropped, after the last connection is closed.
#[derive(Debug)]
pub(crate) struct FileLock {
    /// The warehouse's file, without links.
    database: PathBuf,
    /// The lock file, locked.
    beside: File,
    /// The warehouse's file, locked. None before DuckDB has opened it, and where such locks do not exist.
    inside: Option<open_file::Lock>,
}

impl FileLock {
    /// Locks a warehouse, whose file need not exist. `database` has no links.
    ///
    /// # Errors
    /// A warehouse that another process has open, and a folder that cannot be written.
    pub(crate) fn acquire(database: &Path) -> Result<Self> {
        let path = lock_path(database);
        let failed = |cause: std::io::Error| {
            let is_foreign = cause.kind() == std::io::ErrorKind::PermissionDenied;
            let error = Error::config(cause.to_string()).on(path.display());
            if is_foreign { error.hint(OWNER_HINT) } else { error }
        };
        loop {
            let mut beside = private::options().open(&path).map_err(failed)?;
            match beside.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(held(holder(&mut beside).as_deref())),
                // Without such locks, DuckDB's own lock keeps others out.
                Err(TryLockError::Error(cause)) if cause.kind() == std::io::ErrorKind::Unsupported => {}
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            }
            // Its last owner may have removed the file between the two calls: another process then locks a new one.
            if private::is_at(&beside, &path) {
                note_holder(&mut beside).map_err(failed)?;
                return Ok(Self { database: database.to_path_buf(), beside, inside: None });
            }
        }
    }

    /// The warehouse's file, without links.
    pub(crate) fn database(&self) -> &Path {
        &self.database
    }

    /// Runs `work` while no program that uses DuckDB has the file open.
    ///
    /// # Errors
    /// A file that another process has open, or that may not be written, and the error of `work`.
    pub(crate) fn while_closed<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let lock = self.lock_inside()?;
        let done = work();
        drop(lock);
        done
    }

    /// Replaces DuckDB's lock, once it has opened the file.
    ///
    /// # Errors
    /// Another process that opened the file in between.
    pub(crate) fn replace_lock_of_duckdb(&mut self) -> Result<()> {
        if open_file::is_supported(&self.beside) {
            let file = self.open_for_writing()?;
            open_file::unlock_process(&file);
            self.inside = Some(open_file::lock(file).map_err(|holder| held(holder.as_deref()))?);
        }
        Ok(())
    }

    /// The lock of the file. None if the file does not exist, and where such locks do not exist.
    fn lock_inside(&self) -> Result<Option<open_file::Lock>> {
        if !self.database.exists() {
            return Ok(None);
        }
        let file = self.open_for_writing()?;
        if !open_file::is_supported(&self.beside) {
            return Ok(None);
        }
        open_file::lock(file).map(Some).map_err(|holder| held(holder.as_deref()))
    }

    fn open_for_writing(&self) -> Result<File> {
        let opened = OpenOptions::new().read(true).write(true).open(&self.database);
        opened.map_err(|cause| Error::config(format!("it cannot be opened for writing: {cause}")).hint(OWNER_HINT))
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        self.inside = None;
        // Another process that has just opened the file notices that it is no longer the one at this path.
        let _ = std::fs::remove_file(lock_path(&self.database));
    }
}

fn lock_path(database: &Path) -> PathBuf {
    with_suffix(database, ".lock")
}

/// Writes the number of this process into the lock file, for the error of others.
fn note_holder(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())
}

/// The process in a lock file, if it has one.
fn holder(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.take(20).read_to_string(&mut text).ok()?;
    Some(text).filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The error of a warehouse that another process has open.
fn held(holder: Option<&str>) -> Error {
    let message = match holder {
        Some(process) => format!("another process has it open: process {process}"),
        None => "another process has it open".to_owned(),
    };
    Error::unavailable(message).hint(
        "`host serve` runs a pipeline from its pages; close any other program that has the file open, then run again",
    )
}

/// Locks that belong to one open file, not to the process.
#[cfg(target_os = "linux")]
mod open_file {
    use std::fs::File;

    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    fn whole_file(kind: i32) -> libc::flock {
        libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        }
    }

    /// Whether the file system of a file that nobody else locks has such locks.
    pub(super) fn is_supported(file: &File) -> bool {
        fcntl(file, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_WRLCK))).is_ok()
    }

    /// A lock, which ends when the value is dropped.
    #[derive(Debug)]
    pub(super) struct Lock(File);

    impl Drop for Lock {
        fn drop(&mut self) {
            // Closing the file is not enough: a child process that another thread has just started may have it open as well,
            // until it runs its own program.
            let _ = fcntl(&self.0, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_UNLCK)));
        }
    }

    /// Locks a file; the error is the process that has locked it, if it is known.
    pub(super) fn lock(file: File) -> Result<Lock, Option<String>> {
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_WRLCK))) {
            Err(Errno::EAGAIN | Errno::EACCES) => {
                let mut other = whole_file(libc::F_WRLCK);
                // A lock of an open file has no process, and its owner may be gone by now.
                let found = fcntl(&file, FcntlArg::F_OFD_GETLK(&mut other)).is_ok() && other.l_pid > 0;
                Err(found.then(|| other.l_pid.to_string()))
            }
            // Whether the file system has such locks was checked before.
            _ => Ok(Lock(file)),
        }
    }

    /// Drops the process's own lock.
    pub(super) fn unlock_process(file: &File) {
        // It fails only without a lock.
        let _ = fcntl(file, FcntlArg::F_SETLK(&whole_file(libc::F_UNLCK)));
    }
}

#[cfg(not(target_os = "linux"))]
mod open_file {
    use std::fs::File;

    #[derive(Debug)]
    pub(super) struct Lock;

    pub(super) fn is_supported(_: &File) -> bool {
        false
    }

    pub(super) fn lock(_: File) -> Result<Lock, Option<String>> {
        Ok(Lock)
    }

    pub(super) fn unlock_process(_: &File) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::path::Path;

    use host_core::error::Kind;

    use crate::{Warehouse, with_suffix};

    fn database(folder: &Path) -> std::path::PathBuf {
        folder.join("w.duckdb")
    }

    #[test]
    fn a_warehouse_that_is_open_opens_no_second_time_by_any_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = database(folder.path());
        let link = folder.path().join("link.duckdb");
        std::os::unix::fs::symlink("w.duckdb", &link).expect("a link");
        drop(Warehouse::open(&path, "256MB").expect("a new warehouse"));
        let first = Warehouse::open(&link, "256MB").expect("a warehouse behind a link");
        for path in [&path, &link] {
            let error = Warehouse::open(path, "256MB").err().expect("it is open");
            assert_eq!(error.kind, Kind::Unavailable, "{error}");
            assert!(error.message().contains(&format!("process {}", std::process::id())), "{error}");
        }
        let other = first.connect().expect("a connection");
        drop(first);
        assert!(Warehouse::open(&path, "256MB").is_err(), "a connection is left");
        drop(other);
        assert!(!with_suffix(&path, ".lock").exists());
        assert!(Warehouse::open(&path, "256MB").is_ok());
    }

    #[test]
    fn an_open_file_that_a_child_has_inherited_is_locked_no_longer() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = database(folder.path());
        drop(Warehouse::open(&path, "256MB").expect("a new warehouse"));
        let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("the file");
        // Shares the open file, as a child process does between its start and its own program.
        let inherited = file.try_clone().expect("a copy");
        let lock = super::open_file::lock(file).expect("a lock");
        assert!(Warehouse::open(&path, "256MB").is_err());
        drop(lock);
        drop(Warehouse::open(&path, "256MB").expect("no lock is left"));
        drop(inherited);
    }

    #[test]
    fn an_open_that_fails_leaves_no_lock_and_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = database(folder.path());
        assert!(Warehouse::open(&path, "8 apples").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
        std::fs::write(&path, "no database").expect("a file");
        assert!(Warehouse::open(&path, "256MB").is_err());
        assert!(!with_suffix(&path, ".lock").exists());
    }
}
