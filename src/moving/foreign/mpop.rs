//! `.mpoprc`: a command a line, accounts that take over others' lines.

use std::collections::BTreeMap;

use super::words::{UNKNOWN, account_name, harmless, is_on, number, octets, shell, slug, toml};
use super::{Carried, ForeignAccount, ForeignSecret, Found, Seen};

/// Commands of one account, with their lines.
type Commands = BTreeMap<String, (u32, String)>;

pub(super) fn read(text: &str) -> Found {
    let mut found = Found::default();
    let mut sections: Vec<(String, u32, Commands)> = Vec::new();
    let mut defaults = Commands::new();
    let mut in_defaults = false;
    for (line, text) in (1_u32..).zip(text.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (command, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let command = command.to_ascii_lowercase();
        let argument = argument(rest);
        match command.as_str() {
            "defaults" => {
                (defaults, in_defaults) = (Commands::new(), true);
            }
            "account" => {
                in_defaults = false;
                let (name, bases) = argument.split_once(':').unwrap_or((argument.as_str(), ""));
                let mut commands = defaults.clone();
                for base in bases.split(',').map(str::trim).filter(|base| !base.is_empty()) {
                    match sections.iter().find(|(other, ..)| other == base) {
                        Some((_, _, of)) => commands.extend(of.clone()),
                        None => {
                            found.lost(
                                line,
                                "account",
                                "it takes over an account that isn't there",
                            );
                        }
                    }
                }
                sections.push((name.trim().to_owned(), line, commands));
            }
            _ => {
                let last = sections.last_mut().map(|(_, _, commands)| commands);
                let into = if in_defaults { Some(&mut defaults) } else { last };
                match into {
                    Some(into) => drop(into.insert(command, (line, argument))),
                    None => found.lost(line, "a word", "it stands before any account"),
                }
            }
        }
    }
    let mut told = Vec::new();
    for (name, line, commands) in sections {
        // `account default : work` names one of the others.
        if name == "default" && !commands.values().any(|(at, _)| *at > line) {
            continue;
        }
        account(&name, line, &commands, &mut told, &mut found);
    }
    found
}

fn argument(rest: &str) -> String {
    let rest = rest.trim();
    let quoted = rest.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    quoted.unwrap_or(rest).to_owned()
}

fn account(name: &str, line: u32, commands: &Commands, told: &mut Vec<u32>, found: &mut Found) {
    let get = |key: &str| commands.get(key).map(|(_, value)| value.as_str());
    let (host, user) = (get("host").unwrap_or_default(), get("user").unwrap_or_default());
    if host.is_empty() || user.is_empty() {
        found.lost(line, format!("account {name}"), "it has no host or no user");
        return;
    }
    let mut account = ForeignAccount {
        name: if name.is_empty() || name == "default" {
            account_name(user, host)
        } else {
            slug(name)
        },
        line,
        ..ForeignAccount::default()
    };
    account.set("protocol", toml("pop3"));
    account.set("host", toml(host));
    account.set("user", toml(user));
    let tls = get("tls").is_some_and(is_on);
    let starttls = get("tls_starttls").is_none_or(is_on);
    account.set("encryption", toml(if tls && !starttls { "tls" } else { "starttls" }));
    if !tls {
        let at = commands.get("tls").map_or(line, |(at, _)| *at);
        let why = "mail and password in the clear are not taken over: STARTTLS is asked for";
        tell(told, found, at, "tls off", why);
    }
    if get("keep").is_none_or(|keep| !is_on(keep)) {
        account.set("delete_read", "true".to_owned());
    }
    for (command, (at, value)) in commands {
        if let Some(why) = account.take(carry(command, value)) {
            tell(told, found, *at, command, why);
        }
    }
    let file = get("uidls_file").unwrap_or("~/.mpop_uidls/%U_at_%H");
    let file = file.replace("%U", user).replace("%H", host);
    account.seen.push(Seen::MpopUidls { file, of: (host.to_owned(), user.to_owned()) });
    found.add(account);
}

fn carry(command: &str, value: &str) -> Carried {
    use Carried::{Lost, Nothing, Secret, Set, Timeout};
    match (command, number(value)) {
        ("host" | "user" | "tls" | "tls_starttls" | "keep" | "uidls_file", _) => Nothing,
        ("port", Some(n)) => Set("port", n.to_string()),
        ("password", _) => Secret(ForeignSecret::Text(value.to_owned().into())),
        ("passwordeval", _) => Secret(ForeignSecret::Command(shell(value))),
        ("tls_trust_file", _) if value == "system" => Nothing,
        ("tls_trust_file", _) => Set("tls_ca_file", toml(value)),
        ("tls_cert_file", _) => Set("tls_client_certificate", toml(value)),
        ("tls_key_file", _) => Set("tls_client_key", toml(value)),
        ("tls_certcheck", _) if is_on(value) => Nothing,
        ("timeout", Some(n)) => Timeout(n),
        ("skipsize", _) => octets(value).map_or(Lost("it is no size, or no limit"), |n| {
            Set("max_message_size", toml(&format!("{n}B")))
        }),
        ("source_ip", _) if !value.is_empty() => Set("bind_address", toml(value)),
        ("auth", _) if matches!(value, "on" | "") => Nothing,
        ("auth", _) => match value.to_ascii_uppercase().as_str() {
            word @ ("PLAIN" | "LOGIN" | "CRAM-MD5" | "SCRAM-SHA-1" | "SCRAM-SHA-256"
            | "EXTERNAL" | "XOAUTH2" | "OAUTHBEARER") => Set("sasl", format!("[{}]", toml(word))),
            _ => Lost("the mechanism is chosen by what the server offers"),
        },
        _ => Lost(why(command)),
    }
}

/// Says it once, also where several accounts have the line.
fn tell(told: &mut Vec<u32>, found: &mut Found, line: u32, what: &str, why: &str) {
    if !told.contains(&line) {
        told.push(line);
        found.lost(line, harmless(what, why), why);
    }
}

fn why(command: &str) -> &'static str {
    match command {
        "delivery" => "mail goes into the archive; see the `maildir` rule for other programs",
        "filter" => "no filter runs on arriving mail; rules act after it is stored",
        "killsize" => "no mail is deleted that was not stored",
        "only_new" => "what is stored or adopted is known; all else is fetched",
        "tls_fingerprint" => "a key is pinned, not a certificate: `postrider test` prints the line",
        "tls_certcheck" => "certificates are checked: `tls_ca_file` or a pin is safer",
        "pipelining" => "it follows what the server offers",
        "received_header" => "message.eml has the server's octets, nothing is added",
        _ => UNKNOWN,
    }
}
