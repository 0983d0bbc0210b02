//! What becomes of a call that is over: finish, ledger.

use super::folder;
use super::generate::{Options, generate};
use criterion::{BatchSize, Criterion, Throughput};
use earwitness::archive::finish::{Archive, Job, Outcome};
use earwitness::archive::seal::Sealed;
use earwitness::archive::settle::Claim;
use earwitness::call::listener::{Listener, Output, Over, Patience, Track};
use earwitness::call::note::Note;
use earwitness::call::record::Carried;
use earwitness::call::switchboard::LegId;
use earwitness::call::witness::Loss;
use earwitness::capture::file::CaptureFile;
use earwitness::disk::Disk;
use earwitness::ledger::Ledger;
use earwitness::limits::LEDGER_BATCH;
use earwitness::spool::format::record_header;
use earwitness::spool::writer::SpoolWriter;
use earwitness::time::CaptureTime;
use earwitness::wire::endpoint::Endpoint;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::Duration;

/// A spool, and the calls of it that are over.
struct Spool {
    writer: SpoolWriter,
    jobs: Vec<Job>,
    packets: u64,
}

impl Output for Spool {
    fn open(&mut self, leg: LegId, name: &str) {
        self.writer.open(leg, name);
    }
    fn packet(&mut self, leg: LegId, track: Track, at: CaptureTime, packet: &[u8]) {
        let record = [&record_header(at, packet.len() as u32), packet].concat();
        self.writer.append(leg, track, at, &record).unwrap();
        self.packets += u64::from(track == Track::Media);
    }
    fn note(&mut self, leg: LegId, note: &Note) {
        self.writer.note(leg, note);
    }
    fn finish(&mut self, legs: &[LegId], over: Over, carried: Option<Carried>) {
        let folders = legs.iter().filter_map(|l| self.writer.close(*l).unwrap()).collect();
        self.jobs.push(Job { folders, over, carried });
    }
    fn primary(&mut self, _: Endpoint, _: &Loss) {}
}

/// Calls of so many seconds, in the spool of this folder.
fn spooled(data: &Path, calls: u32, seconds: u32) -> Spool {
    let pcap = data.join("calls.pcap");
    let options = Options { calls, seconds, ..Options::default() };
    generate(&options, BufWriter::new(File::create(&pcap).unwrap())).unwrap();
    let root = data.join("spool");
    std::fs::create_dir(&root).unwrap();
    let writer = SpoolWriter::new(root, Disk::default());
    let mut spool = Spool { writer, jobs: Vec::new(), packets: 0 };
    let s = Duration::from_secs(60);
    let mut listener = Listener::new(Patience { media: s, hold: s, setup: s, resume: s });
    let mut file = CaptureFile::open(&pcap).unwrap();
    while let Some(f) = file.next_frame() {
        listener.frame(f.at, f.link, f.bytes, &mut spool);
    }
    listener.close(&mut spool);
    std::fs::remove_file(pcap).unwrap();
    spool
}

fn archive(data: &Path, g711: bool) -> Archive {
    Archive {
        data: data.to_owned(),
        template: "{year}/{month}/{day}/{time}-{id}".to_owned(),
        g711,
        disk: Disk::default(),
    }
}

fn sealed(archive: &Archive, job: &Job) -> Sealed {
    let yours = Claim::Yours { replaces: Vec::new(), supersedes: Vec::new(), carried: None };
    match archive.finish(job, &|_, _| Ok::<_, String>(yours.clone())).unwrap() {
        Outcome::Sealed { call, .. } => *call,
        other => unreachable!("{other:?}"),
    }
}

pub(super) fn finish(c: &mut Criterion) {
    let mut group = c.benchmark_group("finish");
    group.sample_size(20);
    for seconds in [15, 180] {
        let data = folder();
        let spool = spooled(data.path(), 1, seconds);
        group.throughput(Throughput::Elements(spool.packets));
        for (audio, g711) in [("G.711", true), ("PCM", false)] {
            let archive = archive(data.path(), g711);
            group.bench_function(format!("a call of {seconds} s to {audio}, packets"), |b| {
                b.iter(|| sealed(&archive, &spool.jobs[0]));
            });
        }
    }
}

/// Calls that were finished together, in one transaction of a ledger that has those before.
pub(super) fn ledger(c: &mut Criterion) {
    let data = folder();
    let spool = spooled(data.path(), LEDGER_BATCH as u32, 1);
    let archive = archive(data.path(), true);
    let calls: Vec<Sealed> = spool.jobs.iter().map(|j| sealed(&archive, j)).collect();
    let mut group = c.benchmark_group("ledger");
    group.sample_size(20).throughput(Throughput::Elements(calls.len() as u64));
    group.bench_function(format!("commit of {} calls", calls.len()), |b| {
        b.iter_batched(
            || {
                let new = folder();
                let ledger = Ledger::open(new.path()).unwrap();
                (new, ledger)
            },
            |(new, mut ledger)| {
                ledger.commit(&calls).unwrap();
                (new, ledger)
            },
            BatchSize::PerIteration,
        );
    });
}
