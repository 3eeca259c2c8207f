//! Texts that are no slots, for people to read.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::store::redis::client::RedisStore;
use crate::store::redis::ops::commands;
use crate::store::redis::request::{Reply, Request};
use crate::store::redis::transport::Transport;

impl<T: Transport> RedisStore<T> {
    /// Writes a text under this key, and lets it live for a time.
    pub(crate) async fn write_note(&self, key: &str, text: &str, life: Duration, by: Instant) -> Result<(), Error> {
        let epoch = self.admit_write()?;
        let millis = life.as_millis().to_string();
        let build = |_| Request::One(commands::set(key, text.as_bytes(), &millis));
        let read = |reply: Reply| reply.one().map(|_| ());
        self.exchange(epoch, build, read, by).await.map_err(|fault| self.reported_error(fault))
    }
}
