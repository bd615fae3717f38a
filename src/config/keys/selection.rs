//! Keys that decide which mail is fetched, when, and what leaves the server.

use super::{Key, Kind, NO, YES, bare, days, key, secs};

pub(super) const SELECTION: &[Key] = &[
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

pub(super) const DELETE: &[Key] = &[
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
        "An action that failed for good holds the delete, too, until it is retried or dropped. A move by a rule waits like a delete.",
    ),
    bare(
        "delete_max_per_poll",
        Kind::Integer(1, 10_000_000),
        "1000",
        "A brake on deletes.",
        "Moves by rules count.",
    ),
    key(
        "pop3_no_uidl",
        Kind::Choice(&["refuse", "download"]),
        "\"refuse\"",
        "POP3 servers without UIDL: fail, or download each time and compare.",
        "Without unique-ids nothing can be deleted.",
    ),
];
