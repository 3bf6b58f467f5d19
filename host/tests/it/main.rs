//! Integration tests: the real binary, real components, real DuckDB files, real HTTP to the sandbox.

mod bad_input;
mod cleaning;
mod commands;
mod compiled_cache;
mod contract;
mod evil_guest;
mod evil_memory;
mod explain;
mod forgetting;
mod frozen;
mod gate;
mod hostile_names;
mod hostile_texts;
mod hubspot_changes;
mod hubspot_common;
mod hubspot_responses;
mod identity;
mod imports;
mod kill_points;
mod kit;
mod languages;
mod logs;
mod migration;
mod models;
mod models_bad_input;
mod models_grow;
mod models_support;
mod models_tests;
mod people;
mod pipeline_run;
#[cfg(target_os = "linux")]
mod power_loss;
mod raw_truth;
mod recompute;
mod recovery;
mod reference;
mod same_inputs;
mod serve_access;
mod serve_alerts;
mod serve_bad_input;
mod serve_dashboard;
mod serve_limits;
mod serve_resume;
mod serve_runs;
mod serve_support;
mod soak;
mod strangers;
mod support;
mod tidy;
#[cfg(target_os = "linux")]
mod warehouse_files;
mod written_files;
#[cfg(target_os = "linux")]
mod wrong_clock;
