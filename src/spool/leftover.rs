//! What a recorder that was killed left in the spool: legs, grouped into the calls they are of.

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
    let mut calls: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    let mut by_call_id: HashMap<String, u64> = HashMap::new();
    for (own, leg) in (0..).zip(&legs) {
        let Some(d) = &leg.dialog else { continue };
        let paired = d.bib.as_ref().and_then(|b| pairing.join(d.first_at, b, own));
        let call = paired.unwrap_or(own);
        by_call_id.insert(d.call_id.clone(), call);
        calls.entry(call).or_default().push(leg.folder.clone());
    }
    for (own, leg) in (0..).zip(&legs).filter(|(_, l)| l.dialog.is_none()) {
        let joined = leg.notes.iter().find_map(|n| match &n.note {
            Note::Joined { call_id } => by_call_id.get(call_id),
            _ => None,
        });
        calls.entry(joined.copied().unwrap_or(own)).or_default().push(leg.folder.clone());
    }
    Ok(Leftover { calls: calls.into_values().collect(), unreadable })
}
