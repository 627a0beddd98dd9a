//! Running a program of the operator's, for as long as it may take and no longer.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::Instant;

/// So much of what it says is read.
const SAID_MAX: u64 = 64 * 1024;
/// What it said is read within so long after its end.
const READS: Duration = Duration::from_secs(2);
/// So often it is looked at whether it has ended.
const LOOKED_AT: Duration = Duration::from_millis(20);

/// Runs a program without a shell and gives what it says on its standard output.
///
/// # Errors
/// Why it did not come to a good end, in words that name the program alone: what it says on its error
/// output may be a secret.
pub fn run(words: &[String], patience: Duration) -> Result<String, String> {
    let (name, arguments) = words.split_first().ok_or("no program is named")?;
    let mut child = Command::new(name)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // Whatever it starts ends with it.
        .process_group(0)
        .spawn()
        .map_err(|error| format!("`{name}`: {error}"))?;
    let said = child.stdout.take();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = said.map(|said| said.take(SAID_MAX).read_to_string(&mut text));
        let _ = tell.send(read.is_some_and(|read| read.is_ok()).then_some(text));
    });
    let begun = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if begun.elapsed() < patience => std::thread::sleep(LOOKED_AT),
            Ok(None) | Err(_) => {
                let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
                let _ = child.wait();
                return Err(format!("`{name}` did not end within {} s", patience.as_secs()));
            }
        }
    };
    // A child that it left behind may hold the other end of what is read.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    // One that left its group as well may hold it for ever.
    let text = told.recv_timeout(READS).ok().flatten();
    if !status.success() {
        return Err(format!("`{name}` failed ({status})"));
    }
    text.ok_or_else(|| format!("`{name}` did not say any text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[test]
    fn a_program_says_something_or_why_not() {
        let patience = Duration::from_secs(20);
        assert_eq!(run(&words("echo token"), patience), Ok("token\n".to_owned()));
        let failed = run(&words("echo secret >&2; exit 3"), patience).unwrap_err();
        assert!(failed.contains("exit status: 3") && !failed.contains("secret"), "{failed}");
        assert!(run(&["/nowhere/x".to_owned()], patience).unwrap_err().contains("/nowhere/x"));
        assert!(run(&[], patience).is_err());
    }

    #[test]
    fn one_that_does_not_end_is_ended_with_all_that_it_began() {
        let slow = run(&words("sleep 600 & sleep 600"), Duration::from_millis(100)).unwrap_err();
        assert!(slow.contains("did not end"), "{slow}");
        // One that left the group holds the output open, and is not waited for. It has left when its
        // shell says "up": with a mere `&` it might be ended before it came to leave.
        let left = "exec 3>&1; up=$(setsid sh -c 'sleep 30 >&3 & echo up'); echo $up";
        let gone = run(&words(left), Duration::from_secs(20));
        assert!(gone.is_err(), "{gone:?}");
        // The child that is left holds the output open.
        assert_eq!(
            run(&words("sleep 600 & echo x"), Duration::from_secs(20)),
            Ok("x\n".to_owned())
        );
    }
}
