//! `postrider test`: each stage is told, the failing one is named, and nothing is touched.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{
    Certificate, Dovecot, Options, Output, Protocol, Relay, Server, Site, loopback_account, sample,
};

fn json(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

fn stages(value: &Value) -> Vec<String> {
    let all = value["stages"].as_array().unwrap().iter();
    all.map(|stage| stage["stage"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_stage_is_told_and_nothing_is_made_or_touched() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("hello", 500));
    for protocol in ["imap", "pop3"] {
        for encryption in ["tls", "starttls", "none"] {
            let mut site = Site::empty();
            site.account("a", &dovecot.account(protocol, encryption, "u1"));
            let output = site.cli(&["test", "a", "--json"]);
            assert_eq!(output.code, 0, "{protocol} {encryption}: {output:?}");
            let value = json(&output);
            // With STLS async-pop tells a greeting of its own, which is none of the server's.
            let before = ["secret", "dns", "connect"];
            let middle: &[&str] = match encryption {
                "tls" => &["tls", "greeting"],
                "starttls" => &["greeting", "tls"],
                _ => &["greeting"],
            };
            let wanted = [&before, middle, &["capabilities", "login", "mailbox"]].concat();
            let told = stages(&value);
            assert_eq!(told, wanted, "{protocol} {encryption}");
            let last = value["stages"].as_array().unwrap().last().unwrap();
            assert_eq!(last["messages"], 1, "{value}");
            assert!(!site.root().exists());
            assert_eq!(fs::read_dir(site.state()).unwrap().count(), 0);
        }
    }
}

#[test]
fn only_reading_commands_reach_the_server() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("hello", 500));
    for (protocol, port) in [("imap", dovecot.imap), ("pop3", dovecot.pop3)] {
        let relay = Relay::to(port);
        let mut site = Site::empty();
        let deletes = "delete_read = true\n";
        site.account("a", &(loopback_account(protocol, "none", relay.port, "u1") + deletes));
        let output = site.cli(&["test", "a", "--folders"]);
        assert_eq!(output.code, 0, "{output:?}");
        let commands = relay.commands();
        let heard = commands.join("\n").to_ascii_uppercase();
        let wanted = if protocol == "imap" { "EXAMINE" } else { "UIDL" };
        assert!(heard.contains(wanted), "{heard}");
        for word in ["SELECT", "STORE", "EXPUNGE", "CLOSE", "DELE", "RETR", "BODY"] {
            let says = |line: &str| line.split_whitespace().any(|w| w.trim_matches('(') == word);
            assert!(!heard.lines().any(says), "{word} in {heard}");
        }
    }
    let unseen = dovecot.imap_client("u1").list("INBOX");
    assert_eq!(unseen.len(), 1);
}

#[test]
fn lines_fit_a_terminal_and_hold_no_colour() {
    let dovecot = Dovecot::start();
    let mut site = Site::empty();
    site.account("a", &dovecot.account("imap", "tls", "u1"));
    let output = site.cli(&["test", "a"]);
    assert_eq!(output.code, 0, "{output:?}");
    for line in output.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line:?}");
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }
    for words in ["TLS 1.3", "issued by", "expires in", "u1 by PLAIN", "INBOX: 0 messages", "ok:"] {
        assert!(output.stdout.contains(words), "{words}: {}", output.stdout);
    }
}

#[test]
fn a08_the_failing_stage_is_named_with_a_hint_and_a_login_is_tried_once() {
    let dovecot = Dovecot::start();
    let wrong = dovecot.account("imap", "tls", "u1").replace("secret-u1", "wr0ng");
    let mut site = Site::empty();
    site.account("wrong", &wrong);
    site.account("closed", &loopback_account("imap", "tls", 1, "u1"));
    site.account("clear", &loopback_account("imap", "tls", dovecot.imap, "u1"));
    let before = dovecot.log().matches("auth failed").count();
    let table = [
        ("wrong", "login", "auth-rejected", "the whole mail address"),
        ("closed", "connect", "connect-failed", "check `host`"),
        ("clear", "tls", "tls-failed", "starttls"),
    ];
    for (account, stage, code, hint) in table {
        let output = site.cli(&["test", account, "--json", "--retry", "1"]);
        assert_eq!(output.code, 1, "{output:?}");
        let value = json(&output);
        assert_eq!((&value["stage"], &value["error"]["code"]), (&stage.into(), &code.into()));
        let told = value["error"]["hint"].as_str().unwrap_or_default();
        assert!(told.contains(hint), "{account}: {told}");
        assert!(!output.stdout.contains("wr0ng"), "{output:?}");
    }
    assert_eq!(dovecot.log().matches("auth failed").count(), before + 1);
    let shown = site.cli(&["test", "wrong"]);
    assert!(shown.stdout.contains("login         FAILED"), "{shown:?}");
    assert!(shown.stderr.contains("hint: "), "{shown:?}");
}

#[test]
fn certificates_that_end_soon_or_are_not_checked_get_a_word() {
    let dovecot =
        Dovecot::start_with(&Options { certificate: Certificate::Untrusted, ..Options::default() });
    let mut site = Site::empty();
    site.account("a", &dovecot.account("imap", "tls", "u1"));
    let refused = site.cli(&["test", "a", "--json"]);
    assert_eq!(json(&refused)["stage"], "tls", "{refused:?}");
    let value = json(&site.cli(&["test", "a", "--json", "--set", "tls_verify=false"]));
    assert_eq!(value["ok"], true, "{value}");
    let warning = value["warnings"][0].as_str().unwrap();
    let pin = value["stages"].as_array().unwrap().iter().find_map(|s| s["key_sha256"].as_str());
    assert!(warning.contains(&format!("tls_pin_sha256 = \"{}\"", pin.unwrap())), "{warning}");
    let pinned = format!("tls_pin_sha256={}", pin.unwrap());
    assert_eq!(site.cli(&["test", "a", "--set", &pinned]).code, 0);
}

#[test]
fn values_that_are_not_saved_are_tried() {
    let dovecot = Dovecot::start();
    let mut site = Site::empty();
    site.account("a", &loopback_account("imap", "tls", 1, "u1"));
    // A mistake in another account's table is not this one's.
    site.account("b", "protocol = \"imap\"\n");
    let port = format!("inbound.a.port={}", dovecot.imap);
    let changed =
        ["test", "a", "--set", &port, "--set", "encryption=none", "--set", "allow_plaintext=true"];
    let output = site.cli(&changed);
    assert_eq!(output.code, 0, "{output:?}");
    let bad = site.cli(&["test", "a", "--set", "prot=993"]);
    assert!(bad.code == 2 && bad.stderr.contains("did you mean `port`?"), "{bad:?}");
    let secret = site.cli(&["test", "a", "--set", "password=hunter2"]);
    assert!(secret.code == 2 && !secret.stderr.contains("hunter2"), "{secret:?}");

    let text = format!("[inbound.new]\n{}", dovecot.account("pop3", "tls", "u1"));
    for config in [site.config(), "/nonexistent/postrider.toml".into()] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postrider"));
        command.arg("--config").arg(config).args(["test", "--stdin"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{shown}");
        assert!(shown.contains("ok: new can be polled;"), "{shown}");
    }
}

#[test]
fn it_runs_beside_a_daemon_and_counts_for_nothing_there() {
    let dovecot = Dovecot::start();
    let lines = dovecot.account("imap", "tls", "u1") + "poll_interval = \"1s\"\n";
    let site = Site::new(&[("a", lines)]);
    let daemon = site.spawn(&["run"]);
    crate::support::wait_for("the first poll", std::time::Duration::from_secs(20), || {
        site.status()["accounts"][0]["last_success_at"].is_string().then_some(())
    });
    assert_eq!(site.cli(&["test", "a"]).code, 0);
    let wrong = site.path().join("wrong");
    fs::write(&wrong, "wr0ng").unwrap();
    let secret = format!("password={{ file = \"{}\" }}", wrong.display());
    let mode = Command::new("chmod").arg("600").arg(&wrong).status().unwrap();
    assert!(mode.success());
    assert_eq!(site.cli(&["test", "a", "--set", &secret]).code, 1);
    assert!(site.status()["accounts"][0]["last_error"].is_null());
    assert!(site.log().iter().all(|record| record["code"] != "imap-auth-rejected"));
    assert_eq!(daemon.stop(std::time::Duration::from_secs(20)).code, 0);
}

#[test]
fn another_protocol_on_the_port_is_told() {
    let smtp = Server::start(Protocol::Smtp);
    let mut site = Site::empty();
    site.account("a", &loopback_account("imap", "none", smtp.port, "u1"));
    let output = site.cli(&["test", "a"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("an SMTP server answers here"), "{output:?}");
    assert!(smtp.heard().is_empty());
}
