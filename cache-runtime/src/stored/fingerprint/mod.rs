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
//! so that at least types of different names have different fingerprints.

mod choices;
mod notes;
mod recorder;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::mem;
use std::panic::{self, AssertUnwindSafe};

use serde::de::DeserializeOwned;

use crate::poll::stack::Stack;
use crate::stored::source::{Typed, Value};

/// The nesting limit of types.
const DEPTH: usize = 96;

/// The budget of runs that find shapes. They take some milliseconds.
const RUNS: u32 = 4096;

/// The budget of further runs that make dummies of types whose shape is known.
const DUMMIES: u32 = 1 << 16;

/// After this number of calls without progress, the `Deserialize` is taken to loop.
const IDLE: u32 = 1 << 14;

/// The shape of a type, and the demands it makes on a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) value: u64,
    /// The type asks what the bytes hold, so that only a self-describing format can store it.
    pub(crate) needs_self_describing: bool,
    /// The type asks whether the format is human-readable, and its shape may depend on the answer.
    pub(crate) asks_readable: bool,
}

/// Finds the shape of `V`, for a format that is, or is not, human-readable.
pub(crate) fn of<V: DeserializeOwned>(human_readable: bool) -> Fingerprint {
    find(human_readable, &mut Typed::<V>(None))
}

fn find(human_readable: bool, value: &mut dyn Value<'_>) -> Fingerprint {
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
    }
}

struct Notes {
    root: Stack,
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
}

/// A type that is being explored.
struct Frame {
    name: &'static str,
    /// The start of its notes.
    at: usize,
    /// The exploration is for the shape, and not for a dummy alone.
    recording: bool,
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
    /// The order in which a struct's fields are offered: they start after the last field that accepted no dummy.
    Fields {
        start: usize,
        refused: Vec<usize>,
        /// The field that was offered and has no value yet.
        pending: Option<usize>,
        asked: bool,
        /// A value was made through a seed, without a known type, as an adjacently tagged enum does it.
        seeded: bool,
        /// The fields are given by position, as in a format without names.
        in_order: bool,
    },
}

impl Notes {
    /// Notes the shape of a type, and makes a dummy of it if it can.
    fn explore(&mut self, part: &mut dyn Value<'_>) {
        let (code, name) = part.type_id();
        if !self.begin_type(code, name) {
            return;
        }
        let (depth, level) = (self.frames.len(), self.level);
        let mut has_value = false;
        while self.spend() {
            // A `Deserialize` that panics on a dummy would panic on damaged bytes too. The panic hook has
            // already reported the message.
            let run = panic::catch_unwind(AssertUnwindSafe(|| part.read(self)));
            // A panic skips the code that restores these.
            self.frames.truncate(depth);
            self.level = level;
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
