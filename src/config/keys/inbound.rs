//! Keys of `[inbound.NAME]`: the account, its server and its login.

use std::time::Duration;

use super::connection::{
    ALLOW_PLAINTEXT, BIND_ADDRESS, PROTECT, PROVIDER, TLS_CA_FILE, TLS_CLIENT_CERTIFICATE,
    TLS_CLIENT_KEY, TLS_MIN_VERSION, TLS_PIN, tls_name,
};
use super::selection::{DELETE, SELECTION};
use super::{Group, Key, Kind, NO, Table, YES, bare, days, key, secs};

pub(crate) const INBOUND: Table = Table {
    path: "inbound.NAME",
    meaning: "A remote IMAP account or POP3 maildrop. `[defaults.inbound]` takes the same keys.",
    groups: &[
        Group { title: "Account", keys: ACCOUNT },
        Group { title: "Server", keys: SERVER },
        Group { title: "Authentication", keys: AUTHENTICATION },
        Group { title: "Which mail, and when", keys: SELECTION },
        Group { title: "Delete on the server", keys: DELETE },
        Group { title: "Deadlines", keys: DEADLINES },
        Group { title: "Care", keys: CARE },
        Group { title: "Notices", keys: WATCH },
    ],
};

const ACCOUNT: &[Key] = &[
    bare(
        "description",
        Kind::Text(1024),
        "\"Invoices of all suppliers\"",
        "Free text for people; `address` stands in for it.",
        "",
    ),
    bare(
        "label",
        Kind::Text(128),
        "\"accounts-payable\"",
        "Goes into `message.json` and the log.",
        "For those who sort mail by it.",
    ),
    key("enabled", Kind::Bool, YES, "Whether it is polled.", ""),
    bare(
        "renamed_from",
        Kind::AccountName,
        "\"old-name\"",
        "The table's name before a rename.",
        "Without it a renamed account is refused, since all its mail would be stored again.",
    ),
];

const SERVER: &[Key] = &[
    bare(
        "protocol",
        Kind::Choice(&["imap", "pop3"]),
        "\"imap\"",
        "How the server is spoken to. Required.",
        "",
    ),
    PROVIDER,
    bare(
        "host",
        Kind::Host,
        "\"imap.example.org\"",
        "The server. Required without `provider`.",
        "Name only: the port and the encryption have keys of their own.",
    ),
    bare(
        "port",
        Kind::Integer(1, 65_535),
        "993",
        "TCP port; computed from protocol and encryption.",
        "imap 993 tls, 143 else; pop3 995 tls, 110 else.",
    ),
    key(
        "encryption",
        Kind::Choice(&["tls", "starttls", "none"]),
        "\"tls\"",
        "When TLS begins: from the first octet, by STARTTLS or STLS, never.",
        "A server without the encryption asked for fails the poll.",
    ),
    ALLOW_PLAINTEXT,
    BIND_ADDRESS,
    key(
        "tls_verify",
        Kind::Bool,
        YES,
        "Checks the server's certificate.",
        "Off, anyone on the way can read the password and the mail.",
    ),
    TLS_CA_FILE,
    tls_name("\"mail.example.org\""),
    TLS_PIN,
    TLS_MIN_VERSION,
    TLS_CLIENT_CERTIFICATE,
    TLS_CLIENT_KEY,
];

const AUTHENTICATION: &[Key] = &[
    bare(
        "address",
        Kind::Address,
        "\"invoices@example.org\"",
        "The mailbox's address; `user` defaults to it.",
        "",
    ),
    bare(
        "user",
        Kind::TextOrSecret(512),
        "\"invoices@example.org\"",
        "User name, or where it is. Required where there is no `address`.",
        "One from elsewhere stands in no `message.json` and no log.",
    ),
    bare(
        "password",
        Kind::Secret,
        "{ credential = \"invoices\" }",
        "The password, or where it is. Required unless `oauth` is set.",
        "A text makes this file a secret: mode 0600.",
    ),
    bare(
        "oauth",
        Kind::AccountName,
        "\"m365\"",
        "`[oauth.NAME]` instead of a password.",
        "Microsoft 365 takes no passwords.",
    ),
    key(
        "safe_logon",
        Kind::BoolOr("strict"),
        YES,
        "No PLAIN, LOGIN or USER without TLS; `\"strict\"`: not at all.",
        "`allow_plaintext` lifts `true`, not `\"strict\"`.",
    ),
    bare(
        "sasl",
        Kind::Choices(&[
            "SCRAM-SHA-256-PLUS",
            "SCRAM-SHA-256",
            "SCRAM-SHA-1-PLUS",
            "SCRAM-SHA-1",
            "CRAM-MD5",
            "PLAIN",
            "LOGIN",
            "XOAUTH2",
            "OAUTHBEARER",
            "EXTERNAL",
            "USER",
            "APOP",
        ]),
        "[\"SCRAM-SHA-256\", \"PLAIN\"]",
        "Only these mechanisms, in this order.",
        "Else the strongest that the server offers. USER and APOP are POP3's; APOP and `-PLUS` (binding by tls-exporter, TLS 1.3) are used only where they are named.",
    ),
];

const DEADLINES: &[Key] = &[
    key(
        "connect_timeout",
        Kind::Duration(Duration::from_millis(100), secs(3600)),
        "\"30s\"",
        "For the TCP connect.",
        "",
    ),
    key(
        "read_timeout",
        Kind::Duration(Duration::from_millis(100), secs(3600)),
        "\"120s\"",
        "For each wait for the server's next octets: TLS, greeting, replies.",
        "",
    ),
    key(
        "min_rate",
        Kind::Rate,
        "\"1KiB/5min\"",
        "A server that sends less is taken for dead.",
        "A server that drips is a server that hangs.",
    ),
    key(
        "poll_deadline",
        Kind::Duration(secs(1), days(7)),
        "\"30m\"",
        "A poll ends between messages when this is over, and keeps what it has.",
        "",
    ),
];

const CARE: &[Key] = &[
    PROTECT,
    key("debug", Kind::Bool, NO, "Writes the protocol to the log, secrets and bodies hidden.", ""),
];

const WATCH: &[Key] = &[
    key(
        "alert_if_no_success",
        Kind::Duration(secs(1), days(365)),
        "\"6h\"",
        "A mail is sent when no poll has succeeded for this time.",
        "By `cron` counted from when a poll was due; the default is at least twice `poll_interval`.",
    ),
    bare(
        "alert_if_no_mail",
        Kind::Duration(secs(1), days(365)),
        "\"2d\"",
        "A mail is sent when no mail was stored for this time, though polls succeed.",
        "For mailboxes that get mail every day: it finds a forwarding that broke.",
    ),
];
