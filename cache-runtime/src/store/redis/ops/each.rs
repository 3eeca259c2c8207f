//! One command for each of many slots: a pipeline; or the command alone, if there is one slot.

use std::collections::HashSet;
use std::mem::{Discriminant, discriminant};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use ::redis::{Cmd, Pipeline, Value};

use crate::error::Error;
use crate::key::{Address, Key};
use crate::store::redis::client::RedisStore;
use crate::store::redis::ops::scripts::Form;
use crate::store::redis::request::{Reply, Request, checked};
use crate::store::redis::server::Server;
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::{Blame, Fault};
use crate::store::redis::server::features::Features;
use crate::store::redis::transport::Transport;
use crate::store::{Precondition, Replies, Results};

/// The forms of the scripts in one request.
pub(crate) enum Forms {
    /// A script alone can be sent again in another form.
    Alone(Form),
    /// In a pipeline, the first use of each script sends its text, and later ones its hash.
    Used(HashSet<(bool, Option<Discriminant<Precondition>>)>),
}

impl Default for Forms {
    fn default() -> Forms {
        Forms::Used(HashSet::new())
    }
}

impl Forms {
    /// The form of a script for a slot of this kind, for an operation that has one for each.
    pub(crate) fn of(&mut self, key: &Key, precondition: Option<&Precondition>) -> Form {
        let used = match self {
            Forms::Alone(form) => return *form,
            Forms::Used(used) => used,
        };
        let in_hash = matches!(key.address(), Address::Field { .. });
        let precondition = precondition.filter(|_| !in_hash).map(discriminant);
        if used.insert((in_hash, precondition)) { Form::Text } else { Form::Hash }
    }
}

/// How often commands may be sent.
#[derive(Clone, Copy)]
pub(crate) enum Repeat<'a> {
    /// Once, because they grant leases. The flag is set if one of the replies is a grant.
    Never(&'a AtomicBool),
    /// Again, if the connection turns out to be closed.
    Allowed,
}

/// The results of the round trips of one operation.
pub(crate) struct Gathered<R> {
    replies: Replies<R>,
    requests: usize,
}

impl<R> Gathered<R> {
    /// For an operation of this number of requests.
    pub(crate) fn new(requests: usize) -> Gathered<R> {
        Gathered { replies: Results::Many(Vec::new()), requests }
    }

    /// The number of requests that have a result.
    pub(crate) fn len(&self) -> usize {
        self.replies.len()
    }

    /// Adds the results of a round trip; returns false if it failed. Then the requests that were not reached fail, too.
    pub(crate) fn add(&mut self, part: Result<Replies<R>, Error>) -> bool {
        match part {
            Ok(part) if self.replies.is_empty() => self.replies = part,
            Ok(part) => self.replies.append(part),
            Err(error) => {
                let rest = self.requests - self.replies.len();
                let failed = std::iter::repeat_with(|| Err(error.clone())).take(rest);
                match self.replies.is_empty() {
                    true => self.replies = failed.collect(),
                    false => self.replies.append(failed),
                }
                return false;
            }
        }
        true
    }

    pub(crate) fn replies(self) -> Replies<R> {
        self.replies
    }
}

impl<T: Transport> RedisStore<T> {
    /// The deadline of a round trip that begins now.
    pub(crate) fn part_deadline(&self) -> Instant {
        Instant::now() + self.server().timeout
    }

    /// Returns the replies, unless one of them says that the server must not be asked now. Errors of one slot, or of
    /// writes, are left to the reader of the replies.
    pub(crate) fn sound(&self, replies: Vec<Value>) -> Result<Vec<Value>, Fault> {
        let fault_of = |reply: &Value| match reply {
            Value::ServerError(error) => Some(Fault::from(error)),
            _ => None,
        };
        let is_of_all = |fault: &Fault| match fault.blame {
            Blame::Role | Blame::Connection | Blame::Closed | Blame::Server | Blame::ClusterDown => true,
            Blame::Moved | Blame::Ask => !self.is_node(),
            _ => false,
        };
        match replies.iter().filter_map(fault_of).find(is_of_all) {
            Some(fault) => Err(fault),
            None => Ok(replies),
        }
    }

    /// Sends the command of each slot, and reads its reply. A fault of one slot is among the results; a fault of the
    /// server, or of the only slot, is that of the exchange.
    pub(crate) async fn each<S: Sync, R: Send>(
        &self,
        epoch: Epoch,
        slots: &[S],
        repeat: Repeat<'_>,
        build: impl Fn(Features, &mut Forms, &S) -> Cmd + Send + Sync,
        read: impl Fn(&S, Value) -> Result<R, Fault> + Send + Sync,
        by: Instant,
    ) -> Result<Results<Result<R, Fault>>, Fault> {
        if let [slot] = slots {
            let request = match repeat {
                Repeat::Never(_) => Server::timed_once,
                Repeat::Allowed => Server::timed,
            };
            let build = |features, form| build(features, &mut Forms::Alone(form), slot);
            let result = self.scripted(epoch, request, build, |reply| read(slot, reply), by).await?;
            return Ok(Results::One(Ok(result)));
        }
        let all: Vec<&S> = slots.iter().collect();
        let replies = self.pipelined(epoch, &all, repeat, &build, by).await?;
        let mut results: Vec<_> =
            slots.iter().zip(replies).map(|(slot, reply)| checked(reply).and_then(|reply| read(slot, reply))).collect();
        let is_unknown = |result: &Result<R, Fault>| matches!(result, Err(fault) if fault.blame == Blame::Script);
        if results.iter().any(is_unknown) {
            // The command that sent the text of the script was not executed: its key is elsewhere, for example.
            let again: Vec<usize> = (0..slots.len()).filter(|at| is_unknown(&results[*at])).collect();
            let part: Vec<&S> = again.iter().map(|at| &slots[*at]).collect();
            let replies = Box::pin(self.pipelined(epoch, &part, repeat, &build, by)).await?;
            for (at, reply) in again.into_iter().zip(replies) {
                results[at] = checked(reply).and_then(|reply| read(&slots[at], reply));
            }
        }
        Ok(Results::Many(results))
    }

    /// Sends the commands of slots, and returns their replies.
    async fn pipelined<S: Sync>(
        &self,
        epoch: Epoch,
        slots: &[&S],
        repeat: Repeat<'_>,
        build: &(impl Fn(Features, &mut Forms, &S) -> Cmd + Send + Sync),
        by: Instant,
    ) -> Result<Vec<Value>, Fault> {
        let pipeline = |features| {
            let (mut forms, mut pipeline) = (Forms::default(), Pipeline::with_capacity(slots.len() + 1));
            for slot in slots {
                pipeline.add_command(build(features, &mut forms, slot));
            }
            match repeat {
                Repeat::Never(_) => {
                    pipeline.cmd("TIME");
                    Request::ManyOnce(pipeline)
                }
                Repeat::Allowed => Request::Many(pipeline),
            }
        };
        let replies = |reply: Reply| match repeat {
            Repeat::Never(has_granted) => {
                let replies = self.server().all_of(reply);
                let is_grant = |reply: &Value| matches!(reply, Value::Okay | Value::Nil | Value::Int(1..));
                has_granted.fetch_or(replies.iter().any(is_grant), Relaxed);
                self.sound(replies)
            }
            Repeat::Allowed => self.sound(reply.all()),
        };
        self.exchange(epoch, pipeline, replies, by).await
    }

    /// Does what `written` does, before the replies are read.
    pub(crate) fn part_written<R>(&self, outcome: Result<R, Fault>) -> Result<R, Error> {
        outcome.or_else(|fault| self.written(Err(fault)))
    }

    /// Does what `written` does, for one command among others: only the first counts for the server's health.
    pub(crate) fn refused_write(&self, fault: Fault, refused: &mut bool) -> Error {
        if let Blame::Denied(denied) = fault.blame {
            self.note_denied(denied);
        }
        if fault.blame == Blame::Writes && !std::mem::replace(refused, true) {
            self.server().health.write_failed(&fault);
        }
        self.reported_error(fault)
    }

    pub(crate) fn wrote_unless(&self, refused: bool) {
        if !refused {
            self.server().health.wrote();
        }
    }
}
