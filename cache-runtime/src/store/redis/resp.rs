//! Redis' replies, read from bytes as they arrive. No I/O of its own.
//!
//! redis-rs' parser takes about as long as everything else that a hit costs the client, and
//! copies a large value twice. The few kinds of replies that this library asks for are quickly
//! told apart.

use bytes::Bytes;
use redis::{ServerError, Value};

/// One reply.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Nil,
    Okay,
    Int(i64),
    Text(String),
    Bytes(Bytes),
    Array(Vec<Answer>),
    Error(ServerError),
    /// Of a kind that no command of ours has.
    Other,
}

impl Answer {
    /// Text in whichever form.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Answer::Text(text) => Some(text),
            Answer::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            Answer::Okay => Some("OK"),
            _ => None,
        }
    }
}

impl From<Value> for Answer {
    fn from(value: Value) -> Answer {
        match value {
            Value::Nil => Answer::Nil,
            Value::Okay => Answer::Okay,
            Value::Int(number) => Answer::Int(number),
            Value::SimpleString(text) | Value::VerbatimString { text, .. } => Answer::Text(text),
            Value::BulkString(bytes) => Answer::Bytes(bytes.into()),
            Value::Array(parts) => Answer::Array(parts.into_iter().map(Answer::from).collect()),
            Value::ServerError(error) => Answer::Error(error),
            _ => Answer::Other,
        }
    }
}

/// The bytes are no replies, or absurd ones.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Room for replies that are not large.
const SCRATCH: usize = 32 * 1024;

/// Where a larger reply than [`SCRATCH`] that is no string ends the patience.
const MOST_SCRATCH: usize = 16 << 20;

/// A server's own limit for a string.
const MOST_BYTES: usize = 512 << 20;

/// How much is allocated for a string on the word of its length alone.
const ON_TRUST: usize = 4 << 20;

/// How deep arrays may nest. Ours do not.
const DEPTH: usize = 8;

/// Takes bytes and gives replies.
#[derive(Debug)]
pub(crate) struct Reader {
    scratch: Vec<u8>,
    start: usize,
    end: usize,
    large: Option<Large>,
}

/// A string that is read into place.
#[derive(Debug)]
struct Large {
    bytes: Vec<u8>,
    filled: usize,
    /// With the line end behind it.
    length: usize,
}

impl Reader {
    pub(crate) fn new() -> Reader {
        Reader { scratch: vec![0; SCRATCH], start: 0, end: 0, large: None }
    }

    /// Where to put the next bytes; never empty.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if let Some(large) = &mut self.large {
            return &mut large.bytes[large.filled..];
        }
        &mut self.scratch[self.end..]
    }

    /// So many bytes were put there.
    pub(crate) fn filled(&mut self, count: usize) {
        match &mut self.large {
            Some(large) => {
                large.filled += count;
                if large.filled == large.bytes.len() && large.filled < large.length {
                    let more = large.length.min(large.bytes.len() * 2);
                    large.bytes.resize(more, 0);
                }
            }
            None => self.end += count,
        }
    }

    /// The next reply, if it is complete. To be called until it is not.
    pub(crate) fn next(&mut self) -> Result<Option<Answer>, Malformed> {
        if let Some(large) = self.large.take_if(|large| large.filled == large.length) {
            let mut bytes = large.bytes;
            if bytes.split_off(large.length - 2) != b"\r\n" {
                return Err(Malformed);
            }
            return Ok(Some(Answer::Bytes(bytes.into())));
        }
        if self.large.is_some() {
            return Ok(None);
        }
        let bytes = &self.scratch[self.start..self.end];
        if let Some((answer, length)) = parse(bytes, 0)? {
            self.start += length;
            if self.start == self.end {
                (self.start, self.end) = (0, 0);
                if self.scratch.len() > SCRATCH {
                    self.scratch = vec![0; SCRATCH];
                }
            }
            return Ok(Some(answer));
        }
        match large_string(bytes)? {
            Some((from, length)) => {
                let mut string = vec![0; length.min(ON_TRUST.max(bytes.len()))];
                let here = &bytes[from..];
                string[..here.len()].copy_from_slice(here);
                self.large = Some(Large { bytes: string, filled: here.len(), length });
                (self.start, self.end) = (0, 0);
            }
            None => self.make_room()?,
        }
        Ok(None)
    }

    /// Moves an incomplete reply to the front, and makes room behind it.
    fn make_room(&mut self) -> Result<(), Malformed> {
        if self.end == self.scratch.len() {
            self.scratch.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.end > self.scratch.len() / 2 {
                if self.scratch.len() >= MOST_SCRATCH {
                    return Err(Malformed);
                }
                self.scratch.resize(self.scratch.len() * 2, 0);
            }
        }
        Ok(())
    }
}

/// Where an incomplete string begins and how long it is with its line end, if it is too long to
/// wait for it in the scratch.
fn large_string(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    match header(bytes)? {
        Some((b'$', number, from)) if number > 0 => {
            let length = usize::try_from(number).map_err(|_| Malformed)? + 2;
            Ok((length > SCRATCH / 2).then_some((from, length)))
        }
        _ => Ok(None),
    }
}

/// A kind, a number and where its line ends.
fn header(bytes: &[u8]) -> Result<Option<(u8, i64, usize)>, Malformed> {
    let Some((kind, rest)) = bytes.split_first() else { return Ok(None) };
    let Some(length) = line(rest)? else { return Ok(None) };
    let number = number(&rest[..length])?;
    if *kind == b'$' && number > MOST_BYTES as i64 {
        return Err(Malformed);
    }
    Ok(Some((*kind, number, 1 + length + 2)))
}

/// The length of the line that begins here.
fn line(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    match bytes.iter().position(|byte| *byte == b'\r') {
        None => Ok(None),
        Some(at) => match bytes.get(at + 1) {
            None => Ok(None),
            Some(b'\n') => Ok(Some(at)),
            Some(_) => Err(Malformed),
        },
    }
}

fn number(text: &[u8]) -> Result<i64, Malformed> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 19 {
        return Err(Malformed);
    }
    let mut number = 0i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return Err(Malformed);
        }
        // Downwards: there is one more negative number.
        number = number.checked_mul(10).and_then(|tens| tens.checked_sub(i64::from(digit))).ok_or(Malformed)?;
    }
    if negative { Ok(number) } else { number.checked_neg().ok_or(Malformed) }
}

/// A reply and its length, if it is complete.
fn parse(bytes: &[u8], depth: usize) -> Result<Option<(Answer, usize)>, Malformed> {
    let Some(kind) = bytes.first() else { return Ok(None) };
    match kind {
        b'$' | b':' | b'*' => {
            let Some((_, number, from)) = header(bytes)? else { return Ok(None) };
            match (kind, usize::try_from(number)) {
                (b':', _) => Ok(Some((Answer::Int(number), from))),
                (_, Err(_)) => Ok(Some((Answer::Nil, from))),
                (b'$', Ok(length)) => string(bytes, from, length),
                (_, Ok(count)) => array(bytes, from, count, depth),
            }
        }
        b'+' | b'-' => {
            let Some(length) = line(&bytes[1..])? else { return Ok(None) };
            let whole = &bytes[..length + 3];
            let answer = match &whole[1..=length] {
                b"OK" if *kind == b'+' => Answer::Okay,
                // Rare, and its code has to be known: as redis-rs reads it.
                _ => match redis::parse_redis_value(whole) {
                    Ok(value) => Answer::from(value),
                    Err(_) => return Err(Malformed),
                },
            };
            Ok(Some((answer, whole.len())))
        }
        _ => Err(Malformed),
    }
}

fn string(bytes: &[u8], from: usize, length: usize) -> Result<Option<(Answer, usize)>, Malformed> {
    let end = from + length;
    match bytes.get(end..end + 2) {
        None => Ok(None),
        Some(b"\r\n") => Ok(Some((Answer::Bytes(Bytes::copy_from_slice(&bytes[from..end])), end + 2))),
        Some(_) => Err(Malformed),
    }
}

fn array(bytes: &[u8], from: usize, count: usize, depth: usize) -> Result<Option<(Answer, usize)>, Malformed> {
    if depth == DEPTH || count > MOST_SCRATCH {
        return Err(Malformed);
    }
    let mut at = from;
    let mut parts = Vec::new();
    for _ in 0..count {
        let Some((part, length)) = parse(&bytes[at..], depth + 1)? else { return Ok(None) };
        parts.push(part);
        at += length;
    }
    Ok(Some((Answer::Array(parts), at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a stream that arrives in pieces of this size.
    fn read(stream: &[u8], piece: usize) -> Result<Vec<Answer>, Malformed> {
        let mut reader = Reader::new();
        let mut answers = Vec::new();
        for mut part in stream.chunks(piece) {
            while !part.is_empty() {
                let space = reader.space();
                let count = space.len().min(part.len());
                assert!(count > 0, "there is always room");
                space[..count].copy_from_slice(&part[..count]);
                part = &part[count..];
                reader.filled(count);
                while let Some(answer) = reader.next()? {
                    answers.push(answer);
                }
            }
        }
        Ok(answers)
    }

    fn bytes(length: usize) -> Answer {
        Answer::Bytes(content(length).into())
    }

    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 7) as u8).collect()
    }

    fn string(length: usize) -> Vec<u8> {
        [format!("${length}\r\n").into_bytes(), content(length), b"\r\n".to_vec()].concat()
    }

    #[test]
    fn replies_are_read_however_they_arrive() {
        let mut stream = b"+OK\r\n+PONG\r\n:-12\r\n:0\r\n$-1\r\n*-1\r\n*0\r\n".to_vec();
        let mut expected = vec![
            Answer::Okay,
            Answer::Text("PONG".into()),
            Answer::Int(-12),
            Answer::Int(0),
            Answer::Nil,
            Answer::Nil,
            Answer::Array(vec![]),
        ];
        for length in [0, 1, 2, 1000, SCRATCH / 2, SCRATCH - 2, SCRATCH, SCRATCH + 1, 100_000] {
            stream.extend(string(length));
            stream.extend(b"*2\r\n$1\r\na\r\n*1\r\n:9223372036854775807\r\n");
            expected.push(bytes(length));
            expected.push(Answer::Array(vec![
                Answer::Bytes("a".into()),
                Answer::Array(vec![Answer::Int(i64::MAX)]),
            ]));
        }
        for piece in [1, 2, 3, 7, 1000, SCRATCH, stream.len()] {
            let answers = read(&stream, piece).expect("well-formed");
            assert!(answers == expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn errors_keep_their_code() {
        let answers = read(b"-NOSCRIPT No matching script.\r\n-OOM command not allowed\r\n", 5).expect("well-formed");
        let codes: Vec<_> =
            answers.iter().map(|answer| if let Answer::Error(error) = answer { error.code() } else { "" }).collect();
        assert_eq!(codes, ["NOSCRIPT", "OOM"]);
    }

    #[test]
    fn very_large_strings_are_read_into_place() {
        for length in [ON_TRUST - 2, ON_TRUST, ON_TRUST * 3 + 1] {
            let stream = [string(length), b":1\r\n".to_vec()].concat();
            for piece in [64 * 1024, stream.len()] {
                assert!(read(&stream, piece) == Ok(vec![bytes(length), Answer::Int(1)]), "{length} by {piece}");
            }
        }
    }

    #[test]
    fn nonsense_is_refused_and_costs_nothing() {
        for stream in [
            "x\r\n",
            "$x\r\n",
            "$\r\n",
            ":\r\n",
            ":1x\r\n",
            ":99999999999999999999\r\n",
            ":9223372036854775808\r\n",
            "$3\r\nabcd\r\n",
            "$999999999999\r\n",
            "*999999999999\r\n",
            "+OK\rx",
            ">2\r\n+a\r\n+b\r\n",
            "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
        ] {
            assert_eq!(read(stream.as_bytes(), 1), Err(Malformed), "{stream}");
        }
        // A length alone does not allocate.
        let mut reader = Reader::new();
        reader.space()[..12].copy_from_slice(b"$536870912\r\n");
        reader.filled(12);
        assert_eq!(reader.next(), Ok(None));
        assert!(reader.space().len() <= ON_TRUST);
    }

    #[test]
    fn any_bytes_at_all_may_arrive() {
        // Flipped bits at every place of replies.
        let stream = [b"*2\r\n$1\r\na\r\n:12\r\n+PONG\r\n-ERR no\r\n".to_vec(), string(20), string(40_000)].concat();
        for at in 0..stream.len().min(200) {
            for bit in 0..8 {
                let mut corrupt = stream.clone();
                corrupt[at] ^= 1 << bit;
                let _ = read(&corrupt, 1024);
            }
        }
    }
}
