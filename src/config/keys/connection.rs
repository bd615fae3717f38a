//! Keys of a connection, which inbound and outbound accounts have in common.

use super::{Key, Kind, NO, bare, key};

pub(super) const PROVIDER: Key = bare(
    "provider",
    Kind::Provider,
    "\"gmail\"",
    "Fills `host`, `port` and `encryption`.",
    "`postrider provider show NAME` says with what; keys that stand here go before it.",
);

pub(super) const ALLOW_PLAINTEXT: Key = key(
    "allow_plaintext",
    Kind::Bool,
    NO,
    "Encryption `none` is meant.",
    "Always needed for it, on loopback too.",
);

pub(super) const BIND_ADDRESS: Key = bare(
    "bind_address",
    Kind::Ip,
    "\"203.0.113.7\"",
    "Local address to connect from.",
    "For servers that allow only known addresses.",
);

pub(super) const TLS_CA_FILE: Key = bare(
    "tls_ca_file",
    Kind::Path,
    "\"/etc/postrider/ca.pem\"",
    "PEM file of further CAs that are trusted.",
    "For a private CA.",
);

pub(super) const TLS_PIN: Key = bare(
    "tls_pin_sha256",
    Kind::Pins,
    "\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"",
    "SHA-256 of the server's public key: just this key is trusted.",
    "For a self-signed certificate; a poll that fails prints the line. Issuer, name and dates are not asked.",
);

pub(super) const TLS_MIN_VERSION: Key = key(
    "tls_min_version",
    Kind::Choice(&["1.2", "1.3"]),
    "\"1.2\"",
    "The oldest TLS that is spoken.",
    "",
);

pub(super) const TLS_CLIENT_CERTIFICATE: Key = bare(
    "tls_client_certificate",
    Kind::Path,
    "\"/etc/postrider/client.pem\"",
    "PEM file of a certificate to show the server, with those that signed it.",
    "Without a password it logs in by SASL EXTERNAL.",
);

pub(super) const TLS_CLIENT_KEY: Key = bare(
    "tls_client_key",
    Kind::Path,
    "\"/etc/postrider/client.key\"",
    "PEM file of its private key, where it isn't in the same file.",
    "",
);

pub(super) const PROTECT: Key =
    key("protect", Kind::Bool, NO, "An import never changes or removes this account.", "");

/// The name in the certificate; each side shows its own example.
pub(super) const fn tls_name(example: &'static str) -> Key {
    bare(
        "tls_name",
        Kind::Host,
        example,
        "Name to expect in the certificate instead of `host`.",
        "When `host` is an IP address.",
    )
}
