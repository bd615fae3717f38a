use super::*;
use crate::provider::{autoconfig, by_name};

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Srv {
    Srv { priority, weight, port, target: target.to_owned() }
}

fn imaps(records: Vec<Srv>) -> Option<(String, u16)> {
    let server = of_srv(Service::Imap, Security::Tls, records)?;
    Some((server.host, server.port))
}

#[test]
fn the_lowest_priority_and_then_the_highest_weight_win() {
    let records = vec![
        srv(10, 0, 993, "c.example.org."),
        srv(1, 5, 993, "a.example.org."),
        srv(1, 50, 1993, "B.Example.Org."),
    ];
    assert_eq!(imaps(records), Some(("b.example.org".to_owned(), 1993)));
}

#[test]
fn hostile_targets_are_no_servers() {
    for target in [".", "", "192.0.2.1.", "a b.example.", "a\u{1b}[2J.example.", "\u{0}", "::1"] {
        assert_eq!(imaps(vec![srv(0, 0, 993, target)]), None, "{target:?}");
    }
    assert_eq!(imaps(vec![srv(0, 0, 0, "a.example.")]), None);
    let long = format!("{}example.", "a.".repeat(200));
    let records = vec![srv(0, 0, 993, &long), srv(9, 0, 993, "good.example.")];
    assert_eq!(imaps(records), Some(("good.example".to_owned(), 993)));
}

#[test]
fn a_name_out_of_the_domain_needs_a_yes_unless_the_owner_says_it() {
    use Source::{Autoconfig, Central, Guess, Mx, PlainAutoconfig, Provider, Srv};
    let asks = |source, host| doubt(source, "example.org", host).is_some();
    for source in [Provider, Autoconfig, Mx] {
        assert!(!asks(source, "imap.elsewhere.net"), "{source:?}");
    }
    for source in [Srv, Guess] {
        assert!(asks(source, "imap.elsewhere.net") && asks(source, "badexample.org"));
        assert!(!asks(source, "imap.example.org") && !asks(source, "example.org"));
    }
    for source in [PlainAutoconfig, Central] {
        assert!(asks(source, "imap.example.org"), "{source:?}");
    }
}

#[test]
fn imap_goes_before_pop3_unless_pop3_is_wanted() {
    let gmx = of_provider(Source::Provider, by_name("GMX").unwrap(), "a@gmx.net");
    assert_eq!(gmx.inbound(None).unwrap().host, "imap.gmx.net");
    assert_eq!(gmx.inbound(Some(Service::Pop3)).unwrap().host, "pop.gmx.net");
    assert_eq!(gmx.outbound().unwrap().host, "mail.gmx.net");
    let icloud = of_provider(Source::Mx, by_name("icloud").unwrap(), "a@example.org");
    assert!(icloud.inbound(Some(Service::Pop3)).is_none());
    let tuta = of_provider(Source::Provider, by_name("tuta").unwrap(), "a@tuta.com");
    assert!(tuta.servers.is_empty());
}

#[test]
fn a_document_whose_servers_take_tokens_alone_says_so() {
    let text = "<clientConfig><incomingServer type=\"imap\"><hostname>h.example</hostname>\
                <port>993</port><socketType>SSL</socketType><username>%EMAILADDRESS%</username>\
                <authentication>OAuth2</authentication></incomingServer></clientConfig>";
    let document = autoconfig::read(text.as_bytes(), "a@b.example").unwrap();
    let finding = of_document(Source::Autoconfig, document, "a@b.example");
    assert!(finding.oauth_only && finding.servers[0].user.is_none());
}

#[test]
fn usual_names_are_of_the_domain_and_under_tls() {
    let hosts = |wanted, port| -> Vec<String> {
        let all = guesses("example.org", wanted, port);
        all.iter().map(|s| format!("{}:{}", s.host, s.port)).collect()
    };
    assert_eq!(
        hosts(Some(Service::Imap), None),
        ["imap.example.org:993", "mail.example.org:993", "example.org:993"]
    );
    assert_eq!(hosts(None, None).len(), 7);
    assert!(hosts(Some(Service::Pop3), Some(1995)).iter().all(|host| host.ends_with(":1995")));
}
