//! The patches that `apply` returns: row scope.

use plugin_sdk::bindings::rule_plugin::elt::plugin::log;
use plugin_sdk::bindings::rule_plugin::exports::elt::plugin::rule::{Note, Patch};
use plugin_sdk::bindings::source_plugin::elt::plugin::types::{Column, Error, ErrorKind};

use crate::buffers::{offsets, texts};
use crate::{Mode, failure};

/// More bytes than the host accepts in one call.
const GIANT: usize = 600 << 20;

/// A patch that changes nothing.
pub(crate) fn empty() -> Patch {
    Patch { set: Vec::new(), rejects: Vec::new(), notes: Vec::new() }
}

/// A patch with a note that repeats a text, which is logged too.
pub(crate) fn echo(text: &str) -> Patch {
    log::write(log::Level::Warn, text);
    let note = Note { column: Some(text.to_owned()), code: text.to_owned(), message: text.to_owned(), ..note(0, None) };
    Patch { notes: vec![note], ..empty() }
}

/// The patch for batch number `batch`, which has `rows` rows.
pub(crate) fn misbehave(mode: Mode, batch: u32, rows: usize) -> Result<Patch, Error> {
    let names = vec!["evil"; rows];
    let text = |offsets: Vec<u8>, values: Vec<u8>| Column { validity: None, offsets: Some(offsets), values };
    // Every row is empty but the last, which has all bytes.
    let all_in_last_row = |end: usize| offsets(std::iter::repeat_n(0, rows).chain([end]));
    Ok(match mode {
        Mode::Spin => spin(),
        Mode::Allocate => allocate(),
        Mode::Recurse => {
            recurse(0);
            empty()
        }
        Mode::Trap if batch > 1 => std::process::abort(),
        Mode::GiantText => set("name", text(all_in_last_row(GIANT), vec![b'x'; GIANT])),
        Mode::GiantOffsets => set("name", text(all_in_last_row(GIANT), b"abc".to_vec())),
        Mode::ShortBuffer => set("name", text(offsets(std::iter::repeat_n(0, rows)), Vec::new())),
        Mode::BadOffsets => set("name", text(offsets((0..=rows).rev()), vec![b'x'; rows])),
        Mode::BadUtf8 => set("name", text(all_in_last_row(2), vec![0xff, 0xfe])),
        Mode::SplitCharacter => {
            let ends = [0, 1].into_iter().chain(std::iter::repeat_n(2, rows - 1));
            set("name", text(offsets(ends), "é".as_bytes().to_vec()))
        }
        Mode::TooManyRows => set("name", texts(&vec!["evil"; rows + 10])),
        Mode::UnknownRow => Patch { rejects: vec![note(rows + 5, None)], ..empty() },
        Mode::ManyNotes => Patch { notes: vec![note(0, None); 3_000_000], ..empty() },
        Mode::NotesARow => Patch { notes: vec![note(0, None); 300_000], ..empty() },
        Mode::BadConfidence => Patch { notes: vec![note(0, Some(f64::NAN))], ..empty() },
        Mode::SmuggledKey => set("id", texts(&names)),
        Mode::UnknownColumn => set("extra", texts(&names)),
        Mode::Log => {
            log::write(log::Level::Info, &format!("a batch of {rows} rows"));
            empty()
        }
        Mode::LogFlood => {
            (0..1_000_000).for_each(|_| log::write(log::Level::Info, "a line of a flood"));
            empty()
        }
        Mode::GiantError => {
            return Err(failure(ErrorKind::Data, format!("\u{1b}[2Jall is well{}", "!".repeat(100 << 20))));
        }
        _ => set("name", texts(&names)),
    })
}

fn set(column: &str, values: Column) -> Patch {
    Patch { set: vec![(column.to_owned(), values)], ..empty() }
}

fn note(row: usize, confidence: Option<f64>) -> Note {
    let row = u32::try_from(row).unwrap_or(u32::MAX);
    Note { row, column: None, code: String::new(), message: String::new(), confidence }
}

fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

fn allocate() -> ! {
    loop {
        let block: Vec<u8> = Vec::with_capacity(16 << 20);
        // Leaked, and hidden from the optimizer, which would remove an unused allocation.
        std::mem::forget(std::hint::black_box(block));
    }
}

/// `black_box` keeps the compiler from turning the recursion into a loop.
fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX {
        return depth;
    }
    std::hint::black_box(recurse(std::hint::black_box(depth + 1)))
}
