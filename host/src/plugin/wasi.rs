//! The WASI that components of other languages import, with nothing in it: no files, no sockets, no environment, no
//! arguments, output that goes nowhere, a clock that stands still, and random numbers that are the same each time.

use std::time::Duration;

use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::state::State;

/// 2000-01-01T00:00:00Z, in seconds since 1970: some languages refuse to start before it.
const NOW: Duration = Duration::from_secs(946_684_800);

/// A clock that stands still.
struct Frozen;

impl HostWallClock for Frozen {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        NOW
    }
}

impl HostMonotonicClock for Frozen {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

/// A WASI without authority: two instances of a plugin see the same.
pub(crate) fn nothing() -> WasiCtx {
    let random = || Deterministic::new((0..=255).collect());
    WasiCtxBuilder::new()
        .wall_clock(Frozen)
        .monotonic_clock(Frozen)
        .secure_random(random())
        .insecure_random(random())
        .insecure_random_seed(0)
        .build()
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.handles }
    }
}
