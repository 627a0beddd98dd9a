//! Emissary: a private report with a Fix Lead in turn; commits that change; public ones above and
//! below 4.0; the three scopes; one that is fixed in the open; one that slows down.

use embargod::domain::facts::names::Span;
use embargod::domain::model::schedule::State;
use embargod::rehearsal::Who;

use crate::tale::{Cast, Tale};

const CAST: Cast = &[
    (Who::Mia, &["emst", "maintainers"], &[]),
    (Who::Tom, &["emst", "maintainers"], &[]),
    (Who::Cleo, &[], &["cna"]),
];

const HIGH: &str = "/cvss CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H";
const LOW: &str = "/cvss CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:L/I:N/A:N";

#[test]
fn emissary_from_disclosure_to_retrospective() {
    let mut tale = Tale::of("emissary", CAST);
    tale.scene("Private disclosure; it is Mia's turn");
    tale.report("One query stops the proxy.");
    tale.does(Who::Mia, "/take");
    tale.does(Who::Mia, "/accept\n/title A query of death");
    tale.does(Who::Mia, "/done public no, only this mail");
    tale.does(Who::Mia, "/done expertise Uma knows the parser");
    tale.scene("Fix Team organization, within 24 hours");
    tale.confirms(Who::Mia, "/join uma fix_team");
    tale.does(Who::Mia, "/done fix-team\n/done access uma added to the private repo");
    tale.scene("Fix development, within 1-7 days");
    tale.waits(Span::days(1));
    tale.does(Who::Mia, HIGH);
    tale.does(Who::Mia, "/set scope supported\n/set class query_of_death\n/set affected 1.12 to 1.13.9\n/set impact a query stops it\n/set fixed 1.13.10\n/set mitigation block the path\n/set credit Rita\n/set binaries https://example.org/1.13.10\n/set pull_requests https://example.org/pull/1\n/set how_to https://example.org/update");
    tale.refused(Who::Mia, "/done plan", "waits for `fix_ready` or `mitigation_ready`");
    tale.does(Who::Uma, "/done develop");
    tale.does(Who::Uma, "/done fix-ready 0123456789abcdef0123, fedcba9876543210fedc");
    tale.scene("The forthcoming fix, with a date and a time");
    tale.refused(Who::Mia, "/done actionable", "needs these in the record first: t");
    tale.second_and(
        Who::Mia,
        "/disclose 2026-03-12 17:00 UTC\n/done actionable\n/done plan\n/preview forthcoming",
        Who::Tom,
        "\n/approve forthcoming@1",
    );
    tale.waits(Span::minutes(1));
    assert_eq!(tale.count(Who::List, "Security fix on 2026-03-12 17:00 UTC"), 1);
    tale.does(Who::Mia, "/preview cve\n/done post-forthcoming");
    tale.refused(Who::Mia, "/approve cve@1", "your own approval does not count");
    tale.does(Who::Tom, "/approve cve@1");
    tale.scene("Fix release day");
    tale.until("2026-03-12T17:00:30Z");
    assert_eq!(tale.count(Who::Cleo, "Request of a CVE number"), 1);
    tale.does(Who::Mia, "/done pull-request\n/cve CVE-2026-41235\n/preview announce");
    assert_eq!(tale.count(Who::List, "Security release"), 0, "not merged yet");
    let asked = tale.does(Who::Tom, "/done merge 0123456789abcdef0123, aaaabbbbccccddddeeee");
    assert!(asked.says("New: aaaabbbbccccddddeeee"), "{}", asked.text);
    assert_eq!(tale.count(Who::Mia, "ALARM: the commits"), 1);
    tale.does(
        Who::Tom,
        "/approve announce@1\n/done merge fedcba9876543210fedc, 0123456789abcdef0123",
    );
    tale.waits(Span::minutes(1));
    assert_eq!(tale.count(Who::List, "Security release"), 1);
    assert_eq!(tale.count(Who::Uma, "The Fix Team has ended"), 1);
    tale.confirms(Who::Mia, "/published");
    assert_eq!(tale.count(Who::Mia, "Remove the Fix Team"), 1);
    assert!(!matches!(tale.state("EM-6.5"), State::Done(_)), "the repository is a person's");
    tale.does(Who::Mia, "/done EM-6.5\n/done post-release");
    tale.scene("Retrospective, 1-3 days after");
    tale.does(Who::Mia, "/preview retrospective\n/approve retrospective@1");
    tale.waits(Span::days(2));
    tale.does(Who::Tom, "/done feedback");
    tale.does(Who::Mia, "/done share");
    tale.confirms(Who::Mia, "/close");

    tale.scene("Public, at 4.0 and above: all is due; the discloser denies");
    tale.report("It is all over the net.");
    tale.does(Who::Tom, "/take");
    tale.does(Who::Tom, "/accept");
    tale.confirms(Who::Tom, "/known-public");
    assert_eq!(tale.state("EM-3.1"), State::Late, "without a score it counts as one that has");
    tale.does(Who::Tom, HIGH);
    tale.does(Who::Tom, "/answer private-handling\n/set private_denied yes\n/done delete-issue");
    tale.scene("Public below 4.0: the windows stay, and may be longer");
    tale.report("A timing difference, discussed in public.");
    tale.does(Who::Mia, "/take");
    tale.does(Who::Mia, "/accept");
    tale.does(Who::Mia, LOW);
    tale.confirms(Who::Mia, "/known-public");
    assert!(matches!(tale.state("EM-3.1"), State::Upcoming));
    tale.confirms(Who::Mia, "/join uma fix_team");
    tale.does(Who::Uma, "/done slow-down <20260316.1@people.test>");
    tale.scene("Only master");
    tale.report("The next release would have it.");
    tale.does(Who::Tom, "/take");
    tale.does(Who::Tom, "/accept");
    tale.does(Who::Tom, HIGH);
    tale.confirms(Who::Tom, "/set scope main_only");
    tale.does(Who::Tom, "/done blocker milestone 1.14");
    assert!(matches!(tale.state("EM-5.1"), State::NotHere(_)));
    tale.scene("Only unsupported versions; it follows another project");
    tale.report("The old one has it.");
    tale.does(Who::Mia, "/take");
    tale.does(Who::Mia, "/accept");
    tale.does(Who::Mia, HIGH);
    tale.confirms(Who::Mia, "/set scope unsupported_only");
    tale.does(Who::Mia, "/done issue https://github.example/1\n/set upstream 2026-03-30 16:00 UTC\n/disclose 2026-03-30 16:00 UTC");
    assert!(matches!(tale.state("EM-6.4"), State::NotHere(_)));
    tale.scene("Plain resource consumption");
    tale.report("Many requests use much memory.");
    tale.does(Who::Tom, "/take");
    tale.does(Who::Tom, "/accept");
    tale.does(Who::Tom, HIGH);
    tale.confirms(Who::Tom, "/set class resource_consumption");
    assert!(matches!(tale.state("EM-4.2"), State::NotHere(_)));
    tale.end("emissary", &["in_the_open", "main_only", "public", "slow", "unsupported_only"], &[]);
}
