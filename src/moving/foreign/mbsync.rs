//! `.mbsyncrc`: accounts, stores and channels in sections. A channel with IMAP on its far side is an
//! account of ours.

use std::collections::BTreeMap;

use super::words::{
    UNKNOWN, account_name, harmless, is_on, number, octets, shell, slug, split, toml, toml_list,
};
use super::{Carried, ForeignAccount, ForeignSecret, Found, Seen, States};

/// Keywords in lower case, their lines and words.
type Keys = BTreeMap<String, (u32, Vec<String>)>;

/// What begins a section.
const SECTIONS: [&str; 5] = ["imapaccount", "imapstore", "maildirstore", "channel", "group"];

/// Words of a channel that are said in another way, or need no word.
const ELSEWHERE: [&str; 7] =
    ["far", "near", "patterns", "syncstate", "maxsize", "fsync", "copyarrivaldate"];

struct Section {
    kind: &'static str,
    name: String,
    line: u32,
    keys: Keys,
}

pub(super) fn read(text: &str) -> Found {
    let mut found = Found::default();
    let mut sections: Vec<Section> = Vec::new();
    let mut global = Keys::new();
    let mut open = false;
    for (line, text) in (1_u32..).zip(text.lines()) {
        let text = text.trim();
        if text.is_empty() {
            // An empty line ends a section.
            open = false;
            continue;
        }
        if text.starts_with('#') {
            continue;
        }
        let mut words = split(text);
        if words.is_empty() {
            continue;
        }
        let key = words.remove(0).to_ascii_lowercase();
        let rest = words;
        if let Some(kind) = SECTIONS.iter().find(|kind| **kind == key) {
            let name = rest.first().cloned().unwrap_or_default();
            sections.push(Section { kind, name, line, keys: Keys::new() });
            open = true;
            continue;
        }
        let keys = match sections.last_mut() {
            Some(section) if open => &mut section.keys,
            _ => &mut global,
        };
        // `Pattern` may stand several times, and adds up.
        let entry = keys.entry(plural(&key).to_owned()).or_insert((line, Vec::new()));
        if plural(&key) == "patterns" {
            entry.1.extend(rest);
        } else {
            *entry = (line, rest);
        }
    }
    let mut told = Vec::new();
    for channel in sections.iter().filter(|section| section.kind == "channel") {
        take(channel, &sections, &global, &mut told, &mut found);
    }
    found
}

/// Old and new words for one thing.
fn plural(key: &str) -> &str {
    match key {
        "pattern" => "patterns",
        "master" => "far",
        "slave" => "near",
        "ssltype" => "tlstype",
        key => key,
    }
}

fn take(
    channel: &Section,
    sections: &[Section],
    global: &Keys,
    told: &mut Vec<u32>,
    found: &mut Found,
) {
    let word = |keys: &Keys, key: &str| keys.get(key).and_then(|(_, words)| words.first()).cloned();
    let far = word(&channel.keys, "far").unwrap_or_default();
    let near = word(&channel.keys, "near").unwrap_or_default();
    let (far_store, far_box) = store(&far);
    let (near_store, near_box) = store(&near);
    let of = |kind: &str, name: &str| {
        sections.iter().find(|section| section.kind == kind && section.name == name)
    };
    let Some(imap) = of("imapstore", far_store) else {
        found.lost(channel.line, "Channel", "its far side is no IMAP store");
        return;
    };
    let mut keys = imap.keys.clone();
    if let Some(account) = word(&imap.keys, "account").and_then(|name| of("imapaccount", &name)) {
        keys.extend(account.keys.clone());
    }
    let (host, user) = (word(&keys, "host"), word(&keys, "user"));
    let (Some(host), Some(user)) = (host, user) else {
        found.lost(channel.line, "Channel", "its account has no Host or no User as a text");
        return;
    };
    let mut account = ForeignAccount {
        name: if channel.name.is_empty() {
            account_name(&user, &host)
        } else {
            slug(&channel.name)
        },
        line: channel.line,
        ..ForeignAccount::default()
    };
    account.set("protocol", toml("imap"));
    account.set("host", toml(&host));
    account.set("user", toml(&user));
    account.set("encryption", toml(tls(&keys)));
    let patterns = channel.keys.get("patterns");
    let boxes = boxes(far_box, patterns.map(|(_, words)| words.as_slice()));
    let prefix = word(&imap.keys, "path").unwrap_or_default();
    let folders: Vec<String> = boxes.iter().map(|name| on_server(name, &prefix)).collect();
    account.set("folders", toml_list(folders.iter().map(String::as_str)));
    for (key, (line, words)) in &keys {
        if let Some(why) = account.take(carry(key, words)) {
            tell(told, found, *line, key, why);
        }
    }
    tell_channel(channel, global, told, found);
    let size = word(&channel.keys, "maxsize").and_then(|size| octets(&size));
    account.keys.extend(size.map(|n| ("max_message_size".to_owned(), toml(&format!("{n}B")))));
    let near = near_of(of("maildirstore", near_store), near_box);
    let stores = (far_store, near_store);
    let place = place_of(&channel.keys, global);
    account.seen = states(&boxes, (far_box, &prefix), &near, &place, stores);
    if boxes.iter().any(|name| is_wild(name) && !name.starts_with('!')) {
        match states_of_all(&near, &place, stores).filter(|_| far_box.is_empty()) {
            Some(place) => account.seen.extend(all_seen(place, &boxes, prefix, &near)),
            None => tell_wild(channel, found),
        }
    }
    found.add(account);
}

fn tell_channel(channel: &Section, global: &Keys, told: &mut Vec<u32>, found: &mut Found) {
    let rest = channel.keys.iter().chain(global);
    for (key, (line, words)) in rest.filter(|(key, _)| !ELSEWHERE.contains(&key.as_str())) {
        let value = words.first().map(String::as_str).unwrap_or_default();
        tell(told, found, *line, key, why_channel(key, value));
    }
}

fn tell_wild(channel: &Section, found: &mut Found) {
    let line = channel.keys.get("patterns").map_or(channel.line, |(line, _)| *line);
    let why = "what mbsync fetched of boxes that a wildcard names can't be told by the names of its \
               state files here (a box of its own on a side, or `SubFolders Legacy`): all their \
               mail is fetched; name the boxes, and it is not";
    found.lost(line, "patterns", why);
}

fn tls(keys: &Keys) -> &'static str {
    let kind = keys.get("tlstype").and_then(|(_, words)| words.first());
    if kind.is_some_and(|kind| kind.eq_ignore_ascii_case("imaps")) { "tls" } else { "starttls" }
}

fn carry(key: &str, words: &[String]) -> Carried {
    use Carried::{Lost, Nothing, Secret, Set, Timeout};
    let value = words.first().map(String::as_str).unwrap_or_default();
    match (key, number(value)) {
        ("host" | "user" | "account" | "pipelinedepth" | "mapinbox" | "path", _) => Nothing,
        ("tlstype", _) if !value.eq_ignore_ascii_case("none") => Nothing,
        ("systemcertificates", _) if is_on(value) => Nothing,
        ("port", Some(n)) => Set("port", n.to_string()),
        ("pass", _) => Secret(ForeignSecret::Text(value.to_owned().into())),
        ("passcmd", _) => Secret(ForeignSecret::Command(shell(value))),
        ("certificatefile", _) => Set("tls_ca_file", toml(value)),
        ("clientcertificate", _) => Set("tls_client_certificate", toml(value)),
        ("clientkey", _) => Set("tls_client_key", toml(value)),
        ("timeout", Some(n)) => Timeout(n),
        ("authmechs", _) if words.iter().any(|word| word == "*") => Nothing,
        ("authmechs", _) => Set("sasl", toml_list(words.iter().map(String::as_str))),
        _ => Lost(why(key)),
    }
}

/// `:store:box` as its parts.
fn store(word: &str) -> (&str, &str) {
    word.strip_prefix(':').and_then(|word| word.split_once(':')).unwrap_or((word, ""))
}

/// The near side's folders: the inbox, where the others are, and how they lie in one another.
struct Near {
    inbox: String,
    path: String,
    own: String,
    style: String,
}

fn near_of(maildir: Option<&Section>, own: &str) -> Near {
    let word = |key: &str| {
        let keys = &maildir?.keys;
        keys.get(key).and_then(|(_, words)| words.first()).cloned()
    };
    let inbox = word("inbox").unwrap_or_else(|| "~/Maildir".to_owned());
    let style = word("subfolders").unwrap_or_default().to_ascii_lowercase();
    Near { inbox, path: word("path").unwrap_or_default(), own: own.to_owned(), style }
}

impl Near {
    /// The folder of a box.
    fn folder(&self, name: &str) -> String {
        let (inbox, path) = (self.inbox.trim_end_matches('/'), self.path.trim_end_matches('/'));
        match (name, self.style.as_str()) {
            ("INBOX", _) => inbox.to_owned(),
            (name, "maildir++") => format!("{inbox}/.{}", name.replace('/', ".")),
            (name, "legacy") => format!("{path}/{}", name.replace('/', "/.")),
            (name, _) => format!("{path}/{name}"),
        }
    }
}

/// Where the states are: for all channels, or for one.
enum Place {
    InFolders,
    Global(String),
    OfChannel(String),
}

fn place_of(channel: &Keys, global: &Keys) -> Place {
    let word = |keys: &Keys| keys.get("syncstate").and_then(|(_, words)| words.first()).cloned();
    match (word(channel), word(global)) {
        (Some(star), _) | (None, Some(star)) if star == "*" => Place::InFolders,
        (Some(prefix), _) => Place::OfChannel(prefix),
        (None, place) => Place::Global(place.unwrap_or_else(|| "~/.mbsync/".to_owned())),
    }
}

/// Where the state of each box without wildcards is.
fn states(
    boxes: &[String],
    (far_box, prefix): (&str, &str),
    near: &Near,
    place: &Place,
    (far_store, near_store): (&str, &str),
) -> Vec<Seen> {
    let exact = boxes.iter().filter(|name| !is_wild(name) && !name.starts_with('!'));
    exact
        .map(|name| {
            // Patterns name boxes of both sides; without them each side has its own box.
            let local = match (name.as_str() == far_box, near.own.is_empty()) {
                (true, false) => near.own.as_str(),
                _ => name.as_str(),
            };
            let plain = |name: &str| name.replace('/', "!");
            let file = match place {
                Place::InFolders => format!("{}/.mbsyncstate", near.folder(local)),
                Place::OfChannel(prefix) => format!("{prefix}{}", plain(local)),
                Place::Global(folder) => {
                    let (far, near) = (plain(name), plain(local));
                    format!("{folder}:{far_store}:{far}_:{near_store}:{near}")
                }
            };
            Seen::SyncState { file, mailbox: on_server(name, prefix) }
        })
        .collect()
}

/// Where the states of boxes are that a wildcard names; `None` where their files' names don't tell.
fn states_of_all(
    near: &Near,
    place: &Place,
    (far_store, near_store): (&str, &str),
) -> Option<States> {
    if !near.own.is_empty() {
        return None;
    }
    Some(match (place, near.style.as_str()) {
        (Place::Global(folder), _) => States::Files {
            folder: folder.clone(),
            before: format!(":{far_store}:"),
            between: Some(format!("_:{near_store}:")),
        },
        (Place::OfChannel(prefix), _) => {
            let (folder, before) = prefix.rsplit_once('/').unwrap_or((".", prefix));
            States::Files { folder: folder.to_owned(), before: before.to_owned(), between: None }
        }
        (Place::InFolders, "" | "verbatim") => States::Folders(near.path.clone()),
        (Place::InFolders, "maildir++") => States::Dotted(near.inbox.clone()),
        (Place::InFolders, _) => return None,
    })
}

/// The same as what is read, and the inbox where that lies elsewhere.
fn all_seen(place: States, boxes: &[String], prefix: String, near: &Near) -> Vec<Seen> {
    let but: Vec<String> = boxes.iter().filter(|name| !is_wild(name)).cloned().collect();
    let elsewhere = matches!(&place, States::Folders(path) if !near.inbox.starts_with(path));
    let inbox = (elsewhere && !but.iter().any(|name| name == "INBOX")).then(|| {
        let file = format!("{}/.mbsyncstate", near.folder("INBOX"));
        Seen::SyncState { file, mailbox: "INBOX".to_owned() }
    });
    [Some(Seen::SyncStates { place, but, prefix }), inbox].into_iter().flatten().collect()
}

fn is_wild(name: &str) -> bool {
    name.contains(['*', '%'])
}

/// A box as the server calls it: below the store's path, with the separator that ends that.
pub(in crate::moving) fn on_server(name: &str, prefix: &str) -> String {
    if let Some(name) = name.strip_prefix('!') {
        return format!("!{}", on_server(name, prefix));
    }
    if name == "INBOX" || prefix.is_empty() {
        return name.to_owned();
    }
    let separator = prefix.chars().last().filter(|c| !c.is_alphanumeric());
    let name = separator.map_or_else(|| name.to_owned(), |c| name.replace('/', &c.to_string()));
    format!("{prefix}{name}")
}

/// The far box and the patterns as boxes of the far store.
fn boxes(far_box: &str, patterns: Option<&[String]>) -> Vec<String> {
    let mut boxes = Vec::new();
    for pattern in patterns.unwrap_or_default() {
        let name = match (far_box, pattern.strip_prefix('!')) {
            ("", _) => pattern.clone(),
            (prefix, Some(rest)) => format!("!{prefix}{rest}"),
            (prefix, None) => format!("{prefix}{pattern}"),
        };
        if !boxes.contains(&name) {
            boxes.push(name);
        }
    }
    if boxes.iter().all(|name| name.starts_with('!')) {
        boxes.insert(0, if far_box.is_empty() { "INBOX".to_owned() } else { far_box.to_owned() });
    }
    boxes
}

fn tell(told: &mut Vec<u32>, found: &mut Found, line: u32, what: &str, why: &str) {
    if !told.contains(&line) {
        told.push(line);
        found.lost(line, harmless(what, why), why);
    }
}

fn why(key: &str) -> &'static str {
    match key {
        "tlstype" => "mail and password in the clear are not taken over: STARTTLS is asked for",
        "usercmd" => "the user name is a text, or `user = { … }` as `password` has it",
        "tunnel" => "there is no tunnel command; connect to the port that it opens",
        "systemcertificates" => {
            "the system's authorities are trusted, too; `tls_pin_sha256` trusts one key"
        }
        "tlsversions" | "sslversions" => "TLS 1.2 or newer is spoken; see `tls_min_version`",
        _ => UNKNOWN,
    }
}

fn why_channel(key: &str, value: &str) -> &'static str {
    match (key, value.to_ascii_lowercase().as_str()) {
        ("sync", _) => "mail goes one way: from the server into the archive",
        ("expunge" | "remove", "none") | ("create", _) => {
            "nothing is made or removed on the server"
        }
        ("expunge" | "remove", _) => {
            "what is removed locally stays on the server; see `delete_read`"
        }
        ("maxmessages" | "expireunread", _) => "the archive keeps all; see `ignore_older_than`",
        _ => UNKNOWN,
    }
}
