//! The conformance battery: tests a component, of whatever language, by the contract alone. It uses no pipeline and no
//! warehouse.

mod battery;
mod rule;
mod sample;
mod source;

pub use battery::{Battery, CheckOutcome, ConformanceCheck};
pub use rule::{RuleCase, test_rule};
pub use sample::{Sample, parse_columns};
pub use source::{SourceCase, test_source};
