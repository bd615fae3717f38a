//! What `plan` says of deletes, and what the next poll then does.

use super::*;
use crate::ledger::{ClockMark, Tx};
use crate::model::KeepReason;

impl Site {
    fn previewer(&self, network_root: bool) -> Previewer {
        Previewer {
            config: Arc::new(self.config.clone()),
            other: None,
            ledger: Ledger::open_read_only(&self.temp.path().join("state")).unwrap(),
            clock: Clock,
            keyring: Keyring {
                secrets: Arc::default(),
                redactor: Redactor::default(),
                tokens: Vault::new(self.temp.path(), Arc::default(), |_| {}),
            },
            configured: Arc::default(),
            network_root,
        }
    }

    /// The plan of the only mailbox.
    async fn preview(&self, network_root: bool) -> MailboxPlan {
        let previewer = self.previewer(network_root);
        let (mut preview, _) = previewer.both_in(self.server.session()).await.unwrap();
        preview.mailboxes.remove(0)
    }

    async fn change(&self, act: impl FnOnce(&Tx<'_>) + Send + 'static) {
        let ledger = Ledger::open(&self.temp.path().join("state")).unwrap();
        let done = ledger.write("change it", move |tx| {
            act(tx);
            Ok(())
        });
        done.await.unwrap();
    }
}

/// Why the deletes of a plan are held, if all are for one reason.
fn held(plan: &MailboxPlan) -> Option<DeletesHeld> {
    let causes = plan.keep.iter().map(|keep| match keep.why {
        KeepReason::DeletesHeld { cause } => Some(cause),
        _ => None,
    });
    let mut causes: Vec<_> = causes.collect();
    causes.dedup();
    if let [cause] = causes[..] { cause } else { None }
}

async fn stored() -> Site {
    let mut site = Site::new();
    site.deliver(3);
    ok(&site.poll().await);
    site.config.delete = DeleteRule::AfterDays(0);
    assert_eq!(site.preview(false).await.delete.len(), 3);
    site
}

#[tokio::test]
async fn network_root_and_a_server_without_uidplus_hold_the_deletes_of_a_plan() {
    let site = stored().await;
    assert_eq!(held(&site.preview(true).await), Some(DeletesHeld::NetworkRoot));
    site.server.with(|state| state.no_uid_plus = true);
    assert_eq!(held(&site.preview(false).await), Some(DeletesHeld::NotOffered));
    assert_eq!(site.poll().await.deleted, 0);
}

#[tokio::test]
async fn clock_that_jumped_holds_the_deletes_of_a_plan_as_those_of_the_poll() {
    let site = stored().await;
    site.change(|tx| {
        let now = Clock.mark();
        let ahead = now.wall.checked_add(SignedDuration::from_hours(5)).unwrap();
        tx.observe_clock(&ClockMark { wall: ahead, ..now.clone() }).unwrap();
        tx.observe_clock(&now).unwrap();
    })
    .await;
    assert_eq!(held(&site.preview(false).await), Some(DeletesHeld::ClockDoubt));
    assert_eq!(site.poll().await.deleted, 0);
}

#[tokio::test]
async fn account_that_moved_compares_all_its_mail_and_deletes_none() {
    let mut site = stored().await;
    site.config.host = "elsewhere.example".to_owned();
    let plan = site.preview(false).await;
    assert_eq!((plan.delete.len(), plan.fetch.len(), plan.keep.len()), (0, 3, 0));
    let report = site.poll().await;
    assert_eq!((report.deleted, report.archived, report.rekeyed), (0, 0, 3), "{report:?}");
}

#[tokio::test]
async fn account_that_was_renamed_is_planned_by_the_mail_of_its_old_name() {
    let mut site = stored().await;
    site.config.name = "new".into();
    let found = site.previewer(false).both_in(site.server.session()).await;
    assert!(matches!(found, Err(PollError::Renamed { .. })), "{found:?}");
    site.config.renamed_from = Some("box".into());
    let plan = site.preview(false).await;
    assert_eq!((plan.delete.len(), plan.fetch.len()), (3, 0));
}
