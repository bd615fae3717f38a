//! `postrider config history` and `postrider config diff`.

use std::path::Path;

use clap::Args;
use serde_json::{Value, json};

use crate::audit::notes::{self, Note};
use crate::audit::{Difference, Recorded, compare, recorded};
use crate::cli::exit::Exit;
use crate::cli::render::{self, Tone, ago, plural};
use crate::cli::{Context, block_on, eprint};
use crate::config::{self, Severity};
use crate::ledger::{ConfigRow, Ledger, LedgerError};
use crate::poll::Clock;

/// Show who brought which configuration into effect, and what it changed.
#[derive(Args, Debug)]
pub(super) struct History {
    /// At most so many records, the newest ones
    #[arg(long, default_value_t = 20)]
    last: usize,
}

/// Show what differs between two configurations.
#[derive(Args, Debug)]
pub(super) struct Diff {
    /// A number of the history, or `file` for what is on disk [default: the last one recorded]
    from: Option<String>,
    /// The same [default: `file`]
    to: Option<String>,
}

/// Records that one answer holds.
const MOST: u32 = 1_000;

/// What the history holds.
struct Known {
    rows: Vec<ConfigRow>,
    waiting: Vec<Note>,
}

impl History {
    pub(super) fn run(&self, context: &Context) -> Exit {
        let state_dir = match state_dir(context) {
            Ok(state_dir) => state_dir,
            Err(exit) => return exit,
        };
        let known = match block_on(known(&state_dir)) {
            Ok(Ok(known)) => known,
            Ok(Err(error)) => return refused(&error),
            Err(exit) => return exit,
        };
        let skipped = known.rows.len().saturating_sub(self.last);
        let rows = known.rows.iter().skip(skipped);
        if context.out.json {
            let rows = rows.map(|row| {
                json!({ "number": row.number, "at": row.at, "actor": row.actor, "act": row.act,
                    "changes": changes(row) })
            });
            let waiting = known.waiting.iter();
            context.out.value(&json!({
                "history": rows.collect::<Vec<Value>>(),
                "waiting": waiting.map(|note| json!({
                    "at": note.at, "actor": note.actor, "act": note.act,
                })).collect::<Vec<Value>>(),
            }));
            return Exit::Done;
        }
        if known.rows.is_empty() && known.waiting.is_empty() {
            context.out.line("no configuration was recorded yet: the daemon records each start");
            return Exit::Done;
        }
        let now = Clock.now();
        let plain = |text: String| (text, Tone::Plain);
        let head = ["number", "when", "what", "by"];
        let mut table = vec![head.map(|word| plain(word.to_owned())).to_vec()];
        let mut below = Vec::new();
        for row in rows {
            let cells = [
                row.number.to_string(),
                ago(Some(row.at), now),
                row.act.clone(),
                row.actor.clone(),
            ];
            table.push(cells.map(plain).to_vec());
            below.push(vec![summary(&changes(row))]);
        }
        for note in &known.waiting {
            let when = ago(Some(note.at), now);
            let cells = ["-".to_owned(), when, note.act.clone(), note.actor.clone()];
            table.push(cells.map(plain).to_vec());
            below.push(vec!["waits for the daemon's reload".to_owned()]);
        }
        context.out.table_with(&table, &below);
        Exit::Done
    }
}

impl Diff {
    pub(super) fn run(&self, context: &Context) -> Exit {
        let state_dir = match state_dir(context) {
            Ok(state_dir) => state_dir,
            Err(exit) => return exit,
        };
        let mut sides = Vec::new();
        for (word, default) in [(&self.from, "last"), (&self.to, "file")] {
            match side(context, &state_dir, word.as_deref().unwrap_or(default)) {
                Ok(side) => sides.push(side),
                Err(exit) => return exit,
            }
        }
        let [from, to] = sides.as_slice() else { return Exit::Failed };
        let differences = compare(from, to);
        if context.out.json {
            context.out.value(&differences);
            return Exit::Done;
        }
        let mut table = "";
        for difference in &differences {
            if difference.table != table {
                context.out.line(&difference.table);
                table = &difference.table;
            }
            let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            context.out.line(&format!(
                "  {}: {} -> {}",
                difference.key,
                shown(&difference.from),
                shown(&difference.to)
            ));
        }
        if differences.is_empty() {
            context.out.line("no difference");
        }
        Exit::Done
    }
}

/// One side of a comparison: a number, `last`, or `file`.
fn side(context: &Context, state_dir: &Path, word: &str) -> Result<Recorded, Exit> {
    if word == "file" {
        return context.config().map(|config| recorded(&config.facts));
    }
    let number = match (word, word.parse::<i64>()) {
        ("last", _) => None,
        (_, Ok(number)) => Some(number),
        _ => {
            let hint = "a number of `postrider config history`, or `file`";
            render::error(&format!("`{word}` is no configuration"), Some(hint));
            return Err(Exit::Usage);
        }
    };
    let found = block_on(async {
        let ledger = Ledger::open_read_only(state_dir)?;
        ledger.read("read the history", move |tx| tx.config_facts(number)).await
    })?;
    let json = found.map_err(|error| refused(&error))?;
    json.and_then(|json| serde_json::from_str(&json).ok()).ok_or_else(|| {
        let what = match number {
            Some(number) => format!("the history has no number {number}"),
            None => "no configuration was recorded yet".to_owned(),
        };
        render::error(&what, Some("postrider config history"));
        Exit::Failed
    })
}

async fn known(state_dir: &Path) -> Result<Known, LedgerError> {
    let ledger = Ledger::open_read_only(state_dir)?;
    let rows = ledger.read("read the history", |tx| tx.config_history(MOST)).await?;
    Ok(Known { rows, waiting: notes::read(state_dir) })
}

/// The state folder, also of a config that has errors.
fn state_dir(context: &Context) -> Result<std::path::PathBuf, Exit> {
    let loaded = config::load(&context.config_file, Clock.now());
    loaded.daemon.map(|daemon| daemon.state_dir).ok_or_else(|| {
        for problem in loaded.problems.iter().filter(|p| p.severity == Severity::Error) {
            eprint(&problem.to_string());
        }
        Exit::Usage
    })
}

fn changes(row: &ConfigRow) -> Vec<Difference> {
    serde_json::from_str(&row.changes).unwrap_or_default()
}

/// "host, user of inbound.a; 3 values of 2 other tables".
fn summary(changes: &[Difference]) -> String {
    let Some(first) = changes.first() else { return "nothing".to_owned() };
    let own: Vec<&str> = changes
        .iter()
        .filter(|change| change.table == first.table)
        .map(|change| change.key.as_str())
        .collect();
    let shown: Vec<&str> = own.iter().take(3).copied().collect();
    let rest = changes.len().saturating_sub(shown.len());
    let more = if rest > 0 {
        format!(", and {} more", plural(rest as u64, "value"))
    } else {
        String::new()
    };
    format!("{}: {}{more}", first.table, shown.join(", "))
}

fn refused(error: &LedgerError) -> Exit {
    render::error(&error.to_string(), error.hint());
    if error.needs_person() { Exit::Person } else { Exit::Failed }
}
