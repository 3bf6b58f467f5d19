//! Replaces a file as a whole: a crash leaves the old or the new text, never a part.

use std::io::Write as _;
use std::path::Path;

use host_core::error::{Error, Result};

use super::folder_of;

/// Replaces the text of an existing file. Its permissions stay; a symbolic link still leads to the file.
pub(super) fn replace_text(path: &Path, text: &str) -> Result<()> {
    let replace = || -> std::io::Result<()> {
        let path = path.canonicalize()?;
        let folder = folder_of(&path);
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().set_permissions(std::fs::metadata(&path)?.permissions())?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|failed| failed.error)?;
        // The new name is on the disk only once the folder is.
        std::fs::File::open(folder)?.sync_all()
    };
    replace().map_err(|cause| Error::config(format!("cannot write {}: {cause}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::replace_text;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_text_is_replaced_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pipeline.toml");
        std::fs::write(&path, "old").expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("permissions");
        let link = folder.path().join("link.toml");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        replace_text(&link, "new").expect("a replaced file");
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), "new");
        assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o640);
        assert!(std::fs::symlink_metadata(&link).expect("a link").is_symlink());
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2);
    }

    #[test]
    fn a_missing_file_is_not_made() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(replace_text(&folder.path().join("pipeline.toml"), "new").is_err());
    }
}
