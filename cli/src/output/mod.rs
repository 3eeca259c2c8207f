//! What people and scripts read.

mod page;
pub(crate) mod payload;
pub(crate) mod screen;
pub(crate) mod table;
pub(crate) mod time;

use std::borrow::Cow;
use std::io::{Write, stdout};

use serde::Serialize;

use crate::outcome::{Failure, Outcome};

/// Prints one JSON document.
pub(crate) fn json(document: &impl Serialize) -> Outcome<()> {
    let text = serde_json::to_string_pretty(document).map_err(|error| Failure::Io(error.into()))?;
    // Outside of its strings, JSON has none of these characters.
    write(&replaced(&text, steers, |char| format!("\\u{:04x}", u32::from(char))))
}

/// Prints lines.
pub(crate) fn print(text: &str) -> Outcome<()> {
    write(&harmless(text))
}

/// Prints bytes of this program itself, as they are.
pub(crate) fn print_bytes(bytes: &[u8]) -> Outcome<()> {
    written(stdout().write_all(bytes))
}

/// The text without what steers a terminal, or reorders what it shows: keys, names and values may hold anything.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    replaced(text, steers, in_braces)
}

/// The same for a name, which is on one line.
pub(crate) fn one_line(name: &str) -> Cow<'_, str> {
    replaced(name, |char| steers(char) || matches!(char, '\n' | '\t' | '\u{2028}' | '\u{2029}'), in_braces)
}

fn in_braces(char: char) -> String {
    format!("\\u{{{:x}}}", u32::from(char))
}

fn replaced(text: &str, is_replaced: fn(char) -> bool, replacement: fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(is_replaced) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|char| if is_replaced(char) { replacement(char) } else { char.to_string() }).collect()
}

/// Returns true for control characters, also those of one byte in Latin-1, and for the marks of Unicode's bidirectional
/// algorithm (UAX 9).
fn steers(char: char) -> bool {
    let is_control = char.is_control() && !matches!(char, '\n' | '\t');
    is_control
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn write(text: &str) -> Outcome<()> {
    written(writeln!(stdout(), "{text}"))
}

/// A reader that closes its end early, such as `head`, is no failure.
fn written(result: std::io::Result<()>) -> Outcome<()> {
    // What stays in the buffer would be lost without a word at the end of the program.
    match result.and_then(|()| stdout().flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// A number with a comma between thousands.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of bytes.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 1023.95 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", UNITS[unit])
}

/// `1 key`, `2 keys`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(harmless("a\u{9b}31m\u{1b}[0m\u{202e}b\n"), "a\\u{9b}31m\\u{1b}[0m\\u{202e}b\n");
        assert!(matches!(harmless("ä\tb\n"), Cow::Borrowed(_)));
        assert_eq!((one_line("a\nb\tc"), one_line("a b")), ("a\\u{a}b\\u{9}c".into(), "a b".into()));
        let json = replaced("\"\u{9b}\u{202e}\"", steers, |char| format!("\\u{:04x}", u32::from(char)));
        assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), "\u{9b}\u{202e}");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 1023, 1024, 1536, 1 << 20, 5 << 30].map(size),
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "5.0 GiB"]
        );
        assert_eq!(size((1 << 20) - 1), "1.0 MiB");
        assert_eq!((counted(1, "key", "keys"), counted(0, "key", "keys")), ("1 key".to_owned(), "0 keys".to_owned()));
        assert_eq!(hex(&[0, 255, 16]), "00ff10");
    }
}
