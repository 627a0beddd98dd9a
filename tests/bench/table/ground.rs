//! A desk under measurement: the real daemon on real servers, with as many people as are wanted.

use std::io::{Read as _, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use embargod::domain::facts::names::{Moment, Span};
use embargod::edge::pgp::{Certificate, Keyring, generate};
use embargod::edge::pool;
use embargod::rehearsal::DESK;
use embargod::rehearsal::live::{Live, Servers};
use embargod::rehearsal::mail::{Draft, Protected};

use crate::usage::{Used, used};

/// Where it is measured.
pub(crate) struct Ground {
    pub(crate) servers: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) program: PathBuf,
}

/// Somebody with a key.
pub(crate) struct Party {
    pub(crate) id: String,
    pub(crate) secret: Vec<u8>,
    pub(crate) certificate: Certificate,
}

/// So many of them, made on all cores.
pub(crate) fn parties(prefix: &str, n: usize, now: Moment) -> Vec<Party> {
    let numbers: Vec<usize> = (0..n).collect();
    let born = now - Span::days(1);
    pool::map(&numbers, |n| {
        let id = format!("{prefix}{n}");
        let (secret, _) = generate(&id, &address(&id), None, None, born).unwrap();
        let certificate = Certificate::read(&secret).unwrap();
        Party { id, secret, certificate }
    })
}

/// All of them read one mailbox, and no two of them are one person to the desk.
pub(crate) fn address(id: &str) -> String {
    format!("{id}@strangers.test")
}

/// Text that nobody packs away.
pub(crate) fn stuff(size: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let byte = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..size).map(byte).collect()
}

/// A sealed report by somebody whom nobody knows, with their key.
pub(crate) fn report(by: &Party, desk: &Certificate, size: usize, now: Moment) -> Vec<u8> {
    let line = "Seventy letters of plain English text, and then the line is at its end.\n";
    let mut draft =
        Draft::sealed(&format!("{}: a hole.\n{}", by.id, line.repeat(size.min(2_000) / 72)));
    draft.with_key = true;
    if size > 100_000 {
        draft.attachments.push(("crash.bin".to_owned(), stuff(size)));
    }
    let keyring = Keyring::open(std::slice::from_ref(&by.secret), None, [0; 32], now).unwrap();
    let armor = keyring.seal(desk, &draft.entity(Some(&by.certificate.armored())), now).unwrap();
    let (id, date) = (format!("{}@people.test", by.id), now.to_rfc2822());
    draft.whole(
        &address(&by.id),
        &id,
        &date,
        &Protected::Encrypted(String::from_utf8(armor).unwrap()),
    )
}

/// What the daemon wrote to its log since it was last looked at.
pub(crate) struct Log {
    path: PathBuf,
    at: u64,
    rest: String,
    /// The moments at which a mail was taken by the server, and at which one was taken in.
    pub(crate) sent: Vec<Moment>,
    pub(crate) taken_in: Vec<Moment>,
}

impl Log {
    fn look(&mut self) {
        let mut file = std::fs::File::open(&self.path).unwrap();
        file.seek(SeekFrom::Start(self.at)).unwrap();
        let mut text = Vec::new();
        self.at += file.read_to_end(&mut text).unwrap() as u64;
        self.rest.push_str(&String::from_utf8_lossy(&text));
        while let Some((line, rest)) = self.rest.split_once('\n') {
            let at = || without_colour(line.split_whitespace().next().unwrap()).parse().unwrap();
            if line.contains("took a mail") {
                self.sent.push(at());
            }
            if line.contains("was taken in") {
                self.taken_in.push(at());
            }
            self.rest = rest.to_owned();
        }
    }
}

fn without_colour(word: &str) -> &str {
    word.strip_prefix("\u{1b}[2m").unwrap_or(word).split('\u{1b}').next().unwrap()
}

/// What a desk is made with.
pub(crate) struct Plan<'a> {
    /// Who is in the config, beside the people of the rehearsal, and what they belong to.
    pub(crate) people: &'a [Party],
    pub(crate) belongs: &'a str,
    /// Whether mails to them are sealed in the newer form.
    pub(crate) newer: bool,
    /// The server's port, where it is not the MTA's own.
    pub(crate) port: Option<u16>,
    /// Whether its process has hours and days, and not the seconds of the rehearsal: nobody is reminded of
    /// anything meanwhile.
    pub(crate) has_hours: bool,
}

impl Plan<'_> {
    pub(crate) const SMALL: Plan<'static> =
        Plan { people: &[], belongs: "", newer: false, port: None, has_hours: true };

    fn write(&self, desk: &Path, servers: &Servers) {
        let path = desk.join("embargod.toml");
        let mut text = std::fs::read_to_string(&path).unwrap();
        for (name, value) in [
            ("plain_per_hour", 100_000),
            ("encrypted_per_hour", 100_000),
            ("acknowledgements_per_hour", 100_000),
            ("relay_bytes", 45_000_000),
            ("letter_bytes_max", 50_000_000),
            ("tick_s", 1),
        ] {
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("{name} = ")))
                .unwrap()
                .to_owned();
            text = text.replace(&line, &format!("{name} = {value}"));
        }
        if self.has_hours {
            text = text.replace("playbook = \"drill\"", "playbook = \"default\"");
            // There the lead is whoever takes it.
            text = text.replace("\"lead\", ", "");
        }
        if let Some(port) = self.port {
            let own = format!("port = {}", servers.get("SUBMISSION_PORT").unwrap());
            text = text.replace(&own, &format!("port = {port}"));
        }
        for who in self.people {
            let file = format!("keys/{}.asc", who.id);
            std::fs::write(desk.join(&file), who.certificate.armored()).unwrap();
            let form = if self.newer { "seal = \"v2\"\n" } else { "" };
            text.push_str(&format!(
                "\n[[person]]\nid = \"{0}\"\nname = \"{0}\"\naddress = \"{1}\"\ncertificate = \"{file}\"\n{2}\n{form}",
                who.id,
                address(&who.id),
                self.belongs
            ));
        }
        std::fs::write(path, text).unwrap();
    }
}

/// A desk that runs.
pub(crate) struct Desk {
    pub(crate) live: Live,
    pub(crate) log: Log,
    pub(crate) certificate: Certificate,
    program: PathBuf,
}

impl Desk {
    pub(crate) fn open(ground: &Ground, name: &str, plan: &Plan<'_>) -> Self {
        let servers = Servers::read(&ground.servers.join("env")).unwrap();
        let folder = ground.folder.join(name);
        let change = |desk: &Path| plan.write(desk, &servers);
        let program = ground.program.clone();
        let live =
            Live::with_program(&folder, servers.clone(), None, program, Box::new(|_| {}), &change)
                .unwrap();
        let certificate = std::fs::read(live.desk().join("keys/desk.public.asc")).unwrap();
        let (sent, taken_in) = (Vec::new(), Vec::new());
        let path = folder.join("daemon.log");
        let log = Log { path, at: 0, rest: String::new(), sent, taken_in };
        let certificate = Certificate::read(&certificate).unwrap();
        let mut desk = Self { live, log, certificate, program: ground.program.clone() };
        desk.rest();
        desk
    }

    pub(crate) fn used(&self) -> Used {
        used(&self.live.daemon().to_string())
    }

    /// Waits until nothing was done for a second.
    pub(crate) fn rest(&mut self) {
        let mut quiet = 0;
        while quiet < 2 {
            let before = self.used().cpu;
            std::thread::sleep(Duration::from_millis(500));
            quiet = if self.used().cpu - before < 0.03 { quiet + 1 } else { 0 };
        }
        self.log.look();
    }

    /// Waits until so many mails more were taken by the server than before.
    pub(crate) fn until_sent(&mut self, count: usize, most: Duration) -> bool {
        self.until(most, |log| log.sent.len() >= count)
    }

    pub(crate) fn until(&mut self, most: Duration, done: impl Fn(&Log) -> bool) -> bool {
        let since = Instant::now();
        loop {
            self.log.look();
            if done(&self.log) {
                return true;
            }
            if since.elapsed() > most {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Puts mails into the mailbox as the server's delivery does, without it.
    pub(crate) fn lay(&self, ground: &Ground, mails: &[Vec<u8>]) {
        let folder = ground.servers.join("mail").join(DESK).join("Maildir");
        let owner = std::fs::metadata(&folder).unwrap();
        for (n, mail) in mails.iter().enumerate() {
            let path = folder.join(format!("new/1700000000.M{n}P1.bench"));
            std::fs::write(&path, mail).unwrap();
            use std::os::unix::fs::MetadataExt as _;
            std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
    }

    /// The bytes of the store.
    pub(crate) fn stored(&self) -> f64 {
        let store = self.live.desk();
        let all = std::fs::read_dir(store).unwrap().flatten();
        let of_store = |name: &str| name.starts_with("embargod.") && name != "embargod.toml";
        all.filter(|entry| of_store(&entry.file_name().to_string_lossy()))
            .map(|entry| size_of(&entry.path()))
            .sum()
    }

    pub(crate) fn embargod(&self, args: &[&str]) -> (String, Duration) {
        let config = self.live.desk().join("embargod.toml");
        let began = Instant::now();
        let out =
            Command::new(&self.program).arg("--config").arg(config).args(args).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(!text.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        (text, began.elapsed())
    }
}

fn size_of(path: &Path) -> f64 {
    let here = std::fs::metadata(path).unwrap();
    if here.is_dir() {
        return std::fs::read_dir(path)
            .unwrap()
            .flatten()
            .map(|entry| size_of(&entry.path()))
            .sum();
    }
    here.len() as f64
}
