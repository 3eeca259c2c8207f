//! Invalidations, which are kept until the node that has the key confirms them, and leases that no call waits for.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::slots::slot_of;
use super::state::ClusterState;
use super::{ClusterStore, NodeTransport};
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::poll::join::{Job, join_all, join_on_threads};
use crate::store::redis::client::abandoned::{Abandoned, AbandonedLeases};
use crate::store::redis::client::deliverer::{Running, SHORTEST};
use crate::store::redis::client::pending::KeptKeys;
use crate::store::redis::keeper::Lone;
use crate::store::redis::ops::commands::names;
use crate::store::redis::ops::deliverer::{LONG, REFUSED};
use crate::store::redis::ops::delivery::LONGEST;
use crate::store::redis::ops::node::Attempt;
use crate::store::redis::transport::patience;
use crate::store::{MOST, Store};

/// The undelivered invalidations that were refused, or that could not be sent.
#[derive(Default)]
pub(super) struct Refusals(HashMap<Box<str>, Error>);

impl Refusals {
    /// The reason why nothing may be read under these names.
    pub(super) fn about<'n>(&self, mut names: impl Iterator<Item = &'n str>) -> Option<&Error> {
        if self.0.is_empty() {
            return None;
        }
        names.find_map(|name| self.0.get(name))
    }
}

/// Keys that are kept for later unless their nodes confirm the invalidation.
struct Undelivered<'a> {
    state: &'a ClusterState,
    keys: Vec<&'a str>,
}

impl Drop for Undelivered<'_> {
    fn drop(&mut self) {
        if !self.keys.is_empty() {
            self.state.backlog.pending.add(self.keys.iter().copied());
            self.state.deliver_in_background(false);
        }
    }
}

/// Counts leases that are on their way from the orphans to a task.
struct Passing<'a>(&'a AbandonedLeases);

impl<'a> Passing<'a> {
    fn new(leases: &'a AbandonedLeases) -> Passing<'a> {
        leases.task_began();
        Passing(leases)
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        self.0.task_ended();
    }
}

impl<T: NodeTransport> ClusterStore<T> {
    /// Empties slots by their names, each at its own node. An incomplete cluster, as it is for a moment during a failover,
    /// executes nothing: where no operation waits, it is asked again until the deadline.
    pub(super) async fn remove(&self, names: &[&str], attempt: Attempt, by: Instant) -> Vec<Result<u64, Error>> {
        /// The pause before the next attempt.
        const PAUSE: Duration = Duration::from_millis(20);
        let mut removed = self.remove_once(names, attempt, by).await;
        while attempt == Attempt::Always && Instant::now() + PAUSE < by {
            let is_refused =
                |removed: &Result<u64, Error>| removed.as_ref().is_err_and(|error| error.kind() == ErrorKind::Cluster);
            let left: Vec<usize> = (0..names.len()).filter(|at| is_refused(&removed[*at])).collect();
            if left.is_empty() {
                break;
            }
            T::pause(PAUSE).await;
            let again: Vec<&str> = left.iter().map(|at| names[*at]).collect();
            for (at, outcome) in left.into_iter().zip(self.remove_once(&again, attempt, by).await) {
                removed[at] = outcome;
            }
        }
        removed
    }

    async fn remove_once(&self, names: &[&str], attempt: Attempt, by: Instant) -> Vec<Result<u64, Error>> {
        if attempt == Attempt::Always {
            // Without it, each removal fails with the reason.
            let _ = self.first_topology(by).await;
        }
        self.at_slots(
            names,
            |name| name,
            by,
            |node, positions, by| {
                let part: Vec<&str> = positions.into_iter().map(|at| names[at]).collect();
                async move { node.remove_here(&part, attempt, by).await }
            },
        )
        .await
    }

    pub(super) async fn invalidate_all(&self, keys: &[Key], by: Instant) -> Result<u64, Error> {
        if keys.is_empty() {
            return Ok(0);
        }
        let pending = &self.state().backlog.pending;
        let names: Vec<&str> = keys.iter().map(Key::as_str).collect();
        let mut earlier = pending.find_all(names.iter().copied());
        // This also works if the future is dropped.
        let mut undelivered = Undelivered { state: self.state(), keys: names.clone() };
        let removed = self.remove(&names, Attempt::Always, by).await;
        let failed = names.iter().zip(&removed).filter(|(_, removed)| removed.is_err());
        let mut failed: Vec<&str> = failed.map(|(name, _)| *name).collect();
        failed.sort_unstable();
        earlier.retain(|(name, _)| failed.binary_search(&&**name).is_err());
        pending.delivered(&earlier);
        undelivered.keys = failed;
        drop(undelivered);
        removed.into_iter().sum()
    }

    /// Sends the undelivered invalidations with these names first: a later read or fill would otherwise be out of date, or
    /// be refused on their account.
    pub(super) async fn settle(&self, names: impl Iterator<Item = &str> + Send, by: Instant) -> Result<(), Error> {
        self.settle_each(names, Attempt::IfAdmitted, by).await.0.into_values().next().map_or(Ok(()), Err)
    }

    /// Does the same, and returns those that were refused.
    pub(super) async fn settle_each(
        &self,
        keys: impl Iterator<Item = &str> + Send,
        attempt: Attempt,
        by: Instant,
    ) -> Refusals {
        let pending = &self.state().backlog.pending;
        let mut kept = pending.find_all(keys);
        if kept.is_empty() {
            return Refusals::default();
        }
        // This is boxed, because it is rare.
        Box::pin(async {
            let removed = self.remove(&names(&kept).collect::<Vec<_>>(), attempt, by).await;
            let failed =
                kept.iter().zip(removed).filter_map(|((name, _), removed)| Some((name.clone(), removed.err()?)));
            let refusals = Refusals(failed.collect());
            kept.retain(|(name, _)| !refusals.0.contains_key(name));
            pending.delivered(&kept);
            refusals
        })
        .await
    }

    /// Sends all undelivered invalidations. Those that fail stay; one of the reasons is returned.
    async fn deliver(&self, by: Instant) -> Result<(), Error> {
        let state = self.state();
        let pending = &state.backlog.pending;
        let all = pending.all();
        if all.is_empty() && pending.any() {
            // Some invalidations were lost, so it only matters that the cluster answers.
            self.ping(by.min(Instant::now() + patience(state.settings.timeout))).await?;
        }
        // A node that hangs must not delay what others get.
        let mut parts: BTreeMap<Option<u16>, KeptKeys> = BTreeMap::new();
        for (name, addition) in all {
            parts.entry(state.slots.owner(slot_of(&name))).or_default().push((name, addition));
        }
        let part = |keys: KeptKeys| -> Job<'_, _> { Box::pin(async move { self.deliver_part(&keys, by).await }) };
        let parts = parts.into_values().map(part).collect();
        let outcomes = match T::BLOCKS {
            true => join_on_threads(parts),
            false => join_all(parts).await,
        };
        // A permanent refusal comes last: the others are worth another attempt soon.
        let failures = outcomes.into_iter().filter_map(Result::err);
        let failure = failures.min_by_key(|error: &Error| error.kind() == ErrorKind::Auth);
        if failure.is_none() {
            let clocks = state.slots.nodes().into_iter().filter_map(|node| state.node(node));
            let latest = clocks.map(|node| node.client.server.health.clock.now()).max();
            pending.settle_losses(latest.unwrap_or_else(|| state.clock.now()));
        }
        failure.map_or(Ok(()), Err)
    }

    /// Sends the undelivered invalidations of one node. If the node is away, those that are left stay.
    async fn deliver_part(&self, keys: &[(Box<str>, u64)], by: Instant) -> Result<(), Error> {
        let each = patience(self.state().settings.timeout);
        let mut failure = Ok(());
        for keys in keys.chunks(MOST) {
            let refusals = self.settle_each(names(keys), Attempt::Always, by.min(Instant::now() + each)).await.0;
            let is_permanent = |error: &Error| error.kind() == ErrorKind::Auth;
            let is_away = refusals.len() == keys.len() && !refusals.values().any(is_permanent);
            // A permanent refusal is the reason only if there is no other.
            let reason = refusals.into_values().min_by_key(is_permanent);
            failure = reason.map_or(failure, Err);
            if is_away {
                break;
            }
        }
        failure
    }

    /// Does the same in the background: at once, and after a failure on the keeper.
    pub(super) fn deliver_soon(&self, key: &Key) {
        let state = self.state();
        let owner = state.slots.owner(slot_of(key.as_str())).or(state.seeds.first().copied());
        let Some(node) = owner.and_then(|owner| self.store(owner)).filter(|node| !node.server().health.is_down())
        else {
            return state.deliver_in_background(false);
        };
        let (store, later) = (self.clone(), Later(Arc::clone(&self.0.state)));
        node.core.transport.soon(async move {
            let _later = later;
            // After a failure, the keys stay.
            let _ = store.deliver(Instant::now() + store.state().settings.timeout).await;
        });
    }

    /// Delivers the undelivered invalidations, and retries until the deadline while nodes are away.
    pub(crate) async fn flush(&self, by: Instant) -> Result<(), Error> {
        /// The pause between attempts.
        const PAUSE: Duration = Duration::from_millis(50);
        let pending = &self.state().backlog.pending;
        self.flush_abandoned(by).await;
        let mut earlier = None;
        while pending.any() {
            let Err(error) = self.deliver(by).await else { continue };
            let left = by.saturating_duration_since(Instant::now());
            if left.is_zero() || matches!(error.kind(), ErrorKind::Auth | ErrorKind::Unsupported) {
                // The last attempt may have had no time to find the reason.
                let is_late = error.kind() == ErrorKind::Timeout;
                let error = earlier.filter(|_| is_late).unwrap_or(error);
                let count = pending.len();
                return Err(error.with_detail(|detail| format!("{count} keys are still to be invalidated: {detail}")));
            }
            earlier = Some(error);
            T::pause(PAUSE.min(left)).await;
        }
        Ok(())
    }

    /// Gives leases back that no call waits for.
    pub(super) fn abandon_all(&self, leases: Vec<Abandoned>) {
        for (node, leases) in self.by_node(leases) {
            match node.and_then(|node| self.store(node)) {
                Some(node) => node.abandon(leases),
                None => self.state().keep_abandoned(&leases),
            }
        }
    }

    /// Gives back the leases whose tasks were dropped.
    async fn release_orphans(&self) {
        let abandoned = &self.state().backlog.abandoned;
        let passing = Passing::new(abandoned);
        let mut tasks = Vec::<Job<'_, ()>>::new();
        for (node, leases) in self.by_node(abandoned.take_orphans()) {
            match node.and_then(|node| self.store(node)) {
                Some(node) => tasks.push(Box::pin(node.release_now(leases))),
                None => self.state().keep_abandoned(&leases),
            }
        }
        drop(passing);
        join_all(tasks).await;
    }

    /// Waits until all leases are given back that no call waits for, or are kept to be invalidated.
    async fn flush_abandoned(&self, by: Instant) {
        /// The pause between checks.
        const PAUSE: Duration = Duration::from_millis(1);
        let by = by.min(Instant::now() + self.state().settings.timeout);
        loop {
            self.release_orphans().await;
            let left = by.saturating_duration_since(Instant::now());
            if self.state().backlog.abandoned.is_done() || left.is_zero() {
                return;
            }
            T::pause(PAUSE.min(left)).await;
        }
    }

    fn by_node(&self, leases: Vec<Abandoned>) -> BTreeMap<Option<u16>, Vec<Abandoned>> {
        let mut nodes: BTreeMap<Option<u16>, Vec<Abandoned>> = BTreeMap::new();
        for lease in leases {
            nodes.entry(self.state().slots.owner(slot_of(lease.0.as_str()))).or_default().push(lease);
        }
        nodes
    }
}

/// A guard that handles the remaining undelivered invalidations when it is dropped.
struct Later(Arc<ClusterState>);

impl Drop for Later {
    fn drop(&mut self) {
        if self.0.backlog.pending.any() {
            self.0.deliver_in_background(false);
        }
    }
}

impl ClusterState {
    /// Leases whose node is unknown.
    fn keep_abandoned(&self, leases: &[Abandoned]) {
        for (key, _, _) in leases {
            self.backlog.pending.add_if_room(key.as_str());
        }
        self.deliver_in_background(false);
    }

    /// Makes sure that a task delivers the backlog. `is_urgent` means that no attempt at it has failed.
    pub(super) fn deliver_in_background(&self, is_urgent: bool) {
        if let Some(running) = self.backlog.deliverer.wake(is_urgent) {
            // If it cannot be started, the next read of a key delivers it, and the next failure tries again.
            self.keeper.spawn(run(running, Weak::clone(&self.me)));
        }
    }
}

async fn run(mut running: Running, state: Weak<ClusterState>) {
    let mut pause = SHORTEST;
    while let Some(has_more) = running.pause(pause).await {
        let Some(state) = state.upgrade() else { return };
        let store = ClusterStore::<Lone>::new(&state);
        store.release_orphans().await;
        let delivered = store.deliver(Instant::now() + LONGEST).await;
        // This comes before the drop of the last reference to the backlog, because its end takes the same lock.
        match running.unless(|| !state.backlog.pending.any() && !state.backlog.abandoned.has_orphans()) {
            Some(goes_on) => running = goes_on,
            None => return,
        }
        let longest = match delivered {
            Err(error) if error.kind() == ErrorKind::Auth => REFUSED,
            _ => LONG,
        };
        pause = if has_more { SHORTEST } else { pause }.saturating_mul(2).min(longest);
    }
}
