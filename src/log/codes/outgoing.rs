//! Codes of source `outgoing`: mail that postrider sends.

use super::Code;
use crate::ledger::log_db::Level;

pub(super) const CODES: &[Code] = &[
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
