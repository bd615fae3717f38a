//! `getmailrc`: an INI file with one account.

use std::collections::BTreeMap;

use super::words::{account_name, is_on, number, toml, toml_list};
use super::{Carried, ForeignAccount, ForeignSecret, Found, Seen};

/// Section and key in lower case, the line, the value.
type Keys = BTreeMap<(String, String), (u32, String)>;

pub(super) fn read(text: &str) -> Found {
    let mut found = Found::default();
    let keys = keys(text, &mut found);
    let get = |key: &str| {
        let of = ("retriever".to_owned(), key.to_owned());
        keys.get(&of).map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let (kind, server, user) = (get("type"), get("server"), get("username"));
    let line = keys.get(&("retriever".to_owned(), "type".to_owned())).map_or(1, |(line, _)| *line);
    let imap = kind.contains("IMAP");
    let known = ["POP3", "IMAP"].iter().any(|word| kind.contains(word));
    if !known || kind.starts_with("Multidrop") {
        found.lost(
            line,
            "type",
            "only the retrievers of one mailbox by POP3 or IMAP are taken over",
        );
        return found;
    }
    if server.is_empty() || user.is_empty() {
        found.lost(line, "[retriever]", "it has no server or no username");
        return found;
    }
    let mut account =
        ForeignAccount { name: account_name(user, server), line, ..ForeignAccount::default() };
    let tls = kind.contains("SSL");
    account.set("protocol", toml(if imap { "imap" } else { "pop3" }));
    account.set("host", toml(server));
    account.set("user", toml(user));
    account.set("encryption", toml(if tls { "tls" } else { "starttls" }));
    if !tls {
        let why = "mail and password in the clear are not taken over: STARTTLS is asked for";
        found.lost(line, "type", why);
    }
    let mailboxes = match tuple(get("mailboxes")) {
        list if is_all(get("mailboxes"), &list) => vec!["*".to_owned()],
        list if list.is_empty() => vec!["INBOX".to_owned()],
        list => list,
    };
    if imap {
        account.set("folders", toml_list(mailboxes.iter().map(String::as_str)));
    }
    for ((section, key), (at, value)) in &keys {
        if let Some(why) = account.take(carry(section, key, value)) {
            found.lost(*at, key, why);
        }
    }
    if account.keys.contains_key("delete_after_days") {
        account.set("delete_read", "true".to_owned());
    }
    account.seen = states(&keys, (server, user), imap, &mailboxes);
    found.add(account);
    found
}

fn carry(section: &str, key: &str, value: &str) -> Carried {
    use Carried::{Lost, Nothing, Secret, Set, Timeout};
    match (section, key, number(value)) {
        ("options", "delete", _) if is_on(value) => Set("delete_read", "true".to_owned()),
        ("retriever", "port", Some(n)) => Set("port", n.to_string()),
        ("retriever", "password", _) => Secret(ForeignSecret::Text(value.to_owned().into())),
        ("retriever", "password_command", _) if !tuple(value).is_empty() => {
            Secret(ForeignSecret::Command(tuple(value)))
        }
        ("retriever", "ca_certs", _) => Set("tls_ca_file", toml(value)),
        ("retriever", "certfile", _) => Set("tls_client_certificate", toml(value)),
        ("retriever", "keyfile", _) => Set("tls_client_key", toml(value)),
        ("retriever", "timeout", Some(n)) => Timeout(n),
        ("options", "delete_after", Some(n)) => Set("delete_after_days", n.to_string()),
        ("retriever", "type" | "server" | "username" | "mailboxes", _)
        | ("options", "delete" | "delete_after" | "verbose", _) => Nothing,
        ("options", "read_all", _) if is_on(value) => Nothing,
        ("options", "max_message_size", Some(n)) => Set("max_message_size", toml(&format!("{n}B"))),
        ("options", "max_messages_per_session", Some(n)) => Set("batch_max", n.to_string()),
        ("options", "max_message_size" | "max_messages_per_session", None) if value == "0" => {
            Nothing
        }
        _ => Lost(why(section, key)),
    }
}

fn keys(text: &str, found: &mut Found) -> Keys {
    let mut keys = Keys::new();
    let mut section = String::new();
    let mut last: Option<(String, String)> = None;
    for (line, text) in (1_u32..).zip(text.lines()) {
        let bare = text.trim();
        if bare.is_empty() || bare.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.trim().to_ascii_lowercase();
            last = None;
            continue;
        }
        // A line that begins with a blank goes on with the value before it.
        if text.starts_with(char::is_whitespace)
            && let Some((_, value)) = last.as_ref().and_then(|of| keys.get_mut(of))
        {
            value.push('\n');
            value.push_str(bare);
            continue;
        }
        let Some((key, value)) = bare.split_once(['=', ':']) else {
            found.lost(line, "a line", "it is no `key = value`");
            continue;
        };
        let of = (section.clone(), key.trim().to_ascii_lowercase());
        last = Some(of.clone());
        keys.insert(of, (line, value.trim().to_owned()));
    }
    keys
}

/// `("INBOX", 'Lists')` as its texts.
fn tuple(text: &str) -> Vec<String> {
    let inside = text.trim().trim_start_matches(['(', '[']).trim_end_matches([')', ']', ',']);
    let mut items = Vec::new();
    let mut item: Option<(char, String)> = None;
    for c in inside.chars() {
        match &mut item {
            Some((quote, text)) if c == *quote => {
                items.push(std::mem::take(text));
                item = None;
            }
            Some((_, text)) => text.push(c),
            None if matches!(c, '"' | '\'') => item = Some((c, String::new())),
            None => {}
        }
    }
    items
}

/// `oldmail-SERVER-PORT-USER`, with the mailbox behind it where it is IMAP.
fn states(
    keys: &Keys,
    (server, user): (&str, &str),
    imap: bool,
    mailboxes: &[String],
) -> Vec<Seen> {
    let get =
        |key: &str| keys.get(&("retriever".to_owned(), key.to_owned())).map(|(_, v)| v.as_str());
    let tls = get("type").is_some_and(|kind| kind.contains("SSL"));
    let usual = match (imap, tls) {
        (true, true) => "993",
        (true, false) => "143",
        (false, true) => "995",
        (false, false) => "110",
    };
    let port = get("port").unwrap_or(usual);
    let base = format!("oldmail-{server}-{port}-{user}").replace('/', "-");
    if !imap {
        return vec![Seen::Oldmail { name: base, mailbox: String::new() }];
    }
    let of = |mailbox: &String| Seen::Oldmail {
        name: format!("{base}-{}", in_file_name(mailbox)),
        mailbox: mailbox.clone(),
    };
    let all = mailboxes.iter().any(|mailbox| mailbox == "*");
    let all = all.then(|| Seen::Oldmails { prefix: format!("{base}-") });
    mailboxes.iter().filter(|mailbox| *mailbox != "*").map(of).chain(all).collect()
}

/// `mailboxes = ALL`, also as `("ALL",)`.
fn is_all(text: &str, list: &[String]) -> bool {
    match list {
        [] => text.trim().trim_matches(['(', ')', ',', ' ']).eq_ignore_ascii_case("all"),
        [one] => one == "ALL",
        _ => false,
    }
}

/// A mailbox as getmail writes it into a file's name.
fn in_file_name(mailbox: &str) -> String {
    let mut name = String::new();
    let mut last = false;
    for c in mailbox.chars() {
        let bad = "/\\:;<>|".contains(c);
        match (bad, last) {
            (false, _) => name.push(c),
            (true, false) => name.push('.'),
            (true, true) => {}
        }
        last = bad;
    }
    name
}

fn why(section: &str, key: &str) -> &'static str {
    match (section, key) {
        ("destination", _) => "mail goes into the archive",
        (section, _) if section.starts_with("filter") => "no filter runs on arriving mail",
        ("options", "read_all") => "what is stored or adopted is known; all else is fetched",
        ("options", "delivered_to" | "received") => {
            "message.eml has the server's octets, nothing is added"
        }
        ("options", "message_log" | "message_log_syslog") => "postrider has its own log",
        ("options", "delete_bigger_than") => "no mail is deleted that was not stored",
        ("retriever", "use_xoauth2") => "see `[oauth.NAME]` and docs/oauth.md",
        ("retriever", "move_on_delete") => "write `delete_mode = \"move:FOLDER\"`",
        _ => "there is nothing like it",
    }
}
