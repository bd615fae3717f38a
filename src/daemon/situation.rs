//! What the config and the ledger say at one moment, as `notice` judges it.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::spawn_blocking;

use crate::config::{Config, Inbound, Oauth, Schedule};
use crate::ledger::{
    AccountRow, ActionFilter, CanaryRow, LastError, LedgerError, Resting, Tx, Watched,
};
use crate::net::expiry_of_file;
use crate::notice::{
    AccountFacts, ActionsFacts, CanaryFacts, ErrorFacts, Expiry, Facts, HeldFacts, OauthFacts,
    Policy, RefusedConfig,
};
use crate::oauth::Vault;
use crate::poll::Tools;
use crate::schedule::Backoff;

/// Canaries of an account that are looked at: those that are not yet late stand before the one
/// that decides.
const CANARIES: u32 = 500;

/// What the daemon runs by, and what it refused to run by.
#[derive(Clone, Debug)]
pub(super) struct Situation {
    /// The config in force.
    pub(super) config: Arc<Config>,
    /// The reload that was refused since.
    pub(super) refused: Option<RefusedConfig>,
}

/// How much mail the config wants.
pub(super) fn policy(config: &Config) -> Policy {
    let notices = &config.notices;
    Policy {
        digest: signed(notices.digest),
        per_hour: notices.max_per_hour,
        per_day: notices.max_per_day,
        remind: signed(notices.remind_every),
    }
}

/// Gathers all that conditions are judged by.
pub(super) async fn gather(
    tools: &Tools,
    situation: &Situation,
    up: SignedDuration,
) -> Result<Facts, LedgerError> {
    let config = Arc::clone(&situation.config);
    let now = tools.clock.now();
    let started_at = now.checked_sub(up).unwrap_or(now);
    let read = move |tx: &Tx<'_>| -> Result<Vec<AccountFacts>, LedgerError> {
        let enabled = config.inbound.values().filter(|account| account.enabled);
        enabled.map(|account| facts_of(tx, account, &config, (started_at, now))).collect()
    };
    let accounts = tools.ledger.read("look at all accounts", read).await?;
    let (config, tokens) = (Arc::clone(&situation.config), tools.tokens.clone());
    let files = spawn_blocking(move || {
        let oauths = config.oauth.values().map(|oauth| oauth_facts(oauth, &tokens)).collect();
        (oauths, client_certificates(&config))
    });
    let (oauths, client_certificates) = files.await.unwrap_or_default();
    let config = situation.refused.clone();
    Ok(Facts { started_at, accounts, oauths, config, client_certificates })
}

fn facts_of(
    tx: &Tx<'_>,
    account: &Inbound,
    config: &Config,
    (started_at, now): (Timestamp, Timestamp),
) -> Result<AccountFacts, LedgerError> {
    let row = tx.account(&account.name)?.unwrap_or_default();
    let watched = tx.watched(&account.name)?;
    // Who has paused it knows that no mail comes.
    let paused = row.pause.as_ref().is_some_and(|pause| !pause.is_over(now));
    let canary = match &account.watch.canary {
        Some(canary) if !paused => {
            let max = signed(canary.max);
            let rows = tx.canaries(&account.name, CANARIES)?;
            let caught_up = tx.caught_up_until(&account.name)?;
            newest_decided(rows, max, (now, caught_up)).map(|row| canary_facts(row, max))
        }
        Some(_) | None => None,
    };
    let due_at = match (&account.schedule, row.last_success_at) {
        _ if paused => Some(now),
        (Schedule::Cron(cron), Some(last)) => {
            let last = if last > now { started_at } else { last };
            cron.next_after(last, &config.archive.timezone)
        }
        _ => None,
    };
    let actions = failed_actions(tx, &account.name, now)?;
    let waiting = tx.resting(&account.name)?.map(|resting| {
        let Resting { n, since, rule, detail } = resting;
        ActionsFacts { n, since, rule, reason: first_line(&detail) }
    });
    let Watched { held, held_since, held_reason, last_mail_at, certificate } = watched;
    let stopped = Backoff { authentication: row.state.auth_failures, ..Backoff::default() };
    let AccountRow { last_poll_at, last_success_at, last_error, delete_stop, .. } = row;
    Ok(AccountFacts {
        name: account.name.to_string(),
        oauth: account.oauth.as_ref().map(|oauth| oauth.name.clone()),
        no_success: signed(account.watch.no_success),
        no_mail: account.watch.no_mail.filter(|_| !paused).map(signed),
        due_at,
        last_poll_at,
        last_success_at,
        last_mail_at,
        error: last_error.map(error_facts),
        stopped: stopped.is_stopped(),
        delete_stop: delete_stop.map(|stop| (stop.why, stop.since)),
        held: held_since.map(|since| HeldFacts { n: held, since, reason: held_reason }),
        actions,
        waiting,
        certificate: certificate.map(|(from, until)| Expiry { from, until }),
        canary,
    })
}

/// What rules asked for and has failed for good; the oldest of it stands for all.
fn failed_actions(
    tx: &Tx<'_>,
    account: &str,
    now: Timestamp,
) -> Result<Option<ActionsFacts>, LedgerError> {
    let n = tx.action_counts(account)?.failed;
    if n == 0 {
        return Ok(None);
    }
    let account = Some(account.to_owned());
    let failed = ActionFilter { account, failed: true, ..ActionFilter::default() };
    let oldest = tx.actions(&failed, 1)?.into_iter().next();
    Ok(oldest.map(|row| {
        let reason = first_line(&row.detail);
        ActionsFacts { n, since: row.last_at.unwrap_or(now), rule: row.rule, reason }
    }))
}

/// What a program has said may be long.
fn first_line(detail: &str) -> String {
    detail.lines().next().unwrap_or_default().chars().take(200).collect()
}

/// The newest canary that came back, or that is late. One from before a catch-up may lie among the
/// mail that is never stored: it decides nothing unless it comes back.
fn newest_decided(
    rows: Vec<CanaryRow>,
    max: SignedDuration,
    (now, caught_up): (Timestamp, Option<Timestamp>),
) -> Option<CanaryRow> {
    let is_late = |row: &CanaryRow| {
        now.duration_since(row.made_at) > max && caught_up.is_none_or(|until| row.made_at > until)
    };
    let is_decided =
        |row: &CanaryRow| row.found_at.is_some() || row.failed.is_some() || is_late(row);
    rows.into_iter().find(is_decided)
}

fn canary_facts(row: CanaryRow, max: SignedDuration) -> CanaryFacts {
    let CanaryRow { via, made_at, found_at, failed, .. } = row;
    CanaryFacts { via, max, made_at, found_at, failed }
}

fn error_facts(error: LastError) -> ErrorFacts {
    let LastError { code, message, hint, since, attempts, .. } = error;
    ErrorFacts { code, message, hint, since, attempts }
}

/// Blocks: reads a file.
fn oauth_facts(oauth: &Oauth, tokens: &Vault) -> OauthFacts {
    let stored = tokens.read(&oauth.name).ok().flatten();
    let refused = stored.and_then(|stored| stored.refused).map(|refused| {
        let (code, message, since) = (refused.code, refused.message, refused.at);
        (ErrorFacts { code, message, hint: Some(refused.hint), since, attempts: 1 }, since)
    });
    OauthFacts { name: oauth.name.clone(), secret_expires: oauth.secret_expires, refused }
}

/// Blocks: reads the files of certificates.
fn client_certificates(config: &Config) -> Vec<(String, Timestamp)> {
    let inbound = config.inbound.values().filter(|account| account.enabled);
    let inbound = inbound.map(|account| (&account.name, &account.tls));
    let outbound = config.outbound.values().filter(|account| account.enabled);
    let all = inbound.chain(outbound.map(|account| (&account.name, &account.tls)));
    all.filter_map(|(name, tls)| {
        let until = expiry_of_file(&tls.client.as_ref()?.certificate)?;
        Some((name.to_string(), until))
    })
    .collect()
}

pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::ledger::{Ledger, Pause};
    use crate::notice::watch;

    const DAY: i64 = 86_400;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second.saturating_add(2_000_000_000)).unwrap()
    }

    fn config() -> Config {
        let text = "[archive]\nroot = \"/\"\n[outbound.relay]\nhost = \"h\"\n[notices]\n\
                    system = \"r@example.org\"\n[inbound.a]\nprotocol = \"imap\"\nhost = \"h\"\n\
                    user = \"u@example.org\"\npassword = { key = \"k\" }\nalert_if_no_mail = \"1h\"\n\
                    [inbound.a.canary]\nvia = \"relay\"\nevery = \"1h\"\nmax = \"15m\"\n";
        let loaded = crate::config::load_text(text, Path::new("/x"), Timestamp::UNIX_EPOCH);
        loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems))
    }

    /// What is told of `a`, which was polled well at 0 and not since.
    async fn told(ledger: &Ledger, now: Timestamp) -> Vec<String> {
        let config = config();
        let find = move |tx: &Tx<'_>| facts_of(tx, &config.inbound["a"], &config, (at(0), now));
        let account = ledger.read("test", find).await.unwrap();
        let facts = Facts {
            started_at: at(0),
            accounts: vec![account],
            oauths: vec![],
            config: None,
            client_certificates: vec![],
        };
        watch(&facts, now).conditions.into_iter().map(|condition| condition.title).collect()
    }

    #[tokio::test]
    async fn paused_account_is_not_told_of_until_its_pause_is_over() {
        let ledger = Ledger::in_memory().unwrap();
        let begin = |tx: &Tx<'_>| {
            tx.poll_succeeded("a", at(1))?;
            tx.new_canary("token", ("a", "relay"), at(1), at(0))?;
            tx.sent_canary("token", Ok(at(2)))
        };
        ledger.write("test", begin).await.unwrap();
        let all = ["no successful poll for 24 h", "no mail for 24 h", "canary did not arrive"];
        assert_eq!(told(&ledger, at(DAY + 60)).await, all);
        let pause = Pause {
            since: at(5),
            until: Some(at(2 * DAY)),
            by: "alice (uid 1000)".to_owned(),
            reason: "a move".to_owned(),
        };
        ledger.write("test", move |tx| tx.pause("a", &pause)).await.unwrap();
        assert_eq!(told(&ledger, at(DAY + 60)).await, [""; 0]);
        // Its time has passed.
        assert_eq!(told(&ledger, at(2 * DAY)).await.len(), 3);
    }
}
