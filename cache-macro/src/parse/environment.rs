//! The defaults of a crate, which the environment of the compiler has: `REDIS_CACHED_PREFIX` and `REDIS_CACHED_TTL`.

use std::env::{self, VarError};
use std::fmt::Display;

use proc_macro2::Span;

use super::duration::{self, Wrong};
use super::lifetimes::Lifetime;
use crate::errors::Errors;

const PREFIX: &str = "REDIS_CACHED_PREFIX";
const TTL: &str = "REDIS_CACHED_TTL";

/// Checks the prefix of functions without `prefix = …`, which they read themselves.
pub(super) fn check_prefix(errors: &Errors) {
    let Some(prefix) = variable(PREFIX, errors) else { return };
    if prefix.is_empty() {
        refuse(PREFIX, "empty; unset it to use the crate's name", errors);
    } else if prefix.contains(':') {
        refuse(PREFIX, "a `:` separates the parts of a key; use `.` or `-`", errors);
    }
}

/// The lifetime of values of functions without `ttl = …`.
pub(super) fn ttl(errors: &Errors) -> Option<Lifetime> {
    lifetime(&variable(TTL, errors)?).map_err(|message| refuse(TTL, message, errors)).ok()
}

fn lifetime(text: &str) -> Result<Lifetime, &'static str> {
    if text == "forever" {
        return Ok(Lifetime::Forever);
    }
    duration::milliseconds(text).map(Lifetime::Milliseconds).map_err(|wrong| match wrong {
        Wrong::Zero => "a lifetime of zero stores nothing",
        Wrong::TooLarge => "too large",
        Wrong::Form(_) => "expected seconds (600) or a text with ms, s, m, h or d (10m, 1h30m, 250ms), or forever",
    })
}

fn variable(name: &str, errors: &Errors) -> Option<String> {
    match env::var(name) {
        Ok(text) => Some(text),
        Err(VarError::NotPresent) => None,
        Err(VarError::NotUnicode(_)) => {
            refuse(name, "not UTF-8", errors);
            None
        }
    }
}

/// The error is at the attribute, which says nothing of it.
fn refuse(name: &str, message: impl Display, errors: &Errors) {
    errors.at(Span::call_site(), format_args!("{name}: {message}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_lifetimes() {
        for (text, expected) in [("600", 600_000), ("1h30m", 5_400_000), ("250ms", 250)] {
            assert!(matches!(lifetime(text), Ok(Lifetime::Milliseconds(found)) if found == expected), "{text}");
        }
        assert!(matches!(lifetime("forever"), Ok(Lifetime::Forever)));
    }

    #[test]
    fn malformed_texts_are_refused() {
        for text in ["", "h", "10x", "10m5", "1.5s", "-1", "0", "0s", "99999999999999999999", "1 h"] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }
}
