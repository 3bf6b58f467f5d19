//! The sixteen behaviors of the HubSpot source: 10 to 16, contents of responses and failures; and invalid input.

use sandbox::object_types::{CALCULATED_PROPERTY, ObjectType};
use sandbox::{Fault, FaultKind, GeneratorOptions, RateLimits, ServerOptions, rate_limit_body};
use serde_json::{Value, json};

use crate::hubspot_common::{DEAL_LINKS, DEAL_STREAMS, HOUR, first, same, still};
use crate::support::{Project, stderr};

#[test]
fn b10_values_that_do_not_fit_their_column_are_kept() {
    let project = Project::with(20, still());
    let values = ["67340.0", "1;2", "", "1e3", "R$ 12", "0.1234567891234"];
    let times = ["1700000000000", "2023-11-14T22:13:20Z", "1700000000000.0", "2023-11-14", "", "ontem"];
    project.server.with(|network| {
        let ids: Vec<_> = network.records[&ObjectType::Deal].keys().copied().collect();
        for (id, (value, time)) in ids.iter().zip(values.iter().zip(times)) {
            network.edit_silently(ObjectType::Deal, *id, "amount", Some(value));
            network.edit_silently(ObjectType::Deal, *id, "closedate", Some(time));
            network.edit_silently(ObjectType::Deal, *id, "dealname", Some("NUL \u{0} 🌿 \"x\" \\ \u{7f}"));
        }
    });
    project.load(&["deals"], "");
    let rows = project.query(
        "SELECT amount::VARCHAR AS amount, epoch_ms(closedate) AS closed, _unfit, dealname FROM raw_hubspot.deals ORDER BY id LIMIT 6",
    );
    let amounts: Vec<_> = rows.iter().map(|row| row["amount"].as_str().map(str::to_owned)).collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(amounts, [text("67340.000000000"), None, None, text("1000.000000000"), None, None]);
    let closed: Vec<_> = rows.iter().map(|row| row["closed"].as_i64()).collect();
    let instant = Some(1_700_000_000_000);
    assert_eq!(closed, [instant, instant, instant, Some(1_699_920_000_000), None, None]);
    assert_eq!(rows[1]["_unfit"], r#"{"amount":"1;2"}"#);
    assert_eq!(rows[2]["_unfit"], Value::Null);
    assert_eq!(rows[5]["_unfit"], r#"{"amount":"0.1234567891234","closedate":"ontem"}"#);
    assert_eq!(rows[0]["dealname"], "NUL \u{0} 🌿 \"x\" \\ \u{7f}");
}

#[test]
fn b10_ids_may_be_numbers_and_a_value_five_megabytes_long() {
    let project = Project::with(20, still());
    let long = "ç🌿".repeat(900_000);
    let id = first(&project, ObjectType::Deal);
    project.server.with(|network| network.edit_silently(ObjectType::Deal, id, "dealname", Some(&long)));
    project.server.configure(|options| {
        options.rewrite = Some(|_, answer| {
            for record in answer["results"].as_array_mut().into_iter().flatten() {
                if let Some(id) = record["id"]
                    .as_str()
                    .and_then(|id| id.parse::<u64>().ok())
                    .filter(|_| record.get("properties").is_some())
                {
                    record["id"] = json!(id);
                }
            }
        });
    });
    project.load(&["deals"], "");
    same(&project, &[ObjectType::Deal], &[]);
    let rows = project.query(&format!("SELECT length(dealname) AS letters FROM raw_hubspot.deals WHERE id = '{id}'"));
    assert_eq!(rows[0]["letters"], 1_800_000);
}

#[test]
fn b11_new_retyped_and_deleted_properties_lose_nothing() {
    let project = Project::with(60, still());
    project.load(&["deals"], "");
    let id = first(&project, ObjectType::Deal);
    project.server.with(|network| {
        // Values of a new property, of records that no date of change tells of.
        network.add_property(ObjectType::Deal, "convenio", "string");
        network.add_property(ObjectType::Deal, "Convenio", "string");
        network.edit_silently(ObjectType::Deal, id, "convenio", Some("Unimed"));
        network.edit_silently(ObjectType::Deal, id, "Convenio", Some("Amil"));
        network.redefine(ObjectType::Deal, "amount", |amount| amount.data_type = "string".to_owned());
        network.edit_silently(ObjectType::Deal, id, "amount", Some("cento e dez"));
        network.redefine(ObjectType::Deal, "valor_reembolsado", |refund| refund.archived = true);
    });
    let refunds = "SELECT count(valor_reembolsado) AS kept FROM raw_hubspot.deals";
    let kept = project.query(refunds);
    project.server.advance(HOUR);
    project.load(&["deals"], "");
    let rows = project.query(&format!("SELECT * FROM raw_hubspot.deals WHERE id = '{id}'"));
    assert_eq!(rows[0]["convenio"], "Unimed");
    let other = rows[0].iter().find(|(name, _)| name.starts_with("property_convenio_")).expect("a column of its own");
    assert_eq!(other.1, "Amil");
    assert_eq!(rows[0]["amount"], "cento e dez");
    let amounts = project.query("SELECT count(*) AS rows FROM raw_hubspot.deals WHERE amount LIKE '%.00'");
    assert!(amounts[0]["rows"].as_i64() > Some(50), "as HubSpot writes them: {amounts:?}");
    assert_eq!(project.query(refunds), kept, "a property that HubSpot no longer has keeps its values");
}

#[test]
fn b12_rate_limits_are_kept_and_adjusted_by_headers() {
    let limits = RateLimits { ten_secondly: Some(40), search_secondly: Some(5), daily: None };
    let project = Project::with(900, ServerOptions { limits, ..ServerOptions::default() });
    let pipeline = project.hubspot(&["contacts", "deals", "companies"], "");
    // The plugin's own pace, which the headers correct: 40 in ten seconds, not 190.
    let text = std::fs::read_to_string(&pipeline).expect("a pipeline");
    let start = text.find("[connection.hubspot.rate_limits]").expect("limits");
    let end = text.find("[[source]]").expect("a source");
    std::fs::write(&pipeline, format!("{}{}", &text[..start], &text[end..])).expect("a pipeline");
    let output = project.try_run(&pipeline, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let log = project.server.take_log();
    let refused = log.iter().filter(|logged| logged.status == 429).count();
    assert!(log.len() > 45 && refused * 20 < log.len(), "{refused} of {} refused", log.len());
}

#[test]
fn b12_a_daily_limit_ends_the_run_and_the_next_run_continues() {
    let limits = RateLimits { ten_secondly: None, search_secondly: None, daily: Some(20) };
    let project = Project::with(900, ServerOptions { limits, ..ServerOptions::default() });
    let output = project.try_run(&project.hubspot(&["contacts", "deals"], ""), &[]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let text = stderr(&output);
    assert!(text.contains("daily limit") && text.contains("it is safe to run again"), "{text}");
    let asked = project.server.take_log().len();
    assert!(asked < 40, "too many retries: {asked} requests");
    project.server.configure(|options| options.limits.daily = None);
    project.load(&["contacts", "deals"], "");
    same(&project, &[ObjectType::Contact, ObjectType::Deal], &[]);
    let again = project.server.take_log();
    assert!(again.iter().all(|logged| !logged.line.ends_with("archived=true") || logged.status == 200));
}

#[test]
fn b13_temporary_errors_are_retried_and_others_are_not() {
    let html = "<html>Bad gateway</html>";
    let limit = rate_limit_body("TEN_SECONDLY_ROLLING");
    let mut faults = Vec::new();
    for path in ["/objects/2026-03/deals", "/deals/search", "/associations/", "/properties/", "/account-info/"] {
        for (status, body) in
            [(429, limit.as_str()), (477, "{}"), (500, "{}"), (502, html), (503, ""), (504, html), (524, "")]
        {
            faults.push(Fault::response(path, status, body));
        }
        faults.push(Fault::response(path, 429, &limit).retry_after(0));
    }
    for path in ["/objects/2026-03/deals", "/deals/search", "/associations/"] {
        faults.extend(
            [FaultKind::Drop, FaultKind::Cut, FaultKind::Truncate, FaultKind::Slow]
                .map(|failure| Fault::new(path, failure)),
        );
    }
    let project = Project::with(60, ServerOptions { faults, ..still() });
    // Eight tries after the first are not enough for twelve failures of one path in a row.
    let text = std::fs::read_to_string(project.hubspot(&DEAL_STREAMS, "")).expect("a pipeline");
    let pipeline = project.write("hubspot.toml", &text.replace("first_ms = 5", "attempts = 30, first_ms = 1"));
    let output = project.try_run(&pipeline, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    same(&project, &[ObjectType::Deal], &DEAL_LINKS);

    let project = Project::with(
        20,
        ServerOptions {
            faults: vec![Fault::response("/objects/2026-03/deals", 400, r#"{"message":"bad"}"#)],
            ..still()
        },
    );
    let output = project.try_run(&project.hubspot(&["deals"], ""), &[]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let lists = project.server.take_log().iter().filter(|logged| logged.contains("/objects/2026-03/deals?")).count();
    assert_eq!(lists, 1, "a response with status 400 is not retried");
}

#[test]
fn b13_an_expired_oauth_token_is_refreshed_once() {
    let project = Project::with(600, ServerOptions { is_oauth: true, ..still() });
    let text = std::fs::read_to_string(project.hubspot(&["contacts", "deals"], "")).expect("a pipeline");
    let oauth = "oauth = { token_path = \"/oauth/2026-03/token\", client_id = { secret = \"ID\" }, client_secret = { secret = \"SECRET\" }, refresh_token = { secret = \"REFRESH\" } }";
    let pipeline = project.write("hubspot.toml", &text.replace("token = { secret = \"HUBSPOT_ACCESS_TOKEN\" }", oauth));
    let run = |refresh: &str| {
        let mut command = project.command(&["run", pipeline.to_str().expect("a path")]);
        command.env("ID", "client").env("SECRET", "very-secret").env("REFRESH", refresh);
        command
            .stderr(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("the binary runs")
    };
    let child = run(sandbox::REFRESH_TOKEN);
    assert!(project.server.wait_for_requests(8));
    project.server.expire_token();
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", stderr(&output));
    same(&project, &[ObjectType::Contact, ObjectType::Deal], &[]);
    let log = project.server.take_log();
    assert_eq!(
        log.iter().filter(|logged| logged.contains("/oauth/")).count(),
        2,
        "one at the start, one after it expired"
    );

    let output = run("wrong-refresh").wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains("refused the refresh token"), "{text}");
    assert!(!text.contains("very-secret") && !text.contains("wrong-refresh"), "{text}");
}

#[test]
fn b14_a_stream_without_its_scope_is_skipped_and_named() {
    let missing_scopes = vec!["tickets".to_owned()];
    let options = GeneratorOptions { patients: 30, everything: true, ..GeneratorOptions::default() };
    let project = Project::of(options, ServerOptions { missing_scopes, ..still() });
    let streams = ["contacts", "tickets", "tickets_contacts"];
    let output = project.try_run(&project.hubspot(&streams, ""), &[]);
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let skipped: Vec<_> = report["skipped"].as_array().expect("skipped").iter().map(|s| s["stream"].clone()).collect();
    assert_eq!(skipped, ["hubspot.tickets", "hubspot.tickets_contacts"]);
    assert!(report["skipped"][0]["error"]["message"].as_str().expect("why").contains("scope `tickets`"));
    assert_eq!(project.query("SELECT status FROM _host.runs")[0]["status"], "partial");
    let tables = project.query("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'tickets%'");
    assert_eq!(tables.len(), 0, "a response with status 403 must not create an empty table");
    same(&project, &[ObjectType::Contact], &[]);
    project.server.configure(|options| options.missing_scopes.clear());
    project.load(&streams, "");
    same(&project, &[ObjectType::Contact, ObjectType::Ticket], &[(ObjectType::Ticket, ObjectType::Contact)]);
}

#[test]
fn b15_runs_killed_at_any_request_end_with_all_records() {
    let project = Project::with(1200, still());
    let pipeline = project.hubspot(&DEAL_STREAMS, "");
    for requests in [4, 9, 15, 22] {
        project.kill_at(&pipeline, requests);
    }
    project.load(&DEAL_STREAMS, "");
    same(&project, &[ObjectType::Company, ObjectType::Contact, ObjectType::Deal], &DEAL_LINKS);
}

#[test]
fn b16_calculated_values_come_with_the_sweep_and_counts_are_compared() {
    let project = Project::with(60, still());
    project.load(&["deals"], "");
    let id = first(&project, ObjectType::Deal);
    project.server.with(|network| network.edit_silently(ObjectType::Deal, id, CALCULATED_PROPERTY, Some("99")));
    project.server.advance(HOUR);
    project.load(&["deals"], "");
    let days = format!("SELECT {CALCULATED_PROPERTY}::INTEGER AS days FROM raw_hubspot.deals WHERE id = '{id}'");
    assert_eq!(project.query(&days)[0]["days"], 5);
    project.server.advance(24 * HOUR);
    project.load(&["deals"], "");
    assert_eq!(project.query(&days)[0]["days"], 99);
    same(&project, &[ObjectType::Deal], &[]);

    // A list that drops a record: search knows of one more.
    project.server.configure(|options| {
        options.rewrite = Some(|path, answer| {
            if path.ends_with("/objects/2026-03/deals") {
                answer["results"].as_array_mut().map(Vec::pop);
            }
        });
    });
    project.server.advance(25 * HOUR);
    let report = project.load(&["deals"], "");
    assert!(
        report["extracted"][0]["warnings"][0].as_str().expect("a warning").contains("the source reports"),
        "{report:#}"
    );
}

#[test]
fn all_objects_are_loaded_with_their_links_and_histories() {
    let options = GeneratorOptions { patients: 40, everything: true, ..GeneratorOptions::default() };
    let project = Project::of(options, still());
    let id = first(&project, ObjectType::Contact);
    let now = project.server.now();
    project.server.with(|network| {
        network.edit(ObjectType::Contact, id, "lifecyclestage", Some("evangelist"), now - 1000);
        network.edit(ObjectType::Contact, id, "lifecyclestage", Some("other"), now);
    });
    let streams = [
        "companies",
        "contacts",
        "deals",
        "tickets",
        "line_items",
        "products",
        "quotes",
        "calls",
        "emails",
        "meetings",
        "notes",
        "tasks",
        "prescricoes",
        "owners",
        "pipelines",
        "properties",
        "contacts_history",
        "tickets_contacts",
        "quotes_deals",
        "calls_contacts",
        "prescricoes_contacts",
        "contacts_prescricoes",
    ];
    project.load(&streams, "history = { contacts = [\"lifecyclestage\", \"city\"] }");
    same(
        &project,
        &ObjectType::ALL,
        &[
            (ObjectType::Ticket, ObjectType::Contact),
            (ObjectType::Quote, ObjectType::Deal),
            (ObjectType::Call, ObjectType::Contact),
            (ObjectType::Prescription, ObjectType::Contact),
            (ObjectType::Contact, ObjectType::Prescription),
        ],
    );
    let history = project.query(&format!(
        "SELECT value FROM raw_hubspot.contacts_history WHERE record_id = '{id}' AND property = 'lifecyclestage' ORDER BY timestamp, value"
    ));
    let values: Vec<_> = history.iter().map(|row| row["value"].as_str().expect("a value")).collect();
    assert_eq!(values, ["customer", "evangelist", "other"]);
    let counts = project.query(
        "SELECT (SELECT count(DISTINCT object) FROM raw_hubspot.properties) AS objects, \
         (SELECT count(DISTINCT object) FROM raw_hubspot.pipelines) AS with_pipelines, \
         (SELECT count(*) FROM raw_hubspot.owners WHERE archived) AS former_owners",
    );
    assert_eq!(counts[0]["objects"], 13);
    assert_eq!(counts[0]["with_pipelines"], 2);
    assert_eq!(counts[0]["former_owners"], 1);
    let discover =
        project.command(&["discover", project.hubspot(&["contacts"], "").to_str().expect("a path")]).output();
    let discover = String::from_utf8(discover.expect("the binary runs").stdout).expect("UTF-8");
    for stream in ["prescricoes ", "tickets_contacts ", "quotes_deals ", "emails ", "scope sales-email-read"] {
        assert!(discover.contains(stream), "{discover}");
    }
}

#[test]
fn an_empty_portal_and_an_emptied_portal_are_loaded() {
    let project = Project::with(20, still());
    let deals =
        project.server.with(|network| std::mem::take(network.records.get_mut(&ObjectType::Deal).expect("deals")));
    project.load(&DEAL_STREAMS, "");
    same(&project, &[ObjectType::Deal], &DEAL_LINKS);
    project.server.with(|network| network.records.insert(ObjectType::Deal, deals));
    project.server.advance(25 * HOUR);
    project.load(&DEAL_STREAMS, "");
    same(&project, &[ObjectType::Deal], &DEAL_LINKS);
    project.server.with(|network| network.records.get_mut(&ObjectType::Deal).expect("deals").clear());
    project.server.advance(25 * HOUR);
    project.load(&DEAL_STREAMS, "");
    same(&project, &[ObjectType::Deal], &DEAL_LINKS);
}

#[test]
fn a_cursor_of_a_newer_plugin_is_refused() {
    let project = Project::with(20, still());
    project.load(&["deals"], "");
    let warehouse = host::ledger::open(&project.warehouse_path(), "256MB").expect("a warehouse");
    let newer = "UPDATE ledger_hubspot.deals__cursors SET state = '{\"version\":9,\"phase\":\"quantum\"}'";
    warehouse.execute(newer).expect("an update");
    drop(warehouse);
    let output = project.try_run(&project.hubspot(&["deals"], ""), &[]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    let why = "was written by a newer version of the plugin (cursor version 9, this plugin reads 1)";
    assert!(text.contains(why), "{text}");
    let output = project.try_run(&project.hubspot(&["deals"], ""), &["--full-refresh"]);
    assert!(output.status.success(), "{}", stderr(&output));
    same(&project, &[ObjectType::Deal], &[]);
}

#[test]
fn a_list_in_descending_order_is_read_without_ranges() {
    let project = Project::with(1800, still());
    project.server.configure(|options| {
        options.rewrite = Some(|path, answer| {
            if path.ends_with("/objects/2026-03/contacts")
                && let Some(results) = answer["results"].as_array_mut().filter(|results| results.len() > 1)
            {
                results.reverse();
            }
        });
    });
    project.load(&["contacts"], "");
    same(&project, &[ObjectType::Contact], &[]);
}

#[test]
fn a_range_with_ids_out_of_order_loses_no_record() {
    let project = Project::with(3000, still());
    // Pages rise, but now and then the last record is one from far behind: a range would seem to end there.
    project.server.configure(|options| {
        options.rewrite = Some(|path, answer| {
            let Some(results) = answer["results"].as_array_mut().filter(|results| results.len() == 100) else { return };
            let second: u64 = results[1]["id"].as_str().and_then(|id| id.parse().ok()).unwrap_or_default();
            if path.ends_with("/objects/2026-03/contacts") && second.is_multiple_of(3) {
                results[99]["id"] = json!("20000002999");
            }
        });
    });
    project.load(&["contacts"], "");
    // The rewritten answers hide a record each; all others are there.
    let count = project.server.with(|network| network.records[&ObjectType::Contact].len() as u64);
    let rows = project.query("SELECT count(*) AS rows FROM raw_hubspot.contacts")[0]["rows"].as_u64();
    assert!(rows > Some(count - 40), "{rows:?} of {count}");
}

#[test]
fn an_empty_search_page_with_a_next_page_is_not_the_end() {
    let project = Project::with(60, still());
    project.load(&["contacts"], "");
    project.server.advance(HOUR);
    let (id, now) = (first(&project, ObjectType::Contact), project.server.now());
    project.server.with(|network| network.edit(ObjectType::Contact, id, "city", Some("Belém"), now));
    let empty = r#"{"total":7,"results":[],"paging":{"next":{"after":"200"}}}"#;
    project.server.configure(|options| options.faults = vec![Fault::response("/contacts/search", 200, empty); 2]);
    project.load(&["contacts"], "");
    same(&project, &[ObjectType::Contact], &[]);
    project.server.advance(HOUR);
    project.server.configure(|options| options.faults = vec![Fault::response("/contacts/search", 200, empty); 4]);
    let output = project.try_run(&project.hubspot(&["contacts"], ""), &[]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
}
