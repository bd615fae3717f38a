//! Codes of source `daemon`: its own life, accounts' rests and stops, clock, log.

use super::Code;
use crate::ledger::log_db::Level;

pub(super) const CODES: &[Code] = &[
    Code {
        code: "account-backoff",
        level: Level::Info,
        cause: "The server refused the credentials; the account rests before the next attempt.",
        remedy: "See the error before it. A changed secret or config ends the rest.",
    },
    Code {
        code: "account-debugged",
        level: Level::Info,
        cause: "A person has everything of an account logged for a time (`account debug`), or that time \
                is over.",
        remedy: "Nothing.",
    },
    Code {
        code: "account-moved",
        level: Level::Warning,
        cause: "The account's `protocol`, `host` or `user` changed. Stored messages are matched by \
                facts and content; nothing is deleted in this poll, and later only what its \
                content has proven.",
        remedy: "Nothing, if the change was meant.",
    },
    Code {
        code: "account-no-mail",
        level: Level::Warning,
        cause: "No mail was stored for longer than `alert_if_no_mail`, though polls succeed.",
        remedy: "See whether mail still comes in there: a forwarding that broke, a rule of \
                the server that moves it to another folder, a quota.",
    },
    Code {
        code: "account-paused",
        level: Level::Info,
        cause: "A person has paused the account: it is not polled until its time is over or a resume.",
        remedy: "Nothing; `postrider account resume ACCOUNT` ends it.",
    },
    Code {
        code: "account-quiet",
        level: Level::Warning,
        cause: "No poll has succeeded for longer than `alert_if_no_success`, and none has \
                ended with an error.",
        remedy: "See `postrider status` and the records of the account; a poll may hang, or \
                the daemon was stopped.",
    },
    Code {
        code: "account-recovered",
        level: Level::Info,
        cause: "The account works again after failed polls.",
        remedy: "Nothing.",
    },
    Code {
        code: "account-renamed",
        level: Level::Error,
        cause: "A new account polls the server and user of one that the config doesn't have any \
                more: all its mail would be stored again.",
        remedy: "Add the line of the hint (`renamed_from`), or give the old account its name back.",
    },
    Code {
        code: "account-rests",
        level: Level::Error,
        cause: "Mail was not handed over, as a login is not to be made now: the outbound account's, or \
                that of the inbound account in `pop_before_smtp`. It rests or has stopped after refused \
                logins, or a person has paused it. Nobody was asked.",
        remedy: "See `postrider status`: correct the config or the secret, or `postrider account resume \
                 ACCOUNT`.",
    },
    Code {
        code: "account-resumed",
        level: Level::Info,
        cause: "A person has ended a pause or a stop, or a pause's time is over: the account is polled, \
                deletes are on again, mail is sent by it.",
        remedy: "Nothing.",
    },
    Code {
        code: "account-stopped",
        level: Level::Warning,
        cause: "The server refused the credentials five times; the account is not polled any more, \
                or sends no more, so that it is not locked.",
        remedy: "Correct `user` or the secret and reload, or `postrider account resume ACCOUNT`.",
    },
    Code {
        code: "account-task-died",
        level: Level::Error,
        cause: "The task that polls an account died of an error in postrider; it starts again in a \
                minute.",
        remedy: "Report it, with the message.",
    },
    Code {
        code: "certificate-expires",
        level: Level::Warning,
        cause: "A certificate is about to expire: the server's, or the one that we show.",
        remedy: "The server's owner must renew it; ours is the file of \
                `tls_client_certificate`.",
    },
    Code {
        code: "clock-doubt",
        level: Level::Warning,
        cause: "The wall clock jumped or can't be right. Nothing is deleted on servers until it is \
                trusted again.",
        remedy: "Check the machine's clock and time synchronisation.",
    },
    Code {
        code: "control-refused",
        level: Level::Warning,
        cause: "A user who may not direct the daemon has tried to.",
        remedy: "Add the user to `daemon.control_group`, if it should be allowed.",
    },
    Code {
        code: "control-unavailable",
        level: Level::Warning,
        cause: "The control socket could not be made, not be opened to `control_group`, or takes no connection; polls go on.",
        remedy: "See the message; then restart the daemon.",
    },
    Code {
        code: "daemon-started",
        level: Level::Info,
        cause: "The daemon is ready.",
        remedy: "Nothing.",
    },
    Code {
        code: "daemon-stopped",
        level: Level::Info,
        cause: "The daemon has ended its work.",
        remedy: "Nothing.",
    },
    Code {
        code: "daemon-stopping",
        level: Level::Info,
        cause: "The daemon ends the polls that run, and then itself.",
        remedy: "Nothing.",
    },
    Code {
        code: "internal-error",
        level: Level::Error,
        cause: "A part of postrider died; what it was doing is done again by the next poll.",
        remedy: "Report it, with the message.",
    },
    Code {
        code: "lock-held",
        level: Level::Error,
        cause: "Another postrider uses the same archive root.",
        remedy: "Stop it, or wait for its end.",
    },
    Code {
        code: "log-dropped",
        level: Level::Warning,
        cause: "Records came faster than they could be written; the least important were dropped.",
        remedy: "Raise `log.level`, or turn `debug` of accounts off.",
    },
];
