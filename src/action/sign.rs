//! Signatures of web calls, as the Standard Webhooks specification has them.

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Signs `id.timestamp.body`, the body piece by piece.
pub(super) struct Signer(Hmac<Sha256>);

impl Signer {
    /// `whsec_` and base64 are a key as the specification writes it; any other text is the key.
    pub(super) fn new(secret: &str, id: &str, timestamp: i64) -> Option<Self> {
        let key = match secret.strip_prefix("whsec_") {
            Some(text) => Zeroizing::new(BASE64.decode(text.as_bytes()).ok()?),
            None => Zeroizing::new(secret.as_bytes().to_vec()),
        };
        let mut mac = Hmac::new_from_slice(&key).ok()?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        Some(Self(mac))
    }

    pub(super) fn update(&mut self, octets: &[u8]) {
        self.0.update(octets);
    }

    /// The value of `webhook-signature`.
    pub(super) fn finish(self) -> String {
        format!("v1,{}", BASE64.encode(&self.0.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn signature_is_that_of_the_specification() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let mut signer =
            Signer::new(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330).unwrap();
        for piece in [&b"{\"test\": "[..], b"2432232314}"] {
            signer.update(piece);
        }
        assert_eq!(signer.finish(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(Signer::new("whsec_*", "", 0).is_none());
        assert!(Signer::new("any text", "", 0).is_some());
    }
}
