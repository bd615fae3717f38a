//! Codes of source `incoming`: listing, fetching, reading mail; polls.

use super::Code;
use crate::ledger::log_db::Level;

pub(super) const CODES: &[Code] = &[
    Code {
        code: "catch-up",
        level: Level::Info,
        cause: "A person has had what is on the server counted as known: it is not stored.",
        remedy: "Nothing; `postrider catch-up ACCOUNT --undo` takes it back.",
    },
    Code {
        code: "catch-up-ended",
        level: Level::Warning,
        cause: "The keys by which a catch-up knew its messages mean others now (UIDVALIDITY, server or \
                user changed, UIDNEXT went back): that mail is fetched.",
        remedy: "Nothing, or `postrider catch-up` once more.",
    },
    Code {
        code: "catch-up-refused",
        level: Level::Error,
        cause: "What is in a mailbox could not be counted as known.",
        remedy: "See the message; poll the account once, and try again.",
    },
    Code {
        code: "mailbox-incomplete",
        level: Level::Warning,
        cause: "The server lists fewer messages than it says the mailbox has.",
        remedy: "Check the provider's limits for the protocol; a split of the mailbox may help.",
    },
    Code {
        code: "mailbox-missing",
        level: Level::Error,
        cause: "A mailbox of `folders` is not there or can't be opened.",
        remedy: "Check `folders` in the account's table.",
    },
    Code {
        code: "mark-failed",
        level: Level::Warning,
        cause: "Stored messages could not be marked on the server, as read or as a rule wants it; a \
                later poll tries again.",
        remedy: "Give the user the right to write to the mailbox, or drop `mark_seen` or the rule.",
    },
    Code {
        code: "message-archived",
        level: Level::Debug,
        cause: "A message is stored durably in the archive.",
        remedy: "Nothing.",
    },
    Code {
        code: "message-changed",
        level: Level::Warning,
        cause: "Messages that share a unique-id are listed with another size than when they were \
                stored: the server may have given it to others. They are neither fetched nor \
                deleted.",
        remedy: "Look at them with a mail program; a server that reuses unique-ids (RFC 1939) needs a fix.",
    },
    Code {
        code: "message-held",
        level: Level::Warning,
        cause: "A message is not fetched: it is too large, or failed too often.",
        remedy: "See `max_message_size`; `postrider status` lists held messages.",
    },
    Code {
        code: "message-not-archived",
        level: Level::Debug,
        cause: "A rule with `archive = false` has left a message out of the archive. It stays on the \
                server and is not fetched again.",
        remedy: "Nothing; `postrider catch-up ACCOUNT --undo-left-out` has such mail judged again.",
    },
    Code {
        code: "message-restated",
        level: Level::Debug,
        cause: "A message that could be another one was fetched, and its content is that of the \
                stored copy.",
        remedy: "Nothing.",
    },
    Code {
        code: "message-unreadable",
        level: Level::Warning,
        cause: "The server gave a message no body, or another than asked for. It is tried again.",
        remedy: "Look at the message with a mail program, if it stays so.",
    },
    Code {
        code: "parse-skipped",
        level: Level::Warning,
        cause: "The program died twice while it parsed this message. It is stored as `message.eml`, \
                without being taken apart.",
        remedy: "Report it, with the message if that may be shown.",
    },
    Code {
        code: "poll-asked",
        level: Level::Info,
        cause: "A person has asked the daemon for polls.",
        remedy: "Nothing.",
    },
    Code {
        code: "poll-deadline",
        level: Level::Info,
        cause: "A poll took longer than `poll_deadline` and ended between messages.",
        remedy: "Nothing: the next one goes on; raise `poll_deadline` for slow servers.",
    },
    Code {
        code: "poll-done",
        level: Level::Info,
        cause: "A poll has ended as it should.",
        remedy: "Nothing.",
    },
    Code {
        code: "poll-stopped",
        level: Level::Info,
        cause: "A poll was stopped with the program.",
        remedy: "Nothing: the next one goes on.",
    },
    Code {
        code: "rekeyed",
        level: Level::Debug,
        cause: "Messages got new identities on the server; the stored ones were recognised by \
                facts or content.",
        remedy: "Nothing.",
    },
    Code {
        code: "uid-reused",
        level: Level::Warning,
        cause: "The server gave the UID or unique-id of a stored message to another one. The new one \
                is archived beside the old.",
        remedy: "Nothing at once; on IMAP the server breaks RFC 9051, its index may have been lost.",
    },
    Code {
        code: "uidvalidity-changed",
        level: Level::Warning,
        cause: "The mailbox was made anew on the server: all UIDs changed. Nothing is deleted in \
                this poll.",
        remedy: "Nothing; messages that are stored already are recognised by facts and content.",
    },
    Code {
        code: "uidvalidity-missing",
        level: Level::Warning,
        cause: "The server gives a mailbox no UIDVALIDITY, or 0 or more than 32 bits: its UIDs may \
                mean other messages at any time. It is archived, and nothing in it is deleted.",
        remedy: "Nothing here; the server breaks IMAP (RFC 9051).",
    },
    Code {
        code: "unique-ids-changed",
        level: Level::Warning,
        cause: "Many unique-ids of a maildrop are new, and messages under them are stored already: \
                the server was moved or restored. Nothing is deleted in this poll.",
        remedy: "Nothing; messages that are stored already are recognised by facts and content.",
    },
];
