//! Files of the operator's: what cannot be read is told with its owner, its mode and the next step.

use std::fs::{DirBuilder, Metadata, Permissions};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::Fault;

/// The bytes of a file.
///
/// # Errors
/// Why it cannot be read, and what to do.
pub fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    std::fs::read(path).map_err(|error| unread(path, &error))
}

/// The text of a file.
///
/// # Errors
/// The same, and when it is no text.
pub fn text(path: &Path) -> Result<String, Fault> {
    String::from_utf8(read(path)?).map_err(|_| {
        let next = "write it anew as plain text in UTF-8";
        Fault::new(format!("{} is no text in UTF-8", path.display()), next)
    })
}

/// A secret in a file: its text without the line's end.
///
/// # Errors
/// The same, and when it holds nothing.
pub fn secret(path: &Path) -> Result<Zeroizing<String>, Fault> {
    let text = Zeroizing::new(text(path)?);
    let secret = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
    if secret.trim().is_empty() {
        let next = "write the secret into it: one line, readable by its owner only";
        return Err(Fault::new(format!("{} is empty", path.display()), next));
    }
    Ok(secret)
}

/// Makes a folder that only its owner may look into, with those on the way to it.
///
/// # Errors
/// When it cannot be made.
pub fn private_folder(path: &Path) -> Result<(), Fault> {
    let made = DirBuilder::new().mode(0o700).recursive(true).create(path);
    made.map_err(|error| unread(path, &error))
}

/// Why a file of the operator's could not be read or written.
#[must_use]
pub fn unread(path: &Path, error: &Error) -> Fault {
    let shown = path.display();
    let kind = error.kind();
    if kind == ErrorKind::PermissionDenied {
        return forbidden(path);
    }
    if kind == ErrorKind::IsADirectory {
        return Fault::new(format!("{shown} is a folder"), "name a file in it");
    }
    if kind != ErrorKind::NotFound {
        return Fault::new(format!("{shown}: {error}"), "");
    }
    // The outermost folder that is not there explains all below it.
    let folders = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    match folders.filter(|folder| !folder.exists()).last() {
        Some(folder) => Fault::new(
            format!("{shown} is not there: there is no folder {}", folder.display()),
            "make it, or name another place",
        ),
        None => Fault::new(format!("{shown} is not there"), "write it, or name another file"),
    }
}

/// What keeps us from a path: a folder on the way to it, or its own mode.
fn forbidden(path: &Path) -> Fault {
    let us = rustix::process::geteuid().as_raw();
    let us = format!("{} (uid {us})", name_of(us, "/etc/passwd"));
    // The folder that lets nobody pass, or the file itself.
    let passes = |way: &&Path| std::fs::metadata(way).is_ok();
    let reached = path.ancestors().find(passes);
    let blocks =
        reached.and_then(|way| Some((way.display().to_string(), std::fs::metadata(way).ok()?)));
    let owner = blocks.map(|(place, meta)| (place, owner(&meta)));
    let what = match &owner {
        Some((place, owner)) => {
            format!("{place} belongs to {owner}; this runs as {us} and may not")
        }
        None => format!("{} may not be read by {us}, as which this runs", path.display()),
    };
    Fault::new(
        what,
        "run it as the desk's user, or give the file to that user: `chown`, `chmod 600`",
    )
}

/// Owner, group and mode, as a person says them.
#[must_use]
pub fn owner(meta: &Metadata) -> String {
    let (user, group) = (name_of(meta.uid(), "/etc/passwd"), name_of(meta.gid(), "/etc/group"));
    format!("{user}:{group}, mode {:04o}", meta.permissions().mode() & 0o7777)
}

/// The name of a number in a table of the system's; the number without one.
fn name_of(id: u32, table: &str) -> String {
    let text = std::fs::read(table).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let is_it = |line: &&str| line.split(':').nth(2) == Some(id.to_string().as_str());
    let name = text.lines().find(is_it).and_then(|line| line.split(':').next());
    name.map_or_else(|| id.to_string(), ToOwned::to_owned)
}

/// How others may read a file that is for its owner only: owner, group and mode. None where they may not, or where
/// it cannot be told.
#[must_use]
pub fn readable_by_others(path: &Path) -> Option<String> {
    let meta = std::fs::metadata(path).ok()?;
    let may = |permissions: Permissions| permissions.mode() & 0o044 != 0;
    may(meta.permissions()).then(|| owner(&meta))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_not_there_is_told_with_the_folder_that_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let fault = read(&folder.path().join("a/b/c")).unwrap_err();
        let missing = folder.path().join("a").display().to_string();
        assert!(fault.what.ends_with(&format!("there is no folder {missing}")), "{}", fault.what);
        let fault = read(&folder.path().join("c")).unwrap_err();
        assert!(fault.what.ends_with("c is not there"), "{}", fault.what);
        let fault = read(folder.path()).unwrap_err();
        assert!(fault.what.ends_with("is a folder"), "{}", fault.what);
    }

    #[test]
    fn a_secret_is_a_line_that_others_may_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "hush\r\n").unwrap();
        assert_eq!(secret(&path).unwrap().as_str(), "hush");
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(readable_by_others(&path).unwrap().ends_with("mode 0640"));
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(readable_by_others(&path), None);
        std::fs::write(&path, "\n").unwrap();
        assert!(secret(&path).unwrap_err().what.ends_with("is empty"));
    }

    #[test]
    fn what_may_not_be_read_is_told_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "hush").unwrap();
        let fault = unread(&path, &Error::from(ErrorKind::PermissionDenied));
        assert!(
            fault.what.contains("belongs to") && fault.what.contains("mode 0"),
            "{}",
            fault.what
        );
        assert!(fault.next.contains("chown"), "{}", fault.next);
    }
}
