//! The daemon's voice: what is wrong is told by mail, once, and that it is over; what can't be sent
//! waits.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::server::{Kind, Taken};
use crate::support::{
    Act, Dovecot, Fault, Protocol, Relay, Running, Server, Site, Then, When, loopback_account,
    sample, wait_for,
};

const SOON: Duration = Duration::from_secs(40);

/// Lines of an `[outbound]` table for a server in memory.
pub(crate) fn outbound(port: u16) -> String {
    format!(
        "host = \"127.0.0.1\"\nport = {port}\nencryption = \"none\"\nallow_plaintext = true\n\
         user = \"relay\"\npassword = \"{}\"\nconnect_timeout = \"2s\"\nread_timeout = \"5s\"\n",
        Dovecot::password("relay")
    )
}

/// A site whose account `a` is polled each second and told of after two.
fn site(account: &str, port: u16) -> Site {
    let mut site = Site::new(&[(
        "a",
        format!("{account}poll_interval = \"1s\"\nalert_if_no_success = \"2s\"\n"),
    )]);
    site.set("outbound.relay", &outbound(port));
    site.set(
        "notices",
        "system = \"robot@example.org\"\nerror_reporting = \"ops@example.org\"\n\
         digest = \"1s\"\nmax_per_hour = 60\n",
    );
    site
}

fn taken(server: &Server) -> Vec<Taken> {
    server.store(|store| store.taken.clone())
}

fn wait_for_mails(server: &Server, count: usize) -> Vec<Taken> {
    wait_for(&format!("{count} mails"), SOON, || {
        let taken = taken(server);
        (taken.len() >= count).then_some(taken)
    })
}

fn text(mail: &Taken) -> String {
    String::from_utf8(mail.octets.clone()).unwrap()
}

fn field(mail: &Taken, name: &str) -> String {
    let text = text(mail);
    let head = text.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
    let prefix = format!("{}:", name.to_lowercase());
    let line = head.lines().find(|line| line.to_lowercase().starts_with(&prefix));
    let line = line.unwrap_or_else(|| panic!("no {name} in {head}"));
    line.split_once(':').unwrap().1.trim().to_owned()
}

/// The waiting mails of `status`.
fn waiting(site: &Site) -> Vec<Value> {
    site.status()["notices"]["waiting"].as_array().unwrap().clone()
}

fn cut(relay: &Relay) {
    relay.set_fault(When::ServerOctets(0), Act::Cut);
    relay.cut_now();
}

fn wait_for_success(site: &Site) {
    wait_for("a good poll", SOON, || {
        site.status()["accounts"][0]["last_success_at"].as_str().map(str::to_owned)
    });
}

#[test]
fn account_that_goes_quiet_is_told_by_one_mail_and_its_recovery_by_one() {
    let (dovecot, smtp) = (Dovecot::start(), Server::start(Protocol::Smtp));
    let relay = Relay::to(dovecot.imap);
    let site = site(&loopback_account("imap", "none", relay.port, "u1"), smtp.port);
    let daemon = site.spawn(&["run"]);
    wait_for_success(&site);
    cut(&relay);
    let told = wait_for_mails(&smtp, 1).remove(0);
    let subject = field(&told, "Subject");
    assert!(subject.starts_with("[postrider ") && subject.contains("a: no successful poll for"));
    assert_eq!((&*told.from, &*told.to[0]), ("<robot@example.org>", "<ops@example.org>"));
    assert_eq!(field(&told, "Auto-Submitted"), "auto-generated");
    assert_eq!(field(&told, "X-Postrider-Report"), "notice");
    for words in ["since: ", "hint: ", "code: ", "log:", "postrider status"] {
        assert!(text(&told).contains(words), "{words} in {}", text(&told));
    }
    let open = site.status();
    assert_eq!(open["notices"]["open"][0]["kind"], "account", "{open}");
    let shown = site.cli(&["status"]);
    assert!(shown.stdout.contains("a: no successful poll for"), "{shown:?}");
    // It goes on failing, and nothing more is said.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(taken(&smtp).len(), 1);
    relay.heal();
    let over = wait_for_mails(&smtp, 2).remove(1);
    assert!(field(&over, "Subject").contains("a: over: no successful poll"), "{}", text(&over));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(taken(&smtp).len(), 2);
    assert_eq!(site.status()["notices"]["open"], serde_json::json!([]));
    assert_eq!(daemon.stop(SOON).code, 0);
}

/// A site whose account fails from the start, and whose outbound server has this fault.
fn failing(smtp: &Server) -> (Relay, Site, Running) {
    let relay = Relay::to(1);
    let site = site(&loopback_account("imap", "none", relay.port, "u1"), smtp.port);
    let daemon = site.spawn(&["run"]);
    (relay, site, daemon)
}

#[test]
fn s01_mail_that_waits_survives_kill_9_and_goes_when_the_server_is_back() {
    let smtp = Server::start(Protocol::Smtp);
    smtp.set_fault(Fault::on("accept").then(Then::Close));
    let (_relay, site, daemon) = failing(&smtp);
    let mail = wait_for("a waiting mail", SOON, || {
        let waiting = waiting(&site);
        waiting.into_iter().find(|mail| mail["attempts"].as_u64() > Some(0))
    });
    daemon.signal(Signal::KILL);
    daemon.wait(SOON);
    assert_eq!(waiting(&site).len(), 1);
    smtp.heal();
    let daemon = site.spawn(&["run"]);
    let told = wait_for_mails(&smtp, 1).remove(0);
    let id = field(&told, "Message-ID");
    assert_eq!(id, format!("<{}>", mail["message_id"].as_str().unwrap()));
    assert!(field(&told, "Subject").contains("a: "), "{}", text(&told));
    wait_for("an empty queue", SOON, || waiting(&site).is_empty().then_some(()));
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(taken(&smtp).len(), 1);
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn s01_server_that_is_away_for_a_while_gets_the_mail_later_and_no_poll_waits_for_it() {
    let (dovecot, smtp) = (Dovecot::start(), Server::start(Protocol::Smtp));
    // It takes the connection and says nothing: the slowest way to be away.
    smtp.set_fault(Fault::on("connect").instead("").then(Then::Hang));
    let relay = Relay::to(1);
    let mut site = site(&loopback_account("imap", "none", relay.port, "u1"), smtp.port);
    site.account("b", &(dovecot.account("imap", "none", "u2") + "poll_interval = \"1s\"\n"));
    let daemon = site.spawn(&["run"]);
    wait_for("a failed attempt", SOON, || {
        let failed = |mail: &Value| mail["error"]["code"].is_string();
        waiting(&site).iter().any(failed).then_some(())
    });
    for n in 0..3 {
        dovecot.deliver("u2", &sample(&format!("message {n}"), 100));
        wait_for("the next mail", Duration::from_secs(6), || {
            (site.stored().len() > n).then_some(())
        });
    }
    assert_eq!(taken(&smtp).len(), 0);
    smtp.heal();
    let told = wait_for_mails(&smtp, 1).remove(0);
    assert!(field(&told, "Subject").contains("a: no successful poll"), "{}", text(&told));
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn s01_mail_that_the_server_refuses_is_shown_with_its_words_and_sent_after_a_change() {
    let smtp = Server::start(Protocol::Smtp);
    smtp.set_fault(Fault::on("MAIL").instead("550 5.7.60 not your address\r\n"));
    let (_relay, mut site, daemon) = failing(&smtp);
    let mail = wait_for("a refused mail", SOON, || {
        waiting(&site).into_iter().find(|mail| mail["error"]["code"] == "sender-refused")
    });
    assert!(mail["error"]["message"].to_string().contains("not your address"), "{mail}");
    let shown = site.cli(&["status"]).stdout;
    assert!(shown.contains("not your address") && shown.contains("hint: "), "{shown}");
    let log = site.log();
    let told: Vec<&Value> =
        log.iter().filter(|record| record["code"] == "notice-not-sent").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["level"], "error");
    smtp.heal();
    site.add("notices", "max_per_day = 30");
    daemon.signal(Signal::HUP);
    wait_for_mails(&smtp, 1);
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn s02_all_accounts_down_are_one_mail() {
    let smtp = Server::start(Protocol::Smtp);
    let relay = Relay::to(1);
    let account = loopback_account("imap", "none", relay.port, "u");
    let mut site = site(&account, smtp.port);
    for n in 0..20 {
        let account = loopback_account("imap", "none", relay.port, &format!("u{n}"));
        let lines = "poll_interval = \"1s\"\nalert_if_no_success = \"2s\"\n";
        site.account(&format!("b{n:02}"), &(account + lines));
    }
    site.set(
        "notices",
        "system = \"robot@example.org\"\nerror_reporting = \"ops@example.org\"\n\
         digest = \"12s\"\n",
    );
    let daemon = site.spawn(&["run"]);
    let told = wait_for_mails(&smtp, 1).remove(0);
    assert!(field(&told, "Subject").ends_with("(and 20 more)"), "{}", text(&told));
    assert_eq!(daemon.stop(SOON).code, 0);
    assert_eq!(taken(&smtp).len(), 1);
}

#[test]
fn s03_reports_into_a_polled_mailbox_cause_no_reports_and_are_no_mail() {
    let (dovecot, smtp) = (Dovecot::start(), Server::start(Protocol::Smtp));
    let relay = Relay::to(1);
    let mut site = site(&loopback_account("imap", "none", relay.port, "u1"), smtp.port);
    let lines = "poll_interval = \"1s\"\nalert_if_no_mail = \"8s\"\n";
    site.account("b", &(dovecot.account("imap", "none", "u2") + lines));
    dovecot.deliver("u2", &sample("some mail", 100));
    let daemon = site.spawn(&["run"]);
    let told = wait_for_mails(&smtp, 1).remove(0);
    let octets: Vec<u8> = told.octets.iter().copied().filter(|octet| *octet != b'\r').collect();
    dovecot.deliver("u2", &octets);
    wait_for("the report", SOON, || (site.stored().len() == 2).then_some(()));
    // Our own report was stored, and the account has got no mail all the same.
    let quiet = wait_for_mails(&smtp, 2).remove(1);
    assert!(field(&quiet, "Subject").contains("b: no mail for"), "{}", text(&quiet));
    dovecot.deliver("u2", &sample("mail again", 100));
    let over = wait_for_mails(&smtp, 3).remove(2);
    assert!(field(&over, "Subject").contains("b: over: no mail"), "{}", text(&over));
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn refused_reload_is_told_and_the_next_good_one_ends_it() {
    let (dovecot, smtp) = (Dovecot::start(), Server::start(Protocol::Smtp));
    let mut site = site(&dovecot.account("imap", "none", "u1"), smtp.port);
    let daemon = site.spawn(&["run"]);
    wait_for_success(&site);
    site.set("log", "levell = \"debug\"\n");
    daemon.signal(Signal::HUP);
    let told = wait_for_mails(&smtp, 1).remove(0);
    assert!(field(&told, "Subject").contains("a changed config was refused"), "{}", text(&told));
    assert!(text(&told).contains("levell"), "{}", text(&told));
    site.set("log", "level = \"debug\"\n");
    daemon.signal(Signal::HUP);
    let over = wait_for_mails(&smtp, 2).remove(1);
    assert!(field(&over, "Subject").contains("over: a changed config"), "{}", text(&over));
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn account_stopped_by_refused_credentials_is_told_at_once() {
    let smtp = Server::start(Protocol::Smtp);
    let imap = Server::start_as(Kind { protocol: Protocol::Imap, ..Kind::default() });
    let wrong = imap.account("u1").replace("password = \"", "password = \"not-");
    let mut site = site(&wrong, smtp.port);
    site.account("a", &(wrong + "poll_interval = \"1s\"\nalert_if_no_success = \"1h\"\n"));
    // Five refused logins: by hand, as the daemon rests between them.
    for _ in 0..5 {
        assert_ne!(site.cli(&["poll", "a"]).code, 0);
    }
    let daemon = site.spawn(&["run"]);
    let told = wait_for_mails(&smtp, 1).remove(0);
    assert!(field(&told, "Subject").contains("not polled any more"), "{}", text(&told));
    assert!(text(&told).contains("postrider account resume a"), "{}", text(&told));
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn action_that_failed_for_good_is_told_and_that_it_was_done_after_a_retry_by_the_daemon() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let (dovecot, relay) = (Dovecot::start(), Server::start(Protocol::Smtp));
    dovecot.deliver("u1", &sample("one", 100));
    let ill = Arc::new(AtomicBool::new(true));
    let is_ill = Arc::clone(&ill);
    let receiver = crate::support::Receiver::start(move |_, _| {
        let status = if is_ill.load(Ordering::SeqCst) { 503 } else { 200 };
        crate::support::Reply::Status(status)
    });
    let mut site = site(&dovecot.account("imap", "none", "u1"), relay.port);
    let rule = format!(
        "\n[[inbound.a.on_received]]\nname = \"ticket\"\ndo = \"webhook\"\nurl = \"{}\"\n\
         retries = \"0s\"",
        receiver.url()
    );
    site.add("inbound.a", &rule);
    let daemon = site.spawn(&["run"]);
    let mails = wait_for_mails(&relay, 1);
    assert!(field(&mails[0], "Subject").contains("1 action has failed"), "{}", text(&mails[0]));
    assert!(text(&mails[0]).contains("status 503"), "{}", text(&mails[0]));
    ill.store(false, Ordering::SeqCst);
    let retry = site.cli(&["actions", "retry", "a"]);
    assert_eq!((retry.code, retry.stdout.as_str()), (0, "1 action due now\n"), "{retry:?}");
    let mails = wait_for_mails(&relay, 2);
    assert!(!text(&mails[1]).contains("status 503"), "{}", text(&mails[1]));
    assert_eq!(receiver.requests().len(), 2);
    assert_eq!(receiver.requests()[0].key(), receiver.requests()[1].key());
    assert_eq!(daemon.stop(SOON).code, 0);
    assert_eq!(site.cli(&["status"]).code, 0);
}
