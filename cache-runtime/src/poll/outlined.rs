//! Futures that take no room in the stack frames of the function that awaits them.
//!
//! Cached functions call each other, so a body may run many polls deep, and each level keeps the frames of everything
//! between a call and its body. A future that is awaited in place takes room in the frame of its caller's `poll`, and
//! several times its size in an unoptimized build. The steps of a call before and after its body are therefore boxed
//! where they are made, and polled in a frame of their own, which has returned when the body is polled.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(feature = "tokio")]
use crate::poll::stack::with_room;

/// A future on the heap, polled in a frame of its own.
pub(crate) struct Outlined<F>(Pin<Box<F>>);

/// Makes a future in a frame that ends here. It costs one allocation.
#[inline(never)]
pub(crate) fn outlined<F: Future>(make: impl FnOnce() -> F) -> Outlined<F> {
    Outlined(Box::pin(make()))
}

impl<F: Future> Future for Outlined<F> {
    type Output = F::Output;

    // If this were inlined, its frame would be a part of the caller's.
    #[inline(never)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.0.as_mut().poll(context)
    }
}

/// A body on the heap, polled with room on the stack.
#[cfg(feature = "tokio")]
pub(crate) struct Nested<F>(Pin<Box<F>>);

/// Makes the future of a body like [`outlined`]. The body may itself call cached functions.
#[cfg(feature = "tokio")]
#[inline(never)]
pub(crate) fn nested<F: Future>(make: impl FnOnce() -> F) -> Nested<F> {
    Nested(Box::pin(make()))
}

#[cfg(feature = "tokio")]
impl<F: Future> Future for Nested<F> {
    type Output = F::Output;

    #[inline(never)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        with_room(|| self.0.as_mut().poll(context))
    }
}
