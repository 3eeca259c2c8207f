//! The check of a handler's parameters by their types. The attribute refuses what is spelled as a whole request; this finds
//! the same under another name.

use std::marker::PhantomData;

use axum::Extension;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Request};

use super::taken::{AnyTaken, OfAny, Taken};

/// The probe of a parameter: `extracted(&headers).rc_extracted()` is [`Whole`] for a type that holds more of a request
/// than a key can tell, and else [`Part`].
#[derive(Debug)]
pub struct Extracted<T: ?Sized>(PhantomData<fn(&T)>);

/// Starts the probe.
pub fn extracted<T: ?Sized>(_: &T) -> Extracted<T> {
    Extracted(PhantomData)
}

/// The parameter is a part of the request.
#[derive(Debug)]
pub struct Part;
/// The parameter is more than a key can tell.
#[derive(Debug)]
pub struct Whole;

/// The verdicts; the fallback is one reference further away.
pub trait AnyExtracted: Sized {
    /// The verdict.
    type Verdict;
    /// The verdict.
    fn rc_extracted(self) -> Self::Verdict;
}

impl<T: ?Sized> AnyExtracted for &Extracted<T> {
    type Verdict = Part;
    fn rc_extracted(self) -> Part {
        Part
    }
}

macro_rules! whole {
    ($([$($param:ident)?] $ty:ty;)*) => {$(
        impl $(<$param>)? AnyExtracted for Extracted<$ty> {
            type Verdict = Whole;
            fn rc_extracted(self) -> Whole {
                Whole
            }
        }

        impl $(<$param>)? AnyTaken for &&&Taken<$ty> {
            type Verdict = OfAny;
            fn rc_taken(self) -> OfAny {
                OfAny
            }
        }
    )*};
}
whole! {
    [B] Request<B>;
    [B] &Request<B>;
    [V] HeaderMap<V>;
    [V] &HeaderMap<V>;
    [] Parts;
    [] &Parts;
    [] Extensions;
    [] &Extensions;
    [B] Extension<Request<B>>;
    [V] Extension<HeaderMap<V>>;
    [] Extension<Parts>;
    [] Extension<Extensions>;
    [B] Option<Request<B>>;
    [V] Option<HeaderMap<V>>;
    [] Option<Parts>;
    [] Option<Extensions>;
}

/// The verdict, as a bound.
#[diagnostic::on_unimplemented(
    message = "a key cannot tell what of a `{T}` the response depends on",
    label = "it identifies the client",
    note = "name the headers that the response depends on with `response` and `vary(accept_language)`, or take what matters \
            with an extractor of your own; a function that is no handler can take it by reference"
)]
pub trait IsPart<T: ?Sized> {}
#[diagnostic::do_not_recommend]
impl<T: ?Sized> IsPart<T> for Part {}

/// Starts the probe of a type within that of a parameter.
pub fn type_of<T: ?Sized>() -> Extracted<T> {
    Extracted(PhantomData)
}

/// Compiles where a type within that of a parameter is a part of the request.
pub fn check_type<T: ?Sized, V: IsPart<T>>(_: V) {}

/// Compiles where a parameter is a part of the request.
pub fn check_extracted<T: ?Sized, V: IsPart<T>>(_: &T, _: V) {}
