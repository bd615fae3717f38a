//! What ends by itself soon: certificates of servers, tokens, clients' secrets.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::rows::Row;
use crate::config::{DaemonConfig, SECRET_EXPIRY_WARNING};
use crate::daemon::instance::tokens;
use crate::daemon::state::Scope;
use crate::log::Redactor;
use crate::secret::Surroundings;

/// Servers' certificates are renewed in their last month; who hasn't by now may have forgotten.
const CERTIFICATE_WARNING: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Something that ends soon, or has ended.
#[derive(Debug, Serialize)]
pub(super) struct Expiry {
    /// `certificate`, `client-secret` or `token`.
    pub(super) what: &'static str,
    /// The account or the oauth table.
    pub(super) of: String,
    /// When; `None`: it has ended already.
    pub(super) at: Option<Timestamp>,
    /// What to do.
    pub(super) hint: String,
}

/// Looks for what ends soon.
pub(super) fn soon(
    daemon: &DaemonConfig,
    scope: &Scope,
    rows: &[Row],
    now: Timestamp,
) -> Vec<Expiry> {
    let mut found: Vec<Expiry> = rows
        .iter()
        .filter(|row| row.state != "disabled")
        .filter_map(|row| {
            let at = row.certificate_until.filter(|at| is_near(*at, now, CERTIFICATE_WARNING))?;
            let hint = "the server's owner must renew it".to_owned();
            Some(Expiry { what: "certificate", of: row.name.clone(), at: Some(at), hint })
        })
        .collect();
    if scope.oauth.is_empty() {
        return found;
    }
    let secrets = Arc::new(Surroundings::of(daemon));
    let vault = tokens(daemon, &secrets, &Redactor::default());
    for oauth in &scope.oauth {
        let of = oauth.name.clone();
        let near = |at: &Timestamp| is_near(*at, now, SECRET_EXPIRY_WARNING);
        if let Some(at) = oauth.secret_expires.filter(near) {
            let hint = "make a new one at the provider, and correct `secret_expires`".to_owned();
            found.push(Expiry { what: "client-secret", of: of.clone(), at: Some(at), hint });
        }
        let ended = match vault.read(&oauth.name) {
            Ok(None) => oauth.needs_person,
            Ok(Some(stored)) => stored.refused.is_some(),
            Err(_) => false,
        };
        if ended {
            let hint = format!("postrider oauth login {of}");
            found.push(Expiry { what: "token", of, at: None, hint });
        }
    }
    found
}

fn is_near(at: Timestamp, now: Timestamp, within: SignedDuration) -> bool {
    at.duration_since(now) <= within
}
