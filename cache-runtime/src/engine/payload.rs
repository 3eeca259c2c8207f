//! Values and their bytes: everything that runs the user's code for a value, with its panics caught.

use std::fmt::Display;

use bytes::Bytes;

use super::look::Undecodable;
use super::typed::Served;
use crate::error::{Error, ErrorKind};
use crate::key;
use crate::plan::erased::StoredValue;
use crate::plan::function::{Function, Terms};
use crate::plan::policy;
use crate::plan::ttl::Ttl;
use crate::poll::caught::{Panicked, catch, caught};
use crate::stored::codec::{CodecError, Rank, Root};
use crate::stored::envelope::{self, Identity, OwnTags};

/// An encoded value, after room for its header.
pub(super) struct Encoded {
    pub(super) buffer: Vec<u8>,
    pub(super) kind: Payload,
    /// How long it lives.
    pub(super) ttl: Ttl,
}

/// The part of the bytes that follows the header.
#[derive(Clone, Copy)]
pub(super) enum Payload {
    /// A value, which the codec of this rank wrote.
    Value(Rank),
    /// Nothing: a stored `None`.
    None,
}

impl Payload {
    pub(super) fn identity(self, function: &Function) -> Identity {
        match self {
            Payload::Value(rank) => function.identity(rank),
            Payload::None => function.identity(Rank::First),
        }
    }
}

/// Encodes a value that is to be stored; `None` is returned for one that is not.
pub(super) fn encode(
    terms: &Terms,
    value: &dyn StoredValue,
    own: &OwnTags,
    random: u64,
) -> Result<Option<Encoded>, Error> {
    let ttl = caught(|| policy::lifetime(terms, value, random));
    let Some(ttl) = ttl.map_err(|panicked| unencodable(&format!("`ttl` or `cache_if`: {panicked}")))? else {
        return Ok(None);
    };
    Ok(payload(terms.function, value, own)?.map(|encoded| Encoded { ttl, ..encoded }))
}

/// Encodes a value that lives for ever. `None` is returned for a `None` or an `Err` that a generic function hides from
/// the attribute in its type parameter.
pub(super) fn payload(function: &Function, value: &dyn StoredValue, own: &OwnTags) -> Result<Option<Encoded>, Error> {
    let mut buffer = envelope::buffer(own);
    if value.is_none() {
        return Ok(Some(Encoded { buffer, kind: Payload::None, ttl: Ttl::Forever }));
    }
    let root = caught(|| value.root());
    if root.map_err(|panicked| unencodable(&format!("its `Serialize`: {panicked}")))? != Root::Other {
        return Ok(None);
    }
    match append(function, value, &mut buffer) {
        Ok(rank) => Ok(Some(Encoded { buffer, kind: Payload::Value(rank), ttl: Ttl::Forever })),
        Err(error) => Err(unencodable(&error)),
    }
}

/// Appends a value in the first codec that can encode it, and returns that codec's rank.
fn append(function: &Function, value: &dyn StoredValue, buffer: &mut Vec<u8>) -> Result<Rank, CodecError> {
    let start = buffer.len();
    let rank = function.rank();
    let mut encode = |rank| {
        buffer.truncate(start);
        caught(|| function.check(value, rank).and_then(|()| value.encode(buffer, rank)))
            .map_err(|panicked| format!("its `Serialize`: {panicked}"))
    };
    let error = match encode(rank).map_err(CodecError::new)? {
        Ok(()) => return Ok(rank),
        Err(error) if rank == Rank::Second || !function.has_second() => return Err(error),
        // A field is left out, for example.
        Err(error) => error,
    };
    match encode(Rank::Second).map_err(CodecError::new)? {
        Ok(()) => Ok(Rank::Second),
        Err(second) => Err(error.or(second)),
    }
}

/// What a slot holds of a value.
#[derive(Clone, Copy)]
pub(super) enum Stored<'b> {
    /// These bytes, a part of all that the slot holds. The codec of this rank wrote them.
    Value(&'b [u8], &'b Bytes, Rank),
    /// A `None`.
    None,
}

impl<'b> Stored<'b> {
    pub(super) fn of(value: &envelope::Value, bytes: &'b Bytes) -> Stored<'b> {
        if value.negative { Stored::None } else { Stored::Value(value.payload(bytes), bytes, value.rank) }
    }
}

/// Decodes a value in a call, which keeps it; returns false if the function has no such value.
pub(super) fn decode_in(function: &Function, stored: Stored<'_>, call: &mut dyn Served) -> Result<bool, Undecodable> {
    let mut kept = Ok(false);
    let panicked = catch(&mut || kept = call.keep(stored)).err();
    decoded(function, stored, kept, panicked)
}

/// Decodes a value with `keep`, which keeps it, and returns false if the function has no such value.
pub(super) fn decode(
    function: &Function,
    stored: Stored<'_>,
    keep: &mut dyn FnMut(Stored<'_>) -> Result<bool, CodecError>,
) -> Result<bool, Undecodable> {
    let mut kept = Ok(false);
    let panicked = catch(&mut || kept = keep(stored)).err();
    decoded(function, stored, kept, panicked)
}

#[inline]
fn decoded(
    function: &Function,
    stored: Stored<'_>,
    kept: Result<bool, CodecError>,
    panicked: Option<Panicked>,
) -> Result<bool, Undecodable> {
    match (kept, panicked) {
        (Ok(is_kept), None) => Ok(is_kept),
        (Err(error), None) => Err(undecodable(function, stored, &error)),
        (_, Some(panicked)) => {
            let error = CodecError::new(format_args!("its `Deserialize`: {panicked}"));
            Err(undecodable(function, stored, &error))
        }
    }
}

#[cold]
fn undecodable(function: &Function, stored: Stored<'_>, error: &CodecError) -> Undecodable {
    let is_final = match stored {
        Stored::Value(.., rank) => !function.gives_up(rank),
        Stored::None => true,
    };
    Undecodable { error: error.to_string(), is_final }
}

/// The names of the tags that a value has of its own, each once.
pub(super) fn own_tags(value: &dyn StoredValue) -> Result<Vec<String>, Error> {
    let tags = caught(|| value.own_tags()).map_err(|panicked| unencodable(&format!("`tags`: {panicked}")))?;
    let mut names: Vec<String> = tags.iter().map(|tag| key::tag_name(tag)).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

#[cold]
fn unencodable(reason: &dyn Display) -> Error {
    Error::new(ErrorKind::Codec, reason.to_string())
}
