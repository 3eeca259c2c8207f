//! The deserializer that a type is run against.

use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, U32Deserializer};
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::{Kind, Notes};

/// The error of a dummy that the type does not accept, or that cannot be made.
#[derive(Debug)]
pub(super) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Refused
    }
}

/// Texts that types with a syntax of their own may accept.
const TEXTS: &[&str] = &[
    "a",
    "1",
    "",
    "00000000-0000-0000-0000-000000000000",
    "2000-01-01T00:00:00Z",
    "2000-01-01T00:00:00",
    "2000-01-01",
    "00:00:00",
    "127.0.0.1",
    "127.0.0.1:1",
    "http://a/",
    "P1D",
    "1s",
    "en",
    "UTC",
];

const ZEROES: &[u8; 64] = &[0; 64];

/// Lengths that types of a fixed size may accept: UUIDs, digests, keys.
const SIZES: &[usize] = &[16, 0, 1, 4, 8, 12, 20, 24, 32, 48, 64];

/// The deserializer of the current type, and of each part of it that has no type of its own.
pub(super) struct Recorder<'a> {
    pub(super) notes: &'a mut Notes,
}

macro_rules! scalars {
    ($($method:ident $visit:ident $tag:literal $options:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            self.notes.note($tag);
            visitor.$visit(self.notes.first(&$options))
        }
    )*};
}

impl<'de> Deserializer<'de> for Recorder<'_> {
    type Error = Refused;

    scalars! {
        deserialize_bool visit_bool b'b' [false, true];
        deserialize_i8 visit_i8 1 [1, 0, -1];
        deserialize_i16 visit_i16 2 [1, 0, -1];
        deserialize_i32 visit_i32 3 [1, 0, -1];
        deserialize_i64 visit_i64 4 [1, 0, -1];
        deserialize_i128 visit_i128 5 [1, 0, -1];
        deserialize_u8 visit_u8 6 [1, 0];
        deserialize_u16 visit_u16 7 [1, 0];
        deserialize_u32 visit_u32 8 [1, 0];
        deserialize_u64 visit_u64 9 [1, 0];
        deserialize_u128 visit_u128 10 [1, 0];
        deserialize_f32 visit_f32 11 [1.0, 0.5, 0.0];
        deserialize_f64 visit_f64 12 [1.0, 0.5, 0.0];
        deserialize_char visit_char b'c' ['a', '1'];
        deserialize_str visit_borrowed_str b's' TEXTS;
        deserialize_string visit_borrowed_str b's' TEXTS;
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.notes.note(b'y');
        visitor.visit_borrowed_bytes(&ZEROES[..self.notes.first(SIZES)])
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let Recorder { notes } = self;
        notes.needs_self_describing = true;
        notes.partial();
        notes.note(b'a');
        match notes.pick(8, false) {
            0 => visitor.visit_borrowed_str("a"),
            1 => visitor.visit_u64(1),
            2 => visitor.visit_unit(),
            3 => visitor.visit_bool(false),
            4 => visitor.visit_f64(1.0),
            5 => visitor.visit_borrowed_str("1"),
            6 => visitor.visit_seq(Elements { notes, left: 0, fixed: false }),
            _ => visitor.visit_map(Entries { notes, left: 0 }),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.notes.needs_self_describing = true;
        self.notes.note(b'_');
        visitor.visit_unit()
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        // The names of a struct's fields and of variants have deserializers of their own.
        self.notes.needs_self_describing = true;
        self.notes.identifier = true;
        self.notes.note(b'i');
        visitor.visit_borrowed_str("a")
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.notes.note(b'o');
        let some = if self.notes.recording() { 0 } else { 1 };
        if self.notes.pick(2, false) == some {
            self.notes.nested(|notes| visitor.visit_some(Recorder { notes }))
        } else {
            visitor.visit_none()
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.notes.note(b'0');
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Refused> {
        self.notes.name(b'U', name);
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Refused> {
        self.notes.name(b'N', name);
        self.notes.nested(|notes| visitor.visit_newtype_struct(Recorder { notes }))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let Recorder { notes } = self;
        notes.note(b'[');
        let lengths = if notes.recording() { [1, 2, 3, 4, 0] } else { [0, 1, 2, 3, 4] };
        let left = notes.first(&lengths);
        visitor.visit_seq(Elements { notes, left, fixed: false })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        self.notes.number(b'(', len);
        visitor.visit_seq(Elements { notes: self.notes, left: len, fixed: true })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.notes.name(b'T', name);
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let Recorder { notes } = self;
        notes.note(b'{');
        let lengths = if notes.recording() { [1, 0] } else { [0, 1] };
        let left = notes.first(&lengths);
        visitor.visit_map(Entries { notes, left })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.notes.name(b'S', name);
        self.fields(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.notes.name(b'E', name);
        self.notes.names(b'|', variants);
        if variants.is_empty() {
            return Err(Refused);
        }
        let index = self.notes.pick(variants.len(), true);
        self.notes.number(b'v', index);
        visitor.visit_enum(Variant { notes: self.notes, index, name: variants[index] })
    }

    fn is_human_readable(&self) -> bool {
        self.notes.asks_readable.set(true);
        self.notes.human_readable
    }
}

impl Recorder<'_> {
    /// The fields of a struct or of a variant.
    fn fields<'de, V: Visitor<'de>>(self, names: &'static [&'static str], visitor: V) -> Result<V::Value, Refused> {
        let Recorder { notes } = self;
        notes.names(b'.', names);
        let Some(frame) = notes.frames.last_mut() else { return Err(Refused) };
        let choice = frame.choose(|| Kind::Fields {
            start: 0,
            refused: Vec::new(),
            pending: None,
            asked: false,
            seeded: false,
            in_order: false,
        });
        let Kind::Fields { start, in_order, .. } = frame.choices[choice].kind else {
            return Err(Refused);
        };
        if in_order {
            visitor.visit_seq(Elements { notes, left: names.len(), fixed: true })
        } else {
            visitor.visit_map(Fields { notes, names, choice, start, offered: 0 })
        }
    }
}

/// The elements of a sequence or, if `fixed`, of a tuple.
struct Elements<'a> {
    notes: &'a mut Notes,
    left: usize,
    fixed: bool,
}

impl Elements<'_> {
    /// Takes one element. Returns false if none is left.
    fn take(&mut self) -> bool {
        if self.left == 0 {
            self.notes.idle();
            return false;
        }
        self.left -= 1;
        true
    }

    /// Notes that an element accepted no dummy, so that the rest of a tuple cannot be reached.
    fn refused(&mut self) {
        if self.fixed && self.left > 0 {
            self.notes.partial();
        }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Refused;

    fn next_element<T: Deserialize<'de>>(&mut self) -> Result<Option<T>, Refused> {
        if !self.take() {
            return Ok(None);
        }
        self.notes.child().map(Some).inspect_err(|_| self.refused())
    }

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        if !self.take() {
            return Ok(None);
        }
        let value = self.notes.nested(|notes| seed.deserialize(Recorder { notes }));
        value.map(Some).inspect_err(|_| self.refused())
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The entries of a map.
struct Entries<'a> {
    notes: &'a mut Notes,
    left: usize,
}

impl Entries<'_> {
    /// Marks the type as partial if there is no key, because the value stays unseen then, or if the key is an
    /// identifier: the map is a struct with `#[serde(flatten)]` then, and its fields stay unseen.
    fn key(&mut self, made: bool) {
        if !made || self.notes.identifier {
            self.notes.partial();
        }
    }

    fn take(&mut self) -> bool {
        if self.left == 0 {
            self.notes.idle();
            return false;
        }
        self.left -= 1;
        true
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Refused;

    fn next_key<K: Deserialize<'de>>(&mut self) -> Result<Option<K>, Refused> {
        if !self.take() {
            return Ok(None);
        }
        self.notes.identifier = false;
        let key = self.notes.child();
        self.key(key.is_ok());
        key.map(Some)
    }

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        if !self.take() {
            return Ok(None);
        }
        self.notes.identifier = false;
        let key = self.notes.nested(|notes| seed.deserialize(Recorder { notes }));
        self.key(key.is_ok());
        key.map(Some)
    }

    fn next_value<V: Deserialize<'de>>(&mut self) -> Result<V, Refused> {
        self.notes.child()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        self.notes.nested(|notes| seed.deserialize(Recorder { notes }))
    }

    // The value is explored even if there is no dummy of the key.
    fn next_entry<K: Deserialize<'de>, V: Deserialize<'de>>(&mut self) -> Result<Option<(K, V)>, Refused> {
        if !self.take() {
            return Ok(None);
        }
        let (key, value) = (self.notes.child(), self.notes.child());
        Ok(Some((key?, value?)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The fields of a struct, by name.
struct Fields<'a> {
    notes: &'a mut Notes,
    names: &'static [&'static str],
    choice: usize,
    start: usize,
    offered: usize,
}

impl Fields<'_> {
    /// The field to offer next. It counts as refused until its value has been made, because a type
    /// refuses the name of an alias as a duplicate.
    fn next(&mut self) -> Option<usize> {
        let frame = self.notes.frames.last_mut()?;
        let Kind::Fields { refused, pending, asked, .. } = &mut frame.choices[self.choice].kind else {
            return None;
        };
        *asked = true;
        *pending = None;
        while self.offered < self.names.len() {
            let slot = (self.start + self.offered) % self.names.len();
            self.offered += 1;
            if !refused.contains(&slot) {
                *pending = Some(slot);
                self.notes.number(b'f', slot);
                return Some(slot);
            }
        }
        self.notes.idle();
        None
    }

    fn made(&mut self, by_seed: bool) {
        if let Some(frame) = self.notes.frames.last_mut()
            && let Kind::Fields { pending, seeded, .. } = &mut frame.choices[self.choice].kind
        {
            *pending = None;
            *seeded |= by_seed;
        }
    }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        match self.next() {
            Some(slot) => seed.deserialize(BorrowedStrDeserializer::new(self.names[slot])).map(Some),
            None => Ok(None),
        }
    }

    fn next_value<V: Deserialize<'de>>(&mut self) -> Result<V, Refused> {
        let value = self.notes.child()?;
        self.made(false);
        Ok(value)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        let value = self.notes.nested(|notes| seed.deserialize(Recorder { notes }))?;
        self.made(true);
        Ok(value)
    }
}

/// A variant of an enum.
struct Variant<'a> {
    notes: &'a mut Notes,
    index: usize,
    name: &'static str,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = Refused;
    type Variant = Recorder<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Recorder<'a>), Refused> {
        let variant = if self.notes.pick(2, false) == 0 {
            seed.deserialize(BorrowedStrDeserializer::new(self.name))?
        } else {
            // A hand-written `Deserialize` may accept numbers only.
            let index = u32::try_from(self.index).map_err(|_| Refused)?;
            let index: U32Deserializer<Refused> = index.into_deserializer();
            seed.deserialize(index)?
        };
        self.notes.settle();
        Ok((variant, Recorder { notes: self.notes }))
    }
}

impl<'de> VariantAccess<'de> for Recorder<'_> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        self.notes.note(b'u');
        Ok(())
    }

    fn newtype_variant<T: Deserialize<'de>>(self) -> Result<T, Refused> {
        self.notes.note(b'n');
        self.notes.child()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refused> {
        self.notes.note(b'n');
        self.notes.nested(|notes| seed.deserialize(Recorder { notes }))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Refused> {
        self.fields(fields, visitor)
    }
}
