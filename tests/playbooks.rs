//! The loader refuses what it does not understand, with the line; and the schedule keeps its
//! promises whatever T does.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::too_many_lines,
    reason = "a test that cannot go on should stop"
)]

use embargod::domain::facts::names::{Moment, Span};
use embargod::domain::process::calendar;
use embargod::domain::process::offset::{Calendar, Offset};
use embargod::domain::process::playbook;
use embargod::domain::process::playbook::{Playbook, Problem};
use proptest::prelude::*;

fn load(text: &str) -> Result<Playbook, Vec<Problem>> {
    playbook::load(text, &calendar::builtin())
}

const GOOD: &str = r#"[playbook]
id = "p"
version = 1
title = "P"
intake = "team"

[[role]]
id = "team"
label = "team"

[[group]]
id = "distros"
label = "distros"
tlp = "AMBER"

[[group]]
id = "world"
label = "world"
tlp = "CLEAR"
public = ["list@example.org"]

[[task]]
id = "gate"
phase = "a"
title = "Gate"
kind = "gate"
when = { anchor = "received", offset = "+1d" }
origin = "local"

[[task]]
id = "first"
phase = "a"
title = "First"
kind = "draft"
template = "advance"
audience = "distros"
after = ["gate"]
when = { anchor = "T", offset = "-7d" }
src = "1"

[[task]]
id = "second"
phase = "a"
title = "Second"
kind = "draft"
template = "final"
audience = "distros"
when = { anchor = "T", offset = "-24h" }
src = "2"

[[task]]
id = "public"
phase = "a"
title = "Public"
kind = "draft"
template = "announce"
audience = "world"
after = ["gate"]
when = { anchor = "T", offset = "0" }
src = "3"
"#;

#[test]
fn sections_beside_the_rows_are_checked_as_well() {
    for (section, says) in [
        ("[[right]]\nword = \"closse\"\nsecond = true", "the desk has no word `closse`"),
        ("[[right]]\nword = \"help\"\nroles = [\"team\"]", "no playbook rules it"),
        ("[[right]]\nword = \"title\"\nsecond = true", "never asked about"),
        ("[[right]]\nword = \"close\"\nroles = [\"chef\"]", "role `chef`, which is not declared"),
        ("[[right]]\nword = \"close\"", "says nothing"),
        (
            "[[right]]\nword = \"close\"\nsecond = true\n[[right]]\nword = \"Close\"\nsecond = true",
            "stand twice",
        ),
        ("[[right]]\nword = \"close\"\nthird = true", "unknown field `third`"),
        (
            "[assign]\nrole = \"team\"\norder = \"by age\"\nwithin = \"1d\"",
            "order `by age` is not known",
        ),
        ("[assign]\nrole = \"chef\"\norder = \"round_robin\"\nwithin = \"1d\"", "role `chef`"),
        ("[assign]\nrole = \"team\"\norder = \"round_robin\"\nwithin = \"1s\"", "too short"),
        ("[reporter_update]\nevery = \"0\"", "too short"),
        ("[reporter_update]\nevery = \"weekly\"", "is no offset"),
        ("[silence]\nafter = \"-3d\"", "too short"),
    ] {
        let text = format!("{GOOD}\n{section}\n");
        let problems = load(&text).expect_err(section);
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(lines.iter().any(|line| line.contains(says)), "{section}: {lines:?}");
        let first = problems[0].line;
        assert!(first > GOOD.lines().count(), "{section}: line {first}");
    }
}

#[test]
fn broken_playbooks_are_refused_with_their_line() {
    load(GOOD).unwrap();
    for (wrong, instead, line, says) in [
        ("version = 1", "version = \"one\"", 3, "expected u32"),
        ("title = \"P\"", "titel = \"P\"", 4, "unknown field `titel`"),
        ("intake = \"team\"", "intake = \"nobody\"", 1, "intake role `nobody` is not declared"),
        ("id = \"p\"", "id = \"p p\"", 1, "is no id"),
        ("intake = \"team\"", "intake = \"team\"\nzone = \"Mars\"", 1, "is no time zone"),
        ("intake = \"team\"", "intake = \"team\"\nholidays = [\"xmas\"]", 1, "is no date"),
        ("tlp = \"AMBER\"", "tlp = \"PINK\"", 11, "is no TLP 2.0 label"),
        ("tlp = \"CLEAR\"", "tlp = \"GREEN\"", 16, "tlp must be CLEAR"),
        ("list@example.org", "list at example", 16, "is no mail address"),
        ("kind = \"gate\"", "kind = \"door\"", 26, "unknown variant `door`"),
        ("anchor = \"received\"", "anchor = \"receipt\"", 22, "`receipt` is no anchor"),
        ("offset = \"+1d\"", "offset = \"+1 fortnight\"", 22, "is no offset"),
        ("offset = \"+1d\"", "offset = \"+7d..+1d\"", 22, "ends before it begins"),
        ("offset = \"+1d\"", "offset = \"+1d\", at = \"4pm\"", 22, "is no time of day"),
        ("offset = \"+1d\"", "offset = \"+1d\", snip = \"next\"", 27, "unknown field `snip`"),
        ("when = { anchor = \"received\", offset = \"+1d\" }\n", "", 22, "has no anchor"),
        ("origin = \"local\"", "origin = \"local\"\nsrc = \"9\"", 22, "needs either `src`"),
        ("origin = \"local\"", "", 22, "needs either `src`"),
        (
            "origin = \"local\"",
            "origin = \"local\"\nrole = \"chef\"",
            22,
            "role `chef`, which is not declared",
        ),
        ("origin = \"local\"", "origin = \"local\"\nneeds = [\"luck\"]", 22, "needs field `luck`"),
        ("origin = \"local\"", "origin = \"local\"\nsets = \"luck\"", 22, "`luck` is no anchor"),
        ("origin = \"local\"", "origin = \"local\"\nafter = [\"first\"]", 22, "waits for itself"),
        (
            "origin = \"local\"",
            "origin = \"local\"\naction = \"open\"",
            22,
            "`action` belongs to kind `auto`",
        ),
        ("origin = \"local\"", "origin = \"local\"\napprovals = 2", 22, "belong to kind `draft`"),
        (
            "after = [\"gate\"]\nwhen = { anchor = \"T\", offset = \"-7d\" }",
            "after = [\"gat\"]\nwhen = { anchor = \"T\", offset = \"-7d\" }",
            30,
            "after `gat`, which is not there",
        ),
        (
            "template = \"advance\"",
            "template = \"advanced\"",
            30,
            "`advanced` is no template of a notice",
        ),
        (
            "template = \"advance\"",
            "template = \"acknowledgement\"",
            30,
            "is no template of a notice",
        ),
        ("template = \"advance\"", "template = \"announce\"", 30, "go together only"),
        (
            "audience = \"distros\"\nafter",
            "audience = \"friends\"\nafter",
            30,
            "neither a group nor a role",
        ),
        ("offset = \"-24h\"", "offset = \"-9d\"", 41, "earlier than the T-minus row above"),
        (
            "after = [\"gate\"]\nwhen = { anchor = \"T\", offset = \"0\" }",
            "when = { anchor = \"T\", offset = \"0\" }",
            51,
            "comes after no gate",
        ),
        ("id = \"second\"", "id = \"first\"", 41, "names two tasks"),
    ] {
        assert!(GOOD.contains(wrong), "{wrong}");
        let problems = load(&GOOD.replacen(wrong, instead, 1)).expect_err(says);
        let found = problems.iter().find(|problem| problem.message.contains(says));
        let Some(found) = found else { panic!("`{says}` is not said: {problems:?}") };
        assert_eq!(found.line, line, "{says}");
    }
}

/// Rows, fields and branches that a playbook must not have, each added behind a good one.
#[test]
fn what_the_format_knows_is_refused_where_it_makes_no_sense() {
    const ROW: &str = "[[task]]\nid = \"x\"\nphase = \"a\"\ntitle = \"X\"\norigin = \"local\"\n";
    const WHEN: &str = "when = { anchor = \"received\", offset = \"+1d\" }\n";
    let row = |more: &str| format!("{ROW}{WHEN}{more}");
    let own_when = |more: &str, when: &str| format!("{ROW}{more}\nwhen = {{ {when} }}");
    let field = |more: &str| format!("[[field]]\nid = \"f\"\nlabel = \"F\"\n{more}");
    let branch = |more: &str| format!("[[branch]]\nid = \"b\"\ntitle = \"B\"\n{more}");
    let refused = |text: &str, says: &str| {
        let problems = load(&format!("{GOOD}\n{text}\n")).expect_err(text);
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(lines.iter().any(|line| line.contains(says)), "{text}\n{lines:?}");
        assert!(problems[0].line > GOOD.lines().count(), "{text}: line {}", problems[0].line);
    };
    for (text, says) in [
        (row("kind = \"human\"\nif = \"cvss < 4\""), "neither a field nor anything that is known"),
        (row("kind = \"human\"\nif = \"done(y)\""), "asks for row `y`, which is not there"),
        (row("kind = \"human\"\nsets = \"T\""), "only the word `disclose` sets"),
        (row("kind = \"human\"\nsets = \"received\""), "which no row sets"),
        (row("kind = \"human\"\nfact = \"luck\""), "`luck` is no anchor"),
        (row("kind = \"human\"\nfollows = \"upstream\""), "belongs to kind `decide`"),
        (row("kind = \"human\"\nevidence = \"proof\""), "is no type of a field"),
        (row("kind = \"human\"\nescalate = [\"soon lead\"]"), "is no step of an escalation"),
        (row("kind = \"human\"\nescalate = [\"80% chef\"]"), "role `chef`, which is not declared"),
        (row("kind = \"human\"\npeople = 2"), "belongs to a gate"),
        (row("kind = \"gate\"\nagree = [\"team\", \"team\"]"), "cannot be opened"),
        (row("kind = \"record\"\nfan_out = \"branches\""), "belongs to what people do"),
        (row("kind = \"human\"\nfan_out = \"planets\""), "unknown variant `planets`"),
        (row("kind = \"human\"\nsame_as = \"gate\"\nevidence = \"url\""), "compares its evidence"),
        (row("kind = \"auto\"\naction = \"tell\""), "`to` names the role"),
        (row("kind = \"auto\"\naction = \"verify\""), "`of` names the notice"),
        (row("kind = \"auto\"\naction = \"verify\"\nof = \"gate\""), "which is no notice"),
        (row("kind = \"draft\"\naudience = \"reporter\""), "a prepared `answer`"),
        (
            row("kind = \"draft\"\naudience = \"reporter\"\nanswer = \"hello\""),
            "no prepared answer `hello`",
        ),
        (
            own_when("kind = \"gate\"", "anchor = \"fix_confirmed\", offset = \"0\""),
            "gate that nobody can open",
        ),
        (
            own_when("kind = \"human\"", "anchor = \"T\", offset = \"-7d\", roll = \"later\""),
            "\"earlier\" or not at all",
        ),
        (
            own_when("kind = \"human\"", "anchor = \"T\", offset = \"-7d\", roll = \"earlier\""),
            "needs `at`",
        ),
        (own_when("kind = \"human\"", "anchor = \"T\", offset = \"..\""), "has no end at all"),
        (
            own_when("kind = \"human\"", "anchor = \"received\", until = \"public\""),
            "`until` belongs to `repeat`",
        ),
        (
            own_when("kind = \"gate\"", "anchor = \"received\", repeat = \"7d\""),
            "does not come again",
        ),
        (
            own_when(
                "kind = \"draft\"\ntemplate = \"announce\"\naudience = \"world\"\nafter = [\"gate\"]",
                "anchor = \"T\", offset = \"-1d\"",
            ),
            "would publish before its moment",
        ),
        (field("type = \"enum\""), "`values` belongs to the types"),
        (field("type = \"colour\""), "is no type of a field"),
        (field("anchor = \"upstream\""), "only a `moment` sets an anchor"),
        (field("type = \"moment\"\nanchor = \"T\""), "only a `moment` sets an anchor"),
        (
            field("type = \"enum\"\nvalues = [\"a\"]\ndefault = \"b\""),
            "by default what it cannot be",
        ),
        (field("row = \"nowhere\""), "executes row `nowhere`, which is not there"),
        (branch("if = \"is_set(T)\"\ndo = \"dance\""), "`dance` does nothing"),
        (branch("if = \"is_set(T)\"\ndo = \"stretch\""), "`by` belongs to"),
        (branch("if = \"is_set(T)\"\ndo = \"drop\""), "`rows` and `phases` belong to"),
        (
            branch("if = \"is_set(T)\"\ndo = \"drop\"\nrows = [\"y\"]"),
            "drops row `y`, which is not there",
        ),
        (
            branch("if = \"is_set(T)\"\ndo = \"drop\"\nphases = [\"z\"]"),
            "drops phase `z`, which has no row",
        ),
        ("[checklist]\ntext = \"{{ secret }}\"".to_owned(), "does not have"),
        (
            "[reporter_joins]\nif = \"report.channel == 'x'\"\nrow = \"gate\"".to_owned(),
            "has no meaning here",
        ),
        ("[[role]]\nid = \"reporter\"\nlabel = \"R\"".to_owned(), "no role of the team"),
    ] {
        refused(&text, says);
    }
    for (wrong, instead, says) in [
        (
            "intake = \"team\"",
            "intake = \"team\"\ncalendar = \"moon\"",
            "there is no calendar `moon`",
        ),
        (
            "intake = \"team\"",
            "intake = \"team\"\ntriaged = [\"luck\"]",
            "`triaged` needs field `luck`",
        ),
        ("tlp = \"AMBER\"", "tlp = \"GREEN\"", "is AMBER at most"),
        ("label = \"team\"", "label = \"team\"\nheld_by = \"lead\"", "is held by whoever leads"),
        ("public = [\"list@example.org\"]", "", "is CLEAR and has no public address"),
    ] {
        assert!(GOOD.contains(wrong), "{wrong}");
        let problems = load(&GOOD.replacen(wrong, instead, 1)).expect_err(says);
        assert!(
            problems.iter().any(|problem| problem.message.contains(says)),
            "{says}: {problems:?}"
        );
    }
}

fn moment(seconds: i64) -> Moment {
    Moment::from_timestamp(seconds, 0).unwrap()
}

proptest! {
    #[test]
    fn a_notice_never_moves_later_when_t_moves_earlier(
        t in 1_700_000_000_i64..2_000_000_000, earlier in 0_i64..40 * 86_400, amount in 0..60_i32, unit in 0..6_usize
    ) {
        let offset = Offset::parse(&format!("-{amount}{}", ["s", "m", "h", "d", "w", "bd"][unit])).unwrap();
        let calendar = Calendar::plain(chrono_tz::Europe::Berlin);
        let (first, second) = (moment(t - earlier), moment(t));
        // The same rolled to a working day, at a time of its own.
        let rolled = |t| calendar.roll_earlier(calendar.at(offset.from(t, &calendar), chrono::NaiveTime::from_hms_opt(10, 0, 0).unwrap()));
        prop_assert!(rolled(first) <= rolled(second), "{} {}", rolled(first), rolled(second));
        // On the night that a wall time stands twice or not at all, two T an hour apart may give
        // one moment or be swapped within that hour; never more.
        let slack = Span::hours(1);
        prop_assert!(offset.from(first, &calendar) <= offset.from(second, &calendar) + slack);
        prop_assert!(offset.from(second, &calendar) <= second + slack);
    }

    #[test]
    fn business_days_never_land_on_a_day_off(t in 1_700_000_000_i64..2_000_000_000, amount in 1..60_i32, way in 0..2_usize) {
        let offset = Offset::parse(&format!("{}{amount}bd", ["-", "+"][way])).unwrap();
        for zone in [chrono_tz::Tz::UTC, chrono_tz::Europe::Berlin, chrono_tz::America::New_York] {
            let calendar = Calendar::plain(zone);
            let day = offset.from(moment(t), &calendar).with_timezone(&zone).date_naive();
            prop_assert!(calendar.is_work_day(day), "{day}");
        }
    }
}
