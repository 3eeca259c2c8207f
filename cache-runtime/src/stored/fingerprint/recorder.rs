//! The source that a type is run against.

use std::mem;

use serde::de::{self, Expected};

use super::choices::SMALL;
use super::shape::{NOWHERE, Node, Scalar};
use super::{Inline, Kind, Notes, Offer};
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
        self.request(request);
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
        self.draft.put(self.draft.hole, Node::Scalar(if signed { Scalar::I128 } else { Scalar::U128 }));
        Ok(if signed { self.first(&[1, 0, -1]) } else { self.first(&[1, 0]) })
    }

    fn option(&mut self) -> Result<bool, CodecError> {
        self.tag(b'o');
        self.draft.option();
        let some = if self.recording() { 0 } else { 1 };
        Ok(self.pick(2, false) == some)
    }

    fn unit_struct(&mut self, name: &'static str, _expected: &dyn Expected) -> Result<(), CodecError> {
        self.name(b'U', name);
        self.draft.put(self.draft.hole, Node::Unit);
        Ok(())
    }

    fn sequence(&mut self, kind: Sequence, _expected: &dyn Expected) -> Result<Compound, CodecError> {
        let (choice, len) = match kind {
            Sequence::Seq => {
                self.tag(b'[');
                let choice = self.draft.seq();
                let lengths = if self.recording() { [1, 2, 3, 4, 0] } else { [0, 1, 2, 3, 4] };
                let left = self.first(&lengths);
                return Ok(Compound { left, len: left, choice, ..Compound::default() });
            }
            Sequence::Tuple(len) => (self.draft.tuple(len), len),
            Sequence::TupleStruct(name, len) => {
                self.name(b'T', name);
                (self.draft.tuple_struct(len), len)
            }
        };
        self.number(b'(', len);
        Ok(Compound { left: len, len, choice, is_fixed: true, ..Compound::default() })
    }

    fn map(&mut self, _expected: &dyn Expected) -> Result<Compound, CodecError> {
        self.tag(b'{');
        let choice = self.draft.map();
        let lengths = if self.recording() { [1, 0] } else { [0, 1] };
        let left = self.first(&lengths);
        Ok(Compound { left, len: left, choice, ..Compound::default() })
    }

    fn fields(
        &mut self,
        name: Option<&'static str>,
        names: &'static [&'static str],
        _expected: &dyn Expected,
    ) -> Result<Fields, CodecError> {
        let node = self.draft.fields(names);
        let Some(frame) = self.frames.last_mut() else { return Err(refused()) };
        let choice = frame.choose(|| Kind::Fields(Offer::new(names.len())));
        let Kind::Fields(offer) = &mut frame.choices[choice].kind else { return Err(refused()) };
        let (in_order, left, is_noted) = (offer.in_order, offer.len(), mem::replace(&mut offer.is_noted, true));
        offer.node = node;
        if !is_noted || names.len() <= SMALL {
            if let Some(name) = name {
                self.name(b'S', name);
            }
            self.names(b'.', names);
        }
        let compound = Compound { left, len: left, names, choice, ..Compound::default() };
        Ok(if in_order {
            Fields::InOrder(Compound { is_fixed: true, choice: node, ..compound })
        } else {
            Fields::ByName(compound)
        })
    }

    fn enumeration(
        &mut self,
        name: &'static str,
        variants: &'static [&'static str],
        _expected: &dyn Expected,
    ) -> Result<Variant<'de>, CodecError> {
        let (index, is_first) = if variants.is_empty() { (0, true) } else { self.variant(variants.len()) };
        let node = self.draft.variants(variants, index);
        // Once is enough. Small enums and structs are noted in each run, so that their fingerprints stay what they were.
        if is_first || variants.len() <= SMALL {
            self.name(b'E', name);
            self.names(b'|', variants);
        }
        let Some(name) = variants.get(index) else { return Err(refused()) };
        self.number(b'v', index);
        Ok(Variant { name: VariantName::Text(name), index, has_content: true, outside: self.depth(), node })
    }

    fn skip(&mut self) -> Result<(), CodecError> {
        self.needs_self_describing = true;
        self.tag(b'_');
        self.draft.any();
        Ok(())
    }

    fn enter(&mut self, step: Step) -> Result<Depth, CodecError> {
        let outside = self.depth();
        match step {
            Step::NewtypeStruct(name, visitor) => {
                self.name(b'N', name);
                self.enter_type(visitor)?;
            }
            Step::Some(visitor) => self.enter_type(visitor)?,
            Step::Any => return Ok(outside),
            Step::Seed => self.draft.offered = None,
        }
        self.deeper()?;
        Ok(outside)
    }

    fn leave(&mut self, depth: Depth) {
        self.level = depth.level;
        while self.inline.pop_if(|inline| inline.level >= depth.level).is_some() {}
    }

    fn next(&mut self, compound: &mut Compound) -> bool {
        match compound.left.checked_sub(1) {
            Some(left) => {
                self.draft.element(compound.choice, compound.len - compound.left);
                compound.left = left;
                true
            }
            None => {
                self.idle();
                false
            }
        }
    }

    fn end(&mut self, compound: &Compound, is_made: bool) {
        if is_made && compound.is_fixed {
            self.draft.ended(compound.choice, compound.len - compound.left);
        }
    }

    /// The field to offer next. It counts as refused until its value has been made, because a type
    /// refuses the name of an alias as a duplicate.
    fn next_field(&mut self, compound: &mut Compound) -> Result<Option<&'de str>, CodecError> {
        let names = compound.names;
        let Some(frame) = self.frames.last_mut() else { return Ok(None) };
        let Kind::Fields(offer) = &mut frame.choices[compound.choice].kind else { return Ok(None) };
        offer.asked = true;
        offer.pending = None;
        while compound.left > 0 {
            let slot = (offer.start + compound.len - compound.left) % names.len();
            compound.left -= 1;
            if !offer.refused[slot] {
                offer.pending = Some(slot);
                let node = offer.node;
                self.number(b'f', slot);
                self.draft.field(node, slot);
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

    fn content(&mut self, variant: &Variant<'de>, form: Form) -> Result<(), CodecError> {
        self.draft.content(variant.node, variant.index, form);
        match form {
            Form::Unit => self.tag(b'u'),
            Form::Newtype => self.tag(b'n'),
            Form::Tuple | Form::Struct => {}
        }
        Ok(())
    }

    fn child(&mut self, part: &mut dyn Value<'de>) {
        let then = mem::replace(&mut self.draft.then, NOWHERE);
        self.draft.offered = None;
        if self.deeper().is_ok() {
            self.explore(part);
            self.level -= 1;
        }
        self.draft.hole = then;
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
                if self.draft.then != NOWHERE {
                    self.draft.hole = mem::replace(&mut self.draft.then, NOWHERE);
                }
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
            && let Kind::Fields(offer) = &mut frame.choices[compound.choice].kind
        {
            offer.pending = None;
            offer.seeded |= by_seed;
        }
    }

    /// Goes into a part that is read in the same call as the part around it. A type that is inside of itself ends here:
    /// the type of its visitor is there twice.
    fn enter_type(&mut self, visitor: &'static str) -> Result<(), CodecError> {
        let outside = self.frames.last().map_or(0, |frame| frame.inline);
        let same = self.inline[outside..].iter().rposition(|inline| inline.visitor == visitor);
        if let Some(at) = same.map(|at| outside + at) {
            self.number(b'^', self.inline.len() - at);
            let node = self.inline[at].node;
            self.draft.put(self.draft.hole, Node::Same(node));
            return Err(refused());
        }
        self.inline.push(Inline { visitor, node: self.draft.hole, level: self.level });
        Ok(())
    }

    /// Notes the request for a scalar.
    fn request(&mut self, request: Request) {
        let scalar = match request {
            Request::Any | Request::Identifier => return self.draft.any(),
            Request::Unit => return self.draft.put(self.draft.hole, Node::Unit),
            Request::Bool => Scalar::Bool,
            Request::I8 => Scalar::I8,
            Request::I16 => Scalar::I16,
            Request::I32 => Scalar::I32,
            Request::I64 => Scalar::I64,
            Request::U8 => Scalar::U8,
            Request::U16 => Scalar::U16,
            Request::U32 => Scalar::U32,
            Request::U64 => Scalar::U64,
            Request::F32 => Scalar::F32,
            Request::F64 => Scalar::F64,
            Request::Char => Scalar::Char,
            Request::Str => Scalar::Str,
            Request::Bytes => Scalar::Bytes,
        };
        self.draft.put(self.draft.hole, Node::Scalar(scalar));
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
