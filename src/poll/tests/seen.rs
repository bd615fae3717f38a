//! Only what nobody has read, and marks on what is stored.

use super::*;

impl Site {
    fn read_by_somebody(&self, uid: u32, seen: bool) {
        self.server.change(|state| state.messages.get_mut(&uid).unwrap().seen = seen);
    }

    fn commands(&self, word: &str) -> Vec<String> {
        self.server.with(|state| {
            state.commands.iter().filter(|command| command.starts_with(word)).cloned().collect()
        })
    }

    fn seen(&self) -> Vec<u32> {
        self.server.with(|state| {
            let seen = state.messages.iter().filter(|(_, message)| message.seen);
            seen.map(|(uid, _)| *uid).collect()
        })
    }
}

#[tokio::test]
async fn only_unseen_messages_are_fetched_and_flags_of_others_are_noticed() {
    let mut site = Site::new();
    site.config.only_unseen = true;
    site.deliver(3);
    site.read_by_somebody(2, true);
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.archived, report.skipped.get("seen")), (2, Some(&1)));
    let idle = site.poll().await;
    assert_eq!((idle.unchanged, idle.archived), (1, 0), "HIGHESTMODSEQ tells of flags");
    site.read_by_somebody(2, false);
    assert_eq!(site.poll().await.archived, 1, "marked as unread again");
    site.read_by_somebody(1, true);
    let report = site.poll().await;
    assert_eq!((report.archived, report.unchanged), (0, 0), "stored whatever its flags");
}

#[tokio::test]
async fn without_modification_sequences_each_poll_lists_what_may_have_been_read() {
    let mut site = Site::new();
    site.config.only_unseen = true;
    site.deliver(2);
    site.server.with(|state| state.messages.get_mut(&1).unwrap().seen = true);
    assert_eq!(site.poll().await.archived, 1);
    assert_eq!(site.poll().await.unchanged, 0);
    site.server.with(|state| state.messages.get_mut(&1).unwrap().seen = false);
    assert_eq!(site.poll().await.archived, 1);
    site.config.only_unseen = false;
    site.poll().await;
    assert_eq!(site.poll().await.unchanged, 1, "and none without the rule");
}

#[tokio::test]
async fn stored_messages_are_marked_once_and_a_person_may_take_the_mark_off() {
    let mut site = Site::new();
    site.config.mark_seen = true;
    site.deliver(3);
    site.read_by_somebody(2, true);
    ok(&site.poll().await);
    assert_eq!((site.seen(), site.commands("mark")), (vec![1, 2, 3], vec!["mark [1, 3]".into()]));
    site.read_by_somebody(1, false);
    ok(&site.poll().await);
    let idle = site.poll().await;
    assert_eq!((idle.unchanged, site.seen()), (1, vec![2, 3]));
    assert_eq!(site.commands("mark").len(), 1, "an idle poll sends none");
}

#[tokio::test]
async fn marks_that_were_refused_are_made_later_without_another_listing() {
    let mut site = Site::new();
    site.config.mark_seen = true;
    site.deliver(2);
    site.server.change(|state| state.no_marks = true);
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.archived, site.seen()), (2, vec![]));
    site.server.with(|state| state.no_marks = false);
    let report = site.poll().await;
    assert_eq!((report.unchanged, site.seen()), (1, vec![1, 2]));
}

#[tokio::test]
async fn marks_come_after_the_commit_and_only_where_they_are_wanted() {
    let site = Site::new();
    site.deliver(2);
    ok(&site.poll().await);
    assert_eq!(site.commands("mark"), [""; 0]);
    let mut site = site;
    site.config.mark_seen = true;
    site.deliver(1);
    ok(&site.poll().await);
    assert_eq!(site.commands("mark"), ["mark [3]"], "what was stored before stays as it is");
    let all = site.server.with(|state| state.commands.clone());
    let at = |word: &str| all.iter().rposition(|command| command == word).unwrap();
    assert!(at("fetch 3") < at("mark [3]"));
}
