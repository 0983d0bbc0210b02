//! Names derived from the wire, the same on every recorder that heard the same.

use sha2::{Digest, Sha256};

/// Sixteen hexadecimal digits of a SHA-256 over length-prefixed parts.
#[must_use]
pub fn short_hash(parts: &[&[u8]]) -> String {
    let mut h = Sha256::new();
    for p in parts {
        h.update((p.len() as u64).to_be_bytes());
        h.update(p);
    }
    h.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// The id of a call with signalling: from its Call-IDs, in whatever order they were heard.
#[must_use]
pub fn of_dialogs(call_ids: &[String]) -> String {
    let mut ids: Vec<&[u8]> = call_ids.iter().map(String::as_bytes).collect();
    ids.sort_unstable();
    ids.insert(0, b"sip");
    short_hash(&ids)
}

/// The id of a call of media alone: from the stream that began first. Its sequence number and timestamp are part
/// of it, because load generators give every call the same SSRC and ports.
#[must_use]
pub fn of_media(source: &str, destination: &str, ssrc: u32, sequence: u16, timestamp: u32) -> String {
    short_hash(&[
        b"media",
        source.as_bytes(),
        destination.as_bytes(),
        &ssrc.to_be_bytes(),
        &sequence.to_be_bytes(),
        &timestamp.to_be_bytes(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_but_content_does() {
        let ids = |a: &str, b: &str| of_dialogs(&[a.to_owned(), b.to_owned()]);
        assert_eq!(ids("a@h", "b@h"), ids("b@h", "a@h"));
        assert_ne!(ids("a@h", "b@h"), ids("a@hb", "@h"));
        assert_eq!(ids("a@h", "b@h").len(), 16);
        assert_ne!(of_media("a", "b", 1, 2, 3), of_media("a", "b", 1, 2, 4));
    }
}
