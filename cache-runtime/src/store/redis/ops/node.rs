//! The parts of an operation that the router of a cluster carries out at one node, where the operation of a single server
//! includes them.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

use ::redis::{Pipeline, Value};

use crate::error::Error;
use crate::plan::ttl::Ttl;
use crate::store::redis::client::RedisStore;
use crate::store::redis::ops::each::Gathered;
use crate::store::redis::ops::{commands, extension, stamps};
use crate::store::redis::request::{Reply, checked};
use crate::store::redis::server::fault::Fault;
use crate::store::redis::server::features::Features;
use crate::store::redis::transport::Transport;
use crate::store::{MOST, Replies};

/// The condition under which a node is asked to remove keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// None: it is the last chance, or it happens in the background.
    Always,
    /// The circuit breaker is closed, because another operation waits for it.
    IfAdmitted,
}

impl<T: Transport> RedisStore<T> {
    /// Reads the stamps of tags.
    pub(crate) async fn read_stamps(&self, tags: &[String], by: Instant) -> Replies<Value> {
        let build = |features| {
            let mut pipeline = Pipeline::new();
            stamps::add_stamps(features, tags, &mut pipeline);
            commands::request(pipeline)
        };
        let read = |reply: Reply| {
            let stamps = self.sound(reply.all())?.into_iter().zip(tags);
            Ok(stamps.map(|(reply, tag)| stamp(reply).map_err(|fault| fault.about(tag))).collect())
        };
        let outcome = match self.admit() {
            Ok(epoch) => self.exchange(epoch, build, read, by).await.map_err(|fault| self.reported_error(fault)),
            Err(error) => Err(error),
        };
        self.each_reported(outcome, tags.len())
    }

    /// Empties slots, each of which may be at another node by now: a part of them in each round trip.
    pub(crate) async fn remove_here(&self, names: &[&str], attempt: Attempt, mut by: Instant) -> Replies<u64> {
        let mut removed = Gathered::new(names.len());
        for part in names.chunks(MOST) {
            if !removed.add(self.remove_part_here(part, attempt, by).await) {
                break;
            }
            by = self.part_deadline();
        }
        removed.replies()
    }

    async fn remove_part_here(&self, names: &[&str], attempt: Attempt, by: Instant) -> Result<Replies<u64>, Error> {
        if attempt == Attempt::IfAdmitted
            && let Err(error) = self.admit()
        {
            return Err(error);
        }
        let health = &self.server().health;
        let outcome = self.remove_alone(health.epoch(), names, by).await.map_err(|fault| self.reported_error(fault))?;
        if health.is_down() {
            self.probe(true);
        }
        Ok(self.each_reported(Ok(outcome), names.len()))
    }

    /// The result of each of several requests.
    fn each_reported<R>(&self, outcome: Result<Vec<Result<R, Fault>>, Error>, requests: usize) -> Replies<R> {
        match outcome {
            Ok(results) => {
                results.into_iter().map(|result| result.map_err(|fault| self.reported_error(fault))).collect()
            }
            Err(error) => std::iter::repeat_with(|| Err(error.clone())).take(requests).collect(),
        }
    }

    /// Lets stamps live as long as the entries under them.
    pub(crate) async fn keep_stamps(&self, tags: &[(String, Ttl)], by: Instant) -> Result<(), Error> {
        let epoch = self.admit_write()?;
        let sent = Instant::now();
        // The number of commands depends on the server's features.
        let sent_with = AtomicU32::new(0);
        let pairs = || tags.iter().map(|(tag, ttl)| (tag, ttl));
        let build = |features: Features| {
            sent_with.store(features.bits(), Relaxed);
            commands::request_of(extension::commands(features, pairs()))
        };
        let read = |reply: Reply| {
            let mut replies = reply.all();
            let refusal = replies.iter().find_map(|reply| checked(reply.clone()).err());
            self.note_extensions((epoch, sent), Features::from_bits(sent_with.load(Relaxed)), pairs(), &mut replies);
            refusal.map_or(Ok(()), Err)
        };
        self.exchange(epoch, build, read, by).await.map_err(|fault| self.reported_error(fault))
    }
}

/// The reply to a command that reads one stamp.
fn stamp(reply: Value) -> Result<Value, Fault> {
    match checked(reply)? {
        Value::Array(mut only) if only.len() == 1 => Ok(only.pop().unwrap_or_default()),
        stamp => Ok(stamp),
    }
}
