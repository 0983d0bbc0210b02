//! Rust source, as far as a test of the architecture must read it: without comments, strings and tests, as paths.

/// The code of a source file: comments, the insides of strings and characters, and `#[cfg(test)]` items left out.
pub fn code(source: &str) -> String {
    without_tests(&without_text(source))
}

fn without_text(source: &str) -> String {
    let s: Vec<char> = source.chars().collect();
    let at = |i: usize| s.get(i).copied().unwrap_or('\0');
    let (mut out, mut i) = (String::new(), 0);
    while i < s.len() {
        let word_before = i > 0 && (at(i - 1).is_alphanumeric() || at(i - 1) == '_');
        let hashes = (i + 1..).take_while(|j| at(*j) == '#').count();
        match (at(i), at(i + 1)) {
            ('/', '/') => i += (i..s.len()).take_while(|j| at(*j) != '\n').count(),
            ('/', '*') => i = end(&s, i + 2, "*/"),
            ('r', '"' | '#') if !word_before && at(i + 1 + hashes) == '"' => {
                i = end(&s, i + 2 + hashes, &format!("\"{}", "#".repeat(hashes)));
                out.push_str("\"\"");
            }
            ('"', _) => {
                i += 1;
                while i < s.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
                out.push_str("\"\"");
            }
            ('\'', '\\') => i = end(&s, i + 3, "'"),
            ('\'', _) if at(i + 2) == '\'' => i += 3,
            (c, _) => {
                out.push(c);
                i += 1;
            }
        }
    }
    out
}

/// One behind the first `what` from `i` on.
fn end(s: &[char], i: usize, what: &str) -> usize {
    let what: Vec<char> = what.chars().collect();
    let found = (i..s.len()).find(|j| s[*j..].starts_with(&what));
    found.map_or(s.len(), |j| j + what.len())
}

fn without_tests(code: &str) -> String {
    const TEST: &str = "#[cfg(test)]";
    let Some((before, rest)) = code.split_once(TEST) else { return code.to_owned() };
    // The item ends with its first `;` outside of braces, or with the brace that closes its first one.
    let mut depth = 0;
    let length = rest.char_indices().find_map(|(i, c)| {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        (depth == 0 && matches!(c, ';' | '}')).then_some(i + 1)
    });
    format!("{before}{}", without_tests(&rest[length.unwrap_or(rest.len())..]))
}

/// Every path in the code, as `std::io::Write`; those of a `use` tree one by one.
pub fn paths(code: &str) -> Vec<String> {
    let mut out = Vec::new();
    let tokens = tokens(code);
    let mut i = 0;
    while i < tokens.len() {
        if tokens[i] == "use" {
            i += 1;
            tree(&tokens, &mut i, "", &mut out);
        } else if is_word(&tokens[i]) {
            let mut path = tokens[i].clone();
            while tokens.get(i + 1).is_some_and(|t| t == "::")
                && tokens.get(i + 2).is_some_and(|t| is_word(t))
            {
                path = format!("{path}::{}", tokens[i + 2]);
                i += 2;
            }
            out.push(path);
            i += 1;
        } else {
            i += 1;
        }
    }
    out
}

/// The paths of a `use` tree from `i` on, which is left behind it.
fn tree(tokens: &[String], i: &mut usize, before: &str, out: &mut Vec<String>) {
    let mut path = before.to_owned();
    while let Some(t) = tokens.get(*i).map(String::as_str) {
        match t {
            "{" => {
                *i += 1;
                while tokens.get(*i).is_some_and(|t| t != "}") {
                    tree(tokens, i, &path, out);
                    *i += usize::from(tokens.get(*i).is_some_and(|t| t == ","));
                }
                *i += 1;
                return;
            }
            "," | ";" | "}" => break,
            "as" => *i += 1,
            "::" if path.is_empty() => {}
            _ => path.push_str(t),
        }
        *i += 1;
    }
    out.push(path);
}

fn is_word(t: &str) -> bool {
    t.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn tokens(code: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let length = match first {
            c if word(c) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            c => c.len_utf8(),
        };
        out.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    out
}
