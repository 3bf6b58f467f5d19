//! A pipeline's models and first page as their files are: read once, and anew when a file changes.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::dashboard::Dashboard;
use crate::error::Result;
use crate::marts::Graph;
use crate::pipeline::Pipeline;
use crate::run::Context;

/// The models, and the first page where the folder declares one.
pub(super) struct Models {
    /// None where the pipeline has no models.
    pub(super) graph: Option<Graph>,
    /// The first page.
    pub(super) dashboard: Option<Dashboard>,
}

/// When each file was last changed.
type Stamp = Vec<(std::path::PathBuf, Option<SystemTime>, u64)>;

/// What was read last.
#[derive(Default)]
pub(super) struct Cached(Mutex<Option<(Stamp, Arc<Models>)>>);

impl Cached {
    /// The models; what is wrong with a file that changed is an error until it is mended.
    pub(super) fn get(&self, context: &Context<'_>) -> Result<Arc<Models>> {
        let Some(marts) = &context.pipeline.file.marts else {
            return Ok(Arc::new(Models { graph: None, dashboard: None }));
        };
        let folder = context.pipeline.path(&marts.path);
        let now = stamp(&folder);
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, models)) = cached.as_ref().filter(|(then, _)| *then == now) {
            return Ok(Arc::clone(models));
        }
        let warehouse = context.warehouse()?;
        let graph = context.graph(&warehouse)?;
        let dashboard = Dashboard::load(&folder, &graph, &warehouse)?;
        let models = Arc::new(Models { graph: Some(graph), dashboard });
        *cached = Some((now, Arc::clone(&models)));
        Ok(models)
    }
}

/// What the files of a pipeline's models are now, as a number that another file makes another one.
pub(super) fn version(pipeline: &Pipeline) -> u64 {
    let mut hasher = DefaultHasher::new();
    if let Some(marts) = &pipeline.file.marts {
        stamp(&pipeline.path(&marts.path)).hash(&mut hasher);
    }
    hasher.finish()
}

/// The files of a folder and of the folders in it; a folder that cannot be read has none.
fn stamp(folder: &Path) -> Stamp {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut stamp = Vec::new();
    for entry in entries(folder) {
        let inside = entries(&entry.path()).chain(std::iter::once(entry));
        stamp.extend(inside.filter_map(|file| {
            let about = file.metadata().ok()?;
            Some((file.path(), about.modified().ok(), about.len()))
        }));
    }
    stamp.sort();
    stamp
}
