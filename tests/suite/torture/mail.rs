//! Mail that comes and goes while the program works, and what others do to mailboxes.

use std::time::{Duration, Instant};

use super::accounts::{Account, Rule};
use super::world::World;
use crate::support::{Delivery, Running, sample};

/// In seconds.
const DAY: u64 = 86_400;

impl World {
    /// Delivers some messages; a few are twins of each other.
    pub fn deliver(&mut self, most: u64) {
        for _ in 0..self.random.within(1, most) {
            if self.figures.messages >= self.most {
                return;
            }
            let account = *self.random.pick(&self.accounts);
            self.figures.messages += 1;
            let octets = self.message();
            let (delivery, is_young) = self.delivery(&account);
            let twins = if self.random.chance(3) { 2 } else { 1 };
            for _ in 0..twins {
                self.oracle.sends(account.name, &octets);
                if is_young {
                    self.oracle.keeps(account.name, &octets);
                }
                self.dovecot.deliver_as(account.user, &octets, &delivery);
            }
            self.figures.messages += twins - 1;
        }
    }

    /// Into which mailbox, and with what date; whether no rule lets it go within this run.
    fn delivery(&mut self, account: &Account) -> (Delivery, bool) {
        if account.rule == Rule::Days {
            let is_young = self.random.chance(50);
            let days = if is_young { 1 } else { 3 };
            return (Delivery::default().at(self.began - days * DAY), is_young);
        }
        let into = if account.has_work && self.random.chance(40) { self.work } else { "INBOX" };
        let day = self.random.within(0, 3) * DAY;
        (Delivery::to(into).at(1_793_956_351 + day), false)
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

    /// The server loses its UIDs of an account's INBOX, and gives new ones.
    pub fn renumber(&mut self) {
        let account = *self.random.pick(&self.accounts);
        self.dovecot.recreate(account.user, "INBOX");
        self.figures.renumbered += 1;
    }

    /// Another client gives a mailbox its other name.
    pub fn rename(&mut self) {
        for account in self.accounts.iter().filter(|account| account.has_work) {
            let to = if self.work == "Work" { "Work2" } else { "Work" };
            let command = format!("RENAME {} {to}", self.work);
            self.dovecot.imap_client(account.user).command(&command);
            self.work = to;
            self.figures.renamed += 1;
        }
    }
}
