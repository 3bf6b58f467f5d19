//! How much of a rate limit extract uses: 190 requests in 10 s, each answered after 150 ms.

use std::time::Duration;

use sandbox::{Limits, ServerOptions};

use crate::{Bench, Result};

const LIMIT: usize = 190;
const WINDOW: Duration = Duration::from_secs(10);
const LATENCY: Duration = Duration::from_millis(150);

pub(crate) fn run() -> Result<()> {
    let limits = Limits { ten_secondly: Some(LIMIT), search_secondly: Some(5), daily: None };
    let behaviour = ServerOptions { limits, latency: LATENCY, ..ServerOptions::default() };
    let bench = Bench::new(25_000, behaviour, false)?;
    let _ = bench.server.take_log();
    let cost = bench.host("run", "extract.toml", "limited.duckdb")?;
    let log = bench.server.take_log();
    let refused = log.iter().filter(|logged| logged.status == 429).count();
    let general: Vec<_> = log.iter().filter(|logged| !logged.contains("/search")).map(|logged| logged.at).collect();
    let (Some(first), Some(last)) = (general.first().copied(), general.last().copied()) else {
        return Err("nothing was asked".into());
    };
    // Every whole window that starts at a request: how many came within it.
    let whole = general.iter().filter(|start| **start + WINDOW <= last);
    let counts: Vec<usize> =
        whole.map(|start| general.iter().filter(|at| *at >= start && **at < *start + WINDOW).count()).collect();
    let mean = counts.iter().sum::<usize>() * 100 / (counts.len().max(1) * LIMIT);
    println!("\nextract at {} ms a request and {LIMIT} requests in {} s", LATENCY.as_millis(), WINDOW.as_secs());
    println!(
        "{} requests in {:.0} s: {mean} % of what is allowed (aim 95), {refused} refused, peak {:.0} MB",
        log.len(),
        (last - first).as_secs_f64(),
        cost.peak_mb
    );
    Ok(())
}
