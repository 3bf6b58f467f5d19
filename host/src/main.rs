//! Arguments → command → print → exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    host::cli::main(host::cli::Arguments::parse())
}
