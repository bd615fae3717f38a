//! The accounts of the installation, and what becomes of their mail on the server.

/// What becomes of an account's mail on the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// It goes at once, in most rounds.
    AtOnce,
    /// It goes two days after it was received, in every round.
    Days,
    /// It is moved, marked or removed, as chance has it.
    Modes,
}

/// An account of the installation.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    pub name: &'static str,
    pub protocol: &'static str,
    pub user: &'static str,
    pub rule: Rule,
    /// It has a mailbox besides INBOX, whose name changes.
    pub has_work: bool,
}

const fn account(name: &'static str, user: &'static str, rule: Rule) -> Account {
    let protocol = if name.as_bytes()[0] == b'p' { "pop3" } else { "imap" };
    Account { name, protocol, user, rule, has_work: false }
}

/// They share root and ledger.
pub(super) const ACCOUNTS: [Account; 6] = [
    account("imap1", "u1", Rule::AtOnce),
    account("pop31", "u2", Rule::AtOnce),
    Account { has_work: true, ..account("imap2", "u3", Rule::AtOnce) },
    account("pop32", "u4", Rule::AtOnce),
    account("imap3", "u5", Rule::Days),
    account("imap4", "u6", Rule::Modes),
];

/// A mailbox that the server calls the trash, and one that it says nothing of.
pub(super) const FOLDERS: &str = "namespace inbox {
 mailbox Bin {
  special_use = \\Trash
  auto = create
 }
 mailbox Done {
  auto = create
 }
}
";

pub(super) const MODES: [&str; 4] =
    ["delete_mode = \"trash\"\n", "delete_mode = \"move:Done\"\n", "delete_mode = \"flag\"\n", ""];
