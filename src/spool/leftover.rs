//! What a recorder that was killed left in the spool: legs, grouped into the calls they are of.

use super::read::{self, LegStory};
use crate::call::pairing::Pairing;
use crate::capture::file::OpenError;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folders of each call, in order of time.
///
/// # Errors
/// When the spool's folder cannot be listed.
pub fn calls(root: &Path) -> io::Result<Vec<Vec<PathBuf>>> {
    let mut legs: Vec<LegStory> = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        // A folder that cannot be read stays where it is, for a person to look at.
        if let Ok(leg) = story(&path) {
            legs.push(leg);
        }
    }
    legs.sort_by(|a, b| (a.first_at, &a.folder).cmp(&(b.first_at, &b.folder)));
    let mut pairing = Pairing::default();
    let mut out: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    for (own, leg) in (0..).zip(legs) {
        let bib = leg.dialog.as_ref().and_then(|d| d.bib.clone().map(|b| (d.first_at, b)));
        let call = bib.and_then(|(at, b)| pairing.join(at, &b, own)).unwrap_or(own);
        out.entry(call).or_default().push(leg.folder);
    }
    Ok(out.into_values().collect())
}

fn story(path: &Path) -> Result<LegStory, OpenError> {
    if path.is_dir() {
        return read::leg(path);
    }
    Err(OpenError::Empty { path: path.to_owned() })
}
