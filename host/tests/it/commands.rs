//! The commands other than `run`.

use std::process::Output;

use crate::support::{Project, root, stderr};

fn succeed(project: &Project, arguments: &[&str]) -> String {
    let output: Output = project.command(arguments).output().expect("the binary runs");
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn shipped() -> String {
    root().join("pipelines/hubspot.toml").display().to_string()
}

#[test]
fn init_creates_a_project_that_passes_its_checks() {
    let project = Project::new(20);
    let folder = project.folder.path().join("clinic");
    let folder = folder.to_str().expect("a path");
    assert!(succeed(&project, &["init", folder]).contains("host run pipelines/hubspot.toml"));
    let pipeline = format!("{folder}/pipelines/hubspot.toml");
    assert!(succeed(&project, &["check", &pipeline]).ends_with("all checks passed\n"));
    let again = project.command(&["init", folder]).output().expect("the binary runs");
    assert_eq!(again.status.code(), Some(2), "{}", stderr(&again));
}

#[test]
fn check_and_discover_write_nothing() {
    let project = Project::new(20);
    let check = succeed(&project, &["check", &shipped()]);
    assert!(check.contains("HubSpot portal 50000001 (SANDBOX)"), "{check}");
    let discover = succeed(&project, &["discover", &shipped(), "--stream", "hubspot.companies"]);
    assert!(discover.contains("especialidade_medica") && discover.contains("Especialidade Médica"), "{discover}");
    let unknown = project.command(&["discover", &shipped(), "--stream", "contcts"]).output().expect("the binary runs");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("did you mean `contacts`"), "{}", stderr(&unknown));
    assert!(!project.warehouse_path().exists());
}

#[test]
fn the_plan_lists_all_steps_and_sends_no_request() {
    let project = Project::new(20);
    let plan = succeed(&project, &["plan", &shipped()]);
    assert_eq!(project.server.take_log().len(), 0);
    let root = root().display().to_string();
    let plan = plan.replace(&root, "ROOT").replace(&project.server.url(), "URL");
    let plan = plan.replace(&project.folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(plan);
}

#[test]
fn the_report_lists_all_steps_with_their_figures() {
    let project = Project::new(200);
    let report = succeed(&project, &["run", &shipped()]);
    // Columns are known once streams are loaded, so the plan shows the columns that each rule sets.
    let plan = succeed(&project, &["plan", &shipped()]);
    for line in ["tidy_contacts: hubspot.contacts · sets email, firstname, lastname, phone", "· sets linked_company_id"]
    {
        assert!(plan.contains(line), "{plan}");
    }
    let report = report.replace(&project.folder.path().display().to_string(), "FOLDER");
    let filters =
        vec![(r" +\d+\.\d s", " SECONDS"), (r"run 0[0-9A-Z]{25}", "run LOAD_ID"), (r"FOLDER[^ ]*", "WAREHOUSE")];
    insta::with_settings!({ filters => filters }, { insta::assert_snapshot!(report) });
}

#[test]
fn schemas_and_plugins_are_shown() {
    let project = Project::new(20);
    let schema: serde_json::Value = serde_json::from_str(&succeed(&project, &["schema", "pipeline"])).expect("JSON");
    assert!(schema.pointer("/properties/pipeline").is_some());
    let inspect = succeed(&project, &["plugin", "inspect", "dedupe", "--format", "json"]);
    let inspect: serde_json::Value = serde_json::from_str(&inspect).expect("JSON");
    assert_eq!(inspect["contract"], "rule");
    assert_eq!(
        inspect["imports"].as_array().map(|imports| imports.iter().any(|import| import.to_string().contains("wasi"))),
        Some(false)
    );
    assert!(inspect.pointer("/description/config_schema/properties/matches").is_some());
}

#[test]
fn a_real_portal_can_be_filled_with_the_same_network() {
    let project = Project::new(40);
    let files = project.server.with(|network| sandbox::import::write(network, project.folder.path())).expect("files");
    let shown: Vec<_> =
        files.iter().map(|file| file.file_name().expect("a name").to_string_lossy().into_owned()).collect();
    assert_eq!(shown, ["import_companies.csv", "import_contacts.csv", "import_deals.csv"]);
    let text = |index: usize| std::fs::read_to_string(&files[index]).expect("a file");
    let companies = text(0);
    assert!(companies.starts_with("Company name,Especialidade Médica,"), "{companies}");
    let deals = text(2);
    let header = "Deal Name,Pipeline,Deal Stage,Amount,Close Date,Associated Company,Associated Contact Email\n";
    assert!(deals.starts_with(header), "{deals}");
    assert!(deals.contains(",Consultas,Realizada,"), "{deals}");
    let count = project.server.with(|network| network.records[&sandbox::object_types::ObjectType::Deal].len());
    assert_eq!(deals.lines().count(), count + 1);
}

#[test]
fn wrong_arguments_are_an_error_in_the_format_that_they_ask_for() {
    let project = Project::new(1);
    let output = project.command(&["run", "--format", "json"]).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).expect("JSON");
    assert_eq!(error["error"]["kind"], "config", "{error}");
    assert!(error["error"]["message"].as_str().is_some_and(|text| text.contains("<PIPELINE>")), "{error}");
}

#[test]
fn commands_that_need_data_do_not_create_a_warehouse() {
    let project = Project::new(1);
    let pipeline = shipped();
    for arguments in [["clean", &pipeline].as_slice(), &["forget", &pipeline, "contacts/1"]] {
        let output = project.command(arguments).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("does not exist"), "{arguments:?}: {}", stderr(&output));
    }
    let files = std::fs::read_dir(project.folder.path()).expect("the folder");
    let names = files.map(|file| file.expect("a file").file_name().into_string().expect("a name"));
    assert_eq!(names.filter(|name| name.ends_with(".duckdb")).count(), 0);
}

#[test]
fn an_output_that_cannot_be_written_is_an_error() {
    let project = Project::new(10);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device that is always full");
    let output = project.command(&["schema", "pipeline"]).stdout(full).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("the output cannot be written"), "{}", stderr(&output));
}

#[test]
fn streams_that_were_never_loaded_make_a_run_partial() {
    let project = Project::new(20);
    let output = project.command(&["run", &shipped(), "--select", "owners"]).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("stream `hubspot.deals` was never loaded"), "{text}");
    project.run(&[]);
    project.run(&["--select", "owners"]);
}

#[test]
fn one_stream_can_be_selected() {
    let project = Project::new(20);
    project.run(&[]);
    let report = project.run(&["--select", "deals", "--full-refresh"]);
    let streams: Vec<_> = report["extracted"]
        .as_array()
        .expect("streams")
        .iter()
        .map(|stream| stream["stream"].as_str().expect("a name"))
        .collect();
    assert_eq!(streams, ["hubspot.deals", "hubspot.deals_companies", "hubspot.deals_contacts"]);
    let changed: u64 =
        report["extracted"].as_array().expect("streams").iter().filter_map(|stream| stream["changed"].as_u64()).sum();
    assert_eq!(changed, 0, "a full refresh of the same data writes no row");
    let unknown = project.command(&["run", &shipped(), "--select", "quotes"]).output().expect("the binary runs");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("`--select`: unknown stream `quotes`"), "{}", stderr(&unknown));
}

#[test]
fn a_run_with_since_reads_all_changes_from_that_day_on() {
    let project = Project::new(60);
    project.run(&[]);
    let report = project.run(&["--since", "2026-06-01"]);
    let deals = report["extracted"]
        .as_array()
        .expect("streams")
        .iter()
        .find(|stream| stream["stream"] == "hubspot.deals")
        .expect("deals")
        .clone();
    let expected = project.query("SELECT count(*) AS rows FROM raw_hubspot.deals WHERE hs_lastmodifieddate >= TIMESTAMPTZ '2026-06-01 03:00:00+00'");
    assert_eq!(deals["rows"], expected[0]["rows"]);
    assert_eq!(deals["changed"], 0);
}
