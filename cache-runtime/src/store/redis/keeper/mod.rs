//! The keeper: the thread of a cache for what must not depend on callers' runtimes, which may end, or sleep, while the
//! process lives.
//!
//! A task is a future that is [spawned](Keeper::spawn). With the feature `tokio`, all tasks of a cache share one thread
//! with a runtime of its own; it starts with the first task and ends with the last one. A build for plain functions
//! alone has no runtime: there each task has a thread, and its futures block. This module is the only place where the
//! two differ.
//!
//! - A task holds what belongs to the cache weakly, and only for a moment at a time: it would keep the cache alive.
//! - When the cache is dropped, [`Keeper::end`] ends the thread, and the tasks are dropped where they wait. A task that
//!   has to do something at its end does it in a `Drop`.
//! - A task that panics ends, and the others go on.
//! - After a `fork`, the thread exists in the parent alone. The child starts one of its own with its next task. The tasks
//!   of the parent do not run in the child.

#[cfg(feature = "tokio")]
mod on_runtime;
#[cfg(not(feature = "tokio"))]
mod on_threads;

#[cfg(feature = "tokio")]
pub(crate) use self::on_runtime::{Keeper, Lone, Signal};
#[cfg(not(feature = "tokio"))]
pub(crate) use self::on_threads::{Keeper, Lone, Signal};
