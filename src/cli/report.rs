//! `postrider report`: feedback, or one record of the log, as mail to the addresses of `[notices]`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use serde_json::json;

use super::exit::Exit;
use super::renewing::block_on_renewing;
use super::{Context, render};
use crate::config::{self, Config, Origins};
use crate::daemon::post;
use crate::log::{LOG_FILE, LogDb, LogQuery, Record, codes, parse_time};
use crate::notice::host_subject;
use crate::outbound::{Attachment, Letter, message_id, one_line};
use crate::poll::Clock;

pub(super) const AFTER_HELP: &str = "\
Example: postrider report error 88121 --dry-run
Feedback: postrider report feedback 'Umlauts are gone' --attach-log 1h";

/// Records that are attached at most: the latest ones.
const RECORDS: u64 = 5_000;
/// Characters of a subject that come from a text.
const SUBJECT: usize = 60;

/// Mail feedback or a record of the log.
#[derive(Args, Debug)]
pub(super) struct Report {
    #[command(subcommand)]
    verb: ReportVerb,
}

#[derive(Debug, Subcommand)]
enum ReportVerb {
    /// Mail a text to `notices.feedback`, with the version and the effective config, secrets hidden
    #[command(after_help = "Example: postrider report feedback 'It works' --dry-run")]
    Feedback {
        /// What to say
        text: String,
        /// Attach the log since: 1h, yesterday, 2026-11-21T14:00:00Z
        #[arg(long, value_name = "WHEN")]
        attach_log: Option<String>,
        /// Show the mail, and send nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Mail one record of the log to `notices.error_reporting`
    #[command(after_help = "Example: postrider report error 88121")]
    Error {
        /// The record's number, as `postrider log` shows it
        id: i64,
        /// Show the mail, and send nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// What is to be mailed, before it is known by whom.
struct Draft {
    key: &'static str,
    to: Option<String>,
    subject: String,
    text: String,
    attachments: Vec<Attachment>,
    dry_run: bool,
}

impl Report {
    pub(super) fn run(self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let loaded = config::load(&context.config_file, Clock.now());
        let path = config.daemon.state_dir.join(LOG_FILE);
        let drafted = match self.verb {
            ReportVerb::Feedback { text, attach_log, dry_run } => {
                feedback(&config, &path, &text, attach_log.as_deref(), dry_run)
            }
            ReportVerb::Error { id, dry_run } => error(&config, &path, id, dry_run),
        };
        let mut draft = match drafted {
            Ok(draft) => draft,
            Err((exit, text)) => {
                render::error(&text, None);
                return exit;
            }
        };
        let Some(to) = draft.to.take() else {
            let text = format!("notices.{} is not set; nothing was sent", draft.key);
            let hint = format!("add `{} = \"ADDRESS\"` under `[notices]`", draft.key);
            render::error(&text, Some(&hint));
            return Exit::Usage;
        };
        draft.attachments.insert(0, attached("config.txt", effective(&loaded.origins)));
        mail(context, &config, draft, &to)
    }
}

fn feedback(
    config: &Config,
    log: &Path,
    text: &str,
    since: Option<&str>,
    dry_run: bool,
) -> Result<Draft, (Exit, String)> {
    let mut attachments = Vec::new();
    if let Some(since) = since {
        let since = parse_time(since, Clock.now(), &TimeZone::system());
        let since = since.map_err(|error| (Exit::Usage, error.to_string()))?;
        let query = LogQuery { since: Some(since), limit: Some(RECORDS), ..LogQuery::default() };
        let mut records = records(log, &query)?;
        records.reverse();
        let lines: Vec<String> =
            records.iter().filter_map(|record| serde_json::to_string(record).ok()).collect();
        attachments.push(attached("log.jsonl", lines.join("\n")));
    }
    Ok(Draft {
        key: "feedback",
        to: config.notices.feedback.clone(),
        subject: format!("feedback: {}", one_line(text, SUBJECT)),
        text: format!("{text}\n{}", footer()),
        attachments,
        dry_run,
    })
}

fn error(config: &Config, log: &Path, id: i64, dry_run: bool) -> Result<Draft, (Exit, String)> {
    let query = LogQuery { ids: Some((id, id)), ..LogQuery::default() };
    let Some(record) = records(log, &query)?.into_iter().next() else {
        return Err((Exit::Failed, format!("no record {id}; see `postrider log`")));
    };
    let code = if record.code.is_empty() { "record" } else { record.code.as_str() };
    Ok(Draft {
        key: "error_reporting",
        to: config.notices.error_reporting.clone(),
        subject: format!("{code}: {}", one_line(&record.message, SUBJECT)),
        text: format!("{}{}", told(&record), footer()),
        attachments: Vec::new(),
        dry_run,
    })
}

fn records(path: &Path, query: &LogQuery) -> Result<Vec<Record>, (Exit, String)> {
    let failed = |error: String| (Exit::Failed, format!("the log can't be read: {error}"));
    let db = LogDb::open_read_only(path).map_err(|error| failed(error.to_string()))?;
    let Some(db) = db else { return Ok(Vec::new()) };
    db.query(query).map_err(|error| failed(error.to_string()))
}

/// A record as `log show` has it.
fn told(record: &Record) -> String {
    let mut text = String::new();
    let none = || "-".to_owned();
    let mut rows = vec![
        ("record", record.id.to_string()),
        ("created at", record.created_at.to_string()),
        ("level", record.level.to_string()),
        ("source", record.source.to_string()),
        ("code", record.code.clone()),
        ("account", record.account.clone().unwrap_or_else(none)),
        ("mailbox", record.mailbox.clone().unwrap_or_else(none)),
        ("message", record.message.clone()),
    ];
    for (name, value) in &record.fields {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        rows.push((name.as_str(), value));
    }
    if let Some(code) = codes::find(&record.code) {
        rows.push(("cause", code.cause.to_owned()));
        rows.push(("remedy", code.remedy.to_owned()));
    }
    for (name, value) in rows {
        // Writing to a String can't fail.
        writeln!(text, "{name:<10}  {}", crate::log::escape(&value)).ok();
    }
    text
}

fn footer() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("\n-- \npostrider {version} on {}\n", post::host())
}

/// Every effective value and where it comes from; a secret by its kind only.
fn effective(origins: &Origins) -> String {
    let mut text = String::new();
    // A rule's command or URL may hold what only its receiver should know.
    for (table, keys) in origins.iter().filter(|(table, _)| !table.contains(".on_received.")) {
        writeln!(text, "[{table}]").ok();
        for (key, origin) in keys {
            writeln!(text, "{key} = {origin}").ok();
        }
        text.push('\n');
    }
    text
}

fn attached(name: &str, text: String) -> Attachment {
    let content_type = "text/plain; charset=utf-8".to_owned();
    Attachment { name: name.to_owned(), content_type, octets: text.into_bytes() }
}

fn mail(context: &Context, config: &Config, draft: Draft, to: &str) -> Exit {
    let outbound = match config.outbound_account(None) {
        Ok(outbound) => outbound,
        Err(none) => {
            render::error(&format!("{none}; nothing was sent"), Some(&none.hint()));
            return Exit::Usage;
        }
    };
    let mut letter = post::letter(config, outbound, to);
    letter.subject = host_subject(&post::host(), &draft.subject);
    letter.text = draft.text;
    letter.attachments = draft.attachments;
    letter.message_id = message_id(&letter.from);
    draft.key.clone_into(&mut letter.report);
    if draft.dry_run {
        return show(context, &letter);
    }
    let sink = match context.log(config, None) {
        Ok(sink) => sink,
        Err(exit) => return exit,
    };
    let keyring = context.keyring(config, &sink);
    let work = post::send_by_hand(config, outbound, &keyring, &letter, Clock.now());
    let sent = block_on_renewing(&keyring.tokens, work);
    sink.flush(Duration::from_secs(5));
    match sent {
        Ok(Ok(receipt)) => {
            let said = receipt.reply.said();
            if context.out.json {
                context.out.value(&json!({
                    "sent": true,
                    "to": to,
                    "outbound": &*outbound.name,
                    "message_id": letter.message_id,
                    "said": said,
                }));
            } else {
                context.out.line(&format!("sent to {to} by {}: {said}", outbound.name));
            }
            Exit::Done
        }
        Ok(Err(error)) => {
            let text = keyring.redactor.redact(&error.to_string());
            render::error(&format!("{}: {text}", outbound.name), error.advice(outbound).as_deref());
            Exit::Failed
        }
        Err(exit) => exit,
    }
}

/// The mail as it would go, its attachments as text.
fn show(context: &Context, letter: &Letter) -> Exit {
    if let Err(error) = letter.build(Clock.now()) {
        render::error(&error.to_string(), Some("see the addresses of `[notices]`"));
        return Exit::Usage;
    }
    let files = letter.attachments.iter();
    let files = files.map(|file| (&file.name, String::from_utf8_lossy(&file.octets)));
    if context.out.json {
        let files: Vec<_> =
            files.map(|(name, text)| json!({ "name": name, "text": text })).collect();
        context.out.value(&json!({
            "sent": false,
            "from": letter.from,
            "to": letter.to,
            "subject": letter.subject,
            "text": letter.text,
            "attachments": files,
        }));
        return Exit::Done;
    }
    context.out.line(&format!("From: {}", letter.from));
    context.out.line(&format!("To: {}", letter.to.join(", ")));
    context.out.line(&format!("Subject: {}", letter.subject));
    context.out.line("");
    context.out.lines(&letter.text);
    for (name, text) in files {
        context.out.line("");
        context.out.line(&format!("attached: {name}"));
        context.out.lines(&text);
    }
    context.out.line("");
    context.out.line("nothing was sent");
    Exit::Done
}
