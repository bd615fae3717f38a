//! Keys of `[inbound.NAME]` and its properties.

use std::time::Duration;

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
    bare(
        "provider",
        Kind::Provider,
        "\"gmail\"",
        "Fills `host`, `port` and `encryption`.",
        "`postrider provider show NAME` says with what; keys that stand here go before it.",
    ),
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
    key(
        "allow_plaintext",
        Kind::Bool,
        NO,
        "Encryption `none` is meant.",
        "Always needed for it, on loopback too.",
    ),
    bare(
        "bind_address",
        Kind::Ip,
        "\"203.0.113.7\"",
        "Local address to connect from.",
        "For servers that allow only known addresses.",
    ),
    key(
        "tls_verify",
        Kind::Bool,
        YES,
        "Checks the server's certificate.",
        "Off, anyone on the way can read the password and the mail.",
    ),
    bare(
        "tls_ca_file",
        Kind::Path,
        "\"/etc/postrider/ca.pem\"",
        "PEM file of further CAs that are trusted.",
        "For a private CA.",
    ),
    bare(
        "tls_name",
        Kind::Host,
        "\"mail.example.org\"",
        "Name to expect in the certificate instead of `host`.",
        "When `host` is an IP address.",
    ),
    bare(
        "tls_pin_sha256",
        Kind::Pins,
        "\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"",
        "SHA-256 of the server's public key: just this key is trusted.",
        "For a self-signed certificate; a poll that fails prints the line. Issuer, name and dates are not asked.",
    ),
    key(
        "tls_min_version",
        Kind::Choice(&["1.2", "1.3"]),
        "\"1.2\"",
        "The oldest TLS that is spoken.",
        "",
    ),
    bare(
        "tls_client_certificate",
        Kind::Path,
        "\"/etc/postrider/client.pem\"",
        "PEM file of a certificate to show the server, with those that signed it.",
        "Without a password it logs in by SASL EXTERNAL.",
    ),
    bare(
        "tls_client_key",
        Kind::Path,
        "\"/etc/postrider/client.key\"",
        "PEM file of its private key, where it isn't in the same file.",
        "",
    ),
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

const SELECTION: &[Key] = &[
    key(
        "folders",
        Kind::Folders,
        "[\"INBOX\"]",
        "Mailboxes, IMAP only; names or globs, `!` excludes.",
        "POP3 has no folders.",
    ),
    key(
        "poll_interval",
        Kind::Duration(secs(1), days(7)),
        "\"5m\"",
        "Time between two polls; below 30 s a warning.",
        "Providers throttle those who come too often.",
    ),
    bare(
        "cron",
        Kind::Cron,
        "\"*/5 8-18 * * Mon-Fri\"",
        "When it is polled, instead of `poll_interval`; in `archive.timezone`.",
        "For office hours.",
    ),
    key("batch_max", Kind::Limit(1, 1_000_000), "200", "Messages in one batch, oldest first.", ""),
    key(
        "batch_max_bytes",
        Kind::SizeLimit,
        "\"64MiB\"",
        "Octets in one batch; one message always fits.",
        "",
    ),
    key(
        "drain",
        Kind::Bool,
        YES,
        "A poll goes on, batch after batch, until nothing is left.",
        "`false`: the rest waits for the next poll.",
    ),
    bare(
        "process_after",
        Kind::DateTime,
        "2026-01-01T00:00:00Z",
        "Mail received earlier is skipped.",
        "With an offset or `Z`; else `archive.timezone` is taken, with a warning.",
    ),
    bare(
        "ignore_older_than",
        Kind::Duration(secs(1), days(36_500)),
        "\"72h\"",
        "Mail received longer ago is skipped.",
        "",
    ),
    bare(
        "min_age",
        Kind::Duration(secs(1), days(3650)),
        "\"10m\"",
        "Younger mail waits.",
        "For mailboxes that other programs sort first.",
    ),
    bare(
        "max_message_size",
        Kind::SizeLimit,
        "\"2GiB\"",
        "Larger messages are held, not fetched.",
        "",
    ),
    key(
        "only_unseen",
        Kind::Bool,
        NO,
        "Only messages that nobody has read (without `\\Seen`) are fetched, IMAP only.",
        "What a person reads before the poll is never stored, and stays on the server.",
    ),
    key(
        "mark_seen",
        Kind::Bool,
        NO,
        "Messages are marked as read once they are stored, IMAP only.",
        "From now on; what was stored before stays as it is.",
    ),
];

const DELETE: &[Key] = &[
    key(
        "delete_read",
        Kind::Bool,
        NO,
        "Deletes on the server what is provably stored; \"read\" = stored by postrider.",
        "",
    ),
    bare(
        "delete_after_days",
        Kind::Integer(0, 36_500),
        "14",
        "Days of 24 hours, counted from `delete_age_from`; absent or 0: as soon as stored.",
        "Needs `delete_read = true`.",
    ),
    key(
        "delete_age_from",
        Kind::Choice(&["stored", "received"]),
        "\"stored\"",
        "What those days count from: our storing it, or the server's date of receipt.",
        "A date of receipt that is missing or later than the storing counts as the storing.",
    ),
    key(
        "delete_mode",
        Kind::DeleteMode,
        "\"expunge\"",
        "How: removed, moved to the mailbox marked as trash or to a folder, or only marked as deleted.",
        "POP3 can only remove. A folder that mail is moved to must exist and not be polled.",
    ),
    key(
        "delete_after_actions",
        Kind::Bool,
        NO,
        "Deletes wait until all that `on_received` asks for is done with the message.",
        "An action that failed for good holds the delete, too, until it is retried or dropped.",
    ),
    bare("delete_max_per_poll", Kind::Integer(1, 10_000_000), "1000", "A brake on deletes.", ""),
    key(
        "pop3_no_uidl",
        Kind::Choice(&["refuse", "download"]),
        "\"refuse\"",
        "POP3 servers without UIDL: fail, or download each time and compare.",
        "Without unique-ids nothing can be deleted.",
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
    key("protect", Kind::Bool, NO, "An import never changes or removes this account.", ""),
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

pub(crate) const CANARY: Table = Table {
    path: "inbound.NAME.canary",
    meaning: "A test mail goes out by an outbound account and must be stored by this one in time. It \
              leaves the server like any stored mail; its copy stays in the archive.",
    groups: &[Group {
        title: "Canary",
        keys: &[
            bare(
                "via",
                Kind::AccountName,
                "\"relay\"",
                "The outbound account that sends it. Required.",
                "",
            ),
            bare(
                "to",
                Kind::Address,
                "\"invoices@example.org\"",
                "The mailbox's own address.",
                "`user`, where that is an address.",
            ),
            key("every", Kind::Duration(secs(1), days(30)), "\"1h\"", "From one to the next.", ""),
            key(
                "max",
                Kind::Duration(secs(1), days(7)),
                "\"15m\"",
                "It must be stored within this time; else a mail is sent.",
                "Longer than `poll_interval`.",
            ),
        ],
    }],
};

pub(crate) const PROPERTIES: Table = Table {
    path: "inbound.NAME.properties",
    meaning: "Protocol tuning; rarely needed. Also below `[defaults.inbound.properties]`.",
    groups: &[Group {
        title: "Tuning",
        keys: &[
            key(
                "imap.fetch_chunk",
                Kind::Size,
                "\"1MiB\"",
                "Octets of one partial fetch of a large message.",
                "",
            ),
            key(
                "imap.list_window",
                Kind::Integer(100, 1_000_000),
                "5000",
                "UIDs of one listing window.",
                "",
            ),
            key(
                "imap.fetch_batch",
                Kind::Integer(1, 10_000),
                "50",
                "Messages of one FETCH command.",
                "",
            ),
            key(
                "pop3.pipeline",
                Kind::Integer(1, 1000),
                "16",
                "Commands under way at once, where the server allows PIPELINING.",
                "1 switches it off.",
            ),
            key(
                "tcp.keepalive",
                Kind::Duration(secs(1), days(1)),
                "\"60s\"",
                "Idle time before the first TCP keepalive probe.",
                "",
            ),
        ],
    }],
};
