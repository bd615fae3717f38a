//! OAuth2 tokens: how they are got, kept and renewed (RFC 6749, 7636, 8628, 7523, 7009).
//!
//! Whoever needs a token asks the [`Vault`]: it keeps them in the state folder, renews them before
//! they expire, and asks no endpoint again that has said that a person is needed. [`login`] is the
//! part with a person. Knows no mail protocol; nothing here is ever shown, and what a token says
//! of itself is only displayed, never trusted.

mod answer;
mod claims;
mod device;
mod discovery;
mod doctor;
mod ending;
mod endpoints;
mod error;
mod fresh;
mod grants;
mod http;
mod jwt;
mod keeping;
pub mod login;
mod loopback;
mod store;
#[cfg(test)]
mod tests;
mod unsaved;
mod url;
mod vault;

pub use claims::Claims;
pub use doctor::{Diagnosis, Refusal, diagnose, refused_by_server, refused_sending};
pub use endpoints::scopes;
pub use error::OauthError;
pub use fresh::{Freshness, Moment, freshness, keep_alive_due};
pub use store::{Access, Refused, Stored};
pub use vault::{Revoked, Token, Vault};
