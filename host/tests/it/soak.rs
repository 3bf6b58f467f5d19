//! Runs with random failures, edits and kills, after which the raw tables must equal the sandbox's records. Each seed is one
//! history: SOAK_SEEDS is their number (`make soak SEEDS=100`), SOAK_FROM the first.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};
use sandbox::object_types::ObjectType;
use sandbox::{Chaos, GeneratorOptions, ServerOptions};

use crate::hubspot_common::HOUR;
use crate::raw_truth::{differences, stream};
use crate::support::{Project, stderr};

const LINKS: [(ObjectType, ObjectType); 5] = [
    (ObjectType::Deal, ObjectType::Company),
    (ObjectType::Deal, ObjectType::Contact),
    (ObjectType::Contact, ObjectType::Company),
    (ObjectType::Ticket, ObjectType::Contact),
    (ObjectType::Prescription, ObjectType::Contact),
];

/// A number in an environment variable.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Prints a line for whoever runs `make soak`.
#[expect(clippy::print_stdout, reason = "the output of a soak")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// Runs a schedule for each seed, and prints one line for each that fails, by an error or a panic. Returns their seeds.
pub(crate) fn report(what: &str, seeds: Range<u64>, mut schedule: impl FnMut(u64) -> Result<(), String>) -> Vec<u64> {
    let mut failed = Vec::new();
    for seed in seeds {
        let outcome = catch_unwind(AssertUnwindSafe(|| schedule(seed))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            Err(text.unwrap_or_else(|| "it panicked".to_owned()))
        });
        if let Err(why) = outcome {
            say(&format!("{what}: `make soak SEED={seed}` fails: {}", why.replace('\n', " ")));
            failed.push(seed);
        }
    }
    failed
}

#[test]
fn disturbed_loads_end_with_the_records_of_the_source() {
    let from = number("SOAK_FROM", 1);
    let failed = report("load", from..from + number("SOAK_SEEDS", 3), |seed| {
        soak(seed);
        Ok(())
    });
    assert_eq!(failed, Vec::<u64>::new(), "seeds that failed");
}

/// A few disturbed runs, some of them killed, then runs without disturbance.
fn soak(seed: u64) {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let patients = rng.random_range(10..250);
    let options = GeneratorOptions { seed, patients, everything: true, ..GeneratorOptions::default() };
    let server = ServerOptions {
        chaos: Some(Chaos::new(seed, rng.random_range(0.0..0.15), rng.random_range(0.0..0.3))),
        search_lag: Duration::from_secs(rng.random_range(0..120)),
        association_page_size: rng.random_range(1..8),
        clock: Some(1_800_000_000_000),
        ..ServerOptions::default()
    };
    let project = Project::of(options, server);
    let links: Vec<_> = LINKS.iter().map(|(from, to)| format!("{}_{}", stream(*from), stream(*to))).collect();
    let mut streams: Vec<&str> = links.iter().map(String::as_str).collect();
    streams.extend(ObjectType::ALL.map(stream));
    let config = format!("sweep_hours = {}\nranges = {}", rng.random_range(0..3), rng.random_range(1..9));
    let pipeline = project.hubspot(&streams, &config);
    // One request at a time makes the history repeatable.
    let concurrent = if seed.is_multiple_of(2) { "concurrent_requests = 1\n" } else { "" };
    let text = std::fs::read_to_string(&pipeline).expect("a pipeline");
    let text = text.replace("[connection.hubspot]\n", &format!("[connection.hubspot]\n{concurrent}"));
    std::fs::write(&pipeline, text).expect("a pipeline");
    for _ in 0..rng.random_range(1..5) {
        project.kill_at(&pipeline, rng.random_range(15..140));
        project.server.advance(Duration::from_secs(rng.random_range(1..9000)));
    }
    project.server.configure(|options| options.chaos = None);
    // The search index is up to date by now, and a sweep is due.
    project.server.advance(25 * HOUR);
    let mut runs = 0;
    loop {
        let output = project.try_run(&pipeline, &[]);
        assert!(output.status.success(), "seed {seed}: {}", stderr(&output));
        // A full read that was interrupted is completed first; the next one starts after it.
        let found = differences(&project, &ObjectType::ALL, &LINKS);
        if found.is_empty() {
            return;
        }
        runs += 1;
        assert!(runs < 2, "seed {seed}: {found:#?}");
        project.server.advance(25 * HOUR);
    }
}
