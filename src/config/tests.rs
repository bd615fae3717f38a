//! The config as a whole: what is accepted, what is refused, and what is said then.

mod accepted;
mod errors;
mod files;
mod fuzz;
mod notices;
mod unknown;

use std::path::Path;

use jiff::Timestamp;

use super::{Loaded, Severity, load, load_text};

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

/// Checks a text below `[archive]`, as a file `/etc/postrider/postrider.toml` would hold it.
fn check(text: &str) -> Loaded {
    let text = format!("[archive]\nroot = \"/\"\n{text}");
    load_text(&text, Path::new("/etc/postrider/postrider.toml"), now())
}

/// `[inbound.one]`, complete, and more lines.
fn account(lines: &str) -> String {
    format!(
        "[inbound.one]\nprotocol = \"imap\"\nhost = \"imap.example.org\"\nuser = \"u\"\n\
         password = \"hunter2\"\n{lines}\n"
    )
}

fn printed(loaded: &Loaded) -> String {
    let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
    problems.join("\n")
}

/// The only error, printed.
fn the_error(loaded: &Loaded) -> String {
    assert_eq!(loaded.count(Severity::Error), 1, "{}", printed(loaded));
    assert!(loaded.config.is_none());
    let error = loaded.problems.iter().find(|p| p.severity == Severity::Error);
    error.unwrap().to_string()
}

/// The only problem, a warning, printed.
fn the_warning(loaded: &Loaded) -> String {
    assert!(loaded.config.is_some(), "{}", printed(loaded));
    assert_eq!(loaded.problems.len(), 1, "{}", printed(loaded));
    printed(loaded)
}
