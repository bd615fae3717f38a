//! Token files: disks without room, damage, kills in the middle; and what lifts a stop.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use crate::oauth::{account, assert_no_token, log_in, secret_file, site};
use crate::oauth_faults::{age, error_code, with_device};
use crate::support::{Disk, Issuer, MARK, SECRET, Site, sample, wait_for};

#[test]
fn a04_without_room_for_the_answer_no_endpoint_is_asked() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    dovecot.deliver("u1", &sample("room", 300));
    let site = with_device(&issuer, &dovecot);
    age(&site);
    let asked = issuer.asked();
    let full = site.cli_with(&[("POSTRIDER_STEP", "enospc@oauth-reserve")], &["poll", "a"]);
    assert_eq!((full.code, issuer.asked()), (1, asked), "{full:?}");
    assert!(full.stdout.contains("no room for renewed tokens"), "{full:?}");
    assert_eq!(error_code(&site), "oauth-store");
    site.poll();
    assert_eq!((site.stored().len(), issuer.asked()), (1, asked + 1));
    assert!(!site.state().join("tokens/rec.new").exists());
    assert_no_token(&site, &[&full]);
}

#[test]
fn a04_full_disk_keeps_the_login_and_status_says_so() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    dovecot.deliver("u1", &sample("full", 300));
    let Some(disk) = Disk::ext4(8, &["-b", "4096"], "defaults") else { return };
    issuer.state().rotates = true;
    let mut site = Site::empty();
    let there = disk.path().join("state");
    site.keep_state_in(there.clone());
    site.set("oauth.rec", &issuer.record("office365", "device_code", ""));
    site.account("a", &account(&dovecot, "imap"));
    site.init_root();
    log_in(&site);
    age(&site);
    let filler = disk.path().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    assert!(std::io::copy(&mut std::io::repeat(b'x'), &mut file).is_err());
    let asked = issuer.asked();
    let token = fs::read(there.join("tokens/rec.json")).unwrap();
    let full = site.cli(&["poll", "a"]);
    assert_ne!(full.code, 0, "{full:?}");
    let status = site.cli(&["oauth", "status"]);
    assert_eq!(status.code, 3, "{status:?}");
    assert!(status.stdout.contains("no room for renewed tokens"), "{status:?}");
    let login = site.cli(&["oauth", "login", "rec"]);
    assert_eq!(login.code, 1, "{login:?}");
    assert_eq!(issuer.asked(), asked);
    assert_eq!(fs::read(there.join("tokens/rec.json")).unwrap(), token);
    drop(file);
    fs::remove_file(filler).unwrap();
    site.poll();
    assert_eq!((site.stored().len(), issuer.asked()), (1, asked + 1));
    assert_eq!(site.cli(&["oauth", "status"]).code, 0);
}

#[test]
fn a04_token_that_could_not_be_written_stays_in_the_daemon_and_is_written_later() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    dovecot.deliver("u1", &sample("kept", 300));
    let mut site = with_device(&issuer, &dovecot);
    site.add("inbound.a", "poll_interval = \"2s\"");
    age(&site);
    let asked = issuer.asked();
    let daemon = site.spawn_with(&[("POSTRIDER_STEP", "enospc@oauth-rename")], &["run"]);
    let limit = Duration::from_mins(1);
    wait_for("the mail", limit, || (site.stored().len() == 1).then_some(()));
    let output = daemon.stop(Duration::from_secs(30));
    // The old one had ended: with it, a person would have been needed.
    assert_eq!((output.code, issuer.asked()), (0, asked + 1), "{output:?}");
    let log = site.log();
    let has = |code: &str| log.iter().any(|record| record["code"] == code);
    assert!(has("oauth-store") && has("oauth-saved-late"), "{log:?}");
    assert_eq!(site.cli(&["oauth", "status"]).code, 0);
    age(&site);
    site.poll();
    assert_no_token(&site, &[&output]);
}

#[test]
fn a04_tokens_that_were_not_saved_show_in_status() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    let site = with_device(&issuer, &dovecot);
    issuer.state().keeps_old = true;
    age(&site);
    let order = ("POSTRIDER_STEP", "kill@oauth-rename");
    assert_eq!(site.cli_with(&[order], &["poll", "a"]).code, -1);
    let status = site.cli(&["oauth", "status"]);
    assert_eq!(status.code, 3, "{status:?}");
    assert!(status.stdout.contains("were not saved"), "{status:?}");
    site.poll();
    assert_eq!(site.cli(&["oauth", "status"]).code, 0);
}

#[test]
fn a04_kill_in_the_middle_of_a_login_leaves_the_old_tokens_or_the_new() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    dovecot.deliver("u1", &sample("login", 300));
    for step in ["oauth-reserve", "oauth-write", "oauth-rename", "oauth-saved"] {
        let site = with_device(&issuer, &dovecot);
        let order = format!("kill@{step}");
        let killed = site.cli_with(&[("POSTRIDER_STEP", &order)], &["oauth", "login", "rec"]);
        assert_eq!(killed.code, -1, "{step}: {killed:?}");
        age(&site);
        site.poll();
        assert_eq!(site.stored().len(), 1, "{step}");
        log_in(&site);
        assert_eq!(site.cli(&["oauth", "status"]).code, 0, "{step}");
        assert_no_token(&site, &[&killed]);
    }
}

#[test]
fn damaged_token_file_is_set_aside_by_login_and_by_revoke() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    dovecot.deliver("u1", &sample("damaged", 300));
    let site = with_device(&issuer, &dovecot);
    let file = site.state().join("tokens/rec.json");
    let aside = site.state().join("tokens/rec.damaged");
    let damage = || fs::write(&file, format!("{{\"schema\":1,\"access_token\":\"{MARK}")).unwrap();
    damage();
    let unreadable = site.cli(&["poll", "a"]);
    assert!(unreadable.stdout.contains("it is damaged"), "{unreadable:?}");
    let login = log_in(&site);
    assert!(login.stderr.contains("rec.damaged") && aside.exists(), "{login:?}");
    site.poll();
    assert_eq!(site.stored().len(), 1);
    damage();
    let revoked = site.cli(&["oauth", "revoke", "rec"]);
    assert_eq!(revoked.code, 0, "{revoked:?}");
    assert!(revoked.stdout.contains("rec.damaged") && !file.exists(), "{revoked:?}");
    log_in(&site);
    assert_eq!(site.cli(&["oauth", "revoke", "rec"]).code, 0);
    assert!(!aside.exists() && !file.exists());
    assert_no_token(&site, &[&unreadable, &login, &revoked]);
}

#[test]
fn revoke_removes_the_tokens_here_though_the_provider_is_out_of_reach() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    dovecot.deliver("u1", &sample("unreachable", 300));
    // The issuer is there for nobody, but is needed for nothing but the revocation.
    let secret = format!("client_secret = \"{SECRET}\"");
    let base = format!("https://127.0.0.1:{}", issuer.https);
    let record = issuer.record("generic", "client_credentials", &secret);
    let elsewhere = format!("issuer = \"https://127.0.0.1:1\"\ntoken_url = \"{base}/token\"");
    let record = record.replace(&format!("issuer = \"{base}\""), &elsewhere);
    let site = site(&dovecot, &record);
    site.poll();
    assert_eq!(site.stored().len(), 1);
    let revoked = site.cli(&["oauth", "revoke", "rec", "--json"]);
    assert_eq!(revoked.code, 1, "{revoked:?}");
    assert!(revoked.stdout.contains("\"untold\"") && revoked.stdout.contains("gone here"));
    assert!(!site.state().join("tokens/rec.json").exists());
    assert_eq!(issuer.state().revoked.len(), 0);
}

/// A site that the token endpoint refuses, until `mend` was called.
fn lifted_by(issuer: &Issuer, client: &str, mend: impl Fn(&Site)) {
    let dovecot = issuer.dovecot();
    dovecot.deliver("u1", &sample("lifted", 300));
    let site = site(&dovecot, &issuer.record("office365", "client_credentials", client));
    let asked = issuer.asked();
    for _ in 0..3 {
        let output = site.cli(&["poll", "a"]);
        assert_eq!(output.code, 1, "{output:?}");
    }
    assert_eq!(issuer.asked(), asked + 1, "{client}");
    assert_eq!(site.status()["accounts"][0]["state"], "STOPPED");
    mend(&site);
    site.poll();
    assert_eq!(site.stored().len(), 1, "{client}");
}

#[test]
fn a03_changed_federated_token_or_certificate_lifts_the_stop() {
    let issuer = Issuer::start();
    let folder = tempfile::tempdir().unwrap();
    secret_file(folder.path(), "federated", "another");
    let path = folder.path().join("federated");
    lifted_by(&issuer, &format!("federated_token_file = \"{}\"", path.display()), |_| {
        secret_file(folder.path(), "federated", &format!("{MARK}-federated\n"));
    });
    let certificate = issuer.client_certificate();
    issuer.state().faults.push_back(crate::support::TokenFault::Error(
        "invalid_client",
        "AADSTS700027: not the application's",
    ));
    lifted_by(&issuer, &format!("client_certificate_file = \"{certificate}\""), |_| {
        let octets = fs::read(&certificate).unwrap();
        fs::write(&certificate, octets).unwrap();
    });
}

#[test]
fn a03_unreadable_secret_is_no_change_and_a_stopped_accounts_command_rests() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    let script = format!("echo x >> {}; cat {}/secret", count.display(), folder.path().display());
    let secret = format!("client_secret = {{ command = [\"/bin/sh\", \"-c\", \"{script}\"] }}");
    secret_file(folder.path(), "secret", "wrong");
    let mut site = site(&dovecot, &issuer.record("office365", "client_credentials", &secret));
    site.add("inbound.a", "poll_interval = \"1s\"");
    let first = site.cli(&["poll", "a"]);
    assert_eq!((first.code, issuer.asked()), (1, 1), "{first:?}");
    fs::remove_file(folder.path().join("secret")).unwrap();
    site.cli(&["poll", "a"]);
    assert_eq!(issuer.asked(), 1, "a secret that can't be read is no change");
    let runs = || fs::read_to_string(&count).unwrap().lines().count();
    let before = runs();
    let daemon = site.spawn(&["run"]);
    wait_for("a look", Duration::from_secs(30), || (runs() > before).then_some(()));
    // Each change has the stop looked at anew.
    for n in 0..3 {
        site.account("a", &format!("{}\ndescription = \"{n}\"", account(&dovecot, "imap")));
        daemon.signal(Signal::HUP);
        std::thread::sleep(Duration::from_millis(500));
    }
    let output = daemon.stop(Duration::from_secs(30));
    assert_eq!((runs() - before, issuer.asked()), (1, 1), "{output:?}");
}
