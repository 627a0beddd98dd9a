//! Whether the simulation finds what it is there for: each defect of a list is planted in a copy of the program,
//! which is built and played until a promise is broken.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// So many incident-days are played with each at most.
const DAYS: &str = "200000";
/// What the program is made of.
const PARTS: [&str; 7] =
    ["Cargo.toml", "Cargo.lock", "src", "tests", "templates", "config", "docs"];

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).unwrap();
    for part in PARTS {
        let done = Command::new("cp").arg("-a").arg(from.join(part)).arg(to).status().unwrap();
        assert!(done.success(), "copying {part}");
    }
}

/// Plants those whose names hold a text.
pub(crate) fn planted(only: &str) -> ExitCode {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = home.join("target/planted");
    let list = std::fs::read_to_string(home.join("tests/simulation/planted.toml")).unwrap();
    let list: toml::Table = toml::from_str(&list).unwrap();
    // One copy for all of them: whoever works on the program meanwhile disturbs nothing.
    let tree = place.join("tree");
    copy(home, &tree);
    let (mut found, mut missed) = (0, Vec::new());
    for defect in list["defect"].as_array().unwrap() {
        let of = |key: &str| defect[key].as_str().unwrap();
        if !of("name").contains(only) {
            continue;
        }
        let file = tree.join(of("file"));
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replacen(of("old"), of("new"), 1)).unwrap();
        let begun = Instant::now();
        let seed = defect["seed"].as_integer().unwrap().to_string();
        let played = Command::new("cargo")
            .args(["bench", "--locked", "--quiet", "--bench", "simulate", "--"])
            .args(["--days", DAYS, "--seed", &seed, "--short"])
            .current_dir(&tree)
            .env("CARGO_TARGET_DIR", &place)
            // One line changes from one to the next: what is built fast is found fast.
            .env("CARGO_PROFILE_RELEASE_INCREMENTAL", "true")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "64")
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        std::fs::write(&file, &text).unwrap();
        let said = String::from_utf8_lossy(&played.stdout).into_owned();
        let how = said.lines().find(|line| line.starts_with("Seed ")).unwrap_or("").to_owned();
        let seconds = begun.elapsed().as_secs();
        match played.status.code() {
            Some(1) if !how.is_empty() => {
                found += 1;
                println!("found   {} ({how}; {seconds} s with the build)", of("name"));
            }
            Some(0) => missed.push(of("name").to_owned()),
            other => {
                println!("{}: {other:?}\n{}", of("name"), String::from_utf8_lossy(&played.stderr));
                missed.push(of("name").to_owned());
            }
        }
    }
    missed.iter().for_each(|name| println!("MISSED  {name}"));
    println!("{found} found, {} missed", missed.len());
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
