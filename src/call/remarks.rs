//! What is worth telling of the counters, for people.

use super::listener::Counters;
use super::overload::Refusals;

/// A line for each that is not zero.
pub(super) fn of(c: &Counters, r: Refusals) -> Vec<String> {
    let remark = |n: u64, what: &str| (n > 0).then(|| format!("{n} {what}"));
    [
        remark(c.truncated, "packets were cut off by the capture's snap length; capture with -s 0"),
        remark(c.malformed, "frames have headers that make no sense"),
        remark(c.sip_bad, "messages began like SIP and could not be read"),
        remark(c.tcp_holes, "holes in TCP streams of SIP, messages in them are missing"),
        remark(c.tcp_dropped, "TCP streams of SIP were given up for want of room"),
        remark(
            c.tcp_unknown_dropped,
            "TCP connections were given up for want of room before they had shown what they carry",
        ),
        remark(c.fragments_given_up, "datagrams lack IP fragments"),
        remark(
            c.web_compressed,
            "SIP messages in a WebSocket are compressed (permessage-deflate) and not read",
        ),
        remark(c.hep_bad, "datagrams of HEP make no sense"),
        remark(
            c.hep_compressed,
            "payloads in HEP are compressed and not read; have the agent send them plain",
        ),
        remark(c.hep_redated, "packets in HEP had a time far from ours; they are dated as they arrived"),
        remark(c.after_end, "packets of media came after the end of their call"),
        remark(c.unclaimed, "packets of media belong to no call"),
        remark(c.calls_refused, "calls were refused: too many at once"),
        remark(r.calls, "calls were refused, at least in part: this host could not keep up with all"),
        remark(r.unclaimed, "packets of RTP that no call had claimed were let go meanwhile"),
        remark(r.unheard, "messages of dialogs that had said too much are kept and were not followed"),
        remark(c.setups_let_go, "calls that nobody had answered were let go: too many at once"),
        remark(c.flows_over, "packets are of flows beyond the limit"),
    ]
    .into_iter()
    .flatten()
    .collect()
}
