//! Keys of `[inbound.NAME.canary]` and `[inbound.NAME.properties]`.

use super::{Group, Kind, Table, bare, days, key, secs};

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
