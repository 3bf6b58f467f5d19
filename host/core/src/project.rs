//! Where a project's `.env` and its folder `plugins` are searched, and whose files are used there.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::folder_of;

/// The folder of a project that contains pipelines. The folder above it is the project's root.
const PIPELINES: &str = "pipelines";
/// The folder of a project that contains components.
pub const PLUGINS: &str = "plugins";

/// Permission of all users of the machine to write.
const WORLD_WRITABLE: u32 = 0o002;

/// The folders of a pipeline in which its files are searched. The search ends at the project's root, so that nobody who
/// can write to a folder above it can change what a pipeline does.
#[derive(Debug, Clone)]
pub struct Project {
    folders: Vec<PathBuf>,
    owners: Owners,
}

impl Project {
    /// The project of a pipeline file.
    #[must_use]
    pub fn of_pipeline(path: &Path) -> Self {
        Self { folders: search_folders(folder_of(path)), owners: Owners::new().and_of(path) }
    }

    /// The project of a folder, for commands without a pipeline.
    #[must_use]
    pub fn of_folder(folder: &Path) -> Self {
        Self { folders: search_folders(folder), owners: Owners::new() }
    }

    /// The folder of the pipeline, then the project's root if it is another one.
    #[must_use]
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// The users whose files are used.
    #[must_use]
    pub fn owners(&self) -> &Owners {
        &self.owners
    }
}

/// A folder, and the folder above it if its name is `pipelines`. Names count as they are given, because paths in a
/// pipeline do so too; only a link with another name may lead to a folder `pipelines`.
fn search_folders(folder: &Path) -> Vec<PathBuf> {
    let given = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    let real = given.canonicalize().unwrap_or_else(|_| given.clone());
    let root = |folder: &Path| {
        let is_pipelines = folder.file_name().is_some_and(|name| name == PIPELINES);
        folder.parent().filter(|_| is_pipelines).map(Path::to_path_buf)
    };
    let root = root(&given).or_else(|| root(&real));
    [given].into_iter().chain(root).collect()
}

/// Users whose files are used: the current user, root, and the owners of files that the user named.
#[derive(Debug, Clone)]
pub struct Owners {
    users: Vec<u32>,
}

impl Owners {
    /// The current user and root.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "they depend on who runs the process")]
    pub fn new() -> Self {
        Self { users: vec![0, rustix::process::geteuid().as_raw()] }
    }

    /// These users, and the owner of a file, if it exists.
    #[must_use]
    pub fn and_of(mut self, path: &Path) -> Self {
        self.users.extend(std::fs::metadata(path).map(|file| file.uid()));
        self
    }

    /// Opens a file that was found in the folder `within`, to read it.
    ///
    /// # Errors
    /// A file that cannot be opened, that all users may write to, or that belongs to another user; a link of another
    /// user that leads to it from the folder.
    pub fn open(&self, path: &Path, within: &Path) -> Result<File> {
        let failed = |cause: std::io::Error| Error::config(format!("{}: {cause}", path.display()));
        let is_below = |step: &&Path| *step != within && !step.as_os_str().is_empty();
        for step in path.ancestors().take_while(is_below) {
            let found = std::fs::symlink_metadata(step).map_err(failed)?;
            if found.is_symlink() {
                self.check_owner(step, &found)?;
            }
        }
        let file = File::open(path).map_err(failed)?;
        // What is checked is what is read, whatever becomes of the path meanwhile.
        let opened = file.metadata().map_err(failed)?;
        self.check_owner(path, &opened)?;
        if opened.mode() & WORLD_WRITABLE != 0 {
            let error =
                Error::config(format!("{} is not used: every user of this machine can write to it", path.display()));
            return Err(error.hint(format!("check what it contains, then `chmod o-w {}`", path.display())));
        }
        Ok(file)
    }

    fn check_owner(&self, path: &Path, file: &Metadata) -> Result<()> {
        let owner = file.uid();
        if self.users.contains(&owner) {
            return Ok(());
        }
        let path = path.display();
        let error = Error::config(format!(
            "{path} is not used: it belongs to user {owner}, who is neither you, nor root, nor the owner of the pipeline"
        ));
        Err(error.hint(format!("check what it contains, then make it yours: `chown -h $(id -u) {path}`")))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::path::Path;

    use super::{Owners, Project};

    fn check(pipeline: &Path, expected: &[&Path]) {
        let project = Project::of_pipeline(pipeline);
        let real = |path: &Path| path.canonicalize().expect("a folder");
        let found: Vec<_> = project.folders().iter().map(|folder| real(folder)).collect();
        assert_eq!(found, expected.iter().map(|folder| real(folder)).collect::<Vec<_>>(), "{}", pipeline.display());
    }

    #[test]
    fn the_search_ends_at_the_root_of_the_project() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("project/pipelines/nested")).expect("a folder");
        std::fs::create_dir_all(at("shared/flows")).expect("a folder");
        let (project, pipelines) = (at("project"), at("project/pipelines"));
        check(&pipelines.join("a.toml"), &[&pipelines, &project]);
        check(&at("project/pipelines/./a.toml"), &[&pipelines, &project]);
        check(&at("project/pipelines/nested/../a.toml"), &[&pipelines, &project]);
        check(&at("project/a.toml"), &[&project]);
        check(&at("project/pipelines/nested/a.toml"), &[&at("project/pipelines/nested")]);
        // Links above the project, to the folder `pipelines`, and named like it.
        symlink(at("project"), at("link")).expect("a link");
        symlink(at("project/pipelines"), at("short")).expect("a link");
        symlink(at("shared/flows"), at("shared/pipelines")).expect("a link");
        check(&at("link/pipelines/a.toml"), &[&pipelines, &project]);
        check(&at("short/a.toml"), &[&pipelines, &project]);
        check(&at("shared/pipelines/a.toml"), &[&at("shared/flows"), &at("shared")]);
    }

    #[test]
    fn files_that_all_users_may_write_to_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(".env");
        std::fs::write(&file, "A=b").expect("a file");
        let set = |mode: u32| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("a file");
        for mode in [0o400, 0o600, 0o644, 0o664] {
            set(mode);
            Owners::new().open(&file, folder.path()).expect("a file that others cannot write to");
        }
        for mode in [0o666, 0o602, 0o777] {
            set(mode);
            let error = Owners::new().open(&file, folder.path()).expect_err("a file that others can write to");
            assert!(error.message().contains("every user of this machine"), "{error}");
        }
    }

    #[test]
    fn files_and_links_of_strangers_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let (file, link, behind_link) = (at("real/.env"), at("link"), at("folder/.env"));
        std::fs::create_dir(at("real")).expect("a folder");
        std::fs::write(&file, "A=b").expect("a file");
        symlink(&file, &link).expect("a link");
        symlink("real", at("folder")).expect("a link");
        let stranger = Owners { users: vec![file.metadata().expect("a file").uid() + 1] };
        for (path, refused) in [(&file, &file), (&link, &link), (&behind_link, &at("folder"))] {
            let error = stranger.open(path, folder.path()).expect_err("a file of another user");
            let expected = format!("{} is not used: it belongs to user ", refused.display());
            assert!(error.message().starts_with(&expected), "{error}");
        }
        stranger.and_of(&file).open(&behind_link, folder.path()).expect("a file of the pipeline's owner");
    }
}
