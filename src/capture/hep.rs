//! A UDP socket that capture agents send what they hear to (HEP). It only ever receives: there is no code that sends.

use super::live::{Dropped, Got, LiveError};
use crate::limits::HEP_BUFFER_BYTES;
use crate::time::CaptureTime;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

/// A socket that is listened to.
pub struct HepSocket {
    socket: UdpSocket,
    buffer: Vec<u8>,
    /// Names the socket in `/proc/net/udp`.
    inode: u64,
    /// Drops at the last look.
    before: u64,
}

impl HepSocket {
    /// Begins to listen.
    ///
    /// # Errors
    /// [`LiveError::Hep`] when the address cannot be had.
    pub fn open(listen: SocketAddr) -> Result<Self, LiveError> {
        let fail = |e: std::io::Error| LiveError::Hep { listen, why: e.to_string() };
        let socket = UdpSocket::bind(listen).map_err(fail)?;
        socket.set_nonblocking(true).map_err(fail)?;
        // The kernel gives less when net.core.rmem_max says so; what that costs is counted as drops.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, HEP_BUFFER_BYTES);
        let inode = rustix::fs::fstat(&socket).map_or(0, |s| s.st_ino);
        Ok(Self { socket, buffer: vec![0; 1 << 16], inode, before: 0 })
    }

    /// The next datagram; it is dated `now`, when it is read.
    pub fn take(&mut self, now: CaptureTime) -> Got<'_> {
        match self.socket.recv(&mut self.buffer) {
            Ok(n) => Got::Frame(now, self.buffer.get(..n).unwrap_or_default()),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Got::Nothing,
            Err(e) => Got::Gone(e.to_string()),
        }
    }

    /// Datagrams that found the socket's buffer full since this was last asked.
    pub fn dropped(&mut self) -> Dropped {
        let read = |path| std::fs::read_to_string(path).ok();
        let tables = ["/proc/net/udp", "/proc/net/udp6"].into_iter().filter_map(read);
        let now = tables.filter_map(|t| drops_of(&t, self.inode)).next().unwrap_or(self.before);
        let kernel = now.saturating_sub(self.before);
        self.before = now;
        Dropped { kernel, interface: 0 }
    }
}

impl AsFd for HepSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The drops of a socket in the text of `/proc/net/udp` (proc(5)): the inode is the tenth word of its line, the drops are the
/// last.
fn drops_of(table: &str, inode: u64) -> Option<u64> {
    let inode = inode.to_string();
    let line = table.lines().find(|l| l.split_whitespace().nth(9) == Some(&inode))?;
    line.split_whitespace().nth(12)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_receives_and_knows_its_drops() {
        let mut s = HepSocket::open("127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(matches!(s.take(CaptureTime(1)), Got::Nothing));
        let to = s.socket.local_addr().unwrap();
        let from = UdpSocket::bind("127.0.0.1:0").unwrap();
        from.send_to(b"HEP3", to).unwrap();
        let Got::Frame(at, bytes) = s.take(CaptureTime(7)) else { panic!("nothing came") };
        assert_eq!((at, bytes), (CaptureTime(7), &b"HEP3"[..]));
        assert_eq!(s.dropped(), Dropped::default());
        rustix::net::sockopt::set_socket_recv_buffer_size(&s.socket, 4096).unwrap();
        for _ in 0..200 {
            from.send_to(&[0; 1000], to).unwrap();
        }
        assert!(s.dropped().kernel > 100);
        assert_eq!(s.dropped().kernel, 0, "since the last time");
        let Err(e) = HepSocket::open(to) else { panic!("it is taken") };
        assert!(e.to_string().contains("HEP") && e.to_string().contains(&to.to_string()), "{e}");
    }

    #[test]
    fn the_kernels_table() {
        let line = "  812: 0100007F:2364 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 35";
        assert_eq!((drops_of(line, 4711), drops_of(line, 35)), (Some(35), None));
    }
}
