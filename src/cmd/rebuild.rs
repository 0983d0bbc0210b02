//! `earwitness rebuild`: the ledger anew, from the records beside the recordings.

use super::terminal::{clean, utc};
use super::{DataArgs, Exit, Failure};
use crate::ledger::{self, LedgerError, Remark};
use crate::pipeline::wall_clock;
use std::io::{self, Write};

/// What `rebuild` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
}

/// Makes the ledger anew; the old one stays beside it.
///
/// # Errors
/// When a recorder writes to the folder, or the ledger cannot be made.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let data = args.data.folder();
    let mut exit = Exit::Done;
    let mut tell = |remark: &Remark| {
        if remark.is_loss() {
            exit = Exit::Partial;
        }
        // Nobody is left to tell when this cannot be printed.
        let _ = writeln!(io::stderr(), "earwitness: {}", clean(&remark.to_string()));
    };
    let stamp = utc(wall_clock(), "%Y%m%dT%H%M%SZ");
    let made = ledger::rebuild(&data, &stamp, &mut tell).map_err(|e| match e {
        LedgerError::InUse { dir } => Failure::Said(format!(
            "a recorder writes to {}: stop it first (`systemctl stop earwitness`), then run `earwitness rebuild` again; its calls in progress stay in the spool",
            dir.display()
        )),
        e => e.into(),
    })?;
    let s = |n: u64| if n == 1 { "" } else { "s" };
    writeln!(
        out,
        "the ledger has {} call{} and {} event{}",
        made.calls,
        s(made.calls),
        made.events,
        s(made.events)
    )?;
    if let Some(aside) = made.aside {
        writeln!(out, "the old one is {}", aside.display())?;
    }
    Ok(exit)
}
