//! The shape of a type, found from its `Deserialize`, as a hash of 64 bits.
//!
//! A value that was written for another shape must not be decoded: `(i32, i32)` with its fields
//! swapped decodes without an error in most formats. A type's `Deserialize` is therefore run against
//! a [`Source`], which notes the requests (kinds, names of structs, fields and variants, and their
//! order) and answers them with dummies. The notes are hashed. They do not contain the names of
//! types and modules.
//!
//! Most parts of a type are reached through calls that are generic over the type of a child, such as
//! `next_value::<U>`. Such a call can run `U` once for each variant of its enums, and
//! [`explore`](Notes::explore) does so. A run is a path through [`Choice`]s, and after each run the last choice with an untried
//! alternative takes the next one.
//!
//! Some parts stay unseen: the fields of `flatten`, the variants of `untagged`, and the rest of a
//! tuple after an element that accepts no dummy. They make a type *partial*: its name is hashed too,
//! so that at least types of different names have different fingerprints, and only a format with names stores it.
//!
//! The requests also make a graph, the [`Shape`]. A value is compared with it before it is stored, because a
//! type's `Serialize` may write something else than its `Deserialize` reads.

mod check;
mod choices;
mod notes;
mod recorder;
mod shape;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use self::choices::Offer;
pub(crate) use self::shape::Shape;
use self::shape::{Draft, Id, NOWHERE};
use crate::poll::stack::Stack;
use crate::stored::source::{Typed, Value};

/// The nesting limit of types.
const DEPTH: usize = 96;

/// The budget of runs that find shapes: one for each variant, each field that accepts no dummy, and some more for each
/// type. They take some tens of milliseconds. A type that needs more is not stored.
const RUNS: u32 = 1 << 15;

/// The budget of further runs that make dummies of types whose shape is known, and its part for one dummy. Without a
/// dummy, a field counts as one that accepts none.
const DUMMIES: u32 = 1 << 17;
const DUMMY: u32 = 1 << 12;

/// After this number of calls without progress, the `Deserialize` is taken to loop.
const IDLE: u32 = 1 << 14;

/// The shape of a type, and the demands it makes on a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) value: u64,
    /// The type asks what the bytes hold, so that only a self-describing format can store it.
    pub(crate) needs_self_describing: bool,
    /// The type asks whether the format is human-readable, and its shape may depend on the answer.
    pub(crate) asks_readable: bool,
    /// The budget did not suffice, so that a change of the type may not change the fingerprint.
    pub(crate) is_unfinished: bool,
    pub(crate) shape: Arc<Shape>,
}

/// Finds the shape of `V`, for a format that is, or is not, human-readable.
pub(crate) fn of<V: DeserializeOwned>(human_readable: bool) -> Fingerprint {
    find(human_readable, &mut Typed::<V>(None))
}

fn find(human_readable: bool, value: &mut dyn Value<'_>) -> Fingerprint {
    let mut draft = Draft::new();
    let root = draft.fresh();
    draft.hole = root;
    let mut notes = Notes {
        root: Stack::here(),
        draft,
        inline: Vec::new(),
        is_unfinished: false,
        dummy: 0,
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
        made: false,
        runs: RUNS,
        dummies: DUMMIES,
        idle: IDLE,
    };
    notes.explore(value);
    // The `Drop` of a dummy may panic, because its type's own code never makes such a value. The panic hook has already
    // reported the message.
    let _ = panic::catch_unwind(AssertUnwindSafe(|| value.clear()));
    Fingerprint {
        value: notes.digest,
        needs_self_describing: notes.needs_self_describing,
        asks_readable: notes.asks_readable.get(),
        is_unfinished: notes.is_unfinished,
        shape: Arc::new(notes.draft.finish(root)),
    }
}

struct Notes {
    root: Stack,
    draft: Draft,
    /// The types that are read in the same call as the part around them, the outermost first.
    inline: Vec<Inline>,
    is_unfinished: bool,
    /// What is left of the budget of the dummy that is being made.
    dummy: u32,
    human_readable: bool,
    asks_readable: Cell<bool>,
    needs_self_describing: bool,
    /// An identifier was requested that is neither a field of a struct nor a variant.
    identifier: bool,
    /// The types that are being explored, the outermost first.
    frames: Vec<Frame>,
    /// The bytes to hash, those of each frame after those of the frames outside of it.
    text: Vec<u8>,
    /// Types that refer to no type outside of them, by the address of their code and their name,
    /// because different types can have the same name.
    closed: BTreeMap<(usize, &'static str), Known>,
    /// Types that are part of a cycle. They are found by name alone, so that the result does not
    /// depend on how often the compiler emitted the code.
    open: BTreeMap<&'static str, Known>,
    level: usize,
    /// The digest of the type that was explored last.
    digest: u64,
    /// This run has made a value of its type.
    made: bool,
    runs: u32,
    dummies: u32,
    idle: u32,
}

#[derive(Clone, Copy)]
struct Known {
    digest: u64,
    /// A run has made a value.
    has_value: bool,
    /// The index of the outermost frame that the type refers to.
    outermost: usize,
    node: Id,
}

/// A type that is read in the same call as the part around it, as newtype structs and options do.
struct Inline {
    visitor: &'static str,
    node: Id,
    level: usize,
}

/// A type that is being explored.
struct Frame {
    name: &'static str,
    /// The start of its notes.
    at: usize,
    /// The exploration is for the shape, and not for a dummy alone.
    recording: bool,
    node: Id,
    /// The number of inline types outside of it.
    inline: usize,
    runs: u32,
    partial: bool,
    outermost: usize,
    choices: Vec<Choice>,
    /// The number of choices that this run has made.
    made: usize,
}

struct Choice {
    kind: Kind,
    /// A run with the current alternative, or an earlier one, succeeded.
    found: bool,
}

enum Kind {
    /// A choice among `options`: each of them in turn, or the first one that makes a value.
    Pick { at: usize, options: usize, each: bool },
    /// The order in which a struct's fields are offered.
    Fields(Offer),
}

impl Notes {
    /// Notes the shape of a type, and makes a dummy of it if it can.
    fn explore(&mut self, part: &mut dyn Value<'_>) {
        let (code, name) = part.type_id();
        if !self.begin_type(code, name) {
            return;
        }
        let (depth, level, inline) = (self.frames.len(), self.level, self.inline.len());
        let node = self.frames.last().map_or(NOWHERE, |frame| frame.node);
        let mut has_value = false;
        while self.spend() {
            (self.draft.hole, self.draft.then) = (node, NOWHERE);
            // A `Deserialize` that panics on a dummy would panic on damaged bytes too. The panic hook has
            // already reported the message.
            let run = panic::catch_unwind(AssertUnwindSafe(|| part.read(self)));
            // A panic skips the code that restores these.
            self.frames.truncate(depth);
            self.level = level;
            self.inline.truncate(inline);
            self.draft.stopped();
            // The `Drop` of a second dummy may panic too.
            let is_made = mem::take(&mut self.made);
            if run.is_err() && !is_made {
                self.partial();
            }
            has_value |= is_made;
            if !self.advance(is_made) {
                break;
            }
        }
        self.end_type(code, has_value);
    }
}

#[cfg(test)]
mod tests;
