use proptest::prelude::*;

use super::*;

fn name(sent: &str) -> String {
    safe_name(Some(sent), "application/octet-stream", 3)
}

fn unique(names: &[&str]) -> Vec<String> {
    unique_names(names.iter().map(|name| (*name).to_owned()))
}

#[test]
fn c05_path_of_the_sender_leads_nowhere() {
    for (sent, safe) in [
        ("../../x", "x"),
        ("/etc/passwd", "etc_passwd"),
        ("..\\..\\x", "x"),
        ("C:\\x", "x"),
        ("%2e%2e/x", "_2e_2e_x"),
        ("../../example/MyFile.txt", "example_MyFile.txt"),
        ("php://foo", "php_foo"),
        ("Rechnung 3/2026.pdf", "Rechnung_3_2026.pdf"),
        ("a\0b\n.txt", "ab.txt"),
    ] {
        assert_eq!(name(sent), safe, "{sent:?}");
    }
}

#[test]
fn c06_name_that_says_nothing_is_replaced() {
    for sent in ["", ".", "..", "...", "   ", " . ", "../..", "-", "__", "☆", "\u{202e}"] {
        assert_eq!(name(sent), "part-003.bin", "{sent:?}");
    }
    assert_eq!(name("てすと.txt"), "part-003.txt");
    assert_eq!(safe_name(None, "image/png", 12), "part-012.png");
    assert_eq!(safe_name(None, "text/x-own", 1), "part-001.txt");
}

#[test]
fn c06_reserved_names_are_prefixed() {
    for (sent, safe) in [
        ("CON", "_CON"),
        ("aux.txt", "_aux.txt"),
        ("com1.tar.gz", "_com1.tar.gz"),
        ("LPT¹.x", "_LPT1.x"),
        ("nul .txt", "_nul_.txt"),
        ("desktop.ini", "_desktop.ini"),
        (".htaccess", "htaccess"),
        ("-rf", "rf"),
        ("a. ", "a"),
        ("console.log", "console.log"),
    ] {
        assert_eq!(name(sent), safe, "{sent:?}");
    }
}

#[test]
fn letters_survive_where_ascii_has_them() {
    assert_eq!(name("Buchungsbestätigung Straße.pdf"), "Buchungsbestatigung_Strasse.pdf");
    assert_eq!(name("Łódź – 5 €.PDF"), "Lodz_-_5_.PDF");
    assert_eq!(name("cod\u{202e}fdp.exe"), "codfdp.exe");
    assert_eq!(name("e\u{301}.txt"), name("\u{e9}.txt"));
}

#[test]
fn c09_long_name_keeps_its_extension() {
    let long = format!("{}.pdf", "a".repeat(4000));
    assert_eq!(name(&long).len(), MAX_NAME);
    assert!(name(&long).ends_with("a.pdf"));
    assert!(name(&"ü".repeat(255)).len() <= MAX_NAME);
}

#[test]
fn attached_message_ends_in_eml() {
    let message = |sent| safe_name(sent, "message/rfc822", 2);
    assert_eq!(message(None), "part-002.eml");
    assert_eq!(message(Some("Re: offer")), "Re_offer.eml");
    assert_eq!(message(Some("mail.EML")), "mail.EML");
    assert_eq!(message(Some(&"a".repeat(300))).len(), MAX_NAME);
}

#[test]
fn c08_equal_names_are_numbered_whatever_their_case() {
    assert_eq!(unique(&["a.pdf", "A.pdf", "a.pdf", "b"]), ["a.pdf", "A-2.pdf", "a-3.pdf", "b"]);
    assert_eq!(unique(&["a.pdf", "a-2.pdf", "a.pdf"]), ["a.pdf", "a-2.pdf", "a-3.pdf"]);
    assert_eq!(unique(&["a.pdf", "a.pdf", "a-2.pdf"]), ["a.pdf", "a-2.pdf", "a-2-2.pdf"]);
}

/// What every name must be.
fn assert_safe(name: &str) {
    let octets = name.as_bytes();
    assert!((1..=MAX_NAME).contains(&octets.len()), "{name:?}");
    assert!(octets.iter().all(|o| o.is_ascii_alphanumeric() || b"._-".contains(o)), "{name:?}");
    assert!(octets[0].is_ascii_alphanumeric() || octets[0] == b'_', "{name:?}");
    assert!(!name.ends_with('.') && !is_reserved(name), "{name:?}");
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[./\\\\ _-]{0,6}(con|AUX|com1|desktop)?[. ]{0,3}(ini|txt)?[./\\\\ -]{0,4}",
        "[a-c.\u{e4}\u{df}\u{fb00}]{150,260}(\\.pdf)?",
    ]
}

proptest! {
    #[test]
    fn promise_p11_every_name_is_safe_and_stays_as_it_is(sent in hostile(), index in 1_usize..20_000) {
        for content_type in ["application/pdf", "message/rfc822", "x"] {
            let once = safe_name(Some(&sent), content_type, index);
            assert_safe(&once);
            prop_assert_eq!(safe_name(Some(&once), content_type, index), once);
        }
    }

    #[test]
    fn c08_names_in_a_folder_never_meet(sent in prop::collection::vec("[abA]{1,2}(-[23])?(\\.x)?", 0..40)) {
        let names: Vec<String> = sent.iter().map(|sent| name(sent)).collect();
        let unique = unique_names(names.clone());
        let keys: std::collections::BTreeSet<_> =
            unique.iter().map(|name| name.to_ascii_lowercase()).collect();
        prop_assert_eq!(keys.len(), names.len());
        for name in &unique {
            assert_safe(name);
        }
        prop_assert_eq!(unique_names(unique.clone()), unique);
    }

    #[test]
    fn c08_c09_long_names_in_a_folder_never_meet(count in 1_usize..120) {
        let names = std::iter::repeat_n(name(&"a".repeat(300)), count);
        let unique: std::collections::BTreeSet<_> = unique_names(names).into_iter().collect();
        prop_assert_eq!(unique.len(), count);
        prop_assert!(unique.iter().all(|name| name.len() <= MAX_NAME));
    }
}
