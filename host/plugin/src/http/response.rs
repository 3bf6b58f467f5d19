//! A response, whose body stays in the host.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use sonic_rs::JsonValueTrait as _;

use crate::decode::depth::{JsonText, MAX_DEPTH, TooDeep};
use crate::memory::Reservation;

/// A response to a plugin's request.
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The result of measuring the body's depth, once it was measured.
    pub(super) depth: OnceLock<Result<(), TooDeep>>,
    /// Counts the body as held.
    pub(super) _reservation: Reservation,
}

impl HttpResponse {
    /// The body for a decoder.
    pub(crate) fn json(&self) -> Result<JsonText<'_>, TooDeep> {
        let depth = self.depth.get_or_init(|| JsonText::new(&self.body).map(drop));
        JsonText::measured(&self.body, *depth)
    }

    /// Whether the request succeeded and the body begins as JSON that a plugin decodes, but is nested too deeply.
    pub(super) fn is_too_deep(&self) -> bool {
        let is_json =
            self.body.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|byte| b"[{".contains(byte));
        (200..300).contains(&self.status) && is_json && self.json().is_err()
    }

    /// The value at a JSON pointer: strings unquoted, other values as JSON text. None if absent, null, not JSON, or in a
    /// body that is nested too deeply.
    pub(crate) fn get(&self, pointer: &str) -> Option<String> {
        // No value is deeper. A pointer of a plugin may be as long as a call allows.
        if pointer.matches('/').count() > MAX_DEPTH as usize {
            return None;
        }
        let path: Vec<&str> = pointer.split('/').skip(1).collect();
        let steps = path.iter().map(|step| match step.parse::<usize>() {
            Ok(index) => sonic_rs::PointerNode::Index(index),
            Err(_) => sonic_rs::PointerNode::Key((*step).to_owned().into()),
        });
        let found = sonic_rs::get(self.json().ok()?.bytes(), steps.collect::<Vec<_>>()).ok();
        let found = found.filter(|found| !found.is_null())?;
        Some(found.as_str().map_or_else(|| found.as_raw_str().to_owned(), str::to_owned))
    }

    /// How long the server asks to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
    }
}
