//! The fields of groups, in steps: one command for all fields of a large hash would keep the server from everything else
//! for as long as it takes.
//!
//! `HSCAN` has the guarantees of `SCAN` (<https://redis.io/docs/latest/commands/scan/>, "Scan guarantees"): a field that
//! is there from the start to the end of the iteration is found, and perhaps twice, if the server resizes the hash.

use std::time::{Duration, Instant};

use ::redis::{Pipeline, Value};

use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::store::redis::client::RedisStore;
use crate::store::redis::ops::clear::{START, text, texts};
use crate::store::redis::ops::commands;
use crate::store::redis::ops::scripts::Form;
use crate::store::redis::request::{Reply, Request, checked};
use crate::store::redis::server::Server;
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::Fault;
use crate::store::redis::transport::Transport;

/// The number of groups that are asked for their fields together.
const GROUPS: usize = 64;

/// The fields that the first step looks at, before the sizes of the values are known.
const FIRST: u32 = 32;

/// The most fields that a step looks at: this keeps the server busy for less than a millisecond.
const MOST: u32 = 512;

/// A step that copies more bytes than this is followed by a smaller one. Servers that cannot leave values out copy them.
const MOST_BYTES: u64 = 1 << 18;

/// The position in the fields of one hash.
#[derive(Clone)]
struct Scan {
    cursor: String,
    count: u32,
}

/// What a step found.
struct Step {
    /// The next step, unless this was the last one.
    next: Option<Scan>,
    names: Vec<String>,
}

impl Default for Scan {
    fn default() -> Scan {
        Scan { cursor: START.to_owned(), count: FIRST }
    }
}

impl Scan {
    /// True if the server must not get this step twice: a cursor means nothing to another server, or to the same one
    /// after a restart.
    fn is_under_way(&self) -> bool {
        self.cursor != START
    }

    fn arguments(&self, values_only: bool) -> [Vec<u8>; 3] {
        let values_only = if values_only { "1" } else { "0" };
        [self.cursor.clone().into_bytes(), self.count.to_string().into_bytes(), values_only.into()]
    }

    fn step(&self, reply: Value) -> Result<Step, Fault> {
        if let Value::Array(parts) = reply
            && let Ok([cursor, Value::Int(copied), names]) = <[Value; 3]>::try_from(parts)
            && let Some(cursor) = text(cursor)
        {
            let count = match u64::try_from(copied).unwrap_or(0) {
                copied if copied > MOST_BYTES => (self.count / 4).max(1),
                copied if copied * 4 <= MOST_BYTES => (self.count * 4).min(MOST),
                _ => self.count,
            };
            let next = (cursor != START).then_some(Scan { cursor, count });
            return Ok(Step { next, names: texts(names) });
        }
        Err(Fault::unexpected("a script"))
    }
}

impl<T: Transport> RedisStore<T> {
    /// Counts the values of a group, up to about this number.
    pub(crate) async fn count_values(&self, group: &Key, most: u64, each: Duration) -> Result<u64, Error> {
        let epoch = self.admit()?;
        let settled = self.settle(epoch, [group.as_str()].into_iter(), Instant::now() + each).await;
        settled.map_err(|fault| self.reported_error(fault))?;
        let (mut scan, mut count) = (Scan::default(), 0);
        loop {
            let arguments = scan.arguments(true);
            let build = |features, form| {
                commands::in_hash(features, form, group, "scan", &arguments.each_ref().map(Vec::as_slice))
            };
            let request = if scan.is_under_way() { Server::timed_once } else { Server::timed };
            let step = self.scripted(epoch, request, build, |reply| scan.step(reply), Instant::now() + each).await;
            let step = step.map_err(|fault| self.reported_error(fault.about(group.as_str())))?;
            count += step.names.len() as u64;
            match step.next {
                Some(next) if count < most => scan = next,
                _ => return Ok(count),
            }
        }
    }

    /// The names of all entries in groups.
    pub(crate) async fn fields(&self, epoch: Epoch, hashes: &[String], each: Duration) -> Result<Vec<String>, Fault> {
        let mut left: Vec<(&String, Scan)> = hashes.iter().map(|hash| (hash, Scan::default())).collect();
        let mut found = Vec::new();
        while !left.is_empty() {
            let part = left.split_off(left.len().saturating_sub(GROUPS));
            for ((hash, _), step) in part.iter().zip(self.scan_fields(epoch, &part, each).await?) {
                found.extend(step.names.iter().map(|field| format!("{hash} {field}")));
                left.extend(step.next.map(|next| (*hash, next)));
            }
        }
        Ok(found)
    }

    /// Makes one step in each of some hashes.
    async fn scan_fields(&self, epoch: Epoch, part: &[(&String, Scan)], each: Duration) -> Result<Vec<Step>, Fault> {
        let build = |features| {
            let (mut pipeline, mut form) = (Pipeline::with_capacity(part.len()), Form::Text);
            for (hash, scan) in part {
                let arguments = scan.arguments(false);
                let arguments = arguments.each_ref().map(Vec::as_slice);
                pipeline.add_command(commands::in_hash_of(features, form, (hash, ""), "scan", &arguments));
                form = Form::Hash;
            }
            match part.iter().any(|(_, scan)| scan.is_under_way()) {
                true => Request::ManyOnce(pipeline),
                false => Request::Many(pipeline),
            }
        };
        let read = |reply: Reply| {
            let steps = reply.all().into_iter().zip(part).map(|(reply, (hash, scan))| match checked(reply) {
                Ok(reply) => scan.step(reply),
                // This key is not a group.
                Err(fault) if fault.error.kind() == ErrorKind::WrongType => Ok(Step { next: None, names: Vec::new() }),
                Err(fault) => Err(fault.about(hash)),
            });
            steps.collect()
        };
        self.exchange(epoch, build, read, Instant::now() + each).await
    }
}
