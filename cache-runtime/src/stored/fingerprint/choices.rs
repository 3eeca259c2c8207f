//! The choices of a run, and the next run after them.

use super::shape::{Id, NOWHERE};
use super::{Choice, Frame, Kind};

/// After this number of runs of one type, no more dummies are tried: a value was not found, and the shape was.
const SEARCH: u32 = 512;

/// Structs and enums of so many fields or variants take little time in any order.
pub(super) const SMALL: usize = 128;

/// The fields of a struct that a run offers. A field that accepts no dummy ends its run, and the next one starts after it.
/// It offers the fields in front of it only if they are few, so that each of many is offered once until all were.
pub(super) struct Offer {
    /// The first field that this run offers.
    pub(super) start: usize,
    pub(super) refused: Vec<bool>,
    /// The field that was offered and has no value yet.
    pub(super) pending: Option<usize>,
    pub(super) asked: bool,
    /// A value was made through a seed, without a known type, as an adjacently tagged enum does it.
    pub(super) seeded: bool,
    /// The fields are given by position, as in a format without names.
    pub(super) in_order: bool,
    /// The names of the fields are in the notes.
    pub(super) is_noted: bool,
    pub(super) node: Id,
}

impl Offer {
    pub(super) fn new(fields: usize) -> Offer {
        Offer {
            start: 0,
            refused: vec![false; fields],
            pending: None,
            asked: false,
            seeded: false,
            in_order: false,
            is_noted: false,
            node: NOWHERE,
        }
    }

    fn is_small(&self) -> bool {
        self.refused.len() <= SMALL
    }

    /// The number of fields that this run offers.
    pub(super) fn len(&self) -> usize {
        if self.is_small() { self.refused.len() } else { self.refused.len() - self.start }
    }

    /// Prepares the next run. Returns false if there is none.
    fn advance(&mut self, found: bool, recording: bool) -> bool {
        match self.pending.take() {
            Some(slot) if !found && !self.refused[slot] => {
                self.refused[slot] = true;
                self.start = if recording || self.is_small() { slot + 1 } else { 0 };
                true
            }
            // All fields were offered, and only those together may make a value.
            _ if !found && self.start > 0 && !self.is_small() => {
                self.start = 0;
                true
            }
            // Only a run by position shows whether the type needs a format with names.
            _ if !self.in_order && (self.seeded || !(found || self.asked)) => {
                self.in_order = true;
                self.start = 0;
                true
            }
            _ => false,
        }
    }
}

impl Frame {
    /// The index of the run's next choice, with the alternative that [`advance`](Frame::advance) selected.
    pub(super) fn choose(&mut self, fresh: impl FnOnce() -> Kind) -> usize {
        if self.made == self.choices.len() {
            self.choices.push(Choice { kind: fresh(), found: false });
        }
        self.made += 1;
        self.made - 1
    }

    /// Selects the alternatives of the next run. Returns false if no run is left.
    pub(super) fn advance(&mut self, ok: bool) -> bool {
        self.choices.truncate(self.made);
        self.made = 0;
        self.runs += 1;
        for choice in &mut self.choices {
            choice.found |= ok;
        }
        while let Some(Choice { kind, found }) = self.choices.last_mut() {
            let moved = match kind {
                Kind::Pick { at, options, each } => {
                    *at += 1;
                    let is_wanted = if *each && self.recording { true } else { !*found && self.runs < SEARCH };
                    *at < *options && is_wanted
                }
                Kind::Fields(offer) => offer.advance(*found, self.recording),
            };
            if moved {
                return true;
            }
            self.choices.pop();
        }
        false
    }
}
