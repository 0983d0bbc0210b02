//! A window on a file or a pipe: large reads, no copy to look ahead.

use std::io::{self, Read};

const CHUNK: usize = 256 << 10;

/// Buffered bytes with their position in the input.
pub struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    position: u64,
    /// The buffer has all there is.
    whole: bool,
}

impl<R: Read> Window<R> {
    /// At the beginning of `input`, of which so many bytes are expected.
    pub fn new(input: R, bytes: Option<u64>) -> Self {
        // Most files of the spool are small, and there are many.
        let chunk = bytes.and_then(|b| usize::try_from(b).ok()).map_or(CHUNK, |b| b.clamp(4096, CHUNK));
        Self { input, buffer: vec![0; chunk], at: 0, end: 0, position: 0, whole: false }
    }

    /// On bytes that are there; `input` is not read.
    pub fn on(bytes: Vec<u8>, input: R) -> Self {
        Self { input, end: bytes.len(), buffer: bytes, at: 0, position: 0, whole: true }
    }

    /// All that it was put on, by [`Window::on`].
    pub fn into_bytes(self) -> Option<Vec<u8>> {
        self.whole.then_some(self.buffer)
    }

    /// Bytes taken so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next `n` bytes, or fewer at the end of the input, without taking them.
    ///
    /// # Errors
    /// What reading answers.
    #[inline]
    pub fn peek(&mut self, n: usize) -> io::Result<&[u8]> {
        if self.end - self.at < n && !self.whole {
            self.read(n)?;
        }
        Ok(self.seen(n))
    }

    /// Reads until `n` bytes are there, or the input ends.
    #[cold]
    fn read(&mut self, n: usize) -> io::Result<()> {
        while self.end - self.at < n {
            if self.at > 0 {
                self.buffer.copy_within(self.at..self.end, 0);
                self.end -= self.at;
                self.at = 0;
            }
            if self.buffer.len() < n {
                self.buffer.resize(n.next_multiple_of(CHUNK), 0);
            }
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.input.read(room) {
                Ok(0) => break,
                Ok(got) => self.end += got,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// What [`Window::peek`] showed, once more.
    #[inline]
    pub fn seen(&self, n: usize) -> &[u8] {
        self.buffer.get(self.at..self.end.min(self.at + n)).unwrap_or_default()
    }

    /// The last `n` bytes that were taken; they stay until the next peek.
    pub fn taken(&self, n: usize) -> &[u8] {
        self.buffer.get(self.at.saturating_sub(n)..self.at).unwrap_or_default()
    }

    /// Takes `n` bytes that were peeked at.
    pub fn take(&mut self, n: usize) {
        let n = n.min(self.end - self.at);
        self.at += n;
        self.position += n as u64;
    }
}
