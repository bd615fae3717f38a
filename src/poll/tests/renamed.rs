//! Mailboxes and accounts under other names.

use super::*;

#[tokio::test]
async fn i34_mailbox_that_was_renamed_on_the_server_keeps_its_copies() {
    for (uid_validity, still_named) in [(7, false), (8, false), (7, true)] {
        let mut site = Site::new();
        site.config.folders = vec!["Old".to_owned()];
        site.server.with(|s| s.mailbox = "Old".to_owned());
        site.deliver(15);
        assert_eq!(site.poll().await.archived, 15);
        let stored = site.stored();
        site.server.with(|s| {
            (s.mailbox, s.uid_validity) = ("New".to_owned(), uid_validity);
        });
        let old = still_named.then(|| "Old".to_owned());
        site.config.folders = old.into_iter().chain(["New".to_owned()]).collect();
        let report = site.poll().await;
        assert_eq!(report.error.is_some(), still_named, "{:?}", report.error);
        assert_eq!((report.archived, report.rekeyed), (0, 15));
        assert_eq!((site.stored() == stored, site.count("fetch")), (true, 15));
        site.config.delete = DeleteRule::AfterDays(0);
        let report = site.poll().await;
        assert_eq!((report.archived, report.deleted), (0, 15));
        assert_eq!(site.stored(), stored);
    }
}

#[tokio::test]
async fn g03_account_under_another_name_is_refused_with_the_line_to_write() {
    let mut site = Site::new();
    site.deliver(4);
    ok(&site.poll().await);
    let stored = site.stored();
    site.config.name = "post".into();
    let report = site.poll().await;
    let error = report.error.unwrap();
    assert_eq!((error.code, report.archived), ("account-renamed", 0));
    let hint = error.hint.unwrap();
    assert!(hint.contains("renamed_from = \"box\"") && hint.contains("[inbound.post]"), "{hint}");
    assert_eq!(site.stored(), stored);
    site.config.renamed_from = Some("box".into());
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.archived, site.stored() == stored), (0, true));
    site.config.renamed_from = None;
    ok(&site.poll().await);
}

#[tokio::test]
async fn g03_account_of_another_user_is_a_new_one() {
    let mut site = Site::new();
    site.deliver(1);
    ok(&site.poll().await);
    (site.config.name, site.config.user) = ("post".into(), "v".to_owned());
    ok(&site.poll().await);
    assert_eq!(site.stored().len(), 2);
}
