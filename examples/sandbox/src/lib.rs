//! A HubSpot portal on loopback, filled with a generated clinic network. The generator adds known data errors
//! and keeps the ground truth, so that tests can compare results with it.
//!
//! - [`Network::generate`] makes doctors, patients and consultations from a seed.
//! - [`SandboxServer`] serves them over HubSpot's CRM API, and can inject faults, rate limits and latency.
//! - [`truth`] computes the true LTV and CAC.
//! - [`identity`] scores merges by precision and recall.
//!
//! ```
//! use sandbox::{Fault, GeneratorOptions, Network, SandboxServer, ServerOptions, spend, truth};
//!
//! let options = GeneratorOptions { patients: 20, ..GeneratorOptions::default() };
//! let faults = vec![Fault::response("/objects/2026-03/deals", 503, "").retry_after(1)];
//! let server_options = ServerOptions { faults, ..ServerOptions::default() };
//! let server = SandboxServer::start(Network::generate(&options), server_options, 0)?;
//!
//! // Run a client against `server.url()` with the token `sandbox::TOKEN`, then compare its results with the truth.
//! let spend = spend::generate(&options);
//! let truth = server.with(|network| truth::compute(network, &spend));
//! let at_12_months = &truth[&("overall", "all".to_owned(), 12)];
//! assert!(at_12_months.ltv() > 0.0);
//! assert!(server.take_log().is_empty());
//! # Ok::<(), std::io::Error>(())
//! ```

mod api;
pub mod clinic;
mod data_entry;
mod faults;
mod generate;
mod handler;
pub mod identity;
pub mod import;
mod network;
pub mod object_types;
mod options;
mod other_objects;
mod person;
mod portal;
mod rate_limits;
mod search;
mod server;
pub mod spend;
pub mod truth;
mod typo;

pub use faults::{Chaos, Fault, FaultKind, rate_limit_body};
pub use generate::GeneratorOptions;
pub use network::{Association, Consultation, Doctor, Network, Patient, PropertyDefinition, PropertyVersion, Record};
pub use options::{REFRESH_TOKEN, ServerOptions, TOKEN};
pub use portal::LoggedRequest;
pub use rate_limits::RateLimits;
pub use server::SandboxServer;
