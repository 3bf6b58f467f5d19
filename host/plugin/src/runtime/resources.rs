//! Resources that guests hold handles to while the host keeps the bytes: requests in flight, files, decoded rows.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use tokio::task::JoinSet;

use crate::decode::csv::CsvReader;
use crate::http::RequestError;
use crate::http::response::HttpResponse;
use crate::memory::Reservation;

/// The responses to some requests, in their order.
pub(crate) type Responses = Vec<Result<HttpResponse, RequestError>>;

/// Requests in flight. Dropping them cancels them.
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct SentRequests {
    pub(crate) responses: JoinSet<Responses>,
    /// The number of requests; 0 once the guest took the responses.
    pub(crate) count: u64,
    /// Counts the handle as held.
    pub(crate) _handle: Reservation,
}

/// A file that counts as open until this is dropped. Clones are the same file.
#[derive(Clone)]
pub(crate) struct OpenFile {
    pub(crate) _count: Arc<()>,
}

/// A file that the pipeline grants.
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct GrantedFile {
    pub(crate) path: PathBuf,
    pub(crate) file: std::fs::File,
    pub(crate) _open: OpenFile,
}

/// A granted CSV file that is being read.
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct OpenCsv {
    pub(crate) reader: CsvReader,
    pub(crate) _open: OpenFile,
}

/// Decoded rows.
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct DecodedTable {
    pub(crate) batch: RecordBatch,
    /// Counts the rows as held. Slices share it, as they share the rows.
    pub(crate) reservation: Arc<Reservation>,
    /// Counts the handle and the columns' headers as held.
    pub(crate) _handle: Reservation,
}
