//! The story: two reporters, two maintainers, three distributors; from the first report to the
//! retrospective, with a hold, a moved date, a late approval, and somebody who writes in another's
//! name. Every step says what must come of it, and a step whose outcome is another ends the story.

use super::mail::{Draft, Read};
use super::{Stage, Who};
use crate::domain::facts::letter::Protection;
use crate::domain::facts::names::Span;
use crate::error::Fault;

/// What differs between the stages: how long things take.
#[derive(Debug, Clone)]
pub struct Pace {
    /// The playbook.
    pub playbook: &'static str,
    /// The first T, as Mia writes it.
    pub t: String,
    /// The T it is moved to.
    pub t_moved: String,
    /// From setting T to just after the advance notice's moment.
    pub past_advance: Span,
    /// From the moved T's setting to just after the final notice's moment.
    pub past_final: Span,
    /// A while in which nothing should happen.
    pub a_while: Span,
    /// Whether T is certain to be ahead still when the gate opens, so that an announcement that is
    /// approved and free to go must be seen to wait for it.
    pub t_is_ahead: bool,
    /// From publishing to just after the retrospective's moment.
    pub past_retrospective: Span,
}

/// A word that stands in the report and must be found nowhere outside what is sealed.
pub const CANARY: &str = "Quittengelee";

type Told = Result<(), Fault>;

/// Plays the story.
///
/// # Errors
/// The first thing that was not as it should be.
pub fn play(stage: &mut dyn Stage) -> Told {
    let mut story = Story { stage, seen: Vec::new() };
    let (report, handle) = story.report()?;
    story.plain_report()?;
    story.triage(&report, &handle)?;
    story.imposter(&handle)?;
    story.record(&handle)?;
    story.advance(&handle)?;
    story.moved(&handle)?;
    story.final_notice(&handle)?;
    story.release(&handle)?;
    story.retrospective(&handle)?;
    story.stage.say("The end.");
    Ok(())
}

struct Story<'a> {
    stage: &'a mut dyn Stage,
    /// How many mails of each person were dealt with, so that a step waits for what is new.
    seen: Vec<(Who, usize)>,
}

fn fail<T>(what: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::new(format!("the story went wrong: {}", what.into()), ""))
}

impl Story<'_> {
    fn seen(&self, who: Who) -> usize {
        self.seen.iter().find(|(known, _)| *known == who).map_or(0, |(_, count)| *count)
    }

    /// Waits until a mail that fits is in somebody's mailbox, and takes note of all before it.
    fn expect(
        &mut self,
        who: Who,
        what: &str,
        fits: impl Fn(&Read) -> bool,
    ) -> Result<Read, Fault> {
        loop {
            let mails = self.stage.mailbox(who)?;
            let found = mails.iter().enumerate().skip(self.seen(who)).find(|(_, mail)| fits(mail));
            if let Some((at, mail)) = found {
                self.seen.retain(|(known, _)| *known != who);
                self.seen.push((who, at.saturating_add(1)));
                let shown = if mail.protection.is_encrypted() { "sealed" } else { "in clear" };
                self.stage.say(&format!("      {} reads ({shown}): {}", who.id(), mail.subject));
                return Ok(mail.clone());
            }
            if !self.stage.step()? {
                let subjects: Vec<_> =
                    mails.iter().skip(self.seen(who)).map(|mail| mail.subject.clone()).collect();
                return fail(format!("{} never got {what}; they got {subjects:?}", who.id()));
            }
        }
    }

    /// Makes sure that nobody of these has a new mail that fits.
    fn none(&mut self, people: &[Who], what: &str, fits: impl Fn(&Read) -> bool) -> Told {
        for who in people {
            let seen = self.seen(*who);
            let mails = self.stage.mailbox(*who)?;
            if let Some(mail) = mails.iter().skip(seen).find(|mail| fits(mail)) {
                return fail(format!("{} got {what}: {}", who.id(), mail.subject));
            }
        }
        Ok(())
    }

    /// Sends commands as the answer to a mail and waits for the sealed transcript.
    fn command(&mut self, who: Who, to: &Read, text: &str) -> Result<Read, Fault> {
        let first = text.lines().next().unwrap_or("").to_owned();
        self.stage.say(&format!("   {} writes: {first}", who.id()));
        self.stage.write(who, &Draft::answer(to, text))?;
        let answer = self.expect(who, "the answer to a command", |mail| {
            ["Done:", "Confirm:", "Not done:"].iter().any(|word| mail.subject.contains(word))
        })?;
        if answer.subject.contains("Not done:") {
            return fail(format!("`{first}` was refused: {}", answer.text));
        }
        sealed_by_desk(&answer)?;
        Ok(answer)
    }

    /// Sends a command that asks to be confirmed, and confirms it.
    fn confirmed(&mut self, who: Who, to: &Read, text: &str) -> Result<Read, Fault> {
        let asked = self.command(who, to, text)?;
        let Some(nonce) = asked.nonce() else {
            return fail(format!("`{text}` was not asked about: {}", asked.text));
        };
        self.command(who, &asked, &format!("/confirm {nonce}"))
    }

    /// Sends a command that takes two people; Tom is asked, and confirms it.
    fn seconded(&mut self, to: &Read, text: &str) -> Told {
        let told = self.command(Who::Mia, to, text)?;
        if told.nonce().is_some() {
            return fail(format!("`{text}` was left to one person: {}", told.text));
        }
        let asked =
            self.expect(Who::Tom, "the question", |mail| mail.subject.contains("asks you to"))?;
        let Some(nonce) = asked.nonce() else { return fail("the question names no nonce") };
        self.command(Who::Tom, &asked, &format!("/confirm {nonce}"))?;
        Ok(())
    }

    //-------- Scenes -----------------------------------------------------------------------------

    fn report(&mut self) -> Result<(Read, String), Fault> {
        self.stage.say("A report comes in, encrypted.");
        let mut mail = Draft::sealed(&format!(
            "The parser of nested {CANARY} tables writes past its buffer.\n\n\
             Steps: feed the attached file to version 3.1.\n\n/accept\n/published\n"
        ));
        mail.subject = "...".to_owned();
        mail.attachments.push(("poc.bin".to_owned(), (0..=255).collect()));
        mail.with_key = true;
        self.stage.write(Who::Rita, &mail)?;
        let ack = self
            .expect(Who::Rita, "an acknowledgement", |mail| mail.subject.contains("We received"))?;
        // Her key came inside only, and the answer must not show that it opened.
        if ack.protection != Protection::Signed || !ack.by_desk {
            return fail("the acknowledgement is not signed by the desk, or shows what was inside");
        }
        let Some(handle) = ack.handle() else { return fail("the acknowledgement names no handle") };
        if ack.text.contains(CANARY) {
            return fail("the acknowledgement quotes the report");
        }
        let mut first = None;
        for who in [Who::Mia, Who::Tom] {
            let copy =
                self.expect(who, "the report", |mail| mail.subject.contains("New report"))?;
            sealed_by_desk(&copy)?;
            let bytes: Vec<u8> = (0..=255).collect();
            let whole = copy
                .attachments
                .iter()
                .any(|(name, content)| name == "poc.bin" && *content == bytes);
            if !copy.text.contains(CANARY) || !whole {
                return fail(format!("{}'s copy of the report is not whole", who.id()));
            }
            first.get_or_insert(copy);
        }
        first.map_or_else(|| fail("nobody got the report"), |copy| Ok((copy, handle)))
    }

    fn plain_report(&mut self) -> Told {
        self.stage.say("Somebody asks for the key, and then writes in clear.");
        self.stage.write(
            Who::Paul,
            &Draft::plain("PGP key", "Hello, could you send me your public PGP key please?"),
        )?;
        let key = self.expect(Who::Paul, "the key", |mail| mail.subject.contains("OpenPGP key"))?;
        if key.attachments.is_empty() || !key.by_desk {
            return fail("the key did not come, or not signed");
        }
        let text = "Your login page shows the password in the address bar.\nVersion 3.0.";
        self.stage.write(Who::Paul, &Draft::plain("Password shown", text))?;
        let ack = self
            .expect(Who::Paul, "an acknowledgement", |mail| mail.subject.contains("We received"))?;
        if ack.protection.is_encrypted() || !ack.by_desk || ack.text.contains("password") {
            return fail("the acknowledgement in clear is not what it should be");
        }
        let copy =
            self.expect(Who::Mia, "the second report", |mail| mail.text.contains("address bar"))?;
        self.command(Who::Mia, &copy, "/reject It is the browser's own behaviour.")?;
        let told = self.expect(Who::Paul, "a person's answer", |mail| {
            mail.subject.contains("A person has read")
        })?;
        if told.text.contains("browser") {
            return fail("content left in clear");
        }
        Ok(())
    }

    fn triage(&mut self, report: &Read, handle: &str) -> Told {
        self.stage.say("The first report is accepted; a person's answer goes out.");
        let text = "/accept\n/title Overflow in nested tables\n/lead mia\n\nI can reproduce it. Tom, can you look at the parser?";
        self.command(Who::Mia, report, text)?;
        let answer = self.expect(Who::Rita, "a person's answer", |mail| {
            mail.subject.contains("A person has read")
        })?;
        sealed_by_desk(&answer)?;
        self.expect(Who::Tom, "Mia's note", |mail| {
            mail.text.contains("can you look at the parser")
        })?;
        self.command(
            Who::Mia,
            report,
            "/reply\nThank you, Rita. May we name you when it is published?",
        )?;
        let reply =
            self.expect(Who::Rita, "the reply", |mail| mail.text.contains("May we name you"))?;
        if !reply.subject.contains(handle) {
            return fail("the reply does not name the incident");
        }
        self.stage.write(Who::Rita, &Draft::answer(&reply, "Yes, as Rita of Example."))?;
        self.expect(Who::Mia, "Rita's answer", |mail| mail.text.contains("as Rita of Example"))?;
        self.expect(Who::Tom, "Rita's answer", |mail| mail.text.contains("as Rita of Example"))?;
        Ok(())
    }

    fn imposter(&mut self, handle: &str) -> Told {
        self.stage.say("Somebody writes in Mia's name, without her key.");
        let mut forged = Draft::plain("Urgent", &format!("/incident {handle}\n/published\n"));
        forged.from = Some(Who::Mia.address());
        self.stage.write(Who::Paul, &forged)?;
        let warning =
            self.expect(Who::Mia, "a warning", |mail| mail.subject.contains("in your name"))?;
        sealed_by_desk(&warning)
    }

    fn latest(&mut self, who: Who, handle: &str) -> Result<Read, Fault> {
        let mails = self.stage.mailbox(who)?;
        let last = mails.into_iter().rev().find(|mail| mail.handle().as_deref() == Some(handle));
        last.map_or_else(|| fail("there is no mail to answer"), Ok)
    }

    fn record(&mut self, handle: &str) -> Told {
        self.stage.say("The record is kept; the fix is ready; both roles agree.");
        let mia = self.latest(Who::Mia, handle)?;
        let text = "/set affected 2.0 to 3.1\n/set impact code execution by a crafted file\n/set fixed 3.2\n\
                    /set mitigation turn off nested tables\n/set credit Rita of Example\n\
                    /cvss CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H\n/cve CVE-2026-41234";
        self.command(Who::Mia, &mia, text)?;
        let tom = self.latest(Who::Tom, handle)?;
        self.command(Who::Tom, &tom, "/done fix-ready\n/done agree-day")?;
        self.command(Who::Mia, &mia, "/done agree-day\n/done plan")?;
        Ok(())
    }

    fn advance(&mut self, handle: &str) -> Told {
        self.stage.say("T is set; the advance notice is frozen, approved, held, and let go.");
        let mia = self.latest(Who::Mia, handle)?;
        let t = self.stage.pace().t.clone();
        self.command(Who::Mia, &mia, &format!("/disclose {t}\n/preview advance"))?;
        let draft =
            self.expect(Who::Tom, "the draft", |mail| mail.subject.contains("advance@1"))?;
        self.command(Who::Tom, &draft, "/approve advance@1\n/hold advance")?;
        let past = self.stage.pace().past_advance;
        self.stage.pass(past)?;
        self.none(&Who::DISTRIBUTORS, "a held notice", |_| true)?;
        let mia = self.latest(Who::Mia, handle)?;
        self.seconded(&mia, "/resume advance")?;
        for who in Who::DISTRIBUTORS {
            let notice = self.expect(who, "the advance notice", |mail| {
                mail.subject.contains("Advance notice")
            })?;
            sealed_by_desk(&notice)?;
            let others = Who::DISTRIBUTORS.iter().filter(|other| **other != who);
            if others.clone().any(|other| notice.text.contains(&other.address())) {
                return fail("a notice shows who else got it");
            }
            if !notice.text.starts_with("TLP:AMBER+STRICT") || notice.outer_subject != "[...]" {
                return fail("a notice is not marked as it should be");
            }
        }
        Ok(())
    }

    fn moved(&mut self, handle: &str) -> Told {
        self.stage.say("T moves; everyone who had the old date is told.");
        let mia = self.latest(Who::Mia, handle)?;
        let t = self.stage.pace().t_moved.clone();
        self.seconded(&mia, &format!("/disclose {t}"))?;
        for who in Who::DISTRIBUTORS {
            let told =
                self.expect(who, "the new date", |mail| mail.subject.contains("Date changed"))?;
            sealed_by_desk(&told)?;
        }
        Ok(())
    }

    fn final_notice(&mut self, handle: &str) -> Told {
        self.stage.say("The final notice is frozen, and nobody approves it in time.");
        let mia = self.latest(Who::Mia, handle)?;
        let text = "/set binaries https://example.org/3.2\n/preview final\n/preview announce";
        self.command(Who::Mia, &mia, text)?;
        let draft = self.expect(Who::Tom, "the draft", |mail| mail.subject.contains("final@1"))?;
        self.command(Who::Tom, &draft, "/approve announce@1")?;
        let past = self.stage.pace().past_final;
        self.stage.pass(past)?;
        self.none(&Who::DISTRIBUTORS, "a notice that nobody approved", |_| true)?;
        self.expect(Who::Mia, "the word that it is overdue", |mail| {
            mail.subject.contains("OVERDUE")
        })?;
        self.stage.say("It is approved late, leaves once, and says so.");
        self.command(Who::Tom, &draft, "/approve final@1")?;
        for who in Who::DISTRIBUTORS {
            let notice =
                self.expect(who, "the final notice", |mail| mail.subject.contains("Reminder"))?;
            sealed_by_desk(&notice)?;
            if !notice.text.contains("This notice is LATE") {
                return fail("a late notice does not say so");
            }
        }
        Ok(())
    }

    fn release(&mut self, handle: &str) -> Told {
        self.stage
            .say("The day: the gate opens, the announcement leaves, it is recorded as public.");
        self.none(&[Who::List], "an announcement before the gate", |_| true)?;
        let mia = self.latest(Who::Mia, handle)?;
        self.seconded(&mia, "/done binaries")?;
        if self.stage.pace().t_is_ahead {
            self.none(&[Who::List], "an approved announcement before its moment", |_| true)?;
        }
        let public = self.expect(Who::List, "the announcement", |mail| {
            mail.subject.contains("Security release")
        })?;
        if public.protection != Protection::Signed || !public.by_desk {
            return fail("the announcement is not signed by the desk");
        }
        if public.text.contains(handle) || public.text.contains(CANARY) {
            return fail("the announcement says more than was released");
        }
        self.confirmed(Who::Mia, &mia, "/published")?;
        Ok(())
    }

    fn retrospective(&mut self, handle: &str) -> Told {
        self.stage.say("The retrospective, and the end of the incident.");
        let mia = self.latest(Who::Mia, handle)?;
        self.command(Who::Mia, &mia, "/preview retrospective\n/approve retrospective@1")?;
        let past = self.stage.pace().past_retrospective;
        self.stage.pass(past)?;
        for who in [Who::Mia, Who::Tom] {
            let mail = self
                .expect(who, "the retrospective", |mail| mail.subject.contains("Retrospective:"))?;
            sealed_by_desk(&mail)?;
        }
        self.confirmed(Who::Mia, &mia, "/close")?;
        let while_ = self.stage.pace().a_while;
        self.stage.pass(while_)?;
        // Each notice came once, whatever happened on the way.
        for who in Who::DISTRIBUTORS {
            for subject in ["Advance notice", "Date changed", "Reminder"] {
                let count = self
                    .stage
                    .mailbox(who)?
                    .iter()
                    .filter(|mail| mail.subject.contains(subject))
                    .count();
                if count != 1 {
                    return fail(format!("{} got `{subject}` {count} times", who.id()));
                }
            }
        }
        Ok(())
    }
}

fn sealed_by_desk(mail: &Read) -> Told {
    if mail.protection != Protection::Both || !mail.by_desk {
        return fail(format!("`{}` is not sealed and signed by the desk", mail.subject));
    }
    if mail.outer_subject != "[...]" {
        return fail(format!("`{}` shows a subject outside: {}", mail.subject, mail.outer_subject));
    }
    Ok(())
}
