//! Which files `include` names: literal paths and `*`/`?` globs of one folder, sorted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::pending::Pending;
use super::problem::{Place, Problem};
use super::source::Source;

/// More files than this are a mistake in the pattern.
const MOST: usize = 10_000;

/// Reads what the main file includes, in order; each file once.
pub(super) fn read(
    main: &Source,
    includes: &[(String, Place)],
    pending: &Pending,
    problems: &mut Vec<Problem>,
) -> Vec<Result<Source, Problem>> {
    let base = main.file.parent().unwrap_or(Path::new(""));
    let mut seen = BTreeSet::new();
    seen.extend(main.identity);
    let mut sources = Vec::new();
    for (pattern, place) in includes {
        let path = base.join(pattern);
        let is_glob = pattern.contains(['*', '?']);
        let files = if is_glob { glob(&path, pending) } else { Ok(vec![path]) };
        let files = match files {
            Ok(files) => files,
            Err(why) => {
                let what = format!("`include`: `{}`: {why}", super::problem::plain(pattern));
                problems.push(Problem::error(what).at(place));
                continue;
            }
        };
        for file in files {
            if sources.len() >= MOST {
                let problem = Problem::error(format!("`include` names more than {MOST} files"));
                problems.push(problem.at(place));
                return sources;
            }
            if pending.removes(&file) {
                continue;
            }
            let read = match pending.source(&file) {
                Some(source) => Ok(source),
                None => Source::read(&file),
            };
            match read {
                // A glob in the main file's own folder finds the main file, too.
                Ok(source) if source.identity.is_some_and(|id| !seen.insert(id)) => {
                    if !is_glob && source.identity == main.identity {
                        let problem =
                            Problem::error(format!("`include`: `{pattern}` is this file"));
                        problems.push(problem.at(place).hint("a file can't include itself"));
                    }
                }
                Err(problem) if !is_glob => sources.push(Err(named_at(problem, place))),
                read => sources.push(read),
            }
        }
    }
    sources
}

/// Whether a pattern, made absolute, names a file that may not be there yet.
pub(super) fn names(pattern: &Path, file: &Path) -> bool {
    let name =
        |path: &Path| -> Option<Vec<char>> { Some(path.file_name()?.to_str()?.chars().collect()) };
    let (Some(wanted), Some(own)) = (name(pattern), name(file)) else { return false };
    let hidden = own.first() == Some(&'.') && wanted.first() != Some(&'.');
    !hidden && pattern.parent() == file.parent() && matches(&wanted, &own)
}

/// A literal include that can't be read is to blame on the line that names it.
fn named_at(problem: Problem, place: &Place) -> Problem {
    if problem.line.is_some() {
        return problem;
    }
    problem
        .at(place)
        .hint("correct the path, or use a glob such as `conf.d/*.toml`, which may match nothing")
}

/// The regular files that match the last component; none is fine.
fn glob(path: &Path, pending: &Pending) -> Result<Vec<PathBuf>, String> {
    let folder = path.parent().unwrap_or(Path::new("."));
    if folder.to_string_lossy().contains(['*', '?']) {
        return Err("`*` and `?` may only stand in the last part".to_owned());
    }
    let pattern: Vec<char> = match path.file_name() {
        Some(name) => name.to_string_lossy().chars().collect(),
        None => return Err("it names no file".to_owned()),
    };
    let mut files: BTreeSet<PathBuf> = BTreeSet::new();
    let hits = |name: &str| {
        // Hidden files are editors' and package managers' leftovers.
        let hidden = name.starts_with('.') && pattern.first() != Some(&'.');
        !hidden && matches(&pattern, &name.chars().collect::<Vec<char>>())
    };
    let named = |path: &&PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        path.parent() == Some(folder) && name.is_some_and(hits)
    };
    files.extend(pending.present().filter(named).cloned());
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(files.into_iter().collect());
        }
        Err(error) => return Err(error.to_string()),
    };
    for entry in entries {
        let entry = entry.map_err(|error| error.to_string())?;
        let name = entry.file_name();
        if name.to_str().is_some_and(hits) {
            files.insert(folder.join(name));
        }
    }
    Ok(files.into_iter().collect())
}

/// Whether a name matches a pattern of `*` and `?`; linear in the product of the lengths.
pub(super) fn matches(pattern: &[char], name: &[char]) -> bool {
    // reachable[i]: the first i characters of the name can be matched so far.
    let mut reachable: Vec<bool> =
        std::iter::once(true).chain(name.iter().map(|_| false)).collect();
    for p in pattern {
        let mut next = Vec::with_capacity(reachable.len());
        let mut above = false;
        let shifted = std::iter::once(false).chain(reachable.iter().copied());
        let chars = std::iter::once(None).chain(name.iter().map(Some));
        for ((here, before), c) in reachable.iter().zip(shifted).zip(chars) {
            above = match p {
                '*' => *here || above,
                '?' => before,
                p => before && c == Some(p),
            };
            next.push(above);
        }
        reachable = next;
    }
    reachable.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_match_within_a_name() {
        let hit = |pattern: &str, name: &str| {
            let chars = |text: &str| text.chars().collect::<Vec<char>>();
            matches(&chars(pattern), &chars(name))
        };
        assert!(
            hit("*.toml", "a.toml") && hit("*", "") && hit("a?c", "abc") && hit("a*c*", "abcd")
        );
        assert!(
            !hit("*.toml", "a.toml~") && !hit("a?c", "ac") && !hit("", "a") && !hit("b*", "ab")
        );
        assert!(hit("**a*", "bba") && !hit("*ab", "abb"));
    }
}
