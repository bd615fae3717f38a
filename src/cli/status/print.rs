//! The screen: 80 columns, what needs a person below the table.

use jiff::Timestamp;

use super::Look;
use super::rows::Row;
use crate::cli::render::{Out, Tone, ago, ahead, count, moment, plural, span};
use crate::daemon::orders;
use crate::ledger::{ActionCounts, PartlyListed};
use crate::model::ByteSize;

/// Longest name of an account in the table, in characters.
const NAME_MAX: usize = 20;
/// Errors of a refused config that are shown.
const PROBLEMS_SHOWN: usize = 3;

pub(super) fn screen(out: Out, look: &Look) {
    out.line(&headline(look));
    if let Some(rejected) = look.live.as_ref().and_then(|live| live.config_rejected.as_ref()) {
        out.line("");
        let when = ago(Some(rejected.at), look.now);
        out.marked("config:", Tone::Bad, &format!("rejected {when}, the one before is in force"));
        for problem in rejected.problems.iter().take(PROBLEMS_SHOWN) {
            out.line(&format!("  {problem}"));
        }
        out.line("  hint: postrider check; then: postrider reload");
    }
    out.line("");
    table(out, &look.rows, look.now);
    for row in &look.rows {
        details(out, row, look.now);
    }
    for outgoing in &look.outgoing {
        outgoing.print(out, look.now);
    }
    if let Some(live) = &look.live {
        for (name, until) in &live.debugged {
            out.line(&format!("{name}: everything is logged until {}", moment(*until)));
        }
    }
    look.voice.print(out, look.now);
    expiring(out, look);
    out.line("");
    archive(out, look);
    let octets = look.ledger.octets.map_or("-".to_owned(), |octets| ByteSize(octets).to_string());
    let backup = look.ledger.last_backup.as_deref().unwrap_or("-");
    out.line(&format!("ledger: {octets}, last backup {backup}"));
}

fn headline(look: &Look) -> String {
    let ill = look.rows.iter().filter(|row| row.is_ill()).count();
    let ill = ill.saturating_add(look.outgoing.len());
    let attention = match ill {
        0 => "all in order".to_owned(),
        1 => "1 needs attention".to_owned(),
        n => format!("{n} need attention"),
    };
    let daemon = match (&look.live, look.daemon) {
        (Some(live), _) => {
            let since = span(look.now.duration_since(live.started_at));
            format!("running for {since} as process {}", live.pid)
        }
        (None, Some(pid)) => format!("running as process {pid}"),
        (None, None) => "not running".to_owned(),
    };
    let accounts = plural(look.scope.accounts.len() as u64, "account");
    format!("postrider {}, {daemon}, {accounts}, {attention}", env!("CARGO_PKG_VERSION"))
}

fn table(out: Out, rows: &[Row], now: Timestamp) {
    let plain = |text: &str| (text.to_owned(), Tone::Plain);
    let head = ["account", "state", "last success", "next", "today", "held", "due"];
    let mut table = vec![head.iter().map(|text| plain(text)).collect::<Vec<_>>()];
    for row in rows {
        let tone = match row.state {
            "ok" => Tone::Good,
            "FAILING" | "STOPPED" | "STALE" => Tone::Bad,
            "paused" => Tone::Warn,
            _ => Tone::Plain,
        };
        let next = match &row.running {
            Some(poll) if poll.wanted > 0 => format!("{}/{}", poll.messages, poll.wanted),
            Some(_) => "polling".to_owned(),
            None if row.state == "disabled" => "-".to_owned(),
            None => ahead(row.next_poll_at, now),
        };
        table.push(vec![
            plain(&short(&row.name)),
            (row.state.to_owned(), tone),
            plain(&ago(row.last_success_at, now)),
            plain(&next),
            plain(&count(row.archived_today)),
            plain(&count(row.held)),
            plain(&count(row.delete_due)),
        ]);
    }
    out.table(&table);
}

/// A name that leaves room for the other columns.
fn short(name: &str) -> String {
    if name.chars().count() <= NAME_MAX {
        return name.to_owned();
    }
    let kept: String = name.chars().take(NAME_MAX.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn expiring(out: Out, look: &Look) {
    for expiry in &look.expires {
        let what = match expiry.what {
            "certificate" => format!("{}: the server's certificate", expiry.of),
            "client-secret" => format!("oauth {}: the client's secret", expiry.of),
            _ => format!("oauth {}: no usable token", expiry.of),
        };
        let when = match expiry.at {
            None => String::new(),
            Some(at) if at <= look.now => format!(" expired {}", moment(at)),
            Some(at) => format!(" expires {} ({})", ahead(Some(at), look.now), moment(at)),
        };
        out.line("");
        out.line(&format!("{what}{when}"));
        out.line(&format!("  hint: {}", expiry.hint));
    }
}

fn archive(out: Out, look: &Look) {
    let archive = &look.archive;
    if let Some(error) = &archive.error {
        out.line(&format!("archive: {error}"));
        if let Some(hint) = &archive.hint {
            out.line(&format!("  hint: {hint}"));
        }
        return;
    }
    let messages = look.rows.iter().map(|row| row.archived).fold(0, u64::saturating_add);
    let messages = plural(messages, "message");
    let free = archive.free.map_or("-".to_owned(), |free| ByteSize(free).to_string());
    let low = if archive.low {
        format!("; less than `min_free` ({}): nothing is fetched", ByteSize(archive.min_free))
    } else {
        String::new()
    };
    out.line(&format!("archive {}: {messages}; {free} free{low}", archive.root));
}

fn details(out: Out, row: &Row, now: Timestamp) {
    if let Some(pause) = &row.pause {
        out.line("");
        let since = ago(Some(pause.since), now);
        out.line(&format!("{}: {} ({since})", row.name, orders::paused(pause)));
        out.line(&format!("  hint: postrider account resume {}", row.name));
    }
    if let Some(error) = &row.last_error {
        out.line("");
        out.line(&format!("{}: {}", row.name, error.message));
        let since = ago(Some(error.since), now);
        let attempts = plural(u64::from(error.attempts), "attempt");
        out.line(&format!("  since {since}, {attempts}; code: {}", error.code));
        if let Some(hint) = &error.hint {
            out.line(&format!("  hint: {hint}"));
        }
        if row.state == "STOPPED" {
            let again = "tried again after a change of config or secret";
            out.line(&format!("  {again}, or `postrider account resume {}`", row.name));
        }
    } else if row.state == "STALE" {
        out.line("");
        let last = ago(row.last_success_at, now);
        out.line(&format!("{}: not polled as it should be; last success {last}", row.name));
        out.line("  hint: systemctl status postrider; postrider log --since 1h");
    }
    if let Some(stop) = &row.delete_stop {
        out.line("");
        let since = ago(Some(stop.since), now);
        out.line(&format!("{}: deletes stopped {since}: {}", row.name, stop.why));
        let resume = format!("postrider account resume {}", row.name);
        out.line(&format!("  hint: find the cause (`postrider log`), then: {resume}"));
    }
    if row.flagged > 0 {
        out.line("");
        let messages = plural(row.flagged, "message");
        out.line(&format!("{}: {messages} marked \\Deleted on the server", row.name));
    }
    not_stored(out, row, now);
    held(out, row, now);
    if row.delete_pending > 0 {
        let why = row.delete_pending_why.as_deref().unwrap_or("-");
        out.line("");
        let messages = plural(u64::from(row.delete_pending), "message");
        out.line(&format!("{}: {messages} wait to be deleted on the server: {why}", row.name));
    }
    actions(out, row);
    if !row.tls_verify {
        out.line(&format!("{}: certificate verification is off", row.name));
    }
}

/// Mail that is on the server and neither stored nor held.
fn not_stored(out: Out, row: &Row, now: Timestamp) {
    for PartlyListed { mailbox, since } in &row.partly_listed {
        let what = if mailbox.is_empty() { "the maildrop" } else { mailbox };
        let since = ago(Some(*since), now);
        out.line("");
        out.line(&format!("{}: {what} isn't listed whole (since {since})", row.name));
        out.line(
            "  hint: the server leaves messages out, or some can't be read: ask whoever runs it;",
        );
        out.line(
            "        until it lists all, what it leaves out stays there, and nothing is deleted",
        );
    }
    for (rule, n) in &row.not_archived {
        out.line("");
        let messages = plural(*n, "message");
        out.line(&format!("{}: {messages} not archived by rule {rule}", row.name));
    }
}

fn held(out: Out, row: &Row, now: Timestamp) {
    if row.held == 0 {
        return;
    }
    out.line("");
    out.line(&format!("{}: {} held", row.name, plural(row.held, "message")));
    for held in &row.held_messages {
        let next = ahead(held.retry_at, now);
        let attempts = plural(u64::from(held.attempts), "attempt");
        let next = match held.retry_at {
            Some(_) => format!("{attempts}, tried again {next}"),
            None => "held until the rule changes".to_owned(),
        };
        out.line(&format!("  {}: {}; {next}", held.key, held.reason));
    }
}

/// What rules still have to do, and what a person has to look at.
fn actions(out: Out, row: &Row) {
    let ActionCounts { pending, failed, most_attempts, unknown } = row.actions;
    let name = &row.name;
    if pending > 0 && most_attempts > 1 {
        out.line("");
        let pending = plural(pending, "action");
        out.line(&format!("{name}: {pending} to be done, tried up to {most_attempts} times"));
    }
    if failed > 0 {
        out.line("");
        out.line(&format!("{name}: {} failed", plural(failed, "action")));
        out.line(&format!("  hint: postrider actions list {name} --failed; then retry or drop"));
    }
    if unknown > 0 {
        let n = plural(unknown, "message");
        out.line("");
        out.line(&format!(
            "{name}: {n} stay on the server: what rules asked for isn't known since the ledger was \
             made anew"
        ));
        let drop = format!("postrider actions drop {name} --unknown");
        out.line(&format!(
            "  hint: postrider replay {name} does it once more; nothing left: {drop}"
        ));
    }
    for (rule, n) in &row.orphaned {
        out.line("");
        let n = plural(*n, "action");
        out.line(&format!("{name}: {n} of rule `{rule}`, which the config doesn't have"));
        let drop = format!("postrider actions drop {name} --rule {rule}");
        out.line(&format!("  hint: put the rule back, or: {drop}"));
    }
}
