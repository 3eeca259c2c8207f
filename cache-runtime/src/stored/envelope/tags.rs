//! Seals over tags, and the tags that a value has of its own: `number u16`, then a length `u8` and the name of each, then
//! their seal `u64`.

use super::layout::{FLAGS, HEADER, OWN_TAGS, VALUE, VALUE_FORMAT};
use crate::hash::hash_parts;

/// The most tags of its own that a value may have.
pub(crate) const MOST_TAGS: usize = 1_000;

/// A hash over the tags of an entry and their stamps; 0 for an entry without tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seal(pub(super) u64);

impl Seal {
    #[cfg(feature = "inspect")]
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// The seal over the tags of an entry, in their order, with the stamp of each.
    pub(crate) fn of<'a>(stamped: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Seal {
        let mut stamped = stamped.into_iter().peekable();
        if stamped.peek().is_none() {
            return Seal(0);
        }
        Seal(hash_parts(0, stamped.flat_map(|(tag, stamp)| [tag.as_bytes(), stamp])).max(1))
    }
}

/// The tags that a value has of its own, in addition to those that follow from the arguments.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnTags {
    /// A value that was not asked differs from one that has none.
    is_asked: bool,
    names: Vec<String>,
    seal: Seal,
}

impl OwnTags {
    /// The tags of a value that has none.
    pub(crate) fn none(is_asked: bool) -> OwnTags {
        OwnTags { is_asked, ..OwnTags::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns `None` if there are too many tags, or a name is too long.
    pub(crate) fn new(names: Vec<String>, seal: Seal) -> Option<OwnTags> {
        let fits = names.len() <= MOST_TAGS && names.iter().all(|name| name.len() <= usize::from(u8::MAX));
        fits.then_some(OwnTags { is_asked: true, names, seal })
    }
}

/// Returns true if the value was asked for tags of its own. Any bytes at all may come in.
pub(crate) fn has_own_tags(bytes: &[u8]) -> bool {
    bytes.starts_with(&[VALUE, VALUE_FORMAT]) && bytes.get(FLAGS).is_some_and(|flags| flags & OWN_TAGS != 0)
}

/// The names of the value's own tags. Any bytes at all may come in, and the names are unverified.
pub(crate) fn own_tags(bytes: &[u8]) -> Vec<&str> {
    let rest = if has_own_tags(bytes) { bytes.get(HEADER.end..) } else { None };
    rest.and_then(split_own_tags).map(|(names, ..)| names).unwrap_or_default()
}

/// The seal of the value's own tags; `None` if it has none. Any bytes at all may come in.
pub(crate) fn own_seal(bytes: &[u8]) -> Option<Seal> {
    let rest = if has_own_tags(bytes) { bytes.get(HEADER.end..) } else { None };
    rest.and_then(split_own_tags).filter(|(names, ..)| !names.is_empty()).map(|(_, seal, _)| seal)
}

/// The names, their seal, and the bytes after them.
pub(super) fn split_own_tags(rest: &[u8]) -> Option<(Vec<&str>, Seal, &[u8])> {
    let (count, mut rest) = rest.split_first_chunk::<2>()?;
    let count = usize::from(u16::from_le_bytes(*count));
    if count > MOST_TAGS {
        return None;
    }
    let mut names = Vec::with_capacity(count);
    for _ in 0..count {
        let (len, more) = rest.split_first()?;
        let (name, more) = more.split_at_checked(usize::from(*len))?;
        names.push(std::str::from_utf8(name).ok()?);
        rest = more;
    }
    let (seal, payload) = rest.split_first_chunk::<8>()?;
    Some((names, Seal(u64::from_le_bytes(*seal)), payload))
}

/// The buffer that an encoder appends the payload to, with room for the header at its front, and the value's own tags,
/// if it has any. Their names are no longer than 255 bytes.
pub(crate) fn buffer(own: &OwnTags) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(HEADER.end + 128);
    buffer.resize(HEADER.end, 0);
    if own.is_asked {
        buffer[FLAGS] = OWN_TAGS;
        // `OwnTags` limits the number and the length.
        buffer.extend_from_slice(&(own.names.len() as u16).to_le_bytes());
        for name in &own.names {
            buffer.push(name.len() as u8);
            buffer.extend_from_slice(name.as_bytes());
        }
        buffer.extend_from_slice(&own.seal.0.to_le_bytes());
    }
    buffer
}
