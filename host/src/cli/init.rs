//! `host init`: a project with the shipped pipeline and models.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use host_core::error::{Error, Result};
use host_core::files::NewFiles;
use include_dir::{Dir, include_dir};

static PIPELINES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../pipelines");
static PROJECT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates/project");
static SQL: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../sql");

/// Makes a project.
#[derive(Args)]
#[command(after_help = "Example: host init clinic")]
pub(super) struct Init {
    /// An empty or new folder.
    #[arg(default_value = ".")]
    folder: PathBuf,
}

impl Init {
    pub(super) fn run(&self) -> Result<String> {
        let folder = &self.folder;
        let broken = |cause: std::io::Error| Error::config(format!("{}: {cause}", folder.display()));
        let mut new = NewFiles::default();
        new.folder(folder)?;
        if std::fs::read_dir(folder).map_err(broken)?.next().is_some() {
            let error = Error::config(format!("{} is not empty", folder.display()));
            return Err(error.hint("give a new folder: `host init clinic`"));
        }
        copy(&PIPELINES, &folder.join("pipelines"), &mut new)?;
        copy(&SQL, &folder.join("sql"), &mut new)?;
        copy(&PROJECT, folder, &mut new)?;
        // `cp` keeps the permissions, so that the copy with secrets is private.
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(folder.join(".env.example"), private).map_err(broken)?;
        let _ = new.keep();
        let pipeline =
            PIPELINES.files().map(|file| file.path().display().to_string()).find(|name| name.ends_with(".toml"));
        let pipeline = format!("pipelines/{}", pipeline.unwrap_or_default());
        let shown = folder.display();
        Ok(format!(
            "created {shown}\n\nnext:\n  cd {shown}\n  cp .env.example .env    # then set the secrets in it\n  \
             host check {pipeline}\n  host run {pipeline}\n"
        ))
    }
}

/// Copies the files of a template into a folder.
fn copy(template: &Dir<'_>, folder: &Path, new: &mut NewFiles) -> Result<()> {
    template.files().try_for_each(|file| new.file(&folder.join(file.path()), file.contents()))?;
    template.dirs().try_for_each(|inner| copy(inner, folder, new))
}
