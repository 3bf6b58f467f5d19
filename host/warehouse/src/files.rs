//! The files of a database: the names of those beside it, and their removal.

use std::path::{Path, PathBuf};

use host_core::files::folder_of;

/// A path with a suffix appended to its file name.
#[must_use]
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes a database file and its write-ahead log, if they exist. Of a symbolic link, the link itself is removed.
///
/// # Errors
/// A file that cannot be removed.
pub fn remove_database(path: &Path) -> std::io::Result<()> {
    [path.to_path_buf(), with_suffix(path, ".wal")]
        .iter()
        .filter(|file| file.symlink_metadata().is_ok())
        .try_for_each(std::fs::remove_file)
}

/// Writes the names of the files beside a file to the disk.
pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder_of(path))?.sync_all()
}
