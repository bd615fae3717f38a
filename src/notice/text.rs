//! The words of a mail: plain text, the worst first.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::{News, Word};

/// A subject's octets at most, without the host's part; the rest is in the body.
const SUBJECT: usize = 120;
/// Log records shown for one condition.
const RECORDS: usize = 5;
/// Octets of one text from outside that are shown.
const LINE: usize = 600;

/// A mail to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Digest {
    /// Without line breaks.
    pub subject: String,
    /// LF line ends.
    pub body: String,
}

/// A record of the log, for a mail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogLine {
    /// Its number: `postrider log show 4711`.
    pub id: i64,
    /// When it was made.
    pub at: Timestamp,
    /// The account it is of; empty for none.
    pub account: String,
    /// `error`, `warning`, …
    pub level: String,
    /// The code.
    pub code: String,
    /// The words.
    pub message: String,
}

/// Writes these news down; `records` are recent ones of the log, the oldest first.
#[must_use]
pub fn write(host: &str, news: &[News], records: &[LogLine], now: Timestamp) -> Digest {
    let mut news: Vec<&News> = news.iter().collect();
    news.sort_by_key(|news| (news.word >= Word::Over, news.word, news.since));
    let mut body = String::new();
    for (n, news) in news.iter().enumerate() {
        if n > 0 {
            body.push('\n');
        }
        section(&mut body, news, records, now);
    }
    let version = env!("CARGO_PKG_VERSION");
    add(&mut body, format_args!("\n-- \npostrider {version} on {host}, {}\n", moment(now)));
    add(&mut body, format_args!("`postrider status` shows what stands now\n"));
    Digest { subject: subject(host, &news), body }
}

fn subject(host: &str, news: &[&News]) -> String {
    let Some(first) = news.first() else { return host_subject(host, "all in order") };
    let rest = match news.len().saturating_sub(1) {
        0 => String::new(),
        n => format!(" (and {n} more)"),
    };
    let mut headline = headline(first);
    if headline.len() > SUBJECT {
        headline.truncate(headline.floor_char_boundary(SUBJECT));
        headline.push('…');
    }
    host_subject(host, &format!("{headline}{rest}"))
}

/// A subject as all of our mail has it: `[postrider HOST] …`, on one line.
#[must_use]
pub fn host_subject(host: &str, words: &str) -> String {
    let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("[postrider {host}] {words}")
}

/// `invoices: no successful poll for 6 h`.
fn headline(news: &News) -> String {
    let condition = &news.standing.condition;
    let title = match news.word {
        Word::Raised | Word::Worse => condition.title.clone(),
        Word::Reminder => format!("still: {}", condition.title),
        Word::Over => format!("over: {}", condition.title),
        Word::Passed => format!("was, and is over: {}", condition.title),
    };
    // The titles of what belongs to no account name it themselves.
    let own = title.contains(&format!("[oauth.{}]", condition.subject));
    if condition.subject.is_empty() || own {
        title
    } else {
        format!("{}: {title}", condition.subject)
    }
}

fn section(body: &mut String, news: &News, records: &[LogLine], now: Timestamp) {
    let condition = &news.standing.condition;
    add(body, format_args!("{}\n", one_line(&headline(news))));
    let since = condition.since;
    match news.word {
        Word::Over | Word::Passed => {
            let over = news.standing.changed_at;
            let lasted = span(over.duration_since(since));
            let (since, over) = (moment(since), moment(over));
            add(body, format_args!("  from {since} to {over}, {lasted}\n"));
            return;
        }
        Word::Raised | Word::Worse | Word::Reminder => {}
    }
    add(body, format_args!("  {}\n", one_line(&condition.text)));
    let lasts = span(now.duration_since(since));
    if lasts != "0 s" {
        add(body, format_args!("  since: {} ({lasts})\n", moment(since)));
    }
    if let Some(hint) = &condition.hint {
        add(body, format_args!("  hint: {}\n", one_line(hint)));
    }
    add(body, format_args!("  code: {}\n", condition.code));
    let of_it = |record: &&LogLine| record.account == condition.subject;
    let own: Vec<&LogLine> = records.iter().filter(of_it).collect();
    let own = own.get(own.len().saturating_sub(RECORDS)..).unwrap_or_default();
    if !own.is_empty() {
        body.push_str("  log:\n");
    }
    for record in own {
        let LogLine { id, at, level, code, message, .. } = record;
        let (at, message) = (moment(*at), one_line(message));
        add(body, format_args!("    {id}  {at}  {level}  {code}  {message}\n"));
    }
}

/// Text from outside on one line, without what a terminal obeys.
fn one_line(text: &str) -> String {
    let mut line: String =
        text.chars().map(|c| if crate::model::is_harmful(c) { ' ' } else { c }).collect();
    if line.len() > LINE {
        line.truncate(line.floor_char_boundary(LINE));
        line.push('…');
    }
    line
}

/// A time span in its largest unit: `38 s`, `2 min`, `6 h`, `5 days`.
pub(super) fn span(of: SignedDuration) -> String {
    let seconds = of.as_secs().max(0);
    match seconds {
        0..=89 => format!("{seconds} s"),
        90..=5_399 => format!("{} min", seconds / 60),
        5_400..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A moment to the minute, in UTC: whose mail is read elsewhere has another zone than the host.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn add(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    text.write_fmt(arguments).ok();
}
