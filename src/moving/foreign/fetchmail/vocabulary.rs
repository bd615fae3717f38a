//! The words that a `.fetchmailrc` is made of.

/// Why `set` words are not carried.
pub(super) const GLOBAL: &str = "it is for fetchmail as a whole";

/// Words that only please the reader.
pub(super) const NOISE: [&str; 9] =
    ["and", "with", "has", "wants", "options", "here", "there", "via_", "ticket"];

/// Words that take one value behind them and that we don't carry.
pub(super) const WITH_VALUE: [&str; 38] = [
    "aka",
    "antispam",
    "auth",
    "authenticate",
    "badheader",
    "bad-header",
    "batchlimit",
    "bsmtp",
    "envelope",
    "esmtpname",
    "esmtppassword",
    "expunge",
    "fastuidl",
    "fetchdomains",
    "fetchsizelimit",
    "interface",
    "interval",
    "localdomains",
    "mda",
    "monitor",
    "plugin",
    "plugout",
    "postconnect",
    "preconnect",
    "principal",
    "properties",
    "qvirtual",
    "smtp",
    "smtpaddress",
    "smtphost",
    "smtpname",
    "sslcertpath",
    "sslfingerprint",
    "warnings",
    "passwordfile",
    "passwordfd",
    "lmtp_",
    "moderator",
];

/// Words of user entries that begin the next one.
pub(super) const USER: [&str; 2] = ["user", "username"];

/// Words that stand alone, with `no` before them or not.
pub(super) const FLAGS: [&str; 17] = [
    "keep",
    "fetchall",
    "flush",
    "limitflush",
    "rewrite",
    "stripcr",
    "forcecr",
    "pass8bits",
    "dropstatus",
    "dropdelivered",
    "mimedecode",
    "idle",
    "ssl",
    "sslcertck",
    "lmtp",
    "tracepolls",
    "bouncemail",
];

/// Whether fetchmail knows it, alone or with `no` before it.
pub(super) fn is_word(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let plain = [
        "set",
        "defaults",
        "poll",
        "server",
        "skip",
        "user",
        "username",
        "is",
        "to",
        "no",
        "via",
        "proto",
        "protocol",
        "port",
        "service",
        "timeout",
        "password",
        "pass",
        "limit",
        "fetchlimit",
        "sslproto",
        "sslcert",
        "sslkey",
        "sslcertfile",
        "sslcommonname",
        "folder",
        "mailbox",
        "dns",
        "uidl",
        "checkalias",
    ];
    let flag = text.strip_prefix("no").unwrap_or(&text);
    plain.contains(&text.as_str())
        || FLAGS.contains(&flag)
        || WITH_VALUE.contains(&text.as_str())
        || NOISE.contains(&text.as_str())
}

/// Why a word isn't carried.
pub(super) fn why(key: &str) -> &'static str {
    match key {
        "mda" | "bsmtp" | "smtphost" | "smtp" | "smtpname" | "smtpaddress" => {
            "mail goes into the archive"
        }
        "preconnect" | "postconnect" | "plugin" | "plugout" => "no command is run around a poll",
        "auth" | "authenticate" => "the strongest mechanism that is offered is used; see `sasl`",
        "interval" => "write `poll_interval` of this account",
        "sslfingerprint" => "a key is pinned, not a certificate: `postrider test` prints the line",
        "sslcertpath" => "write `tls_ca_file`",
        "passwordfile" => "write `password = { file = \"PATH\" }`",
        "envelope" | "aka" | "localdomains" | "qvirtual" => "mail is not sorted to local users",
        _ => "there is nothing like it",
    }
}
