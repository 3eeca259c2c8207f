//! The source that a type is run against.

use serde::de::{self, Expected};

use super::{Kind, Notes};
use crate::stored::codec::CodecError;
use crate::stored::source::{
    Compound, Depth, Event, Fields, Form, Request, Sequence, Source, Step, Token, Value, Variant, VariantName,
};

/// The error of a dummy that cannot be made.
#[cold]
pub(super) fn refused() -> CodecError {
    de::Error::custom("refused")
}

/// Texts that types with a syntax of their own may accept.
const TEXTS: &[&str] = &[
    "a",
    "1",
    "",
    "00000000-0000-0000-0000-000000000000",
    "2000-01-01T00:00:00Z",
    "2000-01-01T00:00:00",
    "2000-01-01",
    "00:00:00",
    "127.0.0.1",
    "127.0.0.1:1",
    "http://a/",
    "P1D",
    "1s",
    "en",
    "UTC",
];

const ZEROES: &[u8; 64] = &[0; 64];

/// Lengths that types of a fixed size may accept: UUIDs, digests, keys.
const SIZES: &[usize] = &[16, 0, 1, 4, 8, 12, 20, 24, 32, 48, 64];

impl<'de> Source<'de> for Notes {
    fn is_human_readable(&self) -> bool {
        self.asks_readable.set(true);
        self.human_readable
    }

    fn token(&mut self, request: Request) -> Result<Token<'de>, CodecError> {
        self.tag(tag_of(request));
        Ok(match request {
            Request::Any => return Ok(self.any()),
            Request::Identifier => {
                // The names of a struct's fields and of variants have deserializers of their own.
                self.needs_self_describing = true;
                self.identifier = true;
                Token::Str("a")
            }
            Request::Unit => Token::Unit,
            Request::Bool => Token::Bool(self.first(&[false, true])),
            Request::I8 => Token::I8(self.first(&[1, 0, -1])),
            Request::I16 => Token::I16(self.first(&[1, 0, -1])),
            Request::I32 => Token::I32(self.first(&[1, 0, -1])),
            Request::I64 => Token::I64(self.first(&[1, 0, -1])),
            Request::U8 => Token::U8(self.first(&[1, 0])),
            Request::U16 => Token::U16(self.first(&[1, 0])),
            Request::U32 => Token::U32(self.first(&[1, 0])),
            Request::U64 => Token::U64(self.first(&[1, 0])),
            Request::F32 => Token::F32(self.first(&[1.0, 0.5, 0.0])),
            Request::F64 => Token::F64(self.first(&[1.0, 0.5, 0.0])),
            Request::Char => Token::Char(self.first(&['a', '1'])),
            Request::Str => Token::Str(self.first(TEXTS)),
            Request::Bytes => Token::Bytes(&ZEROES[..self.first(SIZES)]),
        })
    }

    fn opened(&mut self) -> Compound {
        // Only `any` announces compounds, which are empty.
        Compound::default()
    }

    fn wide(&mut self, signed: bool) -> Result<i128, CodecError> {
        self.tag(if signed { 5 } else { 10 });
        Ok(if signed { self.first(&[1, 0, -1]) } else { self.first(&[1, 0]) })
    }

    fn option(&mut self) -> Result<bool, CodecError> {
        self.tag(b'o');
        let some = if self.recording() { 0 } else { 1 };
        Ok(self.pick(2, false) == some)
    }

    fn unit_struct(&mut self, name: &'static str, _expected: &dyn Expected) -> Result<(), CodecError> {
        self.name(b'U', name);
        Ok(())
    }

    fn sequence(&mut self, kind: Sequence, _expected: &dyn Expected) -> Result<Compound, CodecError> {
        let len = match kind {
            Sequence::Seq => {
                self.tag(b'[');
                let lengths = if self.recording() { [1, 2, 3, 4, 0] } else { [0, 1, 2, 3, 4] };
                let left = self.first(&lengths);
                return Ok(Compound { left, ..Compound::default() });
            }
            Sequence::Tuple(len) => len,
            Sequence::TupleStruct(name, len) => {
                self.name(b'T', name);
                len
            }
        };
        self.number(b'(', len);
        Ok(Compound { left: len, is_fixed: true, ..Compound::default() })
    }

    fn map(&mut self, _expected: &dyn Expected) -> Result<Compound, CodecError> {
        self.tag(b'{');
        let lengths = if self.recording() { [1, 0] } else { [0, 1] };
        let left = self.first(&lengths);
        Ok(Compound { left, ..Compound::default() })
    }

    fn fields(
        &mut self,
        name: Option<&'static str>,
        names: &'static [&'static str],
        _expected: &dyn Expected,
    ) -> Result<Fields, CodecError> {
        if let Some(name) = name {
            self.name(b'S', name);
        }
        self.names(b'.', names);
        let Some(frame) = self.frames.last_mut() else { return Err(refused()) };
        let choice = frame.choose(|| Kind::Fields {
            start: 0,
            refused: Vec::new(),
            pending: None,
            asked: false,
            seeded: false,
            in_order: false,
        });
        let Kind::Fields { start, in_order, .. } = frame.choices[choice].kind else {
            return Err(refused());
        };
        let compound = Compound { left: names.len(), names, choice, start, ..Compound::default() };
        Ok(if in_order { Fields::InOrder(Compound { is_fixed: true, ..compound }) } else { Fields::ByName(compound) })
    }

    fn enumeration(
        &mut self,
        name: &'static str,
        variants: &'static [&'static str],
        _expected: &dyn Expected,
    ) -> Result<Variant<'de>, CodecError> {
        self.name(b'E', name);
        self.names(b'|', variants);
        if variants.is_empty() {
            return Err(refused());
        }
        let index = self.pick(variants.len(), true);
        self.number(b'v', index);
        let name = VariantName::Text(variants[index]);
        Ok(Variant { name, index, has_content: true, outside: self.depth() })
    }

    fn skip(&mut self) -> Result<(), CodecError> {
        self.needs_self_describing = true;
        self.tag(b'_');
        Ok(())
    }

    fn enter(&mut self, step: Step) -> Result<Depth, CodecError> {
        let outside = self.depth();
        match step {
            Step::NewtypeStruct(name) => self.name(b'N', name),
            Step::Any => return Ok(outside),
            Step::Some | Step::Seed => {}
        }
        self.deeper()?;
        Ok(outside)
    }

    fn leave(&mut self, depth: Depth) {
        self.level = depth.level;
    }

    fn next(&mut self, compound: &mut Compound) -> bool {
        match compound.left.checked_sub(1) {
            Some(left) => {
                compound.left = left;
                true
            }
            None => {
                self.idle();
                false
            }
        }
    }

    fn end(&mut self, _compound: &Compound, _is_made: bool) {}

    /// The field to offer next. It counts as refused until its value has been made, because a type
    /// refuses the name of an alias as a duplicate.
    fn next_field(&mut self, compound: &mut Compound) -> Result<Option<&'de str>, CodecError> {
        let names = compound.names;
        let Some(frame) = self.frames.last_mut() else { return Ok(None) };
        let Kind::Fields { refused, pending, asked, .. } = &mut frame.choices[compound.choice].kind else {
            return Ok(None);
        };
        *asked = true;
        *pending = None;
        while compound.left > 0 {
            let slot = (compound.start + names.len() - compound.left) % names.len();
            compound.left -= 1;
            if !refused.contains(&slot) {
                *pending = Some(slot);
                self.number(b'f', slot);
                return Ok(Some(names[slot]));
            }
        }
        self.idle();
        Ok(None)
    }

    fn variant_name(&mut self, variant: &Variant<'de>) -> Result<VariantName<'de>, CodecError> {
        // A hand-written `Deserialize` may accept numbers only.
        Ok(match self.pick(2, false) {
            0 => variant.name,
            _ => VariantName::Index(u32::try_from(variant.index).map_err(|_| refused())?),
        })
    }

    fn content(&mut self, _variant: &Variant<'de>, form: Form) -> Result<(), CodecError> {
        match form {
            Form::Unit => self.tag(b'u'),
            Form::Newtype => self.tag(b'n'),
            Form::Tuple | Form::Struct => {}
        }
        Ok(())
    }

    fn child(&mut self, part: &mut dyn Value<'de>) {
        if self.deeper().is_ok() {
            self.explore(part);
            self.level -= 1;
        }
    }

    fn note(&mut self, event: Event<'_>) {
        match event {
            Event::Made => self.made = true,
            // The rest of a tuple cannot be reached.
            Event::ElementRefused(Compound { is_fixed: true, left: 1.., .. }) => self.partial(),
            Event::ElementRefused(_) => {}
            Event::Key => self.identifier = false,
            // Without a key, the value stays unseen. If the key is an identifier, the map is a struct with
            // `#[serde(flatten)]`, and its fields stay unseen.
            Event::KeyRead(is_made) => {
                if !is_made || self.identifier {
                    self.partial();
                }
            }
            Event::FieldMade(compound, by_seed) => self.field_made(compound, by_seed),
            Event::VariantKnown => self.settle(),
        }
    }
}

impl Notes {
    fn any<'de>(&mut self) -> Token<'de> {
        self.needs_self_describing = true;
        self.partial();
        match self.pick(8, false) {
            0 => Token::Str("a"),
            1 => Token::U64(1),
            2 => Token::Unit,
            3 => Token::Bool(false),
            4 => Token::F64(1.0),
            5 => Token::Str("1"),
            6 => Token::Sequence,
            _ => Token::Map,
        }
    }

    fn field_made(&mut self, compound: &Compound, by_seed: bool) {
        if let Some(frame) = self.frames.last_mut()
            && let Kind::Fields { pending, seeded, .. } = &mut frame.choices[compound.choice].kind
        {
            *pending = None;
            *seeded |= by_seed;
        }
    }

    fn depth(&self) -> Depth {
        Depth { level: self.level, any: 0 }
    }
}

/// The byte that stands for a request.
fn tag_of(request: Request) -> u8 {
    match request {
        Request::Any => b'a',
        Request::Identifier => b'i',
        Request::Unit => b'0',
        Request::Bool => b'b',
        Request::I8 => 1,
        Request::I16 => 2,
        Request::I32 => 3,
        Request::I64 => 4,
        // 5 is an `i128`, and 10 a `u128`.
        Request::U8 => 6,
        Request::U16 => 7,
        Request::U32 => 8,
        Request::U64 => 9,
        Request::F32 => 11,
        Request::F64 => 12,
        Request::Char => b'c',
        Request::Str => b's',
        Request::Bytes => b'y',
    }
}
