//! Polls of one account that are wanted at the same time, and logins that a stop comes into.

use std::time::Duration;

use crate::control::daemon;
use crate::support::server::{Fault, Protocol, Server, Then};
use crate::support::{Output, Site, loopback_account, wait_for};

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
        assert_eq!(outputs.iter().filter(waited).count(), 7, "{outputs:?}");
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
