//! Encodes a value into bytes.

use bincode::enc::{Encode, Encoder as _, EncoderImpl, write::Writer};
use bincode::error::EncodeError;
use serde::ser;

use super::{CONFIG, Counts, EMPTY_ELEMENTS};
use crate::poll::stack::Stack;
use crate::stored::codec::{CodecError, DEPTH, SELF_DESCRIBING_ADVICE, depth};
use crate::stored::sink::{Compound, Kind, Part, Sink, Value, Variant, Wrapper};

/// Appends `value`, and its [`Counts`].
pub(super) fn encode(buffer: &mut Vec<u8>, value: &dyn Value) -> Result<(), CodecError> {
    let start = buffer.len();
    let mut output = Output {
        encoder: EncoderImpl::new(Appended(buffer), CONFIG),
        counts: Counts::default(),
        empty: 0,
        root: Stack::here(),
        depth: 0,
    };
    value.write(&mut output)?;
    let Output { counts, empty, .. } = output;
    if empty > EMPTY_ELEMENTS + (buffer.len() - start) {
        return Err(CodecError::new("more empty elements than could be read back"));
    }
    buffer.extend_from_slice(&counts.to_bytes());
    Ok(())
}

struct Appended<'a>(&'a mut Vec<u8>);

/// Text or bytes of this length are likely to be most of the value. The buffer reserves [`TAIL`] more bytes for the
/// rest, so that it need not double.
const LARGE: usize = 4096;
const TAIL: usize = 64;

impl Writer for Appended<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if bytes.len() >= LARGE {
            self.0.reserve(bytes.len() + TAIL);
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

struct Output<'a> {
    encoder: EncoderImpl<Appended<'a>, bincode::config::Configuration>,
    counts: Counts,
    /// The number of elements so far that took no byte.
    empty: usize,
    root: Stack,
    depth: usize,
}

impl Output<'_> {
    #[inline]
    fn put(&mut self, value: impl Encode) -> Result<(), CodecError> {
        value.encode(&mut self.encoder).map_err(ser::Error::custom)
    }

    #[inline]
    fn variant(&mut self, variant: Variant) -> Result<(), CodecError> {
        self.counts.variant(variant.name);
        self.put(variant.index)
    }

    #[inline]
    fn len(&mut self) -> usize {
        self.encoder.writer().0.len()
    }

    fn deeper(&mut self) -> Result<(), CodecError> {
        if self.depth == DEPTH || self.root.is_spent() {
            return Err(ser::Error::custom("nested too deeply"));
        }
        self.depth += 1;
        depth::note(self.depth, self.root);
        Ok(())
    }

    /// Counts the last element or key if it took no byte.
    fn count_empty(&mut self, compound: &Compound) {
        self.empty += usize::from(self.len() == compound.start);
    }
}

/// The start of a part that is not counted if it takes no byte.
const UNCOUNTED: usize = usize::MAX;

#[cold]
fn wrong_length() -> CodecError {
    ser::Error::custom("a sequence or map has another length than it announced")
}

macro_rules! primitives {
    ($($method:ident($argument:ty))*) => {$(
        fn $method(&mut self, value: $argument) -> Result<(), CodecError> {
            self.put(value)
        }
    )*};
}

impl Sink for Output<'_> {
    fn is_human_readable(&self) -> bool {
        false
    }

    primitives! {
        bool(bool) i8(i8) i128(i128) u8(u8) u128(u128) f32(f32) f64(f64) char(char) str(&str) bytes(&[u8])
    }

    /// Zigzag: small negative numbers take few bytes too.
    fn signed(&mut self, value: i64) -> Result<(), CodecError> {
        self.unsigned((value << 1 ^ value >> 63).cast_unsigned())
    }

    /// A byte, or a marker and the fewest bytes of two, four and eight, in half the time that bincode takes.
    fn unsigned(&mut self, value: u64) -> Result<(), CodecError> {
        let buffer = &mut *self.encoder.writer().0;
        let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
        match value {
            0..=250 => buffer.push(a),
            251..=0xffff => buffer.extend_from_slice(&[251, a, b]),
            0x1_0000..=0xffff_ffff => buffer.extend_from_slice(&[252, a, b, c, d]),
            _ => buffer.extend_from_slice(&[253, a, b, c, d, e, f, g, h]),
        }
        Ok(())
    }

    fn unit(&mut self) -> Result<(), CodecError> {
        Ok(())
    }

    fn unit_struct(&mut self) -> Result<(), CodecError> {
        Ok(())
    }

    fn none(&mut self) -> Result<(), CodecError> {
        self.put(0_u8)
    }

    fn unit_variant(&mut self, variant: Variant) -> Result<(), CodecError> {
        self.variant(variant)
    }

    fn enter(&mut self, wrapper: Wrapper) -> Result<usize, CodecError> {
        match wrapper {
            Wrapper::Some => self.put(1_u8)?,
            Wrapper::Variant(variant) => self.variant(variant)?,
        }
        let outside = self.depth;
        self.deeper()?;
        Ok(outside)
    }

    fn leave(&mut self, depth: usize) {
        self.depth = depth;
    }

    fn begin(&mut self, kind: Kind) -> Result<Compound, CodecError> {
        let outside = self.depth;
        let count = match kind {
            Kind::Seq(Some(len)) | Kind::Map(Some(len)) => {
                self.deeper()?;
                self.put(len as u64)?;
                len
            }
            Kind::Seq(None) | Kind::Map(None) => {
                return Err(ser::Error::custom(format_args!(
                    "bincode cannot store a sequence or map of unknown length, as `#[serde(flatten)]` makes one; {SELF_DESCRIBING_ADVICE}"
                )));
            }
            // The number of their parts is not written, because the reader's type determines it.
            Kind::Tuple(len) | Kind::TupleStruct(len) | Kind::Struct(len) => len,
            Kind::TupleVariant(variant, len) | Kind::StructVariant(variant, len) => {
                self.variant(variant)?;
                self.deeper()?;
                len
            }
        };
        Ok(Compound { kind, outside, count, start: UNCOUNTED })
    }

    fn part(&mut self, compound: &mut Compound, part: Part) -> Result<(), CodecError> {
        match compound.kind {
            Kind::Seq(_) | Kind::Map(_) => {
                self.count_empty(compound);
                if let Part::Value = part {
                    compound.start = UNCOUNTED;
                    return Ok(());
                }
                // A concurrent map may have grown since its length was written.
                compound.count = compound.count.checked_sub(1).ok_or_else(wrong_length)?;
                compound.start = self.len();
            }
            Kind::Tuple(_) => {}
            Kind::TupleStruct(_) | Kind::TupleVariant(..) | Kind::Struct(_) | Kind::StructVariant(..) => {
                self.counts.field();
            }
        }
        Ok(())
    }

    #[cold]
    fn skip_field(&mut self, name: &'static str) -> Result<(), CodecError> {
        Err(ser::Error::custom(format_args!(
            "bincode cannot leave out the field `{name}`, as `skip_serializing_if` does; {SELF_DESCRIBING_ADVICE}"
        )))
    }

    fn end(&mut self, compound: &mut Compound) -> Result<(), CodecError> {
        self.depth = compound.outside;
        match compound.kind {
            Kind::Seq(_) | Kind::Map(_) => {
                self.count_empty(compound);
                if compound.count > 0 { Err(wrong_length()) } else { Ok(()) }
            }
            Kind::Tuple(_) => Ok(()),
            Kind::TupleStruct(_) | Kind::TupleVariant(..) | Kind::Struct(_) | Kind::StructVariant(..) => {
                self.counts.end();
                Ok(())
            }
        }
    }
}
