//! Codes of source `daemon` that are about the ledger.

use super::Code;
use crate::ledger::log_db::Level;

pub(super) const CODES: &[Code] = &[
    Code {
        code: "ledger-backed-up",
        level: Level::Info,
        cause: "The ledger's daily copy was made in `backup` in the state folder.",
        remedy: "Nothing.",
    },
    Code {
        code: "ledger-backup-failed",
        level: Level::Error,
        cause: "The ledger's daily copy could not be made. Polls go on.",
        remedy: "Check the state folder's space and permissions; it is tried again each hour.",
    },
    Code {
        code: "ledger-corrupt",
        level: Level::Error,
        cause: "The ledger's file is damaged. Nothing is fetched or deleted any more.",
        remedy: "Check the disk, then `postrider ledger rebuild` makes it anew from the archive.",
    },
    Code {
        code: "ledger-damaged",
        level: Level::Error,
        cause: "A row of the ledger can't be right. Nothing is deleted on servers.",
        remedy: "Check the state folder's disk; restore the ledger from a backup.",
    },
    Code {
        code: "ledger-failed",
        level: Level::Error,
        cause: "The ledger could not be read or written. Nothing is deleted on servers.",
        remedy: "Check the state folder's disk, its space and its permissions.",
    },
    Code {
        code: "ledger-foreign",
        level: Level::Error,
        cause: "The ledger belongs to another archive root.",
        remedy: "Mount the right archive, or put back the ledger that belongs to it.",
    },
    Code {
        code: "ledger-missing",
        level: Level::Error,
        cause: "The archive has been used with a ledger that is not there.",
        remedy: "Correct `daemon.state_dir`; if the ledger is lost: `postrider ledger rebuild`.",
    },
    Code {
        code: "ledger-newer",
        level: Level::Error,
        cause: "The ledger was written by a newer postrider.",
        remedy: "Install that version again.",
    },
    Code {
        code: "ledger-older",
        level: Level::Error,
        cause: "The ledger is an old copy: it doesn't know what was archived since.",
        remedy: "`postrider ledger reconcile` takes that into it.",
    },
    Code {
        code: "ledger-outdated",
        level: Level::Error,
        cause: "An older postrider wrote the ledger, and this command only reads it.",
        remedy: "Start postrider once (`run` or `poll`): it copies the ledger and brings it up to \
                 date.",
    },
    Code {
        code: "ledger-rebuilt",
        level: Level::Warning,
        cause: "A person has made the ledger anew from the archive.",
        remedy: "Nothing: deletes are held until the server has shown each message again.",
    },
    Code {
        code: "ledger-reconciled",
        level: Level::Warning,
        cause: "A person has brought the ledger up to the archive.",
        remedy: "Nothing: deletes are held until the server has shown each message again.",
    },
    Code {
        code: "ledger-wal-large",
        level: Level::Warning,
        cause: "The ledger's write-ahead log is larger than 256 MiB: another program reads the \
                ledger and doesn't let go.",
        remedy: "Find and end that program: `fuser ledger.db` in the state folder.",
    },
];
