//! One interface, through libpcap.
//!
//! TPACKET_V3 (never `immediate_mode`, which falls back to V2 and wakes us for each packet), not blocking: the kernel
//! hands over blocks of packets, at the latest after [`BLOCK_MS`]. Nothing is ever sent: `earwitness` has no code for it.

use crate::limits::{BLOCK_MS, FRAME_BYTES};
use crate::time::CaptureTime;
use crate::wire::frame::LinkType;
use pcap::{Active, Capture, Error, Linktype, Precision, Stat};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread::JoinHandle;
use thiserror::Error;

/// Starts a thread of this name.
pub type Start = fn(String, Box<dyn FnOnce() + Send>) -> std::io::Result<JoinHandle<()>>;

/// Threads that read an interface, beside the tap.
#[derive(Clone, Copy, Debug)]
pub struct Threads {
    /// How many; each has a ring of its own.
    pub number: usize,
    /// Who starts them.
    pub start: Start,
    /// The host's clock.
    pub clock: fn() -> CaptureTime,
}

/// How an interface is listened to.
#[derive(Clone, Debug)]
pub struct Options {
    /// A BPF expression (pcap-filter(7)); empty is everything.
    pub filter: String,
    /// The kernel's buffer, MB (2^20 bytes).
    pub ring_mb: u32,
    /// Who reads it, when not the tap itself.
    pub threads: Option<Threads>,
}

/// Why an interface cannot be listened to, and what to do.
#[derive(Debug, Error)]
pub enum LiveError {
    /// This user may not.
    #[error(
        "cannot capture on {name}: this user may not; once, as root: setcap cap_net_raw+ep {program} (or start it as the systemd service, which has the capability)"
    )]
    Forbidden {
        /// The interface.
        name: String,
        /// This program's file.
        program: String,
    },
    /// There is no such interface.
    #[error("there is no interface {name}; there are: {there}")]
    Missing {
        /// The interface asked for.
        name: String,
        /// Those that are there.
        there: String,
    },
    /// It is there and down.
    #[error("the interface {name} is down; as root: ip link set {name} up")]
    Down {
        /// The interface.
        name: String,
    },
    /// Its frames are of a kind that nobody here can read.
    #[error("the interface {name} has frames of link type {link}, which earwitness cannot read")]
    Link {
        /// The interface.
        name: String,
        /// The link type's number.
        link: i32,
    },
    /// An address for HEP that cannot be had.
    #[error(
        "cannot listen for HEP on {listen}: {why}; is the address of this host, and no other program on the port?"
    )]
    Hep {
        /// The address.
        listen: std::net::SocketAddr,
        /// What the system said.
        why: String,
    },
    /// The filter is wrong.
    #[error("the capture filter {filter:?} is wrong: {why}; see pcap-filter(7)")]
    Filter {
        /// The expression.
        filter: String,
        /// What libpcap said.
        why: String,
    },
    /// Anything else.
    #[error("cannot capture on {name}: {why}")]
    Other {
        /// The interface.
        name: String,
        /// What libpcap said.
        why: String,
    },
}

impl LiveError {
    /// May the interface come by itself, as when a host starts up?
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Down { .. } | Self::Hep { .. } | Self::Other { .. })
    }
}

/// What an interface has to give.
pub enum Got<'a> {
    /// A frame, and when the kernel had it.
    Frame(CaptureTime, &'a [u8]),
    /// Nothing just now.
    Nothing,
    /// It is gone, and why.
    Gone(String),
}

/// What was counted since the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Packets that found the kernel's buffer full.
    pub kernel: u64,
    /// Packets that the network card could not take.
    pub interface: u64,
}

/// An interface that is listened to.
pub struct Live {
    capture: Capture<Active>,
    /// The kind of its frames.
    pub link: LinkType,
    before: Stat,
}

impl Live {
    /// Begins to listen.
    ///
    /// # Errors
    /// [`LiveError`].
    pub fn open(name: &str, options: &Options) -> Result<Self, LiveError> {
        let ring = i32::try_from(u64::from(options.ring_mb) << 20).unwrap_or(i32::MAX);
        let snap = i32::try_from(FRAME_BYTES).unwrap_or(i32::MAX);
        let opened = Capture::from_device(name).and_then(|c| {
            c.promisc(true)
                .snaplen(snap)
                .buffer_size(ring)
                .timeout(BLOCK_MS)
                .precision(Precision::Nano)
                .open()?
                .setnonblock()
        });
        let mut capture = opened.map_err(|e| why_not(name, e))?;
        let number = capture.get_datalink().0;
        let link = u32::try_from(number).ok().and_then(LinkType::from_number);
        let link = link.ok_or_else(|| LiveError::Link { name: name.to_owned(), link: number })?;
        if !options.filter.is_empty() {
            let filter = options.filter.clone();
            let wrong = |e: Error| LiveError::Filter { filter: filter.clone(), why: text(e) };
            // What is said of the error shall be about the expression as it was given.
            capture.compile(&filter, true).map_err(wrong)?;
            capture.filter(&widened(&filter), true).map_err(wrong)?;
        }
        let before = capture.stats().unwrap_or(Stat { received: 0, dropped: 0, if_dropped: 0 });
        Ok(Self { capture, link, before })
    }

    /// The next frame; makes no system call while the kernel's block has more.
    pub fn take(&mut self) -> Got<'_> {
        match self.capture.next_packet() {
            Ok(p) => {
                // With nanosecond precision libpcap puts nanoseconds into the field for microseconds.
                let at = CaptureTime::from_parts(p.header.ts.tv_sec, p.header.ts.tv_usec);
                Got::Frame(at, p.data)
            }
            Err(Error::TimeoutExpired | Error::NoMorePackets) => Got::Nothing,
            Err(e) => Got::Gone(text(e)),
        }
    }

    /// What was dropped since this was last asked. libpcap counts in 32 bits, which wrap within the hour.
    pub fn dropped(&mut self) -> Dropped {
        let Ok(now) = self.capture.stats() else { return Dropped::default() };
        let before = std::mem::replace(&mut self.before, now);
        let since = |now: u32, before: u32| u64::from(now.wrapping_sub(before));
        Dropped {
            kernel: since(now.dropped, before.dropped),
            interface: since(now.if_dropped, before.if_dropped),
        }
    }
}

impl AsFd for Live {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.capture.as_fd()
    }
}

/// Whether a filter can be used, without an interface: as on Ethernet.
///
/// # Errors
/// [`LiveError::Filter`].
pub fn check_filter(filter: &str) -> Result<(), LiveError> {
    if filter.is_empty() {
        return Ok(());
    }
    let wrong = |e: Error| LiveError::Filter { filter: filter.to_owned(), why: text(e) };
    let nowhere = Capture::dead(Linktype::ETHERNET).map_err(wrong)?;
    nowhere.compile(filter, true).and_then(|_| nowhere.compile(&widened(filter), true)).map_err(wrong)?;
    Ok(())
}

/// The filter, and what a filter of hosts and ports would lose: all but the first fragment of a datagram (they have no
/// ports), and what has one or two VLAN tags (the words of a filter mean packets without one).
fn widened(filter: &str) -> String {
    let plain = format!("(({filter}) or (ip[6:2] & 0x1fff != 0) or (ip6[6] = 44))");
    format!("{plain} or (vlan and ({plain} or (vlan and {plain})))")
}

fn text(e: Error) -> String {
    match e {
        Error::PcapError(why) => why,
        other => other.to_string(),
    }
}

fn why_not(name: &str, e: Error) -> LiveError {
    let why = text(e);
    let name = name.to_owned();
    let says = |words: &[&str]| words.iter().any(|w| why.contains(w));
    if says(&["ermission", "not permitted"]) {
        let program = std::env::current_exe().map(|p| p.display().to_string());
        return LiveError::Forbidden { name, program: program.unwrap_or_else(|_| "earwitness".to_owned()) };
    }
    if says(&["No such device", "doesn't exist"]) {
        return LiveError::Missing { name, there: interfaces().join(", ") };
    }
    if says(&["is not up", "went down"]) {
        return LiveError::Down { name };
    }
    LiveError::Other { name, why }
}

/// Why an interface has no link, as the kernel sees it (RFC 2863's ifOperStatus); `None` when it has one, or nothing says.
#[must_use]
pub fn no_link(name: &str) -> Option<String> {
    let state = std::fs::read_to_string(format!("/sys/class/net/{name}/operstate")).ok()?;
    let state = state.trim();
    matches!(state, "down" | "lowerlayerdown" | "notpresent")
        .then(|| format!("it is {state}: is it up (ip link set {name} up), and the cable in?"))
}

/// The names of this host's interfaces.
#[must_use]
pub fn interfaces() -> Vec<String> {
    let names = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let mut names: Vec<String> = names.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a filter of libpcap's passes, without an interface.
    fn passes(filter: &str, frame: &[u8]) -> bool {
        let dead = Capture::dead(Linktype::ETHERNET).unwrap();
        dead.compile(&widened(filter), true).unwrap().filter(frame)
    }

    /// An IPv4 UDP frame to port 5060, with tags in front and this fragment field.
    fn frame(tags: &[[u8; 4]], fragment: [u8; 2]) -> Vec<u8> {
        let mut f = vec![2; 12];
        f.extend(tags.concat());
        f.extend([8, 0, 0x45, 0, 0, 32, 0, 1]);
        f.extend(fragment);
        f.extend([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        f.extend([0x13, 0xc4, 0x13, 0xc4, 0, 12, 0, 0, 1, 2, 3, 4]);
        f.resize(80, 0);
        f
    }

    #[test]
    fn a_filter_never_drops_fragments_or_tags() {
        let tag = [0x81, 0, 0, 7];
        for tags in [&[][..], &[tag], &[tag, tag]] {
            assert!(passes("udp port 5060", &frame(tags, [0, 0])), "{tags:?}");
            assert!(!passes("udp port 9", &frame(tags, [0, 0])), "{tags:?}");
            // The first fragment has ports; the others pass whatever they are of.
            assert!(passes("udp port 5060", &frame(tags, [0x20, 0])), "{tags:?}");
            assert!(passes("udp port 9", &frame(tags, [0x20, 1])), "{tags:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_do() {
        let options = Options { filter: String::new(), ring_mb: 1, threads: None };
        let Err(e) = Live::open("no-such-if", &options) else { panic!("it is there") };
        let e = e.to_string();
        assert!(e.contains("no-such-if") && (e.contains("there are: ") || e.contains("setcap")), "{e}");
    }
}
