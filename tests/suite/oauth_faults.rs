//! Tokens that expire, rotate, are revoked or lost in a crash, and token endpoints that fail.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::oauth::{account, assert_no_token, log_in, secret_file, site};
use crate::support::server::Kind;
use crate::support::{
    Act, Dovecot, Fault, Issuer, Relay, Server, Site, Then, TokenFault, When, sample,
    stored_octets, wait_for,
};

/// A site whose account has tokens by a device's login, that rotate.
pub fn with_device(issuer: &Issuer, dovecot: &Dovecot) -> Site {
    issuer.state().rotates = true;
    let site = site(dovecot, &issuer.record("office365", "device_code", ""));
    log_in(&site);
    site
}

/// The code of the account's last error.
pub fn error_code(site: &Site) -> String {
    let status = site.status();
    status["accounts"][0]["last_error"]["code"].as_str().unwrap_or_default().to_owned()
}

/// Makes the stored access token one that must be renewed.
pub fn age(site: &Site) {
    let path = site.state().join("tokens/rec.json");
    let mut stored: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    stored["got"]["boot_id"] = "another boot".into();
    fs::write(&path, stored.to_string()).unwrap();
}

#[test]
fn a01_token_that_the_server_refuses_is_renewed_once_and_never_sent_twice() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    let site = with_device(&issuer, &dovecot);
    dovecot.deliver("u1", &sample("first", 300));
    site.poll();
    let asked = issuer.asked();
    issuer.expire();
    dovecot.deliver("u1", &sample("second", 300));
    site.poll();
    assert_eq!(site.stored().len(), 2);
    assert_eq!(issuer.asked(), asked + 1);

    // Tokens of somebody else: each poll costs two logins at most, with two tokens.
    issuer.state().refresh.values_mut().for_each(|user| *user = "u2".to_owned());
    issuer.expire();
    let refused = site.cli(&["poll", "a"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert_eq!(issuer.asked(), asked + 2);
    assert_eq!(error_code(&site), "auth-rejected");
    assert!(refused.stdout.contains("needs full access to the mailbox u1"), "{refused:?}");
    assert_no_token(&site, &[&refused]);
}

#[test]
fn a01_session_that_ends_with_its_token_goes_on_with_a_new_one() {
    let issuer = Issuer::start();
    let server = Server::start_as(Kind {
        capabilities: Some("IMAP4rev1 SASL-IR AUTH=XOAUTH2".to_owned()),
        ..Kind::default()
    });
    server.set_fault(Fault::on("AUTHENTICATE").instead("{tag} OK in\r\n"));
    let bye = "* BYE Session invalidated - AccessTokenExpired\r\n";
    server.set_fault(Fault::on("LIST").instead(bye).then(Then::Close));
    let mut site = Site::empty();
    site.set("oauth.rec", &issuer.record("office365", "device_code", ""));
    let lines = crate::support::loopback_account("imap", "none", server.port, "u1");
    site.account(
        "a",
        &lines.replace("password = \"secret-u1\"", "oauth = \"rec\"\nfolders = [\"*\"]"),
    );
    site.init_root();
    log_in(&site);
    let asked = issuer.asked();
    let output = site.cli(&["poll", "a"]);
    // A server that always ends it so is given up in the same poll.
    assert_eq!(output.code, 1, "{output:?}");
    assert_eq!(server.connections(), 4, "{output:?} {:?}", server.heard());
    assert_eq!(issuer.asked(), asked + 3);
    let again = |record: &&Value| record["code"] == "oauth-session-ended";
    assert_eq!(site.log().iter().filter(again).count(), 3);
    assert_no_token(&site, &[&output]);
}

#[test]
fn a01_d17_holds_of_a_session_that_ends_with_its_token_hold_in_the_next_one_of_the_poll() {
    let issuer = Issuer::start();
    let capabilities = Some("IMAP4rev1 SASL-IR AUTH=XOAUTH2 UIDPLUS".to_owned());
    let server = Server::start_as(Kind { capabilities, ..Kind::default() });
    let bye = "* BYE Session invalidated - AccessTokenExpired\r\n";
    let ends = Fault { polls: vec![4], ..Fault::on("INBOX").instead(bye).then(Then::Close) };
    server.set_fault(ends.nth(1));
    (0..3).for_each(|n| server.deliver(&sample(&format!("message {n}"), 300)));
    let mut site = Site::empty();
    site.set("oauth.rec", &issuer.record("office365", "device_code", ""));
    let lines = crate::support::loopback_account("imap", "none", server.port, "u1");
    let lines = lines.replace("password = \"secret-u1\"", "oauth = \"rec\"");
    site.account("a", &(lines + "delete_read = true\ndelete_after_days = 14\n"));
    site.init_root();
    log_in(&site);
    site.poll();
    assert_eq!(site.stored().len(), 3);
    // The clock jumps, which holds the deletes of three polls; the third one has two sessions.
    let later =
        ["env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1", "faketime", "-f", "+20d"];
    let removed = |poll: u32| {
        server.begin_poll(poll);
        let before = (server.connections(), server.heard().len());
        let output = site.cli_below(&later, &["poll", "a"]);
        assert_eq!(output.code, 0, "poll {poll}: {output:?}");
        let said = server.commands().split_off(before.1);
        let removes = said.iter().any(|line| line.contains("STORE") || line.contains("EXPUNGE"));
        (server.connections() - before.0, removes)
    };
    assert_eq!([removed(2), removed(3), removed(4)], [(1, false), (1, false), (2, false)]);
    assert_eq!(removed(5), (1, true), "the next poll is free to delete");
}

#[test]
fn a03_revoked_tokens_stop_the_account_and_nobody_is_asked_again_before_a_login() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    let site = with_device(&issuer, &dovecot);
    dovecot.deliver("u1", &sample("later", 300));
    issuer.state().refresh.clear();
    issuer.expire();
    age(&site);
    let refused = site.cli(&["poll"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stdout.contains("postrider oauth login rec"), "{refused:?}");
    let asked = issuer.asked();
    assert_eq!(site.status()["accounts"][0]["state"], "STOPPED");
    assert_eq!(error_code(&site), "oauth-needs-login");
    for _ in 0..3 {
        site.cli(&["poll", "a"]);
        site.cli(&["plan", "a"]);
    }
    assert_eq!(issuer.asked(), asked);
    let status = site.cli(&["oauth", "status"]);
    assert_eq!(status.code, 3, "{status:?}");
    assert!(status.stdout.contains("needs-login"), "{status:?}");
    log_in(&site);
    site.poll();
    assert_eq!(site.stored().len(), 1);
    assert_no_token(&site, &[&refused, &status]);
}

#[test]
fn a03_wrong_client_secret_is_asked_once_until_it_changes() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    dovecot.deliver("u1", &sample("secret", 300));
    let folder = tempfile::tempdir().unwrap();
    let secret = format!("client_secret = {}", secret_file(folder.path(), "s", "wrong"));
    let site = site(&dovecot, &issuer.record("office365", "client_credentials", &secret));
    for _ in 0..3 {
        let output = site.cli(&["poll", "a"]);
        assert!(output.stdout.contains("copy its Value"), "{output:?}");
    }
    assert_eq!(issuer.asked(), 1);
    secret_file(folder.path(), "s", crate::support::SECRET);
    site.poll();
    assert_eq!(site.stored().len(), 1);
}

#[test]
fn a04_kill_between_the_answer_and_its_saving_loses_no_login() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    dovecot.deliver("u1", &sample("killed", 300));
    for step in ["oauth-write", "oauth-rename", "oauth-saved"] {
        let site = with_device(&issuer, &dovecot);
        // As at Microsoft: the token before lives on for a while.
        issuer.state().keeps_old = true;
        age(&site);
        let order = format!("kill@{step}");
        let killed = site.cli_with(&[("POSTRIDER_STEP", &order)], &["poll"]);
        assert_eq!(killed.code, -1, "{step}: {killed:?}");
        let asked = issuer.asked();
        site.poll();
        assert_eq!(site.stored().len(), 1, "{step}");
        assert_eq!(issuer.asked() - asked, usize::from(step != "oauth-saved"), "{step}");
    }
}

#[test]
fn a04_token_before_the_last_is_tried_once() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    dovecot.deliver("u1", &sample("previous", 300));
    let site = with_device(&issuer, &dovecot);
    issuer.state().keeps_old = true;
    age(&site);
    assert_eq!(site.cli(&["plan", "a"]).code, 0);
    let stored = fs::read_to_string(site.state().join("tokens/rec.json")).unwrap();
    let stored: Value = serde_json::from_str(&stored).unwrap();
    issuer.state().refresh.remove(stored["refresh_token"].as_str().unwrap());
    age(&site);
    let asked = issuer.asked();
    site.poll();
    assert_eq!((site.stored().len(), issuer.asked()), (1, asked + 2));
    issuer.state().refresh.clear();
    age(&site);
    site.cli(&["poll", "a"]);
    site.cli(&["poll", "a"]);
    assert_eq!(issuer.asked(), asked + 4);
    assert_eq!(error_code(&site), "oauth-needs-login");
}

#[test]
fn a05_processes_that_need_a_token_at_once_refresh_it_once() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    let site = with_device(&issuer, &dovecot);
    age(&site);
    let asked = issuer.asked();
    let limit = Duration::from_mins(1);
    let all: Vec<_> = (0..4).map(|_| site.spawn(&["plan", "a"])).collect();
    for running in all {
        let output = running.wait(limit);
        assert_eq!(output.code, 0, "{output:?}");
    }
    assert_eq!(issuer.asked(), asked + 1);
}

#[test]
fn a06_faults_of_the_token_endpoint_pass_and_are_no_refused_logins() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    dovecot.deliver("u1", &sample("at last", 300));
    let site = with_device(&issuer, &dovecot);
    for fault in [
        TokenFault::Status(503),
        TokenFault::Status(429),
        TokenFault::Html,
        TokenFault::Huge,
        TokenFault::Drip,
        TokenFault::Redirect,
        TokenFault::Error("temporarily_unavailable", ""),
        TokenFault::Error("made_up", "nobody has heard of it"),
        TokenFault::Error("invalid_client", "AADSTS700024: not within its valid time range"),
    ] {
        issuer.expire();
        age(&site);
        issuer.state().faults.push_back(fault);
        let output = site.cli(&["poll", "a"]);
        assert_eq!(output.code, 1, "{fault:?}: {output:?}");
        assert!(output.took < Duration::from_secs(30), "{fault:?}: {output:?}");
        assert_eq!(error_code(&site), "oauth-unavailable", "{fault:?}: {output:?}");
        assert_eq!(site.status()["accounts"][0]["state"], "FAILING", "{fault:?}");
        assert!(issuer.state().faults.is_empty());
    }
    // Gate and counters of refused logins are as if nothing had happened.
    site.poll();
    assert_eq!(stored_octets(&site).len(), 1);
    assert!(!dovecot.log().contains("auth failed"), "{}", dovecot.log());
}

#[test]
fn a06_certificate_that_nobody_trusts_gets_no_secret() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    let record = issuer.record("office365", "client_credentials", "client_secret = \"hunter2\"");
    let trusted = record.lines().filter(|line| !line.starts_with("tls_ca_file"));
    let record = trusted.collect::<Vec<_>>().join("\n");
    let site = site(&dovecot, &record);
    let output = site.cli(&["poll", "a"]);
    assert_eq!((output.code, issuer.asked()), (1, 0), "{output:?}");
    assert_eq!(error_code(&site), "oauth-unavailable");
}

#[test]
fn a01_connection_cut_in_a_session_with_a_live_token_is_an_ordinary_loss() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    dovecot.deliver("u1", &sample("cut", 300));
    let relay = Relay::to(dovecot.imap);
    let mut site = with_device(&issuer, &dovecot);
    let lines = account(&dovecot, "imap");
    let lines =
        lines.replace(&format!("port = {}", dovecot.imaps), &format!("port = {}", relay.port));
    let plain = "encryption = \"none\"\nallow_plaintext = true";
    site.account("a", &lines.replace("encryption = \"tls\"", plain));
    let asked = issuer.asked();
    relay.set_fault(When::ClientSays("EXAMINE"), Act::Cut);
    let output = site.cli(&["poll", "a"]);
    assert_eq!((output.code, issuer.asked()), (1, asked), "{output:?}");
    assert_eq!(error_code(&site), "connection-lost");
    relay.heal();
    site.poll();
    assert_eq!(site.stored().len(), 1);
    assert_no_token(&site, &[&output]);
}

#[test]
fn a03_daemon_stops_the_account_with_one_error_and_goes_on_after_a_login() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    dovecot.deliver("u1", &sample("resumed", 300));
    let mut site = with_device(&issuer, &dovecot);
    site.add("inbound.a", "poll_interval = \"1s\"");
    issuer.state().refresh.clear();
    issuer.expire();
    age(&site);
    let asked = issuer.asked();
    let daemon = site.spawn(&["run"]);
    let limit = Duration::from_secs(90);
    wait_for("the stop", limit, || {
        (site.status()["accounts"][0]["state"] == "STOPPED").then_some(())
    });
    log_in(&site);
    // It would be looked at within a minute anyway; a changed account is at once.
    site.add("inbound.a", "description = \"looked at\"");
    daemon.signal(Signal::HUP);
    wait_for("the mail", limit, || (site.stored().len() == 1).then_some(()));
    let output = daemon.stop(Duration::from_secs(30));
    assert_eq!(output.code, 0, "{output:?}");
    // Who was refused asks no more until the login. The account's next login is with a token just
    // got, and is made again by the poll that the reload begins anew.
    let state = issuer.state();
    let mut grants = state.requests[asked..].iter().map(|form| form["grant_type"].as_str());
    let refused = grants.by_ref().take_while(|grant| *grant == "refresh_token").count();
    assert_eq!(refused, 1);
    let renewed = grants.filter(|grant| *grant == "refresh_token").count();
    assert!(renewed <= 2, "{renewed}");
    drop(state);
    let stops = |record: &&Value| record["code"] == "oauth-needs-login";
    assert_eq!(site.log().iter().filter(stops).count(), 1);
    assert_no_token(&site, &[&output]);
}
