//! Calls in progress beside those of the ledger.

use crate::archive::progress::{self, InProgress};
use crate::call::record::CallRecord;
use crate::ledger::{Filter, LedgerError, Lock, Reader};
use crate::limits::PROGRESS_MEDIA_BYTES;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The calls in progress that a listing has, in order of start. To be looked at before the ledger is: a call that is sealed
/// in between is then in both, and [`unsealed`] takes it out.
pub(super) fn look(data: &Path, filter: &Filter) -> Vec<InProgress> {
    let completed = filter.state.is_some_and(|s| s != crate::call::record::State::Active);
    let mut found = if completed { Vec::new() } else { all(data, true) };
    found.retain(|c| filter.has(&c.record));
    found
}

/// Only a recorder that runs has calls in progress: what a killed one has left is sealed or gone on with by the next.
fn all(data: &Path, streams: bool) -> Vec<InProgress> {
    if !Lock::is_held(data) {
        return Vec::new();
    }
    match progress::look(data, streams, PROGRESS_MEDIA_BYTES) {
        Ok((found, 0)) => found,
        Ok((found, unread)) => {
            warn(&format!("{unread} more calls in progress, of media alone, are too much to be looked at"));
            found
        }
        Err(e) => {
            warn(&format!("the calls in progress cannot be listed: {}: {e}", data.join("spool").display()));
            Vec::new()
        }
    }
}

fn warn(what: &str) {
    // A warning that cannot be printed is no reason to stop.
    let _ = writeln!(io::stderr(), "warning: {what}");
}

/// Those that the ledger does not have.
pub(super) fn unsealed(found: Vec<InProgress>, reader: &Reader) -> Result<Vec<InProgress>, LedgerError> {
    let mut out = Vec::new();
    for call in found {
        if reader.get(&call.record.id)?.is_none() {
            out.push(call);
        }
    }
    Ok(out)
}

/// How well a call answers to what a person has typed: by its id, by a SIP Call-ID, by the start of its id.
fn rank(call: &CallRecord, asked: &str) -> Option<u8> {
    let by = [
        call.id == asked,
        call.call_ids.iter().any(|c| c == asked),
        !asked.is_empty() && call.id.starts_with(asked),
    ];
    by.iter().position(|b| *b).map(|i| i as u8)
}

/// The call a person means, in progress or of the ledger, with the folders of the legs of one in progress.
pub(super) fn find(data: &Path, asked: &str) -> Result<(CallRecord, Vec<PathBuf>), LedgerError> {
    let active = all(data, false);
    let reader = super::read(data)?;
    reader.at_one_moment(|| {
        let mut ranked: Vec<(u8, InProgress)> = unsealed(active, &reader)?
            .into_iter()
            .filter_map(|c| rank(&c.record, asked).map(|r| (r, c)))
            .collect();
        let best = ranked.iter().map(|r| r.0).min();
        ranked.retain(|r| Some(r.0) == best);
        let sealed = reader.find(asked);
        let sealed_rank = match &sealed {
            Ok(call) => rank(call, asked),
            Err(LedgerError::Ambiguous { call_id, .. }) => Some(if *call_id { 1 } else { 2 }),
            Err(_) => None,
        };
        match (best, sealed_rank) {
            (None, _) => Ok((sealed?, Vec::new())),
            (Some(a), Some(s)) if s < a => Ok((sealed?, Vec::new())),
            (Some(a), s) => {
                let mut candidates: Vec<String> = ranked.iter().map(|r| r.1.record.id.clone()).collect();
                if s == Some(a) {
                    candidates.extend(match sealed {
                        Ok(call) => vec![call.id],
                        Err(LedgerError::Ambiguous { candidates, .. }) => candidates,
                        Err(_) => Vec::new(),
                    });
                }
                candidates.truncate(LedgerError::MAX_CANDIDATES);
                match ranked.pop() {
                    Some((_, call)) if candidates.len() == 1 => {
                        // All of its media this time, if it is still there.
                        Ok((progress::whole(&call.folders).unwrap_or(call.record), call.folders))
                    }
                    _ => Err(LedgerError::Ambiguous { id: asked.to_owned(), call_id: a == 1, candidates }),
                }
            }
        }
    })
}
