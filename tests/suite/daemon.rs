//! The daemon: one at a time, told by signals, gone without a trace of half done work.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    Act, Delivery, Dovecot, Relay, Site, When, as_sent, in_parallel, loopback_account, messages,
    sample, stored_octets, wait_for,
};

const SOON: Duration = Duration::from_secs(20);

fn every_second(account: &str) -> String {
    format!("{account}poll_interval = \"1s\"\n")
}

fn wait_for_stored(site: &Site, count: usize) {
    wait_for(&format!("{count} messages"), SOON, || (site.stored().len() >= count).then_some(()));
}

/// Waits for the nth record with this code.
fn wait_for_record(site: &Site, config: &Path, code: &str, count: usize) -> Value {
    wait_for(code, SOON, || {
        site.log_by(config).into_iter().filter(|record| record["code"] == code).nth(count - 1)
    })
}

#[test]
fn d16_second_instance_is_refused_by_state_folder_and_by_archive_root() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("one", 100));
    let account = every_second(&dovecot.account("imap", "tls", "u1"));
    let site = Site::new(&[("a", account.clone())]);
    let daemon = site.spawn(&["run"]);
    wait_for_stored(&site, 1);
    let mut other = Site::empty();
    other.account("a", &account);
    other.keep_mail_in(site.root());
    for site in [&site, &other] {
        let output = site.cli(&["run"]);
        assert_eq!(output.code, 75, "{output:?}");
        assert!(output.took < Duration::from_secs(1), "{output:?}");
        assert!(output.stderr.contains("another postrider uses"), "{output:?}");
    }
    // Only its own installation's daemon is asked to poll.
    let output = other.cli(&["poll"]);
    assert_eq!(output.code, 75, "{output:?}");
    assert_eq!(site.cli(&["poll"]).code, 0, "the daemon does it");
    for verb in ["status", "log", "check"] {
        assert_eq!(site.cli(&[verb]).code, 0, "{verb} needs no lock");
    }
    assert_eq!(site.cli(&["plan", "a"]).code, 0, "plan needs no lock");
    assert_eq!(daemon.stop(SOON).code, 0);
    site.poll();
}

#[test]
fn g08_g09_reload_takes_a_good_config_whole_and_refuses_a_bad_one() {
    let dovecot = Dovecot::start();
    let account = |user: &str| every_second(&dovecot.account("imap", "tls", user));
    let mut site = Site::new(&[("a", account("u1"))]);
    // At the end its config names another state folder.
    site.leave_unverified();
    // `log` reads the config, too, and refuses a bad one.
    let first = site.path().join("first.toml");
    std::fs::copy(site.config(), &first).unwrap();
    let daemon = site.spawn(&["run"]);
    dovecot.deliver("u1", &sample("before", 100));
    wait_for_stored(&site, 1);
    // A bad one, with an account that would be polled.
    let good = account("u2");
    site.account("b", &(good.clone() + "unknown_key = 1\n"));
    dovecot.deliver("u2", &sample("of b", 100));
    daemon.signal(Signal::HUP);
    let refused = wait_for_record(&site, &first, "config-rejected", 1);
    assert!(refused["message"].to_string().contains("unknown_key"), "{refused}");
    dovecot.deliver("u1", &sample("the old config polls on", 100));
    wait_for_stored(&site, 2);
    assert!(site.stored().iter().all(|stored| stored.account() == "a"));
    // A good one adds an account.
    site.account("b", &good);
    daemon.signal(Signal::HUP);
    wait_for_stored(&site, 3);
    assert!(site.stored().iter().any(|stored| stored.account() == "b"));
    // It removes one, and changes the other.
    site.remove("inbound.a");
    site.account("b", &(good + "folders = [\"Other\"]\n"));
    daemon.signal(Signal::HUP);
    wait_for_record(&site, &first, "config-loaded", 2);
    for (user, mailbox) in [("u1", "INBOX"), ("u2", "INBOX"), ("u2", "Other")] {
        let message = sample(&format!("late for {user} in {mailbox}"), 100);
        dovecot.deliver_as(user, &message, &Delivery::to(mailbox));
    }
    wait_for_stored(&site, 4);
    std::thread::sleep(Duration::from_millis(2_500));
    let late: Vec<String> = site
        .stored()
        .iter()
        .map(|stored| stored.text("subject").to_owned())
        .filter(|subject| subject.starts_with("late"))
        .collect();
    assert_eq!(late, ["late for u2 in Other"]);
    // What only a restart can change is refused, too.
    let state = format!("state_dir = \"{}/elsewhere\"", site.path().display());
    site.set("daemon", &(state + "\n"));
    daemon.signal(Signal::HUP);
    let refused = wait_for_record(&site, &first, "config-rejected", 2);
    assert!(refused["message"].to_string().contains("needs a restart"), "{refused}");
    let output = daemon.stop(SOON);
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn d18_daemon_that_is_told_to_stop_in_the_middle_of_a_poll_leaves_nothing_half_done() {
    let dovecot = Dovecot::start();
    let messages = messages(250);
    for user in ["u1", "u2"] {
        for message in &messages {
            dovecot.deliver(user, message);
        }
    }
    in_parallel(&[("imap", "u1"), ("pop3", "u2")], |(protocol, user)| {
        let rules = "delete_read = true\nbatch_max = 50\n";
        let account = every_second(&dovecot.account(protocol, "tls", user)) + rules;
        let site = Site::new(&[("a", account)]);
        for n in 0..6 {
            let daemon = site.spawn(&["run"]);
            wait_for("the start", SOON, || {
                let code = |record: &Value| record["code"] == "daemon-started";
                (site.log().iter().filter(|r| code(r)).count() > n).then_some(())
            });
            std::thread::sleep(Duration::from_millis(30 + n as u64 * 60));
            let output = daemon.stop(Duration::from_secs(5));
            assert_eq!(output.code, 0, "{protocol}: {output:?}");
            assert_eq!(site.tree_faults(), [""; 0], "{protocol}: stop {n}");
        }
        for _ in 0..3 {
            site.cli(&["poll", "a"]);
        }
        assert_eq!(stored_octets(&site), as_sent(&messages), "{protocol}");
        assert!(dovecot.imap_client(user).uids("INBOX").is_empty(), "{protocol}");
        assert_eq!(site.cli(&["status", "--json"]).code, 0, "{protocol}");
    });
}

#[test]
fn d18_daemon_that_waits_for_a_silent_server_stops_when_told_to() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("one", 100));
    for (protocol, port, words) in [
        ("imap", dovecot.imap, ["AUTHENTICATE", "EXAMINE", "FETCH"]),
        ("pop3", dovecot.pop3, ["AUTH", "UIDL", "RETR"]),
    ] {
        for word in words {
            let relay = Relay::to(port);
            relay.set_fault(When::ClientSays(word), Act::Stall);
            let account = loopback_account(protocol, "none", relay.port, "u1");
            let site = Site::new(&[("a", every_second(&account))]);
            let daemon = site.spawn(&["run"]);
            wait_for(word, SOON, || {
                relay.commands().iter().any(|line| line.contains(word)).then_some(())
            });
            // The answer to a login is awaited for ten seconds.
            let grace = Duration::from_secs(if word.starts_with("AUTH") { 10 } else { 0 });
            let output = daemon.stop(Duration::from_secs(5) + grace);
            assert_eq!(output.code, 0, "{protocol} {word}: {output:?}");
            let most = Duration::from_secs(8) + grace;
            assert!(output.took < most, "{protocol} {word}: {output:?}");
            assert_eq!(site.tree_faults(), [""; 0]);
        }
    }
}

#[test]
fn account_that_fails_delays_no_other() {
    let dovecot = Dovecot::start();
    let relay = Relay::to(dovecot.imap);
    relay.set_fault(When::ClientSays("EXAMINE"), Act::Stall);
    let silent = every_second(&loopback_account("imap", "none", relay.port, "u2"));
    let good = every_second(&dovecot.account("imap", "tls", "u1"));
    let site = Site::new(&[("silent", silent), ("good", good)]);
    let daemon = site.spawn(&["run"]);
    for count in 1..=3 {
        dovecot.deliver("u1", &sample(&format!("message {count}"), 100));
        wait_for("the next message", Duration::from_secs(8), || {
            (site.stored().len() == count).then_some(())
        });
    }
    assert_eq!(daemon.stop(Duration::from_secs(8)).code, 0);
}

#[test]
fn d19_every_way_to_end_it_ends_it_and_a_pause_costs_nothing() {
    let dovecot = Dovecot::start();
    let site = Site::new(&[("a", every_second(&dovecot.account("imap", "tls", "u1")))]);
    for signals in [&[Signal::INT][..], &[Signal::TERM, Signal::TERM], &[Signal::TERM]] {
        let daemon = site.spawn(&["run"]);
        std::thread::sleep(Duration::from_millis(1_500));
        for signal in signals {
            daemon.signal(*signal);
        }
        assert_eq!(daemon.wait(SOON).code, 0, "{signals:?}");
    }
    let daemon = site.spawn(&["run"]);
    std::thread::sleep(Duration::from_millis(1_500));
    daemon.signal(Signal::STOP);
    dovecot.deliver("u1", &sample("while it slept", 100));
    std::thread::sleep(Duration::from_secs(3));
    daemon.signal(Signal::PIPE);
    daemon.signal(Signal::CONT);
    wait_for_stored(&site, 1);
    assert_eq!(daemon.stop(SOON).code, 0);
}
