//! Erasure: deletes a person's records from every table and from the file, and keeps them out of later loads.

mod erase;
mod forget;
mod forgotten_filter;
mod rewrite;

pub use erase::{ErasureSummary, erase_again, repeat_erasure};
pub use forget::{forget, undo};
pub use forgotten_filter::ForgottenFilter;
pub use rewrite::{is_rewrite_due, remove_copies, rewrite};
