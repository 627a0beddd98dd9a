//! Small mails that unpack to large ones. Alone in their file and one after the other, since the memory of a
//! whole process is measured.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop"
)]

mod common;

use common::World;
use std::io::Write as _;

use base64::Engine as _;
use embargod::domain::facts::names::{Digest, Span};
use embargod::rehearsal::mail::Draft;
use embargod::rehearsal::{Stage as _, Who};
use sequoia_openpgp::Cert;
use sequoia_openpgp::parse::Parse as _;
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::serialize::stream::Message;
use sequoia_openpgp::types::CompressionAlgorithm;

#[test]
fn what_is_small_and_unpacks_to_much_costs_little() {
    a_bomb_that_is_called_a_key_is_not_unpacked();
    many_that_wait_together_are_not_held_together();
}

/// What unpacks to a hundred times its size is within the measure of one mail. Sixteen of them are opened together,
/// and kept until the last is opened: of each a few times what was sent.
fn many_that_wait_together_are_not_held_together() {
    let mut world = World::new();
    let handles = world.stage.engine().unwrap().desk().incidents.len();
    let desk = Cert::from_bytes(world.stage.desk().armored().as_bytes()).unwrap();
    let file = base64::engine::general_purpose::STANDARD.encode(content());
    let file: Vec<&str> =
        file.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let file = file.join("\r\n");
    let mails: Vec<Vec<u8>> = (0..16).map(|n| packed(&desk, n, &file)).collect();
    let sent: usize = mails.iter().map(Vec::len).sum();
    assert!(sent < 16 * 300_000, "{sent}");
    let before = memory();
    for mail in mails {
        world.stage.deliver("rita@people.test", mail).unwrap();
    }
    world.stage.pass(Span::minutes(1)).unwrap();
    // All of it would be 16 times 8 MiB, beside what opening one on each core takes.
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    assert!(memory() - before < 40 + 60 * cores, "{} MiB more", memory() - before);
    assert_eq!(world.stage.engine().unwrap().desk().incidents.len(), handles + 16);
    let all = world.stage.mailbox(Who::Mia).unwrap();
    let report = all.iter().rev().find(|mail| mail.says("bomb.bin")).unwrap();
    let text = report.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let sum = Digest::of(&content());
    assert!(
        text.contains(&format!("bomb.bin ({} bytes, SHA-256 {sum}): NOT attached", SIZE)),
        "{text}"
    );
    let before = all.len();
    world.sends(Who::Mia, &Draft::answer(report, "/part 1"));
    let all = world.stage.mailbox(Who::Mia).unwrap();
    let part = all[before..].iter().find(|mail| mail.subject.contains("A part of a mail")).unwrap();
    // It is larger than what the desk may pass on, and is named all the same.
    let note = String::from_utf8_lossy(&part.attachments[0].1).into_owned();
    assert!(note.contains(&format!("It has {SIZE} bytes")), "{note}");
}

const SIZE: usize = 8 * 1024 * 1024;

/// Zeros, with a few other bytes so that a packer does not make nothing of them.
fn content() -> Vec<u8> {
    let mut state = 1_u32;
    let byte = |n: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if n % 1_000 < 5 { (state >> 24) as u8 } else { 0 }
    };
    (0..SIZE).map(byte).collect()
}

/// A sealed mail with that in it, packed inside the encryption as GnuPG does.
fn packed(desk: &Cert, n: u32, file: &str) -> Vec<u8> {
    use sequoia_openpgp::serialize::stream::{Armorer, Compressor, Encryptor, LiteralWriter};
    let policy = StandardPolicy::new();
    let keys = desk.keys().with_policy(&policy, None).supported().for_transport_encryption();
    let recipients: Vec<_> = keys.collect();
    let mut sealed = Vec::new();
    let message = Armorer::new(Message::new(&mut sealed)).build().unwrap();
    let message = Encryptor::for_recipients(message, recipients).build().unwrap();
    let message = Compressor::new(message).algo(CompressionAlgorithm::Zlib).build().unwrap();
    let mut literal = LiteralWriter::new(message).build().unwrap();
    let entity = format!(
        "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: text/plain\r\n\r\nBomb {n}.\r\n--m\r\nContent-Type: application/octet-stream; name=bomb.bin\r\nContent-Disposition: attachment; filename=bomb.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n{file}\r\n--m--\r\n"
    );
    literal.write_all(entity.as_bytes()).unwrap();
    literal.finalize().unwrap();
    let sealed = String::from_utf8(sealed).unwrap();
    format!(
        "From: rita@people.test\r\nTo: security@desk.test\r\nSubject: ...\r\nDate: Mon, 2 Mar 2026 09:00:00 +0000\r\nMessage-ID: <bomb{n}@people.test>\r\nContent-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n{sealed}\r\n--b--\r\n"
    )
    .into_bytes()
}

/// A few kilobytes that would be gigabytes once they are unpacked are no revocation to look for.
fn a_bomb_that_is_called_a_key_is_not_unpacked() {
    use sequoia_openpgp::serialize::stream::{Compressor, LiteralWriter};
    let mut packed = Vec::new();
    let message = Compressor::new(Message::new(&mut packed))
        .algo(CompressionAlgorithm::BZip2)
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
