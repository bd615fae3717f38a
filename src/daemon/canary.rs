//! Canaries: a test mail goes out by an outbound account and must come back through an inbound one.
//!
//! Only sends and notes. That it came back is recorded with the commit that stores its copy; that it
//! leaves the server is a delete like any other; that it is late is a notice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::post::{self, Post};
use super::situation::{Situation, signed};
use crate::config::{Canary, Config, Inbound};
use crate::ledger::{LedgerError, Tx};
use crate::mail::CANARY_FIELD;
use crate::model::AccountName;
use crate::notice::host_subject;
use crate::outbound::message_id;
use crate::poll::Tools;

/// Between two looks at most; a shorter `every` has shorter ones.
const LOOK_EVERY: Duration = Duration::from_secs(15);
const LOOK_AT_LEAST: Duration = Duration::from_millis(250);
/// Canaries are remembered for so long.
const KEEP: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Sends canaries until it is cancelled.
pub(super) async fn keep(
    tools: Tools,
    mut situation: watch::Receiver<Situation>,
    post: Post,
    cancel: CancellationToken,
) {
    loop {
        let config = Arc::clone(&situation.borrow_and_update().config);
        let mut sends = JoinSet::new();
        // By each outbound account one after another: who else sends by it waits for one at most.
        let mut by_via: BTreeMap<AccountName, Vec<Inbound>> = BTreeMap::new();
        for account in config.inbound.values().filter(|account| account.enabled) {
            if let Some(canary) = &account.watch.canary {
                by_via.entry(Arc::clone(&canary.via)).or_default().push(account.clone());
            }
        }
        for accounts in by_via.into_values() {
            sends.spawn(send_those_due(tools.clone(), Arc::clone(&config), accounts, post.clone()));
        }
        let every = config.inbound.values().filter_map(|a| a.watch.canary.as_ref());
        let shortest = every.map(|canary| canary.every).min().unwrap_or(LOOK_EVERY);
        let pause = shortest.checked_div(4).unwrap_or(LOOK_EVERY);
        let sent = async { while sends.join_next().await.is_some() {} };
        tokio::select! {
            () = cancel.cancelled() => return,
            () = sent => {}
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(pause.clamp(LOOK_AT_LEAST, LOOK_EVERY)) => {}
            told = situation.changed() => if told.is_err() { return },
        }
    }
}

async fn send_those_due(tools: Tools, config: Arc<Config>, accounts: Vec<Inbound>, post: Post) {
    for account in accounts {
        let Some(canary) = &account.watch.canary else { continue };
        if let Err(error) = send(&tools, &config, (&account, canary), &post).await {
            tracing::error!(
                target: "daemon",
                code = error.code(),
                account = &*account.name,
                "Canary: {error}"
            );
        }
    }
}

async fn send(
    tools: &Tools,
    config: &Config,
    (account, canary): (&Inbound, &Canary),
    post: &Post,
) -> Result<(), LedgerError> {
    let now = tools.clock.now();
    let (name, every) = (account.name.to_string(), signed(canary.every));
    let read = move |tx: &Tx<'_>| {
        let pause = tx.account(&name)?.and_then(|row| row.pause);
        Ok((pause.is_some_and(|pause| !pause.is_over(now)), tx.canaries(&name, 1)?))
    };
    let (paused, last) = tools.ledger.read("read canaries", read).await?;
    let is_due = last.first().is_none_or(|last| now.duration_since(last.made_at).abs() >= every);
    let outbound = config.outbound.get(&canary.via).filter(|outbound| outbound.enabled);
    let Some(outbound) = outbound.filter(|_| is_due && !paused) else { return Ok(()) };
    // Two of them: nobody can guess it, and who never saw the mail can't make one like it.
    let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let (given, to, via) = (token.clone(), account.name.to_string(), canary.via.to_string());
    let keep_since = now.checked_sub(KEEP).unwrap_or(Timestamp::MIN);
    // Before it goes out: one that comes back is known, whatever happens here.
    let note = move |tx: &Tx<'_>| tx.new_canary(&given, (&to, &via), now, keep_since);
    tools.ledger.write("note a canary", note).await?;
    let mut letter = post::letter(config, outbound, &canary.to);
    letter.subject = host_subject(&post::host(), &format!("canary for {}", account.name));
    letter.text = format!(
        "A test mail of postrider: it must come back through the account `{}`.\nIt may be deleted.\n",
        account.name
    );
    letter.message_id = message_id(&letter.from);
    "canary".clone_into(&mut letter.report);
    letter.headers.push((CANARY_FIELD.to_owned(), token.clone()));
    let sent = post.send(config, outbound, &letter, now).await;
    let came = match sent {
        Ok(_) => Ok(tools.clock.now()),
        Err(error) => {
            let kept = error.words(outbound, &tools.keyring());
            tracing::warn!(
                target: "outgoing",
                code = "canary-not-sent",
                account = &*account.name,
                reason = kept.code,
                hint = kept.hint.as_deref().unwrap_or_default(),
                "A canary could not be sent: {}",
                kept.message
            );
            Err(kept.message)
        }
    };
    tools.ledger.write("note a canary", move |tx| tx.sent_canary(&token, came)).await
}
