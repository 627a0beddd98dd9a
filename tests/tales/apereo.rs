//! Apereo: confirmed, with three weeks of grace between release and details; one that is invalid; a
//! zero day.

use embargod::domain::facts::names::Span;
use embargod::domain::model::schedule::State;
use embargod::rehearsal::Who;

use crate::tale::{Cast, Tale};

const CAST: Cast = &[
    (Who::Mia, &["team"], &[]),
    (Who::Tom, &["team", "maintainers", "qa"], &[]),
    (Who::Uma, &["release_manager", "umbrella_team"], &[]),
    (Who::Ann, &[], &["distributors"]),
    (Who::Bob, &[], &["distributors"]),
    (Who::Cleo, &[], &["cna"]),
];

#[test]
fn apereo_with_a_grace_before_the_details() {
    let mut tale = Tale::of("apereo", CAST);
    tale.scene("Notice");
    tale.report("A ticket can be used twice.");
    tale.does(Who::Mia, "/done contact-project");
    tale.scene("Confirmed");
    tale.does(Who::Mia, "/accept");
    assert_eq!(tale.count(Who::Uma, "A vulnerability is confirmed"), 1);
    tale.does(Who::Mia, "/title Tickets twice\n/set release_manager uma\n/cvss CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N\n/set affected 6.0 to 6.6.15\n/set impact another's session\n/set fixed 6.6.15.1\n/set mitigation none\n/set credit Rita\n/set binaries https://example.org/6.6.15.1");
    tale.does(Who::Mia, "/preview reserve-cve");
    // It leaves, sealed, to whoever assigns numbers; their answer comes into the thread.
    tale.does(Who::Tom, "/approve reserve-cve@1");
    tale.waits(Span::minutes(1));
    assert_eq!(tale.count(Who::Cleo, "Request of a CVE number"), 1);
    let new = tale.world.says(Who::Cleo, "The number is CVE-2026-41236.");
    let told = new.iter().any(|(who, mail)| *who == Who::Mia && mail.says("CVE-2026-41236"));
    assert!(told, "the answer comes into the thread");
    tale.does(Who::Mia, "/cve CVE-2026-41236\n/done cve");
    tale.scene("T and the grace: released three weeks before the details");
    tale.does(Who::Mia, "/set grace 15bd");
    tale.confirms(Who::Mia, "/disclose 2026-03-31");
    tale.scene("Fix");
    tale.does(Who::Tom, "/done patch\n/done tested");
    assert_eq!(tale.count(Who::Uma, "The fix is confirmed"), 1);
    tale.refused(Who::Tom, "/done commit Fix CVE-2026-41236 in tickets", "tells what it fixes");
    tale.does(Who::Tom, "/done commit Check the use of tickets");
    tale.does(Who::Mia, "/preview advisory\n/approve advisory@1\n/preview advance");
    tale.does(Who::Tom, "/approve advance@1");
    tale.does(Who::Uma, "/done prepare");
    tale.waits(Span::minutes(5));
    assert_eq!(tale.count(Who::Ann, "Advance notice"), 1);
    tale.scene("The release, 15 business days before");
    tale.until("2026-03-10T15:00:30Z");
    tale.does(Who::Uma, "/done release");
    tale.refused(Who::Mia, "/done tickets", "waits for `public`");
    tale.scene("The announcement");
    tale.until("2026-03-30T15:00:00Z");
    tale.second_and(
        Who::Mia,
        "/done clearance\n/preview announce",
        Who::Tom,
        "\n/approve announce@1",
    );
    tale.until("2026-03-31T14:59:00Z");
    assert_eq!(tale.count(Who::List, "Security release"), 0);
    tale.until("2026-03-31T15:00:30Z");
    assert_eq!(tale.count(Who::List, "Security release"), 3, "dev list, users list, oss-security");
    tale.confirms(Who::Mia, "/published");
    tale.scene("After the announcement, and only then");
    tale.does(Who::Mia, "/done pages\n/done tickets\n/set private_ticket https://tracker.example/1\n/done unhide\n/preview mitre\n/preview review\n/approve review@1");
    tale.does(Who::Tom, "/approve mitre@1");
    tale.waits(Span::minutes(1));
    assert_eq!(tale.count(Who::Cleo, "Public: CVE-2026-41236"), 1);
    tale.waits(Span::days(1));
    tale.confirms(Who::Mia, "/close");

    tale.scene("One that is no vulnerability");
    tale.report("The login page is blue.");
    tale.does(Who::Mia, "/reject It is meant to be.");
    assert!(matches!(tale.state("AP-1.2"), State::Done(_)));
    tale.scene("A zero day");
    tale.report("It is in the news.");
    tale.does(Who::Mia, "/accept");
    tale.confirms(Who::Mia, "/known-public");
    assert_eq!(tale.state("AP-3.1"), State::Late);
    tale.does(Who::Mia, "/done zero-day a call at 15:00; Uma cuts the release");
    tale.end("apereo", &["zero_day"], &[]);
}
