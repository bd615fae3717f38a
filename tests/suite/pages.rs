//! Pages as a person reads them, 80 columns wide: help and answers, held as files beside this one.
//!
//! `POSTRIDER_BLESS=1 cargo test --test suite pages` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Dovecot, Site, messages, sample};

fn compare(name: &str, page: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/pages");
    let file: PathBuf = folder.join(format!("{name}.txt"));
    if std::env::var_os("POSTRIDER_BLESS").is_some() {
        fs::create_dir_all(&folder).unwrap();
        fs::write(&file, page).unwrap();
    }
    let wanted = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(page, wanted, "{}: see the head of this file", file.display());
}

/// The page without what differs from run to run; what stands for it is as wide.
fn steady(page: &str, site: &Site) -> String {
    let page = page.replace(&site.root().display().to_string(), "/srv/mail");
    let mut out = String::new();
    let mut word = String::new();
    for c in page.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() {
            word.push(c);
            continue;
        }
        let hex = word.len() == 64 && word.chars().all(|c| c.is_ascii_hexdigit());
        let id = word.len() == 16 || word.len() == 52;
        let dated = word.len() >= 2 && word.chars().all(|c| c.is_ascii_digit());
        if hex || id {
            out.push_str(&"x".repeat(word.len()));
        } else if dated {
            out.push_str(&"9".repeat(word.len()));
        } else {
            out.push_str(&word);
        }
        word.clear();
        out.push(c);
    }
    out.pop();
    out
}

#[test]
fn help_pages_fit_into_80_columns() {
    let site = Site::empty();
    for name in ["why", "plan", "catch-up", "check", "status"] {
        let output = site.cli_with(&[("COLUMNS", "80")], &[name, "--help"]);
        assert_eq!(output.code, 0, "{output:?}");
        let wide: Vec<&str> =
            output.stdout.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{name}: {wide:#?}");
        compare(&format!("help-{name}"), &output.stdout);
    }
}

#[test]
fn answers_are_what_they_were() {
    let dovecot = Dovecot::start();
    for message in messages(3) {
        dovecot.deliver("u1", &message);
    }
    let account = dovecot.account("imap", "tls", "u1");
    let rules = "delete_read = true\ndelete_after_days = 14\nmax_message_size = \"5KiB\"\n";
    let mut site = Site::new(&[("box", account.clone() + rules)]);
    site.poll();
    dovecot.deliver("u1", &sample("new", 300));
    let show = |site: &Site, name: &str, arguments: &[&str]| {
        let output = site.cli(arguments);
        let page = format!("{}{}", output.stdout, output.stderr);
        let page = steady(&page, site);
        let wide: Vec<&str> = page.lines().filter(|line| line.chars().count() > 100).collect();
        assert!(wide.is_empty(), "{name}: {wide:#?}");
        compare(name, &page);
    };
    show(&site, "why-stored", &["why", "<message-0000@example.org>"]);
    show(&site, "why-held", &["why", "box", "INBOX:3"]);
    show(&site, "why-never", &["why", "<none@example.org>"]);
    show(&site, "plan", &["plan", "box"]);
    show(&site, "plan-messages", &["plan", "box", "--messages"]);
    show(&site, "catch-up", &["catch-up", "box", "--dry-run"]);
    site.account("box", &(account + "delete_read = true\n"));
    show(&site, "check", &["check"]);
}

#[test]
fn help_pages_of_moving_fit_into_80_columns() {
    let site = Site::empty();
    for name in [
        "config",
        "config export",
        "config import",
        "config history",
        "config diff",
        "import-config",
        "restore",
    ] {
        let mut words: Vec<&str> = name.split(' ').collect();
        words.push("--help");
        let output = site.cli_with(&[("COLUMNS", "80")], &words);
        assert_eq!(output.code, 0, "{output:?}");
        assert!(output.stdout.contains("Example: "), "{output:?}");
        assert!(output.stdout.lines().all(|line| line.chars().count() <= 80), "{output:?}");
        compare(&format!("help-{}", name.replace(' ', "-")), &output.stdout);
    }
}

/// Lines that are wider than 80 columns though they don't end with a path or an id, which no one
/// can shorten.
fn wide(page: &str) -> Vec<&str> {
    let columns = |text: &str| text.chars().count();
    let is_wide = |line: &&str| {
        let head = line.trim_end().rsplit_once(' ').map_or("", |(head, _)| head);
        let last = line.trim_end().rsplit(' ').next().unwrap_or_default();
        let is_one = last.contains('/') || columns(last) > 40;
        columns(line) > 80 && !(is_one && columns(head) <= 80)
    };
    page.lines().filter(is_wide).collect()
}

#[test]
fn lists_for_people_fit_into_80_columns() {
    const NAME: &str = "accounts-payable";
    let dovecot = Dovecot::start();
    for message in messages(2) {
        dovecot.deliver("u1", &message);
    }
    let rules = "[[inbound.accounts-payable.on_received]]\nname = \"to-the-ticket-system\"\n\
                 do = \"webhook\"\nurl = \"http://127.0.0.1:1/hooks/mail/incoming/invoices\"\n\
                 when = 'from ~ \"@(supplier|carrier)[.]example$\" or attachments > 0 or size > 1'\n\
                 [[inbound.accounts-payable.on_received]]\nname = \"archive\"\ndo = \"exec\"\n\
                 command = [\"/bin/sh\", \"-c\", \"echo the program says a lot of its own failure, \
                 as programs do when they fail, in words that nobody has asked for; exit 7\"]\n";
    let mut site = Site::new(&[(NAME, dovecot.account("imap", "tls", "u1") + rules)]);
    site.poll();
    let foreign = site.path().join("getmailrc");
    let lines = "[retriever]\ntype = SimpleIMAPSSLRetriever\nserver = mail.example.org\n\
                 username = accounts.payable@example.org\npassword = x\nmailboxes = (\"INBOX\",)\n\
                 record_mailbox = true\nmove_on_delete = Trash/of/the/other/program\n\
                 [destination]\ntype = MDA_external\npath = /usr/bin/procmail\n\
                 arguments = (\"-d\", \"someone\", \"-a\", \"%(sender)\")\n\
                 [filter-1]\ntype = Filter_external\npath = /usr/bin/spamassassin\n";
    fs::write(&foreign, lines).unwrap();
    let foreign = foreign.display().to_string();
    let bundle = site.path().join("bundle.toml").display().to_string();
    site.account("second-account", &dovecot.account("imap", "tls", "u2"));
    let exported = site.cli(&["config", "export"]);
    fs::write(&bundle, exported.stdout).unwrap();
    let shown: [&[&str]; 17] = [
        &["actions", "list"],
        &["actions", "list", "--all"],
        &["actions", "retry", NAME, "--rule", "to-the-ticket-sytem"],
        &["actions", "retry", "--id", "77"],
        &["replay", NAME, "--dry-run"],
        &["replay", NAME, "--rule", "nothing"],
        &["import-config", &foreign, "--dry-run"],
        &["config", "import", &bundle, "--dry-run"],
        &["config", "diff"],
        &["account", "pause", NAME, "--reason", "the server is moved to another town today"],
        &["account", "resume", NAME],
        &["config", "history"],
        &["catch-up", NAME, "--dry-run"],
        &["oauth", "status"],
        &["provider", "list"],
        &["provider", "show", "gmail"],
        &["secret", "list"],
    ];
    let mut faults = Vec::new();
    for arguments in shown {
        let output = site.cli_with(&[("COLUMNS", "80")], arguments);
        let page = format!("{}{}", output.stdout, output.stderr);
        let page = page.replace(&site.path().display().to_string(), "/srv");
        assert!(!page.contains("Usage: "), "{arguments:?}: {page}");
        faults.extend(wide(&page).into_iter().map(|line| format!("{arguments:?}: {line}")));
    }
    assert!(faults.is_empty(), "{faults:#?}");
    site.leave_unverified();
}
