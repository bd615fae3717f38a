//! What was done, or would be, line by line.

use serde_json::{Value, json};

use crate::cli::Context;
use crate::cli::exit::Exit;
use crate::cli::render::{self, plural};
use crate::config::bundle::{Import, Verdict};

use super::Taken;
use super::adopt::Outcome;
use super::placing::Placed;
use super::secrets::{Spot, Spots, State};

/// All that there is to say.
pub(super) struct Report<'a> {
    pub(super) dry_run: bool,
    pub(super) taken: &'a [Taken],
    pub(super) placed: &'a [Placed],
    pub(super) spots: &'a Spots,
    pub(super) import: &'a Import,
    pub(super) outcome: &'a Outcome,
    pub(super) missing: &'a [String],
}

/// Whether what is added stands in no file of `include`.
pub(super) fn is_outside(import: &Import) -> bool {
    let included: Vec<String> = import.loaded.facts.keys().map(ToString::to_string).collect();
    import.verdicts.keys().any(|name| !included.contains(name))
}

/// A command's words, as a shell would show them.
pub(super) fn shown(argv: &[String]) -> String {
    let quoted = |word: &String| {
        let bare = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
        if word.chars().all(bare) { word.clone() } else { format!("'{word}'") }
    };
    argv.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

impl Report<'_> {
    /// Nothing found is no success; nor is an account that could not be adopted.
    pub(super) fn exit(&self) -> Exit {
        let all = self.placed.len();
        if all == 0 { Exit::Failed } else { Exit::of_accounts(all, self.outcome.failed.len()) }
    }

    pub(super) fn print(&self, context: &Context) {
        if context.out.json {
            context.out.value(&self.json());
            return;
        }
        self.accounts(context);
        let out = context.out;
        for one in &self.outcome.adopted {
            one.print(context);
        }
        for one in &self.outcome.failed {
            one.print(context);
        }
        for why in self.missing {
            out.hanging(&format!("not adopted: {why}; all mail there counts as new"));
        }
        for Taken { file, found, .. } in self.taken {
            for lost in &found.not_carried {
                let at = format!("{}:{}", file.display(), lost.line);
                out.hanging(&format!("not carried: {at}: {}: {}", lost.what, lost.why));
            }
        }
        let accounts: usize = self.taken.iter().map(|taken| taken.found.accounts.len()).sum();
        let lost: usize = self.taken.iter().map(|taken| taken.found.not_carried.len()).sum();
        let (accounts, lost) = (plural(accounts as u64, "account"), plural(lost as u64, "line"));
        out.line(&format!("{accounts} found; {lost} not carried"));
        if self.dry_run {
            out.line("nothing was changed");
            return;
        }
        if is_outside(self.import) {
            let hint = "add it to `include` in the main file";
            render::warning("no `include` names the folder that they were written to", Some(hint));
        }
        let first = self.import.verdicts.keys().next().and_then(|name| name.split_once('.'));
        if let Some((_, name)) = first {
            out.line("next: stop the other program, or both will fetch the same mail; then");
            let next = format!("postrider check; postrider test {name}; postrider plan {name}");
            out.indented(2, &next);
        }
    }

    /// The accounts, their secrets and commands.
    fn accounts(&self, context: &Context) {
        let out = context.out;
        let verb = if self.dry_run { "would be added" } else { "added" };
        for Placed { account, new, asked } in self.placed {
            let name = &account.name;
            if !new {
                out.line(&format!("inbound.{name}: is here already, and stays as it is"));
                continue;
            }
            let added = self.import.verdicts.get(&format!("inbound.{name}"));
            if added == Some(&Verdict::Add) {
                out.line(&format!("inbound.{name}: {verb}"));
            }
            if let Some(asked) = asked {
                out.indented(2, &format!("`{asked}` is another mailbox's account here"));
            }
            match self.spots.get(name) {
                Some(Spot::Command(argv)) => {
                    out.line("  this command prints its password, and is run at each login:");
                    out.indented(4, &shown(argv));
                }
                Some(Spot::Key { name: key, state: State::Missing }) => {
                    out.indented(2, &format!("it has no password: postrider secret set {key}"));
                }
                Some(Spot::Key { name: key, .. }) if key != name => {
                    let what =
                        format!("its password is `{key}` in the keystore: `{name}` is another");
                    out.indented(2, &what);
                }
                _ => {}
            }
        }
    }

    fn json(&self) -> Value {
        let files = self
            .taken
            .iter()
            .map(|taken| json!({ "file": taken.file, "not_carried": taken.found.not_carried }));
        let here = self.placed.iter().filter(|placed| !placed.new);
        let mut commands = serde_json::Map::new();
        let mut to_set = Vec::new();
        for (account, spot) in self.spots {
            match spot {
                Spot::Command(argv) => drop(commands.insert(account.clone(), json!(argv))),
                Spot::Key { name, state: State::Missing } => to_set.push(name),
                _ => {}
            }
        }
        json!({
            "done": !self.dry_run,
            "tables": self.import.verdicts,
            "here_already": here.map(|placed| &placed.account.name).collect::<Vec<_>>(),
            "commands": commands,
            "secrets_to_set": to_set,
            "adopted": self.outcome.adopted,
            "failed": self.outcome.failed,
            "not_adopted": self.missing,
            "files": files.collect::<Vec<_>>(),
            "written": self.import.files.keys().collect::<Vec<_>>(),
        })
    }
}
