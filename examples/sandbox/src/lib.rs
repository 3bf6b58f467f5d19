//! A HubSpot portal on loopback: a clinic network whose dirt and whose truth are known.
//!
//! [`Network::generate`] makes doctors, patients and consultations from a seed, [`truth`] says what LTV and CAC really
//! are, [`Server`] serves the records as HubSpot's CRM API would.

mod api;
pub mod clinic;
pub mod kinds;
mod network;
mod search;
mod server;
pub mod spend;
pub mod truth;

pub use network::{Link, Network, Object, Options};
pub use server::{Fault, Server, ServerOptions, TOKEN, now};
