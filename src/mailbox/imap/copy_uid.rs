//! What COPYUID (RFC 4315 §3) says was copied, and whether that is what was asked for. Pure.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::uid_set::uids_of;

/// Ranges of one COPYUID that are read; a command names fewer.
const RANGES_MAX: usize = 10_000;

/// The response code of a COPY.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct CopyUid {
    /// UIDVALIDITY of the mailbox that has the copies.
    uid_validity: u32,
    from: Vec<RangeInclusive<u32>>,
    to: Vec<RangeInclusive<u32>>,
}

impl CopyUid {
    /// Reads it out of a status line, tagged or not.
    pub(super) fn of_line(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let (_, code) = line.split_once('[')?;
        let (code, _) = code.split_once(']')?;
        let mut words = code.split(' ');
        if !words.next()?.eq_ignore_ascii_case("COPYUID") {
            return None;
        }
        let uid_validity = words.next()?.parse().ok()?;
        Some(Self { uid_validity, from: ranges(words.next()?)?, to: ranges(words.next()?)? })
    }

    /// Whether it proves that each message of a set has a copy of its own in the mailbox with this
    /// UIDVALIDITY.
    pub(super) fn proves(&self, set: &str, uid_validity: Option<u32>) -> Result<(), &'static str> {
        if uid_validity != Some(self.uid_validity) {
            return Err("the copies are in another mailbox than the one that was looked at");
        }
        let asked: BTreeSet<u32> = uids_of(set).collect();
        let most = u64::try_from(asked.len()).unwrap_or(u64::MAX);
        if count(&self.from) != most || count(&self.to) != most {
            return Err("the numbers of messages and of copies are not what was asked for");
        }
        let from: BTreeSet<u32> = self.from.iter().cloned().flatten().collect();
        let to: BTreeSet<u32> = self.to.iter().cloned().flatten().collect();
        if from != asked || to.len() != asked.len() || to.contains(&0) {
            return Err("other messages were copied than those that were asked for");
        }
        Ok(())
    }
}

/// `5:3` means the same as `3:5` (RFC 4315 §4).
fn ranges(set: &str) -> Option<Vec<RangeInclusive<u32>>> {
    let member = |member: &str| {
        let (first, last) = member.split_once(':').unwrap_or((member, member));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        Some(first.min(last)..=first.max(last))
    };
    set.split(',').take(RANGES_MAX).map(member).collect()
}

/// Computed: a range may be of any length.
fn count(set: &[RangeInclusive<u32>]) -> u64 {
    let one = |range: &RangeInclusive<u32>| {
        u64::from(*range.end()).saturating_sub(u64::from(*range.start())).saturating_add(1)
    };
    set.iter().map(one).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(set: &str, code: &str) -> Result<(), &'static str> {
        let line = format!("R1 OK [COPYUID {code}] done");
        CopyUid::of_line(line.as_bytes()).ok_or("unreadable")?.proves(set, Some(9))
    }

    #[test]
    fn i24_copies_are_proven_by_count_by_uids_and_by_uidvalidity() {
        for (set, code) in [("5:6,9", "9 5:6,9 1:3"), ("5:6,9", "9 9,6:5 3,1:2"), ("5", "9 5 1")] {
            assert_eq!(proof(set, code), Ok(()), "{set}: {code}");
        }
        for code in [
            "8 5:6,9 1:3",
            "9 5:6 1:3",
            "9 5:7 1:3",
            "9 5:6,9 1:2",
            "9 5:6,9 1,1,1",
            "9 5:6,9 0:2",
            "9 5:6,9 1:4294967295",
            "9 1:4294967295 1:4294967295",
            "9 5:6,9 ",
            "9 5:6,9",
            "x 5:6,9 1:3",
            "9 * 1:3",
        ] {
            assert!(proof("5:6,9", code).is_err(), "{code}");
        }
        assert!(CopyUid::of_line(b"R1 OK [COPYUID 9 5 1] x").unwrap().proves("5", None).is_err());
    }

    #[test]
    fn lines_without_the_code_are_none() {
        for line in ["R1 OK done", "R1 OK [READ-WRITE] COPYUID 9 5 1", "* OK [UIDNEXT 5] [COPYUID"]
        {
            assert_eq!(CopyUid::of_line(line.as_bytes()), None, "{line}");
        }
    }
}
