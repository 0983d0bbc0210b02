//! Who is in a call and what its platform says of it, gathered from the messages of one dialog.

use super::dialog::Heard;
use super::members::{self, Members, Sent};
use super::record::Party;
use crate::time::CaptureTime;
use crate::wire::bib::{Bib, Leg};
use crate::wire::sip::Message;
use crate::wire::sip_name::{self, NameAddr};
use crate::wire::{multipart, siprec};
use memchr::memmem;
use std::collections::BTreeMap;

/// What the messages of a dialog tell beyond the dialog itself.
#[derive(Clone, Debug, Default)]
pub struct Portrait {
    /// Vendor's dialect.
    pub platform: Option<&'static str>,
    /// By what it was known.
    pub mark: Option<&'static str>,
    /// `inbound` or `outbound`, where the platform tells.
    pub direction: Option<&'static str>,
    /// Identifiers of vendors and standards, first value of each.
    pub identifiers: BTreeMap<String, String>,
    /// Those whom recording metadata, or a Cisco CUBE, tells of.
    pub members: Members,
    /// Streams of recording metadata.
    pub streams: Vec<siprec::Stream>,
    /// Who called whom, as vendors' extensions tell.
    pub told: siprec::Told,
    /// Names that address headers give to numbers.
    pub names: Vec<(String, String)>,
    /// The first message.
    pub(super) begun: Option<CaptureTime>,
    /// Documents of metadata taken.
    pub(super) documents: u64,
    /// Method and number of the last request that was taken: what is sent again changes nothing.
    last: Option<(Vec<u8>, u32)>,
}

/// Names that are kept of one call.
const MAX_NAMES: usize = 64;

impl Portrait {
    /// Takes a message of the dialog, in order.
    pub fn hear(&mut self, heard: &Heard<'_>) {
        let (m, at) = (heard.message, heard.at);
        self.begun.get_or_insert(at);
        if m.status().is_none() {
            let this = m.cseq().map(|c| (m.method().to_vec(), c.0));
            if this.is_some() && this == self.last {
                return;
            }
            self.last = this;
            if matches!(m.method(), b"INVITE" | b"UPDATE" | b"INFO") {
                self.identify(m);
                self.cube(m, at);
            }
        } else if !matches!(m.status(), Some(200..=299)) {
            return;
        }
        // The recording client may also answer with metadata (RFC 7866, 9.2).
        for part in multipart::parts(m).iter().filter(|p| p.is_recording_metadata()) {
            self.document(at, &part.body);
        }
    }

    fn document(&mut self, at: CaptureTime, body: &[u8]) {
        match siprec::parse(body) {
            Ok(doc) => {
                if let Some(why) = &doc.mended {
                    let detail = format!(
                        "recording metadata was not well-formed and is read as far as it goes: {why}"
                    );
                    self.members.note(at, "metadata-mended", &detail);
                }
                self.metadata(at, doc);
            }
            Err(e) => {
                let detail = format!("{e}; what it tells of the call is not known");
                self.members.note(at, "metadata-unreadable", &detail);
            }
        }
    }

    /// Who sends the media of a line at a time, or around it: members by their place, or that the stream is mixed.
    #[must_use]
    pub fn senders(&self, line: &Line<'_>, at: CaptureTime) -> Senders {
        let streams = self.streams_of(line);
        if streams.iter().any(|s| s.mixed) {
            return Senders::Mixed;
        }
        let mut found: Vec<(u128, usize)> = Vec::new();
        for (i, m) in self.members.all().iter().enumerate() {
            let off = |s: &members::Sends| {
                let before = s.from.since(at);
                let after = s.to.filter(|to| *to <= at).map_or(0, |to| at.since(to).as_nanos() + 1);
                after.max(before.as_nanos())
            };
            let nearest = m.sends.iter().filter(|s| is_of(&s.what, &streams, line)).map(off).min();
            found.extend(nearest.map(|n| (n, i)));
        }
        let Some(nearest) = found.iter().map(|f| f.0).min() else { return Senders::Unknown };
        let mut here = found.iter().filter(|f| f.0 == nearest).map(|f| f.1);
        match (here.next(), here.next()) {
            (Some(i), None) => Senders::One(i),
            _ => Senders::Mixed,
        }
    }

    /// Has this member ever sent the media of this line?
    #[must_use]
    pub fn sends(&self, member: &members::Member, line: &Line<'_>) -> bool {
        let streams = self.streams_of(line);
        member.sends.iter().any(|s| is_of(&s.what, &streams, line))
    }

    /// The streams of its label; where the SDP has none, the one at its place.
    fn streams_of(&self, line: &Line<'_>) -> Vec<&siprec::Stream> {
        match line.label {
            Some(_) => self.streams.iter().filter(|s| s.label.as_deref() == line.label).collect(),
            None => self.streams.get(line.rank).into_iter().collect(),
        }
    }

    fn identify(&mut self, m: &Message<'_>) {
        const IDENTIFIERS: [(&str, &str); 10] = [
            ("session-id", "session-id"),
            ("cisco-guid", "cisco-guid"),
            ("user-to-user", "user-to-user"),
            ("x-broadworks-correlation-info", "x-broadworks-correlation-info"),
            ("x-avaya-ucid", "ucid"),
            ("x-ucid", "ucid"),
            ("x-cid", "x-cid"),
            ("av-global-session-id", "av-global-session-id"),
            ("x-genesys-calluuid", "x-genesys-calluuid"),
            ("x-metaswitch-call-id", "x-metaswitch-call-id"),
        ];
        for (header, name) in IDENTIFIERS {
            if let Some(v) = m.text(header) {
                self.identifiers.entry(name.to_owned()).or_insert(v);
            }
        }
        if let Some(u) = m.all("user-to-user").find_map(ucid) {
            self.identifiers.entry("ucid".to_owned()).or_insert(u);
        }
        if self.platform.is_none() {
            (self.platform, self.mark) = platform(m).unzip();
        }
        for header in ["from", "p-asserted-identity", "remote-party-id"] {
            for a in m.all(header).map(NameAddr::parse) {
                let number = members::number(&a.uri);
                if let Some(name) = a.name.filter(|n| *n != number && !number.is_empty())
                    && self.names.len() < MAX_NAMES
                    && !self.names.iter().any(|n| n.0 == number)
                {
                    self.names.push((number, name));
                }
            }
        }
    }

    /// Cisco CUBE names the sender of each m= line in a header of its own.
    fn cube(&mut self, m: &Message<'_>, at: CaptureTime) {
        let mut lines: Vec<(usize, NameAddr)> = Vec::new();
        for v in m.all("x-cisco-recording-participant").flat_map(sip_name::list) {
            let a = NameAddr::parse(v);
            let index = a.param("media-index").or(a.uri_param("media-index"));
            // With video there are two: "0 2".
            let index = index.and_then(|i| i.trim_matches('"').split_whitespace().next()?.parse().ok());
            let index = index.unwrap_or(lines.len());
            lines.push((index, a));
        }
        if lines.is_empty() {
            return;
        }
        let first = self.members.all().is_empty();
        let mut here = Vec::new();
        for (line, a) in lines {
            let number = members::number(&a.uri);
            let known = |m: &members::Member| {
                m.who.number.as_deref().is_some_and(|n| members::same_number(n, &number))
            };
            let Some(i) = self.members.find(known).or_else(|| self.members.join(at)) else { continue };
            self.members.rejoin(i);
            here.push(i);
            let Some(member) = self.members.get_mut(i) else { continue };
            member.address(&a.uri);
            member.who.name = member.who.name.take().or(a.name);
            member.end(at, |s| !matches!(s, Sent::Line(l) if *l != line));
            member.begin(Sent::Line(line), at);
        }
        for i in 0..self.members.all().len() {
            let gone = self
                .members
                .all()
                .get(i)
                .is_some_and(|m| m.sends.iter().any(|s| matches!(s.what, Sent::Line(_))));
            if gone && !here.contains(&i) {
                self.members.leave(i, at);
            }
        }
        self.members.tell(at, first);
    }
}

/// An m= line of sound.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Its place among all m= lines, from 0.
    pub index: usize,
    /// Its place among those of sound.
    pub rank: usize,
    /// Its `a=label`, which no other has.
    pub label: Option<&'a str>,
}

/// Is it that media that is sent? Some name the label where the id of the stream belongs.
fn is_of(sent: &Sent, streams: &[&siprec::Stream], line: &Line<'_>) -> bool {
    match sent {
        Sent::Line(l) => *l == line.index,
        Sent::Stream(id) if streams.is_empty() => Some(id.as_str()) == line.label,
        Sent::Stream(id) => streams.iter().any(|s| s.id == *id),
    }
}

/// Who sends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Senders {
    /// One member, by its place.
    One(usize),
    /// Several in one stream.
    Mixed,
    /// Nothing tells.
    Unknown,
}

/// Avaya's Universal Call ID within User-to-User: `…FA08` and eight bytes, which are written as 5, 5 and 10 digits.
fn ucid(value: &[u8]) -> Option<String> {
    let hex: String = String::from_utf8_lossy(value).split(';').next()?.trim().to_ascii_uppercase();
    // After the protocol discriminator come elements of identifier, length and value.
    let mut rest = hex.get(2..)?;
    loop {
        let byte = |at: usize| u8::from_str_radix(rest.get(at..at + 2)?, 16).ok();
        let (kind, length) = (byte(0)?, usize::from(byte(2)?));
        let data = rest.get(4..4 + 2 * length)?;
        if kind == 0xfa && length == 8 {
            let part = |r: std::ops::Range<usize>| u64::from_str_radix(data.get(r)?, 16).ok();
            return Some(format!("{:05}{:05}{:010}", part(0..4)?, part(4..8)?, part(8..16)?));
        }
        rest = rest.get(4 + 2 * length..)?;
    }
}

/// A party as an address header names it.
#[must_use]
pub fn party(a: &NameAddr) -> Party {
    let uri = Some(a.bare_uri().to_owned()).filter(|u| !u.is_empty());
    let number = sip_name::user(&a.uri).map(str::to_owned);
    Party { uri, number, name: a.name.clone() }
}

/// The vendor's dialect, by marks that no other vendor's messages bear.
fn platform(m: &Message<'_>) -> Option<(&'static str, &'static str)> {
    const MARKS: [(&str, &[&str]); 7] = [
        ("cisco-webex", &["webex.com"]),
        ("broadworks", &["broadworks"]),
        ("metaswitch", &["metaswitch networks", "metaswitchrecordingmetadata", "perimeta"]),
        ("avaya-sbce", &["asbce.com", "asbce@"]),
        ("oracle-sbc", &["acmepacket.com", "acmesrc"]),
        ("cisco-cucm", &["x-nearend;x-refci", "x-farend;x-refci", "x-nearend;x-near", "x-farend;x-near"]),
        ("cisco-cube", &["cisco-sipgateway", "ciscosystemssip-gw-useragent"]),
    ];
    let mut text = m.body.to_ascii_lowercase();
    for (n, v) in &m.headers {
        text.extend(n.to_ascii_lowercase());
        text.push(b' ');
        text.extend(v.to_ascii_lowercase());
        text.push(b'\n');
    }
    let has = |mark: &&&str| memmem::find(&text, mark.as_bytes()).is_some();
    let told = MARKS.iter().find_map(|(name, marks)| marks.iter().find(has).map(|mark| (*name, *mark)));
    // The parameters of a Built-in Bridge in another order, or outside the brackets.
    let bridge = || Bib::parse(&NameAddr::parse(m.header("from")?));
    told.or_else(|| Some(("cisco-cucm", if bridge()?.leg == Leg::Near { "x-nearend" } else { "x-farend" })))
}

#[cfg(test)]
mod tests;
