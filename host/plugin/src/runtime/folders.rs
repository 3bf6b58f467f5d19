//! Finds components by their names.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use host_core::error::{Error, Result, Subject, nearest};
use host_core::files::folder_of;
use host_core::project::{Owners, PLUGINS, Project};

/// The folders in which plugins are found by name.
#[derive(Debug, Clone)]
pub struct PluginFolders {
    folders: Vec<PluginFolder>,
    /// The users whose components are used.
    owners: Owners,
}

#[derive(Debug, Clone)]
struct PluginFolder {
    path: PathBuf,
    /// The folder in which it was found.
    within: PathBuf,
    owners: Owners,
}

/// The file of a component that was found. Nobody but its project's users can have written it.
#[derive(Debug, Clone)]
pub struct FoundComponent {
    path: PathBuf,
    within: PathBuf,
    owners: Owners,
}

impl FoundComponent {
    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn open(&self) -> Result<File> {
        self.owners.open(&self.path, &self.within)
    }
}

/// Whether a plugin is named by the path of its file.
#[must_use]
pub fn is_path(plugin: &str) -> bool {
    plugin.contains(['/', '\\']) || plugin.ends_with(".wasm")
}

impl PluginFolders {
    /// The given folder, then `plugins` in the pipeline's folder and in the project's root, then `plugins` beside the
    /// executable, whose owner may own the components there.
    #[must_use]
    pub fn new(given: Option<PathBuf>, project: &Project) -> Self {
        let owners = project.owners();
        let folder = |path: PathBuf, within: &Path, owners: &Owners| PluginFolder {
            path,
            within: within.to_path_buf(),
            owners: owners.clone(),
        };
        let mut folders: Vec<_> = given.into_iter().map(|given| folder(given.clone(), &given, owners)).collect();
        folders.extend(project.folders().iter().map(|root| folder(root.join(PLUGINS), root, owners)));
        if let Ok(executable) = std::env::current_exe() {
            let beside = folder_of(&executable);
            folders.push(folder(beside.join(PLUGINS), beside, &owners.clone().and_of(&executable)));
        }
        let mut seen = HashSet::new();
        folders.retain(|folder| {
            folder.path.is_dir() && seen.insert(folder.path.canonicalize().unwrap_or_else(|_| folder.path.clone()))
        });
        Self { folders, owners: owners.clone() }
    }

    /// The file of a component. A plugin with a `/` or the extension `.wasm` is a path, else a name in the folders.
    ///
    /// # Errors
    /// A file that does not exist; an unknown name, with the nearest names as the hint.
    pub fn find(&self, plugin: &str, relative_to: &Path) -> Result<FoundComponent> {
        let about = |error: Error| error.about(&Subject::Plugin(plugin.to_owned()));
        if is_path(plugin) {
            let path = relative_to.join(plugin);
            let missing = || Error::config(format!("the file {} does not exist", path.display()));
            let within = folder_of(&path).to_path_buf();
            let owners = self.owners.clone();
            return if path.is_file() { Ok(FoundComponent { path, within, owners }) } else { Err(about(missing())) };
        }
        let files = self.folders.iter().map(|folder| (folder.path.join(format!("{plugin}.wasm")), folder));
        if let Some((path, PluginFolder { within, owners, .. })) = files.into_iter().find(|(path, _)| path.is_file()) {
            return Ok(FoundComponent { path, within: within.clone(), owners: owners.clone() });
        }
        let names: Vec<String> = self.folders.iter().flat_map(|folder| component_names(&folder.path)).collect();
        let searched: Vec<_> = self.folders.iter().map(|folder| folder.path.display().to_string()).collect();
        let missing = match searched.as_slice() {
            [] => "not found: there is no folder of plugins".to_owned(),
            searched => format!("not found in {}", searched.join(", ")),
        };
        let near = nearest(plugin, names.iter().map(String::as_str));
        let build = "build it with `host plugin build FOLDER`, or pass a folder with `--plugins`".to_owned();
        Err(about(Error::config(missing).hint(near.unwrap_or(build))))
    }
}

fn component_names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let wasm = entries.filter(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    wasm.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::{PluginFolders, Project};
    use std::path::Path;

    #[test]
    fn a_name_is_found_in_the_folders_and_a_path_relative_to_the_pipeline() {
        let folder = tempfile::tempdir().expect("a folder");
        let plugins = folder.path().join("plugins");
        std::fs::create_dir(&plugins).expect("a folder");
        std::fs::write(plugins.join("canonicalize.wasm"), "").expect("a file");
        let folders = PluginFolders::new(None, &Project::of_folder(folder.path()));
        let found = folders.find("canonicalize", Path::new(".")).expect("a component");
        assert!(found.path().ends_with("plugins/canonicalize.wasm"));
        let found = folders.find("plugins/canonicalize.wasm", folder.path()).expect("a component");
        assert_eq!(found.path(), plugins.join("canonicalize.wasm"));
        let error = folders.find("canonicalise", Path::new(".")).expect_err("an unknown name");
        assert!(error.message().starts_with("plugin `canonicalise`: not found in "), "{error}");
        assert_eq!(error.hint_text().as_deref(), Some("did you mean `canonicalize`?"));
    }
}
