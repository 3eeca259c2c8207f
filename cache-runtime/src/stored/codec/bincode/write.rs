//! Encodes a value into bytes.

use std::fmt;

use bincode::enc::{Encode, Encoder as _, EncoderImpl, write::Writer};
use bincode::error::EncodeError;
use serde::ser::{self, Serialize, Serializer};

use super::{CONFIG, Counts, EMPTY_ELEMENTS};
use crate::poll::stack::Stack;
use crate::stored::codec::{CodecError, DEPTH, SELF_DESCRIBING_ADVICE, depth};

/// Appends `value` and its [`Counts`].
pub(super) fn encode<V: Serialize + ?Sized>(value: &V, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
    let start = buffer.len();
    let mut output = Output {
        encoder: EncoderImpl::new(Appended(buffer), CONFIG),
        counts: Counts::default(),
        empty: 0,
        root: Stack::here(),
    };
    value.serialize(Walk { output: &mut output, depth: 0 }).map_err(|Refused(error)| error)?;
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
}

impl Output<'_> {
    #[inline]
    fn put(&mut self, value: impl Encode) -> Result<(), Refused> {
        value.encode(&mut self.encoder).map_err(ser::Error::custom)
    }

    #[inline]
    fn variant(&mut self, index: u32, name: &str) -> Result<(), Refused> {
        self.counts.variant(name);
        self.put(index)
    }

    #[inline]
    fn len(&mut self) -> usize {
        self.encoder.writer().0.len()
    }
}

#[derive(Debug)]
struct Refused(CodecError);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Refused(CodecError::new(message))
    }
}

struct Walk<'a, 'b> {
    output: &'a mut Output<'b>,
    depth: usize,
}

impl<'a, 'b> Walk<'a, 'b> {
    fn deeper(self) -> Result<Walk<'a, 'b>, Refused> {
        if self.depth == DEPTH || self.output.root.is_spent() {
            return Err(ser::Error::custom("nested too deeply"));
        }
        depth::note(self.depth + 1);
        Ok(Walk { output: self.output, depth: self.depth + 1 })
    }

    fn elements(self, len: Option<usize>) -> Result<Elements<'a, 'b>, Refused> {
        let Some(left) = len else {
            return Err(ser::Error::custom(format_args!(
                "bincode cannot store a sequence or map of unknown length, as `#[serde(flatten)]` makes one; {SELF_DESCRIBING_ADVICE}"
            )));
        };
        let Walk { output, depth } = self.deeper()?;
        output.put(left as u64)?;
        Ok(Elements { output, depth, left })
    }

    fn fields(self) -> Fields<'a, 'b> {
        Fields { output: self.output, depth: self.depth }
    }
}

macro_rules! primitives {
    ($($method:ident($argument:ty))*) => {$(
        #[inline]
        fn $method(self, value: $argument) -> Result<(), Refused> {
            self.output.put(value)
        }
    )*};
}

impl<'a, 'b> Serializer for Walk<'a, 'b> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Elements<'a, 'b>;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Fields<'a, 'b>;
    type SerializeTupleVariant = Fields<'a, 'b>;
    type SerializeMap = Elements<'a, 'b>;
    type SerializeStruct = Fields<'a, 'b>;
    type SerializeStructVariant = Fields<'a, 'b>;

    primitives! {
        serialize_bool(bool)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_u128(u128)
        serialize_f32(f32) serialize_f64(f64)
        serialize_char(char) serialize_str(&str) serialize_bytes(&[u8])
    }

    fn serialize_none(self) -> Result<(), Refused> {
        self.output.put(0_u8)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        self.output.put(1_u8)?;
        value.serialize(self.deeper()?)
    }

    fn serialize_unit(self) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_unit_variant(self, _name: &'static str, index: u32, variant: &'static str) -> Result<(), Refused> {
        self.output.variant(index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        self.output.variant(index, variant)?;
        value.serialize(self.deeper()?)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Elements<'a, 'b>, Refused> {
        self.elements(len)
    }

    fn serialize_tuple(self, _len: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Fields<'a, 'b>, Refused> {
        Ok(self.fields())
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Fields<'a, 'b>, Refused> {
        self.output.variant(index, variant)?;
        Ok(self.deeper()?.fields())
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Elements<'a, 'b>, Refused> {
        self.elements(len)
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Fields<'a, 'b>, Refused> {
        Ok(self.fields())
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Fields<'a, 'b>, Refused> {
        self.output.variant(index, variant)?;
        Ok(self.deeper()?.fields())
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The elements of a sequence or a map, after their number.
struct Elements<'a, 'b> {
    output: &'a mut Output<'b>,
    depth: usize,
    left: usize,
}

impl Elements<'_, '_> {
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        value.serialize(Walk { output: self.output, depth: self.depth })
    }

    fn count(&mut self) -> Result<(), Refused> {
        // A concurrent map may have grown since its length was written.
        self.left = self.left.checked_sub(1).ok_or_else(wrong_length)?;
        Ok(())
    }
}

#[cold]
fn wrong_length() -> Refused {
    ser::Error::custom("a sequence or map has another length than it announced")
}

impl ser::SerializeSeq for Elements<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.count()?;
        let before = self.output.len();
        self.value(value)?;
        self.output.empty += usize::from(self.output.len() == before);
        Ok(())
    }

    fn end(self) -> Result<(), Refused> {
        if self.left == 0 { Ok(()) } else { Err(wrong_length()) }
    }
}

impl ser::SerializeMap for Elements<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        self.count()?;
        let before = self.output.len();
        self.value(key)?;
        self.output.empty += usize::from(self.output.len() == before);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.value(value)
    }

    fn end(self) -> Result<(), Refused> {
        if self.left == 0 { Ok(()) } else { Err(wrong_length()) }
    }
}

impl ser::SerializeTuple for Walk<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        value.serialize(Walk { output: self.output, depth: self.depth })
    }

    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}

/// The fields of a struct or variant. Their number is not written, because the reader's type determines it.
struct Fields<'a, 'b> {
    output: &'a mut Output<'b>,
    depth: usize,
}

impl Fields<'_, '_> {
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.output.counts.field();
        value.serialize(Walk { output: self.output, depth: self.depth })
    }

    fn end(self) -> Result<(), Refused> {
        self.output.counts.end();
        Ok(())
    }
}

#[cold]
fn skipped(name: &str) -> Refused {
    ser::Error::custom(format_args!(
        "bincode cannot leave out the field `{name}`, as `skip_serializing_if` does; {SELF_DESCRIBING_ADVICE}"
    ))
}

impl ser::SerializeTupleStruct for Fields<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.value(value)
    }

    fn end(self) -> Result<(), Refused> {
        self.end()
    }
}

impl ser::SerializeTupleVariant for Fields<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.value(value)
    }

    fn end(self) -> Result<(), Refused> {
        self.end()
    }
}

impl ser::SerializeStruct for Fields<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, _name: &'static str, value: &T) -> Result<(), Refused> {
        self.value(value)
    }

    fn skip_field(&mut self, name: &'static str) -> Result<(), Refused> {
        Err(skipped(name))
    }

    fn end(self) -> Result<(), Refused> {
        self.end()
    }
}

impl ser::SerializeStructVariant for Fields<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, _name: &'static str, value: &T) -> Result<(), Refused> {
        self.value(value)
    }

    fn skip_field(&mut self, name: &'static str) -> Result<(), Refused> {
        Err(skipped(name))
    }

    fn end(self) -> Result<(), Refused> {
        self.end()
    }
}
