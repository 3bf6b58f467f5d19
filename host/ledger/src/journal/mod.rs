//! The journal: what rules did to each record. Each stream has its own tables; the views of `_host` show those of all streams.

mod history;
mod pages;
mod publish;
mod quality;
mod repairs;

pub use history::{HistoryStep, Merged, merged_into, steps};
pub use pages::{JournalPage, changes, names, remarks};
pub use publish::{
    RejectCount, RuleCounts, clear, count_rejects, delete_entries, missing_survivor, publish_staged, record_rule_runs,
    stage, staged_table,
};
pub use quality::{ChangeExample, Reason, RuleTotals, change_examples, changed_amounts, keys_in, reasons, rule_totals};
pub use repairs::{Repair, RepairKind, RuleRepairs, repairs_by_rule, repairs_of};
