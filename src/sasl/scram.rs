//! SCRAM-SHA-1 and SCRAM-SHA-256, with and without channel binding (RFC 5802, RFC 7677).
//!
//! Neither side shows the password: the client proves that it knows it, and the server proves that
//! it knows what it keeps of it. An exchange whose server hasn't proved that is no login.

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::exchange::SaslError;
use super::{Binding, Message};

/// Fewer iterations make a stolen exchange cheap to try passwords on.
const ITERATIONS_MIN: u32 = 1_000;
/// More of them are a server that wants to keep us busy: this is what is asked of a password's
/// storage today, and some tenths of a second.
const ITERATIONS_MAX: u32 = 600_000;
/// Octets of the longest digest.
const DIGEST: usize = 32;

type Key = Zeroizing<[u8; DIGEST]>;

/// The digest under the mechanism.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
}

/// One exchange, from the client's side.
pub(super) struct Scram {
    hash: Hash,
    password: Zeroizing<String>,
    /// `n,,`, `y,,` or `p=…,,`, and behind it the binding's octets.
    binding: Zeroizing<Vec<u8>>,
    client_first_bare: String,
    nonce: String,
    state: State,
    proven: bool,
}

enum State {
    First,
    Final { signature: Key },
    Done,
}

impl Scram {
    /// Begins; what the client says first is [`Self::client_first`].
    pub(super) fn new(
        hash: Hash,
        user: &str,
        password: &str,
        binding: Binding<'_>,
        nonce: &str,
    ) -> Self {
        let mut header = Zeroizing::new(Vec::new());
        match binding {
            Binding::None => header.extend(b"n,,"),
            Binding::NotOffered => header.extend(b"y,,"),
            Binding::TlsExporter(octets) => {
                header.extend(b"p=tls-exporter,,");
                header.extend(octets);
            }
        }
        // RFC 5802 §5.1: "," and "=" have a meaning in a user name.
        let name = prepared(user).replace('=', "=3D").replace(',', "=2C");
        Self {
            hash,
            password: prepared(password),
            binding: header,
            client_first_bare: format!("n={name},r={nonce}"),
            nonce: nonce.to_owned(),
            state: State::First,
            proven: false,
        }
    }

    /// The client's first message.
    pub(super) fn client_first(&self) -> Message {
        let mut message = Message::new(gs2_header(&self.binding).to_vec());
        message.extend(self.client_first_bare.as_bytes());
        message
    }

    /// The answer to the server's first or final message.
    pub(super) fn answer(&mut self, challenge: &[u8]) -> Result<Message, SaslError> {
        let text = std::str::from_utf8(challenge)
            .map_err(|_| SaslError::Challenge("is not UTF-8".to_owned()))?;
        match std::mem::replace(&mut self.state, State::Done) {
            State::First => self.prove(text),
            State::Final { signature } => {
                self.check(text, &signature)?;
                self.proven = true;
                Ok(Message::default())
            }
            State::Done => Err(SaslError::Challenge("comes after the last one".to_owned())),
        }
    }

    /// Whether the server has proved that it knows the password.
    pub(super) fn is_proven(&self) -> bool {
        self.proven
    }

    /// The client's final message, which proves that it knows the password.
    fn prove(&mut self, server_first: &str) -> Result<Message, SaslError> {
        let (nonce, salt, iterations) = self.read_first(server_first)?;
        let without_proof = format!("c={},r={nonce}", BASE64.encode(&self.binding));
        let auth =
            Zeroizing::new(format!("{},{server_first},{without_proof}", self.client_first_bare));
        let salted = self.hash.salted(self.password.as_bytes(), &salt, iterations);
        let client_key = self.hash.hmac(self.salted_key(&salted), b"Client Key");
        let stored_key = self.hash.digest(self.salted_key(&client_key));
        let signature = self.hash.hmac(self.salted_key(&stored_key), auth.as_bytes());
        let server_key = self.hash.hmac(self.salted_key(&salted), b"Server Key");
        let expected = self.hash.hmac(self.salted_key(&server_key), auth.as_bytes());
        let proof: Zeroizing<Vec<u8>> = Zeroizing::new(
            client_key
                .iter()
                .zip(signature.iter())
                .take(self.hash.len())
                .map(|(a, b)| a ^ b)
                .collect(),
        );
        self.state = State::Final { signature: expected };
        Ok(Message::new(format!("{without_proof},p={}", BASE64.encode(&proof)).into_bytes()))
    }

    fn salted_key<'a>(&self, key: &'a Key) -> &'a [u8] {
        key.get(..self.hash.len()).unwrap_or_default()
    }

    /// Nonce, salt and iterations of the server's first message.
    fn read_first(&self, text: &str) -> Result<(String, Vec<u8>, u32), SaslError> {
        let bad = |what: &str| SaslError::Challenge(what.to_owned());
        if let Some(error) = text.strip_prefix("e=") {
            return Err(SaslError::Refused(error.to_owned()));
        }
        let mut fields = text.split(',');
        let mut field = |name: &str| {
            fields
                .next()
                .and_then(|field| field.strip_prefix(name))
                .ok_or_else(|| bad("is not SCRAM's"))
        };
        let (nonce, salt, iterations) = (field("r=")?, field("s=")?, field("i=")?);
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(bad("doesn't continue our nonce: it belongs to another exchange"));
        }
        let salt =
            BASE64.decode(salt.as_bytes()).map_err(|_| bad("has a salt that is no base64"))?;
        let iterations: u32 = iterations.parse().map_err(|_| bad("has no number of iterations"))?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(SaslError::Challenge(format!(
                "asks for {iterations} iterations; {ITERATIONS_MIN} to {ITERATIONS_MAX} are \
                 taken: name another mechanism in `sasl`"
            )));
        }
        Ok((nonce.to_owned(), salt, iterations))
    }

    /// Compares the server's signature with what it must be.
    fn check(&self, server_final: &str, signature: &Key) -> Result<(), SaslError> {
        if let Some(error) = server_final.strip_prefix("e=") {
            return Err(SaslError::Refused(error.to_owned()));
        }
        let said = server_final
            .split(',')
            .next()
            .and_then(|field| field.strip_prefix("v="))
            .and_then(|text| BASE64.decode(text.as_bytes()).ok());
        // Both are digests that the other side can't choose; time tells nothing of use.
        if said.as_deref() == Some(self.salted_key(signature)) {
            Ok(())
        } else {
            Err(SaslError::FalseServer)
        }
    }
}

/// The part of the binding that goes in the clear: up to its second comma.
fn gs2_header(binding: &[u8]) -> &[u8] {
    let mut commas = binding.iter().enumerate().filter(|(_, octet)| **octet == b',');
    let end = commas.nth(1).map_or(0, |(at, _)| at.saturating_add(1));
    binding.get(..end).unwrap_or_default()
}

/// `SASLprep` (RFC 4013). What it forbids is sent as it is: the server then decides.
fn prepared(text: &str) -> Zeroizing<String> {
    Zeroizing::new(stringprep::saslprep(text).map_or_else(|_| text.to_owned(), Into::into))
}

impl Hash {
    fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => DIGEST,
        }
    }

    fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Key {
        let mut key = Key::default();
        let out = key.get_mut(..self.len()).unwrap_or_default();
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, out),
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, out),
        }
        key
    }

    fn hmac(self, key: &[u8], text: &[u8]) -> Key {
        match self {
            Self::Sha1 => Hmac::<Sha1>::new_from_slice(key)
                .map(|mac| copied(&mac.chain_update(text).finalize().into_bytes())),
            Self::Sha256 => Hmac::<Sha256>::new_from_slice(key)
                .map(|mac| copied(&mac.chain_update(text).finalize().into_bytes())),
        }
        // HMAC takes keys of any length.
        .unwrap_or_default()
    }

    fn digest(self, text: &[u8]) -> Key {
        match self {
            Self::Sha1 => copied(&Sha1::digest(text)),
            Self::Sha256 => copied(&Sha256::digest(text)),
        }
    }
}

fn copied(octets: &[u8]) -> Key {
    let mut key = Key::default();
    for (to, from) in key.iter_mut().zip(octets) {
        *to = *from;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(message: &Message) -> &str {
        std::str::from_utf8(message).unwrap()
    }

    #[test]
    fn sha_1_is_that_of_rfc_5802() {
        let nonce = "fyko+d2lbbFgONRv9qkxdawL";
        let mut scram = Scram::new(Hash::Sha1, "user", "pencil", Binding::None, nonce);
        assert_eq!(text(&scram.client_first()), "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
        let first = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
        let last = scram.answer(first.as_bytes()).unwrap();
        assert_eq!(
            text(&last),
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
        );
        assert!(!scram.is_proven());
        assert_eq!(scram.answer(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=").unwrap().len(), 0);
        assert!(scram.is_proven());
    }

    #[test]
    fn sha_256_is_that_of_rfc_7677() {
        let nonce = "rOprNGfwEbeRWgbNEkqO";
        let mut scram = Scram::new(Hash::Sha256, "user", "pencil", Binding::None, nonce);
        let first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                     s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let last = scram.answer(first.as_bytes()).unwrap();
        assert_eq!(
            text(&last),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        scram.answer(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
        assert!(scram.is_proven());
    }

    fn begun() -> Scram {
        Scram::new(Hash::Sha256, "user", "pencil", Binding::None, "abc")
    }

    #[test]
    fn server_that_does_not_know_the_password_is_found_out() {
        let mut scram = begun();
        scram.answer(b"r=abcdef,s=QSXCR+Q6sek8bf92,i=4096").unwrap();
        let forged = format!("v={}", BASE64.encode(&[7; 32]));
        assert!(matches!(scram.answer(forged.as_bytes()), Err(SaslError::FalseServer)));
        assert!(!scram.is_proven());
    }

    #[test]
    fn answers_of_a_hostile_server_are_errors() {
        for (first, why) in [
            ("r=xyz,s=QSXC,i=4096", "nonce"),
            ("r=abc,s=QSXC,i=4096", "nonce"),
            ("r=abcdef,s=*,i=4096", "salt"),
            ("r=abcdef,s=QSXC,i=x", "iterations"),
            ("r=abcdef,s=QSXC,i=1", "iterations"),
            ("r=abcdef,s=QSXC,i=600001", "1000 to 600000 are taken"),
            ("r=abcdef,s=QSXC,i=4294967295", "iterations"),
            ("r=abcdef,s=QSXC,i=4294967296", "iterations"),
            ("r=abcdef,s=QSXC", "SCRAM"),
            ("m=ext,r=abcdef,s=QSXC,i=4096", "SCRAM"),
            ("", "SCRAM"),
        ] {
            let error = begun().answer(first.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{first}: {error}");
        }
        let refused = begun().answer(b"e=unknown-user").unwrap_err();
        assert!(matches!(refused, SaslError::Refused(why) if why == "unknown-user"));
    }

    #[test]
    fn binding_goes_into_the_proof_and_its_name_into_the_first_message() {
        let octets = [9; 32];
        let bound = Binding::TlsExporter(&octets);
        let mut scram = Scram::new(Hash::Sha256, "user", "pencil", bound, "abc");
        assert_eq!(text(&scram.client_first()), "p=tls-exporter,,n=user,r=abc");
        let last = scram.answer(b"r=abcdef,s=QSXC,i=4096").unwrap();
        let coded = BASE64.encode(&[b"p=tls-exporter,,".as_slice(), &octets].concat());
        assert!(text(&last).starts_with(&format!("c={coded},r=abcdef,p=")));
        let not_offered = Scram::new(Hash::Sha1, "u", "p", Binding::NotOffered, "abc");
        assert_eq!(text(&not_offered.client_first()), "y,,n=u,r=abc");
    }

    #[test]
    fn user_name_is_prepared_and_escaped() {
        let scram = Scram::new(Hash::Sha1, "a=b,c\u{ad}d", "p", Binding::None, "n");
        assert_eq!(text(&scram.client_first()), "n,,n=a=3Db=2Ccd,r=n");
    }
}
