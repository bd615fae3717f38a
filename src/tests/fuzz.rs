//! Fuzzing on stable Rust, as part of `cargo test`: seeds, what mutation makes of them, and a
//! second look at each in the few characters that matter.
//!
//! A target is a function from octets to a number that says which way they went; octets that went
//! a new way become seeds of the run. Without more ado a target runs for a fraction of a second and
//! always does the same; `POSTRIDER_FUZZ_SECONDS=60` runs each for so long, from a seed of the
//! clock that is printed, which `POSTRIDER_FUZZ_SEED` brings back. Octets that fail are made as
//! short as they still fail and written to `target/fuzz/NAME`; a failure that was mended is kept
//! below `tests/seeds/NAME`, under a name that says what it is.

mod mutate;

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, Instant};

use mutate::{Mutator, Random};

/// The time of each target where nothing else is asked for.
const SHORT: Duration = Duration::from_millis(250);
/// Enough for a short run on a slow machine to end at the same octets as on a fast one.
const SHORT_EXECUTIONS: u64 = 3_000;
/// One execution takes no longer, in an unoptimised build on a busy machine.
const EXECUTION: Duration = Duration::from_secs(10);
/// Octets of an input.
const LONGEST: usize = 16 << 10;
/// Inputs that are kept to go on from.
const POOL: usize = 4_000;

/// Runs a target. `words` are what its language is made of; they and their characters are what
/// mutation puts in.
pub(crate) fn fuzz(name: &str, words: &[&str], target: impl Fn(&[u8]) -> u64) {
    fuzz_from(&[], name, words, target);
}

/// The same, with seeds of further folders, relative to the package.
pub(crate) fn fuzz_from(
    folders: &[&str],
    name: &str,
    words: &[&str],
    target: impl Fn(&[u8]) -> u64,
) {
    let plan = Plan::read();
    let own = Path::new("tests/seeds").join(name);
    let folders = folders.iter().map(Path::new).chain([own.as_path()]);
    let mut pool: Vec<Vec<u8>> = folders.flat_map(seeds).collect();
    pool.extend(words.iter().map(|word| word.as_bytes().to_vec()));
    let mutator = Mutator::new(words);
    let mut random = Random::new(plan.seed);
    let mut ways = HashSet::new();
    let begin = Instant::now();
    let mut executions = 0_u64;
    for seed in pool.clone() {
        ways.insert(execute(name, &target, &seed));
        executions += 1;
    }
    while !plan.is_over(begin, executions) {
        let mut input = pool[random.below(pool.len())].clone();
        mutator.mutate(&mut input, &pool, &mut random);
        input.truncate(LONGEST);
        let narrow = mutator.in_alphabet(&input);
        for input in [input, narrow] {
            let way = execute(name, &target, &input);
            executions += 1;
            if ways.insert(way) && pool.len() < POOL {
                pool.push(input);
            }
        }
    }
    let (took, ways) = (begin.elapsed().as_secs_f64(), ways.len());
    println!(
        "fuzz {name}: {executions} executions in {took:.2} s, {ways} ways, seed {}",
        plan.seed
    );
}

/// A number for what a target found out.
pub(crate) fn way(of: impl Debug) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{of:?}").hash(&mut hasher);
    hasher.finish()
}

/// Roughly how many: 0, 1, 2, then powers of two.
pub(crate) fn about(count: usize) -> u32 {
    usize::BITS - count.leading_zeros()
}

/// How long, and from which seed.
struct Plan {
    time: Duration,
    long: bool,
    seed: u64,
}

impl Plan {
    fn read() -> Self {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<f64>().ok());
        let seconds = number("POSTRIDER_FUZZ_SECONDS");
        let seed = std::env::var("POSTRIDER_FUZZ_SEED").ok().and_then(|text| text.parse().ok());
        let clock = || way(std::time::SystemTime::now());
        Self {
            time: seconds.map_or(SHORT, Duration::from_secs_f64),
            long: seconds.is_some(),
            seed: seed.unwrap_or_else(|| if seconds.is_some() { clock() } else { 1 }),
        }
    }

    fn is_over(&self, begin: Instant, executions: u64) -> bool {
        begin.elapsed() >= self.time || (!self.long && executions >= SHORT_EXECUTIONS)
    }
}

/// The files of a folder, by name.
fn seeds(folder: &Path) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().filter(|file| file.is_file()).map(|file| std::fs::read(file).unwrap()).collect()
}

/// Runs the target once; what fails is shortened, written down, and fails the test.
fn execute(name: &str, target: &impl Fn(&[u8]) -> u64, input: &[u8]) -> u64 {
    let begin = Instant::now();
    let run = |input: &[u8]| catch_unwind(AssertUnwindSafe(|| target(input)));
    let failure = match run(input) {
        Ok(way) => {
            assert!(begin.elapsed() < EXECUTION, "fuzz {name}: too slow: {}", keep(name, input));
            return way;
        }
        Err(failure) => failure,
    };
    let quiet = quietly();
    let mut least = input.to_vec();
    let mut chunk = least.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        while at < least.len() {
            let shorter = [&least[..at], &least[(at + chunk).min(least.len())..]].concat();
            if run(&shorter).is_err() {
                least = shorter;
            } else {
                at += chunk;
            }
        }
        chunk /= 2;
    }
    drop(quiet);
    eprintln!("fuzz {name}: {}: {:?}", keep(name, &least), String::from_utf8_lossy(&least));
    resume_unwind(failure)
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Panics of this thread are not told until what this returns is dropped.
fn quietly() -> impl Drop {
    struct Loud;
    impl Drop for Loud {
        fn drop(&mut self) {
            QUIET.set(false);
        }
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                told(panic);
            }
        }));
    });
    QUIET.set(true);
    Loud
}

/// Writes octets to `target/fuzz`, and says where.
fn keep(name: &str, input: &[u8]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz").join(name);
    let file = folder.join(format!("{:016x}", way(input)));
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, input));
    written.map_or_else(|error| error.to_string(), |()| file.display().to_string())
}

#[test]
fn failing_octets_are_found_and_made_short() {
    let target = |input: &[u8]| {
        assert!(!input.windows(3).any(|window| window == b"ab!"), "found");
        way(input.contains(&b'!'))
    };
    let found = catch_unwind(|| fuzz("own-test", &["a", "b", "!", "xyz"], target));
    assert!(found.is_err());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz/own-test");
    let kept = std::fs::read_dir(folder).unwrap();
    assert!(kept.flat_map(|entry| std::fs::read(entry.unwrap().path())).any(|o| o == b"ab!"));
}
