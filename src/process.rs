//! A child process that is watched to its end: fed, listened to, and ended with its children.
//!
//! Not for how it is started: arguments and environment are its caller's.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin};

/// Octets of a program's output that are kept, of each stream.
const OUTPUT: usize = 8 << 10;
/// What a program leaves behind may hold its streams open: that is waited for no longer.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The process group of a child; killed when dropped before its release.
#[derive(Debug)]
pub struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    /// Of a child that was started with a group of its own.
    pub fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    /// Lets it live on, or be gone: its leader was waited for.
    pub fn release(&mut self) {
        self.0 = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // It may be gone already, which is as good.
            kill_process_group(pid, Signal::KILL).ok();
        }
    }
}

/// How a child has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// The beginning of what it said, errors first.
    pub output: Vec<u8>,
    /// It has taken all of its input.
    pub is_fed: bool,
}

/// Gives a child its input where its stdin is piped, waits for its end, and keeps the beginning of
/// what it says on both streams. Its output is read to the end, so that it never waits for us nor
/// dies of what it says.
pub async fn watch(child: &mut Child, input: &[u8]) -> io::Result<Ended> {
    let (stdin, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut said, mut errors, mut is_fed) = (Vec::new(), Vec::new(), false);
    let status = {
        let talking = async {
            tokio::join!(
                feed(stdin, input, &mut is_fed),
                keep(out, &mut said),
                keep(err, &mut errors)
            );
        };
        tokio::pin!(talking);
        let status = tokio::select! {
            status = child.wait() => Some(status?),
            () = &mut talking => None,
        };
        match status {
            Some(status) => {
                within(LAST_WORDS, talking).await;
                status
            }
            None => child.wait().await?,
        }
    };
    // Errors are what a person wants to see first.
    let mut output = errors;
    if !output.is_empty() && !said.is_empty() && !output.ends_with(b"\n") {
        output.push(b'\n');
    }
    output.append(&mut said);
    Ok(Ended { status, output, is_fed })
}

/// Writes the input and closes it; a program that wants no more of it may say why.
async fn feed(stdin: Option<ChildStdin>, input: &[u8], is_fed: &mut bool) {
    *is_fed = match stdin {
        Some(mut stdin) => stdin.write_all(input).await.is_ok(),
        None => input.is_empty(),
    };
}

/// Reads to the end, and keeps the beginning.
async fn keep(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    let mut block = vec![0_u8; 4096];
    while let Ok(read @ 1..) = stream.read(&mut block).await {
        let room = OUTPUT.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(block.get(..room).unwrap_or_default());
    }
}

#[expect(clippy::disallowed_methods, reason = "a child process, not the network")]
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::process::Command;
    use tokio::time::Instant;

    use super::*;

    fn shell(script: &str) -> Child {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    async fn run(script: &str, input: &[u8]) -> Ended {
        let mut child = shell(script);
        let _group = ProcessGroup::of(&child);
        watch(&mut child, input).await.unwrap()
    }

    #[tokio::test]
    async fn child_that_talks_much_ends_as_it_wants_to_and_the_beginning_is_kept() {
        let ended = run("echo oops >&2; head -c 1000000 /dev/zero && cat", b"end").await;
        assert!(ended.status.success() && ended.is_fed, "{:?}", ended.status);
        assert!(ended.output.starts_with(b"oops\n\0\0"));
        assert_eq!(ended.output.len(), 5 + OUTPUT);
    }

    #[tokio::test]
    async fn child_that_leaves_one_behind_has_ended() {
        let begun = Instant::now();
        let ended = run("echo yes; sleep 60 &", b"").await;
        assert!(ended.status.success());
        assert_eq!(ended.output, b"yes\n");
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[tokio::test]
    async fn input_that_is_not_taken_is_known() {
        let input = vec![b'x'; 1 << 20];
        assert!(!run("exit 0", &input).await.is_fed);
        assert!(run("cat >/dev/null", &input).await.is_fed);
        // What is said while the input comes blocks nobody.
        let ended = run("cat", &input).await;
        assert!(ended.status.success() && ended.is_fed);
    }

    #[tokio::test]
    async fn group_that_is_dropped_takes_the_children_along() {
        let mut child = shell("sleep 60 & echo $!; wait");
        let group = ProcessGroup::of(&child);
        let mut pid = [0; 16];
        let mut out = child.stdout.take().unwrap();
        let read = out.read(&mut pid).await.unwrap();
        let path = format!("/proc/{}/stat", std::str::from_utf8(&pid[..read]).unwrap().trim());
        drop(group);
        child.wait().await.unwrap();
        let is_over = || {
            let stat = std::fs::read_to_string(&path).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
        };
        for _ in 0..1_000 {
            if is_over() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{path} lives on");
    }
}
