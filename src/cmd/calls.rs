//! `earwitness calls`: which calls there were.

use super::terminal::{fit, length, utc, width};
use super::{DataArgs, Exit, Failure, in_progress, json_line};
use crate::archive::progress::InProgress;
use crate::call::record::{CallRecord, End, Kind, Party, State};
use crate::ledger::{Filter, LedgerError, Reader};
use crate::time::CaptureTime;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use std::io::Write;
use std::ops::ControlFlow;
use std::time::Duration;

/// What `calls` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// One JSON object a line, instead of a table
    #[arg(long)]
    json: bool,
    /// Calls that started at T or later: 2026-11-22, "2026-11-22 10:30", RFC 3339, or 30m, 2h, 7d ago (UTC)
    #[arg(long, value_name = "T", value_parser = when)]
    since: Option<CaptureTime>,
    /// Calls that started before T
    #[arg(long, value_name = "T", value_parser = when)]
    until: Option<CaptureTime>,
    /// Calls of a party with TEXT in its number, name or URI, in any case and any punctuation of the number
    #[arg(long, value_name = "TEXT")]
    party: Option<String>,
    /// Calls in this state
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(["active", "completed"])
        .try_map(|w| State::from_word(&w).ok_or("no such state")))]
    state: Option<State>,
    /// Calls that went on here after their primary recorder was lost
    #[arg(long)]
    carried: bool,
}

/// Lists the calls.
///
/// # Errors
/// When there is no ledger or it cannot be read.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let data = args.data.folder();
    let filter = Filter {
        since: args.since,
        until: args.until,
        party: args.party.clone(),
        state: args.state,
        carried: args.carried,
    };
    let active = in_progress::look(&data, &filter);
    let reader = super::read(&data)?;
    if args.json {
        each(&reader, &filter, active, |call| json_line(out, &call))?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(width());
    each(&reader, &filter, active, |call| {
        Ok(table.row(out, &call, &reader.short_id(&call.id, SHORT_ID)?)?)
    })?;
    table.end(out, filter != Filter::default())?;
    Ok(Exit::Done)
}

/// Prints these calls as a table.
pub(super) fn print(
    out: &mut dyn Write,
    reader: &Reader,
    calls: impl Iterator<Item = Result<CallRecord, LedgerError>>,
) -> Result<(), Failure> {
    let mut table = Table::new(width());
    for call in calls {
        let call = call?;
        table.row(out, &call, &reader.short_id(&call.id, SHORT_ID)?)?;
    }
    Ok(table.end(out, false)?)
}

/// Characters of an id that a listing shows at least.
const SHORT_ID: usize = 8;

/// The calls of the ledger and those in progress, in order of start.
fn each(
    reader: &Reader,
    filter: &Filter,
    active: Vec<InProgress>,
    mut print: impl FnMut(CallRecord) -> Result<(), Failure>,
) -> Result<(), Failure> {
    reader.at_one_moment(|| {
        let order = |c: &CallRecord| (c.order_time().micros(), c.id.clone());
        let mut active = in_progress::unsealed(active, reader)?.into_iter().map(|c| c.record).peekable();
        let mut done = Ok(());
        reader.calls(filter, &mut |call| {
            while let Some(before) = active.next_if(|a| done.is_ok() && order(a) < order(&call)) {
                done = print(before);
            }
            if done.is_ok() {
                done = print(call);
            }
            if done.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        done?;
        active.try_for_each(print)
    })
}

/// The table is printed row by row, however long it is: the columns depend on the terminal alone.
struct Table {
    /// Columns of a party.
    party: usize,
    /// There is room for the kind in full.
    kinds: bool,
    day: String,
    calls: u64,
    seen: [bool; 4],
}

/// What the mark before the parties means.
const LEGEND: [(char, &str); 4] = [
    ('*', "carried on after the primary was lost"),
    ('S', "SIPREC"),
    ('B', "Built-in Bridge"),
    ('M', "media only"),
];

impl Table {
    fn new(width: usize) -> Self {
        // start 8, length 7, mark 1, arrow 3, end 9, MOS 4, id 9, and the blanks between
        let kinds = width >= 110;
        let rest = width.saturating_sub(51 + if kinds { 12 } else { 0 });
        Self { party: (rest / 2).min(40), kinds, day: String::new(), calls: 0, seen: [false; 4] }
    }

    fn row(&mut self, out: &mut dyn Write, call: &CallRecord, id: &str) -> std::io::Result<()> {
        let at = call.order_time();
        let day = utc(at, "%A %Y-%m-%d");
        let (w, kind) = (self.party, if self.kinds { format!("{:12}", "KIND") } else { String::new() });
        if self.calls == 0 {
            let (from, to) = (fit("CALLER", w), fit("CALLEE", w));
            writeln!(out, "START UTC  LENGTH   {from}   {to}  {kind}{:9}  {:4}  ID", "END", "MOS")?;
        }
        if day != self.day {
            writeln!(out, "{day}")?;
            self.day = day;
        }
        self.calls += 1;
        let kind = if self.kinds { format!("{:12}", call.kind.word()) } else { String::new() };
        let (start, length) = (utc(at, "%H:%M:%S"), length(call.duration_s));
        let (from, to) = (fit(&label(&call.caller, w), w), fit(&label(&call.callee, w), w));
        let (mark, end, mos) = (self.mark(call), end(call), quality(call));
        writeln!(out, "{start}  {length:>7} {mark} {from} → {to}  {kind}{end:9}  {mos:4}  {id}")
    }

    fn mark(&mut self, call: &CallRecord) -> char {
        let at = match (call.carried.is_some(), call.kind) {
            (true, _) => 0,
            (false, Kind::Siprec) if !self.kinds => 1,
            (false, Kind::Bib) if !self.kinds => 2,
            (false, Kind::MediaOnly) if !self.kinds => 3,
            _ => return ' ',
        };
        self.seen[at] = true;
        LEGEND[at].0
    }

    fn end(&self, out: &mut dyn Write, filtered: bool) -> std::io::Result<()> {
        let s = if self.calls == 1 { "" } else { "s" };
        match (self.calls, filtered) {
            (0, false) => return writeln!(out, "no calls yet"),
            (0, true) => return writeln!(out, "no call matches"),
            (n, _) => writeln!(out, "{n} call{s}")?,
        }
        for ((mark, meaning), _) in LEGEND.iter().zip(self.seen).filter(|(_, seen)| *seen) {
            writeln!(out, "{mark} {meaning}")?;
        }
        Ok(())
    }
}

/// Who it is, in `width` columns: number and name if both fit, else the number, the name, the URI.
pub(super) fn label(party: &Party, width: usize) -> String {
    let filled = |s: &Option<String>| s.clone().filter(|s| !s.trim().is_empty());
    match (filled(&party.number), filled(&party.name)) {
        (Some(number), Some(name)) if number != name && (number.len() + name.len()) < width => {
            format!("{number} {name}")
        }
        (Some(number), _) => number,
        (None, Some(name)) => name,
        (None, None) => filled(&party.uri).unwrap_or_else(|| "?".into()),
    }
}

/// How it ended, in nine columns.
fn end(call: &CallRecord) -> &'static str {
    match call.end {
        None => "active",
        Some(End::MediaTimeout) => "no media",
        Some(End::SignallingTimeout) => "no answer",
        Some(End::CaptureEnd) => "cut off",
        Some(end) => end.word(),
    }
}

/// The worst stream's opinion score, with a mark where a listener would complain or more than 1 % was lost.
fn quality(call: &CallRecord) -> String {
    const FAIR: f64 = 3.6;
    let worst = call.streams.iter().filter_map(|s| s.mos).reduce(f64::min);
    let lossy = call.streams.iter().any(|s| s.lost.saturating_mul(100) > s.packets.saturating_add(s.lost));
    let mark = if lossy || worst.is_some_and(|m| m < FAIR) { "!" } else { "" };
    match worst {
        Some(mos) => format!("{mos:.1}{mark}"),
        None if call.streams.iter().any(|s| s.encrypted) => "srtp".into(),
        None if call.streams.is_empty() => "-".into(),
        None => format!("?{mark}"),
    }
}

/// A time as people type it, in UTC.
pub(super) fn when(text: &str) -> Result<CaptureTime, String> {
    #[expect(clippy::disallowed_methods, reason = "`--since 2h` is about the clock of the one who asks")]
    let now = jiff::Timestamp::now();
    parse_when(text.trim(), CaptureTime::from_micros(now.as_microsecond()))
}

fn parse_when(text: &str, now: CaptureTime) -> Result<CaptureTime, String> {
    if let Some(ago) = ago(text) {
        return Ok(now - ago);
    }
    let utc = |t: jiff::civil::DateTime| t.to_zoned(jiff::tz::TimeZone::UTC).map(|z| z.timestamp());
    let at = text.parse::<jiff::Timestamp>().or_else(|_| text.parse::<jiff::civil::DateTime>().and_then(utc));
    // Nanoseconds of 64 bits end in 2262 and begin in 1677: a time beyond is as good as the end.
    at.map(|t| CaptureTime::from_parts(t.as_second(), t.subsec_nanosecond().into())).map_err(|_| {
        "give 2026-11-22, \"2026-11-22 10:30\", 2026-11-22T10:30:00Z, or 30m, 2h, 7d for that long ago".into()
    })
}

fn ago(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit_s = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    number.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
    Some(Duration::from_secs(number.parse::<u64>().ok()?.saturating_mul(unit_s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_type_them() {
        let now = CaptureTime::from_parts(1_795_342_200, 0); // 2026-11-22T10:10:00Z
        let read = |s: &str| parse_when(s, now).map(|t| t.to_string());
        for (text, at) in [
            ("2026-11-22", "2026-11-22T00:00:00.000000Z"),
            ("2026-11-22 10:30", "2026-11-22T10:30:00.000000Z"),
            ("2026-11-22T10:30:01.5", "2026-11-22T10:30:01.500000Z"),
            ("2026-11-22T10:30:00.123456Z", "2026-11-22T10:30:00.123456Z"),
            ("2026-11-22T10:30:00+02:00", "2026-11-22T08:30:00.000000Z"),
            ("30m", "2026-11-22T09:40:00.000000Z"),
            ("2h", "2026-11-22T08:10:00.000000Z"),
            ("7d", "2026-11-15T10:10:00.000000Z"),
            ("0s", "2026-11-22T10:10:00.000000Z"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(at), "{text}");
        }
        for wrong in ["", "h", "-2h", "2x", "tomorrow", "2026-13-01", "1.5h", "2026-11-22 25:00", "é"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_when("99999999999999999999w", now).ok(), None);
        assert_eq!(parse_when("999999999999999w", now).ok(), Some(CaptureTime(now.0 - i64::MAX)));
    }
}
