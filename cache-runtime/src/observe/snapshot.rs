//! The figures of a cache, as a program reads them.

use serde::{Serialize, Serializer, ser::SerializeStruct};

/// Adds the figures of one function to those of another.
pub(super) trait Merge {
    fn merge(&mut self, other: &Self);
}

impl Merge for u64 {
    fn merge(&mut self, other: &u64) {
        *self += other;
    }
}

impl Merge for f64 {
    fn merge(&mut self, other: &f64) {
        *self += other;
    }
}

/// Functions that are merged have equal names.
impl Merge for String {
    fn merge(&mut self, _: &String) {}
}

/// Structs of figures: public and serializable.
macro_rules! figures {
    ($derives:tt $($(#[$meta:meta])* struct $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        figures!(@ $derives $(#[$meta])* $name { $($(#[$doc])* $field: $type,)* });

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut fields = serializer.serialize_struct(stringify!($name), [$(stringify!($field)),*].len())?;
                $(fields.serialize_field(stringify!($field).trim_start_matches("r#"), &self.$field)?;)*
                fields.end()
            }
        }
    )*};
    (@ ($($derive:ident),*) $(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, $($derive),*)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
        }
    };
}

/// The sums of structs of figures.
macro_rules! merged {
    ($($name:ident { $($field:ident)* })*) => {$(
        impl Merge for $name {
            fn merge(&mut self, other: &$name) {
                let $name { $($field),* } = other;
                $(self.$field.merge($field);)*
            }
        }
    )*};
}

figures! {
    ()
    /// What one function has done in one cache and this process, from [`Cache::functions`](crate::Cache::functions).
    ///
    /// ```
    /// use redis_cached::{Cache, redis_cached};
    ///
    /// #[redis_cached(prefix = "shop", name = "square", cache = cache, skip(cache))]
    /// fn square(cache: &Cache, n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// let cache = Cache::builder("memory://")?.build();
    /// square(&cache, 3);
    /// square(&cache, 3);
    /// let functions = cache.functions();
    /// let stats = &functions[0];
    /// assert_eq!(stats.function, "shop:square");
    /// assert_eq!((stats.calls.miss, stats.calls.hit, stats.calls.all()), (1, 1, 2));
    /// assert_eq!((stats.bodies.ok.count(), stats.fills.stored), (1, 1));
    /// println!("{}", serde_json::to_string(stats).expect("figures serialize"));
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    ///
    /// All numbers only grow, except for those of what the local tier holds at the moment.
    struct FunctionStats {
        /// What the keys of the function begin with, after the namespace: its prefix and its name. Functions with the same
        /// one are counted together.
        function: String,
        /// The prefix.
        prefix: String,
        /// The name.
        name: String,
        /// The calls, by their results.
        calls: Calls,
        /// The seconds that bodies would have run for the calls that got a stored value: the sum of the durations that the
        /// values were computed in. A call for many ids that finds them all saves the longest of those durations.
        saved_seconds: f64,
        /// The bodies that ran, by how they ended, and their durations in seconds.
        bodies: Bodies,
        /// The seconds that calls waited for the computations of other calls.
        waits: Histogram,
        /// The values of bodies, `put` and `write_through`, by what became of them.
        fills: Fills,
        /// The bytes of the values that were stored, with their headers.
        value_bytes: Histogram,
        /// The refreshes, in the background or by `…_refresh`, by what became of them. Calls without an entry, such as all of
        /// `off://`, refresh nothing.
        refreshes: Refreshes,
        /// The values that were found and could not be used, by the reason.
        unusable: Unusable,
        /// The values that this process keeps, with `local`.
        local: LocalStats,
    }

    /// The calls of a function, by their results: each call has one, so that their sum is the number of calls. A call for
    /// many ids counts once for each id.
    struct Calls {
        /// Answered by a value of the local tier.
        local: u64,
        /// Answered by a value of the store.
        hit: u64,
        /// Answered by a value past its lifetime.
        stale: u64,
        /// Answered by the result of another call of this process.
        shared: u64,
        /// Found nothing usable, and the body ran.
        miss: u64,
        /// The cache could not be asked, or is off, and the body ran.
        bypass: u64,
        /// Cancelled before anything of this: while it asked the store, or waited for another call.
        cancelled: u64,
    }

    /// The bodies of a function, by how they ended, with their durations in seconds. A body for many ids counts once.
    struct Bodies {
        /// Returned a value.
        ok: Histogram,
        /// Returned an error.
        err: Histogram,
        /// Returned `None`.
        none: Histogram,
        /// Panicked.
        panic: Histogram,
        /// Was dropped before it ended.
        cancelled: Histogram,
    }

    /// The values of a function that were to be stored, by what became of them. A body for many ids counts once for each
    /// distinct id that it returned a value for.
    struct Fills {
        /// Stored.
        stored: u64,
        /// Overtaken: an invalidation came in between, or the lease was lost.
        refused: u64,
        /// The store failed.
        failed: u64,
        /// Not to be stored (`cache_if`, a `None`, a lifetime of zero), or not encodable.
        not_cacheable: u64,
        /// Larger than what Redis stores.
        too_large: u64,
    }

    /// The refreshes of a function, by what became of them.
    struct Refreshes {
        /// A new value is stored.
        stored: u64,
        /// The body returned a value, which is not stored.
        unstored: u64,
        /// The body failed.
        failed: u64,
        /// The body did not run: another call refreshes the value or has replaced it, or the store could not be asked.
        skipped: u64,
        /// The bodies that were begun.
        begun: u64,
    }

    /// The values of a function that were found and could not be used, by the reason. After a deploy that changes a type
    /// these grow until the values are replaced.
    struct Unusable {
        /// Not a value of this format: of another version of this library, of another program, or cut off. Or it is compressed,
        /// and this build lacks the feature `lz4` or `zstd` that undoes it.
        format: u64,
        /// Of another `version`.
        version: u64,
        /// Of another codec.
        codec: u64,
        /// Of another type.
        r#type: u64,
        /// Damaged, or copied from another key.
        checksum: u64,
        /// A tag was invalidated since.
        tags: u64,
        /// Not decodable, although intact and of this type.
        decode: u64,
    }

    /// What this process keeps of a function's values, with `local`.
    struct LocalStats {
        /// The entries at the moment.
        entries: u64,
        /// The bytes that they count as.
        bytes: u64,
        /// Values that were admitted, once the store had confirmed them.
        admitted: u64,
        /// Values that were offered, and not admitted: they changed before the store confirmed them.
        refused: u64,
        /// Entries that were removed to make room.
        evicted: u64,
        /// Entries that the server told a change of. They are served again if it turns out that they are unchanged.
        pushed: u64,
        /// Entries that a write of this process removed.
        voided: u64,
        /// Entries that a call found after the end of their lifetime, or of the minute after which a value is confirmed
        /// again. They stay until their place is needed, or a new value takes it.
        expired: u64,
        /// Entries that a call found to be from before a lost connection, or from before the server was emptied. They stay
        /// in the same way.
        generation: u64,
    }
}

merged! {
    FunctionStats {
        function prefix name calls saved_seconds bodies waits fills value_bytes refreshes unusable local
    }
    Calls { local hit stale shared miss bypass cancelled }
    Bodies { ok err none panic cancelled }
    Fills { stored refused failed not_cacheable too_large }
    Refreshes { stored unstored failed skipped begun }
    Unusable { format version codec r#type checksum tags decode }
    LocalStats { entries bytes admitted refused evicted pushed voided expired generation }
}

impl FunctionStats {
    pub(crate) fn merge(&mut self, other: &FunctionStats) {
        Merge::merge(self, other);
    }
}

impl Calls {
    /// The number of calls.
    pub fn all(&self) -> u64 {
        let Calls { local, hit, stale, shared, miss, bypass, cancelled } = self;
        local + hit + stale + shared + miss + bypass + cancelled
    }

    /// The part of the calls that were answered without a body, from 0 to 1; `None` without a call. Cancelled calls do not
    /// count.
    pub fn ratio(&self) -> Option<f64> {
        let answered = self.local + self.hit + self.stale + self.shared;
        let all = self.all() - self.cancelled;
        (all > 0).then(|| answered as f64 / all as f64)
    }
}

/// A histogram with fixed buckets.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Histogram {
    /// The upper bounds of the buckets, which belong to them.
    pub bounds: &'static [f64],
    /// The observations in each bucket, and last those above all bounds.
    pub counts: Vec<u64>,
    /// The sum of all observations.
    pub sum: f64,
}

impl Histogram {
    pub(super) fn of(bounds: &'static [f64]) -> Histogram {
        Histogram { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// The number of observations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The bounds as Prometheus writes them, with infinity at the end, and how many observations are at or below each.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (String, u64)> {
        let bounds = self.bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        bounds.zip(&self.counts).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((bound, *sum))
        })
    }

    /// The bound of the bucket that has this part of the observations at or below it, such as 0.99; `None` without an
    /// observation, and infinity above all bounds.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let rank = (self.count() as f64 * part.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut sum = 0;
        let bucket = self.counts.iter().position(|count| {
            sum += count;
            sum >= rank
        })?;
        Some(self.bounds.get(bucket).copied().unwrap_or(f64::INFINITY))
    }
}

impl Merge for Histogram {
    fn merge(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.sum += other.sum;
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Histogram", 3)?;
        fields.serialize_field("bounds", self.bounds)?;
        fields.serialize_field("counts", &self.counts)?;
        fields.serialize_field("sum", &self.sum)?;
        fields.end()
    }
}

figures! {
    (Copy, Eq)
    /// The counts of a [`Cache`](crate::Cache) in this process, from [`Cache::stats`](crate::Cache::stats): the sums over all
    /// functions. All numbers only grow.
    ///
    /// ```
    /// use redis_cached::Cache;
    ///
    /// let cache = Cache::builder("memory://")?.build();
    /// let stats = cache.stats();
    /// let bodies = stats.misses + stats.bypasses + stats.refreshes;
    /// let without_a_body = stats.hits + stats.stale + stats.shared;
    /// println!("{without_a_body} calls answered, {bodies} bodies run");
    /// println!("{} values stored, {} not", stats.stored, stats.refused);
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    struct Stats {
        /// Calls answered from the store, or from the local tier.
        hits: u64,
        /// Those of them that were answered from the local tier, which is the feature `local`.
        local_hits: u64,
        /// Calls answered from the store with a value past its lifetime (`stale_while_revalidate`,
        /// `stale_if_error`).
        stale: u64,
        /// Calls that waited for another call of this process, and got its result.
        shared: u64,
        /// Calls that found nothing usable, and ran the body.
        misses: u64,
        /// Calls that ran the body because the cache could not be asked, or is off.
        bypasses: u64,
        /// Bodies that ran although there was a value: in the background, or by `…_refresh`.
        refreshes: u64,
        /// Values stored.
        stored: u64,
        /// Values not stored although they were to be: overtaken by an invalidation, or the store
        /// failed.
        refused: u64,
        /// Invalidations, by what they were asked for.
        invalidations: InvalidationStats,
    }

    /// The invalidations that a cache was asked for in this process, from [`Stats::invalidations`].
    struct InvalidationStats {
        /// Of entries, with those that follow a write-through whose value is not stored.
        entry: InvalidationsOfKind,
        /// Of groups.
        group: InvalidationsOfKind,
        /// Of tags.
        tag: InvalidationsOfKind,
    }

    /// The invalidations of one kind, by their results.
    struct InvalidationsOfKind {
        /// The store has taken them.
        delivered: u64,
        /// The store failed, and they are delivered later. If some of many fail, all that were asked for together count.
        failed: u64,
    }
}

impl Stats {
    /// The sums over functions.
    pub(crate) fn of(functions: &[FunctionStats], invalidations: InvalidationStats) -> Stats {
        let sum = |of: fn(&FunctionStats) -> u64| functions.iter().map(of).sum();
        Stats {
            hits: sum(|function| function.calls.hit + function.calls.local),
            local_hits: sum(|function| function.calls.local),
            stale: sum(|function| function.calls.stale),
            shared: sum(|function| function.calls.shared),
            misses: sum(|function| function.calls.miss),
            bypasses: sum(|function| function.calls.bypass),
            refreshes: sum(|function| function.refreshes.begun),
            stored: sum(|function| function.fills.stored),
            refused: sum(|function| function.fills.refused + function.fills.failed),
            invalidations,
        }
    }
}

figures! {
    (Eq)
    /// The state of the server or servers of a cache, as this process knows it, from
    /// [`Cache::server_stats`](crate::Cache::server_stats).
    ///
    /// ```
    /// let cache = redis_cached::Cache::builder("memory://")?.build();
    /// let stats = cache.server_stats();
    /// assert!(stats.up && stats.accepts_writes && stats.undelivered == 0);
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    struct ServerStats {
        /// No circuit breaker is open. False for a cache that is off, or that cannot be used.
        up: bool,
        /// It is up, and no server refused a write a moment ago.
        accepts_writes: bool,
        /// The keys that are still to be invalidated, as [`Cache::undelivered`](crate::Cache::undelivered) tells.
        undelivered: u64,
        /// The server, or the known nodes of a cluster. Empty for a cache without a server.
        servers: Vec<ServerState>,
    }

    /// The state of one server, as this process knows it, from [`ServerStats::servers`].
    struct ServerState {
        /// The address, without a password.
        server: String,
        /// The circuit breaker is closed.
        up: bool,
        /// The server refused no write a moment ago.
        accepts_writes: bool,
        /// The open connections.
        connections: Connections,
        /// How long ago, in milliseconds, the moment is up to which the server has told all changes of what the local tier
        /// keeps. With the feature `local`, and while something is kept; else `None`. If it is above
        /// `Builder::local_bound`, the tier serves nothing.
        local_proof_age_ms: Option<u64>,
    }
}

figures! {
    (Copy, Eq)
    /// The open connections to a server, by what they are for. They are greeted, and open as far as this process knows.
    struct Connections {
        /// Of async functions and of the cache itself, for most requests. The one over which the server tells changes to the
        /// local tier is not counted.
        small: u64,
        /// Of async functions, for large values.
        large: u64,
        /// Of plain functions.
        blocking: u64,
    }
}
