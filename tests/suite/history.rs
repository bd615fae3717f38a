//! Each start, reload and change of the configuration is recorded: who, when, and what it changed.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::control;
use crate::support::{Dovecot, Site, wait_for};

fn history(site: &Site) -> Vec<Value> {
    let output = site.cli(&["config", "history", "--json"]);
    assert_eq!(output.code, 0, "{output:?}");
    let all: Value = serde_json::from_str(&output.stdout).unwrap();
    all["history"].as_array().unwrap().clone()
}

fn acts(site: &Site) -> Vec<String> {
    history(site).iter().map(|row| row["act"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn starts_reloads_and_imports_are_recorded_with_what_they_changed() {
    let dovecot = Dovecot::start();
    let account = dovecot.account("imap", "tls", "u1");
    let mut site = Site::new(&[("a", account.clone())]);
    assert!(history(&site).is_empty());
    site.poll();
    site.poll();
    assert_eq!(acts(&site), ["command"]);
    site.account("a", &format!("{account}\nbatch_max = 7"));
    let diff = site.cli(&["config", "diff"]);
    assert_eq!(diff.stdout, "inbound.a\n  batch_max: - -> 7\n");
    let daemon = site.spawn(&["run"]);
    wait_for("the start", Duration::from_secs(20), || (acts(&site).len() == 2).then_some(()));
    let bundle = site.path().join("bundle.toml");
    let other = account.replace("secret-u1", "another-one");
    fs::write(&bundle, format!("[inbound.a]\n{other}\nbatch_max = 8\n")).unwrap();
    let done = site.cli(&["config", "import", bundle.to_str().unwrap()]);
    assert_eq!(done.code, 0, "{done:?}");
    let waiting = site.cli(&["config", "history"]);
    assert!(waiting.stdout.contains("waits for the daemon"), "{waiting:?}");
    daemon.signal(Signal::HUP);
    wait_for("the reload", Duration::from_secs(20), || (acts(&site).len() == 4).then_some(()));
    assert_eq!(daemon.stop(Duration::from_secs(20)).code, 0);
    let rows = history(&site);
    assert_eq!(acts(&site), ["command", "start", "import", "reload"]);
    let keys = |row: &Value| -> Vec<String> {
        let changes = row["changes"].as_array().unwrap().iter();
        changes.map(|change| change["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys(&rows[1]), ["batch_max"]);
    assert_eq!(keys(&rows[2]), ["batch_max", "password"]);
    assert!(keys(&rows[3]).is_empty());
    assert!(rows[2]["actor"].as_str().unwrap().contains("uid"), "{rows:?}");
    assert!(rows[1]["actor"].as_str().unwrap().contains("daemon"), "{rows:?}");
    // Neither password is anywhere in what was recorded.
    for file in fs::read_dir(site.state()).unwrap() {
        let path = file.unwrap().path();
        let octets = if path.is_file() { fs::read(path).unwrap() } else { continue };
        for word in [&b"secret-u1"[..], b"another-one"] {
            assert!(!octets.windows(word.len()).any(|part| part == word));
        }
    }
    let diff = site.cli(&["config", "diff", "1", "4", "--json"]);
    let diff: Vec<Value> = serde_json::from_str(&diff.stdout).unwrap();
    assert_eq!(diff.len(), 2, "{diff:?}");
    assert!(diff[1]["to"].as_str().unwrap().starts_with("(text, mark"), "{diff:?}");
    assert_eq!(site.cli(&["config", "diff"]).stdout, "no difference\n");
    assert_eq!(site.cli(&["config", "diff", "99"]).code, 1);
    assert_eq!(site.cli(&["config", "diff", "x"]).code, 2);
}

/// The records of a code, as (who, what).
fn told(site: &Site, code: &str) -> Vec<(String, String)> {
    let records = site.log().into_iter().filter(|record| record["code"] == code);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all: Vec<Value> = records.collect();
    assert!(all.iter().all(|record| record["created_uid"] == 0), "{all:?}");
    all.iter().map(|record| (text(&record["created_by"]), text(&record["message"]))).collect()
}

#[test]
fn who_changed_what_by_which_command_is_in_the_log() {
    let dovecot = Dovecot::start();
    let site = Site::new(&[("a", dovecot.account("imap", "tls", "u1"))]);
    site.poll();
    let secret = site.path().join("secret");
    fs::write(&secret, "hunter2").unwrap();
    let from = format!("\"$@\" < '{}'", secret.display());
    let set = || site.cli_below(&["sh", "-c", &from, "sh"], &["secret", "set", "s"]);
    assert_eq!(set().code, 0);
    assert_eq!(set().code, 0);
    assert_eq!(site.cli(&["secret", "rotate"]).code, 0);
    assert_eq!(site.cli(&["secret", "remove", "s"]).code, 0);
    let bundle = site.path().join("bundle.toml");
    let account = dovecot.account("imap", "tls", "u1");
    fs::write(&bundle, format!("[inbound.a]\n{account}\nbatch_max = 8\n")).unwrap();
    assert_eq!(site.cli(&["config", "import", bundle.to_str().unwrap()]).code, 0);
    assert_eq!(site.cli(&["ledger", "rebuild", "--dry-run"]).code, 0);
    assert_eq!(site.cli(&["ledger", "rebuild", "--yes"]).code, 0);
    assert_eq!(site.cli(&["ledger", "reconcile"]).code, 0);
    assert_eq!(site.cli(&["replay", "a"]).code, 0);
    for (code, wanted) in [
        ("secret-set", &["Secret `s` stored", "Secret `s` replaced"][..]),
        ("keystore-rotated", &["1 secret encrypted with a new key"]),
        ("secret-removed", &["Secret `s` removed"]),
        ("config-imported", &["Config changed by an import: 1 table"]),
        ("ledger-rebuilt", &["Ledger rebuilt: 0 messages taken into the ledger, 0 known"]),
        ("ledger-reconciled", &["Ledger reconciled: 0 messages taken into the ledger, 0 known"]),
        ("replay-asked", &["Actions asked for once more by root (uid 0): 0"]),
    ] {
        let told = told(&site, code);
        assert!(told.iter().all(|(who, _)| who == "root"), "{code}: {told:?}");
        let told: Vec<&str> = told.iter().map(|(_, what)| what.as_str()).collect();
        assert_eq!(told, wanted, "{code}");
    }
    // The log's own table has the column.
    let table = site.cli(&["log", "--code", "secret-set", "--columns", "code,created_by"]);
    assert!(table.stdout.contains("secret-set") && table.stdout.contains("root"), "{table:?}");
    let state = fs::read(site.state().join("log.db")).unwrap();
    assert!(!state.windows(7).any(|part| part == b"hunter2"));
}

#[test]
fn reload_over_the_socket_is_recorded_with_who_asked() {
    let dovecot = Dovecot::start();
    let account = dovecot.account("imap", "tls", "u1") + "poll_interval = \"1d\"\n";
    let mut site = Site::new(&[("a", account.clone())]);
    let daemon = control::daemon(&site);
    site.account("a", &(account + "batch_max = 7\n"));
    let done = site.cli(&["reload"]);
    assert_eq!(done.code, 0, "{done:?}");
    wait_for("the reload", Duration::from_secs(20), || (acts(&site).len() == 2).then_some(()));
    assert_eq!(daemon.stop(Duration::from_secs(20)).code, 0);
    assert_eq!(acts(&site), ["start", "reload"]);
    let rows = history(&site);
    assert_eq!(rows[1]["actor"], "root (uid 0)", "{rows:?}");
    assert_eq!(rows[1]["changes"][0]["key"], "batch_max", "{rows:?}");
}
