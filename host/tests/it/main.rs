//! Integration tests: the real binary, real components, real DuckDB files, real HTTP to the sandbox.

mod bad_input;
mod cleaning;
mod commands;
mod contract;
mod evil_guest;
mod explain;
mod frozen;
mod hubspot_answers;
mod hubspot_changes;
mod hubspot_common;
mod identity;
mod kit;
mod languages;
mod models;
mod models_bad_input;
mod models_grow;
mod models_support;
mod models_tests;
mod pipeline_run;
mod raw_truth;
mod recompute;
mod serve_dashboard;
mod serve_support;
mod soak;
mod support;
mod tidy;
