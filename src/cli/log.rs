//! `postrider log`: the main log, filtered.

use std::ops::ControlFlow;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Context;
use super::exit::Exit;
use super::render::{self, Tone};
use crate::log::{LOG_FILE, Level, LogDb, LogQuery, Record, codes, parse_time};
use crate::model::Source;
use crate::poll::Clock;

/// Read the main log, oldest first.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Log {
    #[command(subcommand)]
    verb: Option<LogVerb>,
    /// Only records of this source; may be given several times
    #[arg(long, value_name = "SOURCE", value_parser = source)]
    source: Vec<Source>,
    /// Only records of this level and worse: error, warning, info, debug
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    level: Option<Level>,
    /// Only records of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
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
}

#[derive(Debug, Subcommand)]
enum LogVerb {
    /// Show one record whole, with the cause and the remedy of its code
    #[command(after_help = "Example: postrider log show 4711")]
    Show {
        /// The record's number
        id: i64,
    },
}

impl Log {
    pub(super) fn run(self, context: &Context) -> Exit {
        let seen = match context.seen(false) {
            Ok(seen) => seen,
            Err(exit) => return exit,
        };
        let path = seen.daemon.state_dir.join(LOG_FILE);
        let db = match LogDb::open_read_only(&path) {
            Ok(Some(db)) => db,
            Ok(None) => return Exit::Done,
            Err(error) => {
                render::error(&error.to_string(), None);
                return Exit::Failed;
            }
        };
        if let Some(LogVerb::Show { id }) = self.verb {
            return show(context, &db, id);
        }
        let query = match self.query(Clock.now()) {
            Ok(query) => query,
            Err(text) => {
                render::error(&text, None);
                return Exit::Usage;
            }
        };
        match print(context, &db, &query, self.limit.is_some()) {
            Ok(()) => Exit::Done,
            Err(error) => {
                render::error(&error, None);
                Exit::Failed
            }
        }
    }

    fn query(&self, now: Timestamp) -> Result<LogQuery, String> {
        let zone = TimeZone::system();
        let time = |text: &Option<String>| {
            let parse = |text: &String| parse_time(text, now, &zone);
            text.as_ref().map(parse).transpose().map_err(|error| error.to_string())
        };
        Ok(LogQuery {
            level: self.level,
            sources: self.source.clone(),
            account: self.account.clone(),
            code: self.code.clone(),
            since: time(&self.since)?,
            until: time(&self.until)?,
            limit: self.limit,
            // The latest N are asked for newest first, and turned round for the reader.
            ascending: self.limit.is_none(),
            ..LogQuery::default()
        })
    }
}

fn print(context: &Context, db: &LogDb, query: &LogQuery, turn: bool) -> Result<(), String> {
    if turn {
        let mut records = db.query(query).map_err(|error| error.to_string())?;
        records.reverse();
        for record in &records {
            one(context, record);
        }
        return Ok(());
    }
    db.visit(query, |record| {
        one(context, &record);
        ControlFlow::Continue(())
    })
    .map_err(|error| error.to_string())
}

fn one(context: &Context, record: &Record) {
    if context.out.json {
        context.out.value(record);
        return;
    }
    let at = record.created_at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S");
    let tone = match record.level {
        Level::Error => Tone::Bad,
        Level::Warning => Tone::Warn,
        Level::Info | Level::Debug => Tone::Plain,
    };
    let plain = |text: String| (text, Tone::Plain);
    context.out.table(&[vec![
        plain(format!("{:>6}", record.id)),
        plain(at.to_string()),
        (format!("{:<7}", record.level.as_str()), tone),
        plain(format!("{:<9}", record.source)),
        plain(record.account.clone().unwrap_or_else(|| "-".to_owned())),
        plain(if record.code.is_empty() { "-".to_owned() } else { record.code.clone() }),
        plain(record.message.clone()),
    ]]);
}

fn show(context: &Context, db: &LogDb, id: i64) -> Exit {
    let query = LogQuery { id: Some(id), ..LogQuery::default() };
    let found = db.query(&query).ok().and_then(|records| records.into_iter().next());
    let Some(record) = found else {
        render::error(&format!("no record {id}"), Some("see `postrider log`"));
        return Exit::Failed;
    };
    if context.out.json {
        context.out.value(&record);
        return Exit::Done;
    }
    let row =
        |name: &str, value: String| vec![(name.to_owned(), Tone::Plain), (value, Tone::Plain)];
    let or = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let mut rows = vec![
        row("record", record.id.to_string()),
        row("created at", record.created_at.to_string()),
        row("level", record.level.to_string()),
        row("source", record.source.to_string()),
        row("code", record.code.clone()),
        row("account", or(record.account)),
        row("run", or(record.run)),
        row("mailbox", or(record.mailbox)),
        row("uid", or(record.uid.map(|uid| uid.to_string()))),
        row("username", record.username),
        row("created by", record.created_by.to_string()),
        row("message", record.message),
    ];
    for (name, value) in &record.fields {
        rows.push(row(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    }
    if let Some(code) = codes::find(&record.code) {
        rows.push(row("cause", code.cause.to_owned()));
        rows.push(row("remedy", code.remedy.to_owned()));
    }
    context.out.table(&rows);
    Exit::Done
}

fn source(text: &str) -> Result<Source, String> {
    Source::parse(text).ok_or_else(|| {
        let all: Vec<&str> = Source::ALL.iter().map(|source| source.as_str()).collect();
        format!("one of {}", all.join(", "))
    })
}

fn level(text: &str) -> Result<Level, String> {
    Level::parse(text).ok_or_else(|| "one of error, warning, info, debug".to_owned())
}
