//! A file that is to be added to a configuration: whether it will be read, and whether all of it is
//! right together. Writes nothing.

use std::path::Path;

use jiff::Timestamp;
use toml::de::{DeTable, DeValue};

use super::raw::Raw;
use super::source::Source;
use super::{Loaded, Otherwise, Pending, include, load_source};

/// What is to be added.
#[derive(Clone, Copy, Debug)]
pub struct Addition<'a> {
    /// The main file's new text, where it changes.
    pub main: Option<&'a str>,
    /// The new file, or an existing one's new text; relative paths in it start at its folder.
    pub file: &'a Path,
    /// Its text.
    pub text: &'a str,
}

/// Checks the configuration as it will be.
pub fn load_with(main: &Path, addition: Addition<'_>, now: Timestamp) -> Loaded {
    let source = match addition.main {
        Some(text) => Ok(Source::from_text(main, text.to_owned())),
        None => Source::read(main),
    };
    let added = Source::from_text(addition.file, addition.text.to_owned());
    match source {
        Ok(source) => load_source(source, &Pending::default(), Otherwise::Add(added), now),
        Err(_) => super::load(main, now),
    }
}

/// Checks the configuration as it will be without an included file.
pub fn load_without(main: &Path, file: &Path, now: Timestamp) -> Loaded {
    match Source::read(main) {
        Ok(source) => load_source(source, &Pending::default(), Otherwise::Without(file), now),
        Err(_) => super::load(main, now),
    }
}

/// Whether the main file includes a file of this path, once it is there.
pub fn covers(main: &Path, file: &Path) -> bool {
    let Ok(source) = Source::read(main) else { return false };
    let mut raw = Raw::default();
    raw.add(&source, true, &mut Vec::new());
    let base = main.parent().unwrap_or(Path::new(""));
    raw.includes.iter().any(|(pattern, _)| include::names(&base.join(pattern), file))
}

/// Whether a file's text has a table of an account, be the rest of it right or not.
pub fn has_account(text: &str, account: &str) -> bool {
    let (document, _) = DeTable::parse_recoverable(text);
    let tables = ["inbound", "outbound", "account"].into_iter();
    let mut tables = tables.filter_map(|kind| document.get_ref().get(kind));
    tables.any(|item| match item.get_ref() {
        DeValue::Table(table) => table.contains_key(account),
        _ => false,
    })
}

/// The main file's text with an `include` of this pattern; `None` where it has an `include` already,
/// which a person must change.
pub fn add_include(main: &Path, pattern: &str) -> Option<String> {
    let source = Source::read(main).ok()?;
    let mut raw = Raw::default();
    raw.add(&source, true, &mut Vec::new());
    // A key of the top level must stand before the first table.
    raw.includes
        .is_empty()
        .then(|| format!("include = [{}]\n\n{}", super::quoted(pattern), *source.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const ACCOUNT: &str = "[inbound.new]\nprotocol = \"imap\"\nhost = \"h.example\"\nuser = \"u\"\n\
                           password = { key = \"new\" }\n";

    #[expect(clippy::disallowed_methods, reason = "a test's own file")]
    fn main_file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("postrider.toml");
        std::fs::write(&main, text).unwrap();
        (folder, main)
    }

    #[test]
    fn an_accounts_tables_are_found_however_they_are_written() {
        for text in [
            "[inbound.\"jo.smith\"]\n",
            "[ inbound . 'jo.smith' ] # x\n",
            "[account.\"jo.smith\".outbound]\nhost = 7\nbroken",
            "inbound.\"jo.smith\".host = \"h\"\n",
            "[[inbound.\"jo.smith\".on_received]]\n",
        ] {
            assert!(has_account(text, "jo.smith"), "{text}");
            assert!(!has_account(text, "jo"), "{text}");
        }
        assert!(!has_account("# [inbound.a]\n[oauth.a]\n[inbound.b.a]\n", "a"));
    }

    #[test]
    fn a_file_is_covered_by_a_pattern_or_its_name() {
        let (folder, main) = main_file("include = [\"conf.d/*.toml\", \"more/x.toml\"]\n");
        let at = |path: &str| folder.path().join(path);
        assert!(covers(&main, &at("conf.d/new.toml")) && covers(&main, &at("more/x.toml")));
        assert!(!covers(&main, &at("conf.d/new.conf")) && !covers(&main, &at("new.toml")));
        assert_eq!(add_include(&main, "conf.d/*.toml"), None);
    }

    #[test]
    fn an_include_is_put_before_the_first_table() {
        let (folder, main) = main_file("[archive]\nroot = \"/srv/x\"\n");
        let text = add_include(&main, "conf.d/*.toml").unwrap();
        assert!(text.starts_with("include = [\"conf.d/*.toml\"]\n\n[archive]"), "{text}");
        let file = folder.path().join("conf.d/new.toml");
        let addition = Addition { main: Some(&text), file: &file, text: ACCOUNT };
        let loaded = load_with(&main, addition, NOW);
        assert!(loaded.config.is_some_and(|config| config.inbound.contains_key("new")));
    }

    #[test]
    fn what_is_added_is_checked_with_all_the_rest() {
        let (folder, main) = main_file(&format!("[archive]\nroot = \"/srv/x\"\n{ACCOUNT}"));
        let file = folder.path().join("conf.d/new.toml");
        let loaded = load_with(&main, Addition { main: None, file: &file, text: ACCOUNT }, NOW);
        let text = format!("{:?}", loaded.problems);
        assert!(loaded.config.is_none() && text.contains("is defined twice"), "{text}");
        let text = ACCOUNT.replace("host", "hots");
        let loaded = load_with(&main, Addition { main: None, file: &file, text: &text }, NOW);
        assert!(loaded.problems.iter().any(|problem| problem.file.as_deref() == Some(&file)));
    }
}
