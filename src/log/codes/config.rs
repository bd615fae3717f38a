//! Codes of source `config`.

use super::Code;
use crate::ledger::log_db::Level;

pub(super) const CODES: &[Code] = &[
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
];
