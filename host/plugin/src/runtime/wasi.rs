//! The WASI that components of other languages import, without authority: no files, sockets, environment or arguments.
//! Output is dropped, the clock stands still, and random numbers are the same each time.

use std::time::Duration;

use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder};

/// 2000-01-01T00:00:00Z, in seconds since 1970: some language runtimes refuse to start before it.
const NOW: Duration = Duration::from_secs(946_684_800);

/// A clock that stands still.
struct FrozenClock;

impl HostWallClock for FrozenClock {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        NOW
    }
}

impl HostMonotonicClock for FrozenClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

/// A WASI context without authority. It is the same for every instance.
pub(super) fn isolated() -> WasiCtx {
    let random = || Deterministic::new((0..=255).collect());
    WasiCtxBuilder::new()
        .wall_clock(FrozenClock)
        .monotonic_clock(FrozenClock)
        .secure_random(random())
        .insecure_random(random())
        .insecure_random_seed(0)
        .build()
}
