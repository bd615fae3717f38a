//! Which outbound account sends, and as whom.

use super::types::{Config, Outbound};

/// Why there is no account to send by.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoOutbound {
    /// There are several, and none is the default.
    #[error("no outbound account is the default; there are {}", .candidates.join(", "))]
    Ambiguous {
        /// Those that are enabled.
        candidates: Vec<String>,
    },
    /// The default is switched off.
    #[error("the outbound account `{name}` is disabled")]
    Disabled {
        /// Its name.
        name: String,
    },
    /// There is none, or none is enabled.
    #[error("there is no outbound account that is enabled")]
    None,
    /// No account has this name.
    #[error("no outbound account `{name}`")]
    Unknown {
        /// The name.
        name: String,
        /// Those that there are.
        candidates: Vec<String>,
    },
}

impl NoOutbound {
    /// How to mend it.
    pub fn hint(&self) -> String {
        match self {
            Self::Ambiguous { candidates } => {
                format!("set `outbound` in `[notices]` to one of {}", candidates.join(", "))
            }
            Self::Disabled { name } => {
                format!("set `enabled = true` in `[outbound.{name}]`, or name another one")
            }
            Self::None => "add an `[outbound.NAME]`, or set `enabled = true`".to_owned(),
            Self::Unknown { candidates, .. } if candidates.is_empty() => {
                "add an `[outbound.NAME]`".to_owned()
            }
            Self::Unknown { candidates, .. } => format!("defined: {}", candidates.join(", ")),
        }
    }
}

impl Config {
    /// The outbound account of this name, enabled or not; without a name the default one:
    /// `outbound` of `[notices]`, else the only one that is enabled.
    pub fn outbound_account(&self, name: Option<&str>) -> Result<&Outbound, NoOutbound> {
        let named = name.or(self.notices.outbound.as_deref());
        if let Some(wanted) = named {
            let Some(account) = self.outbound.get(wanted) else {
                let candidates = self.outbound.keys().map(ToString::to_string).collect();
                return Err(NoOutbound::Unknown { name: wanted.to_owned(), candidates });
            };
            if name.is_none() && !account.enabled {
                return Err(NoOutbound::Disabled { name: wanted.to_owned() });
            }
            return Ok(account);
        }
        let enabled: Vec<&Outbound> = self.outbound.values().filter(|o| o.enabled).collect();
        match enabled.as_slice() {
            [] => Err(NoOutbound::None),
            [only] => Ok(only),
            several => {
                let candidates = several.iter().map(|o| o.name.to_string()).collect();
                Err(NoOutbound::Ambiguous { candidates })
            }
        }
    }

    /// The From address of what this account sends: `system` of `[notices]`, else the account's
    /// `from`, else its `user` where that is an address.
    pub fn sender_of(&self, account: &Outbound) -> Option<String> {
        let user = account.user.clone().filter(|user| user.contains('@'));
        self.notices.system.clone().or_else(|| account.from.clone()).or(user)
    }
}

impl Outbound {
    /// Whether the account is known to own an address: its `from`, its `user`, or one of
    /// `allowed_from`. An account that says nothing of itself may own any.
    pub fn owns(&self, address: &str) -> bool {
        let user = self.user.as_ref().filter(|user| user.contains('@'));
        let mut own = self.from.iter().chain(user).chain(&self.allowed_from).peekable();
        own.peek().is_none() || own.any(|own| own.eq_ignore_ascii_case(address))
    }
}
