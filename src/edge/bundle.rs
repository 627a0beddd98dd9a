//! A desk in one archive: its files under names of their own, and at the end a manifest that lists them, signed by
//! the desk. A plain tar, so that it can be read where this program is not.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tar::{Archive, Builder, EntryType, Header};

use crate::domain::facts::names::{Digest, Fingerprint, Moment};
use crate::error::{Fault, Place};

/// The form of the manifest that this version writes.
pub const FORM: u32 = 1;
/// Where the manifest and what vouches for it stand in the archive.
const MANIFEST: &str = "manifest.json";
const SIGNATURE: &str = "manifest.json.asc";
const CERTIFICATE: &str = "desk.public.asc";
/// So large is none of these three, and so many files are read.
const MANIFEST_MAX: u64 = 64 << 20;
const FILES_MAX: usize = 1_000_000;

/// What an archive holds, and whose it is.
//  Warning: this type is used in stored state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of this manifest.
    pub form: u32,
    /// The version of the program that wrote it.
    pub version: String,
    /// When the copy was begun.
    pub made: Moment,
    /// The machine's name.
    pub host: String,
    /// The desk's address.
    pub desk: String,
    /// The desk's key.
    pub key: Fingerprint,
    /// How far its journal had come: the number and hash of its newest record.
    pub head: (u64, Digest),
    /// Whom the archive is sealed to.
    pub sealed_to: Vec<Fingerprint>,
    /// The config file's name in the archive, and the database's.
    pub config: String,
    /// The database's name.
    pub store: String,
    /// Paths as the config has them, and the names of what lies there in the archive.
    pub paths: BTreeMap<String, String>,
    /// What it holds, by name.
    pub files: BTreeMap<String, Held>,
    /// What is large, is enciphered by the store and lies beside the archive, by name.
    pub beside: BTreeMap<String, Held>,
}

/// A file of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Bytes.
    pub size: u64,
    /// Their hash.
    pub sha256: Digest,
}

/// Hashes what passes through.
struct Hashing<T> {
    inner: T,
    hash: Sha256,
    size: u64,
}

impl<T> Hashing<T> {
    fn of(inner: T) -> Self {
        Self { inner, hash: Sha256::new(), size: 0 }
    }

    fn held(self) -> Held {
        Held { size: self.size, sha256: Digest(self.hash.finalize().into()) }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.size = self.size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(into)?;
        self.take(into.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Size and hash of a file.
///
/// # Errors
/// When it cannot be read.
pub fn held(path: &Path) -> Result<Held, Fault> {
    let place = || path.display().to_string();
    let mut file = Hashing::of(std::fs::File::open(path).at(place)?);
    std::io::copy(&mut file, &mut std::io::sink()).at(place)?;
    Ok(file.held())
}

/// An archive that is being written.
pub struct Bundle<'a> {
    tar: Builder<&'a mut dyn Write>,
    files: BTreeMap<String, Held>,
}

impl std::fmt::Debug for Bundle<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundle").field("files", &self.files).finish_non_exhaustive()
    }
}

fn header(size: u64, made: Moment) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(size);
    header.set_mtime(made.timestamp().unsigned_abs());
    header
}

impl<'a> Bundle<'a> {
    /// Begins one.
    pub fn begin(sink: &'a mut dyn Write) -> Self {
        Self { tar: Builder::new(sink), files: BTreeMap::new() }
    }

    /// Adds a file. One that grows meanwhile is an error: what nobody writes to is added.
    ///
    /// # Errors
    /// When it cannot be read, or the archive not be written.
    pub fn add(&mut self, name: &str, path: &Path, made: Moment) -> Result<(), Fault> {
        let place = || path.display().to_string();
        let file = std::fs::File::open(path).at(place)?;
        let size = file.metadata().at(place)?.len();
        let mut file = Hashing::of(file.take(size));
        self.tar.append_data(&mut header(size, made), name, &mut file).at(place)?;
        let held = file.held();
        if held.size != size {
            return Err(Fault::new(
                format!("{} was changed while it was read", place()),
                "run it again",
            ));
        }
        self.files.insert(name.to_owned(), held);
        Ok(())
    }

    /// What was added so far.
    #[must_use]
    pub fn files(&self) -> &BTreeMap<String, Held> {
        &self.files
    }

    /// Ends it: the manifest, the desk's signature over it, and the certificate that it is checked with.
    ///
    /// # Errors
    /// When the archive cannot be written.
    pub fn end(
        mut self,
        (manifest, signature, certificate): (&[u8], &[u8], &[u8]),
        made: Moment,
    ) -> Result<(), Fault> {
        let place = || "writing the archive".to_owned();
        for (name, bytes) in
            [(MANIFEST, manifest), (SIGNATURE, signature), (CERTIFICATE, certificate)]
        {
            let size = u64::try_from(bytes.len()).at(place)?;
            self.tar.append_data(&mut header(size, made), name, bytes).at(place)?;
        }
        self.tar.finish().at(place)
    }
}

/// An archive that was read.
#[derive(Debug)]
pub struct Unpacked {
    /// The manifest; its bytes as they are signed.
    pub manifest: Manifest,
    /// Its bytes.
    pub text: Vec<u8>,
    /// The signature over them.
    pub signature: Vec<u8>,
    /// The certificate that came along.
    pub certificate: Vec<u8>,
}

/// Whether a name of an archive leads to where it says: no way up, no root.
#[must_use]
pub fn is_plain(name: &Path) -> bool {
    name.components().all(|part| matches!(part, Component::Normal(_)))
        && name.components().count() > 0
}

/// Reads an archive. `into` is told each file's name and gives the place where it is written, or none if it is only
/// looked at. Each file is compared with what the manifest says; nothing else may be there.
///
/// # Errors
/// What is wrong with it. What was written then is to be thrown away.
pub fn unpack(
    from: &mut dyn Read,
    into: &dyn Fn(&str) -> Option<PathBuf>,
) -> Result<Unpacked, Fault> {
    let place = || "reading the archive".to_owned();
    let wrong = |what: String| Fault::new(what, "take another backup; nothing was restored");
    let mut found: BTreeMap<String, Held> = BTreeMap::new();
    let mut own: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    let mut archive = Archive::new(from);
    for entry in archive.entries().at(place)? {
        let entry = entry.at(place)?;
        let path = entry.path().at(place)?.into_owned();
        let name = path.to_string_lossy().into_owned();
        let is_file = entry.header().entry_type() == EntryType::Regular;
        if !is_file || !is_plain(&path) || found.len() >= FILES_MAX {
            return Err(wrong(format!("`{name}` is nothing that a backup holds")));
        }
        if let Some(known) =
            [MANIFEST, SIGNATURE, CERTIFICATE].into_iter().find(|known| *known == name)
        {
            let mut bytes = Vec::new();
            entry.take(MANIFEST_MAX).read_to_end(&mut bytes).at(place)?;
            if own.insert(known, bytes).is_some() {
                return Err(wrong(format!("`{name}` is there twice")));
            }
            continue;
        }
        let mut content = Hashing::of(entry);
        match into(&name) {
            Some(to) => write(&mut content, &to)?,
            None => std::io::copy(&mut content, &mut std::io::sink()).map(drop).at(place)?,
        }
        if found.insert(name.clone(), content.held()).is_some() {
            return Err(wrong(format!("`{name}` is there twice")));
        }
    }
    let (Some(text), Some(signature), Some(certificate)) =
        (own.remove(MANIFEST), own.remove(SIGNATURE), own.remove(CERTIFICATE))
    else {
        return Err(wrong("it is no backup of a desk, or its end is missing".to_owned()));
    };
    let form = serde_json::from_slice::<serde_json::Value>(&text).ok();
    match form.as_ref().and_then(|manifest| manifest.get("form")?.as_u64()) {
        Some(form) if form == u64::from(FORM) => {}
        _ => {
            let next = "read it with the version of embargod that wrote it";
            return Err(Fault::new(
                "its manifest is of a form that this version does not know",
                next,
            ));
        }
    }
    let manifest: Manifest = serde_json::from_slice(&text).at(|| "its manifest".to_owned())?;
    compare(&manifest.files, &found).map_err(wrong)?;
    // Anybody can seal an archive to the operators, and sign it by a key of their own: no name of theirs leads out.
    let leads_out = manifest.paths.values().find(|name| !is_plain(Path::new(name)));
    if let Some(name) = leads_out {
        return Err(wrong(format!("`{name}` is no place in a desk's folder")));
    }
    for name in [&manifest.config, &manifest.store] {
        if !manifest.files.contains_key(name) {
            return Err(wrong(format!("`{name}` is named and not in it")));
        }
    }
    Ok(Unpacked { manifest, text, signature, certificate })
}

/// What is not as the manifest says.
fn compare(said: &BTreeMap<String, Held>, found: &BTreeMap<String, Held>) -> Result<(), String> {
    let names: BTreeSet<&String> = said.keys().chain(found.keys()).collect();
    for name in names {
        match (said.get(name), found.get(name)) {
            (Some(said), Some(found)) if said == found => {}
            (Some(_), Some(_)) => return Err(format!("`{name}` is not as it was written")),
            (Some(_), None) => return Err(format!("`{name}` is missing")),
            (None, _) => return Err(format!("`{name}` is not in the manifest")),
        }
    }
    Ok(())
}

fn write(content: &mut dyn Read, to: &Path) -> Result<(), Fault> {
    let place = || format!("writing {}", to.display());
    if let Some(folder) = to.parent() {
        super::files::private_folder(folder)?;
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).at(place)?;
    std::io::copy(content, &mut file).at(place)?;
    file.sync_all().at(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Moment {
        "2026-11-27T12:00:00Z".parse().unwrap()
    }

    fn manifest(files: &BTreeMap<String, Held>) -> Vec<u8> {
        let manifest = Manifest {
            form: FORM,
            version: "0".to_owned(),
            made: now(),
            host: "a".to_owned(),
            desk: "security@example.org".to_owned(),
            key: Fingerprint::parse(&"A".repeat(40)).unwrap(),
            head: (0, Digest([0; 32])),
            sealed_to: Vec::new(),
            config: "config/embargod.toml".to_owned(),
            store: "store/embargod.db".to_owned(),
            paths: BTreeMap::new(),
            files: files.clone(),
            beside: BTreeMap::new(),
        };
        serde_json::to_vec(&manifest).unwrap()
    }

    fn bundle(
        folder: &Path,
        names: &[&str],
        said: impl Fn(&mut BTreeMap<String, Held>),
    ) -> Vec<u8> {
        let path = folder.join("content");
        std::fs::write(&path, b"words").unwrap();
        let mut bytes = Vec::new();
        let mut bundle = Bundle::begin(&mut bytes);
        for name in names {
            bundle.add(name, &path, now()).unwrap();
        }
        let mut files = bundle.files().clone();
        said(&mut files);
        bundle.end((&manifest(&files), b"signature", b"certificate"), now()).unwrap();
        bytes
    }

    #[test]
    fn what_is_not_as_the_manifest_says_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["config/embargod.toml", "store/embargod.db"];
        let to = folder.path().join("to");
        let whole = bundle(folder.path(), &names, |_| {});
        let read = unpack(&mut &*whole, &|name| Some(to.join(name))).unwrap();
        assert_eq!(read.manifest.files.len(), 2);
        assert_eq!(std::fs::read(to.join("store/embargod.db")).unwrap(), b"words");
        let refused = |bytes: &[u8]| unpack(&mut &*bytes, &|_| None).unwrap_err().what;
        let more = bundle(folder.path(), &names, |files| {
            files.remove(names[0]);
        });
        assert!(refused(&more).contains("is not in the manifest"));
        let less = bundle(folder.path(), &names[..1], |files| {
            let held = files[names[0]];
            files.insert("store/embargod.db".to_owned(), held);
        });
        assert!(refused(&less).contains("is missing"));
        let other = bundle(folder.path(), &names, |files| {
            files.values_mut().for_each(|held| held.size += 1);
        });
        assert!(refused(&other).contains("is not as it was written"));
        let twice = bundle(folder.path(), &[names[0], names[0]], |_| {});
        assert!(refused(&twice).contains("is there twice"));
        // All but the empty blocks at the end of a tar.
        for cut in (0..whole.len() - 1024).step_by(512) {
            assert!(unpack(&mut &whole[..cut], &|_| None).is_err(), "{cut} of {}", whole.len());
        }
        assert!(refused(b"").contains("is no backup"));
    }

    #[test]
    fn a_manifest_that_leads_out_of_the_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("content");
        std::fs::write(&path, b"words").unwrap();
        let refused = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut bytes = Vec::new();
            let mut bundle = Bundle::begin(&mut bytes);
            for name in ["config/embargod.toml", "store/embargod.db"] {
                bundle.add(name, &path, now()).unwrap();
            }
            let mut said = serde_json::from_slice(&manifest(bundle.files())).unwrap();
            change(&mut said);
            let said = serde_json::to_vec(&said).unwrap();
            bundle.end((&said, b"signature", b"certificate"), now()).unwrap();
            unpack(&mut &*bytes, &|_| None).err().map(|fault| fault.what)
        };
        assert_eq!(refused(&|_| {}), None);
        for out in ["/etc/cron.d/x", "../up", "keys/../../up"] {
            let paths = refused(&|said| said["paths"]["keys"] = out.into()).unwrap();
            assert!(paths.contains("is no place in a desk's folder"), "{paths}");
            for key in ["config", "store"] {
                let named = refused(&|said| said[key] = out.into()).unwrap();
                assert!(named.contains("is named and not in it"), "{named}");
            }
        }
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        assert!(is_plain(Path::new("config/keys/desk.asc")));
        for name in ["/etc/passwd", "../up", "config/../../up", ""] {
            assert!(!is_plain(Path::new(name)), "{name}");
        }
        // A link, and a name that leads up, as whoever makes archives by hand can write them.
        let mut bytes = Vec::new();
        let mut tar = Builder::new(&mut bytes);
        let mut link = Header::new_gnu();
        link.set_entry_type(EntryType::Symlink);
        link.set_size(0);
        tar.append_link(&mut link, "config/keys", "/etc").unwrap();
        tar.finish().unwrap();
        drop(tar);
        assert!(
            unpack(&mut &*bytes, &|_| None).unwrap_err().what.contains("nothing that a backup")
        );
    }
}
