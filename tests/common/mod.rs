//! What several tests need: a desk with a report, and people who write to it.
#![allow(
    dead_code,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "each test uses a part of it; a test that cannot go on should stop"
)]

pub(crate) mod members;

use embargod::domain::facts::names::{Handle, Moment, PersonId, Span};
use embargod::domain::model::incident::{Incident, Status};
use embargod::domain::model::roster::Party;
use embargod::domain::views::health;
use embargod::domain::views::health::Runs;
use embargod::engine::Sources;
use embargod::rehearsal::mail::{Draft, Protected, Read};
use embargod::rehearsal::post_office::PostOffice;
use embargod::rehearsal::{Stage, Who};

/// A desk with one report, on the stage without servers.
pub(crate) struct World {
    pub stage: PostOffice,
    pub handle: Handle,
    /// Mia's copy of the report.
    pub report: Read,
    folder: tempfolder::Folder,
}

mod tempfolder {
    pub(crate) struct Folder(pub std::path::PathBuf);
    impl Folder {
        pub(crate) fn new() -> Self {
            let random = embargod::edge::random::<8>().unwrap();
            let name: String = random.iter().map(|b| format!("{b:02x}")).collect();
            let path = std::env::temp_dir().join(format!("embargod-test-{name}"));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }
    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

pub(crate) fn start() -> Moment {
    "2026-03-02T09:00:00Z".parse().unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// The same with other people, settings or playbooks.
    pub(crate) fn with(adjust: impl FnOnce(&mut Sources)) -> Self {
        let folder = tempfolder::Folder::new();
        let mut stage =
            PostOffice::open_with(&folder.0, start(), Box::new(|_| {}), adjust).unwrap();
        let report = report(&mut stage);
        let handle = Handle::parse(&report.handle().unwrap()).unwrap();
        Self { stage, handle, report, folder }
    }

    /// A desk without a report, for when nobody can read one.
    pub(crate) fn bare(adjust: impl FnOnce(&mut Sources)) -> Self {
        let folder = tempfolder::Folder::new();
        let stage = PostOffice::open_with(&folder.0, start(), Box::new(|_| {}), adjust).unwrap();
        let handle = Handle::parse("DEMO-2026-00000").unwrap();
        let protection = embargod::domain::facts::letter::Protection::None;
        let report = Read::of(b"", b"", protection, false).unwrap();
        Self { stage, handle, report, folder }
    }

    pub(crate) fn incident(&self) -> &Incident {
        &self.stage.engine().unwrap().desk().incidents[&self.handle]
    }

    /// Delivers a mail, lets everything happen that follows at once, and gives the new mails of
    /// everybody.
    pub(crate) fn deliver(&mut self, bytes: Vec<u8>) -> Vec<(Who, Read)> {
        let before: Vec<usize> =
            Who::ALL.iter().map(|who| self.stage.mailbox(*who).unwrap().len()).collect();
        self.stage.deliver("somebody@people.test", bytes).unwrap();
        self.stage.pass(Span::seconds(10)).unwrap();
        let mut new = Vec::new();
        for (who, before) in Who::ALL.into_iter().zip(before) {
            for mail in self.stage.mailbox(who).unwrap().into_iter().skip(before) {
                new.push((who, mail));
            }
        }
        new
    }

    pub(crate) fn seal(&self, who: Who, entity: &[u8]) -> Protected {
        let key = self.stage.keyring(who).unwrap();
        Protected::Encrypted(armor(key.seal(self.stage.desk(), entity, self.stage.now()).unwrap()))
    }

    pub(crate) fn mail(
        &self,
        from: Who,
        id: &str,
        draft: &Draft,
        protected: &Protected,
    ) -> Vec<u8> {
        draft.whole(&from.address(), id, &self.stage.now().to_rfc2822(), protected)
    }

    pub(crate) fn reference(&self) -> String {
        let line = self.report.text.lines().find(|line| line.starts_with("Ref: ")).unwrap();
        line.to_owned()
    }

    /// Nothing happened, and Mia alone was told, sealed, in words that hold this.
    pub(crate) fn refused(&self, new: &[(Who, Read)], why: &str) {
        assert_eq!(self.incident().status, Status::Received, "{why}");
        let [(who, mail)] = new else { panic!("{why}: {:?}", subjects(new)) };
        assert_eq!(*who, Who::Mia, "{why}");
        assert!(
            mail.protection.is_encrypted() && mail.by_desk && mail.outer_subject == "[...]",
            "{why}"
        );
        assert!(mail.text.replace('\n', " ").contains(why), "{why} not in: {}", mail.text);
    }
}

pub(crate) fn armor(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

pub(crate) fn subjects(mails: &[(Who, Read)]) -> Vec<String> {
    mails.iter().map(|(who, mail)| format!("{}: {}", who.id(), mail.subject)).collect()
}

/// A report of Rita's; gives Mia's copy of it.
pub(crate) fn report(stage: &mut PostOffice) -> Read {
    let mut mail = Draft::sealed("Something overflows.");
    mail.with_key = true;
    let before = stage.mailbox(Who::Mia).unwrap().len();
    stage.write(Who::Rita, &mail).unwrap();
    stage.pass(Span::seconds(10)).unwrap();
    stage.mailbox(Who::Mia).unwrap().into_iter().nth(before).unwrap()
}

impl World {
    /// Where keys and mails lie.
    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.folder.0
    }

    /// The line that binds a mail of this person to an incident.
    pub(crate) fn reference_of(&self, who: Who, handle: &Handle) -> String {
        let desk = self.stage.engine().unwrap().desk();
        let id = PersonId::parse(who.id()).unwrap();
        let party =
            if who == Who::Rita || who == Who::Paul { Party::Reporter } else { Party::Person(&id) };
        let token = desk.ref_key.token(&desk.settings.address, handle, party);
        format!("Ref: {handle}/{token}")
    }

    /// A person writes, signed and encrypted, on the incident; gives everybody's new mails.
    pub(crate) fn says(&mut self, who: Who, text: &str) -> Vec<(Who, Read)> {
        let handle = self.handle.clone();
        self.says_on(who, &handle, text)
    }

    /// The same on another incident.
    pub(crate) fn says_on(&mut self, who: Who, handle: &Handle, text: &str) -> Vec<(Who, Read)> {
        let reference = self.reference_of(who, handle);
        self.sends(who, &Draft::sealed(&format!("{text}\n\n> {reference}\n")))
    }

    /// A person sends a mail; gives everybody's new mails.
    pub(crate) fn sends(&mut self, who: Who, draft: &Draft) -> Vec<(Who, Read)> {
        let before = self.counts();
        self.stage.write(who, draft).unwrap();
        self.stage.pass(Span::seconds(10)).unwrap();
        self.since(&before)
    }

    /// A mail that a person signs and seals, as bytes of their own making.
    pub(crate) fn seal_signed(&self, who: Who, draft: &Draft) -> Protected {
        let key = self.stage.keyring(who).unwrap();
        let sealed = key.seal(self.stage.desk(), &draft.entity(None), self.stage.now()).unwrap();
        Protected::Encrypted(armor(sealed))
    }

    /// The mails that the desk wrote to itself, oldest first.
    pub(crate) fn mails_to_itself(&self) -> Vec<Vec<u8>> {
        let mut files: Vec<_> = std::fs::read_dir(self.folder().join("mails"))
            .unwrap()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.to_string_lossy().ends_with("desk-to-desk.eml"))
            .collect();
        files.sort();
        files.iter().map(|path| std::fs::read(path).unwrap()).collect()
    }

    /// What is wrong with the desk as a whole, in words, with what to do.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let heart = self.stage.engine().unwrap().heart();
        // By the desk's own clock, which may be ahead.
        let now = heart.beat.max(Some(self.stage.now())).unwrap();
        let all = health::troubles(Some(heart), Runs::Here, now);
        all.into_iter().map(|trouble| format!("{}; {}", trouble.what, trouble.next)).collect()
    }

    /// Lets time go by; gives everybody's new mails.
    pub(crate) fn waits(&mut self, span: Span) -> Vec<(Who, Read)> {
        let before = self.counts();
        self.stage.pass(span).unwrap();
        self.since(&before)
    }

    fn counts(&mut self) -> Vec<usize> {
        Who::ALL.iter().map(|who| self.stage.mailbox(*who).unwrap().len()).collect()
    }

    fn since(&mut self, before: &[usize]) -> Vec<(Who, Read)> {
        let mut new = Vec::new();
        for (who, before) in Who::ALL.into_iter().zip(before) {
            for mail in self.stage.mailbox(who).unwrap().into_iter().skip(*before) {
                new.push((who, mail));
            }
        }
        new
    }

    /// Commands that must be carried out; gives the transcript.
    pub(crate) fn does(&mut self, who: Who, text: &str) -> Read {
        let handle = self.handle.clone();
        self.does_on(who, &handle, text)
    }

    /// The same on another incident.
    pub(crate) fn does_on(&mut self, who: Who, handle: &Handle, text: &str) -> Read {
        let new = self.says_on(who, handle, text);
        let answer = new.iter().find(|(to, mail)| {
            *to == who && ["] Done:", "] Confirm:"].iter().any(|word| mail.subject.contains(word))
        });
        match answer {
            Some((_, mail)) => mail.clone(),
            None => {
                panic!("`{text}`: {:?}", new.iter().map(|(w, m)| (w, &m.text)).collect::<Vec<_>>())
            }
        }
    }

    /// A command that asks to be confirmed, confirmed; gives the second transcript.
    pub(crate) fn confirms(&mut self, who: Who, text: &str) -> Read {
        let asked = self.does(who, text);
        let nonce =
            asked.nonce().unwrap_or_else(|| panic!("`{text}` was not asked: {}", asked.text));
        self.does(who, &format!("/confirm {nonce}"))
    }

    /// A command that takes two people: the other is asked and confirms it; gives everybody's mails.
    pub(crate) fn seconds(&mut self, who: Who, text: &str, other: Who) -> Vec<(Who, Read)> {
        self.seconds_and(who, text, other, "")
    }

    /// The same on another incident.
    pub(crate) fn seconds_on(&mut self, who: Who, handle: &Handle, text: &str, other: Who) {
        let own = std::mem::replace(&mut self.handle, handle.clone());
        self.seconds(who, text, other);
        self.handle = own;
    }

    /// The same, with more lines in the mail of the other.
    pub(crate) fn seconds_and(
        &mut self,
        who: Who,
        text: &str,
        other: Who,
        more: &str,
    ) -> Vec<(Who, Read)> {
        let mut new = self.says(who, text);
        let asked = new.iter().find(|(to, mail)| *to == other && mail.nonce().is_some());
        let Some((_, question)) = asked else {
            panic!("`{text}`: {:?}", new.iter().map(|(w, m)| (w, &m.text)).collect::<Vec<_>>())
        };
        let own = new.iter().find(|(to, mail)| *to == who && mail.nonce().is_some());
        assert!(own.is_none(), "`{text}` was left to one person");
        let confirm = format!("/confirm {}{more}", question.nonce().unwrap());
        let confirmed = self.says(other, &confirm);
        let done = |(to, mail): &(Who, Read)| *to == other && mail.subject.contains("] Done:");
        assert!(confirmed.iter().any(done), "`{text}`: {:?}", subjects(&confirmed));
        new.extend(confirmed);
        new
    }

    /// A command that must be refused with these words; gives the refusal.
    pub(crate) fn is_refused(&mut self, who: Who, text: &str, why: &str) -> Read {
        let handle = self.handle.clone();
        self.is_refused_on(who, &handle, text, why)
    }

    /// The same on another incident.
    pub(crate) fn is_refused_on(
        &mut self,
        who: Who,
        handle: &Handle,
        text: &str,
        why: &str,
    ) -> Read {
        let new = self.says_on(who, handle, text);
        let [(to, mail)] = new.as_slice() else { panic!("`{text}`: {:?}", subjects(&new)) };
        assert_eq!(*to, who, "`{text}`");
        assert!(mail.subject.contains("Not done:"), "`{text}`: {}", mail.subject);
        let flat = mail.text.replace('\n', " ");
        assert!(flat.contains(why), "`{text}`: `{why}` not in {}", mail.text);
        mail.clone()
    }
}

/// The one new mail of somebody.
pub(crate) fn only(new: &[(Who, Read)], who: Who) -> Read {
    let mails: Vec<_> = new.iter().filter(|(to, _)| *to == who).collect();
    let [(_, mail)] = mails.as_slice() else { panic!("{}: {:?}", who.id(), subjects(new)) };
    mail.clone()
}

/// Who got something.
pub(crate) fn to(new: &[(Who, Read)]) -> Vec<Who> {
    new.iter().map(|(who, _)| *who).collect()
}

/// Encrypts to the desk without signing.
pub(crate) fn encrypt_only(desk: &embargod::edge::pgp::Certificate, entity: &[u8]) -> String {
    encrypt_named(desk, entity, "")
}

/// The same, with a name for the content.
pub(crate) fn encrypt_named(
    desk: &embargod::edge::pgp::Certificate,
    entity: &[u8],
    name: &str,
) -> String {
    use sequoia_openpgp::serialize::stream::{LiteralWriter, Message};
    use std::io::Write;
    let mut out = Vec::new();
    let literal = LiteralWriter::new(Message::new(&mut out)).filename(name).unwrap();
    let mut literal = literal.build().unwrap();
    literal.write_all(entity).unwrap();
    literal.finalize().unwrap();
    encrypt_packets(desk, &out)
}

/// A story's mails, one after the other, as a file to compare with: what is drawn at random or
/// differs from run to run is replaced by a word.
#[derive(Default)]
pub(crate) struct Golden {
    text: String,
    handles: Vec<String>,
}

impl Golden {
    /// Adds a heading.
    pub(crate) fn scene(&mut self, what: &str) {
        self.text.push_str(&format!("======== {what}\n\n"));
    }

    /// Adds mails, whole.
    pub(crate) fn add(&mut self, mails: &[(Who, Read)]) {
        for (who, mail) in mails {
            let form = match (mail.protection.is_encrypted(), mail.by_desk) {
                (true, true) => "sealed and signed by the desk",
                (false, true) => "in clear, signed by the desk",
                (_, false) => "NOT SIGNED BY THE DESK",
            };
            let mut whole = format!(
                "-------- to {}, {form}\nOutside: {}\nSubject: {}\n",
                who.id(),
                mail.outer_subject,
                mail.subject
            );
            for (name, bytes) in &mail.attachments {
                let size = if name == "openpgp-key.asc" {
                    "key".to_owned()
                } else {
                    bytes.len().to_string()
                };
                whole.push_str(&format!("Attached: {name} ({size})\n"));
            }
            whole.push_str(&format!("\n{}\n\n", mail.text.trim_end()));
            // The desk itself never prints a command at the start of a line.
            let own = mail.text.lines().filter(|line| line.starts_with('/'));
            assert_eq!(own.count(), 0, "{}", mail.text);
            let whole = self.without_chance(&whole);
            self.text.push_str(&whole);
        }
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, line: &str) {
        let line = self.without_chance(&format!("{line}\n"));
        self.text.push_str(&line);
    }

    fn without_chance(&mut self, text: &str) -> String {
        let mut out = String::new();
        for line in text.split_inclusive('\n') {
            let words: Vec<String> =
                line.split(' ').map(|word| self.word_without_chance(word)).collect();
            out.push_str(&spaced_fingerprint(&words.join(" ")));
        }
        out
    }

    fn word_without_chance(&mut self, word: &str) -> String {
        let bare = |c: char| !c.is_ascii_alphanumeric();
        let core = word.trim_matches(bare);
        let handle = core.split('/').next().unwrap();
        let mut out = word.to_owned();
        if Handle::parse(handle).is_some() {
            if !self.handles.iter().any(|known| known == handle) {
                self.handles.push(handle.to_owned());
            }
            let n = self.handles.iter().position(|known| known == handle).unwrap() + 1;
            out = out.replace(handle, &format!("INCIDENT-{n}"));
        }
        if let Some((_, token)) = core.split_once('/')
            && matches!(token.len(), 16 | 26)
        {
            out = out.replace(token, "TOKEN");
        }
        let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
        if core.len() == 16 && core.chars().all(upper) {
            out = out.replace(core, "NONCE");
        }
        if core.len() == 64 && core.chars().all(|c| c.is_ascii_hexdigit()) {
            out = out.replace(core, "HASH");
        }
        // A short hash of something that is made anew each time.
        if core.len() == 12 && core.chars().all(|c| c.is_ascii_hexdigit()) {
            out = out.replace(core, "HASH");
        }
        out
    }

    /// Compares with the file; EMBARGOD_WRITE=1 writes it.
    pub(crate) fn check(self, name: &str) {
        let path = format!("tests/golden/{name}.txt");
        if std::env::var_os("EMBARGOD_WRITE").is_some() {
            std::fs::create_dir_all("tests/golden").unwrap();
            std::fs::write(&path, &self.text).unwrap();
        }
        let frozen = std::fs::read_to_string(&path).unwrap_or_default();
        for (n, (now, then)) in self.text.lines().zip(frozen.lines()).enumerate() {
            assert_eq!(now, then, "{path}, line {}", n + 1);
        }
        assert_eq!(self.text.lines().count(), frozen.lines().count(), "{path} ends otherwise");
    }
}

/// Replaces ten groups of four hex digits.
fn spaced_fingerprint(line: &str) -> String {
    let is_group = |word: &str| word.len() == 4 && word.chars().all(|c| c.is_ascii_hexdigit());
    let words: Vec<&str> = line.split(' ').map(|word| word.trim_start_matches('(')).collect();
    for at in 0..words.len() {
        let Some(ten) = words.get(at..at + 10) else { break };
        let last = ten[9].trim_end_matches(['\n', '.', ',', ')']);
        if ten[..9].iter().all(|word| is_group(word)) && is_group(last) {
            let whole = format!("{} {last}", ten[..9].join(" "));
            return line.replace(&whole, "FINGERPRINT");
        }
    }
    line.to_owned()
}

/// A person's secret key, as the stage wrote it down.
fn secret(world: &World, who: Who) -> sequoia_openpgp::Cert {
    use sequoia_openpgp::parse::Parse;
    let path = world.folder().join(format!("keys/{}.secret.asc", who.id()));
    sequoia_openpgp::Cert::from_file(path).unwrap()
}

/// An entity signed by two people, encrypted to the desk.
pub(crate) fn sealed_by_two(world: &World, first: Who, second: Who, entity: &[u8]) -> String {
    use sequoia_openpgp::policy::StandardPolicy;
    use sequoia_openpgp::serialize::stream::{LiteralWriter, Message, Signer};
    use std::io::Write;
    let policy = StandardPolicy::new();
    let at = std::time::SystemTime::from(world.stage.now());
    let pair = |who| {
        let cert = secret(world, who);
        let keys = cert.keys().with_policy(&policy, at).secret().for_signing();
        keys.map(|key| key.key().clone().into_keypair().unwrap()).next().unwrap()
    };
    let mut out = Vec::new();
    let signer = Signer::new(Message::new(&mut out), pair(first)).unwrap();
    let signer = signer.add_signer(pair(second)).unwrap().creation_time(at).build().unwrap();
    let mut literal = LiteralWriter::new(signer).build().unwrap();
    literal.write_all(entity).unwrap();
    literal.finalize().unwrap();
    encrypt_packets(world.stage.desk(), &out)
}

/// An entity signed with a secret key, by a program that does not ask whether the key has ended, and
/// encrypted to the desk.
pub(crate) fn sealed_whenever(
    secret: &[u8],
    desk: &embargod::edge::pgp::Certificate,
    entity: &[u8],
    at: Moment,
) -> String {
    use sequoia_openpgp::parse::Parse;
    use sequoia_openpgp::serialize::stream::{LiteralWriter, Message, Signer};
    use std::io::Write;
    let cert = sequoia_openpgp::Cert::from_bytes(secret).unwrap();
    let policy = sequoia_openpgp::policy::StandardPolicy::new();
    let born = std::time::SystemTime::from(start());
    let mut keys = cert.keys().with_policy(&policy, born).secret().for_signing();
    let pair = keys.next().unwrap().key().clone().into_keypair().unwrap();
    let mut out = Vec::new();
    let signer = Signer::new(Message::new(&mut out), pair).unwrap();
    let signer = signer.creation_time(std::time::SystemTime::from(at)).build().unwrap();
    let mut literal = LiteralWriter::new(signer).build().unwrap();
    literal.write_all(entity).unwrap();
    literal.finalize().unwrap();
    encrypt_packets(desk, &out)
}

/// Opens a message with a secret key and encrypts the signed packets inside to the desk once more.
/// With `change`, the part of the signature that nobody signs holds something else.
pub(crate) fn re_encrypt(
    secret: &[u8],
    desk: &embargod::edge::pgp::Certificate,
    sealed: &str,
    change: bool,
) -> String {
    use sequoia_openpgp::packet::signature::subpacket::NotationData;
    use sequoia_openpgp::packet::signature::subpacket::{
        NotationDataFlags, Subpacket, SubpacketValue,
    };
    use sequoia_openpgp::parse::{PacketParser, PacketParserResult, Parse};
    use sequoia_openpgp::serialize::Serialize;
    use sequoia_openpgp::{Cert, Packet};
    let cert = Cert::from_bytes(secret).unwrap();
    let mut parser = PacketParser::from_bytes(sealed.as_bytes()).unwrap();
    let mut session = None;
    let mut inside = Vec::new();
    while let PacketParserResult::Some(mut packet) = parser {
        if let Packet::PKESK(pkesk) = &packet.packet {
            session = cert.keys().unencrypted_secret().find_map(|key| {
                pkesk.decrypt(&mut key.key().clone().into_keypair().unwrap(), None)
            });
        }
        if let Packet::SEIP(_) = &packet.packet {
            let (algorithm, key) = session.clone().unwrap();
            packet.decrypt(algorithm, &key).unwrap();
        }
        if matches!(packet.packet, Packet::Literal(_)) {
            packet.buffer_unread_content().unwrap();
        }
        let (done, next) = packet.recurse().unwrap();
        match done {
            Packet::Signature(mut signature) => {
                if change {
                    let notation = NotationData::new(
                        "x@desk.test",
                        b"changed",
                        NotationDataFlags::empty().set_human_readable(),
                    );
                    let value = SubpacketValue::NotationData(notation);
                    signature
                        .unhashed_area_mut()
                        .add(Subpacket::new(value, false).unwrap())
                        .unwrap();
                }
                inside.push(Packet::from(signature));
            }
            packet @ (Packet::OnePassSig(_) | Packet::Literal(_)) => inside.push(packet),
            _ => {}
        }
        parser = next;
    }
    assert_eq!(inside.len(), 3, "one pass, literal, signature");
    let mut packets = Vec::new();
    for packet in inside {
        packet.serialize(&mut packets).unwrap();
    }
    encrypt_packets(desk, &packets)
}

/// Encrypts finished packets to the desk.
fn encrypt_packets(desk: &embargod::edge::pgp::Certificate, packets: &[u8]) -> String {
    use sequoia_openpgp::parse::Parse;
    use sequoia_openpgp::policy::StandardPolicy;
    use sequoia_openpgp::serialize::stream::{Armorer, Encryptor, Message, Recipient};
    use std::io::Write;
    let policy = StandardPolicy::new();
    let cert = sequoia_openpgp::Cert::from_bytes(desk.armored().as_bytes()).unwrap();
    let at = std::time::SystemTime::from(start());
    let keys = cert.keys().with_policy(&policy, at).for_transport_encryption();
    let keys: Vec<Recipient<'_>> = keys.map(Recipient::from).collect();
    let mut out = Vec::new();
    let message = Armorer::new(Message::new(&mut out)).build().unwrap();
    let mut message = Encryptor::for_recipients(message, keys).build().unwrap();
    message.write_all(packets).unwrap();
    message.finalize().unwrap();
    armor(out)
}
