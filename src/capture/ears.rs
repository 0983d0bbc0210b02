//! Several interfaces, and sockets for capture agents (HEP), as one source in order of time; those that vanish are waited
//! for.

use super::hep::HepSocket;
use super::live::{Dropped, Got, Live, LiveError, Options};
use super::readers::Readers;
use crate::limits::{HOLDBACK, RETRY};
use crate::time::CaptureTime;
use crate::wire::frame::LinkType;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Something that happened to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It cannot be listened to any more, or not yet.
    Gone {
        /// Its number.
        interface: usize,
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// It is listened to, after it was gone since this time.
    Back {
        /// Its number.
        interface: usize,
        /// Its name.
        name: String,
        /// Since when it was gone.
        since: CaptureTime,
    },
}

/// What an interface has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Its name.
    pub name: String,
    /// It is listened to.
    pub up: bool,
    /// Frames.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Frames that found the kernel's buffer full, or that the card could not take.
    pub dropped: Dropped,
}

/// Where frames come from.
enum Source {
    Interface(Live),
    Readers(Readers),
    Agents(HepSocket),
}

impl Source {
    fn take(&mut self, now: CaptureTime) -> Got<'_> {
        match self {
            Self::Interface(live) => live.take(),
            Self::Readers(readers) => readers.take(now),
            Self::Agents(socket) => socket.take(now),
        }
    }

    fn link(&self) -> LinkType {
        match self {
            Self::Interface(live) => live.link,
            Self::Readers(readers) => readers.link,
            Self::Agents(_) => LinkType::Hep,
        }
    }

    fn dropped(&mut self) -> Dropped {
        match self {
            Self::Interface(live) => live.dropped(),
            Self::Readers(readers) => readers.dropped(),
            Self::Agents(socket) => socket.dropped(),
        }
    }

    /// Has frames that wait for earlier ones?
    fn waiting(&self) -> bool {
        matches!(self, Self::Readers(readers) if readers.waiting())
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Interface(live) => live.as_fd(),
            Self::Readers(readers) => readers.as_fd(),
            Self::Agents(socket) => socket.as_fd(),
        }
    }
}

/// What is to be listened to.
enum Place {
    Interface(String),
    Agents(SocketAddr),
}

impl Place {
    fn name(&self) -> String {
        match self {
            Self::Interface(name) => name.clone(),
            Self::Agents(listen) => format!("hep {listen}"),
        }
    }

    fn open(&self, options: &Options) -> Result<Source, LiveError> {
        match self {
            Self::Interface(name) => match options.threads {
                Some(threads) => Readers::open(name, options, threads).map(Source::Readers),
                None => Live::open(name, options).map(Source::Interface),
            },
            Self::Agents(listen) => HepSocket::open(*listen).map(Source::Agents),
        }
    }
}

struct Ear {
    number: usize,
    place: Place,
    live: Option<Source>,
    /// The next frame, while others may still have earlier ones.
    held: Option<CaptureTime>,
    frame: Vec<u8>,
    gone_since: CaptureTime,
    retry_at: CaptureTime,
    figures: Figures,
}

/// Interfaces that are listened to.
pub struct Ears {
    ears: Vec<Ear>,
    options: Options,
    changes: Vec<Change>,
}

impl Ears {
    /// Begins to listen to interfaces, and on addresses for capture agents. `patient`: what is not there yet is waited for.
    ///
    /// # Errors
    /// What the first of them says that cannot be listened to.
    pub fn open(
        names: &[String],
        agents: &[SocketAddr],
        options: Options,
        patient: bool,
        now: CaptureTime,
    ) -> Result<Self, LiveError> {
        let mut ears = Vec::new();
        let mut changes = Vec::new();
        let places = names.iter().cloned().map(Place::Interface);
        for place in places.chain(agents.iter().copied().map(Place::Agents)) {
            let name = place.name();
            let live = match place.open(&options) {
                Ok(l) => Some(l),
                Err(e) if patient && e.may_pass() => {
                    let interface = ears.len();
                    changes.push(Change::Gone { interface, name: name.clone(), why: e.to_string() });
                    None
                }
                Err(e) => return Err(e),
            };
            let figures = Figures { name, up: live.is_some(), ..Figures::default() };
            ears.push(Ear {
                number: ears.len(),
                place,
                live,
                held: None,
                frame: Vec::new(),
                gone_since: now,
                retry_at: now + RETRY,
                figures,
            });
        }
        Ok(Self { ears, options, changes })
    }

    /// Gives up to `most` frames in order of time; says how many it had. `now` is the host's clock.
    pub fn give(
        &mut self,
        now: CaptureTime,
        most: usize,
        mut to: impl FnMut(CaptureTime, LinkType, &[u8]),
    ) -> usize {
        self.reopen(now);
        match self.ears.as_mut_slice() {
            [one] => one.give(now, most, &mut self.changes, &mut to),
            _ => self.give_merged(now, most, to),
        }
    }

    /// From several interfaces the earliest frame comes first. One that has nothing may only be behind with it: the
    /// kernel hands over blocks.
    fn give_merged(
        &mut self,
        now: CaptureTime,
        most: usize,
        mut to: impl FnMut(CaptureTime, LinkType, &[u8]),
    ) -> usize {
        for n in 0..most {
            for ear in &mut self.ears {
                ear.hold(now, &mut self.changes);
            }
            let waits = self.ears.iter().any(|e| e.live.is_some() && e.held.is_none());
            let first = self.ears.iter_mut().filter(|e| e.held.is_some()).min_by_key(|e| e.held);
            let Some((ear, at)) = first.and_then(|e| e.held.map(|at| (e, at))) else { return n };
            // A card may stamp ahead of the host's clock: such frames are not held for ever.
            if waits && at <= now && now.since(at) < HOLDBACK {
                return n;
            }
            ear.held = None;
            if let Some(live) = &ear.live {
                to(at, live.link(), &ear.frame);
            }
        }
        most
    }

    /// Tries again to listen to what was gone.
    fn reopen(&mut self, now: CaptureTime) {
        for (n, e) in self.ears.iter_mut().enumerate().filter(|(_, e)| e.live.is_none()) {
            // The clock may have been set back.
            if now < e.retry_at && now + RETRY >= e.retry_at {
                continue;
            }
            e.retry_at = now + RETRY;
            if let Ok(live) = e.place.open(&self.options) {
                (e.live, e.figures.up) = (Some(live), true);
                let (name, since) = (e.figures.name.clone(), e.gone_since);
                self.changes.push(Change::Back { interface: n, name, since });
            }
        }
    }

    /// Looks whether the interfaces have a link. libpcap does not tell: one without just has no packets.
    pub fn look(&mut self, now: CaptureTime) {
        for e in self.ears.iter_mut().filter(|e| e.live.is_some()) {
            let (interface, name) = (e.number, e.figures.name.clone());
            match super::live::no_link(&name) {
                Some(why) if e.figures.up => {
                    (e.figures.up, e.gone_since) = (false, now);
                    self.changes.push(Change::Gone { interface, name, why });
                }
                None if !e.figures.up => {
                    e.figures.up = true;
                    self.changes.push(Change::Back { interface, name, since: e.gone_since });
                }
                _ => {}
            }
        }
    }

    /// What has happened to interfaces since this was last asked.
    pub fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// What was dropped since this was last asked, in all.
    pub fn dropped(&mut self) -> Dropped {
        let mut all = Dropped::default();
        for e in &mut self.ears {
            let d = e.live.as_mut().map(Source::dropped).unwrap_or_default();
            for sum in [&mut e.figures.dropped, &mut all] {
                sum.kernel += d.kernel;
                sum.interface += d.interface;
            }
        }
        all
    }

    /// What each interface has counted.
    pub fn figures(&self) -> impl Iterator<Item = &Figures> {
        self.ears.iter().map(|e| &e.figures)
    }

    /// Waits for frames, at most for this long; a signal ends it too.
    pub fn wait(&self, most: Duration) {
        // Who has a frame that waits for an earlier one has nothing new to tell, and would end the wait at once.
        let fds = self.ears.iter().filter(|e| e.held.is_none()).filter_map(|e| e.live.as_ref());
        let mut fds: Vec<PollFd<'_>> = fds.map(|l| PollFd::new(l, PollFlags::IN)).collect();
        let waiting = self.ears.iter().filter_map(|e| e.live.as_ref()).any(Source::waiting);
        let most = if waiting || fds.len() < self.ears.len() { most.min(HOLDBACK / 4) } else { most };
        let most = Timespec { tv_sec: most.as_secs() as i64, tv_nsec: i64::from(most.subsec_nanos()) };
        // Interrupted, or an interface that is gone: the next frame tells.
        let _ = poll(&mut fds, Some(&most));
        for e in &self.ears {
            if let Some(Source::Readers(readers)) = &e.live {
                readers.heard();
            }
        }
    }
}

impl Ear {
    fn give(
        &mut self,
        now: CaptureTime,
        most: usize,
        changes: &mut Vec<Change>,
        to: &mut impl FnMut(CaptureTime, LinkType, &[u8]),
    ) -> usize {
        let Some(live) = &mut self.live else { return 0 };
        let link = live.link();
        for n in 0..most {
            match live.take(now) {
                Got::Frame(at, bytes) => {
                    self.figures.packets += 1;
                    self.figures.bytes += bytes.len() as u64;
                    to(at, link, bytes);
                }
                Got::Nothing => return n,
                Got::Gone(why) => {
                    self.gone(now, why, changes);
                    return n;
                }
            }
        }
        most
    }

    fn hold(&mut self, now: CaptureTime, changes: &mut Vec<Change>) {
        let Some(live) = self.live.as_mut().filter(|_| self.held.is_none()) else { return };
        match live.take(now) {
            Got::Frame(at, bytes) => {
                self.figures.packets += 1;
                self.figures.bytes += bytes.len() as u64;
                self.frame.clear();
                self.frame.extend_from_slice(bytes);
                self.held = Some(at);
            }
            Got::Nothing => {}
            Got::Gone(why) => self.gone(now, why, changes),
        }
    }

    fn gone(&mut self, now: CaptureTime, why: String, changes: &mut Vec<Change>) {
        if self.figures.up {
            self.gone_since = now;
        }
        self.retry_at = now + RETRY / 4;
        (self.live, self.held, self.figures.up) = (None, None, false);
        changes.push(Change::Gone { interface: self.number, name: self.figures.name.clone(), why });
    }
}
