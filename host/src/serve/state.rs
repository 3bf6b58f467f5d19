//! What all requests share: the pipelines with their warehouses, the runs, the events.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::alerts::Hook;
use super::answers::{Answers, Version};
use super::failure::{Answer, Failure};
use super::models::{self, Cached, Models};
use super::runs::Runs;
use super::shared::Shared;
use crate::clock::Clock;
use crate::error::{Error, Result, nearest};
use crate::pipeline::{Pipeline, Schedule, Secret};
use crate::plugin::{Engine, Search};
use crate::progress::Progress;
use crate::run::{Context, Given};
use crate::warehouse::Warehouse;

/// A pipeline as its file was when the server started.
pub struct Loaded {
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub pipeline: Pipeline,
    /// Runs its components.
    pub engine: Engine,
    /// Finds its components.
    pub search: Search,
}

/// A pipeline that is served.
pub(super) struct Served {
    /// The pipeline and what runs it.
    pub(super) loaded: Loaded,
    /// When it runs.
    pub(super) schedule: Option<Schedule>,
    /// Whom it tells of what.
    pub(super) hooks: Vec<Hook>,
    /// What no log, no alert and no page shows, though a source repeats it.
    pub(super) secrets: Vec<Secret>,
    /// Its warehouse; others may have the same.
    pub(super) warehouse: Arc<Shared>,
    /// Its models and its first page, as their files are.
    pub(super) models: Cached,
    /// What was answered of it.
    pub(super) answers: Answers,
}

/// The server.
pub(super) struct Server {
    /// In the order of the command line.
    pub(super) pipelines: Vec<Arc<Served>>,
    /// Runs that wait and are under way.
    pub(super) runs: Runs,
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// Tells the time and makes ids.
    pub(super) clock: Clock,
    /// Turns true when the server ends.
    pub(super) closing: watch::Receiver<bool>,
}

impl Served {
    /// Its name.
    #[must_use]
    pub(super) fn name(&self) -> &str {
        &self.loaded.pipeline.file.pipeline.name
    }

    /// What answers about it rest on now.
    pub(super) fn version(&self) -> Version {
        (self.warehouse.runs_ended(), models::version(&self.loaded.pipeline))
    }

    /// What a run needs, on a warehouse that is open.
    pub(super) fn context<'a>(
        &'a self,
        warehouse: &'a Warehouse,
        progress: &'a Progress,
        stop: watch::Receiver<bool>,
        clock: Clock,
    ) -> Context<'a> {
        let Loaded { pipeline, engine, search, .. } = &self.loaded;
        let given = Given { warehouse: Some(warehouse), ..Given::default() };
        Context { pipeline, engine, search, progress, stop, clock, given }
    }
}

impl Server {
    /// The pipeline of this name; the first where none is named.
    pub(super) fn pipeline(&self, name: Option<&str>) -> Answer<&Arc<Served>> {
        let found = match name {
            Some(name) => self.pipelines.iter().find(|served| served.name() == name),
            None => self.pipelines.first(),
        };
        found.ok_or_else(|| {
            let names: Vec<_> = self.pipelines.iter().map(|served| served.name()).collect();
            let failure = Failure::not_found(format!("no pipeline `{}` is served", name.unwrap_or_default()));
            let near = nearest(name.unwrap_or_default(), names.iter().copied());
            failure.hint(near.unwrap_or_else(|| format!("there are {}", names.join(", "))))
        })
    }

    /// Reads a pipeline's warehouse as a command looks at it, without a run.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        served: &Arc<Served>,
        work: impl FnOnce(&Context<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (served, clock, stop) = (Arc::clone(served), self.clock, self.closing.clone());
        let warehouse = Arc::clone(&served.warehouse);
        let work = move |warehouse: &Warehouse| work(&served.context(warehouse, &Progress::new(|_| {}), stop, clock));
        warehouse.read(work).await
    }

    /// Reads a pipeline's warehouse with its models and its first page.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        served: &Arc<Served>,
        work: impl FnOnce(&Models, &Warehouse) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let asked = Arc::clone(served);
        self.look(served, move |context| {
            let models = asked.models.get(context)?;
            work(&models, context.given.warehouse.ok_or_else(|| Error::internal("no warehouse is open"))?)
        })
        .await
    }

    /// Each pipeline with its state, its last run and its next.
    pub(super) async fn overview(&self) -> Result<Value> {
        let (live, now) = (self.runs.live(), self.clock.now());
        let mut pipelines = Vec::new();
        for served in &self.pipelines {
            let name = served.name().to_owned();
            let last = served.warehouse.read(move |warehouse| warehouse.runs(&name, "", 1, 0)).await?;
            let last = last.into_iter().next().map_or(Value::Null, Value::Object);
            let live = live.get(served.name()).map(|live| live.shown());
            let status = |run: &Value| run.get("status").cloned().unwrap_or_default();
            let next = served.schedule.as_ref().and_then(|schedule| schedule.after(now));
            let settings = &served.loaded.pipeline.file.pipeline;
            pipelines.push(json!({
                "name": settings.name,
                "path": served.loaded.path,
                "warehouse": served.warehouse.path(),
                "schedule": settings.schedule,
                "timezone": settings.timezone,
                "next_run": next.map(|next| next.to_string()),
                "status": live.as_ref().map_or_else(|| status(&last), status),
                "last_run": last,
                "live": live,
                "alerts": served.hooks.iter().map(Hook::shown).collect::<Vec<_>>(),
            }));
        }
        Ok(json!({ "pipelines": pipelines }))
    }
}
