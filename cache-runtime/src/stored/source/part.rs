//! The deserializer.

use std::any::type_name;

use serde::de::{Deserializer, Visitor};

use super::access::{Content, Elements, Entries, NamedFields};
use super::{Compound, Fields, Request, Sequence, Source, Step, Token, wrong_type};
use crate::stored::codec::CodecError;

/// A value or a part of one, which is read next.
pub(crate) struct Part<'a, 'de> {
    pub(crate) source: &'a mut dyn Source<'de>,
}

impl<'de> Part<'_, 'de> {
    /// A number, a boolean or a unit.
    fn number<V: Visitor<'de>>(self, request: Request, visitor: V) -> Result<V::Value, CodecError> {
        match self.source.token(request) {
            Ok(Token::Unit) => visitor.visit_unit(),
            Ok(Token::Bool(value)) => visitor.visit_bool(value),
            Ok(Token::I8(value)) => visitor.visit_i8(value),
            Ok(Token::I16(value)) => visitor.visit_i16(value),
            Ok(Token::I32(value)) => visitor.visit_i32(value),
            Ok(Token::I64(value)) => visitor.visit_i64(value),
            Ok(Token::U8(value)) => visitor.visit_u8(value),
            Ok(Token::U16(value)) => visitor.visit_u16(value),
            Ok(Token::U32(value)) => visitor.visit_u32(value),
            Ok(Token::U64(value)) => visitor.visit_u64(value),
            Ok(Token::F32(value)) => visitor.visit_f32(value),
            Ok(Token::F64(value)) => visitor.visit_f64(value),
            Ok(token) => Err(wrong_type(token, &visitor)),
            Err(error) => Err(error),
        }
    }

    fn any<V: Visitor<'de>>(self, request: Request, visitor: V) -> Result<V::Value, CodecError> {
        match self.source.token(request)? {
            Token::Unit => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::I8(value) => visitor.visit_i8(value),
            Token::I16(value) => visitor.visit_i16(value),
            Token::I32(value) => visitor.visit_i32(value),
            Token::I64(value) => visitor.visit_i64(value),
            Token::U8(value) => visitor.visit_u8(value),
            Token::U16(value) => visitor.visit_u16(value),
            Token::U32(value) => visitor.visit_u32(value),
            Token::U64(value) => visitor.visit_u64(value),
            Token::F32(value) => visitor.visit_f32(value),
            Token::F64(value) => visitor.visit_f64(value),
            Token::Char(value) => visitor.visit_char(value),
            Token::Str(value) => visitor.visit_borrowed_str(value),
            Token::Bytes(value) => visitor.visit_borrowed_bytes(value),
            Token::Sequence => {
                let compound = self.source.opened();
                self.elements(compound, visitor)
            }
            Token::Map => {
                let compound = self.source.opened();
                self.entries(compound, visitor)
            }
            #[cfg(feature = "messagepack")]
            Token::Extension => visitor.visit_newtype_struct(self),
        }
    }

    fn elements<V: Visitor<'de>>(self, compound: Compound, visitor: V) -> Result<V::Value, CodecError> {
        let mut elements = Elements { source: self.source, compound };
        let value = visitor.visit_seq(&mut elements);
        elements.source.end(&elements.compound, value.is_ok());
        value
    }

    fn entries<V: Visitor<'de>>(self, compound: Compound, visitor: V) -> Result<V::Value, CodecError> {
        let mut entries = Entries { source: self.source, compound };
        let value = visitor.visit_map(&mut entries);
        entries.source.end(&entries.compound, value.is_ok());
        value
    }

    pub(super) fn sequence<V: Visitor<'de>>(self, kind: Sequence, visitor: V) -> Result<V::Value, CodecError> {
        match self.source.sequence(kind, &visitor) {
            Ok(compound) => self.elements(compound, visitor),
            Err(error) => Err(error),
        }
    }

    pub(super) fn fields<V: Visitor<'de>>(
        self,
        name: Option<&'static str>,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        match self.source.fields(name, names, &visitor) {
            Ok(Fields::ByName(compound)) => {
                let mut fields = NamedFields { source: self.source, compound };
                let value = visitor.visit_map(&mut fields);
                fields.source.end(&fields.compound, value.is_ok());
                value
            }
            Ok(Fields::InOrder(compound)) => self.elements(compound, visitor),
            Err(error) => Err(error),
        }
    }
}

macro_rules! numbers {
    ($($method:ident $request:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
            self.number(Request::$request, visitor)
        }
    )*};
}

macro_rules! others {
    ($($method:ident $request:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
            self.any(Request::$request, visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Part<'_, 'de> {
    type Error = CodecError;

    numbers! {
        deserialize_bool Bool
        deserialize_i8 I8 deserialize_i16 I16 deserialize_i32 I32 deserialize_i64 I64
        deserialize_u8 U8 deserialize_u16 U16 deserialize_u32 U32 deserialize_u64 U64
        deserialize_f32 F32 deserialize_f64 F64
    }

    others! {
        deserialize_char Char deserialize_str Str deserialize_string Str
        deserialize_bytes Bytes deserialize_byte_buf Bytes
        deserialize_unit Unit deserialize_identifier Identifier
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        let depth = self.source.enter(Step::Any)?;
        let value = Part { source: &mut *self.source }.any(Request::Any, visitor);
        self.source.leave(depth);
        value
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_i128(self.source.wide(true)?)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_u128(self.source.wide(false)?.cast_unsigned())
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.source.skip()?;
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.source.option() {
            Ok(true) => {
                let depth = self.source.enter(Step::Some(type_name::<V>()))?;
                let value = visitor.visit_some(Part { source: &mut *self.source });
                self.source.leave(depth);
                value
            }
            Ok(false) => visitor.visit_none(),
            Err(error) => Err(error),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, CodecError> {
        self.source.unit_struct(name, &visitor)?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        let depth = self.source.enter(Step::NewtypeStruct(name, type_name::<V>()))?;
        let value = visitor.visit_newtype_struct(Part { source: &mut *self.source });
        self.source.leave(depth);
        value
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.sequence(Sequence::Seq, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, CodecError> {
        self.sequence(Sequence::Tuple(len), visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.sequence(Sequence::TupleStruct(name, len), visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.source.map(&visitor) {
            Ok(compound) => self.entries(compound, visitor),
            Err(error) => Err(error),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.fields(Some(name), names, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        let variant = self.source.enumeration(name, variants, &visitor)?;
        let value = visitor.visit_enum(Content { source: &mut *self.source, variant });
        self.source.leave(variant.outside);
        value
    }

    fn is_human_readable(&self) -> bool {
        self.source.is_human_readable()
    }
}
