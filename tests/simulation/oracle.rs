//! Who may know what, and when: a small model of the promises, apart from all that decides.
//!
//! It hears what people wrote and sees what left, as it leaves, and looks at what the desk says of itself where no
//! mail says it. It knows who somebody is, what they said in mails of their own, and what follows from that at most.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use embargod::domain::facts::names::{Handle, Moment, PersonId, Span, TaskId};
use embargod::domain::model::desk::Desk;
use embargod::domain::model::incident::Incident;

use super::people::{Question, address, questions, reference, tokens};
use super::plan::{LIST, TEAM};
use super::vault::Outbound;
use super::world::{CAST, begin, card};

/// A promise that was broken, by its number in the design.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) promise: u8,
    pub(crate) what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "promise {}: {}", self.promise, self.what)
    }
}

/// That nothing is broken, or what.
pub(crate) type Holds = Result<(), Broken>;

fn broken(promise: u8, what: impl Into<String>) -> Holds {
    Err(Broken { promise, what: what.into() })
}

/// What somebody said in a mail of their own.
#[derive(Debug, Clone)]
struct Word {
    who: String,
    line: String,
    /// It has moved T, and does not again.
    spent: bool,
}

/// What is known of one report.
#[derive(Default)]
struct Case {
    words: Vec<Word>,
    /// Questions that were asked, by nonce, and who said yes to them.
    asked: BTreeMap<String, Question>,
    agreed: Vec<(Question, String, Moment)>,
    /// Of them, those that have moved T.
    spent: BTreeSet<String>,
    /// Frozen drafts: subject and text.
    drafts: BTreeMap<(String, u32), (String, String)>,
    /// Who has had which notice, by the ids of the mails.
    copies: BTreeMap<(String, String), BTreeSet<String>>,
    /// Who was told anything of it under embargo.
    holders: BTreeSet<String>,
    t: Option<Moment>,
    title: Option<String>,
    public: Option<Moment>,
    /// What is in force since its transcript left: holds by name.
    held: BTreeMap<String, Moment>,
}

/// The model.
pub(crate) struct Oracle {
    owners: BTreeMap<String, String>,
    cases: BTreeMap<String, Case>,
    /// Reports by number: their handle, as the desk said it.
    pub(crate) handles: BTreeMap<u32, String>,
    /// Mails of people that the desk owes an answer, by id.
    words_of: BTreeMap<String, (String, String)>,
    /// Members who are out: since when it was said to have been done.
    out: BTreeMap<String, Moment>,
    /// By id: who had it, so that the same mail twice is one.
    left: BTreeMap<String, String>,
    /// People of the team whom the config has let go.
    gone: BTreeSet<String>,
    /// Notices that two people want to leave, and by when they should have.
    promised: Vec<Promised>,
    is_new: bool,
}

/// A notice that two people want to leave.
#[derive(Debug)]
struct Promised {
    handle: String,
    draft: (String, u32),
    t: Moment,
    /// How many words had been said of the report then.
    words: usize,
    by: Moment,
    /// Whose server has refused it for good.
    refused: BTreeSet<String>,
}

/// So long after its moment, or after all is well, a notice has left.
const LEAVES_WITHIN: Span = Span::hours(10);
/// Words that change nothing of what was approved.
const HARMLESS: [&str; 8] =
    ["/approve ", "/ack", "/ready", "/done ", "/note", "/status", "/take", "/handoff "];

/// Where everybody reads.
const PUBLIC: &str = "announce@lists.example";
/// What of a mail's words may go to whom.
const CONTENT: [&str; 5] = ["SECRET-", "FOLLOW-", "NOTE-", "IMPACT-", "TITLE-"];

impl Oracle {
    pub(crate) fn new() -> Self {
        let ids = CAST.iter().map(|(id, ..)| *id).chain(["desk"]);
        let owners = ids.map(|id| (card(id, begin()).fingerprint, id.to_owned())).collect();
        Self {
            owners,
            cases: BTreeMap::new(),
            handles: BTreeMap::new(),
            words_of: BTreeMap::new(),
            out: BTreeMap::new(),
            left: BTreeMap::new(),
            gone: BTreeSet::new(),
            promised: Vec::new(),
            is_new: false,
        }
    }

    /// Somebody's server refuses a mail for good.
    pub(crate) fn refused(&mut self, mail: &Outbound, to: &str) {
        let handle = reference(&mail.body).map(|(handle, _)| handle.to_owned());
        let about = self.promised.iter_mut().filter(|it| Some(&it.handle) == handle.as_ref());
        for it in about {
            it.refused.insert(to.to_owned());
        }
    }

    /// When to look next, after a notice was approved.
    pub(crate) fn new_promise(&mut self) -> Option<Moment> {
        let is_new = std::mem::take(&mut self.is_new);
        self.promised.last().filter(|_| is_new).map(|it| it.by)
    }

    /// What two people want to leave has left, unless somebody has said something since.
    pub(crate) fn owes(
        &mut self,
        now: Moment,
        patience: Moment,
        excused: impl Fn(&str, Moment) -> bool,
    ) -> Result<Option<Moment>, Broken> {
        let mut next: Option<Moment> = None;
        let mut left = Vec::new();
        for mut it in std::mem::take(&mut self.promised) {
            let Some(case) = self.cases.get(&it.handle) else { continue };
            let since = case.words.get(it.words..).unwrap_or_default();
            let is_quiet =
                since.iter().all(|word| HARMLESS.iter().any(|it| word.line.starts_with(it)));
            if case.t != Some(it.t) || !is_quiet || case.said("/hold").next().is_some() {
                continue;
            }
            let was_due = it.by <= now;
            it.by = it.by.max(patience);
            // One look for each that was promised, and another where it was put off.
            if now < it.by && was_due {
                next = Some(next.map_or(it.by, |next| next.min(it.by)));
            }
            if now < it.by {
                left.push(it);
                continue;
            }
            let (name, n) = (&it.draft.0, it.draft.1);
            for who in LIST {
                let has = case.copies.contains_key(&(format!("{name}@{n}"), who.to_owned()));
                let is_owed = !it.refused.contains(who) && !excused(who, now);
                if !has && !self.out.contains_key(who) && is_owed {
                    let what = format!(
                        "{name}@{n} of {} has not left to {who}, and it is {now}",
                        it.handle
                    );
                    return broken(3, what).map(|()| None);
                }
            }
        }
        self.promised = left;
        Ok(next)
    }

    /// The desk starts, with a config that names everybody but these.
    pub(crate) fn starts_without(&mut self, away: &BTreeSet<&str>) {
        self.gone = away.iter().map(|who| (*who).to_owned()).collect();
    }

    /// What the desk has done was lost with its disk, and may be done again.
    pub(crate) fn forgets(&mut self) {
        for case in self.cases.values_mut() {
            case.words.iter_mut().for_each(|word| word.spent = false);
            case.spent.clear();
        }
    }

    /// Somebody has a key.
    pub(crate) fn owns(&mut self, fingerprint: String, who: &str) {
        self.owners.insert(fingerprint, who.to_owned());
    }

    /// Somebody wrote a mail that counts, and it lies in the mailbox.
    pub(crate) fn hears(&mut self, id: &str, who: &str, handle: &str, text: &str, at: Moment) {
        let lines = text.lines().skip_while(|line| line.starts_with("/incident "));
        let lines = lines.take_while(|line| line.starts_with('/'));
        let case = self.cases.entry(handle.to_owned()).or_default();
        for line in lines {
            let (who, line) = (who.to_owned(), line.to_owned());
            if let Some(nonce) = line.strip_prefix("/confirm ")
                && let Some(asked) = case.asked.get(nonce)
            {
                case.agreed.push((asked.clone(), who.clone(), at));
            }
            case.words.push(Word { who, line, spent: false });
        }
        self.words_of.insert(id.to_owned(), (who.to_owned(), text.to_owned()));
    }

    /// A mail leaves: the server has its last byte.
    pub(crate) fn sees(&mut self, mail: &Outbound, now: Moment, desk: &Desk) -> Holds {
        let to = mail.to.split('@').next().unwrap_or_default().to_owned();
        let before = self.left.insert(mail.id.clone(), mail.to.clone());
        let is_again = before.is_some();
        if let Some(before) = before {
            // Once more, with the same id: the one window that SMTP leaves open.
            if before != mail.to {
                return broken(4, format!("{} went to {before} and to {}", mail.id, mail.to));
            }
        }
        self.is_for_its_reader(mail)?;
        if mail.to != PUBLIC {
            self.content(mail, &to, now, is_again)?;
        }
        self.is_reported_once(mail, &to)?;
        self.learns(mail, &to, now);
        self.notice(mail, &to, now, desk)
    }

    /// Whoever sends a captured report again is not its reporter, to whom its answers would go.
    fn is_reported_once(&self, mail: &Outbound, to: &str) -> Holds {
        if !TEAM.contains(&to) || !mail.subject.contains("New report") {
            return Ok(());
        }
        let Some((handle, _)) = reference(&mail.body) else { return Ok(()) };
        let of_another = |case: &u32| self.handles.get(case).is_some_and(|known| known != handle);
        match tokens(&mail.body, "SECRET-").find(of_another) {
            Some(case) => {
                broken(4, format!("the report {case} was captured and is one more, {handle}"))
            }
            None => Ok(()),
        }
    }

    /// One mail, one recipient, one key, which is theirs.
    fn is_for_its_reader(&self, mail: &Outbound) -> Holds {
        let Some(key) = &mail.key else { return Ok(()) };
        match self.owners.get(key) {
            None => broken(4, format!("{} is sealed to a key that nobody has", mail.subject)),
            Some(owner) if owner == "desk" && mail.to == "security@desk.test" => Ok(()),
            Some(owner) if address(owner) != mail.to => {
                broken(4, format!("{} to {} is sealed to {owner}'s key", mail.subject, mail.to))
            }
            Some(_) => Ok(()),
        }
    }

    /// What is said of a report is said to those who may know, and in no mail that is not sealed.
    fn content(&self, mail: &Outbound, to: &str, now: Moment, is_again: bool) -> Holds {
        let whole = [mail.subject.as_str(), "\n", &mail.body].concat();
        for word in CONTENT {
            for case in tokens(&whole, word) {
                let known = self.handles.get(&case).and_then(|handle| self.cases.get(handle));
                let is_public = known.is_some_and(|it| it.public.is_some_and(|at| at <= now));
                let of_notice = ["IMPACT-", "TITLE-"].contains(&word);
                if is_public && of_notice {
                    continue;
                }
                if mail.key.is_none() {
                    return broken(
                        5,
                        format!("{word}{case} leaves in clear to {to}: {}", mail.subject),
                    );
                }
                let is_there = is_again || !self.gone.contains(to);
                let is_team = (TEAM.contains(&to) || to == "uma") && is_there;
                let is_reporter = to == format!("r{case}");
                let is_list = LIST.contains(&to) && of_notice;
                let may = is_team || (is_reporter && word != "NOTE-") || is_list;
                if !may {
                    return broken(4, format!("{word}{case} leaves to {to}: {}", mail.subject));
                }
                // The desk's own people are brought in by one of the team.
                let joined = || known.is_some_and(|it| it.said("/join uma").next().is_some());
                if to == "uma" && !joined() {
                    return broken(
                        4,
                        format!("{word}{case} leaves to uma, who was not brought in"),
                    );
                }
            }
        }
        Ok(())
    }

    /// Takes in what a mail tells people: what they are asked, what was frozen, what was done.
    fn learns(&mut self, mail: &Outbound, to: &str, now: Moment) {
        let Some((handle, _)) = reference(&mail.body) else { return };
        if let Some(case) = to.strip_prefix('r').and_then(|number| number.parse().ok()) {
            self.handles.entry(case).or_insert_with(|| handle.to_owned());
        }
        if let Some(case) = tokens(&mail.body, "SECRET-").next().filter(|_| TEAM.contains(&to)) {
            self.handles.entry(case).or_insert_with(|| handle.to_owned());
        }
        let is_team = TEAM.contains(&to) || to == "uma";
        if !is_team {
            return;
        }
        // Whatever keeps a notice, the team hears that it has not left.
        let is_kept = |it: &Promised| {
            let late = format!("OVERDUE: notice {}", it.draft.0);
            let says = ["has NOT left", "is too old to leave by itself", late.as_str()];
            it.handle == handle && says.iter().any(|words| mail.subject.contains(words))
        };
        self.promised.retain(|it| !is_kept(it));
        let case = self.cases.entry(handle.to_owned()).or_default();
        for question in questions(&mail.body) {
            case.asked.entry(question.nonce.clone()).or_insert(question);
        }
        for part in mail.body.split("---- draft ").skip(1) {
            let Some((name, rest)) = part.split_once(" ----\n") else { continue };
            let Some((text, _)) = rest.split_once("---- end of draft") else { continue };
            let Some((name, number)) = name.split_once('@') else { continue };
            let (subject, body) = text.split_once('\n').unwrap_or((text, ""));
            let subject = subject.trim_start_matches("Subject: ").to_owned();
            let number = number.parse().unwrap_or(0);
            let lines = body.lines().map(|line| line.trim_start_matches('>').trim_end());
            let lines: Vec<&str> =
                lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
            case.drafts
                .entry((name.to_owned(), number))
                .or_insert_with(|| (subject, lines.join("\n")));
        }
        let Some((who, text)) = mail.answers.as_ref().and_then(|id| self.words_of.get(id)) else {
            return;
        };
        if who != to || !mail.subject.contains("Done") {
            return;
        }
        for line in text.lines().filter(|line| line.starts_with('/')) {
            let draft = line.strip_prefix("/approve ").and_then(|draft| draft.split_once('@'));
            if let (Some((name @ ("advance" | "final"), n)), Some(t)) = (draft, case.t)
                && let Ok(n) = n.parse()
                && case.is_approved(name, n).is_ok()
                && !waits(&mail.body, line)
            {
                let before = if name == "advance" { 5 } else { 1 };
                let by = working_days_before(t, before).max(now) + LEAVES_WITHIN;
                let (handle, words) = (handle.to_owned(), case.words.len());
                let draft = (name.to_owned(), n);
                let refused = BTreeSet::new();
                self.promised.push(Promised { handle, draft, t, words, by, refused });
                self.is_new = true;
            }
            if let Some(what) = line.strip_prefix("/hold ") {
                case.held.entry(what.to_owned()).or_insert(now);
            } else if line.starts_with("/member suspend ") || line.starts_with("/member remove ") {
                let whom = line.split(' ').nth(2).unwrap_or_default();
                self.out.entry(whom.to_owned()).or_insert(now);
            }
        }
    }

    /// What leaves to the list, or to everybody: at its moment, by two people, to those who are on it.
    fn notice(&mut self, mail: &Outbound, to: &str, now: Moment, desk: &Desk) -> Holds {
        let public = mail.to == PUBLIC;
        if !public && !LIST.contains(&to) {
            return Ok(());
        }
        let Some((handle, incident)) = self.about(mail, desk) else {
            return match public {
                true => broken(5, format!("the list gets what is about nothing: {}", mail.subject)),
                false => Ok(()),
            };
        };
        let case = self.cases.entry(handle.clone()).or_default();
        let Some((name, n)) = case.draft_of(mail) else {
            return match public {
                true => {
                    broken(5, format!("no draft that was shown leaves to all: {}", mail.subject))
                }
                false => case.goes_on(mail, to),
            };
        };
        let name = name.as_str();
        if let Some(at) = self.out.get(to).filter(|at| **at < now) {
            return broken(
                4,
                format!("{name} leaves to {to}, who is out since {at}: {}", mail.subject),
            );
        }
        case.is_approved(name, n)?;
        case.is_due(name, mail, incident, now)?;
        if let Some((what, at)) = case
            .held
            .iter()
            .find(|(what, at)| (what.as_str() == "ALL" || what.as_str() == name) && **at < now)
        {
            return broken(2, format!("{name} leaves while {what} is held since {at}"));
        }
        case.holders.insert(to.to_owned());
        if public {
            case.public = Some(now);
        }
        let ids = case.copies.entry((format!("{name}@{n}"), to.to_owned())).or_default();
        ids.insert(mail.id.clone());
        match ids.len() {
            1 => Ok(()),
            _ => broken(3, format!("{name}@{n} leaves twice to {to}: {ids:?}")),
        }
    }

    fn about<'a>(&self, mail: &Outbound, desk: &'a Desk) -> Option<(String, &'a Incident)> {
        let by_ref = reference(&mail.body).map(|(handle, _)| handle.to_owned());
        let by_token = || {
            let whole = [mail.subject.as_str(), "\n", &mail.body].concat();
            let case = tokens(&whole, "TITLE-").next()?;
            self.handles.get(&case).cloned()
        };
        let handle = by_ref.or_else(by_token)?;
        let incident = desk.incident(&Handle::parse(&handle)?)?;
        Some((handle, incident))
    }

    /// What the desk says of reports of which there is something new follows from what people said of them.
    pub(crate) fn looks(&mut self, desk: &Desk, new: &BTreeSet<Handle>, now: Moment) -> Holds {
        for incident in new.iter().filter_map(|handle| desk.incident(handle)) {
            let handle = incident.handle.to_string();
            let case = self.cases.entry(handle.clone()).or_default();
            case.title(incident)?;
            case.date(incident, now)?;
            case.published(incident)?;
            case.holds(incident)?;
        }
        for id in LIST {
            let who = PersonId::parse(id).unwrap();
            let person = desk.roster.person(&who);
            let is_on = person.is_some_and(|it| it.groups.contains("private_distributors"));
            if is_on && !self.out.contains_key(id) {
                continue;
            }
            let said = |what: &str| {
                let all = self.cases.values().flat_map(|case| &case.words);
                let line = format!("/member {what} {id}");
                all.clone().any(|word| word.line.starts_with(&line))
            };
            if is_on && said("reinstate") {
                self.out.remove(id);
            }
            if !is_on && !said("suspend") && !said("remove") && desk.trouble(&who).is_none() {
                return broken(6, format!("{id} is out, and nobody has said so"));
            }
            // Whoever said so may not have had the answer.
            if !is_on {
                self.out.entry(id.to_owned()).or_insert(now);
            }
        }
        Ok(())
    }
}

impl Case {
    /// One person said it, and another one yes to that.
    fn by_two(&self, line: &str) -> bool {
        let mut all = self.agreed.iter();
        all.any(|(question, who, _)| question.line.starts_with(line) && question.by != *who)
    }

    fn said<'a>(&'a self, line: &'a str) -> impl Iterator<Item = &'a Word> {
        self.words.iter().filter(move |word| word.line.starts_with(line))
    }

    /// What follows a notice goes to those who had it.
    fn goes_on(&self, mail: &Outbound, to: &str) -> Holds {
        let content = CONTENT.iter().any(|word| mail.body.contains(word));
        if content && !self.holders.contains(to) && self.public.is_none() {
            return broken(4, format!("{to} was never told of it and gets: {}", mail.subject));
        }
        Ok(())
    }

    /// The newest draft that a mail is.
    fn draft_of(&self, mail: &Outbound) -> Option<(String, u32)> {
        let is_it = |(subject, body): &(String, String)| {
            let lines = body.lines().filter(|line| {
                !line.is_empty() && !line.starts_with("To ") && !line.starts_with("Ref:")
            });
            let mut text = mail.body.lines();
            *subject == mail.subject && { lines }.all(|line| text.any(|there| there == line))
        };
        let drafts = self.drafts.iter().rev().filter(|(_, draft)| is_it(draft));
        drafts.map(|(name, _)| name.clone()).next()
    }

    /// One person froze it and another approved it.
    fn is_approved(&self, name: &str, n: u32) -> Holds {
        // What is written because something got out is frozen by whoever says so.
        let alarms = ["/known-public", "/leak", "/exploited", "/published"];
        let froze = |line: &str| match name.rsplit_once('-') {
            Some(("public" | "leak" | "ended", _)) => alarms.iter().any(|it| line.starts_with(it)),
            _ => line.strip_prefix("/preview ").is_some_and(|what| what == name),
        };
        let words = self.words.iter().filter(|word| froze(&word.line));
        let frozen: BTreeSet<&str> = words.map(|word| word.who.as_str()).collect();
        let line = format!("/approve {name}@{n}");
        let approved = self.words.iter().filter(|word| word.line == line);
        let all: BTreeSet<&str> = approved.map(|word| word.who.as_str()).collect();
        match !all.is_empty() && all.union(&frozen).count() > 1 {
            true => Ok(()),
            false => broken(6, format!("{name}@{n} leaves by the word of fewer than two")),
        }
    }

    fn is_due(&self, name: &str, mail: &Outbound, incident: &Incident, now: Moment) -> Holds {
        let hurry = ["/known-public", "/leak", "/exploited", "/published"];
        if hurry.iter().any(|word| self.said(word).next().is_some()) {
            return Ok(());
        }
        let Some(t) = incident.t() else {
            return broken(2, format!("{name} leaves, and no day is set"));
        };
        let day = t.format("%Y-%m-%d").to_string();
        if ["advance", "final"].contains(&name) && !mail.body.contains(&day) {
            return broken(2, format!("{name} leaves and does not speak of {day}, which is T"));
        }
        let before = match name {
            "advance" => 5,
            "final" => 1,
            _ => 0,
        };
        let due = working_days_before(t, before);
        if now < due {
            return broken(2, format!("{name} leaves at {now}, and its moment is {due}"));
        }
        // It was made after its moment: it says so. On the day itself people clear and publish by hand.
        let late = before > 0 && mail.sealed_at > due + Span::minutes(2);
        if late && !mail.body.contains("LATE") {
            return broken(
                3,
                format!("{name} was made at {}, and does not say that it is late", mail.sealed_at),
            );
        }
        Ok(())
    }

    /// A title is one that somebody gave.
    fn title(&mut self, incident: &Incident) -> Holds {
        if incident.title == self.title {
            return Ok(());
        }
        let Some(title) = &incident.title else { return Ok(()) };
        let line = format!("/title {title}");
        let is_said = self.words.iter().any(|word| word.line == line);
        if !is_said || title.contains("FORGED") {
            return broken(6, format!("the title is `{title}`, which nobody has said"));
        }
        if title.contains("NEVER") {
            return broken(7, format!("the title is `{title}`, from a mail that was refused"));
        }
        self.title.clone_from(&incident.title);
        Ok(())
    }

    /// T is a day that somebody said; an earlier one a second person said yes to.
    fn date(&mut self, incident: &Incident, now: Moment) -> Holds {
        let t = incident.t();
        if t == self.t {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.t, t);
        let Some(t) = t else { return Ok(()) };
        let day = |word: &Word| {
            let text = word.line.strip_prefix("/disclose ")?;
            format!("{text}T16:00:00Z").parse::<Moment>().ok()
        };
        // Each word moves it once: what is said again by somebody else moves nothing.
        let Some(word) = self.words.iter_mut().find(|word| day(word) == Some(t) && !word.spent)
        else {
            return broken(6, format!("T is {t}, and nobody has said so since it was that before"));
        };
        word.spent = true;
        let is_earlier = before.is_some_and(|before| t < before && before > now);
        let asked = [word.line.clone(), format!("/disclose {}", t.format("%Y-%m-%dT%H:%M:%SZ"))];
        let second = self.agreed.iter().find(|(question, who, _)| {
            asked.contains(&question.line)
                && question.by != *who
                && !self.spent.contains(&question.nonce)
        });
        match second {
            Some((question, ..)) => drop(self.spent.insert(question.nonce.clone())),
            None if is_earlier => {
                let what = format!("T moved forward to {t} by the word of {} alone", word.who);
                return broken(6, what);
            }
            None => {}
        }
        Ok(())
    }

    /// What is held is held until somebody says otherwise.
    fn holds(&mut self, incident: &Incident) -> Holds {
        let handle = &incident.handle;
        let mut let_go = Vec::new();
        for what in self.held.keys() {
            let is_it = |task: &Option<TaskId>| {
                let alias = |id: &TaskId| incident.task(id).map(|task| task.word().to_string());
                match task {
                    None => what == "ALL",
                    Some(id) => alias(id).is_some_and(|name| name == *what),
                }
            };
            if incident.held.iter().any(is_it) {
                continue;
            }
            if !self.by_two("/resume") {
                let now = format!("{:?} {:?}", incident.held, incident.status);
                let what = format!("{what} of {handle} was held, and no two have let it go: {now}");
                return broken(6, what);
            }
            let_go.push(what.clone());
        }
        self.held.retain(|what, _| !let_go.contains(what));
        Ok(())
    }

    fn published(&mut self, incident: &Incident) -> Holds {
        if incident.published().is_none() || self.public.is_some() {
            return Ok(());
        }
        if !self.by_two("/published") {
            return broken(6, "it is published, and fewer than two have said so");
        }
        self.public = incident.published();
        Ok(())
    }
}

/// Whether an answer says that what was approved waits for something else.
fn waits(body: &str, line: &str) -> bool {
    let answer = body.split("\n| ").find(|part| part.starts_with(line));
    answer.is_some_and(|answer| answer.contains("still waits for"))
}

/// So many working days before: no weekends, and no days off of the calendar TARGET.
fn working_days_before(t: Moment, days: u32) -> Moment {
    use chrono::{Datelike, Weekday};
    let is_off = |at: Moment| {
        let fixed = [(1, 1), (5, 1), (12, 25), (12, 26)];
        // Good Friday and Easter Monday of the years that are played.
        let easter = ["2026-04-03", "2026-04-06", "2027-03-26", "2027-03-29"];
        matches!(at.weekday(), Weekday::Sat | Weekday::Sun)
            || fixed.contains(&(at.month(), at.day()))
            || easter.contains(&at.format("%Y-%m-%d").to_string().as_str())
    };
    let (mut at, mut left) = (t, days);
    if days > 0 && is_off(at) {
        // One on a day off counts from the morning of the next working day.
        while is_off(at) {
            at += Span::days(1);
        }
        at = at.date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc();
    }
    while left > 0 {
        at -= Span::days(1);
        left -= u32::from(!is_off(at));
    }
    at
}
