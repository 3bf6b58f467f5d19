//! What guests hold handles to while the host keeps the bytes: answers, files, decoded rows.

use std::path::PathBuf;

use arrow_array::RecordBatch;
use reqwest::header::HeaderMap;

/// An answer to a request.
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

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
}
