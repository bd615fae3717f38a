//! Which mechanism to take: of those that the server offers, the strongest that the config and
//! the account's proof allow.

use super::{Mechanism, Proof};
use crate::config::SafeLogon;

/// What the config says of authentication.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// `sasl`: only these, in this order; empty: all, the strongest first.
    pub only: &'a [Mechanism],
    /// `safe_logon`.
    pub safe_logon: SafeLogon,
    /// `allow_plaintext`.
    pub allow_plaintext: bool,
    /// Whether the connection is encrypted.
    pub encrypted: bool,
    /// Whether TLS gives something to bind to.
    pub bindable: bool,
    /// What the account has to prove itself.
    pub has: Has,
}

/// What an account has to prove itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Has {
    /// A client certificate and no password.
    Certificate,
    /// A password.
    Password,
    /// An OAuth2 access token.
    Token,
}

/// The mechanism that is taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Choice {
    /// It.
    pub mechanism: Mechanism,
    /// The config asks for channel binding, and the server offers none.
    pub binding_missing: bool,
}

/// Why none is left; nothing was sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what}")]
pub struct NoMechanism {
    /// What is offered, and what refuses it.
    pub what: String,
}

/// Chooses among the mechanisms that a server offers.
pub fn choose(offered: &[Mechanism], policy: &Policy<'_>) -> Result<Choice, NoMechanism> {
    let order: &[Mechanism] = if policy.only.is_empty() { &Mechanism::ALL } else { policy.only };
    let binds = |list: &[Mechanism]| list.iter().any(|mechanism| mechanism.binds());
    let binding_missing = binds(policy.only) && !binds(offered);
    let wanted = |mechanism: &&Mechanism| {
        offered.contains(mechanism)
            && (!mechanism.is_opt_in() || policy.only.contains(mechanism))
            && policy.has.fits(**mechanism)
            && (!mechanism.binds() || policy.bindable)
    };
    let allowed = |mechanism: &&Mechanism| policy.forbids(**mechanism).is_none();
    if let Some(mechanism) = order.iter().filter(wanted).find(allowed) {
        return Ok(Choice { mechanism: *mechanism, binding_missing });
    }
    let refusal = order.iter().find(wanted).and_then(|mechanism| policy.forbids(*mechanism));
    Err(NoMechanism { what: why_none(offered, policy, refusal) })
}

impl Has {
    /// What a proof is.
    pub fn of(proof: Proof<'_>) -> Self {
        match proof {
            Proof::Certificate => Self::Certificate,
            Proof::Password(_) => Self::Password,
            Proof::Token(_) => Self::Token,
        }
    }

    fn fits(self, mechanism: Mechanism) -> bool {
        match self {
            Self::Certificate => mechanism == Mechanism::External,
            Self::Password => mechanism.takes_password(),
            Self::Token => mechanism.takes_token(),
        }
    }
}

impl Policy<'_> {
    /// Which rule forbids a mechanism.
    fn forbids(&self, mechanism: Mechanism) -> Option<&'static str> {
        let strict = self.safe_logon == SafeLogon::Strict;
        let clear = !self.encrypted && !self.allow_plaintext;
        if strict && mechanism.shows_password() {
            return Some("`safe_logon = \"strict\"` refuses mechanisms that send the password");
        }
        if clear && mechanism.is_replayable() {
            return Some("the connection is not encrypted, and `allow_plaintext` is off");
        }
        None
    }
}

fn why_none(offered: &[Mechanism], policy: &Policy<'_>, refusal: Option<&str>) -> String {
    let names = |list: &[Mechanism]| {
        let names: Vec<&str> = list.iter().map(|mechanism| mechanism.name()).collect();
        if names.is_empty() { "none that is known".to_owned() } else { names.join(", ") }
    };
    let offers = names(offered);
    if let Some(refusal) = refusal {
        return format!("{refusal} (offered: {offers})");
    }
    if !policy.only.is_empty() {
        let only = names(policy.only);
        return format!("the server offers none of `sasl` ({only}); offered: {offers}");
    }
    match policy.has {
        Has::Token => format!("the server takes no OAuth2 token (offered: {offers})"),
        Has::Certificate => {
            format!("the server takes no client certificate by EXTERNAL (offered: {offers})")
        }
        Has::Password => format!("the server takes no password (offered: {offers})"),
    }
}
