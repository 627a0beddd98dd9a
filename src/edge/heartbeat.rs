//! Whoever watches over the desk from elsewhere is called while it is well, and notices when it is not.

use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::edge::https::Asker;
use crate::edge::program;
use crate::error::Fault;

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whom to tell that the desk is well.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    /// An address that is called.
    pub url: Option<String>,
    /// A program that is run.
    pub command: Option<Vec<String>>,
    /// How often.
    pub every: Duration,
    /// Authorities to trust; the system's when none.
    pub ca_file: Option<PathBuf>,
}

/// Whoever calls.
pub struct Caller {
    call: SyncSender<()>,
    wrong: Arc<Mutex<Option<String>>>,
}

impl Caller {
    /// Calls, and does not wait for it. One that is still being called is enough.
    pub fn call(&self) {
        let _ = self.call.try_send(());
    }

    /// Why the last call came to nothing, if it did.
    #[must_use]
    pub fn wrong(&self) -> Option<String> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Heartbeat {
    /// Starts whoever calls, on a thread of their own: what hangs there holds up nothing.
    ///
    /// # Errors
    /// When the authorities to trust cannot be read.
    pub fn caller(&self) -> Result<Caller, Fault> {
        let asker = self.url.as_ref().map(|_| Asker::new(self.ca_file.as_deref())).transpose()?;
        let (call, called) = sync_channel(1);
        let beat = self.clone();
        let told = Arc::new(Mutex::new(None));
        let caller = Caller { call, wrong: Arc::clone(&told) };
        std::thread::spawn(move || {
            let mut failed = false;
            while let Ok(()) = called.recv() {
                let by_url =
                    asker.as_ref().zip(beat.url.as_ref()).map(|(asker, url)| asker.call(url));
                let run = |words: &Vec<String>| program::run(words, PATIENCE).map(drop);
                let by_program = beat.command.as_ref().map(run);
                let wrong = by_url.into_iter().chain(by_program).find_map(Result::err);
                if let (Some(why), false) = (&wrong, failed) {
                    tracing::warn!(event = "heartbeat.failed", why, "The heartbeat is not heard.");
                }
                if wrong.is_none() && failed {
                    tracing::info!(event = "heartbeat.heard", "The heartbeat is heard again.");
                }
                failed = wrong.is_some();
                *told.lock().unwrap_or_else(PoisonError::into_inner) = wrong;
            }
        });
        Ok(caller)
    }
}
