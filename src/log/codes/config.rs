//! Codes of source `config`.

use super::Code;
use crate::ledger::log_db::Level;

pub(super) const CODES: &[Code] = &[
    Code {
        code: "account-added",
        level: Level::Info,
        cause: "A person has added an account, with a file of its own.",
        remedy: "Nothing; the daemon polls it from the next reload on.",
    },
    Code {
        code: "account-removed",
        level: Level::Info,
        cause: "A person has removed an account's file. Its mail stays.",
        remedy: "Nothing.",
    },
    Code {
        code: "config-edited",
        level: Level::Info,
        cause: "A person has changed a config file by `account edit`.",
        remedy: "Nothing; the record has the changes.",
    },
    Code {
        code: "config-imported",
        level: Level::Info,
        cause: "A person has changed the config by `config import` or `import-config`.",
        remedy: "Nothing; `postrider config history` shows what.",
    },
    Code {
        code: "config-loaded",
        level: Level::Info,
        cause: "The config was read, and is in force.",
        remedy: "Nothing.",
    },
    Code {
        code: "config-rejected",
        level: Level::Error,
        cause: "A changed config has errors; the old one stays in force.",
        remedy: "Run `postrider check`, correct what it lists, reload again.",
    },
    Code {
        code: "config-warning",
        level: Level::Warning,
        cause: "The config can be used, and something in it deserves a look.",
        remedy: "See the hint; `postrider check` shows all of them.",
    },
    Code {
        code: "keystore-rotated",
        level: Level::Info,
        cause: "A person has made a new key of the keystore.",
        remedy: "Nothing.",
    },
    Code {
        code: "secret-removed",
        level: Level::Info,
        cause: "A person has taken a secret out of the keystore.",
        remedy: "Nothing.",
    },
    Code {
        code: "secret-set",
        level: Level::Info,
        cause: "A person has put a secret into the keystore.",
        remedy: "Nothing.",
    },
];
