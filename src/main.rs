//! The `multitoken` binary: hands the command line over.

use std::process::ExitCode;

fn main() -> ExitCode {
    multitoken::cli::run()
}
