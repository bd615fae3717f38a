//! The examples of docs/actions.md, as they stand there, with this test's folders and service.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::{actions, all_well, count, each_came};
use crate::support::{Dovecot, Options, Protocol, Server, Site, sample};

/// The `[[…on_received]]` blocks of the page, in their order.
fn examples() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/actions.md");
    let text = fs::read_to_string(page).unwrap();
    let blocks = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.map(str::to_owned).collect()
}

fn example(name: &str) -> String {
    let found = examples().into_iter().find(|block| block.contains(&format!("\"{name}\"")));
    found.unwrap_or_else(|| panic!("no example {name}"))
}

fn deliver(dovecot: &Dovecot, names: &[(&str, &str)]) {
    let mut text = "From: Bill <bill@supplier.example>\nSubject: scans\nMIME-Version: 1.0\n\
                    Content-Type: multipart/mixed; boundary=B\n\n"
        .to_owned();
    for (name, octets) in names {
        write!(
            text,
            "--B\nContent-Type: application/octet-stream\n\
             Content-Disposition: attachment; filename=\"{name}\"\n\n{octets}\n"
        )
        .unwrap();
    }
    dovecot.deliver("u1", (text + "--B--\n").as_bytes());
}

fn site(dovecot: &Dovecot, rule: &str) -> Site {
    let lines = dovecot.account("imap", "none", "u1");
    let mut site = Site::empty();
    site.account("invoices", &format!("{lines}\n{rule}"));
    site.init_root();
    site
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn accounting_program_finds_whole_documents_in_its_folder() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, &[("Invoice 1.PDF", "one"), ("logo.png", "x"), ("e.xml", "<a/>")]);
    deliver(&dovecot, &[("Invoice 1.PDF", "two")]);
    let inbox = tempfile::tempdir().unwrap();
    let rule = example("to-accounting")
        .replace("/srv/accounting/inbox", &inbox.path().display().to_string());
    let site = site(&dovecot, &rule);
    site.poll();
    assert_eq!(count(&site, "done"), 2, "{:?}", actions(&site));
    let mut ends: Vec<String> = names(inbox.path())
        .into_iter()
        .map(|name| name.splitn(3, '-').nth(2).unwrap().to_owned())
        .collect();
    ends.sort();
    assert_eq!(ends, ["Invoice_1.PDF", "Invoice_1.PDF", "e.xml"]);
    // A replay finds all of them there.
    assert_eq!(site.cli(&["replay", "invoices"]).code, 0);
    assert_eq!(names(inbox.path()).len(), 3);
}

#[test]
fn each_mail_becomes_a_signed_ticket() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, &[]);
    let receiver = all_well();
    let rule = example("ticket").replace("https://tickets.example.org/hooks/mail", &receiver.url());
    let site = site(&dovecot, &rule);
    let word = site.path().join("word");
    fs::write(&word, "a secret word").unwrap();
    let mut secret = site.command(&["secret", "set", "tickets"]);
    let set = secret.stdin(fs::File::open(&word).unwrap()).output().unwrap();
    assert!(set.status.success(), "{set:?}");
    site.poll();
    assert_eq!(count(&site, "done"), 1, "{:?}", actions(&site));
    let requests = receiver.requests();
    each_came(&site, &requests, "ticket");
    assert_eq!(
        requests[0].fields["webhook-signature"],
        super::webhook::signature(&requests[0], b"a secret word")
    );
}

#[test]
fn attachments_alone_are_copied_and_none_replaces_another() {
    let dovecot = Dovecot::start();
    for octets in ["one", "two", "one"] {
        deliver(&dovecot, &[("scan.pdf", octets)]);
    }
    let folder = tempfile::tempdir().unwrap();
    let rule =
        example("attachments").replace("/srv/attachments", &folder.path().display().to_string());
    let site = site(&dovecot, &rule);
    site.poll();
    assert_eq!(count(&site, "done"), 3, "{:?}", actions(&site));
    assert_eq!(names(folder.path()), ["scan-2.pdf", "scan.pdf"]);
}

#[test]
fn clerk_gets_the_mail_and_urgent_mail_its_star() {
    let (dovecot, server) = (Dovecot::start(), Server::start(Protocol::Smtp));
    dovecot.deliver("u1", &sample("urgent: pay", 100));
    dovecot.deliver("u1", &sample("no hurry", 100));
    let mut site = Site::empty();
    site.set("outbound.o", &crate::sending::account(&server));
    let rules = example("to-the-clerk") + "\n" + &example("star");
    let lines = dovecot.account("imap", "none", "u1");
    site.account("invoices", &format!("{lines}\n{rules}"));
    site.init_root();
    site.poll();
    assert_eq!(count(&site, "done"), 3, "{:?}", actions(&site));
    let to: Vec<Vec<String>> =
        server.store(|store| store.taken.iter().map(|mail| mail.to.clone()).collect());
    assert_eq!(to, [["<clerk@example.org>"], ["<clerk@example.org>"]]);
    let listed = dovecot.imap_client("u1").list("INBOX");
    let starred: Vec<u32> = listed
        .iter()
        .filter(|message| message.flags.contains(&"\\Flagged".to_owned()))
        .map(|message| message.uid)
        .collect();
    assert_eq!(starred, [1]);
}

#[test]
fn example_of_a_program_is_a_rule_and_the_commands_of_the_page_exist() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, &[]);
    let program = examples().into_iter().find(|block| block.contains("\"exec\"")).unwrap();
    let site = site(&dovecot, &program.replace("/usr/local/bin/to-erp", "/bin/ls"));
    site.poll();
    assert_eq!(count(&site, "done"), 1, "{:?}", actions(&site));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/actions.md");
    let text = fs::read_to_string(page).unwrap();
    let commands: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("$ postrider ")).collect();
    assert!(commands.len() >= 5);
    for command in commands {
        let arguments: Vec<&str> =
            command.split(' ').filter(|word| *word != "--rule" && *word != "ticket").collect();
        let output = site.cli(&arguments);
        assert_eq!(output.code, 0, "{command}: {output:?}");
    }
}

#[test]
fn mail_of_a_supplier_is_moved_to_the_mailbox_of_what_is_done() {
    let more = "namespace inbox {\n mailbox Processed {\n  auto = create\n }\n}\n";
    let dovecot = Dovecot::start_with(&Options { more, ..Options::default() });
    deliver(&dovecot, &[("a.pdf", "one")]);
    dovecot.deliver("u1", &sample("of somebody else", 300));
    let site = site(&dovecot, &example("processed"));
    site.poll();
    assert_eq!((count(&site, "done"), site.stored().len()), (1, 2), "{:?}", actions(&site));
    let uids = |mailbox| dovecot.imap_client("u1").uids(mailbox).len();
    assert_eq!((uids("INBOX"), uids("Processed")), (1, 1));
}

#[test]
fn mail_that_a_filter_calls_spam_stays_on_the_server() {
    let dovecot = Dovecot::start();
    let text = String::from_utf8(sample("buy now", 300)).unwrap();
    dovecot.deliver("u1", format!("X-Spam-Flag: YES\n{text}").as_bytes());
    dovecot.deliver("u1", &sample("an invoice", 300));
    let site = site(&dovecot, &example("spam"));
    let poll = site.cli(&["poll"]);
    assert!(poll.stdout.contains("1 archived, 1 not archived by rule spam"), "{poll:?}");
    assert_eq!((site.stored().len(), dovecot.imap_client("u1").uids("INBOX").len()), (1, 2));
}
