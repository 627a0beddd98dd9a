//! What the system may write down of this process, in which keys and opened reports lie.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// No core dump, no debugger of the same user, and no swapping where the limits allow to ask for that.
/// What cannot be had is said in the log, and stops nothing.
pub fn keep_memory_private() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let dumps = setrlimit(Resource::Core, none);
    // Each by itself: a unit may forbid one of them.
    let behaves = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if let Err(error) = behaves.or(dumps) {
        tracing::warn!(event = "process.core-dump", %error, "A crash may write secrets to a core dump.");
    }
    // A limit would make the next allocation beyond it fail.
    if getrlimit(Resource::Memlock).current.is_none()
        && let Err(error) = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE)
    {
        tracing::debug!(event = "process.unlocked", %error, "Memory is not locked; it may be swapped out.");
    }
}
