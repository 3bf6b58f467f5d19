//! What pages of `host serve` take: every item of the first page on many deals; and 200 readers for a minute while the
//! pipeline runs in the same process, each looking at an item, thinking for a second or three, and looking at the next.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use host::warehouse::Warehouse;
use reqwest::Client;
use sandbox::{ServerOptions, TOKEN};
use serde_json::Value;

use crate::{Bench, Result};

const READERS: usize = 200;
const MINUTE: Duration = Duration::from_secs(60);
/// Choices that readers make.
const CHOICES: [&str; 4] = ["", "horizon=6", "channel=google_ads", "horizon=3&period_from=2025-01&period_to=2025-12"];

pub(crate) fn run(patients: usize) -> Result<()> {
    host::install_crypto();
    let bench = Bench::new(patients, ServerOptions::default(), true)?;
    bench.host("run", "whole.toml", "pages.duckdb")?;
    let deals = {
        let warehouse = Warehouse::open(&bench.folder.join("pages.duckdb"), "1GB")?;
        warehouse.value("SELECT count(*) FROM raw_hubspot.deals", &[])?.unwrap_or_default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (_served, url) = serve(&bench)?;
    runtime.block_on(async {
        let (client, items) = alone(&url, &deals).await?;
        beside_a_run(&client, &url, items).await
    })
}

/// A process that ends with this one's interest in it.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The server, and where it listens.
fn serve(bench: &Bench) -> Result<(Served, String)> {
    let served = Command::new(std::env::current_exe()?.with_file_name("host"))
        .args(["serve", "whole.toml", "--port", "0"])
        .current_dir(&bench.folder)
        .env("HUBSPOT_BASE_URL", bench.server.url())
        .env("HUBSPOT_ACCESS_TOKEN", TOKEN)
        .env("MARKETING_SPEND_CSV", bench.folder.join("spend.csv"))
        .env("WAREHOUSE", bench.folder.join("pages.duckdb"))
        .stdout(Stdio::piped())
        .spawn()?;
    let mut served = Served(served);
    let mut line = String::new();
    BufReader::new(served.0.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let url = line.split_whitespace().find(|word| word.starts_with("http://")).ok_or("the server said no address")?;
    Ok((served, url.to_owned()))
}

/// Every item, by itself: the slowest of each one's medians.
async fn alone(url: &str, deals: &str) -> Result<(Client, Vec<String>)> {
    let client = Client::new();
    let declared: Value =
        serde_json::from_str(&client.get(format!("{url}/api/dashboard")).send().await?.text().await?)?;
    let sections = declared["sections"].as_array().into_iter().flatten();
    let items = sections.flat_map(|section| section["items"].as_array().into_iter().flatten());
    let items: Vec<_> = items.filter_map(|item| item["name"].as_str()).map(|name| format!("items/{name}")).collect();
    let mut pages = items.clone();
    pages.extend(
        ["freshness", "changes", "items/ltv_cac/drills/patients", "items/ltv_cac/drills/consultations"]
            .map(str::to_owned),
    );
    println!("\npages on {deals} deals, milliseconds, median of 9 and slowest (items at most 200):");
    for page in &pages {
        let mut times = Vec::new();
        for round in 0..9 {
            let choice = if page.contains("items") { CHOICES[round % CHOICES.len()] } else { "" };
            times.push(ask(&client, &format!("{url}/api/{page}?{choice}")).await?.as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        println!("  {page:<40}{:>8.1}{:>8.1}", times[4], times[8]);
    }
    Ok((client, items))
}

async fn ask(client: &Client, address: &str) -> Result<Duration> {
    let started = Instant::now();
    let response = client.get(address).send().await?;
    let (status, text) = (response.status(), response.text().await?);
    if !status.is_success() {
        return Err(format!("{address} answered {status}: {text}").into());
    }
    Ok(started.elapsed())
}

async fn beside_a_run(client: &Client, url: &str, items: Vec<String>) -> Result<()> {
    let quiet = readers(client, url, &items).await?;
    let started = client
        .post(format!("{url}/api/pipelines/hubspot/runs"))
        .header("X-Requested-With", "host")
        .header("Content-Type", "application/json")
        .body(r#"{"full_refresh":true}"#)
        .send()
        .await?;
    if !started.status().is_success() {
        return Err(format!("no run was started: {}", started.text().await?).into());
    }
    let busy = readers(client, url, &items).await?;
    for (name, times) in [("nothing runs", &quiet), ("a run beside them", &busy)] {
        let at = |share: usize| times[(times.len() * share / 1000).min(times.len() - 1)];
        println!(
            "{READERS} readers for a minute, {name}: {} answers, none failed; median {:.0} ms, p99 {:.0} ms, slowest {:.0} ms",
            times.len(),
            at(500),
            at(990),
            at(1000)
        );
    }
    Ok(())
}

/// All readers for a minute; how long each answer took, in milliseconds, the quickest first.
async fn readers(client: &Client, url: &str, items: &[String]) -> Result<Vec<f64>> {
    let shared = Arc::new((client.clone(), url.to_owned(), items.to_vec()));
    let ends = Instant::now() + MINUTE;
    let readers: Vec<_> = (0..READERS)
        .map(|reader| {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let (client, url, items) = &*shared;
                let mut times = Vec::new();
                let mut turn = reader;
                while Instant::now() < ends {
                    let thinking = 1_000 + (turn * 7_919 + reader * 104_729) % 2_000;
                    tokio::time::sleep(Duration::from_millis(u64::try_from(thinking).unwrap_or(1_000))).await;
                    let (item, choice) = (&items[turn % items.len()], CHOICES[turn / 3 % CHOICES.len()]);
                    let took =
                        ask(client, &format!("{url}/api/{item}?{choice}")).await.map_err(|cause| cause.to_string())?;
                    times.push(took.as_secs_f64() * 1e3);
                    turn += 1;
                }
                Ok::<_, String>(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for reader in readers {
        times.extend(reader.await??);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}
