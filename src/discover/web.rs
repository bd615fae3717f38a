//! Autoconfig documents: of the domain, and of a database where that is wanted.

use std::fmt::Write as _;

use super::{LIMIT, Question};
use crate::net::{HttpRequest, Url, exchange, within};
use crate::provider::autoconfig;
use crate::provider::detect::{self, Finding, Source};

/// Mozilla's database of autoconfig documents.
pub const CENTRAL: &str = "https://autoconfig.thunderbird.net/v1.1/%EMAILDOMAIN%";

/// Redirects that are followed, one after the other.
const REDIRECTS: usize = 3;

/// The document of the first place that has one.
pub(super) async fn ask(question: &Question, source: Source) -> Result<Finding, String> {
    let mut last = "none".to_owned();
    for url in places(question, source) {
        let document = match within(LIMIT, document(question, &url)).await {
            None => Err(format!("no answer within {} s", LIMIT.as_secs())),
            Some(document) => document,
        };
        let read = document.and_then(|octets| {
            autoconfig::read(&octets, &question.address).map_err(|why| format!("refused: {why}"))
        });
        match read {
            Ok(document) if document.servers.is_empty() => {
                last = match document.refused.first() {
                    Some(why) => format!("no server that can be used ({why})"),
                    None => "no server in it".to_owned(),
                };
            }
            Ok(document) => return Ok(detect::of_document(source, document, &question.address)),
            Err(why) => last = why,
        }
    }
    Err(last)
}

fn places(question: &Question, source: Source) -> Vec<String> {
    let domain = &question.domain;
    let address = encoded(&question.address);
    let own = |scheme: &str| {
        vec![
            format!("{scheme}://autoconfig.{domain}/mail/config-v1.1.xml?emailaddress={address}"),
            format!("{scheme}://{domain}/.well-known/autoconfig/mail/config-v1.1.xml"),
        ]
    };
    let filled = |url: &String| {
        vec![url.replace("%EMAILDOMAIN%", domain).replace("%EMAILADDRESS%", &address)]
    };
    match source {
        Source::Autoconfig => question.autoconfig_url.as_ref().map_or_else(|| own("https"), filled),
        Source::PlainAutoconfig => own("http"),
        _ => question.central_url.as_ref().map(filled).unwrap_or_default(),
    }
}

/// Follows redirects that lead to HTTPS; what came in the clear stays in doubt all the same.
async fn document(question: &Question, url: &str) -> Result<Vec<u8>, String> {
    let mut url = Url::parse_any(url).ok_or("the place is no URL of the web")?;
    for _ in 0..=REDIRECTS {
        let request = HttpRequest {
            url: &url,
            method: "GET",
            accept: "text/xml, application/xml",
            fields: "",
            body: "",
        };
        let answer = exchange(request, question.tls(), LIMIT).await?;
        match answer.status {
            200 => return Ok(answer.body.to_vec()),
            301 | 302 | 303 | 307 | 308 => {
                let to = answer.location.as_deref().and_then(Url::parse);
                url = to.ok_or_else(|| format!("{} leads elsewhere, not to https", url.host))?;
            }
            404 | 410 => return Err("none".to_owned()),
            status => return Err(format!("{} answers {status}", url.host)),
        }
    }
    Err("it leads from one place to the next".to_owned())
}

/// Percent-encodes all but letters, digits and what stands in most addresses.
fn encoded(text: &str) -> String {
    let plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"-._~@".contains(octet);
    text.bytes().fold(String::new(), |mut out, octet| {
        if plain(&octet) {
            out.push(char::from(octet));
        } else {
            write!(out, "%{octet:02X}").ok();
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question {
            address: "a&b@x.example".to_owned(),
            domain: "x.example".to_owned(),
            wanted: None,
            port: None,
            dns_server: None,
            autoconfig_url: None,
            central_url: None,
            ca_file: None,
        }
    }

    #[test]
    fn the_domains_own_places_come_first_and_the_database_only_if_it_is_wanted() {
        let own = places(&question(), Source::Autoconfig);
        assert_eq!(
            own,
            [
                "https://autoconfig.x.example/mail/config-v1.1.xml?emailaddress=a%26b@x.example",
                "https://x.example/.well-known/autoconfig/mail/config-v1.1.xml",
            ]
        );
        assert!(places(&question(), Source::Central).is_empty());
        let central = Question { central_url: Some(CENTRAL.to_owned()), ..question() };
        let asked = places(&central, Source::Central);
        assert_eq!(asked, ["https://autoconfig.thunderbird.net/v1.1/x.example"]);
    }
}
