//! The cost of columns that a rule does not read: `host clean` runs the same two-column rule over a table of 2 columns
//! and over one of 200. A clean table is a copy of the raw table, so the time to copy it in DuckDB is measured too.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use host::ledger;
use host::schema::{Disposition, Schema, Stream};
use host::warehouse::Table;

use crate::growth::median;
use crate::measure::measured;
use crate::{Result, folder};

const WIDTHS: [usize; 2] = [2, 200];
const ROUNDS: usize = 5;

pub(crate) fn run(rows: usize) -> Result<()> {
    let folder = folder()?;
    let mut lines = Vec::new();
    // Seconds by width.
    let (mut cleans, mut copies) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for width in WIDTHS {
        fill(&folder.join(format!("{width}.duckdb")), rows, width)?;
        std::fs::write(folder.join(format!("{width}.toml")), pipeline(width))?;
    }
    for _ in 0..ROUNDS {
        for (at, width) in WIDTHS.into_iter().enumerate() {
            let host = std::env::current_exe()?.with_file_name("host");
            measured(Command::new(host).args(["clean", &format!("{width}.toml"), "--quiet"]).current_dir(&folder))?;
            let warehouse = ledger::open(&folder.join(format!("{width}.duckdb")), "1GB")?;
            let step = "SELECT seconds FROM _host.steps WHERE step = 'clean' ORDER BY load_id DESC LIMIT 1";
            cleans[at].push(warehouse.value::<f64>(step, ())?.ok_or("no clean step in _host.steps")?);
            let started = Instant::now();
            warehouse.execute("CREATE OR REPLACE TABLE copied AS SELECT * FROM raw_bench.rows")?;
            copies[at].push(started.elapsed().as_secs_f64());
            warehouse.execute("DROP TABLE copied")?;
        }
    }
    let net = |at: usize| cleans[at].iter().zip(&copies[at]).map(|(clean, copy)| clean - copy).collect::<Vec<_>>();
    for (at, width) in WIDTHS.into_iter().enumerate() {
        let [clean, copy, net] = [cleans[at].clone(), copies[at].clone(), net(at)].map(median);
        lines.push(format!("{width:>8}{clean:>10.2}{copy:>15.2}{net:>12.2}"));
    }
    let ratio = |seconds: [Vec<f64>; 2]| {
        median(seconds[1].iter().zip(&seconds[0]).map(|(wide, narrow)| wide / narrow).collect())
    };
    println!("\nhost clean with a rule on two columns, {rows} rows, by table width, medians of {ROUNDS}");
    println!("{:>8}{:>10}{:>15}{:>12}", "columns", "clean s", "copy only s", "difference");
    lines.iter().for_each(|line| println!("{line}"));
    println!(
        "200 columns / 2 columns: {:.2} with the copy, {:.2} without (target: near 1)",
        ratio(cleans.clone()),
        ratio([0, 1].map(net))
    );
    Ok(())
}

fn pipeline(width: usize) -> String {
    format!(
        "[pipeline]\nname = \"columns\"\nwarehouse = \"{width}.duckdb\"\n\
         [[source]]\nplugin = \"csv\"\nname = \"bench\"\n\
         [[rule]]\nplugin = \"text\"\nstreams = [\"bench.rows\"]\n\
         [rule.config.columns]\nc0 = [\"nfc\", \"trim\", \"collapse_spaces\", \"name_case\"]\nc1 = [\"trim\", \"lower\"]\n"
    )
}

/// Creates a warehouse as a load leaves it: a raw table with `width` columns, a key and the host's columns.
fn fill(file: &Path, rows: usize, width: usize) -> Result<()> {
    let warehouse = ledger::open(file, "1GB")?;
    // One value in ten needs cleaning.
    let column = |at: usize| {
        format!(
            "CASE WHEN (range + {at}) % 10 = 0 THEN ' MARIA da  Silva ' ELSE 'Maria ' || (range * 31 + {at}) % 9973 END AS c{at}"
        )
    };
    let columns = (0..width).map(column).collect::<Vec<_>>().join(", ");
    warehouse.execute(&format!(
        "CREATE SCHEMA raw_bench; CREATE TABLE raw_bench.rows AS \
         SELECT range::VARCHAR AS id, {columns}, '0' AS _load_id, now() AS _extracted_at FROM range({rows})"
    ))?;
    let fields = warehouse.columns(&Table::raw("bench", "rows"))?.ok_or("no raw table")?;
    let stream = Stream {
        name: "rows".to_owned(),
        schema: Schema { fields, primary_key: vec!["id".to_owned()], cursor: None },
        disposition: Disposition::Merge,
        read_with: None,
        scope: None,
        unavailable: None,
        on_request: false,
        deleted: None,
        refers: Vec::new(),
        merged: None,
        free_text: Vec::new(),
    };
    ledger::streams::declare(&warehouse, "bench", &[stream])?;
    Ok(())
}
