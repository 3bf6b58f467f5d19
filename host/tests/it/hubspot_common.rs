//! Shared by the tests of the HubSpot source: a fixed clock, and the comparison with the sandbox's records.

use std::time::Duration;

use sandbox::ServerOptions;
use sandbox::object_types::ObjectType;

use crate::raw_truth::differences;
use crate::support::Project;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DEAL_STREAMS: [&str; 5] = ["companies", "contacts", "deals", "deals_companies", "deals_contacts"];
pub(crate) const DEAL_LINKS: [(ObjectType, ObjectType); 2] =
    [(ObjectType::Deal, ObjectType::Company), (ObjectType::Deal, ObjectType::Contact)];

/// Asserts that the raw tables equal the sandbox's records.
pub(crate) fn same(project: &Project, kinds: &[ObjectType], links: &[(ObjectType, ObjectType)]) {
    let found = differences(project, kinds, links);
    assert!(found.is_empty(), "{found:#?}");
}

pub(crate) fn first(project: &Project, kind: ObjectType) -> u64 {
    project.server.with(|network| *network.records[&kind].keys().next().expect("a record"))
}

/// A fixed clock, which the test advances.
pub(crate) fn still() -> ServerOptions {
    ServerOptions { clock: Some(1_800_000_000_000), ..ServerOptions::default() }
}
