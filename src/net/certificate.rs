//! Words for a certificate that is not accepted: whose it is, for which names, until when.

use std::path::Path;

use data_encoding::BASE64;
use jiff::Timestamp;
use rustls::CertificateError;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::NetError;

/// Names of a certificate that are shown; some list hundreds.
const NAMES_SHOWN: usize = 8;
/// Characters of one name that are shown.
const NAME_SHOWN: usize = 100;

/// The error for a refused certificate.
pub(super) fn refusal(
    why: &CertificateError,
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> NetError {
    let parsed = X509Certificate::from_der(certificate).ok().map(|(_, parsed)| parsed);
    let (code, wrong, mut hint) = explain(why, parsed.as_ref(), &name.to_str(), now);
    if let Some(pin) = pin_line(certificate) {
        hint.push_str("; to trust just this server's key, whatever its certificate says: ");
        hint.push_str(&pin);
    }
    NetError::Certificate { code, what: format!("{wrong}{}", whose(parsed.as_ref())), hint }
}

/// The error for a certificate whose key is not a pinned one.
pub(super) fn other_key(certificate: &CertificateDer<'_>) -> NetError {
    let parsed = X509Certificate::from_der(certificate).ok().map(|(_, parsed)| parsed);
    let what =
        format!("the server's key is not the one of `tls_pin_sha256`{}", whose(parsed.as_ref()));
    let pin = pin_line(certificate).unwrap_or_else(|| "`tls_pin_sha256`".to_owned());
    let hint =
        format!("somebody may stand in between; if the server's owner confirms the new key: {pin}");
    NetError::Certificate { code: "tls-pin-mismatch", what, hint }
}

/// Until when the first certificate of a PEM file is good; `None` where that can't be read.
pub fn expiry_of_file(path: &Path) -> Option<Timestamp> {
    let first = CertificateDer::from_pem_file(path).ok()?;
    let (_, parsed) = X509Certificate::from_der(&first).ok()?;
    Timestamp::from_second(parsed.validity().not_after.timestamp()).ok()
}

/// SHA-256 of a certificate's public key with its algorithm (RFC 7469 §2.4).
pub(super) fn key_digest(certificate: &CertificateDer<'_>) -> Option<[u8; 32]> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(Sha256::digest(parsed.tbs_certificate.subject_pki.raw).into())
}

/// The line of the config that trusts a certificate's key.
fn pin_line(certificate: &CertificateDer<'_>) -> Option<String> {
    let digest = key_digest(certificate)?;
    Some(format!("`tls_pin_sha256 = \"{}\"`", BASE64.encode(&digest)))
}

fn whose(certificate: Option<&X509Certificate<'_>>) -> String {
    certificate.map_or_else(String::new, |parsed| format!(" ({})", describe(parsed)))
}

/// Whether the certificate is within its time.
pub(super) fn check_time(
    certificate: &CertificateDer<'_>,
    now: UnixTime,
) -> Result<(), CertificateError> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return Err(CertificateError::BadEncoding);
    };
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < parsed.validity().not_before.timestamp() {
        return Err(CertificateError::NotValidYet);
    }
    if parsed.validity().not_after.timestamp() < now {
        return Err(CertificateError::Expired);
    }
    Ok(())
}

fn explain(
    why: &CertificateError,
    certificate: Option<&X509Certificate<'_>>,
    name: &str,
    now: UnixTime,
) -> (&'static str, String, String) {
    let bound = |later: bool| {
        certificate.map_or_else(String::new, |c| {
            let validity = c.validity();
            let bound = if later { validity.not_after } else { validity.not_before };
            format!(" on {}", day(bound.timestamp()))
        })
    };
    let now = day(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            "tls-expired",
            format!("the server's certificate expired{}", bound(true)),
            format!("this machine's clock says {now}; if that is right, the server's owner must renew the certificate"),
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
            "tls-not-yet-valid",
            format!("the server's certificate is not valid yet: it becomes valid{}", bound(false)),
            format!("this machine's clock says {now}; check it"),
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            "tls-wrong-name",
            format!("the server's certificate is not for `{name}`"),
            "correct `host`, or set `tls_name` to the name that the certificate should have".to_owned(),
        ),
        // An authority of the same name with another key, such as a renewed one.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "tls-untrusted",
            "the server's certificate is not from an authority that this machine trusts".to_owned(),
            "if it is the right one, save it, or its authority's, as a PEM file and set `tls_ca_file = \"/path/to/it.pem\"`".to_owned(),
        ),
        other => (
            "tls-bad-certificate",
            format!("the server's certificate can't be accepted: {}", reason(other)),
            "if it is the right one, save it as a PEM file and set `tls_ca_file = \"/path/to/it.pem\"`".to_owned(),
        ),
    }
}

fn reason(why: &CertificateError) -> String {
    let text = why.to_string();
    if text.contains("CaUsedAsEndEntity") {
        return "it is marked as an authority's, not as a server's".to_owned();
    }
    text
}

fn describe(certificate: &X509Certificate<'_>) -> String {
    let names = names(certificate);
    let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
    let validity = certificate.validity();
    format!(
        "subject \"{}\", issuer \"{}\", for {names}, valid from {} to {}",
        shown(&certificate.subject().to_string()),
        shown(&certificate.issuer().to_string()),
        day(validity.not_before.timestamp()),
        day(validity.not_after.timestamp()),
    )
}

/// The names that a certificate is for, as far as they are shown.
pub(super) fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else { return Vec::new() };
    alternatives.value.general_names.iter().take(NAMES_SHOWN).map(shown_name).collect()
}

fn shown_name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => shown(name),
        GeneralName::IPAddress(octets) => match *octets {
            [a, b, c, d] => std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string(),
            _ => <[u8; 16]>::try_from(*octets)
                .map_or_else(|_| "?".to_owned(), |o| std::net::Ipv6Addr::from(o).to_string()),
        },
        _ => "another kind of name".to_owned(),
    }
}

/// A certificate's text is the server's: escaped and cut.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(NAME_SHOWN).flat_map(char::escape_debug).collect()
}

fn day(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(
        |_| "an absurd date".to_owned(),
        |moment| moment.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}
