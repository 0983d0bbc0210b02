//! What it costs to bring the packets of many legs to the disk, by the ways of writing that are open to a spool.
//!
//! usage: cargo run --release --example spool-writes -- FOLDER [LEGS] [MEGABYTES]
//!
//! Records of 230 bytes come for each leg in turn and are gathered in a buffer a leg; a full one is written. Each way runs in
//! turn, three rounds; the CPU time is this process's, the kernel's part in it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a tool for measuring"
)]

use rustix::fs::{Mode, OFlags};
use rustix::time::{ClockId, clock_gettime};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

const RECORD: [u8; 230] = [7; 230];
const PAGE: usize = 4096;

/// A leg: its file, what is gathered, and how much is written.
struct Leg {
    path: PathBuf,
    open: Option<File>,
    buffer: Vec<u8>,
    written: u64,
}

#[derive(Clone, Copy)]
enum Way {
    /// Open, append, close; so many bytes at a time.
    Reopen(usize),
    /// All files stay open.
    KeepOpen(usize),
    /// `O_DIRECT`: whole pages from an aligned buffer; opened for each write.
    Direct(usize),
    /// One file for all, 1 MiB at a time. What that saves is owed: each call's packets are gathered from it in the end.
    Sequential,
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let Some(folder) = args.get(1).map(Path::new) else {
        return eprintln!("usage: spool-writes FOLDER [LEGS] [MEGABYTES]");
    };
    let number = |n: usize, default: usize| args.get(n).map_or(default, |a| a.parse().unwrap());
    let (legs, bytes) = (number(2, 10_000), number(3, 2_000) << 20);
    println!("{legs} legs, {} MiB", bytes >> 20);
    let ways = [
        ("open-append-close, 16 KiB", Way::Reopen(16 << 10)),
        ("open-append-close, 32 KiB", Way::Reopen(32 << 10)),
        ("open-append-close, 64 KiB", Way::Reopen(64 << 10)),
        ("files kept open, 16 KiB", Way::KeepOpen(16 << 10)),
        ("files kept open, 32 KiB", Way::KeepOpen(32 << 10)),
        ("O_DIRECT, 32 KiB", Way::Direct(32 << 10)),
        ("O_DIRECT, 64 KiB", Way::Direct(64 << 10)),
        ("one sequential file, 1 MiB", Way::Sequential),
    ];
    for round in 1..=3 {
        println!("round {round}: CPU µs a record, wall s");
        for (name, way) in ways {
            let at = folder.join("spool-writes");
            let _ = fs::remove_dir_all(&at);
            fs::create_dir_all(&at).unwrap();
            match run(&at, way, legs, bytes) {
                Ok((cpu, wall)) => {
                    println!("  {name:28} {:6.3} {wall:6.2}", cpu / (bytes / RECORD.len()) as f64 * 1e6);
                }
                Err(e) => println!("  {name:28} {e}"),
            }
            fs::remove_dir_all(&at).unwrap();
        }
    }
}

fn cpu() -> f64 {
    let t = clock_gettime(ClockId::ProcessCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
}

fn run(folder: &Path, way: Way, legs: usize, bytes: usize) -> std::io::Result<(f64, f64)> {
    let size = match way {
        Way::Reopen(n) | Way::KeepOpen(n) | Way::Direct(n) => n,
        Way::Sequential => 1 << 20,
    };
    let number = if matches!(way, Way::Sequential) { 1 } else { legs };
    let leg = |n: usize| {
        let path = folder.join(n.to_string());
        File::create(&path)?;
        let open = match way {
            Way::KeepOpen(_) | Way::Sequential => Some(OpenOptions::new().append(true).open(&path)?),
            _ => None,
        };
        Ok(Leg { path, open, buffer: Vec::with_capacity(size + RECORD.len()), written: 0 })
    };
    let mut all = (0..number).map(leg).collect::<std::io::Result<Vec<Leg>>>()?;
    let mut aligned = vec![0; size + PAGE];
    let (began, before) = (Instant::now(), cpu());
    for n in 0..bytes / RECORD.len() {
        let leg = &mut all[n % number];
        leg.buffer.extend_from_slice(&RECORD);
        if leg.buffer.len() >= size {
            leg.write(way, size, &mut aligned)?;
        }
    }
    Ok((cpu() - before, began.elapsed().as_secs_f64()))
}

impl Leg {
    fn write(&mut self, way: Way, size: usize, aligned: &mut [u8]) -> std::io::Result<()> {
        match way {
            Way::Reopen(_) => {
                OpenOptions::new().append(true).open(&self.path)?.write_all(&self.buffer)?;
                self.buffer.clear();
            }
            Way::KeepOpen(_) | Way::Sequential => {
                self.open.as_mut().unwrap().write_all(&self.buffer)?;
                self.buffer.clear();
            }
            Way::Direct(_) => {
                let from = aligned.as_ptr().align_offset(PAGE);
                let whole = &mut aligned[from..from + size];
                whole.copy_from_slice(&self.buffer[..size]);
                let file = rustix::fs::open(&self.path, OFlags::WRONLY | OFlags::DIRECT, Mode::empty())?;
                rustix::io::pwrite(file, whole, self.written)?;
                self.written += size as u64;
                self.buffer.drain(..size);
            }
        }
        Ok(())
    }
}
