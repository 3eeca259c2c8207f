//! Encodes a value into bytes, in the way of rmp-serde, and refuses values that would not read back as the same value.

use rmp::encode::{self, ValueWriteError};
use serde::ser;

use super::EXTENSION;
use crate::poll::stack::Stack;
use crate::stored::codec::{CodecError, DEPTH, depth};
use crate::stored::sink::{Compound, Kind, Part, Sink, Value, Variant, Wrapper};

/// Appends `value`.
pub(super) fn encode(buffer: &mut Vec<u8>, value: &dyn Value) -> Result<(), CodecError> {
    let mut output = Output { buffer, root: Stack::here(), depth: 0, is_in_some: false };
    value.write(&mut output)
}

struct Output<'a> {
    buffer: &'a mut Vec<u8>,
    root: Stack,
    depth: usize,
    /// The next value is directly inside a `Some`, so that a nil would read back as `None`.
    is_in_some: bool,
}

impl Output<'_> {
    fn nil(&mut self) -> Result<(), CodecError> {
        if self.is_in_some {
            return Err(ser::Error::custom(
                "`Some(None)` and `Some(())` read back as `None` in this format; write `codec = bincode`",
            ));
        }
        self.buffer.push(rmp::Marker::Null.to_u8());
        Ok(())
    }

    fn deeper(&mut self) -> Result<(), CodecError> {
        // The root's compound is the first level.
        if self.depth + 2 > DEPTH || self.root.is_spent() {
            return Err(too_deep());
        }
        self.depth += 1;
        depth::note(self.depth, self.root);
        self.is_in_some = false;
        Ok(())
    }

    /// A variant with content is a map from its name to the content.
    fn variant(&mut self, variant: Variant) -> Result<(), CodecError> {
        self.map_len(1)?;
        self.str(variant.name)
    }

    fn array_len(&mut self, len: usize) -> Result<(), CodecError> {
        put(encode::write_array_len(self.buffer, short(len)?))
    }

    fn map_len(&mut self, len: usize) -> Result<(), CodecError> {
        put(encode::write_map_len(self.buffer, short(len)?))
    }

    /// Inserts the length of a compound that did not announce it.
    fn insert_len(&mut self, compound: &Compound) -> Result<(), CodecError> {
        let end = self.buffer.len();
        match compound.kind {
            Kind::Map(_) => self.map_len(compound.count)?,
            _ => self.array_len(compound.count)?,
        }
        let width = self.buffer.len() - end;
        self.buffer[compound.start..].rotate_right(width);
        Ok(())
    }
}

fn put<T>(written: Result<T, ValueWriteError>) -> Result<(), CodecError> {
    match written {
        Ok(_marker) => Ok(()),
        Err(error) => Err(ser::Error::custom(format_args!("invalid value write: {error}"))),
    }
}

fn short(len: usize) -> Result<u32, CodecError> {
    u32::try_from(len).map_err(|_| ser::Error::custom("MessagePack has no lengths above 32 bits"))
}

#[cold]
fn too_deep() -> CodecError {
    ser::Error::custom("nested too deeply")
}

#[cold]
fn wrong_length() -> CodecError {
    ser::Error::custom("a value has another length than it announced")
}

impl Sink for Output<'_> {
    fn is_human_readable(&self) -> bool {
        true
    }

    fn bool(&mut self, value: bool) -> Result<(), CodecError> {
        let marker = if value { rmp::Marker::True } else { rmp::Marker::False };
        self.buffer.push(marker.to_u8());
        Ok(())
    }

    fn i8(&mut self, value: i8) -> Result<(), CodecError> {
        self.signed(value.into())
    }

    fn signed(&mut self, value: i64) -> Result<(), CodecError> {
        put(encode::write_sint(self.buffer, value))
    }

    fn i128(&mut self, value: i128) -> Result<(), CodecError> {
        self.bytes(&value.to_be_bytes())
    }

    fn u8(&mut self, value: u8) -> Result<(), CodecError> {
        self.unsigned(value.into())
    }

    fn unsigned(&mut self, value: u64) -> Result<(), CodecError> {
        put(encode::write_uint(self.buffer, value))
    }

    fn u128(&mut self, value: u128) -> Result<(), CodecError> {
        self.bytes(&value.to_be_bytes())
    }

    fn f32(&mut self, value: f32) -> Result<(), CodecError> {
        put(encode::write_f32(self.buffer, value))
    }

    fn f64(&mut self, value: f64) -> Result<(), CodecError> {
        put(encode::write_f64(self.buffer, value))
    }

    fn char(&mut self, value: char) -> Result<(), CodecError> {
        self.str(value.encode_utf8(&mut [0; 4]))
    }

    fn str(&mut self, value: &str) -> Result<(), CodecError> {
        short(value.len())?;
        put(encode::write_str(self.buffer, value))
    }

    fn bytes(&mut self, value: &[u8]) -> Result<(), CodecError> {
        short(value.len())?;
        put(encode::write_bin(self.buffer, value))
    }

    fn unit(&mut self) -> Result<(), CodecError> {
        self.nil()
    }

    fn unit_struct(&mut self) -> Result<(), CodecError> {
        self.array_len(0)
    }

    fn none(&mut self) -> Result<(), CodecError> {
        self.nil()
    }

    fn unit_variant(&mut self, variant: Variant) -> Result<(), CodecError> {
        self.str(variant.name)
    }

    fn enter(&mut self, wrapper: Wrapper) -> Result<usize, CodecError> {
        let outside = self.depth;
        match wrapper {
            Wrapper::Some if depth::is_option_too_deep(self.root) => return Err(too_deep()),
            Wrapper::Some => self.is_in_some = true,
            Wrapper::Variant(variant) => {
                self.deeper()?;
                self.variant(variant)?;
            }
        }
        Ok(outside)
    }

    fn leave(&mut self, depth: usize) {
        self.depth = depth;
        self.is_in_some = false;
    }

    fn newtype_struct(&mut self, name: &'static str, value: &dyn Value) -> Result<bool, CodecError> {
        if name != EXTENSION {
            return Ok(false);
        }
        let mut extension = Extension { output: self, state: State::Empty };
        value.write(&mut extension)?;
        let State::Complete = extension.state else { return Err(extension.refused()) };
        Ok(true)
    }

    fn begin(&mut self, kind: Kind) -> Result<Compound, CodecError> {
        let outside = self.depth;
        self.deeper()?;
        if let Kind::TupleVariant(variant, _) | Kind::StructVariant(variant, _) = kind {
            self.deeper()?;
            self.variant(variant)?;
        }
        let count = match kind {
            Kind::Seq(None) | Kind::Map(None) => 0,
            Kind::Map(Some(len)) | Kind::Struct(len) | Kind::StructVariant(_, len) => {
                self.map_len(len)?;
                len
            }
            Kind::Seq(Some(len)) | Kind::Tuple(len) | Kind::TupleStruct(len) | Kind::TupleVariant(_, len) => {
                self.array_len(len)?;
                len
            }
        };
        Ok(Compound { kind, outside, count, start: self.buffer.len() })
    }

    fn part(&mut self, compound: &mut Compound, part: Part) -> Result<(), CodecError> {
        match (part, compound.kind) {
            (Part::Value, _) => {}
            (_, Kind::Seq(None) | Kind::Map(None)) => compound.count += 1,
            // A concurrent map, for example, may have grown since its length was written.
            _ => compound.count = compound.count.checked_sub(1).ok_or_else(wrong_length)?,
        }
        match part {
            Part::Field(name) => self.str(name),
            Part::Element | Part::Key | Part::Value => Ok(()),
        }
    }

    fn skip_field(&mut self, _name: &'static str) -> Result<(), CodecError> {
        Ok(())
    }

    fn end(&mut self, compound: &mut Compound) -> Result<(), CodecError> {
        self.depth = compound.outside;
        match compound.kind {
            Kind::Seq(None) | Kind::Map(None) => self.insert_len(compound),
            _ if compound.count > 0 => Err(wrong_length()),
            _ => Ok(()),
        }
    }
}

/// The content of an extension type: a tuple of an `i8`, its tag, and of bytes, its data.
struct Extension<'a, 'b> {
    output: &'a mut Output<'b>,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Empty,
    Tuple,
    Tag(i8),
    Complete,
}

impl Extension<'_, '_> {
    fn refused(&self) -> CodecError {
        let expected = if let State::Empty = self.state { "tuple" } else { "i8 and bytes" };
        ser::Error::custom(format_args!("serialize data model is invalid: expected {expected}"))
    }
}

macro_rules! refused {
    ($($method:ident($($argument:ty),*) -> $output:ty;)*) => {$(
        fn $method(&mut self, $(_: $argument),*) -> Result<$output, CodecError> {
            Err(self.refused())
        }
    )*};
}

impl Sink for Extension<'_, '_> {
    fn is_human_readable(&self) -> bool {
        true
    }

    refused! {
        bool(bool) -> ();
        signed(i64) -> ();
        i128(i128) -> ();
        u8(u8) -> ();
        unsigned(u64) -> ();
        u128(u128) -> ();
        f32(f32) -> ();
        f64(f64) -> ();
        char(char) -> ();
        str(&str) -> ();
        unit() -> ();
        unit_struct() -> ();
        none() -> ();
        unit_variant(Variant) -> ();
        enter(Wrapper) -> usize;
        skip_field(&'static str) -> ();
    }

    fn i8(&mut self, value: i8) -> Result<(), CodecError> {
        let State::Tuple = self.state else { return Err(self.refused()) };
        self.state = State::Tag(value);
        Ok(())
    }

    fn bytes(&mut self, value: &[u8]) -> Result<(), CodecError> {
        let State::Tag(tag) = self.state else { return Err(self.refused()) };
        put(encode::write_ext_meta(self.output.buffer, short(value.len())?, tag))?;
        self.output.buffer.extend_from_slice(value);
        self.state = State::Complete;
        Ok(())
    }

    fn leave(&mut self, _depth: usize) {}

    fn begin(&mut self, kind: Kind) -> Result<Compound, CodecError> {
        let (State::Empty, Kind::Tuple(len)) = (self.state, kind) else { return Err(self.refused()) };
        let outside = self.output.depth;
        self.output.deeper()?;
        self.state = State::Tuple;
        Ok(Compound { kind, outside, count: len, start: 0 })
    }

    fn part(&mut self, compound: &mut Compound, _part: Part) -> Result<(), CodecError> {
        compound.count = compound.count.checked_sub(1).ok_or_else(wrong_length)?;
        Ok(())
    }

    fn end(&mut self, compound: &mut Compound) -> Result<(), CodecError> {
        self.output.depth = compound.outside;
        if compound.count > 0 { Err(wrong_length()) } else { Ok(()) }
    }
}
