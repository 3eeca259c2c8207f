//! The delivery of invalidations: at once, and later after a failure.
//!
//! The server may refuse an invalidation permanently, because the user has no right to its key, or to the command. This
//! concerns only its key: it stays undelivered, and the entries that it concerns are not read; all others are
//! delivered.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::redis::{Pipeline, Value};

use crate::error::{Error, ErrorKind};
use crate::store::MOST;
use crate::store::redis::client::pending::KeptKeys;
use crate::store::redis::client::{Client, RedisStore};
use crate::store::redis::ops::{commands, deliverer};
use crate::store::redis::request::{Reply, Request};
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::{Blame, Fault};
use crate::store::redis::transport::{Transport, patience};

/// The time that all of them together may take.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// The result of some invalidations.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    /// The number of slots that held something.
    count: u64,
    refused: Vec<(String, Fault)>,
}

impl Removed {
    /// The names that the server refused.
    pub(crate) fn refused(&self) -> HashSet<&str> {
        self.refused.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The invalidations that the server confirmed.
    pub(crate) fn confirmed(&self, mut keys: KeptKeys) -> KeptKeys {
        if !self.refused.is_empty() {
            let refused = self.refused();
            keys.retain(|(name, _)| !refused.contains(&**name));
        }
        keys
    }

    fn add(&mut self, part: Removed) {
        self.count += part.count;
        self.refused.extend(part.refused);
    }

    /// The reason why some were refused; a general refusal of writes comes first.
    fn reason(self) -> Option<Fault> {
        let mut faults = self.refused.into_iter().map(|(_, fault)| fault);
        let first = faults.next()?;
        Some(faults.find(|fault| fault.blame == Blame::Writes).unwrap_or(first))
    }

    /// The number of slots that held something, unless one was refused.
    pub(crate) fn outcome(self) -> Result<u64, Fault> {
        match self.refused.into_iter().next() {
            Some((_, fault)) => Err(fault),
            None => Ok(self.count),
        }
    }
}

/// Returns true if the server is well, and refuses this: others may pass.
pub(crate) fn is_of_some(fault: &Fault) -> bool {
    matches!(fault.blame, Blame::Command | Blame::Denied(_) | Blame::TryAgain | Blame::Writes)
}

impl<T: Transport> RedisStore<T> {
    /// Keeps keys to be invalidated.
    pub(crate) fn keep<'a>(&self, keys: impl IntoIterator<Item = &'a str>) {
        self.client().backlog.pending.add(keys);
        deliverer::wake(self.client());
    }

    /// Does the same for a key that need not be delivered.
    pub(crate) fn keep_if_room(&self, key: &str) {
        self.client().backlog.pending.add_if_room(key);
        deliverer::wake(self.client());
    }

    /// Empties slots by their names, a part of them in each round trip, which has the time-out. After a failure the rest is
    /// left. Returns what was removed, how many of the names were reached, and the failure.
    pub(crate) async fn remove_in_parts(&self, names: &[&str], mut by: Instant) -> (Removed, usize, Option<Fault>) {
        let mut removed = Removed::default();
        for (number, part) in names.chunks(MOST).enumerate() {
            match self.remove(self.server().health.epoch(), part, by).await {
                Ok(part) => removed.add(part),
                Err(fault) => return (removed, number * MOST, Some(fault)),
            }
            by = self.part_deadline();
        }
        (removed, names.len(), None)
    }

    /// Empties slots by their names: together, and if the server refuses that, each alone.
    pub(crate) async fn remove(&self, epoch: Epoch, names: &[&str], by: Instant) -> Result<Removed, Fault> {
        let client = self.client();
        let (removals, counts) =
            commands::removals(client.server.allowed(client.server.known_features()), names.iter().copied());
        let build = |_| commands::request(removals.clone());
        let outcome = self.exchange(epoch, build, |reply: Reply| commands::removed(reply.all(), &counts), by).await;
        match outcome {
            Ok(count) => Ok(Removed { count, refused: Vec::new() }),
            Err(fault) if is_of_some(&fault) => Box::pin(self.remove_each(epoch, names, by)).await,
            Err(fault) => Err(fault),
        }
    }

    /// Empties each slot alone, without the features that are now known to be refused.
    async fn remove_each(&self, epoch: Epoch, names: &[&str], by: Instant) -> Result<Removed, Fault> {
        let mut removed = Removed::default();
        for (outcome, name) in self.remove_alone(epoch, names, by).await?.into_iter().zip(names) {
            match outcome {
                Ok(count) => removed.count += count,
                Err(fault) => removed.refused.push((String::from(*name), fault)),
            }
        }
        Ok(removed)
    }

    /// Empties each slot alone, and returns the number of slots that each name emptied. A refusal, or the redirection of
    /// a node, is that of one name.
    pub(crate) async fn remove_alone(
        &self,
        epoch: Epoch,
        names: &[&str],
        by: Instant,
    ) -> Result<Vec<Result<u64, Fault>>, Fault> {
        let client = self.client();
        let features = client.server.allowed(client.server.known_features());
        let (mut pipeline, mut counts) = (Pipeline::with_capacity(names.len()), Vec::with_capacity(names.len()));
        for name in names {
            let (removal, count) = commands::removals(features, [*name]);
            pipeline.add_command(removal.cmd_iter().next().cloned().unwrap_or_default());
            counts.extend(count);
        }
        let read = |reply: Reply| {
            let removed = reply.all().into_iter().zip(names).zip(&counts);
            let outcome = |((reply, name), counts): ((Value, &&str), &bool)| match commands::removed_by(reply, *counts)
            {
                Err(fault) if is_of_some(&fault) || self.is_node() && fault.is_redirection() => {
                    Ok(Err(fault.about(name)))
                }
                outcome => outcome.map(Ok),
            };
            removed.map(outcome).collect()
        };
        self.exchange(epoch, |_| Request::Many(pipeline.clone()), read, by).await
    }

    /// Sends the undelivered invalidations with these names first: a later read or fill would otherwise be out of date,
    /// or be refused on their account.
    pub(crate) async fn settle<'a>(
        &self,
        epoch: Epoch,
        names: impl Iterator<Item = &'a str> + Send,
        by: Instant,
    ) -> Result<(), Fault> {
        // The router of a cluster has done it, at the nodes that have the keys.
        if self.is_node() {
            return Ok(());
        }
        let pending = &self.client().backlog.pending;
        let keys = pending.find_all(names);
        if keys.is_empty() {
            return Ok(());
        }
        // This is boxed, because it is rare.
        Box::pin(async {
            for keys in keys.chunks(MOST) {
                let names: Vec<&str> = commands::names(keys).collect();
                let removed = self.remove(epoch, &names, by).await?;
                self.confirmed(epoch, &removed.confirmed(keys.to_vec()));
                removed.outcome()?;
            }
            Ok(())
        })
        .await
    }

    /// Notes invalidations that the server confirmed, unless another one has taken its place.
    pub(crate) fn confirmed(&self, epoch: Epoch, keys: &KeptKeys) {
        if self.server().health.is_current(epoch) {
            self.client().backlog.pending.delivered(keys);
        }
    }

    /// Sends all undelivered invalidations. The refused ones stay; one of the reasons is returned.
    pub(crate) async fn deliver(&self, epoch: Epoch, by: Instant) -> Result<Option<Fault>, Fault> {
        let client = self.client();
        let mut refused = None;
        let mut all = client.backlog.pending.all();
        if let (Some(member), Some(cluster)) = (&client.membership, client.cluster()) {
            all.retain(|(name, _)| cluster.has(member.node, name));
        }
        if all.is_empty() && client.backlog.pending.any() {
            // Some invalidations were lost, so it only matters that the server answers.
            let by = by.min(Instant::now() + patience(client.server.timeout));
            self.command(epoch, || ::redis::cmd("PING"), Ok, by).await.or_else(|fault| match is_of_some(&fault) {
                true => Ok(Value::Nil),
                false => Err(fault),
            })?;
        }
        for keys in all.chunks(MOST) {
            let names: Vec<&str> = commands::names(keys).collect();
            let by = by.min(Instant::now() + patience(client.server.timeout));
            let removed = self.remove(epoch, &names, by).await?;
            // Another server has taken the place of the one that confirmed them.
            if !client.server.health.is_current(epoch) {
                return Err(Fault::new(
                    ErrorKind::Unreachable,
                    Blame::Wait,
                    "another server took its place while invalidations were delivered",
                ));
            }
            client.backlog.pending.delivered(&removed.confirmed(keys.to_vec()));
            // Writes are refused for a while, everything else permanently.
            if !matches!(&refused, Some(Fault { blame: Blame::Writes, .. })) {
                refused = removed.reason().or(refused);
            }
        }
        client.backlog.pending.settle_losses(client.server.health.clock.now());
        if let Some(fault) = &refused {
            client.server.health.tell_once(&fault.error);
        }
        Ok(refused)
    }

    /// Does the same in the background: at once, and after a failure on its own thread.
    pub(crate) fn deliver_soon(&self) {
        let later = Later(Arc::clone(&self.core.client));
        if self.server().health.is_down() {
            return;
        }
        let store = self.clone();
        self.core.transport.soon(async move {
            let (_later, client) = (later, store.client());
            // After a failure, the keys stay.
            let _ = store.deliver(client.server.health.epoch(), Instant::now() + client.server.timeout).await;
        });
    }

    /// Delivers the undelivered invalidations, and retries until the deadline while the server is away.
    pub(crate) async fn flush(&self, by: Instant) -> Result<(), Error> {
        /// The pause between attempts.
        const PAUSE: Duration = Duration::from_millis(50);
        let client = self.client();
        self.flush_abandoned(by).await;
        let mut earlier = None;
        while client.backlog.pending.any() {
            let outcome = self.deliver(client.server.health.epoch(), by).await;
            if outcome.is_ok() && client.server.health.is_down() {
                self.probe(true);
            }
            let (fault, is_final) = match outcome {
                Ok(None) => continue,
                Ok(Some(refused)) => (refused, true),
                Err(fault) => (fault.clone(), fault.blame == Blame::Caller),
            };
            let left = by.saturating_duration_since(Instant::now());
            if is_final || left.is_zero() {
                // The last attempt may have had no time to find the reason.
                let is_late = fault.error.kind() == ErrorKind::Timeout;
                let fault = earlier.filter(|_| is_late).unwrap_or(fault);
                let count = client.backlog.pending.len();
                return Err(fault
                    .error
                    .with_detail(|detail| format!("{count} keys are still to be invalidated: {detail}")));
            }
            earlier = Some(fault);
            T::pause(PAUSE.min(left)).await;
        }
        Ok(())
    }
}

/// A guard that handles the remaining undelivered invalidations when it is dropped.
struct Later(Arc<Client>);

impl Drop for Later {
    fn drop(&mut self) {
        if self.0.backlog.pending.any() {
            deliverer::wake(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_stays() {
        let fault = Fault::from(&refusal());
        let removed = Removed { count: 1, refused: vec![("a".to_owned(), fault)] };
        let keys: KeptKeys = vec![("a".into(), 1), ("b".into(), 2)];
        assert_eq!(removed.confirmed(keys), [("b".into(), 2)]);
        assert_eq!(removed.refused(), HashSet::from(["a"]));
        assert!(removed.outcome().is_err_and(|fault| fault.is_denied()));
    }

    fn refusal() -> ::redis::ServerError {
        match ::redis::parse_redis_value(b"-NOPERM No permissions to access a key\r\n") {
            Ok(Value::ServerError(error)) => error,
            other => panic!("{other:?}"),
        }
    }
}
