//! Codes of source `delete`: deletes on the server, and the copies that permit them.

use super::Code;
use crate::ledger::log_db::Level;

pub(super) const CODES: &[Code] = &[
    Code {
        code: "copy-missing",
        level: Level::Warning,
        cause: "The archived copy of a message that is due for delete is not there. The message \
                stays on the server.",
        remedy: "Restore the folder from a backup, or find out who moved it.",
    },
    Code {
        code: "copy-modified",
        level: Level::Warning,
        cause: "The archived copy of a message that is due for delete has changed. The message \
                stays on the server.",
        remedy: "Restore the folder from a backup, or find out who changed it.",
    },
    Code {
        code: "copy-unreadable",
        level: Level::Warning,
        cause: "The archived copy of a message that is due for delete can't be read just now. The \
                message stays on the server.",
        remedy: "The next poll tries again; if it goes on, look at the disk and the kernel's log.",
    },
    Code {
        code: "delete-armed",
        level: Level::Warning,
        cause: "A change of the config lets stored mail leave the server that stayed there before; \
                the record says how much, and when.",
        remedy: "`postrider plan ACCOUNT` shows each message; `delete_max_per_poll` is the brake.",
    },
    Code {
        code: "delete-changed",
        level: Level::Warning,
        cause: "The server shows another message under the identity of a stored one. It stays on the \
                server.",
        remedy: "Nothing at once; some bridges and gateways renumber messages.",
    },
    Code {
        code: "delete-done",
        level: Level::Info,
        cause: "Messages were deleted on the server, or moved there, and the server has shown that \
                they are gone; or they were only marked, by `delete_mode = \"flag\"`.",
        remedy: "Nothing.",
    },
    Code {
        code: "delete-no-destination",
        level: Level::Warning,
        cause: "Messages are due to be moved, but the server marks no mailbox as trash, or the one \
                that is named can't be opened or is polled itself. Nothing was moved.",
        remedy: "Do what the message says: make the mailbox, or name it in `delete_mode`.",
    },
    Code {
        code: "delete-only-copied",
        level: Level::Error,
        cause: "The server copied messages to where deleted mail goes, but doesn't prove it, or \
                refused to remove them afterwards. The next try would copy them once more, so \
                nothing is deleted in the account any more.",
        remedy: "Give the user the right to remove mail, or choose another `delete_mode`; remove \
                 the copies; then `postrider account resume ACCOUNT`.",
    },
    Code {
        code: "delete-pending",
        level: Level::Warning,
        cause: "Messages are due for delete, but the server lacks UIDPLUS (RFC 4315), without \
                which others' messages could go (or RFC 6851, where they are moved).",
        remedy: "If the server can move mail, set `delete_mode = \"trash\"`; else delete them by \
                 another program, or set `delete_read = false`.",
    },
    Code {
        code: "delete-read-only",
        level: Level::Warning,
        cause: "Messages are due for delete, but the server opens the mailbox for reading only.",
        remedy: "Check the permissions of the mailbox, or set `delete_read = false`.",
    },
    Code {
        code: "delete-refused",
        level: Level::Warning,
        cause: "The server refused to delete messages; they are tried again.",
        remedy: "Check the permissions of the mailbox.",
    },
    Code {
        code: "delete-uidvalidity",
        level: Level::Warning,
        cause: "The mailbox was made anew on the server while the poll ran. Nothing more is \
                deleted in this poll.",
        remedy: "Nothing.",
    },
    Code {
        code: "imap-expunged-more",
        level: Level::Error,
        cause: "Messages that others had marked as deleted vanished together with ours: the server \
                removes all that is marked, or somebody expunged at that very moment. Nothing is \
                deleted in the account any more.",
        remedy: "See what else removes mail there, then `postrider account resume ACCOUNT`.",
    },
];
