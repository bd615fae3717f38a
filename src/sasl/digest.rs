//! The two answers that are one keyed digest: CRAM-MD5 and APOP.

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};

use data_encoding::HEXLOWER;

use super::Message;

/// CRAM-MD5's answer to a challenge (RFC 2195 §2): user, blank, HMAC-MD5 in hex.
pub(super) fn cram_md5(user: &str, password: &str, challenge: &[u8]) -> Message {
    let digest = match Hmac::<Md5>::new_from_slice(password.as_bytes()) {
        Ok(mac) => mac.chain_update(challenge).finalize().into_bytes().to_vec(),
        // HMAC takes keys of any length; an empty digest is a wrong one.
        Err(_) => Vec::new(),
    };
    Message::new(format!("{user} {}", HEXLOWER.encode(&digest)).into_bytes())
}

/// APOP's digest (RFC 1939 §7): MD5 of the greeting's timestamp and the password, in hex.
///
/// `None` where the greeting has no timestamp in the form of a message id (RFC 5322 §3.6.4):
/// others let a false server learn the password (CVE-2007-1558).
pub fn apop(greeting: &str, password: &str) -> Option<String> {
    let start = greeting.find('<')?;
    let rest = greeting.get(start..)?;
    let stamp = rest.get(..=rest.find('>')?)?;
    let inner = stamp.strip_prefix('<')?.strip_suffix('>')?;
    let (left, right) = inner.split_once('@')?;
    let is_atom = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|octet| octet.is_ascii_graphic() && !b"<>@\"\\".contains(&octet))
    };
    if !is_atom(left) || !is_atom(right) {
        return None;
    }
    let digest = Md5::new().chain_update(stamp).chain_update(password).finalize();
    Some(HEXLOWER.encode(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cram_md5_is_that_of_the_rfc() {
        let challenge = b"<1896.697170952@postoffice.reston.mci.net>";
        let answer = cram_md5("tim", "tanstaaftanstaaf", challenge);
        assert_eq!(answer.as_slice(), b"tim b913a602c7eda7a495b4e6e7334d3890");
    }

    #[test]
    fn apop_is_that_of_the_rfc() {
        let greeting = "+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>";
        let digest = apop(greeting, "tanstaaf");
        assert_eq!(digest.as_deref(), Some("c4c9334bac560ecc979e58001b3e22fb"));
    }

    #[test]
    fn pop20_timestamp_that_is_no_message_id_gets_no_digest() {
        for greeting in [
            "+OK ready",
            "+OK <>",
            "+OK <a@>",
            "+OK <no-at-sign>",
            "+OK <a@b@c>",
            "+OK <a b@c>",
            "+OK <a\u{1}@c>",
            "+OK <ä@c>",
            "+OK <a@b",
        ] {
            assert_eq!(apop(greeting, "secret"), None, "{greeting}");
        }
    }
}
