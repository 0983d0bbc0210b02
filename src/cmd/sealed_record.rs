//! The record beside a recording held against the ledger.

use super::sealed_file::inside;
use crate::call::record::CallRecord;
use serde_json::Value;
use std::io;
use std::path::Path;

/// What the file says.
pub(super) enum Found {
    /// What the ledger says.
    Same,
    /// Not all of it, but nothing that a recording is proven by.
    Remark(String),
    /// Another call, or other files.
    Problem(String),
}

/// What proves a recording.
const PROOF: [&str; 2] = ["id", "files"];

/// Compares the record in a file (`path` is relative to the data folder) with that of the ledger.
pub(super) fn compare(data: &Path, path: &str, call: &CallRecord) -> Found {
    let Some(at) = inside(data, path) else {
        return Found::Problem("is a path outside the data folder".into());
    };
    let bytes = match std::fs::read(at) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Found::Remark("is missing: `earwitness rebuild` would not find this call".into());
        }
        Err(e) => return Found::Remark(format!("cannot be read: {e}")),
    };
    // Through the record, so that what this version adds to it is there on both sides.
    let file = serde_json::from_slice::<CallRecord>(&bytes).and_then(serde_json::to_value);
    match (file, serde_json::to_value(call)) {
        (Ok(Value::Object(file)), Ok(Value::Object(ledger))) => {
            // Of a call that was sealed later the file does not know.
            let other = |k: &&String| *k != "links" && file.get(*k) != ledger.get(*k);
            let other: Vec<&str> = ledger.keys().filter(other).map(String::as_str).collect();
            let what = format!("does not say what the ledger says of: {}", other.join(", "));
            match other.as_slice() {
                [] => Found::Same,
                keys if keys.iter().any(|k| PROOF.contains(k)) => Found::Problem(what),
                _ => Found::Remark(what),
            }
        }
        (Err(e), _) => Found::Problem(format!("was altered, it is no record of a call: {e}")),
        _ => Found::Problem("was altered, it is no record of a call".into()),
    }
}
