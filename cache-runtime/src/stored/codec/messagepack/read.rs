//! Decodes a value from bytes, in the way of rmp-serde.

use rmp::Marker;
use serde::de::{self, DeserializeOwned, Expected, Unexpected};

use super::EXTENSION;
use super::skip::skip;
use crate::poll::stack::Stack;
use crate::stored::codec::depth::{ANY_LEVELS, is_looked_at, is_too_deep};
use crate::stored::codec::{CodecError, DEPTH};
use crate::stored::source::{
    self, Compound, Depth, Fields, Form, Request, Sequence, Source, Step, Token, Value, Variant, VariantName,
    wrong_type,
};

/// Reads a value. Bytes after it are an error.
pub(super) fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, CodecError> {
    let mut reader = Reader::new(bytes);
    let value = source::value(&mut reader);
    match reader.finish() {
        Ok(()) => value,
        Err(error) => Err(error),
    }
}

/// One complete value, which was checked: no length in it is longer than the bytes.
struct Reader<'de> {
    rest: &'de [u8],
    /// The marker that was read last.
    marker: Marker,
    inside: Inside<'de>,
    opened: Compound,
    root: Stack,
    depth: Depth,
    refusal: Option<Refusal>,
}

/// An error that is told in place of the value and of all errors after it.
#[derive(Clone, Copy)]
enum Refusal {
    /// The bytes are not one complete value.
    Check(&'static str),
    /// A compound was not read to its end, but this number of parts.
    Length(usize),
}

/// The kind of the part that is read next.
#[derive(Clone, Copy)]
enum Inside<'de> {
    /// A value that begins with a marker.
    Value,
    /// An element of bytes that are read as a sequence.
    Bytes(&'de [u8]),
    /// An extension, which reads as a sequence of its tag and its data.
    Extension { tag: i8, data: &'de [u8] },
    /// The tag of an extension, before its data.
    Tag { tag: i8, data: &'de [u8] },
    /// The data of an extension.
    Data(&'de [u8]),
}

impl<'de> Reader<'de> {
    fn new(bytes: &'de [u8]) -> Reader<'de> {
        let refusal = match skip(bytes) {
            Ok([]) => None,
            Ok(_) => Some(Refusal::Check("bytes are left over")),
            Err(error) => Some(Refusal::Check(error)),
        };
        Reader {
            rest: if refusal.is_none() { bytes } else { &[] },
            marker: Marker::Reserved,
            inside: Inside::Value,
            opened: Compound::default(),
            root: Stack::here(),
            depth: Depth::default(),
            refusal,
        }
    }

    fn finish(self) -> Result<(), CodecError> {
        match self.refusal {
            None => Ok(()),
            Some(Refusal::Check(error)) => Err(CodecError::new(error)),
            Some(Refusal::Length(len)) => Err(wrong_length(len)),
        }
    }

    fn take(&mut self, len: usize) -> Result<&'de [u8], CodecError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or_else(short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(short)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A length that takes so many bytes.
    fn length(&mut self, width: usize) -> Result<usize, CodecError> {
        Ok(self.take(width)?.iter().fold(0, |sum, &digit| sum << 8 | usize::from(digit)))
    }

    fn next_marker(&mut self) -> Result<Marker, CodecError> {
        let [byte] = self.array()?;
        self.marker = Marker::from_u8(byte);
        Ok(self.marker)
    }

    /// The marker of the next value.
    fn peek(&self) -> Option<Marker> {
        self.rest.first().map(|&byte| Marker::from_u8(byte))
    }

    /// A scalar, or the first part of any value.
    fn begin(&mut self) -> Result<Token<'de>, CodecError> {
        match self.inside {
            Inside::Value => self.begin_value(),
            Inside::Bytes(bytes) => {
                let (&byte, rest) = bytes.split_first().ok_or_else(short)?;
                self.inside = Inside::Bytes(rest);
                Ok(Token::U8(byte))
            }
            Inside::Extension { tag, data } => {
                self.inside = Inside::Tag { tag, data };
                self.open(2, Token::Sequence)
            }
            Inside::Tag { tag, data } => {
                self.inside = Inside::Data(data);
                Ok(Token::I8(tag))
            }
            Inside::Data(data) => {
                self.inside = Inside::Value;
                Ok(Token::Bytes(data))
            }
        }
    }

    fn begin_value(&mut self) -> Result<Token<'de>, CodecError> {
        match self.next_marker()? {
            Marker::FixStr(len) => self.text(usize::from(len)),
            Marker::Str8 => self.length(1).and_then(|len| self.text(len)),
            Marker::Str16 => self.length(2).and_then(|len| self.text(len)),
            Marker::Str32 => self.length(4).and_then(|len| self.text(len)),
            Marker::Bin8 => self.length(1).and_then(|len| self.take(len)).map(Token::Bytes),
            Marker::Bin16 => self.length(2).and_then(|len| self.take(len)).map(Token::Bytes),
            Marker::Bin32 => self.length(4).and_then(|len| self.take(len)).map(Token::Bytes),
            Marker::FixArray(len) => self.compound(usize::from(len), Token::Sequence),
            Marker::Array16 => self.length(2).and_then(|len| self.compound(len, Token::Sequence)),
            Marker::Array32 => self.length(4).and_then(|len| self.compound(len, Token::Sequence)),
            Marker::FixMap(len) => self.compound(usize::from(len), Token::Map),
            Marker::Map16 => self.length(2).and_then(|len| self.compound(len, Token::Map)),
            Marker::Map32 => self.length(4).and_then(|len| self.compound(len, Token::Map)),
            Marker::FixExt1 => self.extension(1),
            Marker::FixExt2 => self.extension(2),
            Marker::FixExt4 => self.extension(4),
            Marker::FixExt8 => self.extension(8),
            Marker::FixExt16 => self.extension(16),
            Marker::Ext8 => self.length(1).and_then(|len| self.extension(len)),
            Marker::Ext16 => self.length(2).and_then(|len| self.extension(len)),
            Marker::Ext32 => self.length(4).and_then(|len| self.extension(len)),
            marker => self.number_of(marker),
        }
    }

    /// A number, a boolean or a unit.
    fn number(&mut self) -> Result<Token<'de>, CodecError> {
        match self.inside {
            Inside::Value => self.next_marker().and_then(|marker| self.number_of(marker)),
            _ => self.begin(),
        }
    }

    #[inline]
    fn number_of(&mut self, marker: Marker) -> Result<Token<'de>, CodecError> {
        match marker {
            Marker::FixPos(value) => Ok(Token::U8(value)),
            Marker::FixNeg(value) => Ok(Token::I8(value)),
            Marker::Null => Ok(Token::Unit),
            Marker::False => Ok(Token::Bool(false)),
            Marker::True => Ok(Token::Bool(true)),
            Marker::U8 => Ok(Token::U8(u8::from_be_bytes(self.array()?))),
            Marker::U16 => Ok(Token::U16(u16::from_be_bytes(self.array()?))),
            Marker::U32 => Ok(Token::U32(u32::from_be_bytes(self.array()?))),
            Marker::U64 => Ok(Token::U64(u64::from_be_bytes(self.array()?))),
            Marker::I8 => Ok(Token::I8(i8::from_be_bytes(self.array()?))),
            Marker::I16 => Ok(Token::I16(i16::from_be_bytes(self.array()?))),
            Marker::I32 => Ok(Token::I32(i32::from_be_bytes(self.array()?))),
            Marker::I64 => Ok(Token::I64(i64::from_be_bytes(self.array()?))),
            Marker::F32 => Ok(Token::F32(f32::from_be_bytes(self.array()?))),
            Marker::F64 => Ok(Token::F64(f64::from_be_bytes(self.array()?))),
            _ => Err(self.wrong_marker()),
        }
    }

    fn text(&mut self, len: usize) -> Result<Token<'de>, CodecError> {
        let bytes = self.take(len)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Token::Str(text)),
            Err(error) => Err(de::Error::custom(format_args!("string found to be invalid utf8: {error}"))),
        }
    }

    fn extension(&mut self, len: usize) -> Result<Token<'de>, CodecError> {
        let tag = i8::from_be_bytes(self.array()?);
        let data = self.take(len)?;
        self.inside = Inside::Extension { tag, data };
        Ok(Token::Extension)
    }

    /// Begins a compound whose parts take a byte each at least.
    fn compound(&mut self, len: usize, token: Token<'de>) -> Result<Token<'de>, CodecError> {
        if len > self.rest.len() { Err(short()) } else { self.open(len, token) }
    }

    /// Begins a compound, which the caller takes by [`Source::opened`].
    fn open(&mut self, len: usize, token: Token<'de>) -> Result<Token<'de>, CodecError> {
        let outside = self.deeper()?;
        self.opened = Compound { left: len, len, outside, ..Compound::default() };
        Ok(token)
    }

    fn deeper(&mut self) -> Result<Depth, CodecError> {
        let Depth { level, any } = self.depth;
        if is_looked_at(level) && (any > ANY_LEVELS || is_too_deep(level, 2 * DEPTH, self.root)) {
            return Err(de::Error::custom("nested too deeply"));
        }
        self.depth.level += 1;
        Ok(Depth { level, any })
    }

    /// Refuses the elements of bytes and of extensions, which have their own types.
    fn expect_value(&mut self, expected: &dyn Expected) -> Result<(), CodecError> {
        match self.inside {
            Inside::Value => Ok(()),
            _ => Err(wrong_type(self.begin()?, expected)),
        }
    }

    /// The compound of a sequence, or of bytes that are read as one.
    fn elements(&mut self, token: Token<'de>) -> Result<Option<Compound>, CodecError> {
        match token {
            Token::Sequence => Ok(Some(self.opened)),
            Token::Bytes(bytes) => {
                self.open(bytes.len(), Token::Sequence)?;
                self.inside = Inside::Bytes(bytes);
                Ok(Some(self.opened))
            }
            _ => Ok(None),
        }
    }

    #[cold]
    fn wrong_marker(&self) -> CodecError {
        de::Error::custom(format_args!("wrong msgpack marker {:?}", self.marker))
    }
}

#[cold]
fn short() -> CodecError {
    de::Error::custom("the bytes end too early")
}

#[cold]
fn wrong_length(len: usize) -> CodecError {
    de::Error::custom(format_args!("array had incorrect length, expected {len}"))
}

impl<'de> Source<'de> for Reader<'de> {
    fn is_human_readable(&self) -> bool {
        true
    }

    fn token(&mut self, request: Request) -> Result<Token<'de>, CodecError> {
        if request.is_number() { self.number() } else { self.begin() }
    }

    fn opened(&mut self) -> Compound {
        self.opened
    }

    fn wide(&mut self, _signed: bool) -> Result<i128, CodecError> {
        match self.begin()? {
            Token::U8(value) => Ok(value.into()),
            Token::U16(value) => Ok(value.into()),
            Token::U32(value) => Ok(value.into()),
            Token::U64(value) => Ok(value.into()),
            Token::I8(value) => Ok(value.into()),
            Token::I16(value) => Ok(value.into()),
            Token::I32(value) => Ok(value.into()),
            Token::I64(value) => Ok(value.into()),
            Token::Bytes(bytes) => bytes.try_into().map(i128::from_be_bytes).map_err(|_| wrong_length(16)),
            _ => Err(self.wrong_marker()),
        }
    }

    fn option(&mut self) -> Result<bool, CodecError> {
        self.expect_value(&"an option")?;
        if self.peek() == Some(Marker::Null) {
            self.begin()?;
            return Ok(false);
        }
        Ok(true)
    }

    fn unit_struct(&mut self, _name: &'static str, expected: &dyn Expected) -> Result<(), CodecError> {
        match self.begin()? {
            Token::Unit => Ok(()),
            Token::Sequence if self.opened.len == 0 => {
                self.leave(self.opened.outside);
                Ok(())
            }
            token => Err(wrong_type(token, expected)),
        }
    }

    fn sequence(&mut self, _kind: Sequence, expected: &dyn Expected) -> Result<Compound, CodecError> {
        let token = self.begin()?;
        self.elements(token)?.ok_or_else(|| wrong_type(token, expected))
    }

    fn map(&mut self, expected: &dyn Expected) -> Result<Compound, CodecError> {
        match self.begin()? {
            Token::Map => Ok(self.opened),
            token => Err(wrong_type(token, expected)),
        }
    }

    fn fields(
        &mut self,
        _name: Option<&'static str>,
        _names: &'static [&'static str],
        expected: &dyn Expected,
    ) -> Result<Fields, CodecError> {
        match self.begin()? {
            Token::Map => Ok(Fields::ByName(self.opened)),
            token => self.elements(token)?.map(Fields::InOrder).ok_or_else(|| wrong_type(token, expected)),
        }
    }

    /// A variant is a map from its name to its content or, without content, its name. A number in place of the name
    /// is its index.
    fn enumeration(
        &mut self,
        _name: &'static str,
        _variants: &'static [&'static str],
        expected: &dyn Expected,
    ) -> Result<Variant<'de>, CodecError> {
        self.expect_value(expected)?;
        let has_content = matches!(self.peek(), Some(Marker::FixMap(_) | Marker::Map16 | Marker::Map32));
        let outside = if has_content {
            self.begin()?;
            if self.opened.len != 1 {
                return Err(wrong_length(self.opened.len));
            }
            self.opened.outside
        } else {
            self.deeper()?
        };
        let index = |value: Option<u32>| value.map(VariantName::Index);
        let token = self.begin()?;
        let name = match token {
            Token::Str(name) => Some(VariantName::Text(name)),
            Token::U8(value) => index(Some(value.into())),
            Token::U16(value) => index(Some(value.into())),
            Token::U32(value) => index(Some(value)),
            Token::U64(value) => index(value.try_into().ok()),
            _ => None,
        };
        let name = name.ok_or_else(|| wrong_type(token, expected))?;
        Ok(Variant { name, index: 0, has_content, outside, node: 0 })
    }

    fn skip(&mut self) -> Result<(), CodecError> {
        match self.inside {
            Inside::Value => self.rest = skip(self.rest).map_err(de::Error::custom)?,
            Inside::Extension { .. } => self.inside = Inside::Value,
            Inside::Bytes(_) | Inside::Tag { .. } | Inside::Data(_) => {
                self.begin()?;
            }
        }
        Ok(())
    }

    fn enter(&mut self, step: Step) -> Result<Depth, CodecError> {
        match step {
            Step::Some(_) => return self.deeper(),
            Step::NewtypeStruct(EXTENSION, _) => match self.begin()? {
                Token::Extension => {}
                _ => return Err(self.wrong_marker()),
            },
            Step::NewtypeStruct(..) => self.expect_value(&"a newtype struct")?,
            Step::Seed => {}
            Step::Any => {
                let outside = self.depth;
                self.depth.any += 1;
                return Ok(outside);
            }
        }
        Ok(self.depth)
    }

    fn leave(&mut self, depth: Depth) {
        self.depth = depth;
    }

    fn next(&mut self, compound: &mut Compound) -> bool {
        let is_left = compound.left > 0;
        compound.left -= usize::from(is_left);
        is_left
    }

    fn end(&mut self, compound: &Compound, is_made: bool) {
        match self.inside {
            Inside::Bytes(_) => self.inside = Inside::Value,
            _ if compound.left > 0 && is_made => {
                self.refusal.get_or_insert(Refusal::Length(compound.len - compound.left));
                // The next value does not begin here.
                self.rest = &[];
            }
            _ => {}
        }
        self.leave(compound.outside);
    }

    fn next_field(&mut self, compound: &mut Compound) -> Result<Option<&'de str>, CodecError> {
        if !self.next(compound) {
            return Ok(None);
        }
        match self.begin()? {
            Token::Str(name) => Ok(Some(name)),
            token => Err(wrong_type(token, &"the name of a field")),
        }
    }

    fn variant_name(&mut self, variant: &Variant<'de>) -> Result<VariantName<'de>, CodecError> {
        Ok(variant.name)
    }

    fn content(&mut self, variant: &Variant<'de>, form: Form) -> Result<(), CodecError> {
        let expected = match form {
            Form::Unit if variant.has_content => {
                return match self.begin()? {
                    Token::Unit => Ok(()),
                    _ => Err(self.wrong_marker()),
                };
            }
            Form::Unit => return Ok(()),
            _ if variant.has_content => return Ok(()),
            Form::Newtype => "newtype variant",
            Form::Tuple => "tuple variant",
            Form::Struct => "struct variant",
        };
        Err(de::Error::invalid_type(Unexpected::UnitVariant, &expected))
    }

    fn child(&mut self, part: &mut dyn Value<'de>) {
        part.read(self);
    }
}
