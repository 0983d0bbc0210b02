//! Names of sealed files, from the template in the configuration.

use crate::call::record::{CallRecord, Party};

/// Fills the template: `{year}`, `{month}`, `{day}`, `{time}` (UTC, `HHMMSS`), `{id}`, `{caller}`, `{callee}`.
/// The result is a relative path without an extension; what could leave the folder is replaced.
#[must_use]
pub fn name(template: &str, record: &CallRecord) -> String {
    let t = record.order_time().to_string();
    let part = |from: usize, to: usize| t.get(from..to).unwrap_or_default().replace(':', "");
    template
        .replace("{year}", &part(0, 4))
        .replace("{month}", &part(5, 7))
        .replace("{day}", &part(8, 10))
        .replace("{time}", &part(11, 19))
        .replace("{id}", &record.id)
        .replace("{caller}", &clean(&record.caller))
        .replace("{callee}", &clean(&record.callee))
}

/// Bytes of a party in a file name: two, a time and an id are far from the 255 that a file system takes.
const PARTY_BYTES: usize = 64;

/// A party as a part of a file name: letters, digits, `+`, `-` and `_`; at most 40 of them, and [`PARTY_BYTES`].
fn clean(p: &Party) -> String {
    let text = p.number.as_deref().or(p.name.as_deref()).unwrap_or("unknown");
    let plain = text.chars().map(|c| if c.is_alphanumeric() || "+-_".contains(c) { c } else { '_' });
    let mut out = String::new();
    for c in plain.take(40) {
        if out.len() + c.len_utf8() > PARTY_BYTES {
            break;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_bytes_cannot_leave_the_folder() {
        let p = |n: &str| Party { number: Some(n.to_owned()), ..Party::default() };
        assert_eq!(clean(&p("../../etc/passwd")), "______etc_passwd");
        assert_eq!(clean(&p("+49 30*1")), "+49_30_1");
        assert_eq!(clean(&Party::default()), "unknown");
        assert_eq!(clean(&p(&"𝒳".repeat(100))).len(), 64);
    }
}
