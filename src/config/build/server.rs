//! What inbound and outbound accounts have in common: server, encryption, credentials.

use super::Builder;
use crate::config::keys::Table;
use crate::config::origin::{Origin, OriginKind};
use crate::config::problem::Problem;
use crate::config::raw::{RawHalf, RawTable};
use crate::config::types::{ClientCertificate, Encryption, TlsRules};
use crate::config::view::{Layer, View};

/// Standard ports: protocol, under implicit TLS, else.
const PORTS: [(&str, u16, u16); 2] = [("imap", 993, 143), ("pop3", 995, 110)];

impl Builder<'_> {
    /// Encryption `none` must be meant.
    pub(super) fn encryption(&mut self, view: &View<'_>) -> Encryption {
        let encryption = view.encryption();
        let host = view.text("host").unwrap_or_else(|| "the server".to_owned());
        if encryption == Encryption::None && !view.flag("allow_plaintext") {
            let what = format!(
                "`encryption = \"none\"` needs `allow_plaintext = true`: password and mail would \
                 pass in the clear to {host}"
            );
            let hint =
                "use `encryption = \"tls\"` or `\"starttls\"`, or add `allow_plaintext = true`";
            self.report_at(view, "encryption", Problem::error(what).hint(hint));
        }
        encryption
    }

    /// Which certificates are taken; an unchecked one deserves a word.
    pub(super) fn tls(&mut self, view: &View<'_>) -> TlsRules {
        let pins = view.pins("tls_pin_sha256");
        if !view.flag("tls_verify") && pins.is_empty() && view.encryption() != Encryption::None {
            let host = view.text("host").unwrap_or_else(|| "the server".to_owned());
            let what = format!("certificate verification is off for {host}");
            let hint = "`tls_pin_sha256 = \"…\"` trusts just this server's key (a failing poll prints \
                        the line), `tls_ca_file = \"PATH\"` a private CA";
            self.report_at(view, "tls_verify", Problem::warning(what).hint(hint));
        }
        for key in ["tls_ca_file", "tls_client_certificate", "tls_client_key"] {
            if let Some(file) = view.path_of(key).filter(|file| !file.is_file()) {
                let what = format!("`{key}`: cannot read `{}`", file.display());
                let hint = "correct the path; it is a PEM file";
                self.report_at(view, key, Problem::error(what).hint(hint));
            }
        }
        TlsRules {
            verify: view.flag("tls_verify"),
            ca_file: view.path_of("tls_ca_file"),
            name: view.text("tls_name"),
            pins,
            only_tls13: view.text("tls_min_version").as_deref() == Some("1.3"),
            client: self.client_certificate(view),
        }
    }

    /// A certificate of ours; its key may stand in the same file.
    fn client_certificate(&mut self, view: &View<'_>) -> Option<ClientCertificate> {
        let certificate = view.path_of("tls_client_certificate");
        let key = view.path_of("tls_client_key");
        if certificate.is_none() && key.is_some() {
            let problem = Problem::error("`tls_client_key` needs `tls_client_certificate`");
            let hint = "add `tls_client_certificate = \"PATH\"`";
            self.report_at(view, "tls_client_key", problem.hint(hint));
        }
        let certificate = certificate?;
        Some(ClientCertificate { key: key.unwrap_or_else(|| certificate.clone()), certificate })
    }

    /// The port, computed unless it is given; an odd pair is warned of.
    pub(super) fn port(&mut self, view: &View<'_>, protocol: &str, encryption: Encryption) -> u16 {
        let usual = usual_port(protocol, encryption);
        let Some(port) = view.number("port").and_then(|port| u16::try_from(port).ok()) else {
            let why = format!("{protocol} + {}", encryption.as_str());
            let origin = Origin::plain(usual.to_string(), OriginKind::Computed(why));
            self.origins.entry(view.path().to_owned()).or_default().insert("port", origin);
            return usual;
        };
        if let Some(speaks) = odd(protocol, port, encryption) {
            let what = format!(
                "`port = {port}` with `encryption = \"{}\"`: {port} normally speaks {speaks}",
                encryption.as_str()
            );
            let hint = format!("leave `port` out for {usual}, or correct `encryption`");
            self.report_at(view, "port", Problem::warning(what).hint(hint));
        }
        port
    }

    /// Exactly one of `password` and `oauth`: the nearer one, where the layers differ.
    pub(super) fn uses_oauth(&mut self, view: &View<'_>) -> bool {
        let (password, oauth) = (view.depth("password"), view.depth("oauth"));
        if password == oauth && password != usize::MAX {
            let problem = Problem::error("`password` and `oauth` exclude each other");
            self.report_at(view, "oauth", problem.hint("keep one of them"));
        }
        oauth < password
    }

    pub(super) fn oauth_exists(&mut self, view: &View<'_>) {
        let Some(name) = view.text("oauth") else { return };
        if self.raw.oauth.contains_key(&name) || self.raw.broken {
            return;
        }
        let defined: Vec<&str> = self.raw.oauth.keys().map(String::as_str).collect();
        let problem = Problem::error(format!("`oauth = \"{name}\"` is not defined"));
        let hint = format!("add `[oauth.{name}]`{}", known(&defined));
        self.report_at(view, "oauth", problem.hint(hint));
    }
}

/// "; defined: a, b", or nothing.
pub(super) fn known(names: &[&str]) -> String {
    if names.is_empty() { String::new() } else { format!("; defined: {}", names.join(", ")) }
}

/// A half's layers, nearest first.
pub(super) fn layers<'a>(
    spec: &'static Table,
    half: &'a RawHalf,
    defaults: &'a RawTable,
) -> View<'a> {
    let mut layers = vec![(Layer::Own, &half.table)];
    layers.extend(half.shared.as_deref().map(|shared| (Layer::Shared, shared)));
    layers.push((Layer::Defaults, defaults));
    View::new(spec, layers)
}

fn usual_port(protocol: &str, encryption: Encryption) -> u16 {
    let found = PORTS.iter().find(|(name, _, _)| *name == protocol);
    match (found, encryption) {
        (Some((_, tls, _)), Encryption::Tls) => *tls,
        (Some((_, _, plain)), _) => *plain,
        (None, Encryption::Tls) => 465,
        (None, Encryption::StartTls) => 587,
        (None, Encryption::None) => 25,
    }
}

/// What a well-known port speaks, where that is something else than the config says.
fn odd(protocol: &str, port: u16, encryption: Encryption) -> Option<&'static str> {
    let (speaks, fits) = match port {
        993 => ("IMAP under TLS", protocol == "imap" && encryption == Encryption::Tls),
        995 => ("POP3 under TLS", protocol == "pop3" && encryption == Encryption::Tls),
        465 => ("SMTP under TLS", protocol == "smtp" && encryption == Encryption::Tls),
        143 => ("IMAP with STARTTLS", protocol == "imap" && encryption != Encryption::Tls),
        110 => ("POP3 with STLS", protocol == "pop3" && encryption != Encryption::Tls),
        587 => ("SMTP with STARTTLS", protocol == "smtp" && encryption != Encryption::Tls),
        25 => ("SMTP", protocol == "smtp" && encryption != Encryption::Tls),
        _ => return None,
    };
    (!fits).then_some(speaks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_follow_from_protocol_and_encryption() {
        use Encryption::{None as Plain, StartTls, Tls};
        let table =
            [("imap", [993, 143, 143]), ("pop3", [995, 110, 110]), ("smtp", [465, 587, 25])];
        for (protocol, ports) in table {
            let computed = [Tls, StartTls, Plain].map(|e| usual_port(protocol, e));
            assert_eq!(computed, ports, "{protocol}");
            for (port, encryption) in ports.into_iter().zip([Tls, StartTls, Plain]) {
                assert_eq!(odd(protocol, port, encryption), None, "{protocol} {port}");
            }
        }
        assert_eq!(odd("imap", 143, Tls), Some("IMAP with STARTTLS"));
        assert_eq!(odd("imap", 995, Tls), Some("POP3 under TLS"));
        assert_eq!(odd("imap", 40_143, Tls), None);
    }
}
