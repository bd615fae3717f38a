//! No form and no surroundings hide a secret.

use data_encoding::{BASE64URL_NOPAD, Encoding};
use proptest::prelude::*;

use super::*;

fn redactor(secrets: &[&str]) -> Redactor {
    let redactor = Redactor::default();
    for secret in secrets {
        redactor.register(secret);
    }
    redactor
}

#[test]
fn plain_secret_is_replaced_wherever_it_stands() {
    let redactor = redactor(&["hunter22", "pässwört"]);
    assert_eq!(redactor.redact("no hunter22, no hunter22hunter22!"), "no ***, no ******!");
    assert_eq!(redactor.redact("sent pässwört?"), "sent ***?");
    assert_eq!(redactor.redact("nothing here"), "nothing here");
}

#[test]
fn sasl_plain_and_xoauth2_are_replaced_whole() {
    let redactor = redactor(&["hunter22"]);
    let plain = BASE64.encode(b"\0joe@example.org\0hunter22");
    assert_eq!(redactor.redact(&format!("AUTH PLAIN {plain} sent")), "AUTH PLAIN *** sent");
    let xoauth = BASE64.encode(b"user=joe\x01auth=Bearer hunter22\x01\x01");
    assert_eq!(redactor.redact(&xoauth), "***");
}

#[test]
fn escaped_and_percent_encoded_forms_are_replaced() {
    let redactor = redactor(&["a\"b\\c d/é"]);
    for text in [
        "a%22b%5Cc%20d%2F%C3%A9",
        "a%22b%5cc%20d/%c3%a9",
        "%61%22%62%5c%63%20%64%2f%c3%a9",
        "a\"b\\c+d/é",
        "a\\\"b\\\\c d/é",
        "a\"b\\c d/é",
    ] {
        assert_eq!(redactor.redact(&format!("<{text}>")), "<***>", "{text}");
    }
}

#[test]
fn secret_that_was_cut_at_the_end_does_not_show_its_beginning() {
    let redactor = redactor(&["correct-horse-battery"]);
    assert_eq!(redactor.redact("you sent correct-horse-ba…"), "you sent ***…");
    let long = "x".repeat(500);
    assert_eq!(redactor.redact(&format!("{long} correct-horse")), format!("{long} ***"));
    assert_eq!(redactor.redact("a correct-horse"), "a correct-horse");
    assert_eq!(redactor.redact("correct-horse is no secret"), "correct-horse is no secret");
}

#[test]
fn short_words_are_not_secrets() {
    assert_eq!(redactor(&["abc", ""]).redact("abcabc"), "abcabc");
}

#[test]
fn renewed_tokens_do_not_pile_up() {
    let redactor = Redactor::default();
    redactor.register("the first token");
    for n in 0..SECRETS_MAX {
        redactor.register(&format!("token number {n:05}"));
    }
    redactor.register("token number 00000");
    assert_eq!(redactor.redact("the first token"), "the first token");
    assert_eq!(redactor.redact("token number 00000"), REDACTED);
    let secrets = redactor.secrets.read().unwrap();
    assert_eq!(secrets.live.len(), SECRETS_MAX);
    let forms: usize = secrets.by_start.values().map(Vec::len).sum();
    assert!(forms <= SECRETS_MAX * 11, "{forms}");
}

#[test]
fn debug_shows_no_secret() {
    assert_eq!(format!("{:?}", redactor(&["hunter22"])), "Redactor { secrets: 1, .. }");
}

fn percent(text: &str, mask: &[bool]) -> String {
    let octets = text.bytes().zip(mask.iter().cycle());
    octets
        .map(|(octet, encode)| {
            if *encode || !octet.is_ascii() || octet == b'%' {
                format!("%{octet:02x}")
            } else {
                char::from(octet).to_string()
            }
        })
        .collect()
}

fn contains_encoded(text: &str, encoding: &Encoding, secret: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && !"+/-_=".contains(c)).any(|word| {
        let decoded = encoding.decode(word.as_bytes()).unwrap_or_default();
        decoded.windows(secret.len()).any(|w| w == secret.as_bytes())
    })
}

proptest! {
    #[test]
    fn no_surroundings_hide_a_secret(
        secret in "[!-~ äß✓]{4,40}",
        before in "\\PC{0,20}",
        after in "\\PC{0,20}",
    ) {
        let said = redactor(&[&secret]).redact(&format!("{before}{secret}{after}"));
        // The mark itself may complete a secret of stars.
        prop_assert!(secret.contains('*') || !said.contains(&secret), "{}", said);
    }

    #[test]
    fn wherever_a_text_is_cut_no_six_octets_of_a_secret_remain(
        secret in "[a-z0-9]{8,40}",
        before in "[A-Z ]{0,20}",
        after in "[A-Z ]{0,20}",
        octets in 4_usize..90,
    ) {
        let text = crate::log::cap(&format!("{before}{secret}{after}"), octets);
        let said = redactor(&[&secret]).redact(&text);
        let left = secret.as_bytes().windows(6).find(|six| {
            said.as_bytes().windows(6).any(|window| window == *six)
        });
        prop_assert!(left.is_none(), "{said}");
    }

    #[test]
    fn no_offset_hides_a_secret_in_base64(
        secret in "[!-~]{4,40}",
        before in prop::collection::vec(any::<u8>(), 0..20),
        after in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let octets = [before.as_slice(), secret.as_bytes(), after.as_slice()].concat();
        let redactor = redactor(&[&secret]);
        for encoding in [&BASE64, &BASE64URL_NOPAD] {
            let said = redactor.redact(&format!("+ {} sent", encoding.encode(&octets)));
            prop_assert!(!contains_encoded(&said, encoding, &secret), "{}", said);
            prop_assert!(said.contains(REDACTED), "{}", said);
        }
    }

    #[test]
    fn no_mixture_of_percent_encoding_hides_a_secret(
        secret in "[!-~äß✓]{4,40}",
        mask in prop::collection::vec(any::<bool>(), 1..9),
    ) {
        let said = redactor(&[&secret]).redact(&format!("GET /?p={}&x", percent(&secret, &mask)));
        prop_assert_eq!(said, format!("GET /?p={REDACTED}&x"));
    }

    #[test]
    fn text_without_a_secret_is_left_alone(text in "[a-y %+/=]{0,80}") {
        prop_assert_eq!(redactor(&["zzzz-zzzz"]).redact(&text), text);
    }
}
