//! Addresses in SIP headers: `"Alice" <sip:1001@host;user=phone>;tag=abc` (RFC 3261, 20.10 and 25.1).

use crate::limits::NAME_BYTES;

/// A name-addr or addr-spec with its parameters, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameAddr {
    /// Display name without its quotes; `None` when empty.
    pub name: Option<String>,
    /// The URI without angle brackets, URI parameters included.
    pub uri: String,
    /// Header parameters, as `;tag=abc`.
    pub params: String,
}

/// The addresses of a header that may hold several: cut at commas that are in no quotes and no brackets (RFC 3261, 7.3.1).
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut inside, mut escaped) = (false, false, false);
    value.split(move |b| {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'<' | b'>' if !quoted => inside = *b == b'<',
            _ => return *b == b',' && !quoted && !inside,
        }
        false
    })
}

impl NameAddr {
    /// Reads a From, To, Contact or similar value; what is malformed is taken as far as it makes sense.
    #[must_use]
    pub fn parse(value: &[u8]) -> Self {
        let v = String::from_utf8_lossy(value);
        let v = v.trim();
        let (name, rest) = match v.strip_prefix('"') {
            Some(q) => quoted(q),
            None => match v.find('<') {
                Some(lt) => (v[..lt].trim().to_owned(), &v[lt..]),
                None => (String::new(), v),
            },
        };
        let rest = rest.trim_start();
        let (uri, params) = match rest.strip_prefix('<') {
            // Some Contacts lack the `>`.
            Some(r) => r.split_once('>').unwrap_or((r, "")),
            // Without brackets, parameters are the header's.
            None => rest.split_at(rest.find(';').unwrap_or(rest.len())),
        };
        let name = Some(kept(name.trim())).filter(|n| !n.is_empty());
        Self { name, uri: kept(uri.trim()), params: kept(params.trim()) }
    }

    /// A header parameter's value; an empty string for one without a value.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        param(&self.params, name)
    }

    /// The dialog tag.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.param("tag")
    }

    /// The URI without parameters and headers: `sip:1001@host`.
    #[must_use]
    pub fn bare_uri(&self) -> &str {
        self.uri.split([';', '?', '>']).next().unwrap_or_default().trim()
    }

    /// The user part of the URI, or its number in a tel URI; `None` when there is none.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        user(&self.uri)
    }

    /// A URI parameter's value; an empty string for one without a value.
    #[must_use]
    pub fn uri_param(&self, name: &str) -> Option<&str> {
        param(self.uri.split_once(';').map_or("", |p| p.1), name)
    }
}

/// Dialogs keep names as long as they last: what is longer than any is cut.
pub(super) fn kept(text: &str) -> String {
    text.get(..text.floor_char_boundary(NAME_BYTES)).unwrap_or_default().to_owned()
}

fn quoted(q: &str) -> (String, &str) {
    let mut name = String::new();
    let mut chars = q.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return (name, &q[i + 1..]),
            '\\' => name.extend(chars.next().map(|x| x.1)),
            _ => name.push(c),
        }
    }
    // The closing quote is missing: the name ends where the address begins.
    match q.find('<') {
        Some(lt) => (q[..lt].trim().to_owned(), &q[lt..]),
        None => (String::new(), q),
    }
}

/// The user part of a SIP, SIPS or tel URI.
#[must_use]
pub fn user(uri: &str) -> Option<&str> {
    let uri = uri.trim().trim_start_matches('<');
    let scheme = uri.split_once(':').map(|(s, _)| s);
    let rest = match scheme {
        Some(s) if ["sip", "sips", "tel"].iter().any(|k| s.eq_ignore_ascii_case(k)) => &uri[s.len() + 1..],
        _ => uri,
    };
    let is_tel = scheme.is_some_and(|s| s.eq_ignore_ascii_case("tel"));
    let user = match rest.split_once('@') {
        Some((u, _)) => u,
        None if is_tel => rest,
        None => return None,
    };
    let user = user.split([';', ':', '>']).next().unwrap_or_default().trim();
    (!user.is_empty()).then_some(user)
}

/// A `;name=value` parameter, its quotes undone.
#[must_use]
pub fn param<'a>(params: &'a str, name: &str) -> Option<&'a str> {
    params.split(';').find_map(|p| {
        let (n, v) = p.split_once('=').unwrap_or((p, ""));
        n.trim().eq_ignore_ascii_case(name).then(|| v.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_cut_where_an_address_ends() {
        let all = |v: &'static str| list(v.as_bytes()).map(NameAddr::parse).collect::<Vec<_>>();
        let two = all("\"A, \\\", B\" <sip:a,b@h>;x=\"1,2\", sip:c@h;media-index=\"1 3\"");
        assert_eq!(two.iter().map(|a| a.uri.as_str()).collect::<Vec<_>>(), ["sip:a,b@h", "sip:c@h"]);
        assert_eq!(two[1].param("media-index"), Some("1 3"));
        assert_eq!((all("sip:a@h").len(), all("<sip:a@h, sip:b@h").len()), (1, 1));
    }

    #[test]
    fn the_forms_of_an_address() {
        let a = NameAddr::parse(b"\"A \\\"x\\\" B\" <sip:1001@h:5060;user=phone>;tag=q;p");
        assert_eq!(
            (a.name.as_deref(), a.bare_uri(), a.tag()),
            (Some("A \"x\" B"), "sip:1001@h:5060", Some("q"))
        );
        assert_eq!((a.user(), a.uri_param("user"), a.param("p")), (Some("1001"), Some("phone"), Some("")));
        let b = NameAddr::parse(b"sip:bob@h;tag=7");
        assert_eq!((b.name, b.uri.as_str(), b.params.as_str()), (None, "sip:bob@h", ";tag=7"));
        let c = NameAddr::parse(b"Carol <tel:+4930123;ext=4>");
        assert_eq!((c.name.as_deref(), c.user()), (Some("Carol"), Some("+4930123")));
        assert_eq!(NameAddr::parse(b"<sip:h;lr").user(), None);
        assert_eq!(NameAddr::parse(b"\"unclosed <sip:a@h>").user(), Some("a"));
    }
}
