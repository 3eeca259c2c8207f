//! Which values are compressed.

use super::{Algorithm, compressed};

/// How stored values are compressed, for [`Builder::compress`](crate::Builder::compress). A function's own
/// `compress = …` comes first.
///
/// ```
/// # #[cfg(feature = "lz4")]
/// # fn main() -> Result<(), redis_cached::Error> {
/// use redis_cached::{Cache, Compression};
///
/// let cache = Cache::builder("redis://127.0.0.1")?.compress(Compression::LZ4.threshold(4096)).build();
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "lz4"))]
/// # fn main() {}
/// ```
///
/// A value is compressed after it is encoded, if its encoding has at least 1 KiB, or as much as
/// [`threshold`](Compression::threshold) says, and if that saves at least an eighth. All other values are stored as they are,
/// and so are those of 4 GiB and more. Programs read both forms, whatever they write themselves, if they have the feature of the
/// algorithm. Without it, a compressed value is a miss.
///
/// The page "What is stored" of the guide has a table that says when it pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    algorithm: Option<Algorithm>,
    threshold: usize,
}

impl Compression {
    /// Values are stored as they are. This is the default.
    pub const OFF: Compression = Compression { algorithm: None, threshold: Compression::THRESHOLD };

    /// LZ4, which adds less than half a microsecond to a hit of 2 KB, and about 2 µs to its fill.
    #[cfg(feature = "lz4")]
    #[cfg_attr(docsrs, doc(cfg(feature = "lz4")))]
    pub const LZ4: Compression = Compression { algorithm: Some(Algorithm::Lz4), ..Compression::OFF };

    /// Zstandard at its level 3, which saves more than LZ4, and takes two to twelve times as long.
    #[cfg(feature = "zstd")]
    #[cfg_attr(docsrs, doc(cfg(feature = "zstd")))]
    pub const ZSTD: Compression = Compression { algorithm: Some(Algorithm::Zstd), ..Compression::OFF };

    const THRESHOLD: usize = 1024;

    /// Encoded values of fewer bytes are stored as they are; 1024 unless set.
    ///
    /// ```
    /// use redis_cached::Compression;
    ///
    /// # #[cfg(feature = "zstd")]
    /// let large_ones = Compression::ZSTD.threshold(64 << 10);
    /// ```
    #[must_use]
    pub const fn threshold(self, bytes: usize) -> Compression {
        Compression { threshold: bytes, ..self }
    }

    /// The bytes of a value with its payload, which begins at `at`, compressed. `None` if the value is to be stored as it is.
    pub(crate) fn apply(self, value: &[u8], at: usize) -> Option<Vec<u8>> {
        let algorithm = self.algorithm?;
        if value.len().saturating_sub(at) < self.threshold {
            return None;
        }
        compressed(algorithm, value, at)
    }
}

impl Default for Compression {
    /// [`Compression::OFF`].
    fn default() -> Compression {
        Compression::OFF
    }
}
