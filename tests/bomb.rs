//! A bomb that is called a key. Alone in its file, since the memory of a whole process is measured.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use common::World;
use embargod::rehearsal::Who;
use embargod::rehearsal::mail::Draft;

/// A few kilobytes that would be gigabytes once they are unpacked are no revocation to look for.
#[test]
fn a_bomb_that_is_called_a_key_is_not_unpacked() {
    use sequoia_openpgp::serialize::stream::{Compressor, LiteralWriter, Message};
    use std::io::Write;
    let mut packed = Vec::new();
    let message = Compressor::new(Message::new(&mut packed))
        .algo(sequoia_openpgp::types::CompressionAlgorithm::BZip2)
        .build()
        .unwrap();
    let mut literal = LiteralWriter::new(message).build().unwrap();
    let zeros = vec![0; 1024 * 1024];
    for _ in 0..64 {
        literal.write_all(&zeros).unwrap();
    }
    literal.finalize().unwrap();
    assert!(packed.len() < 64 * 1024, "{}", packed.len());
    let mut world = World::new();
    let mut draft = Draft::plain("a key", "my key");
    draft.attachments.push(("key.asc".to_owned(), packed));
    let before = memory();
    world.sends(Who::Paul, &draft);
    assert!(memory() - before < 48, "{} MiB more", memory() - before);
}

/// The most memory that was used so far, in MiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}
