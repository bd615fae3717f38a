//! What differs between two configurations, key by key; secrets by their kind only.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::origin::{Origin, Origins};

/// One difference.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// A table that wasn't there before: an account, an oauth table.
    Added {
        /// `inbound.invoices`.
        table: String,
    },
    /// A table that isn't there any more.
    Removed {
        /// `inbound.invoices`.
        table: String,
    },
    /// A key with another effective value.
    Changed {
        /// `inbound.invoices`.
        table: String,
        /// The key.
        key: String,
        /// As it was; `None` without a value.
        old: Option<String>,
        /// As it is.
        new: Option<String>,
    },
}

impl fmt::Display for Change {
    /// `inbound.invoices: poll_interval "5m" -> "1m"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { table } => write!(f, "{table}: new"),
            Self::Removed { table } => write!(f, "{table}: removed"),
            Self::Changed { table, key, old, new } => {
                let (old, new) = (old.as_deref().unwrap_or("-"), new.as_deref().unwrap_or("-"));
                write!(f, "{table}: {key} {old} -> {new}")
            }
        }
    }
}

/// What differs, by table and key. Where a value comes from is no difference; a secret that is another
/// one of the same kind is told, and shown as little as before.
pub fn diff(old: &Origins, new: &Origins) -> Vec<Change> {
    let mut changes = Vec::new();
    for (table, before) in old {
        match new.get(table) {
            None if is_whole(table) => changes.push(Change::Removed { table: table.clone() }),
            None => {}
            Some(now) => changes.extend(of_table(table, before, now)),
        }
    }
    let added = new.keys().filter(|table| is_whole(table) && !old.contains_key(*table));
    changes.extend(added.map(|table| Change::Added { table: table.clone() }));
    changes.sort_by(|one, other| one.table().cmp(other.table()));
    changes
}

impl Change {
    fn table(&self) -> &str {
        match self {
            Self::Added { table } | Self::Removed { table } | Self::Changed { table, .. } => table,
        }
    }
}

/// `inbound.invoices.properties` comes and goes with its account.
fn is_whole(table: &str) -> bool {
    !table.ends_with(".properties")
}

fn of_table(
    table: &str,
    before: &BTreeMap<&'static str, Origin>,
    now: &BTreeMap<&'static str, Origin>,
) -> Vec<Change> {
    let mut keys: Vec<&str> = before.keys().chain(now.keys()).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    let changed = |key: &str| {
        let (old, new) = (before.get(key), now.get(key));
        let value = |origin: Option<&Origin>| origin.map(|origin| origin.value.clone());
        let secret = |origin: Option<&Origin>| origin.and_then(|origin| origin.secret.clone());
        let (mut shown, other) = (value(new), secret(old) != secret(new));
        if value(old) == shown {
            if !other {
                return None;
            }
            shown = shown.map(|kind| format!("another {kind}"));
        }
        let (table, key) = (table.to_owned(), key.to_owned());
        Some(Change::Changed { table, key, old: value(old), new: shown })
    };
    keys.into_iter().filter_map(changed).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jiff::Timestamp;

    use super::*;
    use crate::config::load_text;

    fn origins(accounts: &str) -> Origins {
        let text = format!("[archive]\nroot = \"/nowhere\"\n{accounts}");
        load_text(&text, Path::new("/x/postrider.toml"), Timestamp::UNIX_EPOCH).origins
    }

    fn told(old: &str, new: &str) -> Vec<String> {
        diff(&origins(old), &origins(new)).iter().map(ToString::to_string).collect()
    }

    const A: &str = "[inbound.a]\nhost = \"h\"\nuser = \"u\"\npassword = \"hunter2\"\n";

    #[test]
    fn differences_are_told_by_key_and_secrets_by_kind() {
        const B: &str = "[inbound.b]\nhost = \"h\"\nuser = \"v\"\npassword = \"x\"\n";
        assert_eq!(told(A, A), [""; 0]);
        assert_eq!(told(A, &format!("# moved by a line\n{A}")), [""; 0]);
        assert_eq!(told(A, &format!("{A}{B}")), ["inbound.b: new"]);
        assert_eq!(told(&format!("{A}{B}"), B), ["inbound.a: removed"]);
        let changed = told(A, &A.replace("\"h\"", "\"other\""));
        assert_eq!(changed, ["inbound.a: host \"h\" -> \"other\""]);
        let file = A.replace("\"hunter2\"", "{ file = \"/run/x\" }");
        assert_eq!(told(A, &file), ["inbound.a: password (text) -> { file }"]);
    }

    #[test]
    fn rules_are_told_by_their_number_and_key() {
        let rule = |word: &str| format!("{A}[[inbound.a.on_received]]\ndo = \"{word}\"\n");
        assert_eq!(told(A, &rule("none")), ["inbound.a.on_received.1: new"]);
        assert_eq!(
            told(&rule("none"), &rule("seen")),
            ["inbound.a.on_received.1: do \"none\" -> \"seen\""]
        );
        assert_eq!(told(&rule("seen"), A), ["inbound.a.on_received.1: removed"]);
        let defaults = "[[defaults.inbound.on_received]]\ndo = \"none\"\n";
        assert_eq!(told(A, &format!("{A}{defaults}")), ["inbound.a.on_received.1: new"]);
        let nested = A.replace("inbound.a", "account.a.inbound");
        let nested = format!("{nested}[[account.a.inbound.on_received]]\ndo = \"none\"\n");
        assert_eq!(told(A, &nested), ["inbound.a.on_received.1: new"]);
    }

    #[test]
    fn another_secret_of_the_same_kind_is_told_and_not_shown() {
        const OAUTH: &str = "[oauth.o]\nprovider = \"google\"\nclient_id = \"c\"\n\
                             client_secret = \"hunter2\"\n";
        const DEFAULTS: &str = "[defaults.inbound]\npassword = \"hunter2\"\n\
                                [inbound.a]\nhost = \"h\"\nuser = \"u\"\n";
        let other = |text: &str| told(text, &text.replace("hunter2", "hunter3"));
        assert_eq!(other(A), ["inbound.a: password (text) -> another (text)"]);
        assert_eq!(other(OAUTH), ["oauth.o: client_secret (text) -> another (text)"]);
        assert_eq!(other(DEFAULTS), ["inbound.a: password (text) -> another (text)"]);
        for kind in ["file = \"/hunter2\"", "key = \"hunter2\"", "command = [\"/x\", \"hunter2\"]"]
        {
            let before = A.replace("\"hunter2\"", &format!("{{ {kind} }}"));
            let shown = format!("{{ {} }}", kind.split(' ').next().unwrap());
            let wanted = format!("inbound.a: password {shown} -> another {shown}");
            assert_eq!(other(&before), [wanted]);
            assert_eq!(told(&before, &before), [""; 0]);
        }
        let all = (origins(A), origins(OAUTH));
        let shown = format!("{all:?} {} {}", serde_json::json!(all.0), serde_json::json!(all.1));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
