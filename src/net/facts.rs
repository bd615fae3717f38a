//! What a finished TLS handshake was: version, cipher, and the server's certificates.

use data_encoding::BASE64;
use jiff::Timestamp;
use rustls::ClientConnection;
use rustls::pki_types::CertificateDer;
use serde::Serialize;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::certificate::{key_digest, names, shown};

/// Certificates of a chain that are told; a server may send any number.
const CHAIN_SHOWN: usize = 8;

/// A TLS session, for people. Text of certificates is escaped and cut.
#[derive(Clone, Debug, Serialize)]
pub struct TlsFacts {
    /// `TLS 1.3`.
    pub version: &'static str,
    /// The cipher suite.
    pub cipher: String,
    /// The server's certificate first.
    pub chain: Vec<CertificateFacts>,
    /// SHA-256 of the server's public key, as `tls_pin_sha256` takes it.
    pub key_sha256: Option<String>,
}

/// One certificate.
#[derive(Clone, Debug, Serialize)]
pub struct CertificateFacts {
    /// Whose it is.
    pub subject: String,
    /// Who says so.
    pub issuer: String,
    /// For which names and addresses.
    pub names: Vec<String>,
    /// From when.
    pub not_before: Option<Timestamp>,
    /// Until when.
    pub not_after: Option<Timestamp>,
}

impl TlsFacts {
    pub(super) fn of(session: &ClientConnection) -> Self {
        let chain = session.peer_certificates().unwrap_or_default();
        let version = match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS",
        };
        let cipher = session.negotiated_cipher_suite();
        Self {
            version,
            cipher: cipher.map_or_else(String::new, |cipher| format!("{:?}", cipher.suite())),
            chain: chain.iter().take(CHAIN_SHOWN).filter_map(CertificateFacts::of).collect(),
            key_sha256: chain.first().and_then(key_digest).map(|digest| BASE64.encode(&digest)),
        }
    }
}

impl CertificateFacts {
    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let validity = parsed.validity();
        Some(Self {
            subject: shown(&parsed.subject().to_string()),
            issuer: shown(&parsed.issuer().to_string()),
            names: names(&parsed),
            not_before: Timestamp::from_second(validity.not_before.timestamp()).ok(),
            not_after: Timestamp::from_second(validity.not_after.timestamp()).ok(),
        })
    }
}
