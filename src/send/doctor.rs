//! From a refused submission to its cause and what to do, and what is worth a word before it. Pure.
//!
//! One table, read from the top: the first row that fits is the advice. Words of providers are
//! theirs and change; a row that fits nothing any more does no harm.

mod table;

use crate::config::{Encryption, Outbound};
use crate::outbound::SubmitError;
use table::{Row, TABLE};

/// What stands for this error in this account; `None` where the error's own hint is all.
pub fn advice(account: &Outbound, error: &SubmitError) -> Option<String> {
    let (host, text) = (account.host.to_ascii_lowercase(), error.to_string().to_ascii_lowercase());
    let code = error.code();
    let ends = |end: &&str| {
        host.strip_suffix(*end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let of_password = account.oauth.is_none() || code != "auth-rejected";
    let fits = |row: &&Row| {
        (of_password || !row.says.is_empty())
            && (row.hosts.is_empty() || row.hosts.iter().any(ends))
            && (row.codes.is_empty() || row.codes.contains(&code))
            && (row.says.is_empty() || row.says.iter().any(|words| text.contains(words)))
    };
    let found = TABLE.iter().find(fits).map(|row| row.advice.to_owned());
    found.or_else(|| wrong_door(account, code))
}

/// A port on which the server speaks otherwise, or a server of another trade.
fn wrong_door(account: &Outbound, code: &str) -> Option<String> {
    let unreached =
        ["connect-failed", "tls-failed", "server-silent", "connection-lost", "protocol-error"];
    if !unreached.contains(&code) {
        return None;
    }
    let port = account.port;
    let hidden = account.encryption == Encryption::Tls;
    match port {
        465 if !hidden => Some("port 465 begins with TLS: set `encryption = \"tls\"`".to_owned()),
        587 | 25 if hidden => Some(format!(
            "port {port} begins in the clear: leave `port` out, or set `encryption = \"starttls\"`"
        )),
        25 if code == "connect-failed" || code == "server-silent" => Some(
            "many networks block port 25: use the provider's submission port, 465 or 587"
                .to_owned(),
        ),
        110 | 143 | 993 | 995 => Some(format!(
            "port {port} gives mail and takes none: leave `port` out for the submission port"
        )),
        _ => None,
    }
}

/// What works, or would, and deserves a look all the same.
pub fn warnings(account: &Outbound) -> Vec<String> {
    let mut warnings = Vec::new();
    if account.encryption == Encryption::None && account.has_login() {
        warnings.push("password and mail pass in the clear (`encryption = \"none\"`)".to_owned());
    }
    if account.tls.take_anyone() && account.encryption != Encryption::None {
        warnings.push("certificate verification is off (`tls_verify = false`)".to_owned());
    }
    warnings
}

#[cfg(test)]
mod tests;
