//! The stamps of tags, as far as they are known.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::poll::coarse::Coarse;
use crate::store::tracking::{Proof, Vouched};

/// The stamp of one tag, shared by the entries under it: if it may have changed, all of them are suspended at once.
#[derive(Debug, Default)]
pub(super) struct Cell {
    /// The version that is good now; 0 for none.
    live: AtomicU64,
    state: Mutex<CellState>,
}

#[derive(Debug, Default)]
struct CellState {
    stamp: Bytes,
    /// It grows with each change of the stamp.
    version: u64,
    /// The first question whose answer counts; 0 for none.
    asked: u64,
    /// The number of questions so far.
    questions: u64,
    vouched: Option<Vouched>,
}

/// Returns true if a proof holds.
#[inline]
pub(super) fn holds(vouched: &Vouched, now: Coarse) -> bool {
    vouched.as_ref().is_none_or(|(proof, generation)| proof.holds(*generation, now))
}

/// A stamp that a value was computed under.
#[derive(Debug)]
pub(super) struct Stamped {
    cell: Arc<Cell>,
    version: u64,
    vouched: Vouched,
}

impl Stamped {
    /// Returns true if the stamp is unchanged. The proof comes first, as for an [`Entry`](super::map::Entry).
    #[inline]
    pub(super) fn holds(&self, now: Coarse) -> bool {
        holds(&self.vouched, now) && self.cell.live.load(SeqCst) == self.version
    }
}

impl Cell {
    /// The number of a question for the stamp, unless it is known.
    pub(super) fn ask(&self, now: Coarse) -> Option<u64> {
        let mut state = self.lock();
        let is_known = self.live.load(SeqCst) != 0 && state.vouched.as_ref().is_some_and(|vouched| holds(vouched, now));
        if is_known {
            return None;
        }
        state.questions += 1;
        if state.asked == 0 {
            state.asked = state.questions;
        }
        Some(state.questions)
    }

    /// Notes the stamp that the store told.
    pub(super) fn answered(&self, number: u64, stamp: Option<&Bytes>, vouched: Vouched) {
        let mut state = self.lock();
        // An earlier question may have been answered before the last change.
        if state.asked == 0 || number < state.asked {
            return;
        }
        state.asked = 0;
        let Some(stamp) = stamp else { return };
        if state.version == 0 || state.stamp != *stamp {
            state.stamp = stamp.clone();
            state.version += 1;
        }
        state.vouched = Some(vouched);
        self.live.store(state.version, SeqCst);
    }

    /// The stamp may have changed. If it turns out that it did not, the entries under it are good again.
    pub(super) fn suspend(&self) {
        let mut state = self.lock();
        state.asked = 0;
        self.live.store(0, SeqCst);
    }

    /// The stamp is changed by this process.
    pub(super) fn void(&self) {
        let mut state = self.lock();
        state.asked = 0;
        state.stamp = Bytes::new();
        state.version += 1;
        self.live.store(0, SeqCst);
    }

    /// Returns true if this proof vouches for the stamp.
    pub(super) fn is_of(&self, proof: &Proof) -> bool {
        self.lock()
            .vouched
            .as_ref()
            .is_some_and(|vouched| vouched.as_ref().is_some_and(|(own, _)| std::ptr::eq(Arc::as_ptr(own), proof)))
    }

    /// The stamp as it is known, and the same for an entry that was computed under it.
    pub(super) fn stamped(self: &Arc<Self>) -> Option<(Bytes, Stamped)> {
        let state = self.lock();
        let vouched = state.vouched.clone().filter(|_| self.live.load(SeqCst) != 0)?;
        Some((state.stamp.clone(), Stamped { cell: Arc::clone(self), version: state.version, vouched }))
    }

    fn lock(&self) -> MutexGuard<'_, CellState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_known(cell: &Arc<Cell>) -> bool {
        cell.stamped().is_some()
    }

    #[test]
    fn an_answer_counts_though_others_have_asked_since() {
        let (cell, now, stamp) = (Arc::<Cell>::default(), Coarse::now(), Bytes::from_static(b"a"));
        let first = cell.ask(now).unwrap();
        let second = cell.ask(now).unwrap();
        cell.answered(first, Some(&stamp), None);
        assert!(is_known(&cell) && cell.ask(now).is_none());
        cell.answered(second, None, None);
        assert!(is_known(&cell), "the answer of another question is left alone");
    }

    #[test]
    fn an_answer_from_before_a_change_does_not_count() {
        for change in [Cell::suspend, Cell::void] {
            let (cell, now, stamp) = (Arc::<Cell>::default(), Coarse::now(), Bytes::from_static(b"a"));
            let before = cell.ask(now).unwrap();
            change(&cell);
            cell.answered(before, Some(&stamp), None);
            assert!(!is_known(&cell));
            let after = cell.ask(now).unwrap();
            cell.answered(before, Some(&stamp), None);
            assert!(!is_known(&cell), "not with another question under way either");
            cell.answered(after, Some(&stamp), None);
            assert!(is_known(&cell));
        }
    }

    #[test]
    fn entries_are_good_again_if_the_stamp_is_the_same() {
        let (cell, now) = (Arc::<Cell>::default(), Coarse::now());
        let told = |stamp: &'static [u8]| {
            let number = cell.ask(now).unwrap();
            cell.answered(number, Some(&Bytes::from_static(stamp)), None);
        };
        told(b"a");
        let (_, stamped) = cell.stamped().unwrap();
        cell.suspend();
        assert!(!stamped.holds(now));
        told(b"a");
        assert!(stamped.holds(now));
        cell.suspend();
        told(b"b");
        assert!(!stamped.holds(now));
    }
}
