//! Ends that are known beforehand: certificates and clients' secrets.

use jiff::{SignedDuration, Timestamp};

use super::text::{moment, span};
use super::{AccountFacts, Condition, Expiry, Kind};

/// Days before an end at which it is told: first, again, last.
const SECRET_DAYS: [i64; 3] = [30, 7, 1];
const CERTIFICATE_DAYS: [i64; 3] = [7, 3, 1];

pub(super) fn certificate(
    account: &AccountFacts,
    expiry: Expiry,
    now: Timestamp,
) -> Option<Condition> {
    let lifetime = expiry.until.duration_since(expiry.from);
    // One that lives for a few days is renewed every few days.
    let days = CERTIFICATE_DAYS
        .into_iter()
        .filter(|days| SignedDuration::from_hours(days.saturating_mul(24 * 4)) <= lifetime);
    let grade = grade(expiry.until, days, now)?;
    Some(Condition {
        kind: Kind::Certificate,
        subject: account.name.clone(),
        grade,
        since: now,
        code: "certificate-expires".to_owned(),
        title: format!("the server's certificate {}", ends(expiry.until, now)),
        text: format!(
            "The certificate of the account's server is good until {}. Without a new one polls \
             fail then.",
            moment(expiry.until)
        ),
        hint: Some("the server's owner must renew it".to_owned()),
    })
}

pub(super) fn client_certificate(
    name: &str,
    until: Timestamp,
    now: Timestamp,
) -> Option<Condition> {
    let grade = grade(until, SECRET_DAYS.into_iter(), now)?;
    Some(Condition {
        kind: Kind::ClientCertificate,
        subject: name.to_owned(),
        grade,
        since: now,
        code: "certificate-expires".to_owned(),
        title: format!("the account's own certificate {}", ends(until, now)),
        text: format!("The file of `tls_client_certificate` is good until {}.", moment(until)),
        hint: Some("put a new one in its place; it is read anew with each connection".to_owned()),
    })
}

pub(super) fn secret(name: &str, until: Timestamp, now: Timestamp) -> Option<Condition> {
    let grade = grade(until, SECRET_DAYS.into_iter(), now)?;
    Some(Condition {
        kind: Kind::OauthSecret,
        subject: name.to_owned(),
        grade,
        since: now,
        code: "oauth-secret-expires".to_owned(),
        title: format!("the client's secret of [oauth.{name}] {}", ends(until, now)),
        text: format!("By `secret_expires` it is good until {}.", moment(until)),
        hint: Some(
            "make a new one at the provider, put it where `client_secret` points, and correct \
             `secret_expires`"
                .to_owned(),
        ),
    })
}

/// How near an end is: 1 and more; `None` while it is far.
fn grade(until: Timestamp, days: impl Iterator<Item = i64>, now: Timestamp) -> Option<u32> {
    let left = until.duration_since(now);
    let passed = days.filter(|days| left <= SignedDuration::from_hours(days.saturating_mul(24)));
    let over = u32::from(left <= SignedDuration::ZERO);
    let grade = u32::try_from(passed.count()).unwrap_or(0).saturating_add(over);
    (grade > 0).then_some(grade)
}

fn ends(until: Timestamp, now: Timestamp) -> String {
    let left = until.duration_since(now);
    if left <= SignedDuration::ZERO {
        format!("expired {} ago", span(left.abs()))
    } else {
        format!("expires in {}", span(left))
    }
}
