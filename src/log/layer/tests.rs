//! The whole way: events in, records of `log.db` and lines out.
#![expect(clippy::arithmetic_side_effects, reason = "the numbers of tests are small")]

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{debug, error, info, info_span, trace, warn};
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::ledger::log_db::{LogDb, LogQuery};
use crate::log::{Actor, LOG_FILE, LogOptions, Sink, StderrOptions, Style};

const LONG: Duration = Duration::from_secs(30);

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Output {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard error whose reader has gone.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

fn clock() -> Timestamp {
    "2026-11-21T14:00:01.250789Z".parse().unwrap()
}

fn sink(level: Level, output: impl Write + Send + 'static) -> Sink {
    let stderr = StderrOptions { level: None, style: Style::Plain, output: Box::new(output) };
    Sink::new(LogOptions {
        level,
        rust_log: None,
        actor: Actor::system(998),
        clock,
        redactor: Redactor::default(),
        stderr: Some(stderr),
    })
    .unwrap()
}

fn logging(sink: &Sink, what: impl FnOnce()) {
    let subscriber = tracing_subscriber::registry().with(sink.layer());
    tracing::subscriber::with_default(subscriber, what);
}

fn records(folder: &Path) -> Vec<Record> {
    let log = LogDb::open_read_only(&folder.join(LOG_FILE)).unwrap().unwrap();
    log.query(&LogQuery { ascending: true, ..LogQuery::default() }).unwrap()
}

#[test]
fn event_and_its_spans_make_one_record() {
    let folder = tempfile::tempdir().unwrap();
    let output = Output::default();
    let sink = sink(Level::Info, output.clone());
    logging(&sink, || {
        // Before the log is stored: kept for later.
        info!(target: "config", code = "config-loaded", accounts = 3, "3 accounts");
        sink.store_in(folder.path()).unwrap();
        let poll = info_span!(
            target: "incoming", "poll", account = %"scans", run = 7, mailbox = tracing::field::Empty
        );
        poll.in_scope(|| {
            poll.record("mailbox", "INBOX");
            let _message = info_span!(target: "incoming", "message", uid = 48_211_u32).entered();
            error!(target: "imap-auth", code = "tls-expired", mailbox = "Other", ok = false, "expired");
        });
        warn!("outside of everything");
        debug!(target: "incoming", "not kept");
    });
    assert!(sink.flush(LONG));
    let records = records(folder.path());
    let codes: Vec<&str> = records.iter().map(|r| r.code.as_str()).collect();
    assert_eq!(codes, ["config-loaded", "tls-expired", ""]);
    assert_eq!(records[0].fields["accounts"], 3);
    let expired = &records[1];
    assert_eq!(expired.created_at, "2026-11-21T14:00:01.250Z".parse().unwrap());
    assert_eq!((expired.level, expired.source), (Level::Error, Source::ImapAuth));
    assert_eq!((expired.message.as_str(), expired.uid), ("expired", Some(48_211)));
    assert_eq!(expired.account.as_deref(), Some("scans"));
    assert_eq!(expired.run.as_deref(), Some("7"));
    assert_eq!(expired.mailbox.as_deref(), Some("Other"));
    assert_eq!((expired.created_by.as_str(), expired.created_uid), ("system", 998));
    assert_eq!(expired.fields["ok"], false);
    assert_eq!(records[2].source, Source::Library);
    assert_eq!(records[2].fields["target"], "postrider::log::layer::tests");
    assert_eq!(
        output.text().lines().nth(1).unwrap(),
        "2026-11-21T14:00:01Z error imap-auth scans tls-expired expired ok=false"
    );
}

#[test]
fn events_of_the_log_crate_keep_their_target() {
    let output = Output::default();
    let sink = sink(Level::Info, output.clone());
    logging(&sink, || {
        // As tracing-log makes them; its filter has seen the true target.
        warn!(target: "log", { log.target = "rustls::conn", log.line = 7 }, "alert");
    });
    assert!(sink.flush(LONG));
    assert_eq!(
        output.text(),
        "2026-11-21T14:00:01Z warning library alert target=\"rustls::conn\"\n"
    );
}

#[test]
fn secrets_and_escapes_get_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let output = Output::default();
    let sink = sink(Level::Debug, output.clone());
    sink.store_in(folder.path()).unwrap();
    sink.redactor().register("hunter22");
    let sasl = data_encoding::BASE64.encode(b"\0joe\0hunter22");
    logging(&sink, || {
        let _span = info_span!(target: "incoming", "s", mailbox = "hunter22\r\n").entered();
        debug!(target: "imap-auth", said = "NO hunter22\x1b[2J", "A1 AUTHENTICATE PLAIN {sasl}\r\n");
        debug!(target: "imap-auth", what = ?("hunter22", "x"), "{}", "hunter22 ".repeat(1000));
        let long = format!("{}hunter22", "x".repeat(SERVER_TEXT_MAX - 6));
        let cause = io::Error::other("hunter22");
        debug!(target: "imap-auth", long, error = &cause as &dyn Error, "hunter%322");
    });
    assert!(sink.flush(LONG));
    let all = serde_json::to_string(&records(folder.path())).unwrap() + &output.text();
    for harmful in ["hunter", &sasl, "\x1b", "\r"] {
        assert!(!all.contains(harmful), "{harmful:?} in {all}");
    }
    assert!(all.contains("AUTHENTICATE PLAIN ***\\\\r\\\\n"));
    assert_eq!(output.text().lines().count(), 3);
}

#[test]
fn lengths_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink(Level::Info, io::sink());
    sink.store_in(folder.path()).unwrap();
    let huge = "ä".repeat(1_000_000);
    logging(&sink, || info!(target: "incoming", huge, debug = ?huge, "{huge}"));
    assert!(sink.flush(LONG));
    let records = records(folder.path());
    assert!(records[0].message.len() <= MESSAGE_MAX);
    for field in ["huge", "debug"] {
        assert!(records[0].fields[field].as_str().unwrap().len() <= SERVER_TEXT_MAX);
    }
}

#[test]
fn flushed_log_is_complete_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink(Level::Info, io::sink());
    sink.store_in(folder.path()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let sink = sink.clone();
            scope.spawn(move || {
                logging(&sink, || {
                    for n in 0..1000 {
                        info!(target: "archive", code = "message-archived", thread, n, "archived");
                    }
                });
            });
        }
    });
    assert!(sink.flush(LONG));
    let records = records(folder.path());
    assert_eq!(records.len(), 4000);
    for thread in 0..4 {
        let mine = records.iter().filter(|r| r.fields["thread"] == thread);
        let numbers: Vec<i64> = mine.map(|r| r.fields["n"].as_i64().unwrap()).collect();
        assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
    }
}

#[test]
fn flood_is_cut_and_errors_survive_it() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink(Level::Debug, io::sink());
    logging(&sink, || {
        for n in 0..30_000 {
            debug!(target: "incoming", n, "flood");
        }
        error!(target: "archive", code = "disk-full", "full");
    });
    sink.store_in(folder.path()).unwrap();
    assert!(sink.flush(LONG));
    // The notice comes with the first batch; one more round makes sure.
    let records = records(folder.path());
    let of = |code: &str| records.iter().filter(|r| r.code == code).count();
    assert_eq!((of("disk-full"), of("log-dropped")), (1, 1));
    let dropped = sink.health().dropped;
    assert_eq!(usize::try_from(dropped).unwrap() + records.len(), 30_000 + 2);
}

#[test]
fn log_that_cannot_be_written_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink(Level::Info, Closed);
    sink.store_in(&folder.path().join("missing")).unwrap();
    logging(&sink, || info!(target: "daemon", "hello"));
    assert!(sink.flush(LONG));
    let health = sink.health();
    assert_eq!(health.lost, 1);
    assert!(health.last_error.is_some());
}

#[test]
fn debug_of_one_account_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink(Level::Warning, io::sink());
    sink.store_in(folder.path()).unwrap();
    let log = || {
        debug!(target: "imap-auth", account = "scans", "S: * OK");
        debug!(target: "imap-auth", account = "orders", "S: * OK");
        trace!(target: "imap-auth", account = "scans", "never");
    };
    logging(&sink, log);
    sink.set_level(Level::Warning, BTreeSet::from(["scans".into()]));
    logging(&sink, log);
    sink.set_level(Level::Warning, BTreeSet::new());
    logging(&sink, log);
    assert!(sink.flush(LONG));
    let records = records(folder.path());
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].account.as_deref(), Some("scans"));
}

#[test]
fn old_records_go_when_the_time_to_keep_them_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = LogDb::open(&folder.path().join(LOG_FILE)).unwrap();
    let sink = sink(Level::Info, io::sink());
    let old = sink_record("2026-10-01T00:00:00Z");
    db.insert(&vec![old; 5000]).unwrap();
    db.insert(&[sink_record("2026-11-20T00:00:00Z")]).unwrap();
    sink.store_in(folder.path()).unwrap();
    logging(&sink, || info!(target: "daemon", "now"));
    assert!(sink.flush(LONG));
    assert_eq!(records(folder.path()).len(), 5002);
    sink.set_keep(Some(Duration::from_hours(48)));
    for _ in 0..500 {
        std::thread::sleep(Duration::from_millis(20));
        if records(folder.path()).len() == 2 {
            return;
        }
    }
    panic!("{} records are left", records(folder.path()).len());
}

#[test]
fn oldest_records_go_when_the_file_gets_too_large() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = LogDb::open(&folder.path().join(LOG_FILE)).unwrap();
    let record = Record { message: "x".repeat(1000), ..sink_record("2026-11-20T00:00:00Z") };
    for _ in 0..10 {
        db.insert(&vec![record.clone(); 1000]).unwrap();
    }
    let before = db.size().unwrap();
    assert!(before.used > 10 << 20);
    let sink = sink(Level::Info, io::sink());
    sink.store_in(folder.path()).unwrap();
    sink.set_max_size(Some(4 << 20));
    logging(&sink, || info!(target: "daemon", "now"));
    assert!(sink.flush(LONG));
    for _ in 0..500 {
        std::thread::sleep(Duration::from_millis(20));
        let size = db.size().unwrap();
        if size.used <= 4 << 20 && size.free < 5 << 20 {
            let left = records(folder.path());
            assert!(left.len() > 2000, "{} records are left", left.len());
            assert!(left.iter().any(|record| record.message == "now"), "the newest stay");
            return;
        }
    }
    panic!("{:?} of {before:?}", db.size().unwrap());
}

fn sink_record(at: &str) -> Record {
    Record {
        id: 0,
        created_at: at.parse().unwrap(),
        level: Level::Info,
        source: Source::Daemon,
        code: String::new(),
        message: String::new(),
        account: None,
        run: None,
        mailbox: None,
        uid: None,
        username: None,
        created_by: "system".to_owned(),
        created_uid: 0,
        fields: Map::new(),
    }
}
