//! Keys of the tables that stand once.

use super::{Group, Kind, NO, Table, bare, days, key, secs};

pub(crate) const TOP: Table = Table {
    path: "",
    meaning: "The top level: before the first table.",
    groups: &[Group {
        title: "Files",
        keys: &[key(
            "include",
            Kind::Texts,
            "[]",
            "More files with accounts and oauth tables; `*` and `?` in the last part, read sorted.",
            "Relative to this file's folder. One level: an included file includes nothing.",
        )],
    }],
};

pub(crate) const DAEMON: Table = Table {
    path: "daemon",
    meaning: "The process and its state.",
    groups: &[Group {
        title: "State and limits",
        keys: &[
            key(
                "state_dir",
                Kind::Path,
                "\"/var/lib/postrider\"",
                "Folder of ledger, log, keystore and lock; mode 0700.",
                "Must be on a local file system.",
            ),
            bare(
                "keystore_key_file",
                Kind::Path,
                "\"/var/lib/postrider/keystore.key\"",
                "The key that opens the keystore; made by the first `secret set`.",
                "Without it `keystore.key` in `state_dir`. A systemd credential `postrider-keystore` goes before it.",
            ),
            key(
                "max_connections",
                Kind::Integer(1, 100_000),
                "256",
                "Connections at the same time, all accounts together.",
                "Bounds memory and open files.",
            ),
            key(
                "max_connections_per_server",
                Kind::Integer(1, 100_000),
                "8",
                "Connections at the same time to one server (host and port).",
                "Servers limit them for each address and user; other accounts wait their turn.",
            ),
            bare(
                "control_group",
                Kind::Text(64),
                "\"mailops\"",
                "Members of this group may direct the running daemon: poll, pause, resume, reload, replay.",
                "Without it only root and the service's own user may.",
            ),
            key(
                "single_outbound",
                Kind::Bool,
                NO,
                "At most one `[outbound.NAME]` may be enabled.",
                "Several are an error then.",
            ),
        ],
    }],
};

pub(crate) const ARCHIVE: Table = Table {
    path: "archive",
    meaning: "Where mail is stored, and how it looks there.",
    groups: &[
        Group {
            title: "Place",
            keys: &[
                bare(
                    "root",
                    Kind::Path,
                    "\"/srv/postrider\"",
                    "The archive root. Required.",
                    "`postrider init-root` makes it, with a marker file.",
                ),
                key(
                    "layout",
                    Kind::Layout,
                    "\"{account}/in/{date}/{message}\"",
                    "Path of a message folder below the root.",
                    "`{date}` is YYYYMMDD of the received date, in `timezone`.",
                ),
                key(
                    "timezone",
                    Kind::TimeZone,
                    "\"UTC\"",
                    "Zone of `{date}`, of the folder's time and of cron expressions.",
                    "What is archived already stays where it is when this changes.",
                ),
            ],
        },
        Group {
            title: "Contents",
            keys: &[
                key(
                    "write",
                    Kind::Choices(&["eml", "json", "text", "html", "attachments"]),
                    "[\"eml\", \"json\", \"text\", \"html\", \"attachments\"]",
                    "What a message folder holds.",
                    "`eml` and `json` are always written.",
                ),
                key(
                    "dir_mode",
                    Kind::Mode,
                    "\"0750\"",
                    "Mode of folders, whatever the umask.",
                    "Readers join the group.",
                ),
                key(
                    "file_mode",
                    Kind::Mode,
                    "\"0640\"",
                    "Mode of files, whatever the umask.",
                    "Readers join the group.",
                ),
            ],
        },
        Group {
            title: "Safety",
            keys: &[
                key(
                    "min_free",
                    Kind::Size,
                    "\"1GiB\"",
                    "Free space that fetching leaves alone.",
                    "",
                ),
                key(
                    "allow_network_root",
                    Kind::Bool,
                    NO,
                    "Deletes are allowed with the root on NFS, CIFS or FUSE.",
                    "Such file systems may lose what they called stored.",
                ),
            ],
        },
    ],
};

pub(crate) const LOG: Table = Table {
    path: "log",
    meaning: "The main log.",
    groups: &[Group {
        title: "Records",
        keys: &[
            key(
                "level",
                Kind::Choice(&["error", "warning", "info", "debug"]),
                "\"info\"",
                "The least severe level that is kept.",
                "",
            ),
            key(
                "keep",
                Kind::Duration(secs(3600), days(36_500)),
                "\"90d\"",
                "How long records are kept.",
                "",
            ),
            key(
                "max_size",
                Kind::SizeLimit,
                "\"1GiB\"",
                "How large `log.db` may get, at least 16MiB; then the oldest records go first.",
                "",
            ),
        ],
    }],
};

pub(crate) const FILTERS: Table = Table {
    path: "log.filters",
    meaning: "Saved conditions of the log, with names of your own: `postrider log --filter NAME`.",
    groups: &[Group {
        title: "Filters",
        keys: &[bare(
            "imap_failures",
            Kind::Text(4096),
            "\"source = imap-auth and level = error\"",
            "A condition on a record's fields.",
            "See `docs/log.md`.",
        )],
    }],
};

pub(crate) const NOTICES: Table = Table {
    path: "notices",
    meaning: "Mail that postrider itself sends.",
    groups: &[
        Group {
            title: "Addresses",
            keys: &[
                bare(
                    "system",
                    Kind::Address,
                    "\"robot@example.org\"",
                    "From of all mail that postrider sends.",
                    "Best the outbound account's own address: servers refuse others.",
                ),
                bare(
                    "error_reporting",
                    Kind::Address,
                    "\"ops@example.org\"",
                    "Where errors are reported.",
                    "",
                ),
                bare(
                    "feedback",
                    Kind::Address,
                    "\"support@example.org\"",
                    "Where feedback from users goes.",
                    "",
                ),
                bare(
                    "outbound",
                    Kind::AccountName,
                    "\"relay\"",
                    "The outbound account that sends.",
                    "Needed when there are two or more.",
                ),
            ],
        },
        Group {
            title: "How many",
            keys: &[
                key(
                    "digest",
                    Kind::Duration(secs(1), days(1)),
                    "\"1m\"",
                    "What happens within this time is told in one mail.",
                    "",
                ),
                key(
                    "max_per_hour",
                    Kind::Integer(1, 3600),
                    "4",
                    "Mails in one hour at most.",
                    "What can't be told yet is told in the next one.",
                ),
                key("max_per_day", Kind::Integer(1, 86_400), "20", "Mails in one day at most.", ""),
                key(
                    "remind_every",
                    Kind::Duration(secs(60), days(365)),
                    "\"1d\"",
                    "What lasts is told again after this time, then after twice, four times it.",
                    "At least once a week.",
                ),
            ],
        },
    ],
};
