//! Lifetimes as text: `10m`, `1h30m`, `250ms`.

/// Milliseconds. Accepts what the runtime accepts of the environment variable
/// `REDIS_CACHED_TTL`, and has the same words for what it does not.
pub(crate) fn milliseconds(text: &str) -> Result<u64, &'static str> {
    if text.is_empty() {
        return Err("empty; write seconds (600) or a text such as \"10m\", \"1h30m\", \"250ms\"");
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return nonzero(scaled(text, 1000)?);
    }
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err("expected a number, as in \"600\", \"10m\", \"1h30m\" or \"250ms\"");
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
            _ => return Err("unknown unit; use ms, s, m, h or d"),
        };
        total = total.checked_add(scaled(number, factor)?).ok_or(TOO_LARGE)?;
        rest = tail;
    }
    nonzero(total)
}

const TOO_LARGE: &str = "too large; for values that never expire write `forever`";

fn scaled(number: &str, factor: u64) -> Result<u64, &'static str> {
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or(TOO_LARGE)
}

fn nonzero(milliseconds: u64) -> Result<u64, &'static str> {
    if milliseconds == 0 { Err("a lifetime of zero stores nothing") } else { Ok(milliseconds) }
}

#[cfg(test)]
mod tests {
    use super::*;

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
