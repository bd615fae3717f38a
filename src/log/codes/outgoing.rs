//! Codes of source `outgoing`: mail that postrider sends.

use super::Code;
use crate::ledger::log_db::Level;

pub(super) const CODES: &[Code] = &[
    Code {
        code: "canary-arrived",
        level: Level::Info,
        cause: "A test mail came back and is stored; the record says how long it took.",
        remedy: "Nothing.",
    },
    Code {
        code: "canary-late",
        level: Level::Warning,
        cause: "A test mail was not stored within the `max` of its account.",
        remedy: "See where mail to the account waits: the outbound account's queue, a \
                filter, a folder that isn't polled.",
    },
    Code {
        code: "canary-not-sent",
        level: Level::Warning,
        cause: "A test mail could not be handed to the outbound account.",
        remedy: "See the record's reason; `postrider test` and the outbound account's keys.",
    },
    Code {
        code: "message-refused",
        level: Level::Error,
        cause: "The submission server refused the message itself. It is not tried again.",
        remedy: "Read the server's words in the message.",
    },
    Code {
        code: "message-sent",
        level: Level::Info,
        cause: "A submission server, or the host's `sendmail`, has taken a message.",
        remedy: "Nothing.",
    },
    Code {
        code: "notice-not-sent",
        level: Level::Error,
        cause: "A mail of postrider could not be sent; it waits in the ledger and is tried \
                again.",
        remedy: "See the record's reason and hint: the outbound account, or the addresses of \
                `[notices]`.",
    },
    Code {
        code: "notice-over",
        level: Level::Info,
        cause: "What a person was to know of is over.",
        remedy: "Nothing.",
    },
    Code {
        code: "notice-raised",
        level: Level::Warning,
        cause: "Something needs a person's attention; it is told by mail where `[notices]` \
                says to whom.",
        remedy: "See the record's message and hint.",
    },
    Code {
        code: "notice-sent",
        level: Level::Info,
        cause: "The outbound server has taken a mail of postrider.",
        remedy: "Nothing.",
    },
    Code {
        code: "notice-withdrawn",
        level: Level::Warning,
        cause: "A mail of postrider could not be sent for a day; what is still true of it is \
                told in a new one.",
        remedy: "See the records before it: the outbound account doesn't work.",
    },
    Code {
        code: "recipient-refused",
        level: Level::Error,
        cause: "The submission server refused a recipient.",
        remedy: "Correct the address, or see the server's words in the message.",
    },
    Code {
        code: "send-uncertain",
        level: Level::Error,
        cause: "The connection ended behind the end of a message: the server may have taken \
                it. A further try may bring it twice, with the same Message-ID.",
        remedy: "Nothing, if it stays rare; else raise `read_timeout` of the outbound account.",
    },
    Code {
        code: "sender-refused",
        level: Level::Error,
        cause: "The submission server refused the sender's address.",
        remedy: "Set `from` of the outbound account and `system` of `[notices]` to the \
                account's own address.",
    },
    Code {
        code: "sendmail-failed",
        level: Level::Error,
        cause: "The host's `sendmail` did not take a message.",
        remedy: "Run it by hand as postrider's user; see the mail system's own log.",
    },
];
