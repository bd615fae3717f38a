//! What was said in a dialogue, for people: secrets hidden, a letter's own lines left out.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::net::Witness;

/// Lines that are kept; a dialogue has about thirty.
const LINES_MAX: usize = 500;

/// Who has said a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// We.
    Client,
    /// Nobody: something happened.
    Note,
    /// The server.
    Server,
}

/// A line of a dialogue.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Who.
    pub speaker: Speaker,
    /// What, without the line end; printable, secrets as `***`.
    pub text: String,
    /// When, from the dialogue's begin.
    #[serde(skip)]
    pub at: Duration,
}

/// A dialogue.
#[derive(Clone, Debug)]
pub struct Transcript {
    begun: Instant,
    lines: Vec<Line>,
    told: Option<mpsc::Sender<Line>>,
}

impl Default for Transcript {
    fn default() -> Self {
        Self { begun: Instant::now(), lines: Vec::new(), told: None }
    }
}

impl Transcript {
    /// One that also tells each line; what doesn't fit into the channel is only kept.
    pub fn telling(told: mpsc::Sender<Line>) -> Self {
        Self { told: Some(told), ..Self::default() }
    }

    /// Its lines.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub(super) fn add(&mut self, speaker: Speaker, text: String) {
        if self.lines.len() >= LINES_MAX {
            return;
        }
        let line = Line { speaker, text, at: self.begun.elapsed() };
        if let Some(told) = &self.told {
            told.try_send(line.clone()).ok();
        }
        self.lines.push(line);
    }
}

/// Who looks on while mail is handed over: by stages, and word for word.
#[derive(Debug)]
pub struct Watch {
    /// The stages.
    pub witness: Witness,
    /// The words. It is there also when the submission fails.
    pub transcript: Transcript,
}

impl Watch {
    /// One that keeps the words and tells nobody.
    pub fn blind() -> Self {
        Self { witness: Witness::blind(), transcript: Transcript::default() }
    }
}
