//! How much of a rate limit extract uses: 190 requests in 10 s, each answered after 150 ms.

use std::time::Duration;

use sandbox::{Limits, ServerOptions};

use crate::{Bench, Result};

const LIMIT: usize = 190;
const WINDOW: Duration = Duration::from_secs(10);
/// For some eight windows.
const PATIENTS: usize = 37_000;
const LATENCY: Duration = Duration::from_millis(150);

pub(crate) fn run() -> Result<()> {
    let limits = Limits { ten_secondly: Some(LIMIT), search_secondly: Some(5), daily: None };
    let behaviour = ServerOptions { limits, latency: LATENCY, ..ServerOptions::default() };
    let bench = Bench::new(PATIENTS, behaviour, false)?;
    let _ = bench.server.take_log();
    let cost = bench.host("run", "extract.toml", "limited.duckdb")?;
    let log = bench.server.take_log();
    let refused = log.iter().filter(|logged| logged.status == 429).count();
    let general: Vec<_> = log.iter().filter(|logged| !logged.contains("/search")).map(|logged| logged.at).collect();
    let (Some(first), Some(last)) = (general.first().copied(), general.last().copied()) else {
        return Err("nothing was asked".into());
    };
    // Whoever uses all of a rolling window sends the nth request when the one a window's worth before it is ten seconds old.
    let windows = u32::try_from((general.len() - 1) / LIMIT)?;
    let ideal = WINDOW * windows;
    let taken = last - first;
    let share = 100.0 * ideal.as_secs_f64() / taken.as_secs_f64();
    println!("\nextract at {} ms a request and {LIMIT} requests in {} s", LATENCY.as_millis(), WINDOW.as_secs());
    println!(
        "{} requests in {:.1} s, {:.0} s at the least: {share:.1} % of what is allowed (aim 95), {refused} refused, peak {:.0} MB",
        general.len(),
        taken.as_secs_f64(),
        ideal.as_secs_f64(),
        cost.peak_mb
    );
    Ok(())
}
