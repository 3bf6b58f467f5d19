//! The models and the dashboard of a pipeline: read once, and read again when a file changes.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use host_core::error::Result;
use host_models::Graph;
use host_warehouse::Warehouse;

use crate::dashboard::Dashboard;
use crate::pipeline::Pipeline;
use crate::run::{self, Session};

/// The models of a pipeline, and the dashboard if their folder declares one.
pub(super) struct LoadedModels {
    /// The models.
    pub(super) graph: Graph,
    /// The dashboard.
    pub(super) dashboard: Option<Dashboard>,
}

/// The path, the time of the last change and the size of each file.
type FileStamps = Vec<(PathBuf, Option<SystemTime>, u64)>;

/// The models as they were last read.
#[derive(Default)]
pub(super) struct ModelCache(Mutex<Option<(FileStamps, Arc<LoadedModels>)>>);

impl ModelCache {
    /// The models as their files are now. None if the pipeline has no models.
    ///
    /// # Errors
    /// Every problem of a file that changed, until it is fixed.
    pub(super) fn get(&self, session: &Session<'_>, warehouse: &Warehouse) -> Result<Option<Arc<LoadedModels>>> {
        let Some(settings) = &session.pipeline.file.models else { return Ok(None) };
        let folder = session.pipeline.path(&settings.path);
        let stamps = file_stamps(&folder);
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, models)) = cached.as_ref().filter(|(read, _)| *read == stamps) {
            return Ok(Some(Arc::clone(models)));
        }
        let graph = run::graph(session, warehouse)?;
        let dashboard = Dashboard::load(&folder, &graph, warehouse)?;
        let models = Arc::new(LoadedModels { graph, dashboard });
        *cached = Some((stamps, Arc::clone(&models)));
        Ok(Some(models))
    }
}

/// A hash of the names, times and sizes of the models' files.
pub(super) fn files_hash(pipeline: &Pipeline) -> u64 {
    let mut hasher = DefaultHasher::new();
    if let Some(settings) = &pipeline.file.models {
        file_stamps(&pipeline.path(&settings.path)).hash(&mut hasher);
    }
    hasher.finish()
}

/// The files of a folder and of the folders in it. A folder that cannot be read has none.
fn file_stamps(folder: &Path) -> FileStamps {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut stamps = Vec::new();
    for entry in entries(folder) {
        let nested = entries(&entry.path()).chain(std::iter::once(entry));
        stamps.extend(nested.filter_map(|file| {
            let metadata = file.metadata().ok()?;
            Some((file.path(), metadata.modified().ok(), metadata.len()))
        }));
    }
    stamps.sort();
    stamps
}
