//! A small IMAP client: what the tests compare with, and the other client in a mailbox.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// One message as the server shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImapMessage {
    pub uid: u32,
    /// As sent, sorted, without `\Recent`.
    pub flags: Vec<String>,
    /// As sent: `19-Nov-2026 09:12:31 +0000`.
    pub internal_date: String,
    /// RFC822.SIZE.
    pub size: u64,
    /// All octets.
    pub body: Vec<u8>,
}

/// One session in plaintext. Every method panics when the server says anything but OK.
#[derive(Debug)]
pub struct ImapClient {
    stream: BufReader<TcpStream>,
    count: u32,
    /// The server's greeting.
    pub greeting: String,
}

impl ImapClient {
    /// Connects and reads the greeting.
    pub fn connect(address: (&str, u16)) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut client = Self { stream: BufReader::new(stream), count: 0, greeting: String::new() };
        String::from_utf8_lossy(&client.line()).trim_end().clone_into(&mut client.greeting);
        client
    }

    /// Connects and logs in.
    pub fn login(address: (&str, u16), user: &str, password: &str) -> Self {
        let mut client = Self::connect(address);
        client.command(&format!("LOGIN {user} {password}"));
        client
    }

    /// Sends a command; all untagged responses, literals included.
    pub fn command(&mut self, command: &str) -> Vec<u8> {
        let (all, last) = self.attempt(command);
        assert!(last.starts_with("OK"), "`{command}` was answered by: {last}");
        all
    }

    /// Sends a command; untagged responses, and the tagged one without its tag.
    pub fn attempt(&mut self, command: &str) -> (Vec<u8>, String) {
        self.count += 1;
        let tag = format!("t{}", self.count);
        self.stream.get_mut().write_all(format!("{tag} {command}\r\n").as_bytes()).unwrap();
        let mut all = Vec::new();
        loop {
            let line = self.line();
            let last = line.strip_prefix(format!("{tag} ").as_bytes());
            if let Some(last) = last {
                return (all, String::from_utf8_lossy(last).trim_end().to_owned());
            }
            all.extend_from_slice(&line);
        }
    }

    /// All messages of the mailbox, ascending by UID; the mailbox is left selected.
    pub fn list(&mut self, mailbox: &str) -> Vec<ImapMessage> {
        self.command(&format!("SELECT \"{mailbox}\""));
        let query = "UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])";
        let mut responses = self.command(query);
        let mut messages = Vec::new();
        while let Some((message, rest)) = next_message(&responses) {
            messages.push(message);
            responses.drain(..responses.len() - rest);
        }
        messages
    }

    /// UIDs of the mailbox, ascending; the mailbox is left selected.
    pub fn uids(&mut self, mailbox: &str) -> Vec<u32> {
        self.command(&format!("SELECT \"{mailbox}\""));
        let answer = String::from_utf8(self.command("UID SEARCH ALL")).unwrap();
        let found = answer.lines().find_map(|line| line.strip_prefix("* SEARCH")).unwrap_or("");
        found.split_whitespace().map(|uid| uid.parse().unwrap()).collect()
    }

    /// UIDVALIDITY of the mailbox.
    pub fn uid_validity(&mut self, mailbox: &str) -> u32 {
        let answer = self.command(&format!("STATUS \"{mailbox}\" (UIDVALIDITY)"));
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (_, after) = answer.split_once("UIDVALIDITY ").unwrap();
        after.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    }

    /// Sets `\Deleted`, as another client of the mailbox would, without expunging.
    pub fn mark_deleted(&mut self, mailbox: &str, uid: u32) {
        self.command(&format!("SELECT \"{mailbox}\""));
        self.command(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)"));
    }

    /// One line, and with it each literal that it announces and what follows that.
    fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        loop {
            let begin = line.len();
            self.stream.read_until(b'\n', &mut line).unwrap();
            assert!(line.ends_with(b"\n"), "the server closed the connection");
            let Some(octets) = announced_literal(&line[begin..]) else { return line };
            let begin = line.len();
            line.resize(begin + octets, 0);
            self.stream.read_exact(&mut line[begin..]).unwrap();
        }
    }
}

fn announced_literal(line: &[u8]) -> Option<usize> {
    let line = std::str::from_utf8(line).ok()?.trim_end().strip_suffix('}')?;
    line.rsplit_once('{')?.1.parse().ok()
}

/// The first FETCH response, and how many octets come after it.
fn next_message(responses: &[u8]) -> Option<(ImapMessage, usize)> {
    let end = responses.iter().position(|&octet| octet == b'\n')? + 1;
    let head = std::str::from_utf8(&responses[..end]).unwrap();
    let Some(octets) = announced_literal(head.as_bytes()) else {
        return next_message(&responses[end..]); // Another untagged response.
    };
    let word = |name: &str| -> &str {
        let (_, after) = head.split_once(name).unwrap_or_else(|| panic!("no {name} in {head}"));
        after
    };
    let digits = |text: &str| -> u64 {
        text.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    let (flags, _) = word("FLAGS (").split_once(')').unwrap();
    let mut flags: Vec<String> =
        flags.split_whitespace().filter(|&f| f != "\\Recent").map(str::to_owned).collect();
    flags.sort();
    let (internal_date, _) = word("INTERNALDATE \"").split_once('"').unwrap();
    let message = ImapMessage {
        uid: u32::try_from(digits(word("UID "))).unwrap(),
        flags,
        internal_date: internal_date.trim_start().to_owned(),
        size: digits(word("RFC822.SIZE ")),
        body: responses[end..end + octets].to_vec(),
    };
    let after = &responses[end + octets..];
    let closing = after.iter().position(|&octet| octet == b'\n')? + 1;
    Some((message, after.len() - closing))
}
