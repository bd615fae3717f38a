//! What is tortured: a real server, an installation, its disks; and what happens to them.

use std::fs::File;
use std::time::{Duration, Instant};

use super::oracle::{Oracle, on_server};
use super::random::Random;
use super::{Figures, Options};
use crate::support::{
    Act, Delivery, Disk, Dovecot, FORGETFUL, Relay, Running, Site, When, loopback_account, sample,
};

/// Longer than a poll may take under any of these faults.
const LIMIT: Duration = Duration::from_mins(2);

/// An account of the installation.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    pub name: &'static str,
    pub protocol: &'static str,
    pub user: &'static str,
}

/// IMAP and POP3, one of each twice: the accounts share root and ledger.
const ACCOUNTS: [Account; 4] = [
    Account { name: "imap1", protocol: "imap", user: "u1" },
    Account { name: "pop31", protocol: "pop3", user: "u2" },
    Account { name: "imap2", protocol: "imap", user: "u3" },
    Account { name: "pop32", protocol: "pop3", user: "u4" },
];

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
    most: u64,
}

impl World {
    pub fn new(options: &Options) -> Self {
        let dovecot =
            Dovecot::start_with(&crate::support::Options { users: 4, ..Default::default() });
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
        Self {
            dovecot,
            site,
            accounts,
            oracle: Oracle::default(),
            random: Random::new(options.seed),
            figures: Figures::default(),
            disks,
            most: options.messages,
        }
    }

    pub fn has_disks(&self) -> bool {
        self.disks.is_some()
    }

    /// Writes the accounts anew: rules by chance, servers behind relays or not.
    pub fn configure(&mut self, relays: &[Relay], deletes: Option<bool>) {
        for (n, account) in self.accounts.iter().enumerate() {
            let own =
                if account.protocol == "imap" { self.dovecot.imap } else { self.dovecot.pop3 };
            let port = relays.get(n).map_or(own, |relay| relay.port);
            let mut lines = loopback_account(account.protocol, "none", port, account.user);
            lines = lines.replace("read_timeout = \"10s\"", "read_timeout = \"2s\"");
            lines += "poll_interval = \"1s\"\n";
            if deletes.unwrap_or(self.random.chance(75)) {
                lines += "delete_read = true\ndelete_after_days = 0\n";
            }
            if self.random.chance(30) {
                lines += "batch_max = 7\n";
            }
            self.site.account(account.name, &lines);
        }
    }

    /// Delivers some messages; a few are twins of each other.
    pub fn deliver(&mut self, most: u64) {
        for _ in 0..self.random.within(1, most) {
            if self.figures.messages >= self.most {
                return;
            }
            let account = *self.random.pick(&self.accounts);
            self.figures.messages += 1;
            let octets = self.message();
            let day = self.random.within(0, 3) * 86_400;
            let delivery = Delivery::default().at(1_793_956_351 + day);
            let twins = if self.random.chance(3) { 2 } else { 1 };
            for _ in 0..twins {
                self.oracle.sends(account.name, &octets);
                self.dovecot.deliver_as(account.user, &octets, &delivery);
            }
            self.figures.messages += twins - 1;
        }
    }

    fn message(&mut self) -> Vec<u8> {
        let subject = format!("torture {} {:x}", self.figures.messages, self.random.next());
        let octets = match self.random.within(0, 99) {
            0..=1 => self.random.within(1 << 20, 3 << 20),
            2..=15 => self.random.within(50_000, 200_000),
            _ => self.random.within(300, 20_000),
        };
        let plain = sample(&subject, usize::try_from(octets).unwrap());
        if self.random.chance(70) {
            return plain;
        }
        let text = String::from_utf8(plain).unwrap();
        let (header, body) = text.split_once("\n\n").unwrap();
        let header = header.replace(
            "Content-Type: text/plain; charset=utf-8",
            "Content-Type: multipart/mixed; boundary=b",
        );
        let parts = format!(
            "--b\nContent-Type: text/plain\n\nbody of {subject}\n--b\n\
             Content-Type: application/octet-stream\n\
             Content-Disposition: attachment; filename=\"a {subject}.bin\"\n\n{body}\n--b--\n"
        );
        format!("{header}\n\n{parts}").into_bytes()
    }

    /// Another client removes a message for good, be it stored by then or not.
    pub fn expunge_as_another(&mut self) {
        let account = *self.random.pick(&self.accounts);
        let mut client = self.dovecot.imap_client(account.user);
        let listed = client.list("INBOX");
        if listed.is_empty() {
            return;
        }
        let chosen = self.random.pick(&listed).clone();
        client.mark_deleted("INBOX", chosen.uid);
        let answer = client.command(&format!("UID EXPUNGE {}", chosen.uid));
        // Someone else, postrider, may have removed it in between.
        if String::from_utf8_lossy(&answer).contains("EXPUNGE") {
            self.oracle.removes(account.name, &chosen.body);
            self.figures.expunged += 1;
        }
    }

    /// So long, mail arrives and another client removes some.
    pub fn mingle(&mut self, time: Duration, program: &mut Running) {
        let end = Instant::now() + time;
        while Instant::now() < end && program.is_running() {
            match self.random.within(0, 9) {
                0..=2 => self.deliver(2),
                3 => self.expunge_as_another(),
                _ => {}
            }
            let left = end.saturating_duration_since(Instant::now());
            std::thread::sleep(left.min(Duration::from_millis(self.random.within(1, 40))));
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
        on_server(&self.dovecot, account.protocol, account.user)
    }
}
