//! Each start, reload and change of the configuration is recorded: who, when, and what it changed.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

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
