//! Real servers for a test: started in a folder of their own, stopped and removed at its end.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "each test uses a part of it; a test that cannot go on should stop, and says so"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use embargod::rehearsal::Who;
use embargod::rehearsal::live::{Live, Servers};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_embargod");

/// Servers in a folder of their own; stopped and removed at the end.
pub(crate) struct Stack(pub PathBuf);

impl Stack {
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// Servers with more words to `scripts/mailstack`.
    pub(crate) fn start_with(more: &[&str]) -> Option<Self> {
        if std::env::var_os("EMBARGOD_LIVE").is_none() {
            eprintln!("skipped: set EMBARGOD_LIVE=1 to run against real servers");
            return None;
        }
        // Short: GnuPG and the servers put sockets below it.
        let random = embargod::edge::random::<4>().unwrap();
        let name: String = random.iter().map(|b| format!("{b:02x}")).collect();
        let path = Path::new("/tmp").join(format!("emb-{name}"));
        std::fs::create_dir(&path).unwrap();
        let users =
            Who::ALL.iter().map(|who| who.address()).chain([embargod::rehearsal::DESK.to_owned()]);
        let users = users.flat_map(|address| ["--user".to_owned(), format!("{address}:rehearsal")]);
        let out = Command::new("scripts/mailstack")
            .arg("start")
            .arg(path.join("s"))
            .args(users)
            .args(more)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        Some(Self(path))
    }

    pub(crate) fn desk(&self) -> Live {
        self.desk_with(|_| {})
    }

    /// A desk whose config is changed before it starts.
    pub(crate) fn desk_with(&self, change: impl Fn(&Path) + 'static) -> Live {
        let servers = Servers::read(&self.0.join("s/env")).unwrap();
        let program = PROGRAM.into();
        Live::with_program(&self.0.join("d"), servers, None, program, Box::new(|_| {}), &change)
            .unwrap()
    }

    pub(crate) fn maildir(&self, who: Who) -> PathBuf {
        self.0.join("s/mail").join(who.address()).join("Maildir/new")
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = Command::new("scripts/mailstack").arg("stop").arg(self.0.join("s")).output();
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn files_below(path: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_below(&entry.path(), out),
            Ok(kind) if kind.is_file() => out.push(entry.path()),
            _ => {}
        }
    }
}

pub(crate) fn holds(path: &Path, word: &str) -> bool {
    std::fs::read(path)
        .is_ok_and(|bytes| bytes.windows(word.len()).any(|part| part == word.as_bytes()))
}
