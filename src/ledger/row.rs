//! A call read back from its rows, equal to the one that was committed to the microsecond.

use super::links;
use crate::call::record::{
    CallRecord, Carried, Cause, Dtmf, End, Event, File, Gap, Kind, Participant, Party, State, Stream,
};
use crate::time::CaptureTime;
use rusqlite::types::{FromSql, Type};
use rusqlite::{Connection, OptionalExtension as _, Result, Row};
use std::collections::BTreeMap;

const CALL: &str = "
SELECT c.id, c.kind, c.platform, c.state, c.direction, c.started_at_us, c.answered_at_us, c.ended_at_us,
       c.duration_s, c.end_reason, c.carried_primary, c.carried_lost_at_us,
       a.uri, a.number, a.name, b.uri, b.number, b.name
FROM calls c
LEFT JOIN parties a ON a.party_no = c.caller_party_no
LEFT JOIN parties b ON b.party_no = c.callee_party_no
WHERE c.call_no = ?1";

const PARTICIPANTS: &str = "
SELECT i.party, p.uri, p.number, p.name, i.device, i.joined_at_us, i.left_at_us
FROM participants i LEFT JOIN parties p USING (party_no)
WHERE i.call_no = ?1 ORDER BY i.position";

const STREAMS: &str = "
SELECT party, ssrc, source, destination, codec, payload_type, encrypted, packets, lost, duplicates, reordered,
       jitter_ms, mos, started_at_us, ended_at_us
FROM streams WHERE call_no = ?1 ORDER BY position";

const FILES: &str = "
SELECT kind, path, format, channels, sample_rate_hz, duration_s, length_bytes, sha256
FROM files WHERE call_no = ?1 ORDER BY position";

/// The call of a row number; `None` when there is none.
pub(super) fn call(db: &Connection, call_no: i64) -> Result<Option<CallRecord>> {
    let main = db.prepare_cached(CALL)?.query_row([call_no], main_row).optional()?;
    let Some(mut call) = main else { return Ok(None) };
    call.call_ids =
        list(db, "SELECT call_id FROM call_ids WHERE call_no = ?1 ORDER BY position", call_no, |r| r.get(0))?;
    call.identifiers = identifiers(db, call_no)?;
    call.participants = list(db, PARTICIPANTS, call_no, participant)?;
    call.streams = list(db, STREAMS, call_no, stream)?;
    call.gaps = list(
        db,
        "SELECT party, start_s, length_s, cause FROM gaps WHERE call_no = ?1 ORDER BY position",
        call_no,
        gap,
    )?;
    call.dtmf =
        list(db, "SELECT party, at_s, digit FROM dtmf WHERE call_no = ?1 ORDER BY position", call_no, dtmf)?;
    call.events = list(
        db,
        "SELECT at_us, what, detail FROM events WHERE call_no = ?1 ORDER BY position",
        call_no,
        event,
    )?;
    call.files = list(db, FILES, call_no, file)?;
    call.references = links::references(db, call_no)?;
    call.links = links::links(db, call_no)?;
    if let Some(carried) = &mut call.carried {
        let sql = "SELECT evidence FROM carried_evidence WHERE call_no = ?1 ORDER BY position";
        carried.evidence = list(db, sql, call_no, |r| r.get(0))?;
    }
    Ok(Some(call))
}

/// Is there a table of this name?
pub(super) fn has_table(db: &Connection, name: &str) -> Result<bool> {
    db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?.exists([name])
}

fn list<T>(
    db: &Connection,
    sql: &str,
    call_no: i64,
    row: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    db.prepare_cached(sql)?.query_map([call_no], row)?.collect()
}

fn identifiers(db: &Connection, call_no: i64) -> Result<BTreeMap<String, String>> {
    let mut sql = db.prepare_cached("SELECT name, value FROM identifiers WHERE call_no = ?1")?;
    sql.query_map([call_no], |r| Ok((r.get(0)?, r.get(1)?)))?.collect()
}

fn main_row(r: &Row<'_>) -> Result<CallRecord> {
    let primary: Option<String> = r.get(10)?;
    let lost_at = time(r, 11)?;
    Ok(CallRecord {
        id: r.get(0)?,
        kind: word(r, 1, Kind::from_word)?,
        platform: r.get(2)?,
        state: word(r, 3, State::from_word)?,
        call_ids: Vec::new(),
        caller: party(r, 12)?,
        callee: party(r, 15)?,
        participants: Vec::new(),
        direction: r.get(4)?,
        identifiers: BTreeMap::new(),
        started_at: time(r, 5)?,
        answered_at: time(r, 6)?,
        ended_at: time(r, 7)?,
        duration_s: r.get(8)?,
        end: some_word(r, 9, End::from_word)?,
        carried: primary.zip(lost_at).map(|(primary, lost_at)| Carried {
            primary,
            lost_at,
            evidence: Vec::new(),
        }),
        streams: Vec::new(),
        gaps: Vec::new(),
        dtmf: Vec::new(),
        events: Vec::new(),
        files: Vec::new(),
        links: Vec::new(),
        references: Vec::new(),
    })
}

fn party(r: &Row<'_>, at: usize) -> Result<Party> {
    Ok(Party { uri: r.get(at)?, number: r.get(at + 1)?, name: r.get(at + 2)? })
}

fn participant(r: &Row<'_>) -> Result<Participant> {
    Ok(Participant {
        party: r.get(0)?,
        uri: r.get(1)?,
        number: r.get(2)?,
        name: r.get(3)?,
        device: r.get(4)?,
        joined_at: time(r, 5)?,
        left_at: time(r, 6)?,
    })
}

fn stream(r: &Row<'_>) -> Result<Stream> {
    Ok(Stream {
        party: r.get(0)?,
        ssrc: r.get(1)?,
        source: r.get(2)?,
        destination: r.get(3)?,
        codec: r.get(4)?,
        payload_type: r.get(5)?,
        encrypted: r.get(6)?,
        packets: count(r, 7)?,
        lost: count(r, 8)?,
        duplicates: count(r, 9)?,
        reordered: count(r, 10)?,
        jitter_ms: figure(r, 11)?,
        mos: r.get(12)?,
        started_at: CaptureTime::from_micros(r.get(13)?),
        ended_at: CaptureTime::from_micros(r.get(14)?),
    })
}

fn gap(r: &Row<'_>) -> Result<Gap> {
    let (start_s, length_s) = (figure(r, 1)?, figure(r, 2)?);
    Ok(Gap { party: r.get(0)?, start_s, length_s, cause: word(r, 3, Cause::from_word)? })
}

fn dtmf(r: &Row<'_>) -> Result<Dtmf> {
    Ok(Dtmf { party: r.get(0)?, at_s: figure(r, 1)?, digit: r.get(2)? })
}

fn event(r: &Row<'_>) -> Result<Event> {
    Ok(Event { at: CaptureTime::from_micros(r.get(0)?), what: r.get(1)?, detail: r.get(2)? })
}

fn file(r: &Row<'_>) -> Result<File> {
    Ok(File {
        kind: r.get(0)?,
        path: r.get(1)?,
        format: r.get(2)?,
        channels: r.get(3)?,
        sample_rate: r.get(4)?,
        duration_s: r.get(5)?,
        bytes: count(r, 6)?,
        sha256: r.get(7)?,
    })
}

fn time(r: &Row<'_>, at: usize) -> Result<Option<CaptureTime>> {
    Ok(r.get::<_, Option<i64>>(at)?.map(CaptureTime::from_micros))
}

fn count(r: &Row<'_>, at: usize) -> Result<u64> {
    Ok(u64::try_from(r.get::<_, i64>(at)?).unwrap_or(0))
}

/// A figure that could not be stored is not a number, which JSON prints as null.
fn figure(r: &Row<'_>, at: usize) -> Result<f64> {
    Ok(r.get::<_, Option<f64>>(at)?.unwrap_or(f64::NAN))
}

fn word<T>(r: &Row<'_>, at: usize, from: fn(&str) -> Option<T>) -> Result<T> {
    let word: String = r.get(at)?;
    from(&word).ok_or_else(|| unknown(at, &word))
}

fn some_word<T>(r: &Row<'_>, at: usize, from: fn(&str) -> Option<T>) -> Result<Option<T>> {
    let word: Option<String> = FromSql::column_result(r.get_ref(at)?)?;
    word.map(|w| from(&w).ok_or_else(|| unknown(at, &w))).transpose()
}

fn unknown(at: usize, word: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, Type::Text, format!("no such word: {word:?}").into())
}
