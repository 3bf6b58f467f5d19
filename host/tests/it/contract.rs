//! The size of plugins that use the SDK, a rule of 20 lines and a source of 40, and that both work.

use sandbox::{Fault, ServerOptions};

use crate::support::{Project, root, stderr};

/// Lines that hold code.
fn code_lines(path: &str) -> usize {
    let text = std::fs::read_to_string(root().join(path)).expect("an example");
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

#[test]
fn a_minimal_plugin_is_small() {
    assert!(code_lines("examples/minimal-rule/src/lib.rs") <= 20);
    assert!(code_lines("examples/minimal-source/src/lib.rs") <= 40);
}

#[test]
fn the_minimal_source_and_rule_work() {
    let body = r#"{"rates":[{"month":"2026-10-01","currency":"USD","bank":" BCB ","rate":5.4},{"month":"2026-09-01","currency":"USD","bank":"FED","rate":"x"}]}"#;
    let fault = || Fault::response("/rates", 200, body);
    let project = Project::with(10, ServerOptions { faults: vec![fault()], ..ServerOptions::default() });
    let output = project.run_text(
        r#"
[pipeline]
name = "rates"
warehouse = "warehouse.duckdb"
[connection.rates]
base_url = "${HUBSPOT_BASE_URL}"
[[source]]
plugin = "minimal-source"
name = "fx"
connections = { rates = "rates" }
config = { path = "/rates" }
[[rule]]
plugin = "minimal-rule"
streams = ["fx.rates"]
config = { column = "bank" }
"#,
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let rows = project.query(
        "SELECT month::VARCHAR AS month, bank, rate::VARCHAR AS rate, _unfit FROM clean_fx.rates ORDER BY month DESC",
    );
    assert_eq!(rows[0]["bank"], "bcb");
    assert_eq!(rows[0]["rate"], "5.400000000");
    assert_eq!(rows[1]["_unfit"], r#"{"rate":"x"}"#);
    let changes = project.query("SELECT * FROM _host.changes ORDER BY key");
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert_eq!(changes[1]["value_before"], " BCB ");
}
