//! From an error of a login, and where it happened, to its cause and what to do. Pure.
//!
//! One table, read from the top: the first row that fits is the advice. Words of providers are
//! theirs and change; a row that fits nothing any more does no harm.

mod table;

use super::MailboxError;
use crate::config::{Encryption, Inbound, Protocol, SafeLogon, SecretSpec};
use crate::provider::{self, Password};
use table::{REFUSED, Row, TABLE, UNREACHED};

/// What stands for this error in this account; `None` where the error's own hint is all.
pub fn advice(account: &Inbound, error: &MailboxError) -> Option<String> {
    let (host, text) = (account.host.to_ascii_lowercase(), error.to_string().to_ascii_lowercase());
    let code = error.code();
    let ends = |end: &&str| {
        host.strip_suffix(*end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    // What helps a refused password is not for tokens, unless the server's words say so.
    let of_password = account.oauth.is_none() || !REFUSED.contains(&code);
    let fits = |row: &&Row| {
        (of_password || !row.says.is_empty())
            && (row.hosts.is_empty() || row.hosts.iter().any(ends))
            && (row.codes.is_empty() || row.codes.contains(&code))
            && (row.says.is_empty() || row.says.iter().any(|words| text.contains(words)))
    };
    let found = TABLE.iter().find(fits).map(|row| row.advice.to_owned());
    let found = found.or_else(|| wrong_door(account, code, &host));
    let found = found.or_else(|| no_mechanism(account, error));
    let found = found.or_else(|| providers_password(account, error));
    found.or_else(|| refused_password(account, error))
}

/// Nothing that both sides take: which side has to give way.
fn no_mechanism(account: &Inbound, error: &MailboxError) -> Option<String> {
    if !matches!(error, MailboxError::NoMechanism { .. }) {
        return None;
    }
    let advice = if account.encryption == Encryption::None {
        "use `encryption = \"tls\"` or `\"starttls\"`: in the clear no password goes, unless \
         `allow_plaintext = true`"
    } else if !account.sasl.is_empty() {
        "name in `sasl` what the server offers, or leave `sasl` out for the strongest of it"
    } else if account.safe_logon == SafeLogon::Strict {
        "leave `safe_logon` out: TLS hides the password from all but the server"
    } else if account.oauth.is_some() {
        "see whether the server takes OAuth2 at all; else set `password` instead of `oauth`"
    } else if account.password.is_none() {
        "see whether the server takes client certificates; else set `password`"
    } else {
        "see what the server's owner says: it may want OAuth2 or a client certificate"
    };
    Some(advice.to_owned())
}

/// A port on which the server speaks otherwise, or a server of another trade.
fn wrong_door(account: &Inbound, code: &str, host: &str) -> Option<String> {
    if !UNREACHED.contains(&code) {
        return None;
    }
    let (port, encryption) = (account.port, account.encryption);
    let hidden = encryption == Encryption::Tls;
    match (port, account.protocol) {
        _ if matches!(code, "dns-failed" | "tls-wrong-name") => {}
        (993, Protocol::Imap) | (995, Protocol::Pop3) if !hidden => {
            return Some(format!("port {port} begins with TLS: set `encryption = \"tls\"`"));
        }
        (143, Protocol::Imap) | (110, Protocol::Pop3) if hidden => {
            return Some(format!(
                "port {port} begins in the clear: leave `port` out, or set `encryption = \
                 \"starttls\"`"
            ));
        }
        (995 | 110, Protocol::Imap) | (993 | 143, Protocol::Pop3) => {
            return Some(format!("port {port} is the other protocol's: leave `port` out"));
        }
        (25 | 465 | 587, _) => {
            return Some(format!("port {port} takes mail and gives none: leave `port` out"));
        }
        _ => {}
    }
    if code == "tls-failed" {
        return Some(
            "the server may begin in the clear on this port: try `encryption = \"starttls\"`, and \
             check `port`"
                .to_owned(),
        );
    }
    host.starts_with("smtp.").then(|| {
        format!("`{host}` is named like a server that takes mail: try `imap.` or `pop.` before the domain")
    })
}

/// What the server's provider takes instead of the password that was refused.
fn providers_password(account: &Inbound, error: &MailboxError) -> Option<String> {
    let MailboxError::Credentials { .. } = error else { return None };
    let provider = provider::by_host(&account.host).filter(|_| account.oauth.is_none())?;
    let (title, url) = (provider.title, provider.login.url?);
    let again = match &account.password {
        Some(SecretSpec::Key(name)) => format!("; then: postrider secret set {name}"),
        _ => String::new(),
    };
    Some(match provider.login.password {
        Password::App => format!("{title} wants a password made for programs: {url}{again}"),
        Password::None => {
            format!("{title} takes no password: use OAuth2, `oauth = \"NAME\"` (docs/oauth.md)")
        }
        Password::Own => {
            let note = provider.notes.first().copied().unwrap_or("see its own page");
            format!("`user` or `password` is wrong, or, at {title}: {note}: {url}{again}")
        }
    })
}

/// A refused login that no row explains.
fn refused_password(account: &Inbound, error: &MailboxError) -> Option<String> {
    let MailboxError::Credentials { mechanism, .. } = error else { return None };
    if account.oauth.is_some() {
        return None;
    }
    let mut advice = "`user` or `password` is wrong; many servers want the whole mail address as \
                      `user`, some an app password"
        .to_owned();
    if mechanism.starts_with("SCRAM") || mechanism == "CRAM-MD5" || mechanism == "APOP" {
        if mechanism.ends_with("-PLUS") {
            advice.push_str(
                "; if both are right, the server binds by another way than tls-exporter, as \
                 Cyrus does: leave ",
            );
            advice.push_str(mechanism);
            advice.push_str(" out of `sasl`");
            return Some(advice);
        }
        advice.push_str("; if both are right, the server keeps the password in a form that ");
        advice.push_str(mechanism);
        advice.push_str(" can't use: try `sasl = [\"PLAIN\"]`");
    }
    match &account.password {
        Some(SecretSpec::Key(name)) => {
            advice.push_str("; to set it anew: postrider secret set ");
            advice.push_str(name);
        }
        Some(SecretSpec::Credential(_)) => {
            advice.push_str("; a changed credential needs a restart of the service");
        }
        _ => {}
    }
    Some(advice)
}

#[cfg(test)]
mod tests;
