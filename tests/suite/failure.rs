//! What goes wrong with one server or with the disk: one clear error that says what to do, and
//! nobody else suffers.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::{
    Act, Certificate, Certs, Dovecot, Fault, Options, Output, Protocol, Relay, Server, Site, Then,
    When, as_sent, in_parallel, loopback_account, messages, sample, stored_octets,
};

/// Polls a bad account beside a good one: the good one is fetched whole, the bad one has exactly
/// one error with this code, and a hint, in output, log and status; its password is in none.
fn fails_alone(good: &Dovecot, bad: &str, code: &str, case: &str, wrapper: &[&str]) -> Site {
    let site = Site::new(&[("bad", bad.to_owned()), ("good", good.account("imap", "tls", "u1"))]);
    let output =
        if wrapper.is_empty() { site.cli(&["poll"]) } else { site.cli_below(wrapper, &["poll"]) };
    assert_eq!(output.code, 3, "{case}: {output:?}");
    assert!(output.took < Duration::from_secs(20), "{case}: {output:?}");
    assert!(output.stdout.contains("error: bad: "), "{case}: {output:?}");
    assert!(output.stdout.contains("hint: "), "{case}: {output:?}");
    let stored = site.stored();
    assert!(stored.iter().all(|message| message.account() == "good"), "{case}");
    assert_eq!(stored_octets(&site), as_sent(&messages(3)), "{case}");
    let errors: Vec<Value> =
        site.log().into_iter().filter(|record| record["level"] == "error").collect();
    assert_eq!(errors.len(), 1, "{case}: {errors:?}");
    assert_eq!(
        (&errors[0]["account"], &errors[0]["code"]),
        (&"bad".into(), &code.into()),
        "{case}"
    );
    let status = site.status();
    assert_eq!(status["accounts"][0]["last_error"]["code"], code, "{case}: {status}");
    assert!(status["accounts"][0]["last_error"]["hint"].is_string(), "{case}: {status}");
    assert!(status["accounts"][1]["last_error"].is_null(), "{case}: {status}");
    for text in [output.stdout, output.stderr, format!("{:?}", site.log()), status.to_string()] {
        assert!(!text.contains("secret-u") && !text.contains("wrong-secret"), "{case}: {text}");
    }
    site
}

fn good_server() -> Dovecot {
    let dovecot = Dovecot::start();
    for user in ["u1", "u2"] {
        for message in messages(3) {
            dovecot.deliver(user, &message);
        }
    }
    dovecot
}

/// Deadlines short enough for a test.
fn hurried(account: &str) -> String {
    account.replace("read_timeout = \"10s\"", "read_timeout = \"1s\"")
}

/// A program that runs another one after this script, in a mount namespace of its own; `None`,
/// said aloud, where that is not allowed.
pub(crate) fn mounting(script: &str) -> Option<Vec<String>> {
    for flags in ["-m", "-Urm"] {
        let tried = Command::new("unshare").args([flags, "true"]).output();
        if tried.is_ok_and(|output| output.status.success()) {
            let script = format!("set -e; {script}; exec \"$@\"");
            return Some(["unshare", flags, "sh", "-c", &script, "sh"].map(str::to_owned).into());
        }
    }
    eprintln!("skipped: no mount namespace is allowed here");
    None
}

pub(crate) fn below(site: &Site, wrapper: &[String], arguments: &[&str]) -> Output {
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    site.cli_below(&wrapper, arguments)
}

#[test]
fn wrong_password_is_an_error_of_its_account_alone() {
    let good = good_server();
    for protocol in ["imap", "pop3"] {
        let bad = good.account(protocol, "tls", "u2").replace("secret-u2", "wrong-secret");
        fails_alone(&good, &bad, "auth-rejected", protocol, &[]);
    }
}

#[test]
fn t01_t03_promise_p9_server_that_is_not_there_is_an_error_of_its_account_alone() {
    let good = good_server();
    let closed = {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        free.local_addr().unwrap().port()
    };
    let account = loopback_account("imap", "tls", closed, "u2");
    fails_alone(&good, &account, "connect-failed", "closed port", &[]);
    // The resolver is this machine, where none answers: no query leaves it.
    let Some(wrapper) = mounting(
        "printf 'nameserver 127.0.0.1\\noptions timeout:1 attempts:1\\n' >resolv.conf; \
         mount --bind resolv.conf /etc/resolv.conf",
    ) else {
        return;
    };
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let account = account.replace("host = \"127.0.0.1\"", "host = \"nosuch.invalid\"");
    fails_alone(&good, &account, "dns-failed", "unknown host", &wrapper);
}

#[test]
fn t06_t07_bad_certificate_is_an_error_of_its_account_alone() {
    let good = good_server();
    let cases = [(Certificate::Expired, "tls-expired"), (Certificate::WrongName, "tls-wrong-name")];
    for (certificate, code) in cases {
        let bad = Dovecot::start_with(&Options { certificate, ..Options::default() });
        for (protocol, encryption) in
            [("imap", "tls"), ("imap", "starttls"), ("pop3", "tls"), ("pop3", "starttls")]
        {
            let case = format!("{certificate:?} {protocol} {encryption}");
            fails_alone(&good, &bad.account(protocol, encryption, "u2"), code, &case, &[]);
        }
        assert!(!bad.log().contains("user=<u2>"), "{}", bad.log());
    }
}

#[test]
fn t12_t13_promise_p12_stripped_starttls_sends_no_secret_and_is_an_error_of_its_account_alone() {
    let good = good_server();
    let refusals = [
        (Protocol::Imap, "STARTTLS", "{tag} NO no\r\n"),
        (Protocol::Imap, "STARTTLS", "{tag} BAD what\r\n"),
        (Protocol::Pop3, "STLS", "-ERR no\r\n"),
    ];
    for (protocol, command, refusal) in refusals {
        let server = Server::start(protocol);
        server.set_fault(Fault::on(command).instead(refusal));
        let account = loopback_account(protocol.word(), "starttls", server.port, "u2");
        let site = fails_alone(&good, &account, "starttls-missing", protocol.word(), &[]);
        let heard = server.commands().join("\n").to_uppercase();
        for word in ["LOGIN", "AUTH", "USER", "PASS"] {
            assert!(!heard.contains(word), "{heard}");
        }
        drop(site);
    }
}

#[test]
fn t04_t05_promise_p7_silent_server_is_an_error_of_its_account_alone_at_whatever_word() {
    let good = good_server();
    let silent = Server::start(Protocol::Imap);
    silent.set_fault(Fault::on("accept").then(Then::Hang));
    for protocol in ["imap", "pop3"] {
        for encryption in ["tls", "starttls"] {
            let account = hurried(&loopback_account(protocol, encryption, silent.port, "u2"));
            fails_alone(&good, &account, "server-silent", &format!("{protocol} {encryption}"), &[]);
        }
    }
    let words = [
        ("imap", vec!["AUTHENTICATE", "EXAMINE", "FETCH"]),
        ("pop3", vec!["CAPA", "AUTH", "UIDL", "RETR"]),
    ];
    for (protocol, words) in words {
        for word in words {
            let relay = Relay::to(if protocol == "imap" { good.imap } else { good.pop3 });
            relay.set_fault(When::ClientSays(word), Act::Stall);
            let account = hurried(&loopback_account(protocol, "none", relay.port, "u2"));
            fails_alone(&good, &account, "server-silent", word, &[]);
        }
    }
}

#[test]
fn i16_pop15_connection_that_ends_early_is_an_error_of_its_account_alone() {
    let good = good_server();
    let words = [
        ("imap", vec!["AUTHENTICATE", "EXAMINE", "FETCH"]),
        ("pop3", vec!["CAPA", "AUTH", "UIDL", "RETR"]),
    ];
    for (protocol, words) in words {
        for word in words {
            let relay = Relay::to(if protocol == "imap" { good.imap } else { good.pop3 });
            relay.set_fault(When::ClientSays(word), Act::CutAnswer);
            let account = loopback_account(protocol, "none", relay.port, "u2");
            let case = format!("{protocol}: the end instead of the answer to {word}");
            fails_alone(&good, &account, "connection-lost", &case, &[]);
        }
    }
    // An end in the middle of a line.
    for (protocol, greeting) in [(Protocol::Imap, "* OK rea"), (Protocol::Pop3, "+OK rea")] {
        let server = Server::start(protocol);
        server.set_fault(Fault::on("connect").instead(greeting).then(Then::Close));
        let account = loopback_account(protocol.word(), "none", server.port, "u2");
        fails_alone(&good, &account, "connection-lost", greeting, &[]);
    }
}

#[test]
fn t03_message_that_breaks_off_in_its_middle_is_not_stored_and_comes_whole_later() {
    let big = sample("big", 200_000);
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &big);
    for (protocol, port) in [("imap", dovecot.imap), ("pop3", dovecot.pop3)] {
        let relay = Relay::to(port);
        let rules = "delete_read = true\ndelete_after_days = 14\n";
        let account = loopback_account(protocol, "none", relay.port, "u1") + rules;
        let site = Site::new(&[("a", account)]);
        relay.set_fault(When::ServerOctets(100_000), Act::Cut);
        let output = site.cli(&["poll"]);
        assert_eq!(output.code, 1, "{output:?}");
        assert_eq!(site.tree_faults(), [""; 0]);
        assert!(site.stored().is_empty());
        let errors: Vec<_> = site.log().into_iter().filter(|r| r["level"] == "error").collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0]["code"], "connection-lost");
        relay.heal();
        site.poll();
        assert_eq!(stored_octets(&site), as_sent(std::slice::from_ref(&big)), "{protocol}");
        assert_eq!(site.cli(&["status", "--json"]).code, 0);
    }
}

#[test]
fn a08_i29_refused_login_is_not_repeated_before_its_time_unless_a_person_asks_or_the_secret_changes()
 {
    let dovecot = good_server();
    for (protocol, port, word) in
        [("imap", dovecot.imap, "AUTHENTICATE "), ("pop3", dovecot.pop3, "PASS ")]
    {
        let relay = Relay::to(port);
        let account = |password: &str| {
            loopback_account(protocol, "none", relay.port, "u2").replace("secret-u2", password)
        };
        let logins = || {
            let said = relay.commands();
            said.iter().filter(|line| line.contains(word) || line.contains("AUTH ")).count()
        };
        let mut site = Site::new(&[("a", account("wrong-secret"))]);
        assert_eq!(site.cli(&["poll"]).code, 1);
        assert_eq!(logins(), 1, "{:?}", relay.commands());
        let second = site.cli(&["poll"]);
        assert_eq!(second.code, 1, "{second:?}");
        assert!(second.stdout.contains("a  not polled: rests until"), "{second:?}");
        assert_eq!(logins(), 1, "{:?}", relay.commands());
        assert_eq!(site.cli(&["poll", "a"]).code, 1);
        assert_eq!(logins(), 2, "by name");
        site.account("a", &account("another-wrong-secret"));
        assert_eq!(site.cli(&["poll"]).code, 1);
        assert_eq!(logins(), 3, "another secret");
        assert_eq!(site.cli(&["poll"]).code, 1);
        assert_eq!(logins(), 3, "which rests, too");
        site.account("a", &account("secret-u2"));
        site.poll();
        assert_eq!(stored_octets(&site), as_sent(&messages(3)), "{protocol}");
    }
}

#[test]
fn d08_root_that_is_not_mounted_stops_everything_and_nothing_is_made() {
    let dovecot = good_server();
    let site = Site::new(&[("a", dovecot.account("imap", "tls", "u1"))]);
    site.poll();
    let away = site.path().join("away");
    fs::rename(site.root(), &away).unwrap();
    // SQLite makes and removes its `-shm` and `-wal` as files are opened and closed.
    let files = || {
        let names = listing(&site.state()).into_iter();
        names.filter(|name| !name.ends_with("-shm") && !name.ends_with("-wal")).collect::<Vec<_>>()
    };
    let state = files();
    for bare_mount_point in [false, true] {
        if bare_mount_point {
            fs::create_dir(site.root()).unwrap();
        }
        for verb in ["poll", "run"] {
            let output = site.cli(&[verb]);
            assert_eq!(output.code, 78, "{verb}: {output:?}");
            let said = output.stdout.clone() + &output.stderr;
            assert!(said.contains("root") && said.contains("hint: "), "{said}");
        }
        assert_eq!(site.root().exists(), bare_mount_point);
        assert_eq!(listing(&site.root()), [""; 0]);
        assert_eq!(site.cli(&["status"]).code, 78);
    }
    assert_eq!(files(), state, "no ledger was made or lost");
    fs::remove_dir(site.root()).unwrap();
    fs::rename(away, site.root()).unwrap();
    site.poll();
    assert_eq!(stored_octets(&site), as_sent(&messages(3)));
}

/// Names of a folder, none when there is none.
fn listing(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn d06_read_only_archive_loses_nothing_and_says_what_to_do() {
    let Some(wrapper) = mounting("mount --bind mail mail; mount -o remount,bind,ro mail") else {
        return;
    };
    let dovecot = good_server();
    let account = dovecot.account("imap", "tls", "u1") + "delete_read = true\n";
    let site = Site::new(&[("a", account)]);
    let output = below(&site, &wrapper, &["poll"]);
    assert!([1, 78].contains(&output.code), "{output:?}");
    let said = output.stdout.clone() + &output.stderr;
    assert!(said.to_lowercase().contains("read-only") && said.contains("hint: "), "{said}");
    assert!(site.stored().is_empty());
    assert_eq!(dovecot.imap_client("u1").uids("INBOX").len(), 3);
    site.poll();
    assert_eq!(stored_octets(&site), as_sent(&messages(3)));
}

#[test]
fn d05_promise_p13_full_disk_loses_nothing_and_the_rest_comes_when_there_is_room() {
    let mount = "mount -t tmpfs -o size=1m,mode=755 tmpfs mail; cp -a before/. mail/";
    let back = "\"$@\" || code=$?; cp -a mail/. after/; exit ${code:-0}";
    let Some(wrapper) = mounting(&format!("{mount}; {back}")) else { return };
    let dovecot = Dovecot::start();
    let mails: Vec<Vec<u8>> = (0..12).map(|n| sample(&format!("m{n}"), 120_000)).collect();
    for mail in &mails {
        dovecot.deliver("u1", mail);
    }
    let account = dovecot.account("imap", "tls", "u1") + "delete_read = true\n";
    let mut site = Site::new(&[("a", account)]);
    site.set("archive", &format!("root = \"{}\"\nmin_free = \"1KiB\"\n", site.root().display()));
    let (before, after) = (site.path().join("before"), site.path().join("after"));
    fs::rename(site.root(), &before).unwrap();
    fs::create_dir(site.root()).unwrap();
    fs::create_dir(&after).unwrap();
    let output = below(&site, &wrapper, &["poll"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stdout.contains("error: a: ") && output.stdout.contains("hint: "), "{output:?}");
    let errors: Vec<_> = site.log().into_iter().filter(|r| r["level"] == "error").collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(["disk-full", "disk-low"].contains(&errors[0]["code"].as_str().unwrap()), "{errors:?}");
    // What the disk had when it was full is the archive from now on.
    fs::remove_dir(site.root()).unwrap();
    fs::rename(&after, site.root()).unwrap();
    let mut have: Vec<Vec<u8>> = site.stored().into_iter().map(|stored| stored.eml).collect();
    have.extend(dovecot.imap_client("u1").list("INBOX").into_iter().map(|mail| mail.body));
    assert!(as_sent(&mails).iter().all(|mail| have.contains(mail)));
    for _ in 0..3 {
        site.poll();
    }
    assert_eq!(stored_octets(&site), as_sent(&mails));
    assert!(dovecot.imap_client("u1").uids("INBOX").is_empty());
}

#[test]
fn promise_p1_mailbox_that_is_not_listed_whole_is_shown_until_it_is() {
    for (protocol, command, short) in [
        (Protocol::Pop3, "UIDL", "+OK\r\n1 a\r\n.\r\n"),
        (
            Protocol::Imap,
            "UID FETCH*RFC822.SIZE",
            "* 1 FETCH (UID 1 FLAGS () RFC822.SIZE 900)\r\n{tag} OK\r\n",
        ),
    ] {
        let server = Server::start(protocol);
        (0..2).for_each(|n| server.deliver(&sample(&format!("message {n}"), 600)));
        let site = Site::new(&[("a", server.account("u1"))]);
        server.set_fault(Fault::on(command).instead(short));
        site.cli(&["poll"]);
        assert_eq!(site.stored().len(), 1, "{protocol:?}");
        let (seen, shown) = (site.status(), site.cli(&["status"]));
        let partly = &seen["accounts"][0]["partly_listed"];
        assert_eq!(partly.as_array().unwrap().len(), 1, "{protocol:?}: {seen}");
        assert!(shown.code == 3 && shown.stdout.contains("isn't listed whole"), "{shown:?}");
        server.heal();
        site.poll();
        let (stored, well) = (site.stored().len(), site.cli(&["status"]));
        assert!(stored == 2 && !well.stdout.contains("listed whole"), "{protocol:?}: {well:?}");
        assert_eq!(well.code, 0, "{well:?}");
    }
}
