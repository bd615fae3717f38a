//! POP3 with UIDL, TOP, PIPELINING and SASL PLAIN (RFC 1939, RFC 2449, RFC 5034).

use std::fmt::Write;
use std::sync::Arc;

use super::{Answer, Dialect, Message, Protection, Shared, is_known, plain};

/// One session: numbers are those of the maildrop at login.
pub(super) struct Pop3 {
    shared: Arc<Shared>,
    encrypted: bool,
    user: String,
    awaits_plain: bool,
    /// UID, message, and whether DELE was said; `None` before login.
    maildrop: Option<Vec<(u32, Message, bool)>>,
}

impl Pop3 {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let user = String::new();
        Self { shared, encrypted: false, user, awaits_plain: false, maildrop: None }
    }

    fn capabilities(&self) -> String {
        let usual = "USER SASL:PLAIN UIDL TOP PIPELINING RESP-CODES";
        let words = self.shared.kind.capabilities.as_deref().unwrap_or(usual);
        let mut lines: String =
            words.split_whitespace().map(|word| word.replace(':', " ") + "\r\n").collect();
        if self.shared.kind.protection == Protection::StartTls && !self.encrypted {
            lines += "STLS\r\n";
        }
        format!("+OK\r\n{lines}.\r\n")
    }

    fn log_in(&mut self, credentials: Option<(String, String)>) -> String {
        if credentials.is_some_and(|(user, password)| is_known(&user, &password)) {
            let mut state = self.shared.state();
            let messages = state.store.inbox().messages.iter();
            self.maildrop =
                Some(messages.map(|(uid, message)| (*uid, message.clone(), false)).collect());
            return "+OK logged in\r\n".to_owned();
        }
        "-ERR [AUTH] wrong\r\n".to_owned()
    }

    fn message(&self, argument: &str) -> Option<&Message> {
        let number: usize = argument.split(' ').next()?.parse().ok()?;
        let (_, message, deleted) = self.maildrop.as_ref()?.get(number.checked_sub(1)?)?;
        (!deleted).then_some(message)
    }

    /// The lines of LIST or UIDL.
    fn list(&self, argument: &str, show: impl Fn(&Message) -> String) -> Vec<u8> {
        if !argument.is_empty() {
            let line = |message| format!("+OK {argument} {}\r\n", show(message));
            return self.message(argument).map_or_else(missing, |found| line(found).into_bytes());
        }
        let mut said = "+OK\r\n".to_owned();
        for (number, (_, message, deleted)) in (1..).zip(self.maildrop.iter().flatten()) {
            if !deleted {
                write!(said, "{number} {}\r\n", show(message)).unwrap();
            }
        }
        (said + ".\r\n").into_bytes()
    }

    fn transaction(&mut self, word: &str, argument: &str) -> Vec<u8> {
        match word {
            "STAT" => {
                let left = self.maildrop.iter().flatten().filter(|(_, _, deleted)| !deleted);
                let sizes: Vec<u64> = left.map(|(_, message, _)| message.size()).collect();
                format!("+OK {} {}\r\n", sizes.len(), sizes.iter().sum::<u64>()).into_bytes()
            }
            "LIST" => self.list(argument, |message| message.size().to_string()),
            "UIDL" => self.list(argument, |message| message.unique_id.clone()),
            "RETR" => self.message(argument).map_or_else(missing, |found| stuffed(&found.octets)),
            "TOP" => self.message(argument).map_or_else(missing, |found| {
                let whole = found.octets.as_slice();
                let end = whole.windows(4).position(|four| four == b"\r\n\r\n");
                stuffed(&whole[..end.map_or(whole.len(), |at| at + 4)])
            }),
            "DELE" => {
                if self.message(argument).is_none() {
                    return missing();
                }
                let number: usize = argument.parse().unwrap();
                if let Some(entry) = self.maildrop.as_mut().and_then(|all| all.get_mut(number - 1))
                {
                    entry.2 = true;
                }
                b"+OK\r\n".to_vec()
            }
            "RSET" => {
                self.maildrop.iter_mut().flatten().for_each(|entry| entry.2 = false);
                b"+OK\r\n".to_vec()
            }
            "NOOP" => b"+OK\r\n".to_vec(),
            _ => b"-ERR not known\r\n".to_vec(),
        }
    }

    fn update(&mut self) {
        let archive = self.shared.kind.archive.clone();
        for (uid, _, deleted) in self.maildrop.take().into_iter().flatten() {
            if deleted {
                self.shared.state().store.remove("INBOX", uid, archive.as_deref());
            }
        }
    }
}

impl Dialect for Pop3 {
    fn greeting(&mut self) -> Vec<u8> {
        b"+OK ready\r\n".to_vec()
    }

    fn answer(&mut self, line: &str) -> Answer {
        if std::mem::take(&mut self.awaits_plain) {
            return Answer::of(self.log_in(plain(line)));
        }
        let (word, argument) = line.split_once(' ').unwrap_or((line, ""));
        match word.to_uppercase().as_str() {
            "CAPA" => Answer::of(self.capabilities()),
            "STLS" if !self.encrypted && self.shared.tls.is_some() => {
                Answer { octets: b"+OK begin\r\n".to_vec(), tls: true, end: false }
            }
            "USER" => {
                argument.clone_into(&mut self.user);
                Answer::of("+OK\r\n")
            }
            "PASS" => {
                let credentials = (self.user.clone(), argument.to_owned());
                Answer::of(self.log_in(Some(credentials)))
            }
            "AUTH" => {
                if let Some((_, response)) = argument.split_once(' ') {
                    return Answer::of(self.log_in(plain(response)));
                }
                self.awaits_plain = true;
                Answer::of("+ \r\n")
            }
            "QUIT" => {
                self.update();
                Answer { octets: b"+OK bye\r\n".to_vec(), tls: false, end: true }
            }
            _ if self.maildrop.is_none() => Answer::of("-ERR log in first\r\n"),
            word => Answer::of(self.transaction(word, argument)),
        }
    }

    fn encrypted(&mut self) {
        self.encrypted = true;
    }
}

fn missing() -> Vec<u8> {
    b"-ERR no such message\r\n".to_vec()
}

/// A multi-line response with this content (RFC 1939 §3).
fn stuffed(octets: &[u8]) -> Vec<u8> {
    let mut said = b"+OK\r\n".to_vec();
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            said.push(b'.');
        }
        said.extend_from_slice(line);
    }
    if !said.ends_with(b"\r\n") {
        said.extend_from_slice(b"\r\n");
    }
    said.extend_from_slice(b".\r\n");
    said
}
