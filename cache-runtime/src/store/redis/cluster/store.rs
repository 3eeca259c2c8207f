//! The operations of a store.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::slots::slot_of;
use super::tags::spread;
use super::{ClusterStore, NodeTransport};
use crate::error::{Error, ErrorKind};
use crate::key::{Extent, Key};
use crate::poll::join::{Job, both, join_all};
use crate::store::redis::ops::extension;
use crate::store::{
    Capabilities, EndRequest, MarkReply, Precondition, Read, ReadMode, Release, Replies, Store, TakeReply, TakeRequest,
};
use crate::stored::envelope::{self, Lease, Token};

impl<T: NodeTransport> Store for ClusterStore<T> {
    async fn read(&self, key: &Key, mode: ReadMode, by: Instant) -> Result<Read, Error> {
        if self.state().backlog.pending.any() {
            Box::pin(self.settle(key.concerned_by(), by)).await?;
        }
        if !key.tags().is_empty() {
            return Box::pin(self.read_tagged(key, mode, by)).await;
        }
        let read = self.at_slot(slot_of(key.as_str()), by, |node| node.read(key, mode, by)).await?;
        match &read.bytes {
            Some(bytes) if envelope::has_own_tags(bytes) => Box::pin(self.with_own_seal(key, read, by)).await,
            _ => Ok(read),
        }
    }

    async fn read_many(&self, keys: &[&Key], by: Instant) -> Replies<Read> {
        self.read_all(keys, by).await
    }

    async fn peek(&self, key: &Key, by: Instant) -> Result<Option<Bytes>, Error> {
        self.at_slot(slot_of(key.as_str()), by, |node| node.peek(key, by)).await
    }

    async fn stamp(&self, tags: &[String], by: Instant) -> Result<Vec<Bytes>, Error> {
        self.settle(tags.iter().map(String::as_str), by).await?;
        let stamps = self.at_slots(tags, String::as_str, by, |node, positions, by| {
            let part: Vec<String> = positions.into_iter().map(|at| tags[at].clone()).collect();
            async move { spread(node.stamp(&part, by).await, part.len()) }
        });
        stamps.await.into_iter().collect()
    }

    async fn take_many(&self, requests: &[TakeRequest<'_>], by: Instant) -> Replies<TakeReply> {
        // Possibly no read settled the invalidations of groups and tags before.
        let anything = requests.iter().filter(|request| matches!(request.precondition, Precondition::Any));
        if let Err(error) = self.settle(anything.flat_map(|request| request.key.concerned_by().skip(1)), by).await {
            return requests.iter().map(|_| Err(error.clone())).collect();
        }
        let taken = self.at_slots(
            requests,
            |request| request.key.as_str(),
            by,
            |node, positions, by| {
                let part: Vec<TakeRequest<'_>> = positions.into_iter().map(|at| requests[at].clone()).collect();
                async move { node.take_many(&part, by).await }
            },
        );
        taken.await.into_iter().collect()
    }

    async fn mark(&self, key: &Key, id: Token, lease: &Lease, force: bool, by: Instant) -> Result<MarkReply, Error> {
        if force {
            // Possibly no read settled these before.
            self.settle(key.concerned_by(), by).await?;
        }
        self.at_slot(slot_of(key.as_str()), by, |node| node.mark(key, id, lease, force, by)).await
    }

    async fn end_many(&self, requests: &[EndRequest<'_>], by: Instant) -> Replies<bool> {
        let ended = self.at_slots(
            requests,
            |request| request.key.as_str(),
            by,
            |node, positions, by| {
                let part: Vec<EndRequest<'_>> = positions.into_iter().map(|at| requests[at].clone()).collect();
                async move { node.end_many(&part, by).await }
            },
        );
        let tags = extension::needed(requests, |tag| self.known_stamp(tag)).into_iter().collect();
        let (ended, ()) = both(ended, self.keep_stamps(tags, by)).await;
        // No node was asked in the end: the leases are left.
        let left = requests
            .iter()
            .zip(&ended)
            .filter(|(_, ended)| ended.as_ref().is_err_and(|error| error.kind() == ErrorKind::Cluster));
        let left: Vec<_> = left.map(|(request, _)| (request.key.clone(), request.lease, Release::Pause(0))).collect();
        self.abandon_all(left);
        ended.into_iter().collect()
    }

    async fn renew_many(&self, leases: &[(Key, Lease)], by: Instant) -> Replies<bool> {
        let renewed = self.at_slots(
            leases,
            |(key, _)| key.as_str(),
            by,
            |node, positions, by| {
                let part: Vec<(Key, Lease)> = positions.into_iter().map(|at| leases[at].clone()).collect();
                async move { node.renew_many(&part, by).await }
            },
        );
        renewed.await.into_iter().collect()
    }

    async fn bound_many(&self, leases: &[(Key, Lease)], by: Instant) {
        let bounded = self.at_slots(
            leases,
            |(key, _)| key.as_str(),
            by,
            |node, positions, by| {
                let part: Vec<(Key, Lease)> = positions.into_iter().map(|at| leases[at].clone()).collect();
                async move {
                    node.bound_many(&part, by).await;
                    part.iter().map(|_| Ok(())).collect::<Replies<()>>()
                }
            },
        );
        drop(bounded.await);
    }

    fn abandon(&self, leases: Vec<(Key, Lease, Release)>) {
        self.abandon_all(leases);
    }

    async fn invalidate(&self, keys: &[Key], by: Instant) -> Result<u64, Error> {
        self.invalidate_all(keys, by).await
    }

    fn queue_invalidation(&self, key: &Key) {
        self.state().backlog.pending.add([key.as_str()]);
        self.deliver_soon(key);
    }

    async fn clear(&self, extent: &Extent, each: Duration) -> Result<u64, Error> {
        self.clear_extent(extent, each).await
    }

    async fn count(&self, group: &Key, most: u64, each: Duration) -> Result<u64, Error> {
        let deadline = || Instant::now() + each;
        self.settle([group.as_str()].into_iter(), deadline()).await?;
        self.in_steps_at_slot(slot_of(group.as_str()), deadline, |node| node.count(group, most, each)).await
    }

    async fn ping(&self, by: Instant) -> Result<(), Error> {
        let nodes = self.nodes(by).await?;
        let pings = nodes.into_iter().map(|node| Box::pin(node.ping(by)) as Job<'_, _>);
        join_all(pings.collect()).await.into_iter().collect()
    }

    fn refuses_writes(&self, key: &Key) -> Option<Error> {
        let state = self.state();
        let owner = state.slots.owner(slot_of(key.as_str())).and_then(|owner| state.node(owner));
        owner.and_then(|node| node.client.server.health.refuses_writes())
    }

    fn capabilities(&self, key: &Key) -> Capabilities {
        let owner = self.state().slots.owner(slot_of(key.as_str()));
        owner.and_then(|owner| self.store(owner)).map_or_else(Capabilities::default, |node| node.capabilities(key))
    }

    fn now(&self, key: &Key) -> u64 {
        let state = self.state();
        let owner = state.slots.owner(slot_of(key.as_str())).and_then(|owner| state.node(owner));
        owner.map_or(&state.clock, |node| &node.client.server.health.clock).now()
    }
}
