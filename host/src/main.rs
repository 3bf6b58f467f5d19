//! The binary: parses arguments and runs the command.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    host::cli::main(host::cli::Arguments::parse())
}
