//! How much of a rate limit extract uses: 190 requests in 10 s, with a latency of 150 ms.

use std::time::Duration;

use sandbox::{RateLimits, ServerOptions};

use crate::{Bench, Result};

const LIMIT: usize = 190;
const WINDOW: Duration = Duration::from_secs(10);
/// Enough for about eight windows.
const PATIENTS: usize = 37_000;
const LATENCY: Duration = Duration::from_millis(150);

pub(crate) fn run() -> Result<()> {
    let limits = RateLimits { ten_secondly: Some(LIMIT), search_secondly: Some(5), daily: None };
    let server_options = ServerOptions { limits, latency: LATENCY, ..ServerOptions::default() };
    let bench = Bench::new(PATIENTS, server_options, false)?;
    let _ = bench.server.take_log();
    let cost = bench.host("run", "extract.toml", "limited.duckdb")?;
    let log = bench.server.take_log();
    let rejected = log.iter().filter(|logged| logged.status == 429).count();
    let general: Vec<_> = log.iter().filter(|logged| !logged.contains("/search")).map(|logged| logged.at).collect();
    let (Some(first), Some(last)) = (general.first().copied(), general.last().copied()) else {
        return Err("extract sent no requests".into());
    };
    // At the limit, a request is sent when the one `LIMIT` requests before it is ten seconds old.
    let windows = u32::try_from((general.len() - 1) / LIMIT)?;
    let shortest = WINDOW * windows;
    let actual = last - first;
    let share = 100.0 * shortest.as_secs_f64() / actual.as_secs_f64();
    println!(
        "\nextract with {} ms latency and a limit of {LIMIT} requests in {} s",
        LATENCY.as_millis(),
        WINDOW.as_secs()
    );
    println!(
        "{} requests in {:.1} s, shortest possible {:.0} s: {share:.1} % of the limit (target 95), {rejected} rejected, peak {:.0} MB",
        general.len(),
        actual.as_secs_f64(),
        shortest.as_secs_f64(),
        cost.peak_mb
    );
    Ok(())
}
