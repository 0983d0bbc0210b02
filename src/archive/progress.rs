//! Calls in progress, as their spool tells them. Nothing is asked of the recorder and nothing is written: the live state
//! of a call is a function of its spool.

use super::assemble::assemble;
use super::bridge;
use crate::call::listener::Over;
use crate::call::reason::{Reason, Topic};
use crate::call::record::{CallRecord, State};
use crate::spool::format::PACKETS;
use crate::spool::leftover;
use crate::spool::read::{self, LegStory};
use std::io;
use std::path::{Path, PathBuf};

/// A call in progress.
#[derive(Clone, Debug)]
pub struct InProgress {
    /// What is known of it so far: it is active, has no end and no files.
    pub record: CallRecord,
    /// The folders of its legs.
    pub folders: Vec<PathBuf>,
}

/// The calls in progress in the spool of a data folder, in order of start; and how many more there are of media alone that
/// were not looked at.
///
/// With `streams`, all media is read, as long as there is no more of it than `media_bytes`. Else calls that signalling tells
/// of come without their streams, and calls of media alone, which nothing else tells of, as far as the bytes reach.
///
/// # Errors
/// When the spool cannot be listed.
pub fn look(data: &Path, streams: bool, media_bytes: u64) -> io::Result<(Vec<InProgress>, u64)> {
    let calls = match leftover::outlines(&data.join("spool")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        outlines => outlines?.0,
    };
    let bytes: Vec<u64> = calls.iter().map(|legs| legs.iter().map(media_of).sum()).collect();
    let all = streams && bytes.iter().sum::<u64>() <= media_bytes;
    let (mut found, mut left, mut unread) = (Vec::new(), media_bytes, 0);
    for (legs, bytes) in calls.into_iter().zip(bytes) {
        let folders: Vec<PathBuf> = legs.iter().map(|l| l.folder.clone()).collect();
        let record = if all {
            whole(&folders)
        } else if legs.iter().any(|l| l.dialog.is_some()) {
            so_far(legs)
        } else if let Some(less) = left.checked_sub(bytes) {
            left = less;
            whole(&folders)
        } else {
            unread += 1;
            None
        };
        found.extend(record.map(|record| InProgress { record, folders }));
    }
    found.sort_by(|a, b| (a.record.order_time(), &a.record.id).cmp(&(b.record.order_time(), &b.record.id)));
    Ok((found, unread))
}

/// All that is known so far of the call of these legs. `None` when nothing is, or it was sealed meanwhile.
#[must_use]
pub fn whole(folders: &[PathBuf]) -> Option<CallRecord> {
    // A leg that is gone was sealed meanwhile; one that cannot be read is told of by the recorder.
    let legs: Vec<LegStory> = folders.iter().filter_map(|f| read::leg(f).ok()).collect();
    so_far(legs)
}

/// Why it is as it is so far. How it ends is not known yet.
#[must_use]
pub fn reasons(folders: &[PathBuf]) -> Vec<Reason> {
    let mut legs: Vec<LegStory> = folders.iter().filter_map(|f| read::leg(f).ok()).collect();
    bridge::tell(&mut legs);
    let mut reasons = assemble(&legs, Over::CaptureEnded).map(|c| c.reasons).unwrap_or_default();
    reasons.retain(|r| r.topic != Topic::End && r.what != "not-carried");
    reasons
}

fn so_far(mut legs: Vec<LegStory>) -> Option<CallRecord> {
    bridge::tell(&mut legs);
    let legs = &legs;
    if legs.iter().all(|l| l.packets == 0) {
        return None;
    }
    let mut record = assemble(legs, Over::CaptureEnded)?.record;
    (record.state, record.end, record.ended_at, record.duration_s) = (State::Active, None, None, None);
    Some(record)
}

fn media_of(leg: &LegStory) -> u64 {
    std::fs::metadata(leg.folder.join(PACKETS)).map_or(0, |m| m.len())
}
