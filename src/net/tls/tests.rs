//! Handshakes over memory with certificates made here.

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;
use crate::net::Wire;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn server(&self, params: &CertificateParams) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let certificate = params.clone().signed_by(&key, &self.0).unwrap();
        server_config(certificate.der().clone(), &key)
    }

    fn endpoint(&self, folder: &tempfile::TempDir) -> Endpoint {
        trusting(folder, &self.0.pem())
    }
}

fn trusting(folder: &tempfile::TempDir, pem: &str) -> Endpoint {
    let file = folder.path().join("ca.pem");
    #[expect(clippy::disallowed_methods, reason = "a file of this test")]
    std::fs::write(&file, pem).unwrap();
    let tls = TlsRules { ca_file: Some(file), ..TlsRules::default() };
    Endpoint { tls, ..Endpoint::for_tests() }
}

fn server_config(certificate: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}

fn localhost() -> CertificateParams {
    CertificateParams::new(vec!["localhost".to_owned()]).unwrap()
}

/// The client's result; the server says `hi` and ends.
async fn shake(server: ServerConfig, endpoint: &Endpoint) -> Result<String, NetError> {
    let (ours, theirs) = duplex(16 << 10);
    let serve = async {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
        if let Ok(mut stream) = acceptor.accept(theirs).await {
            stream.write_all(b"hi").await.ok();
            stream.shutdown().await.ok();
        }
    };
    let deadline = Endpoint::far_deadline();
    let client = async {
        let mut stream = Wire::over_memory(ours, endpoint, deadline).start_tls(endpoint).await?;
        let mut text = vec![0; 2];
        stream.read_exact(&mut text).await.unwrap();
        let end = NetError::from_io(stream.read_u8().await.unwrap_err(), "reply");
        assert!(matches!(end, NetError::Lost { .. }), "close_notify is an end, too");
        Ok(String::from_utf8(text).unwrap())
    };
    tokio::join!(client, serve).0
}

fn certificate_error(result: Result<String, NetError>) -> (&'static str, String, String) {
    match result {
        Err(NetError::Certificate { code, what, hint }) => (code, what, hint),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn authority_of_the_config_is_trusted() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let result = shake(authority.server(&localhost()), &authority.endpoint(&folder)).await;
    assert_eq!(result.unwrap(), "hi");
}

#[tokio::test]
async fn unknown_authority_is_refused_with_the_way_to_trust_it() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let other = Authority::new().endpoint(&folder);
    let (code, _, hint) = certificate_error(shake(authority.server(&localhost()), &other).await);
    assert_eq!(code, "tls-untrusted");
    assert!(hint.contains("tls_ca_file = "), "{hint}");
}

#[tokio::test]
async fn expired_certificate_names_the_day_and_the_clock() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let mut params = localhost();
    params.not_after = date_time_ymd(2020, 2, 3);
    params.not_before = date_time_ymd(2019, 2, 3);
    let result = shake(authority.server(&params), &authority.endpoint(&folder)).await;
    let (code, what, hint) = certificate_error(result);
    assert_eq!(code, "tls-expired");
    assert!(what.contains("expired on 2020-02-03") && what.contains("localhost"), "{what}");
    assert!(hint.contains("clock"), "{hint}");
}

#[tokio::test]
async fn certificate_of_tomorrow_is_refused() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let mut params = localhost();
    params.not_before = date_time_ymd(2999, 1, 1);
    params.not_after = date_time_ymd(3000, 1, 1);
    let result = shake(authority.server(&params), &authority.endpoint(&folder)).await;
    let (code, what, _) = certificate_error(result);
    assert_eq!(code, "tls-not-yet-valid");
    assert!(what.contains("2999-01-01"), "{what}");
}

#[tokio::test]
async fn wrong_name_is_refused_unless_the_config_expects_it() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let params = || CertificateParams::new(vec!["mail.example.org".to_owned()]).unwrap();
    let mut endpoint = authority.endpoint(&folder);
    let (code, what, _) = certificate_error(shake(authority.server(&params()), &endpoint).await);
    assert_eq!(code, "tls-wrong-name");
    assert!(what.contains("`localhost`") && what.contains("mail.example.org"), "{what}");
    endpoint.tls.name = Some("mail.example.org".to_owned());
    assert_eq!(shake(authority.server(&params()), &endpoint).await.unwrap(), "hi");
}

#[tokio::test]
async fn self_signed_certificate_marked_as_authority_works_when_it_is_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = localhost();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    let server = || server_config(certificate.der().clone(), &key);
    let mut endpoint = trusting(&folder, &certificate.pem());
    assert_eq!(shake(server(), &endpoint).await.unwrap(), "hi");
    endpoint.tls.name = Some("other.example.org".to_owned());
    assert_eq!(certificate_error(shake(server(), &endpoint).await).0, "tls-wrong-name");
    let stranger = Authority::new().endpoint(&folder);
    let (code, what, hint) = certificate_error(shake(server(), &stranger).await);
    assert_eq!(code, "tls-bad-certificate");
    assert!(what.contains("marked as an authority's") && hint.contains("tls_ca_file"), "{what}");
}

#[tokio::test]
async fn any_certificate_is_taken_when_the_config_says_so() {
    let mut endpoint = Endpoint::for_tests();
    endpoint.tls.verify = false;
    assert_eq!(shake(Authority::new().server(&localhost()), &endpoint).await.unwrap(), "hi");
}

#[tokio::test]
async fn plain_server_on_a_tls_port_is_a_quick_error() {
    let (ours, mut theirs) = duplex(4096);
    let mut endpoint = Endpoint::for_tests();
    endpoint.tls.verify = false;
    theirs.write_all(b"* OK IMAP4rev1 ready, how do you do\r\n").await.unwrap();
    let deadline = Endpoint::far_deadline();
    let error = Wire::over_memory(ours, &endpoint, deadline).start_tls(&endpoint).await;
    let error = error.unwrap_err();
    assert!(matches!(&error, NetError::Handshake { why } if why.contains("not speak TLS")));
    assert!(error.hint().unwrap().contains("`encryption`"));
}

#[tokio::test]
async fn silent_server_ends_the_handshake() {
    let (ours, _theirs) = duplex(4096);
    let mut endpoint = Endpoint::for_tests();
    endpoint.tls.verify = false;
    endpoint.read_timeout = Duration::from_millis(50);
    let deadline = Endpoint::far_deadline();
    let error = Wire::over_memory(ours, &endpoint, deadline).start_tls(&endpoint).await;
    assert!(matches!(error.unwrap_err(), NetError::Silent { stage: "TLS handshake", .. }));
}

#[tokio::test]
async fn missing_file_of_the_config_is_named() {
    let mut endpoint = Endpoint::for_tests();
    endpoint.tls.ca_file = Some("/nowhere/ca.pem".into());
    let error = shake(Authority::new().server(&localhost()), &endpoint).await.unwrap_err();
    assert_eq!(error.code(), "tls-config");
    assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
}
