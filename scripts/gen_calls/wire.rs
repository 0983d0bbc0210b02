//! Frames onto an interface: a raw AF_PACKET socket that only sends, many frames a system call.
#![expect(clippy::disallowed_methods, reason = "a driver is waited for")]

use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SetSockOpt, SockFlag, SockType, bind, sendmmsg, socket,
};
use nix::{libc, setsockopt_impl, sockopt_impl};
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// Frames a system call: more bring nothing (measured over veth: 1.6 µs a frame one by one, 1.3 at 32, 1.4 at 128).
const BATCH: usize = 32;

/// Times that a batch is tried, 100 µs apart.
const PATIENCE: u64 = 20_000;

sockopt_impl!(
    /// Past the queueing discipline, to the driver itself (packet(7)).
    QdiscBypass,
    SetOnly,
    libc::SOL_PACKET,
    libc::PACKET_QDISC_BYPASS,
    bool
);

/// An interface that is sent on.
pub struct Wire {
    socket: OwnedFd,
    headers: MultiHeaders<LinkAddr>,
    /// The frames of a batch one behind the other, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Frames that the interface has taken.
    pub sent: u64,
    /// Times that it took nothing and was asked again.
    pub again: u64,
}

impl Wire {
    /// Opens it.
    pub fn open(interface: &str) -> io::Result<Self> {
        // Protocol 0: nothing is received, so that sending costs nothing more.
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
        let of = nix::ifaddrs::getifaddrs()?.filter(|i| i.interface_name == interface);
        let address = of.filter_map(|i| i.address).find_map(|a| a.as_link_addr().copied());
        let address =
            address.ok_or_else(|| io::Error::other(format!("there is no interface {interface}")))?;
        bind(socket.as_raw_fd(), &address)?;
        QdiscBypass.set(&socket, &true)?;
        let (bytes, ends) = (Vec::with_capacity(BATCH * 256), Vec::with_capacity(BATCH));
        Ok(Self { socket, headers: MultiHeaders::preallocate(BATCH, None), bytes, ends, sent: 0, again: 0 })
    }

    /// Takes the frame that `make` appends.
    pub fn push(&mut self, make: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        make(&mut self.bytes);
        self.ends.push(self.bytes.len());
        if self.ends.len() == BATCH { self.flush() } else { Ok(()) }
    }

    /// Sends what was taken.
    pub fn flush(&mut self) -> io::Result<()> {
        let mut start = 0;
        let frames: Vec<[IoSlice<'_>; 1]> = self
            .ends
            .iter()
            .map(|&end| [IoSlice::new(&self.bytes[std::mem::replace(&mut start, end)..end])])
            .collect();
        let mut left = frames.as_slice();
        let mut refused = 0;
        let (fd, to) = (self.socket.as_raw_fd(), [None; BATCH]);
        while !left.is_empty() {
            match sendmmsg(fd, &mut self.headers, left, &to[..left.len()], [], MsgFlags::empty()) {
                Ok(taken) => left = &left[taken.count()..],
                // The driver's queue is full, or its link away: it is waited for, and that shows as lateness.
                Err(nix::Error::ENOBUFS | nix::Error::EAGAIN) if refused < PATIENCE => {
                    refused += 1;
                    std::thread::sleep(Duration::from_micros(100));
                }
                Err(nix::Error::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        self.again += refused;
        self.sent += self.ends.len() as u64;
        self.bytes.clear();
        self.ends.clear();
        Ok(())
    }
}
