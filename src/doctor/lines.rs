//! Recordings of which one party's stream never comes.

use super::finding::{Finding, Severity, count, examples};
use crate::limits::EXAMPLES;
use serde_json::json;

const REMEDY: &str = "Listen on the primary recorder: if it has both parties, the mirror lacks a port by which media come to it (streams of one session may leave by different cards or blades); if it has not, the recording profile of the phone system sends one party only.";

/// `several`: recordings of several streams of which one at least is there. `lacking`: those that lack another, and where
/// it should go.
pub(super) fn finding(several: u64, mut lacking: Vec<String>) -> Option<Finding> {
    let missing = lacking.len() as u64;
    if missing == 0 {
        return None;
    }
    lacking.sort();
    lacking.truncate(EXAMPLES);
    let text = format!(
        "{missing} of {} with several streams {} one that never came, while another did: missing is what goes to{}. Either that party is silent or not sent, or the mirror does not have it.",
        count(several, "recording"),
        if missing == 1 { "has" } else { "have" },
        examples(&lacking, missing)
    );
    let numbers = [("recordings", several.into()), ("lacking", missing.into()), ("examples", json!(lacking))];
    // One party that says nothing for a call is no fault; in most calls it is.
    let severity = if missing * 2 >= several && missing > 1 { Severity::Problem } else { Severity::Note };
    Some(Finding::new("recording-stream-missing", severity, &numbers, text, REMEDY))
}
