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

mod choices;
mod notes;
mod recorder;

use std::any::type_name;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};

use serde::de::{Deserialize, DeserializeOwned};

use self::recorder::Recorder;
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

#[cfg(test)]
mod tests;
