//! From the bytes of a metadata document to text that an XML parser takes, and what can be mended when it does not.

/// The text of a document: by its byte order mark, else as it declares, else UTF-8; what is no UTF-8 is Latin-1, which
/// is what a vendor sends that copies names from a directory of its own.
pub(super) fn decode(body: &[u8]) -> String {
    let utf16 = |units: &[u8], big: bool| {
        let unit = |p: [u8; 2]| if big { u16::from_be_bytes(p) } else { u16::from_le_bytes(p) };
        let units = units.chunks_exact(2).filter_map(|p| p.try_into().ok()).map(unit);
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>()
    };
    let body = body.trim_ascii();
    let text = match body {
        [0xff, 0xfe, rest @ ..] => utf16(rest, false),
        [0xfe, 0xff, rest @ ..] => utf16(rest, true),
        [b'<', 0, ..] => utf16(body, false),
        [0, b'<', ..] => utf16(body, true),
        _ => {
            let latin = || body.iter().map(|&b| char::from(b)).collect::<String>();
            let declared = declared(body);
            if declared.starts_with("iso-8859")
                || declared.starts_with("windows-125")
                || declared.contains("latin")
            {
                latin()
            } else {
                std::str::from_utf8(body).map_or_else(|_| latin(), str::to_owned)
            }
        }
    };
    // A byte order mark, a stray line before the document, what is left of a delimiter behind it.
    let begins = text.find('<').unwrap_or(0);
    let ends = text.rfind('>').map_or(text.len(), |i| i + 1);
    text.get(begins..ends).unwrap_or_default().to_owned()
}

/// The encoding that the XML declaration names, in lower case.
fn declared(body: &[u8]) -> String {
    let front = String::from_utf8_lossy(body.get(..200).unwrap_or(body)).to_ascii_lowercase();
    let front = front.split_once("?>").map_or("", |d| d.0);
    let value = front.split_once("encoding").map_or("", |e| e.1).trim_start_matches(['=', ' ', '"', '\'']);
    value.split(['"', '\'', ' ']).next().unwrap_or_default().to_owned()
}

/// Makes well-formed XML of what is nearly so: ampersands that are not escaped, prefixes that are not declared,
/// elements that are not closed because the message was cut off, text around the document. Prefixes are left out.
pub(super) fn mend(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    let mut begun = false;
    while let Some(at) = rest.find('<') {
        if !open.is_empty() {
            escape(rest.get(..at).unwrap_or_default(), &mut out);
        }
        rest = rest.get(at..).unwrap_or_default();
        if let Some(after) = skipped(rest, &mut out, !open.is_empty()) {
            rest = after;
            continue;
        }
        if !rest.get(1..).unwrap_or_default().starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '/')
        {
            out.push_str(if open.is_empty() { "" } else { "&lt;" });
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        let Some((tag, after)) = tag(rest) else { break };
        if let Some(name) = tag.strip_prefix('/') {
            let name = local(name.trim());
            if let Some(i) = open.iter().rposition(|o| *o == name) {
                close(&mut open, i, &mut out);
            }
        } else {
            if begun && open.is_empty() {
                break; // behind the document
            }
            begun = true;
            open.extend(opened(tag, &mut out));
        }
        rest = after;
    }
    close(&mut open, 0, &mut out);
    out
}

/// What is behind a comment, an instruction, a section of characters: the latter's text is kept.
fn skipped<'a>(rest: &'a str, out: &mut String, within: bool) -> Option<&'a str> {
    const KINDS: [(&str, &str); 3] = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")];
    let (begins, ends) = KINDS.iter().find(|(b, _)| rest.starts_with(b))?;
    let inside = rest.get(begins.len()..).unwrap_or_default();
    let (inside, after) = inside.split_once(ends).unwrap_or((inside, ""));
    if begins.starts_with("<![") && within {
        out.push_str(&inside.replace('&', "&amp;").replace('<', "&lt;"));
    }
    Some(after)
}

/// The inside of the tag at the front, and what is behind it; `None` when it does not end.
fn tag(rest: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (i, c) in rest.char_indices().skip(1) {
        match (quote, c) {
            (None, '>') => return Some((rest.get(1..i)?, rest.get(i + 1..)?)),
            (None, '<') => return None,
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), _) if q == c => quote = None,
            _ => {}
        }
    }
    None
}

fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

fn close(open: &mut Vec<&str>, down_to: usize, out: &mut String) {
    for name in open.drain(down_to..).rev() {
        out.push_str("</");
        out.push_str(name);
        out.push('>');
    }
}

/// Writes an opening tag without prefixes; its name when it stays open.
fn opened<'a>(tag: &'a str, out: &mut String) -> Option<&'a str> {
    let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |t| (t, true));
    let end = tag.find(char::is_whitespace).unwrap_or(tag.len());
    let (name, mut rest) = tag.split_at(end);
    let name = local(name);
    out.push('<');
    out.push_str(name);
    let mut seen: Vec<&str> = Vec::new();
    while let Some((key, value)) = rest.split_once('=') {
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let Some((value, after)) = quote.and_then(|q| value.get(1..)?.split_once(q)) else { break };
        rest = after;
        let declares = key.trim().starts_with("xmlns");
        let key = local(key.trim());
        let is_name = key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
        if !declares && is_name && !key.is_empty() && !seen.contains(&key) && seen.len() < 32 {
            seen.push(key);
            out.push_str(&format!(" {key}=\""));
            escape(&value.replace('"', "&quot;"), out);
            out.push('"');
        }
    }
    out.push_str(if empty { "/>" } else { ">" });
    (!empty).then_some(name)
}

/// Text with its ampersands and brackets escaped, unless they begin a reference that XML knows by itself.
fn escape(text: &str, out: &mut String) {
    const KNOWN: [&str; 5] = ["amp;", "lt;", "gt;", "quot;", "apos;"];
    let mut pieces = text.split('&');
    let put = |piece: &str, out: &mut String| {
        out.extend(
            piece
                .chars()
                .filter(|c| !c.is_control() || c.is_whitespace())
                .map(|c| if c == '<' { ' ' } else { c }),
        );
    };
    put(pieces.next().unwrap_or_default(), out);
    for p in pieces {
        out.push_str(if KNOWN.iter().any(|k| p.starts_with(k)) { "&" } else { "&amp;" });
        put(p, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        assert_eq!(decode("\u{feff}<a>ü</a>\r\n".as_bytes()), "<a>ü</a>");
        let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>M\xfcller</a>";
        assert!(decode(latin).ends_with("<a>Müller</a>"));
        assert_eq!(decode(b"<a>M\xfcller</a>"), "<a>Müller</a>");
        let wide: Vec<u8> = "\u{feff}<a>ü</a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(&wide), "<a>ü</a>");
    }

    #[test]
    fn what_can_be_mended() {
        assert_eq!(
            mend("x<a b=\"1 & 2\" b='3'>R&D &lt;<!-- < --><p:q xmlns:p='u'/>"),
            "<a b=\"1 &amp; 2\">R&amp;D &lt;<q/></a>"
        );
        assert_eq!(mend("<a><b>cut</b><c d='"), "<a><b>cut</b></a>");
        assert_eq!(mend("<a><b></a><junk>"), "<a><b></b></a>");
        assert_eq!(mend("<a><![CDATA[<&]]>1 < 2</a>"), "<a>&lt;&amp;1 &lt; 2</a>");
    }
}
