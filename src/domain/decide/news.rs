//! What a reporter hears without having asked: the day, that it is near, that it is public, that it got out, and
//! the end. In every process, whatever its rows say, since the first answers promise it.

use crate::domain::decide::work::Work;
use crate::domain::decide::{notice, silence};
use crate::domain::facts::event::{Event, Purpose};
use crate::domain::facts::names::{Moment, Span, later};
use crate::domain::model::incident::{Incident, Status};
use crate::domain::model::schedule;
use crate::domain::model::schedule::{Duty, News};
use crate::domain::outgoing::texts::{NewsFacts, SealedFacts};

/// What is older is no news: a desk that was down for long, or did not tell such things before.
const STALE: Span = Span::days(3);

/// Does what is due for the reporter.
pub fn due(work: &mut Work<'_>, duty: &Duty, at: Moment) {
    if let Duty::News(news) = duty {
        tell(work, *news, at);
    } else {
        silence::word_to_reporter(work);
    }
    work.add(Event::Reminded { what: duty.mark(at) });
}

/// Tells the reporter something: with what it is in a copy that is sealed to a key proven theirs, without content
/// otherwise.
pub fn tell(work: &mut Work<'_>, news: News, at: Moment) {
    let Some(incident) = work.incident.clone() else { return };
    let past = incident.t().is_none_or(|t| t <= work.now);
    let is_stale = later(at, STALE) < work.now;
    if is_stale || (matches!(news, News::Date | News::Soon) && past) {
        return;
    }
    let facts = work.clear_facts();
    let news_facts = incident.reporter.key_proven.then(|| facts_of(work, &incident, news));
    let more = SealedFacts { news: news_facts.unwrap_or_default(), ..SealedFacts::default() };
    work.write_reporter(Purpose::Update, news.template(), &facts, &more, work.now);
}

fn facts_of(work: &Work<'_>, incident: &Incident, news: News) -> NewsFacts {
    let field = |name: &str| incident.fields.get(name).cloned().unwrap_or_else(|| "-".to_owned());
    let known = |list: Vec<String>| if list.is_empty() { "-".to_owned() } else { list.join(", ") };
    let t = incident.t().filter(|_| matches!(news, News::Date | News::Soon));
    let is_public = news == News::Public;
    NewsFacts {
        t: t.map(|t| work.say(t)),
        t_day: t.map(notice::short),
        moved: incident.reminded.iter().any(|mark| mark.starts_with(schedule::DATE_TOLD)),
        public: incident.published().filter(|_| is_public).map(|at| work.say(at)),
        title: incident.title.clone().filter(|_| is_public),
        cve: known(incident.cves.iter().map(ToString::to_string).collect()),
        fixed: field("fixed"),
        credit: field("credit"),
        leaked: news == News::Leaked,
    }
}

/// Tells the reporter that the work on what was accepted has ended; and what is due and was not told yet.
pub fn tell_end(work: &mut Work<'_>) {
    let Some(incident) = work.incident.clone() else { return };
    if incident.status != Status::Accepted || incident.reporter.address.is_none() {
        return;
    }
    let mut due = Vec::new();
    schedule::news(&incident, &mut due);
    for (at, news) in due {
        let mark = Duty::News(news).mark(at);
        if news == News::Public && !incident.reminded.contains(&mark) {
            tell(work, news, at);
        }
    }
    let (facts, now) = (work.clear_facts(), work.now);
    let more = SealedFacts::default();
    work.write_reporter(Purpose::Update, "reporter-closed", &facts, &more, now);
}
