//! What a store tells about slots that a program keeps in its own memory.
//!
//! Such a slot is *confirmed*: the store says what it holds, and from then on tells each change. A [`Proof`] says up to
//! which moment every change that the store made has been told: a kept value is good for as long as its proof.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;

use crate::poll::coarse::Coarse;

/// The listener of a store.
pub(crate) trait Watcher: Send + Sync {
    /// The slot, or the stamp, with this name changed, or may have.
    fn changed(&self, name: &str);

    /// Any slot or stamp that this proof vouches for may have changed.
    fn all_changed(&self, proof: &Proof);

    /// Returns true if nothing is kept, so that nothing needs a proof.
    fn keeps_nothing(&self) -> bool;
}

/// The time up to which the changes that a server made have been told.
#[derive(Debug)]
pub(crate) struct Proof {
    /// How long it holds, in ticks of the coarse clock.
    bound: u64,
    /// It grows each time that changes may have been missed: what was confirmed before counts no more.
    generation: AtomicU64,
    /// The end of the proof, in ticks of the coarse clock.
    open_until: AtomicU64,
    /// The moment up to which the last proof, which may have ended, had all changes told; 0 for none.
    proved: AtomicU64,
}

/// More than the coarse clock usually lags.
const LAG: u64 = 10;

impl Proof {
    pub(crate) fn new(bound: Duration) -> Proof {
        let bound = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
        Proof { bound, generation: AtomicU64::new(0), open_until: AtomicU64::new(0), proved: AtomicU64::new(0) }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(SeqCst)
    }

    /// Returns true if what was confirmed in this generation is good now.
    ///
    /// The coarse clock is trusted in the first half of a proof, and heartbeats extend it in that half: how far the clock
    /// lags on a machine that does not run, or runs something else, is not bounded.
    #[inline]
    pub(crate) fn holds(&self, generation: u64, now: Coarse) -> bool {
        let until = self.open_until.load(SeqCst);
        // The generation comes last: a new one begins before its proof does.
        (now.0.saturating_add(self.bound / 2) < until || Coarse::exact().0 < until)
            && self.generation.load(SeqCst) == generation
    }

    /// How long ago the last moment is up to which all changes were told. `None` if there was none yet.
    pub(crate) fn age(&self, now: Coarse) -> Option<Duration> {
        let proved = self.proved.load(SeqCst);
        (proved != 0).then(|| Duration::from_millis(now.0.saturating_sub(proved)))
    }

    /// Changes may have been missed.
    pub(crate) fn end(&self) {
        self.generation.fetch_add(1, SeqCst);
        // It comes after the generation, which a hit looks at last.
        self.open_until.store(0, SeqCst);
    }

    /// The server answered a question that was sent then: all that it had changed before has been told.
    pub(crate) fn extend(&self, generation: u64, sent: Coarse) {
        if self.generation() == generation {
            self.proved.fetch_max(sent.0, SeqCst);
            self.open_until.fetch_max(sent.0.saturating_add(self.bound.saturating_sub(LAG)), SeqCst);
            // It ended meanwhile, and stays ended.
            if self.generation() != generation {
                self.open_until.store(0, SeqCst);
            }
        }
    }
}

/// What is asked about a slot or a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The first [`HEAD_LEN`](crate::stored::envelope::HEAD_LEN) bytes of a slot.
    Head,
    /// A whole stamp.
    Stamp,
}

/// A question to a store.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) name: Box<str>,
    pub(crate) about: About,
}

/// A question, and what to do with its answer.
pub(crate) struct Inquiry {
    pub(crate) question: Question,
    pub(crate) answered: Answered,
}

/// A proof, and the generation of it that counts. `None` for a store in this process, which tells all at once.
pub(crate) type Vouched = Option<(Arc<Proof>, u64)>;

/// Gets the answer, `None` for a slot that is empty, and what vouches for it.
pub(crate) type Answered = Box<dyn FnOnce(Option<&Bytes>, Vouched) + Send>;

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    const BOUND: Duration = Duration::from_secs(1);

    /// A proof that holds, however long a test takes.
    fn fresh() -> Proof {
        let proof = Proof::new(Duration::from_secs(1000));
        proof.extend(0, Coarse::exact());
        proof
    }

    #[test]
    fn a_proof_holds_for_its_bound() {
        let (proof, now) = (fresh(), Coarse::exact());
        assert!(proof.holds(0, now));
        // The coarse clock may lag: in the second half of a proof the exact clock decides.
        let old = Proof::new(BOUND);
        old.extend(0, Coarse(now.0.saturating_sub(1_100)));
        assert!(!old.holds(0, Coarse(now.0.saturating_sub(550))));
        let half = Proof::new(Duration::from_secs(1000));
        half.extend(0, Coarse(now.0.saturating_sub(600_000)));
        assert!(half.holds(0, now));
    }

    #[test]
    fn the_proof_of_a_new_generation_is_none_of_an_old_one() {
        let proof = fresh();
        proof.end();
        assert!(!proof.holds(0, Coarse::now()) && !proof.holds(1, Coarse::now()));
        proof.extend(0, Coarse::exact());
        assert!(!proof.holds(0, Coarse::now()) && !proof.holds(1, Coarse::now()));
        proof.extend(1, Coarse::exact());
        assert!(!proof.holds(0, Coarse::now()) && proof.holds(1, Coarse::now()));
    }

    /// A hit that looks while the generation changes does not take the proof of the new one.
    #[test]
    fn a_new_generation_is_seen_with_its_proof() {
        let (proof, known, over) = (Proof::new(BOUND), AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    // A generation is known after its proof has ended.
                    let (generation, now) = (known.load(SeqCst), Coarse::now());
                    assert!((0..50).all(|_| !proof.holds(generation, now)), "generation {generation}");
                }
            });
            for generation in 1..3_000_000 {
                // The order of `end` and `extend`, as close together as can be.
                proof.generation.store(generation, SeqCst);
                proof.open_until.store(u64::MAX, SeqCst);
                proof.open_until.store(0, SeqCst);
                known.store(generation, SeqCst);
            }
            over.store(true, SeqCst);
        });
    }
}
