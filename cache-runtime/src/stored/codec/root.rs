//! Finds the kind of a value's root from its first call to a serializer.

use std::fmt;

use serde::ser::{Error, Serialize};

use super::CodecError;
use crate::stored::sink::{Compound, Kind, Part, Sink, Typed, Value, Variant, Wrapper};

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
    let mut probe = Probe(Root::Other);
    // The probe itself stops the `Serialize` by an error.
    let _stopped = Typed(value).write(&mut probe);
    probe.0
}

struct Probe(Root);

fn stop<T>() -> Result<T, CodecError> {
    Err(Error::custom(""))
}

impl Probe {
    fn variant(&mut self, variant: Variant) {
        if variant.of == "Result" && variant.name == "Err" {
            self.0 = Root::Err;
        }
    }
}

macro_rules! stops {
    ($($method:ident($($argument:ty),*) -> $output:ty;)*) => {$(
        fn $method(&mut self, $(_: $argument),*) -> Result<$output, CodecError> {
            stop()
        }
    )*};
}

impl Sink for Probe {
    fn is_human_readable(&self) -> bool {
        true
    }

    stops! {
        bool(bool) -> ();
        i8(i8) -> ();
        signed(i64) -> ();
        i128(i128) -> ();
        u8(u8) -> ();
        unsigned(u64) -> ();
        u128(u128) -> ();
        f32(f32) -> ();
        f64(f64) -> ();
        char(char) -> ();
        str(&str) -> ();
        bytes(&[u8]) -> ();
        display(&dyn fmt::Display) -> ();
        unit() -> ();
        unit_struct() -> ();
        newtype_struct(&'static str, &dyn Value) -> bool;
        begin(Kind) -> Compound;
        part(&mut Compound, Part) -> ();
        skip_field(&'static str) -> ();
        end(&mut Compound) -> ();
    }

    fn none(&mut self) -> Result<(), CodecError> {
        self.0 = Root::None;
        stop()
    }

    fn unit_variant(&mut self, variant: Variant) -> Result<(), CodecError> {
        self.variant(variant);
        stop()
    }

    fn enter(&mut self, wrapper: Wrapper) -> Result<usize, CodecError> {
        if let Wrapper::Variant(variant) = wrapper {
            self.variant(variant);
        }
        stop()
    }

    fn leave(&mut self, _depth: usize) {}
}
