//! Row scope: what `apply` answers, where it answers at all.

use plugin_sdk::bindings::rule_plugin::elt::plugin::log;
use plugin_sdk::bindings::rule_plugin::exports::elt::plugin::rule::{Note, Patch};
use plugin_sdk::bindings::source_plugin::elt::plugin::types::{Column, Error, ErrorKind};

use crate::buffers::{offsets, texts};
use crate::{Mode, failure};

/// More than the host takes.
const GIANT: usize = 600 << 20;

/// A patch that changes nothing.
pub(crate) fn nothing() -> Patch {
    Patch { set: Vec::new(), rejects: Vec::new(), notes: Vec::new() }
}

/// The answer to the `batch`th batch, of so many rows.
pub(crate) fn misbehave(mode: Mode, batch: u32, rows: usize) -> Result<Patch, Error> {
    let names = vec!["evil"; rows];
    let text = |offsets: Vec<u8>, values: Vec<u8>| Column { validity: None, offsets: Some(offsets), values };
    // The last row holds all there is.
    let heaped = |end: usize| offsets(std::iter::repeat_n(0, rows).chain([end]));
    Ok(match mode {
        Mode::Spin => spin(),
        Mode::Allocate => allocate(),
        Mode::Recurse => {
            recurse(0);
            nothing()
        }
        Mode::Trap if batch > 1 => std::process::abort(),
        Mode::GiantText => set("name", text(heaped(GIANT), vec![b'x'; GIANT])),
        Mode::GiantOffsets => set("name", text(heaped(GIANT), b"abc".to_vec())),
        Mode::ShortBuffer => set("name", text(offsets(std::iter::repeat_n(0, rows)), Vec::new())),
        Mode::BadOffsets => set("name", text(offsets((0..=rows).rev()), vec![b'x'; rows])),
        Mode::BadUtf8 => set("name", text(heaped(2), vec![0xff, 0xfe])),
        Mode::SplitCharacter => {
            let ends = [0, 1].into_iter().chain(std::iter::repeat_n(2, rows - 1));
            set("name", text(offsets(ends), "é".as_bytes().to_vec()))
        }
        Mode::TooManyRows => set("name", texts(&vec!["evil"; rows + 10])),
        Mode::UnknownRow => Patch { rejects: vec![note(rows + 5, None)], ..nothing() },
        Mode::ManyNotes => Patch { notes: vec![note(0, None); 3_000_000], ..nothing() },
        Mode::NotesARow => Patch { notes: vec![note(0, None); 300_000], ..nothing() },
        Mode::BadConfidence => Patch { notes: vec![note(0, Some(f64::NAN))], ..nothing() },
        Mode::SmuggledKey => set("id", texts(&names)),
        Mode::UnknownColumn => set("extra", texts(&names)),
        Mode::LogFlood => {
            (0..1_000_000).for_each(|_| log::write(log::Level::Info, "a line of a flood"));
            nothing()
        }
        Mode::GiantError => {
            return Err(failure(ErrorKind::Data, format!("\u{1b}[2Jall is well{}", "!".repeat(100 << 20))));
        }
        _ => set("name", texts(&names)),
    })
}

fn set(column: &str, values: Column) -> Patch {
    Patch { set: vec![(column.to_owned(), values)], ..nothing() }
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
        // Never given back, and never left out as unused.
        std::mem::forget(std::hint::black_box(block));
    }
}

/// Both ends are hidden, so that no compiler makes a loop of it.
fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX {
        return depth;
    }
    std::hint::black_box(recurse(std::hint::black_box(depth + 1)))
}
