//! Encodes one argument as text, through serde.
//!
//! | value | text |
//! |---|---|
//! | integer, of any width | `42` `-1` |
//! | float | `1.0` `1e16` `NaN` `inf` `-inf`, never an integer's form; `-0.0` is `0.0` |
//! | boolean | `true` `false` |
//! | text, character | escaped, see `escape`; in `'…'` where it would read as another row |
//! | bytes | `0x00ff` |
//! | `None`, `Some(x)` | `none`, `x`; `Some` of an encoded `none` is `some(none)`, and so on |
//! | unit, unit struct | `()` |
//! | newtype struct | the text of its field |
//! | sequence, tuple | `[a,b]`, a hash set in sorted order |
//! | map | `<k=v,k=v>`, a hash map or `BTreeMap` in sorted order |
//! | struct | `(x=1,y=2)`, `(=)` if it has no field |
//! | variant | `.Name` `.Name(x)` `.Name[a,b]` `.Name(x=1,y=2)` |
//!
//! No escaped text contains one of `'()[]<>=,:{}#`, so each text can be read back in one way only.

mod compound;

use std::any::type_name;
use std::fmt::{self, Write as _};

use serde::ser::{self, Serialize, Serializer};

use self::compound::Compound;
use super::escape::escape;
use crate::poll::stack::Stack;

/// The nesting limit of a value: far below what the stack allows, far above a sensible argument.
const DEPTH: u8 = 128;

/// Appends `value` to `out`. After an error, `out` may end with a part of the value's text.
pub(super) fn encode<T: Serialize + ?Sized>(value: &T, out: &mut String) -> Result<(), Refused> {
    value.serialize(Encoder { out, type_name: type_name::<T>(), nesting: Nesting { root: Stack::here(), depth: 0 } })
}

/// Appends lower-case hexadecimal digits.
pub(super) fn write_hex(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// The reason why a value has no text: the error of its `Serialize`, or its depth.
#[derive(Debug)]
pub(super) struct Refused(Box<str>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Refused(message.to_string().into())
    }
}

struct Encoder<'a> {
    out: &'a mut String,
    /// The type of the current value. It tells whether a sequence or a map has an order, and is used only for these.
    type_name: &'static str,
    nesting: Nesting,
}

/// The position of a value in the argument, as a depth.
#[derive(Clone, Copy)]
struct Nesting {
    root: Stack,
    depth: u8,
}

impl<'a> Encoder<'a> {
    fn token(self, text: &str) -> Result<(), Refused> {
        self.out.push_str(text);
        Ok(())
    }

    fn variant(&mut self, name: &str) {
        self.out.push('.');
        escape(name, self.out);
    }
}

fn child<T: Serialize + ?Sized>(value: &T, out: &mut String, Nesting { root, depth }: Nesting) -> Result<(), Refused> {
    if depth >= DEPTH || root.is_spent() {
        return Err(Refused("nested too deeply".into()));
    }
    value.serialize(Encoder { out, type_name: type_name::<T>(), nesting: Nesting { root, depth: depth + 1 } })
}

fn write_unsigned(value: u64, out: &mut String) {
    out.push_str(itoa::Buffer::new().format(value));
}

fn write_text(text: &str, out: &mut String) {
    if reads_as_token(text.as_bytes()) {
        out.push('\'');
        escape(text, out);
        out.push('\'');
    } else {
        escape(text, out);
    }
}

/// Tells whether text without quotes would be read as another kind of value. The answer is the same for escaped text,
/// because no token contains a `%`.
fn reads_as_token(text: &[u8]) -> bool {
    match text.first() {
        None | Some(b'.') => true,
        Some(b'0'..=b'9' | b'-') => is_number(text) || is_bytes(text) || text == b"-inf",
        Some(b't' | b'f' | b'n' | b'N' | b'i') => {
            matches!(text, b"true" | b"false" | b"none" | b"NaN" | b"inf")
        }
        _ => false,
    }
}

/// Accepts the forms in which integers and floats are written, and few others: `-1`, `1.5`, `1e16`, `1.5e-7`.
fn is_number(text: &[u8]) -> bool {
    fn digits(text: &[u8]) -> Option<&[u8]> {
        let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count > 0).then(|| &text[count..])
    }
    fn exponent(text: &[u8]) -> bool {
        match text.strip_prefix(b"e") {
            Some(rest) => digits(rest.strip_prefix(b"-").unwrap_or(rest)).is_some_and(<[u8]>::is_empty),
            None => text.is_empty(),
        }
    }
    let Some(rest) = digits(text.strip_prefix(b"-").unwrap_or(text)) else { return false };
    match rest.strip_prefix(b".") {
        Some(fraction) => digits(fraction).is_some_and(exponent),
        None => exponent(rest),
    }
}

fn is_bytes(text: &[u8]) -> bool {
    text.strip_prefix(b"0x").is_some_and(|digits| digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

/// The types whose elements or entries have no order, by crate and name. A type that is not known to have none keeps its
/// order, as `IndexSet` and `IndexMap` do: two arguments in another order may be different arguments.
const UNORDERED: &[(&str, &str)] = &[
    ("std", "HashSet"),
    ("std", "HashMap"),
    ("hashbrown", "HashSet"),
    ("hashbrown", "HashMap"),
    ("ahash", "AHashSet"),
    ("ahash", "AHashMap"),
    ("dashmap", "DashSet"),
    ("dashmap", "DashMap"),
    // The type has one order. That of the texts is another one.
    ("alloc", "BTreeMap"),
];

/// Types that serialize as the type in their first argument.
const TRANSPARENT: &[&str] = &["Box", "Rc", "Arc", "Cow", "Cell", "RefCell", "Mutex", "RwLock", "Option"];

/// Tells whether the type is a set or a map without an order, by its whole path. References and smart pointers to one
/// count too. A slice, tuple or array of sets has an order, and so has a type of another crate with a set's name.
///
/// A `#[serde(transparent)]` wrapper of a set or a map is not recognized.
pub(super) fn is_unordered(mut name: &str) -> bool {
    loop {
        name = name.trim_start_matches('&');
        name = name.strip_prefix("mut ").unwrap_or(name);
        // Newer compilers print the lifetime in `Cow<'_, T>`.
        name = name.strip_prefix("'_, ").unwrap_or(name);
        let Some((path, arguments)) = name.split_once('<') else { return false };
        let (Some((root, _)), Some((_, last))) = (path.split_once("::"), path.rsplit_once("::")) else { return false };
        if UNORDERED.contains(&(root, last)) {
            return true;
        }
        if !matches!(root, "std" | "alloc" | "core") || !TRANSPARENT.contains(&last) {
            return false;
        }
        name = arguments;
    }
}

impl<'a> Serializer for Encoder<'a> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Compound<'a>;

    fn serialize_bool(self, v: bool) -> Result<(), Refused> {
        self.token(if v { "true" } else { "false" })
    }

    fn serialize_i8(self, v: i8) -> Result<(), Refused> {
        self.serialize_i64(v.into())
    }

    fn serialize_i16(self, v: i16) -> Result<(), Refused> {
        self.serialize_i64(v.into())
    }

    fn serialize_i32(self, v: i32) -> Result<(), Refused> {
        self.serialize_i64(v.into())
    }

    fn serialize_i64(self, v: i64) -> Result<(), Refused> {
        if v < 0 {
            self.out.push('-');
        }
        write_unsigned(v.unsigned_abs(), self.out);
        Ok(())
    }

    fn serialize_i128(self, v: i128) -> Result<(), Refused> {
        write!(self.out, "{v}").map_err(ser::Error::custom)
    }

    fn serialize_u8(self, v: u8) -> Result<(), Refused> {
        self.serialize_u64(v.into())
    }

    fn serialize_u16(self, v: u16) -> Result<(), Refused> {
        self.serialize_u64(v.into())
    }

    fn serialize_u32(self, v: u32) -> Result<(), Refused> {
        self.serialize_u64(v.into())
    }

    fn serialize_u64(self, v: u64) -> Result<(), Refused> {
        write_unsigned(v, self.out);
        Ok(())
    }

    fn serialize_u128(self, v: u128) -> Result<(), Refused> {
        write!(self.out, "{v}").map_err(ser::Error::custom)
    }

    fn serialize_f32(self, v: f32) -> Result<(), Refused> {
        if !v.is_finite() || v == 0.0 {
            return self.serialize_f64(v.into());
        }
        // `Debug` writes the shortest form that reads back as the same number, always with a point or an exponent.
        write!(self.out, "{v:?}").map_err(ser::Error::custom)
    }

    fn serialize_f64(self, v: f64) -> Result<(), Refused> {
        if v == 0.0 {
            return self.token("0.0");
        }
        write!(self.out, "{v:?}").map_err(ser::Error::custom)
    }

    fn serialize_char(self, v: char) -> Result<(), Refused> {
        write_text(v.encode_utf8(&mut [0; 4]), self.out);
        Ok(())
    }

    fn serialize_str(self, v: &str) -> Result<(), Refused> {
        write_text(v, self.out);
        Ok(())
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), Refused> {
        struct Escaped<'a>(&'a mut String);
        impl fmt::Write for Escaped<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                escape(text, self.0);
                Ok(())
            }
        }
        let at = self.out.len();
        write!(Escaped(self.out), "{value}").map_err(ser::Error::custom)?;
        if reads_as_token(&self.out.as_bytes()[at..]) {
            self.out.insert(at, '\'');
            self.out.push('\'');
        }
        Ok(())
    }

    fn serialize_bytes(self, v: &[u8]) -> Result<(), Refused> {
        self.out.push_str("0x");
        write_hex(v, self.out);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Refused> {
        self.token("none")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        let at = self.out.len();
        child(value, self.out, self.nesting)?;
        let text = &self.out[at..];
        if text == "none" || text.starts_with("some(") {
            self.out.insert_str(at, "some(");
            self.out.push(')');
        }
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), Refused> {
        self.token("()")
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Refused> {
        self.token("()")
    }

    fn serialize_unit_variant(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Refused> {
        self.variant(variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<(), Refused> {
        child(value, self.out, self.nesting)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        self.variant(variant);
        self.out.push('(');
        child(value, self.out, self.nesting)?;
        self.out.push(')');
        Ok(())
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Compound<'a>, Refused> {
        let sorted = is_unordered(self.type_name);
        Ok(self.compound('[', ']', sorted))
    }

    fn serialize_tuple(self, _len: usize) -> Result<Compound<'a>, Refused> {
        Ok(self.compound('[', ']', false))
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Compound<'a>, Refused> {
        Ok(self.compound('[', ']', false))
    }

    fn serialize_tuple_variant(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Compound<'a>, Refused> {
        self.variant(variant);
        Ok(self.compound('[', ']', false))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Compound<'a>, Refused> {
        let sorted = is_unordered(self.type_name);
        Ok(self.compound('<', '>', sorted))
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Compound<'a>, Refused> {
        Ok(self.compound('(', ')', false))
    }

    fn serialize_struct_variant(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Compound<'a>, Refused> {
        self.variant(variant);
        Ok(self.compound('(', ')', false))
    }

    fn is_human_readable(&self) -> bool {
        true
    }
}
