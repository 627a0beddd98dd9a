//! ISC: two incidents in one release, from the first report to the post-mortem, T-5, T-4, T-1 and the
//! day; one that the public knows; one that concerns other vendors and is not BIND.

use embargod::domain::facts::names::Span;
use embargod::domain::model::schedule::State;
use embargod::rehearsal::Who;

use crate::tale::{Cast, Tale};

const CAST: Cast = &[
    (Who::Mia, &["handlers", "support"], &[]),
    (Who::Tom, &["handlers", "sweng", "qa"], &[]),
    (Who::Uma, &["sweng"], &[]),
    (Who::Ann, &[], &["earliest", "asn_customers", "customers"]),
    (Who::Bob, &[], &["asn_customers", "customers"]),
    (Who::Cleo, &[], &["os_packagers", "third_parties", "cna"]),
];

const LINKS: &str = "/set product bind9\n/set advisory_mr isc-private/printing-press!123\n\
    /set chat_channel CVE-2026-41234\n/set support_ticket https://support.example/1\n\
    /set release_checklist #4711\n/set postmortem https://pad.example/2026-03";
const RECORD: &str = "/title Assertion failure in the resolver\n/set affected 9.18.0 to 9.18.32, 9.20.0 to 9.20.4, 9.18.11-S1 to 9.18.32-S1\n\
    /set impact a query stops the server\n/set fixed 9.18.33, 9.20.5\n/set mitigation turn recursion off\n\
    /set credit Rita\n/set binaries https://downloads.example/9.20.5\n/set workaround yes\n\
    /set branches 9.18, 9.20\n/set reproducer_link https://gitlab.example/1\n/set fix_link https://gitlab.example/2";

#[test]
fn isc_from_the_first_report_to_the_post_mortem() {
    let mut tale = Tale::of("isc", CAST);
    tale.scene("Earlier than T-5: a report");
    tale.report("A query stops the server.");
    let first = tale.world.handle.clone();
    tale.does(Who::Mia, "/accept\n/lead me\n/deputy tom");
    assert_eq!(tale.state("ISC-1.2"), State::Due, "a prepared sentence is no answer of a person");
    tale.does(Who::Mia, "/reply\n\nThank you. We can reproduce it and are at work.");
    assert!(matches!(tale.state("ISC-1.2"), State::Done(_)));
    assert!(!matches!(tale.state("ISC-1.3"), State::Done(_)), "a person makes the pad");
    tale.does(Who::Mia, LINKS);
    tale.does(Who::Mia, RECORD);
    tale.does(Who::Mia, "/cve CVE-2026-41234\n/cvss CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H");
    tale.does(
        Who::Uma,
        "/set multi_vendor no\n/done leak-check\n/done reproducer\n/done code-flow\n/done fix",
    );
    tale.refused(Who::Uma, "/done backport", "backport/9.18, backport/9.20");
    tale.does(Who::Uma, "/done reviewed");
    tale.refused(Who::Uma, "/done reviewed", "another person");
    tale.does(Who::Tom, "/done reviewed");
    tale.refused(Who::Mia, "/done advisory", "is not a task that a person does");
    tale.does(Who::Mia, "/preview advisory\n/done docs\n/done advisory-done");

    tale.scene("A second report is fixed by the same release; its number is the lower one");
    tale.report("A zone transfer stops the server.");
    let second = tale.world.handle.clone();
    tale.does(Who::Tom, "/accept\n/lead me\n/set product bind9\n/cve CVE-2026-9999\n/cvss CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:H");
    tale.does(Who::Tom, "/batch 9.20.5");
    tale.on(&first);
    tale.confirms(Who::Mia, "/batch 9.20.5");
    tale.scene("T is the date of the release, and of both");
    tale.confirms(Who::Mia, "/disclose 2026-03-26");
    assert_eq!(
        tale.world.stage.engine().unwrap().desk().incidents[&second].t(),
        tale.world.incident().t()
    );
    tale.does(Who::Mia, "/batch final");
    let list = tale.does(Who::Tom, "/batch").text;
    let (low, high) = (list.find("CVE-2026-9999").unwrap(), list.find("CVE-2026-41234").unwrap());
    assert!(low < high, "in the order of their numbers: {list}");
    tale.does(Who::Tom, "/done changes\n/done merge\n/done backport/9.18\n/skip backport/9.20 the branch has it already");
    tale.does(Who::Tom, "/done patch/9.18\n/done patch/9.20\n/done asn-releases");
    tale.scene("\"Earliest\" notification");
    tale.does(Who::Mia, "/preview earliest");
    tale.refused(Who::Mia, "/approve earliest@1", "your own approval does not count");
    // Support of this incident is Mia alone. Whom she lets join is no second pair of eyes of hers: then
    // everybody on the incident may.
    tale.confirms(Who::Mia, "/join uma support");
    tale.does(Who::Tom, "/approve earliest@1");
    tale.refused(
        Who::Mia,
        "/preview pre-announcement",
        &format!("once for the release, on {second}"),
    );
    tale.refused(Who::Mia, "/preview asn", &format!("once for the release, on {second}"));
    tale.scene("What the First IM sends is one for the release: on its first incident");
    tale.on(&second);
    tale.refused(Who::Mia, "/preview asn", "needs these in the record first: affected");
    tale.does(Who::Tom, "/title Crash on a zone transfer\n/set affected 9.20.0 to 9.20.4\n/set impact a transfer stops the server\n/set fixed 9.20.5\n/set mitigation allow transfers from known servers only\n/set credit Rita\n/set binaries https://downloads.example/9.20.5\n/set workaround yes\n/set branches 9.20");
    tale.does(Who::Tom, "/set fix_link https://gitlab.example/3\n/done fix\n/done reviewed");
    tale.does(Who::Uma, "/done reviewed");
    tale.second_and(
        Who::Tom,
        "/done merge\n/done asn-releases",
        Who::Mia,
        "\n/preview pre-announcement",
    );
    tale.confirms(Who::Mia, "/join uma support");
    let frozen = tale.does(Who::Mia, "/preview asn").text;
    let places =
        ["1 of 2: CVE-2026-9999", "Crash on a zone", "2 of 2: CVE-2026-41234", "Assertion failure"];
    let places = places.map(|words| frozen.find(words).unwrap());
    assert!(places.is_sorted(), "one mail with all, in the order of their numbers: {frozen}");
    tale.does(Who::Tom, "/approve pre-announcement@1\n/approve asn@1");
    tale.scene("T-5, T-4, T-1");
    tale.until("2026-03-19T14:59:00Z");
    assert_eq!(
        (tale.count(Who::Bob, "Advance security"), tale.count(Who::List, "Security release")),
        (0, 0)
    );
    tale.until("2026-03-20T15:05:00Z");
    assert_eq!(
        (tale.count(Who::Ann, "Advance security"), tale.count(Who::List, "Security release")),
        (1, 1),
        "one mail for two vulnerabilities"
    );
    tale.does(Who::Mia, "/done verify they have said so by telephone");
    tale.does(Who::Tom, "/done release-list");
    // Packagers hear from the IM of the first incident that joined the release: Tom.
    tale.refused(Who::Mia, "/preview packagers", "for the First IM");
    tale.does(Who::Tom, "/preview packagers");
    tale.refused(Who::Tom, "/approve packagers@1", "your own approval does not count");
    // Nobody else holds that role: then everybody on the incident may.
    tale.does(Who::Mia, "/approve packagers@1");
    tale.until("2026-03-25T15:05:00Z");
    assert_eq!(tale.count(Who::Cleo, "For packagers"), 1);
    tale.does(Who::Mia, "/done verify-new nobody new");
    tale.on(&first);
    let list = tale.does(Who::Mia, "/checklist").text;
    assert!(list.contains("- [x] (Support) Send ASN to eligible customers"), "{list}");
    assert!(
        list.replace('\n', " ").contains(&format!("for the release on {second}, by tom")),
        "{list}"
    );
    tale.scene("The day of public disclosure");
    tale.does(Who::Mia, "/set document_version 2.0\n/preview advisory-final");
    tale.on(&second);
    tale.does(Who::Tom, "/preview third-parties");
    tale.does(Who::Mia, "/approve third-parties@1");
    tale.on(&first);
    tale.until("2026-03-26T14:30:00Z");
    tale.refused(Who::Tom, "/done clearance", "for the IM");
    tale.refused(
        Who::Mia,
        "/skip clearance we are in a hurry",
        "does not let `clearance` be skipped",
    );
    tale.refused(Who::Mia, "/done publish", "before `publish` come ISC-5.1");
    tale.until("2026-03-26T15:00:30Z");
    tale.second(Who::Mia, "/done clearance", Who::Tom);
    tale.does(Who::Mia, "/done publish\n/done matrix");
    tale.waits(Span::minutes(1));
    assert_eq!(tale.count(Who::Cleo, "Published"), 0, "the other is not out yet");
    tale.on(&second);
    tale.second(Who::Tom, "/done clearance", Who::Mia);
    tale.does(Who::Mia, "/done publish\n/done matrix");
    tale.does(Who::Tom, "/done merge-advisory");
    tale.confirms(Who::Tom, "/published");
    tale.on(&first);
    tale.does(Who::Mia, "/done advisory\n/done advisory-final");
    tale.does(Who::Tom, "/done merge-advisory");
    tale.confirms(Who::Mia, "/published");
    tale.does(Who::Mia, "/preview customers");
    tale.does(Who::Tom, "/approve customers@1");
    tale.on(&second);
    tale.does(Who::Tom, "/preview mitre\n/reply\n\nThank you. It is out.\n");
    tale.does(Who::Mia, "/approve mitre@1");
    tale.on(&first);
    tale.does(Who::Mia, "/answer complete");
    tale.waits(Span::days(1));
    assert_eq!((tale.count(Who::Cleo, "Published"), tale.count(Who::Ann, "Published")), (1, 1));
    tale.does(Who::Tom, "/done meeting\n/done regression-test/9.18\n/done regression-test/9.20");
    let list = tale.does(Who::Mia, "/checklist").text;
    assert!(list.contains("Incident Manager: | mia |") && list.contains("## At T-5"), "{list}");
    assert!(list.contains("- [x] (Support) Send ASN to eligible customers"), "{list}");
    tale.confirms(Who::Mia, "/close");

    tale.scene("Another: not BIND, other vendors, and then the public knows");
    tale.report("A lease file gives away more than it should.");
    tale.does(
        Who::Mia,
        "/accept\n/set product kea\n/set multi_vendor yes\n/set parties vendor-a, vendor-b",
    );
    assert!(matches!(tale.state("ISC-5.3"), State::NotHere(_)));
    tale.does(Who::Tom, "/done party-ready/vendor-a");
    tale.does(Who::Uma, "/done party-ready/vendor-b");
    tale.confirms(Who::Mia, "/known-public");
    assert_eq!(tale.state("ISC-1.15"), State::Late);
    tale.end("isc", &["public"], &[]);
}
