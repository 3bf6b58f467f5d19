//! Adds a component: copies it into the folder of plugins, and writes its pinned entry into a pipeline.

use std::path::{Path, PathBuf};

use host_core::error::{Error, Result, Subject, one_of};
use host_core::files::{self, NewFiles, folder_of};
use host_core::project::{PLUGINS, Project};
use host_plugin::{Component, Description, Engine, NeedKind, PluginKind};
use serde_json::Value;

use super::entry::{Entry, EntryKeys};
use super::inspect::describe;
use crate::pipeline::{Environment, Pipeline};

/// What to add, and where.
pub struct AddRequest {
    /// The component's file.
    pub component: PathBuf,
    /// The pipeline file that gets the entry, with the variables that it is read with.
    pub pipeline: Option<(PathBuf, Environment)>,
    /// The folder of plugins. Without one it is `plugins` in the pipeline's folder or in the project's root, or a new one
    /// beside the pipeline.
    pub folder: Option<PathBuf>,
    /// The streams that the rule cleans, or the source loads.
    pub streams: Vec<String>,
    /// The plugin's config, an object.
    pub config: Value,
    /// Files to grant.
    pub files: Vec<(String, PathBuf)>,
}

/// What was added.
pub struct AddedPlugin {
    /// The component.
    pub component: Component,
    /// Its description of itself.
    pub description: Description,
    /// The copy of the component's file.
    pub path: PathBuf,
    /// The entry, as TOML.
    pub entry: String,
}

/// Adds a component. Nothing is written unless the resulting pipeline is valid.
///
/// # Errors
/// A component that does not load, an entry that does not fit the pipeline, and files that cannot be written.
pub async fn add(engine: &Engine, request: &AddRequest) -> Result<AddedPlugin> {
    let component = engine.load(&request.component, None)?;
    let description = describe(engine, &component).await?;
    check_files(request, &component, &description)?;
    let keys = EntryKeys { streams: &request.streams, files: &request.files, config: &request.config };
    let entry = Entry::new(&component, &description, &keys)?;
    let change = match &request.pipeline {
        Some((path, environment)) => Some((path, pipeline_with(&entry, path, environment, &component, request)?)),
        None => None,
    };
    let target = target(request, &component);
    let mut copied = NewFiles::default();
    copy(&request.component, &target, &mut copied)?;
    if let Some((path, text)) = change {
        // A pipeline may be a link to a file elsewhere, which is replaced in its own folder.
        let file = path.canonicalize().map_err(|cause| Error::config(format!("{}: {cause}", path.display())))?;
        files::replace(&file, text)?;
    }
    let _ = copied.keep();
    Ok(AddedPlugin { entry: entry.text()?, component, description, path: target })
}

fn check_files(request: &AddRequest, component: &Component, description: &Description) -> Result<()> {
    let known: Vec<_> = description.needs_of(&NeedKind::File).map(|need| need.name.as_str()).collect();
    let unknown = request.files.iter().map(|(name, _)| name).find(|name| !known.contains(&name.as_str()));
    let Some(name) = unknown else { return Ok(()) };
    let hint = one_of(known).unwrap_or_else(|| "it needs no file".to_owned());
    let error = Error::config(format!("it needs no file `{name}`")).hint(hint);
    Err(error.about(&Subject::Plugin(component.name.clone())))
}

/// The text of the pipeline with the entry. The pipeline is checked without and with it.
fn pipeline_with(
    entry: &Entry,
    path: &Path,
    environment: &Environment,
    component: &Component,
    request: &AddRequest,
) -> Result<String> {
    let pipeline = Pipeline::load(path, environment)?;
    if component.kind == PluginKind::Rule && request.streams.is_empty() {
        let sources: Vec<_> = pipeline.file.source.iter().map(|source| format!("`{}`", source.name())).collect();
        let error = Error::config("the entry of a rule needs the streams that it cleans");
        return Err(
            error.hint(format!("add `--stream SOURCE.STREAM`; this pipeline's sources are {}", sources.join(", ")))
        );
    }
    let before =
        std::fs::read_to_string(path).map_err(|cause| Error::config(format!("{}: {cause}", path.display())))?;
    if entry.is_in(&before)? {
        let error = Error::config(format!("{}: the pipeline already has this entry", path.display()));
        return Err(error.hint("to add a second entry, give it a different stream or config"));
    }
    let after = entry.insert_into(&before)?;
    let name = path.display().to_string();
    Pipeline::parse(&after, &name, folder_of(path).to_path_buf(), environment)
        .map_err(|error| error.on("the pipeline is not valid with this entry, and was not changed"))?;
    Ok(after)
}

/// The path of the copy.
fn target(request: &AddRequest, component: &Component) -> PathBuf {
    let of_pipeline = request.pipeline.as_ref().map(|(path, _)| (folder_of(path), Project::of_pipeline(path)));
    let (beside, project) = of_pipeline.unwrap_or_else(|| {
        let here = Path::new(".");
        (here, Project::of_folder(here))
    });
    let nearest = project.folders().iter().map(|folder| folder.join(PLUGINS)).find(|folder| folder.is_dir());
    let folder = request.folder.clone().or(nearest).unwrap_or_else(|| beside.join(PLUGINS));
    folder.join(format!("{}.wasm", component.name))
}

/// Copies the component, unless the target is the same.
fn copy(component: &Path, target: &Path, copied: &mut NewFiles) -> Result<()> {
    let bytes = std::fs::read(component).map_err(|cause| Error::config(format!("{}: {cause}", component.display())))?;
    match std::fs::read(target) {
        Ok(existing) if existing == bytes => Ok(()),
        Ok(_) => {
            let error = Error::config(format!("{} already exists and is a different component", target.display()));
            Err(error.hint("remove it if no pipeline needs it, or give your component another name"))
        }
        Err(_) => copied.file(target, bytes),
    }
}
