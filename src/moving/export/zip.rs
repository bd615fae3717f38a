//! A ZIP file of stored entries (APPNOTE 6.3.9), with the 64-bit forms where they are needed.
//!
//! Entries are not compressed: the octets stand in the file as they are. CRC and sizes of an entry
//! are written into its head once they are known, so memory holds the directory alone.

use std::fs::File;
use std::io::{Result, Seek as _, SeekFrom, Write as _};

use jiff::Timestamp;
use jiff::tz::TimeZone;

const HEAD: u32 = 0x0403_4b50;
const DIRECTORY: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;
/// Version 4.5, for the 64-bit forms; made on Unix.
const NEEDED: u16 = 45;
const MADE_BY: u16 = 0x0300 | NEEDED;
/// Names are UTF-8.
const FLAGS: u16 = 0x0800;
/// What a field holds whose value stands in the 64-bit form.
const BEYOND: u32 = u32::MAX;

/// One entry, as the directory has it.
#[derive(Debug)]
struct Entry {
    name: String,
    crc: u32,
    size: u64,
    offset: u64,
    time: (u16, u16),
}

/// A ZIP file that is being written.
#[derive(Debug)]
pub(super) struct Zip {
    file: File,
    at: u64,
    entries: Vec<Entry>,
}

/// An entry that is being written.
#[derive(Debug)]
pub(super) struct Writing {
    entry: Entry,
    crc: Crc,
}

impl Zip {
    /// Begins an empty file.
    pub(super) fn new(file: File) -> Self {
        Self { file, at: 0, entries: Vec::new() }
    }

    /// Begins an entry.
    pub(super) fn begin(&mut self, name: &str, at: Timestamp) -> Result<Writing> {
        let (name, time) = (name.to_owned(), dos_time(at));
        let entry = Entry { name, crc: 0, size: 0, offset: self.at, time };
        let head = entry.head();
        self.put(&head)?;
        Ok(Writing { entry, crc: Crc::default() })
    }

    /// Adds octets to it.
    pub(super) fn write(&mut self, writing: &mut Writing, octets: &[u8]) -> Result<()> {
        writing.crc.update(octets);
        writing.entry.size = writing.entry.size.saturating_add(octets.len() as u64);
        self.put(octets)
    }

    /// Ends it.
    pub(super) fn end(&mut self, writing: Writing) -> Result<()> {
        let Writing { mut entry, crc } = writing;
        entry.crc = crc.value();
        self.file.seek(SeekFrom::Start(entry.offset))?;
        self.file.write_all(&entry.head())?;
        self.file.seek(SeekFrom::Start(self.at))?;
        self.entries.push(entry);
        Ok(())
    }

    /// Takes back what was begun.
    pub(super) fn take_back(&mut self, writing: &Writing) -> Result<()> {
        self.at = writing.entry.offset;
        self.file.set_len(self.at)?;
        self.file.seek(SeekFrom::Start(self.at))?;
        Ok(())
    }

    /// Writes the directory; the file is complete.
    pub(super) fn finish(mut self) -> Result<File> {
        let begin = self.at;
        for entry in std::mem::take(&mut self.entries) {
            self.put(&entry.directory())?;
            self.entries.push(entry);
        }
        let (size, count) = (self.at.saturating_sub(begin), self.entries.len() as u64);
        let end_64 = self.at;
        let mut end = Vec::new();
        if count >= u64::from(u16::MAX) || begin >= u64::from(BEYOND) || size >= u64::from(BEYOND) {
            put32(&mut end, END_64);
            put64(&mut end, 44);
            put16(&mut end, MADE_BY);
            put16(&mut end, NEEDED);
            put32(&mut end, 0);
            put32(&mut end, 0);
            put64(&mut end, count);
            put64(&mut end, count);
            put64(&mut end, size);
            put64(&mut end, begin);
            put32(&mut end, LOCATOR_64);
            put32(&mut end, 0);
            put64(&mut end, end_64);
            put32(&mut end, 1);
        }
        put32(&mut end, END);
        put32(&mut end, 0);
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        put16(&mut end, count);
        put16(&mut end, count);
        put32(&mut end, short(size));
        put32(&mut end, short(begin));
        put16(&mut end, 0);
        self.put(&end)?;
        Ok(self.file)
    }

    fn put(&mut self, octets: &[u8]) -> Result<()> {
        self.file.write_all(octets)?;
        self.at = self.at.saturating_add(octets.len() as u64);
        Ok(())
    }
}

impl Entry {
    /// What stands before its octets. The 64-bit sizes have their room from the beginning.
    fn head(&self) -> Vec<u8> {
        let mut to = Vec::new();
        put32(&mut to, HEAD);
        put16(&mut to, NEEDED);
        self.common(&mut to, BEYOND);
        put16(&mut to, 20);
        to.extend_from_slice(self.name.as_bytes());
        put16(&mut to, 1);
        put16(&mut to, 16);
        put64(&mut to, self.size);
        put64(&mut to, self.size);
        to
    }

    /// Its place in the directory.
    fn directory(&self) -> Vec<u8> {
        let is_large = self.size >= u64::from(BEYOND) || self.offset >= u64::from(BEYOND);
        let size = if is_large { BEYOND } else { short(self.size) };
        let mut to = Vec::new();
        put32(&mut to, DIRECTORY);
        put16(&mut to, MADE_BY);
        put16(&mut to, NEEDED);
        self.common(&mut to, size);
        put16(&mut to, if is_large { 28 } else { 0 });
        put16(&mut to, 0);
        put16(&mut to, 0);
        put16(&mut to, 0);
        // A regular file, readable and writable by its owner alone.
        put32(&mut to, 0o100_600 << 16);
        put32(&mut to, if is_large { BEYOND } else { short(self.offset) });
        to.extend_from_slice(self.name.as_bytes());
        if is_large {
            put16(&mut to, 1);
            put16(&mut to, 24);
            put64(&mut to, self.size);
            put64(&mut to, self.size);
            put64(&mut to, self.offset);
        }
        to
    }

    fn common(&self, to: &mut Vec<u8>, size: u32) {
        put16(to, FLAGS);
        put16(to, 0);
        put16(to, self.time.0);
        put16(to, self.time.1);
        put32(to, self.crc);
        put32(to, size);
        put32(to, size);
        put16(to, u16::try_from(self.name.len()).unwrap_or(u16::MAX));
    }
}

fn short(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(BEYOND)
}

fn put16(to: &mut Vec<u8>, value: u16) {
    to.extend_from_slice(&value.to_le_bytes());
}

fn put32(to: &mut Vec<u8>, value: u32) {
    to.extend_from_slice(&value.to_le_bytes());
}

fn put64(to: &mut Vec<u8>, value: u64) {
    to.extend_from_slice(&value.to_le_bytes());
}

/// Time and date of MS-DOS, in UTC; from 1980 to 2107.
fn dos_time(at: Timestamp) -> (u16, u16) {
    let at = at.to_zoned(TimeZone::UTC);
    let part = |value: i8| u16::try_from(value).unwrap_or(0);
    let year = u16::try_from(at.year()).unwrap_or(0).clamp(1980, 2107).saturating_sub(1980);
    let time = part(at.hour()) << 11 | part(at.minute()) << 5 | part(at.second()) >> 1;
    (time, year << 9 | part(at.month()) << 5 | part(at.day()))
}

/// CRC-32 (ISO 3309).
#[derive(Debug)]
struct Crc(u32);

impl Default for Crc {
    fn default() -> Self {
        Self(u32::MAX)
    }
}

impl Crc {
    fn update(&mut self, octets: &[u8]) {
        for octet in octets {
            let [low, ..] = self.0.to_le_bytes();
            let entry = TABLE.get(usize::from(low ^ octet)).copied().unwrap_or(0);
            self.0 = self.0 >> 8 ^ entry;
        }
    }

    fn value(&self) -> u32 {
        !self.0
    }
}

static TABLE: std::sync::LazyLock<Vec<u32>> = std::sync::LazyLock::new(|| {
    let of = |octet: u32| {
        (0..8).fold(octet, |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    };
    (0..256).map(of).collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_is_that_of_the_standard() {
        let mut crc = Crc::default();
        crc.update(b"12345");
        crc.update(b"6789");
        assert_eq!(crc.value(), 0xcbf4_3926);
    }

    #[test]
    fn file_ends_with_a_directory_of_what_was_not_taken_back() {
        let at: Timestamp = "2026-11-21T15:45:40Z".parse().unwrap();
        let mut zip = Zip::new(tempfile::tempfile().unwrap());
        for (name, kept) in [("a/1.eml", true), ("a/2.eml", false), ("a/3.eml", true)] {
            let mut writing = zip.begin(name, at).unwrap();
            zip.write(&mut writing, name.as_bytes()).unwrap();
            if kept { zip.end(writing).unwrap() } else { zip.take_back(&writing).unwrap() }
        }
        let mut file = zip.finish().unwrap();
        let mut octets = Vec::new();
        file.rewind().unwrap();
        std::io::Read::read_to_end(&mut file, &mut octets).unwrap();
        let has = |part: &[u8]| octets.windows(part.len()).filter(|found| *found == part).count();
        // Name in the head, octets, name in the directory.
        assert_eq!((has(b"a/1.eml"), has(b"a/2.eml"), has(b"a/3.eml")), (3, 0, 3));
        assert_eq!((has(&END.to_le_bytes()), has(&DIRECTORY.to_le_bytes())), (1, 2));
    }

    /// What an independent reader says of a file; `None`, with a word, where it isn't installed.
    fn read_by_python(file: &File, script: &str) -> Option<String> {
        use std::io::Read as _;
        use std::os::fd::AsRawFd as _;
        // Another process finds the file by ours.
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        let read = std::process::Command::new("python3").args(["-c", script, &path]).output();
        let Ok(read) = read else {
            let word = b"python3 is not installed: no independent reader looks at the ZIP file\n";
            std::io::stderr().write_all(word).unwrap();
            return None;
        };
        let mut said = String::new();
        let (mut out, mut err) = (read.stdout.as_slice(), read.stderr.as_slice());
        out.read_to_string(&mut said).unwrap();
        err.read_to_string(&mut said).unwrap();
        Some(said)
    }

    #[test]
    fn more_entries_than_the_old_form_counts_are_all_found_by_an_independent_reader() {
        const COUNT: u32 = 66_000;
        let mut zip = Zip::new(tempfile::tempfile().unwrap());
        for n in 0..COUNT {
            let mut writing = zip.begin(&format!("{n}"), Timestamp::UNIX_EPOCH).unwrap();
            if n % 1_000 == 0 {
                zip.write(&mut writing, format!("octets of {n}").as_bytes()).unwrap();
            }
            zip.end(writing).unwrap();
        }
        let file = zip.finish().unwrap();
        let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\n\
                      print(len(z.namelist()), z.read('65000'), z.read('65001'))";
        if let Some(said) = read_by_python(&file, script) {
            assert_eq!(said, "66000 b'octets of 65000' b''\n");
        }
    }

    #[test]
    fn sizes_and_places_beyond_32_bits_are_found_by_an_independent_reader() {
        const LARGE: u64 = 5 << 30;
        let at = Timestamp::UNIX_EPOCH;
        let mut zip = Zip::new(tempfile::tempfile().unwrap());
        let mut writing = zip.begin("large", at).unwrap();
        // As if so many octets had been written: a hole has its place.
        zip.at += LARGE;
        zip.file.set_len(zip.at).unwrap();
        zip.file.seek(SeekFrom::Start(zip.at)).unwrap();
        writing.entry.size = LARGE;
        zip.end(writing).unwrap();
        let mut writing = zip.begin("behind", at).unwrap();
        zip.write(&mut writing, b"octets behind").unwrap();
        zip.end(writing).unwrap();
        let file = zip.finish().unwrap();
        let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\n\
                      print([(i.filename, i.file_size, i.header_offset > 1 << 32) for i in z.infolist()])\n\
                      print(z.read('behind'), z.open('large').read(3))";
        if let Some(said) = read_by_python(&file, script) {
            let wanted = "[('large', 5368709120, False), ('behind', 13, True)]\n\
                          b'octets behind' b'\\x00\\x00\\x00'\n";
            assert_eq!(said, wanted);
        }
    }
}
