//! The notes that the runs take, and the budgets that they spend.

use std::panic;

use super::recorder::refused;
use super::shape::{Id, NOWHERE, Node};
use super::{DEPTH, DUMMY, Frame, Kind, Known, Notes};
use crate::hash::hash;
use crate::stored::codec::CodecError;

fn take(budget: &mut u32) -> Option<()> {
    *budget = budget.checked_sub(1)?;
    Some(())
}

impl Notes {
    /// Begins a type. Returns false if no dummy of it can be made.
    pub(super) fn begin_type(&mut self, code: usize, name: &'static str) -> bool {
        let hole = self.draft.hole;
        if let Some(at) = self.frames.iter().rposition(|frame| frame.name == name) {
            let distance = self.frames.len() - at;
            self.number(b'^', distance);
            self.refers_to(at);
            self.refers_to_node(self.frames[at].node);
            return false;
        }
        let is_recording = self.frames.last().is_none_or(|frame| frame.recording);
        let known = self.closed.get(&(code, name)).or_else(|| self.open.get(name)).copied();
        if let Some(known) = known {
            self.refers_to(known.outermost);
            self.digest(known.digest);
            self.refers_to_node(known.node);
            if !known.has_value {
                return false;
            }
        }
        if is_recording && known.is_some() {
            self.dummy = DUMMY;
        }
        let recording = is_recording && known.is_none();
        self.frames.push(Frame {
            name,
            at: self.text.len(),
            recording,
            node: if recording { hole } else { NOWHERE },
            inline: self.inline.len(),
            runs: 0,
            partial: false,
            outermost: usize::MAX,
            choices: Vec::new(),
            made: 0,
        });
        true
    }

    /// The part has the shape of a node, unless it is that node.
    fn refers_to_node(&mut self, node: Id) {
        let hole = self.draft.hole;
        if hole != node {
            self.draft.put(hole, Node::Same(node));
        }
    }

    /// Ends the type that was begun last.
    pub(super) fn end_type(&mut self, code: usize, has_value: bool) {
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
        let known = Known { digest, has_value, outermost, node: frame.node };
        if outermost >= index {
            self.closed.insert((code, frame.name), Known { outermost: usize::MAX, ..known });
        } else if !frame.name.contains("__DeserializeWith") {
            // Every field with `#[serde(with)]` has a wrapper of this name.
            self.open.insert(frame.name, known);
        }
        self.digest(digest);
    }

    /// Takes one run out of the budget.
    pub(super) fn spend(&mut self) -> bool {
        let Some(frame) = self.frames.last() else { return false };
        let spent = if frame.recording {
            take(&mut self.runs)
        } else {
            take(&mut self.dummy).and_then(|()| take(&mut self.dummies))
        };
        if spent.is_none() {
            self.is_unfinished |= frame.recording;
            self.idle();
        }
        spent.is_some()
    }

    pub(super) fn advance(&mut self, ok: bool) -> bool {
        self.frames.last_mut().is_some_and(|frame| (frame.recording || !ok) && frame.advance(ok))
    }

    /// Marks the current type as partial: a part of it stays unseen.
    pub(super) fn partial(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.partial = true;
        }
    }

    pub(super) fn refers_to(&mut self, at: usize) {
        if let Some(frame) = self.frames.last_mut() {
            frame.outermost = frame.outermost.min(at);
        }
    }

    pub(super) fn recording(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.recording)
    }

    pub(super) fn tag(&mut self, tag: u8) {
        if self.recording() {
            self.text.push(tag);
        }
    }

    pub(super) fn number(&mut self, tag: u8, number: usize) {
        if self.recording() {
            self.text.push(tag);
            self.text.extend_from_slice(&(number as u64).to_le_bytes());
        }
    }

    pub(super) fn name(&mut self, tag: u8, name: &str) {
        if self.recording() {
            self.number(tag, name.len());
            self.text.extend_from_slice(name.as_bytes());
        }
    }

    pub(super) fn names(&mut self, tag: u8, names: &[&str]) {
        if self.recording() {
            self.number(tag, names.len());
            for name in names {
                self.name(b'=', name);
            }
        }
    }

    /// Adds the digest of a child to its parent's notes.
    pub(super) fn digest(&mut self, digest: u64) {
        self.digest = digest;
        if self.recording() {
            self.text.push(b'#');
            self.text.extend_from_slice(&digest.to_le_bytes());
        }
    }

    pub(super) fn pick(&mut self, options: usize, each: bool) -> usize {
        let Some(frame) = self.frames.last_mut() else { return 0 };
        let choice = frame.choose(|| Kind::Pick { at: 0, options, each });
        match frame.choices[choice].kind {
            Kind::Pick { at, .. } => at.min(options - 1),
            // The `Deserialize` makes other calls than in its previous run.
            Kind::Fields(_) => 0,
        }
    }

    /// Picks each of an enum's variants in turn. Returns true for the first one that this choice offers.
    pub(super) fn variant(&mut self, variants: usize) -> (usize, bool) {
        let is_first = self.frames.last().is_none_or(|frame| frame.made == frame.choices.len());
        (self.pick(variants, true), is_first)
    }

    /// Picks the first of `options` that makes a value.
    pub(super) fn first<T: Copy>(&mut self, options: &[T]) -> T {
        options[self.pick(options.len(), false)]
    }

    /// Drops the remaining alternatives of the current choice.
    pub(super) fn settle(&mut self) {
        if let Some(frame) = self.frames.last_mut()
            && let Some(last) = frame.made.checked_sub(1)
            && let Kind::Pick { options, .. } = &mut frame.choices[last].kind
        {
            *options = 0;
        }
    }

    /// Counts a call without progress. A loop that ignores errors can only be ended by a panic.
    pub(super) fn idle(&mut self) {
        match self.idle.checked_sub(1) {
            Some(left) => self.idle = left,
            None if cfg!(panic = "unwind") => panic::resume_unwind(Box::new("looping")),
            None => {}
        }
    }

    /// Goes one level deeper. Levels without a type of their own count too: `struct List(Option<Box<List>>)`
    /// would never end otherwise.
    pub(super) fn deeper(&mut self) -> Result<(), CodecError> {
        if self.level == DEPTH || self.root.is_spent() {
            self.partial();
            self.draft.never();
            return Err(refused());
        }
        self.level += 1;
        Ok(())
    }
}
