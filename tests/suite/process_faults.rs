//! Signals, closed outputs, a deaf service manager, panics, and readers of a tree that grows.

use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::crash::walk;
use crate::support::{
    Dovecot, Options, Site, as_sent, crlf, messages, sample, stored_octets, wait_for,
};

const SOON: Duration = Duration::from_secs(30);
const RULES: &str = "delete_read = true\ndelete_after_days = 0\npoll_interval = \"1s\"\n";

/// An account of `u1` that is polled each second, its mail deleted at once.
fn site(dovecot: &Dovecot) -> Site {
    Site::new(&[("a", dovecot.account("imap", "none", "u1") + RULES)])
}

fn wait_for_stored(site: &Site, count: usize) {
    wait_for(&format!("{count} messages"), SOON, || (site.stored().len() == count).then_some(()));
}

#[test]
fn d19_signals_end_stop_or_wake_the_daemon_and_lose_nothing() {
    let dovecot = Dovecot::start();
    let site = site(&dovecot);
    let messages = messages(50);
    let mut sent = messages.chunks(10);
    let mut deliver = || sent.next().unwrap().iter().for_each(|m| dovecot.deliver("u1", m));
    let starts = || site.log().iter().filter(|r| r["code"] == "daemon-started").count();
    for (n, (first, second, code)) in
        [(Signal::INT, None, 0), (Signal::TERM, Some(Signal::TERM), 0), (Signal::USR1, None, -1)]
            .into_iter()
            .enumerate()
    {
        deliver();
        let daemon = site.spawn(&["run"]);
        wait_for("a start", SOON, || (starts() > n).then_some(()));
        daemon.signal(first);
        if let Some(second) = second {
            daemon.signal(second);
        }
        let output = daemon.wait(Duration::from_secs(10));
        assert_eq!(output.code, code, "{first:?}: {output:?}");
    }
    // It sleeps so long that the server has given up on it, and goes on.
    let daemon = site.spawn(&["run"]);
    wait_for_stored(&site, 30);
    for signal in [Signal::PIPE, Signal::STOP] {
        daemon.signal(signal);
    }
    deliver();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(site.stored().len(), 30, "it was stopped");
    daemon.signal(Signal::CONT);
    wait_for_stored(&site, 40);
    deliver();
    wait_for_stored(&site, 50);
    assert_eq!(daemon.stop(SOON).code, 0);
    site.poll();
    assert_eq!(stored_octets(&site), as_sent(&messages));
    assert!(dovecot.imap_client("u1").uids("INBOX").is_empty());
}

#[test]
fn d20_closed_and_full_outputs_hold_up_nothing() {
    let dovecot = Dovecot::start();
    let site = site(&dovecot);
    let mut sent = Vec::new();
    for line in [
        "exec \"$@\" >&- 2>&-",
        "exec \"$@\" </dev/null >/dev/full 2>/dev/full",
        "\"$@\" 2>&1 | true",
        "exec \"$@\" <&- >&- 2>&-",
    ] {
        sent.push(sample(line, 1_000));
        dovecot.deliver("u1", sent.last().unwrap());
        let output = site.cli_below(&["sh", "-c", line, "sh"], &["poll", "a"]);
        assert!([0, 1].contains(&output.code), "{line}: {output:?}");
        assert_eq!(stored_octets(&site), as_sent(&sent), "{line}");
        // The daemon logs to standard error at debug: each line of it meets the closed end.
        sent.push(sample(&format!("daemon {line}"), 1_000));
        dovecot.deliver("u1", sent.last().unwrap());
        let limited = format!("{}; exit 0", line.replace("exec \"$@\"", "timeout 3 \"$@\""));
        let output = site.cli_below(
            &["sh", "-c", &limited.replace("\"$@\" 2>&1 |", "timeout 3 \"$@\" 2>&1 |"), "sh"],
            &["run"],
        );
        assert_eq!(output.code, 0, "{line}: {output:?}");
        assert_eq!(stored_octets(&site), as_sent(&sent), "{line}");
    }
    assert!(!site.log().iter().any(|r| r["message"].to_string().contains("panic")));
}

/// The notifications of a daemon, read as systemd would.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &std::path::Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        Self(socket)
    }

    /// How often the word was said in a time.
    fn hears(&self, word: &str, time: Duration) -> usize {
        let end = Instant::now() + time;
        let (mut count, mut buffer) = (0, [0; 4096]);
        while Instant::now() < end {
            if let Ok(read) = self.0.recv(&mut buffer) {
                count += usize::from(String::from_utf8_lossy(&buffer[..read]).contains(word));
            }
        }
        count
    }
}

#[test]
fn d21_watchdog_is_fed_only_while_the_ledger_answers_and_a_deaf_manager_is_no_harm() {
    let dovecot = Dovecot::start();
    let site = site(&dovecot);
    let socket = site.path().join("notify");
    let manager = Manager::at(&socket);
    let told = [("NOTIFY_SOCKET", socket.to_str().unwrap()), ("WATCHDOG_USEC", "600000")];
    let daemon = site.spawn_with(&told, &["run"]);
    assert!(manager.hears("WATCHDOG=1", Duration::from_secs(3)) >= 5);
    // Another process holds the ledger: nothing can be recorded.
    let lock = rusqlite::Connection::open(site.state().join("ledger.db")).unwrap();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    dovecot.deliver("u1", &sample("one", 1_000));
    manager.hears("WATCHDOG=1", Duration::from_secs(3));
    assert_eq!(manager.hears("WATCHDOG=1", Duration::from_secs(2)), 0, "fed though it is stuck");
    drop(lock);
    wait_for_stored(&site, 1);
    assert_eq!(daemon.stop(SOON).code, 0);
    for deaf in ["/nowhere/notify", "@nobody-listens", "", "relative"] {
        dovecot.deliver("u1", &sample(deaf, 1_000));
        let daemon = site.spawn_with(&[("NOTIFY_SOCKET", deaf)], &["run"]);
        wait_for("a message", SOON, || {
            site.stored().iter().any(|stored| stored.text("subject") == deaf).then_some(())
        });
        assert_eq!(daemon.stop(SOON).code, 0, "{deaf}");
    }
}

#[test]
fn d24_panic_at_any_step_ends_the_daemon_or_is_survived_and_never_half_of_it() {
    let dovecot = Dovecot::start_with(&Options { users: 200, ..Options::default() });
    let messages = messages(3);
    let (ended, survived) = (AtomicBool::new(false), AtomicBool::new(false));
    walk(9, |step| {
        let user = format!("u{step}");
        for message in &messages {
            dovecot.deliver(&user, message);
        }
        let account = dovecot.account("imap", "none", &user) + RULES;
        let site = Site::new(&[("a", account)]);
        let order = format!("panic@{step}");
        let mut daemon = site.spawn_with(&[("POSTRIDER_STEP", &order)], &["run"]);
        let gone = || dovecot.imap_client(&user).uids("INBOX").is_empty();
        // A task that died is started again after a minute: what the daemon can't do is wait
        // without saying so.
        let died = || site.log().iter().any(|record| record["code"] == "account-task-died");
        let alive = wait_for(&order, SOON, || {
            if !daemon.is_running() {
                return Some(false);
            }
            (gone() || died()).then_some(true)
        });
        survived.fetch_or(alive, Ordering::SeqCst);
        ended.fetch_or(!alive, Ordering::SeqCst);
        if alive {
            daemon.kill();
        } else {
            let output = daemon.wait(SOON);
            assert!(output.code > 0, "{order}: {output:?}");
        }
        for _ in 0..2 {
            site.poll();
        }
        assert_eq!(stored_octets(&site), as_sent(&messages), "{order}");
        assert!(gone(), "{order}");
        step < 100
    });
    assert!(ended.into_inner() && survived.into_inner());
}

#[test]
fn d27_reader_of_the_tree_never_sees_a_folder_that_is_not_whole() {
    let dovecot = Dovecot::start();
    let mails: Vec<Vec<u8>> = messages(300);
    for mail in &mails {
        dovecot.deliver("u1", mail);
    }
    let mut site = site(&dovecot);
    site.environment("POSTRIDER_BATCH", "10");
    let mut poll = site.spawn(&["poll", "a"]);
    let (mut looks, mut partly) = (0, 0);
    while poll.is_running() {
        // Panics when a folder isn't whole.
        let seen = site.stored();
        looks += 1;
        partly += usize::from(!seen.is_empty() && seen.len() < mails.len());
        assert!(seen.iter().all(|s| mails.iter().any(|m| s.eml.len() == crlf(m).len())));
    }
    assert_eq!(poll.wait(SOON).code, 0);
    eprintln!("{looks} looks, {partly} at a tree that was growing");
    assert!(partly > 0, "{looks} looks");
    assert_eq!(stored_octets(&site), as_sent(&mails));
}
