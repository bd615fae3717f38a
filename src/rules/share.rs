//! Which of the due tries begin: no rule takes all the room, and an outbound account sends one mail
//! at a time.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::config::Rule;

/// What can begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Candidate<'a> {
    /// The outbound account that it is sent by. A second mail would only wait for the first, and
    /// hold room that others could use.
    pub lane: Option<&'a str>,
    /// The only try of its rule.
    pub is_first: bool,
    /// Since when it has been due; and its number.
    pub since: (Timestamp, i64),
}

/// How many more tries of a rule may begin, with so many under way of it and of all rules.
pub fn room(rule: &Rule, under_way: usize, of_all: usize, most: usize) -> usize {
    let free = most.saturating_sub(of_all);
    let spare = free.saturating_sub(kept(most));
    let open = if under_way == 0 { spare.max(free.min(1)) } else { spare };
    rule.concurrency.saturating_sub(under_way).min(open)
}

/// Which of the candidates begin, by their places, while so many tries are under way; of each lane
/// at most the one that waits longest.
pub fn chosen(candidates: &[Candidate<'_>], of_all: usize, most: usize) -> Vec<usize> {
    let mut longest: BTreeMap<&str, (Timestamp, i64)> = BTreeMap::new();
    for Candidate { lane, since, .. } in candidates {
        if let Some(lane) = lane {
            let first = longest.entry(lane).or_insert(*since);
            *first = (*first).min(*since);
        }
    }
    let waits_longest = |candidate: &Candidate<'_>| {
        candidate.lane.is_none_or(|lane| longest.get(lane) == Some(&candidate.since))
    };
    let fit = || candidates.iter().enumerate().filter(|(_, one)| waits_longest(one));
    let free = most.saturating_sub(of_all);
    let places = |first: bool| fit().filter(move |(_, one)| one.is_first == first).map(|(n, _)| n);
    let mut chosen: Vec<usize> = places(true).take(free).collect();
    let spare = free.saturating_sub(kept(most)).saturating_sub(chosen.len());
    chosen.extend(places(false).take(spare));
    chosen
}

/// Room that is kept for rules of which nothing is under way.
fn kept(most: usize) -> usize {
    most / 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::tests::rule;

    fn candidate(lane: Option<&'static str>, is_first: bool, since: i64) -> Candidate<'static> {
        Candidate { lane, is_first, since: (Timestamp::from_second(since).unwrap(), since) }
    }

    #[test]
    fn no_more_tries_than_the_rule_and_the_process_allow() {
        let rule = Rule { concurrency: 4, ..rule("a") };
        assert_eq!(room(&rule, 0, 0, 64), 4);
        assert_eq!(room(&rule, 3, 10, 64), 1);
        assert_eq!(room(&rule, 5, 10, 64), 0);
        assert_eq!(room(&rule, 0, 63, 64), 1);
        assert_eq!(room(&rule, 0, 64, 64), 0);
    }

    #[test]
    fn rules_with_slow_receivers_leave_room_for_a_first_try_of_each_other_rule() {
        let greedy = Rule { concurrency: 64, ..rule("a") };
        assert_eq!(room(&greedy, 0, 0, 64), 48);
        assert_eq!(room(&greedy, 48, 48, 64), 0);
        assert_eq!(room(&greedy, 40, 40, 64), 8);
        assert_eq!(room(&rule("b"), 0, 48, 64), 1);
        let due: Vec<_> = (0..96).map(|n| candidate(None, n == 0 || n == 95, n)).collect();
        let begun = chosen(&due, 0, 64);
        assert_eq!((begun.len(), &begun[..3]), (48, &[0, 95, 1][..]));
        assert_eq!(chosen(&due, 60, 64), [0, 95]);
    }

    #[test]
    fn outbound_account_has_one_mail_at_a_time_and_the_oldest_goes_first() {
        let due = [
            candidate(Some("slow"), true, 9),
            candidate(Some("slow"), false, 10),
            candidate(Some("other"), true, 20),
            candidate(None, true, 30),
            candidate(Some("slow"), true, 5),
        ];
        assert_eq!(chosen(&due, 0, 64), [2, 3, 4]);
        assert_eq!(chosen(&due, 64, 64), [0_usize; 0]);
    }
}
