//! `earwitness config`: what the recorder would do, and why each key is there.

use super::{ConfigArgs, Exit, Failure};
use crate::capture::live::check_filter;
use crate::config::{Config, Environment};
use crate::limits::memory;
use crate::pipeline;
use std::io::{self, Write};
use std::path::Path;

/// What `config` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only say whether the configuration can be used
    #[arg(long)]
    check: bool,
}

/// Prints the effective configuration.
///
/// # Errors
/// When the file cannot be used.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let config = args.config.load()?;
    let environment = Environment::of_process();
    if args.check {
        check_filter(&config.capture_filter)
            .map_err(|e| Failure::Said(format!("key `capture_filter`: {e}")))?;
        doubts(&config, &environment).iter().for_each(|d| warn(d));
        writeln!(out, "ok")?;
    } else {
        write!(out, "{}", config.explain_in(&environment))?;
        let shape = pipeline::memory(&config, config.interfaces.len().max(1));
        super::doctor::wrapped(
            out,
            "\n# ",
            "# ",
            &format!("Memory that `record` takes: {}", memory::line(&shape)),
        )?;
    }
    Ok(Exit::Done)
}

/// What can be used and may still not be meant. None of it is an error: an interface may come up later, a command
/// may be installed later, and a variable may be somebody else's.
fn doubts(config: &Config, environment: &Environment) -> Vec<String> {
    let mut doubts: Vec<String> = environment
        .strangers()
        .map(|name| format!("{name} in the environment is no key; it is ignored"))
        .collect();
    let here = Path::new("/sys/class/net");
    for name in config.interfaces.iter().filter(|n| *n != "any" && here.is_dir() && !here.join(n).exists()) {
        doubts.push(format!("interfaces: there is no {name} on this machine now; `record` waits for it"));
    }
    if let Some(command) = config.on_primary_change.first().filter(|c| !is_there(Path::new(c))) {
        doubts.push(format!("on_primary_change: there is no command {command}"));
    }
    doubts
}

/// Whether a command is a file, itself or in `PATH`.
fn is_there(command: &Path) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.is_file()
        || command.components().count() == 1
            && std::env::split_paths(&path).any(|p| p.join(command).is_file())
}

fn warn(what: &str) {
    // Nobody is left to tell when this cannot be printed.
    let _ = writeln!(io::stderr(), "earwitness: {what}");
}
