//! Whole desks by the thousand: the real engine on a disk that stops, a clock that jumps and servers that fail.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on should stop"
)]

mod simulation;

use simulation::store::Memory;
use simulation::vault::{Card, Glass, Inbound, Outbound};
use simulation::world::{Draws, HandClock, begin, card, sources};

use embargod::domain::facts::names::Span;
use embargod::engine::Engine;
use embargod::ports::store::RawMail;

#[test]
fn a_report_is_acknowledged_and_passed_on() {
    let clock = HandClock::at(begin());
    let people = ["mia", "tom"].map(|id| card(id, begin()));
    let own = Card { address: "security@desk.test".to_owned(), ..card("desk", begin()) };
    let sources = sources(&own, &people);
    let store = Memory::new(begin(), 1);
    let mut engine = Engine::with_vault(
        Box::new(store.clone()),
        Box::new(Glass::new(own.clone())),
        &sources,
        Box::new(clock.clone()),
        Box::new(Draws::from(7)),
    )
    .unwrap();
    engine.gathers();
    clock.pass(Span::seconds(5));
    let mail = Inbound {
        id: "1@people.test".to_owned(),
        from: "rita@people.test".to_owned(),
        text: "Something overflows: canary-1.".to_owned(),
        sealed: true,
        signer: None,
        drawn: 1,
        key: Some(card("rita", begin()).text()),
        automatic: false,
        token: None,
        fate: None,
        answers: Vec::new(),
    };
    let bytes = serde_json::to_vec(&mail).unwrap();
    let at = clock.wall();
    let raw = RawMail { bytes, received: at, arrived: at, oversize: false, junk: false };
    engine.take_in(&[(None, raw)]).unwrap();
    let mut left = Vec::new();
    for _ in 0..20 {
        let turn = engine.turn(Vec::new(), 100).unwrap();
        let ids: Vec<i64> = turn.hand_over.iter().map(|row| row.id).collect();
        let bytes = Engine::in_flight(&engine.store(), &ids);
        for (row, content) in turn.hand_over.into_iter().zip(bytes) {
            let mail: Outbound =
                serde_json::from_slice(&content.unwrap().whole().unwrap()).unwrap();
            left.push((row.recipient.clone(), mail));
            let taken = embargod::domain::outgoing::verdict::Outcome::Accepted("250 ok".into());
            engine.settle_all(&[(row, taken)]).unwrap();
        }
        clock.pass(Span::seconds(1));
    }
    let to = |who: &str| left.iter().filter(|(to, _)| to == who).collect::<Vec<_>>();
    assert_eq!(to("rita@people.test").len(), 1, "{left:#?}");
    let relayed = to("mia@people.test");
    assert!(relayed.iter().any(|(_, mail)| mail.body.contains("canary-1")), "{left:#?}");
    assert!(left.iter().all(|(_, mail)| mail.key.is_some() || !mail.body.contains("canary")));
}
