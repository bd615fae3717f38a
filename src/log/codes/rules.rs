//! Codes of source `rules`: what is done with stored messages.

use super::Code;
use crate::ledger::log_db::Level;

pub(super) const CODES: &[Code] = &[
    Code {
        code: "action-done",
        level: Level::Debug,
        cause: "What a rule asks for was done with a message.",
        remedy: "Nothing.",
    },
    Code {
        code: "action-failed",
        level: Level::Error,
        cause: "What a rule asks for failed until its time (`retries`) was over, or its receiver \
                refused it for good. It isn't tried any more.",
        remedy: "Mend the receiver, then `postrider actions retry`; or `postrider actions drop`.",
    },
    Code {
        code: "action-resumed",
        level: Level::Info,
        cause: "Actions were under way when postrider ended. They are done again with the same \
                keys.",
        remedy: "Nothing.",
    },
    Code {
        code: "action-retry",
        level: Level::Warning,
        cause: "What a rule asks for failed, and is tried again later. A warning at the first \
                failure of an action, then debug.",
        remedy: "See the reason, and the receiver's own log.",
    },
    Code {
        code: "actions-dropped",
        level: Level::Info,
        cause: "A person has given up actions.",
        remedy: "Nothing.",
    },
    Code {
        code: "actions-retried",
        level: Level::Info,
        cause: "A person has made actions due at once.",
        remedy: "Nothing.",
    },
    Code {
        code: "replay-asked",
        level: Level::Info,
        cause: "A person has asked for actions on stored messages once more.",
        remedy: "Nothing.",
    },
];
