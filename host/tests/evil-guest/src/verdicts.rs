//! The pages of verdicts that `finish` returns: table scope. The records `1` and `2` exist, `nobody` does not.

use plugin_sdk::bindings::rule_plugin::exports::elt::plugin::rule::{Note, Patch, Verdicts};
use plugin_sdk::bindings::source_plugin::elt::plugin::types::{Batch, Column};

use crate::Mode;
use crate::buffers::texts;
use crate::patches::empty;

/// The page with this number; `None` after the last one.
pub(crate) fn misbehave(mode: Mode, page: u32) -> Option<Verdicts> {
    let endless: Option<&[&str]> = match mode {
        Mode::EmptyVerdicts => Some(&[]),
        Mode::EndlessVerdicts => Some(&["1"; 1000]),
        _ => None,
    };
    if let Some(keys) = endless {
        return Some(Verdicts { keys: batch(texts(keys)), patch: empty(), merged_into: None });
    }
    if page > 0 {
        return None;
    }
    let merge = |keys: &[&str], survivors: Column| {
        let (keys, merged_into) = (batch(texts(keys)), Some(batch(survivors)));
        Some(Verdicts { keys, patch: empty(), merged_into })
    };
    match mode {
        Mode::MergeIntoNone => merge(&["1"], Column { validity: Some(vec![0]), ..texts(&["2"]) }),
        Mode::MergeTwice => merge(&["1", "1"], texts(&["2", "2"])),
        Mode::MergeIntoStranger => merge(&["1"], texts(&["nobody"])),
        Mode::MergeInCircle => merge(&["1", "2"], texts(&["2", "1"])),
        Mode::UnevenMerge => merge(&["1", "2"], texts(&["2"])),
        Mode::RejectStranger => {
            let (column, code, message) = (None, "evil".to_owned(), "unknown record".to_owned());
            let patch = Patch { rejects: vec![Note { row: 0, column, code, message, confidence: None }], ..empty() };
            Some(Verdicts { keys: batch(texts(&["nobody"])), patch, merged_into: None })
        }
        _ => None,
    }
}

/// A batch of one text column.
fn batch(column: Column) -> Batch {
    let rows = column.offsets.as_ref().map_or(0, |offsets| offsets.len() / 4 - 1);
    Batch { rows: u32::try_from(rows).unwrap_or(u32::MAX), columns: vec![column] }
}
