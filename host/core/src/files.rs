//! Writes files as a whole. A crash or a full disk leaves the old file or the new one, never a part, and no symbolic link
//! at a file's path is followed.

use std::fs::{Metadata, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// Permissions of a new file, of which the umask takes some away.
const NEW_FILE: u32 = 0o666;
/// Permissions of a file that only this user can read.
const PRIVATE: u32 = 0o600;

/// The folder of a file.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Creates a file. Its folder must exist.
///
/// # Errors
/// Anything that has the name already, even a symbolic link that leads nowhere, and a file that cannot be written.
pub fn create(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    create_with(path, bytes.as_ref(), NEW_FILE)
}

/// Same as [`create`]. Only this user can read the file.
///
/// # Errors
/// Same as [`create`].
pub fn create_private(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    create_with(path, bytes.as_ref(), PRIVATE)
}

fn create_with(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let create = || {
        written_beside(path, bytes, mode)?.persist_noclobber(path)?;
        sync_folder(path);
        Ok(())
    };
    create().map_err(|cause| cannot_write(path, &cause))
}

/// Creates a file, or replaces the one that has its name, whose owner and permissions stay. A symbolic link is replaced
/// itself: the file that it leads to does not change.
///
/// # Errors
/// A folder that has the name, and a file that cannot be written. The old file is as it was then.
pub fn replace(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    let old = std::fs::symlink_metadata(path).ok().filter(Metadata::is_file);
    let replace = || {
        let new = written_beside(path, bytes.as_ref(), if old.is_some() { PRIVATE } else { NEW_FILE })?;
        if let Some(old) = &old {
            keep_owner(new.path(), old);
            new.as_file().set_permissions(Permissions::from_mode(old.mode() & 0o777))?;
        }
        finish(new, path)
    };
    replace().map_err(|cause| cannot_write(path, &cause))
}

/// Same as [`replace`]. Only this user can read the file, whatever the permissions of the old one.
///
/// # Errors
/// Same as [`replace`].
pub fn replace_private(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    let replace = || finish(written_beside(path, bytes.as_ref(), PRIVATE)?, path);
    replace().map_err(|cause| cannot_write(path, &cause))
}

fn finish(new: NamedTempFile, path: &Path) -> std::io::Result<()> {
    new.persist(path)?;
    sync_folder(path);
    Ok(())
}

/// A synced temporary file in the folder of `path`. It is removed when it is dropped before it has a name.
fn written_beside(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".host-").suffix(".part").permissions(Permissions::from_mode(mode));
    let mut file = builder.tempfile_in(folder_of(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Gives a file the owner and the group of another, as far as this user may.
fn keep_owner(file: &Path, like: &Metadata) {
    let (user, group) = (Some(like.uid()), Some(like.gid()));
    let _ = std::os::unix::fs::chown(file, user, group).or_else(|_| std::os::unix::fs::chown(file, None, group));
}

/// Puts the names in the folder of a file on the disk, where its file system can. Until then, a crash may bring an old file
/// back.
pub fn sync_folder(path: &Path) {
    let _ = std::fs::File::open(folder_of(path)).and_then(|folder| folder.sync_all());
}

fn cannot_write(path: &Path, cause: &std::io::Error) -> Error {
    let error = Error::config(format!("cannot write {}: {cause}", path.display()));
    match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => error.hint("free space on the disk, then run again"),
        ErrorKind::AlreadyExists => error.hint("give another name, or remove what has this name"),
        _ => error,
    }
}

/// Files and folders that belong together. They are removed again unless all of them were made and kept.
#[derive(Default)]
pub struct NewFiles {
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl NewFiles {
    /// Creates a folder and those above it, where they are missing.
    ///
    /// # Errors
    /// A folder that cannot be created.
    pub fn folder(&mut self, path: &Path) -> Result<()> {
        let missing: Vec<_> = path.ancestors().take_while(|above| !is_folder(above)).collect();
        for folder in missing.into_iter().rev() {
            match std::fs::create_dir(folder) {
                Ok(()) => self.folders.push(folder.to_path_buf()),
                // Another process was faster.
                Err(_) if is_folder(folder) => {}
                Err(cause) => return Err(cannot_write(folder, &cause)),
            }
        }
        Ok(())
    }

    /// Creates a file, and its folder where it is missing.
    ///
    /// # Errors
    /// Same as [`create`].
    pub fn file(&mut self, path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.folder(folder_of(path))?;
        create(path, bytes)?;
        self.files.push(path.to_path_buf());
        Ok(())
    }

    /// Keeps what was made, and returns the files.
    #[must_use]
    pub fn keep(mut self) -> Vec<PathBuf> {
        self.folders.clear();
        std::mem::take(&mut self.files)
    }
}

impl Drop for NewFiles {
    fn drop(&mut self) {
        // The error that led here matters more than a file that stays.
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
        for folder in self.folders.iter().rev() {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

fn is_folder(path: &Path) -> bool {
    path.as_os_str().is_empty() || path.is_dir()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;

    use super::{NewFiles, Permissions, create, replace};

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).expect("a folder");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_and_keeps_its_permissions() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pipeline.toml");
        std::fs::write(&path, "old").expect("a file");
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("permissions");
        replace(&path, "new").expect("a replaced file");
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), "new");
        assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o640);
        assert_eq!(names(folder.path()), ["pipeline.toml"]);
    }

    #[test]
    fn a_file_is_created_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rule.wasm");
        create(&path, "first").expect("a new file");
        let error = create(&path, "second").expect_err("a file of this name");
        assert!(error.message().starts_with("cannot write "), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), "first");
        assert_eq!(names(folder.path()), ["rule.wasm"]);
    }

    #[test]
    fn no_link_is_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("other"), "other").expect("a file");
        for (link, target) in [("dangling", "missing"), ("leading", "other")] {
            symlink(at(target), at(link)).expect("a link");
            assert!(create(&at(link), "new").is_err(), "{link}");
            replace(&at(link), "new").expect("a replaced link");
            assert!(!at(link).is_symlink(), "{link}");
        }
        assert_eq!(std::fs::read_to_string(at("other")).expect("a file"), "other");
        assert_eq!(names(folder.path()), ["dangling", "leading", "other"]);
    }

    #[test]
    fn a_folder_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("taken")).expect("a folder");
        assert!(replace(&folder.path().join("taken"), "new").is_err());
        assert_eq!(names(folder.path()), ["taken"]);
    }

    #[test]
    fn new_files_are_removed_unless_they_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let mut files = NewFiles::default();
        files.file(&at("a/b/c"), "text").expect("a file");
        assert!(files.file(&at("a/b/c"), "text").is_err());
        drop(files);
        assert_eq!(names(folder.path()), Vec::<String>::new());
        std::fs::create_dir(at("a")).expect("a folder");
        let mut files = NewFiles::default();
        files.file(&at("a/b/c"), "text").expect("a file");
        assert_eq!(files.keep(), [at("a/b/c")]);
        assert_eq!(names(&at("a/b")), ["c"]);
    }
}
