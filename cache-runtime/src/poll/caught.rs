//! Catches panics of the code that a function's types and closures supply and the cache runs.

use std::any::{Any, type_name};
use std::fmt;
use std::panic::{self, AssertUnwindSafe};

/// Runs code that may panic. A panic becomes an error of the cache, which the caller of a cached function never sees.
/// The panic hook has already reported it.
///
/// The caller must discard data that the panic left incomplete, such as a buffer or a part of a value.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    let (mut run, mut output) = (Some(run), None);
    catch(&mut || output = run.take().map(|run| run()))?;
    output.ok_or_else(|| Panicked("without a message".into()))
}

/// [`caught`] for code that a type supplies, unless that is known not to panic: then it is run as it is, which is cheaper.
#[inline]
pub(crate) fn caught_unless<O>(is_known: bool, run: impl FnOnce() -> O) -> Result<O, Panicked> {
    if is_known { Ok(run()) } else { caught(run) }
}

/// Returns true for the types of numbers and texts, whose `Serialize` and `Clone` do not panic. The name of any other type
/// begins with its crate, so that none is taken for one of these. The compiler knows the answer.
#[inline]
pub(crate) fn is_plain<T: ?Sized>() -> bool {
    matches!(
        type_name::<T>(),
        "u8" | "u16"
            | "u32"
            | "u64"
            | "u128"
            | "usize"
            | "i8"
            | "i16"
            | "i32"
            | "i64"
            | "i128"
            | "isize"
            | "bool"
            | "char"
            | "str"
            | "&str"
            | "alloc::string::String"
            | "&alloc::string::String"
    )
}

/// Returns true for an `Arc`, whose `Clone` does not panic.
#[cfg(feature = "local")]
#[inline]
pub(crate) fn is_shared<T>() -> bool {
    type_name::<T>().starts_with("alloc::sync::Arc<")
}

/// [`caught`] for a closure that keeps its output. This is compiled once, not for each closure.
pub(crate) fn catch(run: &mut dyn FnMut()) -> Result<(), Panicked> {
    panic::catch_unwind(AssertUnwindSafe(run)).map_err(|payload| Panicked::new(&*payload))
}

/// The message of a panic.
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
