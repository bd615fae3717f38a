//! Sending against real servers: each mechanism over each encryption, and other ways out.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Issuer, Output, Protocol, Server, Site, Submission};

/// A site with one outbound account, `o`.
pub fn site(lines: &str) -> Site {
    let mut site = Site::empty();
    site.set("outbound.o", lines);
    site
}

pub fn json(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

/// Lines of an account at a server in memory, with short deadlines.
pub fn account(server: &Server) -> String {
    format!(
        "host = \"127.0.0.1\"\nport = {}\nencryption = \"none\"\nallow_plaintext = true\n\
         user = \"u1\"\npassword = \"secret-u1\"\nfrom = \"u1@example.org\"\n\
         test_to = \"u2@example.org\"\nconnect_timeout = \"2s\"\nsend_timeout = \"1s\"\n\
         read_timeout = \"2s\"\n",
        server.port
    )
}

/// What the dialogue shows of the login.
fn mechanism(value: &Value) -> String {
    let lines = value["dialogue"].as_array().unwrap();
    let mut said = lines.iter().filter_map(|line| line["text"].as_str());
    let auth = said.find_map(|text| text.strip_prefix("AUTH ")).unwrap_or_default();
    auth.split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn each_mechanism_sends_over_each_encryption() {
    let server = Submission::start("plain login cram-md5 scram-sha-1 scram-sha-256", "");
    for encryption in ["tls", "starttls", "none"] {
        for name in ["SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"] {
            let lines = server.account(encryption, "u1");
            let site = site(&format!("{lines}sasl = [\"{name}\"]\n"));
            let output = site.cli(&["send-test", "o", "--json"]);
            assert_eq!(output.code, 0, "{encryption} {name}: {output:?}\n{}", server.log());
            let value = json(&output);
            assert_eq!(mechanism(&value), name, "{encryption}");
            assert!(!output.stdout.contains("secret-u1"), "{output:?}");
        }
    }
    let taken = server.sink.store(|store| std::mem::take(&mut store.taken));
    assert_eq!(taken.len(), 15);
    for mail in taken {
        assert_eq!(mail.to, ["<u2@example.org>"]);
        let text = String::from_utf8(mail.octets).unwrap();
        assert!(text.contains("\r\nX-Postrider-Report: test\r\n"), "{text}");
        assert!(text.contains("From: u1@example.org\r\n"), "{text}");
    }
}

#[test]
fn client_certificate_sends_without_a_password() {
    let more = "ssl_verify_client_cert = yes\nauth_ssl_username_from_cert = yes\n\
                auth_ssl_require_client_cert = no\nssl_require_crl = no\n\
                passdb {\n driver = static\n args = nopassword=y\n mechanisms = external\n}\n";
    let server = Submission::start("plain external", more);
    for encryption in ["tls", "starttls"] {
        let account = server.account(encryption, "u1");
        let own = account.lines().filter(|line| !line.starts_with("password"));
        let own: String = own.flat_map(|line| [line, "\n"]).collect();
        let client = server.client().display().to_string();
        let lines = format!("{own}tls_client_certificate = \"{client}\"\n");
        let output = site(&lines).cli(&["send-test", "o", "--json"]);
        assert_eq!(output.code, 0, "{encryption}: {output:?}\n{}", server.log());
        assert_eq!(mechanism(&json(&output)), "EXTERNAL", "{encryption}");
    }
    assert_eq!(server.sink.store(|store| store.taken.len()), 2);
}

#[test]
fn strongest_mechanism_is_taken_and_a_wrong_password_costs_one_attempt() {
    let server = Submission::start("plain login cram-md5 scram-sha-1 scram-sha-256", "");
    let output = site(&server.account("tls", "u1")).cli(&["send-test", "--json"]);
    assert_eq!(mechanism(&json(&output)), "SCRAM-SHA-256");
    for name in ["SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN"] {
        let lines = server.account("tls", "u1").replace("secret-u1", "wr0ng");
        let site = site(&format!("{lines}sasl = [\"{name}\"]\n"));
        let before = server.log().matches("auth failed").count();
        let output = site.cli(&["test", "o", "--json"]);
        assert_eq!(output.code, 1, "{name}: {output:?}");
        let value = json(&output);
        assert_eq!(
            (&value["stage"], &value["error"]["code"]),
            (&"login".into(), &"auth-rejected".into())
        );
        assert!(!output.stdout.contains("wr0ng"));
        let failed = server.log().matches("auth failed").count().saturating_sub(before);
        assert!(failed <= 1, "{name}: {failed} attempts");
    }
    let strict = server.account("tls", "u1") + "safe_logon = \"strict\"\nsasl = [\"PLAIN\"]\n";
    let output = site(&strict).cli(&["test", "o", "--json"]);
    assert_eq!(json(&output)["error"]["code"], "auth-no-mechanism");
}

#[test]
fn tokens_send_by_both_of_their_mechanisms() {
    let issuer = Issuer::start();
    let server = Submission::start("xoauth2 oauthbearer", &issuer.passdb());
    for name in ["XOAUTH2", "OAUTHBEARER"] {
        let lines = server.account("starttls", "u1");
        let lines = lines.replace("password = \"secret-u1\"", "oauth = \"rec\"");
        let mut site = site(&format!("{lines}sasl = [\"{name}\"]\n"));
        let grant = "user = \"u1\"\npassword = \"secret-u1\"";
        site.set("oauth.rec", &issuer.record("generic", "password", grant));
        let output = site.cli(&["send-test", "o", "--json"]);
        assert_eq!(output.code, 0, "{name}: {output:?}\n{}", server.log());
        assert_eq!(mechanism(&json(&output)), name);
        crate::oauth::assert_no_token(&site, &[&output]);
    }
    assert_eq!(server.sink.store(|store| store.taken.len()), 2);
}

#[test]
fn test_goes_as_far_as_a_message_would_and_sends_none() {
    let server = Submission::start("plain", "");
    let site = site(&server.account("starttls", "u1"));
    let output = site.cli(&["test", "o", "--json"]);
    assert_eq!(output.code, 0, "{output:?}");
    let value = json(&output);
    let stages: Vec<&str> =
        value["stages"].as_array().unwrap().iter().filter_map(|s| s["stage"].as_str()).collect();
    let wanted = ["secret", "dns", "connect", "greeting", "tls", "capabilities", "login", "sender"];
    assert_eq!(stages, wanted);
    assert_eq!(value["stages"][7]["recipients"][0], "u2@example.org");
    assert!(server.sink.store(|store| store.taken.is_empty()));
    let heard = server.sink.commands().join("\n");
    assert!(heard.contains("RCPT TO") && !heard.contains("DATA"), "{heard}");
    let set = site.cli(&["test", "o", "--set", "encryption=tls", "--json"]);
    assert_eq!((set.code, &json(&set)["stage"]), (1, &"tls".into()), "{set:?}");
}

#[test]
fn relay_without_a_login_gets_none_and_what_the_account_says_of_itself_is_in_the_header() {
    let server = Server::start(Protocol::Smtp);
    let lines = account(&server)
        + "auth = \"none\"\nfrom_name = \"Pöst, Rider\"\norganization = \"Example Ltd\"\n\
           reply_to = [\"a@example.org\", \"b@example.org\"]\n";
    let output = site(&lines).cli(&["send-test", "o", "--to", "x@example.net", "--json"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(!server.commands().iter().any(|line| line.starts_with("AUTH")));
    let taken = server.store(|store| store.taken.remove(0));
    assert_eq!(
        (&*taken.from, &*taken.to),
        ("<u1@example.org>", &["<x@example.net>".to_owned()][..])
    );
    let text = String::from_utf8(taken.octets).unwrap();
    for line in ["Organization: Example Ltd", "Reply-To: a@example.org, b@example.org"] {
        assert!(text.contains(&format!("\r\n{line}\r\n")), "{line}: {text}");
    }
    assert!(text.contains("=?utf-8?b?"), "{text}");
}

#[test]
fn sendmail_of_the_host_takes_the_message_and_its_exit_code_counts() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("sendmail");
    let at = folder.path().display();
    let with = |code: u32| {
        let text = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$@\" >{at}/argv\ncat >{at}/stdin\necho words\nexit {code}\n"
        );
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let lines = format!(
        "transport = \"sendmail\"\nsendmail = [\"{}\", \"-i\"]\nfrom = \"a@example.org\"\n\
         send_timeout = \"5s\"\n",
        program.display()
    );
    with(0);
    let site = site(&lines);
    let output = site.cli(&["send-test", "o", "--to", "$(id)@example.org", "--json"]);
    assert_eq!(output.code, 2, "no such address: {output:?}");
    let output = site.cli(&["send-test", "o", "--to", "x$HOME@example.org", "--json"]);
    assert_eq!(output.code, 0, "{output:?}");
    let argv = fs::read_to_string(folder.path().join("argv")).unwrap();
    assert_eq!(argv, "-i\n-f\na@example.org\n--\nx$HOME@example.org\n");
    let stdin = fs::read_to_string(folder.path().join("stdin")).unwrap();
    assert!(stdin.contains("X-Postrider-Report: test\n") && !stdin.contains('\r'), "{stdin}");
    // One that talks much and leaves a child behind that holds its output open has ended well.
    let text = format!(
        "#!/bin/sh\nprintf x >{at}/begun\ncat >{at}/stdin\nsleep 60 &\nhead -c 200000 /dev/zero\n"
    );
    fs::write(&program, text).unwrap();
    let output = site.cli(&["send-test", "o", "--to", "x@example.org", "--json"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.took < Duration::from_secs(30), "{:?}", output.took);
    for code in [67, 75] {
        with(code);
        let output = site.cli(&["send-test", "o", "--to", "x@example.org", "--json"]);
        let error = &json(&output)["error"];
        assert_eq!((output.code, &error["code"]), (1, &"sendmail-failed".into()));
        assert!(error["message"].as_str().unwrap().contains("words"), "{error}");
    }
    fs::remove_file(&program).unwrap();
    assert_eq!(site.cli(&["check"]).code, 2);
}

#[test]
fn default_account_is_the_only_one_or_is_named() {
    let (first, second) = (Server::start(Protocol::Smtp), Server::start(Protocol::Smtp));
    let mut site = Site::empty();
    site.set("outbound.a", &account(&first));
    assert_eq!(site.cli(&["send-test"]).code, 0);
    site.set("outbound.b", &account(&second));
    let output = site.cli(&["send-test"]);
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.contains("one of a, b"), "{output:?}");
    let check = site.cli(&["check"]);
    assert!(format!("{check:?}").contains("no default"), "{check:?}");
    site.set("notices", "outbound = \"b\"\nsystem = \"robot@example.org\"\n");
    assert_eq!(site.cli(&["send-test"]).code, 0);
    assert_eq!(second.store(|store| store.taken[0].from.clone()), "<robot@example.org>");
    let check = format!("{:?}", site.cli(&["check"]));
    assert!(check.contains("isn't the address of `b`"), "{check}");
    site.add("outbound.b", "allowed_from = \"ROBOT@example.org\"");
    assert!(!format!("{:?}", site.cli(&["check"])).contains("isn't the address"));
    site.add("daemon", "single_outbound = true");
    let check = site.cli(&["check"]);
    assert_eq!(check.code, 2);
    assert!(format!("{check:?}").contains("only one may be"), "{check:?}");
}

#[test]
fn who_has_no_recipient_or_sender_is_told_the_key() {
    let server = Server::start(Protocol::Smtp);
    let lines = account(&server).replace("test_to = \"u2@example.org\"\n", "");
    let output = site(&lines).cli(&["send-test", "o"]);
    assert!(output.code == 2 && output.stderr.contains("test_to"), "{output:?}");
    let lines = account(&server).replace("from = \"u1@example.org\"\n", "");
    let output = site(&lines).cli(&["send-test", "o"]);
    assert!(output.code == 2 && output.stderr.contains("`from`"), "{output:?}");
    assert_eq!(server.connections(), 0);
}
