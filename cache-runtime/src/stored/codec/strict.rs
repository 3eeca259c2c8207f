//! Wraps a serializer so that it refuses values that would not read back as the same value.

use std::fmt;

use serde::ser::{self, Serialize, Serializer};

use super::{DEPTH, depth};
use crate::poll::stack::Stack;

/// The format of the wrapped serializer, and the values that it cannot distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `null` is also a unit, a unit struct, and a float that is not finite.
    #[cfg(feature = "json")]
    Json,
    /// The format of a codec outside this library, about which nothing is known.
    Other,
}

/// The serializer `S`, and its position in the value.
pub(super) struct Strict<S> {
    inner: S,
    place: Place,
}

#[derive(Clone, Copy)]
struct Place {
    root: Stack,
    format: Format,
    depth: usize,
    /// The value is directly inside a `Some`, so that a null would read back as `None`.
    in_some: bool,
}

impl<S: Serializer> Strict<S> {
    #[cfg(feature = "json")]
    pub(super) fn new(inner: S, format: Format) -> Strict<S> {
        Strict { inner, place: Place::root(format) }
    }
}

impl Place {
    fn root(format: Format) -> Place {
        Place { root: Stack::here(), format, depth: 0, in_some: false }
    }

    fn null<E: ser::Error>(self) -> Result<(), E> {
        if self.in_some && self.format != Format::Other {
            return Err(E::custom(
                "`Some(None)` and `Some(())` read back as `None` in this format; write `codec = bincode`",
            ));
        }
        Ok(())
    }

    fn float<E: ser::Error>(self, _finite: bool) -> Result<(), E> {
        #[cfg(feature = "json")]
        if self.format == Format::Json && !_finite {
            return Err(E::custom("JSON has no NaN and no infinity; write `codec = bincode` or `codec = messagepack`"));
        }
        Ok(())
    }

    fn deeper<E: ser::Error>(self) -> Result<Place, E> {
        // The root's compound is the first level, and JSON's own limit is 127 levels.
        if self.depth + 2 > DEPTH || self.root.is_spent() {
            return Err(E::custom("nested too deeply"));
        }
        depth::note(self.depth + 1, self.root);
        Ok(Place { depth: self.depth + 1, in_some: false, ..self })
    }
}

/// Wraps a value so that any serializer writes it within the nesting bounds.
pub(super) fn bounded<T: Serialize + ?Sized>(value: &T) -> impl Serialize {
    Child { value, place: Place::root(Format::Other) }
}

/// A child that is passed to the wrapped serializer.
struct Child<'a, T: ?Sized> {
    value: &'a T,
    place: Place,
}

impl<T: Serialize + ?Sized> Serialize for Child<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Strict { inner: serializer, place: self.place })
    }
}

/// A compound of the wrapped serializer.
pub(super) struct Compound<C> {
    inner: C,
    place: Place,
}

impl<C> Compound<C> {
    fn child<'a, T: ?Sized>(&self, value: &'a T) -> Child<'a, T> {
        Child { value, place: self.place }
    }
}

macro_rules! forward {
    ($($method:ident($argument:ty))*) => {$(
        fn $method(self, value: $argument) -> Result<S::Ok, S::Error> {
            self.inner.$method(value)
        }
    )*};
}

impl<S: Serializer> Serializer for Strict<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Compound<S::SerializeSeq>;
    type SerializeTuple = Compound<S::SerializeTuple>;
    type SerializeTupleStruct = Compound<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Compound<S::SerializeTupleVariant>;
    type SerializeMap = Compound<S::SerializeMap>;
    type SerializeStruct = Compound<S::SerializeStruct>;
    type SerializeStructVariant = Compound<S::SerializeStructVariant>;

    forward! {
        serialize_bool(bool)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_u128(u128)
        serialize_char(char) serialize_str(&str) serialize_bytes(&[u8])
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        self.place.float(value.is_finite())?;
        self.inner.serialize_f32(value)
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        self.place.float(value.is_finite())?;
        self.inner.serialize_f64(value)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.place.null()?;
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        if depth::is_option_too_deep(self.place.root) {
            return Err(ser::Error::custom("nested too deeply"));
        }
        let place = Place { in_some: true, ..self.place };
        self.inner.serialize_some(&Child { value, place })
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.place.null()?;
        self.inner.serialize_unit()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        #[cfg(feature = "json")]
        if self.place.format == Format::Json {
            self.place.null()?;
        }
        self.inner.serialize_unit_struct(name)
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_struct(name, &Child { value, place: self.place })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let place = self.place.deeper()?;
        self.inner.serialize_newtype_variant(name, index, variant, &Child { value, place })
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        let place = self.place.deeper()?;
        Ok(Compound { inner: self.inner.serialize_seq(len)?, place })
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        let place = self.place.deeper()?;
        Ok(Compound { inner: self.inner.serialize_tuple(len)?, place })
    }

    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeTupleStruct, S::Error> {
        let place = self.place.deeper()?;
        Ok(Compound { inner: self.inner.serialize_tuple_struct(name, len)?, place })
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let place = self.place.deeper()?.deeper()?;
        Ok(Compound { inner: self.inner.serialize_tuple_variant(name, index, variant, len)?, place })
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        let place = self.place.deeper()?;
        Ok(Compound { inner: self.inner.serialize_map(len)?, place })
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeStruct, S::Error> {
        let place = self.place.deeper()?;
        Ok(Compound { inner: self.inner.serialize_struct(name, len)?, place })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let place = self.place.deeper()?.deeper()?;
        Ok(Compound { inner: self.inner.serialize_struct_variant(name, index, variant, len)?, place })
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

impl<C: ser::SerializeSeq> ser::SerializeSeq for Compound<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let child = self.child(value);
        self.inner.serialize_element(&child)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

impl<C: ser::SerializeTuple> ser::SerializeTuple for Compound<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let child = self.child(value);
        self.inner.serialize_element(&child)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

impl<C: ser::SerializeTupleStruct> ser::SerializeTupleStruct for Compound<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let child = self.child(value);
        self.inner.serialize_field(&child)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

impl<C: ser::SerializeTupleVariant> ser::SerializeTupleVariant for Compound<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let child = self.child(value);
        self.inner.serialize_field(&child)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

impl<C: ser::SerializeMap> ser::SerializeMap for Compound<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        let child = self.child(key);
        self.inner.serialize_key(&child)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let child = self.child(value);
        self.inner.serialize_value(&child)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

impl<C: ser::SerializeStruct> ser::SerializeStruct for Compound<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), C::Error> {
        let child = self.child(value);
        self.inner.serialize_field(name, &child)
    }

    fn skip_field(&mut self, name: &'static str) -> Result<(), C::Error> {
        self.inner.skip_field(name)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

impl<C: ser::SerializeStructVariant> ser::SerializeStructVariant for Compound<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), C::Error> {
        let child = self.child(value);
        self.inner.serialize_field(name, &child)
    }

    fn skip_field(&mut self, name: &'static str) -> Result<(), C::Error> {
        self.inner.skip_field(name)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}
