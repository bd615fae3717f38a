//! A replay and its kin beside the running daemon: it does what is asked, by the rules in force.

use std::time::Duration;

use serde_json::Value;

use super::{actions, all_well, count, each_came, with_rules};
use crate::control::daemon;
use crate::support::{Dovecot, Receiver, Reply, Site, messages, sample, wait_for};

const SOON: Duration = Duration::from_mins(1);

fn seldom(dovecot: &Dovecot, rules: &[&str]) -> String {
    let account = dovecot.account("imap", "none", "u1") + "poll_interval = \"1d\"\n";
    with_rules(&account, rules)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}"))
}

#[test]
fn d16_replay_beside_the_daemon_is_done_by_it_and_followed_to_its_end() {
    const COUNT: usize = 230;
    let dovecot = Dovecot::start();
    for message in messages(COUNT) {
        dovecot.deliver("u1", &message);
    }
    let (receiver, bad) = (all_well(), Receiver::start(|_, _| Reply::Status(503)));
    let hook = |name: &str, url: &str, more: &str| {
        format!("name = \"{name}\"\ndo = \"webhook\"\nurl = \"{url}\"\nconcurrency = 16\n{more}")
    };
    let rules = [
        hook("all", &receiver.url(), "when = 'subject is not null'\n"),
        hook("bad", &bad.url(), "retries = \"0s\"\nwhen = 'subject ~ \"7$\"'\n"),
    ];
    let mut site = Site::new(&[("a", seldom(&dovecot, &[]))]);
    site.poll();
    site.account("a", &seldom(&dovecot, &[&rules[0], &rules[1]]));
    let running = daemon(&site);
    // More than one order has room for.
    let replay = site.cli(&["replay", "a", "--rule", "all"]);
    assert_eq!(replay.code, 0, "{replay:?}");
    assert_eq!(replay.stdout, format!("{COUNT} actions asked for\n"));
    let requests = receiver.requests();
    assert_eq!(requests.len(), COUNT, "each was done before the command's end");
    each_came(&site, &requests, "replay");
    assert!(requests.iter().all(|request| request.fields["postrider-replay"] == "1"));
    let asked: Vec<Value> =
        site.log().into_iter().filter(|record| record["code"] == "replay-asked").collect();
    assert_eq!((asked.len(), &asked[0]["created_uid"]), (2, &Value::from(0)), "{asked:?}");
    // A receiver that fails is told of as without the daemon.
    let replay = site.cli(&["replay", "a", "--rule", "bad", "--json"]);
    let said = json(&replay.stdout);
    assert_eq!(replay.code, 3, "{replay:?}");
    let failed = count(&site, "failed");
    assert!(failed > 3, "{replay:?}");
    assert_eq!((&said["asked"], &said["left"]), (&Value::from(failed), &Value::from(failed)));
    let one = site.stored()[0].text("id").to_owned();
    let replay = site.cli(&["replay", "a", "--id", &one, "--rule", "all"]);
    assert_eq!((replay.code, &*replay.stdout), (0, "1 action asked for\n"));
    assert_eq!(receiver.requests().len(), COUNT + 1);
    assert_eq!(running.stop(SOON).code, 0);
}

#[test]
fn replay_by_rules_that_the_daemon_does_not_have_is_refused_and_shown_by_a_dry_run() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("one", 10));
    let (old, new) = (all_well(), all_well());
    let rule = |url: &str| format!("name = \"r\"\ndo = \"webhook\"\nurl = \"{url}\"");
    let mut site = Site::new(&[("a", seldom(&dovecot, &[&rule(&old.url())]))]);
    site.poll();
    let running = daemon(&site);
    site.account("a", &seldom(&dovecot, &[&rule(&new.url())]));
    let replay = site.cli(&["replay", "a"]);
    assert_eq!(replay.code, 2, "{replay:?}");
    assert!(replay.stderr.contains("other rules for `a`"), "{replay:?}");
    assert!(replay.stderr.contains("postrider reload"), "{replay:?}");
    let dry = site.cli(&["replay", "a", "--dry-run"]);
    assert!(dry.code == 0 && dry.stdout.contains("1 action would be done"), "{dry:?}");
    assert_eq!((old.requests().len(), new.requests().len()), (1, 0));
    assert_eq!(site.cli(&["reload"]).code, 0);
    assert_eq!(site.cli(&["replay", "a"]).code, 0);
    assert_eq!((old.requests().len(), new.requests().len()), (1, 1));
    assert_eq!(running.stop(SOON).code, 0);
}

#[test]
fn marks_that_are_asked_for_once_more_bring_a_poll_at_once_and_a_pause_is_said() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("one", 10));
    let rule = "name = \"star\"\ndo = \"flag\"";
    let mut site = Site::new(&[("a", seldom(&dovecot, &[]))]);
    site.poll();
    site.account("a", &seldom(&dovecot, &[rule]));
    let running = daemon(&site);
    let replay = site.cli(&["replay", "a"]);
    assert_eq!(replay.code, 0, "{replay:?}");
    assert!(
        replay.stdout.contains("1 mark on the server, by a poll that begins now"),
        "{replay:?}"
    );
    let flagged = || {
        let listed = dovecot.imap_client("u1").list("INBOX");
        listed[0].flags.iter().any(|flag| flag == "\\Flagged").then_some(())
    };
    wait_for("the mark", SOON, flagged);
    wait_for("its end", SOON, || (count(&site, "done") == 1).then_some(()));
    assert_eq!(site.cli(&["account", "pause", "a"]).code, 0);
    let replay = site.cli(&["replay", "a"]);
    assert!(
        replay.stdout.contains("1 mark on the server, by the account's next poll"),
        "{replay:?}"
    );
    let retry = site.cli(&["actions", "retry", "a", "--json"]);
    let said = json(&retry.stdout);
    assert_eq!((&said["marks_at_once"], &said["marks_later"]), (&0.into(), &1.into()));
    assert_eq!(site.cli(&["account", "resume", "a"]).code, 0);
    wait_for("the mark", SOON, || (count(&site, "done") == 1).then_some(()));
    assert_eq!(running.stop(SOON).code, 0);
    assert_eq!(actions(&site)[0]["attempts"], 1);
}
