//! Decodes a value from bytes.

use bincode::de::read::{BorrowReader, Reader};
use bincode::de::{BorrowDecode, Decode, Decoder as _, DecoderImpl};
use bincode::error::DecodeError;
use serde::de::value::U32Deserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::{CONFIG, Counts, EMPTY_ELEMENTS};
use crate::poll::stack::Stack;
use crate::stored::codec::{CodecError, DEPTH, SELF_DESCRIBING_ADVICE, depth};

/// The length in bytes below which the standard library checks text as fast as `simdutf8`.
const SHORT_TEXT: usize = 128;

/// Reads a value and its [`Counts`]. Bytes after them are an error.
pub(super) fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, CodecError> {
    let mut input = Input::new(bytes);
    let value = V::deserialize(Walk { input: &mut input, depth: 0 });
    match input.finish(value.is_ok()) {
        Ok(()) => value,
        Err(error) => Err(error),
    }
}

struct Rest<'de>(&'de [u8]);

impl<'de> Reader for Rest<'de> {
    #[inline]
    fn read(&mut self, bytes: &mut [u8]) -> Result<(), DecodeError> {
        bytes.copy_from_slice(self.take_bytes(bytes.len())?);
        Ok(())
    }

    #[inline]
    fn peek_read(&mut self, count: usize) -> Option<&[u8]> {
        self.0.get(..count)
    }

    #[inline]
    fn consume(&mut self, count: usize) {
        self.0 = self.0.get(count..).unwrap_or_default();
    }
}

impl<'de> BorrowReader<'de> for Rest<'de> {
    #[inline]
    fn take_bytes(&mut self, count: usize) -> Result<&'de [u8], DecodeError> {
        match self.0.split_at_checked(count) {
            Some((taken, rest)) => {
                self.0 = rest;
                Ok(taken)
            }
            None => Err(DecodeError::UnexpectedEnd { additional: count - self.0.len() }),
        }
    }
}

struct Input<'de> {
    decoder: DecoderImpl<Rest<'de>, bincode::config::Configuration, ()>,
    counts: Counts,
    /// The number of further elements that may take no byte.
    empty: usize,
    /// The number of further elements for which containers may reserve room. There is a byte for each, so that the lengths
    /// of nested containers, all of which may be false, reserve no more than one of them would.
    reserve: usize,
    root: Stack,
    /// The counts of the writer, if there are enough bytes.
    expected: Option<[u8; Counts::LEN]>,
}

impl<'de> Input<'de> {
    fn new(bytes: &'de [u8]) -> Input<'de> {
        let (bytes, expected) = match bytes.split_last_chunk() {
            Some((bytes, expected)) => (bytes, Some(*expected)),
            None => (&[][..], None),
        };
        Input {
            decoder: DecoderImpl::new(Rest(bytes), CONFIG, ()),
            counts: Counts::default(),
            empty: EMPTY_ELEMENTS + bytes.len(),
            reserve: bytes.len(),
            root: Stack::here(),
            expected,
        }
    }

    /// The error of a value that was made of these bytes, or of bytes that were too few from the start.
    fn finish(mut self, is_made: bool) -> Result<(), CodecError> {
        let Some(expected) = self.expected else {
            return Err(CodecError::new("the bytes end too early"));
        };
        if !is_made {
            return Ok(());
        }
        if self.len() > 0 {
            return Err(CodecError::new("bytes are left over"));
        }
        if self.counts.to_bytes() != expected {
            return Err(CodecError::new(format_args!(
                "the number of a struct's fields or the variant of an enum differs between writing and reading; {SELF_DESCRIBING_ADVICE}"
            )));
        }
        Ok(())
    }

    #[inline]
    fn get<T: Decode<()>>(&mut self) -> Result<T, CodecError> {
        T::decode(&mut self.decoder).map_err(refuse)
    }

    #[inline]
    fn borrow<T: BorrowDecode<'de, ()>>(&mut self) -> Result<T, CodecError> {
        T::borrow_decode(&mut self.decoder).map_err(refuse)
    }

    /// Borrows text from the bytes.
    #[inline]
    fn text(&mut self) -> Result<&'de str, CodecError> {
        let bytes: &'de [u8] = self.borrow()?;
        let text = if bytes.len() < SHORT_TEXT { std::str::from_utf8(bytes).ok() } else { long_text(bytes) };
        text.ok_or_else(|| de::Error::custom("text that is not UTF-8"))
    }

    #[inline]
    fn len(&mut self) -> usize {
        self.decoder.reader().0.len()
    }
}

/// Kept out of line, so that a program contains it once.
#[inline(never)]
fn long_text(bytes: &[u8]) -> Option<&str> {
    simdutf8::basic::from_utf8(bytes).ok()
}

#[cold]
fn refuse(error: DecodeError) -> CodecError {
    CodecError::new(error)
}

#[cold]
fn not_self_describing() -> CodecError {
    de::Error::custom(format_args!(
        "the type needs a self-describing format, and bincode is not one; {SELF_DESCRIBING_ADVICE}"
    ))
}

struct Walk<'a, 'de> {
    input: &'a mut Input<'de>,
    depth: usize,
}

impl<'a, 'de> Walk<'a, 'de> {
    #[inline]
    fn deeper(self) -> Result<Self, CodecError> {
        if depth::is_looked_at(self.depth) && depth::is_too_deep(self.depth, DEPTH, self.input.root) {
            return Err(de::Error::custom("nested too deeply"));
        }
        Ok(Walk { input: self.input, depth: self.depth + 1 })
    }

    fn elements(self) -> Result<Elements<'a, 'de>, CodecError> {
        let Walk { input, depth } = self.deeper()?;
        let left = input.get()?;
        let most = input.len().min(input.reserve);
        let reserved = usize::try_from(left).map_or(most, |left| left.min(most));
        input.reserve -= reserved;
        Ok(Elements { input, depth, left, reserved })
    }

    /// The fields of a struct or variant.
    #[inline]
    fn fields<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, CodecError> {
        let Walk { input, depth } = self;
        let value = visitor.visit_seq(Fields::<true> { input: &mut *input, depth, left: len });
        // The counts are of no use after an error.
        input.counts.end();
        value
    }
}

macro_rules! primitives {
    ($($method:ident $visit:ident $get:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
            visitor.$visit(self.input.$get()?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Walk<'_, 'de> {
    type Error = CodecError;

    // Text and bytes are borrowed, so that their length is checked before any allocation.
    primitives! {
        deserialize_bool visit_bool get
        deserialize_i8 visit_i8 get
        deserialize_i16 visit_i16 get
        deserialize_i32 visit_i32 get
        deserialize_i64 visit_i64 get
        deserialize_i128 visit_i128 get
        deserialize_u8 visit_u8 get
        deserialize_u16 visit_u16 get
        deserialize_u32 visit_u32 get
        deserialize_u64 visit_u64 get
        deserialize_u128 visit_u128 get
        deserialize_f32 visit_f32 get
        deserialize_f64 visit_f64 get
        deserialize_char visit_char get
        deserialize_str visit_borrowed_str text
        deserialize_string visit_borrowed_str text
        deserialize_bytes visit_borrowed_bytes borrow
        deserialize_byte_buf visit_borrowed_bytes borrow
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, CodecError> {
        Err(not_self_describing())
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, CodecError> {
        Err(not_self_describing())
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, CodecError> {
        Err(not_self_describing())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.input.get::<u8>()? {
            0 => visitor.visit_none(),
            1 => visitor.visit_some(self.deeper()?),
            other => Err(de::Error::custom(format_args!("{other} is not the tag of an option"))),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        let mut elements = self.elements()?;
        let value = visitor.visit_seq(&mut elements)?;
        elements.end()?;
        Ok(value)
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_seq(Fields::<false> { input: self.input, depth: self.depth, left: len })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.fields(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        let mut elements = self.elements()?;
        let value = visitor.visit_map(&mut elements)?;
        elements.end()?;
        Ok(value)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.fields(fields.len(), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        visitor.visit_enum(Variants { walk: self, names: variants })
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// An enum, and the names of the variants that its `Deserialize` lists.
struct Variants<'a, 'de> {
    walk: Walk<'a, 'de>,
    names: &'static [&'static str],
}

impl<'a, 'de> EnumAccess<'de> for Variants<'a, 'de> {
    type Error = CodecError;
    type Variant = Walk<'a, 'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Walk<'a, 'de>), CodecError> {
        let index = self.walk.input.get::<u32>()?;
        let name = usize::try_from(index).ok().and_then(|index| self.names.get(index));
        self.walk.input.counts.variant(name.copied().unwrap_or_default());
        let index: U32Deserializer<CodecError> = index.into_deserializer();
        Ok((seed.deserialize(index)?, self.walk))
    }
}

impl<'de> VariantAccess<'de> for Walk<'_, 'de> {
    type Error = CodecError;

    fn unit_variant(self) -> Result<(), CodecError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, CodecError> {
        seed.deserialize(self.deeper()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, CodecError> {
        self.deeper()?.fields(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.deeper()?.fields(fields.len(), visitor)
    }
}

/// The elements of a sequence or a map. The bytes contain their number.
struct Elements<'a, 'de> {
    input: &'a mut Input<'de>,
    depth: usize,
    left: u64,
    /// The most elements for which a container may reserve room.
    reserved: usize,
}

impl<'de> Elements<'_, 'de> {
    #[inline]
    fn next<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, CodecError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let before = self.input.len();
        let value = self.value(seed)?;
        if self.input.len() == before {
            let fewer = self.input.empty.checked_sub(1);
            self.input.empty =
                fewer.ok_or_else(|| CodecError::new("the bytes announce more elements than they can hold"))?;
        }
        Ok(Some(value))
    }

    #[inline]
    fn value<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, CodecError> {
        seed.deserialize(Walk { input: &mut *self.input, depth: self.depth })
    }

    fn hint(&self) -> Option<usize> {
        Some(usize::try_from(self.left).map_or(self.reserved, |left| left.min(self.reserved)))
    }

    fn end(self) -> Result<(), CodecError> {
        if self.left > 0 {
            return Err(CodecError::new("elements are left over"));
        }
        Ok(())
    }
}

impl<'de> SeqAccess<'de> for &mut Elements<'_, 'de> {
    type Error = CodecError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, CodecError> {
        self.next(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

impl<'de> MapAccess<'de> for &mut Elements<'_, 'de> {
    type Error = CodecError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, CodecError> {
        self.next(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, CodecError> {
        self.value(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

/// The elements of a tuple or, if `COUNTED`, the fields of a struct or a variant. The type determines their number.
struct Fields<'a, 'de, const COUNTED: bool> {
    input: &'a mut Input<'de>,
    depth: usize,
    left: usize,
}

impl<'de, const COUNTED: bool> SeqAccess<'de> for Fields<'_, 'de, COUNTED> {
    type Error = CodecError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, CodecError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        if COUNTED {
            self.input.counts.field();
        }
        seed.deserialize(Walk { input: &mut *self.input, depth: self.depth }).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}
