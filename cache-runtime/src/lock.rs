//! Locks that are held for a moment by many threads.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::yield_now;

/// The number of times that a thread gives way before it sleeps.
const YIELDS: usize = 40;

/// Takes a lock that is held for a moment each time. Nothing that panics under it leaves anything half done.
///
/// A thread that sleeps for a lock is woken by the thread before it. If the machine is busy, each waits until the system
/// runs the one before, and a hundred threads lose most of a second although the lock is free. Therefore a thread first
/// stays awake and lets others run.
pub(crate) fn briefly<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    for _ in 0..YIELDS {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => yield_now(),
        }
    }
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
