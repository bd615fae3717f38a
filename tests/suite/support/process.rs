//! Programs that end with their owner, and programs that must not run for ever.

use std::io::Read;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// What a program did.
#[derive(Clone, Debug)]
pub struct Output {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// All of it, as text.
    pub stdout: String,
    /// All of it, as text.
    pub stderr: String,
    /// Wall time.
    pub took: Duration,
    /// What it was seen to need; a look is taken every few milliseconds.
    pub used: Used,
}

/// What a program needs of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// The most that was resident, in KiB.
    pub memory: u64,
    /// Processor time, in user and kernel.
    pub cpu: Duration,
    /// It was seen with its own memory.
    is_itself: bool,
}

impl Used {
    /// Looks; what can't be seen any more stays as it was.
    ///
    /// Between fork and exec the child shows the memory of this process: the parent goes on a
    /// moment before the new program has its own.
    fn look(&mut self, pid: u32) {
        let program = |whose: &str| std::fs::read_link(format!("/proc/{whose}/exe")).ok();
        if !self.is_itself && program(&pid.to_string()) == program("self") {
            return;
        }
        self.is_itself = true;
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}"));
        let status = read("status").unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = |text: &str| text.split_whitespace().next()?.parse::<u64>().ok();
        self.memory = self.memory.max(peak.and_then(number).unwrap_or(0));
        let stat = read("stat").unwrap_or_default();
        // Behind the name in parentheses; the 14th and 15th fields of all, in hundredths.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ');
        let ticks: u64 = fields.skip(11).take(2).filter_map(number).sum();
        self.cpu = self.cpu.max(Duration::from_millis(ticks * 10));
    }
}

/// A program that runs while the test goes on; killed when it is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    readers: Option<(JoinHandle<String>, JoinHandle<String>)>,
    since: Instant,
    used: Used,
}

impl Running {
    /// Starts it in a process group of its own, without stdin, its output read in the background.
    pub fn start(command: &mut Command) -> Self {
        use std::os::unix::process::CommandExt;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.process_group(0).spawn().expect("the program starts");
        let out = child.stdout.take().expect("piped");
        let err = child.stderr.take().expect("piped");
        let readers = Some((read_in_background(out), read_in_background(err)));
        Self { child, readers, since: Instant::now(), used: Used::default() }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Whether it was stopped by a signal.
    pub fn is_stopped(&self) -> bool {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    }

    /// Sends SIGTERM and waits.
    pub fn stop(self, limit: Duration) -> Output {
        self.signal(Signal::TERM);
        self.wait(limit)
    }

    /// Sends SIGKILL and waits: the program gets no chance to tidy up.
    pub fn kill(self) -> Output {
        self.signal(Signal::KILL);
        self.wait(Duration::from_secs(10))
    }

    /// Sends SIGKILL to it and to what it started, and waits.
    pub fn kill_all(self) -> Output {
        kill_process_group(Pid::from_child(&self.child), Signal::KILL).ok();
        self.wait(Duration::from_secs(10))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        // It may have ended by itself meanwhile; its pid is ours until it is waited for.
        kill_process(Pid::from_child(&self.child), signal).ok();
    }

    /// Waits for its end; panics, with what it said, when that takes too long.
    pub fn wait(mut self, limit: Duration) -> Output {
        let end = Instant::now() + limit;
        let mut late = false;
        let status = loop {
            self.used.look(self.child.id());
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > end && !late {
                late = true;
                kill_process_group(Pid::from_child(&self.child), Signal::KILL).ok();
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let output = self.output(status);
        assert!(!late, "still running after {limit:?}: {output:?}");
        output
    }

    fn output(&mut self, status: ExitStatus) -> Output {
        let took = self.since.elapsed();
        let (out, err) = self.readers.take().expect("waited for once");
        let (stdout, stderr) = (out.join().unwrap(), err.join().unwrap());
        Output { code: status.code().unwrap_or(-1), stdout, stderr, took, used: self.used }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            kill_process_group(Pid::from_child(&self.child), Signal::KILL).ok();
            drop(self.child.wait());
        }
    }
}

fn read_in_background(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        // A reader that fails has read what there was.
        drop(from.read_to_end(&mut all));
        String::from_utf8_lossy(&all).into_owned()
    })
}

/// A server that ends when this is dropped, and also when the test process dies in any way: a
/// shell holds the other end of a pipe and ends the server when the pipe closes.
#[derive(Debug)]
pub struct Tethered {
    shell: Child,
    _tether: Option<ChildStdin>,
}

impl Tethered {
    /// Starts `argv`, which must stay in the foreground and end on SIGTERM.
    pub fn start(argv: &[&str]) -> Self {
        use std::os::unix::process::CommandExt;
        const WATCH: &str = "exec 3<&0; \"$@\" 3<&- </dev/null & server=$!; \
                             { read _ <&3; kill $server 2>/dev/null; } & watch=$!; \
                             wait $server; code=$?; kill $watch 2>/dev/null; exit $code";
        let mut shell = Command::new("sh")
            .args(["-c", WATCH, "sh"])
            .args(argv)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("sh starts");
        let tether = shell.stdin.take();
        Self { shell, _tether: tether }
    }

    /// Whether the server has ended.
    pub fn has_ended(&mut self) -> bool {
        self.shell.try_wait().unwrap().is_some()
    }
}

impl Drop for Tethered {
    fn drop(&mut self) {
        // All at once: a Dovecot that is asked takes a second to leave.
        kill_process_group(Pid::from_child(&self.shell), Signal::KILL).ok();
        drop(self.shell.wait());
    }
}

#[test]
fn running_program_is_ended_when_it_takes_too_long() {
    let running = Running::start(Command::new("sleep").arg("60"));
    let pid = running.pid();
    drop(running);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn what_a_program_says_and_its_code_are_kept() {
    let mut command = Command::new("sh");
    command.args(["-c", "echo out; echo err >&2; exit 3"]);
    let output = Running::start(&mut command).wait(Duration::from_secs(10));
    assert_eq!((output.code, &*output.stdout, &*output.stderr), (3, "out\n", "err\n"));
}

#[test]
fn tethered_server_ends_with_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let line = format!("echo $$ >'{}'; exec sleep 60", pid_file.display());
    let tethered = Tethered::start(&["sh", "-c", &line]);
    let pid = super::wait_for("the pid", Duration::from_secs(10), || {
        std::fs::read_to_string(&pid_file).ok().filter(|text| text.ends_with('\n'))
    });
    let path = format!("/proc/{}", pid.trim());
    assert!(std::path::Path::new(&path).exists());
    drop(tethered);
    super::wait_for("the end", Duration::from_secs(10), || {
        (!std::path::Path::new(&path).exists()).then_some(())
    });
}
