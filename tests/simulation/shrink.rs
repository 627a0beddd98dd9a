//! A history that breaks a promise, made as short as it can be told.

use super::oracle::Broken;
use super::plan::Step;
use super::run::play;

/// So many histories are tried for it at most.
const TRIES: usize = 400;

/// The fewest steps found that break the same promise, and how.
pub(crate) fn shrunk(seed: u64, steps: &[Step], days: u32, broken: &Broken) -> (Vec<Step>, Broken) {
    let (mut kept, mut last) = (steps.to_vec(), broken.clone());
    let mut tries = 0;
    let mut size = kept.len().div_ceil(2);
    while size > 0 && tries < TRIES {
        let mut from = 0;
        let mut shorter = false;
        while from < kept.len() && tries < TRIES {
            let mut fewer = kept.clone();
            fewer.drain(from..(from + size).min(kept.len()));
            tries += 1;
            match play(seed, &fewer, days, false).broken {
                Some(again) if again.promise == broken.promise => {
                    (kept, last, shorter) = (fewer, again, true);
                }
                _ => from += size,
            }
        }
        size = if shorter && size > 1 { size } else { size / 2 };
    }
    (kept, last)
}
