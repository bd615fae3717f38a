//! What a program did, call by call, as `strace -f -yy` writes it down.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Output, Site};

/// The calls that the durable order is made of.
pub const CALLS: &str = "trace=fsync,fdatasync,syncfs,renameat,renameat2,mkdirat,openat,openat2,\
                         write,writev,pwrite64,pwritev,ftruncate,sendto,sendmsg";

/// One system call. Its place in time is from line `began` to line `ended`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    pub name: String,
    /// As written, split at the commas between arguments.
    pub arguments: Vec<String>,
    pub result: String,
    pub began: usize,
    pub ended: usize,
}

/// All calls of all threads, by their beginning.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    pub calls: Vec<Call>,
}

impl Trace {
    /// Reads the file that `strace -o` wrote.
    pub fn read(path: &Path) -> Self {
        Self::parse(&String::from_utf8_lossy(&std::fs::read(path).unwrap()))
    }

    /// Takes lines apart; signals, exits and calls that never returned are left out.
    pub fn parse(text: &str) -> Self {
        let mut open: BTreeMap<&str, (usize, String)> = BTreeMap::new();
        let mut calls = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let Some((thread, rest)) = line.split_once(' ') else { continue };
            let rest = rest.trim_start();
            if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
                open.insert(thread, (at, begun.to_owned()));
            } else if let Some(resumed) = rest.strip_prefix("<... ") {
                let Some((began, head)) = open.remove(thread) else { continue };
                let rest = resumed.split_once(" resumed>").map_or("", |(_, rest)| rest);
                calls.extend(call(&(head + rest), began, at));
            } else {
                calls.extend(call(rest, at, at));
            }
        }
        calls.sort_by_key(|call| call.began);
        Self { calls }
    }
}

impl Call {
    /// Whether it did what it was asked for.
    pub fn is_done(&self) -> bool {
        !self.result.starts_with("-1") && !self.result.starts_with('?')
    }

    /// Whether it ended before the other began.
    pub fn is_before(&self, other: &Self) -> bool {
        self.ended < other.began
    }

    /// The path behind the descriptor of an argument; empty when there is none.
    pub fn path(&self, argument: usize) -> &str {
        self.arguments.get(argument).map_or("", |text| behind(text))
    }

    /// The path behind the descriptor that it returned.
    pub fn opened(&self) -> &str {
        behind(&self.result)
    }

    /// The text of a quoted argument.
    pub fn text(&self, argument: usize) -> &str {
        let text = self.arguments.get(argument).map_or("", String::as_str);
        text.trim_end_matches("...").trim_matches('"')
    }

    /// A folder's descriptor and a name in it, joined.
    pub fn joined(&self, folder: usize) -> String {
        format!("{}/{}", self.path(folder), self.text(folder + 1))
    }

    /// Whether it makes data of the path durable: by itself, or as part of the file system that
    /// `root` is on.
    pub fn syncs(&self, path: &str, root: &str) -> bool {
        self.is_done()
            && match self.name.as_str() {
                "fsync" | "fdatasync" => self.path(0) == path,
                "syncfs" => is_below(self.path(0), root) && is_below(path, root),
                _ => false,
            }
    }

    /// Whether it changes what is in an open file.
    pub fn writes(&self) -> bool {
        matches!(&*self.name, "write" | "writev" | "pwrite64" | "pwritev" | "ftruncate")
    }
}

/// Runs the program below strace, which may inject faults (`inject=…`), to its end; `None` where
/// there is no strace or it may not trace.
pub fn traced(site: &Site, inject: &[&str], arguments: &[&str]) -> Option<(Output, Trace)> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    if !is_allowed() {
        return None;
    }
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let file = site.path().join(format!("trace-{n}"));
    let mut strace = vec!["strace", "-f", "-yy", "-s", "5000", "-o", file.to_str().unwrap()];
    strace.extend(["-e", CALLS]);
    for order in inject {
        strace.extend(["-e", order]);
    }
    let output = site.cli_below(&strace, arguments);
    Some((output, Trace::read(&file)))
}

/// Whether there is a strace that may trace; says so when not.
pub fn is_allowed() -> bool {
    let tried = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    let allowed = tried.is_ok_and(|output| output.status.success());
    if !allowed {
        eprintln!("skipped: strace is missing or may not trace here (package strace)");
    }
    allowed
}

/// Whether a path is a folder or something in it.
pub fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn call(text: &str, began: usize, ended: usize) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return None;
    }
    let (arguments, end) = arguments(rest)?;
    let result = rest[end..].trim_start().strip_prefix("= ")?.to_owned();
    Some(Call { name: name.to_owned(), arguments, result, began, ended })
}

/// Splits at commas that are neither quoted nor in brackets; and says where `)` ended it.
fn arguments(text: &str) -> Option<(Vec<String>, usize)> {
    let (mut found, mut one) = (Vec::new(), String::new());
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let mut before = ' ';
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' | '<' => depth += 1,
            '>' if before == '-' => {}
            ')' if depth == 0 => {
                if !one.trim().is_empty() {
                    found.push(one.trim().to_owned());
                }
                return Some((found, at + 1));
            }
            ')' | ']' | '}' | '>' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                found.push(std::mem::take(&mut one).trim().to_owned());
                before = char;
                continue;
            }
            _ => {}
        }
        before = char;
        one.push(char);
    }
    None
}

/// `12</a b/c>` is `/a b/c`, `12<TCP:[…]>` is `TCP:[…]`.
fn behind(text: &str) -> &str {
    let Some((number, rest)) = text.split_once('<') else { return "" };
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return "";
    }
    let end =
        if rest.starts_with("TCP") { rest.find("]>").map(|at| at + 1) } else { rest.find('>') };
    end.map_or("", |end| &rest[..end])
}

#[test]
fn calls_of_threads_are_put_together_again() {
    let trace = Trace::parse(
        "12 openat2(5</r/.stage>, \"id/a, (b\", {flags=O_WRONLY|O_CREAT, mode=0640}, 24) = 9</r/.stage/id/a>\n\
         13 fsync(7</r/a b> <unfinished ...>\n\
         12 sendto(8<TCP:[127.0.0.1:4->127.0.0.1:5]>, \"A1 UID EXPUNGE 1:3\\r\\n\", 20, MSG_NOSIGNAL, NULL, 0) = 20\n\
         13 <... fsync resumed>)              = -1 EIO (Input/output error) (INJECTED)\n\
         12 --- SIGTERM {si_signo=SIGTERM} ---\n\
         12 futex(0x1, FUTEX_WAIT <unfinished ...>\n\
         12 +++ exited with 0 +++\n",
    );
    let names: Vec<&str> = trace.calls.iter().map(|call| &*call.name).collect();
    assert_eq!(names, ["openat2", "fsync", "sendto"]);
    let [open, sync, send] = &trace.calls[..] else { panic!() };
    assert_eq!((open.opened(), open.text(1)), ("/r/.stage/id/a", "id/a, (b"));
    assert_eq!(open.joined(0), "/r/.stage/id/a, (b");
    assert_eq!((sync.path(0), sync.is_done(), sync.began, sync.ended), ("/r/a b", false, 1, 3));
    assert_eq!(send.path(0), "TCP:[127.0.0.1:4->127.0.0.1:5]");
    assert!(open.is_before(sync) && !sync.is_before(send) && !send.is_before(sync));
}
