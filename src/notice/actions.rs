//! What rules have asked for and isn't done.

use jiff::{SignedDuration, Timestamp};

use super::{ActionsFacts, Condition, Kind};

/// Actions that an outbound account's rest holds up are told after this time: short rests pass.
const WAITING_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// Those that are given up.
pub(super) fn actions(name: &str, failed: &ActionsFacts) -> Condition {
    let ActionsFacts { n, since, rule, reason } = failed;
    let (actions, they) =
        if *n == 1 { ("action has", "It isn't") } else { ("actions have", "They aren't") };
    Condition {
        kind: Kind::Actions,
        subject: name.to_owned(),
        grade: 1,
        since: *since,
        code: "action-failed".to_owned(),
        title: format!("{n} {actions} failed"),
        text: format!(
            "{n} {actions} failed for good. {they} tried any more; the mail is stored. The oldest, of rule \
             `{rule}`: {reason}."
        ),
        hint: Some(format!(
            "mend the receiver, then `postrider actions retry {name}`; or `postrider actions drop {name} --failed`"
        )),
    }
}

/// Refused logins of an outbound account use up no tries, so nothing fails by them.
pub(super) fn waiting(name: &str, waiting: &ActionsFacts, now: Timestamp) -> Option<Condition> {
    let ActionsFacts { since, rule, reason, .. } = waiting;
    (now.duration_since(*since) >= WAITING_AFTER).then(|| Condition {
        kind: Kind::Actions,
        subject: name.to_owned(),
        grade: 0,
        since: *since,
        code: "account-rests".to_owned(),
        title: "mail isn't forwarded".to_owned(),
        text: format!("What rules send on waits; the mail is stored. Of rule `{rule}`: {reason}."),
        hint: Some("see `postrider status` for the outbound account that is refused".to_owned()),
    })
}
