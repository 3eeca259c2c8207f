//! The part of a call that depends on the types of its function, and how the rest of the engine uses it.
//!
//! Everything that is generic over a function's types is compiled again for each function. The steps of a call are
//! therefore not generic: they run in a future, the *conductor*, that knows keys, leases and bytes alone. If it needs
//! the body, a value or an error, it puts a [`Request`] into [`Requests`] and returns pending. [`Conductor::drive`] answers
//! the request with the [`Typed`] part of the call, and polls the conductor again.
//!
//! The body is polled by `drive`, in no frame of the conductor, so that nested calls take little stack. A future that
//! held the body as a trait object could not tell whether it is `Send`; the conductor holds none, and is always `Send`.

use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tracing::Span;

use super::look::Undecodable;
use super::payload::{self, Encoded, Form, Stored};
use crate::engine::context as cache;
use crate::engine::flight::{Flight, Ticket, poll_within};
use crate::engine::sharing::Shared;
use crate::error::Error;
use crate::observe::{BodyResult, BodyTimer};
use crate::plan::erased::StoredValue;
use crate::plan::function::Terms;
#[cfg(feature = "local")]
use crate::plan::local::{Decoded, Times};
use crate::poll::outlined::Outlined;
use crate::stored::codec::CodecError;
use crate::stored::envelope::{self, OwnTags, Token};

/// The part of a call that knows the function's types, as its first look uses it.
pub(super) trait Served {
    /// Decodes a stored value, and keeps it; returns false for a `None` if the function's values have none.
    fn keep(&mut self, stored: Stored<'_>) -> Result<bool, CodecError>;

    /// The value that is kept, for the local tier, with its times in the store.
    #[cfg(feature = "local")]
    fn to_keep(&self, times: Times) -> Option<Decoded>;

    /// Keeps a copy of a value of the local tier; returns false if it is of another type.
    #[cfg(feature = "local")]
    fn keep_copy(&mut self, kept: &Decoded) -> bool;

    /// Starts the body in the background, to replace the value `id`.
    fn refresh_in_background(&self, cache: &cache::Context, ticket: Ticket, id: Token);
}

/// The part of a call that knows the function's types. It keeps the call's value and its error.
pub(super) trait Typed: Served {
    /// Polls the body. If it returns, its value or error is kept.
    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Returned>;

    /// Keeps a copy of another call's error; returns false if that is no error of this function.
    fn keep_error(&mut self, shared: &Mutex<Shared>) -> bool;

    /// A copy of the error that is kept, for the calls that wait for this one.
    fn share_error(&self) -> Option<Shared>;

    /// Uses the value that is kept, if there is one.
    fn with_value(&self, use_value: &mut dyn FnMut(&dyn StoredValue));
}

/// A question to the typed part of a call.
enum Request {
    /// Poll the body in its span, as that of this flight. If it is pending, so is the call, unless the conductor wants to
    /// know.
    Poll { flight: Option<Arc<Flight>>, span: Span, tells_pending: bool },
    /// Do this with the value or the error.
    Of(ValueRequest),
}

/// A request that is answered at once.
enum ValueRequest {
    /// Decode this part of the bytes of a slot.
    Decode {
        slot: Bytes,
        payload: Range<usize>,
        form: Form,
    },
    KeepError(Arc<Mutex<Shared>>),
    ShareError,
    OwnTags,
    Encode {
        own: OwnTags,
        random: u64,
    },
    EncodeUnstored,
    #[cfg(feature = "local")]
    ToKeep(Times),
}

/// An answer of the typed part of a call.
enum Reply {
    /// The body returned.
    Ran(Returned),
    /// The body is pending.
    Runs,
    Decoded(Result<bool, Undecodable>),
    Kept(bool),
    Shared(Option<Shared>),
    OwnTags(Result<Vec<String>, Error>),
    Encoded(Result<Option<Encoded>, Error>),
    #[cfg(feature = "local")]
    ToKeep(Option<Decoded>),
}

/// What a body returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Returned {
    Value,
    /// A value that is `None`.
    None,
    Error,
}

impl Returned {
    /// Returns true for a value, which may be `None`.
    pub(super) fn is_value(self) -> bool {
        self != Returned::Error
    }
}

impl From<Returned> for BodyResult {
    fn from(returned: Returned) -> BodyResult {
        match returned {
            Returned::Value => BodyResult::Ok,
            Returned::None => BodyResult::None,
            Returned::Error => BodyResult::Err,
        }
    }
}

/// The result of a call, which its typed part keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Value,
    Error,
}

/// The requests of a conductor, one at a time.
pub(super) struct Requests<'a> {
    terms: &'a Terms,
    // It is locked by one task, so that no lock waits.
    exchange: Mutex<Exchange>,
}

#[derive(Default)]
enum Exchange {
    #[default]
    Empty,
    Asked(Request),
    Answered(Reply),
}

macro_rules! ask {
    ($requests:expr, $request:expr, $reply:pat => $output:expr, else $other:expr) => {
        match $requests.ask($request).await {
            $reply => $output,
            _ => $other,
        }
    };
}

impl<'a> Requests<'a> {
    pub(super) fn new(terms: &'a Terms) -> Requests<'a> {
        Requests { terms, exchange: Mutex::default() }
    }

    pub(super) fn terms(&self) -> &'a Terms {
        self.terms
    }

    fn exchange(&self, next: Exchange) -> Exchange {
        std::mem::replace(&mut *self.exchange.lock().unwrap_or_else(PoisonError::into_inner), next)
    }

    fn answer(&self, reply: Reply) {
        self.exchange(Exchange::Answered(reply));
    }

    /// Takes the reply, if there is one; a request stays.
    fn reply(&self) -> Option<Reply> {
        let mut exchange = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::take(&mut *exchange) {
            Exchange::Answered(reply) => Some(reply),
            other => {
                *exchange = other;
                None
            }
        }
    }

    async fn ask(&self, request: Request) -> Reply {
        self.exchange(Exchange::Asked(request));
        poll_fn(|_| self.reply().map_or(Poll::Pending, Poll::Ready)).await
    }

    /// Polls the body once. `Some` tells what it returned.
    pub(super) async fn start(&self, flight: &Arc<Flight>, span: &Span) -> Option<Returned> {
        let request = Request::Poll { flight: Some(Arc::clone(flight)), span: span.clone(), tells_pending: true };
        ask!(self, request, Reply::Ran(returned) => Some(returned), else None)
    }

    /// Runs the body to its end, and tells what it returned. If it was polled just now, it is polled again when the call
    /// is woken.
    pub(super) async fn run(&self, flight: Option<&Arc<Flight>>, span: &Span, mut is_polled: bool) -> Returned {
        poll_fn(|_| match self.reply() {
            Some(Reply::Ran(returned)) => Poll::Ready(returned),
            Some(_) => Poll::Ready(Returned::Error),
            None => {
                if !std::mem::take(&mut is_polled) {
                    let request = Request::Poll { flight: flight.cloned(), span: span.clone(), tells_pending: false };
                    self.exchange(Exchange::Asked(request));
                }
                Poll::Pending
            }
        })
        .await
    }

    /// Decodes a stored value, or a stored `None`. `Ok(false)` means that the function has no `None`.
    pub(super) async fn decode(&self, value: &envelope::Value, bytes: &Bytes) -> Result<bool, Undecodable> {
        let payload = bytes.len() - value.payload(bytes).len()..bytes.len();
        let request = ValueRequest::Decode { slot: bytes.clone(), payload, form: Form::of(value) };
        ask!(self, Request::Of(request), Reply::Decoded(decoded) => decoded, else Ok(false))
    }

    /// Takes another call's error; returns false if that is no error of this function.
    pub(super) async fn keep_error(&self, shared: Arc<Mutex<Shared>>) -> bool {
        ask!(self, Request::Of(ValueRequest::KeepError(shared)), Reply::Kept(is_kept) => is_kept, else false)
    }

    /// A copy of the body's error for other calls.
    pub(super) async fn share_error(&self) -> Option<Shared> {
        ask!(self, Request::Of(ValueRequest::ShareError), Reply::Shared(shared) => shared, else None)
    }

    /// The names of the tags that the body's value has of its own.
    pub(super) async fn own_tags(&self) -> Result<Vec<String>, Error> {
        ask!(self, Request::Of(ValueRequest::OwnTags), Reply::OwnTags(tags) => tags, else Ok(Vec::new()))
    }

    /// The encoded value with its lifetime; `None` if it is not stored.
    pub(super) async fn encode(&self, own: OwnTags, random: u64) -> Result<Option<Encoded>, Error> {
        ask!(self, Request::Of(ValueRequest::Encode { own, random }), Reply::Encoded(encoded) => encoded, else Ok(None))
    }

    /// A copy of the value for the local tier.
    #[cfg(feature = "local")]
    pub(super) async fn to_keep(&self, times: Times) -> Option<Decoded> {
        ask!(self, Request::Of(ValueRequest::ToKeep(times)), Reply::ToKeep(kept) => kept, else None)
    }

    /// The encoded value, for calls of this process alone.
    pub(super) async fn encode_unstored(&self) -> Option<Encoded> {
        ask!(self, Request::Of(ValueRequest::EncodeUnstored), Reply::Encoded(Ok(encoded)) => encoded, else None)
    }
}

/// The steps of a call, to be polled with its typed part.
pub(super) trait Conductor {
    /// Polls the steps, and answers their requests.
    ///
    /// The value or the error of the call is in `typed` when this is ready. An error may live there for this poll alone:
    /// after the body's error, the steps make requests, but wait for nothing.
    fn drive(&mut self, requests: &Requests<'_>, typed: &mut dyn Typed, context: &mut Context<'_>) -> Poll<()>;
}

impl<F: Future> Conductor for Outlined<F> {
    fn drive(&mut self, requests: &Requests<'_>, typed: &mut dyn Typed, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if Pin::new(&mut *self).poll(context).is_ready() {
                return Poll::Ready(());
            }
            let Exchange::Asked(request) = requests.exchange(Exchange::Empty) else { return Poll::Pending };
            let polled = match request {
                Request::Poll { flight, span, tells_pending } => {
                    let _entered = span.enter();
                    poll_body(flight.as_ref(), tells_pending, typed, context)
                }
                Request::Of(value) => Poll::Ready(answer(requests.terms, value, typed)),
            };
            match polled {
                Poll::Ready(reply) => requests.answer(reply),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// The steps of a call after its first look.
pub(super) enum Steps<'a, F> {
    Taken(Outlined<F>),
    /// There are none: the body runs.
    Body(BodyTimer<'a>),
}

impl<F: Future> Conductor for Steps<'_, F> {
    fn drive(&mut self, requests: &Requests<'_>, typed: &mut dyn Typed, context: &mut Context<'_>) -> Poll<()> {
        match self {
            Steps::Taken(conductor) => conductor.drive(requests, typed, context),
            Steps::Body(timer) => {
                let polled = timer.span().in_scope(|| typed.poll_body(context));
                polled.map(|returned| _ = timer.ended(returned.into()))
            }
        }
    }
}

fn poll_body(
    flight: Option<&Arc<Flight>>,
    tells_pending: bool,
    typed: &mut dyn Typed,
    context: &mut Context<'_>,
) -> Poll<Reply> {
    let poll = match flight {
        Some(flight) => poll_within(flight, &mut || typed.poll_body(context)),
        None => typed.poll_body(context),
    };
    match poll {
        Poll::Ready(returned) => Poll::Ready(Reply::Ran(returned)),
        Poll::Pending if tells_pending => Poll::Ready(Reply::Runs),
        Poll::Pending => Poll::Pending,
    }
}

/// Answers a request about a value or an error.
// The frame of a body's poll has no room for what happens here.
#[inline(never)]
fn answer(terms: &Terms, request: ValueRequest, typed: &mut dyn Typed) -> Reply {
    match request {
        ValueRequest::Decode { slot, payload, form } => {
            let stored = Stored::parts(slot.get(payload).unwrap_or_default(), &slot, form);
            Reply::Decoded(payload::decode_in(terms.function, stored, typed))
        }
        ValueRequest::KeepError(shared) => Reply::Kept(typed.keep_error(&shared)),
        ValueRequest::ShareError => Reply::Shared(typed.share_error()),
        ValueRequest::OwnTags => Reply::OwnTags(of_value(typed, Ok(Vec::new()), payload::own_tags)),
        ValueRequest::Encode { own, random } => {
            Reply::Encoded(of_value(typed, Ok(None), |value| payload::encode(terms, value, &own, random)))
        }
        #[cfg(feature = "local")]
        ValueRequest::ToKeep(times) => Reply::ToKeep(typed.to_keep(times)),
        ValueRequest::EncodeUnstored => {
            let own = OwnTags::default();
            Reply::Encoded(of_value(typed, Ok(None), |value| payload::payload(terms.function, value, &own)))
        }
    }
}

fn of_value<T>(typed: &dyn Typed, absent: T, of: impl Fn(&dyn StoredValue) -> T) -> T {
    let mut output = absent;
    typed.with_value(&mut |value| output = of(value));
    output
}
