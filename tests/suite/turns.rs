//! Polls of one account that are wanted at the same time, and logins that a stop comes into.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::control::daemon;
use crate::support::server::{Fault, Protocol, Server, Then};
use crate::support::{Output, Site, loopback_account, sample, wait_for};

const SOON: Duration = Duration::from_secs(30);

/// A server that takes its time with each login, and then says or does this.
fn slow(answer: &str, then: Then) -> Server {
    let server = Server::start(Protocol::Imap);
    let fault = Fault::on("AUTHENTICATE").instead(answer).then(then);
    server.set_fault(Fault { wait_ms: 3_000, ..fault });
    server
}

fn site(server: &Server, interval: &str) -> Site {
    let account = loopback_account("imap", "none", server.port, "u1");
    Site::new(&[("a", format!("{account}poll_interval = \"{interval}\"\n"))])
}

fn logins(server: &Server) -> usize {
    server.commands().iter().filter(|line| line.starts_with("AUTHENTICATE")).count()
}

fn told(site: &Site, code: &str) -> usize {
    site.log().iter().filter(|record| record["code"] == code).count()
}

/// Eight commands at once, and what each said.
fn eight(site: &Site, arguments: &[&str]) -> Vec<Output> {
    let all: Vec<_> = (0..8).map(|_| site.spawn(arguments)).collect();
    all.into_iter().map(|one| one.wait(SOON)).collect()
}

#[test]
fn promise_p14_a08_polls_that_waited_behind_a_refused_one_keep_to_its_rest() {
    for arguments in [&["poll"][..], &["poll", "a"]] {
        let server = slow("{tag} NO [AUTHENTICATIONFAILED] no\r\n", Then::GoOn);
        let site = site(&server, "1d");
        let daemon = daemon(&site);
        let outputs = eight(&site, arguments);
        assert_eq!(logins(&server), 1, "{arguments:?}: {outputs:?}");
        let waited = |output: &&Output| output.stdout.contains("a  not polled: rests until");
        // Who asked before the first one had its turn shares its refusal.
        assert!((1..8).contains(&outputs.iter().filter(waited).count()), "{outputs:?}");
        assert!(outputs.iter().all(|output| output.code == 1), "{outputs:?}");
        assert_eq!(daemon.stop(SOON).code, 0);
    }
}

#[test]
fn a08_login_that_the_server_cuts_is_no_unknown_one_for_the_poll_behind_it() {
    let server = slow("", Then::Close);
    let site = site(&server, "1d");
    let daemon = daemon(&site);
    for output in eight(&site, &["poll", "a"]) {
        assert_eq!(output.code, 1, "{output:?}");
    }
    assert_eq!(told(&site, "login-unknown"), 0);
    assert_eq!(site.status()["accounts"][0]["state"], "FAILING");
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn promise_p14_login_that_an_orderly_stop_comes_into_is_awaited() {
    let server = Server::start(Protocol::Imap);
    server.set_fault(Fault { wait_ms: 3_000, ..Fault::on("AUTHENTICATE") });
    let site = site(&server, "1s");
    for n in 1..=2 {
        let daemon = daemon(&site);
        wait_for("a login", SOON, || (logins(&server) == n).then_some(()));
        assert_eq!(daemon.stop(Duration::from_secs(15)).code, 0);
    }
    server.heal();
    site.poll();
    assert_eq!(told(&site, "login-unknown"), 0);
    assert!(server.commands().iter().filter(|line| line.starts_with("LIST")).count() <= 1);
}

#[test]
fn a_thousand_polls_that_nobody_waits_for_are_one_and_who_waits_gets_its_report() {
    let server = Server::start(Protocol::Imap);
    server.set_fault(Fault { wait_ms: 8_000, ..Fault::on("EXAMINE").nth(1) });
    server.deliver(&sample("for all", 100));
    let site = site(&server, "1d");
    let daemon = daemon(&site);
    let state_dir = site.state();
    let request = format!(
        "{{\"postrider\":1,\"state_dir\":\"{}\",\"command\":\"poll\",\"accounts\":[\"a\"],\"force\":false}}\n",
        state_dir.display()
    );
    let ask = |request: &str| {
        let mut stream = UnixStream::connect(state_dir.join("control")).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        // Who is one too many is turned away, maybe before it has asked.
        stream.write_all(request.as_bytes()).ok();
        stream
    };
    for _ in 0..1_000 {
        drop(ask(&request));
    }
    // More than there are places for other commands.
    let held: Vec<UnixStream> = (0..50).map(|_| ask(&request)).collect();
    let running =
        wait_for("an answer", SOON, || site.status()["live"]["running"].as_array().map(Vec::len));
    assert!((1..=2).contains(&running), "{running}");
    // One that has said all, and shows it, is answered.
    let (status, _) = request.split_once("\"command\"").unwrap();
    let mut stream = ask(&format!("{status}\"command\":\"status\"}}\n"));
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"pid\""), "{answer}");
    drop(held);
    // The next line that can't be sent shows that they are gone.
    std::thread::sleep(Duration::from_secs(1));
    for output in eight(&site, &["poll", "a"]) {
        assert!(output.code == 0 && output.stdout.starts_with("a  0 archived"), "{output:?}");
    }
    let polls = server.commands().iter().filter(|line| line.starts_with("EXAMINE")).count();
    assert!((2..=3).contains(&polls), "{polls}");
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn t22_no_server_has_more_connections_at_a_time_than_it_may() {
    let (server, other) = (Server::start(Protocol::Imap), Server::start(Protocol::Imap));
    // A login takes long enough for the others to come.
    server.set_fault(Fault { wait_ms: 150, ..Fault::on("AUTHENTICATE") });
    let mut site = Site::empty();
    for n in 1..=12 {
        let server = if n == 12 { &other } else { &server };
        server.deliver(&sample(&format!("message {n}"), 300));
        site.account(&format!("a{n}"), &server.account(&format!("u{n}")));
    }
    site.init_root();
    let polled = |site: &Site, most: usize| {
        let output = site.poll();
        assert!(output.took < SOON, "{output:?}");
        assert!(server.connections_at_once() <= most, "{}", server.connections_at_once());
    };
    site.add("daemon", "max_connections_per_server = 2");
    polled(&site, 2);
    assert_eq!(server.connections_at_once(), 2, "one after the other");
    assert_eq!((server.connections(), other.connections()), (11, 1));
    site.add("daemon", "max_connections = 1");
    polled(&site, 2);
    site.set("daemon", &format!("state_dir = \"{}\"", site.state().display()));
    polled(&site, 8);
    assert!(server.connections_at_once() > 2, "{}", server.connections_at_once());
    // All of them see the one mailbox of the server in memory.
    assert_eq!(site.stored().len(), 11 * 11 + 1);
}
