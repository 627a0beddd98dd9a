//! A mail of the desk to itself, there and back: whether its address is where mail comes in, with a word after a plus
//! as well, in which folder it ends up, and what the server says of its sender.

use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox as Named, Message};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::{Config, Finding, Level};
use crate::domain::facts::event::{Purpose, Recipient};
use crate::domain::facts::names::{Moment, Span, base32};
use crate::domain::outgoing::mail::Label;
use crate::domain::outgoing::tries::Tries;
use crate::domain::outgoing::verdict::Outcome;
use crate::edge::imap::glance::{Found, Glance};
use crate::edge::random;
use crate::edge::smtp::Courier;
use crate::error::{Fault, Place};
use crate::ports::store::{Content, Outgoing};

/// So often it is looked for.
const LOOKS_APART: Duration = Duration::from_millis(700);
/// So far a clock may be wrong and nobody is told.
const APART: Span = Span::seconds(90);
/// What a mail of the desk has beside what it passes on.
const AROUND: u64 = 64 * 1024;

/// A mail that is on its way.
struct Sent {
    to: String,
    id: String,
    at: Moment,
}

fn finding(level: Level, place: &str, what: String, next: &str) -> Finding {
    Finding::new(level, place, what, next)
}

/// Logs in to both servers and looks at the folders; and, where it may, sends two mails and waits for them.
///
/// # Errors
/// When the runtime cannot be made.
pub(super) fn findings(
    config: &Config,
    clock: impl Fn() -> Moment,
    wait: Option<Duration>,
) -> Result<Vec<Finding>, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .at(|| "runtime".to_owned())?;
    runtime.block_on(async {
        let server = &config.mailbox.server;
        let place = format!("[imap] {}:{}", server.host, server.port);
        let mut findings = Vec::new();
        let mut glance = match logged_in(&place, "imap", Glance::at(&config.mailbox).await) {
            Ok(glance) => Some(glance),
            Err(wrong) => {
                findings.push(wrong);
                None
            }
        };
        if let Some(glance) = &mut glance {
            findings.push(Finding::ok(place.clone(), "logged in over TLS"));
            findings.extend(folders(config, glance, &place).await);
        }
        // A mail that would not be found again would be left for a desk to find.
        let opened = !findings.iter().any(Finding::is_wrong);
        let (sent, said) = posted(config, &clock, opened && wait.is_some()).await;
        findings.extend(said);
        if let Some(mut glance) = glance {
            findings
                .extend(back(config, &mut glance, (sent, wait.unwrap_or_default()), clock).await);
            glance.close().await;
        }
        Ok(findings)
    })
}

fn logged_in<T>(place: &str, section: &str, result: Result<T, Fault>) -> Result<T, Finding> {
    result.map_err(|fault| {
        let next = match fault.next.as_str() {
            "" => format!("look at [{section}]: host, port, tls, ca_file"),
            next => next.to_owned(),
        };
        Finding::new(Level::Wrong, place, fault.what, next)
    })
}

async fn folders(config: &Config, glance: &mut Glance, place: &str) -> Vec<Finding> {
    let (closed, marks) = match glance.open().await {
        Ok(opened) => opened,
        Err(fault) => return vec![Finding::new(Level::Wrong, place, fault.what, fault.next)],
    };
    let mut findings = Vec::new();
    for (name, why) in closed {
        let level = if name == config.mailbox.folder { Level::Wrong } else { Level::Warn };
        let what = format!("the folder `{name}` cannot be opened: {why}");
        let next = "name a folder that is there in [imap], or make it";
        findings.push(finding(level, place, what, next));
    }
    let own = own_mark(config);
    for mark in marks.into_iter().filter(|mark| own.as_ref() != Some(mark)) {
        let what =
            format!("another desk has been at work on this mailbox: it marks mails with `{mark}`");
        let next = "let one desk have a mailbox: two acknowledge and pass on the same report twice. After a new `embargod init` this is the old desk's mark";
        findings.push(finding(Level::Warn, place, what, next));
    }
    findings
}

/// The keyword of this desk, where its store opens.
fn own_mark(config: &Config) -> Option<String> {
    use crate::ports::store::Journal as _;
    let key = config.open_store().ok()?.secrets().ok()?.ref_key;
    Some(crate::engine::mark_of(&key))
}

/// Logs in to the mail server, and hands it two mails to ourselves.
async fn posted(
    config: &Config,
    clock: &impl Fn() -> Moment,
    sends: bool,
) -> (Vec<Sent>, Vec<Finding>) {
    let (server, own) = (&config.smtp.server, &config.sources.settings.address);
    let place = format!("[smtp] {}:{}", server.host, server.port);
    let mut courier = Courier::new(server.clone(), own.clone());
    if let Err(wrong) = logged_in(&place, "smtp", courier.connect().await) {
        return (Vec::new(), vec![wrong]);
    }
    let mut findings = vec![Finding::ok(place.clone(), "logged in over TLS")];
    let wanted = u64::from(config.sources.settings.relay_bytes).saturating_add(AROUND);
    if let Some(Some(largest)) = courier.largest()
        && largest < wanted
    {
        let what = format!(
            "it takes no mail over {largest} bytes, and `relay_bytes` lets mails have {wanted}"
        );
        let next = format!("write `relay_bytes = {}` in [limits]", largest.saturating_sub(AROUND));
        findings.push(Finding::new(Level::Warn, place.clone(), what, next));
    }
    let mut sent = Vec::new();
    let plus = random::<5>().map(|bytes| base32(&bytes, 8).to_ascii_lowercase());
    let plus = plus.map(|word| format!("{}+check-{word}@{}", own.local(), own.domain()));
    for to in [Ok(own.to_string()), plus].into_iter().flatten().filter(|_| sends) {
        let at = clock();
        match mail_to(own.as_str(), &to, at) {
            Ok((row, bytes)) => {
                let id = row.message_id.clone();
                let content = async { Ok(Content::Here(bytes)) };
                let outcome = courier.hand_over(&row, content, || {}, &Notify::new()).await;
                match words(&outcome) {
                    None => sent.push(Sent { to, id, at }),
                    Some(said) => {
                        let what = format!("it does not take a mail from us to {to}: {said}");
                        let next = "see that `user` may send as the desk's address, and that the host delivers addresses with a plus";
                        findings.push(finding(Level::Wrong, &place, what, next));
                    }
                }
            }
            Err(fault) => {
                findings.push(Finding::new(Level::Wrong, place.clone(), fault.what, fault.next))
            }
        }
    }
    courier.close().await;
    (sent, findings)
}

/// Why a mail was not taken, if it was not.
fn words(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Accepted(_) => None,
        Outcome::Said(_, said) | Outcome::Never(said) | Outcome::Broken(said) => Some(said.clone()),
        Outcome::Unknown | Outcome::Untried => Some("no answer".to_owned()),
    }
}

/// A mail that says nothing of anybody.
fn mail_to(own: &str, to: &str, at: Moment) -> Result<(Outgoing, Vec<u8>), Fault> {
    let place = || "a mail to ourselves".to_owned();
    let domain = own.rsplit('@').next().unwrap_or_default();
    let id = base32(&random::<20>()?, 32).to_ascii_lowercase();
    let id = format!("check.{id}@{domain}");
    let from: Named = own.parse().at(place)?;
    let message = Message::builder()
        .from(from)
        .to(to.parse().at(place)?)
        .subject("A mail of the desk to itself")
        .message_id(Some(format!("<{id}>")))
        .date(at.into())
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ))
        .body("Sent by `embargod check`, which removes it once it is there.\r\n".to_owned())
        .at(place)?;
    let bytes = message.formatted();
    let row = Outgoing {
        id: 0,
        message_id: id,
        label: Label {
            about: None,
            to: Recipient::Reporter,
            purpose: Purpose::ClockProbe,
            key: None,
        },
        return_token: "check".to_owned(),
        recipient: to.to_owned(),
        written: at,
        size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        attempts: 0,
        tries: Tries::default(),
        unwanted: false,
        in_flight: false,
    };
    Ok((row, bytes))
}

/// Waits for what was sent, and removes it.
async fn back(
    config: &Config,
    glance: &mut Glance,
    (sent, wait): (Vec<Sent>, Duration),
    clock: impl Fn() -> Moment,
) -> Vec<Finding> {
    let (mut findings, mut missing) = (Vec::new(), sent);
    let end = Instant::now() + wait;
    let begun = Instant::now();
    while !missing.is_empty() && Instant::now() < end {
        let mut still = Vec::new();
        for mail in missing {
            match glance.find(&mail.id).await {
                Ok(Some(found)) => {
                    findings.extend(arrived(config, &mail, &found, begun.elapsed(), clock()));
                    if let Err(fault) = glance.remove(&found).await {
                        let what =
                            format!("the mail to ourselves cannot be removed: {}", fault.what);
                        findings.push(finding(
                            Level::Note,
                            "a mail to ourselves",
                            what,
                            "remove it by hand",
                        ));
                    }
                }
                Ok(None) => still.push(mail),
                Err(fault) => {
                    findings.push(Finding::new(
                        Level::Wrong,
                        "a mail to ourselves",
                        fault.what,
                        fault.next,
                    ));
                    return findings;
                }
            }
        }
        missing = still;
        if !missing.is_empty() {
            tokio::time::sleep(LOOKS_APART).await;
        }
    }
    findings.extend(missing.iter().map(|mail| lost(config, mail, wait)));
    findings
}

fn is_plus(mail: &Sent) -> bool {
    mail.to.contains('+')
}

fn lost(config: &Config, mail: &Sent, wait: Duration) -> Finding {
    let place = format!("a mail to {}", mail.to);
    let waited = wait.as_secs();
    if is_plus(mail) {
        let what = format!("the server took it, and it is not in the mailbox after {waited} s");
        let next = "let the host deliver addresses with a plus to the mailbox (\"plus addressing\", \"subaddressing\"): bounces of the desk's mails come to such addresses";
        return Finding::new(Level::Wrong, place, what, next);
    }
    let user = &config.mailbox.server.user;
    let what =
        format!("the server took it, and it is not in the mailbox of `{user}` after {waited} s");
    let next = "see that `address` in [desk] is what people write to, that its mail comes to this mailbox, and that no rule moves it to a folder that the desk does not look at";
    Finding::new(Level::Wrong, place, what, next)
}

fn arrived(
    config: &Config,
    mail: &Sent,
    found: &Found,
    took: Duration,
    now: Moment,
) -> Vec<Finding> {
    let place = format!("a mail to {}", mail.to);
    let mut findings = vec![Finding::ok(
        place.clone(),
        format!("was back in {} after {} ms", found.folder, took.as_millis()),
    )];
    if is_plus(mail) {
        return findings;
    }
    if found.folder != config.mailbox.folder {
        let what = format!("it came to the folder `{}`, where hosts put junk", found.folder);
        let next = "tell the host that mails from the desk's own address are none; reports may lie there as well, and the desk looks";
        findings.push(Finding::new(Level::Warn, place.clone(), what, next));
    }
    if let Some(received) = found.received {
        let apart = received.signed_duration_since(mail.at);
        let limit = APART + now.signed_duration_since(mail.at);
        if apart > limit || apart < -APART {
            let what = format!(
                "this machine's clock and the mail server's are {} s apart",
                apart.num_seconds().abs()
            );
            let next = "set the machine's clock by NTP: notices leave by it, and none leaves while it is not believed";
            findings.push(Finding::new(Level::Warn, "the clock", what, next));
        }
    }
    let by = config.sources.settings.verdicts_of.as_ref();
    findings.extend(by.into_iter().flat_map(|by| verdicts(by, &found.head)));
    findings
}

/// What our own server says of our own mail: what others will say of it.
fn verdicts(by: &str, head: &str) -> Vec<Finding> {
    let unfolded = head.replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " ");
    let value = unfolded.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_it = name.eq_ignore_ascii_case("Authentication-Results")
            && value.split(';').next().is_some_and(|server| server.trim() == by);
        is_it.then(|| value.to_ascii_lowercase())
    });
    let place = format!("what {by} says of our mail");
    let Some(value) = value else {
        let what = "it says nothing of SPF, DKIM and DMARC, as some servers do of their own mail";
        return vec![Finding::ok(place, what)];
    };
    let mut findings = Vec::new();
    for method in ["spf", "dkim", "dmarc"] {
        let said =
            value.split(&[';', ' '][..]).find_map(|word| word.strip_prefix(&format!("{method}=")));
        match said {
            Some("pass") => findings.push(Finding::ok(place.clone(), format!("{method} passes"))),
            Some(other) => {
                let what =
                    format!("{method} is `{other}`: mails of the desk may be taken for forged");
                let next = "let the host of the mailbox set it right in the domain's DNS";
                findings.push(Finding::new(Level::Warn, place.clone(), what, next));
            }
            None => {}
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_own_server_says_of_our_mail_is_read_and_nobody_elses() {
        let of = |head: &str| {
            let all = verdicts("mx.example.org", head);
            all.into_iter().map(|it| (it.level, it.what)).collect::<Vec<_>>()
        };
        let head = "Subject: x\r\nAuthentication-Results: mx.example.org;\r\n\tspf=pass smtp.mailfrom=a;\r\n \
                    dkim=fail (bad) header.d=b; dmarc=none\r\n";
        let all = of(head);
        let levels: Vec<Level> = all.iter().map(|(level, _)| *level).collect();
        assert_eq!(levels, [Level::Ok, Level::Warn, Level::Warn], "{all:?}");
        assert!(all[1].1.starts_with("dkim is `fail`"), "{all:?}");
        // A name that only begins like it, as whoever sends the mail may write, says nothing.
        let others = of("Authentication-Results: mx.example.org.evil.test; spf=fail\r\n");
        assert!(others[0].1.contains("says nothing") && others.len() == 1, "{others:?}");
    }
}
