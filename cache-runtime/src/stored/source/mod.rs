//! A deserializer over a trait object.
//!
//! serde compiles a type's `Deserialize` anew for each deserializer that reads the type. The reader of MessagePack and
//! the recorder of fingerprints therefore share one deserializer, [`Part`]. It passes requests to a [`Source`], which is
//! not generic, and calls the visitors directly.

#![cfg_attr(not(feature = "messagepack"), allow(dead_code, reason = "only MessagePack needs it"))]

mod access;
mod part;

use std::any::type_name;

use serde::de::{self, Deserialize, Expected, Unexpected};

pub(crate) use self::part::Part;
use super::codec::CodecError;

/// The answers to the requests of a `Deserialize`.
pub(crate) trait Source<'de> {
    fn is_human_readable(&self) -> bool;

    /// A scalar, or the first part of any value if the request permits it.
    fn token(&mut self, request: Request) -> Result<Token<'de>, CodecError>;

    /// The compound that the last token announced.
    fn opened(&mut self) -> Compound;

    /// An integer of 128 bits. The bits of an unsigned one are the same.
    fn wide(&mut self, signed: bool) -> Result<i128, CodecError>;

    /// Returns true if the option has a value, which follows.
    fn option(&mut self) -> Result<bool, CodecError>;

    fn unit_struct(&mut self, name: &'static str, expected: &dyn Expected) -> Result<(), CodecError>;

    fn sequence(&mut self, kind: Sequence, expected: &dyn Expected) -> Result<Compound, CodecError>;

    fn map(&mut self, expected: &dyn Expected) -> Result<Compound, CodecError>;

    /// A struct or, without a name, the fields of a variant.
    fn fields(
        &mut self,
        name: Option<&'static str>,
        names: &'static [&'static str],
        expected: &dyn Expected,
    ) -> Result<Fields, CodecError>;

    fn enumeration(
        &mut self,
        name: &'static str,
        variants: &'static [&'static str],
        expected: &dyn Expected,
    ) -> Result<Variant<'de>, CodecError>;

    /// Skips a value of any type.
    fn skip(&mut self) -> Result<(), CodecError>;

    /// Goes a step down in the value, and returns the depth to which [`leave`](Source::leave) goes back.
    fn enter(&mut self, step: Step) -> Result<Depth, CodecError>;

    fn leave(&mut self, depth: Depth);

    /// Takes one part out of a compound. Returns false if none is left.
    fn next(&mut self, compound: &mut Compound) -> bool;

    /// Ends a compound, whose value was made or not. An error is told at the end of the whole value.
    fn end(&mut self, compound: &Compound, is_made: bool);

    /// Takes the name of the next field.
    fn next_field(&mut self, compound: &mut Compound) -> Result<Option<&'de str>, CodecError>;

    /// The name of a variant, or its number.
    fn variant_name(&mut self, variant: &Variant<'de>) -> Result<VariantName<'de>, CodecError>;

    /// The type knows the variant, and asks for its content.
    fn content(&mut self, variant: &Variant<'de>, form: Form) -> Result<(), CodecError>;

    /// Reads a part whose type is known. A source may read it several times; the first value remains.
    fn child(&mut self, part: &mut dyn Value<'de>);

    /// Notes an event of the reading.
    fn note(&mut self, _event: Event<'_>) {}
}

/// A value that is read from a source.
pub(crate) trait Value<'de> {
    /// Identifies the type: by the address of its code and its name, because different types can have the same name.
    fn type_id(&self) -> (usize, &'static str);

    /// Deserializes the value, and keeps the first one.
    fn read(&mut self, source: &mut dyn Source<'de>);

    /// Drops the value.
    fn clear(&mut self);
}

/// A value of type `T`, or why it was refused, once it was read.
pub(super) struct Typed<T>(pub(super) Option<Result<T, CodecError>>);

impl<'de, T: Deserialize<'de>> Value<'de> for Typed<T> {
    fn type_id(&self) -> (usize, &'static str) {
        let code = value::<T> as fn(&mut dyn Source<'de>) -> Result<T, CodecError> as usize;
        (code, type_name::<T>())
    }

    fn read(&mut self, source: &mut dyn Source<'de>) {
        let value = T::deserialize(Part { source: &mut *source });
        if value.is_ok() {
            source.note(Event::Made);
        }
        if !matches!(self.0, Some(Ok(_))) {
            self.0 = Some(value);
        }
    }

    fn clear(&mut self) {
        self.0 = None;
    }
}

/// Reads a value of type `T`.
pub(super) fn value<'de, T: Deserialize<'de>>(source: &mut dyn Source<'de>) -> Result<T, CodecError> {
    let mut value = Typed(None);
    source.child(&mut value);
    match value.0 {
        Some(value) => value,
        None => Err(unmade()),
    }
}

#[cold]
fn unmade() -> CodecError {
    de::Error::custom("no value")
}

#[cold]
pub(super) fn wrong_type(token: Token<'_>, expected: &dyn Expected) -> CodecError {
    de::Error::invalid_type(token.unexpected(), expected)
}

/// A request for a scalar or for any value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Any,
    Identifier,
    Unit,
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
    Char,
    Str,
    Bytes,
}

#[cfg(feature = "messagepack")]
impl Request {
    pub(super) fn is_number(self) -> bool {
        use Request::{Any, Bytes, Char, Identifier, Str, Unit};
        !matches!(self, Any | Bytes | Char | Identifier | Str | Unit)
    }
}

/// A scalar, or the first part of a compound.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Token<'de> {
    Unit,
    Bool(bool),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    F32(f32),
    F64(f64),
    Char(char),
    Str(&'de str),
    Bytes(&'de [u8]),
    Sequence,
    Map,
    /// A value that reads as a newtype struct of a sequence.
    #[cfg(feature = "messagepack")]
    Extension,
}

impl Token<'_> {
    fn unexpected(&self) -> Unexpected<'_> {
        match *self {
            Token::Unit => Unexpected::Unit,
            Token::Bool(value) => Unexpected::Bool(value),
            Token::I8(value) => Unexpected::Signed(value.into()),
            Token::I16(value) => Unexpected::Signed(value.into()),
            Token::I32(value) => Unexpected::Signed(value.into()),
            Token::I64(value) => Unexpected::Signed(value),
            Token::U8(value) => Unexpected::Unsigned(value.into()),
            Token::U16(value) => Unexpected::Unsigned(value.into()),
            Token::U32(value) => Unexpected::Unsigned(value.into()),
            Token::U64(value) => Unexpected::Unsigned(value),
            Token::F32(value) => Unexpected::Float(value.into()),
            Token::F64(value) => Unexpected::Float(value),
            Token::Char(value) => Unexpected::Char(value),
            Token::Str(value) => Unexpected::Str(value),
            Token::Bytes(value) => Unexpected::Bytes(value),
            Token::Sequence => Unexpected::Seq,
            Token::Map => Unexpected::Map,
            #[cfg(feature = "messagepack")]
            Token::Extension => Unexpected::NewtypeStruct,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Sequence {
    Seq,
    Tuple(usize),
    TupleStruct(&'static str, usize),
}

/// A step down in a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Into the value of an option, which this type of visitor reads.
    Some(&'static str),
    /// The name of the struct, and the type of its visitor.
    NewtypeStruct(&'static str, &'static str),
    /// Into a value whose type asks what the bytes hold.
    Any,
    /// Into a part that has no type of its own.
    Seed,
}

/// The number of levels above a part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Depth {
    pub(super) level: usize,
    /// The number of levels that ask what the bytes hold.
    pub(super) any: usize,
}

/// The parts of a sequence, a map or a struct that are left.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Compound {
    pub(super) left: usize,
    pub(super) len: usize,
    /// The depth outside of it.
    pub(super) outside: Depth,
    /// The type determines the number of elements.
    pub(super) is_fixed: bool,
    /// The names of the fields.
    pub(super) names: &'static [&'static str],
    /// The recorder's choice among the fields, or its node of the elements.
    pub(super) choice: usize,
}

/// The way in which a struct's fields are given.
pub(crate) enum Fields {
    ByName(Compound),
    InOrder(Compound),
}

/// A variant that was read or is offered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant<'de> {
    pub(super) name: VariantName<'de>,
    pub(super) index: usize,
    pub(super) has_content: bool,
    /// The depth outside of it.
    pub(super) outside: Depth,
    /// The recorder's node of the enum.
    pub(super) node: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum VariantName<'de> {
    Text(&'de str),
    Index(u32),
}

/// The content of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Unit,
    Newtype,
    Tuple,
    Struct,
}

/// An event that only the recorder of fingerprints needs to know.
#[derive(Clone, Copy)]
pub(crate) enum Event<'a> {
    /// A value of the type that is read has been made.
    Made,
    /// An element was refused.
    ElementRefused(&'a Compound),
    /// A map's key follows.
    Key,
    /// A map's key was read, or refused.
    KeyRead(bool),
    /// A field's value was made, through a seed or not.
    FieldMade(&'a Compound, bool),
    /// The type knows the variant.
    VariantKnown,
}
