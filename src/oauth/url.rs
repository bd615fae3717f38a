//! As much of forms and queries as OAuth2 needs (WHATWG's form encoding, RFC 3986 §2.1).

use zeroize::Zeroizing;

/// Names and values of a form, in order; wiped when dropped.
#[derive(Default)]
pub(super) struct Form(Vec<(&'static str, Zeroizing<String>)>);

impl Form {
    pub(super) fn add(&mut self, name: &'static str, value: &str) {
        self.0.push((name, Zeroizing::new(value.to_owned())));
    }

    /// `application/x-www-form-urlencoded`.
    pub(super) fn encoded(&self) -> Zeroizing<String> {
        // Reserved at once: growing would leave copies behind that nobody wipes.
        let longest = self.0.iter().map(|(name, value)| {
            name.len().saturating_add(value.len().saturating_mul(3)).saturating_add(2)
        });
        let mut text = Zeroizing::new(String::with_capacity(longest.sum()));
        for (name, value) in &self.0 {
            if !text.is_empty() {
                text.push('&');
            }
            text.push_str(name);
            text.push('=');
            encode_into(value, &mut text);
        }
        text
    }
}

/// Percent-encodes everything but the unreserved characters.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    encode_into(text, &mut out);
    out
}

fn encode_into(text: &str, out: &mut String) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(octet));
        } else {
            out.push('%');
            for half in [octet >> 4, octet & 15] {
                out.push(DIGITS.get(usize::from(half)).copied().unwrap_or('0'));
            }
        }
    }
}

/// The value of a name in a query; decoded.
pub(super) fn parameter(query: &str, name: &str) -> Option<Zeroizing<String>> {
    let pair = query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    });
    pair.and_then(decode)
}

fn decode(text: &str) -> Option<Zeroizing<String>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from((high << 4) | low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(octets).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_encoded_and_queries_decoded() {
        let mut form = Form::default();
        form.add("scope", "https://a/ b");
        form.add("p", "ü&=+");
        assert_eq!(&**form.encoded(), "scope=https%3A%2F%2Fa%2F%20b&p=%C3%BC%26%3D%2B");
        let value = parameter("x=1&code=4%2F0+a%C3%BC&y", "code").unwrap();
        assert_eq!(&**value, "4/0 aü");
        assert_eq!(parameter("code=%4", "code"), None);
        assert_eq!(parameter("a=1", "b"), None);
    }
}
