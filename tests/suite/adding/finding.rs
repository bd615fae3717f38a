//! Where the settings come from, and whom the password is given to.

use super::*;

const DOCUMENT: &str = "<?xml version=\"1.0\"?><clientConfig version=\"1.1\"><emailProvider \
    id=\"lab.example\"><incomingServer type=\"imap\"><hostname>localhost</hostname><port>PORT</port>\
    <socketType>plain</socketType><username>%EMAILADDRESS%</username></incomingServer>\
    <incomingServer type=\"imap\"><hostname>localhost</hostname><port>PORT</port>\
    <socketType>SSL</socketType><username>%EMAILLOCALPART%</username>\
    <authentication>password-cleartext</authentication></incomingServer></emailProvider>\
    </clientConfig>";

/// `account add u1@lab.example` with this DNS server and place of an autoconfig document.
fn search(site: &Site, dovecot: &Dovecot, dns: &Dns, url: &str, more: &[&str]) -> Output {
    let ca = dovecot.certs.ca.display().to_string();
    let address = dns.address();
    let mut arguments =
        vec!["u1@lab.example", "--password-stdin", "--add-include", "--ca-file", &ca];
    arguments.extend(["--dns-server", &address, "--autoconfig-url", url]);
    arguments.extend(more);
    add(site, &arguments, "secret-u1")
}

const NO_DOCUMENT: &str = "https://127.0.0.1:1/none";

#[test]
fn srv_records_that_lead_out_of_the_domain_need_a_yes() {
    let (dovecot, site) = (dovecot(), site());
    let port = dovecot.imaps;
    let dns = Dns::start(&[("_imaps._tcp.lab.example", Record::Srv(0, 1, port, "localhost"))]);
    let asked = search(&site, &dovecot, &dns, NO_DOCUMENT, &[]);
    assert_eq!(asked.code, 78, "{asked:?}");
    assert!(asked.stderr.contains("--accept localhost"), "{asked:?}");
    assert!(!dovecot.log().contains("user=<u1"), "nobody has logged in: {}", dovecot.log());
    let added = search(&site, &dovecot, &dns, NO_DOCUMENT, &["--accept", "LOCALHOST"]);
    assert_eq!(added.code, 0, "{added:?}");
    assert!(
        added.stdout.contains("SRV records") && added.stdout.contains("localhost:"),
        "{added:?}"
    );
    site.poll();
    assert_eq!(site.stored().len(), 1);
}

#[test]
fn an_autoconfig_document_over_tls_is_the_domains_word() {
    let (dovecot, site) = (dovecot(), site());
    let text = DOCUMENT.replace("PORT", &dovecot.imaps.to_string());
    let there = Web::document(&text);
    let moved = "HTTP/1.1 302 X\r\nLocation: LOCATION\r\nContent-Length: 0\r\n\r\n";
    let first = Web::start(&dovecot.certs, &[("/there", there)]);
    let location = format!("https://localhost:{}/there", first.port);
    let path = "/mail/config-v1.1.xml?emailaddress=u1@lab.example";
    let web = Web::start(&dovecot.certs, &[(path, moved.replace("LOCATION", &location))]);
    let url =
        format!("https://localhost:{}/mail/config-v1.1.xml?emailaddress=%EMAILADDRESS%", web.port);
    let dns = Dns::start(&[]);
    let added = search(&site, &dovecot, &dns, &url, &[]);
    assert_eq!(added.code, 0, "{added:?}");
    assert_eq!(first.asked(), ["GET /there HTTP/1.1"]);
    let text = fs::read_to_string(file(&site, "u1")).unwrap();
    assert!(text.contains("user = \"u1\"") && text.contains("autoconfig"), "{text}");
    site.poll();
    assert_eq!(site.stored().len(), 1);
}

#[test]
fn hostile_documents_and_answers_end_soon_and_write_nothing() {
    let (dovecot, site) = (dovecot(), site());
    let before = written(&site);
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><clientConfig>&a;</clientConfig>";
    let web = Web::start(
        &dovecot.certs,
        &[
            ("/bomb", Web::document(bomb)),
            ("/huge", Web::document(&" ".repeat(5_000_000))),
            ("/plain", "HTTP/1.1 302 X\r\nLocation: http://127.0.0.1/x\r\n\r\n".to_owned()),
            (
                "/itself",
                "HTTP/1.1 302 X\r\nLocation: https://localhost:PORT/itself\r\n\r\n".to_owned(),
            ),
            ("/garbage", "SSH-2.0-x\r\n\r\n".to_owned()),
        ],
    );
    let imaps = "_imaps._tcp.lab.example";
    let cases = [
        (imaps, Record::Loop, "bomb", "document type"),
        (imaps, Record::Octets(b"a\x1b[2J\x00b"), "huge", "64 KiB"),
        (imaps, Record::Octets(b"a.b/../c"), "plain", "not to https"),
        (imaps, Record::Garbage, "garbage", "HTTP/1.1"),
        (imaps, Record::Silence, "none", "autoconfig"),
        ("lab.example", Record::Mx(1, "mx.unknown.example"), "none", "no known provider"),
    ];
    for (name, record, path, word) in cases {
        let dns = Dns::start(&[(name, record.clone())]);
        let url = format!("https://localhost:{}/{path}", web.port);
        let output = search(&site, &dovecot, &dns, &url, &[]);
        assert_eq!(output.code, 1, "{record:?} {path}: {output:?}");
        assert!(output.stdout.contains(word), "{word}: {output:?}");
        assert!(output.stderr.contains("no settings were found"), "{output:?}");
        let wild = |c: char| c.is_control() && c != '\n';
        assert!(!format!("{}{}", output.stdout, output.stderr).contains(wild), "{output:?}");
        assert!(output.took < Duration::from_mins(1), "{record:?}: {:?}", output.took);
    }
    assert_eq!(written(&site), before);
}

#[test]
fn an_answer_too_long_for_a_datagram_is_had_by_tcp_and_cut() {
    let (dovecot, site) = (dovecot(), site());
    let dns = Dns::start(&[("_imaps._tcp.lab.example", Record::Flood)]);
    let output = search(&site, &dovecot, &dns, NO_DOCUMENT, &["--no-test"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.contains("IMAP flood.lab.example:993"), "{output:?}");
}

#[test]
fn a_provider_is_known_by_the_mx_of_a_domain_of_ones_own() {
    let (dovecot, site) = (dovecot(), site());
    let dns = Dns::start(&[("lab.example", Record::Mx(10, "mx1.mail.ovh.net"))]);
    let output = search(&site, &dovecot, &dns, NO_DOCUMENT, &["--no-test", "--send"]);
    assert_eq!(output.code, 0, "{output:?}");
    let text = fs::read_to_string(file(&site, "u1")).unwrap();
    assert!(text.contains("host = \"ssl0.ovh.net\"") && text.contains("[outbound.u1]"), "{text}");
}

#[test]
fn a_server_with_anothers_certificate_gets_no_password() {
    let certificate = Certificate::WrongName;
    let dovecot = Dovecot::start_with(&Options { certificate, ..Options::default() });
    let site = site();
    let words = usual(&dovecot);
    let output = add(&site, &with(&words, &["--password-stdin", "--add-include"]), "secret-u1");
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stdout.contains("mail.other.example"), "{output:?}");
    let host = with(&words, &["--host", "localhost", "--password-stdin", "--add-include"]);
    let output = add(&site, &host, "secret-u1");
    assert_eq!(output.code, 1, "{output:?}");
    assert!(!dovecot.log().contains("user=<u1>"), "{}", dovecot.log());
}
