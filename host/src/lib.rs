//! The rooms of the host, in the order in which data flows.
pub mod error;
pub mod schema;
pub mod pipeline;
