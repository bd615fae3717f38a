//! Stored mail goes back onto a server: with its octets, dates and flags, and each message once,
//! wherever it was cut.

use std::time::Duration;

use serde_json::Value;

use crate::support::server::Kind;
use crate::support::{
    Act, Delivery, Dovecot, Fault, ImapMessage, Options, Output, Relay, Server, Site, Then, When,
    as_sent, in_parallel, loopback_account, messages, sample, wait_for,
};

/// More than anything here takes.
const LIMIT: Duration = Duration::from_mins(1);

/// A site whose account polls the INBOX of `u1`, unprotected, over this port.
fn site_at(port: u16) -> Site {
    let mut lines = loopback_account("imap", "none", port, "u1");
    lines += "poll_interval = \"1d\"\n";
    let site = Site::new(&[("a", lines)]);
    site.poll();
    site
}

fn restore(site: &Site, to: &str, more: &[&str]) -> (Output, Value) {
    let output = site.cli(&[&["restore", "a", "--to-mailbox", to, "--json"], more].concat());
    let told = serde_json::from_str(&output.stdout).unwrap_or(Value::Null);
    (output, told)
}

fn number(told: &Value, key: &str) -> u64 {
    told[key].as_u64().unwrap_or_else(|| panic!("{key}: {told}"))
}

fn bodies(found: &[ImapMessage]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = found.iter().map(|message| message.body.clone()).collect();
    all.sort();
    all
}

/// Everything that is told of messages, but their UIDs.
fn seen(found: Vec<ImapMessage>) -> Vec<(Vec<u8>, String, Vec<String>)> {
    let mut all: Vec<_> = found
        .into_iter()
        .map(|mut message| {
            message.flags.sort();
            (message.body, message.internal_date, message.flags)
        })
        .collect();
    all.sort();
    all
}

fn rebuilt_ledgers_know(site: &Site) {
    // A ledger that is made anew takes that over, unless the one before is lost; the server knows.
    assert_eq!(site.cli(&["ledger", "rebuild", "--yes"]).code, 0);
    let (output, told) = restore(site, "Back & forth", &[]);
    assert_eq!((number(&told, "restored"), number(&told, "before")), (0, 5), "{output:?}");
    crate::recovery::remove_ledger(site);
    assert_eq!(site.cli(&["ledger", "rebuild"]).code, 0);
    let (output, told) = restore(site, "Back & forth", &["--look"]);
    assert_eq!((number(&told, "restored"), number(&told, "there")), (0, 5), "{output:?}");
}

#[test]
fn mail_comes_back_with_octets_dates_and_flags_once_and_is_not_archived_again() {
    let dovecot = Dovecot::start();
    for (n, message) in messages(4).iter().enumerate() {
        let delivery = Delivery::to("INBOX").at(1_600_000_000 + 86_400 * n as u64);
        dovecot.deliver_as("u1", message, &delivery.flagged(["", "S", "FS", "RS"][n]));
    }
    dovecot.deliver("u1", &sample("large", 3 << 20));
    dovecot.imap_client("u1").command("SELECT INBOX");
    let mut client = dovecot.imap_client("u1");
    client.command("SELECT INBOX");
    client.command("STORE 1 +FLAGS (paid $Forwarded)");
    let was = seen(client.list("INBOX"));
    let relay = Relay::to(dovecot.imap);
    let site = site_at(relay.port);
    let before = relay.commands().len();

    let (output, _) = restore(&site, "Back & forth", &[]);
    assert!(output.code == 1 && output.stderr.contains("--create makes it"), "{output:?}");
    let (output, told) = restore(&site, "Back & forth", &["--dry-run", "--create"]);
    assert_eq!((output.code, number(&told, "restored")), (0, 5), "{output:?}");
    let (output, told) = restore(&site, "Back & forth", &["--create"]);
    assert_eq!((output.code, number(&told, "restored")), (0, 5), "{output:?}");
    assert_eq!(seen(client.list("Back &- forth")), was);
    let (output, told) = restore(&site, "Back & forth", &[]);
    assert_eq!((number(&told, "restored"), number(&told, "before")), (0, 5), "{output:?}");

    // What a person has removed there comes back only when that is said.
    client.command("SELECT \"Back &- forth\"");
    client.command("STORE 2 +FLAGS (\\Deleted)");
    client.command("EXPUNGE");
    assert_eq!(number(&restore(&site, "Back & forth", &[]).1, "restored"), 0);
    let (_, told) = restore(&site, "Back & forth", &["--again"]);
    assert_eq!((number(&told, "restored"), number(&told, "there")), (1, 4));
    assert_eq!(seen(client.list("Back &- forth")), was);

    rebuilt_ledgers_know(&site);

    // Its own mailbox is polled: not without a word, and not what never left it.
    let (output, _) = restore(&site, "inbox", &[]);
    assert!(output.code == 2 && output.stderr.contains("is polled by `a`"), "{output:?}");
    let (output, told) = restore(&site, "inbox", &["--force"]);
    assert_eq!((number(&told, "restored"), number(&told, "there")), (0, 5), "{output:?}");
    client.command("SELECT INBOX");
    client.command("STORE 1:3 +FLAGS (\\Deleted)");
    client.command("EXPUNGE");
    let (output, told) = restore(&site, "INBOX", &["--force"]);
    assert_eq!((number(&told, "restored"), number(&told, "there")), (3, 2), "{output:?}");
    assert_eq!(number(&told, "unknown"), 0);
    assert_eq!(seen(client.list("INBOX")), was);
    site.poll();
    assert_eq!(site.stored().len(), 5, "what was put back is not archived again");

    // What the commands were, as the server heard them.
    let heard = relay.commands().split_off(before);
    let said = |words: &str| heard.iter().filter(|line| line.contains(words)).count();
    assert_eq!((said(" CREATE "), said(" SUBSCRIBE "), said(" APPEND ")), (1, 1, 5 + 1 + 3));
    for word in ["STORE", "EXPUNGE", "MOVE", "COPY", "CLOSE", "DELETE "] {
        let any = heard.iter().find(|line| {
            line.starts_with('R') && line.split(' ').skip(1).any(|w| w == word.trim())
        });
        assert_eq!(any, None, "{word}");
    }
    let audit = site.log();
    let restored: Vec<&Value> =
        audit.iter().filter(|record| record["code"] == "messages-restored").collect();
    assert!(!restored.is_empty());
}

#[test]
fn restore_that_is_killed_anywhere_is_gone_on_with_and_each_message_is_there_once() {
    let dovecot = Dovecot::start();
    let mut all = messages(3);
    // Two messages that nothing tells from each other are two, all the same.
    all.extend([sample("twin", 300), sample("twin", 300)]);
    for message in &all {
        dovecot.deliver("u1", message);
    }
    let site = site_at(dovecot.imap);
    let named = ["restore-send", "restore-answered"].map(str::to_owned);
    let stride: usize = std::env::var("POSTRIDER_STRIDE").map_or(23, |n| n.parse().unwrap());
    let numbered = (1..).step_by(stride).map(|step| step.to_string());
    for (n, step) in named.into_iter().chain(numbered).enumerate() {
        assert!(n < 200);
        let to = format!("Back{n}");
        let arguments = ["restore", "a", "--to-mailbox", &to, "--create"];
        let kill = format!("kill@{step}");
        let cut = site.cli_with(&[("POSTRIDER_STEP", &kill), ("POSTRIDER_BATCH", "2")], &arguments);
        let (output, told) = restore(&site, &to, &["--create"]);
        assert_eq!(output.code, 0, "{step}: {output:?}");
        let found = dovecot.imap_client("u1").list(&to);
        assert_eq!(bodies(&found), as_sent(&all), "{step}: {told}");
        if cut.code == 0 {
            assert!(n > 3, "{cut:?}");
            break;
        }
    }
}

/// A site behind a relay, with these messages in its archive.
fn behind(dovecot: &Dovecot, user: &str, all: &[Vec<u8>]) -> (Relay, Site) {
    for message in all {
        dovecot.deliver(user, message);
    }
    let relay = Relay::to(dovecot.imap);
    let lines = loopback_account("imap", "none", relay.port, user);
    let site = Site::new(&[("a", lines)]);
    site.poll();
    (relay, site)
}

#[test]
fn lost_connection_costs_no_message_and_doubles_none_with_and_without_uidplus() {
    // Two messages that nothing tells from each other are two, all the same.
    let mut all = vec![sample("twin", 300), sample("twin", 300)];
    all.extend(messages(4));
    let whole = Dovecot::start();
    let capability = Some("IMAP4rev1 LITERAL+");
    let poor = Dovecot::start_with(&Options { imap_capability: capability, ..Options::default() });
    // All before that one is on the server, and no answer has come; of that one there is a part.
    let cases = [(&whole, "u1", "0001"), (&poor, "u1", "0001"), (&poor, "u2", "0003")];
    in_parallel(&cases, |(dovecot, user, at)| {
        let (relay, site) = behind(dovecot, user, &all);
        let words = ["Subject: message 0001", "Subject: message 0003"];
        let words = words.into_iter().find(|words| words.ends_with(at)).unwrap();
        let selects = || relay.commands().iter().filter(|line| line.contains(" SELECT ")).count();
        let before = selects();
        relay.set_fault(When::ClientSays(words), Act::CutAnswer);
        let running = site.spawn(&["restore", "a", "--to-mailbox", "Back", "--create"]);
        // The first finds no mailbox, the second opens it, the third is that of a new session.
        wait_for("a new session", LIMIT, || (selects() >= before + 3).then_some(()));
        relay.heal();
        let output = running.wait(LIMIT);
        assert_eq!(output.code, 0, "{output:?}");
        let found = dovecot.imap_client(user).list("Back");
        assert_eq!(bodies(&found), as_sent(&all));
        assert_eq!(number(&restore(&site, "Back", &[]).1, "before"), 6);
    });
}

#[test]
fn what_one_message_is_refused_for_keeps_no_other_back_and_a_full_mailbox_ends_it() {
    let dovecot = Dovecot::start_with(&Options {
        imap_capability: Some("IMAP4rev1 LITERAL+ UIDPLUS APPENDLIMIT=50000"),
        more: "mail_plugins = $mail_plugins quota\nprotocol imap {\n mail_plugins = $mail_plugins \
               imap_quota\n}\nplugin {\n quota = maildir:User quota\n \
               quota_rule = *:storage=170K\n quota_grace = 0\n}\n",
        ..Options::default()
    });
    let mut all = vec![sample("too large", 60_000), sample("large", 30_000)];
    all.extend(messages(3));
    let (relay, site) = behind(&dovecot, "u1", &all);
    site.leave_unverified();
    let nul = site.path().join("nul.eml");
    std::fs::write(&nul, b"Subject: nul\r\n\r\n\0\r\n").unwrap();
    assert_eq!(site.cli(&["import", "a", nul.to_str().unwrap()]).code, 0);
    let stored = site.stored();
    let changed = &stored.iter().find(|one| one.text("subject") == "message 0001").unwrap().path;
    let file = site.root().join(changed).join("message.eml");
    let mut octets = std::fs::read(&file).unwrap();
    octets[5] ^= 1;
    std::fs::write(&file, octets).unwrap();
    let (output, told) = restore(&site, "Back", &["--create"]);
    assert_eq!((output.code, number(&told, "restored")), (3, 3), "{output:?}");
    let failed = told["failed"].as_array().unwrap();
    let why: Vec<&str> = failed.iter().map(|one| one["why"].as_str().unwrap()).collect();
    assert!(why.len() == 3 && why.iter().any(|why| why.contains("APPENDLIMIT")), "{why:?}");
    assert!(why.iter().any(|why| why.contains("NUL")), "{why:?}");
    assert!(why.iter().any(|why| why.contains("SHA-256")), "{why:?}");
    let heard = relay.commands();
    assert!(!heard.iter().any(|line| line.contains("too large")), "nothing of it was sent");

    let end = (0..6).map(|n| restore(&site, &format!("More{n}"), &["--create"]));
    let (output, told) = end.into_iter().find(|(output, _)| output.code != 3).unwrap();
    assert!(output.code == 1 && output.stderr.contains("no room left (quota)"), "{output:?}");
    assert!(told["error"].as_str().unwrap().contains("quota"), "{told}");
}

#[test]
fn what_cannot_be_asked_for_is_refused_before_any_login() {
    let dovecot = Dovecot::start();
    let site = Site::new(&[
        ("a", dovecot.account("imap", "tls", "u1") + "folders = [\"*\", \"!Kept\"]\n"),
        ("pop", dovecot.account("pop3", "tls", "u1")),
        ("b", dovecot.account("imap", "tls", "u2") + "enabled = false\n"),
    ]);
    for (arguments, code, words) in [
        (&["restore", "nobody", "--to-mailbox", "x"][..], 2, "no inbound account"),
        (&["restore", "pop", "--to-mailbox", "x"], 2, "POP3"),
        (&["restore", "a", "--to-mailbox", "Any"], 2, "is polled by `a`"),
        (&["restore", "a", "--to-mailbox", "inbox"], 2, "is polled by `a`, `pop`"),
        (&["restore", "b", "--to-mailbox", "INBOX"], 2, "is polled by `b`"),
        (&["restore", "a", "--to-mailbox", "Kept", "--where", "subjet = x"], 2, "subjet"),
        (&["restore", "a", "--to-mailbox", ""], 2, "empty"),
        (&["restore", "a"], 2, "--to-mailbox"),
    ] {
        let output = site.cli(arguments);
        assert!(output.code == code && output.stderr.contains(words), "{output:?}");
    }
    assert!(!dovecot.log().contains("Login:"), "{}", dovecot.log());
    let daemon = crate::control::daemon(&site);
    let output = site.cli(&["restore", "a", "--to-mailbox", "Kept"]);
    assert!(output.code == 75 && output.stderr.contains("--dry-run"), "{output:?}");
    let output = site.cli(&["restore", "a", "--to-mailbox", "Kept", "--create", "--dry-run"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(daemon.stop(LIMIT).code, 0);
}

/// Messages of an account on a server, whose last line no line end follows: it ends their APPEND.
fn scripted(capabilities: &str) -> (Server, Site, Vec<Vec<u8>>) {
    let capabilities = format!("IMAP4rev1 SASL-IR AUTH=PLAIN {capabilities}");
    let server = Server::start_as(Kind { capabilities: Some(capabilities), ..Kind::default() });
    let message = |n| format!("Subject: no {n}\r\n\r\ntext\r\nthe end of {n}").into_bytes();
    let all: Vec<Vec<u8>> = (1..=5).map(message).collect();
    for message in &all {
        server.store(|store| store.inbox().deliver(message.clone()));
    }
    let site = Site::new(&[("a", server.account("u1"))]);
    site.poll();
    (server, site, all)
}

fn held(server: &Server, mailbox: &str) -> Vec<Vec<u8>> {
    server.store(|store| {
        let found = store.mailboxes.get(mailbox).map(|mailbox| &mailbox.messages);
        let mut all: Vec<Vec<u8>> =
            found.into_iter().flatten().map(|(_, message)| message.octets.to_vec()).collect();
        all.sort();
        all
    })
}

#[test]
fn what_a_server_does_wrong_in_the_middle_costs_no_message_and_doubles_none() {
    // Stored, and the connection ends without a word of it; twice, by the one and by the next.
    let lost = |n: u32| Fault { done: true, ..Fault::on(&format!("end of {n}")).instead("") };
    let refused = |n, said: &str| Fault::on("APPEND").nth(n).instead(said);
    let cases: [(&str, Vec<Fault>, &str); 5] = [
        ("UIDPLUS", vec![lost(2).nth(1).then(Then::Close), lost(3).nth(1).then(Then::Reset)], ""),
        ("LITERAL+", vec![lost(2).nth(1).then(Then::Close)], ""),
        ("UIDPLUS", vec![refused(2, "{tag} NO [TRYCREATE] gone\r\n")], ""),
        // It has announced what it then doesn't know, and takes the lines for commands.
        ("LITERAL+", vec![refused(1, "{tag} BAD what\r\n").then(Then::Close)], ""),
        ("UIDPLUS", vec![refused(2, "{tag} NO [TOOBIG] no\r\n")], "refused"),
    ];
    in_parallel(&cases, |(capabilities, faults, words)| {
        let (server, site, mut all) = scripted(capabilities);
        for fault in faults {
            server.set_fault(fault.clone());
        }
        let (output, told) = restore(&site, "Back", &["--create"]);
        if words.is_empty() {
            assert_eq!(output.code, 0, "{output:?}");
            let heard = server.commands();
            let selects = heard.iter().filter(|line| line.starts_with("SELECT")).count();
            assert!(selects >= 2 + faults.len(), "each fault cost a session: {heard:?}");
        } else {
            // One message was refused for itself, and comes with the next run.
            assert_eq!(output.code, 3, "{output:?}");
            assert_eq!(told["failed"].as_array().unwrap().len(), 1, "{told}");
            assert_eq!(held(&server, "Back").len(), 4);
            server.heal();
            assert_eq!(number(&restore(&site, "Back", &[]).1, "restored"), 1);
        }
        all.sort();
        assert_eq!(held(&server, "Back"), all, "{told}");
        assert_eq!(number(&restore(&site, "Back", &[]).1, "before"), 5);
        let heard = server.commands();
        let words = ["STORE", "EXPUNGE", "CLOSE", "DELETE"];
        assert!(!heard.iter().any(|line| line.split(' ').any(|word| words.contains(&word))));
    });
}

/// Somebody starts the daemon again before the restore that was cut.
#[test]
fn poll_behind_a_restore_that_was_cut_stores_and_deletes_nothing_of_it() {
    let (dovecot, all) = (Dovecot::start(), messages(4));
    for message in &all {
        dovecot.deliver("u1", message);
    }
    let mut site = site_at(dovecot.imap);
    let lines = loopback_account("imap", "none", dovecot.imap, "u1");
    let account = lines + "poll_interval = \"1d\"\ndelete_read = true\n";
    site.account("a", &account);
    site.poll();
    assert!(dovecot.imap_client("u1").uids("INBOX").is_empty(), "deleted by the rule");
    let arguments = ["restore", "a", "--to-mailbox", "INBOX", "--force"];
    site.cli_with(&[("POSTRIDER_STEP", "kill@restore-answered")], &arguments);
    let back = dovecot.imap_client("u1").uids("INBOX").len();
    assert!(back > 0, "some octets went");
    site.poll();
    assert_eq!(dovecot.imap_client("u1").uids("INBOX").len(), back, "no rule deletes them");
    assert_eq!(site.stored().len(), 4);
    let (output, told) = restore(&site, "INBOX", &["--force"]);
    assert_eq!((output.code, number(&told, "before")), (0, back as u64), "{told}");
    assert_eq!(bodies(&dovecot.imap_client("u1").list("INBOX")), as_sent(&all), "each once");
    // Its keys change: what was deleted once and put back isn't deleted again.
    site.account("a", &account.replace("host = \"127.0.0.1\"", "host = \"localhost\""));
    (0..3).for_each(|_| drop(site.poll()));
    assert_eq!(dovecot.imap_client("u1").uids("INBOX").len(), 4);
    assert_eq!(site.stored().len(), 4);
}
