//! Secrets in files of their own, systemd's credentials among them.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::{Zeroize as _, Zeroizing};

use crate::config::secret_file_fault;

use super::{MAX_SECRET, Secret, SecretFault, Surroundings};

/// Reads a regular file that others can't read; drops one newline at its end.
pub(super) fn read(path: &Path) -> Result<Secret, SecretFault> {
    one_line(&read_octets(path, MAX_SECRET)?)
}

/// Reads such a file whole, over several lines: a key, an assertion.
pub(super) fn document(path: &Path) -> Result<Zeroizing<String>, SecretFault> {
    let octets = read_octets(path, MAX_SECRET)?;
    if octets.len() > MAX_SECRET {
        return Err(SecretFault::TooLong);
    }
    let text = std::str::from_utf8(&octets).map_err(|_| SecretFault::NotText)?;
    if text.trim().is_empty() {
        return Err(SecretFault::Empty);
    }
    Ok(Zeroizing::new(text.to_owned()))
}

/// Reads a regular file that others can't read, as it is; [`one_line`] tells a too long one.
pub(super) fn read_octets(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, SecretFault> {
    // O_NONBLOCK: opening a FIFO must not wait for a writer.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let open = File::options().read(true).custom_flags(flags).open(path);
    let mut file = open.map_err(|error| unreadable(path, &error))?;
    let meta = file.metadata().map_err(|error| unreadable(path, &error))?;
    if let Some((what, hint)) = secret_file_fault(&meta, path) {
        return Err(SecretFault::Unsafe { what, hint });
    }
    // Reserved at once: growing would leave copies behind that nobody wipes.
    let limit = most.saturating_add(2);
    let length = usize::try_from(meta.len()).unwrap_or(limit).saturating_add(32).min(limit);
    let mut octets = Zeroizing::new(Vec::with_capacity(length.saturating_add(1)));
    let bounded = u64::try_from(limit).unwrap_or(u64::MAX);
    let read = file.by_ref().take(bounded).read_to_end(&mut octets);
    read.map_err(|error| unreadable(path, &error))?;
    Ok(octets)
}

/// Reads a credential of the unit.
pub(super) fn credential(name: &str, surroundings: &Surroundings) -> Result<Secret, SecretFault> {
    let Some(directory) = &surroundings.credentials_directory else {
        return Err(SecretFault::Missing {
            what: "$CREDENTIALS_DIRECTORY is not set: systemd gives this process no credentials"
                .to_owned(),
            hint: format!(
                "add `LoadCredential={name}:PATH` to the unit, or use `{{ file }}`; by hand: \
                 systemd-run --pipe --wait -p User=postrider -p LoadCredential={name}:PATH \
                 postrider …"
            ),
        });
    };
    read(&directory.join(name)).map_err(|fault| match fault {
        SecretFault::Missing { what, .. } => SecretFault::Missing {
            what,
            hint: format!("add `LoadCredential={name}:PATH` to the unit"),
        },
        fault => fault,
    })
}

/// Octets to a secret: one trailing newline is dropped, LF or CR LF, exactly one; and the mark
/// that some editors put before UTF-8, which nobody sees.
pub fn one_line(octets: &[u8]) -> Result<Secret, SecretFault> {
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    let line = octets.strip_suffix(b"\n").map_or(octets, |l| l.strip_suffix(b"\r").unwrap_or(l));
    if line.len() > MAX_SECRET {
        return Err(SecretFault::TooLong);
    }
    match String::from_utf8(line.to_vec()) {
        Ok(text) => Secret::new(text),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(SecretFault::NotText)
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> SecretFault {
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => "postrider's user must be its owner, with mode 0600",
        _ => "correct the path, or write the secret there with mode 0600",
    };
    SecretFault::Missing {
        what: format!("cannot read `{}`: {error}", path.display()),
        hint: hint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test's own files")]
    fn with(octets: &[u8], mode: u32) -> Result<Secret, SecretFault> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), octets).unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        read(file.path())
    }

    fn text(octets: &[u8]) -> Result<String, SecretFault> {
        with(octets, 0o600).map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn a10_exactly_one_newline_is_dropped() {
        assert_eq!(text(b"hunter2").as_deref(), Ok("hunter2"));
        assert_eq!(text(b"hunter2\n").as_deref(), Ok("hunter2"));
        assert_eq!(text(b"hunter2\r\n").as_deref(), Ok("hunter2"));
        assert_eq!(text(b" p \n").as_deref(), Ok(" p "));
        assert_eq!(text(b"\xef\xbb\xbfhunter2\r\n").as_deref(), Ok("hunter2"));
        assert_eq!(text(b"\xef\xbb\xbf\n"), Err(SecretFault::Empty));
        assert_eq!(text(b"hunter2\n\n"), Err(SecretFault::ControlCharacter));
    }

    #[test]
    fn a10_empty_long_and_binary_files_are_no_secrets() {
        assert_eq!(text(b""), Err(SecretFault::Empty));
        assert_eq!(text(b"\n"), Err(SecretFault::Empty));
        assert_eq!(text(b"caf\xe9"), Err(SecretFault::NotText));
        assert!(text(&vec![b'a'; MAX_SECRET]).is_ok());
        assert_eq!(text(&vec![b'a'; MAX_SECRET + 1]), Err(SecretFault::TooLong));
        assert_eq!(text(&vec![b'a'; 1 << 20]), Err(SecretFault::TooLong));
    }

    #[test]
    fn a10_a_file_that_others_can_read_is_refused_with_the_chmod_line() {
        assert!(with(b"p", 0o440).is_ok());
        for mode in [0o644, 0o604, 0o602] {
            let Err(SecretFault::Unsafe { hint, .. }) = with(b"p", mode) else {
                panic!("{mode:o}")
            };
            assert!(hint.starts_with("chmod 600 /"), "{hint}");
        }
    }

    #[test]
    fn a10_folders_and_fifos_are_refused_without_waiting() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read(dir.path()), Err(SecretFault::Unsafe { .. })));
        let fifo = dir.path().join("fifo");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, rustix::fs::Mode::RUSR, 0).unwrap();
        assert!(matches!(read(&fifo), Err(SecretFault::Unsafe { .. })));
        assert!(matches!(read(&dir.path().join("none")), Err(SecretFault::Missing { .. })));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test's own files")]
    fn a10_a_link_is_followed_and_its_target_judged() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        std::fs::write(&target, "p").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read(&link), Err(SecretFault::Unsafe { .. })));
        std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&link).unwrap().expose(), "p");
        std::fs::write(&target, "q").unwrap();
        assert_eq!(read(&link).unwrap().expose(), "q");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test's own files")]
    fn credentials_are_read_below_their_folder() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("mail"), "p\n").unwrap();
        let mode = std::fs::Permissions::from_mode(0o400);
        std::fs::set_permissions(dir.path().join("mail"), mode).unwrap();
        let at = |folder: Option<&Path>| Surroundings {
            credentials_directory: folder.map(Path::to_path_buf),
            ..Surroundings::default()
        };
        assert_eq!(credential("mail", &at(Some(dir.path()))).unwrap().expose(), "p");
        for folder in [None, Some(dir.path())] {
            let fault = credential("other", &at(folder)).unwrap_err();
            let SecretFault::Missing { hint, .. } = fault else { panic!("{fault:?}") };
            assert!(hint.contains("LoadCredential=other"), "{hint}");
        }
    }
}
