//! A line of the level DEBUG for each decision of a call that is no hit, and the span of a body.
//!
//! They show keys by their hashes. A line of the level TRACE has the key of a hash.

use std::fmt::{self, Display};

use tracing::Span;
use tracing::field::Empty;

use crate::error::Error;
use crate::hash::hash;
use crate::key::Key;
use crate::plan::function::Function;
use crate::stored::envelope::Why;

/// The hash of a key, which tells the lines about one entry from others, and shows no arguments.
struct KeyHash<'k>(&'k Key);

impl Display for KeyHash<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", hash(0, self.0.as_str().as_bytes()))
    }
}

macro_rules! decision {
    ($function:expr, $key:expr, $($rest:tt)*) => {
        if tracing::enabled!(target: "redis_cached", tracing::Level::DEBUG) {
            let (function, key): (&Function, &Key) = ($function, $key);
            show(key);
            tracing::debug!(target: "redis_cached", function = function.head(), key_hash = %KeyHash(key), $($rest)*);
        }
    };
}

/// Shows the key of a hash at the level TRACE. No other level has keys, because keys have arguments in them.
pub(super) fn show(key: &Key) {
    tracing::trace!(target: "redis_cached", key = key.as_str(), key_hash = %KeyHash(key), "the key of this hash");
}

/// A call runs its body because nothing usable is stored.
pub(in super::super) fn missed(function: &Function, key: &Key, why: &str) {
    decision!(function, key, why, "miss");
}

/// A call runs its body because the store could not be asked.
pub(in super::super) fn bypassed(function: &Function, key: &Key, error: Option<&Error>) {
    match error {
        Some(error) => decision!(function, key, %error, "bypass"),
        None => decision!(function, key, "bypass"),
    }
}

/// The same for an id among many.
pub(in super::super) fn bypassed_because(function: &Function, key: &Key, why: &str) {
    decision!(function, key, why, "bypass");
}

/// A call runs its body as if the function had no attribute.
pub(in super::super) fn uncacheable(function: &Function, why: &str) {
    tracing::debug!(target: "redis_cached", function = function.head(), why, "bypass");
}

/// The response of a body is not one that is stored.
#[cfg(feature = "axum")]
pub(crate) fn unstorable(function: &Function, why: &str) {
    tracing::debug!(target: "redis_cached", function = function.head(), why, "a response is not stored");
}

/// A call returns the result of another call.
pub(in super::super) fn shared(function: &Function, key: &Key, result: &str) {
    decision!(function, key, result, "shared");
}

/// A stored value cannot be used.
pub(in super::super) fn unusable(function: &Function, key: &Key, why: Why) {
    let why = match why {
        Why::Format => "it is no value of this format, or this build lacks the feature that undoes its compression",
        Why::Version => "it is of another version of the function",
        Why::Codec => "it is of another codec",
        Why::Type => "it is of another type",
        Why::Checksum => "it is damaged, or was copied from another key",
        Why::Tags => "one of its tags was invalidated",
        Why::Decode => "it cannot be decoded",
    };
    decision!(function, key, why, "a stored value is unusable");
}

/// A stored value is past its lifetime.
pub(in super::super) fn expired(function: &Function, key: &Key) {
    decision!(function, key, "a stored value is past its lifetime");
}

/// A value was not stored.
pub(in super::super) fn not_stored(function: &Function, key: &Key, why: &dyn Display) {
    decision!(function, key, %why, "a value is not stored");
}

/// The calls for which a body runs.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Role {
    /// All calls, or those of the process.
    Leader,
    /// The call itself.
    Alone,
    /// A refresh.
    Refresh,
}

/// The span of a body.
pub(in super::super) fn body_span(function: &Function, key: Option<&Key>, role: Role) -> Span {
    let role = match role {
        Role::Leader => "leader",
        Role::Alone => "alone",
        Role::Refresh => "refresh",
    };
    let span = tracing::debug_span!(
        target: "redis_cached",
        "body",
        function = function.head(),
        key_hash = Empty,
        role,
        outcome = Empty
    );
    if let Some(key) = key
        && !span.is_disabled()
    {
        show(key);
        span.record("key_hash", tracing::field::display(KeyHash(key)));
    }
    span
}

/// The span of a refresh in the background, which the call that runs here causes. It ends after that call.
pub(in super::super) fn refresh_span(function: &Function) -> Span {
    let span = tracing::debug_span!(target: "redis_cached", parent: None, "refresh", function = function.head());
    span.follows_from(Span::current());
    span
}
