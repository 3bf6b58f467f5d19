//! The binary: parses arguments and runs the command.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match host::cli::Arguments::try_parse() {
        Ok(arguments) => host::cli::main(arguments),
        Err(error) => host::cli::usage_error(&error, std::env::args()),
    }
}
