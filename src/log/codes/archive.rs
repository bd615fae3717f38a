//! Codes of source `archive`: the root, its disk, message folders.

use super::Code;
use crate::ledger::log_db::Level;

pub(super) const CODES: &[Code] = &[
    Code {
        code: "archive-older",
        level: Level::Error,
        cause: "The archive root is an old copy: it lacks what was archived since.",
        remedy: "Put the newer one back; if it is lost, `postrider ledger reconcile` goes on with \
                 this one: mail that the server still has is fetched again.",
    },
    Code {
        code: "archive-paused",
        level: Level::Error,
        cause: "Three syncs of the archive failed in a row. Nothing is fetched; before each poll a \
                small write is tried.",
        remedy: "Check the disk and the kernel's log. Polls go on by themselves once a trial \
                 write succeeds.",
    },
    Code {
        code: "archive-read-only",
        level: Level::Error,
        cause: "The archive's file system is read-only.",
        remedy: "Mount it writable; the kernel's log says why it became read-only.",
    },
    Code {
        code: "archive-resumed",
        level: Level::Info,
        cause: "A trial write to the paused archive succeeded; polls go on.",
        remedy: "Nothing.",
    },
    Code {
        code: "archive-write-failed",
        level: Level::Error,
        cause: "A message folder could not be written or synced. The message stays on the server and \
                is tried again.",
        remedy: "Check the disk, its permissions and the kernel's log.",
    },
    Code {
        code: "copy-quarantined",
        level: Level::Warning,
        cause: "A message folder that a dead run left is damaged; it was moved to `.quarantine` \
                and the message is fetched again.",
        remedy: "Check the disk; remove the folder once the message is in the archive.",
    },
    Code {
        code: "disk-full",
        level: Level::Error,
        cause: "The archive's disk is full. Polls wait; nothing is lost.",
        remedy: "Make room.",
    },
    Code {
        code: "disk-low",
        level: Level::Warning,
        cause: "Free space of the archive is below `min_free`. Polls wait.",
        remedy: "Make room, or lower `archive.min_free`.",
    },
    Code {
        code: "folder-occupied",
        level: Level::Error,
        cause: "Another folder stands where a message's folder belongs.",
        remedy: "Move that folder away.",
    },
    Code {
        code: "messages-exported",
        level: Level::Info,
        cause: "A person has written stored messages into files of another program's format.",
        remedy: "Nothing.",
    },
    Code {
        code: "messages-imported",
        level: Level::Info,
        cause: "A person has taken old mail into an account's archive.",
        remedy: "Nothing.",
    },
    Code {
        code: "messages-restored",
        level: Level::Info,
        cause: "A person has put stored messages back into a mailbox on their account's server.",
        remedy: "Nothing.",
    },
    Code {
        code: "root-changed",
        level: Level::Error,
        cause: "The archive root is not the one that the ledger belongs to. Nothing is fetched or \
                deleted.",
        remedy: "Mount the right file system, or see `archive.root`.",
    },
    Code {
        code: "root-missing",
        level: Level::Error,
        cause: "The archive root or its marker file is not there. Nothing is fetched or deleted.",
        remedy: "Mount it; for a new archive run `postrider init-root`.",
    },
    Code {
        code: "root-unfit",
        level: Level::Error,
        cause: "The archive root can't do what the durable order needs: `.stage` is another file \
                system or mount, or a rename can't be kept from replacing.",
        remedy: "Put the whole root on one local file system.",
    },
];
