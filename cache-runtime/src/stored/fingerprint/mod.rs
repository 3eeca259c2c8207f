//! The shape of a type, as its `Deserialize` tells it, in 64 bits.
//!
//! A value that was written for another shape must not be decoded: `(i32, i32)` with its fields
//! swapped decodes without complaint in most formats. So a type's `Deserialize` is run against a
//! [`Recorder`], which notes what is asked for (kinds, names of structs, fields and variants, and
//! their order) and answers with dummies. The notes are hashed; names of types and modules are
//! not part of them.
//!
//! Most of a type is reached through calls that are generic over the type of a child, such as
//! `next_value::<U>`. There `U` can be run again as often as its enums have variants, which is
//! what [`explore`] does. A run is a path through [`Choice`]s; after each run the last choice that
//! has something left is moved on.
//!
//! What stays unseen (the insides of `flatten` and `untagged`, a tuple behind an element that
//! takes no dummy) makes a type *partial*: its name is hashed too, so that at least another type
//! is told apart.

use std::any::type_name;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};

use serde::de::value::{BorrowedStrDeserializer, U32Deserializer};
use serde::de::{
    self, Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

use crate::hash::hash;
use crate::poll::stack::Stack;

/// How deep types are followed.
const DEPTH: usize = 96;

/// How many runs may go into finding shapes: some milliseconds.
const RUNS: u32 = 4096;

/// How many more may go into making dummies of types that are known already.
const DUMMIES: u32 = 1 << 16;

/// After so many calls that lead nowhere, somebody loops.
const IDLE: u32 = 1 << 14;

/// What is known of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) value: u64,
    /// It asks what the bytes hold, so only a self-describing format can store it.
    pub(crate) needs_self_describing: bool,
    /// It asks whether the format is human-readable, and may have another shape in another one.
    pub(crate) asks_readable: bool,
}

/// The shape of `V`, for a format that is, or is not, human-readable.
pub(crate) fn of<V: DeserializeOwned>(human_readable: bool) -> Fingerprint {
    let mut notes = Notes {
        root: Stack::here(),
        human_readable,
        asks_readable: Cell::new(false),
        needs_self_describing: false,
        identifier: false,
        frames: Vec::new(),
        text: Vec::new(),
        closed: BTreeMap::new(),
        open: BTreeMap::new(),
        level: 0,
        digest: 0,
        runs: RUNS,
        dummies: DUMMIES,
        idle: IDLE,
    };
    discard(explore::<V>(&mut notes));
    Fingerprint {
        value: notes.digest,
        needs_self_describing: notes.needs_self_describing,
        asks_readable: notes.asks_readable.get(),
    }
}

struct Notes {
    root: Stack,
    human_readable: bool,
    asks_readable: Cell<bool>,
    needs_self_describing: bool,
    /// Somebody has read an identifier where there is no name.
    identifier: bool,
    /// The types that are being explored, from the outermost.
    frames: Vec<Frame>,
    /// What is to be hashed, of all frames one behind the other.
    text: Vec<u8>,
    /// Types that refer to nothing around them, by the address of their code: types of one name
    /// are not always the same.
    closed: BTreeMap<(usize, &'static str), Known>,
    /// Types that are part of a cycle. By name alone, so that the result does not depend on how
    /// often the compiler emitted the code.
    open: BTreeMap<&'static str, Known>,
    level: usize,
    /// Of the type explored last.
    digest: u64,
    runs: u32,
    dummies: u32,
    idle: u32,
}

#[derive(Clone, Copy)]
struct Known {
    digest: u64,
    /// Whether some run made a value.
    has_value: bool,
    /// The outermost frame that it refers to.
    outermost: usize,
}

/// A type that is being explored.
struct Frame {
    name: &'static str,
    /// Where its notes begin.
    at: usize,
    /// The shape is wanted, not only a dummy.
    recording: bool,
    partial: bool,
    outermost: usize,
    choices: Vec<Choice>,
    /// How many choices this run has made.
    made: usize,
}

struct Choice {
    kind: Kind,
    /// A run with it succeeded.
    found: bool,
}

enum Kind {
    /// One of `options`: `each` of them in turn, or the first that makes a value.
    Pick { at: usize, options: usize, each: bool },
    /// Where a struct's fields begin: behind the last one that took no dummy.
    Fields {
        start: usize,
        refused: Vec<usize>,
        /// Offered, and no value made yet.
        pending: Option<usize>,
        asked: bool,
        /// A value was made without its type being known: an adjacently tagged enum does so.
        seeded: bool,
        /// By position, as a format without names would.
        in_order: bool,
    },
}

impl Frame {
    /// The choice at hand, as the last move left it.
    fn choose(&mut self, fresh: impl FnOnce() -> Kind) -> usize {
        if self.made == self.choices.len() {
            self.choices.push(Choice { kind: fresh(), found: false });
        }
        self.made += 1;
        self.made - 1
    }

    /// Moves on to the next run, if there is one.
    fn advance(&mut self, ok: bool) -> bool {
        self.choices.truncate(self.made);
        self.made = 0;
        for choice in &mut self.choices {
            choice.found |= ok;
        }
        while let Some(Choice { kind, found }) = self.choices.last_mut() {
            let moved = match kind {
                Kind::Pick { at, options, each } => {
                    *at += 1;
                    *at < *options && ((*each && self.recording) || !*found)
                }
                Kind::Fields { start, refused, pending, asked, seeded, in_order } => {
                    match pending.take() {
                        Some(slot) if !*found && !refused.contains(&slot) => {
                            refused.push(slot);
                            *start = slot + 1;
                            true
                        }
                        // Only by position it shows whether a format without names will do.
                        _ if !*in_order && (*seeded || !(*found || *asked)) => {
                            *in_order = true;
                            true
                        }
                        _ => false,
                    }
                }
            };
            if moved {
                return true;
            }
            self.choices.pop();
        }
        false
    }
}

/// Notes the shape of `U`, and makes a dummy of it if it lets itself be made.
fn explore<'de, U: Deserialize<'de>>(notes: &mut Notes) -> Option<U> {
    let name = type_name::<U>();
    let code = explore::<U> as fn(&mut Notes) -> Option<U> as usize;
    if !notes.enter(code, name) {
        return None;
    }
    let (depth, level) = (notes.frames.len(), notes.level);
    let mut value = None;
    while notes.spend() {
        // A `Deserialize` that panics on a dummy would panic on damaged bytes too. The message has
        // gone to the panic hook by then.
        let run = panic::catch_unwind(AssertUnwindSafe(|| U::deserialize(Recorder { notes })));
        // A panic has left them as they were.
        notes.frames.truncate(depth);
        notes.level = level;
        if run.is_err() {
            notes.partial();
        }
        let made = run.ok().and_then(Result::ok);
        let ok = made.is_some();
        if value.is_none() {
            value = made;
        } else {
            discard(made);
        }
        if !notes.advance(ok) {
            break;
        }
    }
    notes.leave(code, value.is_some());
    value
}

/// Drops a dummy, whose `Drop` may panic on what its type's own code never makes.
fn discard<U>(dummy: Option<U>) {
    // The message has gone to the panic hook by then.
    let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(dummy)));
}

impl Notes {
    /// Begins a type, unless nothing can come of it.
    fn enter(&mut self, code: usize, name: &'static str) -> bool {
        if let Some(at) = self.frames.iter().rposition(|frame| frame.name == name) {
            let distance = self.frames.len() - at;
            self.number(b'^', distance);
            self.refers_to(at);
            return false;
        }
        let mut recording = self.frames.last().is_none_or(|frame| frame.recording);
        if let Some(known) = self.closed.get(&(code, name)).or_else(|| self.open.get(name)).copied() {
            self.refers_to(known.outermost);
            self.digest(known.digest);
            if !known.has_value {
                return false;
            }
            recording = false;
        }
        self.frames.push(Frame {
            name,
            at: self.text.len(),
            recording,
            partial: false,
            outermost: usize::MAX,
            choices: Vec::new(),
            made: 0,
        });
        true
    }

    /// Ends the type that was begun last.
    fn leave(&mut self, code: usize, has_value: bool) {
        let Some(frame) = self.frames.pop() else { return };
        let index = self.frames.len();
        let outermost = frame.outermost;
        if outermost < index {
            self.refers_to(outermost);
        }
        if !frame.recording {
            return;
        }
        if frame.partial {
            self.text.push(b'?');
            self.text.extend_from_slice(frame.name.as_bytes());
        }
        let digest = hash(0, &self.text[frame.at..]);
        self.text.truncate(frame.at);
        let known = Known { digest, has_value, outermost };
        if outermost >= index {
            self.closed.insert((code, frame.name), Known { outermost: usize::MAX, ..known });
        } else if !frame.name.contains("__DeserializeWith") {
            // Each field with `#[serde(with)]` has a wrapper of this name.
            self.open.insert(frame.name, known);
        }
        self.digest(digest);
    }

    /// Takes one run out of the budget.
    fn spend(&mut self) -> bool {
        let Some(frame) = self.frames.last() else { return false };
        let budget = if frame.recording { &mut self.runs } else { &mut self.dummies };
        match budget.checked_sub(1) {
            Some(left) => *budget = left,
            None => {
                self.partial();
                self.idle();
                return false;
            }
        }
        true
    }

    fn advance(&mut self, ok: bool) -> bool {
        self.frames.last_mut().is_some_and(|frame| (frame.recording || !ok) && frame.advance(ok))
    }

    /// Something of the type at hand stays unseen.
    fn partial(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.partial = true;
        }
    }

    fn refers_to(&mut self, at: usize) {
        if let Some(frame) = self.frames.last_mut() {
            frame.outermost = frame.outermost.min(at);
        }
    }

    fn recording(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.recording)
    }

    fn note(&mut self, tag: u8) {
        if self.recording() {
            self.text.push(tag);
        }
    }

    fn number(&mut self, tag: u8, number: usize) {
        if self.recording() {
            self.text.push(tag);
            self.text.extend_from_slice(&(number as u64).to_le_bytes());
        }
    }

    fn name(&mut self, tag: u8, name: &str) {
        if self.recording() {
            self.number(tag, name.len());
            self.text.extend_from_slice(name.as_bytes());
        }
    }

    fn names(&mut self, tag: u8, names: &[&str]) {
        if self.recording() {
            self.number(tag, names.len());
            for name in names {
                self.name(b'=', name);
            }
        }
    }

    /// Of a child, in its parent's notes.
    fn digest(&mut self, digest: u64) {
        self.digest = digest;
        if self.recording() {
            self.text.push(b'#');
            self.text.extend_from_slice(&digest.to_le_bytes());
        }
    }

    fn pick(&mut self, options: usize, each: bool) -> usize {
        let Some(frame) = self.frames.last_mut() else { return 0 };
        let choice = frame.choose(|| Kind::Pick { at: 0, options, each });
        match frame.choices[choice].kind {
            Kind::Pick { at, .. } => at.min(options - 1),
            // A `Deserialize` that does not do the same twice.
            Kind::Fields { .. } => 0,
        }
    }

    /// The first of `options` that makes a value.
    fn first<T: Copy>(&mut self, options: &[T]) -> T {
        options[self.pick(options.len(), false)]
    }

    /// The choice at hand has no alternative after all.
    fn settle(&mut self) {
        if let Some(frame) = self.frames.last_mut()
            && let Some(last) = frame.made.checked_sub(1)
            && let Kind::Pick { options, .. } = &mut frame.choices[last].kind
        {
            *options = 0;
        }
    }

    /// A call that leads nowhere. Who makes too many of them cannot be told by an error.
    fn idle(&mut self) {
        match self.idle.checked_sub(1) {
            Some(left) => self.idle = left,
            None if cfg!(panic = "unwind") => panic::resume_unwind(Box::new("looping")),
            None => {}
        }
    }

    fn child<'de, T: Deserialize<'de>>(&mut self) -> Result<T, Refused> {
        self.nested(|notes| explore(notes).ok_or(Refused))
    }

    /// One level deeper, with or without a type of its own: `struct List(Option<Box<List>>)` goes
    /// on for ever without.
    fn nested<R>(&mut self, run: impl FnOnce(&mut Notes) -> Result<R, Refused>) -> Result<R, Refused> {
        if self.level == DEPTH || self.root.is_spent() {
            self.partial();
            return Err(Refused);
        }
        self.level += 1;
        let result = run(self);
        self.level -= 1;
        result
    }
}

/// No dummy fits.
#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Refused
    }
}

/// Texts that types with a syntax may accept.
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

/// The deserializer: of the type at hand, and of everything in it that is handed on without a
/// type of its own.
struct Recorder<'a> {
    notes: &'a mut Notes,
}

macro_rules! scalars {
    ($($method:ident $visit:ident $tag:literal $options:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            self.notes.note($tag);
            visitor.$visit(self.notes.first(&$options))
        }
    )*};
}

impl<'de> Deserializer<'de> for Recorder<'_> {
    type Error = Refused;

    scalars! {
        deserialize_bool visit_bool b'b' [false, true];
        deserialize_i8 visit_i8 1 [1, 0, -1];
        deserialize_i16 visit_i16 2 [1, 0, -1];
        deserialize_i32 visit_i32 3 [1, 0, -1];
        deserialize_i64 visit_i64 4 [1, 0, -1];
        deserialize_i128 visit_i128 5 [1, 0, -1];
        deserialize_u8 visit_u8 6 [1, 0];
        deserialize_u16 visit_u16 7 [1, 0];
        deserialize_u32 visit_u32 8 [1, 0];
        deserialize_u64 visit_u64 9 [1, 0];
        deserialize_u128 visit_u128 10 [1, 0];
        deserialize_f32 visit_f32 11 [1.0, 0.5, 0.0];
        deserialize_f64 visit_f64 12 [1.0, 0.5, 0.0];
        deserialize_char visit_char b'c' ['a', '1'];
        deserialize_str visit_borrowed_str b's' TEXTS;
        deserialize_string visit_borrowed_str b's' TEXTS;
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.notes.note(b'y');
        visitor.visit_borrowed_bytes(&ZEROES[..self.notes.first(SIZES)])
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let Recorder { notes } = self;
        notes.needs_self_describing = true;
        notes.partial();
        notes.note(b'a');
        match notes.pick(8, false) {
            0 => visitor.visit_borrowed_str("a"),
            1 => visitor.visit_u64(1),
            2 => visitor.visit_unit(),
            3 => visitor.visit_bool(false),
            4 => visitor.visit_f64(1.0),
            5 => visitor.visit_borrowed_str("1"),
            6 => visitor.visit_seq(Elements { notes, left: 0, fixed: false }),
            _ => visitor.visit_map(Entries { notes, left: 0 }),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.notes.needs_self_describing = true;
        self.notes.note(b'_');
        visitor.visit_unit()
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        // The names of a struct's fields and of variants do not come here.
        self.notes.needs_self_describing = true;
        self.notes.identifier = true;
        self.notes.note(b'i');
        visitor.visit_borrowed_str("a")
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.notes.note(b'o');
        let some = if self.notes.recording() { 0 } else { 1 };
        if self.notes.pick(2, false) == some {
            self.notes.nested(|notes| visitor.visit_some(Recorder { notes }))
        } else {
            visitor.visit_none()
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.notes.note(b'0');
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Refused> {
        self.notes.name(b'U', name);
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Refused> {
        self.notes.name(b'N', name);
        self.notes.nested(|notes| visitor.visit_newtype_struct(Recorder { notes }))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let Recorder { notes } = self;
        notes.note(b'[');
        let lengths = if notes.recording() { [1, 2, 3, 4, 0] } else { [0, 1, 2, 3, 4] };
        let left = notes.first(&lengths);
        visitor.visit_seq(Elements { notes, left, fixed: false })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        self.notes.number(b'(', len);
        visitor.visit_seq(Elements { notes: self.notes, left: len, fixed: true })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.notes.name(b'T', name);
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let Recorder { notes } = self;
        notes.note(b'{');
        let lengths = if notes.recording() { [1, 0] } else { [0, 1] };
        let left = notes.first(&lengths);
        visitor.visit_map(Entries { notes, left })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.notes.name(b'S', name);
        self.fields(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.notes.name(b'E', name);
        self.notes.names(b'|', variants);
        if variants.is_empty() {
            return Err(Refused);
        }
        let index = self.notes.pick(variants.len(), true);
        self.notes.number(b'v', index);
        visitor.visit_enum(Variant { notes: self.notes, index, name: variants[index] })
    }

    fn is_human_readable(&self) -> bool {
        self.notes.asks_readable.set(true);
        self.notes.human_readable
    }
}

impl Recorder<'_> {
    /// The fields of a struct or of a variant.
    fn fields<'de, V: Visitor<'de>>(self, names: &'static [&'static str], visitor: V) -> Result<V::Value, Refused> {
        let Recorder { notes } = self;
        notes.names(b'.', names);
        let Some(frame) = notes.frames.last_mut() else { return Err(Refused) };
        let choice = frame.choose(|| Kind::Fields {
            start: 0,
            refused: Vec::new(),
            pending: None,
            asked: false,
            seeded: false,
            in_order: false,
        });
        let Kind::Fields { start, in_order, .. } = frame.choices[choice].kind else {
            return Err(Refused);
        };
        if in_order {
            visitor.visit_seq(Elements { notes, left: names.len(), fixed: true })
        } else {
            visitor.visit_map(Fields { notes, names, choice, start, offered: 0 })
        }
    }
}

/// Elements of a sequence or, if `fixed`, of a tuple.
struct Elements<'a> {
    notes: &'a mut Notes,
    left: usize,
    fixed: bool,
}

impl Elements<'_> {
    /// Whether there is one more.
    fn take(&mut self) -> bool {
        if self.left == 0 {
            self.notes.idle();
            return false;
        }
        self.left -= 1;
        true
    }

    /// No dummy: what is behind it in a tuple cannot be reached.
    fn refused(&mut self) {
        if self.fixed && self.left > 0 {
            self.notes.partial();
        }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Refused;

    fn next_element<T: Deserialize<'de>>(&mut self) -> Result<Option<T>, Refused> {
        if !self.take() {
            return Ok(None);
        }
        self.notes.child().map(Some).inspect_err(|_| self.refused())
    }

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        if !self.take() {
            return Ok(None);
        }
        let value = self.notes.nested(|notes| seed.deserialize(Recorder { notes }));
        value.map(Some).inspect_err(|_| self.refused())
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// Entries of a map.
struct Entries<'a> {
    notes: &'a mut Notes,
    left: usize,
}

impl Entries<'_> {
    /// Without a key the value stays unseen; and a map with identifiers for keys is a struct with
    /// `#[serde(flatten)]`, whose fields nobody tells.
    fn key(&mut self, made: bool) {
        if !made || self.notes.identifier {
            self.notes.partial();
        }
    }

    fn take(&mut self) -> bool {
        if self.left == 0 {
            self.notes.idle();
            return false;
        }
        self.left -= 1;
        true
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Refused;

    fn next_key<K: Deserialize<'de>>(&mut self) -> Result<Option<K>, Refused> {
        if !self.take() {
            return Ok(None);
        }
        self.notes.identifier = false;
        let key = self.notes.child();
        self.key(key.is_ok());
        key.map(Some)
    }

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        if !self.take() {
            return Ok(None);
        }
        self.notes.identifier = false;
        let key = self.notes.nested(|notes| seed.deserialize(Recorder { notes }));
        self.key(key.is_ok());
        key.map(Some)
    }

    fn next_value<V: Deserialize<'de>>(&mut self) -> Result<V, Refused> {
        self.notes.child()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        self.notes.nested(|notes| seed.deserialize(Recorder { notes }))
    }

    // Both, even if there is no dummy of the key.
    fn next_entry<K: Deserialize<'de>, V: Deserialize<'de>>(&mut self) -> Result<Option<(K, V)>, Refused> {
        if !self.take() {
            return Ok(None);
        }
        let (key, value) = (self.notes.child(), self.notes.child());
        Ok(Some((key?, value?)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// Fields of a struct, by name.
struct Fields<'a> {
    notes: &'a mut Notes,
    names: &'static [&'static str],
    choice: usize,
    start: usize,
    offered: usize,
}

impl Fields<'_> {
    /// The slot to offer next. Until its value has been made it counts as refused: an alias is
    /// refused for its name, as a duplicate.
    fn next(&mut self) -> Option<usize> {
        let frame = self.notes.frames.last_mut()?;
        let Kind::Fields { refused, pending, asked, .. } = &mut frame.choices[self.choice].kind else {
            return None;
        };
        *asked = true;
        *pending = None;
        while self.offered < self.names.len() {
            let slot = (self.start + self.offered) % self.names.len();
            self.offered += 1;
            if !refused.contains(&slot) {
                *pending = Some(slot);
                self.notes.number(b'f', slot);
                return Some(slot);
            }
        }
        self.notes.idle();
        None
    }

    fn made(&mut self, by_seed: bool) {
        if let Some(frame) = self.notes.frames.last_mut()
            && let Kind::Fields { pending, seeded, .. } = &mut frame.choices[self.choice].kind
        {
            *pending = None;
            *seeded |= by_seed;
        }
    }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        match self.next() {
            Some(slot) => seed.deserialize(BorrowedStrDeserializer::new(self.names[slot])).map(Some),
            None => Ok(None),
        }
    }

    fn next_value<V: Deserialize<'de>>(&mut self) -> Result<V, Refused> {
        let value = self.notes.child()?;
        self.made(false);
        Ok(value)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        let value = self.notes.nested(|notes| seed.deserialize(Recorder { notes }))?;
        self.made(true);
        Ok(value)
    }
}

/// A variant of an enum.
struct Variant<'a> {
    notes: &'a mut Notes,
    index: usize,
    name: &'static str,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = Refused;
    type Variant = Recorder<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Recorder<'a>), Refused> {
        let variant = if self.notes.pick(2, false) == 0 {
            seed.deserialize(BorrowedStrDeserializer::new(self.name))?
        } else {
            // Not every hand-written `Deserialize` takes names.
            let index = u32::try_from(self.index).map_err(|_| Refused)?;
            let index: U32Deserializer<Refused> = index.into_deserializer();
            seed.deserialize(index)?
        };
        self.notes.settle();
        Ok((variant, Recorder { notes: self.notes }))
    }
}

impl<'de> VariantAccess<'de> for Recorder<'_> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        self.notes.note(b'u');
        Ok(())
    }

    fn newtype_variant<T: Deserialize<'de>>(self) -> Result<T, Refused> {
        self.notes.note(b'n');
        self.notes.child()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refused> {
        self.notes.note(b'n');
        self.notes.nested(|notes| seed.deserialize(Recorder { notes }))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Refused> {
        self.fields(fields, visitor)
    }
}

#[cfg(test)]
mod tests;
