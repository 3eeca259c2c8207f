//! Empties all slots of a namespace or a function, which `SCAN` finds.
//!
//! `SCAN` returns every key that is there from the start of the iteration to its end, at least once
//! (<https://redis.io/docs/latest/commands/scan/>, "Scan guarantees"). A slot that holds a lease or a value when the
//! iteration starts is therefore found, unless it is empty in between; a value that it holds afterwards has been leased
//! since, and computed from data that was read since. A fill does not interrupt the presence of a key: it replaces the
//! lease in one command or script.

use std::time::{Duration, Instant};

use ::redis::Value;

use crate::error::Error;
use crate::key::Extent;
use crate::store::redis::client::RedisStore;
use crate::store::redis::request::{Reply, Request};
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::Fault;
use crate::store::redis::transport::Transport;

/// The number of keys that the server scans in one step, and about the number that are removed together.
const STEP: usize = 1000;

/// The cursor at the start and at the end of an iteration.
pub(crate) const START: &str = "0";

impl<T: Transport> RedisStore<T> {
    pub(crate) async fn clear_extent(&self, extent: &Extent, each: Duration) -> Result<u64, Error> {
        // This is always tried, like an invalidation.
        let epoch = self.server().health.epoch();
        let cleared = self.clear_by_steps(epoch, extent, each).await;
        if self.server().health.is_down() {
            self.probe(true);
        }
        cleared.map_err(|fault| self.reported_error(fault))
    }

    async fn clear_by_steps(&self, epoch: Epoch, extent: &Extent, each: Duration) -> Result<u64, Fault> {
        let pattern = extent.pattern();
        let (mut cursor, mut count) = (START.to_owned(), 0);
        loop {
            let (next, mut names) = self.scan(epoch, &cursor, &pattern, each).await?;
            // No key of this library has a space in it, which would separate a field from its hash.
            names.retain(|name| !name.contains(' '));
            if matches!(extent, Extent::Fields { .. }) {
                names = self.fields(epoch, &names, each).await?;
            }
            names.retain(|name| extent.covers(name));
            for names in names.chunks(STEP) {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                count += self.remove(epoch, &names, Instant::now() + each).await?.outcome()?;
            }
            if next == START {
                return Ok(count);
            }
            cursor = next;
        }
    }

    /// Makes one step of the iteration: returns the cursor of the next one, and keys. A key that is not text is not
    /// this library's.
    pub(crate) async fn scan(
        &self,
        epoch: Epoch,
        cursor: &str,
        pattern: &str,
        each: Duration,
    ) -> Result<(String, Vec<String>), Fault> {
        let build = |_| {
            let mut command = ::redis::cmd("SCAN");
            command.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(STEP);
            match cursor {
                START => Request::One(command),
                // A cursor means nothing to another server, or to the same one after a restart.
                _ => Request::OneOnce(command),
            }
        };
        self.exchange(epoch, build, |reply: Reply| scanned(reply.one()?), Instant::now() + each).await
    }
}

fn scanned(reply: Value) -> Result<(String, Vec<String>), Fault> {
    if let Value::Array(parts) = reply
        && let Ok([cursor, keys]) = <[Value; 2]>::try_from(parts)
        && let Some(cursor) = text(cursor)
    {
        return Ok((cursor, texts(keys)));
    }
    Err(Fault::unexpected("SCAN"))
}

pub(super) fn texts(values: Value) -> Vec<String> {
    match values {
        Value::Array(values) | Value::Set(values) => values.into_iter().filter_map(text).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}
