//! Minder: a report from the first mail to the retrospective; a public one; one that slows down; one
//! that follows another project; a reporter who may not join.

use embargod::domain::facts::names::{PersonId, Span};
use embargod::domain::model::schedule::State;
use embargod::rehearsal::Who;
use embargod::rehearsal::mail::Draft;

use crate::tale::{Cast, Tale};

const CAST: Cast = &[
    (Who::Mia, &["security_team", "lead"], &[]),
    (Who::Tom, &["security_team", "fix_team"], &[]),
    (Who::Ann, &[], &["private_distributors"]),
    (Who::Bob, &[], &["private_distributors"]),
];

const RECORD: &str = "/title Overflow in nested tables\n/set affected 2.0 to 3.1\n/set impact code execution\n\
    /set fixed 3.2\n/set mitigation turn off nested tables\n/set credit Rita\n\
    /set binaries https://example.org/3.2\n/cve CVE-2026-41234";

#[test]
fn minder_from_the_first_mail_to_the_retrospective() {
    let mut tale = Tale::of("minder", CAST);
    tale.scene("A report; within 24 hours the Fix Team");
    tale.report("The parser writes past its buffer.");
    tale.does(Who::Mia, "/accept");
    tale.does(Who::Mia, "/join uma fix_team");
    tale.does(Who::Mia, "/done fix-team");
    tale.scene("Fix development, within 1-7 days");
    tale.waits(Span::days(1));
    tale.does(Who::Mia, "/done advisory");
    tale.does(Who::Mia, RECORD);
    tale.does(Who::Mia, "/cvss CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H");
    // Nobody here assigns numbers: the text is shown, and given to them by the form of the advisory.
    let shown = tale.does(Who::Mia, "/preview request-cve").text.replace('\n', " ");
    assert!(shown.contains("so nothing leaves") && shown.contains("code execution"), "{shown}");
    tale.refused(Who::Mia, "/done request-cve", "is closed by hand with a reason only");
    tale.does(Who::Mia, "/done request-cve by the form of the advisory");
    tale.refused(Who::Mia, "/done plan", "waits for `fix_ready` or `mitigation_ready`");
    tale.does(Who::Tom, "/done fork\n/done fix-ready\n/done agree-day");
    tale.does(Who::Mia, "/done agree-day\n/done plan");
    tale.scene("The day: 16:00 UTC, not on a Friday");
    tale.confirms(Who::Mia, "/disclose 2026-03-20 16:00 UTC");
    tale.second(Who::Mia, "/disclose 2026-03-19", Who::Tom);
    tale.does(Who::Mia, "/preview advance\n/preview final\n/preview announce");
    tale.does(
        Who::Tom,
        "/approve advance@1\n/approve final@1\n/approve announce@1\n/done approve-fix",
    );
    tale.until("2026-03-12T15:59:00Z");
    assert_eq!(tale.count(Who::Ann, "Advance notice"), 0);
    tale.until("2026-03-19T15:00:00Z");
    assert_eq!(tale.count(Who::Ann, "Advance notice"), 1);
    tale.scene("Fix release day");
    tale.second(Who::Mia, "/done binaries", Who::Tom);
    tale.until("2026-03-19T16:01:00Z");
    assert_eq!(tale.count(Who::List, "Security release"), 1);
    tale.does(Who::Mia, "/done merge\n/done chat");
    tale.confirms(Who::Mia, "/published");
    tale.scene("Retrospective, 1-3 days after");
    tale.does(Who::Mia, "/preview retrospective\n/approve retrospective@1");
    tale.waits(Span::days(2));
    tale.does(Who::Mia, "/done share");
    tale.confirms(Who::Mia, "/close");

    tale.scene("The reporter intends to publish, and does not agree to wait");
    tale.report("I will tell the world tomorrow.");
    let handle = tale.world.handle.clone();
    let reference = tale.world.reference_of(Who::Rita, &handle);
    tale.world.sends(Who::Rita, &Draft::sealed(&format!("/publish tomorrow\n\n{reference}\n")));
    tale.does(Who::Mia, "/accept\n/answer private-handling");
    tale.does(Who::Mia, "/set private_denied yes");
    assert!(matches!(tale.state("MI-2.7"), State::Late | State::Due), "all is due now");
    tale.confirms(Who::Mia, "/known-public");
    tale.does(Who::Mia, "/set channel public");
    tale.scene("Who made contact in public does not join");
    let rita = tale.world.stage.keyring(Who::Rita).unwrap().certificate();
    let id = PersonId::parse("uma").unwrap();
    let known = tale.world.stage.engine().unwrap().desk().roster.people[&id].fingerprint.clone();
    assert_ne!(known, rita.fingerprint());
    tale.refused(Who::Mia, "/join reporter fix_team", "MI-2.5");

    tale.scene("Low severity: slowed down, by a decision that names its mail");
    tale.report("A log line shows a file name.");
    tale.does(
        Who::Mia,
        "/accept\n/cvss CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:L/I:N/A:N\n/set risk low",
    );
    tale.refused(Who::Tom, "/done slow-down we talked", "the Message-ID of the mail");
    tale.does(Who::Tom, "/done slow-down <20260325.1@people.test>");
    tale.scene("It follows another project's date");
    tale.does(Who::Mia, "/set upstream 2026-04-09 16:00 UTC");
    tale.refused(Who::Mia, "/done upstream", "once T is that of `upstream`");
    tale.does(Who::Mia, "/disclose 2026-04-09");
    assert!(matches!(tale.state("MI-0.7u"), State::Done(_)));
    tale.end("minder", &["public", "slow"], &[]);
}
