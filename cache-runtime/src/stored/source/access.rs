//! The parts of compounds.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::{Compound, Event, Form, Part, Sequence, Source, Step, Variant, VariantName, value};
use crate::stored::codec::CodecError;

/// Reads a part that has no type of its own.
fn seeded<'de, T: DeserializeSeed<'de>>(source: &mut dyn Source<'de>, seed: T) -> Result<T::Value, CodecError> {
    let depth = source.enter(Step::Seed)?;
    let value = seed.deserialize(Part { source: &mut *source });
    source.leave(depth);
    value
}

/// The elements of a sequence.
pub(super) struct Elements<'a, 'de> {
    pub(super) source: &'a mut dyn Source<'de>,
    pub(super) compound: Compound,
}

impl<'de> SeqAccess<'de> for &mut Elements<'_, 'de> {
    type Error = CodecError;

    fn next_element<T: Deserialize<'de>>(&mut self) -> Result<Option<T>, CodecError> {
        if !self.source.next(&mut self.compound) {
            return Ok(None);
        }
        match value(self.source) {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                self.source.note(Event::ElementRefused(&self.compound));
                Err(error)
            }
        }
    }

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, CodecError> {
        if !self.source.next(&mut self.compound) {
            return Ok(None);
        }
        match seeded(self.source, seed) {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                self.source.note(Event::ElementRefused(&self.compound));
                Err(error)
            }
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.compound.left)
    }
}

/// The entries of a map.
pub(super) struct Entries<'a, 'de> {
    pub(super) source: &'a mut dyn Source<'de>,
    pub(super) compound: Compound,
}

impl<'de> MapAccess<'de> for &mut Entries<'_, 'de> {
    type Error = CodecError;

    fn next_key<K: Deserialize<'de>>(&mut self) -> Result<Option<K>, CodecError> {
        if !self.source.next(&mut self.compound) {
            return Ok(None);
        }
        self.source.note(Event::Key);
        let key = value(self.source);
        self.source.note(Event::KeyRead(key.is_ok()));
        key.map(Some)
    }

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, CodecError> {
        if !self.source.next(&mut self.compound) {
            return Ok(None);
        }
        self.source.note(Event::Key);
        let key = seeded(self.source, seed);
        self.source.note(Event::KeyRead(key.is_ok()));
        key.map(Some)
    }

    fn next_value<V: Deserialize<'de>>(&mut self) -> Result<V, CodecError> {
        value(self.source)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, CodecError> {
        seeded(self.source, seed)
    }

    // The value is read even if the key was refused, so that the recorder sees its type.
    fn next_entry<K: Deserialize<'de>, V: Deserialize<'de>>(&mut self) -> Result<Option<(K, V)>, CodecError> {
        if !self.source.next(&mut self.compound) {
            return Ok(None);
        }
        let (key, value) = (value(self.source), value(self.source));
        Ok(Some((key?, value?)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.compound.left)
    }
}

/// The fields of a struct, by name.
pub(super) struct NamedFields<'a, 'de> {
    pub(super) source: &'a mut dyn Source<'de>,
    pub(super) compound: Compound,
}

impl<'de> MapAccess<'de> for &mut NamedFields<'_, 'de> {
    type Error = CodecError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, CodecError> {
        match self.source.next_field(&mut self.compound) {
            Ok(Some(name)) => match seed.deserialize(BorrowedStrDeserializer::new(name)) {
                Ok(key) => Ok(Some(key)),
                Err(error) => Err(error),
            },
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn next_value<V: Deserialize<'de>>(&mut self) -> Result<V, CodecError> {
        let value = value(self.source);
        if value.is_ok() {
            self.source.note(Event::FieldMade(&self.compound, false));
        }
        value
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, CodecError> {
        let value = seeded(self.source, seed);
        if value.is_ok() {
            self.source.note(Event::FieldMade(&self.compound, true));
        }
        value
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.compound.left)
    }
}

/// An enum's variant, and its content.
pub(super) struct Content<'a, 'de> {
    pub(super) source: &'a mut dyn Source<'de>,
    pub(super) variant: Variant<'de>,
}

impl<'de> EnumAccess<'de> for Content<'_, 'de> {
    type Error = CodecError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), CodecError> {
        let name = self.source.variant_name(&self.variant)?;
        let value = seed.deserialize(name)?;
        self.source.note(Event::VariantKnown);
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for Content<'_, 'de> {
    type Error = CodecError;

    fn unit_variant(self) -> Result<(), CodecError> {
        self.source.content(&self.variant, Form::Unit)
    }

    fn newtype_variant<T: Deserialize<'de>>(self) -> Result<T, CodecError> {
        self.source.content(&self.variant, Form::Newtype)?;
        value(self.source)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, CodecError> {
        self.source.content(&self.variant, Form::Newtype)?;
        seeded(self.source, seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, CodecError> {
        self.source.content(&self.variant, Form::Tuple)?;
        Part { source: self.source }.sequence(Sequence::Tuple(len), visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.source.content(&self.variant, Form::Struct)?;
        Part { source: self.source }.fields(None, names, visitor)
    }
}

impl<'de> Deserializer<'de> for VariantName<'de> {
    type Error = CodecError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self {
            VariantName::Text(name) => visitor.visit_borrowed_str(name),
            VariantName::Index(index) => visitor.visit_u32(index),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        match self {
            VariantName::Text(text) => BorrowedStrDeserializer::new(text).deserialize_enum(name, variants, visitor),
            VariantName::Index(index) => visitor.visit_u32(index),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
