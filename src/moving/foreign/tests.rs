//! Configurations as people write them, and as nobody should.

mod fuzz;
mod meaning;

use super::*;

fn keys(account: &ForeignAccount) -> String {
    let lines = account.keys.iter().map(|(key, value)| format!("{key} = {value}\n"));
    lines.collect()
}

fn lost(found: &Found) -> Vec<String> {
    found.not_carried.iter().map(|lost| format!("{} {}", lost.line, lost.what)).collect()
}

fn text(secret: Option<&ForeignSecret>) -> Option<&str> {
    match secret {
        Some(ForeignSecret::Text(text)) => Some(text),
        _ => None,
    }
}

#[test]
fn fetchmail_servers_users_and_defaults_become_accounts() {
    let found = Program::Fetchmail.read(
        "set daemon 300\nset postmaster \"root\"\ndefaults proto pop3 timeout 60\n\
         poll pop.example.org port 995 with options ssl sslcertck\n\
         \x20 user 'jo@example.org' there with password \"p\\\"w # 1\" is jo here keep limit 5000\n\
         \x20 user ann, pass secret2; to ann fetchall nokeep # the rest\n\
         skip old via 192.0.2.7 proto IMAP: user bob password x folder INBOX, \"Lists/a\" mda \"/bin/x\"\n",
    );
    let names: Vec<&str> = found.accounts.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["jo-example.org", "ann-pop.example.org", "bob-192.0.2.7"]);
    assert_eq!(
        keys(&found.accounts[0]),
        "encryption = \"tls\"\nhost = \"pop.example.org\"\nmax_message_size = \"5000B\"\n\
         poll_interval = \"300s\"\nport = 995\nprotocol = \"pop3\"\nread_timeout = \"60s\"\n\
         user = \"jo@example.org\"\n"
    );
    assert_eq!(text(found.accounts[0].secret.as_ref()), Some("p\"w # 1"));
    assert!(keys(&found.accounts[1]).contains("delete_read = true"));
    let bob = keys(&found.accounts[2]);
    assert!(bob.contains("enabled = false") && bob.contains("protocol = \"imap\""), "{bob}");
    assert!(bob.contains("folders = [\"INBOX\", \"Lists/a\"]"), "{bob}");
    let hosts = vec!["192.0.2.7".to_owned(), "old".to_owned()];
    let seen = Seen::FetchIds { file: None, user: "bob".to_owned(), hosts };
    assert_eq!(found.accounts[2].seen, [seen]);
    let lost = lost(&found);
    for line in ["2 set postmaster", "5 is", "6 to", "7 mda", "7 no ssl"] {
        assert!(lost.contains(&line.to_owned()), "{line}: {lost:?}");
    }
}

#[test]
fn getmail_retrievers_of_one_mailbox_become_accounts() {
    let found = Program::Getmail.read(
        "[retriever]\ntype = SimpleIMAPSSLRetriever\nserver = imap.example.org\n\
         username = jo@example.org\npassword_command = (\"pass\", \"show\", 'mail')\n\
         mailboxes = (\"INBOX\", \"a/b\")\n[destination]\ntype = Maildir\npath = ~/Mail/\n\
         [options]\ndelete_after = 14\nread_all = false\nmax_message_size = 0\n",
    );
    let account = &found.accounts[0];
    assert_eq!(
        keys(account),
        "delete_after_days = 14\ndelete_read = true\nencryption = \"tls\"\n\
         folders = [\"INBOX\", \"a/b\"]\nhost = \"imap.example.org\"\nprotocol = \"imap\"\n\
         user = \"jo@example.org\"\n"
    );
    let argv = ["pass", "show", "mail"].map(str::to_owned).to_vec();
    assert_eq!(account.secret, Some(ForeignSecret::Command(argv)));
    let name = "oldmail-imap.example.org-993-jo@example.org-a.b".to_owned();
    assert_eq!(account.seen[1], Seen::Oldmail { name, mailbox: "a/b".to_owned() });
    assert_eq!(lost(&found), ["8 type", "9 path", "12 read_all"]);
    let refused = Program::Getmail.read("[retriever]\ntype = MultidropPOP3Retriever\nserver = x\n");
    assert!(refused.accounts.is_empty() && refused.not_carried.len() == 1);
}

#[test]
fn mbsync_channels_of_an_imap_store_become_accounts() {
    let found = Program::Mbsync.read(
        "SyncState *\n\nIMAPAccount work\nHost imap.example.org\nUser jo\nPassCmd \"pass show \\\"a b\\\"\"\n\
         TLSType IMAPS\nAuthMechs LOGIN\n\nIMAPStore far\nAccount work\n\n\
         MaildirStore near\nPath ~/Mail/\nInbox ~/Mail/INBOX\n\n\
         Channel jo\nFar :far:\nNear :near:\nPatterns INBOX \"Lists/%\" !Lists/x\nExpunge Near\nMaxSize 10m\n",
    );
    let account = &found.accounts[0];
    assert_eq!(account.name, "jo");
    assert_eq!(
        keys(account),
        "encryption = \"tls\"\nfolders = [\"INBOX\", \"Lists/%\", \"!Lists/x\"]\n\
         host = \"imap.example.org\"\nmax_message_size = \"10485760B\"\nprotocol = \"imap\"\n\
         sasl = [\"LOGIN\"]\nuser = \"jo\"\n"
    );
    let argv = ["/bin/sh", "-c", "pass show \"a b\""].map(str::to_owned).to_vec();
    assert_eq!(account.secret, Some(ForeignSecret::Command(argv)));
    let file = "~/Mail/INBOX/.mbsyncstate".to_owned();
    assert_eq!(account.seen[0], Seen::SyncState { file, mailbox: "INBOX".to_owned() });
    let folders = (vec!["~/Mail/".to_owned()], true);
    assert_eq!((account.seen.len(), account.seen[1].folders()), (2, Some(folders)));
    assert_eq!(lost(&found), ["21 expunge"]);
}

#[test]
fn mpop_accounts_take_over_others_lines() {
    let found = Program::Mpop.read(
        "# all\ndefaults\ntls on\ntls_starttls off\nkeep on\n\naccount a\nhost pop.example.org\n\
         user jo\npasswordeval \"gpg -d ~/.x\"\ndelivery maildir ~/Mail\nuidls_file ~/u/%U_at_%H\n\
         account b : a\nuser ann\npassword hunter2\nkillsize 7\nkeep off\naccount default : a\n",
    );
    let names: Vec<&str> = found.accounts.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(
        keys(&found.accounts[0]),
        "encryption = \"tls\"\nhost = \"pop.example.org\"\nprotocol = \"pop3\"\nuser = \"jo\"\n"
    );
    assert!(keys(&found.accounts[1]).contains("delete_read = true"));
    assert_eq!(
        found.accounts[0].seen,
        [Seen::MpopUidls {
            file: "~/u/jo_at_pop.example.org".to_owned(),
            of: ("pop.example.org".to_owned(), "jo".to_owned())
        }]
    );
    assert_eq!(lost(&found), ["11 delivery", "16 killsize"]);
    assert!(!format!("{found:?}").contains("hunter2"));
}
