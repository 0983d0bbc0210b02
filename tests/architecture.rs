//! The architecture, held: which way dependencies point, what pure modules do without, who starts threads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use support::{names, rust};

/// What each module may use besides itself. `time, limits ← wire ← call, media ← capture ← spool ← archive ← ledger ←
/// pipeline ← cmd`, and the configuration is for the last two.
const MAY_USE: [(&str, &[&str]); 15] = [
    ("time", &[]),
    ("limits", &[]),
    ("disk", &[]),
    ("config", &[]),
    ("wire", &["time", "limits"]),
    ("call", &["time", "limits", "wire"]),
    ("media", &["time", "limits", "wire"]),
    ("doctor", &["time", "limits", "wire", "call"]),
    ("capture", &["time", "limits", "wire", "call", "media"]),
    ("spool", &["time", "limits", "disk", "wire", "call", "media", "capture"]),
    ("archive", &["time", "limits", "disk", "wire", "call", "media", "capture", "spool"]),
    ("ledger", &["time", "limits", "disk", "wire", "call", "media", "capture", "spool", "archive"]),
    (
        "pipeline",
        &[
            "time", "limits", "disk", "wire", "call", "media", "capture", "spool", "archive", "ledger",
            "config", "doctor",
        ],
    ),
    (
        "cmd",
        &[
            "time", "limits", "wire", "call", "media", "capture", "spool", "archive", "ledger", "config",
            "pipeline", "doctor",
        ],
    ),
    ("main", &["cmd"]),
];

/// Modules that do no I/O, start nothing and read no clock.
const PURE: [&str; 6] = ["time", "limits", "wire", "call", "media", "doctor"];

/// What pure modules do without: the ends of paths, or their beginnings when they end with `::`.
const IMPURE: [&str; 22] = [
    "std::fs",
    "std::fs::",
    "std::net::",
    "std::os::",
    "std::env",
    "std::env::",
    "std::process",
    "std::process::",
    "std::thread",
    "std::thread::",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "print",
    "println",
    "eprint",
    "eprintln",
    "dbg",
];

/// What of `std::net` is only a value.
const VALUES: [&str; 6] = ["IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr", "SocketAddrV4", "SocketAddrV6"];

const MOST_LINES: usize = 450;
const MANY_LINES: usize = 250;

/// A file of `src/`: its name there, and its text.
fn sources() -> BTreeMap<String, String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let is_code = |n: &String| n.ends_with(".rs") && !n.ends_with("tests.rs");
    names(&src)
        .into_iter()
        .filter(is_code)
        .map(|n| (n.clone(), std::fs::read_to_string(src.join(n)).unwrap()))
        .collect()
}

/// The top module of a file, and its depth below the crate.
fn module(name: &str) -> (&str, usize) {
    let stem = name.trim_end_matches(".rs").trim_end_matches("/mod");
    (stem.split('/').next().unwrap(), stem.split('/').count())
}

/// The top module that a path leads to, from a file of this depth; `None` for one that stays inside or leaves the crate.
fn leads_to(path: &str, depth: usize) -> Option<&str> {
    let mut words = path.split("::");
    match words.next()? {
        "crate" | "earwitness" => words.next(),
        "super" => {
            let ups = 1 + words.clone().take_while(|w| *w == "super").count();
            words.nth(ups - 1).filter(|_| ups >= depth)
        }
        _ => None,
    }
}

fn paths(text: &str) -> Vec<String> {
    rust::paths(&rust::code(text))
}

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn dependencies_point_one_way() {
    let may: BTreeMap<_, _> = MAY_USE.into_iter().collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (name, text) in sources().iter().filter(|(n, _)| *n != "lib.rs") {
        let (own, depth) = module(name);
        let allowed = may.get(own).unwrap_or_else(|| panic!("{name}: say in MAY_USE what {own} may use"));
        for path in paths(text) {
            let Some(other) = leads_to(&path, depth).filter(|o| *o != own) else { continue };
            seen += 1;
            if !allowed.contains(&other) {
                wrong.push(format!("src/{name}: {path} ({own} may not use {other})"));
            }
        }
    }
    assert!(seen > 100, "only {seen} paths between modules found: does this test still see them?");
    none(&wrong);
}

#[test]
fn pure_modules_do_no_io_and_read_no_clock() {
    let impure = |p: &str| {
        let value =
            p.strip_prefix("std::net::").is_some_and(|n| VALUES.contains(&n.split("::").next().unwrap()));
        let is = |i: &&str| {
            if i.ends_with("::") { p.starts_with(*i) } else { p == *i || p.ends_with(&format!("::{i}")) }
        };
        let through = |i: &&str| p.split("::").any(|w| w == *i && i.starts_with(char::is_uppercase));
        !value && IMPURE.iter().any(|i| is(i) || through(i))
    };
    let mut wrong = Vec::new();
    for (name, text) in sources().iter().filter(|(n, _)| PURE.contains(&module(n).0)) {
        wrong.extend(paths(text).iter().filter(|p| impure(p)).map(|p| format!("src/{name}: {p}")));
    }
    none(&wrong);
}

#[test]
fn only_the_pipeline_starts_threads() {
    let starts =
        |p: &&String| ["spawn", "Builder", "scope"].iter().any(|w| p.contains(&format!("thread::{w}")));
    let of = |text: &str| paths(text).iter().filter(starts).cloned().collect::<Vec<_>>();
    let mut all: BTreeMap<_, _> = sources().iter().map(|(n, t)| (n.clone(), of(t))).collect();
    let pipeline = all.remove("pipeline.rs").unwrap_or_default();
    assert!(!pipeline.is_empty(), "the pipeline starts none: does this test still see them?");
    none(&all.iter().flat_map(|(n, p)| p.iter().map(move |p| format!("src/{n}: {p}"))).collect::<Vec<_>>());
}

#[test]
fn no_unsafe_code() {
    let manifest = include_str!("../Cargo.toml");
    assert!(manifest.contains("unsafe_code = \"forbid\""), "Cargo.toml forbids it");
    let has = |text: &str| paths(text).iter().any(|p| p == "unsafe");
    none(
        &sources()
            .iter()
            .filter(|(_, t)| has(t))
            .map(|(n, _)| format!("src/{n}: unsafe"))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn files_are_short() {
    let lines: Vec<(String, usize)> = sources().into_iter().map(|(n, t)| (n, t.lines().count())).collect();
    for (name, n) in lines.iter().filter(|l| l.1 > MANY_LINES) {
        println!("src/{name}: {n} lines; can it be two?");
    }
    none(
        &lines
            .iter()
            .filter(|l| l.1 >= MOST_LINES)
            .map(|(n, l)| format!("src/{n}: {l} lines"))
            .collect::<Vec<_>>(),
    );
}

/// The reader of source that the others rely on.
#[test]
fn paths_are_found_where_they_hide() {
    let text = r##"
        // use crate::comment::X;
        use crate::{a::{B, C as D}, e, super_::f};
        use super::super::g::H;
        const S: &str = "crate::string::X";
        const R: &str = r#"crate::raw::"X"#;
        fn f<'a>(c: char) -> crate::i::J<'a> { if c == '"' || c == '\'' { std::fs::read("x") } else { println!("y") } }
        #[cfg(test)]
        mod tests { use crate::test::X; fn f() { if true { } } }
        fn z(_: crate::k::L) {}
    "##;
    let found = paths(text);
    let to = |depth| found.iter().filter_map(|p| leads_to(p, depth)).collect::<Vec<_>>();
    assert_eq!(to(2), ["a", "a", "e", "super_", "g", "i", "k"]);
    assert_eq!(to(3), ["a", "a", "e", "super_", "i", "k"]);
    assert!(["std::fs::read", "println"].iter().all(|w| found.iter().any(|p| p == w)), "{found:?}");
    assert!(
        !found.iter().any(|p| p.contains("string") || p.contains("raw") || p.contains("comment")),
        "{found:?}"
    );
}
