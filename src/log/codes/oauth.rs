//! Codes of source `oauth`.

use super::Code;
use crate::ledger::log_db::Level;

pub(super) const CODES: &[Code] = &[
    Code {
        code: "oauth-kept-alive",
        level: Level::Info,
        cause: "A refresh token that had rested for a week was used, so that it doesn't end.",
        remedy: "Nothing.",
    },
    Code {
        code: "oauth-login",
        level: Level::Info,
        cause: "A person got tokens by `postrider oauth login`.",
        remedy: "Nothing.",
    },
    Code {
        code: "oauth-needs-login",
        level: Level::Error,
        cause: "There is no refresh token, or it was revoked or has expired. Accounts that use it \
                are not polled, and the provider is not asked again.",
        remedy: "Run `postrider oauth login NAME`; see the record's hint for the cause.",
    },
    Code {
        code: "oauth-other-user",
        level: Level::Warning,
        cause: "The tokens name another user than an account that uses them.",
        remedy: "Right for a shared mailbox; else run `postrider oauth login NAME` as that user.",
    },
    Code {
        code: "oauth-refreshed",
        level: Level::Debug,
        cause: "An access token was renewed in time.",
        remedy: "Nothing.",
    },
    Code {
        code: "oauth-refused",
        level: Level::Error,
        cause: "The provider refuses the client, its secret or its permissions. Accounts that use \
                it are not polled, and the provider is not asked again.",
        remedy: "Do what the record's hint says, then `postrider oauth login NAME`.",
    },
    Code {
        code: "oauth-revoked",
        level: Level::Info,
        cause: "A person ended tokens by `postrider oauth revoke`.",
        remedy: "Nothing.",
    },
    Code {
        code: "oauth-saved-late",
        level: Level::Info,
        cause: "Tokens that couldn't be written to the state folder are written now.",
        remedy: "Nothing.",
    },
    Code {
        code: "oauth-secret-expires",
        level: Level::Warning,
        cause: "The client's secret of an `[oauth.NAME]` table expires within 30 days, as \
                `secret_expires` says.",
        remedy: "Make a new one at the provider, put it where `client_secret` points, and correct \
                 `secret_expires`.",
    },
    Code {
        code: "oauth-session-ended",
        level: Level::Info,
        cause: "The server ended a session with its token; the poll goes on with a new one.",
        remedy: "Nothing.",
    },
    Code {
        code: "oauth-set-aside",
        level: Level::Warning,
        cause: "A token file that can't be read was renamed to `NAME.damaged` by a login.",
        remedy: "Look what happened to the disk; the next `postrider oauth revoke NAME` removes it.",
    },
    Code {
        code: "oauth-store",
        level: Level::Error,
        cause: "A token file in the state folder can't be read or written. Tokens that came are kept in \
                memory and written later; without room for them no endpoint is asked.",
        remedy: "Check the disk and the file's owner and mode; `postrider oauth login NAME` makes a \
                 new one.",
    },
    Code {
        code: "oauth-unavailable",
        level: Level::Error,
        cause: "The provider's endpoint is out of reach, busy or gives no usable answer. It is tried \
                again; no login was refused.",
        remedy: "Nothing, if it passes; else check the endpoint's name, DNS, firewalls and its \
                 certificate.",
    },
];
