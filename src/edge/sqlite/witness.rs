//! The newest head of the journal, kept in a file beside the database or on another disk: what puts the
//! database back does not put this back.
//!
//! Two places of a fixed size are written in turn, so that a power cut leaves one of them whole. Each
//! carries a MAC by a key that only the desk has; whoever can write the file can only spoil it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::facts::names::Digest;
use crate::domain::facts::record::Head;
use crate::edge::write_private;
use crate::error::{Fault, Place};

/// Bytes of one place: the line, filled up with blanks.
const PLACE: usize = 256;

/// The file.
#[derive(Debug)]
pub(super) struct WitnessFile {
    path: PathBuf,
    key: [u8; 32],
    /// How often it was written: the newest place is the one with the most.
    turn: u64,
    head: Option<Head>,
}

impl WitnessFile {
    /// Reads the file, if it is there.
    ///
    /// # Errors
    /// When it cannot be read, or nothing in it is the desk's.
    pub(super) fn open(path: &Path, key: [u8; 32]) -> Result<Self, Fault> {
        let mut file = Self { path: path.to_owned(), key, turn: 0, head: None };
        if !path.exists() {
            return Ok(file);
        }
        let place = || format!("the witness {}", path.display());
        let mut text = String::new();
        File::open(path).at(place)?.take(2 * PLACE as u64).read_to_string(&mut text).at(place)?;
        let newest = text.lines().filter_map(|line| file.read(line)).max_by_key(|(turn, _)| *turn);
        let Some((turn, head)) = newest else {
            let next = "put it back, or run `embargod restored --yes` to begin a new one";
            return Err(Fault::new(format!("{}: nothing in it is this desk's", place()), next));
        };
        (file.turn, file.head) = (turn, Some(head));
        Ok(file)
    }

    /// The newest head that it has seen; none where there was no file.
    #[must_use]
    pub(super) fn head(&self) -> Option<Head> {
        self.head
    }

    /// Takes note of a head.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&mut self, head: Head) -> Result<(), Fault> {
        let place = || format!("the witness {}", self.path.display());
        if !self.path.exists() {
            write_private(&self.path, &[b'\n'; 2 * PLACE])?;
        }
        let turn = self.turn.saturating_add(1);
        let said = format!("embargod-witness 1 {turn} {} {}", head.number, head.hash);
        let line = format!("{said} {}", self.mac(&said));
        let mut bytes = line.into_bytes();
        bytes.resize(PLACE.saturating_sub(1), b' ');
        bytes.push(b'\n');
        let mut file = OpenOptions::new().write(true).open(&self.path).at(place)?;
        let at = if turn.is_multiple_of(2) { 0 } else { PLACE as u64 };
        file.seek(SeekFrom::Start(at)).at(place)?;
        file.write_all(&bytes).at(place)?;
        file.sync_data().at(place)?;
        (self.turn, self.head) = (turn, Some(head));
        Ok(())
    }

    fn read(&self, line: &str) -> Option<(u64, Head)> {
        let (said, mac) = line.trim_end().rsplit_once(' ')?;
        if self.mac(said) != mac {
            return None;
        }
        let mut words = said.split(' ').skip(2);
        let (turn, number) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some((turn, Head { number, hash: Digest::parse(words.next()?)? }))
    }

    /// RFC 2104, by SHA-256.
    fn mac(&self, said: &str) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return String::new() };
        mac.update(b"witness file");
        mac.update(said.as_bytes());
        mac.finalize().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(number: u64) -> Head {
        Head { number, hash: Digest::of(&number.to_be_bytes()) }
    }

    #[test]
    fn the_newest_place_counts_and_a_spoilt_one_does_not() {
        let folder = std::env::temp_dir().join(format!("witness-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("w");
        let mut file = WitnessFile::open(&path, [7; 32]).unwrap();
        assert_eq!(file.head(), None);
        for number in 1..=5 {
            file.write(head(number)).unwrap();
            let again = WitnessFile::open(&path, [7; 32]).unwrap();
            assert_eq!(again.head(), Some(head(number)));
        }
        // A store that was put back on purpose has fewer records, and is the newest all the same.
        file.write(head(3)).unwrap();
        assert_eq!(WitnessFile::open(&path, [7; 32]).unwrap().head(), Some(head(3)));
        // Torn in the middle of the last writing: the one before it counts.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(WitnessFile::open(&path, [7; 32]).unwrap().head(), Some(head(5)));
        // By another desk, or by nobody who has the key: nothing.
        assert!(WitnessFile::open(&path, [8; 32]).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
