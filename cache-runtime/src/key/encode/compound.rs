//! Encodes sequences, maps and structs: values whose parts stand between two brackets.

use serde::ser::{self, Serialize};

use super::{Encoder, Nesting, Refused, child};
use crate::key::escape::escape;

impl<'a> Encoder<'a> {
    pub(super) fn compound(self, open: char, close: char, sorted: bool) -> Compound<'a> {
        self.out.push(open);
        let at = self.out.len();
        Compound { out: self.out, at, close, is_first: true, parts: sorted.then(Vec::new), nesting: self.nesting }
    }
}

/// A value whose parts stand between two brackets.
pub(super) struct Compound<'a> {
    out: &'a mut String,
    /// The position after the opening bracket.
    at: usize,
    close: char,
    /// No part has begun. The text does not tell: a part may have failed before it wrote anything, and the `Serialize`
    /// ignored the error.
    is_first: bool,
    /// The start of each part, if the parts are to be sorted.
    parts: Option<Vec<usize>>,
    nesting: Nesting,
}

impl Compound<'_> {
    fn next(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(',');
        }
        if let Some(parts) = &mut self.parts {
            parts.push(self.out.len());
        }
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        child(value, self.out, self.nesting)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Refused> {
        self.next();
        escape(name, self.out);
        self.out.push('=');
        self.value(value)
    }

    fn end(self) -> Result<(), Refused> {
        if let Some(parts) = self.parts
            && parts.len() > 1
        {
            let text = self.out.split_off(self.at);
            let ends = parts[1..].iter().map(|next| next - 1).chain([self.at + text.len()]);
            let mut sorted: Vec<&str> =
                parts.iter().zip(ends).map(|(start, end)| &text[start - self.at..end - self.at]).collect();
            sorted.sort_unstable();
            for (index, part) in sorted.into_iter().enumerate() {
                if index > 0 {
                    self.out.push(',');
                }
                self.out.push_str(part);
            }
        }
        self.out.push(self.close);
        Ok(())
    }
}

impl ser::SerializeSeq for Compound<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.next();
        self.value(value)
    }

    fn end(self) -> Result<(), Refused> {
        self.end()
    }
}

impl ser::SerializeTuple for Compound<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.next();
        self.value(value)
    }

    fn end(self) -> Result<(), Refused> {
        self.end()
    }
}

impl ser::SerializeTupleStruct for Compound<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.next();
        self.value(value)
    }

    fn end(self) -> Result<(), Refused> {
        self.end()
    }
}

impl ser::SerializeTupleVariant for Compound<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.next();
        self.value(value)
    }

    fn end(self) -> Result<(), Refused> {
        self.end()
    }
}

impl ser::SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        self.next();
        self.value(key)?;
        self.out.push('=');
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.value(value)
    }

    fn end(self) -> Result<(), Refused> {
        self.end()
    }
}

impl ser::SerializeStruct for Compound<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Refused> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), Refused> {
        // An empty struct must differ from a unit, because an untagged enum may hold either.
        if self.out.len() == self.at {
            self.out.push('=');
        }
        self.end()
    }
}

impl ser::SerializeStructVariant for Compound<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Refused> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), Refused> {
        self.end()
    }
}
