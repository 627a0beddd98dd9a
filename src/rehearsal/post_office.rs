//! The stage without servers: the real engine, a real store, real OpenPGP, and a post office in
//! this process. The clock jumps to whatever is due next.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use crate::domain::decide::decision::Decision;
use crate::domain::facts::letter::Letter;
use crate::domain::facts::names::{Address, Handle, Moment, PersonId, Span, later};
use crate::domain::facts::settings::Settings;
use crate::domain::model::desk::Desk;
use crate::domain::model::roster::{Person, Roster};
use crate::domain::outgoing::verdict::{self, Outcome};
use crate::domain::process::calendar;
use crate::domain::process::offset::{Calendar, Snap, WeekDays};
use crate::domain::process::playbook::BUILTIN;
use crate::edge::SystemEntropy;
use crate::edge::clock::SetClock;
use crate::edge::mime::Mime;
use crate::edge::opening::Opener;
use crate::edge::pgp::{
    Certificate, Directory, Keyring, LIMITS, Passphrase, generate, generate_for_gnupg,
};
use crate::edge::sqlite::Sqlite;
use crate::edge::write_private;
use crate::engine;
use crate::engine::{Engine, Sources};
use crate::error::{Fault, Place};
use crate::ports::clock::Clock as _;
use crate::ports::entropy::Entropy;
use crate::ports::store::{Journal, Outgoing, RawMail};

use super::mail::{Draft, Guard, Protected, Read, write_file};
use super::story::Pace;
use super::{DESK, Stage, Who};

/// The rehearsal's database has no secret that anyone would want.
const PASSPHRASE: &str = "a rehearsal needs no secret";

/// How far ahead the story waits for something before it gives up.
const PATIENCE: Span = Span::days(2);

/// The post office, with everybody in it.
pub struct PostOffice {
    /// None only while the power is out.
    engine: Option<Engine>,
    sources: Sources,
    secret: Vec<u8>,
    cut_every: Option<u32>,
    places: u32,
    /// How often the power was cut.
    pub cuts: u32,
    /// Copies with a Message-ID that its mailbox had already.
    pub doubles: u32,
    /// Every mail that reached somebody, in order, with its moment.
    pub arrivals: Vec<(Moment, Who, Read)>,
    clock: SetClock,
    /// Takes mails to addresses at `bulk.test`, unread: for as many members as nobody plays.
    pub bulk: Option<Box<dyn FnMut(usize)>>,
    /// What the mail server answers to the next mails for somebody, before it takes them again.
    pub answers: BTreeMap<Who, VecDeque<Outcome>>,
    /// What it answers to the desk's mails to itself, if it does not take them.
    pub answers_itself: Option<Outcome>,
    /// A mail that arrives while the next mail for somebody is in a courier's hands.
    pub meanwhile: Option<(Who, Vec<u8>)>,
    /// How far the mail server's clock is ahead of the desk's.
    pub server_ahead: Span,
    limit: Moment,
    people: BTreeMap<Who, Keyring>,
    boxes: BTreeMap<Who, Vec<Read>>,
    desk: Certificate,
    folder: PathBuf,
    count: u32,
    pace: Pace,
    narrate: Box<dyn FnMut(&str)>,
}

fn address(text: &str) -> Result<Address, Fault> {
    Address::parse(text).ok_or_else(|| Fault::new(format!("`{text}` is no address"), ""))
}

impl PostOffice {
    /// Makes people, keys and a desk in an empty folder.
    ///
    /// # Errors
    /// When something cannot be made or written.
    pub fn open(
        folder: &Path,
        start: Moment,
        narrate: Box<dyn FnMut(&str)>,
    ) -> Result<Self, Fault> {
        Self::open_with(folder, start, narrate, |_| {})
    }

    /// The same with other people, settings or playbooks.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(
        folder: &Path,
        start: Moment,
        narrate: Box<dyn FnMut(&str)>,
        adjust: impl FnOnce(&mut Sources),
    ) -> Result<Self, Fault> {
        let place = || "setting the stage".to_owned();
        for name in ["mails", "keys"] {
            let path = folder.join(name);
            std::fs::create_dir_all(&path).at(|| path.display().to_string())?;
        }
        let born = later(start, Span::days(-1));
        let passphrase = Passphrase::new(PASSPHRASE);
        let (desk_key, _) = generate("Demo Desk", DESK, None, None, born).at(place)?;
        write_file(&folder.join("keys/desk.secret.asc"), &desk_key)?;
        let mut people = BTreeMap::new();
        let mut roster = Roster::default();
        for who in Who::WITH_KEY.into_iter().chain(Who::NEWCOMERS) {
            let secret = generate_for_gnupg(who.id(), &who.address(), born).at(place)?;
            write_file(&folder.join(format!("keys/{}.secret.asc", who.id())), &secret)?;
            let keyring = Keyring::open(&[secret], None, [0; 32], start).at(place)?;
            if let Some(person) = person(who, &keyring.certificate())? {
                roster.people.insert(person.id.clone(), person);
            }
            people.insert(who, keyring);
        }
        let clock = SetClock::at(start);
        let store = Sqlite::create(&folder.join("embargod.db"), &passphrase, start)?;
        let keyring = Keyring::open(
            std::slice::from_ref(&desk_key),
            None,
            store.secrets()?.session_salt,
            start,
        )
        .at(place)?;
        let desk = keyring.certificate();
        let mut sources = Sources {
            settings: settings(&desk)?,
            roster,
            templates: BTreeMap::new(),
            playbooks: BUILTIN.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect(),
            calendars: calendar::builtin(),
        };
        adjust(&mut sources);
        let engine = Engine::start(
            Box::new(store),
            keyring,
            &sources,
            Box::new(clock.clone()),
            Box::new(SystemEntropy),
        )?;
        Ok(Self {
            engine: Some(engine),
            sources,
            secret: desk_key,
            cut_every: None,
            places: 0,
            cuts: 0,
            doubles: 0,
            arrivals: Vec::new(),
            clock,
            bulk: None,
            meanwhile: None,
            answers: BTreeMap::new(),
            answers_itself: None,
            server_ahead: Span::zero(),
            limit: later(start, PATIENCE),
            people,
            boxes: BTreeMap::new(),
            desk,
            folder: folder.to_owned(),
            count: 0,
            pace: pace(start),
            narrate,
        })
    }

    /// Leaves a config beside the database, so that it can be looked at as any desk's. Its servers are nobody's.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn leave_config(&self) -> Result<(), Fault> {
        let mut text = format!(
            "# The desk of a rehearsal: for looking at, and not to be run.\n\
             [desk]\nname = \"Demo Desk\"\naddress = \"{DESK}\"\nprefix = \"DEMO\"\nplaybook = \"minder\"\n\n\
             [keys]\nsecret = \"keys/desk.secret.asc\"\npassphrase_file = \"keys/passphrase\"\n\n\
             [store]\npath = \"embargod.db\"\n"
        );
        for (section, port, tls) in [("imap", 993, "implicit"), ("smtp", 465, "implicit")] {
            text.push_str(&format!(
                "\n[{section}]\nhost = \"nowhere.invalid\"\nport = {port}\ntls = \"{tls}\"\n\
                 user = \"nobody\"\npassword_file = \"keys/passphrase\"\n"
            ));
        }
        for (who, keyring) in &self.people {
            let file = format!("keys/{}.asc", who.id());
            if let Some(person) = who.config(&file) {
                write_file(&self.folder.join(&file), keyring.certificate().armored().as_bytes())?;
                text.push_str(&format!("\n{person}"));
            }
        }
        write_private(&self.folder.join("keys/passphrase"), PASSPHRASE.as_bytes())?;
        write_private(&self.folder.join("embargod.toml"), text.as_bytes())
    }

    /// The engine, for looking at.
    ///
    /// # Errors
    /// When the power did not come back.
    pub fn engine(&self) -> Result<&Engine, Fault> {
        self.engine.as_ref().ok_or_else(|| Fault::new("the power is out", ""))
    }

    /// The engine, to be asked something directly.
    ///
    /// # Errors
    /// When the power is out.
    pub fn running(&mut self) -> Result<&mut Engine, Fault> {
        self.engine.as_mut().ok_or_else(|| Fault::new("the power is out", ""))
    }

    /// Cuts the power at every n-th place where it hurts.
    pub fn cut_power_every(&mut self, n: u32) {
        self.cut_every = Some(n.max(1));
    }

    /// Whether the power is cut here. If so the engine is gone as a killed process is, and comes
    /// back with what is on disk.
    fn cut(&mut self) -> Result<bool, Fault> {
        self.places = self.places.saturating_add(1);
        if self.cut_every.is_none_or(|n| !self.places.is_multiple_of(n)) {
            return Ok(false);
        }
        self.cuts = self.cuts.saturating_add(1);
        self.restart()?;
        Ok(true)
    }

    /// Starts the engine anew, with what is on disk.
    fn restart(&mut self) -> Result<(), Fault> {
        self.engine = None;
        let store = Sqlite::open(&self.folder.join("embargod.db"), &Passphrase::new(PASSPHRASE))?;
        let salt = store.secrets()?.session_salt;
        let keyring = Keyring::open(std::slice::from_ref(&self.secret), None, salt, self.now())
            .at(|| "the desk's key".to_owned())?;
        let clock = Box::new(self.clock.clone());
        self.engine = Some(Engine::start(
            Box::new(store),
            keyring,
            &self.sources,
            clock,
            Box::new(SystemEntropy),
        )?);
        Ok(())
    }

    /// Copies the database and its key file, as a backup or a snapshot of the machine does; not the
    /// witness, which lies elsewhere.
    ///
    /// # Errors
    /// When they cannot be copied.
    pub fn copy_store(&mut self, to: &Path) -> Result<(), Fault> {
        std::fs::create_dir_all(to).at(|| to.display().to_string())?;
        self.engine = None;
        copy_files(&self.folder, to)?;
        self.restart()
    }

    /// Puts such a copy back in place of the present store, and starts the desk on it.
    ///
    /// # Errors
    /// When it cannot be put back.
    pub fn put_back(&mut self, from: &Path) -> Result<(), Fault> {
        self.engine = None;
        copy_files(from, &self.folder)?;
        self.restart()
    }

    /// The desk is stopped, and started again so much later.
    ///
    /// # Errors
    /// When it does not start.
    pub fn is_down(&mut self, span: Span) -> Result<(), Fault> {
        self.engine = None;
        self.clock.set(later(self.now(), span));
        self.restart()
    }

    /// What replaying the journal from the store gives.
    ///
    /// # Errors
    /// When the journal is not in order.
    pub fn replayed(&self) -> Result<Desk, Fault> {
        let store = self.engine()?.store();
        let settings = self.engine()?.desk().settings.clone();
        let store = engine::lock(&store);
        engine::replay(&**store, settings).map(|(desk, _)| desk)
    }

    /// The present moment on this stage, whatever the desk's clock says.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.clock.truth()
    }

    /// Puts a mail that was made elsewhere into the desk's mailbox.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn deliver(&mut self, from: &str, bytes: Vec<u8>) -> Result<(), Fault> {
        let now = later(self.now(), Span::seconds(30));
        self.clock.set(now);
        self.limit = later(now, PATIENCE);
        let mut mail = format!("Return-Path: <{from}>\r\nDelivered-To: {DESK}\r\n").into_bytes();
        mail.extend(bytes);
        self.file(from, DESK, &mail)?;
        let arrived = self.clock.now();
        let raw = RawMail { bytes: mail, received: now, arrived, oversize: false, junk: false };
        self.running()?.take_in(&[(None, raw)])?;
        // A mail was kept, and not opened.
        self.cut().map(drop)
    }

    /// What the desk would do with a mail at this moment, without doing it.
    ///
    /// # Errors
    /// As [`Engine::trial`].
    pub fn trial(&self, from: &str, bytes: &[u8]) -> Result<(Letter, Decision), Fault> {
        let now = self.now();
        let mut mail = format!("Return-Path: <{from}>\r\nDelivered-To: {DESK}\r\n").into_bytes();
        mail.extend(bytes);
        let raw =
            RawMail { bytes: mail, received: now, arrived: now, oversize: false, junk: false };
        Ok(self.engine()?.trial(&raw, SystemEntropy.fresh()?))
    }

    /// Says that the store was put back from a backup.
    ///
    /// # Errors
    /// As [`Engine::restored`].
    pub fn restored(&mut self) -> Result<(usize, usize), Fault> {
        self.running()?.restored()
    }

    /// Puts members in on the operator's word.
    ///
    /// # Errors
    /// As [`Engine::import`].
    pub fn import(&mut self, people: &[Person], source: &str) -> Result<(), Fault> {
        self.running()?.import(people, source)
    }

    /// Puts an incident on a playbook as it is now, with other texts first if they are given.
    ///
    /// # Errors
    /// As [`Engine::migrate`].
    pub fn migrate(
        &mut self,
        handle: &Handle,
        name: &str,
        text: Option<String>,
    ) -> Result<(), Fault> {
        if let Some(text) = text {
            self.sources.playbooks.insert(name.to_owned(), text);
            self.restart()?;
        }
        self.running()?.migrate(handle, name)
    }

    /// Somebody sets the clock of the desk's machine: ahead of the time as it is, or behind it.
    pub fn put_clock_ahead(&self, by: Span) {
        self.clock.put_ahead(by);
    }

    /// A person's keyring.
    ///
    /// # Errors
    /// When the person has none.
    pub fn keyring(&self, who: Who) -> Result<&Keyring, Fault> {
        self.people.get(&who).ok_or_else(|| Fault::new(format!("{} has no key", who.id()), ""))
    }

    /// The desk's certificate.
    #[must_use]
    pub fn desk(&self) -> &Certificate {
        &self.desk
    }

    fn file(&mut self, from: &str, to: &str, bytes: &[u8]) -> Result<(), Fault> {
        self.count = self.count.saturating_add(1);
        let short = |address: &str| match address.split_once('@') {
            Some((local, "desk.test")) if local.starts_with("security") => "desk".to_owned(),
            Some((local, _)) => {
                local.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect()
            }
            None => "x".to_owned(),
        };
        let name = format!("mails/{:03}-{}-to-{}.eml", self.count, short(from), short(to));
        write_file(&self.folder.join(name), bytes)
    }

    /// Everything that can be done now; says whether anything was.
    fn work(&mut self) -> Result<bool, Fault> {
        let mut any = false;
        while self.running()?.work_inbox()? > 0 {
            any = true;
        }
        any |= self.running()?.work_due()?;
        let rows = self.running()?.dispatch(100)?;
        any |= !rows.is_empty();
        let (rows, bulk): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| !row.recipient.ends_with("@bulk.test"));
        self.take_bulk(bulk)?;
        for row in rows {
            // Of the mails to itself there are more with every cut, and nothing hangs on one of them.
            let to_itself = row.recipient == DESK;
            // An attempt was counted, and the last bytes were not sent.
            if !to_itself && self.cut()? {
                break;
            }
            if let Some((_, bytes)) =
                self.meanwhile.take_if(|(who, _)| who.address() == row.recipient)
            {
                let now = self.now();
                let raw =
                    RawMail { bytes, received: now, arrived: now, oversize: false, junk: false };
                self.running()?.take_in(&[(None, raw)])?;
                while self.running()?.work_inbox()? > 0 {}
            }
            let outcome = match Engine::in_flight(&self.engine()?.store(), &[row.id]).pop() {
                Some(Ok(content)) => self.hand_over(&row.recipient, &content.whole()?)?,
                Some(Err(_)) | None => Outcome::Untried,
            };
            // The last bytes were sent, and the answer was not written down.
            if !to_itself && self.cut()? {
                break;
            }
            self.running()?.settle(&row, &outcome)?;
        }
        Ok(any)
    }

    /// Takes mails that nobody reads, as couriers do: marked one by one, written down together.
    fn take_bulk(&mut self, rows: Vec<Outgoing>) -> Result<(), Fault> {
        let mut done = Vec::new();
        for row in rows {
            let bytes = Engine::in_flight(&self.engine()?.store(), &[row.id])
                .pop()
                .transpose()?
                .map(|it| it.whole())
                .transpose()?;
            let bytes = bytes.unwrap_or_default();
            if let Some(bulk) = &mut self.bulk {
                bulk(bytes.len());
            }
            done.push((row, Outcome::Accepted("250 taken".to_owned())));
        }
        if done.is_empty() { Ok(()) } else { self.running()?.settle_all(&done) }
    }

    fn hand_over(&mut self, to: &str, bytes: &[u8]) -> Result<Outcome, Fault> {
        self.file(DESK, to, bytes)?;
        if let (true, Some(answer)) = (to == DESK, &self.answers_itself) {
            return Ok(answer.clone());
        }
        if to == DESK {
            let now = self.now();
            let own = format!("Return-Path: <{DESK}>\r\nDelivered-To: {DESK}\r\n");
            let bytes = [own.as_bytes(), bytes].concat();
            let received = later(now, self.server_ahead);
            let arrived = self.clock.now();
            let raw = RawMail { bytes, received, arrived, oversize: false, junk: false };
            self.running()?.take_in(&[(None, raw)])?;
            return Ok(Outcome::Accepted("250 taken".to_owned()));
        }
        // Strangers whom nobody plays: taken, and read by nobody.
        if to.ends_with(".elsewhere") {
            return Ok(Outcome::Accepted("250 taken".to_owned()));
        }
        let who = Who::ALL.into_iter().find(|who| who.address() == to);
        let who = who.or_else(|| self.is_list(to).then_some(Who::List));
        let Some(who) = who else {
            return Ok(Outcome::Said(verdict::Stage::To, "550 no such person".to_owned()));
        };
        if let Some(answer) = self.answers.get_mut(&who).and_then(VecDeque::pop_front) {
            return Ok(answer);
        }
        let read = self.read(who, bytes)?;
        self.arrivals.push((self.now(), who, read.clone()));
        let mails = self.boxes.entry(who).or_default();
        if mails.iter().any(|mail| mail.message_id == read.message_id) {
            self.doubles = self.doubles.saturating_add(1);
        } else {
            mails.push(read);
        }
        Ok(Outcome::Accepted("250 taken".to_owned()))
    }

    /// Whether an address is one of the public lists of the playbooks.
    fn is_list(&self, to: &str) -> bool {
        let desk = self.engine.as_ref().map(Engine::desk);
        let playbooks = desk.iter().flat_map(|desk| desk.playbooks.values());
        let mut groups = playbooks.flat_map(|playbook| playbook.groups.values());
        groups.any(|group| group.public.iter().any(|list| list.as_str() == to))
    }

    /// Opens a mail with the person's own key, and the desk's certificate pinned.
    fn read(&self, who: Who, bytes: &[u8]) -> Result<Read, Fault> {
        let mut known = Directory::default();
        known.pin(self.desk.clone(), "desk");
        // Somebody without a key reads with anybody's: what is in clear needs none.
        let keyring = self.people.get(&who).or_else(|| self.people.get(&Who::Rita));
        let keyring = keyring.ok_or_else(|| Fault::new("nobody has a key", ""))?;
        let opener = Opener { keyring, known: &known, settings: None, limits: LIMITS };
        let now = self.now();
        let raw = RawMail {
            bytes: bytes.to_vec(),
            received: now,
            arrived: now,
            oversize: false,
            junk: false,
        };
        let letter = opener.open(&raw);
        let outer = Mime::parse(bytes).map_err(|_| Fault::new("a mail is too complex", ""))?;
        Ok(Read {
            message_id: letter.outer.message_id.as_ref().map(ToString::to_string),
            subject: letter.subject.as_it_came().to_owned(),
            outer_subject: outer.subject().unwrap_or_default(),
            text: letter.text.clone(),
            protection: letter.verdict.protection,
            by_desk: letter
                .verdict
                .signed()
                .is_some_and(|s| s.fingerprint == self.desk.fingerprint()),
            attachments: letter
                .attachments
                .iter()
                .map(|a| (a.name.to_string(), a.bytes.to_vec()))
                .collect(),
            references: super::mail::unique(letter.answers),
        })
    }
}

/// The database, what SQLite keeps beside it, and the key file.
fn copy_files(from: &Path, to: &Path) -> Result<(), Fault> {
    for entry in std::fs::read_dir(from).at(|| from.display().to_string())?.flatten() {
        let name = entry.file_name();
        let text = name.to_string_lossy().into_owned();
        if text.starts_with("embargod.") && !text.ends_with(".witness") {
            std::fs::copy(entry.path(), to.join(name)).at(|| text)?;
        }
    }
    Ok(())
}

fn person(who: Who, certificate: &Certificate) -> Result<Option<Person>, Fault> {
    let Some(text) = who.config("x") else { return Ok(None) };
    // The same words as in the config file of the live stage.
    let value: toml::Value = toml::from_str(&text).at(|| "the story's people".to_owned())?;
    let row = value.get("person").and_then(|people| people.get(0)).cloned();
    let row = row.ok_or_else(|| Fault::new("the story's people", ""))?;
    let list = |key: &str| -> std::collections::BTreeSet<String> {
        let items = row.get(key).and_then(toml::Value::as_array).cloned().unwrap_or_default();
        items.iter().filter_map(toml::Value::as_str).map(ToOwned::to_owned).collect()
    };
    let name = row.get("name").and_then(toml::Value::as_str).unwrap_or("").to_owned();
    Ok(Some(Person {
        id: PersonId::parse(who.id()).ok_or_else(|| Fault::new("the story's people", ""))?,
        name,
        address: address(&who.address())?,
        fingerprint: certificate.fingerprint(),
        certificate: certificate.armored(),
        roles: list("roles"),
        groups: list("groups"),
        seal_newer: false,
        further: Vec::new(),
    }))
}

fn settings(desk: &Certificate) -> Result<Settings, Fault> {
    let key = (desk.fingerprint(), desk.armored());
    Ok(Settings::plain(["Demo Desk", "DEMO", "minder"], address(DESK)?, key))
}

/// The story at the playbook's own pace: a T in two weeks, moved by some days.
fn pace(start: Moment) -> Pace {
    let calendar = Calendar::plain(chrono_tz::Tz::UTC);
    let at = chrono::NaiveTime::from_hms_opt(16, 0, 0).unwrap_or_default();
    let days = WeekDays::parse("mon-thu").ok();
    let day = |n| {
        let moment = calendar.at(later(start, Span::days(n)), at);
        days.map_or(moment, |days| calendar.snap(moment, days, Snap::Next))
    };
    let (t, moved) = (day(14), day(20));
    let hour = Span::hours(1);
    let past_advance = later(t, Span::days(-7)).signed_duration_since(start);
    let past_final = later(moved, Span::hours(-24)).signed_duration_since(later(t, Span::days(-7)));
    Pace {
        playbook: "minder",
        t: t.format("%Y-%m-%d").to_string(),
        t_moved: moved.format("%Y-%m-%d").to_string(),
        past_advance: past_advance.checked_add(&hour).unwrap_or(past_advance),
        past_final,
        a_while: Span::days(30),
        t_is_ahead: true,
        past_retrospective: Span::hours(25),
    }
}

impl Stage for PostOffice {
    fn pace(&self) -> &Pace {
        &self.pace
    }

    fn say(&mut self, line: &str) {
        let when = Calendar::plain(chrono_tz::Tz::UTC).say(self.now());
        (self.narrate)(&format!("{when:<30}{line}"));
    }

    fn write(&mut self, who: Who, mail: &Draft) -> Result<(), Fault> {
        let now = self.now();
        let key = self.people.get(&who);
        let certificate = key.map(|key| key.certificate().armored());
        let entity = mail.entity(certificate.as_deref());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).at(|| "armor".to_owned());
        let protected = match (mail.guard, key) {
            (Guard::Both, Some(key)) => Protected::Encrypted(text(
                key.seal(&self.desk, &entity, now).at(|| "sealing".to_owned())?,
            )?),
            (Guard::Signed, Some(key)) => {
                let signature = key.sign(&entity, now).at(|| "signing".to_owned())?;
                Protected::Signed(entity, text(signature)?)
            }
            (Guard::Plain, _) => Protected::Clear(entity),
            _ => return Err(Fault::new("this stage has no such mail", "")),
        };
        let id = format!("{}-{}@people.test", who.id(), self.count);
        let whole = mail.whole(&who.address(), &id, &now.to_rfc2822(), &protected);
        self.deliver(&who.address(), whole)
    }

    fn mailbox(&mut self, who: Who) -> Result<Vec<Read>, Fault> {
        Ok(self.boxes.get(&who).cloned().unwrap_or_default())
    }

    fn step(&mut self) -> Result<bool, Fault> {
        if self.work()? {
            return Ok(true);
        }
        match self.engine()?.next_due()? {
            Some(next) if self.clock.truth_at(next) <= self.limit => {
                let next = self.clock.truth_at(next);
                self.clock.set(next.max(later(self.now(), Span::milliseconds(1))));
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn pass(&mut self, span: Span) -> Result<(), Fault> {
        let until = later(self.now(), span);
        self.limit = until;
        while self.step()? {}
        self.clock.set(until.max(self.now()));
        self.limit = later(until, PATIENCE);
        while self.work()? {}
        Ok(())
    }
}
