//! Signed assertions (RFC 7515, 7523): RS256 by rustls's ring provider.

use data_encoding::BASE64URL_NOPAD;
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Moment;
use crate::config::ClientCertificate;

/// How long an assertion is good for.
const LIFETIME_SECONDS: i64 = 600;

/// A client's assertion by its certificate (RFC 7523 §2.2), as Microsoft wants it.
pub(super) fn by_certificate(
    certificate: &ClientCertificate,
    client_id: &str,
    token_url: &str,
    now: &Moment,
) -> Result<Zeroizing<String>, String> {
    let shown = certificate.certificate.display();
    let first = CertificateDer::from_pem_file(&certificate.certificate)
        .map_err(|error| format!("certificate {shown}: {error}"))?;
    let key = PrivateKeyDer::from_pem_file(&certificate.key)
        .map_err(|error| format!("key {}: {error}", certificate.key.display()))?;
    let thumbprint = BASE64URL_NOPAD.encode(&Sha1::digest(first.as_ref()));
    let header = json!({ "alg": "RS256", "typ": "JWT", "x5t": thumbprint });
    let issued = now.wall.as_second();
    let claims = json!({
        "aud": token_url, "iss": client_id, "sub": client_id,
        "jti": Uuid::new_v4().to_string(),
        "iat": issued, "nbf": issued, "exp": issued.saturating_add(LIFETIME_SECONDS),
    });
    sign(&header, &claims, &key)
}

/// Google's key file of a service account.
#[derive(serde::Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: Option<String>,
}

/// A service account's assertion (RFC 7523 §2.1) for the mailbox of `subject`.
pub(super) fn by_service_account(
    json: &str,
    subject: &str,
    scope: &str,
    token_url: &str,
    now: &Moment,
) -> Result<Zeroizing<String>, String> {
    let account: ServiceAccount =
        serde_json::from_str(json).map_err(|_| "it is no key of a service account".to_owned())?;
    let pem = Zeroizing::new(account.private_key);
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| format!("its private key: {error}"))?;
    let mut header = json!({ "alg": "RS256", "typ": "JWT" });
    if let (Some(id), Value::Object(fields)) = (account.private_key_id, &mut header) {
        fields.insert("kid".to_owned(), Value::String(id));
    }
    let issued = now.wall.as_second();
    let claims = json!({
        "iss": account.client_email, "sub": subject, "scope": scope, "aud": token_url,
        "iat": issued, "exp": issued.saturating_add(LIFETIME_SECONDS),
    });
    sign(&header, &claims, &key)
}

fn sign(
    header: &Value,
    claims: &Value,
    key: &PrivateKeyDer<'_>,
) -> Result<Zeroizing<String>, String> {
    let coded = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let text = format!("{}.{}", coded(header), coded(claims));
    let key = any_supported_type(key).map_err(|error| format!("the key can't be used: {error}"))?;
    let signer = key
        .choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
        .ok_or("the key is no RSA key, which the provider wants")?;
    let signature = signer.sign(text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(Zeroizing::new(format!("{text}.{}", BASE64URL_NOPAD.encode(&signature))))
}
