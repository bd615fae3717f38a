//! Keys of `[outbound.NAME]` and `[account.NAME]`.

use std::time::Duration;

use super::connection::{
    ALLOW_PLAINTEXT, BIND_ADDRESS, PROTECT, PROVIDER, TLS_CA_FILE, TLS_CLIENT_CERTIFICATE,
    TLS_CLIENT_KEY, TLS_MIN_VERSION, TLS_PIN, tls_name,
};
use super::{Group, Key, Kind, NO, Table, YES, bare, key, secs};

pub(crate) const OUTBOUND: Table = Table {
    path: "outbound.NAME",
    meaning: "A submission server. `[defaults.outbound]` takes the same keys.",
    groups: &[
        Group { title: "Account", keys: ACCOUNT_KEYS },
        Group { title: "Server", keys: SERVER },
        Group { title: "Authentication", keys: AUTHENTICATION },
        Group { title: "Mail", keys: MAIL },
    ],
};

const ACCOUNT_KEYS: &[Key] = &[
    bare("description", Kind::Text(1024), "\"The office's relay\"", "Free text for people.", ""),
    key("enabled", Kind::Bool, YES, "Whether it may be used.", ""),
    PROTECT,
    key("debug", Kind::Bool, NO, "Writes the protocol to the log, secrets hidden.", ""),
];

const SERVER: &[Key] = &[
    key(
        "transport",
        Kind::Choice(&["smtp", "sendmail"]),
        "\"smtp\"",
        "How mail leaves: to a server, or by this host's own `sendmail`.",
        "`sendmail` needs no other key of the server.",
    ),
    key(
        "sendmail",
        Kind::Texts,
        "[\"/usr/sbin/sendmail\", \"-i\"]",
        "The program and its arguments; no shell. The message is its standard input.",
        "`-f SENDER -- RECIPIENTS` is added, unless `-t` is among them.",
    ),
    PROVIDER,
    bare(
        "host",
        Kind::Host,
        "\"smtp.example.org\"",
        "The server. Required without `provider`.",
        "",
    ),
    bare(
        "port",
        Kind::Integer(1, 65_535),
        "465",
        "TCP port; computed from encryption.",
        "tls 465, starttls 587, none 25.",
    ),
    key(
        "encryption",
        Kind::Choice(&["tls", "starttls", "none"]),
        "\"tls\"",
        "When TLS begins: from the first octet, by STARTTLS, never.",
        "",
    ),
    ALLOW_PLAINTEXT,
    BIND_ADDRESS,
    key("tls_verify", Kind::Bool, YES, "Checks the server's certificate.", ""),
    TLS_CA_FILE,
    tls_name("\"smtp.example.org\""),
    TLS_PIN,
    TLS_MIN_VERSION,
    TLS_CLIENT_CERTIFICATE,
    TLS_CLIENT_KEY,
    key(
        "connect_timeout",
        Kind::Duration(Duration::from_millis(100), secs(3600)),
        "\"10s\"",
        "For the name and the TCP connect together.",
        "",
    ),
    key(
        "send_timeout",
        Kind::Duration(Duration::from_millis(100), secs(3600)),
        "\"10s\"",
        "For TLS, and for each whole answer of the server before the message is handed over.",
        "",
    ),
    key(
        "read_timeout",
        Kind::Duration(Duration::from_millis(100), secs(3600)),
        "\"120s\"",
        "For the answer to the message, while the server scans it.",
        "With `sendmail`, for the whole run. Who gives up there may send twice: RFC 5321 asks for ten minutes.",
    ),
];

const AUTHENTICATION: &[Key] = &[
    key(
        "auth",
        Kind::Choice(&["login", "none"]),
        "\"login\"",
        "`\"none\"`: a relay that asks for no login, whatever `user` is inherited.",
        "Without `user` nobody logs in either.",
    ),
    bare(
        "user",
        Kind::TextOrSecret(512),
        "\"robot@example.org\"",
        "User name, or where it is; a relay that asks for none has none.",
        "",
    ),
    bare(
        "password",
        Kind::Secret,
        "{ credential = \"relay\" }",
        "The password, or where it is.",
        "Needs `user`.",
    ),
    bare("oauth", Kind::AccountName, "\"m365\"", "`[oauth.NAME]` instead of a password.", ""),
    key(
        "safe_logon",
        Kind::BoolOr("strict"),
        YES,
        "No PLAIN or LOGIN without TLS; `\"strict\"`: not at all.",
        "",
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
        ]),
        "[\"SCRAM-SHA-256\", \"PLAIN\"]",
        "Only these mechanisms, in this order.",
        "Else the strongest that the server offers; `-PLUS` is used only where it is named.",
    ),
    bare(
        "pop_before_smtp",
        Kind::AccountName,
        "\"invoices\"",
        "The inbound account that must log in first.",
        "For servers that ask for it.",
    ),
    key(
        "pop_before_smtp_ttl",
        Kind::Duration(secs(1), secs(86_400)),
        "\"10m\"",
        "How long that login is good for; a running daemon logs in again after it.",
        "",
    ),
];

const MAIL: &[Key] = &[
    bare("from", Kind::Address, "\"robot@example.org\"", "From address.", ""),
    bare(
        "allowed_from",
        Kind::Addresses,
        "[\"noreply@example.org\"]",
        "Further addresses that the server lets the account send as.",
        "Silences the warning that `system` is another address.",
    ),
    bare("from_name", Kind::Text(256), "\"Post Rider\"", "Display name of the From address.", ""),
    bare("organization", Kind::Text(256), "\"Example Ltd\"", "Organization field.", ""),
    bare("reply_to", Kind::Addresses, "\"help@example.org\"", "Reply-To addresses.", ""),
    bare("test_to", Kind::Address, "\"ops@example.org\"", "Where test messages go.", ""),
];

pub(crate) const ACCOUNT: Table = Table {
    path: "account.NAME",
    meaning: "One account with two halves, `[account.NAME.inbound]` and \
              `[account.NAME.outbound]`, which share these keys.",
    groups: &[Group {
        title: "Shared by both halves",
        keys: &[
            bare("description", Kind::Text(1024), "\"Sales\"", "Free text for people.", ""),
            key("enabled", Kind::Bool, YES, "Whether both halves are used.", ""),
            bare(
                "address",
                Kind::Address,
                "\"sales@example.org\"",
                "The mailbox's address; `user` and `from` default to it.",
                "",
            ),
            bare(
                "provider",
                Kind::Provider,
                "\"gmail\"",
                "Fills `host`, `port` and `encryption` of both halves.",
                "",
            ),
            bare(
                "user",
                Kind::TextOrSecret(512),
                "\"sales@example.org\"",
                "User name, or where it is.",
                "",
            ),
            bare(
                "password",
                Kind::Secret,
                "{ credential = \"sales\" }",
                "The password, or where it is.",
                "",
            ),
            bare(
                "oauth",
                Kind::AccountName,
                "\"m365\"",
                "`[oauth.NAME]` instead of a password.",
                "",
            ),
        ],
    }],
};
