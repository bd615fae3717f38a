//! Who asks for JSON gets JSON, also when it goes wrong: one value, with the error's words.

use serde_json::Value;

use crate::support::{Dovecot, Output, Site};

/// Each command that can fail by its config; those that need it least last.
const ALL: &[&[&str]] = &[
    &["account", "add", "x@example.org"],
    &["account", "edit", "nobody"],
    &["account", "list"],
    &["account", "show", "nobody"],
    &["account", "remove", "nobody"],
    &["account", "pause", "nobody"],
    &["account", "resume", "nobody"],
    &["account", "debug", "nobody", "--for", "1m"],
    &["actions", "list"],
    &["actions", "retry"],
    &["actions", "drop", "nobody"],
    &["catch-up", "nobody"],
    &["check"],
    &["config", "export"],
    &["config", "diff"],
    &["config", "import", "/nowhere"],
    &["export", "nobody", "--to", "/nowhere", "--format", "mbox"],
    &["import", "nobody", "/nowhere"],
    &["import-config", "/nowhere/getmailrc"],
    &["init-root"],
    &["ledger", "rebuild"],
    &["ledger", "reconcile"],
    &["log"],
    &["oauth", "login", "nobody"],
    &["oauth", "revoke", "nobody"],
    &["oauth", "status"],
    &["plan", "nobody"],
    &["poll", "nobody"],
    &["reload"],
    &["replay", "nobody"],
    &["report", "error", "1"],
    &["run"],
    &["secret", "list"],
    &["secret", "remove", "nobody"],
    &["secret", "rotate"],
    &["send-test", "nobody"],
    &["status"],
    &["test", "nobody"],
    &["verify"],
    &["why", "nothing"],
];

/// The answer of a command that has failed.
fn answer(output: &Output, arguments: &[&str]) -> Value {
    assert_ne!(output.code, 0, "{arguments:?}: {output:?}");
    assert!(!output.stderr.contains("Usage: "), "{arguments:?}: {output:?}");
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines.len(), 1, "{arguments:?}: {output:?}");
    serde_json::from_str(lines[0]).unwrap_or_else(|e| panic!("{e}: {arguments:?}: {output:?}"))
}

fn json(site: &Site, arguments: &[&str]) -> Output {
    site.cli(&[arguments, &["--json"]].concat())
}

#[test]
fn every_command_answers_a_config_with_errors_in_json() {
    let mut site = Site::empty();
    site.account("bad", "bogus = 1\n");
    site.leave_unverified();
    for arguments in ALL {
        let output = json(&site, arguments);
        let answer = answer(&output, arguments);
        let says = answer["error"]["message"].is_string() || answer["problems"].is_array();
        assert!(says, "{arguments:?}: {output:?}");
    }
}

#[test]
fn names_and_files_that_there_are_not_are_answered_in_json() {
    let dovecot = Dovecot::start();
    let site = Site::new(&[("a", dovecot.account("imap", "none", "u1"))]);
    site.poll();
    for (arguments, said) in [
        (&["account", "edit", "b"][..], "no file has an account `b`"),
        (&["account", "show", "b"], "no account `b`"),
        (&["actions", "retry", "b"], "no inbound account `b`"),
        (&["actions", "retry", "--id", "7"], "no action 7"),
        (&["catch-up", "b"], "no inbound account `b`"),
        (&["config", "diff", "77"], "no number 77"),
        (&["config", "import", "/nowhere"], "/nowhere"),
        (&["export", "b", "--to", "/nowhere", "--format", "mbox"], "`b`"),
        (&["import", "b", "/nowhere"], "no inbound account `b`"),
        (&["import-config", "/nowhere/getmailrc"], "cannot read `/nowhere/getmailrc`"),
        (&["import-config", "/nowhere/x"], "can't be told by its name"),
        (&["log", "--where", "x ="], "x"),
        (&["oauth", "login", "b"], "b"),
        (&["plan", "b"], "no inbound account `b`"),
        (&["poll", "b"], "no inbound account `b`"),
        (&["provider", "show", "b"], "b"),
        (&["reload"], "no daemon runs"),
        (&["replay", "b"], "no inbound account `b`"),
        (&["replay", "a", "--rule", "r"], "no rule `r`"),
        (&["secret", "remove", "b"], "b"),
        (&["send-test", "b"], "b"),
        (&["test", "b"], "b"),
    ] {
        let output = json(&site, arguments);
        let answer = answer(&output, arguments).to_string();
        assert!(answer.contains(said), "{arguments:?}: {output:?}");
    }
    // The editor's failure, and its mistake.
    for (editor, said) in [("false", "ended with"), ("echo 'x = 1' >>", "unknown key")] {
        let arguments = ["account", "edit", "a", "--json"];
        let output = site.cli_with(&[("VISUAL", editor)], &arguments);
        let answer = answer(&output, &arguments);
        assert_eq!(answer["ok"], false);
        assert!(answer.to_string().contains(said), "{output:?}");
    }
}
