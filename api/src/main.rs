//! The zonglan program: reads the command line and hands over to the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    zonglan_api::cli::main()
}
