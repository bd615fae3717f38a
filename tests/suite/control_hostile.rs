//! Clients of the control socket that mean harm, or are no clients at all.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::control::daemon;
use crate::support::{Dovecot, Running, Site, sample, wait_for};

const SOON: Duration = Duration::from_secs(20);

fn site(dovecot: &Dovecot) -> Site {
    Site::new(&[("a", dovecot.account("imap", "tls", "u1") + "poll_interval = \"1s\"\n")])
}

fn connect(site: &Site) -> UnixStream {
    let stream = UnixStream::connect(site.state().join("control")).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.set_write_timeout(Some(SOON)).unwrap();
    stream
}

/// What the daemon says to these octets, until it closes.
fn said(site: &Site, octets: &[u8]) -> String {
    let mut stream = connect(site);
    // A line that is too long isn't taken to its end.
    stream.write_all(octets).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    String::from_utf8_lossy(&answer).into_owned()
}

fn request(site: &Site, rest: &str) -> String {
    format!("{{\"postrider\":1,\"state_dir\":\"{}\",{rest}}}\n", site.state().display())
}

/// The daemon still polls, and still answers within a moment.
fn is_well(dovecot: &Dovecot, site: &Site) {
    let count = site.stored().len();
    dovecot.deliver("u1", &sample(&format!("well {count}"), 100));
    wait_for("a message", SOON, || (site.stored().len() > count).then_some(()));
    let output = site.cli(&["status", "--json"]);
    let status: Value = serde_json::from_str(&output.stdout).unwrap();
    assert!(status["live"]["pid"].is_u64() && output.took < Duration::from_secs(2), "{output:?}");
}

#[test]
fn garbage_half_requests_and_endless_lines_are_refused_or_cut_off() {
    let dovecot = Dovecot::start();
    let site = site(&dovecot);
    let daemon = daemon(&site);
    for garbage in [
        "\n".to_owned(),
        "\0\0\0\n".to_owned(),
        "GET / HTTP/1.0\r\n\r\n".to_owned(),
        "[[[[[[[[\n".to_owned(),
        "[".repeat(60_000) + "\n",
        "{\"postrider\":99}\n".to_owned(),
        request(&site, "\"command\":\"delete\""),
        request(&site, "\"command\":\"debug\",\"account\":\"a\",\"seconds\":18446744073709551616"),
    ] {
        let answer = said(&site, garbage.as_bytes());
        let refusal: Value =
            serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{e}: {answer}"));
        assert_eq!(refusal["reply"], "refused", "{answer}");
    }
    let huge = vec![b'x'; 50_000_000];
    assert!(said(&site, &huge).contains("more than 65536 octets"));
    let long = request(
        &site,
        &format!("\"command\":\"debug\",\"account\":\"{}\",\"seconds\":9", "x".repeat(60_000)),
    );
    let answer = said(&site, long.as_bytes());
    assert!(answer.contains("account-unknown") && answer.len() < 400, "{answer}");
    // Half a request: after five seconds the daemon has had enough, and says nothing.
    let begin = Instant::now();
    assert_eq!(said(&site, b"{\"postrider\":1,"), "");
    assert!((3..9).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    // Two requests on one connection: the second one counts for nothing.
    let twice = request(&site, "\"command\":\"status\"").repeat(2);
    assert!(said(&site, twice.as_bytes()).matches("\"reply\"").count() <= 1);
    // Another installation's client.
    let other = request(&site, "\"command\":\"reload\"").replace("/state", "/other");
    assert!(said(&site, other.as_bytes()).contains("control-other"));
    is_well(&dovecot, &site);
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn two_hundred_silent_connections_take_nothing_from_polls_and_pass() {
    let dovecot = Dovecot::start();
    let site = site(&dovecot);
    let daemon = daemon(&site);
    let before = open_files(&daemon);
    let mut held: Vec<UnixStream> = (0..200).map(|_| connect(&site)).collect();
    let mut busy = String::new();
    held[199].read_to_string(&mut busy).unwrap();
    assert!(busy.contains("control-busy"), "{busy}");
    assert!(open_files(&daemon) < before + 50, "{}", open_files(&daemon));
    // Mail goes on meanwhile; a command is told to try again.
    dovecot.deliver("u1", &sample("meanwhile", 100));
    wait_for("a message", SOON, || (site.stored().len() == 1).then_some(()));
    // The silent ones are let go, and there is room again though they are still held here.
    wait_for("room", SOON, || site.status()["live"]["pid"].is_u64().then_some(()));
    is_well(&dovecot, &site);
    drop(held);
    wait_for("all closed", SOON, || (open_files(&daemon) <= before + 5).then_some(()));
    // Asked for much, and nothing of it read: that client goes, the daemon doesn't wait.
    let poll = request(&site, "\"command\":\"poll\",\"accounts\":[\"a\"],\"force\":false");
    let mut deaf: Vec<UnixStream> = (0..20).map(|_| connect(&site)).collect();
    for stream in &mut deaf {
        stream.write_all(poll.as_bytes()).unwrap();
    }
    is_well(&dovecot, &site);
    assert_eq!(daemon.stop(SOON).code, 0);
}

fn open_files(daemon: &Running) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count()
}

/// Whether the daemon may be asked by a user and a group; `setpriv` makes them.
fn ask_as(socket: &Path, state: &Path, uid: u32, gid: u32) -> String {
    let line = format!(
        "{{\"postrider\":1,\"state_dir\":\"{}\",\"claim\":\"root\",\"command\":\"status\"}}",
        state.display()
    );
    let script = "use IO::Socket::UNIX; use Errno; \
                  my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]); \
                  if (!$s) { print $!{EACCES} ? 'no entry' : $!; exit } \
                  $SIG{PIPE} = 'IGNORE'; $SIG{ALRM} = sub { exit 1 }; alarm 10; \
                  $s->print($ARGV[1], chr 10); $s->flush; print scalar <$s>;";
    let output = Command::new("setpriv")
        .args([&format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups"])
        .args(["/usr/bin/perl", "-e", script])
        .arg(socket)
        .arg(line)
        .output()
        .expect("setpriv runs");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn other_users_are_kept_out_by_the_file_and_by_the_kernels_word() {
    let dovecot = Dovecot::start();
    let site = site(&dovecot);
    let run = tempfile::Builder::new().prefix("run").tempdir().unwrap();
    std::fs::set_permissions(run.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let runtime = [("RUNTIME_DIRECTORY", run.path().to_str().unwrap())];
    let daemon = site.spawn_with(&runtime, &["run"]);
    // It is found by its link in the state folder.
    wait_for("the daemon", SOON, || site.status()["live"]["pid"].is_u64().then_some(()));
    let socket = run.path().join("control");
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(ask_as(&socket, &site.state(), 65_534, 65_534).trim(), "no entry");
    // Even with the file wide open.
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    for _ in 0..3 {
        let answer = ask_as(&socket, &site.state(), 65_534, 65_534);
        assert!(answer.contains("control-refused") && !answer.contains("pid"), "{answer}");
    }
    assert!(ask_as(&socket, &site.state(), 0, 0).contains("\"pid\""));
    let refused: Vec<Value> =
        site.log().into_iter().filter(|record| record["code"] == "control-refused").collect();
    assert_eq!((refused.len(), &refused[0]["created_uid"]), (1, &65_534.into()), "{refused:?}");
    is_well(&dovecot, &site);
    assert_eq!(daemon.stop(SOON).code, 0);
    assert!(!socket.exists() && site.state().join("control").symlink_metadata().is_err());
}

#[test]
fn members_of_the_control_group_may_and_nobody_else() {
    let dovecot = Dovecot::start();
    let mut site = site(&dovecot);
    // Group 12 is `man` on Debian, whose user has it as its primary group.
    site.add("daemon", "control_group = \"man\"");
    let run = tempfile::Builder::new().prefix("run").tempdir().unwrap();
    std::fs::set_permissions(run.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let runtime = [("RUNTIME_DIRECTORY", run.path().to_str().unwrap())];
    let daemon = site.spawn_with(&runtime, &["run"]);
    wait_for("the daemon", SOON, || site.status()["live"]["pid"].is_u64().then_some(()));
    let socket = run.path().join("control");
    assert_eq!(mode(&socket), 0o660);
    assert!(ask_as(&socket, &site.state(), 65_534, 12).contains("\"pid\""));
    assert_eq!(ask_as(&socket, &site.state(), 65_534, 65_534).trim(), "no entry");
    assert_eq!(daemon.stop(SOON).code, 0);
    site.set(
        "daemon",
        &format!("state_dir = \"{}\"\ncontrol_group = \"no-such\"\n", site.state().display()),
    );
    let daemon = site.spawn(&["run"]);
    wait_for("the daemon", SOON, || site.status()["live"]["pid"].is_u64().then_some(()));
    let warned = site.log().into_iter().filter(|r| r["code"] == "control-unavailable").count();
    assert_eq!((warned, mode(&site.state().join("control"))), (1, 0o600));
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn what_is_left_of_a_killed_daemon_is_replaced_and_a_false_one_harms_no_command() {
    let dovecot = Dovecot::start();
    let site = site(&dovecot);
    let path = site.state().join("control");
    daemon(&site).kill();
    assert!(path.exists(), "it was killed");
    assert_eq!(site.cli(&["poll"]).code, 0, "a stale socket is no daemon");
    let second = daemon(&site);
    // Another one leaves its socket alone.
    assert_eq!(site.cli(&["run"]).code, 75);
    is_well(&dovecot, &site);
    assert_eq!(second.stop(SOON).code, 0);
    // Something else sits there: it closes, talks nonsense, or isn't a socket at all.
    let listener = UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        for line in [
            "",
            "nonsense\n",
            "{\"reply\":\"done\"}\n",
            "{\"reply\":\"refused\",\"code\":\"x\",\"message\":\"\u{1b}[2J\"}\n",
        ] {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(line.as_bytes()).ok();
        }
    });
    for _ in 0..4 {
        let output = site.cli(&["poll"]);
        assert_eq!(output.code, 1, "{output:?}");
        assert!(
            output.stderr.starts_with("error: ") && !output.stderr.contains('\u{1b}'),
            "{output:?}"
        );
    }
    server.join().unwrap();
    std::fs::remove_file(&path).unwrap();
    let _datagrams = UnixDatagram::bind(&path).unwrap();
    assert_eq!(site.cli(&["poll"]).code, 0);
    let daemon = daemon(&site);
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn long_state_folders_have_a_socket_too_and_a_daemon_without_one_polls() {
    let dovecot = Dovecot::start();
    let mut site = Site::empty();
    site.keep_state_in(site.path().join("x".repeat(120)));
    site.account("a", &(dovecot.account("imap", "tls", "u1") + "poll_interval = \"1s\"\n"));
    site.init_root();
    let daemon = daemon(&site);
    is_well(&dovecot, &site);
    assert_eq!(daemon.stop(SOON).code, 0);
    // A folder stands where the socket should be.
    std::fs::create_dir(site.state().join("control")).unwrap();
    std::fs::write(site.state().join("control/x"), "").unwrap();
    let count = site.stored().len();
    dovecot.deliver("u1", &sample("without a socket", 100));
    let daemon = site.spawn(&["run"]);
    wait_for("a message", SOON, || (site.stored().len() > count).then_some(()));
    for arguments in [&["poll"][..], &["account", "resume", "a"]] {
        let output = site.cli(arguments);
        assert_eq!(output.code, 75, "{output:?}");
    }
    assert!(site.log().iter().any(|r| r["code"] == "control-unavailable"));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(SOON).code, 0);
}
