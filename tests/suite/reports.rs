//! `postrider report`: feedback and records by mail, and what must not be in them.

use crate::notices::outbound;
use crate::support::{Protocol, Server, Site, loopback_account};

fn site(smtp: &Server) -> Site {
    let account =
        loopback_account("imap", "none", 1, "u1").replace("password = \"", "password = \"hunter2-");
    let mut site = Site::new(&[("a", account)]);
    site.set("outbound.relay", &outbound(smtp.port));
    site.set("notices", "system = \"robot@example.org\"\n");
    site
}

fn taken(smtp: &Server) -> Vec<String> {
    smtp.store(|store| {
        store.taken.iter().map(|mail| String::from_utf8_lossy(&mail.octets).into_owned()).collect()
    })
}

#[test]
fn address_that_is_not_set_sends_nothing_and_says_so() {
    let smtp = Server::start(Protocol::Smtp);
    let site = site(&smtp);
    assert_eq!(site.cli(&["poll"]).code, 1);
    let id = site.log().last().unwrap()["id"].to_string();
    let calls: [(&[&str], &str); 2] = [
        (&["report", "feedback", "hello"], "notices.feedback is not set; nothing was sent"),
        (&["report", "error", &id], "notices.error_reporting is not set; nothing was sent"),
    ];
    for (arguments, words) in calls {
        let output = site.cli(arguments);
        assert_eq!(output.code, 2, "{output:?}");
        assert!(output.stderr.contains(words), "{output:?}");
    }
    assert_eq!(smtp.connections(), 0);
}

#[test]
fn feedback_goes_with_version_config_and_log_and_without_secrets() {
    let smtp = Server::start(Protocol::Smtp);
    let mut site = site(&smtp);
    site.add("notices", "feedback = \"help@example.org\"");
    assert_eq!(site.cli(&["poll"]).code, 1);
    let text = "Umläute\nare gone";
    let dry = site.cli(&["report", "feedback", text, "--attach-log", "1h", "--dry-run"]);
    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(dry.stdout.contains("nothing was sent") && taken(&smtp).is_empty(), "{dry:?}");
    for words in [
        "To: help@example.org",
        "feedback: Umläute are gone",
        "postrider 0.",
        "[inbound.a]",
        "attached: log.jsonl",
        "connect-failed",
        "password = (text)",
    ] {
        assert!(dry.stdout.contains(words), "{words} in {}", dry.stdout);
    }
    assert!(!dry.stdout.contains("hunter2"), "{}", dry.stdout);
    let sent = site.cli(&["report", "feedback", text, "--attach-log", "1h"]);
    assert_eq!(sent.code, 0, "{sent:?}");
    assert!(sent.stdout.contains("sent to help@example.org by relay"), "{sent:?}");
    let mails = taken(&smtp);
    let [mail] = mails.as_slice() else { panic!("{mails:?}") };
    assert!(mail.contains("X-Postrider-Report: feedback"), "{mail}");
    assert!(mail.contains("config.txt") && mail.contains("log.jsonl"), "{mail}");
    assert!(!mail.contains("hunter2"), "{mail}");
}

#[test]
fn record_of_the_log_goes_with_its_cause_and_remedy() {
    let smtp = Server::start(Protocol::Smtp);
    let mut site = site(&smtp);
    site.add("notices", "error_reporting = \"ops@example.org\"");
    assert_eq!(site.cli(&["poll"]).code, 1);
    let log = site.log();
    let record = log.iter().find(|record| record["code"] == "connect-failed").unwrap();
    let id = record["id"].to_string();
    let sent = site.cli(&["report", "error", &id, "--json"]);
    assert_eq!(sent.code, 0, "{sent:?}");
    let said: serde_json::Value = serde_json::from_str(&sent.stdout).unwrap();
    assert_eq!((&said["sent"], &said["to"]), (&true.into(), &"ops@example.org".into()));
    let mail = taken(&smtp).remove(0);
    for words in ["connect-failed", "cause", "remedy", "account     a"] {
        assert!(mail.contains(words), "{words} in {mail}");
    }
    let none = site.cli(&["report", "error", "999999"]);
    assert_eq!(none.code, 1, "{none:?}");
}

#[test]
fn refused_report_is_a_failure_with_the_servers_words() {
    let smtp = Server::start(Protocol::Smtp);
    let mut site = site(&smtp);
    site.add("notices", "feedback = \"help@example.org\"");
    smtp.set_fault(crate::support::Fault::on("RCPT").instead("550 5.1.1 nobody here\r\n"));
    let sent = site.cli(&["report", "feedback", "hello"]);
    assert_eq!(sent.code, 1, "{sent:?}");
    assert!(sent.stderr.contains("nobody here"), "{sent:?}");
}
