//! Reads a leg's spool back: the one way from packets to a recording, after a call, a crash or a merge.

use super::clock::{Base, Step, one_clock};
use super::format::{self, FILE_HEADER, NOTES, Noted, PACKETS, SIGNALLING};
use super::spare;
use crate::call::dialog::{Dialog, Heard};
use crate::call::note::Note;
use crate::call::portrait::Portrait;
use crate::call::switchboard::FlowKey;
use crate::capture::file::{CaptureFile, Frame, OpenError};
use crate::limits::STREAMS_PER_CALL;
use crate::media::sequence::Packet;
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use crate::wire::ip::{self, protocol};
use crate::wire::{rtp, sip, transport};
use hashbrown::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// An RTP stream as it lies in the spool.
#[derive(Clone, Debug)]
pub struct RawStream {
    /// Source, destination and SSRC.
    pub flow: FlowKey,
    /// Its packets in order of capture.
    pub packets: Vec<Packet>,
    /// Payloads of packets that may be telephone events: those of four bytes, with the packet's index.
    pub events: Vec<(usize, [u8; 4])>,
}

/// All that a leg's spool tells.
#[derive(Clone, Debug, Default)]
pub struct LegStory {
    /// Its folder.
    pub folder: PathBuf,
    /// Its dialog; `None` in a call of media alone.
    pub dialog: Option<Dialog>,
    /// What the dialog's messages tell of people and platform.
    pub portrait: Portrait,
    /// Its RTP streams, in order of appearance.
    pub streams: Vec<RawStream>,
    /// First packet of any kind.
    pub first_at: Option<CaptureTime>,
    /// Last packet of any kind.
    pub last_at: Option<CaptureTime>,
    /// Packets in all.
    pub packets: u64,
    /// RTP packets that the capture cut off.
    pub truncated: u64,
    /// RTP packets whose dates were far from their neighbours' and are not believed.
    pub misdated: u64,
    /// RTP packets of streams beyond the limit.
    pub unlisted: u64,
    /// Where the signalling is among all packets.
    pub signalling_at: Vec<u64>,
    /// The file of all packets is just that, whole and in order of time.
    pub all_in_one: bool,
    /// The bytes of that file, if it was small enough to be kept.
    pub bytes: Option<Vec<u8>>,
    /// What the tap noted.
    pub notes: Vec<Noted>,
    steps: Vec<Step>,
}

impl LegStory {
    /// The Call-ID of the dialog whose call this one is of, as the tap has found.
    #[must_use]
    pub fn same(&self) -> Option<&str> {
        self.notes.iter().find_map(|n| match &n.note {
            Note::Same { call_id, .. } => Some(call_id.as_str()),
            _ => None,
        })
    }
}

/// What a leg's signalling tells, and when the leg began: enough to know which call it is of. When the host's clock was
/// set meanwhile, the times are by the clock of the leg's end, which is the host's now.
///
/// # Errors
/// When a file cannot be opened.
pub fn outline(folder: &Path) -> Result<LegStory, OpenError> {
    let mut story = signalling(folder)?;
    if let Some(mut file) = story.open(1)?
        && let Some(f) = file.next_frame()
    {
        story.count(f.at);
    }
    Ok(story)
}

/// The same from its signalling alone: of a spool of a thousand legs not a block of media is read for it.
///
/// # Errors
/// When the file cannot be opened.
pub fn signalling(folder: &Path) -> Result<LegStory, OpenError> {
    let mut story = LegStory::begin(folder, Base::End);
    if let Some(mut file) = story.open(0)? {
        while let Some(f) = file.next_frame() {
            story.count(f.at);
            story.hear(f.at, f.bytes);
        }
    }
    Ok(story)
}

/// Seconds between neighbours that one packet alone does not make.
const WILD_S: f64 = 10.0;

/// Room that is made for the packets of a stream at once: what half of its leg's file holds of packets like its first,
/// up to so many.
const PACKETS_AT_ONCE: u64 = 1 << 14;

/// Reads a leg's folder. A torn tail is left out. When the host's clock was set meanwhile, all times are by the clock of
/// the leg's beginning.
///
/// # Errors
/// When a file cannot be opened.
pub fn leg(folder: &Path) -> Result<LegStory, OpenError> {
    leg_keeping(folder, 0)
}

/// The same; a file of all packets of up to so many bytes is read at once and kept, for it is read again to be heard and
/// to be hashed.
///
/// # Errors
/// When a file cannot be opened.
pub fn leg_keeping(folder: &Path, most: u64) -> Result<LegStory, OpenError> {
    let mut story = LegStory::begin(folder, Base::Beginning);
    let mut said = Vec::new();
    if let Some(mut file) = story.open_keeping(0, most)? {
        while let Some(f) = file.next_frame() {
            story.count(f.at);
            story.hear(f.at, f.bytes);
            said.push(f.bytes.to_vec());
        }
    }
    let mut said = Said { messages: said, next: 0, missed: false };
    if let Some(mut file) = story.open_keeping(1, most)? {
        let mut by_flow: HashMap<FlowKey, usize> = HashMap::new();
        let half = file.bytes().unwrap_or(0) / 2;
        let mut in_order = story.steps.is_empty();
        let mut before = CaptureTime(i64::MIN);
        while let Some(f) = file.next_frame() {
            in_order &= before <= f.at;
            before = f.at;
            if !story.listen(&f, half, &mut by_flow) && said.is_next(f.bytes) {
                story.signalling_at.push(f.place);
            } else {
                story.packets += 1;
            }
        }
        let torn = file.bytes() != Some(file.position()) || !file.troubles.is_empty();
        story.all_in_one = in_order && !torn && said.is_all();
        story.bytes = file.into_bytes();
        story.mend_dates();
    }
    Ok(story)
}

/// The messages of a leg, to be found again among all its packets. The two files are written one after the other, so
/// that a kill may leave a message in the first alone.
struct Said {
    messages: Vec<Vec<u8>>,
    next: usize,
    missed: bool,
}

/// Messages in a row that a kill may have kept from the file of all packets, each time.
const UNWRITTEN: usize = 64;

impl Said {
    fn is_next(&mut self, bytes: &[u8]) -> bool {
        let rest = self.messages.get(self.next..).unwrap_or_default();
        let Some(skipped) = rest.iter().take(UNWRITTEN).position(|m| m == bytes) else { return false };
        self.missed |= skipped > 0;
        self.next += skipped + 1;
        true
    }

    fn is_all(&self) -> bool {
        !self.missed && self.next == self.messages.len()
    }
}

/// Opens a file of the spool. `None` when there is none, or nothing in it: not even its header came to the disk.
///
/// # Errors
/// When it cannot be opened.
pub fn open(path: &Path) -> Result<Option<CaptureFile>, OpenError> {
    match CaptureFile::open(path) {
        Ok(f) => Ok(Some(f)),
        Err(e) if e.is_nothing() || is_torn(path) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The same; a file of up to so many bytes is read at once.
fn open_keeping(path: &Path, most: u64) -> Result<Option<CaptureFile>, OpenError> {
    let fail = |error| OpenError::Io { path: path.to_owned(), error };
    let file = match File::open(path) {
        Ok(f) => f,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(fail(e)),
    };
    let length = file.metadata().map_err(fail)?.len();
    if length > most {
        return open(path);
    }
    let Ok(bytes) = all_of(file, usize::try_from(length).unwrap_or(0)) else {
        // What is before the bad block.
        return open(path);
    };
    match bytes.first_chunk::<{ FILE_HEADER.len() }>() {
        None => Ok(None),
        Some(head) if *head == [0; FILE_HEADER.len()] => Ok(None),
        Some(_) => CaptureFile::of_bytes(path, bytes).map(Some),
    }
}

/// The first `length` bytes of a file, or fewer when it has fewer.
fn all_of(mut file: File, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = spare::take(length);
    bytes.resize(length, 0);
    let mut got = 0;
    while let Some(room) = bytes.get_mut(got..).filter(|r| !r.is_empty()) {
        match file.read(room) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(got);
    Ok(bytes)
}

/// Has a loss of power left a file that is shorter than its header, or whose first block was never written?
fn is_torn(path: &Path) -> bool {
    let mut head = [0; FILE_HEADER.len()];
    let read = File::open(path).and_then(|mut f| f.read(&mut head));
    read.is_ok_and(|n| n < head.len() || head == [0; FILE_HEADER.len()])
}

impl LegStory {
    fn begin(folder: &Path, base: Base) -> Self {
        // Notes that cannot be read are no reason to lose the call.
        let mut notes =
            std::fs::read(folder.join(NOTES)).map(|text| format::notes(&text)).unwrap_or_default();
        let steps = one_clock(&mut notes, base);
        Self { folder: folder.to_owned(), notes, steps, ..Self::default() }
    }

    /// From where on, and by how much, the dates of a file are corrected: 0 is signalling, 1 all packets.
    #[must_use]
    pub fn redated(&self, track: usize) -> Vec<(u64, i64)> {
        let offset = |s: &Step| s.offsets.get(track).copied().unwrap_or(0);
        self.steps.iter().map(|s| (offset(s), s.by)).collect()
    }

    fn open(&self, track: usize) -> Result<Option<CaptureFile>, OpenError> {
        self.open_keeping(track, 0)
    }

    fn open_keeping(&self, track: usize, most: u64) -> Result<Option<CaptureFile>, OpenError> {
        let name = if track == 0 { SIGNALLING } else { PACKETS };
        Ok(open_keeping(&self.folder.join(name), most)?.map(|f| f.redate(&self.redated(track))))
    }

    /// Corrects packets that the capture dated far from both their neighbours: one such date would stretch the
    /// recording by as much.
    fn mend_dates(&mut self) {
        let far = |x: CaptureTime, y: CaptureTime| x.secs_since(y).abs() > WILD_S;
        for s in &mut self.streams {
            for i in 0..s.packets.len() {
                let at = |i: Option<usize>| i.and_then(|i| s.packets.get(i)).map(|p| p.at);
                let (Some(p), Some(b)) = (s.packets.get(i), at(i.checked_sub(1)).or(at(Some(i + 2)))) else {
                    continue;
                };
                if !far(p.at, b) {
                    continue;
                }
                let Some(a) = at(Some(i + 1)).or(at(i.checked_sub(2))) else { continue };
                if far(p.at, a) && !far(a, b) {
                    self.misdated += 1;
                    if let Some(p) = s.packets.get_mut(i) {
                        p.at = b;
                    }
                }
            }
            let times = s.packets.iter().map(|p| p.at);
            self.first_at = self.first_at.into_iter().chain(times.clone().min()).min();
            self.last_at = self.last_at.into_iter().chain(times.max()).max();
        }
    }

    fn count(&mut self, at: CaptureTime) {
        self.packets += 1;
        self.first_at = Some(self.first_at.map_or(at, |t| t.min(at)));
        self.last_at = Some(self.last_at.map_or(at, |t| t.max(at)));
    }

    fn hear(&mut self, at: CaptureTime, bytes: &[u8]) {
        with_sip(bytes, |source, destination, payload| {
            let Ok(message) = sip::parse(payload.trim_ascii_start()) else { return };
            let heard = Heard { at, source, destination, message: &message };
            self.dialog.get_or_insert_with(|| Dialog::new(&heard)).hear(&heard);
            self.portrait.hear(&heard);
        });
    }

    /// The stream of a flow; `None` beyond the limit.
    fn stream_of(
        &mut self,
        flow: FlowKey,
        by_flow: &mut HashMap<FlowKey, usize>,
        likely: impl FnOnce() -> u64,
    ) -> Option<&mut RawStream> {
        // Most legs have two, which are compared sooner than hashed.
        let known = self.streams.iter().take(2).position(|s| s.flow == flow);
        let i = match known.or_else(|| by_flow.get(&flow).copied()) {
            Some(i) => i,
            None if self.streams.len() >= STREAMS_PER_CALL => return None,
            None => {
                let room = if self.streams.len() < 2 { likely().min(PACKETS_AT_ONCE) } else { 0 };
                let packets = Vec::with_capacity(room as usize);
                self.streams.push(RawStream { flow, packets, events: Vec::new() });
                by_flow.insert(flow, self.streams.len() - 1);
                self.streams.len() - 1
            }
        };
        self.streams.get_mut(i)
    }

    /// Notes a packet of RTP; false when it is none. `half`: bytes of half the file that it is in.
    fn listen(&mut self, f: &Frame<'_>, half: u64, by_flow: &mut HashMap<FlowKey, usize>) -> bool {
        let Ok(ip) = ip::parse(f.bytes) else { return false };
        let Some(udp) = transport::udp(ip.payload).filter(|_| ip.protocol == protocol::UDP) else {
            return false;
        };
        let Ok(r) = rtp::parse(udp.payload) else { return false };
        let flow = FlowKey {
            source: Endpoint::new(ip.source, udp.source_port),
            destination: Endpoint::new(ip.destination, udp.destination_port),
            ssrc: r.ssrc,
        };
        self.truncated += u64::from(udp.missing > 0 || ip.missing > 0);
        let Some(s) = self.stream_of(flow, by_flow, || half / (f.bytes.len() as u64 + 16)) else {
            self.unlisted += 1;
            return true;
        };
        let before = ip.bytes.len() - ip.payload.len() + 8 + r.payload_at;
        // RFC 4733 events are four bytes; some phones append more.
        if let (Some(event), ..=8) = (r.payload.first_chunk::<4>(), r.payload.len()) {
            s.events.push((s.packets.len(), *event));
        }
        s.packets.push(Packet {
            at: f.at,
            place: f.place + before as u64,
            timestamp: r.timestamp,
            sequence: r.sequence,
            length: u16::try_from(r.payload.len()).unwrap_or(u16::MAX),
            payload_type: r.payload_type,
            marker: r.marker,
        });
        true
    }
}

/// Gives source, destination and payload of a spooled signalling packet to `then`.
pub fn with_sip(bytes: &[u8], then: impl FnOnce(Endpoint, Endpoint, &[u8])) {
    let Ok(ip) = ip::parse(bytes) else { return };
    let (source, destination, payload) = match ip.protocol {
        protocol::UDP => match transport::udp(ip.payload) {
            Some(u) => (u.source_port, u.destination_port, u.payload),
            None => return,
        },
        protocol::TCP => match transport::tcp(ip.payload) {
            Some(t) => (t.source_port, t.destination_port, t.payload),
            None => return,
        },
        _ => return,
    };
    then(Endpoint::new(ip.source, source), Endpoint::new(ip.destination, destination), payload);
}
