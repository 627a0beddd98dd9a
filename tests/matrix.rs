//! Every word of the desk, by everybody, in every form of mail: what happens.
//!
//! Each cell is a whole mail, made with OpenPGP, opened by the desk's own code and decided on; the
//! table that comes of it lies in `tests/matrix/table.txt`. No cell may say "done" that should not.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop"
)]

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use common::{World, armor, start};
use embargod::domain::decide::decision::Decision;
use embargod::domain::facts::event::{Author, Event};
use embargod::domain::facts::letter::Letter;
use embargod::domain::facts::names::{Digest, Fresh, Handle, Moment, Span};
use embargod::domain::facts::record::Record;
use embargod::domain::intake::classify;
use embargod::domain::intake::classify::Arrival;
use embargod::domain::model::desk::Desk;
use embargod::domain::process::vocabulary::{Needs, WORDS, member_word, team_word};
use embargod::edge::pgp::{Keyring, generate};
use embargod::rehearsal::mail::{Draft, Guard, Protected};
use embargod::rehearsal::{Stage, Who};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    Reporter,
    Distributor,
    /// A maintainer of another process: pinned, and without a role here.
    Outside,
    Team,
    /// Somebody who knows a reference of Mia's and writes in her name.
    Stranger,
}

const BY: [(By, &str); 5] = [
    (By::Reporter, "the reporter"),
    (By::Distributor, "a distributor"),
    (By::Outside, "a maintainer without the role"),
    (By::Team, "a maintainer with the role"),
    (By::Stranger, "a stranger, in the maintainer's name"),
];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Unsigned,
    Signed,
    Encrypted,
    Both,
    Partly,
    Replayed,
    Stale,
    OtherIncident,
}

const FORMS: [(Form, &str); 8] = [
    (Form::Unsigned, "unsigned"),
    (Form::Signed, "signed"),
    (Form::Encrypted, "encrypted"),
    (Form::Both, "both"),
    (Form::Partly, "partly"),
    (Form::Replayed, "replayed"),
    (Form::Stale, "stale"),
    (Form::OtherIncident, "other"),
];

struct Scene {
    world: World,
    /// Accepted, with a date, a frozen draft, a held notice, an offered lead.
    full: Handle,
    /// Accepted.
    other: Handle,
    /// As it came.
    fresh: Handle,
    /// Closed.
    closed: Handle,
    nonce: String,
    stranger: Keyring,
}

impl Scene {
    fn set() -> Self {
        let mut world = World::new();
        // So that a signature of two days ago is by a key that was there.
        world.stage.pass(Span::hours(60)).unwrap();
        let full = world.handle.clone();
        let mut more = || {
            let mail = common::report(&mut world.stage);
            Handle::parse(&mail.handle().unwrap()).unwrap()
        };
        let (other, fresh, closed) = (more(), more(), more());
        world.does_on(Who::Mia, &other, "/accept");
        world.does_on(Who::Mia, &closed, "/spam");
        world.does(Who::Tom, "/accept\n/title T\n/set affected all\n/set impact much\n/lead me");
        world.does(Who::Tom, "/deputy mia\n/handoff mia\n/done fix-ready");
        world.does(Who::Mia, "/done plan\n/disclose 2026-03-30\n/hold final");
        world.does(Who::Mia, "/tell private_distributors\nHave somebody at hand.");
        world.says(Who::Tom, "/approve tell-1@1");
        world.does(Who::Tom, "/preview advance");
        let nonce = world.does(Who::Mia, "/close").nonce().unwrap();
        let (secret, _) = generate("Mia", &Who::Mia.address(), None, None, start()).unwrap();
        let stranger = Keyring::open(&[secret], None, [0; 32], world.stage.now()).unwrap();
        Self { world, full, other, fresh, closed, nonce, stranger }
    }

    /// A line that a word would be carried out with, the incident it fits, and text below it.
    fn line(&self, word: &str) -> (String, &Handle, &'static str) {
        let other = self.other.as_str();
        let (rest, handle, text) = match word {
            "seal" => ("v1".to_owned(), &self.full, ""),
            "part" => ("1".to_owned(), &self.full, ""),
            "reply-clear" => (String::new(), &self.full, "Thank you."),
            "incident" => (self.full.to_string(), &self.full, ""),
            "reject" => ("no harm in it".to_owned(), &self.fresh, ""),
            "accept" | "unreadable" | "spam" => (String::new(), &self.fresh, ""),
            "duplicate" => (other.to_owned(), &self.fresh, ""),
            "merge" => (other.to_owned(), &self.full, ""),
            "reopen" => (String::new(), &self.closed, ""),
            "lead" => ("me".to_owned(), &self.other, ""),
            "handoff" | "deputy" => ("tom".to_owned(), &self.other, ""),
            "join" => ("uma fix_team".to_owned(), &self.full, ""),
            "away" => ("2026-12-24".to_owned(), &self.full, ""),
            "set" => ("credit Rita".to_owned(), &self.full, ""),
            "title" | "note" => ("Words".to_owned(), &self.full, ""),
            "cvss" => ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".to_owned(), &self.full, ""),
            "cve" => ("CVE-2026-12345".to_owned(), &self.full, ""),
            "ghsa" => ("GHSA-2345-cfgh-jmpq".to_owned(), &self.full, ""),
            "affects" | "fixed" => ("3.1".to_owned(), &self.full, ""),
            "done" => ("advisory".to_owned(), &self.full, ""),
            "undo" => ("plan".to_owned(), &self.full, ""),
            "skip" => ("binaries there are none".to_owned(), &self.full, ""),
            "reply" => (String::new(), &self.full, "Thank you."),
            "answer" => ("private-handling".to_owned(), &self.full, ""),
            "tell" => ("private_distributors".to_owned(), &self.full, "Be ready."),
            "disclose" => ("2026-04-07".to_owned(), &self.full, ""),
            "preview" => ("advance".to_owned(), &self.full, ""),
            "approve" => ("advance@1".to_owned(), &self.full, ""),
            "hold" => ("ALL".to_owned(), &self.full, ""),
            "resume" => ("final".to_owned(), &self.full, ""),
            "confirm" | "cancel" => (self.nonce.clone(), &self.full, ""),
            "member" => ("list".to_owned(), &self.full, ""),
            "key" => ("show".to_owned(), &self.full, ""),
            "rehearse" => ("advance".to_owned(), &self.full, ""),
            "audience" => ("private_distributors ann bob".to_owned(), &self.full, ""),
            "leak" => ("unknown it stands in a forum".to_owned(), &self.full, ""),
            "objection" => (String::new(), &self.full, "We are on holiday then."),
            "terms" => ("accept".to_owned(), &self.full, ""),
            "credit" => ("Rita of Example".to_owned(), &self.full, ""),
            "publish" => ("next Monday".to_owned(), &self.full, ""),
            _ => (String::new(), &self.full, ""),
        };
        (format!("/{word} {rest}").trim_end().to_owned(), handle, text)
    }

    fn who(by: By) -> Who {
        match by {
            By::Reporter => Who::Rita,
            By::Distributor => Who::Ann,
            By::Outside => Who::Uma,
            By::Team | By::Stranger => Who::Mia,
        }
    }

    fn key(&self, by: By) -> &Keyring {
        if by == By::Stranger {
            &self.stranger
        } else {
            self.world.stage.keyring(Self::who(by)).unwrap()
        }
    }

    /// The mail of one cell.
    fn mail(&self, word: &str, by: By, form: Form) -> Vec<u8> {
        let (line, handle, text) = self.line(word);
        let who = Self::who(by);
        let reference = self.world.reference_of(who, handle);
        let mut draft = Draft::sealed(&format!("{line}\n\n{text}\n\n> {reference}\n"));
        let now = self.world.stage.now();
        let desk = self.world.stage.desk();
        let key = self.key(by);
        let seal = |entity: &[u8], at: Moment| {
            Protected::Encrypted(armor(key.seal(desk, entity, at).unwrap()))
        };
        if form == Form::OtherIncident {
            // Bound to one incident by what is signed, and brought to another's thread.
            let else_where = if *handle == self.other { &self.full } else { &self.other };
            let incident = &self.world.stage.engine().unwrap().desk().incidents[else_where];
            draft.answers = incident.root_mails.values().next().map(ToString::to_string);
        }
        let entity = draft.entity(None);
        let protected = match form {
            Form::Unsigned => {
                draft.guard = Guard::Plain;
                Protected::Clear(entity)
            }
            Form::Signed => {
                let body = entity.strip_suffix(b"\r\n").unwrap().to_vec();
                let signature = armor(key.sign(&body, now).unwrap());
                Protected::Signed(body, signature)
            }
            Form::Encrypted => Protected::Encrypted(common::encrypt_only(desk, &entity)),
            Form::Partly => {
                let inner = "Content-Type: text/plain\r\n\r\nhello";
                let signature =
                    armor(key.sign(inner.as_bytes(), now).unwrap()).replace('\n', "\r\n");
                let mixed = format!(
                    "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n{}\r\n--m\r\n\
                     Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; \
                     micalg=pgp-sha256; boundary=s\r\n\r\n--s\r\n{inner}\r\n--s\r\n\
                     Content-Type: application/pgp-signature\r\n\r\n{signature}\r\n--s--\r\n--m--\r\n",
                    String::from_utf8(entity).unwrap()
                );
                Protected::Encrypted(common::encrypt_only(desk, mixed.as_bytes()))
            }
            Form::Stale => seal(&entity, now - Span::hours(49)),
            Form::Both | Form::Replayed | Form::OtherIncident => seal(&entity, now),
        };
        draft.whole(&who.address(), &format!("{word}@matrix"), &now.to_rfc2822(), &protected)
    }

    fn cell(&self, word: &str, by: By, form: Form) -> String {
        let bytes = self.mail(word, by, form);
        let from = Self::who(by).address();
        let (letter, decision) = self.world.stage.trial(&from, &bytes).unwrap();
        if form != Form::Replayed {
            return outcome(&decision);
        }
        // It came once, and comes again.
        let mut desk = self.world.stage.engine().unwrap().desk().clone();
        take(&mut desk, &decision, &letter, self.world.stage.now());
        let arrival = Arrival { letter: &letter, ours: false, returned: None };
        let fresh = Fresh::new([9; 32]);
        outcome(&classify::receive(&desk, arrival, self.world.stage.now(), fresh))
    }
}

/// Takes a decision's facts in, as the engine does.
fn take(desk: &mut Desk, decision: &Decision, letter: &Letter, at: Moment) {
    for entry in &decision.entries {
        let record = Record {
            number: desk.head.number + 1,
            at,
            incident: entry.incident.clone(),
            by: entry.by.clone(),
            cause: Some(letter.raw),
            event: entry.event.clone(),
        };
        desk.apply(&record, Digest::of(b"x"));
    }
}

/// What happened, in a word or two.
fn outcome(decision: &Decision) -> String {
    let mut words = BTreeSet::new();
    for entry in &decision.entries {
        match &entry.event {
            Event::Commanded { .. } => words.insert("done"),
            Event::ConfirmAsked { .. } => words.insert("asked"),
            Event::Refused { .. } => words.insert("refused"),
            Event::Warned { .. } => words.insert("warned"),
            Event::Opened(_) => words.insert("report"),
            Event::Joined { letter } => words.insert(match letter.author {
                Author::Person(_) | Author::Reporter => "talk",
                Author::Unproven => "unproven",
            }),
            Event::CopySeen { .. } => words.insert("copy"),
            Event::StatusAsked { .. }
            | Event::Credited { .. }
            | Event::ReporterOnDate { .. }
            | Event::WillPublish { .. } => words.insert("recorded"),
            _ => false,
        };
    }
    if decision.disposition == "ping" {
        words.insert("told");
    }
    if words.contains("asked") {
        words.remove("done");
    }
    let words: Vec<_> = words.into_iter().collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join("+") }
}

#[test]
fn no_cell_is_done_that_should_not_be() {
    let scene = Scene::set();
    let mut table = String::from(
        "What becomes of each word, by who wrote it and in what form of mail.\n\n\
         done      carried out                 asked     a confirmation is asked for\n\
         refused   nothing; the signer is told warned    nothing; the person whose name it bears is told\n\
         told      /ping says what to change   talk      passed on to the team as text\n\
         unproven  passed on as somebody's     report    opens an incident, as any text would\n\
         recorded  added to the record         copy      shown to nobody, answered like any report\n\
         nothing   kept, and no more\n",
    );
    for (by, name) in BY {
        let _ = write!(table, "\n{name}\n{:<14}", "");
        for (_, form) in FORMS {
            let _ = write!(table, "{form:<16}");
        }
        table.push('\n');
        let mut seen = BTreeSet::new();
        for row in WORDS {
            if !seen.insert(row.name) {
                continue;
            }
            let mut line = format!("/{:<13}", row.name);
            for (form, form_name) in FORMS {
                let cell = scene.cell(row.name, by, form);
                check(
                    row.name,
                    by,
                    form,
                    &cell,
                    &format!("/{} by {name}, {form_name}: {cell}", row.name),
                );
                let _ = write!(line, "{cell:<16}");
            }
            table.push_str(line.trim_end());
            table.push('\n');
        }
    }
    println!("{table}");
    let path = "tests/matrix/table.txt";
    if std::env::var_os("EMBARGOD_WRITE").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    let frozen = std::fs::read_to_string(path).unwrap();
    assert!(
        frozen == table,
        "the table has changed: look at it with scripts/commands-matrix, then write it with EMBARGOD_WRITE=1"
    );
}

/// What may be done at all: by the person with the role, in a mail signed and encrypted, on its
/// incident, once, in time; a hold also late; what only looks also by others of the roster.
fn check(word: &str, by: By, form: Form, cell: &str, place: &str) {
    let row = team_word(word);
    let members = member_word(word).is_some();
    let done = cell.contains("done") || cell.contains("asked");
    let role = match (by, row.map(|row| row.needs)) {
        (By::Team, Some(_)) => true,
        (By::Outside, Some(needs)) => {
            needs == Needs::Maintainer && !["confirm", "cancel"].contains(&word)
        }
        (By::Distributor, _) => members,
        _ => false,
    };
    let form_fits =
        form == Form::Both || (form == Form::Stale && ["hold", "incident"].contains(&word));
    assert!(!done || (role && form_fits), "{place}");
    // And what should be done is.
    // The gate of the day waits for the day; nobody has asked to be vouched for; who wrote sealed is not
    // answered in clear; no machine has written.
    let waits = ["release", "vouch", "reply-clear", "report"].contains(&word);
    let theirs = (by == By::Team && row.is_some()) || (by == By::Distributor && members);
    if theirs && form == Form::Both && !waits {
        assert!(done, "{place}");
    }
    let reporters = WORDS.iter().any(|row| row.name == word && row.needs == Needs::Reporter);
    let recorded = cell.contains("recorded");
    assert!(!recorded || (by == By::Reporter && reporters), "{place}");
    if by == By::Reporter && reporters && form == Form::Both {
        assert!(recorded, "{place}");
    }
}
