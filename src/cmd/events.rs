//! `earwitness events`: what happened to the node rather than to a call.

use super::calls::when;
use super::terminal::{clean, fit, utc};
use super::{DataArgs, Exit, Failure, json_line};
use crate::ledger::NodeEvent;
use crate::time::CaptureTime;
use std::io::{self, Write};

/// What `events` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// One JSON object a line, instead of a list
    #[arg(long)]
    json: bool,
    /// Events at T or later: 2026-11-22, "2026-11-22 10:30", RFC 3339, or 30m, 2h, 7d ago (UTC)
    #[arg(long, value_name = "T", value_parser = when)]
    since: Option<CaptureTime>,
    /// Events before T
    #[arg(long, value_name = "T", value_parser = when)]
    until: Option<CaptureTime>,
}

/// Lists the events.
///
/// # Errors
/// When there is no ledger or it cannot be read.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let events = super::read(&args.data.folder())?.events(args.since, args.until, usize::MAX)?;
    if args.json {
        events.iter().try_for_each(|e| json_line(out, e))?;
        return Ok(Exit::Done);
    }
    print(&events, out)?;
    if events.is_empty() {
        let filtered = args.since.is_some() || args.until.is_some();
        writeln!(out, "{}", if filtered { "no event matches" } else { "no events yet" })?;
    }
    Ok(Exit::Done)
}

fn print(events: &[NodeEvent], out: &mut dyn Write) -> io::Result<()> {
    let mut day = String::new();
    for e in events {
        let today = utc(e.at, "%A %Y-%m-%d");
        if today != day {
            writeln!(out, "{today}")?;
            day = today;
        }
        let line = format!(
            "{}  {} {} {}",
            utc(e.at, "%H:%M:%S"),
            fit(&e.what, 14),
            fit(&e.subject, 21),
            clean(&e.detail)
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
