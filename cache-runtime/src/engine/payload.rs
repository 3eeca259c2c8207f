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
use crate::poll::caught::{catch, caught};
use crate::stored::codec::{CodecError, Rank, Root};
use crate::stored::compress::{Compression, Parts};
use crate::stored::envelope::{self, Identity, OwnTags};

/// An encoded value, after room for its header.
pub(super) struct Encoded {
    pub(super) buffer: Vec<u8>,
    pub(super) kind: Payload,
    /// Where the payload begins, if it may be compressed.
    pub(super) raw_at: Option<usize>,
    /// How long it lives.
    pub(super) ttl: Ttl,
}

impl Encoded {
    /// The same with its payload compressed, if that is worth it. Returns true if it is.
    pub(super) fn compressed(self, compression: Compression) -> (Encoded, bool) {
        let Some(at) = self.raw_at else { return (self, false) };
        // A panic of an algorithm would be a fault of it, and the value can be stored all the same.
        match caught(|| compression.apply(&self.buffer, at)) {
            Ok(Some(buffer)) => (Encoded { buffer, ..self }, true),
            Ok(None) | Err(_) => (self, false),
        }
    }
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
        return Ok(Some(Encoded { buffer, kind: Payload::None, raw_at: None, ttl: Ttl::Forever }));
    }
    let raw_at = (!value.is_dense()).then_some(buffer.len());
    let root = caught(|| value.root());
    if root.map_err(|panicked| unencodable(&format!("its `Serialize`: {panicked}")))? != Root::Other {
        return Ok(None);
    }
    match append(function, value, &mut buffer) {
        Ok(rank) => Ok(Some(Encoded { buffer, kind: Payload::Value(rank), raw_at, ttl: Ttl::Forever })),
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
    /// These bytes, a part of all that the slot holds unless they were compressed. The codec of this rank wrote them.
    Value(&'b [u8], &'b Bytes, Rank),
    /// The same, still compressed.
    Compressed(&'b [u8], &'b Bytes, Rank),
    /// A `None`.
    None,
}

impl<'b> Stored<'b> {
    pub(super) fn of(value: &envelope::Value, bytes: &'b Bytes) -> Stored<'b> {
        Stored::parts(value.payload(bytes), bytes, Form::of(value))
    }

    /// The same, of a payload that is a part of `slot`.
    pub(super) fn parts(payload: &'b [u8], slot: &'b Bytes, form: Form) -> Stored<'b> {
        match form {
            Form::None => Stored::None,
            Form::Plain(rank) => Stored::Value(payload, slot, rank),
            Form::Compressed(rank) => Stored::Compressed(payload, slot, rank),
        }
    }

    /// Hands on what is stored, with its compression undone.
    #[inline]
    fn undone(self, keep: &mut dyn FnMut(Stored<'_>)) -> Result<(), CodecError> {
        match self {
            Stored::Compressed(payload, slot, rank) => {
                let parts =
                    Parts::of(payload).ok_or_else(|| CodecError::new("its compression is of another version"))?;
                parts.undo(&mut |raw| keep(Stored::Value(raw, slot, rank)))
            }
            Stored::Value(..) | Stored::None => {
                keep(self);
                Ok(())
            }
        }
    }
}

/// What a header says about the payload. A codec has the rank.
#[derive(Clone, Copy)]
pub(super) enum Form {
    None,
    Plain(Rank),
    Compressed(Rank),
}

impl Form {
    pub(super) fn of(value: &envelope::Value) -> Form {
        match value {
            envelope::Value { negative: true, .. } => Form::None,
            envelope::Value { compressed: true, rank, .. } => Form::Compressed(*rank),
            envelope::Value { rank, .. } => Form::Plain(*rank),
        }
    }
}

/// Decodes a value in a call, which keeps it; returns false if the function has no such value.
pub(super) fn decode_in(function: &Function, stored: Stored<'_>, call: &mut dyn Served) -> Result<bool, Undecodable> {
    decode(function, stored, &mut |stored| call.keep(stored))
}

/// Decodes a value with `keep`, which keeps it, and returns false if the function has no such value.
pub(super) fn decode(
    function: &Function,
    stored: Stored<'_>,
    keep: &mut dyn FnMut(Stored<'_>) -> Result<bool, CodecError>,
) -> Result<bool, Undecodable> {
    let mut kept = Ok(false);
    let mut undone = Ok(());
    let panicked = catch(&mut || undone = stored.undone(&mut |stored| kept = keep(stored))).err();
    match (kept, undone, panicked) {
        (Ok(is_kept), Ok(()), None) => Ok(is_kept),
        (Err(error), Ok(()), None) => Err(undecodable(function, stored, &error)),
        // No codec is to blame.
        (_, Err(error), None) => Err(Undecodable { error: error.to_string(), is_final: true }),
        (_, _, Some(panicked)) => {
            let error = CodecError::new(format_args!("its `Deserialize`: {panicked}"));
            Err(undecodable(function, stored, &error))
        }
    }
}

#[cold]
fn undecodable(function: &Function, stored: Stored<'_>, error: &CodecError) -> Undecodable {
    let is_final = match stored {
        Stored::Value(.., rank) | Stored::Compressed(.., rank) => !function.gives_up(rank),
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
