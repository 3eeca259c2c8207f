//! Lifetimes as text: `10m`, `1h30m`, `250ms`.

/// The reason why a text names no span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Zero,
    TooLarge,
    /// It is no such text, for the reason given.
    Form(&'static str),
}

/// Milliseconds. Accepts what the runtime accepts of the environment variable
/// `REDIS_CACHED_TTL`.
pub(crate) fn milliseconds(text: &str) -> Result<u64, Wrong> {
    if text.is_empty() {
        return Err(Wrong::Form(
            "this text is empty; write seconds (600) or a text such as \"10m\", \"1h30m\", \"250ms\"",
        ));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return nonzero(scaled(text, 1000)?);
    }
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(Wrong::Form("expected a number, as in \"600\", \"10m\", \"1h30m\" or \"250ms\""));
        }
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let factor = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(Wrong::Form("unknown unit; use ms, s, m, h or d")),
        };
        total = total.checked_add(scaled(number, factor)?).ok_or(Wrong::TooLarge)?;
        rest = tail;
    }
    nonzero(total)
}

/// The same span of time in whole numbers, of a text with a fraction, white space or a unit that is written out:
/// `1h30m` for `1.5h`, `10m` for `10 minutes`.
pub(crate) fn whole(text: &str) -> Option<String> {
    let text = text.trim();
    let end = text.find(|c: char| c != '.' && !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1.0,
        "s" | "sec" | "secs" | "second" | "seconds" => 1000.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000.0,
        "d" | "day" | "days" => 86_400_000.0,
        "w" | "week" | "weeks" => 604_800_000.0,
        _ => return None,
    };
    let milliseconds = number.parse::<f64>().ok()? * factor;
    // An `f64` is exact in this range.
    if !(1.0..=9e15).contains(&milliseconds) {
        return None;
    }
    let mut rest = milliseconds.round() as u64;
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let mut whole = String::new();
    for (unit, factor) in units {
        if rest >= factor {
            whole.push_str(&format!("{}{unit}", rest / factor));
            rest %= factor;
        }
    }
    Some(whole)
}

fn scaled(number: &str, factor: u64) -> Result<u64, Wrong> {
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or(Wrong::TooLarge)
}

fn nonzero(milliseconds: u64) -> Result<u64, Wrong> {
    if milliseconds == 0 { Err(Wrong::Zero) } else { Ok(milliseconds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_have_whole_numbers() {
        for (text, expected) in [
            ("1.5h", Some("1h30m")),
            ("0.25s", Some("250ms")),
            ("10 minutes", Some("10m")),
            ("2 weeks", Some("14d")),
            ("90 Sec", Some("1m30s")),
            ("1.5", None),
            ("x", None),
            ("0.0s", None),
            ("1x", None),
        ] {
            assert_eq!(whole(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn texts_name_milliseconds() {
        for (text, expected) in [
            ("600", 600_000),
            ("1s", 1_000),
            ("250ms", 250),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
        ] {
            assert_eq!(milliseconds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn malformed_texts_are_refused() {
        for text in ["", "h", "10x", "10m5", "1.5s", "-1", "0", "0s", "99999999999999999999", "1 h", "ß"] {
            assert!(milliseconds(text).is_err(), "{text}");
        }
    }
}
