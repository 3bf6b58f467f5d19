//! The conformance suite: tests a component, of whatever language, by the contract alone. It uses no pipeline and no
//! warehouse.

mod suite;
mod rule;
mod sample;
mod source;

pub use suite::{Suite, CheckOutcome, ConformanceCheck};
pub use rule::{RuleCase, test_rule};
pub use sample::{Sample, parse_columns};
pub use source::{SourceCase, test_source};
