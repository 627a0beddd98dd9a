//! Whatever T does, each notice leaves once, not before its moment, and none is skipped: hundreds of
//! sequences of moves, holds, drafts and waiting, on the real decisions of the desk.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::too_many_lines,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on should stop"
)]

mod bare;

use std::collections::BTreeMap;

use bare::World;
use embargod::domain::facts::event::Event;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Move(i64),
    Pass(i64),
    Draft,
    Hold,
    Resume,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1_i64..900).prop_map(Step::Move),
        4 => (1_i64..200).prop_map(Step::Pass),
        2 => Just(Step::Draft),
        1 => Just(Step::Hold),
        1 => Just(Step::Resume),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_moves_sends_a_notice_twice_or_skips_one(
        steps in proptest::collection::vec(step(), 1..14), isc in any::<bool>()
    ) {
        let mut world = World::new(if isc { "isc" } else { "minder" });
        world.move_t(400);
        for step in steps {
            match step {
                Step::Move(hours) => world.move_t(hours),
                Step::Pass(hours) => world.pass(hours),
                Step::Draft => world.draft(),
                Step::Hold => world.apply(Some("mia"), Event::Held { notice: None }),
                Step::Resume => world.apply(Some("mia"), Event::Resumed { notice: None, seconded: bare::two() }),
            }
        }
        // In the end everything is let go and approved once more, and time goes by.
        world.apply(Some("mia"), Event::Resumed { notice: None, seconded: bare::two() });
        world.draft();
        world.pass(2_000);
        let incident = &world.desk.incidents[&world.handle];
        for notice in world.notices() {
            let left: BTreeMap<u32, bool> = incident
                .notices
                .get(&notice)
                .map(|n| n.releases.iter().map(|(number, r)| (*number, r.late)).collect())
                .unwrap_or_default();
            prop_assert_eq!(left.len(), 1, "{} left {:?}", notice, left);
        }
    }
}
