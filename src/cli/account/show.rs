//! `account show`: one account's keys.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::{Context, render};
use crate::config::{Origin, OriginKind, Origins};

/// Show an account's keys.
#[derive(Args, Debug)]
pub(super) struct Show {
    /// The account, inbound or outbound or both
    account: String,
    /// Defaults and computed values, too
    #[arg(long)]
    effective: bool,
}

impl Show {
    pub(super) fn run(&self, context: &Context) -> Exit {
        let in_force = match context.in_force() {
            Ok(in_force) => in_force,
            Err(exit) => return exit,
        };
        let config = &in_force.config;
        let name = self.account.as_str();
        if !config.inbound.contains_key(name) && !config.outbound.contains_key(name) {
            let known = config.inbound.keys().chain(config.outbound.keys());
            let nearest =
                known.min_by_key(|known| strsim::damerau_levenshtein(known, &self.account));
            let hint = nearest.map(|known| format!("did you mean `{known}`?"));
            render::error(&format!("no account `{}`", self.account), hint.as_deref());
            return Exit::Usage;
        }
        let tables = tables(&in_force.origins, name, self.effective);
        if context.out.json {
            context.out.value(&json!({ "account": self.account, "tables": tables }));
        } else {
            print(context, &tables);
        }
        Exit::Done
    }
}

type Tables<'a> = BTreeMap<&'a str, BTreeMap<&'static str, &'a Origin>>;

/// The account's tables; without `effective` only what files say.
fn tables<'a>(origins: &'a Origins, account: &str, effective: bool) -> Tables<'a> {
    let is_own = |table: &str| {
        let kinds = ["inbound.", "outbound."];
        let name = kinds.iter().find_map(|kind| table.strip_prefix(kind));
        let Some(part) = name.and_then(|name| name.strip_prefix(account)) else { return false };
        ["", ".properties", ".canary"].contains(&part)
            || part.starts_with(".on_received.") && rule(part).is_some()
    };
    let wanted = |origin: &Origin| {
        effective || matches!(origin.from, OriginKind::File(_) | OriginKind::Defaults(_))
    };
    let mut found = Tables::new();
    for (table, keys) in origins.iter().filter(|(table, _)| is_own(table)) {
        let keys: BTreeMap<_, _> =
            keys.iter().filter(|(_, origin)| wanted(origin)).map(|(k, o)| (*k, o)).collect();
        // An account without own keys is an account all the same.
        let is_nested = table.ends_with(".properties") || table.ends_with(".canary");
        if !keys.is_empty() || !is_nested {
            found.insert(table, keys);
        }
    }
    found
}

/// The number of a rule, which its table ends with.
fn rule(table: &str) -> Option<u32> {
    table.split_once(".on_received.").and_then(|(_, number)| number.parse().ok())
}

fn print(context: &Context, tables: &Tables<'_>) {
    let mut tables: Vec<_> = tables.iter().collect();
    // The tenth rule stands behind the ninth.
    tables.sort_by_key(|(table, _)| {
        let number = rule(table);
        (number.and(table.split_once(".on_received.")).map_or(**table, |(name, _)| name), number)
    });
    for (number, (table, keys)) in tables.into_iter().enumerate() {
        if number > 0 {
            context.out.line("");
        }
        match (rule(table), table.split_once(".on_received.")) {
            (Some(rule), Some((name, _))) => {
                context.out.line(&format!("[[{name}.on_received]]  # rule {rule}"));
            }
            _ => context.out.line(&format!("[{table}]")),
        }
        let rows: Vec<[String; 3]> = keys
            .iter()
            .map(|(key, origin)| {
                let from = match &origin.from {
                    OriginKind::BuiltIn => "built-in".to_owned(),
                    OriginKind::Computed(why) => format!("computed: {why}"),
                    OriginKind::Defaults(place) => format!("defaults: {place}"),
                    OriginKind::File(place) => place.clone(),
                };
                [format!("  {key}"), origin.value.clone(), from]
            })
            .collect();
        rows_of(context, &rows);
    }
}

/// Key, value and origin side by side; where they are too wide, the origin stands below.
fn rows_of(context: &Context, rows: &[[String; 3]]) {
    let wide = |text: &String| text.chars().count();
    let key_width = rows.iter().map(|[key, ..]| wide(key)).max().unwrap_or(0);
    let fits = |[_, value, from]: &&[String; 3]| {
        [key_width, 2, wide(value), 2, wide(from)].into_iter().sum::<usize>() <= render::WIDTH
    };
    let value_width = rows.iter().filter(fits).map(|[_, value, _]| wide(value)).max().unwrap_or(0);
    for row in rows {
        let [key, value, from] = row;
        let line = format!("{key:key_width$}  {value:value_width$}  {from}");
        if wide(&line) <= render::WIDTH {
            context.out.line(&line);
        } else {
            context.out.line(&format!("{key:key_width$}  {value}"));
            context.out.line(&format!("      {from}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jiff::Timestamp;

    use super::*;
    use crate::config::load_text;

    const TEXT: &str = "[archive]\nroot = \"/nowhere\"\n[defaults.inbound]\npoll_interval = \"7m\"\n\
                        [inbound.a]\nhost = \"h\"\nuser = \"u\"\npassword = \"hunter2\"\n\
                        [inbound.a.properties]\n[inbound.ab]\nhost = \"x\"\nuser = \"y\"\n\
                        password = \"z\"\n";

    #[test]
    fn keys_are_shown_with_their_origins_and_no_secret() {
        let loaded = load_text(TEXT, Path::new("/x/p.toml"), Timestamp::UNIX_EPOCH);
        let own = tables(&loaded.origins, "a", false);
        let shown: Vec<String> =
            own["inbound.a"].iter().map(|(key, origin)| format!("{key} = {origin}")).collect();
        assert!(
            shown.iter().any(|line| line.starts_with("host = \"h\" (/x/p.toml:6")),
            "{shown:?}"
        );
        assert!(shown.iter().any(|line| line.contains("7m") && line.contains("defaults:")));
        assert!(!shown.concat().contains("hunter2") && !own.contains_key("inbound.ab"));
        assert!(!own["inbound.a"].contains_key("port"));
        let all = tables(&loaded.origins, "a", true);
        assert_eq!(all["inbound.a"]["port"].to_string(), "993 (computed: imap + tls)");
        assert!(tables(&loaded.origins, "b", true).is_empty());
    }

    #[test]
    fn rules_and_canary_belong_to_their_account_with_their_origins() {
        let rules = "[[defaults.inbound.on_received]]\ndo = \"none\"\n\
                     [outbound.out]\nhost = \"o\"\nuser = \"o\"\npassword = \"p\"\n\
                     [inbound.a.canary]\nvia = \"out\"\nto = \"a@example.org\"\n\
                     [[inbound.ab.on_received]]\nname = \"m\"\ndo = \"maildir\"\nto = \"/m\"\n";
        let text = format!("{TEXT}{rules}");
        let loaded = load_text(&text, Path::new("/x/p.toml"), Timestamp::UNIX_EPOCH);
        let shown = |account, effective| -> Vec<&str> {
            tables(&loaded.origins, account, effective).keys().copied().collect()
        };
        assert_eq!(shown("a", false), ["inbound.a", "inbound.a.canary", "inbound.a.on_received.1"]);
        assert_eq!(shown("ab", false), ["inbound.ab", "inbound.ab.on_received.1"]);
        let of = |table: &str, account, key| {
            tables(&loaded.origins, account, true)[table][key].to_string()
        };
        let inherited = of("inbound.a.on_received.1", "a", "do");
        assert!(inherited.starts_with("\"none\" (defaults: /x/p.toml:"), "{inherited}");
        assert!(of("inbound.ab.on_received.1", "ab", "do").starts_with("\"maildir\" (/x/p.toml:"));
        assert_eq!(of("inbound.ab.on_received.1", "ab", "concurrency"), "1 (built-in)");
        assert_eq!(rule("inbound.a.on_received.12"), Some(12));
    }
}
