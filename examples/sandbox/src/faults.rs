//! Fault injection: error responses, broken connections, truncated and slow bodies, either queued one by one by a test
//! or drawn from a seed; and random edits while a load runs.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};

use crate::network::Network;
use crate::object_types::{MERGED_IDS_PROPERTY, ObjectType};

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// A fixed response replaces the real one.
    Response {
        /// The status code.
        status: u16,
        /// The body.
        body: String,
        /// The `Retry-After` header, in seconds.
        retry_after: Option<u64>,
    },
    /// The connection drops after the headers.
    Drop,
    /// The connection drops in the middle of the body.
    Cut,
    /// Only the first half of the body arrives, as a complete response: JSON that ends early.
    Truncate,
    /// The body arrives in pieces with pauses between them.
    Slow,
}

/// A fault queued for the next request to a path.
#[derive(Debug, Clone)]
pub struct Fault {
    /// A part of the request path.
    pub path: String,
    /// What goes wrong.
    pub kind: FaultKind,
}

impl Fault {
    /// A fault for the next request whose path contains `path`.
    #[must_use]
    pub fn new(path: &str, kind: FaultKind) -> Self {
        Self { path: path.to_owned(), kind }
    }

    /// A fixed response to the next request whose path contains `path`.
    #[must_use]
    pub fn response(path: &str, status: u16, body: &str) -> Self {
        Self::new(path, FaultKind::Response { status, body: body.to_owned(), retry_after: None })
    }

    /// Adds a `Retry-After` header, in seconds, to a fixed response.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        if let FaultKind::Response { retry_after, .. } = &mut self.kind {
            *retry_after = Some(seconds);
        }
        self
    }
}

/// HubSpot's response body for a rate limit that was exceeded.
#[must_use]
pub fn rate_limit_body(policy: &str) -> String {
    let name = policy.to_lowercase();
    serde_json::json!({
        "status": "error", "message": format!("You have reached your {name} limit."), "errorType": "RATE_LIMIT",
        "policyName": policy, "correlationId": "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
    })
    .to_string()
}

/// Random faults and edits from a seed. What happens to a request depends on the seed, the request and the number of
/// its attempts, not on when it arrives. No request fails more than three times.
#[derive(Debug, Clone)]
pub struct Chaos {
    /// The same seed gives the same faults to the same requests.
    pub seed: u64,
    /// Share of requests that fail, from 0 to 1.
    pub fault_rate: f64,
    /// Share of requests after which a record changes, from 0 to 1.
    pub edit_rate: f64,
    attempts: HashMap<u64, u32>,
}

/// How often the same request may fail.
const MAX_FAULTS: u32 = 3;

impl Chaos {
    /// A schedule of faults and edits.
    #[must_use]
    pub fn new(seed: u64, fault_rate: f64, edit_rate: f64) -> Self {
        Self { seed, fault_rate, edit_rate, attempts: HashMap::new() }
    }

    fn rng(&self, request: u64, attempt: u32, salt: u8) -> ChaCha12Rng {
        let mut hasher = DefaultHasher::new();
        (self.seed, request, attempt, salt).hash(&mut hasher);
        ChaCha12Rng::seed_from_u64(hasher.finish())
    }

    /// Decides about the next attempt of a request: a fault, or a random generator for an edit after it, or neither.
    pub(crate) fn decide(&mut self, request: &str) -> (Option<FaultKind>, Option<ChaCha12Rng>) {
        let mut hasher = DefaultHasher::new();
        request.hash(&mut hasher);
        let request = hasher.finish();
        let attempt = self.attempts.entry(request).or_default();
        *attempt += 1;
        let attempt = *attempt;
        let mut rng = self.rng(request, attempt, 0);
        if attempt <= MAX_FAULTS && rng.random_bool(self.fault_rate) {
            return (Some(random_fault(&mut rng)), None);
        }
        let mut rng = self.rng(request, attempt, 1);
        let is_edited = rng.random_bool(self.edit_rate);
        (None, is_edited.then_some(rng))
    }
}

fn random_fault(rng: &mut ChaCha12Rng) -> FaultKind {
    let response = |status, body: &str| FaultKind::Response { status, body: body.to_owned(), retry_after: None };
    match rng.random_range(0..12) {
        0 => response(429, &rate_limit_body("TEN_SECONDLY_ROLLING")),
        1 => FaultKind::Response { status: 429, body: rate_limit_body("SECONDLY"), retry_after: Some(0) },
        2 => response(500, r#"{"status":"error","message":"internal error"}"#),
        3 => response(502, "<html><body>Bad gateway</body></html>"),
        4 => response(503, ""),
        5 => response(504, "<html>"),
        6 => response(524, "error code: 524"),
        7 => response(423, r#"{"status":"error","message":"locked","category":"LOCKED"}"#),
        8 => FaultKind::Drop,
        9 => FaultKind::Cut,
        10 => FaultKind::Truncate,
        _ => FaultKind::Slow,
    }
}

impl Network {
    /// Makes a random edit to a record of a type, as users do while a load runs.
    pub fn random_edit(&mut self, object_type: ObjectType, rng: &mut ChaCha12Rng, now: i64) {
        let pick_active = |network: &Self, rng: &mut ChaCha12Rng, object_type: ObjectType| {
            let records = network.records.get(&object_type)?;
            let start = rng.random_range(0..records.len().max(1));
            records
                .values()
                .cycle()
                .skip(start)
                .take(records.len())
                .find(|record| record.archived.is_none())
                .map(|record| record.id)
        };
        let Some(id) = pick_active(self, rng, object_type) else { return };
        let text = format!("mudou {}", rng.random_range(0..1_000_000));
        match rng.random_range(0..10) {
            0..4 => {
                let property = object_type
                    .properties()
                    .iter()
                    .position(|(name, _, data_type)| *data_type == "string" && *name != "especialidade_medica");
                let name = property.map_or("hs_object_id", |index| object_type.properties()[index].0);
                self.edit(object_type, id, name, Some(&text), now);
            }
            4 => {
                self.archive(object_type, id, now);
            }
            5 => {
                let archived = self.records[&object_type].values().find(|record| record.archived.is_some());
                let archived = archived.map(|record| record.id);
                archived.map(|id| self.restore(object_type, id));
            }
            6 => {
                let other = pick_active(self, rng, object_type).unwrap_or(id);
                if self.index(object_type, MERGED_IDS_PROPERTY).is_some() {
                    self.merge(object_type, id, other, now);
                }
            }
            7 => {
                self.add(object_type, now, |property| {
                    (property == "name" || property == "dealname").then(|| text.clone())
                });
            }
            8 => {
                self.purge(object_type, id);
            }
            _ => {
                let to = if object_type == ObjectType::Company { ObjectType::Contact } else { ObjectType::Company };
                let Some(other) = pick_active(self, rng, to) else { return };
                if !self.dissociate(object_type, id, to, other) {
                    self.associate_as(object_type, id, to, other, false, Some("Médico assistente"));
                }
            }
        }
    }
}
