//! What becomes of a message, by what the ledger and the server say of it. Pure.

use std::collections::BTreeSet;

use super::Wish;
use crate::ledger::{Home, RestoreTarget, RestoredRow};
use crate::mailbox::imap::Seen;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    /// It is put there.
    Append,
    /// It was put there before; whether it still is, is nobody's business but its reader's.
    Before,
    /// It may be there, under this UID or a higher one: it is looked for.
    Look {
        /// 0: under any.
        from: u32,
    },
    /// The server shows it there.
    There(u32),
}

/// The UIDs that it may have there, to be asked for before anything is decided.
pub(super) fn asked(
    row: Option<&RestoredRow>,
    home: Option<&Home>,
    to: &RestoreTarget,
    again: bool,
) -> Vec<u32> {
    let same_owner = |home: &&Home| home.origin.is_empty() || home.origin == to.origin;
    let home = home.filter(same_owner).filter(|home| {
        home.mailbox == to.mailbox && home.uid_validity == to.uid_validity && to.uid_validity > 0
    });
    let put = row.filter(|row| again && !row.is_open && row.uid_validity == to.uid_validity);
    let uids = home.map(|home| home.uid).into_iter().chain(put.map(|row| row.uid));
    uids.filter(|uid| *uid > 0).collect()
}

/// Decides; `there` are those of the UIDs that were [`asked`] for and that the server shows.
pub(super) fn fate(
    row: Option<&RestoredRow>,
    (asked, there): (&[u32], &BTreeSet<u32>),
    to: &RestoreTarget,
    wish: Wish,
) -> Fate {
    if let Some(uid) = asked.iter().find(|uid| there.contains(uid)) {
        return Fate::There(*uid);
    }
    let Some(row) = row else {
        return if wish.look { Fate::Look { from: 0 } } else { Fate::Append };
    };
    if row.uid_validity != to.uid_validity {
        // Made anew, or its messages were renumbered: only their content tells.
        return Fate::Look { from: 0 };
    }
    match (row.is_open, wish.again) {
        (false, false) => Fate::Before,
        (false, true) if row.uid > 0 => Fate::Append,
        _ => Fate::Look { from: row.uid_from },
    }
}

/// What tells a message from others.
#[derive(Clone, Debug)]
pub(super) struct Own {
    /// Its octets, and those with each bare LF as CRLF and a last line end.
    pub(super) octets: (u64, u64),
    /// Of the latter, which many servers store in place of what they were given.
    pub(super) digest: [u8; 32],
    /// Its INTERNALDATE.
    pub(super) at: Option<jiff::Timestamp>,
}

impl Own {
    /// Whether its size is one that the message may have.
    pub(super) fn may_be(&self, seen: &Seen) -> bool {
        seen.size.is_none_or(|size| (self.octets.0..=self.octets.1).contains(&size))
    }

    /// Whether it is the message though its octets differ: some servers write mail anew. Only among
    /// messages that came after the sending began, and by all that such a server leaves as it was.
    pub(super) fn is_rewritten(&self, seen: &Seen, from: u32) -> bool {
        let second = |at: Option<jiff::Timestamp>| at.map(jiff::Timestamp::as_second);
        from > 0 && seen.uid >= from && seen.is_named && second(seen.at) == second(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::{fate as of, *};

    fn to(uid_validity: u32) -> RestoreTarget {
        let origin = "imap u@h".to_owned();
        RestoreTarget { origin, mailbox: "Back".to_owned(), uid_validity, uid_from: 1 }
    }

    fn row(uid_validity: u32, uid: u32, is_open: bool) -> RestoredRow {
        RestoredRow { uid_validity, uid_from: 5, uid, is_open }
    }

    fn home(origin: &str, mailbox: &str, uid_validity: u32) -> Home {
        Home { origin: origin.to_owned(), mailbox: mailbox.to_owned(), uid_validity, uid: 3 }
    }

    #[test]
    fn each_message_has_its_fate_by_row_server_and_wish() {
        let fate = |row: Option<RestoredRow>, there: &[u32], again| {
            let asked = asked(row.as_ref(), None, &to(7), again);
            let wish = Wish { again, ..Wish::default() };
            of(row.as_ref(), (&asked, &there.iter().copied().collect()), &to(7), wish)
        };
        assert_eq!(fate(None, &[], false), Fate::Append);
        assert_eq!(fate(None, &[], true), Fate::Append);
        for again in [false, true] {
            assert_eq!(fate(Some(row(7, 0, true)), &[], again), Fate::Look { from: 5 });
            assert_eq!(fate(Some(row(8, 0, true)), &[9], again), Fate::Look { from: 0 });
            assert_eq!(fate(Some(row(8, 9, false)), &[9], again), Fate::Look { from: 0 });
        }
        assert_eq!(fate(Some(row(7, 9, false)), &[], false), Fate::Before);
        assert_eq!(fate(Some(row(7, 9, false)), &[9], true), Fate::There(9));
        assert_eq!(fate(Some(row(7, 9, false)), &[], true), Fate::Append);
        assert_eq!(fate(Some(row(7, 0, false)), &[], true), Fate::Look { from: 5 });
        assert_eq!(fate(Some(row(7, 0, false)), &[], false), Fate::Before);
        let look = Wish { look: true, ..Wish::default() };
        let none = BTreeSet::new();
        assert_eq!(of(None, (&[], &none), &to(7), look), Fate::Look { from: 0 });
        assert_eq!(of(Some(&row(7, 9, false)), (&[], &none), &to(7), look), Fate::Before);
    }

    #[test]
    fn mail_that_never_left_its_mailbox_is_there_already() {
        let ask = |home: &Home, to: &RestoreTarget| asked(None, Some(home), to, false);
        assert_eq!(ask(&home("imap u@h", "Back", 7), &to(7)), [3]);
        assert_eq!(ask(&home("", "Back", 7), &to(7)), [3]);
        assert!(ask(&home("imap v@h", "Back", 7), &to(7)).is_empty());
        assert!(ask(&home("imap u@h", "INBOX", 7), &to(7)).is_empty());
        assert!(ask(&home("imap u@h", "Back", 8), &to(7)).is_empty());
        assert!(ask(&home("imap u@h", "Back", 0), &to(0)).is_empty());
        let there = BTreeSet::from([3]);
        assert_eq!(fate(None, (&[3], &there), &to(7), Wish::default()), Fate::There(3));
        assert_eq!(fate(None, (&[3], &BTreeSet::new()), &to(7), Wish::default()), Fate::Append);
    }

    #[test]
    fn message_that_a_server_wrote_anew_is_known_by_name_and_date_among_new_ones_only() {
        let at: jiff::Timestamp = "2026-01-01T00:00:00.7Z".parse().unwrap();
        let own = Own { octets: (100, 103), digest: [0; 32], at: Some(at) };
        let server = Some("2026-01-01T00:00:00Z".parse().unwrap());
        let seen = Seen { uid: 7, size: Some(120), at: server, is_named: true };
        assert!(own.is_rewritten(&seen, 7) && !own.may_be(&seen));
        assert!(!own.is_rewritten(&seen, 8) && !own.is_rewritten(&seen, 0));
        assert!(!own.is_rewritten(&Seen { is_named: false, ..seen.clone() }, 7));
        assert!(!own.is_rewritten(&Seen { at: None, ..seen.clone() }, 7));
        for size in [Some(100), Some(102), Some(103), None] {
            assert!(own.may_be(&Seen { size, ..seen.clone() }));
        }
    }
}
