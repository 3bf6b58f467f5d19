//! Sleeps with WASI's monotonic clock, the only function of the host's empty WASI context that takes time. Rust plugins
//! import no WASI, so the interface is declared here.

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

/// One year.
const NANOSECONDS: u64 = 365 * 24 * 3600 * 1_000_000_000;

/// Blocks for a year.
pub(crate) fn sleep() {
    bindings::wasi::clocks::monotonic_clock::subscribe_duration(NANOSECONDS).block();
}
