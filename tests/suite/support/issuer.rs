//! A token endpoint in the shapes of Google and Microsoft, whose tokens a Dovecot takes: over HTTPS
//! for postrider, over HTTP for Dovecot's introspection.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{Certificate, Certs, Dovecot, Options};

/// What is in every token, so that one that leaks is found.
pub const MARK: &str = "MARKED-tok3n";

/// The client's secret.
pub const SECRET: &str = "MARKED-tok3n-client";

/// A faulty answer of the token endpoint.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// An OAuth2 error, with a description.
    Error(&'static str, &'static str),
    /// 200 with a page.
    Html,
    /// 5 MB.
    Huge,
    /// One octet each 100 ms.
    Drip,
    /// 302 to another host.
    Redirect,
    /// This status with `Retry-After: 60`.
    Status(u16),
}

/// What the endpoint knows; tests read and change it.
#[derive(Debug, Default)]
pub struct State {
    /// Refresh tokens end when they are used.
    pub rotates: bool,
    /// A used refresh token lives on.
    pub keeps_old: bool,
    /// Life of access tokens, in seconds.
    pub lifetime: u64,
    /// Answers to the next token requests.
    pub faults: VecDeque<Fault>,
    /// Answers to a device before its tokens.
    pub device: VecDeque<&'static str>,
    /// How long the token endpoint keeps its answers back.
    pub delay: Duration,
    /// Forms that were sent to the token endpoint.
    pub requests: Vec<BTreeMap<String, String>>,
    /// Tokens that were revoked.
    pub revoked: Vec<String>,
    /// Access token and its user.
    pub access: BTreeMap<String, String>,
    /// Refresh token and its user.
    pub refresh: BTreeMap<String, String>,
    /// Code, challenge and redirect of a consent.
    pub codes: BTreeMap<String, (String, String)>,
    /// `u1`, unless a test says otherwise.
    pub user: String,
    count: u64,
}

/// The running endpoint.
#[derive(Debug)]
pub struct Issuer {
    /// Its port for HTTPS.
    pub https: u16,
    http: u16,
    folder: TempDir,
    certs: Certs,
    state: Arc<Mutex<State>>,
    ended: Arc<AtomicBool>,
}

impl Issuer {
    /// Starts one.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("postrider-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let certs = Certs::make(folder.path(), Certificate::Good);
        let state = State { lifetime: 3600, user: "u1".to_owned(), ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let ended = Arc::new(AtomicBool::new(false));
        let listen = |tls: Option<Arc<rustls::ServerConfig>>| {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let (state, ended) = (Arc::clone(&state), Arc::clone(&ended));
            thread::spawn(move || accept(&listener, port, tls.as_ref(), &state, &ended));
            port
        };
        let (https, http) = (listen(Some(certs.server_config())), listen(None));
        Self { https, http, folder, certs, state, ended }
    }

    /// What it knows.
    pub fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How many requests the token endpoint had.
    pub fn asked(&self) -> usize {
        self.state().requests.len()
    }

    /// No access token is good any more.
    pub fn expire(&self) {
        self.state().access.clear();
    }

    /// A refresh token for `u1`.
    pub fn refresh_token(&self) -> String {
        self.state().new_refresh()
    }

    /// A file with an RSA key and its certificate, made once.
    pub fn client_certificate(&self) -> String {
        let path = self.folder.path().join("client-rsa.pem");
        let shown = path.display().to_string();
        if !path.exists() {
            let made = Command::new("openssl")
                .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=client"])
                .args(["-keyout", &shown, "-out", &format!("{shown}.crt")])
                .output()
                .expect("openssl runs");
            assert!(made.status.success(), "{made:?}");
            let certificate = fs::read_to_string(format!("{shown}.crt")).unwrap();
            let key = fs::read_to_string(&path).unwrap();
            fs::write(&path, key + &certificate).unwrap();
        }
        shown
    }

    /// A service account's JSON key, for its owner alone.
    pub fn service_account(&self) -> String {
        let key = fs::read_to_string(self.client_certificate()).unwrap();
        let path = self.folder.path().join("service.json");
        let json = json!({ "client_email": "robot@lab.example", "private_key": key });
        fs::write(&path, json.to_string()).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    }

    /// Lines of an `[oauth]` table: all endpoints are ours; `generic` finds them by its issuer.
    pub fn record(&self, provider: &str, grant: &str, more: &str) -> String {
        let base = format!("https://127.0.0.1:{}", self.https);
        let tenant = if provider == "office365" { "tenant_id = \"lab.example\"\n" } else { "" };
        let device = if grant == "device_code" {
            format!("device_url = \"{base}/device\"\n")
        } else {
            String::new()
        };
        // A generic provider's are found by its issuer.
        let endpoints = if provider == "generic" {
            format!("issuer = \"{base}\"\n")
        } else {
            format!(
                "auth_url = \"{base}/authorize\"\ntoken_url = \"{base}/token\"\n{device}\
                 revoke_url = \"{base}/revoke\"\n"
            )
        };
        format!(
            "provider = \"{provider}\"\ngrant = \"{grant}\"\nclient_id = \"client-1\"\n{tenant}\
             {endpoints}tls_ca_file = \"{}\"\ntimeout = \"5s\"\n{more}\n",
            self.certs.ca.display()
        )
    }

    /// A Dovecot that takes its tokens besides passwords.
    pub fn dovecot(&self) -> Dovecot {
        let more = format!("auth_cache_size = 0\n{}", self.passdb());
        Dovecot::start_with(&Options {
            mechanisms: "plain login xoauth2 oauthbearer",
            more: Box::leak(more.into_boxed_str()),
            ..Options::default()
        })
    }

    /// Lines of a Dovecot that takes the tokens.
    pub fn passdb(&self) -> String {
        let oauth2 = self.folder.path().join("oauth2.ext");
        let text = format!(
            "introspection_url = http://127.0.0.1:{}/introspect?token=\nintrospection_mode = get\n\
             username_attribute = username\nactive_attribute = active\nactive_value = true\n\
             force_introspection = yes\ntimeout_msecs = 5000\n",
            self.http
        );
        fs::write(&oauth2, text).unwrap();
        format!(
            "passdb {{\n driver = oauth2\n mechanisms = xoauth2 oauthbearer\n \
             args = {}\n}}\n",
            oauth2.display()
        )
    }

    /// Consents to a login's address as a person in a browser would; where the browser ends.
    pub fn consent(&self, url: &str) -> String {
        let (_, query) = url.split_once('?').unwrap();
        let query = form(query);
        assert_eq!(query["code_challenge_method"], "S256");
        let code = format!("{MARK}-code-{}", self.asked());
        let place = (query["code_challenge"].clone(), query["redirect_uri"].clone());
        self.state().codes.insert(code.clone(), place);
        format!("{}/?code={code}&state={}", query["redirect_uri"], query["state"])
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        for port in [self.https, self.http] {
            drop(TcpStream::connect(("127.0.0.1", port))); // Wakes the listener.
        }
    }
}

impl State {
    fn token(&mut self, kind: &str) -> String {
        self.count += 1;
        format!("{MARK}-{kind}-{}-{}", self.count, "x".repeat(40))
    }

    fn new_refresh(&mut self) -> String {
        let token = self.token("refresh");
        self.refresh.insert(token.clone(), self.user.clone());
        token
    }

    fn grant(&mut self, user: &str, refresh: Option<String>) -> Answer {
        let access = self.token("access");
        self.access.insert(access.clone(), user.to_owned());
        let claims = json!({ "preferred_username": user });
        let id_token = format!("e30.{}.x", BASE64URL_NOPAD.encode(claims.to_string().as_bytes()));
        let mut body = json!({
            "access_token": access, "expires_in": self.lifetime, "token_type": "Bearer",
            "id_token": id_token,
        });
        if let Some(refresh) = refresh {
            body["refresh_token"] = Value::String(refresh);
        }
        Answer::json(200, &body)
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
    drips: bool,
}

impl Answer {
    fn json(status: u16, body: &Value) -> Self {
        let head = "Content-Type: application/json; charset=utf-8\r\n".to_owned();
        Self { status, head, body: body.to_string().into_bytes(), drips: false }
    }

    fn error(error: &str, description: &str) -> Self {
        Self::json(400, &json!({ "error": error, "error_description": description }))
    }

    fn of(fault: Fault) -> Self {
        let plain = |status, head: &str, body: Vec<u8>| Self {
            status,
            head: head.to_owned(),
            body,
            drips: false,
        };
        let html = "Content-Type: text/html\r\n";
        match fault {
            Fault::Error(error, description) => Self::error(error, description),
            Fault::Html => plain(200, html, b"<html>hotel</html>".to_vec()),
            Fault::Huge => plain(200, "Content-Type: application/json\r\n", vec![b' '; 5_000_000]),
            Fault::Drip => Self { drips: true, ..plain(200, html, vec![b'x'; 200]) },
            Fault::Redirect => plain(302, "Location: https://127.0.0.2/token\r\n", Vec::new()),
            Fault::Status(status) => plain(status, "Retry-After: 60\r\n", b"later".to_vec()),
        }
    }
}

fn accept(
    listener: &TcpListener,
    port: u16,
    tls: Option<&Arc<rustls::ServerConfig>>,
    state: &Arc<Mutex<State>>,
    ended: &Arc<AtomicBool>,
) {
    for stream in listener.incoming() {
        if ended.load(Ordering::SeqCst) {
            return;
        }
        let (Ok(stream), state) = (stream, Arc::clone(state)) else { continue };
        let tls = tls.map(Arc::clone);
        thread::spawn(move || {
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            // A client that goes away in the middle is the test's matter.
            match tls {
                None => drop(serve(stream, port, &state)),
                Some(config) => {
                    let session = rustls::ServerConnection::new(config).unwrap();
                    drop(serve(rustls::StreamOwned::new(session, stream), port, &state));
                }
            }
        });
    }
}

fn serve(stream: impl Read + Write, port: u16, state: &Mutex<State>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let field = |name: &str| {
        let mut fields = lines.iter().filter_map(|line| line.split_once(": "));
        fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let length = field("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let target = lines.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut sent = form(&String::from_utf8_lossy(&body));
    if let Some(basic) =
        field("authorization").and_then(|a| a.strip_prefix("Basic ").map(str::to_owned))
    {
        let pair = String::from_utf8(BASE64.decode(basic.as_bytes()).unwrap()).unwrap();
        let (id, secret) = pair.split_once(':').unwrap();
        sent.insert("client_id".to_owned(), id.to_owned());
        sent.insert("client_secret".to_owned(), secret.to_owned());
    }
    let (answer, delay) = {
        let mut state = state.lock().unwrap();
        (answer(path, &form(query), &sent, port, &mut state), state.delay)
    };
    if path == "/token" || path == "/revoke" {
        thread::sleep(delay);
    }
    let head = format!(
        "HTTP/1.1 {} X\r\n{}Content-Length: {}\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.head,
        answer.body.len()
    );
    let stream = stream.get_mut();
    stream.write_all(head.as_bytes())?;
    if answer.drips {
        for octet in &answer.body {
            stream.write_all(&[*octet])?;
            stream.flush()?;
            thread::sleep(Duration::from_millis(100));
        }
    } else {
        stream.write_all(&answer.body)?;
    }
    stream.flush()
}

fn answer(
    path: &str,
    query: &BTreeMap<String, String>,
    sent: &BTreeMap<String, String>,
    port: u16,
    state: &mut State,
) -> Answer {
    let base = format!("https://127.0.0.1:{port}");
    match path {
        "/introspect" => {
            let user = query.get("token").and_then(|token| state.access.get(token));
            Answer::json(200, &json!({ "active": user.is_some(), "username": user }))
        }
        "/.well-known/openid-configuration" => Answer::json(
            200,
            &json!({
                "issuer": base, "token_endpoint": format!("{base}/token"),
                "authorization_endpoint": format!("{base}/authorize"),
                "device_authorization_endpoint": format!("{base}/device"),
            }),
        ),
        "/device" => Answer::json(
            200,
            &json!({
                "device_code": format!("{MARK}-device"), "user_code": "ABCD-EFGH",
                "verification_uri": "https://lab.example/device", "expires_in": 900, "interval": 1,
            }),
        ),
        "/revoke" => {
            state.revoked.push(sent["token"].clone());
            Answer::json(200, &json!({}))
        }
        "/token" => {
            state.requests.push(sent.clone());
            match state.faults.pop_front() {
                Some(fault) => Answer::of(fault),
                None => token(sent, state),
            }
        }
        _ => Answer::json(404, &json!({ "error": "not_found" })),
    }
}

fn token(sent: &BTreeMap<String, String>, state: &mut State) -> Answer {
    let value = |name: &str| sent.get(name).cloned().unwrap_or_default();
    let user = state.user.clone();
    match value("grant_type").as_str() {
        "refresh_token" => {
            let old = value("refresh_token");
            let Some(user) = state.refresh.get(&old).cloned() else {
                return Answer::error("invalid_grant", "AADSTS70008: expired or revoked");
            };
            if !state.rotates {
                return state.grant(&user, None);
            }
            if !state.keeps_old {
                state.refresh.remove(&old);
            }
            let new = state.new_refresh();
            state.grant(&user, Some(new))
        }
        "authorization_code" => {
            let Some((challenge, redirect)) = state.codes.remove(&value("code")) else {
                return Answer::error("invalid_grant", "no such code");
            };
            let digest = BASE64URL_NOPAD.encode(&Sha256::digest(value("code_verifier")));
            if digest != challenge || redirect != value("redirect_uri") {
                return Answer::error("invalid_grant", "code_verifier or redirect_uri");
            }
            let refresh = state.new_refresh();
            state.grant(&user, Some(refresh))
        }
        "urn:ietf:params:oauth:grant-type:device_code" => {
            if let Some(error) = state.device.pop_front() {
                return Answer::error(error, "");
            }
            let refresh = state.new_refresh();
            state.grant(&user, Some(refresh))
        }
        "client_credentials" if value("client_secret") == SECRET => state.grant(&user, None),
        "client_credentials" if is_assertion(&value("client_assertion"), "client-1") => {
            state.grant(&user, None)
        }
        "client_credentials" => Answer::error("invalid_client", "AADSTS7000215: wrong secret"),
        "password" if value("password") == Dovecot::password(&value("username")) => {
            state.grant(&value("username"), None)
        }
        "password" => Answer::error("invalid_grant", "AADSTS50126: wrong password"),
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
            if is_assertion(&value("assertion"), "robot@lab.example") =>
        {
            let user = claims(&value("assertion"))["sub"].as_str().unwrap().to_owned();
            state.grant(user.split('@').next().unwrap(), None)
        }
        other => Answer::error("unsupported_grant_type", other),
    }
}

/// A token of another issuer, or a JWT that its issuer made for the token endpoint.
fn is_assertion(assertion: &str, issuer: &str) -> bool {
    if assertion == format!("{MARK}-federated") {
        return true;
    }
    let parts: Vec<&str> = assertion.split('.').collect();
    let [_, _, signature] = parts.as_slice() else { return false };
    let claims = claims(assertion);
    let to_us = claims["aud"].as_str().is_some_and(|aud| aud.ends_with("/token"));
    signature.len() > 300 && claims["iss"] == issuer && to_us
}

fn claims(assertion: &str) -> Value {
    let payload = assertion.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap()).unwrap()
}

/// Names and values of a form or query, decoded.
fn form(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        if octet == b'%' {
            let digits = std::str::from_utf8(&after[..2]).unwrap();
            octets.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &after[2..];
        } else {
            octets.push(octet);
            rest = after;
        }
    }
    String::from_utf8(octets).unwrap()
}
