//! A rule's `forward`: one stored message, handed once to an outbound account.
//!
//! What the sent octets are is `outbound::forward`'s matter.

use std::io::Read as _;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::spawn_blocking;

use super::gate::Kept;
use super::post::{Post, PostError};
use super::refusals::until;
use crate::action::{self, Means, Task};
use crate::config::{Config, Forward, Outbound};
use crate::ledger::RESTS;
use crate::outbound::{Envelope, Onward, Retry, Unfit, attached, mark, may_go, resent};
use crate::rules::Trouble;
use crate::send::SendError;

/// The largest message that is sent on: it is in memory, some times over.
const LARGEST: u64 = 64 << 20;

/// What a forward is made with.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) config: Arc<Config>,
    pub(super) post: Post,
}

/// Sends it on once; it is done when the server has taken it for all recipients.
pub(super) async fn forward(
    task: &Task,
    deed: &Forward,
    (means, way): (&Means, &Way),
    now: Timestamp,
) -> Result<(), Trouble> {
    action::step("act")?;
    let account = way
        .config
        .outbound_account(deed.via.as_deref())
        .map_err(|error| Trouble::passing("outbound", format!("{error}; {}", error.hint())))?;
    let Some(from) = way.config.sender_of(account) else {
        let what = format!("`{}` has no `from` address", account.name);
        return Err(Trouble::passing("outbound", what));
    };
    let envelope = Envelope::new(&from, &deed.to)
        .map_err(|error| Trouble::passing("outbound", error.to_string()))?;
    // First, so that who waits for it holds no message in memory.
    let turn = way.post.turn(account).await.map_err(|error| refused(account, &error, now))?;
    let octets = {
        let (task, deed, means, envelope) =
            (task.clone(), deed.clone(), means.clone(), envelope.clone());
        let write = move || written(&task, &deed, &means, (&envelope, now));
        let lost = |error: tokio::task::JoinError| Trouble::passing("died", error.to_string());
        spawn_blocking(write).await.map_err(lost)??
    };
    let sent = way.post.hand_over(&way.config, turn, (&envelope, &octets), task.rule.timeout);
    let receipt = sent.await.map_err(|error| refused(account, &error, now))?;
    action::step("acted")?;
    // Who is refused for good is in the log as an error; a further try would only bring it twice to
    // the others. Who is put off gets it by a further try.
    let off = receipt.refused.iter().filter(|refusal| refusal.reply.is_transient());
    let off: Vec<String> =
        off.map(|refusal| format!("{}: \"{}\"", refusal.address, refusal.reply.said())).collect();
    if off.is_empty() {
        return Ok(());
    }
    Err(Trouble::passing("busy", format!("put off for {}", off.join(", "))))
}

/// The octets that are sent.
fn written(
    task: &Task,
    deed: &Forward,
    means: &Means,
    (envelope, date): (&Envelope, Timestamp),
) -> Result<Vec<u8>, Trouble> {
    let root = means.archive.root();
    let passing = |why: String| Trouble::passing("file", why);
    let facts = action::facts_with(root, &task.path, true).map_err(passing)?;
    let own = mark(&task.account, &task.rule.name, &deed.to);
    may_go(&facts.header, &own).map_err(unfit)?;
    if facts.size > LARGEST {
        let what = format!("{} octets are more than can be sent on", facts.size);
        return Err(Trouble { hopeless: true, ..Trouble::passing("refused", what) });
    }
    let read = || -> std::io::Result<Vec<u8>> {
        let file = root.folder().folder(&task.path)?.read("message.eml")?;
        let mut octets = Vec::new();
        file.take(LARGEST).read_to_end(&mut octets)?;
        Ok(octets)
    };
    let octets = read().map_err(|error| passing(format!("{}/message.eml: {error}", task.path)))?;
    let Envelope { from, to } = envelope;
    let onward = Onward { from, to, date, key: &task.key, mark: &own };
    if deed.resent {
        resent(&octets, &onward).map_err(unfit)
    } else {
        Ok(attached(&octets, &onward, (&facts.header, facts.subject.as_deref())))
    }
}

fn unfit(Unfit { code, why }: Unfit) -> Trouble {
    Trouble { hopeless: true, ..Trouble::passing(code, why) }
}

fn refused(account: &Outbound, error: &PostError, now: Timestamp) -> Trouble {
    let hint = error.advice(account).map(|hint| format!("; {hint}")).unwrap_or_default();
    let rests_until = match error {
        PostError::Kept { kept, .. } => Some(until(kept, now)),
        PostError::Send(SendError::BeforeKept { .. }) => Some(until(&Kept::Stopped, now)),
        _ => None,
    };
    let code = match error {
        _ if rests_until.is_some() => RESTS,
        PostError::Slow(_) => "timeout",
        PostError::Send(SendError::Secret(_) | SendError::Oauth(_)) => "secret",
        PostError::Send(SendError::Submit(submit)) if submit.reply().is_some() => "refused",
        _ => "unreachable",
    };
    let hopeless = matches!(error, PostError::Send(error) if error.retry() == Retry::Never);
    Trouble { hopeless, rests_until, ..Trouble::passing(code, format!("{error}{hint}")) }
}
