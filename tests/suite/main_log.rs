//! `postrider log` as a person uses it: conditions, saved ones, following, explaining.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Dovecot, Output, Site, loopback_account, sample, wait_for};

const SOON: Duration = Duration::from_secs(20);

/// A site whose one account finds nobody at its port, and the records of two polls of it.
fn unreachable() -> Site {
    let mut site = Site::new(&[("scans", loopback_account("imap", "none", 1, "u1"))]);
    site.set("log", "filters.trouble = 'level >= warning'\nfilters.none = 'code = no-such'\n");
    for _ in 0..2 {
        assert_eq!(site.cli(&["poll", "scans"]).code, 1);
    }
    site
}

fn json(output: &Output) -> Vec<Value> {
    assert_eq!(output.code, 0, "{output:?}");
    output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn conditions_filters_and_flags_select_the_same_records() {
    let site = unreachable();
    let of = |arguments: &[&str]| json(&site.cli(&[&["log", "--json"], arguments].concat()));
    let all = of(&[]);
    let failed = of(&["--code", "connect-failed"]);
    assert!(failed.len() == 2 && failed.len() < all.len(), "{all:?}");
    let record = &failed[0];
    assert_eq!((&record["account"], &record["username"]), (&"scans".into(), &"u1".into()));
    assert_eq!((&record["created_by"], &record["created_uid"]), (&"root".into(), &0.into()));
    for same in [
        &["--where", "code = connect-failed"][..],
        &["scans", "--where", "source = email-logger and level = error and code ~ ^connect"],
        &["--filter", "trouble", "--where", "code in (connect-failed, tls-expired)"],
        &[
            "--account",
            "scans",
            "--where",
            "username = u1 and created_by = root",
            "--level",
            "error",
        ],
        &["--source", "IMAP Auth", "--since", "1h", "--where", "not code != connect-failed"],
        &["--where", "created_at > 1h and run is not null and code = connect-failed"],
    ] {
        assert_eq!(of(same), failed, "{same:?}");
    }
    assert_eq!(of(&["--filter", "none"]), [Value::Null; 0]);
    assert_eq!(of(&["--code", "connect-failed", "-n", "1"]), failed[1..]);
    let other = site.cli(&["log", "scan"]);
    assert!(other.code == 0 && other.stderr.contains("did you mean `scans`?"), "{other:?}");
    let columns = site.cli(&["log", "-n1", "--columns", "username,created_by,level"]);
    assert_eq!(columns.stdout, "u1  root  error\n", "{columns:?}");
}

#[test]
fn a_record_is_shown_by_its_number_with_cause_and_remedy() {
    let site = unreachable();
    let failed = &json(&site.cli(&["log", "--json", "--code", "connect-failed"]))[0];
    let id = failed["id"].to_string();
    for number in [id.clone(), format!("#{id}")] {
        let shown = site.cli(&["log", "show", &number]);
        assert_eq!(shown.code, 0, "{shown:?}");
        for word in ["u1", "root (user id 0)", "No TCP connection", "Check `host` and `port`"] {
            assert!(shown.stdout.contains(word), "{word}: {}", shown.stdout);
        }
    }
    let whole = &json(&site.cli(&["log", "show", &id, "--json"]))[0];
    assert_eq!((&whole["message"], &whole["run"]), (&failed["message"], &failed["run"]));
    assert!(whole["remedy"].as_str().unwrap().contains("firewalls"));
    let none = site.cli(&["log", "show", "987654"]);
    assert!(none.code == 1 && none.stderr.contains("no record 987654"), "{none:?}");
}

#[test]
fn saved_filters_are_checked_when_the_config_is_read() {
    let mut site = Site::empty();
    site.account("a", &loopback_account("imap", "none", 1, "u1"));
    site.set(
        "log",
        "filters.good = 'level = error'\nfilters.bad = \"source = imapauth and level = error\"\n",
    );
    let refused = site.cli(&["check"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    let text = std::fs::read_to_string(site.config()).unwrap();
    let line = text.lines().position(|line| line.starts_with("filters.bad")).unwrap() + 1;
    let at = format!("postrider.toml:{line}:25\n  in: log.filters\n");
    for said in [
        "unknown source `imapauth` in filter `bad`\n  source = imapauth and level = error\n  \
         \u{20}        ^^^^^^^^\n",
        &at,
        "did you mean `imap-auth`?",
    ] {
        let all = refused.stdout.clone() + &refused.stderr;
        assert!(all.contains(said), "{said:?} in {all}");
    }
    assert_eq!(site.cli(&["log", "filters"]).code, 2);
    site.set("log", "filters.good = 'level = error'\n");
    assert_eq!(site.cli(&["log", "filters"]).stdout, "good  level = error\n");
    let listed = json(&site.cli(&["log", "filters", "--json"]));
    assert_eq!(listed, [serde_json::json!({"name": "good", "condition": "level = error"})]);
}

#[test]
fn help_and_mistakes_read_like_this() {
    let mut site = Site::empty();
    site.account("scans", &loopback_account("imap", "none", 1, "u1"));
    site.set("log", "filters.imap_failures = 'source = imap-auth and level = error'\n");
    let mut said = String::new();
    for arguments in [
        &["log", "--help"][..],
        &["log", "show", "--help"],
        &["log", "explain", "--help"],
        &["log", "filters", "--help"],
        &["log", "explain", "tls-expired"],
        &["log", "explain", "tls-expire"],
        &["log", "explain", "zebra"],
        &["log", "show", "x"],
        &["log", "--where", "source = imapauth and level = error"],
        &["log", "--where", "level ="],
        &["log", "--filter", "imap_failure"],
        &["log", "--filter", "zebra"],
        &["log", "--level", "eror"],
        &["log", "--source", "imapauth"],
        &["log", "--since", "soon"],
        &["log", "--follow", "--until", "now"],
        &["log", "--columns", "massage"],
    ] {
        let output = site.cli(arguments);
        let is_help = arguments.contains(&"--help");
        assert_eq!(output.code == 0, is_help || arguments[2] == "tls-expired", "{output:?}");
        assert!(is_help || output.code == 0 || output.code == 2, "{output:?}");
        let words = arguments.join(" ");
        writeln!(said, "$ postrider {words}\n{}{}", output.stdout, output.stderr).unwrap();
    }
    insta::assert_snapshot!(said);
}

/// `log --follow` with its lines as they come.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    fn start(site: &Site, arguments: &[&str]) -> Self {
        let mut command = site.command(&[&["log", "--follow"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (send, lines) = channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                if send.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits for a line with this code; what comes before is skipped.
    fn code(&self, code: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(SOON).unwrap_or_else(|e| panic!("{code}: {e}"));
            let record: Value = serde_json::from_str(&line).unwrap();
            if record["code"] == code {
                return record;
            }
        }
    }

    fn cpu(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields = stat.rsplit_once(") ").unwrap().1.split(' ');
        fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap() * 10).sum()
    }

    fn end(mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        wait_for("the end", SOON, || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn following_goes_on_while_daemons_come_and_go() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("one", 100));
    let account = dovecot.account("imap", "tls", "u1") + "poll_interval = \"1s\"\n";
    let site = Site::new(&[("a", account)]);
    // Before there is a log.
    let follower = Follower::start(&site, &["--json"]);
    for _ in 0..2 {
        let daemon = site.spawn(&["run"]);
        let started = follower.code("daemon-started");
        assert_eq!(started["created_by"], "system");
        assert_eq!(daemon.stop(SOON).code, 0);
        follower.code("daemon-stopped");
    }
    assert_eq!(follower.end(Signal::INT), Some(0));
    let idle = Follower::start(&site, &["--json", "-n", "1"]);
    idle.code("daemon-stopped");
    let before = idle.cpu();
    std::thread::sleep(Duration::from_secs(3));
    assert!(idle.cpu() - before <= 60, "{} ms of 3 s", idle.cpu() - before);
    assert_eq!(idle.end(Signal::TERM), Some(0));
}

#[test]
fn following_ends_when_nobody_reads() {
    let site = unreachable();
    let mut command = site.command(&["log", "--follow", "--json", "-n", "1"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert!(line.contains("\"id\""), "{line}");
    drop(stdout);
    let status = wait_for("the end", SOON, || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn size_of_a_log_is_unlimited_or_not_too_small() {
    let mut site = Site::new(&[("a", loopback_account("imap", "none", 1, "u1"))]);
    site.set("log", "max_size = \"1MiB\"\n");
    let refused = site.cli(&["check"]);
    assert!(refused.code == 2 && refused.stdout.contains("16MiB"), "{refused:?}");
    site.set("log", "max_size = \"unlimited\"\nkeep = \"1h\"\n");
    assert_eq!(site.cli(&["check"]).code, 0);
}
