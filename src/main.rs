//! The `earwitness` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    earwitness::cmd::main()
}
