//! The address of a server that others know: connections ask for it, and a task finds it out.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
#[cfg(feature = "blocking")]
use std::{sync::Condvar, time::Instant};

use tokio::sync::Notify;

use super::fault::Fault;

/// The task that finds the address out. It answers to [`Locator::answer`], and replaces the server's endpoint before.
pub(crate) trait Finder: Send + Sync {
    /// Starts the task, unless it is running.
    fn start(&self);

    /// Makes the task ask at once.
    fn hurry(&self);
}

/// The questions and the answers. A question is answered by a search that began after it.
pub(crate) struct Locator {
    finder: Arc<dyn Finder>,
    state: Mutex<LocatorState>,
    answered: Notify,
    #[cfg(feature = "blocking")]
    answered_blocking: Condvar,
}

struct LocatorState {
    /// The number of questions.
    asked: u64,
    /// The last question that is answered.
    answered: u64,
    outcome: Result<(), Fault>,
}

impl Locator {
    pub(crate) fn new(finder: Arc<dyn Finder>) -> Locator {
        Locator {
            finder,
            state: Mutex::new(LocatorState { asked: 0, answered: 0, outcome: Ok(()) }),
            answered: Notify::new(),
            #[cfg(feature = "blocking")]
            answered_blocking: Condvar::new(),
        }
    }

    /// Ensures that the address is followed from now on.
    pub(crate) fn follow(&self) {
        self.finder.start();
    }

    /// Asks for the address, and waits until the endpoint is that of the answer.
    pub(crate) async fn ask(&self) -> Result<(), Fault> {
        let question = self.question();
        loop {
            let mut answered = pin!(self.answered.notified());
            // From here on, no answer is missed.
            answered.as_mut().enable();
            if let Some(outcome) = self.lock().outcome_of(question) {
                return outcome;
            }
            answered.await;
        }
    }

    /// Does the same for a caller that blocks.
    #[cfg(feature = "blocking")]
    pub(crate) fn ask_blocking(&self, by: Instant) -> Result<(), Fault> {
        let question = self.question();
        let left = by.saturating_duration_since(Instant::now());
        let unanswered = |state: &mut LocatorState| state.outcome_of(question).is_none();
        let waited = self.answered_blocking.wait_timeout_while(self.lock(), left, unanswered);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.outcome_of(question).unwrap_or_else(|| Err(Fault::hung()))
    }

    fn question(&self) -> u64 {
        let question = {
            let mut state = self.lock();
            state.asked += 1;
            state.asked
        };
        self.finder.start();
        self.finder.hurry();
        question
    }

    /// The number of questions so far. A search that begins now answers them.
    pub(crate) fn asked(&self) -> u64 {
        self.lock().asked
    }

    /// Answers these questions, unless they are answered.
    pub(crate) fn answer(&self, asked: u64, outcome: Result<(), Fault>) {
        let mut state = self.lock();
        if asked <= state.answered {
            return;
        }
        (state.answered, state.outcome) = (asked, outcome);
        drop(state);
        self.answered.notify_waiters();
        #[cfg(feature = "blocking")]
        self.answered_blocking.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, LocatorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LocatorState {
    fn outcome_of(&self, question: u64) -> Option<Result<(), Fault>> {
        (self.answered >= question).then(|| self.outcome.clone())
    }
}
