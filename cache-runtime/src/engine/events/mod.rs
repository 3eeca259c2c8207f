//! Everything that the engine logs, and the results of storing values.
//!
//! [`observe`](crate::observe) counts what happens in calls. The functions below log a message once per function in a process,
//! because a warning per call would fill the log. The store logs its own changes of state (the breaker, undelivered
//! invalidations), once for all functions.

mod decisions;
mod fills;

use std::fmt::Display;

#[cfg(feature = "axum")]
pub(crate) use self::decisions::unstorable;
pub(super) use self::decisions::{
    Role, body_span, bypassed, bypassed_because, expired, missed, not_stored, refresh_span, shared, uncacheable,
    unusable,
};
pub(super) use self::fills::{Attempt, MOST_BYTES};
use super::look::Undecodable;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::plan::function::{Function, Once};

/// The function's type cannot be stored at all.
pub(super) fn refused_type(function: &Function, reason: &str) {
    if function.first(Once::Refusal) {
        tracing::warn!(function = function.head(), reason, "this function runs uncached");
    }
}

/// The arguments of a call make no key.
pub(super) fn unusable_key(function: &Function, error: &Error) {
    if function.first(Once::Key) {
        tracing::warn!(function = function.head(), %error, "a call runs uncached; this is logged once for each function");
    }
}

/// The store failed in a way that it does not log itself: it logs changes of its state.
pub(super) fn uncached(function: &Function, key: &Key, error: &Error) {
    let once = match error.kind() {
        ErrorKind::WrongType => Once::WrongType,
        ErrorKind::Unsupported => Once::Unsupported,
        _ if error.is_of_one_call() => Once::Refused,
        _ => return,
    };
    if function.first(once) {
        tracing::warn!(function = named(function, key), %error, "a call runs uncached; this is logged once for each function");
    }
}

/// A value is intact and of this type, but cannot be decoded: its `Serialize` and `Deserialize` disagree, so that no call
/// would ever hit.
pub(super) fn undecodable(function: &Function, key: &Key, Undecodable { error, is_final }: &Undecodable) {
    if *is_final && function.first(Once::Decode) {
        tracing::warn!(
            function = named(function, key),
            error,
            "a value cannot be read back; this is logged once for each function"
        );
    }
}

/// A value cannot be encoded.
pub(super) fn unencodable(function: &Function, key: &Key, error: &Error) {
    if function.first(Once::Encode) {
        tracing::warn!(function = named(function, key), %error, "a value is not stored; this is logged once for each function");
    }
}

/// The values of a function do not get into the store.
pub(super) fn unstored(function: &Function, key: &Key, reason: &str) {
    if function.first(Once::Unstored) {
        tracing::warn!(
            function = named(function, key),
            reason,
            "values of this function are not stored; this is logged once for each function"
        );
    }
}

/// The arguments of a call cannot be copied for a refresh in the background.
pub(super) fn uncopied(function: &Function, reason: &dyn Display) {
    if function.first(Once::Refresh) {
        tracing::warn!(
            function = function.head(),
            "a refresh in the background needs copies of the arguments: {reason}; this is logged once for each function"
        );
    }
}

/// The body of a refresh in the background failed.
pub(super) fn refresh_failed(function: &Function, key: &Key) {
    if function.first(Once::Refresh) {
        tracing::warn!(
            function = named(function, key),
            "a refresh in the background failed, and the old value stays; this is logged once for each function"
        );
    }
}

/// The server refuses to mark an old value, which is therefore not served while it is refreshed.
pub(super) fn unmarked(function: &Function, key: &Key, error: &Error) {
    if function.first(Once::Refused) {
        tracing::warn!(
            function = named(function, key),
            %error,
            "an old value is not served while it is refreshed; this is logged once for each function"
        );
    }
}

/// A write went past a cache that could not be asked before.
pub(super) fn written_around(function: &Function, key: &Key, error: &Error) {
    tracing::warn!(function = named(function, key), %error, "a write runs, although the cache could not be asked to empty its entry first");
}

/// A write is committed, and its entry is still to be invalidated.
pub(super) fn uninvalidated(function: &Function, key: &Key, error: &Error) {
    tracing::warn!(function = named(function, key), %error, "a write is done, but its entry is not invalidated yet; this is tried again in the background");
}

/// The name of a function in the namespace of a cache, for a warning. Keys have arguments in them, which do not belong in
/// a log: a line of the level TRACE has the key.
fn named(function: &Function, key: &Key) -> String {
    decisions::show(key);
    match key.namespace_len() {
        0 => function.head().to_owned(),
        length => format!("{}:{}", &key.as_str()[..length], function.head()),
    }
}
