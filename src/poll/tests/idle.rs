//! Polls of mailboxes in which nothing has changed while their deletes are held.

use super::*;

impl Site {
    pub(super) async fn write(&self, act: impl FnOnce(&crate::ledger::Tx<'_>) + Send + 'static) {
        let ledger = Ledger::open(&self.temp.path().join("state")).unwrap();
        let done = ledger.write("change it", move |tx| {
            act(tx);
            Ok(())
        });
        done.await.unwrap();
    }
}

#[tokio::test]
async fn mailbox_is_not_listed_again_while_its_deletes_are_stopped_and_is_when_they_are_resumed() {
    let mut site = Site::new();
    site.deliver(3);
    ok(&site.poll().await);
    site.config.delete = DeleteRule::AfterDays(0);
    let now = Clock.now();
    site.write(move |tx| tx.stop_deletes("box", "a test", now).unwrap()).await;
    let held = site.poll().await;
    assert_eq!(held.not_deleted.values().sum::<u32>(), 3, "{held:?}");
    for _ in 0..2 {
        let report = site.poll().await;
        ok(&report);
        assert_eq!((report.unchanged, report.deleted), (1, 0));
    }
    site.write(|tx| drop(tx.resume("box").unwrap())).await;
    assert_eq!(site.poll().await.deleted, 3);
    assert!(site.server.uids().is_empty());
}
