//! `earwitness record`: from interfaces to recordings, until SIGTERM.

use super::{ConfigArgs, DataArgs, Exit, Failure, log};
use crate::call::agents::AgentReport;
use crate::call::note::Place;
use crate::call::witness::{PrimaryReport, Verdict};
use crate::capture::ears::{Change, Ears};
use crate::capture::live::{Dropped, Options, Threads};
use crate::config::Config;
use crate::limits::memory::{self, Shape};
use crate::limits::{CALLS_AT_FULL_PACE, CLOCK_STEP_S, FRAMES_A_TURN, SLOWEST_FLUSH, TICK};
use crate::pipeline::{
    self, Backlog, Calls, DiskStatus, Drops, HepAgent, Interface, Memory, Mode, Pipeline, Primary, Status,
    wall_clock,
};
use crate::time::CaptureTime;
use sd_notify::NotifyState;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What `record` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Interface to listen to, several times for several [default: those of the configuration]
    #[arg(short, long = "interface", value_name = "IFACE")]
    interfaces: Vec<String>,
    /// Address to listen on for capture agents (HEP), several times for several, alone or beside -i
    #[arg(long, value_name = "LISTEN")]
    hep: Vec<SocketAddr>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Records until a signal ends it.
///
/// # Errors
/// When it cannot begin: the interface, the data folder or the configuration cannot be used.
pub fn run(args: &Args, _: &mut dyn Write) -> Result<Exit, Failure> {
    let config = args.config.load()?;
    let _log = log::start(&config);
    let data = args.data.folder_or(&config);
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, stop.clone())
            .map_err(|e| Failure::Said(format!("cannot wait for signals: {e}")))?;
    }
    // Whoever asks for an interface wants to know that it is not there; a host that starts up waits for it.
    let (names, agents, patient) = if args.interfaces.is_empty() && args.hep.is_empty() {
        (&config.interfaces, &config.hep, true)
    } else {
        (&args.interfaces, &args.hep, false)
    };
    if names.is_empty() && agents.is_empty() {
        let what = "which interface? Name it with -i, or as `interfaces` in the configuration; --hep is for capture agents";
        return Err(Failure::Usage(what.to_owned()));
    }
    let start = |name, run| pipeline::spawn(name, run).map_err(|e| io::Error::other(e.to_string()));
    let threads = Threads { number: config.capture_threads, start, clock: wall_clock };
    let options = Options {
        filter: config.capture_filter.clone(),
        ring_mb: config.ring_mb,
        threads: (config.capture_threads > 1).then_some(threads),
    };
    // Before anything else: from here on the kernel keeps what comes while the calls of the last run are looked up.
    let ears = Ears::open(names, agents, options, patient, wall_clock())?;
    let pipeline = Pipeline::start(&data, &config, Mode::Live)?;
    let mut tap = Tap::new(ears, pipeline, &config, data);
    tell_systemd(NotifyState::Ready);
    while !stop.load(Ordering::Acquire) && tap.turn() {}
    tell_systemd(NotifyState::Stopping);
    tracing::info!("stopping; calls in progress stay in the spool for the next start");
    let why = if stop.load(Ordering::Acquire) { "by a signal" } else { "by a defect: see the log" };
    tap.pipeline.event("stopped", "", why);
    tap.pipeline.stop()?;
    Ok(Exit::Done)
}

/// Without systemd nobody listens.
fn tell_systemd(what: NotifyState<'_>) {
    let _ = sd_notify::notify(&[what]);
}

#[expect(
    clippy::disallowed_methods,
    reason = "how often the tap does what is not reading is told by a steady clock"
)]
fn steady() -> Instant {
    Instant::now()
}

/// The host's clock beside a steady one: was it set?
struct Clock {
    wall: CaptureTime,
    steady: Instant,
}

impl Clock {
    /// What the clock would show had it not been set since this was last asked; `None` when it was not.
    fn set(&mut self, wall: CaptureTime, steady: Instant) -> Option<CaptureTime> {
        let expected = self.wall + (steady - self.steady);
        (self.wall, self.steady) = (wall, steady);
        (wall.secs_since(expected).abs() > CLOCK_STEP_S).then_some(expected)
    }
}

/// The thread that reads.
struct Tap {
    clock: Clock,
    ears: Ears,
    pipeline: Pipeline,
    flush: Duration,
    started_at: CaptureTime,
    started: Instant,
    ticked: Instant,
    flushed: Instant,
    looked: Instant,
    looked_at: CaptureTime,
    packets: u64,
    packets_before: u64,
    dropped: Dropped,
    backlog: Backlog,
    shape: Shape,
    bytes_before: u64,
    data: PathBuf,
}

impl Tap {
    fn new(ears: Ears, pipeline: Pipeline, config: &Config, data: PathBuf) -> Self {
        let (now, at) = (steady(), wall_clock());
        let names: Vec<&str> = ears.figures().filter(|f| f.up).map(|f| f.name.as_str()).collect();
        let names = if names.is_empty() { "nothing yet".to_owned() } else { names.join(", ") };
        let up = pipeline.listener().calls_up();
        tracing::info!("listening to {names}; data folder {}; {up} calls gone on with", data.display());
        let version = env!("CARGO_PKG_VERSION");
        let detail = format!("earwitness {version} on {names}; {up} calls gone on with");
        pipeline.event("started", "", &detail);
        for left in pipeline.unreadable() {
            tracing::error!("{left}");
        }
        let shape = pipeline::memory(config, ears.figures().count());
        tracing::info!("memory: {}", memory::line(&shape));
        let mut tap = Self {
            clock: Clock { wall: at, steady: now },
            ears,
            pipeline,
            flush: Duration::from_millis(config.flush_ms),
            started_at: at,
            started: now,
            ticked: now,
            flushed: now,
            looked: now,
            looked_at: at,
            packets: 0,
            packets_before: 0,
            dropped: Dropped::default(),
            backlog: Backlog::new(config.ring_mb, at),
            shape,
            bytes_before: 0,
            data,
        };
        tap.tell_changes(at);
        tap.tell_state();
        tap.publish(at, 0);
        tap
    }

    /// Reads for a while, and does what is due. False when nothing more can be recorded.
    fn turn(&mut self) -> bool {
        let now = wall_clock();
        if let Some(expected) = self.clock.set(now, steady()) {
            self.pipeline.clock_step(expected, now);
            self.looked_at = now;
        }
        let mut last = now;
        let pipeline = &mut self.pipeline;
        let n = self.ears.give(now, FRAMES_A_TURN, |at, link, bytes| {
            last = at;
            pipeline.frame(at, link, bytes);
        });
        self.packets += n as u64;
        self.backlog.taken(now, last, n < FRAMES_A_TURN);
        let steady = steady();
        let mut going = true;
        if steady - self.ticked >= TICK {
            self.ticked = steady;
            // Behind a backlog time has only come as far as the last frame.
            let at = if n < FRAMES_A_TURN { now } else { last };
            let write = steady - self.flushed >= self.pace();
            if write {
                self.flushed = steady;
            }
            if !self.ears.figures().any(|f| f.up) {
                self.pipeline.deaf();
            }
            self.pipeline.ring_fill(self.backlog.fill(now));
            going = self.pipeline.tick(at, write);
            self.tell_changes(now);
        }
        if steady - self.looked >= Duration::from_secs(1) {
            self.look(now, steady);
        }
        if n == 0 {
            self.ears.wait(TICK);
        }
        going
    }

    /// How often what the workers hold goes to the kernel: as often as is asked, less often with many calls. Half of it
    /// is for the way to the workers.
    fn pace(&self) -> Duration {
        let calls = u32::try_from(self.pipeline.listener().calls_up()).unwrap_or(u32::MAX);
        let stretched = self.flush.saturating_mul(calls) / CALLS_AT_FULL_PACE;
        stretched.min(SLOWEST_FLUSH).max(self.flush) / 2
    }

    /// Once a second: what was dropped is charged to the calls that are up, `status` is told, and systemd that we live.
    fn look(&mut self, now: CaptureTime, steady: Instant) {
        self.ears.look(now);
        let d = self.ears.dropped();
        for (n, place) in [(d.kernel, Place::Kernel), (d.interface, Place::Interface)] {
            if n > 0 {
                tracing::error!(
                    "{n} packets were dropped ({place:?}); every call in progress has a note of it"
                );
                self.pipeline.lost(place, n, self.looked_at, now);
                self.pipeline.event(
                    "packets-lost",
                    &format!("{place:?}").to_lowercase(),
                    &format!("{n} packets"),
                );
            }
        }
        self.dropped.kernel += d.kernel;
        self.dropped.interface += d.interface;
        let seconds = (steady - self.looked).as_secs_f64();
        let rate = (self.packets - self.packets_before) as f64 / seconds;
        let bytes = self.ears.figures().map(|f| f.bytes).sum::<u64>();
        self.backlog.rate(self.packets - self.packets_before, bytes - self.bytes_before, seconds);
        self.bytes_before = bytes;
        (self.looked, self.looked_at, self.packets_before) = (steady, now, self.packets);
        self.publish(now, rate as u64);
        tell_systemd(NotifyState::Watchdog);
    }

    /// What `systemctl status` shows.
    fn tell_state(&self) {
        let of = |up: bool| self.ears.figures().filter(move |f| f.up == up).map(|f| f.name.as_str());
        let text = match of(false).collect::<Vec<_>>() {
            gone if gone.is_empty() => format!("listens to {}", of(true).collect::<Vec<_>>().join(", ")),
            gone => format!("waits for {}, which is not there or not up", gone.join(", ")),
        };
        tell_systemd(NotifyState::Status(&text));
    }

    fn tell_changes(&mut self, now: CaptureTime) {
        let changes = self.ears.changes();
        if !changes.is_empty() {
            self.tell_state();
        }
        for change in changes {
            match change {
                Change::Gone { interface, name, why } => {
                    let what = format!("interface {name} is not there: {why}; it is waited for");
                    self.pipeline.capture_wrong(interface, Some(&what));
                    self.pipeline.event("interface-gone", &name, &why);
                }
                Change::Back { interface, since, name } => {
                    self.pipeline.event("interface-back", &name, &format!("it was gone since {since}"));
                    self.pipeline.capture_wrong(interface, None);
                    self.pipeline.lost(Place::Interface, 0, since, now);
                }
            }
        }
    }

    fn publish(&self, at: CaptureTime, packets_per_s: u64) {
        let listener = self.pipeline.listener();
        let (figures, refusals) = (self.pipeline.figures(), listener.refusals());
        let (free_bytes, total_bytes) = self.pipeline.room().unwrap_or_default();
        let troubles = self.pipeline.troubles();
        let writing = !troubles.iter().any(|t| t.part == pipeline::Part::Spool && t.until.is_none());
        let interface = |f: &crate::capture::ears::Figures| Interface {
            interface: f.name.clone(),
            up: f.up,
            packets: f.packets,
            bytes: f.bytes,
            kernel_drops: f.dropped.kernel,
            interface_drops: f.dropped.interface,
        };
        self.pipeline.publish(&Status {
            running: true,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            data: self.data.display().to_string(),
            started_at: self.started_at,
            at,
            uptime_s: (self.looked - self.started).as_secs(),
            packets_per_s,
            capture: self.ears.figures().map(interface).collect(),
            hep: listener.agents().into_iter().map(agent).collect(),
            drops: Drops {
                kernel: self.dropped.kernel,
                interface: self.dropped.interface,
                queue: figures.queue_lost,
                disk: figures.disk_lost,
                refused: refusals.packets + refusals.unclaimed,
            },
            calls: Calls {
                active: listener.calls_up() as u64,
                carried: listener.carried_up() as u64,
                sealed: figures.sealed,
                refused: listener.counters().calls_refused + refusals.calls,
            },
            witness: listener.primaries().into_iter().map(primary).collect(),
            disk: DiskStatus { free_bytes, total_bytes, writing },
            memory: Memory::now(&self.shape, listener.calls_up()),
            overload: self.pipeline.overload(),
            troubles,
            remarks: listener.remarks(),
            mirror: self.pipeline.mirror(),
        });
    }
}

fn agent(a: AgentReport) -> HepAgent {
    HepAgent { agent: a.agent, packets: a.packets, clock_behind_s: a.behind as f64 / 1e9 }
}

fn primary(p: PrimaryReport) -> Primary {
    let verdict = match p.verdict {
        Verdict::Well => "well",
        Verdict::Suspect => "suspect",
        Verdict::Lost => "lost",
    };
    Primary {
        primary: p.primary.to_string(),
        verdict: verdict.to_owned(),
        calls: p.calls_up as u64,
        heard_at: p.heard_at,
        lost_at: p.lost_at,
        back_at: p.back_at,
        evidence: p.evidence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_and_one_that_drifts() {
        let (at, begun) = (|s: f64| CaptureTime((s * 1e9) as i64), steady());
        let after = |s: f64| begun + Duration::from_secs_f64(s);
        let mut clock = Clock { wall: at(1000.0), steady: begun };
        assert_eq!(clock.set(at(1010.0), after(10.0)), None);
        assert_eq!(clock.set(at(1010.3), after(10.0)), None, "slewed");
        assert_eq!(clock.set(at(4610.5), after(10.2)), Some(at(1010.5)), "set by an hour");
        assert_eq!(clock.set(at(4611.5), after(11.2)), None);
        assert_eq!(clock.set(at(1011.5), after(11.3)), Some(at(4611.6)), "and back");
    }
}
