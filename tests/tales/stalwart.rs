//! Stalwart: the five phases; one that is exploited; one that waits for the next release; one that is
//! too small for a CVE number.

use embargod::domain::facts::names::Span;
use embargod::domain::model::schedule::State;
use embargod::rehearsal::Who;

use crate::tale::{Cast, Tale};

const CAST: Cast = &[
    (Who::Mia, &["maintainers", "release", "comms"], &[]),
    (Who::Tom, &["maintainers", "dev", "analyst", "docs"], &[]),
    (Who::Ann, &[], &["packagers"]),
    (Who::Bob, &[], &["packagers"]),
];

#[test]
fn stalwart_through_its_phases() {
    let mut tale = Tale::of("stalwart", CAST);
    tale.scene("Phase 1: assessment");
    tale.report("A crafted mail reads another mailbox.");
    tale.refused(Who::Mia, "/done reproduce", "nobody leads yet");
    tale.does(Who::Mia, "/accept\n/take");
    tale.does(Who::Mia, "/done reproduce");
    tale.does(Who::Mia, "/cvss CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N");
    tale.refused(Who::Mia, "/set severity Low", "the score is 7.5 (High)");
    tale.does(Who::Mia, "/set affects_stable yes\n/set has_lts yes\n/set affects_lts no\n/set urgency immediate\n/set root_cause a missing check\n/done root-cause\n/done detailed-response");
    tale.does(Who::Mia, "/title Mailboxes of others\n/set attack_complexity Low\n/set prerequisites none\n/set user_interaction no\n/set email_confidentiality At risk\n/set server_integrity Not affected\n/set service_availability Not affected\n/set est_installations many\n/set affected 0.9.0 to 0.11.2\n/set introduced_in v0.9.0\n/set attack_vector Network\n/set fix_estimate 3 days");
    tale.scene("Phase 2: response");
    tale.does(Who::Tom, "/skip workaround there is none\n/set fixed 0.11.3\n/done patch");
    tale.refused(Who::Tom, "/done tested", "asks by what");
    tale.does(Who::Tom, "/done tested the suite and the reproducer");
    tale.does(Who::Mia, "/done images sha256:0123456789abcdef\n/set impact reading of mail\n/set timeline_adjusted no\n/set workaround no\n/set fix_date 2026-03-04\n/ghsa GHSA-2345-cfgh-jmpq");
    tale.does(Who::Mia, "/preview advisory-update\n/preview advisory-draft");
    tale.scene("Phase 3: impact");
    tale.does(Who::Tom, "/done adoption\n/set est_vulnerable 400 of 500\n/done installations\n/set default_vulnerable yes\n/set exploitation Not found\n/set data_at_risk Email content, Credentials\n/set confidence Medium\n/done indicators");
    tale.waits(Span::days(8));
    tale.does(Who::Tom, "/done indicators");
    tale.scene("Phase 4: before the release");
    tale.does(Who::Mia, "/disclose 2026-03-20 12:00 UTC\n/set credit Rita\n/set binaries https://example.org/0.11.3\n/set mitigation none\n/set notify_distributors yes\n/done cve-request by their form\n/cve CVE-2026-31337");
    tale.does(
        Who::Mia,
        "/preview advance\n/preview release-notes\n/preview forum-draft\n/preview github-draft",
    );
    tale.does(Who::Mia, "/preview advisory-final\n/preview advisory-content\n/preview announce");
    tale.does(Who::Tom, "/approve advance@1\n/approve announce@1\n/done final-patch\n/done docs");
    tale.does(Who::Mia, "/done update-test");
    tale.until("2026-03-17T12:01:00Z");
    assert_eq!(tale.count(Who::Ann, "Advance notice"), 1);
    tale.scene("Phase 4: the release");
    tale.until("2026-03-20T12:01:00Z");
    assert_eq!(tale.count(Who::List, "Security release"), 0, "no gate is open");
    tale.second(Who::Mia, "/done clearance", Who::Tom);
    tale.does(Who::Mia, "/done publish\n/done docker\n/done publish-advisory");
    tale.waits(Span::minutes(1));
    assert_eq!(tale.count(Who::List, "Security release"), 1);
    tale.does(Who::Tom, "/done website");
    tale.confirms(Who::Mia, "/published");
    tale.scene("After");
    tale.does(Who::Mia, "/done monitor\n/set announcement_link https://forum.example/1\n/set adoption_50 9 days\n/set went_well speed\n/set improve tests\n/set action_items fuzz the parser");
    tale.does(Who::Tom, "/done track");
    tale.does(Who::Mia, "/preview lessons\n/approve lessons@1");
    tale.waits(Span::days(3));
    let list = tale.does(Who::Mia, "/checklist").text;
    assert!(
        list.contains("- **Severity Level**: High") && list.contains("- **CVSS Score**: 7.5"),
        "{list}"
    );
    assert!(list.contains("- **Estimated vulnerable installations**: 400/500"), "{list}");
    tale.confirms(Who::Mia, "/close");

    tale.scene("One that was exploited");
    tale.report("Somebody does this already.");
    tale.does(Who::Mia, "/accept\n/take\n/cvss CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H");
    tale.does(Who::Tom, "/set exploitation Found");
    assert_eq!(tale.state("ST-2.3"), State::Late);
    tale.scene("One that can wait, and is too small for a number");
    tale.report("A header is shown in full.");
    tale.does(Who::Mia, "/accept\n/take\n/cvss CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:U/C:L/I:N/A:N\n/set urgency next_cycle");
    assert!(matches!(tale.state("ST-4.15"), State::NotHere(_)));
    assert!(matches!(tale.state("ST-2.1"), State::NotHere(_)));
    tale.does(Who::Mia, "/disclose 2026-05-05 12:00 UTC");
    assert!(matches!(tale.state("ST-1.7"), State::Done(_)));
    tale.end("stalwart", &["active", "next_cycle"], &[]);
}
