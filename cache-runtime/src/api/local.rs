//! The settings of the local tier.

use std::time::Duration;

use crate::api::cache::{Builder, Cache};

impl Builder {
    /// The most bytes that the values of the local tier take, of all functions with `local`; 64 MB
    /// unless set. Each function has an equal part of them. A value counts as its encoded length without compression, or
    /// more: a function with `local = 1000` keeps no more than a thousand. A value that is larger than an eighth of the part
    /// is not kept.
    ///
    /// ```
    /// use redis_cached::Cache;
    ///
    /// let cache = Cache::builder("redis://127.0.0.1")?.local_max_bytes(256 << 20).build();
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn local_max_bytes(mut self, bytes: u64) -> Builder {
        self.local.most_bytes = bytes;
        self
    }

    /// How much older than Redis a value of the local tier may be, whatever happens to the connection, the server or the
    /// process; 500 milliseconds unless set, between 50 milliseconds and a minute. A value that another process
    /// invalidated is usually gone after the way of a message. The server gets four short requests in this time while
    /// something is kept.
    ///
    /// ```
    /// use std::time::Duration;
    /// use redis_cached::Cache;
    ///
    /// let cache = Cache::builder("redis://127.0.0.1")?.local_bound(Duration::from_millis(200)).build();
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn local_bound(mut self, bound: Duration) -> Builder {
        self.local.bound = bound.clamp(Duration::from_millis(50), Duration::from_secs(60));
        self
    }
}

impl Cache {
    /// How much older than Redis a value of the local tier may be: [`Builder::local_bound`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use redis_cached::Cache;
    ///
    /// let cache = Cache::builder("redis://127.0.0.1")?.build();
    /// assert_eq!(cache.local_bound(), Duration::from_millis(500));
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn local_bound(&self) -> Duration {
        self.0.local_bound()
    }
}
