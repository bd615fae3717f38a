//! Plays a fault of an outbound server: each case is one server and one message by `send-test`; and
//! what becomes of a notice whose first attempt meets it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::sending::{account, json, site};
use crate::support::server::{Fault, Kind, Protection, Protocol, Server, Taken, Then};
use crate::support::{Certificate, Certs, Site, in_parallel, loopback_account, wait_for};

/// Longer than a notice's first attempts are apart.
const SOON: Duration = Duration::from_mins(1);

/// `tests/scenarios/smtp/NAME.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// The table's rows and a sentence, which all scenarios have.
    #[serde(rename = "ids")]
    _ids: Vec<String>,
    #[serde(rename = "what")]
    _what: String,
    /// The account's `encryption`, and the server's.
    #[serde(default)]
    encryption: Protection,
    case: Vec<Case>,
    /// The daemon's mail is not taken at its first attempt, and later, when the server is well
    /// again.
    #[serde(default)]
    notice: Option<Notice>,
}

/// One fault or several, and what must come of one message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    fault: Vec<Fault>,
    error: String,
    /// Words of the error.
    #[serde(default)]
    says: String,
    /// Mails that the server took for good; never more than one.
    #[serde(default)]
    taken: usize,
    /// What each command begins with; empty: anything.
    #[serde(default)]
    only: Vec<String>,
    /// Text that no command has.
    #[serde(default)]
    never: Vec<String>,
}

/// What becomes of a notice whose first attempt meets the fault of the first case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Notice {
    /// Mails that the server has in the end, all with one Message-ID.
    taken: usize,
}

impl Case {
    /// Short only where it is waited for: elsewhere a busy machine must not look like a dead server.
    fn is_waited_for(&self) -> bool {
        let waits = |fault: &Fault| fault.then == Then::Hang || fault.every_ms > 0;
        self.fault.iter().any(waits)
    }
}

/// Plays it.
pub(super) fn play(name: &str) {
    let scenario: Scenario = super::file::parse("smtp", name);
    let cases: Vec<(usize, &Case)> = (1..).zip(&scenario.case).collect();
    in_parallel(&cases, |(n, case)| send(&format!("{name}, case {n}"), &scenario, case));
    if let Some(notice) = &scenario.notice {
        notify(name, &scenario.case[0], notice);
    }
}

/// One message by `send-test`: one attempt, one error, and the server has what it says it has.
fn send(when: &str, scenario: &Scenario, case: &Case) {
    let folder = tempfile::tempdir().unwrap();
    let is_plain = scenario.encryption == Protection::None;
    let certs = (!is_plain).then(|| Certs::make(folder.path(), Certificate::Good));
    let ca = certs.as_ref().map(|certs| format!("tls_ca_file = \"{}\"\n", certs.ca.display()));
    let protection = scenario.encryption;
    let kind = Kind { protocol: Protocol::Smtp, protection, certs, ..Kind::default() };
    let server = Server::start_as(kind);
    case.fault.iter().cloned().for_each(|fault| server.set_fault(fault));
    let mut lines = account(&server) + ca.as_deref().unwrap_or_default();
    if !is_plain {
        let own = format!("\"{}\"", scenario.encryption.word());
        lines = lines.replace("\"none\"\nallow_plaintext = true", &own);
    }
    if !case.is_waited_for() {
        lines = lines.replace("\"1s\"", "\"20s\"").replace("\"2s\"", "\"20s\"");
    }
    let output = site(&lines).cli(&["send-test", "o", "--json"]);
    let value = json(&output);
    let error = &value["error"];
    assert_eq!((output.code, value["ok"].as_bool()), (1, Some(false)), "{when}: {output:?}");
    let is_one = case.error.split('|').any(|code| error["code"] == code);
    assert!(is_one, "{when}: {} is wanted, {error}", case.error);
    assert!(error["message"].as_str().unwrap().contains(&case.says), "{when}: {error}");
    assert!(output.took < Duration::from_secs(15), "{when}: {:?}", output.took);
    assert!(output.used.memory < 64 << 10, "{when}: {} MiB", output.used.memory >> 10);
    for text in [&output.stdout, &output.stderr] {
        assert!(!text.contains("secret-u1") && !text.contains('\u{1b}'), "{when}: {text}");
    }
    assert_eq!(server.connections(), 1, "{when}: {error}");
    let commands = server.commands();
    let count = |word: &str| commands.iter().filter(|line| line.starts_with(word)).count();
    for word in ["AUTH", "MAIL", "RCPT", "DATA"] {
        assert!(count(word) <= 1, "{when}: {commands:?}");
    }
    let is_known = |line: &&String| case.only.iter().any(|word| line.starts_with(word.as_str()));
    let others: Vec<&String> = commands.iter().filter(|line| !is_known(line)).collect();
    assert!(case.only.is_empty() || others.is_empty(), "{when}: {others:?} in {commands:?}");
    for text in &case.never {
        assert!(!commands.iter().any(|line| line.contains(text)), "{when}: {commands:?}");
    }
    let taken = server.store(|store| store.taken.clone());
    let ids: Vec<String> = taken.iter().map(message_id).collect();
    let told = format!("<{}>", value["message_id"].as_str().unwrap());
    assert_eq!(ids, vec![told; case.taken], "{when}");
}

/// A daemon has something to tell: the mail waits, and comes with the Message-ID that it had.
fn notify(name: &str, case: &Case, notice: &Notice) {
    let server = Server::start(Protocol::Smtp);
    case.fault.iter().cloned().for_each(|fault| server.set_fault(fault));
    let nobody = loopback_account("imap", "none", 1, "u1");
    let more = "poll_interval = \"1s\"\nalert_if_no_success = \"2s\"\n";
    let mut site = Site::new(&[("a", format!("{nobody}{more}"))]);
    site.set("outbound.o", &account(&server));
    let table = "system = \"robot@example.org\"\nerror_reporting = \"ops@example.org\"\n\
                 digest = \"1s\"\nmax_per_hour = 60\n";
    site.set("notices", table);
    let waiting = || site.status()["notices"]["waiting"].as_array().unwrap().clone();
    let daemon = site.spawn(&["run"]);
    let mail = wait_for("a failed attempt", SOON, || {
        let failed = |mail: &Value| mail["error"]["code"].is_string();
        waiting().into_iter().find(failed)
    });
    let code = mail["error"]["code"].as_str().unwrap();
    assert!(case.error.split('|').any(|wanted| wanted == code), "{name}: {mail}");
    server.heal();
    wait_for("an empty queue", SOON, || waiting().is_empty().then_some(()));
    assert_eq!(daemon.stop(SOON).code, 0);
    let ids: Vec<String> = server.store(|s| s.taken.iter().map(message_id).collect());
    let told = format!("<{}>", mail["message_id"].as_str().unwrap());
    let same = ids.iter().filter(|id| **id == told).count();
    assert_eq!(same, notice.taken, "{name}: {told} in {ids:?}");
}

fn message_id(mail: &Taken) -> String {
    let text = String::from_utf8_lossy(&mail.octets).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("Message-ID: "));
    line.unwrap_or_else(|| panic!("no Message-ID in {text}")).trim().to_owned()
}
