//! `earwitness explain`: why a call is as it is: which dialogs and streams belong to it, what was left out, how it ended.

use super::sealed_file::inside;
use super::terminal::{clean, length, utc, width};
use super::{DataArgs, Exit, Failure, in_progress, json_line};
use crate::archive::progress;
use crate::call::reason::{Reason, Topic, count};
use crate::call::record::{CallRecord, State, Stream};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::Path;

/// What `explain` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// A call: its id, the start of it, or a SIP Call-ID
    id: String,
    /// One JSON object for each reason
    #[arg(long)]
    json: bool,
}

/// A line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    /// Seconds from the start of the call.
    at_s: f64,
    #[serde(flatten)]
    reason: &'a Reason,
}

/// What is looked for in the record beside a recording.
#[derive(Deserialize)]
struct Kept {
    reasons: Option<Vec<Reason>>,
}

/// Explains the call.
///
/// # Errors
/// When no call or several answer to the id, or its reasons cannot be read.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let data = args.data.folder();
    let (call, legs) = in_progress::find(&data, &args.id)?;
    let reasons = match call.state {
        State::Active => Some(progress::reasons(&legs)),
        State::Completed => kept(&data, &call)?,
    };
    let Some(reasons) = reasons else {
        // No failure: there is nothing to be done about it.
        let what = "no reasons were kept of this call: it was sealed by a version that kept none";
        writeln!(
            io::stderr(),
            "earwitness: {what}; replay its packets into another folder to have them explained"
        )?;
        return Ok(Exit::Done);
    };
    if args.json {
        for reason in &reasons {
            let at_s = (reason.at.secs_since(call.order_time()) * 1e6).round() / 1e6;
            json_line(out, &Line { id: &call.id, at_s, reason })?;
        }
        return Ok(Exit::Done);
    }
    head(out, &call)?;
    heard(out, &call, &reasons)?;
    let sections = [
        (Topic::Call, "Kind"),
        (Topic::Dialog, "Dialogs"),
        (Topic::Stream, "Streams"),
        (Topic::LeftOut, "Left out"),
        (Topic::Gap, "Missing"),
        (Topic::End, "End"),
        (Topic::Carried, "Carried past the loss of its primary?"),
    ];
    for (topic, title) in sections {
        let those: Vec<&Reason> = reasons.iter().filter(|r| r.topic == topic).collect();
        // That nothing was left out is worth saying.
        if !those.is_empty() || matches!(topic, Topic::LeftOut | Topic::Gap) {
            section(out, &call, title, &those)?;
        }
    }
    Ok(Exit::Done)
}

/// The reasons that lie beside a recording; `None` when a version without them sealed it.
fn kept(data: &Path, call: &CallRecord) -> Result<Option<Vec<Reason>>, Failure> {
    let Some(path) = super::read(data)?.record_path(&call.id)? else { return Ok(None) };
    let cannot = |why: String| {
        Failure::Said(format!(
            "cannot explain call {}: {path} {why}; restore it from a backup or a replica (`earwitness verify` checks the others)",
            call.id
        ))
    };
    let at = inside(data, &path).ok_or_else(|| cannot("is a path outside the data folder".into()))?;
    let bytes = std::fs::read(at).map_err(|e| cannot(format!("cannot be read: {e}")))?;
    let kept: Kept = serde_json::from_slice(&bytes).map_err(|e| cannot(format!("was altered: {e}")))?;
    Ok(kept.reasons)
}

fn head(out: &mut dyn Write, call: &CallRecord) -> io::Result<()> {
    let words = [Some(call.kind.word()), Some(call.state.word()), call.platform.as_deref()];
    writeln!(
        out,
        "Call {}: {}",
        call.id,
        clean(&words.into_iter().flatten().collect::<Vec<_>>().join(", "))
    )?;
    let day = utc(call.order_time(), "%A %Y-%m-%d %H:%M:%S%.3f UTC");
    writeln!(out, "  {day}, length {}; seconds below are from then", length(call.duration_s))
}

/// Who was heard: what is asked first.
fn heard(out: &mut dyn Write, call: &CallRecord, reasons: &[Reason]) -> io::Result<()> {
    writeln!(out, "\nHeard")?;
    let mut parties: Vec<Option<&str>> = call.participants.iter().map(|p| Some(p.party.as_str())).collect();
    for s in &call.streams {
        if !parties.contains(&s.party.as_deref()) {
            parties.push(s.party.as_deref());
        }
    }
    for party in parties {
        let streams: Vec<_> = call.streams.iter().filter(|s| s.party.as_deref() == party).collect();
        let mixed = call.streams.iter().any(|s| s.party.as_deref() == Some("mixed"));
        let what = match streams.as_slice() {
            [] if mixed => "in the mixed stream, if at all".to_owned(),
            [] if call.answered_at.is_none() && call.streams.is_empty() => "nothing".to_owned(),
            [] => "NOTHING; see Streams and Left out".to_owned(),
            all => {
                let packets: u64 = all.iter().map(|s| s.packets).sum();
                let lost: u64 = all.iter().map(|s| s.lost).sum();
                let mute = all.iter().filter(|s| is_mute(s, reasons)).count() as u64;
                let n = all.len() as u64;
                let mute = if mute > 0 {
                    format!("; NOT IN THE AUDIO: {}", count(mute, "stream"))
                } else {
                    String::new()
                };
                format!("{} in {}, {lost} lost{mute}", count(packets, "packet"), count(n, "stream"))
            }
        };
        writeln!(out, "  {:8}  {what}", clean(party.unwrap_or("unknown")))?;
    }
    Ok(())
}

/// Is there something in this stream that could not be decoded?
fn is_mute(s: &Stream, reasons: &[Reason]) -> bool {
    let name = format!("{} > {} {}", s.source, s.destination, s.ssrc);
    reasons.iter().any(|r| r.topic == Topic::LeftOut && r.what == "not-decoded" && r.subject == name)
}

/// A section: each subject once, its reasons below it.
fn section(out: &mut dyn Write, call: &CallRecord, title: &str, reasons: &[&Reason]) -> io::Result<()> {
    writeln!(out, "\n{title}")?;
    if reasons.is_empty() {
        return writeln!(out, "  nothing");
    }
    let mut subjects: Vec<&str> = Vec::new();
    for r in reasons {
        if !subjects.contains(&r.subject.as_str()) {
            subjects.push(&r.subject);
        }
    }
    let start = call.order_time();
    for subject in subjects {
        writeln!(out, "  {}", clean(subject))?;
        for r in reasons.iter().filter(|r| r.subject == subject) {
            let packets = match r.packets {
                Some(n) => format!(" ({})", count(n, "packet")),
                None => String::new(),
            };
            let text = clean(&format!("{}{packets}: {}", r.what, r.because));
            let (at, clock) = (r.at.secs_since(start), utc(r.at, "%H:%M:%S%.3f"));
            let mut when = format!("  {at:>+10.3}  {clock}  ");
            for line in wrapped(&text, width() - when.len()) {
                writeln!(out, "{when}{line}")?;
                when = " ".repeat(when.len());
            }
        }
    }
    Ok(())
}

/// Text in lines of at most `width` characters; a word that is longer is not broken.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(l) if l.chars().count() + 1 + word.chars().count() <= width => {
                l.push(' ');
                l.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("unbreakable a b", 3), ["unbreakable", "a b"]);
    }
}
