//! The results of storing values, and the warning about a function whose values do not get into the store.
//!
//! A single refused value is not logged here: it was invalidated, or Redis is away, which the store logs. A function
//! whose values never get into the store runs its body each time. This is logged once, with the reason.

use std::time::{Duration, Instant};

use super::super::Engine;
use super::super::timer::Timer;
use super::{not_stored, unstored};
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::observe::FillResult;
use crate::plan::function::Terms;
use crate::plan::policy::{self, Pace};
use crate::store::Store;

/// The largest value that Redis takes, unless its configuration says otherwise (`proto-max-bulk-len`). A larger value
/// costs the connection.
pub(in super::super) const MOST_BYTES: usize = 512 << 20;

/// A value of this size may itself be the reason why Redis does not answer, or closes the connection.
const LARGE: usize = 64 << 10;

/// A value that was to be stored.
#[derive(Clone, Copy)]
pub(in super::super) struct Attempt<'k> {
    pub(in super::super) key: &'k Key,
    pub(in super::super) bytes: usize,
    /// When its body began.
    pub(in super::super) started: Instant,
}

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// Counts the result of a fill, and logs a failure that keeps happening.
    pub(in super::super) fn filled(&self, terms: &Terms, attempt: Attempt<'_>, filled: &Result<bool, Error>) {
        if matches!(filled, Ok(true)) {
            self.cache.counters(terms.function).stored(attempt.bytes);
            terms.function.stored();
            return;
        }
        let result = if filled.is_ok() { FillResult::Refused } else { FillResult::Failed };
        self.cache.counters(terms.function).fill(result);
        match filled {
            Err(error) => not_stored(terms.function, attempt.key, error),
            Ok(_) => {
                not_stored(terms.function, attempt.key, &"it was overtaken by an invalidation, or its lease ended")
            }
        }
        let ran = attempt.started.elapsed();
        let spans = (policy::lease(terms.lease), Pace::of(terms).longest);
        if let Some((reason, times)) = reason(spans, attempt.bytes, ran, filled.as_ref().err())
            && terms.function.unstored() >= times
        {
            unstored(terms.function, attempt.key, &reason);
        }
    }
}

/// Fewer failures of a kind than this may be a coincidence.
const FEW: u8 = 3;
/// The same for failures that are not unusual one at a time.
const MANY: u8 = 16;

/// The reason why a value was not stored, and after how many in a row it is worth a log line. The result is `None` if
/// the store logs it. `lease` is how long a lease stands at a time, and `longest` how long it is renewed.
fn reason(
    (lease, longest): (Duration, Duration),
    bytes: usize,
    ran: Duration,
    error: Option<&Error>,
) -> Option<(String, u8)> {
    match error {
        Some(error) if is_away(error) && bytes < LARGE => None,
        Some(error) => Some((format!("a value of {bytes} bytes: {error}"), FEW)),
        None if ran >= longest => {
            let reason = format!("its body took {ran:.1?}, and its lease is kept for no more than {longest:?}");
            Some((reason, 1))
        }
        None if ran >= lease => {
            let reason = format!(
                "its lease ended while its body ran, for {ran:.1?}: a longer `lease`, or a body that does not block the \
                 thread of an async runtime, would keep it"
            );
            Some((reason, FEW))
        }
        None => Some(("each was invalidated, or its lease evicted, while its body ran".to_owned(), MANY)),
    }
}

/// Returns true if the error says nothing about the value.
fn is_away(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Timeout | ErrorKind::CircuitOpen | ErrorKind::Loading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_value_is_not_stored() {
        let times = |bytes, seconds, error: Option<ErrorKind>| {
            let error = error.map(|kind| Error::new(kind, ""));
            let spans = (Duration::from_secs(10), Duration::from_secs(600));
            reason(spans, bytes, Duration::from_secs(seconds), error.as_ref()).map(|(_, times)| times)
        };
        assert_eq!(times(100, 601, None), Some(1), "it will be as slow the next time");
        assert_eq!(times(100, 11, None), Some(FEW));
        assert_eq!(times(100, 1, None), Some(MANY));
        assert_eq!(times(100, 1, Some(ErrorKind::OutOfMemory)), Some(FEW));
        assert_eq!(times(100, 1, Some(ErrorKind::Timeout)), None);
        assert_eq!(times(LARGE, 1, Some(ErrorKind::Timeout)), Some(FEW));
        assert_eq!(times(100, 1, Some(ErrorKind::Unreachable)), None);
        assert_eq!(times(LARGE, 1, Some(ErrorKind::Unreachable)), Some(FEW));
    }
}
