//! What is tortured: a real server, an installation, its disks; and what happens to them.

use std::fmt::Write;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::accounts::{ACCOUNTS, Account, FOLDERS, MODES, Rule};
use super::oracle::{Oracle, on_server};
use super::random::Random;
use super::{Figures, Options};
use crate::support::{Act, Disk, Dovecot, FORGETFUL, Relay, Running, Site, When, loopback_account};

/// Longer than a poll may take under any of these faults.
const LIMIT: Duration = Duration::from_mins(2);

/// Everything that exists.
pub struct World {
    pub dovecot: Dovecot,
    pub site: Site,
    pub accounts: Vec<Account>,
    pub oracle: Oracle,
    pub random: Random,
    pub figures: Figures,
    /// Ledger and archive on disks of their own, where they can be made.
    disks: Option<(Disk, Disk)>,
    pub(super) most: u64,
    /// When this one began, in seconds.
    pub(super) began: u64,
    /// What the mailbox of changing names is called now.
    pub(super) work: &'static str,
    /// An older ledger, once one was kept.
    older: Option<TempDir>,
}

impl World {
    pub fn new(options: &Options) -> Self {
        let more = crate::support::Options { users: 6, more: FOLDERS, ..Default::default() };
        let dovecot = Dovecot::start_with(&more);
        let accounts: Vec<Account> = ACCOUNTS
            .into_iter()
            .filter(|account| options.protocol == "both" || options.protocol == account.protocol)
            .collect();
        let mut site = Site::empty();
        let disks = Disk::ext4(128, &["-m", "0"], FORGETFUL).zip(Disk::ext4(
            2048,
            &["-m", "0", "-N", "200000"],
            FORGETFUL,
        ));
        if let Some((ledger, archive)) = &disks {
            site.keep_state_in(ledger.path().join("state"));
            site.keep_mail_in_all_of(archive.path().join("mail"), "1KiB");
        } else {
            eprintln!("without disks of their own: no power cuts, no full disks");
        }
        site.set("log", "level = \"warning\"\n");
        site.init_root();
        if let Some((ledger, archive)) = &disks {
            ledger.sync();
            archive.sync();
        }
        for account in accounts.iter().filter(|account| account.has_work) {
            dovecot.imap_client(account.user).command("CREATE Work");
        }
        let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        Self {
            dovecot,
            site,
            accounts,
            oracle: Oracle::default(),
            random: Random::new(options.seed),
            figures: Figures::default(),
            disks,
            most: options.messages,
            began,
            work: "Work",
            older: None,
        }
    }

    pub fn has_disks(&self) -> bool {
        self.disks.is_some()
    }

    /// Writes the accounts anew: rules by chance, servers behind relays or not. In the end (`calm`)
    /// everything is stored and goes that may go.
    pub fn configure(&mut self, relays: &[Relay], calm: bool) {
        for (n, account) in self.accounts.iter().enumerate() {
            let own =
                if account.protocol == "imap" { self.dovecot.imap } else { self.dovecot.pop3 };
            let port = relays.get(n).map_or(own, |relay| relay.port);
            let mut lines = loopback_account(account.protocol, "none", port, account.user);
            lines = lines.replace("read_timeout = \"10s\"", "read_timeout = \"2s\"");
            lines += "poll_interval = \"1s\"\n";
            if account.has_work {
                lines += "folders = [\"INBOX\", \"Work*\"]\n";
            }
            lines += match account.rule {
                Rule::Days => {
                    "delete_read = true\ndelete_after_days = 2\ndelete_age_from = \"received\"\n"
                }
                _ if calm || self.random.chance(75) => "delete_read = true\n",
                _ => "",
            };
            if account.rule == Rule::Modes && !calm && lines.contains("delete_read") {
                lines += *self.random.pick(&MODES);
            }
            // Small batches make many commits: a poll's only one, or one after the other.
            if !calm && self.random.chance(50) {
                writeln!(lines, "batch_max = {}", self.random.within(2, 40)).unwrap();
                lines += if self.random.chance(50) { "drain = false\n" } else { "" };
            }
            self.site.account(account.name, &lines);
        }
    }

    /// Lets a program go on until it ends.
    pub fn finish(program: Running) {
        program.wait(LIMIT);
    }

    /// One relay for each account.
    pub fn relays(&self) -> Vec<Relay> {
        let port = |account: &Account| {
            if account.protocol == "imap" { self.dovecot.imap } else { self.dovecot.pop3 }
        };
        self.accounts.iter().map(|account| Relay::to(port(account))).collect()
    }

    /// A chance fault of a connection.
    pub fn fault(&mut self) -> (When, Act) {
        const WORDS: [&str; 10] = [
            "FETCH",
            "SELECT",
            "UID STORE",
            "UID EXPUNGE",
            "UID SEARCH",
            "RETR",
            "DELE",
            "QUIT",
            "UIDL",
            "LOGOUT",
        ];
        let when = if self.random.chance(50) {
            When::ServerOctets(usize::try_from(self.random.within(10, 200_000)).unwrap())
        } else {
            When::ClientSays(self.random.pick::<&str>(&WORDS))
        };
        (when, *self.random.pick(&[Act::Cut, Act::CutAnswer, Act::CutAnswer, Act::Stall]))
    }

    /// Fills the archive's disk but for so many octets.
    pub fn fill(&self, left: u64) {
        let Some((_, archive)) = &self.disks else { return };
        let stat = rustix::fs::statvfs(archive.path()).unwrap();
        let size = (stat.f_bavail * stat.f_frsize).saturating_sub(left);
        let ballast = File::create(archive.path().join("ballast")).unwrap();
        let all = rustix::fs::FallocateFlags::empty();
        // What the file system needs for itself differs; almost full is full enough.
        rustix::fs::fallocate(&ballast, all, 0, size.max(1)).ok();
    }

    /// Makes room again.
    pub fn empty(&self) {
        let Some((_, archive)) = &self.disks else { return };
        std::fs::remove_file(archive.path().join("ballast")).unwrap();
    }

    /// Cuts the power of both disks, ends the program, mounts them again.
    pub fn cut_power(&self, program: Running) {
        let Some((ledger, archive)) = &self.disks else { return };
        Disk::cut(&[archive, ledger]);
        program.kill();
        for disk in [ledger, archive] {
            disk.power_on();
        }
    }

    /// What the server shows of an account.
    pub fn on_server(&self, account: &Account) -> Vec<(String, Vec<u8>)> {
        let mut mailboxes = vec!["INBOX".to_owned()];
        mailboxes.extend(account.has_work.then(|| self.work.to_owned()));
        on_server(&self.dovecot, account.protocol, account.user, &mailboxes)
    }

    /// Keeps a copy of the ledger, as a backup does; nothing may be running.
    pub fn keep_ledger(&mut self) {
        let folder = tempfile::tempdir().unwrap();
        copy_ledger(&self.site.state(), folder.path());
        self.older = Some(folder);
    }

    pub fn has_older_ledger(&self) -> bool {
        self.older.is_some()
    }

    /// Puts the copy in the place of the ledger, durably; nothing may be running.
    pub fn restore_ledger(&mut self) {
        let Some(older) = self.older.take() else { return };
        copy_ledger(older.path(), &self.site.state());
        if let Some((ledger, _)) = &self.disks {
            ledger.sync();
        }
        self.figures.restored += 1;
    }
}

/// The ledger's files from one folder to another, in place of what is there.
fn copy_ledger(from: &Path, to: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let name = format!("ledger.db{suffix}");
        // There may be none.
        drop(std::fs::remove_file(to.join(&name)));
        if from.join(&name).exists() {
            std::fs::copy(from.join(&name), to.join(&name)).unwrap();
        }
    }
}
