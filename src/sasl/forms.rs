//! The forms in which a server could repeat a secret, so that they can be hidden.

use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::{Login, Proof, joined};

/// The forms of a login's secret on the wire, the longest first; none for a certificate.
pub fn forms(login: &Login<'_>) -> Vec<Zeroizing<String>> {
    let (Proof::Password(secret) | Proof::Token(secret)) = login.proof else { return Vec::new() };
    let bare = |text: String| {
        let text = Zeroizing::new(text);
        Zeroizing::new(text.trim_end_matches('=').to_owned())
    };
    let plain = joined(&["\0", login.user, "\0", secret]);
    let escaped = Zeroizing::new(secret.replace('\\', "\\\\"));
    let escaped = Zeroizing::new(escaped.replace('"', "\\\""));
    vec![
        bare(BASE64.encode(plain.as_bytes())),
        bare(BASE64.encode(secret.as_bytes())),
        joined(&["\"", &escaped, "\""]),
        Zeroizing::new(secret.to_owned()),
    ]
}
