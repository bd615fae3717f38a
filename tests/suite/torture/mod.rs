//! Crash torture: polls and daemons are killed, disks filled and cut, servers restarted and
//! connections broken at chance moments, while mail arrives and others remove some. After each
//! round an oracle that knows every message compares server and tree.
//!
//! `cargo run --release --example torture -- --minutes 10 --seed 1` runs it for as long as one
//! likes; a short one is a test of the suite. A seed repeats the schedule of what happens when, not
//! the machine's own timing.

mod oracle;
mod random;
mod world;

use std::time::{Duration, Instant};

use crate::support::Running;
use oracle::{Wrongs, tree_faults};
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
    /// By another client.
    pub expunged: u64,
    pub stored: u64,
    /// Left the server before the copy was durable, seen right after a power cut.
    pub early: u64,
    pub wrongs: Wrongs,
}

/// What happens in a round.
#[derive(Clone, Copy, Debug)]
enum Event {
    Connection,
    DaemonKilled,
    DaemonStopped,
    FullDisk,
    Poll,
    PollKilled,
    PowerCut,
    Restart,
}

const EVENTS: [Event; 12] = [
    Event::Connection,
    Event::Connection,
    Event::DaemonKilled,
    Event::DaemonKilled,
    Event::DaemonStopped,
    Event::FullDisk,
    Event::Poll,
    Event::PollKilled,
    Event::PollKilled,
    Event::PowerCut,
    Event::PowerCut,
    Event::Restart,
];

impl Figures {
    /// Whether every promise was kept.
    pub fn is_good(&self) -> bool {
        self.wrongs == Wrongs::default() && self.early == 0
    }

    /// One figure a line.
    pub fn print(&self) {
        let Wrongs { lost, twice, partial, untrue } = self.wrongs;
        for (name, n) in [
            ("rounds", self.rounds),
            ("kill -9", self.kills),
            ("stopped by SIGTERM", self.stops),
            ("power cuts", self.power_cuts),
            ("full disks", self.full_disks),
            ("server restarts", self.restarts),
            ("rounds with cut connections", self.connection_cuts),
            ("messages delivered", self.messages),
            ("removed by another client", self.expunged),
            ("stored", self.stored),
            ("LOST", lost),
            ("TWICE", twice),
            ("DELETED TOO EARLY", self.early),
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
        world.figures.rounds += 1;
        world.deliver(20);
        round(&mut world, event);
        let wrongs = judge(&mut world);
        if matches!(event, Event::PowerCut) {
            world.figures.early += wrongs.lost;
        }
        let Figures { rounds, messages, .. } = world.figures;
        say(&format!("round {rounds}: {event:?}; {messages} messages so far, {wrongs:?}"));
    }
    come_to_rest(&mut world);
    world.figures
}

fn round(world: &mut World, event: Event) {
    let relays = if matches!(event, Event::Connection) { world.relays() } else { Vec::new() };
    world.configure(&relays, None);
    match event {
        Event::Poll => World::finish(start(world, "poll", 0)),
        Event::PollKilled => {
            let time = world.random.within(5, 900);
            start(world, "poll", time).kill();
            world.figures.kills += 1;
        }
        Event::DaemonKilled => {
            let time = world.random.within(200, 2_500);
            start(world, "run", time).kill();
            world.figures.kills += 1;
        }
        Event::DaemonStopped => {
            let time = world.random.within(200, 2_000);
            start(world, "run", time).stop(Duration::from_secs(30));
            world.figures.stops += 1;
        }
        Event::Connection => {
            for relay in &relays {
                let (when, act) = world.fault();
                relay.set_fault(when, act);
            }
            World::finish(start(world, "poll", 0));
            world.figures.connection_cuts += 1;
        }
        Event::Restart => {
            let time = world.random.within(5, 600);
            let program = start(world, "poll", time);
            world.dovecot.restart();
            World::finish(program);
            world.figures.restarts += 1;
        }
        Event::FullDisk => {
            let left = world.random.within(0, 400_000);
            world.fill(left);
            let time = world.random.within(5, 600);
            let program = start(world, "poll", time);
            World::finish(program);
            world.empty();
            world.figures.full_disks += 1;
        }
        Event::PowerCut => {
            let verb = *world.random.pick(&["poll", "run"]);
            let time = world.random.within(10, 1_200);
            let program = start(world, verb, time);
            world.cut_power(program);
            world.figures.power_cuts += 1;
        }
    }
}

/// Starts the program and lets so many milliseconds pass, while mail comes and goes.
fn start(world: &mut World, verb: &str, time: u64) -> Running {
    // Small batches make many commits.
    let batch = world.random.within(2, 40).to_string();
    let mut program = world.site.spawn_with(&[("POSTRIDER_BATCH", &batch)], &[verb]);
    world.mingle(Duration::from_millis(time), &mut program);
    program
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

/// Polls without faults: in the end all is stored, and off the server but for what is held.
fn come_to_rest(world: &mut World) {
    world.configure(&[], Some(true));
    for _ in 0..6 {
        World::finish(world.site.spawn(&["poll"]));
    }
    judge(world);
    world.figures.stored = world.site.whole().len() as u64;
    let left: usize = world.accounts.iter().map(|account| world.on_server(account).len()).sum();
    let status = world.site.status();
    let accounts = status["accounts"].as_array().cloned().unwrap_or_default();
    let held: u64 = accounts.iter().filter_map(|account| account["held"].as_u64()).sum();
    let errors = accounts.iter().filter(|account| !account["last_error"].is_null()).count();
    let faults = world.site.tree_faults();
    let rest = (left as u64, errors, faults.len());
    if rest != (held, 0, 0) && world.figures.is_good() {
        eprintln!("left {left}, held {held}, {errors} accounts fail, {faults:?}\n{status}");
        world.figures.wrongs.partial += 1;
    }
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
