//! What a token endpoint said: tokens, a refusal, or nothing that can be used. Pure.

use std::time::Duration;

use serde::Deserialize;

use super::http::Answer;
use super::{Claims, OauthError, Refusal};
use crate::secret::Secret;

/// An endpoint that doesn't say how long its tokens live gets asked again after this.
const LIFETIME_UNSAID: Duration = Duration::from_mins(10);
/// The longest that an endpoint may send us away.
const LONGEST_AFTER: Duration = Duration::from_hours(24);

/// A usable answer.
pub(super) enum Said {
    Refused(Refusal),
    Tokens(Tokens),
}

/// What was granted (RFC 6749 §5.1).
pub(super) struct Tokens {
    pub(super) access: Secret,
    pub(super) lifetime: Duration,
    pub(super) refresh: Option<Secret>,
    /// `None`: those that were asked for.
    pub(super) scopes: Option<Vec<String>>,
    /// Whose tokens they are, as they say themselves.
    pub(super) account: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    access_token: Option<String>,
    token_type: Option<String>,
    expires_in: Option<Seconds>,
    refresh_token: Option<String>,
    scope: Option<String>,
    id_token: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    error_codes: Vec<u32>,
}

/// Some endpoints put numbers in quotes.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Seconds {
    Number(f64),
    Text(String),
}

impl Seconds {
    pub(super) fn duration(&self) -> Option<Duration> {
        let seconds = match self {
            Self::Number(number) => *number,
            Self::Text(text) => text.trim().parse().ok()?,
        };
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// Reads an answer; an error is what may pass by itself.
pub(super) fn read(answer: &Answer) -> Result<Said, OauthError> {
    let body = json(answer)?;
    let body: Body = serde_json::from_slice(body)
        .map_err(|_| OauthError::unavailable(format!("{} that can't be read", shown(answer))))?;
    if let Some(error) = body.error {
        if ["temporarily_unavailable", "server_error"].contains(&error.as_str()) {
            return Err(OauthError::unavailable(format!("the token endpoint says {error}")));
        }
        return Ok(Said::Refused(Refusal {
            error: plain(&error, 64),
            description: plain(&body.error_description.unwrap_or_default(), 400),
            codes: body.error_codes,
        }));
    }
    let bearer = body.token_type.is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
    let usable = |token: String| Secret::new(token).ok();
    let Some(access) = body.access_token.and_then(usable).filter(|_| bearer) else {
        return Err(OauthError::unavailable(format!("{} without a token", shown(answer))));
    };
    let lifetime = body.expires_in.and_then(|seconds| seconds.duration());
    let id_token = body.id_token.map(zeroize::Zeroizing::new);
    let named = id_token.and_then(|token| Claims::of(&token));
    let named = named.or_else(|| Claims::of(access.expose()));
    Ok(Said::Tokens(Tokens {
        account: named.and_then(|claims| claims.user().map(str::to_owned)),
        access,
        lifetime: lifetime.unwrap_or(LIFETIME_UNSAID),
        refresh: body.refresh_token.and_then(usable),
        scopes: body.scope.map(|scope| scope.split_whitespace().map(str::to_owned).collect()),
    }))
}

/// The body of an answer that is one: no overload, no redirect, no page of a hotel's network.
pub(super) fn json(answer: &Answer) -> Result<&[u8], OauthError> {
    let what = match answer.status {
        429 => "the token endpoint asks for patience (HTTP 429)".to_owned(),
        300..=399 => format!("HTTP {}: redirects are not followed", answer.status),
        500.. => format!("the token endpoint fails (HTTP {})", answer.status),
        _ if answer.media_type.ends_with("json") => return Ok(&answer.body),
        _ => shown(answer),
    };
    Err(OauthError::Unavailable { what, after: answer.retry_after.map(|a| a.min(LONGEST_AFTER)) })
}

fn shown(answer: &Answer) -> String {
    let media_type = plain(&answer.media_type, 64);
    let media_type = if media_type.is_empty() { "no type".to_owned() } else { media_type };
    format!("the token endpoint gave an answer (HTTP {}, {media_type})", answer.status)
}

/// Text from outside: cut, and harmless for a terminal.
pub(super) fn plain(text: &str, most: usize) -> String {
    let mut words = String::new();
    for c in text.chars().take(most) {
        match c {
            '\r' | '\n' | '\t' => words.push(' '),
            c if c.is_control() => words.extend(c.escape_unicode()),
            c => words.push(c),
        }
    }
    words.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn answer(status: u16, media_type: &str, body: &str) -> Answer {
        let body = Zeroizing::new(body.as_bytes().to_vec());
        Answer {
            status,
            retry_after: None,
            location: None,
            media_type: media_type.to_owned(),
            body,
        }
    }

    fn said(status: u16, body: &str) -> Result<Said, OauthError> {
        read(&answer(status, "application/json", body))
    }

    #[test]
    fn tokens_are_read_with_numbers_in_quotes_or_without() {
        for seconds in ["3599", "\"3599\"", "3599.0"] {
            let body = format!(
                r#"{{"access_token":"a","expires_in":{seconds},"token_type":"bEARER","scope":"x y"}}"#
            );
            let Ok(Said::Tokens(tokens)) = said(200, &body) else { panic!("{body}") };
            assert_eq!(tokens.lifetime, Duration::from_secs(3599));
            assert_eq!(tokens.scopes.unwrap(), ["x", "y"]);
            assert!(tokens.refresh.is_none());
        }
        let Ok(Said::Tokens(tokens)) = said(200, r#"{"access_token":"a"}"#) else { panic!() };
        assert_eq!(tokens.lifetime, LIFETIME_UNSAID);
    }

    #[test]
    fn refusals_are_read_with_their_codes() {
        let body = r#"{"error":"invalid_grant","error_description":"AADSTS70008: x\r\ny","error_codes":[70008]}"#;
        let Ok(Said::Refused(refusal)) = said(400, body) else { panic!() };
        assert_eq!((&*refusal.error, &*refusal.codes), ("invalid_grant", &[70008][..]));
        assert_eq!(refusal.description, "AADSTS70008: x  y");
    }

    #[test]
    fn a06_overload_pages_redirects_and_rubbish_may_pass_by_themselves() {
        let cases = [
            answer(503, "text/plain", "later"),
            answer(429, "application/json", "{}"),
            answer(302, "text/html", ""),
            answer(200, "text/html", "<html>hotel</html>"),
            answer(200, "application/json", "{\"access_token\": "),
            answer(200, "application/json", "{}"),
            answer(200, "application/json", r#"{"access_token":"a","token_type":"mac"}"#),
            answer(200, "application/json", "{\"access_token\":\"a\\r\\nDELE 1\"}"),
            answer(400, "application/json", r#"{"error":"temporarily_unavailable"}"#),
        ];
        for case in cases {
            let read = read(&case);
            assert!(matches!(read, Err(OauthError::Unavailable { .. })), "{}", case.status);
        }
    }
}
