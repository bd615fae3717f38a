//! Certificates for the servers of the tests: a CA, and a server certificate with one flaw or none.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What the server's certificate is like.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Certificate {
    /// Its time is over.
    Expired,
    /// For `localhost`, 127.0.0.1 and 127.0.0.2, signed by the CA.
    #[default]
    Good,
    /// Its time has not come.
    NotYetValid,
    /// Signed by itself and marked as a CA's, as small servers do.
    SelfSigned,
    /// Signed by a CA that is not in `ca.pem`.
    Untrusted,
    /// For `mail.other.example`.
    WrongName,
}

/// PEM files in one folder.
#[derive(Clone, Debug)]
pub struct Certs {
    /// The CA to trust.
    pub ca: PathBuf,
    /// The server's chain.
    pub chain: PathBuf,
    /// The server's key.
    pub key: PathBuf,
}

impl Certs {
    /// Makes a CA and a server certificate below `folder`, which exists.
    pub fn make(folder: &Path, kind: Certificate) -> Self {
        let (ca_pem, ca) = authority("postrider test CA");
        let signer =
            if kind == Certificate::Untrusted { authority("another test CA").1 } else { ca };
        let (chain, key) = server_certificate(&signer, kind);
        let certs = Self {
            ca: folder.join("ca.pem"),
            chain: folder.join("server.pem"),
            key: folder.join("server.key"),
        };
        fs::write(&certs.ca, ca_pem).unwrap();
        fs::write(&certs.chain, chain).unwrap();
        fs::write(&certs.key, key).unwrap();
        fs::write(certs.client(), client_certificate(&signer)).unwrap();
        fs::set_permissions(certs.client(), Permissions::from_mode(0o600)).unwrap();
        certs
    }

    /// A client's certificate for the user `u1`, and its key behind it.
    pub fn client(&self) -> PathBuf {
        self.ca.with_file_name("client.pem")
    }

    /// The server side of TLS with this certificate.
    pub fn server_config(&self) -> Arc<rustls::ServerConfig> {
        let chain: Vec<_> =
            CertificateDer::pem_file_iter(&self.chain).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(&self.key).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Arc::new(config)
    }

    /// The client side of TLS that trusts the CA and nothing else.
    pub fn client_config(&self) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        for ca in CertificateDer::pem_file_iter(&self.ca).unwrap() {
            roots.add(ca.unwrap()).unwrap();
        }
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (pem, Issuer::new(params, key))
}

fn server_certificate(ca: &Issuer<'static, KeyPair>, kind: Certificate) -> (String, String) {
    let names: &[&str] = match kind {
        Certificate::WrongName => &["mail.other.example"],
        _ => &["localhost", "127.0.0.1", "127.0.0.2"],
    };
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "postrider test server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let (from, to) = match kind {
        Certificate::Expired => (2020, 2021),
        Certificate::NotYetValid => (2090, 2095),
        _ => (2024, 2095),
    };
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    let key = KeyPair::generate().unwrap();
    if kind == Certificate::SelfSigned {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        return (params.self_signed(&key).unwrap().pem(), key.serialize_pem());
    }
    (params.signed_by(&key, ca).unwrap().pem(), key.serialize_pem())
}

fn client_certificate(ca: &Issuer<'static, KeyPair>) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "u1");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_after = date_time_ymd(2095, 1, 1);
    let key = KeyPair::generate().unwrap();
    params.signed_by(&key, ca).unwrap().pem() + &key.serialize_pem()
}
