//! Lifetimes, in the forms in which users write them.

use std::time::Duration;

/// How long a value is fresh. Zero means: do not store it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// Milliseconds, the unit of Redis' expiry.
    Millis(u64),
    /// Until it is invalidated or evicted.
    Forever,
}

impl Ttl {
    /// The lifetime in crates that set none: ten minutes.
    pub const DEFAULT: Ttl = Ttl::Millis(600_000);

    /// A lifetime of whole seconds.
    pub const fn seconds(seconds: u64) -> Ttl {
        Ttl::Millis(seconds.saturating_mul(1000))
    }

    /// Rounds a fraction of a millisecond up, so that a short lifetime does not become none.
    pub const fn duration(duration: Duration) -> Ttl {
        let nanos = duration.as_nanos();
        let millis = nanos.div_ceil(1_000_000);
        Ttl::Millis(if millis > u64::MAX as u128 { u64::MAX } else { millis as u64 })
    }

    /// The lifetime of functions without `ttl`: the attribute has read it from the variable, whose text is named here for
    /// the compiler to see that the function depends on it.
    #[inline]
    pub const fn of_environment(_: Option<&'static str>, ttl: Ttl) -> Ttl {
        ttl
    }
}

/// The types that a `ttl` constant or closure may yield: a `Duration`, or whole seconds in any integer type (a negative
/// number counts as zero).
#[diagnostic::on_unimplemented(
    message = "a lifetime is a `Duration` or an integer number of seconds, not `{Self}`",
    label = "no span of time",
    note = "in `ttl = |value| …` the closure sees the value; convert what it returns to one of these",
    note = "a function of the value is called in a closure: `ttl = |value| function(value)`"
)]
pub trait IntoTtl {
    /// The conversion.
    fn into_ttl(self) -> Ttl;
}

impl IntoTtl for Duration {
    fn into_ttl(self) -> Ttl {
        Ttl::duration(self)
    }
}

/// A constant of the attribute: `Const(600).rc_ttl()`. The inherent method, which constants can call, wins over the
/// trait's wherever the type is one of those that are lifetimes.
#[derive(Debug)]
pub struct Const<T>(pub T);

/// The fallback of [`Const`].
pub trait AnyConst<T> {
    /// The error of a type that is no lifetime.
    fn rc_ttl(self) -> Ttl
    where
        T: IntoTtl;
}

impl<T> AnyConst<T> for Const<T> {
    fn rc_ttl(self) -> Ttl
    where
        T: IntoTtl,
    {
        self.0.into_ttl()
    }
}

impl Const<Duration> {
    /// The lifetime.
    pub const fn rc_ttl(self) -> Ttl {
        Ttl::duration(self.0)
    }
}

macro_rules! seconds {
    ($($integer:ty)*) => {$(
        impl IntoTtl for $integer {
            fn into_ttl(self) -> Ttl {
                Const(self).rc_ttl()
            }
        }

        impl Const<$integer> {
            /// The lifetime.
            pub const fn rc_ttl(self) -> Ttl {
                #[allow(unused_comparisons, reason = "of the types without a sign")]
                let seconds = if self.0 < 0 { 0 } else { self.0 as u64 };
                Ttl::seconds(seconds)
            }
        }
    )*};
}
seconds!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

/// Refuses a constant `ttl` or `none_ttl` with which nothing is ever stored.
///
/// # Panics
///
/// The check is evaluated in a constant of generated code, like the other checks here: its message is the compile
/// error.
#[track_caller]
pub const fn check_ttl(ttl: Ttl) {
    assert!(!matches!(ttl, Ttl::Millis(0)), "a lifetime of zero or less stores nothing");
}

/// Refuses a constant `stale_while_revalidate` or `stale_if_error` that has no effect.
///
/// # Panics
///
/// Like [`check_ttl`].
#[track_caller]
pub const fn check_stale(ttl: Ttl) {
    assert!(!matches!(ttl, Ttl::Millis(0)), "zero or less means no stale values; leave the argument out");
}

/// Refuses a constant `lease` that is out of range.
///
/// # Panics
///
/// Like [`check_ttl`].
#[track_caller]
pub const fn check_lease(ttl: Ttl) {
    let Ttl::Millis(millis) = ttl else { return };
    assert!(millis >= 100, "a lease shorter than 100 ms would be lost to a slow reply");
    assert!(millis <= 600_000, "a lease longer than 10 minutes would keep all callers waiting for one that crashed");
}

/// Refuses a constant `wait` that is out of range.
///
/// # Panics
///
/// Like [`check_ttl`].
#[track_caller]
pub const fn check_wait(ttl: Ttl) {
    let Ttl::Millis(millis) = ttl else { return };
    assert!(millis > 0, "zero or less means that calls do not wait for each other; write `single_flight = off`");
    assert!(millis <= 3_600_000, "a wait longer than an hour would keep calls waiting for a body that hangs");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_of_a_millisecond_is_not_zero() {
        assert_eq!(Duration::from_micros(1).into_ttl(), Ttl::Millis(1));
        assert_eq!(Duration::from_micros(1500).into_ttl(), Ttl::Millis(2));
        assert_eq!(Duration::ZERO.into_ttl(), Ttl::Millis(0));
        assert_eq!((-3i64).into_ttl(), Ttl::Millis(0));
    }
}
