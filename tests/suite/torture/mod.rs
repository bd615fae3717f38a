//! Crash torture: polls and daemons are killed, disks filled and cut, servers restarted and
//! renumbered, mailboxes renamed, ledgers restored from older copies and connections broken at
//! chance moments, while mail arrives and others remove some. After each round an oracle that knows
//! every message compares server and tree.
//!
//! `cargo run --release --example torture -- --minutes 10 --seed 1` runs it for as long as one
//! likes; a short one is a test of the suite. A seed repeats the schedule of what happens when, not
//! the machine's own timing.

mod accounts;
mod mail;
mod oracle;
mod random;
mod rounds;
mod world;

use std::time::{Duration, Instant};

use oracle::{Wrongs, tree_faults};
use rounds::{EVENTS, Event, round};
use world::World;

/// What to do for how long.
#[derive(Clone, Debug)]
pub struct Options {
    pub time: Duration,
    pub seed: u64,
    /// No more messages than these.
    pub messages: u64,
    /// `imap`, `pop3` or `both`.
    pub protocol: String,
}

/// What was done, and what was found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub rounds: u64,
    pub kills: u64,
    pub stops: u64,
    pub power_cuts: u64,
    pub full_disks: u64,
    pub restarts: u64,
    pub connection_cuts: u64,
    pub messages: u64,
    /// Of an INBOX, by a server that lost its index.
    pub renumbered: u64,
    pub renamed: u64,
    /// Ledgers that came back from a backup.
    pub restored: u64,
    /// Deletes that a person had to set going again in the end.
    pub resumed: u64,
    /// By another client.
    pub expunged: u64,
    pub stored: u64,
    /// Left the server before the copy was durable, seen right after a power cut.
    pub early: u64,
    pub wrongs: Wrongs,
}

impl Figures {
    /// Whether every promise was kept.
    pub fn is_good(&self) -> bool {
        self.wrongs == Wrongs::default() && self.early == 0
    }

    /// One figure a line.
    pub fn print(&self) {
        let Wrongs { lost, twice, partial, untrue, early } = self.wrongs;
        for (name, n) in [
            ("rounds", self.rounds),
            ("kill -9", self.kills),
            ("stopped by SIGTERM", self.stops),
            ("power cuts", self.power_cuts),
            ("full disks", self.full_disks),
            ("server restarts", self.restarts),
            ("rounds with cut connections", self.connection_cuts),
            ("mailboxes renumbered", self.renumbered),
            ("mailboxes renamed", self.renamed),
            ("older ledgers restored", self.restored),
            ("deletes stopped", self.resumed),
            ("messages delivered", self.messages),
            ("removed by another client", self.expunged),
            ("stored", self.stored),
            ("LOST", lost),
            ("TWICE", twice),
            ("DELETED TOO EARLY", self.early + early),
            ("PARTIAL", partial),
            ("`deleted` but there", untrue),
        ] {
            println!("{name:<28} {n:>9}");
        }
    }
}

/// Tortures for the given time, then lets everything come to rest; says what each round was.
pub fn run(options: &Options, mut say: impl FnMut(&str)) -> Figures {
    let mut world = World::new(options);
    let end = Instant::now() + options.time;
    while Instant::now() < end && world.figures.is_good() {
        let event = *world.random.pick(&EVENTS);
        if matches!(event, Event::FullDisk | Event::PowerCut) && !world.has_disks() {
            continue;
        }
        if matches!(event, Event::OldLedger) && !world.has_older_ledger() {
            world.keep_ledger();
        }
        world.figures.rounds += 1;
        world.deliver(20);
        round(&mut world, event);
        let wrongs = judge(&mut world);
        if matches!(event, Event::PowerCut) {
            world.figures.early += wrongs.lost;
        }
        let Figures { rounds, messages, .. } = world.figures;
        if !world.has_older_ledger() && world.random.chance(20) {
            world.keep_ledger();
        }
        say(&format!("round {rounds}: {event:?}; {messages} messages so far, {wrongs:?}"));
    }
    come_to_rest(&mut world);
    world.figures
}

fn judge(world: &mut World) -> Wrongs {
    let mut wrongs = Wrongs::default();
    for account in &world.accounts {
        let server = world.on_server(account);
        wrongs.add(world.oracle.judge(&world.site, account.name, &server));
    }
    let faults = tree_faults(&world.site);
    wrongs.partial = faults.len() as u64;
    for fault in faults {
        eprintln!("{fault}");
    }
    world.figures.wrongs.add(wrongs);
    wrongs
}

/// Polls without faults: in the end all is stored, and off the server but for what is held or too
/// young.
fn come_to_rest(world: &mut World) {
    world.configure(&[], true);
    let mut why = String::new();
    for _ in 0..12 {
        World::finish(world.site.spawn(&["poll"]));
        resume(world);
        why = unrest(world);
        if why.is_empty() {
            break;
        }
    }
    judge(world);
    world.figures.stored = world.site.whole().len() as u64;
    if !why.is_empty() && world.figures.is_good() {
        eprintln!("{why}");
        world.figures.wrongs.partial += 1;
    }
}

/// Others' mail that vanishes beside ours stops an account's deletes until a person has looked.
fn resume(world: &mut World) {
    let status = world.site.status();
    for account in status["accounts"].as_array().unwrap() {
        if !account["delete_stop"].is_null() {
            let name = account["name"].as_str().unwrap();
            let resumed = world.site.cli(&["account", "resume", name]);
            assert_eq!(resumed.code, 0, "{resumed:?}");
            world.figures.resumed += 1;
        }
    }
}

/// What is not at rest, in words; empty when everything is.
fn unrest(world: &World) -> String {
    let (mut left, mut young) = (0, 0);
    for account in &world.accounts {
        let server = world.on_server(account);
        left += server.len() as u64;
        young += world.oracle.young_of(account.name, &server);
    }
    let status = world.site.status();
    let accounts = status["accounts"].as_array().cloned().unwrap_or_default();
    let held: u64 = accounts.iter().filter_map(|account| account["held"].as_u64()).sum();
    let errors = accounts.iter().filter(|account| !account["last_error"].is_null()).count();
    let faults = world.site.tree_faults();
    if (left, errors, faults.len()) == (held + young, 0, 0) {
        return String::new();
    }
    format!("left {left}, young {young}, held {held}, {errors} fail, {faults:?}\n{status}")
}

#[test]
fn d01_promise_p1_torture_of_half_a_minute_loses_nothing_and_doubles_nothing() {
    let options = Options {
        time: Duration::from_secs(20),
        seed: 1,
        messages: 2_000,
        protocol: "both".to_owned(),
    };
    let mut rounds = Vec::new();
    let figures = run(&options, |round| rounds.push(round.to_owned()));
    eprintln!("{figures:?}");
    assert!(figures.is_good(), "{figures:?}\n{}", rounds.join("\n"));
    assert!(figures.rounds >= 5 && figures.stored > 0, "{figures:?}");
}
