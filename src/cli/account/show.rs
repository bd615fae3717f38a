//! `account show`: one account's keys.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::render::Tone;
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
        let (_, name) = table.split_once('.').unwrap_or_default();
        ["inbound.", "outbound."].iter().any(|kind| table.starts_with(kind))
            && (name == account || name.strip_suffix(".properties") == Some(account))
    };
    let wanted = |origin: &Origin| {
        effective || matches!(origin.from, OriginKind::File(_) | OriginKind::Defaults(_))
    };
    let mut found = Tables::new();
    for (table, keys) in origins.iter().filter(|(table, _)| is_own(table)) {
        let keys: BTreeMap<_, _> =
            keys.iter().filter(|(_, origin)| wanted(origin)).map(|(k, o)| (*k, o)).collect();
        // An account without own keys is an account all the same.
        if !keys.is_empty() || !table.ends_with(".properties") {
            found.insert(table, keys);
        }
    }
    found
}

fn print(context: &Context, tables: &Tables<'_>) {
    for (number, (table, keys)) in tables.iter().enumerate() {
        if number > 0 {
            context.out.line("");
        }
        context.out.line(&format!("[{table}]"));
        let rows: Vec<Vec<(String, Tone)>> = keys
            .iter()
            .map(|(key, origin)| {
                let from = match &origin.from {
                    OriginKind::BuiltIn => "built-in".to_owned(),
                    OriginKind::Computed(why) => format!("computed: {why}"),
                    OriginKind::Defaults(place) => format!("defaults: {place}"),
                    OriginKind::File(place) => place.clone(),
                };
                let cells = [format!("  {key}"), origin.value.clone(), from];
                cells.map(|cell| (cell, Tone::Plain)).to_vec()
            })
            .collect();
        context.out.table(&rows);
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
}
