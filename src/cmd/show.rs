//! `earwitness show`: everything about one call.

use super::ladder::{LadderMessage, ladder};
use super::terminal::{clean, fit, length, utc};
use super::{DataArgs, Exit, Failure, in_progress, json_line};
use crate::call::record::{CallRecord, End, File, Party, State, Stream};
use crate::capture::file::CaptureFile;
use crate::spool::format::SIGNALLING;
use crate::spool::read::with_sip;
use crate::time::CaptureTime;
use crate::wire::{multipart, sip};
use std::io::{self, Write};
use std::path::PathBuf;

/// What `show` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// A call: its id, the start of it, or a SIP Call-ID
    id: String,
    /// The call as one JSON object
    #[arg(long)]
    json: bool,
}

/// Shows the call.
///
/// # Errors
/// When no call or several answer to the id, or the ledger cannot be read.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let data = args.data.folder();
    let (call, legs) = in_progress::find(&data, &args.id)?;
    if args.json {
        json_line(out, &call)?;
        return Ok(Exit::Done);
    }
    head(out, &call)?;
    parties(out, &call)?;
    timeline(out, &call)?;
    streams(out, &call)?;
    files(out, &call)?;
    let packets = call.files.iter().filter(|f| f.kind == "packets").map(|f| data.join(&f.path));
    let messages = messages_of(packets.chain(legs.iter().map(|l| l.join(SIGNALLING))));
    if !messages.is_empty() {
        write!(out, "\nSIP messages\n{}", ladder(&messages))?;
    }
    Ok(Exit::Done)
}

/// The SIP messages in packets files, in order of capture.
fn messages_of(packets: impl Iterator<Item = PathBuf>) -> Vec<LadderMessage> {
    let mut out = Vec::new();
    for mut file in packets.filter_map(|p| CaptureFile::open(&p).ok()) {
        while let Some(f) = file.next_frame() {
            let at = f.at;
            with_sip(f.bytes, |source, destination, payload| {
                let Ok(message) = sip::parse(payload.trim_ascii_start()) else { return };
                out.push(LadderMessage {
                    at,
                    from: source.to_string(),
                    to: destination.to_string(),
                    label: label(&message),
                });
            });
        }
    }
    out.sort_by_key(|m| m.at);
    out
}

/// `INVITE (SDP)`, `200 OK (INVITE, SDP)`: enough to follow a call by.
fn label(message: &sip::Message<'_>) -> String {
    let method = String::from_utf8_lossy(message.method()).into_owned();
    let sdp = multipart::parts(message).iter().any(|p| p.content_type == "application/sdp");
    match (message.start, sdp) {
        (sip::Start::Request(_), true) => format!("{method} (SDP)"),
        (sip::Start::Request(_), false) => method,
        (sip::Start::Response(code, reason), sdp) => {
            let sdp = if sdp { ", SDP" } else { "" };
            format!("{code} {} ({method}{sdp})", String::from_utf8_lossy(reason))
        }
    }
}

fn head(out: &mut dyn Write, call: &CallRecord) -> io::Result<()> {
    writeln!(out, "Call {}", call.id)?;
    let words = [
        Some(call.kind.word()),
        Some(call.state.word()),
        call.platform.as_deref(),
        call.direction.as_deref(),
    ];
    writeln!(out, "  {}", clean(&words.into_iter().flatten().collect::<Vec<_>>().join(", ")))?;
    let end = call.end.map_or(String::new(), |e| format!(", ended: {}", ending(e)));
    let (day, length) = (utc(call.order_time(), "%A %Y-%m-%d %H:%M:%S UTC"), length(call.duration_s));
    writeln!(out, "  {day}, length {length}{end}")?;
    if let Some(carried) = &call.carried {
        writeln!(
            out,
            "  carried on after the primary {} was lost at {}",
            clean(&carried.primary),
            carried.lost_at
        )?;
        for evidence in &carried.evidence {
            writeln!(out, "    {}", clean(evidence))?;
        }
    }
    for id in &call.call_ids {
        writeln!(out, "  Call-ID {}", clean(id))?;
    }
    for (name, value) in &call.identifiers {
        writeln!(out, "  {} {}", clean(name), clean(value))?;
    }
    for link in &call.links {
        writeln!(out, "  linked to {} ({})", clean(&link.id), clean(&link.why))?;
    }
    Ok(())
}

fn ending(end: End) -> &'static str {
    match end {
        End::Bye => "bye",
        End::Cancelled => "cancelled before an answer",
        End::Rejected => "rejected",
        End::MediaTimeout => "no more media came (media-timeout)",
        End::SignallingTimeout => "never answered (signalling-timeout)",
        End::CaptureEnd => "the capture ended first (capture-end)",
    }
}

fn parties(out: &mut dyn Write, call: &CallRecord) -> io::Result<()> {
    writeln!(out, "\nParties")?;
    let mut print = |word: &str, party: &Party, device: Option<&str>| {
        let known = [party.number.as_deref(), party.name.as_deref(), party.uri.as_deref(), device];
        let known: Vec<&str> = known.into_iter().flatten().filter(|s| !s.is_empty()).collect();
        let known = if known.is_empty() { "?".into() } else { clean(&known.join("  ")) };
        writeln!(out, "  {} {known}", fit(word, 8))
    };
    if call.participants.is_empty() {
        print("caller", &call.caller, None)?;
        print("callee", &call.callee, None)?;
    }
    for p in &call.participants {
        let party = Party { uri: p.uri.clone(), number: p.number.clone(), name: p.name.clone() };
        print(&p.party, &party, p.device.as_deref())?;
    }
    Ok(())
}

/// What happened, in order: the call's own times, its parties' coming and going, its events.
fn timeline(out: &mut dyn Write, call: &CallRecord) -> io::Result<()> {
    let start = call.order_time();
    let mut lines: Vec<(CaptureTime, String)> = Vec::new();
    let mut add = |at: Option<CaptureTime>, text: String| lines.extend(at.map(|at| (at, text)));
    add(call.started_at, "started".into());
    add(call.answered_at, "answered".into());
    for p in &call.participants {
        add(p.joined_at, format!("{} joined", p.party));
        add(p.left_at, format!("{} left", p.party));
    }
    for e in &call.events {
        add(Some(e.at), format!("{} {}", e.what, e.detail));
    }
    add(call.ended_at, "ended".into());
    lines.sort_by_key(|(at, _)| *at);
    if !lines.is_empty() {
        writeln!(out, "\nTimeline (seconds from {})", utc(start, "%H:%M:%S%.6f UTC"))?;
    }
    for (at, text) in lines {
        writeln!(out, "  {:>+10.3}  {}", at.secs_since(start), clean(text.trim_end()))?;
    }
    if !call.dtmf.is_empty() {
        writeln!(out, "\nDialled (seconds of the audio)")?;
    }
    for d in &call.dtmf {
        writeln!(out, "  {:>10.3}  {}  {}", d.at_s, clean(&d.digit), who(d.party.as_ref()))?;
    }
    Ok(())
}

fn streams(out: &mut dyn Write, call: &CallRecord) -> io::Result<()> {
    if !call.streams.is_empty() {
        let (party, codec) = (fit("PARTY", 8), fit("CODEC", 16));
        let rest = "PACKETS     LOST           LATE   DUP  JITTER  MOS";
        writeln!(out, "\nStreams\n  {party} {codec} {rest}")?;
    }
    for s in &call.streams {
        stream(out, s)?;
    }
    if !call.gaps.is_empty() {
        writeln!(out, "\nGaps (seconds of the audio)")?;
    }
    for g in &call.gaps {
        writeln!(
            out,
            "  {:>10.3}  {:>8.3} s  {:9}  {}",
            g.start_s,
            g.length_s,
            g.cause.word(),
            who(g.party.as_ref())
        )?;
    }
    Ok(())
}

fn stream(out: &mut dyn Write, s: &Stream) -> io::Result<()> {
    let party = fit(&who(s.party.as_ref()), 8);
    let secret = if s.encrypted { " srtp" } else { "" };
    let codec =
        s.codec.clone().unwrap_or_else(|| s.payload_type.map_or("?".into(), |t| format!("payload {t}")));
    let codec = fit(&format!("{codec}{secret}"), 16);
    let expected = s.packets.saturating_add(s.lost).max(1);
    let lost = format!("{} ({:.2} %)", s.lost, s.lost as f64 * 100.0 / expected as f64);
    let mos = s.mos.map_or("-".into(), |m| format!("{m:.1}"));
    let (packets, late, copies, jitter) = (s.packets, s.reordered, s.duplicates, s.jitter_ms);
    writeln!(out, "  {party} {codec} {packets:<11} {lost:14} {late:<6} {copies:<5}{jitter:<6.2}  {mos}")?;
    writeln!(out, "           {} → {}  {}", clean(&s.source), clean(&s.destination), clean(&s.ssrc))
}

fn who(party: Option<&String>) -> String {
    party.map_or("?".into(), |p| clean(p))
}

fn files(out: &mut dyn Write, call: &CallRecord) -> io::Result<()> {
    writeln!(out, "\nFiles")?;
    if call.files.is_empty() {
        let yet = if call.state == State::Active { " yet: the call is in progress" } else { "" };
        writeln!(out, "  none{yet}")?;
    }
    for f in &call.files {
        writeln!(out, "  {} {}\n           {}", fit(&f.kind, 8), clean(&f.path), details(f))?;
    }
    Ok(())
}

fn details(f: &File) -> String {
    let mut parts = vec![f.format.clone()];
    parts.extend(f.duration_s.map(|d| format!("{d:.3} s")));
    parts.extend(f.channels.map(|c| format!("{c} channel{}", if c == 1 { "" } else { "s" })));
    parts.extend(f.sample_rate.map(|r| format!("{r} Hz")));
    parts.push(format!("{} bytes", f.bytes));
    // The whole hash is in --json; eight characters tell two files apart.
    parts.push(format!("sha256 {}…", f.sha256.chars().take(8).collect::<String>()));
    clean(&parts.join(", "))
}
