//! What the notes in a spool make of a recording: gaps with their causes, the events that say so, and one timeline.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

#[path = "support/scene.rs"]
mod scene;

use earwitness::archive::assemble::{Assembled, assemble};
use earwitness::call::listener::{Output, Over, Track};
use earwitness::call::note::{Note, Place};
use earwitness::call::record::{CallRecord, Carried, Cause, Kind};
use earwitness::call::switchboard::LegId;
use earwitness::call::witness::Loss;
use earwitness::disk::Disk;
use earwitness::spool::format::record_header;
use earwitness::spool::leftover;
use earwitness::spool::read;
use earwitness::spool::writer::SpoolWriter;
use earwitness::time::CaptureTime;
use earwitness::wire::endpoint::Endpoint;
use scene::{CALLEE, CALLER, OTHER, PHONE, Scene, headers, time};
use std::path::PathBuf;

/// A spool on disk.
struct Spool {
    folder: tempfile::TempDir,
    writer: SpoolWriter,
    legs: Vec<LegId>,
    calls: Vec<(Vec<PathBuf>, Over)>,
}

impl Default for Spool {
    fn default() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let writer = SpoolWriter::new(folder.path().to_owned(), Disk::default());
        Self { folder, writer, legs: Vec::new(), calls: Vec::new() }
    }
}

impl Output for Spool {
    fn open(&mut self, leg: LegId, name: &str) {
        self.writer.open(leg, name);
        self.legs.push(leg);
    }
    fn packet(&mut self, leg: LegId, track: Track, at: CaptureTime, packet: &[u8]) {
        let record = [&record_header(at, packet.len() as u32), packet].concat();
        self.writer.append(leg, track, at, &record).unwrap();
    }
    fn note(&mut self, leg: LegId, note: &Note) {
        self.writer.note(leg, note);
    }
    fn finish(&mut self, legs: &[LegId], over: Over, _: Option<Carried>) {
        let folders = legs.iter().filter_map(|l| self.writer.close(*l).unwrap()).collect();
        self.calls.push((folders, over));
    }
    fn primary(&mut self, _: Endpoint, _: &Loss) {}
}

type Stage = Scene<Spool>;

fn note_all(s: &mut Stage, note: &Note) {
    for leg in s.tape.legs.clone() {
        s.tape.writer.note(leg, note);
    }
}

fn stories(s: &mut Stage) -> Vec<Assembled> {
    s.listener.close(&mut s.tape);
    let one = |(folders, over): &(Vec<PathBuf>, Over)| {
        let legs: Vec<_> = folders.iter().map(|f| read::leg(f).unwrap()).collect();
        assemble(&legs, *over).unwrap()
    };
    s.tape.calls.iter().map(one).collect()
}

fn record(s: &mut Stage) -> CallRecord {
    let mut all = stories(s);
    assert_eq!(all.len(), 1);
    all.remove(0).record
}

fn answered(s: &mut Stage) {
    s.request(0, "INVITE", &headers("c", "1 INVITE", "A", ""), PHONE);
    s.answer(10, "200 OK", &headers("c", "1 INVITE", "A", "B"), OTHER);
}

fn gaps(r: &CallRecord) -> Vec<(&str, f64, f64, Cause)> {
    r.gaps.iter().map(|g| (g.party.as_deref().unwrap_or("-"), g.start_s, g.length_s, g.cause)).collect()
}

fn events(r: &CallRecord) -> Vec<&str> {
    r.events.iter().map(|e| e.what.as_str()).collect()
}

#[test]
fn what_a_restart_has_cost_is_a_gap_of_its_true_length() {
    let mut s = Stage::on();
    answered(&mut s);
    s.rtp(20..5_000, (CALLER, 4000), (CALLEE, 5000), 1);
    s.rtp(20..5_000, (CALLEE, 5000), (CALLER, 4000), 2);
    note_all(&mut s, &Note::Restart { from: time(4_990), to: time(7_900) });
    s.rtp(8_000..10_000, (CALLER, 4000), (CALLEE, 5000), 1);
    s.rtp(8_000..10_000, (CALLEE, 5000), (CALLER, 4000), 99); // its numbers tell nothing
    s.rtp(10_100..11_000, (CALLER, 4000), (CALLEE, 5000), 1); // lost elsewhere
    let r = record(&mut s);
    let got = gaps(&r);
    let near = |x: f64, y: f64| (x - y).abs() < 0.03;
    let restarts: Vec<_> = got.iter().filter(|g| g.3 == Cause::Restart).collect();
    assert_eq!(restarts.len(), 2, "{got:?}");
    assert!(restarts.iter().all(|g| near(g.1, 4.99) && near(g.2, 3.0)), "{got:?}");
    let network: Vec<_> = got.iter().filter(|g| g.3 == Cause::Network).map(|g| (g.0, g.2)).collect();
    assert_eq!(network, [("caller", 0.1)]);
    assert_eq!(events(&r), ["restart"]);
    assert!(r.events[0].detail.starts_with("the recorder was not running from 2023-"), "{:?}", r.events);
    // What was lost is counted as ever.
    assert_eq!(r.streams.iter().map(|s| s.lost).max(), Some(155));
}

#[test]
fn a_restart_that_cost_nothing_is_an_event_and_no_gap() {
    let mut s = Stage::on();
    answered(&mut s);
    s.rtp(20..2_000, (CALLER, 4000), (CALLEE, 5000), 1);
    s.request(2_000, "INVITE", &headers("c", "2 INVITE", "A", "B"), Some(("0.0.0.0", 4000)));
    note_all(&mut s, &Note::Restart { from: time(4_000), to: time(6_000) });
    s.request(8_000, "INVITE", &headers("c", "3 INVITE", "A", "B"), PHONE);
    s.rtp(8_000..10_000, (CALLER, 4000), (CALLEE, 5000), 77);
    let r = record(&mut s);
    assert_eq!(gaps(&r).iter().map(|g| g.3).collect::<Vec<_>>(), [Cause::Hold]);
    assert!(events(&r).contains(&"restart"));
}

#[test]
fn what_the_kernel_lost_is_not_the_networks() {
    let mut s = Stage::on();
    answered(&mut s);
    for t in (20..9_000).step_by(20) {
        if t == 8_000 {
            for (from, to, packets) in [(4_000, 5_000, 5), (5_000, 6_000, 7)] {
                let place = Place::Kernel;
                note_all(&mut s, &Note::Lost { from: time(from), to: time(to), packets, place });
            }
        }
        if !(4_500..4_600).contains(&t) && !(7_000..7_040).contains(&t) {
            s.rtp(t..t + 20, (CALLER, 4000), (CALLEE, 5000), 1);
        }
    }
    let r = record(&mut s);
    let got: Vec<_> = gaps(&r).iter().map(|g| (g.2, g.3)).collect();
    assert_eq!(got, [(0.1, Cause::Capture), (0.04, Cause::Network)]);
    assert_eq!(events(&r), ["packets-lost"]);
    assert!(r.events[0].detail.starts_with("12 packets lost at the kernel between "), "{:?}", r.events);
    assert_eq!(r.streams[0].lost, 7);
}

#[test]
fn a_call_joined_late_is_one_with_all_its_media() {
    let mut s = Stage::on();
    for t in (0..15_000).step_by(20) {
        s.rtp(t..t + 20, (CALLER, 4000), (CALLEE, 5000), 1);
        s.rtp(t..t + 20, (CALLEE, 5000), (CALLER, 4000), 2);
    }
    s.request(15_000, "INVITE", &headers("c", "7 INVITE", "A", "B"), PHONE);
    s.answer(15_020, "200 OK", &headers("c", "7 INVITE", "A", "B"), OTHER);
    s.rtp(15_040..16_000, (CALLER, 4000), (CALLEE, 5000), 1);
    s.request(16_000, "BYE", &headers("c", "8 BYE", "A", "B"), None);
    // Killed here: what it left is one call too.
    s.tape.writer.flush().unwrap();
    let left = leftover::look(s.tape.folder.path()).unwrap();
    assert_eq!(left.calls.iter().map(Vec::len).collect::<Vec<_>>(), [2]);
    let r = record(&mut s);
    assert_eq!((r.kind, r.call_ids.as_slice()), (Kind::Call, &["c".to_owned()][..]));
    assert_eq!((r.started_at, r.answered_at), (None, None));
    assert_eq!(r.ended_at, Some(time(16_000)));
    assert_eq!(r.duration_s, Some(16.0));
    let streams: Vec<_> = r.streams.iter().map(|s| (s.party.as_deref(), s.packets)).collect();
    assert_eq!(streams, [(Some("caller"), 798), (Some("callee"), 750)]);
    let got = gaps(&r);
    assert_eq!(got[..2], [("callee", 0.0, 0.0, Cause::LateJoin), ("caller", 0.0, 0.0, Cause::LateJoin)]);
    assert_eq!(events(&r), ["late-join"]);
}

#[test]
fn a_call_that_was_carried_is_so_from_its_notes_alone() {
    let mut s = Stage::on();
    answered(&mut s);
    s.rtp(20..2_000, (CALLER, 4000), (CALLEE, 5000), 1);
    let carried =
        Carried { primary: "10.0.0.2:5060".into(), lost_at: time(1_000), evidence: vec!["ICMP".into()] };
    note_all(&mut s, &Note::Carried(carried.clone()));
    let mut call = stories(&mut s).remove(0);
    assert_eq!(call.record.carried, Some(carried.clone()));
    call.carry(&carried);
    assert_eq!(events(&call.record), ["primary-lost"]);
}

/// A call in whose middle the host's clock is set; the packets a moment before are still stamped by the old one.
fn stepped(by_ms: i64) -> Stage {
    let mut s = Stage::on();
    answered(&mut s);
    for t in (20..10_000).step_by(20) {
        if t == 5_000 {
            s.listener.step(time(t), time(t + by_ms), &mut s.tape);
        }
        s.shift_ms = if t < 5_060 { 0 } else { by_ms };
        s.rtp(t..t + 20, (CALLER, 4000), (CALLEE, 5000), 1);
        s.rtp(t..t + 20, (CALLEE, 5000), (CALLER, 4000), 2);
    }
    s
}

#[test]
fn a_clock_that_is_set_moves_nothing() {
    for by_ms in [3_600_000, -3_600_000, 2_000, -2_000, 30_000] {
        let mut s = stepped(by_ms);
        // As it would be gone on with: by the host's clock of now.
        s.tape.writer.flush().unwrap();
        let left = earwitness::spool::resume::look(s.tape.folder.path()).unwrap();
        let leg = &left.legs[0].leg;
        assert_eq!(leg.media_at, Some(time(9_980 + by_ms)));
        assert_eq!(leg.dialog.as_ref().unwrap().answered_at, Some(time(10 + by_ms)));
        s.request(10_000, "BYE", &headers("c", "2 BYE", "A", "B"), None);
        s.later(14_000);
        assert_eq!(s.listener.calls_up(), 1, "{by_ms}: over too early");
        s.later(16_100);
        assert_eq!(s.listener.calls_up(), 0, "{by_ms}: over too late");
        // A new call is dated by the new clock.
        s.request(17_000, "INVITE", &headers("new", "1 INVITE", "A", ""), PHONE);
        let calls = stories(&mut s);
        let r = &calls[0].record;
        assert_eq!((r.answered_at, r.ended_at), (Some(time(10)), Some(time(10_000))), "{by_ms}");
        assert_eq!((r.duration_s, gaps(r)), (Some(9.99), vec![]), "{by_ms}");
        assert_eq!(r.streams.iter().map(|s| (s.packets, s.lost)).collect::<Vec<_>>(), [(499, 0); 2]);
        assert_eq!(events(r), ["clock-step"]);
        assert_eq!(r.events[0].at, time(5_000));
        let said = &calls[0].streams[0].voices[0].packets;
        let at = |i: usize| said[i].spot.sample(calls[0].origin, 8000);
        assert_eq!(at(498) - at(0), 498 * 160, "{by_ms}: the sound is not of its true length");
        assert_eq!(calls[1].record.started_at, Some(time(17_000 + by_ms)));
    }
}

#[test]
fn what_was_noted_after_a_step_is_of_the_one_timeline_too() {
    let mut s = stepped(-3_600_000);
    note_all(&mut s, &Note::Restart { from: time(9_980 - 3_600_000), to: time(12_000 - 3_600_000) });
    s.rtp(12_100..14_000, (CALLER, 4000), (CALLEE, 5000), 1);
    let r = record(&mut s);
    let restart: Vec<_> = gaps(&r).into_iter().filter(|g| g.3 == Cause::Restart && g.0 == "caller").collect();
    assert!((restart[0].1 - 9.99).abs() < 0.03 && (restart[0].2 - 2.1).abs() < 0.03, "{restart:?}");
    assert_eq!(events(&r), ["clock-step", "restart"]);
    assert_eq!(r.events[1].at, time(9_980));
}
