//! The operations of a store: those on slots are in `read`, `lease` and `fill`, for one slot and for many.

use std::collections::HashSet;
use std::future::Future;
use std::time::{Duration, Instant};

use ::redis::{Pipeline, Value};
use bytes::Bytes;

use crate::error::Error;
use crate::key::{Extent, Key};
use crate::store::redis::client::RedisStore;
use crate::store::redis::ops::commands;
use crate::store::redis::ops::scripts::Form;
use crate::store::redis::ops::stamps;
use crate::store::redis::request::{Reply, Request, checked};
use crate::store::redis::server::fault::{Blame, Fault};
use crate::store::redis::server::features::Features;
use crate::store::redis::transport::Transport;
use crate::store::{
    Capabilities, EndRequest, MarkReply, Read, ReadMode, Release, Replies, STAMP_MILLIS, Store, TakeReply, TakeRequest,
};
use crate::stored::envelope::{Lease, Token};

/// Keys that are kept for later unless the server confirms their invalidation.
struct Undelivered<'a, T: Transport> {
    store: &'a RedisStore<T>,
    keys: Vec<&'a str>,
}

impl<T: Transport> Undelivered<'_, T> {
    /// The first keys were reached, and only these of them were refused.
    fn confirm(&mut self, reached: usize, refused: &HashSet<&str>) {
        let mut at = 0;
        self.keys.retain(|name| {
            at += 1;
            at > reached || refused.contains(name)
        });
    }
}

impl<T: Transport> Drop for Undelivered<'_, T> {
    fn drop(&mut self) {
        if !self.keys.is_empty() {
            self.store.keep(self.keys.iter().copied());
        }
    }
}

impl<T: Transport> Store for RedisStore<T> {
    fn read(&self, key: &Key, mode: ReadMode, by: Instant) -> impl Future<Output = Result<Read, Error>> + Send {
        self.read_one(key, mode, by)
    }

    async fn read_many(&self, keys: &[&Key], by: Instant) -> Replies<Read> {
        self.read_all(keys, by).await
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
        let sent = Instant::now();
        let outcome = loop {
            // This is sent once: a late first copy would bring back a stamp that was removed.
            let build = |features| {
                let mut pipeline = Pipeline::with_capacity(tags.len() + 1);
                for (tag, new) in tags.iter().zip(&new) {
                    pipeline.add_command(stamps::take_stamp(features, form, tag, *new, STAMP_MILLIS));
                }
                pipeline.cmd("TIME");
                Request::ManyOnce(pipeline)
            };
            let read = |reply: Reply| {
                let replies = self.server().all_of(reply).into_iter();
                let stamps = replies.zip(&new).zip(tags).map(|((held, new), tag)| match checked(held) {
                    Ok(Value::Nil) => {
                        self.note_stamp((epoch, sent), tag, new.bytes(), STAMP_MILLIS);
                        Ok(Bytes::copy_from_slice(new.bytes()))
                    }
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

    async fn take_many(&self, requests: &[TakeRequest<'_>], by: Instant) -> Replies<TakeReply> {
        self.take_all(requests, by).await
    }

    async fn mark(&self, key: &Key, id: Token, lease: &Lease, force: bool, by: Instant) -> Result<MarkReply, Error> {
        self.mark_value(key, id, lease, force, by).await
    }

    async fn end_many(&self, requests: &[EndRequest<'_>], by: Instant) -> Replies<bool> {
        self.end_all(requests, by).await
    }

    async fn renew_many(&self, leases: &[(Key, Lease)], by: Instant) -> Replies<bool> {
        self.renew_all(leases, by).await
    }

    async fn bound_many(&self, leases: &[(Key, Lease)], by: Instant) {
        self.bound_all(leases, by).await;
    }

    fn abandon(&self, leases: Vec<(Key, Lease, Release)>) {
        self.abandon_all(leases, false);
    }

    async fn invalidate(&self, keys: &[Key], by: Instant) -> Result<u64, Error> {
        if keys.is_empty() {
            return Ok(0);
        }
        let pending = &self.client().backlog.pending;
        let mut earlier = pending.find_all(keys.iter().map(Key::as_str));
        // This also works if the future is dropped.
        let mut undelivered = Undelivered { store: self, keys: keys.iter().map(Key::as_str).collect() };
        let (removed, reached, failure) = loop {
            let moves = self.server().moves();
            let outcome = self.remove_in_parts(&undelivered.keys, by).await;
            // If another server has taken the place of the one that confirmed them, it has not heard of them.
            match outcome {
                outcome if self.server().moves() == moves => break outcome,
                (_, _, Some(fault)) => return Err(self.reported_error(fault)),
                (_, _, None) => {}
            }
        };
        if reached < keys.len() {
            let left: HashSet<&str> = undelivered.keys[reached..].iter().copied().collect();
            earlier.retain(|(name, _)| !left.contains(&**name));
        }
        pending.delivered(&removed.confirmed(earlier));
        undelivered.confirm(reached, &removed.refused());
        if failure.is_none() && self.server().health.is_down() {
            self.probe(true);
        }
        drop(undelivered);
        failure.map_or_else(|| removed.outcome(), Err).map_err(|fault| self.reported_error(fault))
    }

    async fn count(&self, group: &Key, most: u64, each: Duration) -> Result<u64, Error> {
        self.count_values(group, most, each).await
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
        self.command(epoch, || ::redis::cmd("PING"), read, by).await.map_err(|fault| self.reported_error(fault))?;
        self.may_store()
    }

    fn refuses_writes(&self, _: &Key) -> Option<Error> {
        self.server().health.refuses_writes()
    }

    fn capabilities(&self, key: &Key) -> Capabilities {
        let client = self.client();
        let is_untagged = key.tags().is_empty();
        Capabilities {
            // A read also fetches stamps and handles undelivered invalidations, and large values have a connection of
            // their own. Without the right to end a lease, none is requested.
            takes_first: is_untagged
                && !client.backlog.pending.concerns(key.concerned_by())
                && !client.sizes.reading(key).is_large
                && !client.server.lacks_some(),
            // Stamps of tags are read along with their entry.
            shares_reads: T::SHARES_READS && is_untagged,
        }
    }

    fn queue_invalidation(&self, key: &Key) {
        self.client().backlog.pending.add([key.as_str()]);
        self.deliver_soon();
    }

    fn now(&self, _: &Key) -> u64 {
        self.server().health.clock.now()
    }
}
