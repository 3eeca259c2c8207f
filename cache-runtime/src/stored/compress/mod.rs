//! Compressed payloads: `algorithm u8`, `raw length u32`, and then a block of that algorithm.

#[cfg(feature = "lz4")]
mod lz4;
mod setting;
#[cfg(test)]
mod tests;
#[cfg(feature = "zstd")]
mod zstd;

use std::cell::Cell;
use std::fmt;

pub use self::setting::Compression;
use crate::stored::codec::CodecError;

/// The bytes before the block.
const FRONT: usize = 5;

/// A buffer above this size is not kept for the next value.
const KEPT: usize = 1 << 20;

/// The most bytes that a small zstd block may become: its ratio has no bound of its own.
const MOST_OF_SMALL: usize = 64 << 20;

/// An algorithm, by its number in payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Lz4 = 1,
    Zstd = 2,
}

impl Algorithm {
    fn of(number: u8) -> Option<Algorithm> {
        [Algorithm::Lz4, Algorithm::Zstd].into_iter().find(|algorithm| *algorithm as u8 == number)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Algorithm::Lz4 => "lz4",
            Algorithm::Zstd => "zstd",
        }
    }

    /// Returns true if this build has the algorithm.
    fn is_enabled(self) -> bool {
        match self {
            Algorithm::Lz4 => cfg!(feature = "lz4"),
            Algorithm::Zstd => cfg!(feature = "zstd"),
        }
    }

    /// The most raw bytes of a block: what is allocated for bytes that claim more than they hold. A block of LZ4 cannot
    /// hold more.
    fn most_raw(self, block: usize) -> usize {
        let in_proportion = block.saturating_mul(255).saturating_add(64);
        match self {
            Algorithm::Lz4 => in_proportion,
            Algorithm::Zstd => in_proportion.max(MOST_OF_SMALL),
        }
    }

    /// Writes the block of `raw`, and returns its length. `None` if `block` is too small for it.
    #[cfg_attr(not(any(feature = "lz4", feature = "zstd")), expect(unused_variables, reason = "no algorithm is left"))]
    fn make(self, raw: &[u8], block: &mut [u8]) -> Option<usize> {
        match self {
            #[cfg(feature = "lz4")]
            Algorithm::Lz4 => lz4::make(raw, block),
            #[cfg(feature = "zstd")]
            Algorithm::Zstd => zstd::make(raw, block),
            #[cfg(not(all(feature = "lz4", feature = "zstd")))]
            _ => None,
        }
    }

    /// The room that [`make`](Self::make) needs for a block of at most `worth` bytes.
    #[cfg_attr(not(feature = "lz4"), expect(unused_variables, reason = "of LZ4"))]
    fn room(self, raw: usize, worth: usize) -> usize {
        match self {
            #[cfg(feature = "lz4")]
            Algorithm::Lz4 => lz4::room(raw),
            // It stops where the block does not fit.
            _ => worth,
        }
    }

    /// Undoes a block, and returns how many raw bytes it had. `None` if it is damaged, or has more than fit.
    #[cfg_attr(not(any(feature = "lz4", feature = "zstd")), expect(unused_variables, reason = "no algorithm is left"))]
    fn undo(self, block: &[u8], raw: &mut [u8]) -> Option<usize> {
        match self {
            #[cfg(feature = "lz4")]
            Algorithm::Lz4 => lz4::undo(block, raw),
            #[cfg(feature = "zstd")]
            Algorithm::Zstd => zstd::undo(block, raw),
            #[cfg(not(all(feature = "lz4", feature = "zstd")))]
            _ => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The parts of a compressed payload, unverified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) raw_len: usize,
    block: &'a [u8],
}

impl<'a> Parts<'a> {
    /// `None` for bytes that are too short, and for an algorithm of a later version. Any bytes at all may come in.
    pub(crate) fn of(payload: &'a [u8]) -> Option<Parts<'a>> {
        let (front, block) = payload.split_first_chunk::<FRONT>()?;
        let [algorithm, raw_len @ ..] = *front;
        let raw_len = usize::try_from(u32::from_le_bytes(raw_len)).ok()?;
        Some(Parts { algorithm: Algorithm::of(algorithm)?, raw_len, block })
    }

    /// Uses the raw bytes. They live in a buffer of the thread, so that a hit allocates none.
    pub(crate) fn undo(&self, use_raw: &mut dyn FnMut(&[u8])) -> Result<(), CodecError> {
        let Parts { algorithm, raw_len, block } = *self;
        if raw_len > algorithm.most_raw(block.len()) {
            let length = block.len();
            return Err(CodecError::new(format_args!("{length} bytes of {algorithm} claim to hold {raw_len}")));
        }
        with_buffer(&RAW, raw_len, |raw| {
            if algorithm.undo(block, raw) != Some(raw_len) {
                return Err(CodecError::new(format_args!("its bytes of {algorithm} are damaged")));
            }
            use_raw(raw);
            Ok(())
        })
    }
}

/// Returns true if this build can undo a compressed payload, as far as its first bytes tell.
pub(crate) fn is_known(payload: &[u8]) -> bool {
    Parts::of(payload).is_some_and(|parts| parts.algorithm.is_enabled())
}

/// The bytes of a value with its payload, which begins at `at`, compressed: `None` if that does not save an eighth.
pub(crate) fn compressed(algorithm: Algorithm, value: &[u8], at: usize) -> Option<Vec<u8>> {
    let (front, raw) = value.split_at_checked(at)?;
    let raw_len = u32::try_from(raw.len()).ok()?;
    let worth = (raw.len() - raw.len() / 8).checked_sub(FRONT)?;
    with_buffer(&BLOCK, algorithm.room(raw.len(), worth), |block| {
        let len = algorithm.make(raw, block).filter(|len| *len <= worth)?;
        // What is stored can be read.
        if raw.len() > algorithm.most_raw(len) {
            return None;
        }
        let mut compressed = Vec::with_capacity(at + FRONT + len);
        compressed.extend_from_slice(front);
        compressed.push(algorithm as u8);
        compressed.extend_from_slice(&raw_len.to_le_bytes());
        compressed.extend_from_slice(block.get(..len)?);
        Some(compressed)
    })
}

thread_local! {
    static RAW: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static BLOCK: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends `len` bytes of the thread's buffer. What decodes them may come back here, and finds another buffer.
fn with_buffer<T>(
    of_thread: &'static std::thread::LocalKey<Cell<Vec<u8>>>,
    len: usize,
    use_buffer: impl FnOnce(&mut [u8]) -> T,
) -> T {
    // There is none in a thread that ends.
    let mut buffer = of_thread.try_with(Cell::take).unwrap_or_default();
    if buffer.len() < len {
        // What a longer one would copy is of no use.
        buffer = vec![0; len];
    }
    let output = use_buffer(&mut buffer[..len]);
    if buffer.len() <= KEPT {
        of_thread.try_with(|cell| cell.set(buffer)).ok();
    }
    output
}
