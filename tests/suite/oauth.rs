//! OAuth2: every grant against a token endpoint of our own, with a real Dovecot that takes the
//! tokens over IMAP and POP3; logins with a person; and no token anywhere but in its file.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

use crate::support::{Dovecot, Issuer, MARK, Output, SECRET, Site, crlf, sample};

/// An account of `u1` that logs in with the tokens of `[oauth.rec]`.
pub fn account(dovecot: &Dovecot, protocol: &str) -> String {
    let lines = dovecot.account(protocol, "tls", "u1");
    let oauth = lines.replace("password = \"secret-u1\"", "oauth = \"rec\"\ndebug = true");
    assert_ne!(lines, oauth);
    oauth
}

/// A site whose IMAP account `a` uses these lines of `[oauth.rec]`.
pub fn site(dovecot: &Dovecot, record: &str) -> Site {
    let mut site = Site::empty();
    site.set("oauth.rec", record);
    site.account("a", &account(dovecot, "imap"));
    site.init_root();
    site
}

/// A secret in a file for its owner alone; the config's value for it.
pub fn secret_file(site: &Path, name: &str, secret: &str) -> String {
    let path = site.join(name);
    fs::write(&path, secret).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    format!("{{ file = \"{}\" }}", path.display())
}

/// A login that needs no person, or a device's.
pub fn log_in(site: &Site) -> Output {
    let output = site.cli(&["oauth", "login", "rec"]);
    assert_eq!(output.code, 0, "{output:?}");
    output
}

/// Fails where a token shows in what was said, or below the site in any file but the tokens' own.
pub fn assert_no_token(site: &Site, outputs: &[&Output]) {
    for output in outputs {
        assert!(!format!("{output:?}").contains(MARK), "{output:?}");
    }
    let found = Command::new("grep")
        .args(["-rlaF", MARK])
        .args([site.state(), site.root()])
        .output()
        .unwrap();
    let files = String::from_utf8_lossy(&found.stdout).into_owned();
    let leaks: Vec<&str> = files.lines().filter(|file| !file.contains("/tokens/")).collect();
    assert_eq!(leaks, [""; 0]);
}

#[test]
fn each_grant_logs_in_over_imap_and_pop3_and_no_token_leaks() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    let message = sample("oauth", 400);
    dovecot.deliver("u1", &message);
    let folder = tempfile::tempdir().unwrap();
    let secret = format!("client_secret = {}", secret_file(folder.path(), "secret", SECRET));
    let refresh = secret_file(folder.path(), "refresh", &issuer.refresh_token());
    let federated = secret_file(folder.path(), "federated", &format!("{MARK}-federated\n"));
    let federated = federated.trim_start_matches("{ file = ").trim_end_matches(" }").to_owned();
    let certificate = format!("client_certificate_file = \"{}\"", issuer.client_certificate());
    let service = format!(
        "service_account_file = \"{}\"\nsubject = \"u1@lab.example\"",
        issuer.service_account()
    );
    let password = "user = \"u1\"\npassword = \"secret-u1\"";
    for (provider, grant, more) in [
        ("office365", "client_credentials", secret.clone()),
        ("generic", "client_credentials", secret.clone()),
        ("office365", "client_credentials", certificate),
        ("office365", "client_credentials", format!("federated_token_file = {federated}")),
        ("office365", "password", password.to_owned()),
        ("google", "service_account", service),
        ("google", "refresh_token", format!("{secret}\nrefresh_token = {refresh}")),
    ] {
        let mut site = site(&dovecot, &issuer.record(provider, grant, &more));
        site.account("b", &account(&dovecot, "pop3"));
        let before = issuer.asked();
        let first = site.cli_with(&[("RUST_LOG", "trace")], &["poll"]);
        assert!(first.stderr.contains("AUTH") && first.stderr.len() > 1000, "{first:?}");
        let copies: Vec<Vec<u8>> = site.stored().into_iter().map(|stored| stored.eml).collect();
        assert_eq!(copies, [crlf(&message), crlf(&message)], "{provider} {grant}: {first:?}");
        assert_eq!(issuer.asked() - before, 1, "{provider} {grant}: one token for both accounts");
        let status = site.cli(&["oauth", "status", "--json"]);
        let json: Value = serde_json::from_str(&status.stdout).unwrap();
        assert_eq!(json["oauth"][0]["state"], "ok", "{status:?}");
        assert_no_token(&site, &[&first, &status, &site.cli(&["log", "--json"])]);
    }
    let log = dovecot.log();
    assert!(log.contains("method=OAUTHBEARER") || log.contains("method=XOAUTH2"), "{log}");
    assert_is_signed(&issuer);
}

/// The signature and thumbprint of the client's assertion, as OpenSSL sees them.
fn assert_is_signed(issuer: &Issuer) {
    let requests = issuer.state().requests.clone();
    let mut assertions = requests.iter().filter_map(|form| form.get("client_assertion"));
    let assertion = assertions.find(|assertion| assertion.contains('.')).unwrap();
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    fs::write(at("signed"), signed).unwrap();
    fs::write(at("signature"), BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap()).unwrap();
    let certificate = issuer.client_certificate();
    let public = openssl(&["x509", "-in", &certificate, "-noout", "-pubkey"]);
    fs::write(at("public"), public).unwrap();
    let verify = ["dgst", "-sha256", "-verify", &at("public"), "-signature", &at("signature")];
    openssl(&[&verify[..], &[&at("signed")]].concat());
    let header = signed.split('.').next().unwrap();
    let header: Value =
        serde_json::from_slice(&BASE64URL_NOPAD.decode(header.as_bytes()).unwrap()).unwrap();
    let thumbprint = BASE64URL_NOPAD.decode(header["x5t"].as_str().unwrap().as_bytes()).unwrap();
    let hex = data_encoding::HEXUPPER.encode(&thumbprint);
    let seen = openssl(&["x509", "-in", &certificate, "-noout", "-fingerprint", "-sha1"]);
    assert!(seen.replace(':', "").contains(&hex), "{seen} {hex}");
}

/// Begins `oauth login rec` with these options; the address that it prints, and the program.
pub fn begin(site: &Site, options: &[&str]) -> (String, std::process::Child) {
    let mut command = site.command(&[&["oauth", "login", "rec"], options].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let url = lines.find_map(|line| Some(line.unwrap()).filter(|line| line.starts_with("https:")));
    (url.expect("an address"), child)
}

#[test]
fn consent_by_a_pasted_address_and_by_the_loopback_gives_tokens() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    dovecot.deliver("u1", &sample("consented", 300));
    let secret = format!("client_secret = \"{SECRET}\"");
    let site = site(&dovecot, &issuer.record("google", "authorization_code", &secret));
    let early = site.cli(&["poll"]);
    assert_eq!(early.code, 1, "{early:?}");
    assert!(early.stdout.contains("run: postrider oauth login rec"), "{early:?}");
    assert_eq!(issuer.asked(), 0);

    let (url, mut child) = begin(&site, &["--print-url"]);
    assert!(url.contains("access_type=offline&prompt=consent"), "{url}");
    let address = issuer.consent(&url);
    writeln!(child.stdin.take().unwrap(), "{address}").unwrap();
    assert!(child.wait().unwrap().success());
    site.poll();
    assert_eq!(site.stored().len(), 1);

    let (url, mut child) = begin(&site, &[]);
    let address = issuer.consent(&url);
    let (_, rest) = address.split_once("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let visit = |path: &str| {
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(visit("favicon.ico").starts_with("HTTP/1.1 404"));
    assert!(visit("?code=forged&state=forged").starts_with("HTTP/1.1 400"));
    assert!(visit(path).starts_with("HTTP/1.1 200"));
    assert!(child.wait().unwrap().success());
    site.poll();
    let revoked = site.cli(&["oauth", "revoke", "rec"]);
    assert_eq!(revoked.code, 0, "{revoked:?}");
    assert_eq!(issuer.state().revoked.len(), 1);
    assert!(!site.state().join("tokens/rec.json").exists());
    assert_no_token(&site, &[&early, &revoked]);
}

#[test]
fn pasted_address_of_another_login_is_refused() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    let secret = format!("client_secret = \"{SECRET}\"");
    let site = site(&dovecot, &issuer.record("google", "authorization_code", &secret));
    let (_, mut child) = begin(&site, &["--print-url"]);
    let forged = "http://127.0.0.1/?code=stolen&state=forged";
    writeln!(child.stdin.take().unwrap(), "{forged}").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(issuer.asked(), 0);
}

#[test]
fn device_waits_as_it_is_told_and_says_when_it_was_declined() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    dovecot.deliver("u1", &sample("device", 300));
    let site = site(&dovecot, &issuer.record("office365", "device_code", ""));
    issuer.state().device.extend(["authorization_pending", "slow_down"]);
    let output = log_in(&site);
    assert!(output.stdout.contains("https://lab.example/device"), "{output:?}");
    assert!(output.stdout.contains("ABCD-EFGH") && output.stdout.contains("tokens of u1"));
    // 1 s, 1 s, and 1 s + 5 s after `slow_down`.
    assert!(output.took >= Duration::from_secs(8), "{output:?}");
    site.poll();
    assert_eq!(site.stored().len(), 1);
    issuer.state().device.extend(["authorization_declined"]);
    let declined = site.cli(&["oauth", "login", "rec"]);
    assert_eq!(declined.code, 78, "{declined:?}");
    assert!(declined.stderr.contains("the consent was declined"), "{declined:?}");
    site.poll();
    assert_no_token(&site, &[&output, &declined]);
}

#[test]
fn config_excerpts_of_the_manual_are_accepted() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/oauth.md");
    let manual = fs::read_to_string(manual).unwrap();
    let excerpts: Vec<&str> = manual.split("```toml\n").skip(1).collect();
    assert_eq!(excerpts.len(), 4);
    for excerpt in excerpts {
        let (excerpt, _) = excerpt.split_once("```").unwrap();
        let site = Site::new(&[]);
        let folder = site.path().display().to_string();
        secret_file(site.path(), "google.json", "{}");
        fs::create_dir(site.path().join("conf.d")).unwrap();
        let excerpt = excerpt.replace("/etc/postrider", &folder);
        secret_file(&site.path().join("conf.d"), "x.toml", &excerpt);
        let text = fs::read_to_string(site.config()).unwrap();
        fs::write(site.config(), format!("include = [\"conf.d/*.toml\"]\n{text}")).unwrap();
        let output = site.cli(&["check"]);
        assert_eq!(output.code, 0, "{excerpt}: {output:?}");
        assert!(!output.stdout.contains("warning: `"), "{excerpt}: {output:?}");
    }
}
