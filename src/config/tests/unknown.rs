//! Whatever the text is: no panic, and no unknown key gets through.

use std::path::Path;

use proptest::prelude::*;

use super::{account, check, load_text, now};
use crate::config::{Severity, TABLES};

fn is_known(name: &str) -> bool {
    TABLES.iter().any(|table| table.key(name).is_some()) || name == "properties"
}

proptest! {
    #[test]
    fn g01_unknown_keys_are_never_accepted(name in "[a-zA-Z0-9_-]{1,24}") {
        prop_assume!(!is_known(&name));
        let loaded = check(&account(&format!("{name} = 1")));
        prop_assert!(loaded.config.is_none());
        let line = loaded.problems.iter().find(|p| p.line == Some(8)).unwrap();
        prop_assert!(line.message.contains(&name));
    }

    #[test]
    fn g01_unknown_tables_are_never_accepted(name in "[a-z_]{1,24}") {
        prop_assume!(!["daemon", "log", "notices", "archive", "defaults", "inbound", "outbound", "oauth", "account"].contains(&name.as_str()));
        let loaded = check(&format!("[{name}]\n{}", account("")));
        prop_assert!(loaded.config.is_none());
    }

    #[test]
    fn g10_no_text_causes_a_panic(text in "(?s).{0,400}") {
        let loaded = load_text(&text, Path::new("/x.toml"), now());
        prop_assert!(loaded.count(Severity::Error) > 0 || loaded.config.is_some());
    }

    #[test]
    fn g10_no_damage_to_a_config_causes_a_panic(at in 0_usize..600, with in "[\\[\\]{}=\"'.,#\n\\\\a-c0-9]{0,6}", cut in 0_usize..20) {
        let text = format!("[archive]\nroot = \"/\"\n{}{}", account("properties.imap.fetch_chunk = \"1MiB\""), account("process_after = 2026-01-01").replace("one", "two"));
        let at = at.min(text.len());
        let end = at.saturating_add(cut).min(text.len());
        let (head, tail) = (text.get(..at).unwrap(), text.get(end..).unwrap());
        let damaged = format!("{head}{with}{tail}");
        let _loaded = load_text(&damaged, Path::new("/x.toml"), now());
    }
}

#[test]
fn deep_nesting_and_long_keys_are_refused_in_time() {
    for text in [
        format!("a = {}1{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("{} = 1", "a.".repeat(100_000) + "b"),
        format!("{} = 1", "a".repeat(1_000_000)),
        "[x]\n".repeat(100_000),
        "a = 1\n".repeat(100_000),
    ] {
        let loaded = load_text(&text, Path::new("/x.toml"), now());
        assert!(loaded.config.is_none());
    }
}
