//! Leases that are given back while no call waits for it.
//!
//! A task of the caller's runtime does it. A runtime that ends drops the task, perhaps before the server has answered;
//! then the thread that delivers takes over, over a connection of its own. To give a lease back twice is harmless: the
//! server compares the token.

#[cfg(feature = "tokio")]
use std::future::Future;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::store::Release;
use crate::store::redis::client::RedisStore;
use crate::store::redis::client::abandoned::Abandoned;
use crate::store::redis::ops::deliverer;
use crate::store::redis::server::fault::Fault;
use crate::store::redis::transport::Transport;
use crate::stored::envelope::Lease;

/// The leases that a task gives back. If it is dropped before the answer, it leaves the rest to the thread that
/// delivers.
struct Task<T: Transport> {
    store: RedisStore<T>,
    leases: Vec<Abandoned>,
}

impl<T: Transport> Task<T> {
    fn new(store: &RedisStore<T>, leases: Vec<Abandoned>) -> Task<T> {
        store.client().backlog.abandoned.task_began();
        Task { store: store.clone(), leases }
    }

    async fn run(mut self) {
        let by = Instant::now() + self.store.server().timeout;
        let unanswered = match self.leases.as_slice() {
            [(key, lease, release)] => match self.store.release_one(key, lease, *release, by).await {
                // The wrong type means that something else is in its place, which is left alone.
                Err(error) if error.kind() == ErrorKind::WrongType => Vec::new(),
                Err(_) => std::mem::take(&mut self.leases),
                Ok(_) => Vec::new(),
            },
            leases => self.store.release_all(leases).await,
        };
        self.leases.clear();
        if !unanswered.is_empty() && T::is_ending() {
            // The server may be well: the connection was closed with its runtime.
            self.leases = unanswered;
            return;
        }
        unanswered.iter().for_each(|(key, lease, release)| self.store.keep_abandoned(key, lease, *release));
    }
}

impl<T: Transport> Drop for Task<T> {
    fn drop(&mut self) {
        let client = self.store.client();
        if !self.leases.is_empty() {
            client.backlog.abandoned.add_orphans(std::mem::take(&mut self.leases));
            deliverer::wake_at_once(client);
        }
        client.backlog.abandoned.task_ended();
    }
}

impl<T: Transport> RedisStore<T> {
    /// Gives leases back that no call waits for. `after_failure` marks a failure, for which the caller has already lost its
    /// time to the server, and loses no more.
    pub(crate) fn abandon_all(&self, leases: Vec<Abandoned>, after_failure: bool) {
        if leases.is_empty() {
            return;
        }
        if self.server().health.is_down() {
            return leases.iter().for_each(|(key, lease, release)| self.keep_abandoned(key, lease, *release));
        }
        let task = Task::new(self, leases).run();
        match after_failure {
            true => self.core.transport.background(task),
            false => self.core.transport.soon(task),
        }
    }

    /// Does what [`written`](Self::written) does, for a lease request: a lease whose request may have arrived, or may
    /// still arrive, is given back.
    pub(crate) fn granted<R>(&self, key: &Key, lease: &Lease, outcome: Result<R, Fault>) -> Result<R, Error> {
        if outcome.as_ref().is_err_and(Fault::may_have_arrived) {
            self.abandon_in_background(key, lease, Release::Pause(0));
        }
        self.written(outcome)
    }

    /// Gives leases back, and waits for it.
    #[cfg(feature = "tokio")]
    pub(crate) fn release_now(&self, leases: Vec<Abandoned>) -> impl Future<Output = ()> + Send + use<T> {
        // It is counted from here on.
        Task::new(self, leases).run()
    }

    /// Gives back the leases whose tasks were dropped.
    pub(crate) async fn release_orphans(&self) {
        // The task is counted before the orphans are taken: a flush finds either the orphans or the task.
        let mut task = Task::new(self, Vec::new());
        task.leases = self.client().backlog.abandoned.take_orphans();
        if !task.leases.is_empty() {
            task.run().await;
        }
    }

    /// Waits until all tasks have ended, and gives back the leases that they have left. Each task ends within the
    /// time-out, or keeps its keys to be invalidated.
    pub(crate) async fn flush_abandoned(&self, by: Instant) {
        /// The pause between checks.
        const PAUSE: Duration = Duration::from_millis(1);
        let client = self.client();
        let by = by.min(Instant::now() + client.server.timeout);
        loop {
            self.release_orphans().await;
            let left = by.saturating_duration_since(Instant::now());
            if client.backlog.abandoned.is_done() || left.is_zero() {
                return;
            }
            T::pause(PAUSE.min(left)).await;
        }
    }
}
