//! `earwitness config`: what the recorder would do, and why each key is there.

use super::{Exit, Failure};
use crate::config::Config;
use std::io::Write;
use std::path::PathBuf;

/// What `config` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file (TOML); the defaults without one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only say whether the configuration can be used
    #[arg(long)]
    check: bool,
}

/// Prints the effective configuration.
///
/// # Errors
/// When the file cannot be used.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let config = Config::load(args.config.as_deref())?;
    if args.check {
        writeln!(out, "ok")?;
    } else {
        write!(out, "{}", config.explain())?;
    }
    Ok(Exit::Done)
}
