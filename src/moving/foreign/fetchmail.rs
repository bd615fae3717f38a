//! `.fetchmailrc`: words in any layout; server entries with user entries in them.

mod lexer;
mod vocabulary;

use std::collections::BTreeMap;

use lexer::{Word, words};
use vocabulary::{FLAGS, GLOBAL, NOISE, USER, WITH_VALUE, is_word, why};

use super::words::{account_name, number, seconds as seconds_of, toml, toml_list};
use super::{Carried, ForeignAccount, ForeignSecret, Found, LONGEST_INTERVAL, Seen};

/// What a server or user entry says.
#[derive(Clone, Debug, Default)]
struct Entry {
    line: u32,
    keys: BTreeMap<String, String>,
    flags: BTreeMap<String, bool>,
    folders: Vec<String>,
}

#[derive(Default)]
struct Reader {
    found: Found,
    daemon: Option<u32>,
    idfile: Option<String>,
    defaults: Entry,
    /// The open server entry: its words before any user, and its users.
    server: Option<(Entry, Vec<Entry>, Kind)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Defaults,
    Poll,
    Skip,
}

pub(super) fn read(text: &str) -> Found {
    let words = words(text);
    let mut reader = Reader::default();
    let mut rest = words.as_slice();
    while let Some((word, tail)) = rest.split_first() {
        let taken = reader.word(word, tail);
        rest = tail.get(taken..).unwrap_or_default();
    }
    reader.close();
    reader.found
}

impl Reader {
    /// Takes one word; how many of those behind it belong to it.
    fn word(&mut self, word: &Word, tail: &[Word]) -> usize {
        let next = tail.first();
        match word.text.to_ascii_lowercase().as_str() {
            "set" => return self.set(tail),
            "defaults" => self.open(word.line, String::new(), Kind::Defaults),
            kind @ ("poll" | "server" | "skip") => {
                let host = next.map(|next| next.text.clone()).unwrap_or_default();
                self.open(word.line, host, if kind == "skip" { Kind::Skip } else { Kind::Poll });
                return 1;
            }
            user if USER.contains(&user) && !word.quoted => {
                let Some((_, users, _)) = &mut self.server else {
                    self.found.lost(word.line, "user", "it stands before any server");
                    return 1;
                };
                let mut entry = Entry { line: word.line, ..Entry::default() };
                let name = next.map(|next| next.text.clone()).unwrap_or_default();
                // `user john here is jsmith there`: the first one is the local user.
                let here = tail.get(1).is_some_and(|word| !word.quoted && word.text == "here");
                entry.keys.insert("user".to_owned(), if here { String::new() } else { name });
                users.push(entry);
                return 1;
            }
            _ => return self.option(word, tail),
        }
        0
    }

    fn set(&mut self, tail: &[Word]) -> usize {
        let Some(name) = tail.first() else { return 0 };
        let value = |n: usize| tail.get(n).map(|word| word.text.clone()).unwrap_or_default();
        match name.text.as_str() {
            "daemon" => {
                self.daemon = value(1).parse().ok().filter(|seconds| *seconds > 0);
                2
            }
            "idfile" => {
                self.idfile = Some(value(1));
                2
            }
            "no" => {
                self.found.lost(name.line, format!("set no {}", value(1)), GLOBAL);
                2
            }
            "syslog" | "invisible" | "bouncemail" | "spambounce" | "softbounce" | "showdots" => {
                self.found.lost(name.line, format!("set {}", name.text), GLOBAL);
                1
            }
            word => {
                self.found.lost(name.line, format!("set {word}"), GLOBAL);
                2
            }
        }
    }

    fn open(&mut self, line: u32, host: String, kind: Kind) {
        self.close();
        let mut entry = Entry { line, ..Entry::default() };
        entry.keys.insert("host".to_owned(), host);
        self.server = Some((entry, Vec::new(), kind));
    }

    /// A word of a server's or user's entry.
    fn option(&mut self, word: &Word, tail: &[Word]) -> usize {
        let Self { found, server, .. } = self;
        let Some((entry, users, _)) = server else {
            found.lost(word.line, word.shown(), "it stands before any server");
            return 0;
        };
        let into = users.last_mut().unwrap_or(entry);
        let next = tail.first().map(|word| word.text.clone()).unwrap_or_default();
        let (bare, no) = match word.text.to_ascii_lowercase() {
            text if text == "no" => (next.to_ascii_lowercase(), 1),
            text => (text, 0),
        };
        let (bare, off) = match bare.strip_prefix("no") {
            Some(rest) if FLAGS.contains(&rest) => (rest.to_owned(), true),
            _ => (bare, no == 1),
        };
        if word.quoted {
            found.lost(word.line, "a text in quotes", "no word stands before it");
            return 0;
        }
        match bare.as_str() {
            flag if FLAGS.contains(&flag) => {
                into.flags.insert(flag.to_owned(), !off);
                no
            }
            "via" | "proto" | "protocol" | "port" | "service" | "timeout" | "interval_"
            | "password" | "pass" | "limit" | "fetchlimit" | "sslproto" | "sslcert" | "sslkey"
            | "sslcertfile" | "sslcommonname" => {
                let key = match bare.as_str() {
                    "protocol" => "proto",
                    "service" => "port",
                    "pass" => "password",
                    key => key,
                };
                into.keys.insert(key.to_owned(), next);
                1
            }
            "folder" | "mailbox" => {
                let listed = tail.iter().take_while(|word| word.quoted || !is_word(&word.text));
                into.folders = listed.map(|word| word.text.clone()).collect();
                into.folders.len()
            }
            "is" | "to" => {
                found.lost(word.line, bare, "mail goes into the archive, not to a local user");
                into.names(tail)
            }
            "dns" | "uidl" | "checkalias" => {
                found.lost(word.line, bare, "there is nothing like it, and no need for it");
                no
            }
            key if WITH_VALUE.contains(&key) => {
                found.lost(word.line, key, why(key));
                no.max(1)
            }
            noise if NOISE.contains(&noise) => no,
            _ => {
                found.lost(word.line, word.shown(), "the word is not known");
                no
            }
        }
    }

    /// Ends the open server entry: its users become accounts.
    fn close(&mut self) {
        let Some((server, users, kind)) = self.server.take() else { return };
        if kind == Kind::Defaults {
            self.defaults = server;
            if let Some(user) = users.into_iter().next() {
                self.defaults.merge(&user);
            }
            return;
        }
        if users.is_empty() {
            self.found.lost(server.line, "poll", "it has no user: fetchmail took the local one");
        }
        for user in users {
            let mut whole = self.defaults.clone();
            whole.merge(&server);
            whole.merge(&user);
            whole.line = user.line;
            self.account(&whole, kind);
        }
    }

    fn account(&mut self, entry: &Entry, kind: Kind) {
        let get = |key: &str| entry.keys.get(key).map(String::as_str).unwrap_or_default();
        let flag = |key: &str| entry.flags.get(key).copied().unwrap_or(false);
        let (label, via, user) = (get("host"), get("via"), get("user"));
        let host = if via.is_empty() { label } else { via };
        let proto = get("proto").to_ascii_lowercase();
        if host.is_empty() || user.is_empty() {
            self.found.lost(entry.line, "user", "it has no host or no name");
            return;
        }
        if !matches!(proto.as_str(), "" | "auto" | "pop3" | "apop" | "imap") {
            self.found.lost(entry.line, "proto", "only POP3 and IMAP are spoken");
            return;
        }
        let imap = !matches!(proto.as_str(), "pop3" | "apop");
        let mut account = ForeignAccount {
            name: account_name(user, host),
            line: entry.line,
            ..ForeignAccount::default()
        };
        account.set("protocol", toml(if imap { "imap" } else { "pop3" }));
        account.set("host", toml(host));
        account.set("user", toml(user));
        let (tls, unknown) = entry.encryption();
        account.set("encryption", toml(if tls { "tls" } else { "starttls" }));
        if let Some(why) = unknown {
            self.found.lost(entry.line, "service", why);
        }
        if kind == Kind::Skip {
            account.set("enabled", "false".to_owned());
        }
        // By IMAP without `fetchall` it left what a person had read; `delete_read` would not.
        if !flag("keep") && (!imap || flag("fetchall")) {
            account.set("delete_read", "true".to_owned());
        }
        if imap && !entry.folders.is_empty() {
            account.set("folders", toml_list(entry.folders.iter().map(String::as_str)));
        }
        if let Some(seconds) = self.daemon {
            let (value, clamped) = seconds_of(u64::from(seconds.max(5)), LONGEST_INTERVAL);
            account.set("poll_interval", value);
            let why = "it is more than is allowed: 7 days are written";
            clamped.then(|| self.found.lost(entry.line, "set daemon", why));
        }
        for (key, value) in &entry.keys {
            if let Some(why) = account.take(carry(key, value)) {
                self.found.lost(entry.line, key, why);
            }
        }
        self.remarks(entry, imap, tls);
        account.seen = vec![self.ids(user, host, label)];
        self.found.add(account);
    }

    /// Which host's name the ids are under depends on fetchmail's version.
    fn ids(&self, user: &str, host: &str, label: &str) -> Seen {
        let mut hosts = vec![host.to_owned()];
        if label != host {
            hosts.push(label.to_owned());
        }
        Seen::FetchIds { file: self.idfile.clone(), user: user.to_owned(), hosts }
    }

    /// What is done in another way.
    fn remarks(&mut self, entry: &Entry, imap: bool, tls: bool) {
        let line = entry.line;
        let proto = entry.keys.get("proto").map(String::as_str).unwrap_or_default();
        if proto.is_empty() || proto.eq_ignore_ascii_case("auto") {
            self.found.lost(
                line,
                "proto auto",
                "IMAP is taken; write `protocol = \"pop3\"` otherwise",
            );
        }
        if imap && entry.flags.get("fetchall") != Some(&true) {
            let why =
                "fetchmail left mail that had been read; what isn't stored or adopted is fetched";
            self.found.lost(line, "no fetchall", why);
            if entry.flags.get("keep") != Some(&true) {
                let why = "mail that a person had read stayed there: no `delete_read` is written, \
                           which would delete that, too";
                self.found.lost(line, "no keep", why);
            }
        }
        if !tls {
            let why = "mail and password in the clear are not taken over: STARTTLS is asked for";
            self.found.lost(line, "no ssl", why);
        }
        for (flag, why) in [
            ("sslcertck", "certificates are checked: `tls_ca_file` or a pin is safer"),
            ("rewrite", ""),
            ("flush", "no mail is deleted that was not stored"),
            ("limitflush", "no mail is deleted that was not stored"),
            ("idle", "polls come at an interval"),
            ("mimedecode", "message.eml has the server's octets"),
            ("dropstatus", "message.eml has the server's octets"),
            ("dropdelivered", "message.eml has the server's octets"),
        ] {
            let on = entry.flags.get(flag).copied();
            let matters = if flag == "sslcertck" { on == Some(false) } else { on == Some(true) };
            if matters && !why.is_empty() {
                self.found.lost(line, flag, why);
            }
        }
    }
}

/// Server and user words with a value, as far as they are one of our keys.
fn carry(key: &str, value: &str) -> Carried {
    use Carried::{Nothing, Secret, Set, Timeout};
    match (key, number(value)) {
        ("port", Some(n)) => Set("port", n.to_string()),
        ("timeout", Some(n)) => Timeout(n),
        ("limit", Some(n)) => Set("max_message_size", toml(&format!("{n}B"))),
        ("fetchlimit", Some(n)) => Set("batch_max", n.to_string()),
        (_, _) if value.is_empty() => Nothing,
        ("sslcertfile", _) => Set("tls_ca_file", toml(value)),
        ("sslcert", _) => Set("tls_client_certificate", toml(value)),
        ("sslkey", _) => Set("tls_client_key", toml(value)),
        ("sslcommonname", _) => Set("tls_name", toml(value)),
        ("sslproto", _) if value.to_ascii_lowercase().starts_with("tls1.3") => {
            Set("tls_min_version", toml("1.3"))
        }
        ("password", _) => Secret(ForeignSecret::Text(value.to_owned().into())),
        _ => Nothing,
    }
}

impl Entry {
    /// Takes the names behind `is` or `to`; how many. Of `john here is jsmith there` the second one
    /// is the server's.
    fn names(&mut self, tail: &[Word]) -> usize {
        let n = tail.iter().take_while(|word| word.quoted || !is_word(&word.text)).count();
        let there = tail.get(n).is_some_and(|word| !word.quoted && word.text == "there");
        let open = self.keys.get("user").is_some_and(String::is_empty);
        if n == 1
            && there
            && open
            && let Some(name) = tail.first()
        {
            self.keys.insert("user".to_owned(), name.text.clone());
        }
        n
    }

    /// Whether TLS comes first, and what is wrong with the service's name.
    fn encryption(&self) -> (bool, Option<&'static str>) {
        let service = self.keys.get("port").map(String::as_str).unwrap_or_default();
        let service = service.to_ascii_lowercase();
        let known = ["", "imap", "imap2", "imaps", "pop3", "pop3s", "pop-3"];
        let tls =
            self.flags.get("ssl") == Some(&true) || matches!(service.as_str(), "imaps" | "pop3s");
        let known = known.contains(&service.as_str()) || number(&service).is_some();
        (tls, (!known).then_some("no port is known for it: write `port`"))
    }

    fn merge(&mut self, nearer: &Self) {
        let given = nearer.keys.iter().filter(|(_, value)| !value.is_empty());
        self.keys.extend(given.map(|(key, value)| (key.clone(), value.clone())));
        self.flags.extend(nearer.flags.iter().map(|(key, on)| (key.clone(), *on)));
        if !nearer.folders.is_empty() {
            self.folders.clone_from(&nearer.folders);
        }
        self.line = nearer.line;
    }
}
