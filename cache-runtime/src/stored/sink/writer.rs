//! The serializer.

use std::fmt;

use serde::ser::{self, Serialize, Serializer};

use super::{Compound, Kind, Part, Sink, Typed, Variant, Wrapper};
use crate::stored::codec::CodecError;

/// The place of the next value.
pub(super) struct Writer<'a> {
    pub(super) sink: &'a mut dyn Sink,
}

impl<'a> Writer<'a> {
    fn begin(self, kind: Kind) -> Result<Parts<'a>, CodecError> {
        match self.sink.begin(kind) {
            Ok(compound) => Ok(Parts { sink: self.sink, compound }),
            Err(error) => Err(error),
        }
    }

    fn wrapped<T: Serialize + ?Sized>(self, wrapper: Wrapper, value: &T) -> Result<(), CodecError> {
        let depth = self.sink.enter(wrapper)?;
        let written = value.serialize(Writer { sink: &mut *self.sink });
        self.sink.leave(depth);
        written
    }
}

macro_rules! scalars {
    ($($method:ident($argument:ty) $sink:ident)*) => {$(
        fn $method(self, value: $argument) -> Result<(), CodecError> {
            self.sink.$sink(value)
        }
    )*};
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = CodecError;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    scalars! {
        serialize_bool(bool) bool
        serialize_i8(i8) i8
        serialize_i16(i16) i16 serialize_i32(i32) i32 serialize_i64(i64) signed
        serialize_i128(i128) i128
        serialize_u8(u8) u8
        serialize_u16(u16) u16 serialize_u32(u32) u32 serialize_u64(u64) unsigned
        serialize_u128(u128) u128
        serialize_f32(f32) f32 serialize_f64(f64) f64
        serialize_char(char) char serialize_str(&str) str serialize_bytes(&[u8]) bytes
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), CodecError> {
        self.sink.display(&value)
    }

    fn serialize_none(self) -> Result<(), CodecError> {
        self.sink.none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), CodecError> {
        self.wrapped(Wrapper::Some, value)
    }

    fn serialize_unit(self) -> Result<(), CodecError> {
        self.sink.unit()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), CodecError> {
        self.sink.unit_struct()
    }

    fn serialize_unit_variant(self, of: &'static str, index: u32, name: &'static str) -> Result<(), CodecError> {
        self.sink.unit_variant(Variant { of, index, name })
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<(), CodecError> {
        match self.sink.newtype_struct(name, &Typed(value)) {
            Ok(false) => value.serialize(self),
            Ok(true) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        of: &'static str,
        index: u32,
        name: &'static str,
        value: &T,
    ) -> Result<(), CodecError> {
        self.wrapped(Wrapper::Variant(Variant { of, index, name }), value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Parts<'a>, CodecError> {
        self.begin(Kind::Seq(len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Parts<'a>, CodecError> {
        self.begin(Kind::Tuple(len))
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<Parts<'a>, CodecError> {
        self.begin(Kind::TupleStruct(len))
    }

    fn serialize_tuple_variant(
        self,
        of: &'static str,
        index: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Parts<'a>, CodecError> {
        self.begin(Kind::TupleVariant(Variant { of, index, name }, len))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Parts<'a>, CodecError> {
        self.begin(Kind::Map(len))
    }

    fn serialize_struct(self, _name: &'static str, len: usize) -> Result<Parts<'a>, CodecError> {
        self.begin(Kind::Struct(len))
    }

    fn serialize_struct_variant(
        self,
        of: &'static str,
        index: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Parts<'a>, CodecError> {
        self.begin(Kind::StructVariant(Variant { of, index, name }, len))
    }

    fn is_human_readable(&self) -> bool {
        self.sink.is_human_readable()
    }
}

/// The parts of a compound.
pub(super) struct Parts<'a> {
    sink: &'a mut dyn Sink,
    compound: Compound,
}

impl Parts<'_> {
    fn write<T: Serialize + ?Sized>(&mut self, part: Part, value: &T) -> Result<(), CodecError> {
        match self.sink.part(&mut self.compound, part) {
            Ok(()) => value.serialize(Writer { sink: &mut *self.sink }),
            Err(error) => Err(error),
        }
    }

    fn finish(mut self) -> Result<(), CodecError> {
        self.sink.end(&mut self.compound)
    }
}

macro_rules! compounds {
    ($($name:ident $method:ident)*) => {$(
        impl ser::$name for Parts<'_> {
            type Ok = ();
            type Error = CodecError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
                self.write(Part::Element, value)
            }

            fn end(self) -> Result<(), CodecError> {
                self.finish()
            }
        }
    )*};
}

macro_rules! structs {
    ($($name:ident)*) => {$(
        impl ser::$name for Parts<'_> {
            type Ok = ();
            type Error = CodecError;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), CodecError> {
                self.write(Part::Field(name), value)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), CodecError> {
                self.sink.skip_field(name)
            }

            fn end(self) -> Result<(), CodecError> {
                self.finish()
            }
        }
    )*};
}

compounds! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

structs! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), CodecError> {
        self.write(Part::Key, key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.write(Part::Value, value)
    }

    fn end(self) -> Result<(), CodecError> {
        self.finish()
    }
}
