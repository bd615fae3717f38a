//! Any order of what can happen to a mailbox, its ledger and the program between and within polls:
//! nothing is lost, nothing is there twice, and nothing leaves the server before it is stored.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a model counts a few messages, and puts an older ledger in its place"
)]

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use proptest::prelude::*;

use super::*;
use crate::archive::Reader;
use crate::recovery::{Place, reconcile};

/// UIDVALIDITY at the begin.
const FIRST: u32 = 7;

/// One thing that happens. Messages are chosen by their place, modulo how many there are.
#[derive(Clone, Debug)]
enum Act {
    /// New messages; a twin has the octets of the one before.
    Arrive { n: u8, twin: bool },
    /// Another client removes one.
    Vanish(u8),
    /// Another UIDVALIDITY, or the first one again; UIDs begin anew, or not.
    Flip { back: bool, renumber: bool },
    /// Another message gets the UID of one, which is gone.
    Reuse(u8),
    /// Stored mail is deleted from now on, or not.
    Deletes(bool),
    /// A poll without a fault.
    Poll,
    /// The connection is lost after so many bodies.
    PollLost(u8),
    /// The program ends at its n-th chance to.
    PollKilled(u16),
    /// The ledger is copied.
    Keep,
    /// The copy takes the ledger's place, and is reconciled as the program asks for.
    Restore,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1..4_u8, prop::bool::weighted(0.3)).prop_map(|(n, twin)| Act::Arrive { n, twin }),
        2 => any::<u8>().prop_map(Act::Vanish),
        2 => (prop::bool::weighted(0.2), any::<bool>())
            .prop_map(|(back, renumber)| Act::Flip { back, renumber }),
        3 => any::<u8>().prop_map(Act::Reuse),
        3 => any::<bool>().prop_map(Act::Deletes),
        5 => Just(Act::Poll),
        2 => (0..4_u8).prop_map(Act::PollLost),
        3 => (1..400_u16).prop_map(Act::PollKilled),
        1 => Just(Act::Keep),
        1 => Just(Act::Restore),
    ]
}

/// The model: what was sent, and what others may have removed before it was stored.
struct Model {
    site: Site,
    sent: BTreeMap<String, u32>,
    removed: BTreeMap<String, u32>,
    older: Option<Vec<u8>>,
    count: usize,
    uid_next: u32,
    /// The server has called messages otherwise than before: of equal ones nothing tells any more
    /// which of them is one that is stored.
    renamed: bool,
    /// Changes of UIDVALIDITY so far.
    epochs: u32,
    /// UIDs begin anew under a UIDVALIDITY that was there before, which RFC 9051 forbids: a copy
    /// may be there twice then, as nothing tells who is who.
    given_twice: bool,
    /// The one that a twin is like.
    last: usize,
}

impl Model {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let site = Site::new_in(&parent);
        let (sent, removed) = (BTreeMap::new(), BTreeMap::new());
        Self {
            site,
            sent,
            removed,
            older: None,
            count: 0,
            uid_next: 1,
            renamed: false,
            epochs: 0,
            given_twice: false,
            last: 0,
        }
    }

    /// The next message, or one like the last; each has a date of its own.
    fn next(&mut self, twin: bool) -> (String, Timestamp) {
        self.count += 1;
        if !twin {
            self.last = self.count;
        }
        let octets = message(self.last);
        *self.sent.entry(octets.clone()).or_default() += 1;
        let hours = SignedDuration::from_hours(i64::try_from(self.count).unwrap());
        (octets, Timestamp::UNIX_EPOCH.checked_add(hours).unwrap())
    }

    fn set_deletes(&mut self, on: bool) {
        self.site.config.delete = if on { DeleteRule::AfterDays(0) } else { DeleteRule::Never };
    }

    /// The UID at a place, if there is any message.
    fn uid_at(&self, place: u8) -> Option<u32> {
        let uids = self.site.server.uids();
        uids.get(usize::from(place) % uids.len().max(1)).copied()
    }

    fn remove(&mut self, uid: u32) {
        let mut gone = None;
        self.site.server.change(|state| gone = state.messages.remove(&uid));
        let octets = String::from_utf8(gone.unwrap().octets).unwrap();
        *self.removed.entry(octets).or_default() += 1;
    }

    fn flip(&mut self, back: bool, renumber: bool) {
        self.renamed = true;
        self.given_twice |= back;
        self.epochs += 1;
        let uid_validity = if back { FIRST } else { FIRST + self.epochs };
        self.site.server.change(|state| {
            state.uid_validity = uid_validity;
            if renumber {
                let all = std::mem::take(&mut state.messages);
                state.messages = (1..).zip(all.into_values()).collect();
                self.uid_next = u32::try_from(state.messages.len()).unwrap() + 1;
            }
        });
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Arrive { n, twin } => {
                for _ in 0..*n {
                    let (octets, date) = self.next(*twin);
                    self.site.server.reuse(self.uid_next, octets.as_bytes(), date);
                    self.uid_next += 1;
                }
            }
            Act::Vanish(place) => {
                if let Some(uid) = self.uid_at(*place) {
                    self.remove(uid);
                }
            }
            Act::Flip { back, renumber } => self.flip(*back, *renumber),
            Act::Reuse(place) => {
                if let Some(uid) = self.uid_at(*place) {
                    self.renamed = true;
                    self.remove(uid);
                    let (octets, date) = self.next(false);
                    self.site.server.reuse(uid, octets.as_bytes(), date);
                }
            }
            Act::Deletes(on) => self.set_deletes(*on),
            Act::Poll => self.poll(None),
            Act::PollLost(bodies) => {
                self.site.server.with(|state| state.lose_after = Some(u32::from(*bodies)));
                self.poll(None);
                self.site.server.with(|state| state.lose_after = None);
            }
            Act::PollKilled(at) => self.poll(Some(*at)),
            Act::Keep => self.older = std::fs::read(self.ledger()).ok(),
            Act::Restore => self.restore(),
        }
    }

    fn ledger(&self) -> std::path::PathBuf {
        self.site.temp.path().join("state/ledger.db")
    }

    /// One poll in a program of its own, which ends where it is told to.
    fn poll(&self, end_at: Option<u16>) {
        let runtime =
            || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let program = runtime();
        let ledger = program.block_on(async {
            let tools = self.site.tools().await;
            let ledger = tools.ledger.clone();
            until(self.site.poll_with(tools), end_at).await;
            ledger
        });
        // Its tasks end where they are; what the disk was told to do gets done.
        drop(program);
        runtime().block_on(ledger.close()).unwrap();
    }

    fn restore(&mut self) {
        let Some(older) = self.older.take() else { return };
        std::fs::write(self.ledger(), older).unwrap();
        let temp = self.site.temp.path();
        let root = Root::open(&temp.join("mail")).unwrap();
        take(&root);
        let mut reader = Reader::new(root, &archive_config(temp));
        let (state_dir, renamed) = (temp.join("state"), BTreeMap::new());
        let place = Place {
            state_dir: &state_dir,
            renamed: &renamed,
            carry: false,
            orders_known: true,
            deleting: &[],
            archive_is_older: false,
            now: Clock.now(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(reconcile(&mut reader, &place, &mut |_| ())).unwrap();
    }

    /// The promises, after each act.
    fn check(&self, after: &dyn std::fmt::Debug) -> Result<(), TestCaseError> {
        let mut stored: BTreeMap<String, u32> = BTreeMap::new();
        for (_, eml) in self.site.stored() {
            *stored.entry(eml).or_default() += 1;
        }
        let mut there: BTreeMap<String, u32> = BTreeMap::new();
        self.site.server.with(|state| {
            for message in state.messages.values() {
                let octets = String::from_utf8(message.octets.clone()).unwrap();
                *there.entry(octets).or_default() += 1;
            }
        });
        for (octets, sent) in &self.sent {
            let of = |all: &BTreeMap<String, u32>| all.get(octets).copied().unwrap_or(0);
            let (copies, left, removed) = (of(&stored), of(&there), of(&self.removed));
            let once = self.given_twice || copies <= *sent;
            prop_assert!(once, "twice after {:?}: {}", after, octets);
            let sent = if self.renamed { 1 } else { *sent };
            let safe = copies.saturating_add(left).saturating_add(removed);
            prop_assert!(safe >= sent, "lost after {:?}: {}", after, octets);
        }
        Ok(())
    }

    /// Without faults all is stored once, and off the server.
    fn come_to_rest(&mut self) -> Result<(), TestCaseError> {
        self.set_deletes(true);
        for _ in 0..8 {
            self.poll(None);
            self.check(&"a poll without a fault")?;
            if self.site.server.uids().is_empty() {
                break;
            }
        }
        prop_assert_eq!(self.site.server.uids(), Vec::<u32>::new());
        let stored = u32::try_from(self.site.stored().len()).unwrap();
        let (sent, removed): (u32, u32) = (self.sent.values().sum(), self.removed.values().sum());
        prop_assert!(self.given_twice || stored <= sent);
        prop_assert!(self.renamed || stored.saturating_add(removed) >= sent);
        Ok(())
    }
}

/// Does work until its n-th chance to wait, where it is dropped.
async fn until(work: impl Future<Output = PollReport>, end_at: Option<u16>) {
    let mut work = pin!(work);
    let mut left = end_at;
    std::future::poll_fn(|context| {
        if left == Some(0) {
            return Poll::Ready(());
        }
        left = left.map(|left| left.saturating_sub(1));
        work.as_mut().poll(context).map(drop)
    })
    .await;
}

/// Few cases, as each is some polls with a real ledger; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    let cases = if usual.cases == 256 { 24 } else { usual.cases };
    ProptestConfig { cases, failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn promise_p1_p2_p3_whatever_happens_in_whatever_order(
        acts in prop::collection::vec(act(), 4..20)
    ) {
        let mut model = Model::new();
        for act in &acts {
            model.act(act);
            model.check(act)?;
        }
        model.come_to_rest()?;
    }
}
