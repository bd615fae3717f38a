//! Requests to a provider's endpoints: HTTPS alone, by the rules of its table.

use zeroize::Zeroizing;

use super::OauthError;
use super::url::Form;
use crate::config::{Oauth, TlsRules};
use crate::net::{HttpRequest, Url, exchange};

pub(super) use crate::net::HttpAnswer as Answer;

/// Sends a form.
pub(super) async fn post(
    oauth: &Oauth,
    url: &str,
    form: &Form,
    authorization: Option<&Zeroizing<String>>,
) -> Result<Answer, OauthError> {
    let body = form.encoded();
    let authorization = authorization.map_or(Zeroizing::new(String::new()), |value| {
        Zeroizing::new(format!("Authorization: {}\r\n", value.as_str()))
    });
    let fields = Zeroizing::new(format!(
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n{}",
        body.len(),
        authorization.as_str()
    ));
    ask(oauth, url, ("POST", &fields, &body)).await
}

/// Asks for a document.
pub(super) async fn get(oauth: &Oauth, url: &str) -> Result<Answer, OauthError> {
    ask(oauth, url, ("GET", "", "")).await
}

async fn ask(
    oauth: &Oauth,
    url: &str,
    (method, fields, body): (&'static str, &str, &str),
) -> Result<Answer, OauthError> {
    let Some(url) = Url::parse(url) else {
        return Err(OauthError::unavailable("the endpoint is no https URL"));
    };
    let tls = TlsRules { ca_file: oauth.ca_file.clone(), ..TlsRules::default() };
    let request = HttpRequest { url: &url, method, accept: "application/json", fields, body };
    exchange(request, tls, oauth.timeout).await.map_err(OauthError::unavailable)
}
