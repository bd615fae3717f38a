//! Judging a server's certificate: rustls's verifier, with words for people when it says no.
//!
//! Revocation is not checked.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};

use super::{NetError, certificate};

/// Whose certificates are good.
pub(super) enum Trust {
    /// Nobody is asked: `tls_verify = false`.
    Anyone,
    /// The system's authorities and the config's.
    Chains {
        /// Rustls's own judgement.
        verifier: Arc<WebPkiServerVerifier>,
        /// Certificates of the config's file. A server that presents one of these as its own is
        /// trusted, even where it is marked as an authority (small servers do that).
        pinned: Vec<CertificateDer<'static>>,
    },
    /// Whoever has one of these keys, told by its SHA-256; issuer, name and time aren't asked.
    Keys(Vec<[u8; 32]>),
}

/// A verifier whose refusals carry a [`NetError`].
pub(super) struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    pub(super) fn new(trust: Trust, provider: Arc<CryptoProvider>) -> Self {
        Self { trust, provider }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let (verifier, pinned) = match &self.trust {
            Trust::Anyone => return Ok(ServerCertVerified::assertion()),
            Trust::Chains { verifier, pinned } => (verifier, pinned),
            Trust::Keys(keys) => {
                let known = certificate::key_digest(end_entity).filter(|key| keys.contains(key));
                return match known {
                    Some(_) => Ok(ServerCertVerified::assertion()),
                    None => Err(refused(certificate::other_key(end_entity))),
                };
            }
        };
        let judged =
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let error = match judged {
            Err(rustls::Error::InvalidCertificate(why)) if pinned.contains(end_entity) => {
                match judge_pinned(why, end_entity, server_name, now) {
                    Ok(()) => return Ok(ServerCertVerified::assertion()),
                    Err(error) => error,
                }
            }
            Err(rustls::Error::InvalidCertificate(why)) => why,
            other => return other,
        };
        Err(refused(certificate::refusal(&error, end_entity, server_name, now)))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn refused(error: NetError) -> rustls::Error {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}

/// A pinned certificate needs no issuer; its name and its time must hold all the same.
fn judge_pinned(
    why: CertificateError,
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), CertificateError> {
    if !matches!(why, CertificateError::UnknownIssuer | CertificateError::Other(_)) {
        return Err(why);
    }
    certificate::check_time(certificate, now)?;
    let only_certificate = |error| match error {
        rustls::Error::InvalidCertificate(error) => error,
        _ => CertificateError::BadEncoding,
    };
    let parsed = ParsedCertificate::try_from(certificate).map_err(only_certificate)?;
    rustls::client::verify_server_name(&parsed, name).map_err(only_certificate)
}
