//! The contract is frozen: plugins that were built against a version of it run, and the version never changes.

use sandbox::{Fault, ServerOptions};
use sha2::{Digest as _, Sha256};
use wit_component::WitPrinter;
use wit_parser::Resolve;

use crate::support::{Project, root, stderr};

/// Each frozen version, and the SHA-256 of its contract.
const VERSIONS: &[(&str, &str)] = &[("0.1.0", "8a03663b222bbfa25e8a8a9234fef4a2a5246b7e72d97e661021f50993d03208")];

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect(path)
}

/// A contract as it is parsed, printed without comments. Fields, cases, flags, functions and parameters keep their order.
fn parsed(contract: &str) -> String {
    let mut resolve = Resolve::default();
    let package = resolve.push_source("plugin.wit", contract).expect("a contract that parses");
    let mut printer = WitPrinter::default();
    printer.emit_docs(false).print(&resolve, package, &[]).expect("a contract that can be printed");
    printer.output.to_string()
}

#[test]
fn a_changed_contract_needs_a_new_version() {
    for (version, sha256) in VERSIONS {
        let frozen = read(&format!("host/tests/frozen/plugin-{version}.wit"));
        let found: String = Sha256::digest(&frozen).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, *sha256, "version {version} is frozen: plugins were built against it");
    }
    let contract = read("wit/plugin.wit");
    let version = contract.lines().find_map(|line| line.strip_prefix("package elt:plugin@")?.strip_suffix(';'));
    let version = version.expect("the contract's version");
    let is_frozen = VERSIONS.iter().any(|(frozen, _)| *frozen == version);
    assert!(is_frozen, "version {version}: copy it to host/tests/frozen, with a rule and a source, and add it here");
    let frozen = read(&format!("host/tests/frozen/plugin-{version}.wit"));
    assert_eq!(
        parsed(&contract),
        parsed(&frozen),
        "wit/plugin.wit differs from version {version}: give it a new version"
    );
}

#[test]
fn a_change_of_the_contract_is_found() {
    const CONTRACT: &str = "
package elt:plugin@0.1.0;
/// An interface.
interface types {
  record item { id: u32, name: string }
  variant value { text(string), number(u32), none }
  enum kind { config, data }
  flags marks { open, closed }
  resource reader { next: func(first: u32, second: u32) -> option<item>; close: func(); }
  describe: func(name: string, version: string) -> item;
  check: func();
}
world source { import types; }
";
    let is_found = |from: &str, to: &str| {
        let changed = CONTRACT.replacen(from, to, 1);
        assert_ne!(changed, CONTRACT, "{from}");
        parsed(&changed) != parsed(CONTRACT)
    };
    assert!(!is_found("/// An interface.", "/// Another comment.\n/// On two lines."));
    for (from, to) in [
        ("id: u32, name: string", "name: string, id: u32"),
        ("text(string), number(u32)", "number(u32), text(string)"),
        ("config, data", "data, config"),
        ("open, closed", "closed, open"),
        ("first: u32, second: u32", "second: u32, first: u32"),
        (
            "next: func(first: u32, second: u32) -> option<item>; close: func();",
            "close: func(); next: func(first: u32, second: u32) -> option<item>;",
        ),
        ("name: string, version: string", "version: string, name: string"),
        (
            "describe: func(name: string, version: string) -> item;\n  check: func();",
            "check: func();\n  describe: func(name: string, version: string) -> item;",
        ),
        ("config,", "configuration,"),
        ("none }", "nothing }"),
        ("closed }", "done }"),
        ("id: u32", "id: u64"),
        ("-> item;", "-> option<item>;"),
        ("import types", "export types"),
    ] {
        assert!(is_found(from, to), "{from} → {to}");
    }
    let frozen = read("host/tests/frozen/plugin-0.1.0.wit");
    assert_ne!(parsed(&frozen.replace("rate-limited", "rate-limit")), parsed(&frozen));
}

#[test]
fn plugins_that_were_built_against_0_1_0_run() {
    let body = r#"{"note":"monthly","rates":[{"month":"2026-10-01","rate":"5.4"},{"month":"2026-09-01","rate":""}]}"#;
    let faults = [423, 200, 200, 200, 200, 200].map(|status| Fault::response("/rates", status, body)).to_vec();
    let project = Project::with(10, ServerOptions { faults, ..ServerOptions::default() });
    project.write("lines.csv", "id;name\n1;one\n2;two\n3;one\n4;note\n5;reject\n6;the slice leaves this out\n");
    project.write("suffix.txt", "!\n");
    let pipeline = r#"
[pipeline]
name = "frozen"
warehouse = "warehouse.duckdb"
[connection.rates]
base_url = "${HUBSPOT_BASE_URL}"
[[source]]
plugin = "source-0-1-0"
name = "frozen"
connections = { rates = "rates" }
files = { lines = "lines.csv" }
[[source]]
plugin = "csv"
name = "names"
files = { file = "names.csv" }
[source.config]
stream = "names"
primary_key = ["value"]
columns = { value = "text", name = "text" }
[[rule]]
plugin = "rule-0-1-0"
name = "rows"
streams = ["frozen.lines"]
files = { suffix = "suffix.txt" }
config = { column = "name" }
[[rule]]
plugin = "rule-0-1-0"
name = "whole"
streams = ["frozen.lines"]
inputs = { names = "names.names" }
config = { column = "name", whole = true }
"#;
    project.write("names.csv", "value,name\none!,um\n");
    let output = project.run_text(pipeline);
    assert!(output.status.success(), "{}", stderr(&output));
    let rates = project.query("SELECT month::VARCHAR AS month, rate::VARCHAR AS rate FROM raw_frozen.rates ORDER BY 1");
    assert_eq!(rates.len(), 2);
    assert_eq!((rates[0]["rate"].is_null(), &rates[1]["rate"]), (true, &"5.400000000".into()));
    let lines = project.query("SELECT id, name, also FROM clean_frozen.lines ORDER BY id");
    let lines: Vec<_> = lines.iter().map(|row| format!("{} {} {}", row["id"], row["name"], row["also"])).collect();
    assert_eq!(lines, [r#""1" "one!" "um""#, r#""2" "two!" null"#, r#""4" "note!" null"#]);
    let merges = project.query("SELECT key, survivor_key FROM _host.merges");
    assert_eq!((merges.len(), &merges[0]["key"], &merges[0]["survivor_key"]), (1, &"3".into(), &"1".into()));
    let journal = project.query("SELECT key, code FROM _host.rejects UNION ALL SELECT key, code FROM _host.notes");
    assert_eq!(journal.len(), 2, "{journal:?}");
    assert_eq!(project.query("SELECT sum(n)::BIGINT AS n FROM raw_frozen.own")[0]["n"], 1);
    let output = project.run_text(pipeline);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(
        project.query("SELECT sum(n)::BIGINT AS n FROM raw_frozen.own")[0]["n"],
        2,
        "it continues from its state"
    );
}
