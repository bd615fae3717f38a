//! Web services that do wrong, and a program that is killed between any two steps.

use std::fs;

use serde_json::Value;

use super::{actions, all_well, count, each_came, retry, site};
use crate::crash::walk;
use crate::support::{
    Certificate, Certs, Dovecot, Options, Receiver, Reply, Site, messages, sample,
};

#[test]
fn receiver_that_fails_hangs_dies_or_answers_twice_gets_each_message_and_none_is_forgotten() {
    const COUNT: usize = 240;
    let dovecot = Dovecot::start();
    for message in messages(COUNT) {
        dovecot.deliver("u1", &message);
    }
    let receiver = Receiver::start(|before, key| {
        let kind = u8::from_str_radix(&key[..2], 16).unwrap() % 8;
        match (before, kind) {
            (0, 0) => Reply::Status(500),
            (0 | 1, 1) => Reply::Hang,
            (0, 2) => Reply::Die,
            (0, 3) => Reply::Half,
            (0 | 1, 4) => Reply::Status(403),
            (0, 5) => Reply::Twice,
            (0, 6) => Reply::Status(302),
            _ => Reply::Status(200),
        }
    });
    let rule = format!(
        "name = \"ticket\"\ndo = \"webhook\"\nurl = \"{}\"\ntimeout = \"1s\"\nconcurrency = 16",
        receiver.url()
    );
    let site = site(&dovecot, &[&rule]);
    site.poll();
    let good = |reply: Reply| matches!(reply, Reply::Status(200) | Reply::Twice);
    for round in 1..=3 {
        let requests = receiver.requests();
        each_came(&site, &requests, &format!("round {round}"));
        let done = requests.iter().filter(|request| good(request.reply)).count();
        assert_eq!((count(&site, "done"), count(&site, "pending")), (done, COUNT - done));
        retry(&site);
        site.poll();
    }
    assert_eq!(count(&site, "done"), COUNT);
    let requests = receiver.requests();
    for action in actions(&site) {
        let mine = requests.iter().filter(|request| action["key"] == request.key());
        let taken = mine.filter(|request| good(request.reply)).count();
        assert_eq!(taken, 1, "what was answered well doesn't come again: {action}");
    }
    let mut other = 0;
    for record in site.log().iter().filter(|record| record["source"] == "rules") {
        other += usize::from(
            !["action-done", "action-retry", "actions-retried"]
                .contains(&record["code"].as_str().unwrap()),
        );
    }
    assert_eq!(other, 0);
    receiver.release();
}

#[test]
fn hook_is_signed_and_has_the_message_in_full() {
    let dovecot = Dovecot::start();
    let with_pdf = b"From: a@b\nSubject: x\nMIME-Version: 1.0\n\
        Content-Type: multipart/mixed; boundary=B\n\n--B\nContent-Type: text/plain\n\nhello\n\
        --B\nContent-Type: application/pdf\nContent-Disposition: attachment;\n filename=\"r\\\"e.pdf\"\n\
        Content-Transfer-Encoding: base64\n\nJVBERg==\n--B--\n";
    dovecot.deliver("u1", with_pdf);
    let receiver = all_well();
    let url = receiver.url();
    let (json, form) = (
        format!("do = \"webhook\"\nurl = \"{url}\"\nsecret = \"whsec_c2VjcmV0LXdvcmQ=\""),
        format!(
            "do = \"webhook\"\nurl = \"{url}\"\nbody = \"multipart\"\nsecret = \"plain words\""
        ),
    );
    let site = site(&dovecot, &[&json, &form]);
    site.poll();
    let stored = &site.stored()[0];
    let document = fs::read(site.root().join(&stored.path).join("message.json")).unwrap();
    let mut requests = receiver.requests();
    requests.sort_by_key(|request| request.body.len());
    let [json, form] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(json.body, document);
    assert_eq!(json.fields["content-type"], "application/json");
    assert_ne!(json.key(), form.key());
    let has = |what: &[u8]| form.body.windows(what.len()).any(|octets| octets == what);
    assert!(has(&document) && has(&stored.eml) && has(b"\r\n\r\n%PDF\r\n--postrider-"));
    let (name, _) = &stored.attachments[0];
    assert!(has(format!("name=\"attachment\"; filename=\"{name}\"\r\n").as_bytes()));
    for (request, secret) in [(json, &b"secret-word"[..]), (form, b"plain words")] {
        assert_eq!(request.fields["webhook-signature"], signature(request, secret));
    }
    assert!(site.log().iter().all(|record| !record.to_string().contains("c2VjcmV0LXdvcmQ")));
}

#[test]
fn hook_over_tls_goes_to_the_server_that_is_trusted_or_pinned_and_to_no_other() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("one", 10));
    let (folder, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let certs = Certs::make(folder.path(), Certificate::Good);
    let other_ca = Certs::make(others.path(), Certificate::Good).ca;
    let receiver = Receiver::start_tls(&certs);
    let rule = |more: &str| {
        format!("name = \"r\"\ndo = \"webhook\"\nurl = \"{}\"\n{more}", receiver.url())
    };
    let account = dovecot.account("imap", "none", "u1");
    let mut site = Site::new(&[("a", super::with_rules(&account, &[&rule("")]))]);
    site.poll();
    let refused = actions(&site).remove(0);
    assert_eq!((&refused["state"], &refused["code"]), (&"pending".into(), &"unreachable".into()));
    let detail = refused["detail"].as_str().unwrap();
    let (_, rest) = detail.split_once("tls_pin_sha256 = \"").unwrap_or_else(|| panic!("{detail}"));
    let pin = format!("tls_pin_sha256 = \"{}\"", rest.split('"').next().unwrap());
    let ca = |path: &std::path::Path| format!("tls_ca_file = \"{}\"", path.display());
    let wrong_pin = format!("tls_pin_sha256 = \"{}\"", data_encoding::BASE64.encode(&[7; 32]));
    for (more, came) in [(ca(&other_ca), 0), (wrong_pin, 0), (ca(&certs.ca), 1), (pin, 2)] {
        site.account("a", &super::with_rules(&account, &[&rule(&more)]));
        if came > 1 {
            assert_eq!(site.cli(&["replay", "a"]).code, 0, "{more}");
        } else {
            retry(&site);
            site.poll();
        }
        assert_eq!(receiver.requests().len(), came, "{more}: {:?}", actions(&site));
    }
    each_came(&site, &receiver.requests(), "over TLS");
}

pub(super) fn signature(request: &crate::support::Request, secret: &[u8]) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
    let at = &request.fields["webhook-timestamp"];
    mac.update(format!("{}.{at}.", request.key()).as_bytes());
    mac.update(&request.body);
    format!("v1,{}", data_encoding::BASE64.encode(&mac.finalize().into_bytes()))
}

/// `kill -9` before each step: between the fact and its action, in the middle of a try, between a
/// try and its mark.
#[test]
fn killed_at_any_step_each_message_is_acted_on_and_what_comes_again_has_its_key() {
    const COUNT: usize = 5;
    let dovecot = Dovecot::start_with(&Options { users: 400, ..Options::default() });
    let sent = messages(COUNT);
    let users = std::sync::atomic::AtomicU64::new(1);
    let tried = walk(7, |step| {
        let user = format!("u{}", users.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        for message in &sent {
            dovecot.deliver(&user, message);
        }
        let (receiver, maildir) = (all_well(), tempfile::tempdir().unwrap());
        let hook = format!("do = \"webhook\"\nurl = \"{}\"", receiver.url());
        let to = format!("do = \"maildir\"\nto = \"{}\"", maildir.path().display());
        let account = dovecot.account("imap", "none", &user);
        let mut site = Site::empty_in(std::path::Path::new("/dev/shm"));
        site.account("a", &super::with_rules(&account, &[&hook, &to]));
        site.init_root();
        let order = format!("kill@{step}");
        let killed =
            site.cli_with(&[("POSTRIDER_STEP", &order), ("POSTRIDER_BATCH", "2")], &["poll"]);
        site.poll();
        let when = format!("{order}: {killed:?}");
        assert_eq!(site.stored().len(), COUNT, "{when}");
        each_came(&site, &receiver.requests(), &when);
        assert_eq!(count(&site, "done"), 2 * COUNT, "{when}: {:?}", actions(&site));
        let new = fs::read_dir(maildir.path().join("new")).unwrap().count();
        assert_eq!(new, COUNT, "{when}: a Maildir gets each message once");
        let left = fs::read_dir(maildir.path().join("tmp")).unwrap().count();
        assert_eq!(left, 0, "{when}");
        killed.code != 0
    });
    assert!(tried > 30, "{tried} steps");
}

/// The copy stands in its place, and no row knows of it: it is adopted by two commits.
#[test]
fn copy_that_is_adopted_at_its_place_is_acted_on_whichever_commit_comes_last() {
    let dovecot = Dovecot::start_with(&Options { users: 100, ..Options::default() });
    let users = std::sync::atomic::AtomicU64::new(1);
    let tried = walk(5, |step| {
        let user = format!("u{}", users.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        dovecot.deliver(&user, &sample("one", 10));
        let (receiver, account) = (all_well(), dovecot.account("imap", "none", &user));
        let mut site = Site::empty_in(std::path::Path::new("/dev/shm"));
        site.account("a", &account);
        site.init_root();
        site.poll();
        let db = rusqlite::Connection::open(site.state().join("ledger.db")).unwrap();
        db.execute_batch("DELETE FROM message; UPDATE mailbox SET listed_at = NULL").unwrap();
        drop(db);
        let hook = format!("do = \"webhook\"\nurl = \"{}\"", receiver.url());
        site.account("a", &super::with_rules(&account, &[&hook]));
        let order = format!("kill@{step}");
        let killed = site.cli_with(&[("POSTRIDER_STEP", &order)], &["poll"]);
        site.poll();
        let when = format!("{order}: {killed:?}");
        assert_eq!((site.stored().len(), count(&site, "done")), (1, 1), "{when}");
        each_came(&site, &receiver.requests(), &when);
        killed.code != 0
    });
    assert!(tried > 10, "{tried} steps");
}

#[test]
fn action_fails_for_good_when_its_time_is_over_and_a_person_is_told() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("one", 10));
    let receiver = Receiver::start(|_, _| Reply::Status(503));
    let rule = format!("do = \"webhook\"\nurl = \"{}\"\nretries = \"0s\"", receiver.url());
    let site = site(&dovecot, &[&rule]);
    site.poll();
    assert_eq!(count(&site, "failed"), 1);
    let status = site.cli(&["status"]);
    assert_eq!(status.code, 3, "{status:?}");
    assert!(status.stdout.contains("1 action failed"), "{status:?}");
    let list = site.cli(&["actions", "list", "--failed"]);
    assert!(list.stdout.contains("answered with status 503"), "{list:?}");
    retry(&site);
    site.poll();
    assert_eq!((receiver.requests().len(), count(&site, "failed")), (2, 1));
    let drop = site.cli(&["actions", "drop", "a", "--failed"]);
    assert_eq!((drop.code, count(&site, "dropped")), (0, 1), "{drop:?}");
    assert_eq!(site.cli(&["status"]).code, 0);
}

#[test]
fn rule_that_left_the_config_leaves_no_action_unseen() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("one", 10));
    let receiver = Receiver::start(|_, _| Reply::Status(503));
    let rule = format!("name = \"gone\"\ndo = \"webhook\"\nurl = \"{}\"", receiver.url());
    let mut site = site(&dovecot, &[&rule]);
    site.poll();
    site.account("a", &dovecot.account("imap", "none", "u1"));
    let status = site.cli(&["status"]);
    assert!(status.stdout.contains("1 action of rule `gone`"), "{status:?}");
    assert_eq!(status.code, 3);
    site.poll();
    assert_eq!(receiver.requests().len(), 1);
    for (wrong, said) in [
        (&["actions", "retry", "a", "--rule", "gon"][..], "did you mean `gone`?"),
        (&["actions", "drop", "a", "--rule", "xyz"], "`a` has no rule `xyz`"),
        (&["actions", "retry", "--id", "99"], "no action 99"),
        (&["actions", "list", "a", "--rule", "gone", "--id", "99"], "no action 99 of `a`"),
    ] {
        let output = site.cli(wrong);
        assert!(output.code == 2 && output.stderr.contains(said), "{output:?}");
    }
    assert_eq!(site.cli(&["actions", "drop", "a", "--rule", "gone"]).code, 0);
    assert_eq!(site.cli(&["status"]).code, 0);
}

#[test]
fn replay_says_what_it_would_do_and_does_it_with_the_same_key() {
    let dovecot = Dovecot::start();
    for n in 0..3 {
        dovecot.deliver("u1", &sample(&format!("letter {n}"), 10));
    }
    let receiver = all_well();
    let mut site = site(&dovecot, &[]);
    site.poll();
    let rule = format!("name = \"new\"\ndo = \"webhook\"\nurl = \"{}\"", receiver.url());
    site.account("a", &super::with_rules(&dovecot.account("imap", "none", "u1"), &[&rule]));
    let dry = site.cli(&["replay", "a", "--dry-run"]);
    assert!(dry.stdout.contains("3 actions would be done; nothing was"), "{dry:?}");
    assert!(dry.stdout.contains("new: webhook (applies)  letter 1"), "{dry:?}");
    assert!(receiver.requests().is_empty() && actions(&site).is_empty());
    for _ in 0..2 {
        let replay = site.cli(&["replay", "a", "--rule", "new"]);
        assert_eq!(replay.code, 0, "{replay:?}");
    }
    let requests = receiver.requests();
    assert_eq!(requests.len(), 6);
    each_came(&site, &requests, "replay");
    assert!(requests.iter().all(|request| request.fields["postrider-replay"] == "1"));
    let chosen =
        site.cli(&["replay", "a", "--where", "subject = 'letter 2'", "--dry-run", "--json"]);
    assert_eq!(chosen.stdout.lines().count(), 1, "{chosen:?}");
    assert_eq!(site.cli(&["replay", "a", "--where", "subject like x"]).code, 2);
    let later = site.cli(&["replay", "a", "--until", "2020-01-01", "--dry-run", "--json"]);
    assert_eq!(later.stdout, "");
    assert_eq!(site.cli(&["replay", "a", "--rule", "x"]).code, 2);
}

#[test]
fn replay_is_judged_by_what_it_did_itself_and_not_by_older_failures() {
    let dovecot = Dovecot::start();
    for n in 0..2 {
        dovecot.deliver("u1", &sample(&format!("letter {n}"), 10));
    }
    let (bad, good) = (Receiver::start(|_, _| Reply::Status(503)), all_well());
    let rules = [("bad", bad.url()), ("good", good.url())].map(|(name, url)| {
        format!("name = \"{name}\"\ndo = \"webhook\"\nurl = \"{url}\"\nretries = \"0s\"")
    });
    let site = site(&dovecot, &[&rules[0], &rules[1]]);
    site.poll();
    assert_eq!((count(&site, "failed"), count(&site, "done")), (2, 2));
    let replay = site.cli(&["replay", "a", "--rule", "good", "--json"]);
    assert_eq!(replay.code, 0, "the other rule's failures are older: {replay:?}");
    let said: Value = serde_json::from_str(&replay.stdout).unwrap();
    assert_eq!((&said["asked"], &said["left"]), (&Value::from(2), &Value::from(0)));
    let replay = site.cli(&["replay", "a"]);
    assert_eq!(replay.code, 3, "{replay:?}");
    assert!(replay.stdout.contains("2 actions not done yet"), "{replay:?}");
    assert_eq!((bad.requests().len(), good.requests().len()), (4, 6));
}

#[test]
fn rule_acts_on_the_messages_of_its_condition_and_on_no_other() {
    let dovecot = Dovecot::start();
    for n in 0..4 {
        dovecot.deliver("u1", &sample(&format!("letter {n}"), 10));
    }
    let receiver = all_well();
    let url = receiver.url();
    let some =
        format!("do = \"webhook\"\nurl = \"{url}\"\nstop = true\nwhen = 'subject ~ \"[13]$\"'");
    let site =
        site(&dovecot, &[&some, &format!("name = \"rest\"\ndo = \"webhook\"\nurl = \"{url}\"")]);
    site.poll();
    each_came(&site, &receiver.requests(), "by either");
    let of = |rule: &str| actions(&site).iter().filter(|action| action["rule"] == rule).count();
    assert_eq!((of("webhook-1"), of("rest")), (2, 2));
}

#[test]
fn broken_receivers_of_many_rules_at_once_do_not_stop_the_good_one() {
    let dovecot = Dovecot::start();
    for message in messages(20) {
        dovecot.deliver("u1", &message);
    }
    let (bad, good) = (Receiver::start(|_, _| Reply::Die), all_well());
    let bad_rule = format!("do = \"webhook\"\nurl = \"{}\"\nconcurrency = 8", bad.url());
    let good_rule = format!("do = \"webhook\"\nurl = \"{}\"", good.url());
    let site = site(&dovecot, &[&bad_rule, &bad_rule, &good_rule]);
    site.poll();
    each_came(&site, &good.requests(), "the good one");
    assert_eq!((count(&site, "done"), count(&site, "pending")), (20, 40));
    let of_bad: Vec<Value> =
        actions(&site).into_iter().filter(|action| action["state"] == "pending").collect();
    assert!(of_bad.iter().all(|action| action["attempts"] == 1), "{of_bad:?}");
}
