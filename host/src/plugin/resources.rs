//! What guests hold handles to while the host keeps the bytes: answers, files, decoded rows.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use reqwest::header::HeaderMap;
use sonic_rs::JsonValueTrait as _;
use tokio::task::JoinSet;

use super::bindings::types as wit;
use super::held::Hold;

/// An answer to a request.
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) _hold: Hold,
}

impl Response {
    /// The value at a JSON pointer, strings unquoted, anything else as JSON text; none where absent, null or not JSON.
    pub(crate) fn get(&self, pointer: &str) -> Option<String> {
        let path: Vec<&str> = pointer.split('/').skip(1).collect();
        let steps = path.iter().map(|step| match step.parse::<usize>() {
            Ok(index) => sonic_rs::PointerNode::Index(index),
            Err(_) => sonic_rs::PointerNode::Key((*step).to_owned().into()),
        });
        let found = sonic_rs::get(self.body.as_slice(), steps.collect::<Vec<_>>()).ok();
        let found = found.filter(|found| !found.is_null())?;
        Some(found.as_str().map_or_else(|| found.as_raw_str().to_owned(), str::to_owned))
    }
}

/// Requests on their way; dropped, they are given up.
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct Sent {
    pub(crate) answers: JoinSet<Answers>,
    /// How many requests, until their answers are taken.
    pub(crate) requests: u64,
}

/// The answers to some requests, in their order.
pub(crate) type Answers = Vec<Result<Response, wit::Error>>;

/// A file that the pipeline granted.
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct GrantedFile {
    pub(crate) path: PathBuf,
    pub(crate) handle: std::fs::File,
}

/// Decoded rows.
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct Table {
    pub(crate) batch: RecordBatch,
    /// Shared with its slices, as the rows are.
    pub(crate) hold: Arc<Hold>,
}
