//! The durable order, proven on a trace: what must be on stable storage before a delete command
//! leaves this machine.
//!
//! For each delete: every file of the message is synced after its last write and before the
//! rename; the folders that lead to it are synced after the rename; then the ledger's row
//! `archived` is written and synced; then `deleting`; then the command may go.

use super::trace::{Call, Trace, is_below};

/// A message that is stored and deleted on the server.
#[derive(Clone, Debug)]
pub struct Copy {
    /// Its UID, or its number in the maildrop.
    pub number: u32,
    pub id: String,
    /// Below the root.
    pub path: String,
}

/// Where things are.
#[derive(Clone, Debug)]
pub struct Places {
    pub root: String,
    /// The ledger's write-ahead log.
    pub wal: String,
}

const STATES: [&str; 6] = ["fetching", "held", "placing", "archived", "deleting", "deleted"];

/// Everything that happened too early or not at all; empty when the order was kept.
pub fn faults(trace: &Trace, places: &Places, copies: &[Copy]) -> Vec<String> {
    let mut faults = Vec::new();
    for copy in copies {
        let deletes = trace.calls.iter().filter(|call| deletes(call, copy.number));
        let Some(first) = deletes.min_by_key(|call| call.began) else {
            faults.push(format!("{}: no delete command was sent", copy.path));
            continue;
        };
        let proof = Proof { calls: &trace.calls, places, copy };
        if let Err(fault) = proof.holds_before(first) {
            faults.push(format!("{}: {fault}", copy.path));
        }
    }
    faults
}

/// Whether this sends a command that deletes the message.
fn deletes(call: &Call, number: u32) -> bool {
    if !call.path(0).starts_with("TCP") {
        return false;
    }
    let text = call.arguments.join(",");
    let after = |word: &str| -> Vec<String> {
        let parts = text.split(word).skip(1);
        parts.map(|rest| rest.split([' ', '\\', '"']).next().unwrap_or("").to_owned()).collect()
    };
    let in_set = |set: &String| {
        set.split(',').any(|range| {
            let (from, to) = range.split_once(':').unwrap_or((range, range));
            let number_of = |text: &str| text.parse::<u32>().ok();
            number_of(from).is_some_and(|from| from <= number)
                && number_of(to).is_some_and(|to| number <= to)
        })
    };
    let marks = text.contains("\\\\Deleted") && after("UID STORE ").iter().any(in_set);
    marks || [after("UID EXPUNGE "), after("DELE ")].iter().flatten().any(in_set)
}

struct Proof<'a> {
    calls: &'a [Call],
    places: &'a Places,
    copy: &'a Copy,
}

impl Proof<'_> {
    fn holds_before(&self, command: &Call) -> Result<(), String> {
        let stage = format!("{}/.stage", self.places.root);
        let own = format!("{stage}/{}", self.copy.id);
        let place = format!("{}/{}", self.places.root, self.copy.path);
        let is_rename = |call: &&Call| {
            call.name.starts_with("renameat") && call.is_done() && call.joined(0) == own
        };
        let rename = self.calls.iter().rfind(is_rename).ok_or("it was never renamed")?;
        if rename.joined(2) != place {
            return Err(format!("renamed to {}", rename.joined(2)));
        }
        self.contents(&own, rename)?;
        let intent = self.row("placing", None).ok_or("no row `placing`")?;
        self.wal_synced(intent, rename, "the rename")?;
        let placed = self.placement(&stage, &place, rename)?;
        if let Some(early) = self.row("archived", None).filter(|row| row.began <= placed) {
            return Err(format!("row `archived` in line {} before the placement", early.began));
        }
        let fact = self.row("archived", Some(placed)).ok_or("no row `archived`")?;
        let intent = self.row("deleting", Some(fact.ended)).ok_or("no row `deleting`")?;
        self.wal_synced(fact, intent, "row `deleting`")?;
        self.wal_synced(intent, command, "the delete command")
    }

    /// Every file and folder below `own` is synced after its last change and before the rename.
    fn contents(&self, own: &str, rename: &Call) -> Result<(), String> {
        let mut changed: Vec<(&str, &Call)> = Vec::new();
        for call in self.calls.iter().filter(|call| call.is_done() && call.began < rename.began) {
            let path = match &*call.name {
                _ if call.writes() => call.path(0),
                "openat2" | "openat" if call.arguments.join(",").contains("O_CREAT") => {
                    call.opened()
                }
                _ => continue,
            };
            if is_below(path, own) {
                changed.push((path, call));
            }
        }
        if changed.is_empty() {
            return Err("nothing was written".to_owned());
        }
        changed.into_iter().try_for_each(|(path, change)| {
            self.synced(path, change.ended, rename.began)
                .map(drop)
                .ok_or(format!("{path} (line {}) is not synced before the rename", change.began))
        })
    }

    /// When the rename was durable: both folders, and each that was made on the way.
    fn placement(&self, stage: &str, place: &str, rename: &Call) -> Result<usize, String> {
        let parent = place.rsplit_once('/').map_or("", |(parent, _)| parent);
        let mut entries = vec![(stage.to_owned(), rename.ended), (parent.to_owned(), rename.ended)];
        let made = self.calls.iter().filter(|call| call.name == "mkdirat" && call.is_done());
        for made in
            made.filter(|made| is_below(place, &made.joined(0)) && made.ended < rename.began)
        {
            entries.push((made.path(0).to_owned(), made.ended));
        }
        let mut placed = 0;
        for (folder, changed) in entries {
            let sync = self.synced(&folder, changed, usize::MAX);
            placed = placed.max(sync.ok_or(format!("{folder} is never synced"))?.ended);
        }
        Ok(placed)
    }

    /// The first sync of a path between two lines.
    fn synced(&self, path: &str, after: usize, before: usize) -> Option<&Call> {
        let root = &self.places.root;
        let in_time = |call: &&Call| call.began > after && call.ended < before;
        self.calls.iter().filter(in_time).find(|call| call.syncs(path, root))
    }

    /// The first write of the message's row in a state, after a line.
    fn row(&self, state: &str, after: Option<usize>) -> Option<&Call> {
        let shows = |call: &&Call| {
            let wal = call.name == "pwrite64" && call.path(0) == self.places.wal && call.is_done();
            wal && states(call.text(1), &self.copy.path).contains(&state)
        };
        let in_time = |call: &&Call| after.is_none_or(|after| call.began > after);
        self.calls.iter().filter(in_time).find(shows)
    }

    /// The ledger is synced between a write and what must come after it.
    fn wal_synced(&self, write: &Call, next: &Call, what: &str) -> Result<(), String> {
        let sync = self.synced(&self.places.wal, write.ended, next.began);
        sync.map(drop)
            .ok_or(format!("the ledger is not synced between line {} and {what}", write.began))
    }
}

/// The states of the rows with this path in a page: the state is a few octets before it.
fn states<'a>(page: &str, path: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for (at, _) in page.match_indices(path) {
        let before: String = page[..at].chars().rev().take(120).collect();
        let before: String = before.chars().rev().collect();
        let nearest = STATES.iter().filter_map(|state| Some((before.rfind(state)?, *state))).max();
        found.extend(nearest.map(|(_, state)| state));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [&str; 17] = [
        "1 openat2(5</r/.stage>, \"id/message.eml\", {flags=O_WRONLY|O_CREAT|O_EXCL, mode=0640}, 24) = 9</r/.stage/id/message.eml>",
        "1 write(9</r/.stage/id/message.eml>, \"From: \", 6) = 6",
        "1 fsync(10</r/.stage/id/message.eml>) = 0",
        "2 pwrite64(4</s/ledger.db-wal>, \"\\0placing\\1\\2a/in/1/m\\0\", 4096, 56) = 4096",
        "2 fdatasync(4</s/ledger.db-wal>) = 0",
        "1 mkdirat(3</r>, \"a\", 0750) = 0",
        "1 mkdirat(7</r/a/in>, \"1\", 0750) = 0",
        "1 renameat2(5</r/.stage>, \"id\", 8</r/a/in/1>, \"m\", RENAME_NOREPLACE) = 0",
        "1 fsync(3</r>) = 0",
        "1 fsync(7</r/a/in>) = 0",
        "1 fsync(8</r/a/in/1>) = 0",
        "1 fsync(5</r/.stage>) = 0",
        "2 pwrite64(4</s/ledger.db-wal>, \"\\0archived\\1\\2a/in/1/m\\0\", 4096, 56) = 4096",
        "2 fdatasync(4</s/ledger.db-wal>) = 0",
        "2 pwrite64(4</s/ledger.db-wal>, \"\\0deleting\\1\\2a/in/1/m\\0\", 4096, 56) = 4096",
        "2 fdatasync(4</s/ledger.db-wal>) = 0",
        "3 sendto(8<TCP:[127.0.0.1:4->127.0.0.1:5]>, \"A1 UID STORE 1:7,9 +FLAGS.SILENT (\\\\Deleted)\\r\\n\", 20) = 20",
    ];

    fn judge(lines: &[&str]) -> String {
        let places = Places { root: "/r".into(), wal: "/s/ledger.db-wal".into() };
        let copy = Copy { number: 3, id: "id".into(), path: "a/in/1/m".into() };
        faults(&Trace::parse(&lines.join("\n")), &places, &[copy]).join("; ")
    }

    #[test]
    fn order_that_is_kept_has_no_fault() {
        assert_eq!(judge(&GOOD), "");
        // One sync of the whole file system stands for those of files and folders.
        let mut whole = GOOD;
        whole[2] = "1 syncfs(3</r>) = 0";
        whole[11] = "1 syncfs(3</r>) = 0";
        for line in &mut whole[8..11] {
            *line = "1 +++ exited with 0 +++";
        }
        assert_eq!(judge(&whole), "");
    }

    #[test]
    fn each_missing_line_of_a_good_trace_is_a_fault() {
        for (missing, line) in GOOD.iter().enumerate().skip(1) {
            let mut lines = GOOD.to_vec();
            // Folders may have been there before.
            if [1, 5, 6].contains(&missing) {
                continue;
            }
            lines.remove(missing);
            assert_ne!(judge(&lines), "", "without: {line}");
        }
    }

    #[test]
    fn each_failed_or_late_sync_is_a_fault() {
        for (at, line) in GOOD.iter().enumerate().filter(|(_, line)| line.contains("sync(")) {
            let failed = line.replace("= 0", "= -1 EIO (Input/output error)");
            let mut lines = GOOD.to_vec();
            lines[at] = &failed;
            assert_ne!(judge(&lines), "", "{failed}");
            // It ends only after the next step has begun.
            let begun = line.replace(") = 0", " <unfinished ...>");
            let call = if line.contains("fdatasync") { "fdatasync" } else { "fsync" };
            let ended = format!("{} <... {call} resumed>) = 0", &line[..1]);
            let mut lines = GOOD.to_vec();
            lines[at] = &begun;
            lines.push(&ended);
            assert_ne!(judge(&lines), "", "late: {line}");
        }
    }

    #[test]
    fn write_after_the_sync_and_command_before_the_commit_are_faults() {
        let swapped = |one: usize, two: usize| {
            let mut lines = GOOD;
            lines.swap(one, two);
            judge(&lines)
        };
        assert!(swapped(1, 2).contains("not synced before the rename"));
        assert!(swapped(7, 4).contains("the rename"));
        assert!(swapped(12, 11).contains("before the placement"));
        assert!(swapped(16, 15).contains("the delete command"));
        let mut dele = GOOD;
        dele[16] = "3 sendto(8<TCP:[1->2]>, \"DELE 3\\r\\nDELE 4\\r\\n\", 20) = 20";
        assert_eq!(judge(&dele), "");
        dele[16] = "3 sendto(8<TCP:[1->2]>, \"DELE 33\\r\\n\", 20) = 20";
        assert!(judge(&dele).contains("no delete command"));
        dele[16] = "3 sendto(8<TCP:[1->2]>, \"A2 UID EXPUNGE 9,2:4\\r\\n\", 20) = 20";
        assert_eq!(judge(&dele), "");
    }
}
