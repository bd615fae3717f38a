//! `postrider log`: the main log, filtered, followed and explained.

mod explain;
mod follow;
mod paper;
mod select;
mod show;
mod table;

use std::io::IsTerminal as _;
use std::ops::ControlFlow;
use std::path::Path;

use clap::{Args, Subcommand};

use super::Context;
use super::control::Seen;
use super::exit::Exit;
use super::render;
use crate::config::Config;
use crate::log::{LOG_FILE, Level, LogDb, LogQuery, Record};
use crate::model::nearest;
use crate::poll::Clock;
use crate::query::source_words;
use paper::Paper;
use table::Column;

/// Read the main log, oldest first.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Log {
    #[command(subcommand)]
    verb: Option<LogVerb>,
    /// Only records of this account
    #[arg(value_name = "ACCOUNT", conflicts_with = "account")]
    of: Option<String>,
    /// The same, for accounts that are called like a command
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only records that fulfil a condition: 'source = imap-auth and level = error'
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Vec<String>,
    /// Only records that fulfil a saved condition; `postrider log filters` lists them
    #[arg(long, value_name = "NAME")]
    filter: Vec<String>,
    /// Only records of this source; may be given several times
    #[arg(long, value_name = "SOURCE", value_parser = source)]
    source: Vec<Sources>,
    /// Only records of this level and worse: error, warning, info, debug
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    level: Option<Level>,
    /// Only records with this code
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// Only records made since: 2h, 1d, yesterday, 2026-11-21T14:00:00Z
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only records made before then; the same forms
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Only the latest N records
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<u64>,
    /// Show new records as they come, until Ctrl-C
    #[arg(long, short, conflicts_with = "until")]
    follow: bool,
    /// What to show of each record, in this order: `level,created_by,message`
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_values_t = table::USUAL)]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    columns: Vec<Column>,
}

/// Sources that one word names.
#[derive(Clone, Debug)]
struct Sources(Vec<&'static str>);

pub(super) const AFTER_HELP: &str = "\
Example: postrider log --source imap-auth --level error --since 1d
         postrider log scans --where 'message ~ \"time.?out\" and not code = server-slow'
         postrider log --filter imap_failures --follow

A condition compares fields: = != ~ !~ < <= > >= in (a, b), is null; and, or, not, ( ).
`~` searches for a regular expression. Fields: source, level, code, message, account, username,
created_by, created_uid, created_at, run, mailbox, uid, id, fields.NAME.
On a terminal, without --since and --limit, the latest 50 are shown.";

#[derive(Debug, Subcommand)]
enum LogVerb {
    /// Show one record whole, with the cause and the remedy of its code
    #[command(after_help = "Example: postrider log show 4711")]
    Show {
        /// The record's number, or the beginning of it
        id: String,
    },
    /// Say what a code means and what to do; without one, list them all
    #[command(after_help = "Example: postrider log explain tls-expired")]
    Explain {
        /// The code of a record
        code: Option<String>,
    },
    /// List the saved conditions, `[log] filters.NAME = "CONDITION"`
    #[command(after_help = "Example: postrider log filters")]
    Filters,
}

impl Log {
    pub(super) fn run(mut self, context: &Context) -> Exit {
        let verb = self.verb.take();
        if let Some(LogVerb::Explain { code }) = verb {
            return explain::explain(context, code.as_deref());
        }
        let seen = match context.seen(false) {
            Ok(seen) => seen,
            Err(exit) => return exit,
        };
        let path = seen.daemon.state_dir.join(LOG_FILE);
        match verb {
            Some(LogVerb::Filters) => explain::filters(context, &seen.filters()),
            Some(LogVerb::Show { id }) => show::show(context, &path, &id),
            Some(LogVerb::Explain { .. }) | None => self.list(context, &seen, &path),
        }
    }

    fn list(&self, context: &Context, seen: &Seen, path: &Path) -> Exit {
        let mut query = match select::query(self, &seen.filters(), Clock.now()) {
            Ok(query) => query,
            Err(refusal) => {
                super::eprint(&refusal);
                return Exit::Usage;
            }
        };
        let mut paper = Paper::new(context.out, &self.columns);
        if self.follow {
            query.limit = query.limit.or(query.since.is_none().then_some(FOLLOWED));
            return follow::follow(path, query, &mut paper);
        }
        let usual = query.limit.is_none() && query.since.is_none() && query.until.is_none();
        if usual && std::io::stdout().is_terminal() && !context.out.json {
            query.limit = Some(SHOWN);
        }
        let printed = match print(path, &query, &mut paper) {
            Ok(printed) => printed,
            Err(error) => {
                render::error(&error, None);
                return Exit::Failed;
            }
        };
        if usual && query.limit == Some(printed) {
            render::note(&format!("these are the latest {SHOWN}; --limit and --since show others"));
        }
        if printed == 0 {
            self.nothing(seen.config.as_ref());
        }
        Exit::Done
    }

    /// Says why there may be nothing.
    fn nothing(&self, config: Option<&Config>) {
        let Some(config) = config else { return render::note("no records") };
        let account = self.of.as_deref().or(self.account.as_deref());
        let known =
            |name: &str| config.inbound.contains_key(name) || config.outbound.contains_key(name);
        if let Some(account) = account.filter(|name| !known(name)) {
            let names = config.inbound.keys().chain(config.outbound.keys());
            let near = nearest(account, names.map(AsRef::as_ref));
            let near = near.map(|near| format!("did you mean `{near}`?"));
            let what = format!("no records, and no account `{account}` in the config");
            return render::warning(&what, near.as_deref());
        }
        render::note("no records");
    }
}

/// Prints matching records, oldest first; says how many.
fn print(path: &Path, query: &LogQuery, paper: &mut Paper) -> Result<u64, String> {
    let text = |error: crate::ledger::sqlite::SqliteError| error.to_string();
    let Some(db) = LogDb::open_read_only(path).map_err(text)? else { return Ok(0) };
    let mut printed = 0_u64;
    if !query.ascending {
        let mut records = db.query(query).map_err(text)?;
        records.reverse();
        paper.print(&records);
        return Ok(u64::try_from(records.len()).unwrap_or(u64::MAX));
    }
    let mut page: Vec<Record> = Vec::new();
    db.visit(query, |record| {
        page.push(record);
        printed = printed.saturating_add(1);
        if page.len() >= PAGE {
            paper.print(&page);
            page.clear();
        }
        if paper.is_gone() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .map_err(text)?;
    paper.print(&page);
    Ok(printed)
}

/// Records shown on a terminal where nothing else is asked for.
const SHOWN: u64 = 50;

/// Records before those that `--follow` waits for.
const FOLLOWED: u64 = 10;

/// Records whose columns are aligned together.
const PAGE: usize = 200;

fn source(text: &str) -> Result<Sources, String> {
    source_words(text).map(Sources)
}

fn level(text: &str) -> Result<Level, String> {
    Level::parse(text).ok_or_else(|| {
        let words = Level::ALL.map(Level::as_str);
        let near = nearest(text, words).map(|near| format!("; did you mean `{near}`?"));
        format!("one of {}{}", words.join(", "), near.unwrap_or_default())
    })
}
