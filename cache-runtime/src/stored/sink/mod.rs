//! A serializer over a trait object.
//!
//! serde compiles a type's `Serialize` anew for each serializer. bincode, MessagePack and the probe of a value's root
//! therefore share one, [`Writer`]. It passes the parts of a value to a [`Sink`], which is not generic.

#![cfg_attr(
    not(all(feature = "bincode", feature = "messagepack")),
    allow(dead_code, reason = "each format ignores a part of what it is told")
)]

mod writer;

use std::fmt;

use serde::Serialize;

use self::writer::Writer;
use super::codec::CodecError;

/// A format to which values are written.
pub(crate) trait Sink {
    fn is_human_readable(&self) -> bool;

    fn bool(&mut self, value: bool) -> Result<(), CodecError>;
    fn i8(&mut self, value: i8) -> Result<(), CodecError>;
    /// A signed integer of more than one byte. The formats write its value, not its width.
    fn signed(&mut self, value: i64) -> Result<(), CodecError>;
    fn i16(&mut self, value: i16) -> Result<(), CodecError> {
        self.signed(value.into())
    }
    fn i32(&mut self, value: i32) -> Result<(), CodecError> {
        self.signed(value.into())
    }
    fn i128(&mut self, value: i128) -> Result<(), CodecError>;
    fn u8(&mut self, value: u8) -> Result<(), CodecError>;
    fn unsigned(&mut self, value: u64) -> Result<(), CodecError>;
    fn u16(&mut self, value: u16) -> Result<(), CodecError> {
        self.unsigned(value.into())
    }
    fn u32(&mut self, value: u32) -> Result<(), CodecError> {
        self.unsigned(value.into())
    }
    fn u128(&mut self, value: u128) -> Result<(), CodecError>;
    fn f32(&mut self, value: f32) -> Result<(), CodecError>;
    fn f64(&mut self, value: f64) -> Result<(), CodecError>;
    fn char(&mut self, value: char) -> Result<(), CodecError>;
    fn str(&mut self, value: &str) -> Result<(), CodecError>;
    fn bytes(&mut self, value: &[u8]) -> Result<(), CodecError>;

    /// Text that is not formatted yet.
    fn display(&mut self, value: &dyn fmt::Display) -> Result<(), CodecError> {
        self.str(&value.to_string())
    }

    fn unit(&mut self) -> Result<(), CodecError>;
    fn unit_struct(&mut self) -> Result<(), CodecError>;
    fn none(&mut self) -> Result<(), CodecError>;
    fn unit_variant(&mut self, variant: Variant) -> Result<(), CodecError>;

    /// Begins a value inside of a value. Returns the depth to which [`leave`](Sink::leave) goes back.
    fn enter(&mut self, wrapper: Wrapper) -> Result<usize, CodecError>;

    fn leave(&mut self, depth: usize);

    /// A newtype struct that the format writes in a way of its own. Returns false for all others.
    fn newtype_struct(&mut self, _name: &'static str, _value: &dyn Value) -> Result<bool, CodecError> {
        Ok(false)
    }

    fn begin(&mut self, kind: Kind) -> Result<Compound, CodecError>;

    /// Prepares for the next part of a compound.
    fn part(&mut self, compound: &mut Compound, part: Part) -> Result<(), CodecError>;

    /// A field that is left out.
    fn skip_field(&mut self, name: &'static str) -> Result<(), CodecError>;

    fn end(&mut self, compound: &mut Compound) -> Result<(), CodecError>;
}

/// A value of any type.
pub(crate) trait Value {
    fn write(&self, sink: &mut dyn Sink) -> Result<(), CodecError>;
}

/// A value of type `V`.
pub(crate) struct Typed<'a, V: ?Sized>(pub(crate) &'a V);

impl<V: Serialize + ?Sized> Value for Typed<'_, V> {
    fn write(&self, sink: &mut dyn Sink) -> Result<(), CodecError> {
        self.0.serialize(Writer { sink })
    }
}

/// A variant of an enum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    /// The name of the enum.
    pub(super) of: &'static str,
    pub(super) index: u32,
    pub(super) name: &'static str,
}

/// A value around one other value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wrapper {
    Some,
    Variant(Variant),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Seq(Option<usize>),
    Tuple(usize),
    TupleStruct(usize),
    TupleVariant(Variant, usize),
    Map(Option<usize>),
    Struct(usize),
    StructVariant(Variant, usize),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// An element of a sequence or of a tuple, or a field without a name.
    Element,
    Key,
    Value,
    Field(&'static str),
}

/// A compound that is being written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compound {
    pub(super) kind: Kind,
    /// The depth outside of it.
    pub(super) outside: usize,
    /// The number of parts that are left or, if the length was not announced, that were written.
    pub(super) count: usize,
    /// The position at which the compound or its last part began.
    pub(super) start: usize,
}
