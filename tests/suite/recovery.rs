//! A ledger that is lost, damaged, old or another's, a tree that was touched: what is said, what
//! mends it, and that nothing comes twice or goes too early meanwhile.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::server::{Protocol, Server, Store};
use crate::support::{
    Dovecot, Output, Relay, Site, as_sent, loopback_account, messages, sample, stored_octets,
    wait_for,
};

const DELETE: &str = "delete_read = true\ndelete_after_days = 0\n";

/// A server with these messages for `u1`, and a site that has them, through a relay.
struct Case {
    dovecot: Dovecot,
    relay: Relay,
    site: Site,
    protocol: &'static str,
    messages: Vec<Vec<u8>>,
}

impl Case {
    fn new(protocol: &'static str, count: usize) -> Self {
        let dovecot = Dovecot::start();
        let messages = messages(count);
        for message in &messages {
            dovecot.deliver("u1", message);
        }
        let relay = Relay::to(if protocol == "imap" { dovecot.imap } else { dovecot.pop3 });
        let site = Site::new(&[("a", loopback_account(protocol, "none", relay.port, "u1"))]);
        site.poll();
        assert_eq!(site.stored().len(), count);
        Self { dovecot, relay, site, protocol, messages }
    }

    fn deliver(&mut self, subject: &str) {
        let message = sample(subject, 700);
        self.dovecot.deliver("u1", &message);
        self.messages.push(message);
    }

    /// Messages that the server was asked to send or to delete.
    fn commands(&self, words: &[&str]) -> Vec<String> {
        let said = self.relay.commands().into_iter();
        said.filter(|line| words.iter().any(|word| line.to_uppercase().contains(word))).collect()
    }

    fn on_server(&self) -> usize {
        self.dovecot.imap_client("u1").uids("INBOX").len()
    }

    /// Nothing is stored again; what is due goes, once the server has shown it. Of a maildrop each
    /// message is asked for once more: nothing less proves what a unique-id means.
    fn goes_on(&mut self) {
        let more = if self.protocol == "pop3" { self.messages.len() } else { 0 };
        let asked = self.commands(&["BODY", "RETR"]).len();
        let is_asked_once = |case: &Self| {
            let now = case.commands(&["BODY", "RETR"]).len();
            assert!(now - asked <= more, "{}: {now}, {asked}", case.protocol);
        };
        self.site.poll();
        is_asked_once(self);
        assert_eq!(stored_octets(&self.site), as_sent(&self.messages), "{}", self.protocol);
        assert_eq!(self.on_server(), self.messages.len(), "{}", self.protocol);
        let account = loopback_account(self.protocol, "none", self.relay.port, "u1") + DELETE;
        self.site.account("a", &account);
        for _ in 0..2 {
            self.site.poll();
        }
        assert_eq!(self.on_server(), 0, "{}", self.protocol);
        is_asked_once(self);
        assert_eq!(stored_octets(&self.site), as_sent(&self.messages), "{}", self.protocol);
    }
}

/// Refused with 78, and this command is named; the server isn't even asked.
fn refused(site: &Site, code: &str, command: &str) {
    for verb in ["poll", "run", "verify"] {
        let output = site.cli(&[verb]);
        assert_eq!(output.code, 78, "{code}: {verb}: {output:?}");
        assert!(output.stderr.contains("hint: "), "{code}: {output:?}");
        assert!(output.stderr.contains(command), "{code}: {verb}: {output:?}");
    }
}

fn done(output: &Output) {
    assert_eq!(output.code, 0, "{output:?}");
}

pub fn remove_ledger(site: &Site) {
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(site.state().join(format!("ledger.db{suffix}"))).ok();
    }
}

pub fn copy_ledger(from: &Path, to: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let name = format!("ledger.db{suffix}");
        fs::remove_file(to.join(&name)).ok();
        if from.join(&name).exists() {
            fs::copy(from.join(&name), to.join(&name)).unwrap();
        }
    }
}

/// Whether nothing lies beside the ledger.
fn is_one_file(site: &Site) -> bool {
    ["-wal", "-shm"].iter().all(|suffix| !site.state().join(format!("ledger.db{suffix}")).exists())
}

/// Ledgers in the state folder whose names begin so.
fn kept(site: &Site, prefix: &str) -> Vec<String> {
    let names = fs::read_dir(site.state()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let beside = |name: &String| name.ends_with("-wal") || name.ends_with("-shm");
    names.filter(|name| name.starts_with(prefix)).filter(|name| !beside(name)).collect()
}

#[test]
fn d12_promise_p15_lost_ledger_is_made_anew_and_nothing_comes_twice_or_goes_unproven() {
    for protocol in ["imap", "pop3"] {
        let mut case = Case::new(protocol, 5);
        assert!(is_one_file(&case.site), "a clean exit leaves one file");
        remove_ledger(&case.site);
        refused(&case.site, "ledger-missing", "postrider ledger rebuild");
        let dry = case.site.cli(&["ledger", "rebuild", "--dry-run"]);
        assert!(dry.code == 0 && dry.stdout.contains("5 messages would be"), "{dry:?}");
        assert!(!case.site.state().join("ledger.db").exists());
        let rebuilt = case.site.cli(&["ledger", "rebuild"]);
        assert!(rebuilt.code == 0 && rebuilt.stdout.contains("a  5 messages"), "{rebuilt:?}");
        case.site.verify();
        case.goes_on();
    }
}

#[test]
fn d12_d13_message_that_got_a_known_unique_id_meanwhile_is_stored_before_it_is_deleted() {
    for (verb, delete) in [("rebuild", true), ("rebuild", false), ("reconcile", true)] {
        let server = Server::start(Protocol::Pop3);
        for subject in ["one", "two", "three"] {
            server.deliver(&sample(subject, 700));
        }
        // Two share a unique-id.
        let name = |store: &mut Store| {
            let name = store.inbox().messages[&2].unique_id.clone();
            store.inbox().messages.get_mut(&3).unwrap().unique_id = name;
        };
        server.store(name);
        let lines = server.account("u1");
        let mut site = Site::new(&[("a", lines.clone())]);
        site.poll();
        if verb == "rebuild" {
            remove_ledger(&site);
        }
        done(&site.cli(&["ledger", verb]));
        server.store(|store| {
            let first = store.inbox().messages.get_mut(&1).unwrap();
            let text = String::from_utf8_lossy(&first.octets).replace("one", "new");
            first.octets = std::sync::Arc::new(text.into_bytes());
        });
        if delete {
            site.account("a", &(lines + DELETE));
        }
        for _ in 0..3 {
            site.poll();
        }
        assert_eq!(site.stored().len(), 4, "{verb} {delete}");
        assert_eq!(server.store(|store| store.remaining()), if delete { 2 } else { 3 });
        let retr = server.commands().iter().filter(|line| line.contains("RETR")).count();
        // After a reconcile the ledger still knows the header sections of the others.
        assert_eq!(retr, if verb == "rebuild" { 6 } else { 4 }, "{verb} {delete}");
    }
}

#[test]
fn d12_empty_and_garbage_ledgers_are_refused_and_kept_aside_by_the_rebuild() {
    let garbage: &[(&str, &[u8])] = &[("missing", b""), ("corrupt", b"not a database at all\n")];
    for (word, octets) in garbage {
        let mut case = Case::new("imap", 3);
        remove_ledger(&case.site);
        fs::write(case.site.state().join("ledger.db"), octets).unwrap();
        refused(&case.site, word, "postrider ledger rebuild");
        assert_eq!(fs::read(case.site.state().join("ledger.db")).unwrap(), *octets);
        done(&case.site.cli(&["ledger", "rebuild"]));
        let aside = if *word == "corrupt" { "ledger.db.corrupt-" } else { "ledger.db.replaced-" };
        assert_eq!(kept(&case.site, aside).len(), 1);
        case.goes_on();
    }
}

#[test]
fn d12_pages_that_are_garbage_after_a_crash_are_found_before_anything_is_deleted() {
    let mut case = Case::new("imap", 40);
    case.site.spawn(&["run"]).kill();
    let daemon = case.site.spawn(&["run"]);
    let lock = case.site.state().join("lock");
    wait_for("the lock", Duration::from_secs(10), || fs::read_to_string(&lock).ok());
    std::thread::sleep(Duration::from_secs(1));
    daemon.kill();
    let path = case.site.state().join("ledger.db");
    let mut octets = fs::read(&path).unwrap();
    let len = octets.len();
    for octet in &mut octets[4096..len.min(15 * 4096)] {
        *octet = 0xA5;
    }
    fs::write(&path, octets).unwrap();
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(case.site.state().join(format!("ledger.db{suffix}"))).ok();
    }
    for verb in ["poll", "run"] {
        let output = case.site.cli(&[verb]);
        assert_eq!(output.code, 78, "{verb}: {output:?}");
    }
    assert_eq!(case.on_server(), 40);
    done(&case.site.cli(&["ledger", "rebuild"]));
    case.goes_on();
}

#[test]
fn d12_write_ahead_log_or_index_that_was_removed_leads_to_no_double() {
    for (n, suffix) in ["-wal", "-shm"].into_iter().enumerate() {
        let mut case = Case::new(["imap", "pop3"][n], 4);
        let mut killed = false;
        for step in 1..60 {
            case.deliver(&format!("more {step}"));
            let order = format!("kill@{}", step * 3);
            let poll = case.site.cli_with(&[("POSTRIDER_STEP", order.as_str())], &["poll"]);
            let file = case.site.state().join(format!("ledger.db{suffix}"));
            killed |= poll.code == -1 && fs::remove_file(file).is_ok();
            if poll.code != -1 {
                break;
            }
            if case.site.cli(&["poll"]).code == 78 {
                done(&case.site.cli(&["ledger", "reconcile"]));
                case.site.poll();
            }
        }
        assert!(killed, "{suffix}");
        case.goes_on();
    }
}

#[test]
fn d12_locked_ledger_delays_a_poll_and_loses_nothing() {
    let mut case = Case::new("imap", 2);
    case.deliver("more");
    let db = rusqlite::Connection::open(case.site.state().join("ledger.db")).unwrap();
    db.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let output = case.site.cli(&["poll"]);
    assert!([1, 3].contains(&output.code), "{output:?}");
    assert_eq!(case.site.stored().len(), 2);
    db.execute_batch("COMMIT").unwrap();
    drop(db);
    case.site.poll();
    case.goes_on();
}

#[test]
fn d13_ledger_restored_from_an_old_copy_is_refused_and_reconciled() {
    for protocol in ["imap", "pop3"] {
        let mut case = Case::new(protocol, 4);
        let old = case.site.path().join("old");
        fs::create_dir(&old).unwrap();
        copy_ledger(&case.site.state(), &old);
        case.deliver("since then");
        case.site.poll();
        copy_ledger(&old, &case.site.state());
        refused(&case.site, "ledger-older", "postrider ledger reconcile");
        let refuses = case.site.cli(&["ledger", "rebuild"]);
        assert_eq!(refuses.code, 78, "it can be read: {refuses:?}");
        let reconciled = case.site.cli(&["ledger", "reconcile"]);
        done(&reconciled);
        assert!(reconciled.stdout.contains("1 message taken"), "{reconciled:?}");
        assert!(reconciled.stdout.contains("4 known"), "{reconciled:?}");
        case.site.verify();
        case.goes_on();
    }
}

#[test]
fn d13_ledger_of_another_host_is_refused_until_a_person_insists() {
    let mut case = Case::new("imap", 3);
    let other = Case::new("imap", 1);
    copy_ledger(&other.site.state(), &case.site.state());
    refused(&case.site, "ledger-foreign", "postrider ledger rebuild --yes");
    for verb in ["rebuild", "reconcile"] {
        let output = case.site.cli(&["ledger", verb]);
        assert_eq!(output.code, 78, "{verb}: {output:?}");
    }
    done(&case.site.cli(&["ledger", "rebuild", "--yes"]));
    assert_eq!(kept(&case.site, "ledger.db.replaced-").len(), 1);
    case.goes_on();
}

#[test]
fn d12_rebuild_that_is_killed_at_any_step_goes_on() {
    let mut case = Case::new("imap", 3);
    let mut steps = 0;
    for step in 1..40 {
        let order = format!("kill@{step}");
        let arguments = ["ledger", "rebuild", "--yes"];
        let killed = case.site.cli_with(&[("POSTRIDER_STEP", order.as_str())], &arguments);
        if killed.code == 0 {
            break;
        }
        assert_eq!(killed.code, -1, "{order}: {killed:?}");
        steps = step;
        let poll = case.site.cli(&["poll"]);
        assert!([0, 78].contains(&poll.code), "{order}: {poll:?}");
        if poll.code == 78 {
            assert!(poll.stderr.contains("postrider ledger rebuild"), "{order}: {poll:?}");
            done(&case.site.cli(&arguments));
            case.site.poll();
        }
        assert_eq!(stored_octets(&case.site), as_sent(&case.messages), "{order}");
    }
    assert!(steps >= 6, "{steps} steps");
    case.goes_on();
}

#[test]
fn d12_ledger_commands_wait_for_nobody_and_refuse_beside_a_daemon() {
    let case = Case::new("imap", 1);
    let daemon = case.site.spawn(&["run"]);
    let pid = || case.site.status()["daemon"].as_u64();
    wait_for("the lock", Duration::from_secs(10), pid);
    for verb in ["rebuild", "reconcile"] {
        assert_eq!(case.site.cli(&["ledger", verb]).code, 75);
    }
    done(&daemon.stop(Duration::from_secs(30)));
    let needless = case.site.cli(&["ledger", "rebuild"]);
    assert_eq!(needless.code, 1, "{needless:?}");
    assert!(needless.stderr.contains("--yes"), "{needless:?}");
}

#[test]
fn d12_folders_that_prove_nothing_are_skipped_with_a_reason() {
    let case = Case::new("imap", 6);
    case.site.leave_unverified();
    let stored = case.site.stored();
    let folder = |n: usize| case.site.root().join(&stored[n].path);
    let edit = |n: usize, from: &str, to: &str| {
        let path = folder(n).join("message.json");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    };
    edit(0, "\"account\": \"a\"", "\"account\": \"../../etc\"");
    edit(1, "\"uid\": ", "\"uid\": 4");
    fs::write(folder(2).join("message.eml"), "other octets").unwrap();
    fs::write(folder(3).join("message.json"), "{").unwrap();
    let (from, to) = (folder(4), folder(4).with_file_name("000000-aaaaaaaaaaaaaaaa"));
    fs::rename(from, to).unwrap();
    remove_ledger(&case.site);
    let output = case.site.cli(&["--json", "ledger", "rebuild"]);
    done(&output);
    let said: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((&said["messages"], &said["skipped_count"]), (&1.into(), &5.into()), "{said}");
    assert!(said["skipped"][0]["why"].is_string(), "{said}");
    let poll = case.site.cli(&["poll"]);
    assert_eq!(poll.code, 0, "{poll:?}");
}

#[test]
fn d14_daemon_copies_its_ledger_and_leaves_one_file_when_it_ends() {
    let mut case = Case::new("imap", 2);
    let daemon = case.site.spawn(&["run"]);
    let backup = || case.site.status()["ledger"]["last_backup"].as_str().map(str::to_owned);
    let name = wait_for("a backup", Duration::from_secs(20), backup);
    done(&daemon.stop(Duration::from_secs(30)));
    assert!(is_one_file(&case.site));
    let copy = case.site.state().join("backup").join(name);
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    // Put back, it is known as a copy, though nothing was started since.
    case.deliver("since then");
    case.site.poll();
    fs::copy(copy, case.site.state().join("ledger.db")).unwrap();
    refused(&case.site, "ledger-older", "postrider ledger reconcile");
    done(&case.site.cli(&["ledger", "reconcile"]));
    case.goes_on();
}
