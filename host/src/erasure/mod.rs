//! Erasure: deletes a person's records from every table and from the file, and keeps them out of later loads.

mod erase;
mod forget;
mod keep_out;
mod rewrite;

pub use erase::{Erased, repeat_erasure};
pub use forget::{forget, undo};
pub use keep_out::KeepOut;
pub use rewrite::{is_rewrite_due, remove_copies, rewrite};
