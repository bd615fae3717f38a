//! Disks that are full, gone, slow, failing or of the wrong kind.

use std::fs::{self, File};
use std::process::Command;
use std::time::Duration;

use crate::failure::{below, mounting};
use crate::support::{
    Disk, Dovecot, FORGETFUL, Options, Relay, Running, Site, as_sent, is_allowed, loopback_account,
    messages, sample, stored_octets, wait_for,
};

const SOON: Duration = Duration::from_secs(30);
/// Another user.
const NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
const DELETES: &str = "delete_read = true\ndelete_after_days = 0\n";

/// A site whose archive is on the disk, polled each second, its mail deleted at once.
fn site_on(disk: &Disk, account: &str) -> Site {
    let mut site = Site::empty();
    site.keep_mail_in_all_of(disk.path().join("mail"), "64KiB");
    site.account("a", &format!("{account}{DELETES}poll_interval = \"1s\"\n"));
    site.init_root();
    site
}

fn codes(site: &Site, code: &str) -> usize {
    site.log().iter().filter(|r| r["code"] == code && r["level"] != "debug").count()
}

/// strace, attached to a running program: it injects until it is told to stop.
fn attached(program: &Running, inject: &str) -> Option<Running> {
    if !is_allowed() {
        return None;
    }
    let trace = format!("trace={}", inject.split(':').next().unwrap_or_default());
    let mut strace = Command::new("strace");
    let pid = program.pid().to_string();
    strace.args(["-f", "-o", "/dev/null", "-p", &pid, "-e", &trace]);
    let strace = Running::start(strace.args(["-e", &format!("inject={inject}")]));
    wait_for("strace", SOON, || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        (!status.contains("TracerPid:\t0\n")).then_some(())
    });
    Some(strace)
}

#[test]
fn d05_disk_without_room_or_inodes_is_said_once_and_polls_go_on_once_there_is_some() {
    let dovecot = Dovecot::start();
    let mails: Vec<Vec<u8>> = (0..12).map(|n| sample(&format!("m{n}"), 120_000)).collect();
    for (user, inodes) in [("u1", false), ("u2", true)] {
        let make = if inodes { ["-m", "0", "-N", "128"] } else { ["-m", "0", "-N", "4096"] };
        let Some(disk) = Disk::ext4(16, &make, FORGETFUL) else { return };
        let site = site_on(&disk, &dovecot.account("imap", "none", user));
        let ballast = disk.path().join("ballast");
        fs::create_dir(&ballast).unwrap();
        if inodes {
            for n in 0..90 {
                File::create(ballast.join(n.to_string())).unwrap();
            }
        } else {
            let free = rustix::fs::statvfs(disk.path()).unwrap();
            let most = usize::try_from(free.f_bavail * free.f_frsize).unwrap() - 500_000;
            fs::write(ballast.join("0"), vec![1; most]).unwrap();
        }
        for mail in &mails {
            dovecot.deliver(user, mail);
        }
        let daemon = site.spawn(&["run"]);
        let told = || codes(&site, "disk-low") + codes(&site, "disk-full");
        wait_for("the full disk", SOON, || (told() > 0).then_some(()));
        std::thread::sleep(Duration::from_millis(3_500));
        // What makes a poll end is told; that the next ones don't begin is told once.
        assert!(told() <= 3 && codes(&site, "disk-low") <= 1, "{:?}", site.log());
        let status = site.status();
        let code = status["accounts"][0]["last_error"]["code"].clone();
        assert!(code == "disk-low" || code == "disk-full", "{status}");
        let stored = site.stored().len();
        assert!(stored < mails.len());
        let left = dovecot.imap_client(user).uids("INBOX").len();
        assert!(left + stored >= mails.len(), "{left} left, {stored} stored");
        fs::remove_dir_all(&ballast).unwrap();
        wait_for("all messages", SOON, || (site.stored().len() == mails.len()).then_some(()));
        assert_eq!(daemon.stop(SOON).code, 0);
        site.poll();
        assert_eq!(stored_octets(&site), as_sent(&mails));
        assert!(dovecot.imap_client(user).uids("INBOX").is_empty());
    }
}

#[test]
fn d06_file_beyond_the_limit_of_its_size_is_an_error_and_no_end() {
    let dovecot = Dovecot::start();
    let mails = [sample("small", 1_000), sample("large", 6_000_000)];
    for mail in &mails {
        dovecot.deliver("u1", mail);
    }
    let account = dovecot.account("imap", "none", "u1") + DELETES;
    let site = Site::new(&[("a", account)]);
    let output = site.cli_below(&["prlimit", "--fsize=4000000"], &["poll", "a"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert_eq!(codes(&site, "disk-full"), 1, "{:?}", site.log());
    let left = dovecot.imap_client("u1").uids("INBOX").len();
    assert!(left + site.stored().len() >= 2);
    site.poll();
    assert_eq!(stored_octets(&site), as_sent(&mails));
}

#[test]
fn d06_disk_that_fails_syncs_pauses_the_root_without_a_word_to_the_server() {
    let dovecot = Dovecot::start();
    let relay = Relay::to(dovecot.imap);
    let account = loopback_account("imap", "none", relay.port, "u1");
    let account = format!("{account}{DELETES}poll_interval = \"1s\"\n");
    let site = Site::new(&[("a", account)]);
    let daemon = site.spawn(&["run"]);
    wait_for("a first poll", SOON, || (!relay.commands().is_empty()).then_some(()));
    let Some(strace) = attached(&daemon, "syncfs:error=EIO") else { return };
    for message in messages(3) {
        dovecot.deliver("u1", &message);
    }
    wait_for("the pause", SOON, || (codes(&site, "archive-paused") > 0).then_some(()));
    let status = || site.status()["accounts"][0]["last_error"]["code"].clone();
    wait_for("a paused poll", SOON, || (status() == "archive-paused").then_some(()));
    let said = relay.commands().len();
    std::thread::sleep(Duration::from_millis(3_500));
    assert_eq!(relay.commands().len(), said, "the server was asked in vain");
    assert_eq!(codes(&site, "archive-paused"), 1, "said once");
    assert_eq!(codes(&site, "archive-write-failed"), 3);
    assert!(site.stored().is_empty());
    strace.stop(SOON);
    wait_for("all messages", SOON, || (site.stored().len() == 3).then_some(()));
    assert_eq!(codes(&site, "archive-resumed"), 1);
    assert_eq!(daemon.stop(SOON).code, 0);
    site.poll();
    assert_eq!(stored_octets(&site), as_sent(&messages(3)));
    assert!(dovecot.imap_client("u1").uids("INBOX").is_empty());
}

#[test]
fn d07_d18_slow_syncs_hold_up_neither_the_other_accounts_nor_the_end() {
    let dovecot = Dovecot::start();
    let relay = Relay::to(dovecot.imap);
    let every_second = "poll_interval = \"1s\"\n";
    let one = dovecot.account("imap", "none", "u1") + DELETES + every_second;
    let other = loopback_account("imap", "none", relay.port, "u2") + every_second;
    let site = Site::new(&[("a", one), ("b", other)]);
    let daemon = site.spawn(&["run"]);
    wait_for("a first poll", SOON, || (!relay.commands().is_empty()).then_some(()));
    let Some(strace) = attached(&daemon, "syncfs:delay_exit=4000000") else { return };
    dovecot.deliver("u1", &sample("slow", 1_000));
    let staged = site.root().join(".stage");
    wait_for("a sync", SOON, || fs::read_dir(&staged).unwrap().next().map(drop));
    let said = relay.commands().len();
    wait_for("the other's polls", Duration::from_secs(4), || {
        (relay.commands().len() > said + 4).then_some(())
    });
    let output = daemon.stop(SOON);
    assert_eq!(output.code, 0, "{output:?}");
    drop(strace);
    assert_eq!(site.tree_faults(), [""; 0]);
    site.poll();
    assert_eq!(site.stored().len(), 1);
    assert!(dovecot.imap_client("u1").uids("INBOX").is_empty());
}

#[test]
fn d06_disk_that_turns_read_only_while_the_daemon_runs_is_waited_for() {
    let dovecot = Dovecot::start();
    let Some(disk) = Disk::ext4(24, &[], FORGETFUL) else { return };
    let site = site_on(&disk, &dovecot.account("imap", "none", "u1"));
    let daemon = site.spawn(&["run"]);
    for round in 0..2 {
        dovecot.deliver("u1", &sample(&format!("before {round}"), 1_000));
        let left = || dovecot.imap_client("u1").uids("INBOX").len();
        wait_for("a delete", SOON, || (left() == 0).then_some(()));
        wait_for("a rest", SOON, || disk.remount("ro").then_some(()));
        dovecot.deliver("u1", &sample(&format!("after {round}"), 1_000));
        let told = || codes(&site, "archive-read-only") > round;
        wait_for("a word of it", SOON, || told().then_some(()));
        assert_eq!((left(), site.stored().len()), (1, round * 2 + 1));
        assert!(disk.remount("rw"));
        wait_for("a delete", SOON, || (left() == 0).then_some(()));
        assert_eq!(site.stored().len(), round * 2 + 2);
    }
    assert_eq!(daemon.stop(SOON).code, 0);
    assert_eq!(site.tree_faults(), [""; 0]);
}

/// Memory doesn't grow with what is fetched: neither with large messages nor with many accounts.
#[test]
fn d22_many_large_messages_at_the_same_time_fit_in_little_memory() {
    let dovecot = Dovecot::start_with(&Options { users: 6, ..Options::default() });
    let large = sample("large", 30_000_000);
    let mut site = Site::empty();
    for n in 1..=6 {
        let (user, protocol) = (format!("u{n}"), if n % 2 == 0 { "pop3" } else { "imap" });
        dovecot.deliver(&user, &large);
        site.account(&format!("a{n}"), &dovecot.account(protocol, "none", &user));
    }
    site.init_root();
    let output = site.spawn(&["poll"]).wait(SOON * 4);
    assert_eq!(output.code, 0, "{output:?}");
    let peak = output.used.memory;
    assert_eq!(site.stored().len(), 6);
    eprintln!("6 accounts with 30 MB each: peak of {} MiB", peak >> 10);
    assert!(peak < 128 << 10, "{} MiB", peak >> 10);
}

#[test]
fn d08_root_that_is_unmounted_or_replaced_while_the_daemon_runs_gets_no_file_and_no_delete() {
    let dovecot = Dovecot::start();
    let Some(disk) = Disk::ext4(24, &[], FORGETFUL) else { return };
    let Some(other) = Disk::ext4(24, &[], FORGETFUL) else { return };
    let mut site = site_on(&disk, &dovecot.account("imap", "none", "u1"));
    dovecot.deliver("u1", &sample("before", 1_000));
    let daemon = site.spawn(&["run"]);
    let left = || dovecot.imap_client("u1").uids("INBOX").len();
    wait_for("the first delete", SOON, || (left() == 0).then_some(()));
    disk.unmount_lazily();
    dovecot.deliver("u1", &sample("after", 1_000));
    wait_for("a word of it", SOON, || (codes(&site, "root-missing") > 0).then_some(()));
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0, "on the bare mount point");
    assert_eq!(dovecot.imap_client("u1").uids("INBOX").len(), 1);
    assert_eq!(daemon.stop(SOON).code, 0);
    // Another disk with a root of its own stands there now.
    let elsewhere = site.root();
    site.keep_mail_in_all_of(other.path().join("mail"), "64KiB");
    site.init_root();
    for verb in ["poll", "run"] {
        assert_eq!(site.cli(&[verb]).code, 78, "{verb}");
    }
    assert_eq!(fs::read_dir(site.root()).unwrap().count(), 1, "only its marker");
    assert_eq!(dovecot.imap_client("u1").uids("INBOX").len(), 1);
    site.keep_mail_in_all_of(elsewhere, "64KiB");
    wait_for("the old disk", SOON, || disk.mount().then_some(()));
    site.poll();
    assert_eq!(site.stored().len(), 2);
    assert!(dovecot.imap_client("u1").uids("INBOX").is_empty());
}

#[test]
fn d09_stage_on_another_mount_is_refused_at_the_start() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("one", 1_000));
    let site = Site::new(&[("a", dovecot.account("imap", "none", "u1") + DELETES)]);
    for mount in ["mount -t tmpfs tmpfs mail/.stage", "mount --bind mail/.stage mail/.stage"] {
        let Some(wrapper) = mounting(&format!("mkdir -p mail/.stage; {mount}")) else { return };
        for verb in ["poll", "run"] {
            let output = below(&site, &wrapper, &[verb]);
            assert_eq!(output.code, 78, "{mount}, {verb}: {output:?}");
            assert!(output.stderr.contains("`.stage` is another file system"), "{output:?}");
        }
    }
    assert_eq!(dovecot.imap_client("u1").uids("INBOX").len(), 1);
    site.poll();
    assert_eq!(site.stored().len(), 1);
}

#[test]
fn d09_file_systems_that_can_not_keep_the_order_are_refused_at_the_start() {
    if !is_allowed() {
        return;
    }
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("one", 1_000));
    let site = Site::new(&[("a", dovecot.account("imap", "none", "u1") + DELETES)]);
    // NFS and some FUSE don't know RENAME_NOREPLACE. What can't be asked counts as a network's.
    for (inject, word) in [
        ("inject=renameat2:error=EINVAL", "can't rename without replacing"),
        ("inject=fstatfs:error=EIO:when=1", "network file system"),
    ] {
        let strace = ["strace", "-f", "-o", "/dev/null", "-e", inject];
        let output = site.cli_below(&strace, &["poll"]);
        assert_eq!(output.code, 78, "{output:?}");
        assert!(output.stderr.contains(word), "{output:?}");
        assert!(output.stderr.contains("hint: "), "{output:?}");
    }
    site.poll();
    assert_eq!(site.stored().len(), 1);
}

#[test]
fn d26_folder_of_another_user_is_an_error_of_its_account_that_names_it() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: changing owners takes root");
        return;
    }
    let dovecot = Dovecot::start();
    let mut site = Site::empty();
    for (name, user) in [("a", "u1"), ("b", "u2")] {
        site.account(name, &(dovecot.account("imap", "none", user) + DELETES));
        dovecot.deliver(user, &sample("one", 1_000));
    }
    let own = |path: &std::path::Path, who: &str| {
        assert!(Command::new("chown").args(["-R", who]).arg(path).status().unwrap().success());
    };
    own(site.path(), "65534:65534");
    if site.cli_below(&NOBODY, &["--version"]).code != 0 {
        eprintln!("skipped: another user can't run the program where it is");
        return;
    }
    for umask in ["0000", "0277"] {
        let shell = format!("umask {umask}; exec \"$@\"");
        let wrapper: Vec<&str> = NOBODY.into_iter().chain(["sh", "-c", &shell, "sh"]).collect();
        if umask == "0000" {
            assert_eq!(site.cli_below(&wrapper, &["init-root"]).code, 0);
        }
        dovecot.deliver("u1", &sample(umask, 1_000));
        let output = site.cli_below(&wrapper, &["poll"]);
        assert_eq!(output.code, 0, "{output:?}");
        assert_eq!(site.tree_faults(), [""; 0], "umask {umask}");
    }
    own(&site.root().join("a/in"), "0:0");
    for user in ["u1", "u2"] {
        dovecot.deliver(user, &sample("two", 1_000));
    }
    let output = site.cli_below(&NOBODY, &["poll"]);
    assert_eq!(output.code, 3, "{output:?}");
    assert!(output.stdout.contains("error: a: ") && output.stdout.contains("a/in"), "{output:?}");
    assert_eq!(dovecot.imap_client("u1").uids("INBOX").len(), 1);
    assert!(dovecot.imap_client("u2").uids("INBOX").is_empty());
    own(&site.root().join("a/in"), "65534:65534");
    assert_eq!(site.cli_below(&NOBODY, &["poll"]).code, 0);
    assert!(dovecot.imap_client("u1").uids("INBOX").is_empty());
}
