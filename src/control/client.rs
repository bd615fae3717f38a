//! The command's end of the socket. Blocks: a command has nothing else to do.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::REPLY_MAX;
use super::message::{Command, Refusal, Reply, Request, VERSION};
use super::socket::{NAME, with_address};

/// A daemon that says nothing for so long is stuck: one that works says how far it is.
const SILENCE: Duration = Duration::from_secs(30);
/// Where systemd keeps it, for those who can't look into the state folder.
const RUNTIME_FOLDER: &str = "/run/postrider";

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    state_dir: PathBuf,
    claim: Option<String>,
}

/// Why the daemon didn't answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It did, and refuses.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// The connection.
    #[error("the daemon doesn't answer: {0}")]
    Silent(io::Error),
    /// The line makes no sense.
    #[error("the daemon's answer can't be read: {0}")]
    Unreadable(String),
}

impl Client {
    /// Connects to the daemon of a state folder; `None` where none listens, or not to us.
    ///
    /// `claim` is for whom the user says to act.
    pub fn connect(state_dir: &Path, claim: Option<&str>) -> Option<Self> {
        let state_dir = state_dir.to_owned();
        [&*state_dir, Path::new(RUNTIME_FOLDER)].into_iter().find_map(|folder| {
            let path = folder.join(NAME);
            let stream = with_address(&path, |address| UnixStream::connect(address)).ok()?;
            stream.set_read_timeout(Some(SILENCE)).ok()?;
            stream.set_write_timeout(Some(SILENCE)).ok()?;
            let (stream, claim) = (BufReader::new(stream), claim.map(str::to_owned));
            Some(Self { stream, state_dir: state_dir.clone(), claim })
        })
    }

    /// Asks, hands each line of the answer on, and returns the last one's result.
    pub fn ask(
        mut self,
        command: Command,
        mut told: impl FnMut(Reply),
    ) -> Result<serde_json::Value, ClientError> {
        let (state_dir, claim) = (self.state_dir.clone(), self.claim.take());
        let request = Request { postrider: VERSION, state_dir, claim, command };
        let mut line = serde_json::to_vec(&request)
            .map_err(|error| ClientError::Unreadable(error.to_string()))?;
        line.push(b'\n');
        // Who is refused at once can't send any more, but can read why.
        let sent = self.stream.get_mut().write_all(&line);
        loop {
            let reply = match self.reply() {
                Err(ClientError::Silent(error)) => {
                    return Err(ClientError::Silent(sent.err().unwrap_or(error)));
                }
                reply => reply?,
            };
            match reply {
                Reply::Done { result } => return Ok(result),
                Reply::Refused(refusal) => return Err(ClientError::Refused(refusal)),
                other => told(other),
            }
        }
    }

    fn reply(&mut self) -> Result<Reply, ClientError> {
        let mut line = Vec::new();
        let limit = u64::try_from(REPLY_MAX).unwrap_or(u64::MAX);
        let read = (&mut self.stream).take(limit).read_until(b'\n', &mut line);
        read.map_err(ClientError::Silent)?;
        if line.last() != Some(&b'\n') {
            let gone = io::Error::new(io::ErrorKind::UnexpectedEof, "it has closed the connection");
            return Err(ClientError::Silent(gone));
        }
        serde_json::from_slice(&line).map_err(|error| ClientError::Unreadable(error.to_string()))
    }
}
