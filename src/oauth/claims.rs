//! What a JWT says of itself (RFC 7519), to be shown to people.
//!
//! No signature is checked, so nothing is decided by it: a token is for the server that takes it.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use zeroize::Zeroizing;

/// The claims that help a person.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct Claims {
    /// Whom it is for.
    aud: serde_json::Value,
    email: Option<String>,
    preferred_username: Option<String>,
    unique_name: Option<String>,
    upn: Option<String>,
    oid: Option<String>,
    roles: Vec<String>,
    scp: Option<String>,
}

impl Claims {
    /// Reads the middle part of a JWT; nothing comes of any other token.
    pub fn of(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
        let payload = payload.trim_end_matches('=');
        let octets = Zeroizing::new(BASE64URL_NOPAD.decode(payload.as_bytes()).ok()?);
        serde_json::from_slice(&octets).ok()
    }

    /// Whose token it is, as mail systems name people.
    pub fn user(&self) -> Option<&str> {
        let names = [&self.preferred_username, &self.upn, &self.email, &self.unique_name];
        names.into_iter().flatten().map(String::as_str).find(|name| is_plain(name))
    }

    /// At Microsoft the object id of the person or service principal.
    pub fn object_id(&self) -> Option<&str> {
        self.oid.as_deref().filter(|id| is_guid(id))
    }

    /// What the application itself may do, at Microsoft.
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// What it may do in a person's name, at Microsoft.
    pub fn scopes(&self) -> Option<&str> {
        self.scp.as_deref().filter(|scopes| is_plain(scopes))
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 512 && !text.contains(char::is_control)
}

fn is_guid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|octet| octet.is_ascii_hexdigit() || octet == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(payload: &str) -> String {
        format!("e30.{}.x", BASE64URL_NOPAD.encode(payload.as_bytes()))
    }

    #[test]
    fn names_are_read_and_odd_ones_are_not() {
        let claims = Claims::of(&jwt(r#"{"email":"a@x","upn":"b@x","aud":["y"]}"#)).unwrap();
        assert_eq!(claims.user(), Some("b@x"));
        let odd = Claims::of(&jwt(r#"{"email":"a\u001b[2J","oid":"not a guid"}"#)).unwrap();
        assert_eq!((odd.user(), odd.object_id()), (None, None));
        assert_eq!(Claims::of("opaque"), None);
        assert_eq!(Claims::of("a.!.c"), None);
    }
}
