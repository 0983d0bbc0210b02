//! What a recorder that was killed left in the spool: legs, grouped into the calls they are of.

use super::format::{PACKETS, PACKETS_BEFORE};
use super::read::{self, LegStory};
use crate::call::note::Note;
use crate::call::pairing::Pairing;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The spool of a killed run.
#[derive(Clone, Debug, Default)]
pub struct Leftover {
    /// The folders of each call, in order of time.
    pub calls: Vec<Vec<PathBuf>>,
    /// What could not be read, and why; it stays where it is.
    pub unreadable: Vec<String>,
}

/// Looks through the spool.
///
/// # Errors
/// When its folder cannot be listed.
pub fn look(root: &Path) -> io::Result<Leftover> {
    adopt(root)?;
    let (calls, unreadable) = outlines(root)?;
    let folders = |legs: Vec<LegStory>| legs.into_iter().map(|l| l.folder).collect();
    Ok(Leftover { calls: calls.into_iter().map(folders).collect(), unreadable })
}

/// Brings the spool of an older build to the names of this one.
pub(super) fn adopt(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let folder = entry?.path();
        let (old, new) = (folder.join(PACKETS_BEFORE), folder.join(PACKETS));
        if old.is_file() && !new.exists() {
            fs::rename(old, new)?;
        }
    }
    Ok(())
}

/// The outlines of the legs of each call, in order of time; and what could not be read.
///
/// # Errors
/// When the spool's folder cannot be listed.
pub fn outlines(root: &Path) -> io::Result<(Vec<Vec<LegStory>>, Vec<String>)> {
    let mut legs: Vec<LegStory> = Vec::new();
    let mut unreadable = Vec::new();
    for entry in fs::read_dir(root)? {
        match read::outline(&entry?.path()) {
            Ok(leg) => legs.push(leg),
            Err(e) => unreadable.push(e.to_string()),
        }
    }
    legs.sort_by(|a, b| (a.first_at, &a.folder).cmp(&(b.first_at, &b.folder)));
    let mut pairing = Pairing::default();
    let mut calls: BTreeMap<u64, Vec<LegStory>> = BTreeMap::new();
    let mut by_call_id: HashMap<String, u64> = HashMap::new();
    let (dialogs, media): (Vec<_>, Vec<_>) = (0..).zip(legs).partition(|(_, l)| l.dialog.is_some());
    for (own, leg) in dialogs {
        let Some(d) = &leg.dialog else { continue };
        let same = leg.same().and_then(|c| by_call_id.get(c).copied());
        let paired = d.bib.as_ref().and_then(|b| pairing.join(d.first_at, b, same.unwrap_or(own)));
        let call = paired.or(same).unwrap_or(own);
        by_call_id.insert(d.call_id.clone(), call);
        calls.entry(call).or_default().push(leg);
    }
    for (own, leg) in media {
        let joined = leg.notes.iter().find_map(|n| match &n.note {
            Note::Joined { call_id } => by_call_id.get(call_id).copied(),
            _ => None,
        });
        calls.entry(joined.unwrap_or(own)).or_default().push(leg);
    }
    Ok((calls.into_values().collect(), unreadable))
}
