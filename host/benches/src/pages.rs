//! Response times of `host serve`: every dashboard item on its own with many deals; then 200 clients for a minute, each
//! with a pause of one to three seconds between requests, while no run is active and during a run in the same process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use host::warehouse::Warehouse;
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use sandbox::{ServerOptions, TOKEN};
use serde_json::Value;

use crate::{Bench, Result};

const CLIENTS: usize = 200;
const MINUTE: Duration = Duration::from_secs(60);
/// Filters of the requests.
const FILTERS: [&str; 4] = ["", "horizon=6", "channel=google_ads", "horizon=3&period_from=2025-01&period_to=2025-12"];

pub(crate) fn run(patients: usize) -> Result<()> {
    host::plugin::install_crypto();
    let bench = Bench::new(patients, ServerOptions::default(), true)?;
    bench.host("run", "whole.toml", "pages.duckdb")?;
    let deals = {
        let warehouse = Warehouse::open(&bench.folder.join("pages.duckdb"), "1GB")?;
        warehouse.count("SELECT count(*) FROM raw_hubspot.deals", ())?
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (_process, url) = serve(&bench)?;
    let (url, token) = url.split_once("/?token=").ok_or("the URL has no token")?;
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {token}").parse()?);
    let client = Client::builder().default_headers(headers).build()?;
    runtime.block_on(async {
        let items = measure_items(&client, url, deals).await?;
        measure_during_run(&client, url, items).await
    })
}

/// A `host serve` process. It is killed when dropped.
struct HostProcess(Child);

impl Drop for HostProcess {
    fn drop(&mut self) {
        // Fails only if the process has already ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `host serve` and returns its URL.
fn serve(bench: &Bench) -> Result<(HostProcess, String)> {
    let child = Command::new(std::env::current_exe()?.with_file_name("host"))
        .args(["serve", "whole.toml", "--port", "0"])
        .current_dir(&bench.folder)
        .env("HUBSPOT_BASE_URL", bench.server.url())
        .env("HUBSPOT_ACCESS_TOKEN", TOKEN)
        .env("MARKETING_SPEND_CSV", bench.folder.join("spend.csv"))
        .env("WAREHOUSE", bench.folder.join("pages.duckdb"))
        .stdout(Stdio::piped())
        .spawn()?;
    let mut process = HostProcess(child);
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().ok_or("host serve has no stdout")?).read_line(&mut line)?;
    let url = line.split_whitespace().find(|word| word.starts_with("http://")).ok_or("host serve printed no URL")?;
    Ok((process, url.to_owned()))
}

/// Requests every item on its own; returns the paths of the items.
async fn measure_items(client: &Client, url: &str, deals: u64) -> Result<Vec<String>> {
    let dashboard: Value =
        serde_json::from_str(&client.get(format!("{url}/api/dashboard")).send().await?.text().await?)?;
    let sections = dashboard["sections"].as_array().into_iter().flatten();
    let items = sections.flat_map(|section| section["items"].as_array().into_iter().flatten());
    let items: Vec<_> = items.filter_map(|item| item["name"].as_str()).map(|name| format!("items/{name}")).collect();
    let mut pages = items.clone();
    pages.extend(
        ["freshness", "changes", "items/ltv_cac/drills/patients", "items/ltv_cac/drills/consultations"]
            .map(str::to_owned),
    );
    println!("\nhost serve with {deals} deals: response times in ms, median of 9 and slowest (limit for items: 200)");
    for page in &pages {
        let mut times = Vec::new();
        for round in 0..9 {
            let filter = if page.contains("items") { FILTERS[round % FILTERS.len()] } else { "" };
            times.push(get(client, &format!("{url}/api/{page}?{filter}")).await?.as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        println!("  {page:<40}{:>8.1}{:>8.1}", times[4], times[8]);
    }
    Ok(items)
}

/// The time of a successful GET request.
async fn get(client: &Client, address: &str) -> Result<Duration> {
    let started = Instant::now();
    let response = client.get(address).send().await?;
    let (status, text) = (response.status(), response.text().await?);
    if !status.is_success() {
        return Err(format!("GET {address}: status {status}: {text}").into());
    }
    Ok(started.elapsed())
}

/// Measures all clients while no run is active, then during a run.
async fn measure_during_run(client: &Client, url: &str, items: Vec<String>) -> Result<()> {
    let idle = run_clients(client, url, &items).await?;
    let started = client
        .post(format!("{url}/api/pipelines/hubspot/runs"))
        .header("X-Requested-With", "host")
        .header("Content-Type", "application/json")
        .body(r#"{"full_refresh":true}"#)
        .send()
        .await?;
    if !started.status().is_success() {
        return Err(format!("cannot start a run: {}", started.text().await?).into());
    }
    let during_run = run_clients(client, url, &items).await?;
    for (name, times) in [("no active run", &idle), ("during a run", &during_run)] {
        let permille = |rank: usize| times[(times.len() * rank / 1000).min(times.len() - 1)];
        println!(
            "{CLIENTS} clients for a minute, {name}: {} responses, none failed; median {:.0} ms, p99 {:.0} ms, slowest {:.0} ms",
            times.len(),
            permille(500),
            permille(990),
            permille(1000)
        );
    }
    Ok(())
}

/// Runs all clients for a minute. Returns the response times in milliseconds, sorted.
async fn run_clients(client: &Client, url: &str, items: &[String]) -> Result<Vec<f64>> {
    let shared = Arc::new((client.clone(), url.to_owned(), items.to_vec()));
    let ends = Instant::now() + MINUTE;
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let (client, url, items) = &*shared;
                let mut times = Vec::new();
                let mut turn = number;
                while Instant::now() < ends {
                    let pause = 1_000 + (turn * 7_919 + number * 104_729) % 2_000;
                    tokio::time::sleep(Duration::from_millis(u64::try_from(pause).unwrap_or(1_000))).await;
                    let (item, filter) = (&items[turn % items.len()], FILTERS[turn / 3 % FILTERS.len()]);
                    let took =
                        get(client, &format!("{url}/api/{item}?{filter}")).await.map_err(|cause| cause.to_string())?;
                    times.push(took.as_secs_f64() * 1e3);
                    turn += 1;
                }
                Ok::<_, String>(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}
