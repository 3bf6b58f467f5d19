//! The conformance suite: tests a component, of whatever language, by the contract alone. It uses no pipeline and no
//! warehouse.

mod rule;
mod sample;
mod source;
mod suite;

pub use rule::{RuleCase, test_rule};
pub use sample::{Sample, parse_columns};
pub use source::{SourceCase, test_source};
pub use suite::{CheckOutcome, ConformanceCheck, Suite};
