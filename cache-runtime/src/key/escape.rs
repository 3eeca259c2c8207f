//! Percent-encoding. ASCII letters, digits and `-` `_` `.` `~` `@` `/` `+` stay as they are; every
//! other byte of the UTF-8 text becomes `%` and two upper-case hexadecimal digits.

use std::borrow::Cow;

const SAFE: [bool; 256] = {
    let mut safe = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let b = byte as u8;
        safe[byte] = b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b'@' | b'/' | b'+');
        byte += 1;
    }
    safe
};

/// Escapes a prefix, a namespace or a name, so that it can stand between two `:`.
pub(crate) fn escape_part(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| SAFE[usize::from(byte)]) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    escape(text, &mut out);
    Cow::Owned(out)
}

/// Returns true if [`escape_part`] may have made the text.
pub(super) fn is_escaped(text: &str) -> bool {
    let mut parts = text.split('%');
    let is_safe = |part: &str| part.bytes().all(|byte| SAFE[usize::from(byte)]);
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    let first = parts.next().unwrap_or_default();
    // A text that was cut off within an escape is none.
    is_safe(first)
        && parts.all(|part| part.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(is_digit)) && is_safe(part))
}

/// Appends `text`, escaped.
pub(super) fn escape(text: &str, out: &mut String) {
    let mut done = 0;
    for (at, byte) in text.bytes().enumerate() {
        if !SAFE[usize::from(byte)] {
            // This byte and the previous one may be parts of one character, which a slice must not cut.
            if done < at {
                out.push_str(&text[done..at]);
            }
            escape_byte(byte, out);
            done = at + 1;
        }
    }
    if done < text.len() {
        out.push_str(&text[done..]);
    }
}

/// Appends `%` and two upper-case hexadecimal digits.
pub(super) fn escape_byte(byte: u8, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_escape_is_borrowed() {
        assert!(matches!(escape_part("staging-2/eu_west.1~a@b+c"), Cow::Borrowed(_)));
        assert_eq!(escape_part(""), "");
    }

    #[test]
    fn separators_braces_and_unicode_are_escaped() {
        assert_eq!(escape_part("a:b{c}%#' é"), "a%3Ab%7Bc%7D%25%23%27%20%C3%A9");
    }
}
