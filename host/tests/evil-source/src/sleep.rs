//! A sleep without end, by the one thing in the empty WASI that takes time. Plugins in Rust have no WASI of their own.

mod bindings {
    wit_bindgen::generate!({
        inline: "
            package evil:sleep;
            world sleep { import wasi:clocks/monotonic-clock@0.2.0; }
            package wasi:clocks@0.2.0 {
              interface monotonic-clock {
                use wasi:io/poll@0.2.0.{pollable};
                subscribe-duration: func(nanoseconds: u64) -> pollable;
              }
            }
            package wasi:io@0.2.0 {
              interface poll { resource pollable { block: func(); } }
            }
        ",
        generate_all,
    });
}

/// A year.
const NANOSECONDS: u64 = 365 * 24 * 3600 * 1_000_000_000;

/// Does nothing for a year.
pub(crate) fn sleep() {
    bindings::wasi::clocks::monotonic_clock::subscribe_duration(NANOSECONDS).block();
}
