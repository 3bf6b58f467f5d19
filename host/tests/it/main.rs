//! Integration tests: the real binary, real components, real DuckDB files, real HTTP to the sandbox.

mod bad_input;
mod commands;
mod contract;
mod pipeline_run;
mod support;
mod tidy;
