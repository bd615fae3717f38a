//! The architecture, held: which module may use which, who sees which package, who may delete.
//!
//! Reads the sources of the program without its unit tests. A module without a row is an error, so
//! that a new one has to be given its place.

use std::fs;
use std::path::{Path, PathBuf};

/// Module → modules that it may use (itself apart). From the bottom to the top.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("schedule", &["model"]),
    ("mail", &["model"]),
    ("query", &["model"]),
    ("config", &["model", "provider", "query", "schedule"]),
    ("provider", &[]),
    ("plan", &["config", "model"]),
    ("notice", &["model"]),
    ("rules", &["config", "model", "query"]),
    ("net", &["config", "model"]),
    ("sasl", &["config", "model"]),
    ("process", &[]),
    ("secret", &["config", "model", "process"]),
    ("oauth", &["config", "model", "net", "secret", "steps"]),
    ("mailbox", &["config", "model", "net", "provider", "sasl", "secret"]),
    ("discover", &["config", "model", "net", "provider"]),
    ("steps", &[]),
    ("archive", &["config", "mail", "model", "steps"]),
    (
        "action",
        &["archive", "config", "mail", "model", "net", "process", "rules", "secret", "steps"],
    ),
    ("ledger", &["config", "model", "notice", "query", "steps"]),
    ("log", &["config", "ledger", "model", "query"]),
    ("control", &["model", "net"]),
    ("outbound", &["config", "mail", "model", "net", "process", "sasl", "secret"]),
    (
        "poll",
        &[
            "action", "archive", "config", "ledger", "log", "mail", "mailbox", "model", "net",
            "oauth", "plan", "query", "rules", "sasl", "schedule", "secret", "steps",
        ],
    ),
    ("recovery", &["archive", "config", "ledger", "model"]),
    ("audit", &["config", "ledger", "model", "secret"]),
    (
        "moving",
        &[
            "action", "archive", "config", "ledger", "mail", "mailbox", "model", "poll", "query",
            "rules", "steps",
        ],
    ),
    (
        "send",
        &[
            "config", "log", "model", "net", "oauth", "outbound", "poll", "sasl", "schedule",
            "secret",
        ],
    ),
    (
        "daemon",
        &[
            "action", "archive", "audit", "config", "control", "ledger", "log", "mail", "mailbox",
            "model", "net", "notice", "oauth", "outbound", "plan", "poll", "query", "recovery",
            "rules", "sasl", "schedule", "secret", "send",
        ],
    ),
    (
        "cli",
        &[
            "action", "archive", "audit", "config", "control", "daemon", "discover", "ledger",
            "log", "mail", "mailbox", "model", "moving", "net", "notice", "oauth", "outbound",
            "plan", "poll", "provider", "query", "recovery", "rules", "sasl", "schedule", "secret",
            "send",
        ],
    ),
    ("main", &["cli"]),
];

/// Package → the places (path below `src`) that may name it.
const VENDORS: &[(&str, &[&str])] = &[
    ("age", &["secret/keystore"]),
    ("async_imap", &["mailbox/imap"]),
    ("async_pop", &["mailbox/pop3"]),
    ("chrono", &["schedule", "mailbox/imap"]),
    ("clap", &["cli"]),
    ("cron", &["schedule"]),
    ("hickory_resolver", &["discover"]),
    ("indicatif", &["cli"]),
    ("lettre", &["outbound"]),
    ("mail_parser", &["mail/", "mail.rs"]),
    ("regex", &["query"]),
    ("quick_xml", &["provider"]),
    ("rusqlite", &["ledger"]),
    ("toml", &["config"]),
    ("toml_edit", &["config"]),
];

/// Name → the places that may write it: whoever can say it can remove mail from a server.
const DANGERS: &[(&str, &[&str])] = &[
    ("delete_from_server", &["mailbox", "poll/delete"]),
    ("DeleteIntent::committed", &["ledger"]),
    ("fn committed", &["model/delete", "ledger"]),
];

/// Commands that remove mail, as words of a text → the places that may write them.
const COMMANDS: &[(&str, &[&str])] = &[
    ("DELE", &["mailbox"]),
    ("EXPUNGE", &["mailbox"]),
    ("COPY", &["mailbox/imap"]),
    ("MOVE", &["mailbox/imap"]),
    ("STORE", &["mailbox/imap"]),
];

#[test]
fn modules_use_only_what_their_layer_may() {
    let mut faults = Vec::new();
    for file in sources() {
        let module = file.module();
        if module == "lib" {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            faults.push(format!("{}: `{module}` has no row in MAY_USE", file.path));
            continue;
        };
        for used in used_modules(&file.code) {
            let known = MAY_USE.iter().any(|(name, _)| *name == used);
            if known && used != module && !allowed.contains(&&*used) {
                faults.push(format!("{}: `{module}` may not use `{used}`", file.path));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn packages_are_named_only_where_they_are_wrapped() {
    let used = |file: &Source, name: &str| has_path_root(&file.code, name);
    assert_only_in(VENDORS, &used);
}

#[test]
fn only_the_delete_of_a_poll_can_remove_mail_from_a_server() {
    let used = |file: &Source, name: &str| has_word(&file.code, name);
    assert_only_in(DANGERS, &used);
    let written = |file: &Source, name: &str| file.texts.iter().any(|text| has_word(text, name));
    assert_only_in(COMMANDS, &written);
}

#[test]
fn main_does_nothing_but_call_the_library() {
    let main = sources().into_iter().find(|file| file.path == "main.rs").expect("src/main.rs");
    assert!(main.lines <= 40, "{} lines", main.lines);
}

#[test]
fn each_module_file_says_what_it_is_for() {
    let silent: Vec<String> =
        sources().into_iter().filter(|file| !file.has_head).map(|file| file.path).collect();
    assert!(silent.is_empty(), "no `//!` at the top: {silent:?}");
}

fn assert_only_in(table: &[(&str, &[&str])], uses: &dyn Fn(&Source, &str) -> bool) {
    let mut faults = Vec::new();
    for file in sources() {
        for (name, places) in table {
            let allowed = places.iter().any(|place| file.path.starts_with(place));
            if !allowed && uses(&file, name) {
                faults.push(format!("{}: `{name}` belongs to {places:?}", file.path));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A source file, its unit tests taken off.
struct Source {
    /// Below `src`.
    path: String,
    /// Without comments and texts.
    code: String,
    /// The contents of its string literals.
    texts: Vec<String>,
    lines: usize,
    has_head: bool,
}

impl Source {
    fn module(&self) -> &str {
        self.path.split('/').next().unwrap().trim_end_matches(".rs")
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let read = |path: PathBuf| -> Source {
        let text = fs::read_to_string(&path).unwrap();
        let relative = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        parse(relative, &text)
    };
    // `tests.rs` and what is below `tests` are unit tests that outgrew their module.
    let is_test = |path: &PathBuf| path.iter().any(|part| part == "tests.rs" || part == "tests");
    files
        .into_iter()
        .filter(|path| !is_test(&path.strip_prefix(&root).unwrap().into()))
        .map(read)
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn parse(path: String, text: &str) -> Source {
    // Unit tests stand last in a file.
    let program = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or(text);
    let (code, texts) = split_code(program);
    let has_head = text.starts_with("//!");
    Source { path, code, texts, lines: text.lines().count(), has_head }
}

/// Code without comments and literals, and the contents of string literals.
fn split_code(text: &str) -> (String, Vec<String>) {
    let (mut code, mut texts) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let raw = rest.trim_start_matches('b').strip_prefix('r').filter(|after| {
            after.trim_start_matches('#').starts_with('"') && !code.ends_with(is_name)
        });
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(after) = raw {
            let hashes = after.len() - after.trim_start_matches('#').len();
            let body = &after[hashes + 1..];
            let end = body.find(&format!("\"{}", "#".repeat(hashes))).unwrap_or(body.len());
            texts.push(body[..end].to_owned());
            rest.len() - body.len() + end + 1 + hashes
        } else if c == '"' {
            let end = end_of_text(&rest[1..]);
            texts.push(rest[1..=end].to_owned());
            end + 2
        } else if c == '\'' {
            char_literal(rest).unwrap_or(1)
        } else {
            code.push(c);
            c.len_utf8()
        };
        rest = rest.get(skip..).unwrap_or("");
    }
    (code, texts)
}

fn end_of_text(body: &str) -> usize {
    let mut escaped = false;
    for (at, octet) in body.bytes().enumerate() {
        match octet {
            b'"' if !escaped => return at,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    body.len()
}

/// Length of a character literal; `None` for a lifetime.
fn char_literal(rest: &str) -> Option<usize> {
    let body = &rest[1..];
    if let Some(escape) = body.strip_prefix('\\') {
        let first = escape.chars().next()?.len_utf8();
        return escape.get(first..)?.find('\'').map(|end| end + first + 3);
    }
    let first = body.chars().next()?.len_utf8();
    body.get(first..)?.starts_with('\'').then_some(first + 2)
}

/// Names that follow `crate::` or `postrider::`, those in braces included.
fn used_modules(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    for root in ["crate::", "postrider::"] {
        for (at, _) in code.match_indices(root) {
            if code[..at].ends_with(is_name) {
                continue;
            }
            let after = &code[at + root.len()..];
            match after.strip_prefix('{') {
                Some(group) => used.extend(group_heads(group)),
                None => used.push(name_at_start(after)),
            }
        }
    }
    used
}

/// First names of the members of `a::{b, c}, d}`.
fn group_heads(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut expects) = (Vec::new(), 0_usize, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expects = true,
            c if expects && is_name(c) => {
                heads.push(name_at_start(&group[at..]));
                expects = false;
            }
            _ => {}
        }
    }
    heads
}

fn name_at_start(text: &str) -> String {
    text.chars().take_while(|&c| is_name(c)).collect()
}

/// Whether a path begins with this name: `name::x`, `use name;`.
fn has_path_root(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].trim_end();
        let after = &code[at + name.len()..];
        let begins = !code[..at].ends_with(is_name) && !before.ends_with("::");
        let is_use =
            before.ends_with("use") && (after.starts_with(';') || after.starts_with(" as"));
        begins && (after.starts_with("::") || is_use)
    })
}

fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(is_name) && !text[at + word.len()..].starts_with(is_name)
    })
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[test]
fn comments_texts_and_tests_are_told_from_code() {
    let source = parse(
        "poll/x.rs".to_owned(),
        "//! EXPUNGE crate::cli\nuse crate::{model::{A, B}, plan};\nfn f<'a>() { g('\"', '\\'', \
         \"a \\\" DELE 1\", r#\"x \"EXPUNGE\" y\"#, b\"c\"); crate::net::x(); }\n/* toml::x */\n\
         #[cfg(test)]\nmod tests { use crate::cli; }\n",
    );
    assert_eq!(source.module(), "poll");
    assert_eq!(used_modules(&source.code), ["model", "plan", "net"]);
    assert_eq!(source.texts, ["a \\\" DELE 1", "x \"EXPUNGE\" y", "c"]);
    assert!(has_word(&source.texts[0], "DELE") && !has_word("DELETED", "DELE"));
    assert!(!has_path_root(&source.code, "toml") && has_path_root("let x = toml::de();", "toml"));
    assert!(has_path_root("use cron;", "cron") && !has_path_root("crate::cron::x", "cron"));
    assert!(source.has_head);
}
