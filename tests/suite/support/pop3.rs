//! A small POP3 client: what the tests compare with.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

/// One session in plaintext. Every method panics when the server says anything but `+OK`.
#[derive(Debug)]
pub struct Pop3Client {
    stream: BufReader<TcpStream>,
    /// The server's greeting.
    pub greeting: String,
}

impl Pop3Client {
    /// Connects and reads the greeting.
    pub fn connect(address: (&str, u16)) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut client = Self { stream: BufReader::new(stream), greeting: String::new() };
        client.greeting = String::from_utf8_lossy(&client.line()).into_owned();
        client
    }

    /// Connects and logs in.
    pub fn login(address: (&str, u16), user: &str, password: &str) -> Self {
        let mut client = Self::connect(address);
        client.command(&format!("USER {user}"));
        client.command(&format!("PASS {password}"));
        client
    }

    /// Sends a command; the rest of the `+OK` line.
    pub fn command(&mut self, command: &str) -> String {
        self.stream.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let answer = String::from_utf8_lossy(&self.line()).into_owned();
        let said = answer.strip_prefix("+OK");
        said.unwrap_or_else(|| panic!("`{command}` was answered by: {answer}")).trim().to_owned()
    }

    /// Message numbers and unique-ids, in the server's order.
    pub fn uidl(&mut self) -> Vec<(u32, String)> {
        self.command("UIDL");
        let text = String::from_utf8(self.multi_line()).unwrap();
        let lines = text.lines().map(|line| line.split_once(' ').unwrap());
        lines.map(|(number, id)| (number.parse().unwrap(), id.to_owned())).collect()
    }

    /// A message's octets, dot-unstuffed.
    pub fn retr(&mut self, number: u32) -> Vec<u8> {
        self.command(&format!("RETR {number}"));
        self.multi_line()
    }

    /// Every message's octets, in the server's order.
    pub fn all(&mut self) -> Vec<Vec<u8>> {
        let numbers = self.uidl();
        numbers.into_iter().map(|(number, _)| self.retr(number)).collect()
    }

    /// QUIT: the server frees the maildrop.
    pub fn quit(mut self) {
        self.command("QUIT");
    }

    fn multi_line(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let mut line = self.raw_line();
            if line == b".\r\n" {
                return all;
            }
            if line.starts_with(b".") {
                line.remove(0);
            }
            all.append(&mut line);
        }
    }

    fn line(&mut self) -> Vec<u8> {
        let line = self.raw_line();
        line.trim_ascii_end().to_vec()
    }

    fn raw_line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).unwrap();
        assert!(line.ends_with(b"\n"), "the server closed the connection");
        line
    }
}
