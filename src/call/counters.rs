//! What the tap counts.

/// What happened to the packets; every one that is not in a recording is counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames read.
    pub frames: u64,
    /// Frames whose headers make no sense.
    pub malformed: u64,
    /// Packets cut off by the capture's snap length.
    pub truncated: u64,
    /// SIP messages understood.
    pub sip: u64,
    /// What began like SIP and was none, or had no Call-ID.
    pub sip_bad: u64,
    /// Packets of media given to calls.
    pub media: u64,
    /// Media for calls that had ended.
    pub after_end: u64,
    /// Calls that were refused because there were too many.
    pub calls_refused: u64,
    /// Dialogs that nobody had answered, let go because there were too many.
    pub setups_let_go: u64,
    /// Media that no call claimed and that was no sustained RTP.
    pub unclaimed: u64,
    /// Packets of flows beyond the limit, looked up one by one.
    pub flows_over: u64,
    /// Datagrams whose IP fragments were never all there.
    pub fragments_given_up: u64,
    /// Holes in TCP streams of SIP.
    pub tcp_holes: u64,
    /// TCP streams of SIP that were given up for want of room.
    pub tcp_dropped: u64,
    /// TCP connections that were given up for want of room before they had shown what they carry.
    pub tcp_unknown_dropped: u64,
    /// Copies of SIP messages that the mirror gave within milliseconds, left out.
    pub sip_copies: u64,
    /// Messages in a WebSocket that are compressed (permessage-deflate).
    pub web_compressed: u64,
    /// Datagrams of HEP that make no sense.
    pub hep_bad: u64,
    /// Compressed payloads in HEP.
    pub hep_compressed: u64,
    /// Reports, logs and other protocols in HEP.
    pub hep_other: u64,
    /// Packets in HEP whose time was not believed.
    pub hep_redated: u64,
}
