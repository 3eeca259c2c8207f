//! The check of what a key takes of an extractor. Where the return type says that a function is a handler, the attribute does
//! it by the spelling of the key alone; elsewhere, the type of the parameter decides.

use std::marker::PhantomData;

use axum::extract::FromRequestParts;

/// The probe of a parameter of which the key has a part alone: `(&&&taken(&user)).rc_taken()` is [`OfRequest`] for an extractor
/// that any router can use, unless it is refused for more than that, and else [`OfAny`].
#[derive(Debug)]
pub struct Taken<T: ?Sized>(PhantomData<fn(&T)>);

/// Starts the probe.
pub fn taken<T: ?Sized>(_: &T) -> Taken<T> {
    Taken(PhantomData)
}

/// The parameter is no extractor, or another check refuses it.
#[derive(Debug)]
pub struct OfAny;
/// The parameter is an extractor.
#[derive(Debug)]
pub struct OfRequest;

/// The verdicts; each fallback has one reference fewer.
pub trait AnyTaken: Sized {
    /// The verdict.
    type Verdict;
    /// The verdict.
    fn rc_taken(self) -> Self::Verdict;
}

impl<T: FromRequestParts<()>> AnyTaken for &&Taken<T> {
    type Verdict = OfRequest;
    fn rc_taken(self) -> OfRequest {
        OfRequest
    }
}

impl<T: ?Sized> AnyTaken for &Taken<T> {
    type Verdict = OfAny;
    fn rc_taken(self) -> OfAny {
        OfAny
    }
}

/// The verdict, as a bound.
#[diagnostic::on_unimplemented(
    message = "the key has a part of a `{T}` alone, which is taken from a request",
    label = "requests that differ in the rest share an entry",
    note = "mention all of it, or say with `skip(…)` that the result does not depend on the rest; a function that is no \
            handler can take it by reference"
)]
pub trait TakesAll<T: ?Sized> {}
#[diagnostic::do_not_recommend]
impl<T: ?Sized> TakesAll<T> for OfAny {}

/// Compiles where a parameter is no extractor.
pub fn check_taken<T: ?Sized, V: TakesAll<T>>(_: &T, _: V) {}
