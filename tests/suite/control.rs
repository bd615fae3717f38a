//! The running daemon, directed over its control socket.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    Act, Delivery, Dovecot, Output, Relay, Running, Site, When, loopback_account, messages, sample,
    wait_for,
};

const SOON: Duration = Duration::from_secs(20);

/// An account that polls by itself so seldom that a test is over before.
fn seldom(account: String) -> String {
    account + "poll_interval = \"1d\"\n"
}

/// A daemon that takes commands; it has made the first polls of its accounts where they are due.
pub(crate) fn daemon(site: &Site) -> Running {
    let daemon = site.spawn(&["run"]);
    wait_for("the daemon", SOON, || (site.status()["live"]["pid"] == daemon.pid()).then_some(()));
    daemon
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn records(site: &Site, code: &str) -> Vec<Value> {
    site.log().into_iter().filter(|record| record["code"] == code).collect()
}

fn state(site: &Site, account: &str) -> String {
    let status = site.status();
    let accounts = status["accounts"].as_array().unwrap();
    let row = accounts.iter().find(|row| row["name"] == account).unwrap();
    row["state"].as_str().unwrap().to_owned()
}

#[test]
fn d16_poll_by_hand_is_made_by_the_daemon_with_the_same_result() {
    let dovecot = Dovecot::start();
    let account = |user: &str| seldom(dovecot.account("imap", "tls", user));
    let mut site = Site::new(&[("a", account("u1")), ("b", account("u2"))]);
    site.account("off", &(account("u3") + "enabled = false\n"));
    for user in ["u1", "u2", "u3"] {
        dovecot.deliver(user, &sample(user, 100));
    }
    let daemon = daemon(&site);
    let output = site.cli(&["poll", "a", "off"]);
    assert_eq!(output.code, 0, "{output:?}");
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert!(lines[0].starts_with("a  1 archived"), "{output:?}");
    assert!(lines[1].contains("archive: ") && lines[1].ends_with('/'), "{output:?}");
    assert!(lines[2].starts_with("off  1 archived"), "{output:?}");
    let output = site.cli(&["poll", "--json"]);
    let polls = json(&output)["polls"].clone();
    let names: Vec<&Value> = polls.as_array().unwrap().iter().map(|p| &p["account"]).collect();
    assert_eq!((output.code, names), (0, vec![&Value::from("a"), &Value::from("b")]));
    assert_eq!((&polls[0]["archived"], &polls[1]["archived"]), (&0.into(), &1.into()));
    let there: Vec<String> = polls[1].as_object().unwrap().keys().cloned().collect();
    assert_eq!(site.stored().len(), 3);
    // Who asked is in the log, by the kernel's word.
    let asked = &records(&site, "poll-asked")[0];
    assert_eq!((&asked["created_uid"], &asked["created_by"]), (&0.into(), &"root".into()));
    assert!(asked["message"].as_str().unwrap().starts_with("root (uid 0) wants to poll a, off"));
    assert_eq!(site.cli(&["poll", "nobody"]).code, 2);
    assert_eq!(daemon.stop(SOON).code, 0);
    assert!(!site.state().join("control").exists(), "the socket goes with the daemon");
    // The same report without it.
    let output = site.cli(&["poll", "b", "--json"]);
    let here = json(&output)["polls"][0].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((output.code, here), (0, there));
}

#[test]
fn failed_polls_by_the_daemon_end_with_the_same_codes() {
    let dovecot = Dovecot::start();
    let good = seldom(dovecot.account("imap", "tls", "u1"));
    let bad = seldom(loopback_account("imap", "none", 1, "u2"));
    let site = Site::new(&[("bad", bad), ("good", good)]);
    let daemon = daemon(&site);
    for (arguments, code) in [(&["poll"][..], 3), (&["poll", "bad"], 1), (&["poll", "good"], 0)] {
        let output = site.cli(arguments);
        assert_eq!(output.code, code, "{output:?}");
        assert_eq!(output.stdout.contains("error: bad: "), code > 0, "{output:?}");
    }
    assert_eq!(site.cli(&["status"]).code, 3);
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn client_that_goes_away_ends_no_poll_and_the_daemon_stops_in_the_middle_of_one() {
    let dovecot = Dovecot::start();
    let relay = Relay::to(dovecot.imap);
    let account = seldom(loopback_account("imap", "none", relay.port, "u1"));
    let site = Site::new(&[("a", account)]);
    for message in messages(3) {
        dovecot.deliver("u1", &message);
    }
    let daemon = daemon(&site);
    relay.set_fault(When::ClientSays("EXAMINE"), Act::Stall);
    let poll = site.spawn(&["poll", "a"]);
    let running = wait_for("a poll", SOON, || {
        let running = site.status()["live"]["running"].clone();
        (!running.as_array().unwrap().is_empty()).then_some(running)
    });
    assert_eq!(running[0]["account"], "a");
    assert!(site.cli(&["status"]).stdout.contains("polling"), "{:?}", site.cli(&["status"]));
    poll.signal(Signal::INT);
    poll.wait(SOON);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(site.status()["live"]["running"][0]["account"], "a", "it goes on");
    let poll = site.spawn(&["poll", "a"]);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(daemon.stop(Duration::from_secs(8)).code, 0);
    let output = poll.wait(SOON);
    assert_eq!(output.code, 1, "{output:?}");
}

#[test]
fn pause_is_kept_over_kills_obeyed_by_all_and_ended_by_time_or_resume() {
    let dovecot = Dovecot::start();
    let often = |user: &str| dovecot.account("imap", "tls", user) + "poll_interval = \"1s\"\n";
    let site = Site::new(&[("a", often("u1")), ("b", often("u2"))]);
    let killed = daemon(&site);
    let output = site.cli(&["account", "pause", "a", "--reason", "the \u{1b}[2J server moves"]);
    assert_eq!((output.code, output.stdout.lines().count()), (0, 1), "{output:?}");
    dovecot.deliver("u1", &sample("for a", 100));
    dovecot.deliver("u2", &sample("for b", 100));
    wait_for("b's message", SOON, || (site.stored().len() == 1).then_some(()));
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(site.stored().len(), 1, "a is paused");
    assert_eq!((state(&site, "a").as_str(), site.cli(&["status"]).code), ("paused", 0));
    let screen = site.cli(&["status"]).stdout;
    assert!(screen.contains("paused by root (uid 0): the \\x1b[2J server moves"), "{screen}");
    let paused = records(&site, "account-paused").pop().unwrap();
    assert_eq!((&paused["account"], &paused["created_uid"]), (&"a".into(), &0.into()));
    for with_daemon in [true, false] {
        let output = site.cli(&["poll", "a"]);
        assert_eq!(output.code, 1, "{with_daemon}: {output:?}");
        assert!(output.stdout.contains("a  not polled: paused by root"), "{output:?}");
        assert!(output.stdout.contains("--force"), "{output:?}");
        let output = site.cli(&["poll"]);
        assert_eq!(output.code, 0, "a pause is meant: {output:?}");
        assert_eq!(site.stored().len(), 1);
        if with_daemon {
            killed.signal(Signal::KILL);
            wait_for("its end", SOON, || site.status()["daemon"].is_null().then_some(()));
        }
    }
    killed.wait(SOON);
    let output = site.cli(&["poll", "a", "--force"]);
    assert_eq!((output.code, site.stored().len()), (0, 2), "{output:?}");
    // Resumed and paused without the daemon, the second time for a moment only.
    let output = site.cli(&["account", "resume", "a", "--json"]);
    assert_eq!((output.code, &json(&output)["pause"]["by"]), (0, &"root (uid 0)".into()));
    assert_eq!(site.cli(&["account", "pause", "a", "--for", "3s"]).code, 0);
    dovecot.deliver("u1", &sample("later", 100));
    let daemon = daemon(&site);
    assert_eq!(state(&site, "a"), "paused");
    assert!(site.status()["accounts"][0]["next_poll_at"].is_string(), "by the pause");
    wait_for("the end of the pause", SOON, || (site.stored().len() == 3).then_some(()));
    assert_eq!(state(&site, "a"), "ok");
    let ended = records(&site, "account-resumed").pop().unwrap();
    assert_eq!(ended["message"], "The pause is over");
    // And by the daemon, which polls at once.
    assert_eq!(site.cli(&["account", "pause", "a", "--for", "1d"]).code, 0);
    dovecot.deliver("u1", &sample("last", 100));
    assert_eq!(site.cli(&["account", "resume", "a"]).code, 0);
    wait_for("the last", SOON, || (site.stored().len() == 4).then_some(()));
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn pause_ends_the_poll_that_is_under_way() {
    let dovecot = Dovecot::start();
    let relay = Relay::to(dovecot.imap);
    let account = loopback_account("imap", "none", relay.port, "u1") + "poll_interval = \"1s\"\n";
    let site = Site::new(&[("a", account)]);
    relay.set_fault(When::ClientSays("EXAMINE"), Act::Stall);
    let daemon = daemon(&site);
    let running = || site.status()["live"]["running"].as_array().unwrap().len();
    wait_for("a poll", SOON, || (running() == 1).then_some(()));
    assert_eq!(site.cli(&["account", "pause", "a"]).code, 0);
    wait_for("its end", SOON, || (running() == 0).then_some(()));
    let said = relay.commands().len();
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(relay.commands().len(), said, "no poll follows");
    assert_eq!(state(&site, "a"), "paused");
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn kill_at_each_step_of_a_pause_leaves_it_whole_or_undone_and_told_only_when_whole() {
    let dovecot = Dovecot::start();
    let site = Site::new(&[("a", seldom(dovecot.account("imap", "tls", "u1")))]);
    site.poll();
    let (mut before, mut after) = (0, 0);
    for step in 1..40 {
        let order = format!("kill@{step}");
        let output =
            site.cli_with(&[("POSTRIDER_STEP", &order)], &["account", "pause", "a", "--for", "1h"]);
        let is_paused = state(&site, "a") == "paused";
        if output.code == 0 {
            assert!(is_paused, "{order}: said and not done");
            break;
        }
        assert!(!output.stdout.contains("paused until"), "{order}: {output:?}");
        before += usize::from(!is_paused);
        after += usize::from(is_paused);
        let resumed = site.cli(&["account", "resume", "a"]);
        assert_eq!((resumed.code, state(&site, "a").as_str()), (0, "ok"), "{order}: {resumed:?}");
    }
    eprintln!("killed {before} times before the commit, {after} times after it");
    assert!(before > 0 && after > 0, "{before} {after}");
}

#[test]
fn debug_of_one_account_shows_its_dialogue_for_a_time_without_secrets() {
    let dovecot = Dovecot::start();
    let account = |user: &str| seldom(dovecot.account("imap", "tls", user));
    let mut site = Site::new(&[("a", account("u1")), ("b", account("u2"))]);
    site.set("log", "level = \"info\"\n");
    let daemon = daemon(&site);
    let dialogue = |account: &str| {
        let is_wanted = |r: &&Value| r["level"] == "debug" && r["account"] == account;
        site.log().iter().filter(is_wanted).count()
    };
    assert_eq!(site.cli(&["poll"]).code, 0);
    assert_eq!((dialogue("a"), dialogue("b")), (0, 0));
    let output = site.cli(&["account", "debug", "a", "--for", "3s"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(site.status()["live"]["debugged"]["a"].is_string());
    assert_eq!(site.cli(&["poll"]).code, 0);
    let shown = dialogue("a");
    assert!(shown > 5 && dialogue("b") == 0, "{shown} {}", dialogue("b"));
    let all: String = site.log().iter().map(Value::to_string).collect();
    assert!(all.contains("CAPABILITY") && !all.contains("secret-u1"), "{all}");
    wait_for("its end", SOON, || (records(&site, "account-debugged").len() == 2).then_some(()));
    let shown = dialogue("a");
    assert_eq!(site.cli(&["poll"]).code, 0);
    assert_eq!(dialogue("a"), shown, "back at the level before");
    assert_eq!(site.cli(&["account", "debug", "a", "--for", "2d"]).code, 2);
    assert_eq!(site.cli(&["account", "debug", "nobody"]).code, 2);
    assert_eq!(site.cli(&["account", "debug", "a"]).code, 0);
    assert_eq!(site.cli(&["account", "debug", "a", "--off"]).code, 0);
    assert!(site.status()["live"]["debugged"].as_object().unwrap().is_empty());
    assert_eq!(daemon.stop(SOON).code, 0);
    let output = site.cli(&["account", "debug", "a"]);
    assert!(output.code == 1 && output.stderr.contains("no daemon runs"), "{output:?}");
}

#[test]
fn g08_reload_says_what_changed_or_is_refused_and_all_else_goes_on() {
    let dovecot = Dovecot::start();
    let account = |user: &str| seldom(dovecot.account("imap", "tls", user));
    let mut site = Site::new(&[("a", account("u1"))]);
    let oauth = "provider = \"google\"\nclient_id = \"c\"\nclient_secret = \"one\"\n";
    site.set("oauth.rec", oauth);
    let output = site.cli(&["reload"]);
    assert!(output.code == 1 && output.stderr.contains("no daemon runs"), "{output:?}");
    let daemon = daemon(&site);
    let output = site.cli(&["reload"]);
    assert_eq!(
        (output.code, output.stdout.trim()),
        (0, "ok: nothing has changed; polling 1 account")
    );
    site.set("oauth.rec", &oauth.replace("one", "two"));
    let output = site.cli(&["reload"]);
    let told =
        "  oauth.rec: client_secret (text) -> another (text)\nok: 1 change; polling 1 account";
    assert_eq!((output.code, output.stdout.trim_end()), (0, told), "{output:?}");
    site.account("b", &account("u2"));
    site.account("a", &account("u1").replace("\"1d\"", "\"2d\""));
    let output = site.cli(&["reload"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.contains("inbound.a: poll_interval \"1d\" -> \"2d\""), "{output:?}");
    assert!(output.stdout.contains("inbound.b: new"), "{output:?}");
    // A bad one: refused with each error, and people can still look.
    site.account("b", &(account("u2") + "poll_intervall = \"5m\"\nport = 99999\n"));
    let output = site.cli(&["reload"]);
    assert_eq!(output.code, 2, "{output:?}");
    for word in ["poll_intervall", "postrider.toml:", "port", "the old one stays in force"] {
        assert!(output.stderr.contains(word), "{word}: {output:?}");
    }
    let refused = json(&site.cli(&["reload", "--json"]));
    assert_eq!(
        (&refused["accepted"], refused["refused"]["problems"].as_array().unwrap().len()),
        (&false.into(), 2)
    );
    let output = site.cli(&["status"]);
    assert_eq!(output.code, 3, "{output:?}");
    assert!(output.stdout.contains("config: rejected") && output.stdout.contains("poll_intervall"));
    assert!(output.stderr.contains("the daemon runs with an older one"), "{output:?}");
    assert_eq!(site.status()["accounts"].as_array().unwrap().len(), 2);
    let log = site.cli(&["log", "--code", "config-rejected"]);
    assert!(log.code == 0 && log.stdout.lines().count() == 2, "{log:?}");
    assert_eq!(records(&site, "config-rejected")[0]["created_by"], "root");
    assert_eq!(site.cli(&["poll"]).code, 2, "what acts wants a good config");
    // Mended, all is as before.
    site.account("b", &account("u2"));
    assert_eq!(site.cli(&["reload"]).code, 0);
    // The notice of the bad one is closed by the next look at it.
    wait_for("all well", SOON, || (site.cli(&["status"]).code == 0).then_some(()));
    // What needs a restart is said so.
    site.set("archive", &format!("root = \"{}\"\nmin_free = \"17MiB\"\n", site.root().display()));
    let output = site.cli(&["reload"]);
    assert!(output.code == 2 && output.stderr.contains("needs a restart"), "{output:?}");
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn g09_reload_ends_the_polls_of_changed_accounts_that_were_asked_for() {
    let dovecot = Dovecot::start();
    let relay = Relay::to(dovecot.imap);
    let account = |user: &str| seldom(loopback_account("imap", "none", relay.port, user));
    let mut site = Site::new(&[("a", account("u1"))]);
    relay.set_fault(When::ClientSays("EXAMINE"), Act::Stall);
    let daemon = daemon(&site);
    let poll = site.spawn(&["poll", "a"]);
    wait_for("a poll", SOON, || {
        relay.commands().iter().any(|line| line.contains("EXAMINE")).then_some(())
    });
    site.account("a", &(account("u1") + "batch_max = 7\n"));
    assert_eq!(site.cli(&["reload"]).code, 0);
    let output = poll.wait(SOON);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stdout.contains("stopped"), "{output:?}");
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn warnings_of_the_config_are_in_the_log_at_each_start() {
    let dovecot = Dovecot::start();
    let account = dovecot.account("imap", "tls", "u1") + "poll_interval = \"2s\"\n";
    let site = Site::new(&[("a", account)]);
    let daemon = daemon(&site);
    let warnings = records(&site, "config-warning");
    assert!(
        warnings.iter().any(|r| r["message"].to_string().contains("poll_interval")),
        "{warnings:?}"
    );
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn watch_repeats_plainly_where_no_terminal_is_and_ends_with_its_reader() {
    let dovecot = Dovecot::start();
    dovecot.deliver_as("u1", &sample("one", 100), &Delivery::to("INBOX"));
    let site = Site::new(&[("a", seldom(dovecot.account("imap", "tls", "u1")))]);
    let daemon = daemon(&site);
    let pipe = "timeout 30 \"$@\" | head -n 2";
    let output = site.cli_below(&["sh", "-c", pipe, "sh"], &["status", "--watch", "--json"]);
    let looks: Vec<Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(looks.len() == 2 && looks[0]["now"] != looks[1]["now"], "{output:?}");
    assert!(output.took < Duration::from_secs(15), "{output:?}");
    let watch = site.spawn(&["status", "--watch"]);
    std::thread::sleep(Duration::from_secs(3));
    watch.signal(Signal::INT);
    let output = watch.wait(SOON);
    assert!(output.stdout.matches("postrider 0.").count() >= 2, "{output:?}");
    assert!(!output.stdout.contains('\u{1b}'), "{output:?}");
    assert!(output.stdout.lines().all(|line| line.chars().count() <= 80 || line.contains('/')));
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn accounts_are_listed_and_shown_with_the_place_of_each_value() {
    let dovecot = Dovecot::start();
    let mut site = Site::new(&[("a", seldom(dovecot.account("imap", "tls", "u1")))]);
    site.account("off", &(dovecot.account("pop3", "tls", "u2") + "enabled = false\n"));
    let outbound = "host = \"smtp.example.org\"\nfrom = \"a@example.org\"\n";
    site.set("outbound.relay", outbound);
    site.poll();
    site.cli(&["account", "pause", "a"]);
    let listed = json(&site.cli(&["account", "list", "--json"]));
    let rows: Vec<[&str; 4]> = listed["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| ["name", "kind", "protocol", "state"].map(|key| row[key].as_str().unwrap()))
        .collect();
    let wanted = [
        ["a", "inbound", "imap", "paused"],
        ["off", "inbound", "pop3", "disabled"],
        ["relay", "outbound", "smtp", "enabled"],
    ];
    assert_eq!(rows, wanted);
    assert!(listed["accounts"][0]["last_success_at"].is_string());
    let table = site.cli(&["account", "list"]).stdout;
    assert_eq!(table.lines().count(), 4, "{table}");
    let shown = site.cli(&["account", "show", "a", "--effective"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    for word in ["poll_interval", "\"1d\"", "postrider.toml:", "built-in"] {
        assert!(shown.stdout.contains(word), "{word}: {shown:?}");
    }
    assert!(!shown.stdout.contains("secret-u1"), "{shown:?}");
    let own = json(&site.cli(&["account", "show", "a", "--json"]));
    assert_eq!(own["tables"]["inbound.a"]["poll_interval"]["from"], "file");
    assert!(own["tables"]["inbound.a"].get("drain").is_none());
    let output = site.cli(&["account", "show", "aa"]);
    assert!(output.code == 2 && output.stderr.contains("did you mean `a`?"), "{output:?}");
}

#[test]
fn status_tells_the_certificate_that_expires_soon() {
    let dovecot = Dovecot::start();
    let site = Site::new(&[("a", seldom(dovecot.account("imap", "tls", "u1")))]);
    site.poll();
    let status = site.status();
    let until: jiff::Timestamp =
        status["accounts"][0]["certificate_until"].as_str().unwrap().parse().unwrap();
    let now: jiff::Timestamp = status["now"].as_str().unwrap().parse().unwrap();
    assert!(until > now);
    let days = until.duration_since(now).as_hours() / 24;
    let soon = !status["expires"].as_array().unwrap().is_empty();
    assert_eq!(soon, days < 14, "{status}");
    // Seen from three days before its end.
    let ahead = format!("+{}d", days - 3);
    let seen = json(&site.cli_below(&["faketime", "-f", &ahead], &["status", "--json"]));
    let (what, of) = (&seen["expires"][0]["what"], &seen["expires"][0]["of"]);
    assert_eq!((what, of), (&"certificate".into(), &"a".into()), "{days}: {seen}");
}
