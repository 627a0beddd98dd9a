//! The restore drill on real servers: a backup is taken while the desk runs, the machine is lost, and the desk goes on
//! at a host of another name from what GnuPG opened. Nothing is lost that lies in the mailbox, and nothing leaves
//! twice. Runs with EMBARGOD_LIVE=1, as `scripts/test` sets it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::too_many_lines,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and says so"
)]

mod live_stack;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use embargod::domain::facts::names::Span;
use embargod::rehearsal::live::{Live, Servers, gpg};
use embargod::rehearsal::mail::{Draft, Read};
use embargod::rehearsal::{Stage, Who};
use live_stack::{PROGRAM, Stack};

fn wait(live: &mut Live, who: Who, from: usize, fits: impl Fn(&Read) -> bool) -> Read {
    loop {
        if let Some(mail) = live.mailbox(who).unwrap().into_iter().skip(from).find(&fits) {
            return mail;
        }
        if !live.step().unwrap() {
            let had = live.mailbox(who).unwrap();
            let had: Vec<&str> = had.iter().map(|mail| mail.subject.as_str()).collect();
            panic!("{} did not get it, but {had:?}", who.id());
        }
    }
}

fn command(live: &Live, arguments: &[&str], input: &[u8]) -> (bool, String) {
    let config = live.desk().join("embargod.toml");
    let mut child = Command::new(PROGRAM)
        .arg("--config")
        .arg(config)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(input);
    let out = child.wait_with_output().unwrap();
    let said = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// A daemon that runs at a host of another name once a file says so.
fn program(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("embargod");
    let text = format!(
        "#!/bin/sh\nif [ -e {0}/moved ] && unshare --uts true 2>/dev/null; then\n  \
         exec unshare --uts sh -c 'hostname elsewhere; exec {PROGRAM} \"$@\"' sh \"$@\"\nfi\nexec {PROGRAM} \"$@\"\n",
        folder.display()
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_desk_goes_on_at_another_host_and_nothing_leaves_twice() {
    let Some(stack) = Stack::start() else { return };
    let servers = Servers::read(&stack.0.join("s/env")).unwrap();
    let operator = |desk: &Path| {
        let path = desk.join("embargod.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("operator"), "somebody has to open it: {text}");
    };
    let narrate = Box::new(|_: &str| {});
    let program = program(&stack.0);
    let mut live =
        Live::with_program(&stack.0.join("d"), servers, None, program, narrate, &operator).unwrap();
    // A report with something large in it, and words on it.
    let mut report = Draft::sealed("The parser overflows.");
    report.with_key = true;
    let large: Vec<u8> =
        (0_u32..90_000).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    report.attachments = vec![("crash.bin".to_owned(), large)];
    live.write(Who::Rita, &report).unwrap();
    let first = wait(&mut live, Who::Mia, 0, |mail| mail.subject.contains("New report"));
    wait(&mut live, Who::Rita, 0, |mail| mail.subject.contains("We received"));
    let folder = stack.0.join("copies");
    std::fs::create_dir(&folder).unwrap();
    let began = Instant::now();
    for _ in 0..2 {
        let (done, said) = command(&live, &["backup", folder.to_str().unwrap()], b"");
        assert!(done && said.contains("and 1 files beside it"), "{said}");
        std::thread::sleep(std::time::Duration::from_millis(1_100));
    }
    let mut names: Vec<_> =
        std::fs::read_dir(&folder).unwrap().flatten().map(|it| it.path()).collect();
    names.retain(|path| path.extension().is_some_and(|ending| ending == "pgp"));
    names.sort();
    assert_eq!(names.len(), 2);
    let large = folder.join("large");
    assert_eq!(std::fs::read_dir(&large).unwrap().count(), 1, "what is large is kept once");
    let file = names.remove(1);
    let (done, said) = command(&live, &["backup", "verify", file.to_str().unwrap()], b"");
    assert!(done && said.contains("1 large files beside it are as they were written"), "{said}");
    println!(
        "two backups and a look at one took {} ms while the desk ran:\n{said}",
        began.elapsed().as_millis()
    );
    // What is done after the backup, and lost with the machine.
    live.write(Who::Mia, &Draft::answer(&first, "/accept")).unwrap();
    wait(&mut live, Who::Mia, 0, |mail| mail.subject.contains("Done: accept"));
    let accepted = live.mailbox(Who::Rita).unwrap().len();
    live.write(Who::Paul, &Draft::plain("Another", "A report in clear.")).unwrap();
    wait(&mut live, Who::Paul, 0, |mail| mail.subject.contains("We received"));
    live.pass(Span::seconds(3)).unwrap();
    live.stop().unwrap();
    std::fs::rename(live.desk(), stack.0.join("lost")).unwrap();
    std::fs::write(stack.0.join("moved"), "").unwrap();
    // Reports go on coming while no machine is there.
    live.write(Who::Rita, &Draft::sealed("And here is one more hole.")).unwrap();
    let began = Instant::now();
    let opened = gpg(&live.home(Who::Mia), &["--decrypt", file.to_str().unwrap()], b"");
    let opened = opened
        .or_else(|_| gpg(&live.home(Who::Uma), &["--decrypt", file.to_str().unwrap()], b""))
        .unwrap();
    let to = live.desk().display().to_string();
    let (done, said) = command(
        &live,
        &["restore", "-", "--to", &to, "--large", large.to_str().unwrap()],
        &opened.out,
    );
    assert!(done && said.contains("is HELD"), "{said}");
    println!("restored in {} ms:\n{said}", began.elapsed().as_millis());
    let before: Vec<usize> = [Who::Rita, Who::Paul, Who::Mia, Who::Tom]
        .map(|who| live.mailbox(who).unwrap().len())
        .to_vec();
    live.kill().unwrap();
    // It takes in what lies there, and says how far the lost history had come.
    let tells = |live: &Live| command(live, &["status"], b"").1;
    let began = Instant::now();
    while !tells(&live).contains("In the mailbox: ") {
        live.pass(Span::milliseconds(300)).unwrap();
        assert!(began.elapsed().as_secs() < 40, "{}", tells(&live));
    }
    let said = tells(&live);
    assert!(said.contains("it was put back on") && said.contains("HELD"), "{said}");
    println!("{said}");
    let held: Vec<usize> =
        [Who::Rita, Who::Paul].map(|who| live.mailbox(who).unwrap().len()).to_vec();
    assert_eq!(held, before[..2], "nobody outside is answered while it is held");
    live.stop().unwrap();
    let (done, said) = command(&live, &["restored", "--yes"], b"");
    assert!(done, "{said}");
    println!("{said}");
    live.kill().unwrap();
    // What came while no machine was there is taken in and answered; what was answered is not again.
    let had = live.mailbox(Who::Rita).unwrap().len();
    wait(&mut live, Who::Mia, before[2], |mail| {
        mail.subject.contains("New report") && mail.text.contains("one more hole")
    });
    live.pass(Span::seconds(6)).unwrap();
    let paul = live.mailbox(Who::Paul).unwrap();
    let times = paul.iter().filter(|mail| mail.subject.contains("We received")).count();
    assert_eq!(times, 1, "Paul is acknowledged once");
    assert_eq!(accepted, before[0], "nothing came to Rita without a desk");
    println!("Rita had {had} mails then, and has {} now", live.mailbox(Who::Rita).unwrap().len());
    // The word of before the restore does not count; it is given again, and counts.
    let begins = live.mailbox(Who::Mia).unwrap().len();
    live.write(Who::Mia, &Draft::answer(&first, "/accept")).unwrap();
    wait(&mut live, Who::Mia, begins, |mail| mail.subject.contains("Done: accept"));
    assert_eq!(live.doubles, 0, "no Message-ID came twice");
    let (whole, said) = command(&live, &["journal", "verify"], b"");
    assert!(whole, "{said}");
    let out = stack.0.join("crash.bin");
    let reference = first.text.lines().find_map(|line| line.strip_prefix("Ref: ")).unwrap();
    let handle = reference.split('/').next().unwrap();
    let (done, said) = command(&live, &["part", handle, "1", out.to_str().unwrap()], b"");
    println!("{said}");
    assert!(done && std::fs::metadata(&out).unwrap().len() == 360_000, "{said}");
}
