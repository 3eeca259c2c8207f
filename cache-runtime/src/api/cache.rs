//! A configured store.

use std::fmt;
use std::time::Duration;

#[cfg(feature = "tokio")]
use crate::engine::Engine;
use crate::engine::context::{CacheStore, Context, LocalSettings};
use crate::error::{Error, ErrorKind};
use crate::observe::Listener;
use crate::store::memory::MemoryStore;
use crate::store::redis::Redis;
#[cfg(feature = "tokio")]
use crate::store::redis::cluster::Cluster;
use crate::store::redis::server::breaker::Limits;
use crate::store::redis::settings::{Credentials, Provider, Settings, client_name};
#[cfg(feature = "_rustls")]
use crate::store::tls::Tls;
use crate::store::url::{self, Target};
use crate::stored::compress::Compression;

/// Where cached functions keep their results: a Redis, or this process's memory.
///
/// ```
/// use std::time::Duration;
/// use redis_cached::Cache;
///
/// let cache = Cache::builder("redis://127.0.0.1:6379")?
///     .namespace("staging")
///     .timeout(Duration::from_millis(100))
///     .build();
/// cache.install()?; // for functions without `cache = …`
/// # Ok::<(), redis_cached::Error>(())
/// ```
///
/// Cloning is cheap, and every clone is the same cache: connections, circuit breaker and
/// undelivered invalidations are shared. It serves any number of tokio runtimes and threads at
/// the same time; each runtime has its own connection, opened by its first call.
#[derive(Clone)]
pub struct Cache(pub(crate) Context);

/// The settings of a [`Cache`], from [`Cache::builder`]. Each has a default that suits most programs.
///
/// ```
/// use std::time::Duration;
/// use redis_cached::Cache;
///
/// let cache = Cache::builder("redis://127.0.0.1:6379")?
///     .namespace("staging")
///     .timeout(Duration::from_millis(100))
///     .client_name("shop-web")
///     .blocking_connections(4)
///     .keep_alive(Duration::from_secs(60))
///     .breaker(3, Duration::from_secs(10))
///     .build();
/// # Ok::<(), redis_cached::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    target: Target,
    namespace: String,
    pub(super) settings: Settings,
    compression: Compression,
    pub(super) local: LocalSettings,
}

impl Builder {
    /// A run-time part in front of every key, to tell deployments apart that share a Redis:
    /// `staging:shop:users.user:42`. Empty, the default, adds nothing.
    ///
    /// ```
    /// use redis_cached::{Cache, redis_cached};
    ///
    /// #[redis_cached(prefix = "shop", name = "user", cache = cache, skip(cache))]
    /// async fn user(cache: &Cache, id: u64) -> String {
    ///     format!("user {id}")
    /// }
    ///
    /// let cache = Cache::builder("memory://")?.namespace("staging").build();
    /// assert_eq!(user_entry(&cache, 42).key()?, "staging:shop:user:42");
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn namespace(mut self, namespace: impl Into<String>) -> Builder {
        self.namespace = namespace.into();
        self
    }

    /// How long one operation may take, connecting included; 250 ms unless set. If Redis does not answer, a call
    /// loses this at most once before its body and once after it. The limit is a day.
    pub fn timeout(mut self, timeout: Duration) -> Builder {
        // Deadlines are moments, and a moment has an upper bound.
        self.settings.timeout = timeout.min(Duration::from_secs(24 * 60 * 60));
        self
    }

    /// Sets how connections to a `rediss://` or `valkeys://` URL are secured. The settings come before parameters of the
    /// URL. A cache without a server (`memory://`, `off://`) ignores them.
    ///
    /// ```no_run
    /// use redis_cached::{Cache, Tls};
    ///
    /// let tls = Tls::new().ca_file("/etc/redis/ca.pem");
    /// let cache = Cache::builder("rediss://redis.internal:6380")?.tls(tls)?.build();
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if a file cannot be read, holds something else than what is expected, or does not fit to
    /// another one; the message names the file. The same if the URL is one without TLS, because the settings would
    /// protect nothing.
    #[cfg(feature = "_rustls")]
    pub fn tls(mut self, tls: Tls) -> Result<Builder, Error> {
        self.target.set_tls(tls)?;
        Ok(self)
    }

    /// Asks `provider` for the user and the password of each new connection, in place of those of the URL: for passwords
    /// that change, and for tokens that expire.
    ///
    /// ```no_run
    /// use redis_cached::{Cache, Credentials};
    ///
    /// let cache = Cache::builder("redis://redis.internal")?
    ///     .credentials(|| {
    ///         let token = std::fs::read_to_string("/run/secrets/redis-token")?;
    ///         Ok::<_, std::io::Error>(Credentials::new("shop", token.trim()))
    ///     })
    ///     .build();
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    ///
    /// The closure may block, because it runs on no thread of an async runtime. The time that it takes is a part of the
    /// operation's time. An error, or a panic, counts as a server that refuses the credentials. Connections that are open
    /// stay as they are: a server that lets a token expire closes them.
    pub fn credentials<E: fmt::Display>(
        mut self,
        provider: impl Fn() -> Result<Credentials, E> + Send + Sync + 'static,
    ) -> Builder {
        self.settings.credentials = Some(Provider::new(provider));
        self
    }

    /// The name of the connections in `CLIENT LIST`. The default is the name of the program's file. An empty name sends
    /// none. Characters that Redis refuses become `-`. A server or a user without `CLIENT SETNAME` does without the name.
    pub fn client_name(mut self, name: impl AsRef<str>) -> Builder {
        self.settings.client_name = client_name(name.as_ref()).into();
        self
    }

    /// The most connections that plain functions have open, each for one call at a time; 16 unless set, and at least one.
    /// Calls beyond that wait for a connection. Async functions share one or two connections in each runtime.
    #[cfg(feature = "blocking")]
    pub fn blocking_connections(mut self, most: usize) -> Builder {
        self.settings.blocking_connections = most.max(1);
        self
    }

    /// How long a connection may be silent before the system checks that the other end is still there, by TCP keep-alive;
    /// 15 seconds unless set. A vanished peer is noticed after twice this time even without calls: calls notice it
    /// sooner. Shorter than the idle time-out of a firewall, it keeps connections open. Between a second and nine hours.
    pub fn keep_alive(mut self, time: Duration) -> Builder {
        self.settings.keep_alive = time.clamp(Duration::from_secs(1), Duration::from_secs(9 * 60 * 60));
        self
    }

    /// When the circuit breaker opens, and how often it tries again: after `failures` failures in a row, of operations or
    /// of attempts to connect, 5 unless set, calls go straight to their bodies, and probes test the server at growing
    /// intervals of up to `longest_pause`, 2 seconds unless set. At least one failure, and a pause between 100 milliseconds
    /// and a day.
    ///
    /// ```
    /// use std::time::Duration;
    /// use redis_cached::Cache;
    ///
    /// let cache = Cache::builder("redis://127.0.0.1")?.breaker(3, Duration::from_secs(10)).build();
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn breaker(mut self, failures: u32, longest_pause: Duration) -> Builder {
        let longest_pause = longest_pause.clamp(Duration::from_millis(100), Duration::from_secs(24 * 60 * 60));
        self.settings.breaker = Limits { failures: failures.clamp(1, 1 << 20), longest_pause };
        self
    }

    /// Compresses the stored values of all functions without a `compress = …` of their own. Nothing is compressed unless
    /// this is set. [`Compression`] says which values are.
    ///
    /// ```
    /// # #[cfg(feature = "lz4")]
    /// # fn main() -> Result<(), redis_cached::Error> {
    /// use redis_cached::{Cache, Compression, redis_cached};
    ///
    /// #[redis_cached(cache = cache, skip(cache))]
    /// fn report(cache: &Cache, year: u32) -> String {
    ///     format!("{year}: nothing new. ").repeat(1_000)
    /// }
    ///
    /// let cache = Cache::builder("memory://")?.compress(Compression::LZ4).build();
    /// assert_eq!(report(&cache, 2026), report(&cache, 2026)); // stored in about a hundredth
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "lz4"))]
    /// # fn main() {}
    /// ```
    ///
    /// `memory://` compresses as well: more values fit into its memory, and each hit undoes one.
    pub fn compress(mut self, compression: Compression) -> Builder {
        self.compression = compression;
        self
    }

    /// Builds the cache. This never connects, never blocks, and never fails because Redis is away: the first call
    /// connects.
    ///
    /// ```
    /// use redis_cached::Cache;
    ///
    /// let cache = Cache::builder("redis://redis.internal")?.build(); // no server is needed yet
    /// assert_eq!(cache.stats().hits, 0);
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn build(self) -> Cache {
        let Builder { target, namespace, settings, compression, local } = self;
        let timeout = settings.timeout;
        #[cfg(feature = "blocking")]
        let (publishes, program) = (settings.publish, settings.client_name.to_string());
        let (display, store) = match target {
            Target::Memory { max_bytes } => {
                (format!("memory:// ({max_bytes} bytes)"), CacheStore::Memory(Box::new(MemoryStore::new(max_bytes))))
            }
            Target::Redis(target) => (target.to_string(), CacheStore::Redis(Redis::new(*target, &settings))),
            #[cfg(feature = "tokio")]
            Target::Cluster(target) => {
                (target.to_string(), CacheStore::Cluster(Box::new(Cluster::new(*target, &settings))))
            }
            #[cfg(feature = "tokio")]
            Target::Sentinel(target) => {
                (target.to_string(), CacheStore::Redis(Redis::of_sentinels(*target, &settings)))
            }
            #[cfg(not(feature = "tokio"))]
            Target::Cluster(target) => (target.to_string(), CacheStore::Unusable(without_tokio())),
            #[cfg(not(feature = "tokio"))]
            Target::Sentinel(target) => (target.to_string(), CacheStore::Unusable(without_tokio())),
            Target::Off => ("off://".to_owned(), CacheStore::Off(Error::new(ErrorKind::Off, "its URL is off://"))),
        };
        let cache = Cache(Context::new(store, namespace, timeout, display, compression, local, settings.listener));
        #[cfg(feature = "blocking")]
        if let Some(interval) = publishes {
            super::publish::start(&cache.0, &program, interval);
        }
        cache
    }
}

/// The reader of URLs has refused these.
#[cfg(not(feature = "tokio"))]
fn without_tokio() -> Error {
    Error::new(ErrorKind::Config, "it needs the feature `tokio` of redis-cached")
}

impl Cache {
    /// Starts a cache on `url`.
    ///
    /// `redis://`, `rediss://` (with one of the features `tls-rustls`, `tls-rustls-aws-lc-rs`,
    /// `tls-native`), `redis+unix://` and `valkey://` name a server, in the forms that the `redis` crate reads:
    /// `redis://user:password@host:6379/0`. `redis-cluster://host:6379,other:6379` names some nodes of a cluster, and
    /// `redis-sentinel://sentinel:26379,other:26379/main` the master `main` by the sentinels that know it; both need the
    /// feature `tokio`, and have an `s` after `redis` for TLS.
    /// `memory://` takes up to 64 MB of memory in this process,
    /// `memory://?max_mb=256` more: every promise holds within the process, and no server is
    /// needed.
    ///
    /// `off://` is a cache that never caches. Every call runs its body, as if the function had no
    /// attribute: calls do not wait for each other, and nothing connects. The verbs of entries,
    /// groups and the cache succeed and do nothing, and [`Cache::ping`] tells it by
    /// [`ErrorKind::Off`]. [`Stats::bypasses`](crate::Stats::bypasses) counts the calls.
    ///
    /// ```
    /// use redis_cached::{Cache, ErrorKind, redis_cached};
    ///
    /// #[redis_cached(cache = cache, skip(cache))]
    /// async fn name(cache: &Cache, id: u64) -> String {
    ///     format!("user {id}")
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), redis_cached::Error> {
    /// let cache = Cache::builder("off://")?.build();
    /// assert_eq!(name(&cache, 42).await, "user 42");
    /// assert_eq!(name_entry(&cache, 42).get().await?, None);
    /// assert_eq!(cache.ping().await.unwrap_err().kind(), ErrorKind::Off);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the URL cannot be used; the message quotes it without its
    /// password.
    pub fn builder(url: &str) -> Result<Builder, Error> {
        Ok(Builder {
            target: url::parse(url)?,
            namespace: String::new(),
            settings: Settings::default(),
            compression: Compression::OFF,
            local: LocalSettings::default(),
        })
    }

    /// Starts a cache on the URL in the environment variable `REDIS_URL`; without it, on
    /// `memory://`, with a warning in the log.
    ///
    /// ```
    /// use redis_cached::Cache;
    ///
    /// // REDIS_URL=redis://127.0.0.1:6379
    /// Cache::from_env()?.namespace("staging").build().install()?;
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The same as [`Cache::builder`].
    pub fn from_env() -> Result<Builder, Error> {
        match std::env::var("REDIS_URL") {
            Ok(url) if !url.is_empty() => Cache::builder(&url),
            Err(std::env::VarError::NotUnicode(_)) => Err(Error::new(ErrorKind::Config, "REDIS_URL is not UTF-8")),
            _ => {
                tracing::warn!(
                    "REDIS_URL is not set: results are cached in the memory of this process, and shared with no other"
                );
                Cache::builder("memory://")
            }
        }
    }

    /// Starts a cache on the server of a client of redis-rs: with its address, database, user, password and protocol. The
    /// cache opens connections of its own. Their time-outs and settings are those of the builder.
    ///
    /// ```
    /// use redis_cached::Cache;
    ///
    /// let client = redis::Client::open("redis://shop:secret@redis.internal/3").expect("a URL");
    /// let cache = Cache::from_client(&client)?.client_name("shop-web").build();
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    ///
    /// The client is one of redis-rs 1, from 1.8 on: a `redis::Client` of another major version is another type.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the client has something that a cache cannot take over: certificates for TLS, which
    /// redis-rs does not hand out and `Builder::tls` takes in their place, `#insecure`, or a user without a password.
    /// The same for TLS without a feature for it.
    pub fn from_client(client: &redis::Client) -> Result<Builder, Error> {
        Ok(Builder {
            target: url::of_client(client)?,
            namespace: String::new(),
            settings: Settings::default(),
            compression: Compression::OFF,
            local: LocalSettings::default(),
        })
    }

    /// The cache of [`Cache::from_env`], or one that runs functions uncached where `REDIS_URL` cannot be used.
    pub(crate) fn from_env_or_unusable() -> Cache {
        Cache::from_env().map_or_else(
            |error| {
                tracing::error!(%error, "functions run uncached");
                let store = CacheStore::Unusable(error);
                Cache(Context::new(
                    store,
                    String::new(),
                    Settings::default().timeout,
                    "unusable".to_owned(),
                    Compression::OFF,
                    LocalSettings::default(),
                    Listener::default(),
                ))
            },
            Builder::build,
        )
    }

    /// Checks that the store answers within the time-out, and that its user has the commands to store results: for a
    /// health check.
    ///
    /// ```
    /// use redis_cached::Cache;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), redis_cached::Error> {
    /// let cache = Cache::builder("memory://")?.build(); // or redis://127.0.0.1:6379
    /// if let Err(error) = cache.ping().await {
    ///     eprintln!("results are not cached: {error}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A cache that does not answer slows no call down, so this is no reason to take a program out of service.
    ///
    /// Which commands the server refuses is found out when a connection is made, and again every two seconds while
    /// something needs one of them. The check covers entries outside of groups; it does not cover the keys that the user
    /// may access, nor whether the server has memory left.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Auth`] if the user lacks a command that storing needs; the message names it. [`ErrorKind::Off`] for
    /// `off://`. Otherwise the reason why the store did not answer.
    #[cfg(feature = "tokio")]
    pub async fn ping(&self) -> Result<(), Error> {
        Engine::tokio(&self.0).ping().await
    }

    /// How many keys are still to be invalidated because Redis was away, or refuses it. They are delivered in the
    /// background, within two seconds of the server's return, for as long as the process and this cache live;
    /// [`flush`](Self::flush) waits for it.
    ///
    /// ```
    /// # let cache = redis_cached::Cache::builder("memory://")?.build();
    /// assert_eq!(cache.undelivered(), 0);
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn undelivered(&self) -> usize {
        self.0.undelivered()
    }

    /// Delivers the invalidations that could not be delivered before, and tries again until `deadline` is over. It is
    /// meant for the end of a program, after which nothing delivers them.
    ///
    /// ```
    /// use std::time::Duration;
    /// use redis_cached::Cache;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), redis_cached::Error> {
    /// # let cache = Cache::builder("memory://")?.build();
    /// // … the server was told to shut down gracefully …
    /// if let Err(error) = cache.flush(Duration::from_secs(5)).await {
    ///     eprintln!("{} keys may be out of date for others: {error}", cache.undelivered());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If something remains: why the last attempt failed. What the server refuses for good (a permission that is missing)
    /// is told at once.
    #[cfg(feature = "tokio")]
    pub async fn flush(&self, deadline: Duration) -> Result<(), Error> {
        self.0.flush(deadline).await
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
