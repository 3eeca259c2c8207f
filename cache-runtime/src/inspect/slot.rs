//! The content of a slot.

use std::borrow::Cow;
use std::time::Duration;

use super::name::KeyName;
use crate::stored::codec::{codec_id, page};
use crate::stored::compress::Parts;
use crate::stored::envelope::{Opened, OpenedValue, Seal, is_intact, opened, opened_field};

/// The content of a slot, unverified.
#[derive(Debug)]
pub enum Content<'a> {
    /// A call computes the value.
    Lease {
        /// The token, which tells leases apart.
        token: [u8; 16],
        /// The entry has tags that follow from its arguments.
        has_tags: bool,
    },
    /// A value.
    Value(ValueParts<'a>),
    /// Another version of this library wrote it.
    OtherVersion,
    /// This library did not write it.
    Foreign,
}

/// The parts of a value.
#[derive(Debug)]
pub struct ValueParts<'a>(Box<OpenedValue<'a>>);

/// Whether the checksum of a value fits.
#[derive(Debug)]
pub enum Checked {
    /// It fits the bytes and this key, which tells the namespace.
    Intact(KeyName),
    /// The bytes are damaged, or were copied from another key: to a call, the value is a miss.
    Damaged,
}

/// The codec of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// `codec = bincode`, and the first choice of `auto`.
    Bincode,
    /// `codec = messagepack`, and the second choice of `auto`.
    MessagePack,
    /// `codec = json`.
    Json,
    /// A response of a handler, with `response`: its status, its headers and its body.
    Response,
    /// A codec of the program, by its number.
    Other(u32),
}

impl Codec {
    /// Its name, as the attribute has it.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Bincode => "bincode",
            Codec::MessagePack => "messagepack",
            Codec::Json => "json",
            Codec::Response => "response",
            Codec::Other(_) => "other",
        }
    }
}

/// Reads the content of a slot with a key of its own, or its first 112 bytes.
pub fn content(bytes: &[u8]) -> Content<'_> {
    match opened(bytes) {
        Opened::Lease { token, seal } => Content::Lease { token, has_tags: seal != Seal::default() },
        Opened::Value(value) => Content::Value(ValueParts(value)),
        Opened::OtherVersion => Content::OtherVersion,
        Opened::Foreign => Content::Foreign,
    }
}

/// The bytes of a field as those of a key of its own, and the end of the field by the server's clock. `None` if this library
/// did not write it. `companion` is the content of the field `{field}\0r`.
pub fn field_content(bytes: Vec<u8>, companion: Option<&[u8]>) -> Option<(Vec<u8>, u64)> {
    opened_field(bytes, companion)
}

/// The number that stands for these tags with these stamps in a value. The keys of the stamps are in ascending order.
pub fn seal_of<'a>(stamped: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> u64 {
    Seal::of(stamped).number()
}

impl ValueParts<'_> {
    /// Checks the bytes that it was read from, against the names that the key may have.
    pub fn check(&self, names: &[KeyName], bytes: &[u8]) -> Checked {
        match names.iter().find(|name| is_intact(name.key(), bytes)) {
            Some(name) => Checked::Intact(name.clone()),
            None => Checked::Damaged,
        }
    }

    /// The id of the value.
    pub fn id(&self) -> [u8; 16] {
        *self.0.mark.id.bytes()
    }

    /// The token of the refresh under way, if there is one.
    pub fn refresh(&self) -> Option<[u8; 16]> {
        self.0.mark.token.map(|token| *token.bytes())
    }

    /// Returns true if the mark of a refresh is damaged: to a call, the value has none.
    pub fn has_damaged_mark(&self) -> bool {
        self.0.has_damaged_mark
    }

    /// The time until which no other call may refresh it. For a field, this is that of the companion.
    pub fn refresh_until(&self) -> u64 {
        self.0.mark.until
    }

    /// `version = …` of the function.
    pub fn version(&self) -> u32 {
        self.0.version
    }

    /// The codec.
    pub fn codec(&self) -> Codec {
        match self.0.codec {
            id if id == codec_id("bincode-3") => Codec::Bincode,
            id if id == codec_id("messagepack-2") => Codec::MessagePack,
            id if id == codec_id("json") => Codec::Json,
            id if id == codec_id(page::NAME) => Codec::Response,
            id => Codec::Other(id),
        }
    }

    /// The fingerprint of the type.
    pub fn fingerprint(&self) -> u64 {
        self.0.fingerprint
    }

    /// The seal over the tags that follow from the arguments. Zero for none.
    pub fn seal(&self) -> u64 {
        self.0.seal.number()
    }

    /// The tags of the value itself, by their names in keys, and the seal over them. `None` if its function has none.
    pub fn own_tags(&self) -> Option<(&[&str], u64)> {
        self.0.own_tags.as_ref().map(|(names, seal)| (&**names, seal.number()))
    }

    /// When its computation began, in milliseconds of the server's clock.
    pub fn leased_at(&self) -> u64 {
        self.0.leased_at
    }

    /// When it was stored.
    pub fn filled_at(&self) -> u64 {
        self.0.filled_at
    }

    /// The end of its lifetime. `None` for none.
    pub fn fresh_until(&self) -> Option<u64> {
        (self.0.fresh_until != u64::MAX).then_some(self.0.fresh_until)
    }

    /// How long the body ran.
    pub fn body(&self) -> Duration {
        self.0.body
    }

    /// A stored `None`.
    pub fn is_negative(&self) -> bool {
        self.0.negative
    }

    /// The encoded value as it is stored, if its bytes are there.
    pub fn payload(&self) -> &[u8] {
        self.0.payload
    }

    /// The name of the algorithm by which the payload is compressed, and the number of bytes that it has without. `None` if
    /// it is stored as it is, or if its bytes are not there. Nothing of this is verified.
    pub fn compression(&self) -> Option<(&'static str, u64)> {
        let parts = self.0.compressed.then(|| Parts::of(self.0.payload)).flatten()?;
        Some((parts.algorithm.name(), parts.raw_len as u64))
    }

    /// The encoded value with its compression undone. The error says why that cannot be.
    pub fn raw_payload(&self) -> Result<Cow<'_, [u8]>, String> {
        if !self.0.compressed {
            return Ok(Cow::Borrowed(self.0.payload));
        }
        let parts = Parts::of(self.0.payload).ok_or("it is compressed in a way that this version does not know")?;
        let mut raw = Vec::new();
        parts.undo(&mut |undone| raw.extend_from_slice(undone)).map_err(|error| error.to_string())?;
        Ok(Cow::Owned(raw))
    }
}
