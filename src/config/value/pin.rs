//! SHA-256 of public keys, as `tls_pin_sha256` and other programs write them.

use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER_PERMISSIVE};
use toml::de::DeValue;

use super::{Fault, text};

/// One pin, or a list of them.
pub(super) fn read(value: &DeValue<'_>) -> Result<Vec<[u8; 32]>, Fault> {
    let items: Vec<&DeValue<'_>> = match value {
        DeValue::Array(items) => items.iter().map(toml::Spanned::get_ref).collect(),
        one => vec![one],
    };
    if items.is_empty() {
        return Err(Fault::new("is empty").hint("leave the key out to pin nothing"));
    }
    items.into_iter().map(|item| pin(&text::line(item, 256)?)).collect()
}

/// `openssl` and RFC 7469 write base64, others hex with or without colons; curl puts `sha256//`
/// before it.
fn pin(line: &str) -> Result<[u8; 32], Fault> {
    let bare = ["sha256//", "sha256/", "sha256:"]
        .into_iter()
        .find_map(|prefix| line.strip_prefix(prefix))
        .unwrap_or(line);
    let hex: String = bare.chars().filter(|c| *c != ':').collect();
    let octets = if hex.len() == 64 {
        HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()
    } else {
        BASE64.decode(bare.as_bytes()).or_else(|_| BASE64_NOPAD.decode(bare.as_bytes())).ok()
    };
    let pin = octets.and_then(|octets| <[u8; 32]>::try_from(octets).ok());
    pin.ok_or_else(|| Fault::new("is no SHA-256"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_read_as_others_write_them() {
        let base64 = BASE64.encode(&[0xab; 32]);
        let colons = vec!["AB"; 32].join(":");
        for text in [
            base64.clone(),
            format!("sha256//{base64}"),
            base64.trim_end_matches('=').to_owned(),
            "ab".repeat(32),
            colons,
        ] {
            assert_eq!(pin(&text).ok(), Some([0xab; 32]), "{text}");
        }
        for text in ["", "abc", "sha256//", &"ab".repeat(31), &"xy".repeat(32), "c2hvcnQ="] {
            assert!(pin(text).is_err(), "{text}");
        }
    }
}
