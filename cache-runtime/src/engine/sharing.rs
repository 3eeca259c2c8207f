//! How an error reaches the calls that waited for it.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::poll::caught::caught;

/// How errors of type `E` are given to followers, if at all.
pub struct Errors<E> {
    share: Option<fn(&E) -> Shared>,
    accepts: fn(&Shared) -> bool,
    take: fn(&Shared) -> Option<E>,
}

/// Tells if a copy is an error of this function: another function with its key has other errors.
#[derive(Clone, Copy)]
pub(crate) struct Accepts(fn(&Shared) -> bool);

impl Accepts {
    pub(crate) fn this(self, shared: &Mutex<Shared>) -> bool {
        (self.0)(&lock(shared))
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // A panic in the error's `clone` leaves the error as it is.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A copy of an error, to be copied again.
pub(crate) type Shared = Box<dyn Any + Send>;

impl<E> Errors<E> {
    /// Followers run the body themselves.
    pub fn never() -> Errors<E> {
        Errors { share: None, accepts: |_| false, take: |_| None }
    }

    /// A copy for the followers. It is `None` too if the error's `clone` panics.
    pub(crate) fn share(&self, error: &E) -> Option<Shared> {
        caught(|| self.share.map(|share| share(error))).ok().flatten()
    }

    pub(crate) fn accepts(&self) -> Accepts {
        Accepts(self.accepts)
    }

    /// A copy for one follower; `None` if another function made it, whose errors are others, or if its `clone` panics.
    pub(crate) fn take(&self, shared: &Mutex<Shared>) -> Option<E> {
        caught(|| (self.take)(&lock(shared))).ok().flatten()
    }
}

// A derive would ask for `E: Copy`; function pointers do not.
impl<E> Clone for Errors<E> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<E> Copy for Errors<E> {}

impl<E> std::fmt::Debug for Errors<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Errors")
    }
}

/// Finds out if an error can be shared: `ErrorProbe::<E>::new().errors()`. The inherent method wins over the trait's
/// where its bounds hold. It cannot see a lifetime in `E`, so only types that show none are probed.
#[derive(Debug)]
pub struct ErrorProbe<E>(PhantomData<fn() -> E>);

impl<E> ErrorProbe<E> {
    /// To be followed by `.errors()`.
    #[expect(clippy::new_without_default, reason = "only generated code calls it")]
    pub fn new() -> ErrorProbe<E> {
        ErrorProbe(PhantomData)
    }
}

impl<E: Clone + Send + 'static> ErrorProbe<E> {
    /// The errors are shared.
    pub fn rc_errors(self) -> Errors<E> {
        Errors {
            share: Some(|error| Box::new(error.clone())),
            accepts: |shared| shared.is::<E>(),
            take: |shared| shared.downcast_ref::<E>().cloned(),
        }
    }
}

/// The fallback of [`ErrorProbe`].
pub trait Unshared<E> {
    /// The errors are not shared.
    fn rc_errors(self) -> Errors<E>;
}

impl<E> Unshared<E> for ErrorProbe<E> {
    fn rc_errors(self) -> Errors<E> {
        Errors::never()
    }
}
