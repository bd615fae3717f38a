//! One message on its way into the tree: its folder below `.stage`, written and hashed.
//!
//! Nothing here is durable yet; `archive::batch` syncs and places what was staged. A staging that
//! is dropped before [`Staging::finish`] removes its folder.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};

use sha2::{Digest, Sha256 as Hasher};

use super::dir::Folder;
use super::error::ArchiveError;
use crate::model::{MessageId, Sha256};
use crate::steps;

/// Octets kept in memory beside the file, so that a small message is parsed without reading back.
const KEEP: usize = 1 << 20;
/// Octets gathered before a write.
const BLOCK: usize = 64 << 10;

/// A message folder that is being written.
#[derive(Debug)]
pub struct Staging {
    stage: Folder,
    id: MessageId,
    eml: File,
    hash: Hasher,
    octets: u64,
    block: Vec<u8>,
    kept: Option<Vec<u8>>,
    file_mode: u32,
    dir_mode: u32,
    finished: bool,
}

/// Modes of what is made.
#[derive(Clone, Copy, Debug)]
pub struct Modes {
    /// Of folders.
    pub dir: u32,
    /// Of files.
    pub file: u32,
}

/// A complete file; of `message.eml`, what the rest of the folder is made from.
#[derive(Debug)]
pub struct Raw {
    /// Octets.
    pub size: u64,
    /// Digest.
    pub sha256: Sha256,
}

impl Staging {
    /// Begins a message: makes its folder below the stage and opens `message.eml`.
    pub(super) fn begin(stage: &Folder, id: MessageId, modes: Modes) -> Result<Self, ArchiveError> {
        let name = id.as_str();
        let made = match stage.make(name, modes.dir) {
            // What an attempt that failed could not remove.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                stage.remove_all(name).and_then(|()| stage.make(name, modes.dir))
            }
            made => made,
        };
        made.map_err(ArchiveError::io("make", path(&id, "")))?;
        let created = stage.create(&format!("{id}/message.eml"), modes.file);
        let eml = created.map_err(ArchiveError::io("create", path(&id, "message.eml")))?;
        Ok(Self {
            stage: stage.clone(),
            id,
            eml,
            hash: Hasher::new(),
            octets: 0,
            block: Vec::new(),
            kept: Some(Vec::new()),
            file_mode: modes.file,
            dir_mode: modes.dir,
            finished: false,
        })
    }

    /// Appends octets to `message.eml`.
    pub fn write(&mut self, octets: &[u8]) -> Result<(), ArchiveError> {
        self.hash.update(octets);
        self.octets = self.octets.saturating_add(octets.len() as u64);
        if let Some(kept) = &mut self.kept {
            if kept.len().saturating_add(octets.len()) <= KEEP {
                kept.extend_from_slice(octets);
            } else {
                self.kept = None;
            }
        }
        self.block.extend_from_slice(octets);
        if self.block.len() >= BLOCK { self.write_block() } else { Ok(()) }
    }

    /// Ends `message.eml`.
    pub fn end(&mut self) -> Result<Raw, ArchiveError> {
        self.write_block()?;
        let digest = std::mem::take(&mut self.hash).finalize();
        Ok(Raw { size: self.octets, sha256: Sha256(digest.into()) })
    }

    /// The first `limit` octets of `message.eml`, from memory or from the file.
    pub fn read_back(&mut self, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        if let Some(kept) = self.kept.take()
            && kept.len() as u64 <= limit
        {
            return Ok(kept);
        }
        let size = usize::try_from(self.octets.min(limit)).unwrap_or(usize::MAX);
        let mut octets = Vec::with_capacity(size);
        let io = ArchiveError::io("read", path(&self.id, "message.eml"));
        let mut read = || -> io::Result<()> {
            let file = self.stage.read(&format!("{}/message.eml", self.id))?;
            file.take(limit).read_to_end(&mut octets)?;
            Ok(())
        };
        read().map_err(io)?;
        Ok(octets)
    }

    /// The first octets of `message.eml` and its last, at most `limit` of each.
    pub fn ends(&self, limit: u64) -> Result<(Vec<u8>, Vec<u8>), ArchiveError> {
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        let mut read = || -> io::Result<()> {
            let mut file = self.stage.read(&format!("{}/message.eml", self.id))?;
            Read::by_ref(&mut file).take(limit).read_to_end(&mut head)?;
            file.seek(SeekFrom::Start(self.octets.saturating_sub(limit)))?;
            file.take(limit).read_to_end(&mut tail)?;
            Ok(())
        };
        read().map_err(ArchiveError::io("read", path(&self.id, "message.eml")))?;
        Ok((head, tail))
    }

    /// Writes a file into the message folder; returns its digest.
    pub fn add(&self, name: &str, octets: &[u8]) -> Result<Sha256, ArchiveError> {
        let write = || -> io::Result<()> {
            let mut file = self.stage.create(&format!("{}/{name}", self.id), self.file_mode)?;
            steps::pass("write")?;
            file.write_all(octets)
        };
        write().map_err(ArchiveError::io("write", path(&self.id, name)))?;
        Ok(Sha256(Hasher::digest(octets).into()))
    }

    /// Begins a file in the message folder whose content comes in pieces.
    pub fn add_stream(&self, name: &str) -> Result<PartWriter, ArchiveError> {
        let path = path(&self.id, name);
        let created = self.stage.create(&format!("{}/{name}", self.id), self.file_mode);
        let file = created.map_err(ArchiveError::io("write", path.clone()))?;
        Ok(PartWriter { file, path, hash: Hasher::new(), size: 0, block: Vec::new() })
    }

    /// Removes a file or folder of the message folder, if it is there.
    pub fn remove(&self, name: &str) -> Result<(), ArchiveError> {
        let removed = self.stage.folder(self.id.as_str()).and_then(|own| own.remove_all(name));
        removed.map_err(ArchiveError::io("remove", path(&self.id, name)))
    }

    /// `message.eml`, complete, for reading.
    pub fn reader(&self) -> Result<File, ArchiveError> {
        let opened = self.stage.read(&format!("{}/message.eml", self.id));
        opened.map_err(ArchiveError::io("read", path(&self.id, "message.eml")))
    }

    /// Makes a folder in the message folder.
    pub fn add_folder(&self, name: &str) -> Result<(), ArchiveError> {
        let made = self.stage.make(&format!("{}/{name}", self.id), self.dir_mode);
        made.map_err(ArchiveError::io("make", path(&self.id, name)))
    }

    /// The message's id.
    pub fn id(&self) -> &MessageId {
        &self.id
    }

    /// The folder is complete; it stays in the stage as long as what this returns.
    pub fn finish(mut self) -> InStage {
        self.finished = true;
        InStage { stage: self.stage.clone(), id: self.id.clone(), placed: false }
    }

    fn write_block(&mut self) -> Result<(), ArchiveError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let written = steps::pass("write").and_then(|()| self.eml.write_all(&self.block));
        self.block.clear();
        written.map_err(ArchiveError::io("write", path(&self.id, "message.eml")))
    }
}

/// A file that is being written in pieces.
#[derive(Debug)]
pub struct PartWriter {
    file: File,
    path: String,
    hash: Hasher,
    size: u64,
    block: Vec<u8>,
}

impl PartWriter {
    /// Appends octets.
    pub fn write(&mut self, octets: &[u8]) -> Result<(), ArchiveError> {
        self.hash.update(octets);
        self.size = self.size.saturating_add(octets.len() as u64);
        if self.block.len().saturating_add(octets.len()) >= BLOCK {
            self.write_through(octets)
        } else {
            self.block.extend_from_slice(octets);
            Ok(())
        }
    }

    /// Ends the file; its size and digest.
    pub fn end(mut self) -> Result<Raw, ArchiveError> {
        self.write_through(b"")?;
        Ok(Raw { size: self.size, sha256: Sha256(self.hash.finalize().into()) })
    }

    fn write_through(&mut self, octets: &[u8]) -> Result<(), ArchiveError> {
        let written = steps::pass("write")
            .and_then(|()| self.file.write_all(&self.block))
            .and_then(|()| self.file.write_all(octets));
        self.block.clear();
        written.map_err(ArchiveError::io("write", self.path.clone()))
    }
}

/// A complete folder in the stage; dropped before it is placed, it is removed.
#[derive(Debug)]
pub struct InStage {
    stage: Folder,
    id: MessageId,
    placed: bool,
}

impl InStage {
    /// The first octets of a file of the folder, at most `limit`.
    pub fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        let file = self.stage.read(&format!("{}/{name}", self.id))?;
        file.take(limit).read_to_end(&mut octets)?;
        Ok(octets)
    }

    /// The folder has left the stage for its place in the tree.
    pub fn placed(mut self) {
        self.placed = true;
    }
}

impl Drop for InStage {
    fn drop(&mut self) {
        if !self.placed {
            remove(&self.stage, &self.id);
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.finished {
            remove(&self.stage, &self.id);
        }
    }
}

fn remove(stage: &Folder, id: &MessageId) {
    if let Err(error) = stage.remove_all(id.as_str()) {
        // The next start clears the stage.
        tracing::debug!(target: "archive", %id, %error, "stage folder not removed");
    }
}

fn path(id: &MessageId, name: &str) -> String {
    format!("{}/{id}/{name}", super::root::STAGE)
}
