//! What a group commit is worth: the whole durable sequence (stage, sync, intent, rename, sync,
//! fact) for the same messages in batches of one and of 200, side by side in one run.
//!
//! `cargo bench --bench group_commit [-- FOLDER]`; FOLDER is on the file system to be measured.
//! Only the ratio means something: seconds differ from disk to disk and from day to day.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench reads the clock, prints, and stops at the first surprise"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use postrider::archive::document::{Origin, complete};
use postrider::archive::root::{Root, init};
use postrider::archive::{Archive, Staged};
use postrider::config::{self, Config};
use postrider::ledger::{Ledger, Placing};
use postrider::mail::{self, Limits};
use postrider::model::{MessageKey, Received, ReceivedBasis};

const MESSAGES: u32 = 600;
const ROUNDS: usize = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let folder = folder.unwrap_or_else(|| std::env::temp_dir().display().to_string());
    let mut times: [Vec<Duration>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (of, size) in times.iter_mut().zip([1, 200]) {
            of.push(run(Path::new(&folder), size).await);
        }
    }
    let [one, many] = times.map(|mut of| {
        of.sort();
        of.get(ROUNDS / 2).copied().unwrap_or_default()
    });
    let rate = |time: Duration| f64::from(MESSAGES) / time.as_secs_f64();
    println!("batches of   1: {:8.0} messages/s (median of {ROUNDS})", rate(one));
    println!("batches of 200: {:8.0} messages/s", rate(many));
    println!("ratio: {:.1}", one.as_secs_f64() / many.as_secs_f64());
}

/// Archives all messages in batches of this size; how long it took.
async fn run(folder: &Path, per_batch: u32) -> Duration {
    let site = tempfile::tempdir_in(folder).unwrap();
    let config = config(site.path());
    init(&config.archive.root, 0o750).unwrap();
    let mut ledger = Ledger::open(site.path()).unwrap();
    let root = Root::open(&config.archive.root).unwrap();
    ledger.bind(root.marker().root).await.unwrap();
    let archive = Arc::new(Archive::open(root, &config.archive).unwrap());
    let mailbox = ledger.write("add", |tx| tx.mailbox("box", "INBOX")).await.unwrap().id;
    let began = Instant::now();
    let all: Vec<u32> = (1..=MESSAGES).collect();
    for uids in all.chunks(usize::try_from(per_batch).unwrap()) {
        let batch = archive.batch().unwrap();
        let staged: Vec<(MessageKey, Staged)> =
            uids.iter().map(|uid| stage(&archive, &config, *uid)).collect();
        let folders: Vec<Staged> = staged.iter().map(|(_, staged)| staged.clone()).collect();
        batch.sync_staged(&folders).unwrap();
        let copies: Vec<Placing> = staged.into_iter().map(placing).collect();
        let rows = ledger.write("intent", move |tx| tx.placing(mailbox, &copies)).await.unwrap();
        batch.place(&folders).unwrap();
        ledger.write("fact", move |tx| tx.archived(&rows)).await.unwrap();
    }
    began.elapsed()
}

fn stage(archive: &Archive, config: &Config, uid: u32) -> (MessageKey, Staged) {
    let account = config.inbound.values().next().unwrap();
    let key = MessageKey::Imap { mailbox: "INBOX".into(), uid_validity: 1, uid, generation: 0 };
    let text = "0123456789 ".repeat(300);
    let eml = format!("Subject: message {uid}\r\nFrom: a@example.org\r\n\r\n{text}\r\n");
    let mut staging = archive.stage(key.id("box")).unwrap();
    staging.write(eml.as_bytes()).unwrap();
    let raw = staging.end().unwrap();
    let facts = mail::parse(eml.as_bytes(), &Limits::default());
    let at = Timestamp::UNIX_EPOCH;
    let origin = Origin {
        account,
        key: &key,
        flags: &[],
        received: Received { at, basis: ReceivedBasis::InternalDate },
        archived_at: at,
    };
    let (staged, in_stage) = complete(archive, staging, &raw, &origin, &facts).unwrap();
    in_stage.placed();
    (key, staged)
}

fn placing((key, staged): (MessageKey, Staged)) -> Placing {
    Placing {
        key,
        path: staged.path,
        sha256: staged.sha256,
        json_sha256: staged.json_sha256,
        size: staged.size,
        header: None,
        alone: true,
        proven: true,
        cut: false,
        listed_size: Some(staged.size),
        internal_date: None,
        received: Timestamp::UNIX_EPOCH,
        archived_at: Timestamp::UNIX_EPOCH,
        own: false,
        canary: None,
        message_id: None,
        mark: false,
    }
}

fn config(site: &Path) -> Config {
    let text = format!(
        "[daemon]\nstate_dir = \"{0}\"\n[archive]\nroot = \"{0}/mail\"\nmin_free = \"1MiB\"\n\
         [inbound.box]\nprotocol = \"imap\"\nhost = \"h\"\nuser = \"u\"\npassword = \"p\"\n",
        site.display()
    );
    let loaded = config::load_text(&text, &site.join("bench.toml"), Timestamp::UNIX_EPOCH);
    loaded.config.unwrap()
}
