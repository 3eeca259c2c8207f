//! The way of operations to their nodes.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Instant;

use super::slots::slot_of;
use super::state::ClusterState;
use super::{ClusterStore, NodeTransport};
use crate::error::{Error, Redirection};
use crate::poll::join::{Job, join_all, join_on_threads};
use crate::store::redis::client::RedisStore;
use crate::store::{Replies, only};

/// The most redirections that one operation follows.
const REDIRECTIONS: usize = 5;

/// The node that an operation on a slot goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Route {
    node: u16,
    /// The slot is moving to the node, which has to be told that the request comes from the owner.
    asks: bool,
}

/// An operation on those of many slots that one node has: it gets the positions of the requests, and the deadline.
type Part<'a, 'p, T, R> = dyn Fn(&'a RedisStore<T>, Vec<usize>, Instant) -> Job<'a, Replies<R>> + Send + Sync + 'p;

impl<T: NodeTransport> ClusterStore<T> {
    /// Carries out an operation on one slot at the node that has it.
    pub(super) fn at_slot<'a, R: Send, F>(
        &'a self,
        slot: u16,
        by: Instant,
        operation: impl Fn(&'a RedisStore<T>) -> F + Send + Sync,
    ) -> impl Future<Output = Result<R, Error>> + Send
    where
        F: Future<Output = Result<R, Error>> + Send + 'a,
    {
        self.in_steps_at_slot(slot, move || by, operation)
    }

    /// Carries out an operation at the node that has this key.
    #[cfg(feature = "blocking")]
    pub(crate) fn at_slot_of<'a, R: Send, F>(
        &'a self,
        name: &str,
        by: Instant,
        operation: impl Fn(&'a RedisStore<T>) -> F + Send + Sync,
    ) -> impl Future<Output = Result<R, Error>> + Send
    where
        F: Future<Output = Result<R, Error>> + Send + 'a,
    {
        self.at_slot(slot_of(name), by, operation)
    }

    /// The number of changes of the owners of slots.
    #[cfg(feature = "inspect")]
    pub(crate) fn changes(&self) -> u64 {
        self.state().slots.changes()
    }

    /// Does the same for an operation of several steps, each of which has a deadline of its own. A step that is
    /// redirected begins the operation again.
    pub(super) async fn in_steps_at_slot<'a, R: Send, F>(
        &'a self,
        slot: u16,
        deadline: impl Fn() -> Instant + Send + Sync,
        operation: impl Fn(&'a RedisStore<T>) -> F + Send + Sync,
    ) -> Result<R, Error>
    where
        F: Future<Output = Result<R, Error>> + Send + 'a,
    {
        let by = deadline();
        self.state().refresh_if_due(by);
        let mut route = match self.state().slots.owner(slot) {
            Some(node) => Route { node, asks: false },
            None => Box::pin(self.first_route(slot, by)).await?,
        };
        let mut followed = 0;
        loop {
            let outcome = operation(self.at(route).ok_or_else(|| ClusterState::unserved(slot))?).await;
            let redirection = outcome.as_ref().err().and_then(Error::redirection);
            let by = deadline();
            let Some(redirection) = redirection.filter(|_| followed < REDIRECTIONS && Instant::now() < by) else {
                return outcome;
            };
            route = Box::pin(self.follow(route, slot, redirection, by)).await?;
            followed += 1;
        }
    }

    /// Carries out an operation on many slots: a part at each node, at the same time. `operation` gets the positions of
    /// the requests that it is for. The results have the order of the requests.
    pub(super) async fn at_slots<'a, Q: Sync, R: Send, F>(
        &'a self,
        requests: &'a [Q],
        name: impl Fn(&Q) -> &str + Send + Sync,
        by: Instant,
        operation: impl Fn(&'a RedisStore<T>, Vec<usize>, Instant) -> F + Send + Sync,
    ) -> Vec<Result<R, Error>>
    where
        F: Future<Output = Replies<R>> + Send + 'a,
    {
        if let [request] = requests {
            let only_here = |node: &'a RedisStore<T>| {
                let part = operation(node, vec![0], by);
                async move { only(part.await) }
            };
            return vec![self.at_slot(slot_of(name(request)), by, only_here).await];
        }
        let slots = requests.iter().map(|request| slot_of(name(request))).collect();
        let part = |node, positions, by| Box::pin(operation(node, positions, by)) as Job<'a, Replies<R>>;
        self.at_many_slots(slots, by, &part).await
    }

    /// The same for requests whose slots are known. It is compiled for each kind of reply, not for each operation.
    async fn at_many_slots<'a, R: Send>(
        &'a self,
        slots: Vec<u16>,
        by: Instant,
        part: &Part<'a, '_, T, R>,
    ) -> Vec<Result<R, Error>> {
        self.state().refresh_if_due(by);
        let mut results: Vec<Option<Result<R, Error>>> = slots.iter().map(|_| None).collect();
        let mut parts: BTreeMap<Route, Vec<usize>> = BTreeMap::new();
        for (at, slot) in slots.iter().enumerate() {
            match self.route(*slot, by).await {
                Ok(route) => parts.entry(route).or_default().push(at),
                Err(error) => results[at] = Some(Err(error)),
            }
        }
        let mut by = by;
        for followed in 0..=REDIRECTIONS {
            let mut sent = Vec::with_capacity(parts.len());
            parts.retain(|route, positions| {
                let node = self.at(*route);
                sent.extend(node.map(|node| part(node, positions.clone(), by)));
                node.is_some()
            });
            let received = match T::BLOCKS && sent.len() > 1 {
                true => join_on_threads(sent),
                false => join_all(sent).await,
            };
            for ((route, positions), replies) in std::mem::take(&mut parts).into_iter().zip(received) {
                for (at, reply) in positions.into_iter().zip(replies) {
                    let redirection = reply.as_ref().err().and_then(Error::redirection);
                    let Some(redirection) = redirection.filter(|_| followed < REDIRECTIONS) else {
                        results[at] = Some(reply);
                        continue;
                    };
                    match self.follow(route, slots[at], redirection, by).await {
                        Ok(next) => parts.entry(next).or_default().push(at),
                        Err(error) => results[at] = Some(Err(error)),
                    }
                }
            }
            if parts.is_empty() {
                break;
            }
            // Each round trip of an operation on many slots has a time of its own.
            by = Instant::now() + self.state().settings.timeout;
        }
        let unserved = |(result, slot): (Option<_>, &u16)| result.unwrap_or_else(|| Err(ClusterState::unserved(*slot)));
        results.into_iter().zip(&slots).map(unserved).collect()
    }

    fn at(&self, route: Route) -> Option<&RedisStore<T>> {
        let node = self.node_store(route.node)?;
        Some(if route.asks { &node.asking } else { &node.owning })
    }

    async fn route(&self, slot: u16, by: Instant) -> Result<Route, Error> {
        match self.state().slots.owner(slot) {
            Some(node) => Ok(Route { node, asks: false }),
            None => Box::pin(self.first_route(slot, by)).await,
        }
    }

    /// The route of a slot that no node is known to have: perhaps nothing is known yet. After failures to find that out, no
    /// operation waits for the next attempt, as none waits for a server whose circuit breaker is open.
    async fn first_route(&self, slot: u16, by: Instant) -> Result<Route, Error> {
        if self.state().slots.is_known() {
            self.state().refresh_soon();
        } else if let Some(failure) = self.state().refresh.hopeless(self.state().settings.breaker) {
            self.state().refresh_soon();
            return Err(failure);
        } else {
            self.first_topology(by).await?;
        }
        let owner = self.state().slots.owner(slot).ok_or_else(|| ClusterState::unserved(slot))?;
        Ok(Route { node: owner, asks: false })
    }

    /// The route that a redirection names.
    async fn follow(&self, route: Route, slot: u16, redirection: &Redirection, by: Instant) -> Result<Route, Error> {
        let state = self.state();
        let named = state.target_of(redirection, route.node);
        if !redirection.is_ask {
            if let Some(node) = named {
                state.gains(node, redirection.slot..=redirection.slot);
            }
            state.refresh_soon();
        }
        match named {
            // An answer for many slots concerns one of them.
            Some(node) if redirection.slot == slot => Ok(Route { node, asks: redirection.is_ask }),
            Some(_) if route.asks => Ok(route),
            Some(_) => self.route(slot, by).await,
            // The node does not know the other one's address; the topology may.
            None => {
                self.refreshed(by).await?;
                self.route(slot, by).await
            }
        }
    }
}
