//! The program is killed, or its disk fails, at every single step: nothing is missing, nothing is
//! there twice, nothing is half done.
//!
//! The long walks take every few steps; `POSTRIDER_STRIDE=1` has them take each.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{
    Delivery, Dovecot, Options, Output, Site, as_sent, crlf, in_parallel, messages, stored_octets,
};

/// Small batches, so that few messages make several commits.
const BATCH: (&str, &str) = ("POSTRIDER_BATCH", "7");
/// More than any walk has steps.
const USERS: u32 = 900;

/// Where ledger and archive are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Disks {
    /// Both in memory, where that can be written to.
    One,
    /// The ledger in memory, the archive on the disk.
    Two,
}

/// One server for a whole walk, with a fresh mailbox for each of its steps.
pub(crate) struct Course {
    dovecot: Dovecot,
    messages: Vec<Vec<u8>>,
    users: AtomicU64,
}

/// A mailbox and an installation that polls it.
pub(crate) struct Trial<'a> {
    course: &'a Course,
    user: String,
    pub(crate) site: Site,
    _state: Option<TempDir>,
}

impl Course {
    pub(crate) fn new(count: usize) -> Self {
        let dovecot = Dovecot::start_with(&Options { users: USERS, ..Options::default() });
        Self { dovecot, messages: messages(count), users: AtomicU64::new(1) }
    }

    /// What is stored is deleted on the server at once.
    pub(crate) fn trial(&self, protocol: &str, disks: Disks) -> Trial<'_> {
        let user = format!("u{}", self.users.fetch_add(1, Ordering::Relaxed));
        for (n, message) in self.messages.iter().enumerate() {
            // Two days, so that there are two dated folders.
            let delivery = Delivery::default().at(1_793_956_351 + n as u64 % 2 * 86_400);
            self.dovecot.deliver_as(&user, message, &delivery);
        }
        let memory = Path::new("/dev/shm");
        let memory = tempfile::tempdir_in(memory).ok();
        let (mut site, state) = match (disks, memory) {
            (Disks::One, Some(_)) => (Site::empty_in(Path::new("/dev/shm")), None),
            (Disks::Two, Some(memory)) => (Site::empty(), Some(memory)),
            (_, None) => (Site::empty(), None),
        };
        if let Some(state) = &state {
            site.keep_state_in(state.path().join("state"));
        }
        let account = self.dovecot.account(protocol, "none", &user);
        site.account("a", &(account + "delete_read = true\ndelete_after_days = 0\n"));
        site.init_root();
        Trial { course: self, user, site, _state: state }
    }
}

impl Trial<'_> {
    /// One poll with an order for a step.
    fn ordered(&self, order: &str) -> Output {
        self.site.cli_with(&[BATCH, ("POSTRIDER_STEP", order)], &["poll", "a"])
    }

    /// Whether the order of the last poll was carried out. A step that fails before there is a log
    /// ends the program.
    fn has_failed(&self, output: &Output) -> bool {
        output.code != 0
            || self.site.log().iter().any(|r| r["message"].to_string().contains("on purpose"))
    }

    /// Every message is in the archive or on the server, whatever happened.
    pub(crate) fn nothing_is_missing(&self, when: &str) {
        let mut have: Vec<Vec<u8>> = self.site.stored().into_iter().map(|s| s.eml).collect();
        let mut client = self.course.dovecot.imap_client(&self.user);
        have.extend(client.list("INBOX").into_iter().map(|message| message.body));
        for message in &self.course.messages {
            assert!(have.contains(&crlf(message)), "{when}: a message is gone");
        }
    }

    /// After a poll without orders all is well; what was to be deleted is gone at the third.
    pub(crate) fn all_is_well(&self, when: &str) {
        self.nothing_is_missing(when);
        let poll = self.site.cli_with(&[BATCH], &["poll", "a"]);
        assert_eq!(poll.code, 0, "{when}: {poll:?}");
        assert_eq!(self.site.tree_faults(), [""; 0], "{when}");
        assert!(
            stored_octets(&self.site) == as_sent(&self.course.messages),
            "{when}: twice or not"
        );
        let left = || self.course.dovecot.imap_client(&self.user).uids("INBOX");
        for _ in 0..2 {
            if !left().is_empty() {
                self.site.poll();
            }
        }
        assert!(left().is_empty(), "{when}: left on the server: {:?}", left());
        let status = self.site.cli(&["status", "--json"]);
        assert_eq!(status.code, 0, "{when}: {status:?}");
        assert_eq!(self.site.stored().len(), self.course.messages.len(), "{when}");
    }
}

/// Every how many steps a walk tries one: `$POSTRIDER_STRIDE`, else its own figure.
pub(crate) fn asked_stride(own: u64) -> u64 {
    std::env::var("POSTRIDER_STRIDE").ok().and_then(|text| text.parse().ok()).unwrap_or(own)
}

/// Walks from step 1 on (each `stride`th) until a poll ends before the step is reached; says how
/// many steps were tried.
pub(crate) fn walk(stride: u64, attempt: impl Fn(u64) -> bool + Sync) -> u64 {
    let stride = asked_stride(stride);
    let (next, over, last) = (AtomicU64::new(0), AtomicBool::new(false), AtomicU64::new(0));
    in_parallel(&[(); 8], |()| {
        while !over.load(Ordering::SeqCst) {
            let step = next.fetch_add(1, Ordering::SeqCst) * stride + 1;
            if attempt(step) {
                last.fetch_max(step, Ordering::SeqCst);
            } else {
                over.store(true, Ordering::SeqCst);
            }
        }
    });
    last.into_inner()
}

fn kill_walk(course: &Course, protocol: &str, disks: Disks, stride: u64) -> u64 {
    walk(stride, |step| {
        let trial = course.trial(protocol, disks);
        let when = format!("{protocol}, {disks:?}, killed at step {step}");
        let killed = trial.ordered(&format!("kill@{step}")).code == -1;
        trial.nothing_is_missing(&when);
        // The poll that repairs is killed, too, somewhere.
        trial.ordered(&format!("kill@{}", step % 23 + 1));
        trial.all_is_well(&when);
        killed
    })
}

fn failure_walk(course: &Course, protocol: &str, order: &str, stride: u64) -> u64 {
    walk(stride, |step| {
        let trial = course.trial(protocol, Disks::One);
        let order = order.replace('#', &step.to_string());
        let output = trial.ordered(&order);
        assert!(output.code >= 0, "{order}: {output:?}");
        let failed = trial.has_failed(&output);
        trial.all_is_well(&order);
        failed
    })
}

#[test]
fn d01_killed_at_each_step_of_twenty_messages_in_batches_of_seven_imap_ends_whole() {
    let steps = kill_walk(&Course::new(20), "imap", Disks::Two, 11);
    assert!(steps > 60, "{steps} steps");
}

#[test]
fn d01_killed_at_each_step_of_a_small_mailbox_imap_ends_whole() {
    let steps = kill_walk(&Course::new(3), "imap", Disks::One, 2);
    assert!(steps > 15, "{steps} steps");
}

#[test]
fn d01_killed_at_each_step_of_a_small_maildrop_pop3_ends_whole() {
    let steps = kill_walk(&Course::new(3), "pop3", Disks::One, 3);
    assert!(steps > 15, "{steps} steps");
}

#[test]
fn d06_one_failed_write_at_each_step_is_repaired_by_the_next_poll() {
    let steps = failure_walk(&Course::new(3), "imap", "eio@#", 4);
    assert!(steps > 15, "{steps} steps");
    failure_walk(&Course::new(20), "imap", "eio@#", 17);
}

#[test]
fn d05_disk_that_is_full_from_any_step_on_is_repaired_by_the_next_poll() {
    let steps = failure_walk(&Course::new(3), "imap", "enospc@#+", 4);
    assert!(steps > 15, "{steps} steps");
    failure_walk(&Course::new(20), "pop3", "enospc@#+", 17);
}

#[test]
fn d01_promise_p2_three_hundred_messages_arrive_once_though_killed_at_ten_moments() {
    let course = Course::new(300);
    in_parallel(&[("imap", 1_u64), ("pop3", 2)], |&(protocol, seed)| {
        let trial = course.trial(protocol, Disks::One);
        let mut random = seed;
        for n in 0..10 {
            // Knuth's MMIX generator; its high bits are the good ones.
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let poll = trial.site.spawn(&["poll"]);
            std::thread::sleep(Duration::from_millis(20 + (random >> 33) % 600));
            poll.kill();
            trial.nothing_is_missing(&format!("{protocol}, seed {seed}, kill {n}"));
        }
        trial.all_is_well(&format!("{protocol}, seed {seed}"));
    });
}
