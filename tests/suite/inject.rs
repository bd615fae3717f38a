//! System calls fail or kill where the program's own steps don't reach: the nth fsync, openat,
//! write of any file, the ledger's and the log's included.
//!
//! strace counts the calls of each thread by themselves. The walks take every few calls;
//! `POSTRIDER_STRIDE=1` has them take each.

use std::path::Path;

use crate::crash::{Course, Disks, walk};
use crate::support::{Trace, is_allowed, is_below, traced};

/// Calls of the durable sequence, with a stride that gives each a few runs.
const CALLS: [(&str, u64); 9] = [
    ("fsync", 3),
    ("syncfs", 1),
    ("renameat2", 1),
    ("mkdirat", 2),
    ("openat2", 9),
    ("openat", 19),
    ("unlinkat", 3),
    ("write", 5),
    ("pwrite64", 19),
];

/// Walks over the calls with a fault; `#` in it is the number of the call.
fn injected(protocol: &str, fault: &str, coarser: u64) {
    if !is_allowed() {
        return;
    }
    let course = Course::new(3);
    let mut said = Vec::new();
    // The runtime wakes its threads by `write`, on no disk: where that fails it panics or sleeps.
    // Writes of mail that fail are steps, which `crash` walks over.
    let wakes = |call: &str| call == "write" && fault.starts_with("error");
    for (call, stride) in CALLS.into_iter().filter(|(call, _)| !wakes(call)) {
        let last = walk(stride * coarser, |n| {
            let trial = course.trial(protocol, Disks::One);
            let file = trial.site.path().join("injected");
            let trace = format!("trace={call}");
            let inject = format!("inject={call}:{}", fault.replace('#', &n.to_string()));
            let file_text = file.to_str().unwrap();
            let strace = ["strace", "-f", "-o", file_text, "-e", &trace, "-e", &inject];
            trial.site.cli_below(&strace, &["poll", "a"]);
            let when = format!("{protocol}, {call}:{fault}, call {n}");
            trial.nothing_is_missing(&when);
            trial.all_is_well(&when);
            was_injected(&file)
        });
        said.push(format!("{call} {last}"));
    }
    eprintln!("{protocol}, {fault}, up to call: {}", said.join(", "));
}

fn was_injected(trace: &Path) -> bool {
    let text = std::fs::read_to_string(trace).unwrap_or_default();
    text.contains("(INJECTED)") || text.contains("killed by SIGKILL")
}

#[test]
fn d02_killed_at_each_call_of_the_durable_sequence_ends_whole() {
    injected("imap", "signal=KILL:when=#", 1);
    injected("pop3", "signal=KILL:when=#", 3);
}

#[test]
fn d06_each_call_that_fails_once_is_repaired_by_the_next_poll() {
    injected("imap", "error=EIO:when=#", 1);
}

#[test]
fn d05_d06_disk_or_quota_that_is_full_from_any_call_on_is_repaired_by_the_next_poll() {
    injected("imap", "error=ENOSPC:when=#+", 2);
    injected("pop3", "error=EDQUOT:when=#+", 3);
}

/// What a failed sync has covered is thrown away and written anew: a second sync of the same
/// pages would succeed without having written them.
#[test]
fn d06_failed_sync_is_never_tried_again_on_what_it_covered() {
    let course = Course::new(8);
    for protocol in ["imap", "pop3"] {
        let trial = course.trial(protocol, Disks::One);
        let inject = ["inject=syncfs:error=EIO:when=1"];
        let Some((output, trace)) = traced(&trial.site, &inject, &["poll", "a"]) else { return };
        assert_eq!(output.code, 1, "{output:?}");
        let stage = trial.site.root().join(".stage");
        assert_eq!(revived(&trace, stage.to_str().unwrap()), [""; 0], "{protocol}");
        assert!(trial.site.stored().is_empty(), "{protocol}");
        let log = trial.site.log();
        let errors: Vec<_> = log.iter().filter(|record| record["level"] == "error").collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0]["code"], "archive-write-failed");
        trial.all_is_well(protocol);
    }
}

/// Stage folders that were moved into the tree after a sync that covered them had failed.
fn revived(trace: &Trace, stage: &str) -> Vec<String> {
    let failed = trace.calls.iter().filter(|c| c.name.contains("sync") && !c.is_done());
    let Some(failed) = failed.min_by_key(|call| call.ended) else {
        return vec!["no sync failed".to_owned()];
    };
    let of_stage = |name: &'static str| {
        let after = move |call: &&crate::support::Call| call.name == name && failed.is_before(call);
        let calls = trace.calls.iter().filter(after).filter(|c| c.is_done());
        calls.map(|call| call.joined(0)).filter(|path| is_below(path, stage))
    };
    let anew: Vec<String> = of_stage("mkdirat").collect();
    of_stage("renameat2").filter(|path| !anew.contains(path)).collect()
}
