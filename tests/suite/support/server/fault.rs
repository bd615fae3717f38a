//! What a server does wrong: at which command, and what it says or does instead.

use serde::Deserialize;

use super::State;

/// What comes behind an answer.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// Closes the connection; without a word in TLS, too.
    Close,
    #[default]
    GoOn,
    /// Says nothing more until the client ends the connection.
    Hang,
    /// Ends the connection by RST.
    Reset,
}

/// One thing that a server does wrong. What isn't set is as it should be.
///
/// Octets may hold `\xNN`, `\r`, `\n` and `\0`; `{tag}`; `{good}`, the right answer; `{*N:text*}`,
/// text N times; and `{#N:text#}`, the same with `{n}` counting from 1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// Words of the command, in this order, with `*` between them; `accept` is the moment before
    /// TLS, `connect` the greeting, `.` the end of a message alone.
    pub on: String,
    /// Polls in which it happens; none: all.
    pub polls: Vec<u32>,
    /// Only at the n-th such command of a poll.
    pub nth: Option<u32>,
    /// Not before the n-th such command of a poll.
    pub from: u32,
    /// In place of the right answer; what was asked for isn't done.
    pub instead: Option<String>,
    /// What was asked for is done in spite of `instead`.
    pub done: bool,
    pub before: String,
    pub after: String,
    /// Exchanges text of the right answer, wherever it is.
    pub replace: Vec<[String; 2]>,
    /// So many octets of all that, and no more; counted from the end when negative.
    pub cut: Option<i64>,
    /// Octets of one segment.
    pub segment: usize,
    /// Milliseconds between segments.
    pub every_ms: u64,
    /// Milliseconds before the answer.
    pub wait_ms: u64,
    /// UIDs, or numbers of messages in INBOX, that others remove just before.
    pub vanish: Vec<u32>,
    /// Messages that arrive just before.
    pub arrive: u32,
    pub then: Then,
}

impl Fault {
    /// At each command with these words.
    pub fn on(words: &str) -> Self {
        Self { on: words.to_owned(), ..Self::default() }
    }

    /// Says this, and doesn't do what was asked for.
    pub fn instead(self, octets: &str) -> Self {
        Self { instead: Some(octets.to_owned()), ..self }
    }

    /// Only at the n-th such command of a poll.
    pub fn nth(self, nth: u32) -> Self {
        Self { nth: Some(nth), ..self }
    }

    /// Ends the connection behind the answer.
    pub fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }

    pub(super) fn lets_it_happen(&self) -> bool {
        self.instead.is_none() || self.done
    }

    fn fits(&self, command: &str) -> bool {
        if matches!(self.on.as_str(), "accept" | "connect") || command == "accept" {
            return self.on == command;
        }
        if command == "connect" {
            return self.on == "*";
        }
        if self.on == "." {
            return command == ".";
        }
        let command = command.to_uppercase();
        let mut rest = command.as_str();
        self.on.split('*').all(|words| match rest.find(&words.to_uppercase()) {
            Some(at) => {
                rest = &rest[at + words.len()..];
                true
            }
            None => false,
        })
    }

    /// What is really sent.
    pub fn octets(&self, tag: &str, mut good: Vec<u8>) -> Vec<u8> {
        for [from, to] in &self.replace {
            good = replaced(&good, &expand(from, tag, b""), &expand(to, tag, b""));
        }
        let mut all = expand(&self.before, tag, &good);
        let after = expand(&self.after, tag, &good);
        match &self.instead {
            Some(text) => all.append(&mut expand(text, tag, &good)),
            None => all.append(&mut good),
        }
        all.extend(after);
        if let Some(cut) = self.cut {
            let most = usize::try_from(cut.unsigned_abs()).unwrap();
            all.truncate(if cut < 0 { all.len().saturating_sub(most) } else { most });
        }
        all
    }
}

impl State {
    /// The first fault that this command of this poll meets; counts it.
    pub(super) fn fault_at(&mut self, command: &str) -> Option<Fault> {
        let mut met = None;
        for (fault, matches) in self.faults.iter().zip(&mut self.matches) {
            let now = fault.polls.is_empty() || fault.polls.contains(&self.poll);
            if !now || !fault.fits(command) {
                continue;
            }
            *matches += 1;
            let due = fault.nth.is_none_or(|nth| nth == *matches) && *matches >= fault.from;
            if due && met.is_none() {
                met = Some(fault.clone());
            }
        }
        if let Some(fault) = &met {
            let inbox = self.store.inbox();
            fault.vanish.iter().for_each(|uid| drop(inbox.messages.remove(uid)));
            (0..fault.arrive).for_each(|_| inbox.arrive());
        }
        met
    }
}

fn replaced(octets: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(octets.len()), octets);
    while let Some(at) = memchr::memmem::find(rest, from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

fn expand(text: &str, tag: &str, good: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '\\']) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain.as_bytes());
        rest = expand_one(special, tag, good, &mut out);
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// Expands what the text begins with; says what is behind it.
fn expand_one<'a>(text: &'a str, tag: &str, good: &[u8], out: &mut Vec<u8>) -> &'a str {
    let words: [(&str, &[u8]); 5] = [
        ("{tag}", tag.as_bytes()),
        ("{good}", good),
        ("\\r", b"\r"),
        ("\\n", b"\n"),
        ("\\0", b"\0"),
    ];
    if let Some((word, octets)) = words.iter().find(|(word, _)| text.starts_with(word)) {
        out.extend_from_slice(octets);
        return &text[word.len()..];
    }
    if let Some(hex) = text.strip_prefix("\\x") {
        out.push(u8::from_str_radix(&hex[..2], 16).unwrap());
        return &hex[2..];
    }
    if let Some((count, inner, after)) = repeated(text, "{*", "*}") {
        out.extend(expand(inner, tag, good).repeat(count));
        return after;
    }
    if let Some((count, inner, after)) = repeated(text, "{#", "#}") {
        let once = expand(inner, tag, good);
        let once = String::from_utf8(once).expect("text");
        let mut pieces = once.split("{n}").map(str::as_bytes);
        let (first, others) = (pieces.next().unwrap_or_default(), pieces.collect::<Vec<_>>());
        for n in 1..=count {
            out.extend_from_slice(first);
            for piece in &others {
                out.extend_from_slice(n.to_string().as_bytes());
                out.extend_from_slice(piece);
            }
        }
        return after;
    }
    out.extend_from_slice(&text.as_bytes()[..1]);
    &text[1..]
}

fn repeated<'a>(text: &'a str, open: &str, close: &str) -> Option<(usize, &'a str, &'a str)> {
    let (count, rest) = text.strip_prefix(open)?.split_once(':')?;
    let (inner, after) = rest.split_once(close)?;
    Some((count.parse().ok()?, inner, after))
}

#[test]
fn octets_of_a_fault_are_expanded() {
    let fault = |text: &str| Fault::default().instead(text).octets("t1", b"good".to_vec());
    assert_eq!(fault("{tag} OK \\xff\\r\n"), b"t1 OK \xff\r\n");
    assert_eq!(fault("{*3:ab*}{#2:<{n}>#}{10} [{good}]"), b"ababab<1><2>{10} [good]");
    let cut = Fault { cut: Some(-2), replace: vec![["o".into(), "0".into()]], ..Fault::default() };
    assert_eq!(cut.octets("", b"good".to_vec()), b"g0");
}
