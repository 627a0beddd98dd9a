//! The stage with real servers: the real daemon as a process of its own, a real Dovecot and a real
//! MTA on loopback, and GnuPG as every person's mail program.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lettre::address::Envelope;
use lettre::{SmtpTransport, Transport};

use crate::domain::facts::letter::Protection;
use crate::domain::facts::names::{Moment, Span, base32, later};
use crate::edge::clock::WallClock;
use crate::edge::mime::Mime;
use crate::edge::opening::crlf;
use crate::edge::{random, write_private};
use crate::error::{Fault, Place};
use crate::ports::clock::Clock;

use super::mail::{Draft, Guard, Protected, Read, write_file};
use super::story::Pace;
use super::{DESK, Stage, Who};

/// Password of every mailbox on the private servers.
pub const PASSWORD: &str = "rehearsal";

/// The private servers, as `scripts/mailstack` wrote them down.
#[derive(Debug, Clone)]
pub struct Servers {
    values: BTreeMap<String, String>,
}

impl Servers {
    /// Reads the file that the servers were written down in.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(path: &Path) -> Result<Self, Fault> {
        let text = std::fs::read_to_string(path).at(|| path.display().to_string())?;
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Ok(Self { values: pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect() })
    }

    /// A value that they wrote down.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, key: &str) -> Result<&str, Fault> {
        let value = self.values.get(key).map(String::as_str);
        value.ok_or_else(|| Fault::new(format!("the servers' file has no {key}"), ""))
    }
}

/// Kills the daemon again and again while the story is played.
#[derive(Debug, Clone, Copy)]
pub struct Killer {
    /// How long it lives, at least.
    pub after: Duration,
}

/// The live stage.
pub struct Live {
    folder: PathBuf,
    servers: Servers,
    daemon: Child,
    pace: Pace,
    patience: Moment,
    wait: Span,
    clock: WallClock,
    seen: BTreeMap<Who, (Vec<String>, Vec<Read>)>,
    killer: Option<(Killer, Moment)>,
    /// How often the daemon was killed.
    pub kills: u32,
    /// Copies with a Message-ID that its mailbox had already: the one window that SMTP leaves.
    pub doubles: u32,
    program: PathBuf,
    narrate: Box<dyn FnMut(&str)>,
    sent: u32,
}

impl Live {
    /// Makes a desk as a new user would, with `init`, fills in its config, and starts it.
    ///
    /// # Errors
    /// When something cannot be made or started.
    pub fn open(
        folder: &Path,
        servers: Servers,
        killer: Option<Killer>,
        narrate: Box<dyn FnMut(&str)>,
    ) -> Result<Self, Fault> {
        let program = std::env::current_exe().at(|| "this program".to_owned())?;
        Self::with_program(folder, servers, killer, program, narrate, &|_| {})
    }

    /// The same with another program for the daemon, and what is changed in the desk's folder before it
    /// starts, for tests.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn with_program(
        folder: &Path,
        servers: Servers,
        killer: Option<Killer>,
        program: PathBuf,
        mut narrate: Box<dyn FnMut(&str)>,
        change: &dyn Fn(&Path),
    ) -> Result<Self, Fault> {
        narrate("Making keys with GnuPG, and a desk with `embargod init`.");
        std::fs::create_dir_all(folder).at(|| folder.display().to_string())?;
        let desk = folder.join("desk");
        run(Command::new(&program).arg("init").arg(&desk).args([
            "--address",
            DESK,
            "--name",
            "Demo Desk",
            "--prefix",
            "DEMO",
        ]))?;
        for who in Who::WITH_KEY {
            meet(folder, who)?;
        }
        // Somebody without a key still checks the desk's signature.
        let nobody = folder.join("nobody");
        make_home(&nobody)?;
        import_desk(&nobody, &desk)?;
        configure(&desk, &servers)?;
        change(&desk);
        let daemon = start(&program, folder)?;
        let clock = WallClock;
        // A new desk begins at the mailbox's present end, so the first mail must come after that.
        wait_until_watching(folder, &clock)?;
        let slow = killer.is_some();
        let wait = Span::seconds(if slow { 90 } else { 45 });
        let mut seen = BTreeMap::new();
        for who in Who::ALL {
            // What lies there from an earlier rehearsal was sealed to other keys.
            let names =
                mail_files(&servers, who)?.into_iter().map(|(_, _, name, _)| name).collect();
            seen.insert(who, (names, Vec::new()));
        }
        Ok(Self {
            folder: folder.to_owned(),
            servers,
            daemon,
            pace: pace(slow),
            patience: later(clock.now(), wait),
            wait,
            killer: killer.map(|killer| (killer, clock.now())),
            clock,
            seen,
            kills: 0,
            doubles: 0,
            program,
            narrate,
            sent: 0,
        })
    }

    /// Gives somebody a key, and the desk's certificate; theirs lies with the desk's keys.
    ///
    /// # Errors
    /// When GnuPG fails.
    pub fn meet(&self, who: Who) -> Result<(), Fault> {
        meet(&self.folder, who)
    }

    /// The daemon's process.
    #[must_use]
    pub fn daemon(&self) -> u32 {
        self.daemon.id()
    }

    /// The desk's folder.
    #[must_use]
    pub fn desk(&self) -> PathBuf {
        self.folder.join("desk")
    }

    /// A person's GnuPG home.
    #[must_use]
    pub fn home(&self, who: Who) -> PathBuf {
        let own = self.folder.join(who.id());
        if own.exists() { own } else { self.folder.join("nobody") }
    }

    /// Sends raw bytes to the desk over SMTP, as the outside world would.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn send_raw(&mut self, from: &str, bytes: &[u8]) -> Result<(), Fault> {
        self.send_raw_to(from, DESK, bytes)
    }

    /// The same to another address of the desk's, such as the return path of a mail of its.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn send_raw_to(&mut self, from: &str, to: &str, bytes: &[u8]) -> Result<(), Fault> {
        let place = || "sending a mail to the desk".to_owned();
        let port = self.servers.get("SMTP_PORT")?.parse().at(place)?;
        let server = SmtpTransport::builder_dangerous("127.0.0.1").port(port).build();
        let envelope =
            Envelope::new(Some(from.parse().at(place)?), vec![to.parse().at(place)?]).at(place)?;
        server.send_raw(&envelope, bytes).at(place)?;
        self.patience = later(self.clock.now(), self.wait);
        Ok(())
    }

    /// What GnuPG makes of an entity.
    ///
    /// # Errors
    /// When GnuPG fails.
    pub fn protect(&self, who: Who, guard: Guard, entity: &[u8]) -> Result<Protected, Fault> {
        let home = self.home(who);
        let text = |out: Vec<u8>| String::from_utf8(out).at(|| "armor".to_owned());
        let own = who.address();
        Ok(match guard {
            Guard::Plain => Protected::Clear(entity.to_vec()),
            Guard::Both => {
                let args =
                    ["--armor", "--sign", "--local-user", &own, "--encrypt", "--recipient", DESK];
                Protected::Encrypted(text(gpg(&home, &args, entity)?.out)?)
            }
            Guard::Encrypted => {
                let args = ["--armor", "--encrypt", "--recipient", DESK];
                Protected::Encrypted(text(gpg(&home, &args, entity)?.out)?)
            }
            Guard::Signed => {
                let args = ["--armor", "--detach-sign", "--local-user", &own];
                Protected::Signed(entity.to_vec(), text(gpg(&home, &args, entity)?.out)?)
            }
        })
    }

    /// A whole mail as GnuPG and a mail program make it.
    ///
    /// # Errors
    /// When GnuPG fails.
    pub fn compose(&mut self, who: Who, mail: &Draft) -> Result<Vec<u8>, Fault> {
        let key = if mail.with_key {
            let armor = gpg(&self.home(who), &["--armor", "--export", &who.address()], b"")?.out;
            Some(String::from_utf8(armor).at(|| "armor".to_owned())?)
        } else {
            None
        };
        let protected = self.protect(who, mail.guard, &mail.entity(key.as_deref()))?;
        self.sent = self.sent.saturating_add(1);
        let random = base32(&random::<10>()?, 16).to_ascii_lowercase();
        let id = format!("{}.{random}@people.test", self.sent);
        let date = self.clock.now().to_rfc2822();
        Ok(mail.whole(&who.address(), &id, &date, &protected))
    }

    /// Opens a mail with GnuPG.
    ///
    /// # Errors
    /// When it does not open.
    pub fn read(&self, who: Who, bytes: &[u8]) -> Result<Read, Fault> {
        let home = self.home(who);
        let mime = Mime::parse(bytes).map_err(|_| Fault::new("a mail is too complex", ""))?;
        let parts = mime.children(mime.root());
        match (mime.media(mime.root()).as_str(), parts.as_slice()) {
            ("multipart/encrypted", [_, data]) => {
                let opened = gpg(&home, &["--decrypt"], &mime.bytes(*data))?;
                let fine = opened.status.contains("DECRYPTION_OKAY");
                if !fine {
                    return Err(Fault::new(
                        format!("GnuPG does not open a mail to {}", who.id()),
                        "",
                    ));
                }
                Read::of(bytes, &opened.out, Protection::Both, by_desk(&opened.status))
            }
            ("multipart/signed", [content, signature]) => {
                let (content, file) = (crlf(mime.raw(*content)), home.join("signature.asc"));
                write_file(&file, &mime.bytes(*signature))?;
                let path = file.display().to_string();
                let checked = gpg(&home, &["--verify", &path, "-"], &content)?;
                Read::of(bytes, &content, Protection::Signed, by_desk(&checked.status))
            }
            _ => Read::of(bytes, bytes, Protection::None, false),
        }
    }

    /// Kills the daemon as a power cut would, and starts it again.
    ///
    /// # Errors
    /// When it does not start.
    pub fn kill(&mut self) -> Result<(), Fault> {
        self.daemon.kill().at(|| "killing the daemon".to_owned())?;
        self.daemon.wait().at(|| "killing the daemon".to_owned())?;
        self.kills = self.kills.saturating_add(1);
        self.daemon = start(&self.program, &self.folder)?;
        Ok(())
    }

    /// Stops the daemon in order.
    ///
    /// # Errors
    /// When it cannot be stopped.
    pub fn stop(&mut self) -> Result<(), Fault> {
        let pid = self.daemon.id().to_string();
        run(Command::new("kill").args(["-TERM", &pid]))?;
        self.daemon.wait().at(|| "stopping the daemon".to_owned())?;
        Ok(())
    }

    fn look(&mut self, who: Who) -> Result<(), Fault> {
        let known = self.seen.entry(who).or_default().0.clone();
        let mut new = mail_files(&self.servers, who)?;
        new.retain(|(_, _, name, _)| !known.contains(name));
        for (_, _, name, path) in new {
            let bytes = std::fs::read(&path).at(|| path.display().to_string())?;
            let read = self.read(who, &bytes)?;
            let (names, mails) = self.seen.entry(who).or_default();
            names.push(name);
            if mails.iter().any(|mail| mail.message_id == read.message_id) {
                self.doubles = self.doubles.saturating_add(1);
            } else {
                mails.push(read);
            }
        }
        Ok(())
    }

    fn still_runs(&mut self) -> Result<(), Fault> {
        if let Some((killer, last)) = self.killer {
            let since = self.clock.now().signed_duration_since(last).to_std().unwrap_or_default();
            if since > killer.after {
                self.kill()?;
                self.killer = Some((killer, self.clock.now()));
            }
        }
        match self.daemon.try_wait().at(|| "the daemon".to_owned())? {
            None => Ok(()),
            Some(status) => {
                Err(Fault::new(format!("the daemon ended: {status}"), "look at daemon.log"))
            }
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // The daemon may have ended already; nothing is left to do about it then.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        for home in Who::ALL.iter().map(|who| who.id()).chain(["nobody"]) {
            let agent = Command::new("gpgconf")
                .arg("--homedir")
                .arg(self.folder.join(home))
                .args(["--kill", "all"])
                .output();
            drop(agent);
        }
    }
}

fn wait_until_watching(folder: &Path, clock: &WallClock) -> Result<(), Fault> {
    let until = later(clock.now(), Span::seconds(30));
    let log = folder.join("daemon.log");
    while !std::fs::read_to_string(&log).is_ok_and(|log| log.contains("is being watched")) {
        if clock.now() > until {
            return Err(Fault::new("the daemon does not watch the mailbox", "look at daemon.log"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// The files of a Maildir in the order of delivery: seconds, microseconds, name, path.
fn mail_files(servers: &Servers, who: Who) -> Result<Vec<(u64, u64, String, PathBuf)>, Fault> {
    let root = PathBuf::from(servers.get("MAILDIR_ROOT")?).join(who.address()).join("Maildir");
    let mut files = Vec::new();
    for part in ["new", "cur"] {
        let Ok(entries) = std::fs::read_dir(root.join(part)) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let name = name.split(":2,").next().unwrap_or("").to_owned();
            if name.starts_with(|c: char| c.is_ascii_digit()) {
                let mut fields = name.split(['.', 'M', 'P']).filter_map(|field| field.parse().ok());
                let (seconds, micros) = (fields.next().unwrap_or(0), fields.next().unwrap_or(0));
                files.push((seconds, micros, name, entry.path()));
            }
        }
    }
    files.sort();
    Ok(files)
}

fn by_desk(status: &str) -> bool {
    status.lines().any(|line| line.contains("GOODSIG") && line.contains(DESK))
        && !status.contains("BADSIG")
}

/// Makes a home of GnuPG with a key for somebody, and the desk's certificate in it.
fn meet(folder: &Path, who: Who) -> Result<(), Fault> {
    let home = folder.join(who.id());
    make_home(&home)?;
    let user = format!("{} <{}>", who.id(), who.address());
    gpg(&home, &["--quick-gen-key", &user, "future-default", "default", "never"], b"")?;
    let armor = gpg(&home, &["--armor", "--export", &who.address()], b"")?;
    let desk = folder.join("desk");
    write_file(&desk.join(format!("keys/{}.asc", who.id())), &armor.out)?;
    import_desk(&home, &desk)
}

fn make_home(home: &Path) -> Result<(), Fault> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(home)
        .at(|| home.display().to_string())
}

fn import_desk(home: &Path, desk: &Path) -> Result<(), Fault> {
    let certificate = std::fs::read(desk.join("keys/desk.public.asc"))
        .at(|| "the desk's certificate".to_owned())?;
    gpg(home, &["--import"], &certificate).map(drop)
}

fn configure(desk: &Path, servers: &Servers) -> Result<(), Fault> {
    let path = desk.join("embargod.toml");
    let text = std::fs::read_to_string(&path).at(|| path.display().to_string())?;
    let mut text = text
        .replace("host = \"imap.example.org\"", "host = \"localhost\"")
        .replace("port = 993", &format!("port = {}", servers.get("IMAPS_PORT")?))
        .replace("host = \"smtp.example.org\"", "host = \"localhost\"")
        .replace("port = 587", &format!("port = {}", servers.get("SUBMISSION_PORT")?))
        .replace("# ca_file = \"ca.pem\"", &format!("ca_file = \"{}\"", servers.get("CA_FILE")?))
        .replace("playbook = \"minder\"", "playbook = \"drill\"");
    for who in Who::WITH_KEY {
        text.push_str(&who.config(&format!("keys/{}.asc", who.id())).unwrap_or_default());
    }
    write_file(&path, text.as_bytes())?;
    for name in ["imap-password", "smtp-password"] {
        write_private(&desk.join("keys").join(name), PASSWORD.as_bytes())?;
    }
    Ok(())
}

fn start(program: &Path, folder: &Path) -> Result<Child, Fault> {
    let path = folder.join("daemon.log");
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .at(|| path.display().to_string())?;
    Command::new(program)
        .arg("--config")
        .arg(folder.join("desk/embargod.toml"))
        .arg("run")
        .stdin(Stdio::null())
        .stdout(log.try_clone().at(|| "the log".to_owned())?)
        .stderr(log)
        .spawn()
        .at(|| "starting the daemon".to_owned())
}

fn run(command: &mut Command) -> Result<(), Fault> {
    let output = command.stdin(Stdio::null()).output().at(|| format!("{command:?}"))?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Fault::new(format!("{:?}: {why}", command.get_program()), ""))
}

/// What GnuPG said.
#[derive(Debug)]
pub struct GnuPg {
    /// Its output.
    pub out: Vec<u8>,
    /// Its status lines.
    pub status: String,
}

/// Runs GnuPG in a home.
///
/// # Errors
/// When it cannot be run, or fails.
pub fn gpg(home: &Path, args: &[&str], input: &[u8]) -> Result<GnuPg, Fault> {
    let place = || "gpg".to_owned();
    let mut child = Command::new("gpg")
        .arg("--homedir")
        .arg(home)
        .args([
            "--batch",
            "--quiet",
            "--yes",
            "--no-tty",
            "--trust-model",
            "always",
            "--status-fd",
            "2",
        ])
        .args(["--pinentry-mode", "loopback", "--passphrase", ""])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Fault::new(format!("gpg: {error}"), "install GnuPG"))?;
    let mut stdin = child.stdin.take().ok_or_else(|| Fault::new("gpg has no input", ""))?;
    let input = input.to_vec();
    // Written from a thread: a large mail fills the pipe while GnuPG fills the other one.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().at(place)?;
    drop(writer.join());
    let status = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        return Ok(GnuPg { out: output.stdout, status });
    }
    Err(Fault::new(format!("gpg {}: {status}", args.join(" ")), ""))
}

/// The story in a minute and a half; slower while the daemon is being killed all the time.
fn pace(slow: bool) -> Pace {
    let by = |seconds: i64| if slow { seconds.saturating_mul(2) } else { seconds };
    Pace {
        playbook: "drill",
        t: format!("+{}s", by(36)),
        t_moved: format!("+{}s", by(34)),
        past_advance: Span::seconds(if slow { 54 } else { 15 }),
        past_final: Span::seconds(if slow { 60 } else { 25 }),
        a_while: Span::seconds(3),
        t_is_ahead: !slow,
        past_retrospective: Span::seconds(7),
    }
}

impl Stage for Live {
    fn pace(&self) -> &Pace {
        &self.pace
    }

    fn say(&mut self, line: &str) {
        let when = self.clock.now().format("%H:%M:%S");
        (self.narrate)(&format!("{when}  {line}"));
    }

    fn write(&mut self, who: Who, mail: &Draft) -> Result<(), Fault> {
        let bytes = self.compose(who, mail)?;
        self.send_raw(&who.address(), &bytes)
    }

    fn mailbox(&mut self, who: Who) -> Result<Vec<Read>, Fault> {
        self.look(who)?;
        Ok(self.seen.get(&who).map(|(_, mails)| mails.clone()).unwrap_or_default())
    }

    fn step(&mut self) -> Result<bool, Fault> {
        self.still_runs()?;
        std::thread::sleep(Duration::from_millis(50));
        Ok(self.clock.now() < self.patience)
    }

    fn pass(&mut self, span: Span) -> Result<(), Fault> {
        let until = later(self.clock.now(), span);
        while self.clock.now() < until {
            self.still_runs()?;
            std::thread::sleep(Duration::from_millis(50));
        }
        self.patience = later(until, self.wait);
        Ok(())
    }
}
