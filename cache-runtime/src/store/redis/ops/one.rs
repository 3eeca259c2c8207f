//! The operations of a store on one slot each.

use std::future::Future;
use std::time::{Duration, Instant};

use ::redis::{Pipeline, Value};
use bytes::Bytes;

use crate::error::{Error, ErrorKind};
use crate::key::{Extent, Key};
use crate::plan::ttl::Ttl;
use crate::store::redis::client::RedisStore;
use crate::store::redis::client::sizes::Sizes;
use crate::store::redis::ops::commands::{self, FillMethod, truth};
use crate::store::redis::ops::scripts::Form;
use crate::store::redis::request::{Reply, Request, checked};
use crate::store::redis::server::Server;
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::{Blame, Denied, Fault};
use crate::store::redis::server::features::Features;
use crate::store::redis::server::greeting::name_of_role;
use crate::store::redis::transport::Transport;
use crate::store::{
    EndRequest, MarkReply, Precondition, Read, Release, STAMP_MILLIS, Store, TakeReply, TakeRequest, own_tags,
};
use crate::stored::envelope::{Lease, LeasePlace, Seal, Token};

/// Keys that are kept for later unless the server confirms their invalidation.
struct Undelivered<'a, T: Transport> {
    store: &'a RedisStore<T>,
    keys: Vec<&'a str>,
}

impl<T: Transport> Drop for Undelivered<'_, T> {
    fn drop(&mut self) {
        if !self.keys.is_empty() {
            self.store.keep(self.keys.iter().copied());
        }
    }
}

impl<T: Transport> Store for RedisStore<T> {
    fn read(&self, key: &Key, by: Instant) -> impl Future<Output = Result<Read, Error>> + Send {
        self.read_slot(key, false, by)
    }

    fn read_strictly(&self, key: &Key, by: Instant) -> impl Future<Output = Result<Read, Error>> + Send {
        self.read_slot(key, true, by)
    }

    async fn peek(&self, key: &Key, by: Instant) -> Result<Option<Bytes>, Error> {
        let epoch = self.admit()?;
        let build = |features, form| commands::peek(features, form, key);
        let read = |reply| match reply {
            Value::BulkString(bytes) => Ok(Some(Bytes::from(bytes))),
            Value::Nil => Ok(None),
            _ => Err(Fault::unexpected("GETRANGE")),
        };
        let peeked = self
            .scripted(epoch, |_, command| Request::One(command), build, read, by)
            .await
            .map_err(|fault| self.reported_error(fault.about(key.as_str())))?;
        // A slot without content has an empty range.
        Ok(peeked.filter(|bytes| !bytes.is_empty()))
    }

    async fn stamp(&self, tags: &[String], by: Instant) -> Result<Vec<Bytes>, Error> {
        let epoch = self.admit_write()?;
        self.settle(epoch, tags.iter().map(String::as_str), by).await.map_err(|fault| self.reported_error(fault))?;
        let new: Vec<Token> = tags.iter().map(|_| Token::random()).collect::<Option<_>>().ok_or_else(Token::none)?;
        let mut form = Form::Hash;
        let outcome = loop {
            // This is sent once: a late first copy would bring back a stamp that was removed.
            let build = |features| {
                let mut pipeline = Pipeline::with_capacity(tags.len() + 1);
                for (tag, new) in tags.iter().zip(&new) {
                    pipeline.add_command(commands::stamp(features, form, tag, *new, STAMP_MILLIS));
                }
                pipeline.cmd("TIME");
                Request::ManyOnce(pipeline)
            };
            let read = |reply: Reply| {
                let replies = self.server().all_of(reply).into_iter();
                let stamps = replies.zip(&new).zip(tags).map(|((held, new), tag)| match checked(held) {
                    Ok(Value::Nil) => Ok(Bytes::copy_from_slice(new.bytes())),
                    Ok(Value::BulkString(held)) => Ok(Bytes::from(held)),
                    Ok(_) => Err(Fault::unexpected("SET")),
                    Err(fault) => Err(fault.about(tag)),
                });
                stamps.collect::<Result<Vec<_>, _>>()
            };
            let outcome = self.exchange(epoch, build, read, by).await;
            match &outcome {
                Err(fault) if form == Form::Hash && fault.blame == Blame::Script => form = Form::Text,
                // The server does not do what its version promised: it is another one that speaks the protocol.
                Err(fault) if form == Form::Hash && fault.is_of_form() => {
                    self.deny(Features::SET_NX_GET);
                    form = Form::Text;
                }
                _ => break outcome,
            }
        };
        self.written(outcome)
    }

    async fn take(
        &self,
        key: &Key,
        lease: &Lease,
        precondition: &Precondition,
        by: Instant,
    ) -> Result<TakeReply, Error> {
        let epoch = self.admit_write()?;
        self.may_end(key, lease.place())?;
        let settled = match precondition {
            Precondition::Any => {
                // This settles the invalidations of the group, because possibly no read did so before. The entry was
                // stamped after those of its tags.
                let settled = self.settle(epoch, key.concerned_by().skip(1), by).await;
                settled.map_err(|fault| self.reported_error(fault))?;
                // The take removes the old content, which is the effect of these invalidations.
                self.client().pending.find_all([key.as_str()])
            }
            Precondition::Empty | Precondition::Unchanged(_) => Vec::new(),
        };
        let build = |features, form| commands::take(features, form, key, lease, precondition);
        let read = |reply| commands::taken(precondition, reply, || self.server().health.clock.now());
        let mut outcome = self.scripted(epoch, Server::timed_once, build, read, by).await;
        if outcome.as_ref().is_err_and(Fault::is_of_form) && matches!(precondition, Precondition::Empty) {
            // The server does not do what its version promised: it is another one that speaks the protocol.
            self.deny(Features::SET_NX_GET);
            outcome = self.scripted(epoch, Server::timed_once, build, read, by).await;
        }
        if outcome.is_ok() {
            self.client().pending.delivered(&settled);
        }
        self.granted(key, lease, outcome)
    }

    fn may_take_first(&self, key: &Key) -> bool {
        let client = self.client();
        // A read also fetches stamps and handles undelivered invalidations, and large values have a connection of their
        // own. Without the right to end a lease, none is requested.
        key.tags().is_empty()
            && !client.pending.concerns(key.concerned_by())
            && !client.sizes.reading(key).is_large
            && !client.server.lacks_some()
    }

    fn shares_reads(&self, key: &Key) -> bool {
        // Stamps of tags are read along with their entry.
        T::SHARES_READS && key.tags().is_empty()
    }

    async fn mark(&self, key: &Key, id: Token, lease: &Lease, force: bool, by: Instant) -> Result<MarkReply, Error> {
        debug_assert_eq!(lease.place(), LeasePlace::Value);
        let epoch = self.admit_write()?;
        self.may_end(key, lease.place())?;
        if force {
            // Possibly no read settled these before.
            self.settle(epoch, key.concerned_by(), by).await.map_err(|fault| self.reported_error(fault))?;
        }
        let build = |features, form| commands::mark(features, form, key, id, lease, force);
        let outcome = self.scripted(epoch, Server::timed_once, build, commands::marked, by).await;
        match outcome {
            // Nothing was written, so this says nothing about writes.
            Ok(marked @ (MarkReply::Until(_) | MarkReply::Changed)) => Ok(marked),
            outcome => self.granted(key, lease, outcome),
        }
    }

    async fn fill(&self, key: &Key, lease: &Lease, value: Bytes, ttl: Ttl, by: Instant) -> Result<bool, Error> {
        // An invalidation that did not arrive still voids what was computed before it.
        if self.is_voided(key) {
            self.abandon(key, lease, Release::Pause(0));
            return Ok(false);
        }
        let outcome = match self.admit_write() {
            Ok(epoch) => self.written(self.fill_by_size(epoch, key, lease, &value, ttl, by).await),
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            // The fill may have arrived, or may still arrive: once the lease is gone it stores nothing.
            self.abandon_in_background(key, lease, Release::Pause(0));
        }
        outcome
    }

    async fn renew(&self, key: &Key, lease: &Lease, by: Instant) -> Result<bool, Error> {
        let epoch = self.admit()?;
        let build = |features, form| commands::renew(features, form, key, lease);
        self.scripted(epoch, Server::timed, build, truth, by).await.map_err(|fault| self.reported_error(fault))
    }

    async fn release(&self, key: &Key, lease: &Lease, release: Release, by: Instant) -> Result<bool, Error> {
        let epoch = self.admit()?;
        // This sends the text: a server that does not know the hash yet would be asked twice, and a retry on the same
        // connection might overtake the second request.
        let build = |features| self.server().timed(commands::release(features, Form::Text, key, lease, release));
        let read = |reply: Reply| truth(self.server().first_of(reply)?);
        self.exchange(epoch, build, read, by).await.map_err(|fault| self.reported_error(fault))
    }

    async fn invalidate(&self, keys: &[Key], by: Instant) -> Result<u64, Error> {
        if keys.is_empty() {
            return Ok(0);
        }
        let pending = &self.client().pending;
        let earlier = pending.find_all(keys.iter().map(Key::as_str));
        // This also works if the future is dropped.
        let mut undelivered = Undelivered { store: self, keys: keys.iter().map(Key::as_str).collect() };
        let epoch = self.server().health.epoch();
        let removed = self.remove(epoch, &undelivered.keys, by).await.map_err(|fault| self.reported_error(fault))?;
        undelivered.keys.retain(|name| removed.is_refused(name));
        pending.delivered(&removed.confirmed(earlier));
        if self.server().health.is_down() {
            self.probe(true);
        }
        drop(undelivered);
        removed.outcome().map_err(|fault| self.reported_error(fault))
    }

    async fn read_many(&self, keys: &[&Key]) -> Vec<Result<Read, Error>> {
        self.read_all(keys).await
    }

    async fn take_many(&self, slots: &[TakeRequest<'_>]) -> Vec<Result<TakeReply, Error>> {
        self.take_all(slots).await
    }

    async fn end_many(&self, slots: &[EndRequest<'_>]) -> Vec<Result<bool, Error>> {
        self.end_all(slots).await
    }

    async fn renew_many(&self, leases: &[(Key, Lease)]) -> Vec<Result<bool, Error>> {
        self.renew_all(leases).await
    }

    async fn count(&self, group: &Key, by: Instant) -> Result<u64, Error> {
        let epoch = self.admit()?;
        self.settle(epoch, [group.as_str()].into_iter(), by).await.map_err(|fault| self.reported_error(fault))?;
        let build = |features, form| commands::in_hash(features, form, group, "count", &[]);
        let read = |reply| match reply {
            Value::Int(count) => Ok(u64::try_from(count).unwrap_or(0)),
            _ => Err(Fault::unexpected("a script")),
        };
        self.scripted(epoch, Server::timed, build, read, by).await.map_err(|fault| self.reported_error(fault))
    }

    async fn clear(&self, extent: &Extent, each: Duration) -> Result<u64, Error> {
        self.clear_extent(extent, each).await
    }

    async fn ping(&self, by: Instant) -> Result<(), Error> {
        let epoch = self.admit()?;
        let read = |value| match value {
            Value::SimpleString(_) | Value::BulkString(_) => Ok(()),
            _ => Err(Fault::unexpected("PING")),
        };
        self.command(epoch, || ::redis::cmd("PING"), read, by).await.map_err(|fault| self.reported_error(fault))
    }

    fn abandon(&self, key: &Key, lease: &Lease, release: Release) {
        self.abandon_all(vec![(key.clone(), *lease, release)], false);
    }

    fn abandon_many(&self, leases: Vec<(Key, Lease, Release)>) {
        self.abandon_all(leases, false);
    }

    fn queue_invalidation(&self, key: &Key) {
        self.client().pending.add([key.as_str()]);
        self.deliver_soon();
    }

    fn at(&self, time: Instant) -> u64 {
        self.server().health.clock.at(time)
    }

    fn not_before(&self) -> u64 {
        self.client().pending.not_before()
    }
}

impl<T: Transport> RedisStore<T> {
    /// `is_strict`: see [`Store::read_strictly`].
    async fn read_slot(&self, key: &Key, is_strict: bool, by: Instant) -> Result<Read, Error> {
        let epoch = self.admit()?;
        let client = self.client();
        if client.pending.any() {
            Box::pin(self.settle(epoch, key.concerned_by(), by)).await.map_err(|fault| self.reported_error(fault))?;
        }
        let checks_role = client.server.claims_role_check(by);
        let outcome = if checks_role || !key.tags().is_empty() {
            // Rare paths are boxed, because each call carries its futures along.
            Box::pin(self.read_and_more(epoch, key, checks_role, by)).await
        } else {
            let read = |reply| commands::slot(reply, || client.server.health.clock.now());
            let load = client.sizes.reading(key);
            let bytes = match is_strict || client.server.lacks_some() {
                false => self.exchange_read(epoch, load, key, read, by).await,
                true => {
                    let build = |features| Request::One(commands::read(features, key));
                    Box::pin(self.exchange_of(epoch, load, build, |reply| read(reply.one()?), by)).await
                }
            };
            bytes.map(Read::untagged)
        };
        let read = outcome.map_err(|fault| self.reported_error(fault.about(key.as_str())))?;
        if client.pending.any() {
            client.pending.settle_losses(client.server.health.clock.now());
        }
        client.sizes.found(key, read.bytes.as_ref().map_or(0, Bytes::len));
        let own_tags = own_tags(key, read.bytes.as_deref().unwrap_or_default());
        if own_tags.is_empty() {
            return Ok(read);
        }
        let own_seal =
            Box::pin(self.seal_of(epoch, &own_tags, by)).await.map_err(|fault| self.reported_error(fault))?;
        Ok(Read { own_seal, ..read })
    }

    /// Returns true if something that concerns the entry is still to be invalidated.
    pub(crate) fn is_voided(&self, key: &Key) -> bool {
        let pending = &self.client().pending;
        pending.any() && !pending.find_all(key.concerned_by()).is_empty()
    }

    /// Does [`Store::abandon`] after a failure: the caller has already lost its time to the server, and loses no more.
    pub(crate) fn abandon_in_background(&self, key: &Key, lease: &Lease, release: Release) {
        self.abandon_all(vec![(key.clone(), *lease, release)], true);
    }

    /// A slot that is not given back makes all callers wait until its lease ends, so it is emptied like an invalidated
    /// one; a value that is known to be out of date is treated alike. Any other mark in a value ends by itself.
    pub(crate) fn keep_abandoned(&self, key: &Key, lease: &Lease, release: Release) {
        if lease.place() == LeasePlace::Slot || release == Release::Remove {
            self.keep_if_room(key.as_str());
        }
    }

    /// Reads the slot, and in the same round trip the stamps of the entry's tags, and the server's role.
    async fn read_and_more(&self, epoch: Epoch, key: &Key, checks_role: bool, by: Instant) -> Result<Read, Fault> {
        let client = self.client();
        let build = |features| {
            let mut pipeline = Pipeline::with_capacity(4);
            pipeline.add_command(commands::read(features, key));
            // The stamps follow the read: a lease that was granted in between must not look older than its stamps, and
            // be displaced.
            commands::add_stamps(features, key.tags(), &mut pipeline);
            if checks_role {
                pipeline.cmd("ROLE").cmd("TIME");
            }
            commands::request(pipeline)
        };
        let read = |reply: Reply| {
            let sent = reply.sent();
            let mut replies = reply.all().into_iter();
            let bytes =
                commands::slot(checked(replies.next().unwrap_or_default())?, || client.server.health.clock.now());
            let role_at = replies.len().saturating_sub(if checks_role { 2 } else { 0 });
            let seal = commands::seal(key.tags(), replies.by_ref().take(role_at))?;
            if checks_role {
                if name_of_role(&replies.next().unwrap_or_default()) == Some("slave") {
                    return Err(Fault::replica());
                }
                if let (Some(time), Some(sent)) = (replies.next(), sent) {
                    client.server.note_time(&time, sent);
                }
            }
            Ok(Read { seal, ..Read::untagged(bytes?) })
        };
        self.exchange_of(epoch, client.sizes.reading(key), build, read, by).await
    }

    /// The seal of tags that a value has of its own. A tag whose invalidation is still to be delivered has none.
    async fn seal_of(&self, epoch: Epoch, tags: &[String], by: Instant) -> Result<Option<Seal>, Fault> {
        if !self.client().pending.find_all(tags.iter().map(String::as_str)).is_empty() {
            return Ok(None);
        }
        let build = |features| {
            let mut pipeline = Pipeline::new();
            commands::add_stamps(features, tags, &mut pipeline);
            commands::request(pipeline)
        };
        self.exchange(epoch, build, |reply: Reply| commands::seal(tags, reply.all().into_iter()), by).await
    }

    pub(crate) async fn fill_by_size(
        &self,
        epoch: Epoch,
        key: &Key,
        lease: &Lease,
        value: &[u8],
        ttl: Ttl,
        by: Instant,
    ) -> Result<bool, Fault> {
        let mut tags = own_tags(key, value);
        tags.extend_from_slice(key.tags());
        let now = self.server().health.clock.now();
        // The server's features decide, unless that was tried.
        let attempt = async |method: Option<FillMethod>, form: Form| {
            let build = |features: Features| {
                let method = method.unwrap_or_else(|| FillMethod::of(features, key, lease, value));
                let mut requests = commands::fill(features, form, method, (key, lease), value, ttl, now);
                requests.extend(tags.iter().map(|tag| commands::keep_stamp(features, tag, ttl)));
                commands::request_of(requests)
            };
            let read = |reply: Reply| {
                let mut replies = reply.all();
                replies.truncate(replies.len().saturating_sub(tags.len()));
                // The reply to a staged write comes first, and may be an error, too.
                let last = replies.pop().unwrap_or_default();
                replies.into_iter().try_for_each(|reply| checked(reply).map(drop))?;
                commands::filled(last)
            };
            self.exchange_of(epoch, Sizes::writing(value.len()), build, read, by).await
        };
        let outcome = attempt(None, Form::Hash).await;
        let Err(fault) = &outcome else { return outcome };
        // This guess holds unless the connection was made anew meanwhile: then nothing was staged, and the script
        // notices that.
        let large = FillMethod::of(self.server().allowed(Features::default()), key, lease, value) == FillMethod::Ahead;
        match (fault.blame, fault.error.kind()) {
            (Blame::Script, _) if large => {
                let build = |_| self.server().timed(commands::move_ahead(Form::Text, key, lease, ttl));
                let read = |reply: Reply| commands::filled(self.server().first_of(reply)?);
                return self.exchange(epoch, build, read, by).await;
            }
            (Blame::Script, _) => {}
            (Blame::Command, ErrorKind::Protocol) => {
                if lease.place() == LeasePlace::Slot {
                    self.deny(Features::SET_IFEQ);
                }
            }
            // The user is confined to a pattern of keys that excludes the staged key, or lacks the right to move it.
            (Blame::Denied(_), _) if large => {}
            (Blame::Denied(Denied::Command(Some(Features::EVALSHA))), _) => {}
            _ => return outcome.map_err(|fault| fault.about(key.as_str())),
        }
        attempt(Some(FillMethod::Inline), Form::Text).await.map_err(|fault| fault.about(key.as_str()))
    }
}
