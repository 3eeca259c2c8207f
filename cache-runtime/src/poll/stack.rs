//! Bounds the stack that deep values take, and makes room for bodies that call cached functions.
//!
//! The stack that a level of a value takes depends on the type: a struct with many fields takes 25 KB in a build
//! without optimizations. A number of levels alone is therefore not a bound.

use std::cell::Cell;

/// The bytes of stack that a walk over a value may take: less than half of the default stack of a Rust thread and of a
/// tokio worker.
const BYTES: usize = 768 * 1024;

/// A position on the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stack(usize);

impl Stack {
    /// The current position.
    #[inline]
    pub(crate) fn here() -> Stack {
        let place = 0_u8;
        Stack(std::ptr::from_ref(std::hint::black_box(&place)).addr())
    }

    /// Tells whether more than [`BYTES`] of stack were used since this position.
    #[inline]
    pub(crate) fn is_spent(self) -> bool {
        self.used() > BYTES
    }

    /// The bytes of stack that were used since this position.
    #[inline]
    pub(crate) fn used(self) -> usize {
        Stack::here().0.abs_diff(self.0)
    }
}

/// The stack that a body finds at least. It suffices for the steps of a call below the body, including the decoding of
/// a deep value.
const ROOM: usize = 1 << 20;

/// The step by which the stack grows if there is less. Untouched pages take no memory.
const GROWTH: usize = 4 << 20;

/// The nesting of bodies up to which the stack grows. An endless recursion then overflows the stack, like it does
/// without a cache, instead of taking all memory.
const MOST: usize = 100_000;

/// The nesting of bodies from which a call that misses runs its body directly.
const DEEP: usize = 10_000;

thread_local! {
    /// The number of bodies on this thread's stack.
    static BODIES: Cell<usize> = const { Cell::new(0) };
}

/// Tells whether calls that miss here must run their bodies directly.
pub(crate) fn is_deep() -> bool {
    BODIES.try_with(Cell::get).unwrap_or_default() >= DEEP
}

/// Runs or polls a body with [`ROOM`] on the stack: the rest of the thread's own stack, or a new segment.
pub(crate) fn with_room<R>(body: impl FnOnce() -> R) -> R {
    let (mut body, mut output) = (Some(body), None);
    nest(&mut || output = body.take().map(|body| body()));
    output.unwrap_or_else(|| unreachable!("the body ran, or unwound"))
}

/// This is compiled once, not for each body.
fn nest(body: &mut dyn FnMut()) {
    struct Nested(usize);
    impl Drop for Nested {
        fn drop(&mut self) {
            let _ = BODIES.try_with(|bodies| bodies.set(self.0));
        }
    }
    // A thread that is ending has no count any more.
    let outer = BODIES.try_with(|bodies| bodies.replace(bodies.get() + 1)).unwrap_or_default();
    let _nested = Nested(outer);
    if outer < MOST { stacker::maybe_grow(ROOM, GROWTH, body) } else { body() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_spent_before_a_thread_overflows() {
        fn level(root: Stack, levels: usize) -> usize {
            let room = std::hint::black_box([0_u8; 4096]);
            if root.is_spent() { levels + usize::from(room[0]) } else { level(root, levels + 1) }
        }
        let walk = || level(Stack::here(), 0);
        let levels = std::thread::Builder::new().stack_size(1 << 20).spawn(walk).expect("a thread").join();
        assert!((50..200).contains(&levels.expect("no overflow")));
    }
}
