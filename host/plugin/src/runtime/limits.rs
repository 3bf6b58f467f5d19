//! The limits of one plugin. A plugin that exceeds one traps.

use std::fmt;

/// Linear memory of an instance, in bytes.
pub(super) const GUEST_MEMORY: usize = 1024 * 1024 * 1024;
/// Bytes that cross from the guest to the host in one call.
pub(super) const CALL_BYTES: usize = 128 << 20;
/// Requests in one call, including those of earlier calls that are still in flight.
pub(super) const CALL_REQUESTS: u64 = 10_000;
/// Bytes of values that one call takes out of a response. A guest may ask for the same value many times.
pub(super) const CALL_VALUES: usize = 256 << 20;
/// Files that are open at a time.
pub(super) const OPEN_FILES: usize = 32;
/// Bytes of a handle beside what it holds.
pub(super) const HANDLE_BYTES: usize = 256;
/// Bytes of one column of a table, beside its values.
pub(super) const COLUMN_BYTES: usize = 256;
/// Log lines in one call.
pub(super) const CALL_LOG_LINES: u32 = 100_000;

/// Bytes of a plugin's config schema.
pub(super) const CONFIG_SCHEMA_BYTES: usize = 1 << 20;
/// Bytes of other JSON that a plugin passes to the host, such as the details of a need.
pub(super) const DETAILS_BYTES: usize = 1 << 16;
/// Columns of a table.
pub(super) const MAX_COLUMNS: usize = 10_000;

/// A limit that a plugin exceeded.
#[derive(Debug, Clone, Copy)]
pub(super) enum LimitExceeded {
    /// [`GUEST_MEMORY`].
    GuestMemory,
    /// [`CALL_REQUESTS`].
    Requests,
    /// [`CALL_VALUES`].
    Values,
    /// [`OPEN_FILES`].
    Files,
    /// [`CALL_LOG_LINES`].
    LogLines,
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GuestMemory => write!(f, "exceeded its memory limit of {} MiB", GUEST_MEMORY >> 20),
            Self::Requests => write!(f, "sent more than {CALL_REQUESTS} requests in one call"),
            Self::Values => write!(f, "took more than {} MiB of values from a response in one call", CALL_VALUES >> 20),
            Self::Files => write!(f, "opened more than {OPEN_FILES} files at a time"),
            Self::LogLines => write!(f, "logged more than {CALL_LOG_LINES} lines in one call"),
        }
    }
}

impl std::error::Error for LimitExceeded {}
