//! Plays desks by the thousand, on all cores: see `scripts/simulate`.
//!
//! `--days N` incident-days at least, `--seed S` the first history; `--one S` tells one history from its beginning;
//! `--stops` stops the machine at each call of one report's story; `--earnest S` plays one history with real OpenPGP;
//! `--planted [NAME]` plants defects and says which are found.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a simulation that cannot go on should stop; it is measured, and that needs the time"
)]

mod planted;
#[path = "../../simulation/mod.rs"]
mod simulation;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use simulation::run::{DAYS, Ended, Sum, play, play_in_earnest};
use simulation::shrink::shrunk;
use simulation::{oracle, plan, stops};

/// A desk in memory does little but to allocate.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn argument(name: &str) -> Option<u64> {
    let mut all = std::env::args().skip_while(|argument| argument != name);
    all.nth(1)?.parse().ok()
}

/// One history in so many is played with real OpenPGP.
const IN_EARNEST: u64 = 100;

fn tell(ended: &Ended) -> ExitCode {
    ended.story.iter().for_each(|line| println!("{line}"));
    println!("{:?}", ended.sum);
    match &ended.broken {
        None => ExitCode::SUCCESS,
        Some(broken) => {
            println!("BROKEN: {broken}");
            ExitCode::FAILURE
        }
    }
}

/// The machine stops before and after each call that writes, in one report's story.
fn stops() -> ExitCode {
    let whole = stops::whole();
    println!("One report, {} calls that write: {}", whole.sum.writes, whole.sum);
    let next = AtomicU64::new(1);
    let bad = AtomicU64::new(u64::from(whole.broken.is_some()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let call = next.fetch_add(1, Ordering::SeqCst);
                    if call > whole.sum.writes {
                        return;
                    }
                    eprint!("\r{call:>6} of {} ", whole.sum.writes);
                    for after in [false, true] {
                        if let Some(broken) = stops::stopped(call, after).broken {
                            bad.fetch_add(1, Ordering::SeqCst);
                            println!("\nstopped at call {call}, after it: {after}: {broken}");
                        }
                    }
                }
            });
        }
    });
    let bad = bad.into_inner();
    println!("\n{} histories, {bad} that break a promise", 2 * whole.sum.writes);
    if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A failing history as a story: the steps that it takes, then all that happens.
fn story(seed: u64, broken: &oracle::Broken) {
    let steps = plan::drawn(seed, DAYS);
    println!("\nSeed {seed}: {broken}");
    if seed.is_multiple_of(IN_EARNEST) && play(seed, &steps, DAYS, false).broken.is_none() {
        println!("It holds without real OpenPGP: `--earnest {seed}` tells it.");
        return;
    }
    println!("{} steps; looking for the fewest that it takes ...", steps.len());
    let (fewest, broken) = shrunk(seed, &steps, DAYS, broken);
    println!("These {} do:", fewest.len());
    fewest.iter().for_each(|step| println!("  {step}"));
    println!("What happens:");
    let ended = play(seed, &fewest, DAYS, true);
    let skipped = ended.story.len().saturating_sub(40);
    ended.story.iter().skip(skipped).for_each(|line| println!("  {line}"));
    println!("  {broken}");
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--planted") {
        let only = arguments.get(at + 1).filter(|name| !name.starts_with("--"));
        return planted::planted(only.map_or("", String::as_str));
    }
    let short = arguments.iter().any(|argument| argument == "--short");
    if let Some(seed) = argument("--one") {
        return tell(&play(seed, &plan::drawn(seed, DAYS), DAYS, true));
    }
    if let Some(seed) = argument("--earnest") {
        return tell(&play_in_earnest(seed, &plan::drawn(seed, DAYS), DAYS, true));
    }
    if arguments.iter().any(|argument| argument == "--stops") {
        return stops();
    }
    let wanted = argument("--days").unwrap_or(10_000);
    let first = argument("--seed").unwrap_or(1);
    let begun = Instant::now();
    let next = AtomicU64::new(first);
    let played: Mutex<(f64, Sum)> = Mutex::default();
    let found: Mutex<BTreeMap<u64, oracle::Broken>> = Mutex::default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while played.lock().unwrap().0 < wanted as f64 && found.lock().unwrap().is_empty() {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    let steps = plan::drawn(seed, DAYS);
                    let ended = match seed.is_multiple_of(IN_EARNEST) {
                        true => play_in_earnest(seed, &steps, DAYS, false),
                        false => play(seed, &steps, DAYS, false),
                    };
                    let mut played = played.lock().unwrap();
                    played.0 += ended.sum.incident_days;
                    played.1 = played.1.and(ended.sum);
                    let rate = played.0 / begun.elapsed().as_secs_f64();
                    eprint!("\r{:>9.0} of {wanted} incident-days, {rate:.0} a second ", played.0);
                    if let Some(broken) = ended.broken {
                        found.lock().unwrap().insert(seed, broken);
                    }
                }
            });
        }
    });
    let (days, sum) = *played.lock().unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    println!("\n{days:.0} incident-days in {seconds:.0} s, {:.0} a second", days / seconds);
    println!("histories of {DAYS} days: {}", next.load(Ordering::SeqCst) - first);
    println!("{sum}");
    let found = found.into_inner().unwrap();
    for (seed, broken) in &found {
        match short {
            true => println!("Seed {seed}: {broken}"),
            false => story(*seed, broken),
        }
    }
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
