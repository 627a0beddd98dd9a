//! The process for a project that has none: from the report to the look back; one that is exploited;
//! one that slows down; one in the open; one that only old versions have.

use embargod::domain::facts::names::Span;
use embargod::domain::model::schedule::State;
use embargod::rehearsal::Who;
use embargod::rehearsal::mail::Draft;

use crate::tale::{Cast, Tale};

const CAST: Cast = &[
    (Who::Mia, &["security_team", "release"], &[]),
    (Who::Tom, &["security_team"], &[]),
    (Who::Ann, &[], &["private_distributors"]),
    (Who::Bob, &[], &["private_distributors"]),
];

#[test]
fn the_process_for_those_who_have_none() {
    let mut tale = Tale::of("default", CAST);
    tale.scene("A report; it is Mia's turn");
    tale.report("The parser writes past its buffer.");
    tale.does(Who::Mia, "/take");
    tale.does(Who::Mia, "/accept\n/title Overflow in nested tables\n/cvss CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H");
    tale.does(Who::Mia, "/set scope supported\n/set affected 2.0 to 3.1\n/set class normal\n/set exploitation not_found\n/set impact code execution\n/set fixed 3.2\n/set mitigation turn off nested tables\n/set credit Rita\n/set binaries https://example.org/3.2\n/set branches 3.0, 3.1");
    tale.does(Who::Mia, "/done request-cve by their form\n/cve CVE-2026-41234");
    tale.confirms(Who::Mia, "/join uma fix_team");
    tale.does(Who::Mia, "/done fix-team\n/done leak-check");
    tale.does(Who::Mia, "/set parties vendor-a");
    tale.does(Who::Tom, "/done party-ready/vendor-a they ship on the day");
    tale.scene("The fix");
    tale.waits(Span::days(2));
    tale.does(Who::Uma, "/done fix-ready 0123456789abcdef0123\n/done reviewed");
    tale.does(Who::Tom, "/done reviewed");
    tale.does(Who::Uma, "/done backport/3.0\n/done backport/3.1");
    tale.scene("The day is agreed; the list is told");
    tale.does(
        Who::Mia,
        "/disclose 2026-03-19\n/done plan\n/preview advance\n/preview final\n/preview announce",
    );
    tale.does(Who::Tom, "/approve advance@1\n/approve final@1\n/approve announce@1");
    tale.until("2026-03-16T17:00:00Z");
    assert_eq!(tale.count(Who::Bob, "Advance notice"), 1);
    assert_eq!(tale.count(Who::Mia, "Who has the notice"), 1);
    tale.does(Who::Tom, "/done verify they have said so by telephone");
    tale.until("2026-03-18T17:00:00Z");
    tale.does(Who::Tom, "/done verify-new");
    tale.scene("The release");
    tale.until("2026-03-19T16:00:30Z");
    assert_eq!(tale.count(Who::List, "Security release"), 0);
    tale.second(Who::Mia, "/done clearance", Who::Tom);
    tale.does(Who::Mia, "/done publish 0123456789abcdef0123");
    tale.waits(Span::minutes(1));
    assert_eq!(tale.count(Who::List, "Security release"), 1);
    assert_eq!(tale.count(Who::Uma, "The fix team has ended"), 1);
    tale.second(Who::Mia, "/published", Who::Tom);
    tale.scene("After");
    tale.does(Who::Tom, "/done tickets\n/answer complete\n/done cve-publish by their form\n/preview retrospective\n/approve retrospective@1\n/set went_well speed\n/set improve tests");
    tale.waits(Span::days(3));
    tale.confirms(Who::Mia, "/close");

    tale.scene("Exploited, and the reporter will publish");
    tale.report("Somebody does this already.");
    tale.does(Who::Tom, "/take");
    let reference = tale.world.reference_of(Who::Rita, &tale.world.handle.clone());
    tale.world.sends(Who::Rita, &Draft::sealed(&format!("/publish on Friday\n\n{reference}\n")));
    tale.does(Who::Tom, "/accept\n/answer private-handling\n/exploited");
    assert_eq!(tale.state("DE-3.2"), State::Late);
    tale.does(
        Who::Tom,
        "/set leaked the patch, to a public mirror, by a wrong push\n/done leak we go public now",
    );
    tale.scene("Low severity: slowed down; it follows another project");
    tale.report("A log line shows a file name.");
    tale.does(Who::Mia, "/take");
    tale.does(
        Who::Mia,
        "/accept\n/set risk low\n/set upstream 2026-04-28 16:00 UTC\n/disclose 2026-04-28",
    );
    tale.confirms(Who::Mia, "/join uma fix_team");
    tale.does(Who::Mia, "/cvss CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:L/I:N/A:N");
    tale.does(Who::Uma, "/done slow-down https://lists.example/thread/1");
    assert!(matches!(tale.state("DE-3.6"), State::Done(_)));
    tale.scene("Plain resource consumption");
    tale.report("Many requests use much memory.");
    tale.does(Who::Tom, "/take");
    tale.does(Who::Tom, "/accept");
    tale.confirms(Who::Tom, "/set class resource_consumption");
    assert!(matches!(tale.state("DE-3.2"), State::NotHere(_)));
    tale.scene("Only old versions have it");
    tale.report("The old one has it.");
    tale.does(Who::Mia, "/take");
    tale.does(Who::Mia, "/accept");
    tale.confirms(Who::Mia, "/set scope unsupported_only");
    assert!(matches!(tale.state("DE-5.3"), State::NotHere(_)));
    tale.end("default", &["hurry", "in_the_open", "slow", "unsupported_only"], &[]);
}
