//! A pipeline that the server serves: its file as it was at the start, its warehouse, and what is cached of it.

use std::path::PathBuf;
use std::sync::Arc;

use host_core::clock::Clock;
use host_core::progress::Progress;
use host_plugin::{Engine, PluginFolders};
use host_warehouse::Warehouse;
use tokio_util::sync::CancellationToken;

use super::model_cache::{ModelCache, files_hash};
use super::response_cache::{CacheVersion, ResponseCache};
use super::shared_warehouse::SharedWarehouse;
use super::webhook::Webhook;
use crate::pipeline::{Pipeline, Schedule};
use crate::run::{ServerContext, Session};

/// A pipeline as its file was when the server started.
pub struct LoadedPipeline {
    /// The file.
    pub path: PathBuf,
    /// The pipeline.
    pub pipeline: Pipeline,
    /// Runs its components.
    pub engine: Engine,
    /// Finds its components.
    pub folders: PluginFolders,
}

/// A pipeline that is served.
pub(super) struct ServedPipeline {
    /// The pipeline and what runs it.
    pub(super) loaded: LoadedPipeline,
    /// When it runs, if it has a schedule.
    pub(super) schedule: Option<Schedule>,
    /// Its webhooks.
    pub(super) webhooks: Vec<Webhook>,
    /// Its warehouse. Other pipelines may have the same.
    pub(super) warehouse: Arc<SharedWarehouse>,
    /// Its models and its dashboard.
    pub(super) models: ModelCache,
    /// The responses of all pipelines.
    pub(super) responses: Arc<ResponseCache>,
}

impl ServedPipeline {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.loaded.pipeline.file.pipeline.name
    }

    /// The state that its responses depend on.
    pub(super) fn cache_version(&self) -> CacheVersion {
        let (runs_ended, model_files) = (self.warehouse.runs_ended(), files_hash(&self.loaded.pipeline));
        CacheVersion { runs_ended, model_files }
    }

    /// What a command works with, on a warehouse that is open.
    pub(super) fn session<'a>(
        &'a self,
        warehouse: &'a Warehouse,
        progress: &'a Progress,
        stop: CancellationToken,
        clock: Clock,
    ) -> Session<'a> {
        let LoadedPipeline { pipeline, engine, folders, .. } = &self.loaded;
        let server = ServerContext { warehouse: Some(warehouse), ..ServerContext::default() };
        Session { pipeline, engine, folders, progress, stop, clock, server }
    }
}
