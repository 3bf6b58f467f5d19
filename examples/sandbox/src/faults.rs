//! How a request fails: answers given instead of the right one, cut or dropped connections, slow bodies; one by one as a
//! test says, or by a seeded schedule.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};

use crate::kinds::Kind;
use crate::network::Network;

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Another answer: status, body, Retry-After in seconds.
    Answer {
        /// The status.
        status: u16,
        /// The body.
        body: String,
        /// The header Retry-After, in seconds.
        retry_after: Option<u64>,
    },
    /// The connection drops after the headers.
    Drop,
    /// The connection drops in the middle of the body.
    Cut,
    /// The right body's first half, whole by its headers: JSON that ends early.
    Truncate,
    /// The right body, in pieces with pauses between them.
    Slow,
}

/// A failure that waits for its request.
#[derive(Debug, Clone)]
pub struct Fault {
    /// A part of the path that it waits for.
    pub path: String,
    /// What happens.
    pub failure: Failure,
}

impl Fault {
    /// The next request for such a path fails so.
    #[must_use]
    pub fn new(path: &str, failure: Failure) -> Self {
        Self { path: path.to_owned(), failure }
    }

    /// The next request for such a path gets this answer.
    #[must_use]
    pub fn answer(path: &str, status: u16, body: &str) -> Self {
        Self::new(path, Failure::Answer { status, body: body.to_owned(), retry_after: None })
    }

    /// Asks to wait so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        if let Failure::Answer { retry_after, .. } = &mut self.failure {
            *retry_after = Some(seconds);
        }
        self
    }
}

/// A body of HubSpot's for a limit that is reached.
#[must_use]
pub fn rate_limit_body(policy: &str) -> String {
    let name = policy.to_lowercase();
    serde_json::json!({
        "status": "error", "message": format!("You have reached your {name} limit."), "errorType": "RATE_LIMIT",
        "policyName": policy, "correlationId": "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
    })
    .to_string()
}

/// Failures and edits by a seed. What happens to a request follows from the seed, the request and how often it was
/// asked: not from when it came. No request fails more than three times.
#[derive(Debug, Clone)]
pub struct Chaos {
    /// The same seed does the same to the same requests.
    pub seed: u64,
    /// Share of requests that fail.
    pub failures: f64,
    /// Share of requests after which a record changes.
    pub edits: f64,
    attempts: HashMap<u64, u32>,
}

/// How often one request may fail.
const MOST_FAILURES: u32 = 3;

impl Chaos {
    /// A schedule.
    #[must_use]
    pub fn new(seed: u64, failures: f64, edits: f64) -> Self {
        Self { seed, failures, edits, attempts: HashMap::new() }
    }

    fn rng(&self, request: u64, attempt: u32, salt: u8) -> ChaCha12Rng {
        let mut hasher = DefaultHasher::new();
        (self.seed, request, attempt, salt).hash(&mut hasher);
        ChaCha12Rng::seed_from_u64(hasher.finish())
    }

    /// What happens to a request, and a generator for what changes after it.
    pub(crate) fn strike(&mut self, request: &str) -> (Option<Failure>, Option<ChaCha12Rng>) {
        let mut hasher = DefaultHasher::new();
        request.hash(&mut hasher);
        let request = hasher.finish();
        let attempt = self.attempts.entry(request).or_default();
        *attempt += 1;
        let attempt = *attempt;
        let mut rng = self.rng(request, attempt, 0);
        if attempt <= MOST_FAILURES && rng.random_bool(self.failures) {
            return (Some(failure(&mut rng)), None);
        }
        let mut rng = self.rng(request, attempt, 1);
        let edits = rng.random_bool(self.edits);
        (None, edits.then_some(rng))
    }
}

fn failure(rng: &mut ChaCha12Rng) -> Failure {
    let answer = |status, body: &str| Failure::Answer { status, body: body.to_owned(), retry_after: None };
    match rng.random_range(0..12) {
        0 => answer(429, &rate_limit_body("TEN_SECONDLY_ROLLING")),
        1 => Failure::Answer { status: 429, body: rate_limit_body("SECONDLY"), retry_after: Some(0) },
        2 => answer(500, r#"{"status":"error","message":"internal error"}"#),
        3 => answer(502, "<html><body>Bad gateway</body></html>"),
        4 => answer(503, ""),
        5 => answer(504, "<html>"),
        6 => answer(524, "error code: 524"),
        7 => answer(423, r#"{"status":"error","message":"locked","category":"LOCKED"}"#),
        8 => Failure::Drop,
        9 => Failure::Cut,
        10 => Failure::Truncate,
        _ => Failure::Slow,
    }
}

impl Network {
    /// Changes something about a record of a type, as people do while a load runs.
    pub fn disturb(&mut self, kind: Kind, rng: &mut ChaCha12Rng, now: i64) {
        let live = |network: &Self, rng: &mut ChaCha12Rng, kind: Kind| {
            let objects = network.objects.get(&kind)?;
            let start = rng.random_range(0..objects.len().max(1));
            objects
                .values()
                .cycle()
                .skip(start)
                .take(objects.len())
                .find(|one| one.archived.is_none())
                .map(|one| one.id)
        };
        let Some(id) = live(self, rng, kind) else { return };
        let word = format!("mudou {}", rng.random_range(0..1_000_000));
        match rng.random_range(0..10) {
            0..4 => {
                let text = kind
                    .properties()
                    .iter()
                    .position(|(name, _, data_type)| *data_type == "string" && *name != "especialidade_medica");
                let name = text.map_or("hs_object_id", |index| kind.properties()[index].0);
                self.edit(kind, id, name, Some(&word), now);
            }
            4 => {
                self.archive(kind, id, now);
            }
            5 => {
                let gone = self.objects[&kind].values().find(|one| one.archived.is_some()).map(|one| one.id);
                gone.map(|id| self.restore(kind, id));
            }
            6 => {
                let other = live(self, rng, kind).unwrap_or(id);
                if self.index(kind, crate::kinds::MERGED).is_some() {
                    self.merge(kind, id, other, now);
                }
            }
            7 => {
                self.add(kind, now, |property| (property == "name" || property == "dealname").then(|| word.clone()));
            }
            8 => {
                self.purge(kind, id);
            }
            _ => {
                let to = if kind == Kind::Company { Kind::Contact } else { Kind::Company };
                let Some(other) = live(self, rng, to) else { return };
                if !self.unlink(kind, id, to, other) {
                    self.relate(kind, id, to, other, false, Some("Médico assistente"));
                }
            }
        }
    }
}
