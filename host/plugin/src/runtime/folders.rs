//! Finds components by their names.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use host_core::error::{Error, Result, Subject, nearest};

/// The folders in which plugins are found by name.
#[derive(Debug, Clone)]
pub struct PluginFolders {
    folders: Vec<PathBuf>,
}

impl PluginFolders {
    /// The given folder, then `plugins` in the pipeline's folder and above it, then `plugins` beside the executable.
    #[must_use]
    pub fn new(given: Option<PathBuf>, pipeline_folder: &Path) -> Self {
        let mut folders: Vec<_> = given.into_iter().collect();
        let pipeline = pipeline_folder.canonicalize().unwrap_or_else(|_| pipeline_folder.to_path_buf());
        folders.extend(pipeline.ancestors().map(|folder| folder.join("plugins")).filter(|folder| folder.is_dir()));
        let executable = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.join("plugins")));
        folders.extend(executable.filter(|folder| folder.is_dir()));
        let mut seen = HashSet::new();
        folders.retain(|folder| seen.insert(std::path::absolute(folder).unwrap_or_else(|_| folder.clone())));
        Self { folders }
    }

    /// The file of a component. A plugin with a `/` or the extension `.wasm` is a path, else a name in the folders.
    ///
    /// # Errors
    /// A file that does not exist; an unknown name, with the nearest names as the hint.
    pub fn find(&self, plugin: &str, relative_to: &Path) -> Result<PathBuf> {
        let about = |error: Error| error.about(&Subject::Plugin(plugin.to_owned()));
        if plugin.contains(['/', '\\']) || plugin.ends_with(".wasm") {
            let path = relative_to.join(plugin);
            let missing = || Error::config(format!("the file {} does not exist", path.display()));
            return if path.is_file() { Ok(path) } else { Err(about(missing())) };
        }
        let paths = self.folders.iter().map(|folder| folder.join(format!("{plugin}.wasm")));
        if let Some(path) = paths.into_iter().find(|path| path.is_file()) {
            return Ok(path);
        }
        let names: Vec<String> = self.folders.iter().flat_map(|folder| component_names(folder)).collect();
        let searched: Vec<_> = self.folders.iter().map(|folder| folder.display().to_string()).collect();
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
    use super::PluginFolders;
    use std::path::Path;

    #[test]
    fn a_name_is_found_in_the_folders_and_a_path_relative_to_the_pipeline() {
        let folder = tempfile::tempdir().expect("a folder");
        let plugins = folder.path().join("plugins");
        std::fs::create_dir(&plugins).expect("a folder");
        std::fs::write(plugins.join("canonicalize.wasm"), "").expect("a file");
        let folders = PluginFolders::new(None, folder.path());
        let found = folders.find("canonicalize", Path::new(".")).expect("a component");
        assert!(found.ends_with("plugins/canonicalize.wasm"));
        assert_eq!(
            folders.find("plugins/canonicalize.wasm", folder.path()).ok(),
            Some(plugins.join("canonicalize.wasm"))
        );
        let error = folders.find("canonicalise", Path::new(".")).expect_err("an unknown name");
        assert!(error.message().starts_with("plugin `canonicalise`: not found in "), "{error}");
        assert_eq!(error.hint_text().as_deref(), Some("did you mean `canonicalize`?"));
    }
}
