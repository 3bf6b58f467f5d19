//! A HubSpot portal on loopback: a clinic network whose dirt and whose truth are known.
//!
//! [`Network::generate`] makes doctors, patients and consultations from a seed, [`truth`] says what LTV and CAC really
//! are, [`identity`] how well merges meet the people behind the records, [`Server`] serves the records as HubSpot's CRM
//! API would, well behaved or not.

mod answering;
mod api;
mod beside;
pub mod clinic;
mod entry;
mod faults;
mod generate;
pub mod identity;
pub mod import;
pub mod kinds;
mod limits;
mod network;
mod person;
mod search;
mod server;
mod slip;
pub mod spend;
pub mod truth;

pub use faults::{Chaos, Failure, Fault, rate_limit_body};
pub use generate::Options;
pub use limits::Limits;
pub use network::{Consultation, Definition, Doctor, Link, Network, Object, Patient};
pub use server::{Logged, REFRESH_TOKEN, Server, ServerOptions, TOKEN};
