//! Code that a function's types and closures bring along, and that may panic where the cache runs it.

use std::any::Any;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};

/// Runs it. A panic is an error of the cache, which no caller of a cached function sees; the panic hook has told it by
/// then.
///
/// What it leaves half done is thrown away: a buffer, a half of a value.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    panic::catch_unwind(AssertUnwindSafe(run)).map_err(|payload| Panicked::new(&*payload))
}

/// What a panic said.
#[derive(Debug)]
pub(crate) struct Panicked(Box<str>);

impl Panicked {
    #[cold]
    fn new(payload: &(dyn Any + Send)) -> Panicked {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        Panicked(text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("without a message").into())
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it panicked: {}", self.0)
    }
}
