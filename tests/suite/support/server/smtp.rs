//! SMTP submission: EHLO, STARTTLS, AUTH PLAIN, MAIL, RCPT, DATA (RFC 5321, RFC 4954).

use std::sync::Arc;

use super::store::Taken;
use super::{Answer, Dialect, Protection, Shared, is_known, plain};

/// One session.
pub(super) struct Smtp {
    shared: Arc<Shared>,
    encrypted: bool,
    awaits_plain: bool,
    in_data: bool,
    mail: Taken,
}

impl Smtp {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let mail = Taken::default();
        Self { shared, encrypted: false, awaits_plain: false, in_data: false, mail }
    }

    fn hello(&self) -> String {
        let usual = "AUTH:PLAIN 8BITMIME PIPELINING";
        let words = self.shared.kind.capabilities.as_deref().unwrap_or(usual);
        let mut lines = vec!["scripted.example".to_owned()];
        lines.extend(words.split_whitespace().map(|word| word.replace(':', " ")));
        if self.shared.kind.protection == Protection::StartTls && !self.encrypted {
            lines.push("STARTTLS".to_owned());
        }
        let last = lines.len() - 1;
        let line = |(n, text): (usize, &String)| {
            format!("250{}{text}\r\n", if n == last { ' ' } else { '-' })
        };
        lines.iter().enumerate().map(line).collect()
    }

    fn data(&mut self, line: &str) -> Answer {
        if line != "." {
            self.mail.octets.extend_from_slice(line.strip_prefix('.').unwrap_or(line).as_bytes());
            self.mail.octets.extend_from_slice(b"\r\n");
            return Answer::default();
        }
        self.in_data = false;
        let mail = std::mem::take(&mut self.mail);
        self.shared.state().store.taken.push(mail);
        Answer::of("250 2.0.0 taken\r\n")
    }
}

impl Dialect for Smtp {
    fn greeting(&mut self) -> Vec<u8> {
        b"220 scripted.example ready\r\n".to_vec()
    }

    fn answer(&mut self, line: &str) -> Answer {
        if self.in_data {
            return self.data(line);
        }
        if std::mem::take(&mut self.awaits_plain) {
            return Answer::of(log_in(line));
        }
        let (word, argument) = line.split_once(' ').unwrap_or((line, ""));
        let path = || argument.split_once(':').map_or("", |(_, path)| path).trim().to_owned();
        match word.to_uppercase().as_str() {
            "EHLO" => Answer::of(self.hello()),
            "HELO" => Answer::of("250 scripted.example\r\n"),
            "STARTTLS" if !self.encrypted && self.shared.tls.is_some() => {
                Answer { octets: b"220 2.0.0 begin\r\n".to_vec(), tls: true, end: false }
            }
            "AUTH" => {
                if let Some((_, response)) = argument.split_once(' ') {
                    return Answer::of(log_in(response));
                }
                self.awaits_plain = true;
                Answer::of("334 \r\n")
            }
            "MAIL" => {
                self.mail = Taken { from: path(), ..Taken::default() };
                Answer::of("250 2.1.0 ok\r\n")
            }
            "RCPT" => {
                self.mail.to.push(path());
                Answer::of("250 2.1.5 ok\r\n")
            }
            "DATA" => {
                self.in_data = true;
                Answer::of("354 go on\r\n")
            }
            "RSET" => {
                self.mail = Taken::default();
                Answer::of("250 2.0.0 ok\r\n")
            }
            "NOOP" => Answer::of("250 2.0.0 ok\r\n"),
            "QUIT" => Answer { octets: b"221 2.0.0 bye\r\n".to_vec(), tls: false, end: true },
            _ => Answer::of("500 5.5.1 not known\r\n"),
        }
    }

    fn encrypted(&mut self) {
        self.encrypted = true;
    }
}

fn log_in(response: &str) -> &'static str {
    let known = plain(response).is_some_and(|(user, password)| is_known(&user, &password));
    if known { "235 2.7.0 done\r\n" } else { "535 5.7.8 wrong\r\n" }
}
