//! Compares what a value's `Serialize` writes with what its type's `Deserialize` reads.
//!
//! A format without names reads back whatever the bytes happen to mean, so each part has to be what is read there: its kind,
//! and the names and order of fields. A format with names refuses most differences itself. There, only those are looked for
//! that it would read as another value.

use std::fmt;

use serde::ser;

use super::shape::{BYTE, Id, NOWHERE, Node, Scalar, Shape, TAG};
use crate::poll::stack::Stack;
use crate::stored::codec::CodecError;
use crate::stored::sink::{Compound, Kind, Part, Sink, Value, Variant, Wrapper};

/// The nesting limit of values: more than any codec stores.
const DEPTH: usize = 512;

/// The comparison of a value with a shape.
struct Check<'s> {
    shape: &'s Shape,
    /// The node of the part that is written next.
    hole: Id,
    /// The node of the value of the same entry of a map.
    value: Id,
    is_human_readable: bool,
    /// The format has no names.
    is_positional: bool,
    root: Stack,
    depth: usize,
}

/// A number, as far as another kind of number may not hold it.
#[derive(Clone, Copy)]
enum Number {
    Integer(i128),
    /// An integer of 128 bits above `i128::MAX`.
    Large,
    Single(f32),
    Double(f64),
    None,
}

impl Shape {
    /// Fails if a format would read `value` back as another one, because the type's `Serialize` and `Deserialize` differ.
    pub(crate) fn check(
        &self,
        value: &dyn Value,
        is_human_readable: bool,
        is_positional: bool,
    ) -> Result<(), CodecError> {
        value.write(&mut Check {
            shape: self,
            hole: self.root(),
            value: NOWHERE,
            is_human_readable,
            is_positional,
            root: Stack::here(),
            depth: 0,
        })
    }
}

#[cold]
fn differs(written: &str, read: &Node) -> CodecError {
    ser::Error::custom(format_args!("its `Serialize` writes {written} where its `Deserialize` reads {}", name_of(read)))
}

#[cold]
fn misplaced(name: &str) -> CodecError {
    ser::Error::custom(format_args!(
        "its `Serialize` writes the field `{name}` where its `Deserialize` reads another one; both need the same names, in \
         the same order"
    ))
}

#[cold]
fn too_deep() -> CodecError {
    ser::Error::custom("nested too deeply")
}

fn name_of(node: &Node) -> &'static str {
    match node {
        Node::Unseen | Node::Any | Node::Same(_) | Node::Alias(_) => "any value",
        Node::Never => "nothing",
        Node::Scalar(scalar) => name_of_scalar(*scalar),
        Node::Unit => "a unit",
        Node::Option(_) => "an option",
        Node::Seq(_) => "a sequence",
        Node::Map(..) => "a map",
        Node::Tuple(_) => "a tuple",
        Node::TupleStruct(_) => "a tuple struct or variant",
        Node::Struct(_) => "a struct",
        Node::Enum(_) => "an enum",
        Node::Newtype(_) => "a newtype variant",
    }
}

fn name_of_scalar(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Bool => "a `bool`",
        Scalar::I8 => "an `i8`",
        Scalar::I16 => "an `i16`",
        Scalar::I32 => "an `i32`",
        Scalar::I64 => "an `i64`",
        Scalar::I128 => "an `i128`",
        Scalar::U8 => "a `u8`",
        Scalar::U16 => "a `u16`",
        Scalar::U32 => "a `u32`",
        Scalar::U64 => "a `u64`",
        Scalar::U128 => "a `u128`",
        Scalar::F32 => "an `f32`",
        Scalar::F64 => "an `f64`",
        Scalar::Char => "a `char`",
        Scalar::Str => "a text",
        Scalar::Bytes => "bytes",
    }
}

/// Tells whether a format with names reads a number of one kind as the same number of another kind, or refuses it.
fn keeps(read: Scalar, number: Number) -> bool {
    match (read, number) {
        (Scalar::F64, Number::Integer(value)) => value as f64 as i128 == value && value != i128::MAX,
        (Scalar::F32, Number::Integer(value)) => value as f32 as i128 == value && value != i128::MAX,
        (Scalar::F64 | Scalar::F32 | Scalar::I128, Number::Large) => false,
        (Scalar::F32, Number::Double(value)) => f64::from(value as f32) == value || value.is_nan(),
        // JSON has the digits of the shorter one.
        (Scalar::F64, Number::Single(value)) => value.to_string().parse() == Ok(f64::from(value)) || value.is_nan(),
        (Scalar::U128, Number::Integer(value)) => value >= 0,
        _ => true,
    }
}

impl Check<'_> {
    fn node(&self) -> &Node {
        self.shape.node(self.hole).1
    }

    fn deeper(&mut self) -> Result<(), CodecError> {
        if self.depth == DEPTH || self.root.is_spent() {
            return Err(too_deep());
        }
        self.depth += 1;
        Ok(())
    }

    /// Returns true if the next part is not looked at.
    fn is_any(&self) -> bool {
        !self.is_positional && matches!(self.node(), Node::Unseen | Node::Any | Node::Never)
    }

    /// In a format with names, an option is what is in it.
    fn skip_options(&mut self) {
        while !self.is_positional
            && let &Node::Option(inner) = self.node()
        {
            self.hole = inner;
        }
    }

    fn scalar(&mut self, written: Scalar, number: Number) -> Result<(), CodecError> {
        self.skip_options();
        let is_fine = match self.node() {
            Node::Scalar(read) if *read == written => true,
            Node::Scalar(read) if self.is_positional => {
                matches!((written, read), (Scalar::Str | Scalar::Bytes, Scalar::Str | Scalar::Bytes))
            }
            _ if self.hole == TAG => false,
            Node::Scalar(read) => keeps(*read, number),
            // Bytes are written like a sequence of bytes.
            &Node::Seq(element) if self.is_positional => {
                matches!(written, Scalar::Str | Scalar::Bytes)
                    && *self.shape.node(element).1 == Node::Scalar(Scalar::U8)
            }
            // A number can stand for a variant.
            Node::Enum(_) if !self.is_positional => {
                matches!(number, Number::None | Number::Single(_) | Number::Double(_))
            }
            _ => !self.is_positional,
        };
        if is_fine { Ok(()) } else { Err(differs(name_of_scalar(written), self.node())) }
    }

    /// A value that takes no content, and that a format with names writes as a null.
    fn null(&self, is_read: bool, written: &str) -> Result<(), CodecError> {
        if is_read || !self.is_positional { Ok(()) } else { Err(differs(written, self.node())) }
    }

    /// Goes into a variant.
    fn variant(&mut self, variant: Variant) -> Result<(), CodecError> {
        self.skip_options();
        let Node::Enum(variants) = self.node() else {
            let is_any = !self.is_positional;
            self.hole = NOWHERE;
            return if is_any { Ok(()) } else { Err(differs("a variant", self.node())) };
        };
        let at = variant.index as usize;
        let names = variants.names;
        let slot = match names.get(at) {
            Some(name) if *name == variant.name => Some(at),
            _ if self.is_positional => None,
            _ => names.iter().position(|name| *name == variant.name),
        };
        match slot {
            Some(slot) => self.hole = variants.contents[slot],
            None if self.is_positional => {
                return Err(ser::Error::custom(format_args!(
                    "its `Serialize` writes the variant `{}` where its `Deserialize` reads another one",
                    variant.name
                )));
            }
            None => self.hole = NOWHERE,
        }
        Ok(())
    }

    /// The node of a compound, which the parts refer to.
    fn compound(&mut self, kind: Kind) -> Result<Id, CodecError> {
        self.skip_options();
        let (id, node) = self.shape.node(self.hole);
        let is_same = match (kind, node) {
            (Kind::Seq(_), Node::Seq(_)) | (Kind::Map(_), Node::Map(..)) => true,
            (Kind::Seq(_), Node::Scalar(Scalar::Bytes | Scalar::Str)) => self.is_positional,
            (Kind::Tuple(len), Node::Tuple(parts)) => !self.is_positional || parts.len() == len,
            (Kind::TupleStruct(len) | Kind::TupleVariant(_, len), Node::TupleStruct(parts) | Node::Tuple(parts)) => {
                !self.is_positional || parts.len() >= len
            }
            (Kind::Struct(_) | Kind::StructVariant(..), Node::Struct(_)) => true,
            // Both are sequences there.
            (
                Kind::Seq(_) | Kind::Tuple(_) | Kind::TupleStruct(_) | Kind::TupleVariant(..),
                Node::Seq(_) | Node::Tuple(_) | Node::TupleStruct(_),
            ) => !self.is_positional,
            _ => false,
        };
        let is_sequence = !matches!(kind, Kind::Map(_) | Kind::Struct(_) | Kind::StructVariant(..));
        match node {
            _ if is_same => Ok(id),
            // A format with names reads the fields of a struct from a sequence, too.
            Node::Struct(_) if is_sequence => Err(differs(name_of_kind(kind), node)),
            _ if self.is_positional || id == TAG => Err(differs(name_of_kind(kind), node)),
            _ => Ok(NOWHERE),
        }
    }

    /// Goes into a field of a struct.
    fn field(&mut self, compound: &mut Compound, name: &str) -> Result<(), CodecError> {
        let (_, Node::Struct(fields)) = self.shape.node(compound.start) else {
            self.hole = NOWHERE;
            return Ok(());
        };
        let next = compound.count;
        let position = |names: &[&str]| names.iter().position(|other| *other == name);
        let slot = position(&fields.names[next..]).map(|slot| next + slot);
        let slot = if self.is_positional {
            slot.filter(|slot| is_next(&fields.is_alias[next..=*slot]))
        } else {
            slot.or_else(|| position(&fields.names[..next]))
        };
        // A name that is not read would be ignored, and its value lost. That of the struct itself is always the same.
        let Some(slot) = slot else {
            self.hole = TAG;
            return if next == 0 && !self.is_positional { Ok(()) } else { Err(misplaced(name)) };
        };
        compound.count = slot + 1;
        self.hole = fields.nodes[slot];
        Ok(())
    }
}

/// Tells whether only other names of the fields around it stand between the last field and this one, which is the last of
/// these.
fn is_next(is_alias: &[bool]) -> bool {
    let aliases_of_it = is_alias.iter().rev().take_while(|is_alias| **is_alias).count();
    let rest = is_alias.len().saturating_sub(aliases_of_it + 1);
    is_alias[..rest].iter().all(|is_alias| *is_alias)
}

fn name_of_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Seq(_) => "a sequence",
        Kind::Tuple(_) => "a tuple",
        Kind::TupleStruct(_) | Kind::TupleVariant(..) => "a tuple struct or variant",
        Kind::Map(_) => "a map",
        Kind::Struct(_) | Kind::StructVariant(..) => "a struct",
    }
}

macro_rules! scalars {
    ($($method:ident($argument:ty) $scalar:ident |$value:ident| $number:expr;)*) => {$(
        fn $method(&mut self, $value: $argument) -> Result<(), CodecError> {
            self.scalar(Scalar::$scalar, $number)
        }
    )*};
}

impl Sink for Check<'_> {
    fn is_human_readable(&self) -> bool {
        self.is_human_readable
    }

    scalars! {
        bool(bool) Bool |_value| Number::None;
        i8(i8) I8 |value| Number::Integer(value.into());
        i16(i16) I16 |value| Number::Integer(value.into());
        i32(i32) I32 |value| Number::Integer(value.into());
        signed(i64) I64 |value| Number::Integer(value.into());
        i128(i128) I128 |value| Number::Integer(value);
        u8(u8) U8 |value| Number::Integer(value.into());
        u16(u16) U16 |value| Number::Integer(value.into());
        u32(u32) U32 |value| Number::Integer(value.into());
        unsigned(u64) U64 |value| Number::Integer(value.into());
        u128(u128) U128 |value| i128::try_from(value).map_or(Number::Large, Number::Integer);
        f32(f32) F32 |value| Number::Single(value);
        f64(f64) F64 |value| Number::Double(value);
        char(char) Char |_value| Number::None;
        str(&str) Str |_value| Number::None;
        bytes(&[u8]) Bytes |_value| Number::None;
        display(&dyn fmt::Display) Str |_value| Number::None;
    }

    fn unit(&mut self) -> Result<(), CodecError> {
        self.null(matches!(self.node(), Node::Unit), "a unit")
    }

    fn unit_struct(&mut self) -> Result<(), CodecError> {
        self.unit()
    }

    fn none(&mut self) -> Result<(), CodecError> {
        self.null(matches!(self.node(), Node::Option(_)), "an option")
    }

    fn unit_variant(&mut self, variant: Variant) -> Result<(), CodecError> {
        self.variant(variant)?;
        self.null(matches!(self.node(), Node::Unit), "a unit variant")
    }

    fn enter(&mut self, wrapper: Wrapper) -> Result<usize, CodecError> {
        let outside = self.depth;
        self.deeper()?;
        let inner = match wrapper {
            Wrapper::Some => match self.node() {
                &Node::Option(inner) => inner,
                _ if !self.is_positional => self.hole,
                other => return Err(differs("an option", other)),
            },
            Wrapper::Variant(variant) => {
                self.variant(variant)?;
                match self.node() {
                    &Node::Newtype(inner) => inner,
                    _ if !self.is_positional => NOWHERE,
                    other => return Err(differs("a newtype variant", other)),
                }
            }
        };
        self.hole = inner;
        Ok(outside)
    }

    fn leave(&mut self, depth: usize) {
        self.depth = depth;
    }

    fn begin(&mut self, kind: Kind) -> Result<Compound, CodecError> {
        let outside = self.depth;
        self.deeper()?;
        if let Kind::TupleVariant(variant, _) | Kind::StructVariant(variant, _) = kind {
            self.variant(variant)?;
        }
        let start = if self.is_any() { NOWHERE } else { self.compound(kind)? };
        Ok(Compound { kind, outside, count: 0, start })
    }

    fn part(&mut self, compound: &mut Compound, part: Part) -> Result<(), CodecError> {
        let node = &self.shape.node(compound.start).1;
        match part {
            Part::Field(name) => return self.field(compound, name),
            Part::Value => self.hole = self.value,
            Part::Key => {
                (self.hole, self.value) = if let Node::Map(key, value) = node { (*key, *value) } else { (0, 0) }
            }
            Part::Element => {
                self.hole = match node {
                    Node::Seq(element) => *element,
                    Node::Tuple(parts) | Node::TupleStruct(parts) => {
                        parts.get(compound.count).copied().unwrap_or(NOWHERE)
                    }
                    Node::Scalar(_) => BYTE,
                    _ => NOWHERE,
                };
                compound.count += 1;
            }
        }
        Ok(())
    }

    fn skip_field(&mut self, name: &'static str) -> Result<(), CodecError> {
        if self.is_positional {
            return Err(ser::Error::custom(format_args!(
                "a format without names cannot leave out the field `{name}`, as `skip_serializing_if` does"
            )));
        }
        Ok(())
    }

    fn end(&mut self, compound: &mut Compound) -> Result<(), CodecError> {
        self.depth = compound.outside;
        Ok(())
    }
}
