//! What is large lies in files of its own beside the database, each written once, enciphered, and named by a row:
//! in the database it would be enciphered page by page, written twice, and carried along by every copy of it.
//!
//! A file is there, whole and durable, before a commit names it, and is removed when the commit that lets go of
//! it is durable. So a stop at any moment leaves files that nobody names, and no row without its file; those are
//! removed at a start a week later. Each has a key of its own, made of the database's and its name: one that is put in
//! the place of another does not open. Pieces carry their number and whether they are the last (as STREAM does),
//! so that none is missing, doubled or moved.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::domain::facts::names::base32;
use crate::edge::random;
use crate::edge::sqlite::Sqlite;
use crate::error::{Fault, Place};
use crate::ports::store::{Kept, Spool, Spooling};

/// Bytes of a piece, and what its seal adds.
const PIECE: usize = 64 * 1024;
const TAG: usize = 16;

/// What nobody names is left for so long.
const LEFT: Duration = Duration::from_secs(7 * 86_400);

/// The folder.
#[derive(Debug, Clone)]
pub(super) struct SpoolFolder {
    folder: PathBuf,
    key: Zeroizing<[u8; 32]>,
}

fn mac(key: &[u8], said: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    // HMAC takes keys of every length.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) {
        mac.update(said);
        out.copy_from_slice(&mac.finalize().into_bytes());
    }
    out
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Enciphers and deciphers the pieces of one file.
struct Pieces {
    key: LessSafeKey,
    number: u64,
}

impl Pieces {
    fn nonce(&mut self, is_last: bool) -> Nonce {
        let mut nonce = [0; 12];
        let [flag, _, _, _, number @ ..] = &mut nonce;
        *flag = u8::from(is_last);
        *number = self.number.to_be_bytes();
        self.number = self.number.saturating_add(1);
        Nonce::assume_unique_for_key(nonce)
    }
}

impl SpoolFolder {
    /// The one of a database.
    pub(super) fn beside(store: &Path, key: &[u8; 32]) -> Self {
        let folder = Sqlite::spool_folder(store);
        Self { folder, key: mac(key, b"embargod spool 1") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn pieces(&self, name: &str) -> Result<Pieces, Fault> {
        let key = mac(&*self.key, name.as_bytes());
        let key = UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| Fault::new("no key", ""))?;
        Ok(Pieces { key: LessSafeKey::new(key), number: 0 })
    }

    /// Opens a file, if it is there.
    pub(super) fn read(&self, name: &str, size: u64) -> Result<Option<SpoolReader>, Fault> {
        let place = || format!("reading {}", self.path(name).display());
        let file = match File::open(self.path(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).at(place),
        };
        let pieces = self.pieces(name)?;
        Ok(Some(SpoolReader { file, pieces, left: size, piece: Vec::new(), at: 0 }))
    }

    /// All of it.
    pub(super) fn whole(&self, name: &str, size: u64) -> Result<Option<Vec<u8>>, Fault> {
        let Some(mut file) = self.read(name, size)? else { return Ok(None) };
        let mut all = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.read_to_end(&mut all).at(|| format!("reading {}", self.path(name).display()))?;
        Ok(Some(all))
    }

    /// Removes a file that no row names any more. That it cannot is no reason to stop: the next start does.
    pub(super) fn remove(&self, name: &str) {
        if let Err(error) = std::fs::remove_file(self.path(name))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(event = "spool.left", %error, "A file of the spool cannot be removed.");
        }
    }

    /// Makes durable that new files are there, before a commit names them.
    pub(super) fn sync(&self) -> Result<(), Fault> {
        let place = || format!("writing {}", self.folder.display());
        File::open(&self.folder).and_then(|folder| folder.sync_all()).at(place)
    }

    /// Removes the files that no row names: what was written when the desk was stopped. Only those that are much
    /// older than what was last written to the database: an older copy of it, put in place by mistake, does not
    /// name what the newest one does.
    pub(super) fn sweep(&self, named: &BTreeSet<String>, database: &Path) {
        let written = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
        let (Ok(all), Some(last)) = (std::fs::read_dir(&self.folder), written(database)) else {
            return;
        };
        for entry in all.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let age = written(&entry.path()).and_then(|at| last.duration_since(at).ok());
            let is_old = age.is_some_and(|age| age > LEFT);
            if is_old && !named.contains(&name) {
                self.remove(&name);
            }
        }
    }
}

impl Spool for SpoolFolder {
    fn begin(&self) -> Result<Box<dyn Spooling>, Fault> {
        let name = base32(&random::<20>()?, 32).to_ascii_lowercase();
        let path = self.path(&name);
        let place = || format!("writing {}", path.display());
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).at(place)?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let (file, pieces) = (file.at(place)?, self.pieces(&name)?);
        let piece = Vec::with_capacity(PIECE.saturating_add(TAG));
        Ok(Box::new(SpoolWriter { path, name, file, pieces, piece, size: 0, is_kept: false }))
    }
}

/// Something that is being written.
struct SpoolWriter {
    path: PathBuf,
    name: String,
    file: File,
    pieces: Pieces,
    piece: Vec<u8>,
    size: u64,
    is_kept: bool,
}

impl SpoolWriter {
    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let nonce = self.pieces.nonce(is_last);
        let sealed = self.pieces.key.seal_in_place_append_tag(nonce, Aad::empty(), &mut self.piece);
        sealed.map_err(|_| broken("a piece cannot be enciphered"))?;
        self.file.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }
}

impl Write for SpoolWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full one stays until more comes: whether it is the last is in its seal.
        if self.piece.len() >= PIECE {
            self.seal(false)?;
        }
        let room = PIECE.saturating_sub(self.piece.len());
        let (now, _) = bytes.split_at(room.min(bytes.len()));
        self.piece.extend_from_slice(now);
        self.size = self.size.saturating_add(u64::try_from(now.len()).unwrap_or(0));
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Spooling for SpoolWriter {
    fn end(mut self: Box<Self>) -> Result<Kept, Fault> {
        let place = |path: &Path| format!("writing {}", path.display());
        self.seal(true).at(|| place(&self.path))?;
        self.file.sync_data().at(|| place(&self.path))?;
        self.is_kept = true;
        Ok(Kept::There { name: self.name.clone(), size: self.size })
    }
}

impl Drop for SpoolWriter {
    fn drop(&mut self) {
        // What was given up is not kept; what cannot be removed now is at the next start.
        if !self.is_kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A file that is read piece by piece. What does not fit, is cut off or was put there is an error.
pub(super) struct SpoolReader {
    file: File,
    pieces: Pieces,
    left: u64,
    piece: Vec<u8>,
    at: usize,
}

impl Read for SpoolReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.piece.len() {
            if self.left == 0 {
                return Ok(0);
            }
            let next = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
            self.piece.resize(next.saturating_add(TAG), 0);
            self.file.read_exact(&mut self.piece)?;
            let is_last = self.left <= PIECE as u64;
            let nonce = self.pieces.nonce(is_last);
            let opened = self.pieces.key.open_in_place(nonce, Aad::empty(), &mut self.piece);
            opened.map_err(|_| broken("a piece is not as it was written"))?;
            self.piece.truncate(next);
            self.left = self.left.saturating_sub(next as u64);
            self.at = 0;
        }
        let rest = self.piece.get(self.at..).unwrap_or_default();
        let count = rest.len().min(into.len());
        let (now, _) = rest.split_at(count);
        into.get_mut(..count).unwrap_or_default().copy_from_slice(now);
        self.at = self.at.saturating_add(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool(folder: &Path, key: u8) -> SpoolFolder {
        SpoolFolder::beside(&folder.join("desk.db"), &[key; 32])
    }

    fn keep(spool: &SpoolFolder, bytes: &[u8]) -> (String, u64) {
        let mut file = spool.begin().unwrap();
        for piece in bytes.chunks(10_000) {
            file.write_all(piece).unwrap();
        }
        let Kept::There { name, size } = file.end().unwrap() else { unreachable!() };
        (name, size)
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let ours = spool(folder.path(), 1);
        for size in [1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 200_000] {
            let bytes: Vec<u8> = (0_u8..=250).cycle().take(size).collect();
            let (name, kept) = keep(&ours, &bytes);
            assert_eq!(kept, size as u64);
            assert_eq!(ours.whole(&name, kept).unwrap().unwrap(), bytes);
            let path = ours.path(&name);
            let on_disk = std::fs::read(&path).unwrap();
            assert!(size < 50 || !on_disk.windows(50).any(|w| bytes.starts_with(w)));
            assert!(spool(folder.path(), 2).whole(&name, kept).is_err(), "another key");
            if size > 1 {
                assert!(ours.whole(&name, kept - 1).is_err(), "less than there was");
            }
            let (other, _) = keep(&ours, &bytes);
            std::fs::copy(ours.path(&other), &path).unwrap();
            assert!(ours.whole(&name, kept).is_err(), "in the place of another");
            for change in [0, on_disk.len() / 2, on_disk.len() - 1] {
                let mut wrong = on_disk.clone();
                wrong[change] ^= 1;
                std::fs::write(&path, wrong).unwrap();
                assert!(ours.whole(&name, kept).is_err(), "changed at {change} of {size}");
            }
        }
    }

    #[test]
    fn what_was_given_up_or_is_long_named_by_nobody_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let ours = spool(folder.path(), 1);
        let (kept, _) = keep(&ours, b"kept");
        let (left, _) = keep(&ours, b"left");
        drop(ours.begin().unwrap());
        let count = || std::fs::read_dir(&ours.folder).unwrap().count();
        assert_eq!(count(), 2);
        let named = BTreeSet::from([kept.clone()]);
        let database = folder.path().join("desk.db");
        std::fs::write(&database, b"").unwrap();
        let last = std::fs::metadata(&database).unwrap().modified().unwrap();
        ours.sweep(&named, &database);
        assert_eq!(count(), 2, "another copy of the database may name it");
        for name in [&kept, &left] {
            let file = OpenOptions::new().write(true).open(ours.path(name)).unwrap();
            file.set_modified(last - LEFT * 2).unwrap();
        }
        ours.sweep(&named, &database);
        assert_eq!(count(), 1);
        assert!(ours.whole(&left, 4).unwrap().is_none());
        assert!(ours.whole(&kept, 4).unwrap().is_some());
    }
}
