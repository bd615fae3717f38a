//! A mark that tells whether a secret is another one now, and not which one it is.

use sha2::Sha256;

use super::Secret;

/// Each guess at the secret costs so many rounds.
const ROUNDS: u32 = 100_000;

/// Two octets of a slow, salted digest of the secret.
///
/// They miss one change in 65,536 and fit one guess in 65,536: with all of them in hand, nobody can
/// tell the secret from the thousands that fit as well, and trying is slow. Takes some 30 ms.
pub fn mark(secret: &Secret, salt: &[u8]) -> [u8; 2] {
    let mut mark = [0; 2];
    pbkdf2::pbkdf2_hmac::<Sha256>(secret.expose().as_bytes(), salt, ROUNDS, &mut mark);
    mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_depends_on_secret_and_salt_and_is_short() {
        let secret = |text: &str| Secret::new(text.to_owned()).unwrap();
        let one = mark(&secret("hunter2"), b"salt");
        assert_eq!(one, mark(&secret("hunter2"), b"salt"));
        assert_ne!(one, mark(&secret("hunter3"), b"salt"));
        assert_ne!(one, mark(&secret("hunter2"), b"pepper"));
    }
}
