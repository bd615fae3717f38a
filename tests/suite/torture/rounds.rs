//! One round: what happens to the program, its disks, its ledger, its servers.

use std::time::Duration;

use super::world::World;
use crate::support::Running;

/// What happens in a round.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Connection,
    DaemonKilled,
    DaemonStopped,
    FullDisk,
    OldLedger,
    Poll,
    PollKilled,
    PowerCut,
    Rename,
    Renumber,
    Restart,
}

pub(super) const EVENTS: [Event; 15] = [
    Event::Connection,
    Event::Connection,
    Event::DaemonKilled,
    Event::DaemonKilled,
    Event::DaemonStopped,
    Event::FullDisk,
    Event::OldLedger,
    Event::Poll,
    Event::PollKilled,
    Event::PollKilled,
    Event::PowerCut,
    Event::PowerCut,
    Event::Rename,
    Event::Renumber,
    Event::Restart,
];

/// Plays a round.
pub(super) fn round(world: &mut World, event: Event) {
    let relays = if matches!(event, Event::Connection) { world.relays() } else { Vec::new() };
    world.configure(&relays, false);
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
        Event::OldLedger => {
            World::finish(start(world, "poll", 0));
            restore(world);
        }
        Event::Rename => rename(world),
        Event::Renumber => renumber(world),
        Event::PowerCut => {
            let verb = *world.random.pick(&["poll", "run"]);
            let time = world.random.within(10, 1_200);
            let program = start(world, verb, time);
            world.cut_power(program);
            world.figures.power_cuts += 1;
        }
    }
}

/// A mailbox gets its other name while it is polled.
fn rename(world: &mut World) {
    let time = world.random.within(0, 600);
    let mut program = start(world, "poll", time);
    world.rename();
    world.mingle(Duration::from_millis(time), &mut program);
    World::finish(program);
}

/// A server loses the UIDs of a mailbox before it is polled, and perhaps again while it is.
fn renumber(world: &mut World) {
    world.renumber();
    let time = world.random.within(0, 600);
    let program = start(world, "poll", time);
    if world.random.chance(50) {
        world.renumber();
    }
    World::finish(program);
}

/// Starts the program and lets so many milliseconds pass, while mail comes and goes.
fn start(world: &mut World, verb: &str, time: u64) -> Running {
    // Debug builds make even smaller commits.
    let batch = world.random.within(2, 40).to_string();
    let mut program = world.site.spawn_with(&[("POSTRIDER_BATCH", &batch)], &[verb]);
    world.mingle(Duration::from_millis(time), &mut program);
    program
}

/// A ledger from a backup: the program refuses it, and goes on after what it says is to be done.
fn restore(world: &mut World) {
    world.restore_ledger();
    let refused = world.site.cli(&["poll"]);
    let says = format!("{}{}", refused.stdout, refused.stderr);
    if refused.code != 78 || !says.contains("postrider ledger reconcile") {
        eprintln!("an older ledger is not refused: {refused:?}");
        world.figures.wrongs.partial += 1;
        return;
    }
    let done = world.site.cli(&["ledger", "reconcile"]);
    if done.code != 0 {
        eprintln!("an older ledger is not reconciled: {done:?}");
        world.figures.wrongs.partial += 1;
    }
}
