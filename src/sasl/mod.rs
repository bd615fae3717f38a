//! SASL responses (RFC 4422): what a client answers to authenticate.
//!
//! Pure: knows no protocol and no stream. Results are wiped when they are dropped.

use data_encoding::BASE64;
use zeroize::Zeroizing;

/// The response of PLAIN (RFC 4616), in base64, without an authorization identity.
pub fn plain(user: &str, password: &str) -> Zeroizing<String> {
    let message = Zeroizing::new(format!("\0{user}\0{password}"));
    Zeroizing::new(BASE64.encode(message.as_bytes()))
}

/// Whether a user name or password can be sent at all: a CR, LF or NUL in it would end or split
/// the command.
pub fn is_sendable(text: &str) -> bool {
    !text.contains(['\r', '\n', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_is_that_of_the_rfc() {
        assert_eq!(plain("tim", "tanstaaftanstaaf").as_str(), "AHRpbQB0YW5zdGFhZnRhbnN0YWFm");
    }

    #[test]
    fn plain_carries_any_text() {
        let response = BASE64.decode(plain("u", "a\"\\ ü").as_bytes()).unwrap();
        assert_eq!(response, "\0u\0a\"\\ ü".as_bytes());
    }

    #[test]
    fn text_with_line_ends_is_not_sendable() {
        assert!(is_sendable("a b\"\\ü"));
        assert!(!is_sendable("a\r\nb") && !is_sendable("a\0"));
    }
}
