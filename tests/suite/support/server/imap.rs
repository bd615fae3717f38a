//! `IMAP4rev1` as far as a client that fetches and deletes needs it (RFC 9051, RFC 4315).

use std::fmt::Write;
use std::sync::Arc;

use super::{Answer, Dialect, Protection, Shared, Store, bearer, imap_fetch, is_known, plain};

/// One session.
pub(super) struct Imap {
    shared: Arc<Shared>,
    encrypted: bool,
    logged_in: bool,
    selected: Option<String>,
    writable: bool,
    /// The tag of an AUTHENTICATE whose response is to come.
    awaits_plain: Option<String>,
    awaits_literal: Option<Literal>,
}

/// A message that is being appended.
struct Literal {
    tag: String,
    mailbox: String,
    size: usize,
    octets: Vec<u8>,
}

impl Imap {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            encrypted: false,
            logged_in: false,
            selected: None,
            writable: false,
            awaits_plain: None,
            awaits_literal: None,
        }
    }

    fn capabilities(&self) -> String {
        let usual = "IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS ID";
        let mut all = self.shared.kind.capabilities.clone().unwrap_or_else(|| usual.to_owned());
        if self.shared.kind.protection == Protection::StartTls && !self.encrypted {
            all.push_str(" STARTTLS");
        }
        all
    }

    fn log_in(&mut self, credentials: Option<(String, String)>) -> String {
        self.logged_in = credentials.is_some_and(|(user, password)| is_known(&user, &password));
        if self.logged_in {
            return format!("OK [CAPABILITY {}] logged in\r\n", self.capabilities());
        }
        "NO [AUTHENTICATIONFAILED] wrong\r\n".to_owned()
    }

    fn with_mailbox(&self, act: impl FnOnce(&mut Store, &str) -> Vec<u8>) -> Vec<u8> {
        match self.selected.clone() {
            Some(name) => act(&mut self.shared.state().store, &name),
            None => Vec::new(),
        }
    }

    /// Untagged responses, then the tagged one without its tag.
    fn command(&mut self, word: &str, arguments: &str) -> (Vec<u8>, String) {
        let ok = |word: &str| format!("OK {word} done\r\n");
        match word {
            "CAPABILITY" => {
                (format!("* CAPABILITY {}\r\n", self.capabilities()).into_bytes(), ok(word))
            }
            "LOGIN" => {
                let fields = quoted(arguments);
                let credentials = fields.first().cloned().zip(fields.get(1).cloned());
                (Vec::new(), self.log_in(credentials))
            }
            "NOOP" | "CHECK" | "ENABLE" => (Vec::new(), ok(word)),
            "ID" => (b"* ID NIL\r\n".to_vec(), ok(word)),
            "LOGOUT" => (b"* BYE\r\n".to_vec(), ok(word)),
            _ if !self.logged_in => (Vec::new(), "BAD log in first\r\n".to_owned()),
            "LIST" => {
                let mut store = self.shared.state();
                store.store.inbox();
                let names = store.store.mailboxes.keys();
                let line = |name: &String| format!("* LIST () \"/\" \"{name}\"\r\n");
                (names.map(line).collect::<String>().into_bytes(), ok(word))
            }
            "CREATE" => {
                let name = quoted(arguments).first().cloned().unwrap_or_default();
                self.shared.state().store.mailboxes.entry(name).or_default();
                (Vec::new(), ok(word))
            }
            "SUBSCRIBE" => (Vec::new(), ok(word)),
            "SELECT" | "EXAMINE" => self.open(word, arguments),
            "UID" => self.uid(arguments),
            "EXPUNGE" | "CLOSE" => {
                // What no client of ours may ever say; it does what it says.
                let all = (1, u32::MAX);
                (self.expunge(&[all]), ok(word))
            }
            _ => (Vec::new(), "BAD not known\r\n".to_owned()),
        }
    }

    fn open(&mut self, word: &str, arguments: &str) -> (Vec<u8>, String) {
        let name = quoted(arguments).first().cloned().unwrap_or_default();
        let mut state = self.shared.state();
        state.store.inbox();
        let Some(mailbox) = state.store.mailboxes.get(&name) else {
            self.selected = None;
            return (Vec::new(), "NO [NONEXISTENT] no such mailbox\r\n".to_owned());
        };
        let said = format!(
            "* FLAGS (\\Seen \\Deleted)\r\n\
             * OK [PERMANENTFLAGS (\\Seen \\Deleted)] kept\r\n* {} EXISTS\r\n* 0 RECENT\r\n\
             * OK [UIDVALIDITY {}] valid\r\n* OK [UIDNEXT {}] next\r\n",
            mailbox.exists(),
            mailbox.uid_validity,
            mailbox.uid_next(),
        );
        self.selected = Some(name);
        self.writable = word == "SELECT";
        let code = if self.writable { "READ-WRITE" } else { "READ-ONLY" };
        (said.into_bytes(), format!("OK [{code}] {word} done\r\n"))
    }

    /// APPEND: to a mailbox that is there, after the literal was asked for or not.
    fn append(&mut self, tag: &str, arguments: &str) -> Answer {
        let mailbox = quoted(arguments).first().cloned().unwrap_or_default();
        let size = arguments.rsplit_once('{').map_or("", |(_, size)| size);
        let digits = size.trim_end_matches(['}', '+']).parse();
        if !self.shared.state().store.mailboxes.contains_key(&mailbox) {
            return Answer::of(format!("{tag} NO [TRYCREATE] no such mailbox\r\n"));
        }
        if self.selected.as_ref() == Some(&mailbox) && !self.writable {
            // As Courier does.
            return Answer::of(format!("{tag} NO selected READ-ONLY\r\n"));
        }
        let Ok(octets) = digits else { return Answer::of(format!("{tag} BAD size\r\n")) };
        let (tag, asks) = (tag.to_owned(), !size.ends_with("+}"));
        self.awaits_literal = Some(Literal { tag, mailbox, size: octets, octets: Vec::new() });
        Answer::of(if asks { "+ go\r\n" } else { "" })
    }

    /// A line of the message that is being appended; what holds the last one ends the command.
    fn take(&mut self, mut literal: Literal, line: &str) -> Answer {
        literal.octets.extend_from_slice(line.as_bytes());
        literal.octets.extend_from_slice(b"\r\n");
        if literal.octets.len() < literal.size + 2 {
            self.awaits_literal = Some(literal);
            return Answer::default();
        }
        literal.octets.truncate(literal.size);
        let mut state = self.shared.state();
        let mailbox = state.store.mailboxes.get_mut(&literal.mailbox).expect("it was there");
        let (tag, validity, uid) = (literal.tag, mailbox.uid_validity, mailbox.uid_next);
        mailbox.deliver(literal.octets);
        Answer::of(format!("{tag} OK [APPENDUID {validity} {uid}] done\r\n"))
    }

    fn uid(&self, arguments: &str) -> (Vec<u8>, String) {
        let ok = |word: &str| format!("OK UID {word} done\r\n");
        let (word, rest) = arguments.split_once(' ').unwrap_or((arguments, ""));
        let (set, items) = rest.split_once(' ').unwrap_or((rest, ""));
        if self.selected.is_none() {
            return (Vec::new(), "BAD select a mailbox first\r\n".to_owned());
        }
        match word {
            "FETCH" => {
                let said = self.with_mailbox(|store, name| {
                    imap_fetch::fetch(&store.mailboxes[name], set, items)
                });
                (said, ok(word))
            }
            "SEARCH" => {
                let set = match set {
                    "UID" => items.split(' ').next().unwrap_or(items),
                    "DELETED" => set,
                    _ => "1:*",
                };
                let said = self
                    .with_mailbox(|store, name| imap_fetch::search(&store.mailboxes[name], set));
                (said, ok(word))
            }
            "STORE" if self.writable => {
                let deleted = items.contains("+FLAGS") && items.contains("\\Deleted");
                self.with_mailbox(|store, name| {
                    let mailbox = store.mailboxes.get_mut(name).expect("selected");
                    for (uid, message) in &mut mailbox.messages {
                        if deleted && imap_fetch::is_in(set, *uid) {
                            message.flags.push("\\Deleted".to_owned());
                        }
                    }
                    Vec::new()
                });
                (Vec::new(), ok(word))
            }
            "EXPUNGE" if self.writable => {
                let said = self.expunge(&imap_fetch::ranges(set, u32::MAX));
                (said, ok(word))
            }
            "STORE" | "EXPUNGE" => (Vec::new(), "NO [READ-ONLY] examined\r\n".to_owned()),
            _ => (Vec::new(), "BAD not known\r\n".to_owned()),
        }
    }

    fn expunge(&self, ranges: &[(u32, u32)]) -> Vec<u8> {
        let archive = self.shared.kind.archive.clone();
        self.with_mailbox(|store, name| {
            let mut said = String::new();
            let messages = &store.mailboxes[name].messages;
            let flagged: Vec<(usize, u32)> = (1..)
                .zip(messages)
                .filter(|(_, (_, message))| message.flags.iter().any(|flag| flag == "\\Deleted"))
                .map(|(number, (uid, _))| (number, *uid))
                .filter(|(_, uid)| ranges.iter().any(|(a, b)| (a..=b).contains(&uid)))
                .collect();
            for (before, (number, uid)) in flagged.into_iter().enumerate() {
                store.remove(name, uid, archive.as_deref());
                write!(said, "* {} EXPUNGE\r\n", number - before).unwrap();
            }
            said.into_bytes()
        })
    }
}

impl Dialect for Imap {
    fn greeting(&mut self) -> Vec<u8> {
        format!("* OK [CAPABILITY {}] ready\r\n", self.capabilities()).into_bytes()
    }

    fn split<'a>(&self, line: &'a str) -> (&'a str, &'a str) {
        line.split_once(' ').unwrap_or(("", line))
    }

    fn answer(&mut self, line: &str) -> Answer {
        if let Some(tag) = self.awaits_plain.take() {
            return Answer::of(format!("{tag} {}", self.log_in(plain(line))));
        }
        if let Some(literal) = self.awaits_literal.take() {
            return self.take(literal, line);
        }
        let (tag, command) = self.split(line);
        let (word, arguments) = command.split_once(' ').unwrap_or((command, ""));
        let word = word.to_uppercase();
        if word == "AUTHENTICATE" {
            let (_, response) = arguments.split_once(' ').unwrap_or((arguments, ""));
            if response.is_empty() {
                self.awaits_plain = Some(tag.to_owned());
                return Answer::of("+ \r\n");
            }
            let token = arguments.to_uppercase().starts_with("XOAUTH2 ");
            let credentials = if token { bearer(response) } else { plain(response) };
            return Answer::of(format!("{tag} {}", self.log_in(credentials)));
        }
        if word == "APPEND" {
            return self.append(tag, arguments);
        }
        if word == "STARTTLS" && !self.encrypted && self.shared.tls.is_some() {
            let octets = format!("{tag} OK begin\r\n").into_bytes();
            return Answer { octets, tls: true, end: false };
        }
        let (mut octets, last) = self.command(&word, arguments);
        octets.extend_from_slice(format!("{tag} {last}").as_bytes());
        Answer { octets, tls: false, end: word == "LOGOUT" }
    }

    fn encrypted(&mut self) {
        self.encrypted = true;
    }
}

/// The arguments, whether they are quoted or not.
fn quoted(arguments: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut characters = arguments.chars().peekable();
    while let Some(&first) = characters.peek() {
        let mut argument = String::new();
        if first == '"' {
            characters.next();
            while let Some(c) = characters.next().filter(|c| *c != '"') {
                argument.push(if c == '\\' { characters.next().unwrap_or(c) } else { c });
            }
        } else {
            while let Some(c) = characters.next_if(|c| *c != ' ') {
                argument.push(c);
            }
        }
        characters.next_if_eq(&' ');
        all.push(argument);
    }
    all
}
