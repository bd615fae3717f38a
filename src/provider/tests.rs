use std::collections::BTreeSet;

use super::*;

#[test]
fn names_domains_and_mx_ends_stand_for_one_provider_each() {
    let mut seen = BTreeSet::new();
    for provider in all() {
        let kinds =
            [("name", &[provider.name][..]), ("domain", provider.domains), ("mx", provider.mx)];
        for (kind, words) in kinds {
            for word in words {
                assert!(seen.insert((kind, *word)), "{kind} {word} stands twice");
                assert_eq!(*word, word.to_ascii_lowercase());
            }
        }
        assert!(!provider.title.is_empty() && !provider.name.contains(' '));
    }
    assert!(all().count() >= 45);
}

#[test]
fn servers_are_names_and_ports_that_fit_their_encryption() {
    for provider in all() {
        let (mail, name) = (provider.login, provider.name);
        for service in [Service::Imap, Service::Pop3, Service::Smtp] {
            let Some(preset) = provider.server(service) else { continue };
            let here = preset.host == "127.0.0.1";
            assert!(here || domain::is_name(preset.host), "{name}: {}", preset.host);
            let tls = preset.encryption == Security::Tls;
            assert!(!tls || matches!(preset.port, 993 | 995 | 465), "{name}: {preset:?}");
        }
        assert!(mail.password != Password::None || mail.oauth.is_some(), "{name} has no login");
        assert!(mail.password == Password::Own || mail.url.is_some(), "{name} names no page");
        assert!(mail.url.is_none_or(|url| url.starts_with("https://")), "{name}");
    }
}

#[test]
fn an_exchanger_is_known_by_the_longest_end_of_its_name() {
    let name = |mx| by_mx(mx).map(|provider| provider.name);
    assert_eq!(name("aspmx.l.google.com."), Some("gmail"));
    assert_eq!(name("example-org.mail.protection.outlook.com"), Some("office365"));
    assert_eq!(name("hotmail-com.olc.protection.outlook.com"), Some("outlook"));
    assert_eq!(name("mx-aol.mail.gm0.yahoodns.net"), Some("aol"));
    assert_eq!(name("mta5.am0.yahoodns.net"), Some("yahoo"));
    assert_eq!(name("mxbiz1.qq.com"), Some("exmail"));
    assert_eq!(name("mx.notgoogle.com"), None);
}

#[test]
fn a_provider_is_found_by_its_name_and_its_domain_in_any_case() {
    assert_eq!(by_name("Gmail").unwrap().name, "gmail");
    assert_eq!(by_domain("GoogleMail.com").unwrap().name, "gmail");
    assert!(by_domain("mail.gmail.com").is_none() && by_name("").is_none());
    assert_eq!(by_name("web.de").unwrap().user("joe@web.de"), "joe");
}
