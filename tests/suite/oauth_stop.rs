//! Programs that end while a token endpoint that rotates has not answered yet.

use std::time::Duration;

use rustix::process::Signal;

use crate::oauth::assert_no_token;
use crate::oauth_faults::{age, with_device};
use crate::support::{Issuer, sample, wait_for};

const LIMIT: Duration = Duration::from_secs(30);

/// What a signal in the middle of a renewal costs: nothing, whoever renews.
fn stopped(arguments: &[&str], signal: Signal) {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    let mut site = with_device(&issuer, &dovecot);
    site.add("inbound.a", "poll_interval = \"2s\"");
    dovecot.deliver("u1", &sample("stopped", 300));
    age(&site);
    let asked = issuer.asked();
    issuer.state().delay = Duration::from_secs(2);
    let running = site.spawn(arguments);
    wait_for("the request", LIMIT, || (issuer.asked() > asked).then_some(()));
    running.signal(signal);
    let output = running.wait(LIMIT);
    issuer.state().delay = Duration::ZERO;
    assert_ne!(output.code, -1, "{arguments:?}: {output:?}");
    // The old one has ended: with it a person would be needed.
    age(&site);
    site.poll();
    assert_eq!((site.stored().len(), issuer.asked()), (1, asked + 2), "{arguments:?}");
    assert_eq!(site.cli(&["oauth", "status"]).code, 0, "{arguments:?}");
    assert_no_token(&site, &[&output]);
}

#[test]
fn a04_daemon_that_is_told_to_stop_keeps_the_renewal_under_way() {
    stopped(&["run"], Signal::TERM);
}

#[test]
fn a04_command_that_is_told_to_stop_keeps_the_renewal_under_way() {
    stopped(&["poll", "a"], Signal::TERM);
    stopped(&["plan", "a"], Signal::INT);
    stopped(&["test", "a"], Signal::INT);
}

#[test]
fn a04_revocation_and_login_that_are_told_to_stop_are_carried_out() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    let site = with_device(&issuer, &dovecot);
    issuer.state().delay = Duration::from_secs(1);
    let file = site.state().join("tokens/rec.json");
    let revoke = site.spawn(&["oauth", "revoke", "rec"]);
    wait_for("it", LIMIT, || (issuer.state().revoked.len() == 1).then_some(()));
    revoke.signal(Signal::INT);
    let revoke = revoke.wait(LIMIT);
    assert!(revoke.code == 1 && !file.exists(), "the provider has ended them: {revoke:?}");
    let asked = issuer.asked();
    let login = site.spawn(&["oauth", "login", "rec"]);
    wait_for("the request", LIMIT, || (issuer.asked() > asked).then_some(()));
    login.signal(Signal::INT);
    let login = login.wait(LIMIT);
    assert!(login.code == 1 && file.exists(), "the code was good once: {login:?}");
    issuer.state().delay = Duration::ZERO;
    dovecot.deliver("u1", &sample("kept", 300));
    site.poll();
    assert_eq!(site.stored().len(), 1);
    assert_no_token(&site, &[&revoke, &login]);
}

#[test]
fn a04_stop_does_not_wait_for_an_endpoint_for_ever() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    let mut site = with_device(&issuer, &dovecot);
    site.add("inbound.a", "poll_interval = \"2s\"");
    let table = issuer.record("office365", "device_code", "").replace("\"5s\"", "\"60s\"");
    site.set("oauth.rec", &table);
    age(&site);
    let asked = issuer.asked();
    issuer.state().delay = Duration::from_secs(25);
    let daemon = site.spawn(&["run"]);
    wait_for("the request", LIMIT, || (issuer.asked() > asked).then_some(()));
    let output = daemon.stop(Duration::from_secs(24));
    assert_eq!(output.code, 0, "{output:?}");
    let log = site.log();
    let told = log.iter().find(|record| record["code"] == "oauth-unavailable").unwrap();
    assert!(told["message"].as_str().unwrap().contains("cut"), "{told}");
}

#[test]
fn a04_what_could_not_be_written_is_written_once_more_before_the_end() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    let site = with_device(&issuer, &dovecot);
    dovecot.deliver("u1", &sample("late", 300));
    age(&site);
    let asked = issuer.asked();
    let failed = site.cli_with(&[("POSTRIDER_STEP", "enospc@oauth-rename")], &["poll", "a"]);
    assert!(failed.code == 1 && failed.stdout.contains("memory alone"), "{failed:?}");
    assert!(site.log().iter().any(|record| record["code"] == "oauth-saved-late"));
    site.poll();
    assert_eq!((site.stored().len(), issuer.asked()), (1, asked + 1));
    assert_no_token(&site, &[&failed]);
}
