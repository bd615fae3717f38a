//! Nothing is known of a message: what was listed, then, and how much of it was looked at.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::Sources;
use super::find::Question;
use super::show::second;
use crate::cli::render::{self, Out, Tone, count, plural};
use crate::ledger::{CatchUp, LedgerError, MailboxRow, Tx};
use crate::poll::Decided;

/// What is known instead.
pub(super) struct Never {
    mailboxes: Vec<Seen>,
    /// It is one of those that a catch-up left alone.
    caught_up: Option<(String, Timestamp)>,
    /// The UID that was asked for.
    uid: Option<u32>,
}

/// The last complete listing of one mailbox.
#[derive(Serialize)]
struct Seen {
    account: String,
    mailbox: String,
    listed_at: Option<Timestamp>,
    last_poll_at: Option<Timestamp>,
    /// Messages that the server said it had.
    exists: Option<u32>,
    uid_next: Option<u32>,
    decided: Decided,
    catch_ups: Vec<CatchUp>,
    /// Messages of the account that are held: their Message-IDs aren't known.
    held: usize,
}

/// Held messages that are counted.
const HELD: u32 = 10_000;

impl Never {
    /// Looks at what could have held the message.
    pub(super) async fn of(
        sources: &Sources<'_>,
        questions: &[Question],
    ) -> Result<Self, LedgerError> {
        let asked = questions.iter().find_map(|question| match question {
            Question::Uid { account, mailbox, uid } => {
                Some((account.clone(), Some(mailbox.clone()), Some(*uid)))
            }
            Question::UniqueId { account: Some(account), .. } => {
                Some((account.clone(), None, None))
            }
            _ => None,
        });
        let (only, mailbox, uid) = asked.map_or((None, None, None), |(a, m, u)| (Some(a), m, u));
        let mut mailboxes = Vec::new();
        for name in sources.config.inbound.keys() {
            if only.as_ref().is_none_or(|only| **only == **name) {
                let name = Arc::clone(name);
                let read = move |tx: &Tx<'_>| of_account(tx, &name);
                mailboxes.extend(sources.ledger.read("read listings", read).await?);
            }
        }
        if let Some(mailbox) = mailbox {
            mailboxes.retain(|one| one.mailbox == mailbox);
        }
        let caught_up = match uid {
            Some(uid) => mailboxes.iter().find_map(|one| {
                let covers =
                    |catch_up: &&CatchUp| uid <= catch_up.up_to && catch_up.before.is_none();
                let found = one.catch_ups.iter().find(covers)?;
                Some((format!("{} {} UID {uid}", one.account, one.mailbox), found.at))
            }),
            None => by_unique_id(sources, questions).await?,
        };
        Ok(Self { mailboxes, caught_up, uid })
    }

    /// Whether it is known all the same what became of it.
    pub(super) fn is_answer(&self) -> bool {
        self.caught_up.is_some()
    }

    /// Prints it.
    pub(super) fn show(&self, out: Out, asked: &str) {
        if out.json {
            let caught_up =
                self.caught_up.as_ref().map(|(key, at)| json!({ "key": key, "at": at }));
            out.value(&json!({
                "asked": asked, "found": [], "caught_up": caught_up, "listings": self.mailboxes,
            }));
            return;
        }
        if let Some((key, at)) = &self.caught_up {
            out.line(&format!("{key}: skipped, it was there at the catch-up of {}", second(*at)));
            out.line("  hint: `postrider catch-up ACCOUNT --undo` has such mail fetched");
            return;
        }
        render::error(&format!("no message is known by `{asked}`"), None);
        for mailbox in &self.mailboxes {
            mailbox.print(out, self.uid);
        }
        if let Some(first) = self.mailboxes.first() {
            let account = &first.account;
            out.line(&format!("  hint: `postrider plan {account} --messages` asks the server now"));
        }
    }
}

impl Seen {
    fn print(&self, out: Out, uid: Option<u32>) {
        let name = if self.mailbox.is_empty() { "maildrop" } else { &self.mailbox };
        let (Some(at), Some(exists)) = (self.listed_at, self.exists) else {
            out.line(&format!("{} {name}: not listed whole yet", self.account));
            return;
        };
        let listed = self.decided.listed;
        let looked = if listed == u64::from(exists) { "all" } else { "of which" };
        out.line(&format!(
            "{} {name}: the server had {} at {}, {looked} {} were looked at",
            self.account,
            plural(u64::from(exists), "message"),
            second(at),
            count(listed)
        ));
        let lists = [&self.decided.skipped, &self.decided.kept, &self.decided.waiting];
        let words = ["skipped", "kept", "waiting"];
        let rows = words.into_iter().zip(lists).filter(|(_, list)| !list.is_empty());
        let plain = |text: String| (text, Tone::Plain);
        let table: Vec<_> = rows
            .map(|(word, list)| {
                let counts: Vec<String> =
                    list.iter().map(|(why, n)| format!("{} {why}", count(*n))).collect();
                vec![plain(format!("  {word}")), plain(counts.join(", "))]
            })
            .collect();
        out.table(&table);
        for catch_up in &self.catch_ups {
            let n = plural(catch_up.messages, "message");
            out.line(&format!("  {n} skipped by the catch-up of {}", second(catch_up.at)));
        }
        if let (Some(uid), Some(next)) = (uid, self.uid_next) {
            out.line(&if uid < next {
                format!(
                    "  UID {uid} was given to a message before that; it was skipped, or had left"
                )
            } else {
                format!("  UID {uid} was not given to any message by then (UIDNEXT {next})")
            });
        }
        if self.held > 0 {
            let held = plural(self.held as u64, "held message");
            out.line(&format!("  {held} of the account may be it: `postrider status`"));
        }
    }
}

fn of_account(tx: &Tx<'_>, account: &str) -> Result<Vec<Seen>, LedgerError> {
    let last_poll_at = tx.account(account)?.and_then(|row| row.last_poll_at);
    let held = tx.held(account, HELD)?.len();
    let mut found = Vec::new();
    for mailbox in tx.mailbox_names(account)? {
        let Some(MailboxRow { id, facts, .. }) = tx.find_mailbox(account, &mailbox)? else {
            continue;
        };
        let decided = facts.as_ref().map(|facts| serde_json::from_str(&facts.decided));
        found.push(Seen {
            account: account.to_owned(),
            mailbox,
            listed_at: facts.as_ref().map(|facts| facts.listed_at),
            last_poll_at,
            exists: facts.as_ref().map(|facts| facts.exists),
            uid_next: facts.as_ref().and_then(|facts| facts.uid_next),
            decided: decided.and_then(Result::ok).unwrap_or_default(),
            catch_ups: tx.catch_ups(id)?,
            held,
        });
    }
    Ok(found)
}

async fn by_unique_id(
    sources: &Sources<'_>,
    questions: &[Question],
) -> Result<Option<(String, Timestamp)>, LedgerError> {
    for question in questions {
        let Question::UniqueId { account, unique_id } = question else { continue };
        let asked = unique_id.clone();
        let read = move |tx: &Tx<'_>| tx.caught_up_unique_id(&asked);
        let found = sources.ledger.read("read catch-ups", read).await?;
        let mut own = found
            .into_iter()
            .filter(|(name, _)| account.as_ref().is_none_or(|account| account == name));
        if let Some((name, at)) = own.next() {
            return Ok(Some((format!("{name} unique-id {unique_id}"), at)));
        }
    }
    Ok(None)
}
