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
#[derive(Debug, Default)]
pub(crate) struct Proof {
    /// It grows each time that changes may have been missed: what was confirmed before counts no more.
    generation: AtomicU64,
    /// The end of the proof, in ticks of the coarse clock.
    open_until: AtomicU64,
    /// The moment up to which the last proof, which may have ended, had all changes told; 0 for none.
    proved: AtomicU64,
}

/// More than the coarse clock lags.
const LAG: Duration = Duration::from_millis(10);

impl Proof {
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(SeqCst)
    }

    /// Returns true if what was confirmed in this generation is good now.
    #[inline]
    pub(crate) fn holds(&self, generation: u64, now: Coarse) -> bool {
        self.generation.load(SeqCst) == generation && now.0 < self.open_until.load(SeqCst)
    }

    /// How long ago the last moment is up to which all changes were told. `None` if there was none yet.
    pub(crate) fn age(&self, now: Coarse) -> Option<Duration> {
        let proved = self.proved.load(SeqCst);
        (proved != 0).then(|| Duration::from_millis(now.0.saturating_sub(proved)))
    }

    /// Changes may have been missed.
    pub(crate) fn end(&self) {
        self.generation.fetch_add(1, SeqCst);
        // It comes after the generation: a hit that saw the old generation may see the old end.
        self.open_until.store(0, SeqCst);
    }

    /// The server answered a question that was sent then: all that it had changed before has been told.
    pub(crate) fn extend(&self, generation: u64, sent: Coarse, bound: Duration) {
        if self.generation() == generation {
            self.proved.fetch_max(sent.0, SeqCst);
            self.open_until.fetch_max(sent.after(bound.saturating_sub(LAG)).0, SeqCst);
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
