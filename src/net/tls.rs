//! TLS 1.2 and 1.3 by rustls, with the ring provider; never renegotiated down (RFC 8996).

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use rustix::fs::OFlags;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use super::verify::{Trust, Verifier};
use super::{Endpoint, NetError};
use crate::config::{ClientCertificate, TlsRules, secret_file_fault};

/// Performs the handshake; its waits are under the stream's own guard.
pub(super) async fn connect<S>(stream: S, endpoint: &Endpoint) -> Result<TlsStream<S>, NetError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(endpoint.tls_name().to_owned()).map_err(|_| {
        NetError::TlsConfig { what: format!("`{}` is no name for TLS", endpoint.tls_name()) }
    })?;
    let rules = endpoint.tls.clone();
    let config = tokio::task::spawn_blocking(move || client_config(&rules))
        .await
        .map_err(|error| NetError::TlsConfig { what: error.to_string() })??;
    TlsConnector::from(config).connect(name, stream).await.map_err(handshake_error)
}

/// The error of a handshake: the guard's, the verifier's, or rustls's in better words.
fn handshake_error(error: io::Error) -> NetError {
    let inner = error.get_ref();
    match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        None => NetError::from_io(error, "TLS handshake"),
        Some(error) => {
            refusal(error).unwrap_or_else(|| NetError::Handshake { why: in_words(error) })
        }
    }
}

fn refusal(error: &rustls::Error) -> Option<NetError> {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(refusal)) => {
            refusal.0.downcast_ref::<NetError>().cloned()
        }
        _ => None,
    }
}

fn in_words(error: &rustls::Error) -> String {
    use rustls::{AlertDescription, Error, PeerIncompatible};
    match error {
        Error::InvalidMessage(_) => "the server does not speak TLS on this port".to_owned(),
        Error::AlertReceived(AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig) => {
            "the server offers only TLS versions older than 1.2".to_owned()
        }
        other => other.to_string(),
    }
}

/// Configs by rules: they hold the sessions that make the next handshake shorter.
type Configs = BTreeMap<TlsRules, (Stamps, Arc<ClientConfig>)>;

/// Of `tls_ca_file`, and of our certificate and its key.
type Stamps = [Option<FileStamp>; 3];

/// What tells that a file is another one now.
type FileStamp = (SystemTime, u64, u32);

/// Blocks: the system's certificates are read from disk, once per process.
fn client_config(rules: &TlsRules) -> Result<Arc<ClientConfig>, NetError> {
    static CONFIGS: Mutex<Configs> = Mutex::new(BTreeMap::new());
    let key = TlsRules { name: None, ..rules.clone() };
    let stamps = stamps_of(rules);
    {
        let configs = CONFIGS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, config)) = configs.get(&key)
            && *then == stamps
        {
            return Ok(Arc::clone(config));
        }
    }
    let config = Arc::new(new_config(rules)?);
    let mut configs = CONFIGS.lock().unwrap_or_else(PoisonError::into_inner);
    configs.insert(key, (stamps, Arc::clone(&config)));
    Ok(config)
}

fn stamps_of(rules: &TlsRules) -> Stamps {
    let client = rules.client.as_ref();
    let paths = [
        rules.ca_file.as_deref(),
        client.map(|client| client.certificate.as_path()),
        client.map(|client| client.key.as_path()),
    ];
    paths.map(|path| path.and_then(stamp_of))
}

fn stamp_of(path: &Path) -> Option<FileStamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.mode()))
}

fn new_config(rules: &TlsRules) -> Result<ClientConfig, NetError> {
    let provider = provider();
    let broken = |error: rustls::Error| NetError::TlsConfig { what: error.to_string() };
    let trust = match rules {
        TlsRules { pins, .. } if !pins.is_empty() => Trust::Keys(pins.clone()),
        TlsRules { verify: true, ca_file, .. } => trusted(ca_file.as_deref(), &provider)?,
        TlsRules { verify: false, .. } => Trust::Anyone,
    };
    let verifier = Verifier::new(trust, Arc::clone(&provider));
    let versions: &[_] = if rules.only_tls13 {
        &[&rustls::version::TLS13]
    } else {
        &[&rustls::version::TLS13, &rustls::version::TLS12]
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(broken)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some(client) = &rules.client else { return Ok(builder.with_no_client_auth()) };
    let (chain, key) = our_certificate(client)?;
    builder.with_client_auth_cert(chain, key).map_err(|error| NetError::TlsConfig {
        what: format!(
            "`tls_client_certificate` {} and `tls_client_key` {}: {error}",
            client.certificate.display(),
            client.key.display()
        ),
    })
}

/// Our certificate with those that signed it, and its key.
fn our_certificate(
    client: &ClientCertificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), NetError> {
    let chain = read_certificates("tls_client_certificate", &client.certificate)?;
    let failed = |why: String| NetError::TlsConfig {
        what: format!("`tls_client_key` {}: {why}", client.key.display()),
    };
    let pem = read_private(&client.key).map_err(failed)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| failed(error.to_string()))?;
    Ok((chain, key))
}

/// Reads a regular file that others can't read; else why not, and the command to mend it.
fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    // O_NONBLOCK: opening a FIFO must not wait for a writer.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let in_words = |error: io::Error| error.to_string();
    let file =
        std::fs::File::options().read(true).custom_flags(flags).open(path).map_err(in_words)?;
    let meta = file.metadata().map_err(in_words)?;
    if let Some((what, hint)) = secret_file_fault(&meta, path) {
        return Err(format!("{what}: {hint}"));
    }
    // Reserved at once: growing would leave copies behind that nobody wipes.
    let mut pem = Zeroizing::new(Vec::with_capacity(KEY_FILE_MAX));
    let bounded = u64::try_from(KEY_FILE_MAX).unwrap_or(u64::MAX);
    file.take(bounded).read_to_end(&mut pem).map_err(in_words)?;
    Ok(pem)
}

/// Octets of a file with a key and the certificates beside it; more is neither.
const KEY_FILE_MAX: usize = 256 << 10;

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(ring::default_provider()));
    Arc::clone(&PROVIDER)
}

fn trusted(ca_file: Option<&Path>, provider: &Arc<CryptoProvider>) -> Result<Trust, NetError> {
    let mut roots = system_roots().clone();
    let read = |file| read_certificates("tls_ca_file", file);
    let pinned = ca_file.map(read).transpose()?.unwrap_or_default();
    for certificate in &pinned {
        roots.add(certificate.clone()).map_err(|error| NetError::TlsConfig {
            what: format!("`tls_ca_file` holds a certificate that can't be used: {error}"),
        })?;
    }
    if roots.is_empty() {
        let what = "this machine has no trusted certificates (package ca-certificates), and \
                    `tls_ca_file` names none";
        return Err(NetError::TlsConfig { what: what.to_owned() });
    }
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(|error| NetError::TlsConfig { what: error.to_string() })?;
    Ok(Trust::Chains { verifier, pinned })
}

fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!(target: "library", %error, "system certificates");
        }
        let mut roots = RootCertStore::empty();
        let (good, bad) = roots.add_parsable_certificates(found.certs);
        tracing::debug!(target: "library", good, bad, "system certificates loaded");
        roots
    })
}

fn read_certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, NetError> {
    let failed =
        |why: String| NetError::TlsConfig { what: format!("`{key}` {}: {why}", path.display()) };
    let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let certificates = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| failed(error.to_string()))?;
    if certificates.is_empty() {
        return Err(failed("no certificate in it".to_owned()));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests;
