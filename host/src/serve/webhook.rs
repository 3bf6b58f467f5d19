//! The webhooks of a pipeline: which events each receives, and its URL, which may be a secret.

use host_core::error::{Error, Result, collect};
use host_core::secret::Secret;
use host_warehouse::{QUERY_TIME, Warehouse};

use crate::pipeline::{AlertEvent, AlertSettings, AlertUrl, Pipeline};

/// A webhook of a pipeline.
pub(super) struct Webhook {
    settings: AlertSettings,
    url: Secret,
}

/// A webhook as pages show it: everything but its URL.
#[derive(Debug, serde::Serialize)]
pub(super) struct WebhookView<'a> {
    on: &'a [AlertEvent],
    late_after_seconds: Option<u32>,
    query: Option<&'a str>,
    threshold: Option<f64>,
}

impl Webhook {
    /// The webhooks that a pipeline declares, in their order.
    ///
    /// # Errors
    /// Every URL that is not valid, and every secret that is not set.
    pub(super) fn load_all(pipeline: &Pipeline) -> Result<Vec<Self>> {
        let load = |(index, settings): (usize, &AlertSettings)| {
            let place = pipeline.source_map.at(&["alert".into(), index.into(), "url".into()]);
            let url = alert_url(&settings.url, pipeline).map_err(|error| error.at(&place))?;
            Ok(Self { settings: settings.clone(), url })
        };
        collect(pipeline.file.alert.iter().enumerate().map(load))
    }

    /// Whether it receives an event.
    pub(super) fn receives(&self, event: AlertEvent) -> bool {
        self.settings.on.contains(&event)
    }

    /// Seconds without a successful run after which it reports the pipeline as late.
    pub(super) fn late_after_seconds(&self) -> Option<u32> {
        self.settings.late_after_seconds.filter(|_| self.receives(AlertEvent::Late))
    }

    /// Its URL, for the one place that sends requests to it.
    pub(super) fn url(&self) -> &Secret {
        &self.url
    }

    /// As pages show it.
    pub(super) fn view(&self) -> WebhookView<'_> {
        let AlertSettings { on, late_after_seconds, query, threshold, .. } = &self.settings;
        WebhookView { on, late_after_seconds: *late_after_seconds, query: query.as_deref(), threshold: *threshold }
    }

    /// What its query reports, if it returns more than the threshold.
    ///
    /// # Errors
    /// A query that fails, and a value that is not a number.
    pub(super) fn check_quality(&self, warehouse: &Warehouse) -> Result<Option<String>> {
        let (Some(query), Some(threshold)) = (&self.settings.query, self.settings.threshold) else { return Ok(None) };
        // Its tables were checked when the run started.
        host_models::reads(query, warehouse)?;
        let Some(value) = warehouse.read_bounded(QUERY_TIME, || warehouse.value_text(query, ()))? else {
            return Ok(None);
        };
        let number: f64 = value.parse().map_err(|_| {
            Error::config(format!("`{value}` is not a number"))
                .hint("write an alert's `query` so that it returns one number")
        })?;
        Ok((number > threshold).then(|| format!("{value} exceeds the threshold of {threshold}: `{query}`")))
    }
}

fn alert_url(url: &AlertUrl, pipeline: &Pipeline) -> Result<Secret> {
    let url = match url {
        AlertUrl::Plain(url) => Secret::new(url.clone()),
        AlertUrl::Secret(reference) => pipeline.secret(reference)?.ok_or_else(|| {
            Error::config("the secret with the URL of this alert is not set")
                .hint("set the environment variable, or add it to `.env` beside the pipeline")
        })?,
    };
    Pipeline::check_alert_url(url.expose()).map(|()| url)
}
