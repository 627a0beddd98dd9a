//! A notice to a thousand members at its moment: in one process on the clock that jumps, and by the daemon
//! through a real MTA.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use embargod::domain::facts::names::{Address, Handle, Moment, PersonId, Span};
use embargod::domain::model::roster::{Party as Of, Person};
use embargod::rehearsal::mail::{Draft, Read};
use embargod::rehearsal::post_office::PostOffice;
use embargod::rehearsal::{Stage, Who};

use crate::ground::{Desk, Ground, Party, Plan, address};
use crate::usage::used;

const GROUP: &str = "private_distributors";

/// Seconds after the moment at which the first and the last copy were handed over, CPU milliseconds for each,
/// peak memory.
pub(crate) struct Figures {
    pub(crate) first: f64,
    pub(crate) last: f64,
    pub(crate) each: f64,
    pub(crate) peak: f64,
}

fn member(party: &Party) -> Person {
    Person {
        id: PersonId::parse(&party.id).unwrap(),
        name: format!("Member {}", party.id),
        // Where nobody plays whoever reads it.
        address: Address::parse(&format!("{}@bulk.test", party.id)).unwrap(),
        fingerprint: party.certificate.fingerprint(),
        certificate: party.certificate.armored(),
        roles: std::collections::BTreeSet::new(),
        groups: std::iter::once(GROUP.to_owned()).collect(),
        seal_newer: false,
        further: Vec::new(),
    }
}

fn reference(stage: &PostOffice, handle: &Handle, who: Who) -> String {
    let desk = stage.engine().unwrap().desk();
    let id = PersonId::parse(who.id()).unwrap();
    let token = desk.ref_key.token(&desk.settings.address, handle, Of::Person(&id));
    format!("Ref: {handle}/{token}")
}

/// When it begins on the clock that jumps.
pub(crate) fn begin() -> Moment {
    "2026-03-02T09:00:00Z".parse().unwrap()
}

/// In this process: a real store, and a post office that only counts.
pub(crate) fn in_process(members: &[Party], enclosed: usize) -> Figures {
    let folder =
        std::env::temp_dir().join(format!("embargod-table-{}-{enclosed}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut stage = PostOffice::open(&folder, begin(), Box::new(|_| {})).unwrap();
    let people: Vec<Person> = members.iter().map(member).collect();
    stage.import(&people, "a file").unwrap();
    let mut report = Draft::sealed("Something overflows.");
    report.with_key = true;
    stage.write(Who::Rita, &report).unwrap();
    stage.pass(Span::seconds(10)).unwrap();
    let mails = stage.mailbox(Who::Mia).unwrap();
    let mail = mails.into_iter().find(|m| m.subject.contains("New report")).unwrap();
    let handle = Handle::parse(&mail.handle().unwrap()).unwrap();
    let say = |stage: &mut PostOffice, who: Who, text: &str, file: usize| {
        let reference = reference(stage, &handle, who);
        let mut draft = Draft::sealed(&format!("{text}\n\n> {reference}\n"));
        if file > 0 {
            draft.attachments.push(("fix.patch".to_owned(), crate::ground::stuff(file)));
        }
        stage.write(who, &draft).unwrap();
        stage.pass(Span::seconds(5)).unwrap();
    };
    let words = "/accept\n/lead me\n/title T\n/set affected all\n/set impact much\n/set fixed 2\n/disclose 2026-03-19";
    say(&mut stage, Who::Mia, words, 0);
    say(&mut stage, Who::Tom, "/done fix-ready\n/done agree-day", 0);
    say(&mut stage, Who::Mia, "/done agree-day\n/done plan", 0);
    say(&mut stage, Who::Mia, "/preview advance", enclosed);
    say(&mut stage, Who::Tom, "/approve advance@1", 0);
    // Up to a minute before the moment: the clock has its witness, and nothing is sealed.
    let moment: Moment = "2026-03-12T16:00:00Z".parse().unwrap();
    let left = moment - stage.now() - Span::seconds(60);
    stage.pass(left).unwrap();
    let handed: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let seen = Arc::clone(&handed);
    stage.bulk = Some(Box::new(move |_| seen.lock().unwrap().push(Instant::now())));
    stage.pass(Span::seconds(59)).unwrap();
    assert!(handed.lock().unwrap().is_empty(), "something left before the moment");
    let (before, began) = (used("self").cpu, Instant::now());
    stage.pass(Span::seconds(2)).unwrap();
    let after = used("self");
    let times = handed.lock().unwrap().clone();
    assert_eq!(times.len(), members.len(), "not every copy was handed over");
    let since = |at: Option<&Instant>| at.unwrap().duration_since(began).as_secs_f64();
    std::fs::remove_dir_all(&folder).unwrap();
    Figures {
        first: since(times.first()),
        last: since(times.last()),
        each: (after.cpu - before) * 1e3 / members.len() as f64,
        peak: after.peak,
    }
}

fn wait(desk: &mut Desk, who: Who, from: usize, fits: impl Fn(&Read) -> bool) -> Read {
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(60) {
        if let Some(mail) = desk.live.mailbox(who).unwrap().into_iter().skip(from).find(&fits) {
            return mail;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    unreachable!("{} did not get it", who.id())
}

/// Makes them members, as an operator does.
fn import(desk: &mut Desk, members: &[Party]) {
    desk.live.stop().unwrap();
    let file: String = members
        .iter()
        .map(|party| {
            format!(
                "[[member]]\nid = \"{0}\"\nname = \"Member {0}\"\naddress = \"{1}\"\ngroups = [\"{GROUP}\"]\nkey = \"\"\"\n{2}\"\"\"\n",
                party.id,
                address(&party.id),
                party.certificate.armored()
            )
        })
        .collect();
    let path = desk.live.desk().join("members.toml");
    std::fs::write(&path, file).unwrap();
    desk.embargod(&["group", "import", &path.display().to_string()]);
    desk.live.kill().unwrap();
}

/// By the daemon, through the MTA; the copies leave at a moment of its own clock.
pub(crate) fn live(
    ground: &Ground,
    name: &str,
    members: &[Party],
    enclosed: usize,
    port: Option<u16>,
) -> Figures {
    let mut desk = Desk::open(ground, name, &Plan { port, has_hours: false, ..Plan::SMALL });
    import(&mut desk, members);
    let mut report = Draft::sealed("Something overflows.");
    report.with_key = true;
    desk.live.write(Who::Rita, &report).unwrap();
    let mias = wait(&mut desk, Who::Mia, 0, |mail| mail.subject.contains("New report"));
    let toms = wait(&mut desk, Who::Tom, 0, |mail| mail.subject.contains("New report"));
    let says = |desk: &mut Desk, who: Who, to: &Read, text: &str, file: usize| {
        let from = desk.live.mailbox(who).unwrap().len();
        let mut draft = Draft::answer(to, text);
        if file > 0 {
            draft.attachments.push(("fix.patch".to_owned(), crate::ground::stuff(file)));
        }
        desk.live.write(who, &draft).unwrap();
        wait(desk, who, from, |mail| {
            mail.subject.contains("] Done") || mail.subject.contains("] Confirm")
        })
    };
    let words = "/accept\n/lead me\n/title T\n/set affected all\n/set impact much\n/set fixed 2";
    says(&mut desk, Who::Mia, &mias, words, 0);
    says(&mut desk, Who::Tom, &toms, "/done fix-ready\n/done agree-day", 0);
    let words = "/done agree-day\n/done plan\n/disclose +50s\n/preview advance";
    says(&mut desk, Who::Mia, &mias, words, enclosed);
    says(&mut desk, Who::Tom, &toms, "/approve advance@1", 0);
    let handle = mias.handle().unwrap();
    // Its own log is looked at and nothing else, so that nobody else needs the cores meanwhile.
    desk.until(Duration::from_secs(1), |_| false);
    let (at_rest, mut before) = (desk.log.sent.len(), desk.used().cpu);
    let most = Instant::now();
    while most.elapsed() < Duration::from_secs(300) {
        desk.until(Duration::from_millis(10), |_| false);
        match desk.log.sent.len() - at_rest {
            // What leaves before the notice is a word to somebody of the team.
            0..10 => before = desk.used().cpu,
            more if more >= members.len() => break,
            _ => {}
        }
    }
    let after = desk.used();
    desk.rest();
    let (shown, _) = desk.embargod(&["show", "--json", &handle]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let t: Moment = shown.get("t").unwrap().as_str().unwrap().parse().unwrap();
    let moment = t - Span::seconds(20);
    let copies = shown.pointer("/notices/0/copies").and_then(|c| c.as_array()).unwrap();
    let taken: Vec<Moment> = copies
        .iter()
        .filter(|copy| copy.get("delivery").is_some_and(|d| d == "accepted" || d == "delivered"))
        .map(|copy| copy.get("since").unwrap().as_str().unwrap().parse().unwrap())
        .collect();
    assert!(taken.len() >= members.len(), "{} of {} were taken", taken.len(), members.len());
    // A delivery report comes later than the server's answer; the log has the latter.
    let sent: Vec<Moment> = desk.log.sent.iter().copied().filter(|at| *at >= moment).collect();
    let after_it = |at: &Moment| (*at - moment).num_milliseconds() as f64 / 1e3;
    let last = sent.get(members.len().min(sent.len()) - 1).unwrap();
    let figures = Figures {
        first: after_it(sent.first().unwrap()),
        last: after_it(last),
        each: (after.cpu - before) * 1e3 / members.len() as f64,
        peak: after.peak,
    };
    desk.live.stop().unwrap();
    figures
}
