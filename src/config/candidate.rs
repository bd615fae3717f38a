//! A configuration with changes that are not saved: for trying one account.

use std::path::Path;

use jiff::Timestamp;
use toml::de::DeValue;
use zeroize::Zeroizing;

use super::problem::Problem;
use super::raw::Raw;
use super::source::Source;
use super::value::is_account_name;
use super::{Loaded, Pending, include, judge};

/// Changes that are not saved.
#[derive(Clone, Debug, Default)]
pub struct Candidate {
    /// TOML with an account's table, in place of the account of that name.
    pub text: Option<Zeroizing<String>>,
    /// `port=143` or `inbound.NAME.port=143`, over whatever is in the tables.
    pub sets: Vec<String>,
    /// The outbound account of the name is meant; else only where no inbound one has it.
    pub outbound: bool,
}

/// Reads the main file, puts the changes into it and checks one account; its name, too.
///
/// Problems of other accounts, and of what only a poll needs, are left out. With a text, the main
/// file may be missing. `account` may be left out when the text holds exactly one.
pub fn load_candidate(
    path: &Path,
    account: Option<&str>,
    candidate: &Candidate,
    now: Timestamp,
) -> (Loaded, Option<String>) {
    let mut problems = Vec::new();
    let mut raw = Raw::default();
    let main = match Source::read(path) {
        Ok(source) => source,
        Err(_) if candidate.text.is_some() && !path.exists() => {
            Source::from_text(path, String::new())
        }
        Err(problem) => {
            let problem = problem.hint("`--config FILE` names another one");
            problems.push(problem);
            Source::from_text(path, String::new())
        }
    };
    raw.add(&main, true, &mut problems);
    let includes = std::mem::take(&mut raw.includes);
    let more = include::read(&main, &includes, &Pending::default(), &mut problems);
    let mut sources = vec![main];
    for read in more {
        match read {
            Ok(source) => {
                raw.add(&source, false, &mut problems);
                sources.push(source);
            }
            Err(problem) => problems.push(problem),
        }
    }
    let mut name = account.map(str::to_owned);
    if let Some(text) = &candidate.text {
        let source = Source::from_text(Path::new("<stdin>"), text.to_string());
        let read = take_text(&mut raw, &source, &mut problems);
        name = name.or_else(|| the_only_one(&read, &mut problems));
        sources.push(source);
    }
    // Where both halves of an account have the name, the inbound one is meant, if not said.
    let outbound = match (&name, candidate.outbound) {
        (Some(name), false) => !raw.inbound.contains_key(name) && raw.outbound.contains_key(name),
        (_, outbound) => outbound,
    };
    let half = if outbound { "outbound" } else { "inbound" };
    if let Some(name) = &name {
        for set in &candidate.sets {
            if let Err(problem) = take_set(&mut raw, (half, name), set, &mut problems) {
                problems.push(problem);
            }
        }
    }
    let (mut loaded, config) = judge(&raw, &sources, Vec::new(), now);
    // What stands at no place is missing for a poll: no archive, nothing enabled.
    loaded.problems.retain(|problem| problem.file.is_some());
    loaded.problems.splice(0..0, problems);
    if let Some(name) = &name {
        loaded.problems.retain(|problem| concerns(problem, half, name));
        loaded.accept(config);
    }
    (loaded, name)
}

/// Whether a problem keeps this account from being tried.
fn concerns(problem: &Problem, half: &str, account: &str) -> bool {
    let Some(context) = problem.context.as_deref() else { return true };
    let (kind, rest) = context.split_once('.').unwrap_or((context, ""));
    let other = if half == "inbound" { "outbound" } else { "inbound" };
    match kind {
        kind if kind == other => false,
        // Names may hold dots: a stranger's table that begins like this account's counts, too.
        "inbound" | "outbound" | "account" => {
            rest.strip_prefix(account).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        }
        "defaults" => !rest.starts_with(other),
        "daemon" | "oauth" => true,
        _ => false,
    }
}

/// Puts the accounts of a text over those of the same name; their names.
fn take_text(raw: &mut Raw, source: &Source, problems: &mut Vec<Problem>) -> Vec<String> {
    let mut own = Raw::default();
    own.add(source, false, problems);
    raw.broken |= own.broken;
    raw.oauth.extend(own.oauth);
    let names = own.inbound.keys().chain(own.outbound.keys()).cloned().collect();
    raw.inbound.extend(own.inbound);
    raw.outbound.extend(own.outbound);
    names
}

fn the_only_one(names: &[String], problems: &mut Vec<Problem>) -> Option<String> {
    if let [name] = names {
        return Some(name.clone());
    }
    let what = format!("standard input has {} accounts", names.len());
    let hint = "one table, `[inbound.NAME]`; or name the account as an argument";
    problems.push(Problem::error(what).hint(hint));
    None
}

/// Puts one `key=value` over an account's own.
fn take_set(
    raw: &mut Raw,
    (half, account): (&str, &str),
    set: &str,
    problems: &mut Vec<Problem>,
) -> Result<(), Problem> {
    let usage =
        || Problem::error("`--set` takes KEY=VALUE").hint("such as `--set port=143`".to_owned());
    let (key, value) = set.split_once('=').ok_or_else(usage)?;
    let (key, value) = (key.trim(), value.trim());
    let whole = format!("{half}.{account}.");
    let key = key.strip_prefix(&whole).unwrap_or(key);
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'.' || b.is_ascii_digit())
    };
    if !is_word(key) || !is_account_name(account) || key.starts_with(&format!("{half}.")) {
        return Err(usage().hint(format!("a key of this account: `{whole}port=143`")));
    }
    let (table, key) = match key.strip_prefix("properties.") {
        Some(rest) => (".properties", rest),
        None => ("", key),
    };
    // What isn't TOML is a text without its quotes.
    let parsed = DeValue::parse(value).ok();
    let is_text = parsed.as_ref().is_none_or(|value| matches!(value.get_ref(), DeValue::String(_)));
    if key == "password" && is_text {
        let what = "a password on the command line can be read by every user of this machine";
        let hint = "`--set 'password={ file = \"PATH\" }'`, or `--stdin`";
        return Err(Problem::error(what).hint(hint));
    }
    let value = if parsed.is_some() { value.to_owned() } else { quoted(value) };
    let text = format!("[{half}.{account}{table}]\n\"{key}\" = {value}\n");
    let mut own = Raw::default();
    own.add(&Source::from_text(Path::new("--set"), text), false, problems);
    let (from, into) = match half {
        "outbound" => (own.outbound.remove(account), raw.outbound.get_mut(account)),
        _ => (own.inbound.remove(account), raw.inbound.get_mut(account)),
    };
    let (Some(from), Some(into)) = (from, into) else { return Ok(()) };
    into.table.entries.extend(from.table.entries);
    into.properties.entries.extend(from.properties.entries);
    Ok(())
}

/// A TOML basic string; control characters become `?`.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push('?'),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Severity;

    const MAIN: &str = "[archive]\nroot = 7\n[inbound.a]\nprotocol = \"imap\"\nhost = \"h\"\n\
                        user = \"u\"\npassword = \"p\"\n[inbound.\"b.c\"]\nport = 0\n";

    #[expect(clippy::disallowed_methods, reason = "a test's own file")]
    fn load(account: &str, sets: &[&str]) -> Loaded {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), MAIN).unwrap();
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(file.path(), mode).unwrap();
        let sets = sets.iter().map(|set| (*set).to_owned()).collect();
        let candidate = Candidate { sets, ..Candidate::default() };
        let now = Timestamp::UNIX_EPOCH;
        load_candidate(file.path(), Some(account), &candidate, now).0
    }

    #[test]
    fn mistakes_elsewhere_do_not_keep_an_account_from_being_tried() {
        assert!(load("a", &[]).config.is_some(), "{:?}", load("a", &[]).problems);
        let other = load("b.c", &[]);
        assert!(other.config.is_none());
        assert!(other.problems.iter().all(|p| p.context.as_deref() == Some("inbound.b.c")));
    }

    #[test]
    fn set_values_go_over_those_of_the_file() {
        let loaded = load("a", &["port=143", "inbound.a.host=imap.example.org", "enabled=false"]);
        let config = loaded.config.unwrap();
        let account = config.inbound.get("a").unwrap();
        assert_eq!((account.port, account.enabled), (143, false));
        assert_eq!(account.host, "imap.example.org");
        let tuned = load("a", &["properties.imap.list_window=777", "user=a\"b\\c"]).config.unwrap();
        let account = tuned.inbound.get("a").unwrap();
        assert_eq!((account.properties.imap_list_window, &*account.user), (777, "a\"b\\c"));
    }

    #[test]
    fn set_values_can_be_nothing_but_one_value_of_this_account() {
        for set in [
            "port",
            "=1",
            "port=0",
            "inbound.b.port=1",
            "a]=1",
            "password=hunter2",
            "password='hunter2'",
            "user=\"x\"\nhost=\"y\"",
            "Port=1",
        ] {
            let loaded = load("a", &[set]);
            let errors = loaded.count(Severity::Error);
            assert!(loaded.config.is_none() || errors == 0 && set.contains('\n'), "{set}");
            let shown = format!("{:?}", loaded.problems);
            assert!(!shown.contains("hunter2"), "{shown}");
            if let Some(config) = loaded.config {
                assert_eq!(config.inbound.get("a").unwrap().host, "h");
            }
        }
    }
}
