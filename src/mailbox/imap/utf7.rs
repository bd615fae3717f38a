//! Mailbox names in modified UTF-7 (RFC 3501 §5.1.3). Pure.

use data_encoding::{Encoding, Specification};
use std::sync::LazyLock;

/// RFC 3501's base64: `,` for `/`, no padding; trailing bits may be anything.
static BASE64: LazyLock<Option<Encoding>> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,");
    specification.check_trailing_bits = false;
    specification.encoding().ok()
});

/// The name as it goes over the wire: printable ASCII only.
pub(super) fn encode(name: &str) -> String {
    let mut wire = String::with_capacity(name.len());
    let mut shifted: Vec<u8> = Vec::new();
    for character in name.chars() {
        if !matches!(character, ' '..='~') {
            for unit in character.encode_utf16(&mut [0; 2]) {
                shifted.extend_from_slice(&unit.to_be_bytes());
            }
            continue;
        }
        unshift(&mut shifted, &mut wire);
        wire.push(character);
        if character == '&' {
            wire.push('-');
        }
    }
    unshift(&mut shifted, &mut wire);
    wire
}

fn unshift(shifted: &mut Vec<u8>, wire: &mut String) {
    if shifted.is_empty() {
        return;
    }
    wire.push('&');
    if let Some(base64) = &*BASE64 {
        base64.encode_append(shifted, wire);
    }
    wire.push('-');
    shifted.clear();
}

/// The name behind what came over the wire; `None` when that is no modified UTF-7.
pub(super) fn decode(wire: &str) -> Option<String> {
    let mut name = String::with_capacity(wire.len());
    let mut rest = wire;
    while let Some((before, after)) = rest.split_once('&') {
        name.push_str(before);
        let (shifted, after) = after.split_once('-')?;
        rest = after;
        if shifted.is_empty() {
            name.push('&');
            continue;
        }
        let octets = BASE64.as_ref()?.decode(shifted.as_bytes()).ok()?;
        let mut pairs = octets.chunks_exact(2);
        let units = pairs.by_ref().filter_map(|pair| <[u8; 2]>::try_from(pair).ok());
        let units: Vec<u16> = units.map(u16::from_be_bytes).collect();
        if !pairs.remainder().is_empty() {
            return None;
        }
        name.push_str(&String::from_utf16(&units).ok()?);
    }
    name.push_str(rest);
    wire.is_ascii().then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn examples_of_the_rfc_and_of_servers() {
        for (name, wire) in [
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("R&D", "R&-D"),
            ("INBOX", "INBOX"),
            ("📮", "&2D3c7g-"),
            ("a\nb", "a&AAo-b"),
        ] {
            assert_eq!(encode(name), wire);
            assert_eq!(decode(wire).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_is_no_modified_utf7_is_not_guessed_at() {
        for wire in ["R&D", "&", "&!-", "&A-", "&2D0-", "Entwürfe"] {
            assert_eq!(decode(wire), None, "{wire}");
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in "\\PC*|[\\x00-\\x7f&é]*") {
            let wire = encode(&name);
            prop_assert!(wire.bytes().all(|octet| matches!(octet, b' '..=b'~')));
            prop_assert_eq!(decode(&wire), Some(name));
        }

        #[test]
        fn nothing_on_the_wire_panics(wire in any::<String>()) {
            decode(&wire);
        }
    }
}
