//! Reading a secret from a person, unseen, or from a pipe.

use std::io::{Error, ErrorKind, IsTerminal as _, Read as _, Result, Stdin, Write as _};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use crate::secret::MAX_SECRET;

const INTERRUPT: u8 = 0x03;
const END_OF_INPUT: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const KILL_LINE: u8 = 0x15;
const DELETE: u8 = 0x7f;

/// Asks twice on a terminal, without echo; takes all that comes from a pipe.
pub(super) fn read_secret(what: &str) -> Result<Zeroizing<Vec<u8>>> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        // Room for one octet too many and a line end: it never grows, which would leave copies.
        let limit = MAX_SECRET.saturating_add(3);
        let mut octets = Zeroizing::new(Vec::with_capacity(limit.saturating_add(1)));
        stdin.lock().take(u64::try_from(limit).unwrap_or(u64::MAX)).read_to_end(&mut octets)?;
        return Ok(octets);
    }
    let silence = Silence::begin(&stdin)?;
    let first = ask(&format!("{what} (nothing is shown): "))?;
    let second = ask("once more: ")?;
    drop(silence);
    if first != second {
        return Err(Error::new(ErrorKind::InvalidInput, "the two are not the same"));
    }
    Ok(first)
}

/// Asks once on a terminal, without echo: for a secret that is tried at once.
pub(super) fn read_secret_once(what: &str) -> Result<Zeroizing<Vec<u8>>> {
    let stdin = std::io::stdin();
    let silence = Silence::begin(&stdin)?;
    let secret = ask(&format!("{what} (nothing is shown): "));
    drop(silence);
    secret
}

/// Asks for a line that is no secret; what is nothing but blanks is empty.
pub(super) fn read_answer(prompt: &str) -> Result<String> {
    let mut stderr = std::io::stderr();
    write!(stderr, "{prompt}")?;
    stderr.flush()?;
    let line = read_line()?;
    let text = String::from_utf8(line.to_vec());
    let text = text.map_err(|_| Error::new(ErrorKind::InvalidInput, "that is no text"))?;
    Ok(text.trim().to_owned())
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Silence<'a> {
    terminal: &'a Stdin,
    before: Termios,
}

impl<'a> Silence<'a> {
    /// Also takes Ctrl-C as a character: a signal would leave the terminal silent.
    fn begin(terminal: &'a Stdin) -> Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        tcsetattr(self.terminal, OptionalActions::Flush, &self.before).ok();
    }
}

fn ask(prompt: &str) -> Result<Zeroizing<Vec<u8>>> {
    let mut stderr = std::io::stderr();
    write!(stderr, "{prompt}")?;
    stderr.flush()?;
    let line = read_line();
    writeln!(stderr)?;
    line
}

/// One line, octet by octet from the terminal itself: `std`'s buffer would keep a copy.
fn read_line() -> Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_SECRET.saturating_add(1)));
    let mut octet = Zeroizing::new([0_u8; 1]);
    loop {
        if rustix::io::read(rustix::stdio::stdin(), octet.as_mut_slice())? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let [typed] = *octet;
        match typed {
            b'\n' | b'\r' => return Ok(line),
            INTERRUPT | END_OF_INPUT => return Err(ErrorKind::Interrupted.into()),
            BACKSPACE | DELETE => {
                // A whole character: those after its first octet begin with 10.
                while line.pop().is_some_and(|octet| octet & 0xc0 == 0x80) {}
            }
            KILL_LINE => line.clear(),
            other if line.len() <= MAX_SECRET => line.push(other),
            _ => return Err(Error::new(ErrorKind::InvalidInput, "it is too long")),
        }
    }
}
