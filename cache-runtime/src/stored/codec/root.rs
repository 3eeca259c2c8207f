//! Finds the kind of a value's root from its first call to a serializer.

use std::fmt;

use serde::ser::{self, Impossible, Serialize, Serializer};

/// The roots that must not be stored by mistake, even if a generic function hides them from the macro.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// `None`.
    None,
    /// `Result::Err`.
    Err,
    Other,
}

/// Inspects the first call of `value`'s `Serialize`, and stops it there.
pub(crate) fn root_of<V: Serialize + ?Sized>(value: &V) -> Root {
    value.serialize(Probe).unwrap_or_else(|Found(root)| root)
}

struct Probe;

/// The error that stops a compound. An error of the `Serialize` itself becomes one too.
#[derive(Debug)]
struct Found(Root);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped")
    }
}

impl std::error::Error for Found {}

impl ser::Error for Found {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Found(Root::Other)
    }
}

const OTHER: Result<Root, Found> = Ok(Root::Other);

macro_rules! other {
    ($($method:ident($($argument:ty),*))*) => {$(
        fn $method(self, $(_: $argument),*) -> Result<Root, Found> {
            OTHER
        }
    )*};
}

macro_rules! stop {
    ($($method:ident($($argument:ty),*))*) => {$(
        fn $method(self, $(_: $argument),*) -> Result<Impossible<Root, Found>, Found> {
            Err(Found(Root::Other))
        }
    )*};
}

impl Serializer for Probe {
    type Ok = Root;
    type Error = Found;
    type SerializeSeq = Impossible<Root, Found>;
    type SerializeTuple = Impossible<Root, Found>;
    type SerializeTupleStruct = Impossible<Root, Found>;
    type SerializeTupleVariant = Impossible<Root, Found>;
    type SerializeMap = Impossible<Root, Found>;
    type SerializeStruct = Impossible<Root, Found>;
    type SerializeStructVariant = Impossible<Root, Found>;

    other! {
        serialize_bool(bool)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_u128(u128)
        serialize_f32(f32) serialize_f64(f64)
        serialize_char(char) serialize_str(&str) serialize_bytes(&[u8])
        serialize_unit() serialize_unit_struct(&'static str)
    }

    stop! {
        serialize_seq(Option<usize>)
        serialize_tuple(usize)
        serialize_tuple_struct(&'static str, usize)
        serialize_tuple_variant(&'static str, u32, &'static str, usize)
        serialize_map(Option<usize>)
        serialize_struct(&'static str, usize)
        serialize_struct_variant(&'static str, u32, &'static str, usize)
    }

    fn serialize_none(self) -> Result<Root, Found> {
        Ok(Root::None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Root, Found> {
        OTHER
    }

    fn serialize_unit_variant(self, name: &'static str, _: u32, variant: &'static str) -> Result<Root, Found> {
        Ok(variant_root(name, variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<Root, Found> {
        OTHER
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: &T,
    ) -> Result<Root, Found> {
        Ok(variant_root(name, variant))
    }

    // The default implementation would format the whole text first.
    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<Root, Found> {
        OTHER
    }
}

fn variant_root(name: &str, variant: &str) -> Root {
    if name == "Result" && variant == "Err" { Root::Err } else { Root::Other }
}
