//! Replies whose text is not UTF-8.
//!
//! A server quotes arguments in some of its errors: an unknown command, with the bytes of a token. redis-rs expects
//! lines to be UTF-8, and gives up a connection, with all requests in flight, for a line that is not. Therefore bytes
//! beyond ASCII in a line are replaced before its parser sees them. Bulk strings, which hold values, pass unchanged.

/// Follows the replies of one connection.
#[derive(Debug, Default)]
pub(crate) struct Sanitizer {
    state: Expecting,
}

#[derive(Debug, Default, Clone, Copy)]
enum Expecting {
    /// The next byte is a reply's type.
    #[default]
    Type,
    /// The next byte is in a line of text.
    Line,
    /// The next byte is in the line with the length of a bulk string; negative for none.
    Length { length: usize, is_negative: bool },
    /// The number of bytes that are left of a bulk string, its line end included, and the length of it.
    Bulk { left: usize, length: usize },
}

impl Sanitizer {
    /// The length of the bulk string of which a part has arrived, or 0.
    pub(crate) fn under_way(&self) -> usize {
        match self.state {
            Expecting::Bulk { length, .. } => length,
            _ => 0,
        }
    }

    /// Processes the next bytes. Each hit takes this way, so that a line is a loop of its own.
    pub(crate) fn pass(&mut self, bytes: &mut [u8]) {
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            let taken = match self.state {
                Expecting::Bulk { left, length } => {
                    let taken = left.min(rest.len());
                    self.state = match left - taken {
                        0 => Expecting::Type,
                        left => Expecting::Bulk { left, length },
                    };
                    taken
                }
                Expecting::Type => {
                    self.state = match *first {
                        b'$' | b'=' | b'!' => Expecting::Length { length: 0, is_negative: false },
                        _ => Expecting::Line,
                    };
                    1
                }
                Expecting::Length { length, is_negative } => {
                    let (taken, state) = read_length(rest, length, is_negative);
                    self.state = state;
                    taken
                }
                Expecting::Line => {
                    let (taken, is_over) = clean_line(rest);
                    if is_over {
                        self.state = Expecting::Type;
                    }
                    taken
                }
            };
            rest = rest.get_mut(taken..).unwrap_or_default();
        }
    }
}

/// Reads on in a line with a length. Returns the number of bytes taken, and what comes next.
fn read_length(bytes: &[u8], mut length: usize, mut is_negative: bool) -> (usize, Expecting) {
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'0'..=b'9' => length = length.saturating_mul(10).saturating_add(usize::from(byte - b'0')),
            b'\n' if is_negative => return (at + 1, Expecting::Type),
            // The payload has a line end of its own.
            b'\n' => return (at + 1, Expecting::Bulk { left: length.saturating_add(2), length }),
            b'-' => is_negative = true,
            _ => {}
        }
    }
    (bytes.len(), Expecting::Length { length, is_negative })
}

/// Replaces what is not ASCII up to the end of a line. Returns the number of bytes taken, and true if the line ended.
fn clean_line(bytes: &mut [u8]) -> (usize, bool) {
    for (at, byte) in bytes.iter_mut().enumerate() {
        if *byte == b'\n' {
            return (at + 1, true);
        }
        if !byte.is_ascii() {
            *byte = b'?';
        }
    }
    (bytes.len(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sanitized(bytes: &[u8], part: usize) -> Vec<u8> {
        let (mut bytes, mut sanitizer) = (bytes.to_vec(), Sanitizer::default());
        bytes.chunks_mut(part).for_each(|part| sanitizer.pass(part));
        bytes
    }

    #[test]
    fn lines_become_ascii_and_values_stay() {
        let replies =
            b"-ERR unknown '\xff\x80'\r\n$4\r\n\xff\r\n\x80\r\n*2\r\n$-1\r\n+\xe9\r\n:12\r\n$0\r\n\r\n-\xff\r\n";
        let expected = b"-ERR unknown '??'\r\n$4\r\n\xff\r\n\x80\r\n*2\r\n$-1\r\n+?\r\n:12\r\n$0\r\n\r\n-?\r\n";
        for part in 1..=replies.len() {
            assert_eq!(sanitized(replies, part), expected, "{part} bytes at a time");
        }
    }

    #[test]
    fn a_length_past_all_bounds_does_not_overflow() {
        sanitized(b"$99999999999999999999999999\r\n\xff", 3);
    }
}
