//! The policy as pure functions that take the clock: which values are stored, for how long, which are fresh, and how
//! long calls wait.

use std::time::Duration;

use crate::plan::erased::StoredValue;
use crate::plan::function::Terms;
use crate::plan::ttl::Ttl;
use crate::stored::envelope::Value;

/// How long this value is to live; `None` means that it is not stored.
pub(crate) fn lifetime(terms: &Terms, value: &dyn StoredValue, random: u64) -> Option<Ttl> {
    if !value.is_admitted() {
        return None;
    }
    let ttl = if value.is_none() { terms.none_ttl? } else { value.ttl() };
    some(shorten(ttl, terms.jitter, random))
}

/// How long it is to be known that an id has no value; `None` means that this is not stored.
pub(crate) fn lifetime_of_none(terms: &Terms, random: u64) -> Option<Ttl> {
    some(shorten(terms.none_ttl?, terms.jitter, random))
}

fn some(ttl: Ttl) -> Option<Ttl> {
    Some(ttl).filter(|ttl| *ttl != Ttl::Millis(0))
}

/// Takes a random part of at most `jitter` off a lifetime, never all of it.
fn shorten(ttl: Ttl, jitter: f64, random: u64) -> Ttl {
    match ttl {
        Ttl::Millis(millis @ 1..) if jitter > 0.0 => {
            // 53 bits: what a double holds exactly.
            let part = (random >> 11) as f64 / (1u64 << 53) as f64 * jitter;
            let off = (millis as f64 * part) as u64;
            Ttl::Millis((millis - off.min(millis)).max(1))
        }
        ttl => ttl,
    }
}

/// When a value filled at `now` ceases to be fresh.
pub(crate) fn fresh_until(ttl: Ttl, now: u64) -> u64 {
    match ttl {
        Ttl::Millis(millis) => now.saturating_add(millis),
        Ttl::Forever => u64::MAX,
    }
}

/// How long a value of this lifetime is kept: as long as it may be served in any way.
pub(crate) fn kept(terms: &Terms, ttl: Ttl) -> Ttl {
    match (ttl, terms.stale_while_revalidate, terms.stale_if_error) {
        (Ttl::Millis(ttl), Ttl::Millis(revalidate), Ttl::Millis(if_error)) => {
            Ttl::Millis(ttl.saturating_add(revalidate.max(if_error)))
        }
        _ => Ttl::Forever,
    }
}

/// The use that a value still has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// The value is served.
    Fresh,
    /// The value is served and refreshed in the background, because it is close to its end.
    Due,
    /// The value is served past its end, and refreshed in the background.
    Stale,
    /// The value is served only if the body fails.
    Fallback,
    /// The value is not served.
    Expired,
}

/// The state of a value at `now`. `not_before` is the store's: values leased earlier may have outlived an invalidation
/// that was lost.
pub(crate) fn freshness(terms: &Terms, value: &Value, now: u64, not_before: u64) -> Freshness {
    if value.leased_at < not_before {
        return Freshness::Expired;
    }
    if now < value.fresh_until {
        return match terms.refresh_ahead {
            Some(part) if now >= due(value, part) => Freshness::Due,
            _ => Freshness::Fresh,
        };
    }
    let since = now - value.fresh_until;
    let is_within = |window| match window {
        Ttl::Millis(millis) => since < millis,
        Ttl::Forever => true,
    };
    if is_within(terms.stale_while_revalidate) {
        Freshness::Stale
    } else if is_within(terms.stale_if_error) {
        Freshness::Fallback
    } else {
        Freshness::Expired
    }
}

/// When `part` of a value's lifetime is over. It is never over for a value that lives for ever.
fn due(value: &Value, part: f64) -> u64 {
    if value.fresh_until == u64::MAX {
        return u64::MAX;
    }
    let lifetime = value.fresh_until.saturating_sub(value.filled_at);
    value.filled_at.saturating_add((lifetime as f64 * part) as u64)
}

/// The milliseconds until a value is to be refreshed; `None` if it never is before its end.
#[cfg(feature = "local")]
pub(crate) fn due_in(terms: &Terms, value: &Value, now: u64) -> Option<u64> {
    terms.refresh_ahead.map(|part| due(value, part).saturating_sub(now))
}

/// The rest of the fresh lifetime.
pub(crate) fn remaining(value: &Value, now: u64) -> Ttl {
    match value.fresh_until {
        u64::MAX => Ttl::Forever,
        until => Ttl::Millis(until.saturating_sub(now)),
    }
}

/// How long a slot stays leased if its holder says nothing more.
pub(crate) fn lease(lease: Ttl) -> Duration {
    span(lease, 100, LONGEST_LEASE_MILLIS.unsigned_abs())
}

/// No slot is leased for longer at a time.
pub(crate) const LONGEST_LEASE_MILLIS: i64 = 600_000;

/// How long a call waits for another's computation.
pub(crate) fn wait(terms: &Terms) -> Duration {
    /// The number of leases.
    const DEFAULT: u32 = 6;
    match terms.wait {
        Some(wait) => span(wait, 1, 3_600_000),
        None => lease(terms.lease) * DEFAULT,
    }
}

/// Clamps a span to the range that the attribute names, because the attribute cannot check a constant.
fn span(span: Ttl, shortest: u64, longest: u64) -> Duration {
    Duration::from_millis(match span {
        Ttl::Millis(millis) => millis.clamp(shortest, longest),
        Ttl::Forever => longest,
    })
}

/// How the lease of a body that runs is renewed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How often it is renewed: two renewals may be lost.
    pub(crate) every: Duration,
    /// How long it is renewed: a body that hangs must not hold its slot for ever.
    pub(crate) longest: Duration,
}

impl Pace {
    /// A body that others wait for keeps its lease at least as long as they do.
    pub(crate) fn of(terms: &Terms) -> Pace {
        const LONGEST: Duration = Duration::from_secs(600);
        let lease = lease(terms.lease);
        Pace { every: lease / 3, longest: LONGEST.max(lease * 2).max(wait(terms)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_shortens_by_at_most_its_part() {
        for random in [0, 1, u64::MAX / 3, u64::MAX] {
            let Ttl::Millis(millis) = shorten(Ttl::Millis(1000), 0.1, random) else { panic!("not for ever") };
            assert!((900..=1000).contains(&millis), "{millis}");
        }
        assert_eq!(shorten(Ttl::Millis(1000), 0.1, u64::MAX), Ttl::Millis(901));
        assert_eq!(shorten(Ttl::Millis(1000), 0.0, u64::MAX), Ttl::Millis(1000));
        assert_eq!(shorten(Ttl::Forever, 0.5, u64::MAX), Ttl::Forever);
    }

    #[test]
    fn jitter_never_takes_everything() {
        assert_eq!(shorten(Ttl::Millis(1), 1.0, u64::MAX), Ttl::Millis(1));
        assert_eq!(shorten(Ttl::Millis(0), 1.0, u64::MAX), Ttl::Millis(0));
    }
}
