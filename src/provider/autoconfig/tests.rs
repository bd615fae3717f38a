use super::*;
use crate::tests::fuzz::fuzz;

const GOOD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<clientConfig version="1.1">
  <emailProvider id="example.org">
    <domain>example.org</domain>
    <displayName>Example &amp; Co</displayName>
    <incomingServer type="exchange"><hostname>x.example.org</hostname></incomingServer>
    <incomingServer type="imap">
      <hostname>imap.%EMAILDOMAIN%</hostname><port>993</port>
      <socketType>SSL</socketType><username>%EMAILLOCALPART%</username>
      <authentication>OAuth2</authentication>
      <authentication>password-cleartext</authentication>
    </incomingServer>
    <incomingServer type="pop3">
      <hostname>POP.Example.ORG</hostname><port>110</port>
      <socketType>STARTTLS</socketType><username>%EMAILADDRESS%</username>
      <authentication>OAuth2</authentication>
    </incomingServer>
    <incomingServer type="imap">
      <hostname>imap.example.org</hostname><port>143</port>
      <socketType>plain</socketType><username>%EMAILADDRESS%</username>
    </incomingServer>
    <outgoingServer type="smtp">
      <hostname>smtp.example.org</hostname><port>465</port><socketType>SSL</socketType>
    </outgoingServer>
  </emailProvider>
</clientConfig>"#;

fn server(inner: &str) -> String {
    format!(
        "<clientConfig><emailProvider><incomingServer type=\"imap\">{inner}</incomingServer>\
         </emailProvider></clientConfig>"
    )
}

fn imap(host: &str, port: &str, user: &str) -> String {
    server(&format!(
        "<hostname>{host}</hostname><port>{port}</port><socketType>SSL</socketType>\
         <username>{user}</username>"
    ))
}

#[test]
fn servers_are_read_in_the_owners_order_and_placeholders_replaced() {
    let read = read(GOOD.as_bytes(), "joe@example.org").unwrap();
    let shown: Vec<String> = read
        .servers
        .iter()
        .map(|s| {
            format!("{} {}:{} {:?} {}", s.service.as_str(), s.host, s.port, s.user, s.oauth_only)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "imap imap.example.org:993 Some(\"joe\") false",
            "pop3 pop.example.org:110 Some(\"joe@example.org\") true",
            "smtp smtp.example.org:465 None false",
        ]
    );
    assert_eq!(read.servers[1].security, Security::StartTls);
}

#[test]
fn an_entry_in_the_clear_is_passed_over_and_said() {
    let read = read(GOOD.as_bytes(), "joe@example.org").unwrap();
    assert_eq!(read.refused, ["imap: imap.example.org in the clear"]);
}

#[test]
fn what_replaces_a_placeholder_is_not_replaced_again() {
    let read = read(imap("h.example", "993", "%EMAILLOCALPART%").as_bytes(), "%EMAILDOMAIN%@x.y");
    assert_eq!(read.unwrap().refused, ["imap: its user name can't be used"]);
}

#[test]
fn hostile_hosts_ports_and_users_are_no_servers() {
    for document in [
        imap("192.0.2.1", "993", "u"),
        imap("[::1]", "993", "u"),
        imap("0x7f000001", "993", "u"),
        imap("a b", "993", "u"),
        imap("h\nhost = \"evil\"", "993", "u"),
        imap("", "993", "u"),
        imap(&"a.".repeat(200), "993", "u"),
        imap("h.example", "0", "u"),
        imap("h.example", "99999", "u"),
        imap("h.example", "", "u"),
        imap("h.example", "993", "a\nb"),
        imap("h.example", "993", "a\u{1b}[2Jb"),
        imap("h.example", "993", "%REALHOSTNAME%"),
    ] {
        let read = read(document.as_bytes(), "joe@example.org").unwrap();
        assert!(read.servers.is_empty() && read.refused.len() == 1, "{document}: {read:?}");
    }
}

#[test]
fn entities_depth_size_and_other_documents_are_refused() {
    let bomb =
        "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><clientConfig>&b;</clientConfig>";
    let external = "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><clientConfig/>";
    let deep = format!("<clientConfig>{}", "<a>".repeat(10_000));
    let long = format!("<clientConfig>{}</clientConfig>", " ".repeat(MAX_DOCUMENT));
    let many = format!(
        "<clientConfig>{}</clientConfig>",
        "<incomingServer type=\"imap\"></incomingServer>".repeat(100)
    );
    let cut = GOOD.get(..300).unwrap();
    for document in [
        bomb,
        external,
        &deep,
        &long,
        &many,
        cut,
        "<html></html>",
        "{}",
        "\0",
        "<clientConfig>&own;</clientConfig>",
        "<clientConfig></emailProvider>",
    ] {
        assert!(read(document.as_bytes(), "joe@example.org").is_err(), "{document:.80}");
    }
    assert!(read(b"<clientConfig>\xff</clientConfig>", "joe@example.org").is_err());
}

#[test]
fn fuzz_autoconfig() {
    let words = [
        "<clientConfig>",
        "</clientConfig>",
        "<incomingServer type=\"imap\">",
        "</incomingServer>",
        "<hostname>",
        "</hostname>",
        "<port>993</port>",
        "<socketType>SSL</socketType>",
        "<username>%EMAILADDRESS%</username>",
        "<![CDATA[",
        "]]>",
        "&amp;",
        "&#10;",
        "<!--",
        "-->",
        "<!DOCTYPE",
        "h.example",
        "plain",
        "<?",
        "?>",
    ];
    fuzz("autoconfig", &words, |octets| match read(octets, "joe@example.org") {
        Err(why) => why.len() as u64,
        Ok(document) => {
            for server in &document.servers {
                assert!(is_name(&server.host) && server.port != 0);
                let user = server.user.as_deref().unwrap_or_default();
                assert!(!user.chars().any(char::is_control), "{user:?}");
            }
            1_000 + (document.servers.len() * 10 + document.refused.len()) as u64
        }
    });
}
