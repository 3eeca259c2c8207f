//! Reads. A bare read of one slot has a lane of its own; every other read goes through a [`ReadPlan`].

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

use ::redis::{Pipeline, Value};
use bytes::Bytes;

use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::store::redis::client::RedisStore;
use crate::store::redis::ops::commands;
use crate::store::redis::ops::delivery;
use crate::store::redis::ops::each::Gathered;
use crate::store::redis::ops::read_plan::{ReadPlan, seal};
use crate::store::redis::ops::stamps;
use crate::store::redis::request::{Load, Reply, Request};
use crate::store::redis::server::Server;
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::{Blame, Fault};
use crate::store::redis::server::features::Features;
use crate::store::redis::server::greeting::name_of_role;
use crate::store::redis::transport::Transport;
use crate::store::{MOST, Read, ReadMode, Replies, Results, Times, only, own_tags};
use crate::stored::envelope::{self, Seal};

impl<T: Transport> RedisStore<T> {
    /// Reads one slot. The fast lane is one `GET`, perhaps coalesced with others. It is not for entries with tags, whose
    /// stamps are read along, and not for the read that asks for the server's role.
    pub(crate) async fn read_one(&self, key: &Key, mode: ReadMode, by: Instant) -> Result<Read, Error> {
        let epoch = self.admit()?;
        let client = self.client();
        if client.backlog.pending.any() {
            // Rare paths are boxed, because each call carries its futures along.
            Box::pin(self.settle(epoch, key.concerned_by(), by)).await.map_err(|fault| self.reported_error(fault))?;
        }
        let is_bare = mode == ReadMode::Shared && self.tags_here(key).is_empty() && !client.server.lacks_some();
        // Only the read that claims the role check makes it.
        let checks_role = is_bare && client.server.claims_role_check(by);
        if !is_bare || checks_role {
            return only(Box::pin(self.read_settled(epoch, &[key], ReadMode::Exact, checks_role, by)).await?);
        }
        let decode = |reply| commands::slot(reply, || client.server.health.clock.now());
        let load = client.sizes.reading(key);
        if load.is_too_large {
            return Err(too_large());
        }
        let bytes = self.exchange_read(epoch, load, key, decode, by).await;
        let bytes = bytes.map_err(|fault| self.read_failed(fault, &[key]))?;
        client.sizes.found(key, bytes.as_ref().map_or(0, Bytes::len));
        let mut read = Read::untagged(bytes, self.times(by));
        if has_own_tags(&read) && !self.is_node() {
            read.own_seal = Box::pin(self.own_seal(epoch, key, &read, by)).await?;
        }
        Ok(read)
    }

    /// The error of a read.
    fn read_failed(&self, fault: Fault, keys: &[&Key]) -> Error {
        self.note_large(&fault, keys.iter().copied());
        let name = keys.first().map_or("", |key| key.as_str());
        self.reported_error(fault.about(name))
    }

    /// If a large value kept the reply waiting, the values of these keys are large from now on, and those of the function
    /// whose value it was are not read for a while.
    pub(crate) fn note_large<'k>(&self, fault: &Fault, keys: impl Iterator<Item = &'k Key>) {
        let Blame::Large(length) = fault.blame else { return };
        let keys: Vec<Key> = keys.cloned().collect();
        keys.iter().for_each(|key| self.client().sizes.timed_out(key));
        let store = self.clone();
        self.core.transport.background(async move { store.find_too_large(keys, length).await });
    }

    /// Finds out which of the keys holds a value of this length.
    async fn find_too_large(&self, keys: Vec<Key>, length: u64) {
        for keys in keys.chunks(MOST) {
            let mut pipeline = Pipeline::with_capacity(keys.len());
            for key in keys {
                pipeline.add_command(commands::length(key));
            }
            let build = |_: Features| Request::Many(pipeline.clone());
            let by = Instant::now() + self.server().timeout;
            let read = |reply: Reply| Ok(reply.all());
            // A reply that is missing leaves the keys as they are: the next time-out asks again.
            let Ok(lengths) = self.exchange(self.server().health.epoch(), build, read, by).await else { return };
            let found = keys.iter().zip(lengths).find(|(_, held)| *held == Value::Int(length as i64));
            if let Some((key, _)) = found
                && self.client().sizes.is_too_large(key)
            {
                self.server().health.tell_too_large(length);
                return;
            }
        }
    }

    /// The times of a reply that has arrived, to an operation with this deadline. If invalidations were lost, the horizon
    /// is known now that the server answers, and it holds for this reply.
    pub(crate) fn times(&self, by: Instant) -> Times {
        let (clock, pending) = (&self.server().health.clock, &self.client().backlog.pending);
        if pending.any() {
            pending.settle_losses(clock.now());
        }
        Times { latest: clock.at(by), not_before: pending.not_before() }
    }

    pub(crate) async fn read_all(&self, keys: &[&Key], mut by: Instant) -> Replies<Read> {
        let mut reads = Gathered::new(keys.len());
        for part in keys.chunks(MOST) {
            let outcome = match self.admit() {
                Ok(epoch) => self.read_part(epoch, part, by).await,
                Err(error) => Err(error),
            };
            if !reads.add(outcome) {
                break;
            }
            by = self.part_deadline();
        }
        reads.replies()
    }

    /// Invalidations that concern a key may have to be delivered first; where that is refused, the key alone is not
    /// read.
    async fn read_part(&self, epoch: Epoch, keys: &[&Key], by: Instant) -> Result<Replies<Read>, Error> {
        let pending = &self.client().backlog.pending;
        if !pending.any() || self.is_node() {
            return self.read_settled(epoch, keys, ReadMode::Shared, false, by).await;
        }
        let settled = self.settle(epoch, keys.iter().flat_map(|key| key.concerned_by()), by).await;
        let refused = match settled {
            Ok(()) => None,
            Err(fault) if delivery::is_of_some(&fault) => Some(self.reported_error(fault)),
            Err(fault) => return Err(self.reported_error(fault)),
        };
        let is_voided: Vec<bool> = keys.iter().map(|key| refused.is_some() && self.is_voided(key)).collect();
        let read: Vec<&Key> =
            keys.iter().zip(&is_voided).filter(|(_, voided)| !**voided).map(|(key, _)| *key).collect();
        let reads = match read.is_empty() {
            true => Results::Many(Vec::new()),
            false => self.read_settled(epoch, &read, ReadMode::Shared, false, by).await?,
        };
        let error = refused.unwrap_or_else(|| Error::new(ErrorKind::Protocol, ""));
        let mut reads = reads.into_iter();
        let results = is_voided.into_iter().map(|voided| if voided { None } else { reads.next() });
        Ok(results.map(|read| read.unwrap_or_else(|| Err(error.clone()))).collect())
    }

    /// Reads slots, and in the same round trip the stamps of their tags, and the server's role if that is due.
    async fn read_settled(
        &self,
        epoch: Epoch,
        keys: &[&Key],
        mode: ReadMode,
        checks_role: bool,
        by: Instant,
    ) -> Result<Replies<Read>, Error> {
        let client = self.client();
        let checks_role = checks_role || client.server.claims_role_check(by);
        let plan = match (mode, keys) {
            (ReadMode::Exact, [key]) => ReadPlan::One(key, self.tags_here(key)),
            _ => ReadPlan::many(keys, self.is_node()),
        };
        // The number of commands depends on the server's features.
        let sent_with = AtomicU32::new(0);
        let build = |features: Features| {
            sent_with.store(features.bits(), Relaxed);
            let mut pipeline = Pipeline::new();
            plan.add_to(features, &mut pipeline);
            if checks_role {
                pipeline.cmd("ROLE").cmd("TIME");
            }
            commands::request(pipeline)
        };
        let read = |reply: Reply| {
            let sent = reply.sent();
            let mut replies = reply.all();
            let last = replies.split_off(replies.len().saturating_sub(if checks_role { 2 } else { 0 }));
            let features = Features::from_bits(sent_with.load(Relaxed));
            let reads = plan.reads(features, replies, || client.server.health.clock.now())?;
            if checks_role {
                note_role(&client.server, last, sent, self.is_node())?;
            }
            Ok(reads)
        };
        // Usually all keys are of one function, so the first one decides.
        let load = keys.first().map_or(Load::default(), |key| client.sizes.reading(key));
        if load.is_too_large {
            return Err(too_large());
        }
        let outcome = self.exchange_of(epoch, load, build, read, by).await;
        let outcome = match outcome {
            // The retry avoids the features that are now known to be refused.
            Err(fault) if fault.is_denied() && mode == ReadMode::Shared => {
                self.exchange_of(epoch, load, build, read, by).await
            }
            outcome => outcome,
        };
        let mut reads = outcome.map_err(|fault| self.read_failed(fault, keys))?;
        let times = self.times(by);
        reads.iter_mut().flatten().for_each(|read| read.times = times);
        let sizes = reads.iter().flatten().map(|read| read.bytes.as_ref().map_or(0, Bytes::len));
        client.sizes.found_all(keys.iter().copied().zip(sizes));
        if !self.is_node() {
            self.add_own_seals(epoch, keys, &mut reads, by).await?;
        }
        Ok(reads)
    }

    /// Reads the stamps of the tags that values have of their own.
    async fn add_own_seals(
        &self,
        epoch: Epoch,
        keys: &[&Key],
        reads: &mut Replies<Read>,
        by: Instant,
    ) -> Result<(), Error> {
        match reads {
            Results::One(Ok(read)) if has_own_tags(read) => {
                read.own_seal = self.own_seal(epoch, keys[0], read, by).await?;
            }
            Results::Many(reads) if reads.iter().flatten().any(has_own_tags) => {
                self.add_many_own_seals(epoch, keys, reads, by).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The seal of the tags that a value has of its own. A tag whose invalidation is still to be delivered has none.
    async fn own_seal(&self, epoch: Epoch, key: &Key, read: &Read, by: Instant) -> Result<Option<Seal>, Error> {
        let tags = own_tags(key, read.bytes.as_deref().unwrap_or_default());
        if tags.is_empty() {
            return Ok(Some(Seal::default()));
        }
        if !self.client().backlog.pending.find_all(tags.iter().map(String::as_str)).is_empty() {
            return Ok(None);
        }
        let build = |features| {
            let mut pipeline = Pipeline::new();
            stamps::add_stamps(features, &tags, &mut pipeline);
            commands::request(pipeline)
        };
        let seal = |reply: Reply| stamps::seal(&tags, reply.all().into_iter());
        self.exchange(epoch, build, seal, by).await.map_err(|fault| self.reported_error(fault))
    }

    /// Does the same for many values.
    async fn add_many_own_seals(
        &self,
        epoch: Epoch,
        keys: &[&Key],
        reads: &mut [Result<Read, Error>],
        by: Instant,
    ) -> Result<(), Error> {
        let client = self.client();
        let own: Vec<Vec<String>> = keys
            .iter()
            .zip(&*reads)
            .map(|(key, read)| {
                read.as_ref()
                    .map_or_else(|_| Vec::new(), |read| own_tags(key, read.bytes.as_deref().unwrap_or_default()))
            })
            .collect();
        let tags: BTreeMap<&String, ()> = own.iter().flatten().map(|tag| (tag, ())).collect();
        let tags: Vec<&String> = tags.into_keys().collect();
        let mut stamps: HashMap<&String, Value> = HashMap::new();
        for part in tags.chunks(MOST) {
            let build = |features| {
                let mut pipeline = Pipeline::new();
                stamps::add_stamps(features, part.iter().copied(), &mut pipeline);
                commands::request(pipeline)
            };
            let read = |reply: Reply| stamps::stamps_of(part.iter().copied(), reply.all());
            let found = self.exchange(epoch, build, read, by).await;
            stamps.extend(part.iter().copied().zip(found.map_err(|fault| self.reported_error(fault))?));
        }
        // A tag whose invalidation is still to be delivered counts for nothing.
        for (tag, _) in client.backlog.pending.find_all(tags.iter().map(|tag| tag.as_str())) {
            stamps.remove(&String::from(tag));
        }
        for (read, own) in reads.iter_mut().zip(&own) {
            if let Ok(read) = read {
                read.own_seal = seal(own, &stamps);
            }
        }
        Ok(())
    }
}

/// The values of a function are not read for a while.
fn too_large() -> Error {
    Error::new(ErrorKind::Timeout, "its values take longer to read than the time-out").of_one_call()
}

fn has_own_tags(read: &Read) -> bool {
    read.bytes.as_deref().is_some_and(envelope::has_own_tags)
}

/// Checks the replies to `ROLE` and `TIME`: a replica may lag its master. In a cluster, a replica serves no reads.
fn note_role(server: &Server, replies: Vec<Value>, sent: Option<Instant>, is_node: bool) -> Result<(), Fault> {
    let mut replies = replies.into_iter();
    let role = replies.next().unwrap_or_default();
    if name_of_role(&role) == Some("slave") && !is_node {
        return Err(Fault::replica());
    }
    if let (Some(time), Some(sent)) = (replies.next(), sent) {
        server.note_time(&time, sent);
    }
    Ok(())
}

#[cfg(all(test, feature = "tokio", feature = "blocking"))]
mod tests {
    use test_support::{PATIENCE, Server as RealServer};

    use super::*;
    use crate::key::KeyWriter;
    use crate::poll::block_on::block_on;
    use crate::store::redis::Redis;
    use crate::store::redis::settings::Settings;
    use crate::store::url::{Target, parse};
    use crate::store::{Precondition, Store, TakeReply};
    use crate::stored::envelope::{Lease, Token};

    #[derive(Clone, Copy, Debug)]
    enum Kind {
        Shared,
        Exact,
        Many,
        Take,
    }

    /// The times of the first reply from a server that is back, after more invalidations failed than are kept.
    async fn first_times<T: Transport>(store: &RedisStore<T>, kind: Kind) -> Times {
        let names: Vec<String> = (0..=65_536).map(|number| format!("lost:{number}")).collect();
        let (pending, by) = (&store.client().backlog.pending, Instant::now() + PATIENCE);
        pending.add(names.iter().map(String::as_str));
        pending.delivered(&pending.all());
        let key = KeyWriter::new("", "found").finish().expect("a key");
        let lease = || Lease::new(Token::random().expect("randomness"), Seal::default(), 60_000);
        let held = store.take(&key, &lease(), &Precondition::Any, by).await;
        assert!(matches!(held, Ok(TakeReply::Taken)), "{held:?}");
        let read = match kind {
            Kind::Shared => store.read(&key, ReadMode::Shared, by).await,
            Kind::Exact => store.read(&key, ReadMode::Exact, by).await,
            Kind::Many => store.read_many(&[&key], by).await.only().expect("one result"),
            Kind::Take => match store.take(&key, &lease(), &Precondition::Empty, by).await {
                Ok(TakeReply::Held(read)) => Ok(read),
                other => panic!("{other:?}"),
            },
        };
        read.expect("the server answers").times
    }

    #[test]
    fn the_first_reply_has_the_horizon_of_lost_invalidations() {
        let server = RealServer::start();
        let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        for kind in [Kind::Shared, Kind::Exact, Kind::Many, Kind::Take] {
            let redis = || match parse(&server.url()) {
                Ok(Target::Redis(target)) => Redis::new(*target, &Settings::with_timeout(PATIENCE)),
                other => panic!("{other:?}"),
            };
            let (one, other) = (redis(), redis());
            let times =
                [block_on(first_times(one.blocking(), kind)), runtime.block_on(first_times(other.tokio(), kind))];
            let key = KeyWriter::new("", "found").finish().expect("a key");
            assert!(times.iter().all(|times| times.not_before > one.blocking().now(&key)), "{kind:?}: {times:?}");
        }
    }
}
