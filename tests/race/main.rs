//! Nothing stale after an invalidation: readers in several processes, runtimes and threads against
//! everything that replaces a value, counted against an origin that knows what is current.
//!
//! `cargo test --test race -- --nocapture` prints a row for each race.
//! `REDIS_CACHED_RACE_SECONDS=60` makes each of them last that long.
//!
//! The origin is a server of its own with two numbers for each id: the current *version*, and the
//! *floor* below which versions are stale. One writer at a time raises an id's version, tells the
//! cache, and, once that has succeeded, raises the floor. A reader asks for the floor, calls, and
//! what it gets is not below it.
//!
//! Ids come in classes of one or more, each with one writer: a group, or a tag, is that of a class.
//! Its writer raises the versions of all of them, tells the cache once, and raises all their floors.
//!
//! Functions with `local` have a floor for each process. The writer's own process holds to the present one at once.
//! Other processes hold to the one of the bound ago; an older value than the present one is counted as *late* there, with
//! the time since the write. Within each process nobody gets an older value than another call that was over already.
//!
//! Each race is run on a server, and in a cluster whose slots move and whose replicas take over meanwhile.

mod course;
mod origin;
mod overlaps;
mod part;
mod place;
mod processes;
#[macro_use]
mod subject;
mod written;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use One::{CancelledThrough, FailingThrough, Foreign, Invalidate, Put, Through};
use Write::{Single, Together};
use place::Kind;
use subject::{Large, Numbered};
use test_support::PATIENCE;

/// The ids of a class with a group or a tag.
const TOGETHER: u64 = 3;

/// The readers and writers of a race, and their pace.
#[derive(Clone, Copy)]
struct Setup {
    /// Unless the environment says otherwise.
    seconds: u64,
    /// The cache's.
    timeout: Duration,
    namespace: &'static str,
    /// How many classes of ids there are, and how many ids in each.
    classes: u64,
    together: u64,
    /// The longest that a body takes.
    body: Duration,
    /// The longest that a writer rests.
    rest: Duration,
    writes: &'static [Write],
    /// The promise that holds after the cache was told of a whole class.
    promise: Promise,
    /// Tasks and threads of each process that run the body whatever is stored.
    refreshers: u64,
    /// Half of the readers' calls are for up to so many ids, if that is more than none.
    most: u64,
    /// `true` if the cache connects over TLS.
    over_tls: bool,
    /// `true` if calls are judged, `false` if only `get` is. A call that cannot ask the cache may share
    /// a body of its process that runs already, and began before an invalidation elsewhere.
    judge_calls: bool,
    /// How long after a write another process may serve what it keeps, if functions have `local`. The writer's own
    /// process never does.
    bound: Option<Duration>,
}

const SETUP: Setup = Setup {
    seconds: 2,
    timeout: PATIENCE,
    namespace: "",
    classes: 8,
    together: 1,
    body: Duration::from_millis(4),
    rest: Duration::from_millis(8),
    writes: &[
        Single(Invalidate),
        Single(Invalidate),
        Single(Through),
        Single(Through),
        Single(Put),
        Single(Foreign("DEL")),
        Single(Foreign("UNLINK")),
        Single(FailingThrough),
        Single(CancelledThrough),
    ],
    promise: Promise::Current,
    refreshers: 0,
    most: 0,
    over_tls: false,
    judge_calls: true,
    bound: None,
};

/// Half of the writes are of a whole class.
const CLASSES: Setup = Setup { classes: 6, together: TOGETHER, ..SETUP };

const GROUPS: Setup = Setup {
    writes: &[
        Together(All::Invalidate),
        Together(All::Invalidate),
        Together(All::Invalidate),
        Together(All::Foreign("UNLINK")),
        Together(All::Foreign("DEL")),
        Together(All::Cancelled),
        Single(Invalidate),
        Single(Invalidate),
        Single(Through),
        Single(Through),
        Single(Put),
        Single(Foreign("HDEL")),
        Single(FailingThrough),
        Single(CancelledThrough),
    ],
    ..CLASSES
};

const TAGS: Setup = Setup {
    namespace: "staging",
    writes: &[
        Together(All::Invalidate),
        Together(All::Invalidate),
        Together(All::Invalidate),
        Together(All::Foreign("UNLINK")),
        Together(All::Foreign("DEL")),
        Together(All::Cancelled),
        Single(Invalidate),
        Single(Through),
        Single(Through),
        Single(Put),
        Single(Foreign("UNLINK")),
        Single(FailingThrough),
        Single(CancelledThrough),
    ],
    ..CLASSES
};

/// `invalidate_all` of a class's entries.
const BATCHES: Setup = Setup {
    most: CLASSES.classes * TOGETHER,
    writes: &[
        Together(All::Invalidate),
        Together(All::Invalidate),
        Together(All::Invalidate),
        Together(All::Foreign("UNLINK")),
        Together(All::Cancelled),
        Single(Invalidate),
        Single(Through),
        Single(Through),
        Single(Put),
        Single(Foreign("UNLINK")),
        Single(FailingThrough),
        Single(CancelledThrough),
    ],
    ..CLASSES
};

/// Each process keeps values. A foreign command is told to all processes in the same way, and is in `faults`.
#[cfg(feature = "local")]
const LOCAL: Setup = Setup {
    bound: Some(Duration::from_millis(500)),
    rest: Duration::from_millis(30),
    refreshers: 1,
    writes: &[
        Single(Invalidate),
        Single(Invalidate),
        Single(Through),
        Single(Through),
        Single(Put),
        Single(FailingThrough),
        Single(CancelledThrough),
    ],
    ..SETUP
};

/// The same, and half of the writes are of a whole class.
#[cfg(feature = "local")]
const LOCAL_CLASSES: Setup = Setup {
    classes: CLASSES.classes,
    together: CLASSES.together,
    // A refresh of many replaces what is kept of all of them.
    refreshers: 0,
    writes: &[
        Together(All::Invalidate),
        Together(All::Invalidate),
        Together(All::Cancelled),
        Single(Invalidate),
        Single(Through),
        Single(Put),
        Single(FailingThrough),
        Single(CancelledThrough),
    ],
    ..LOCAL
};

/// Operations time out and arrive all the same, the breaker opens and closes. A write-through
/// does not tell whether the cache heard of it.
const IMPATIENT: Setup = Setup {
    timeout: Duration::from_millis(3),
    judge_calls: false,
    writes: &[
        Single(Invalidate),
        Single(Invalidate),
        Single(Put),
        Single(Foreign("UNLINK")),
        Single(FailingThrough),
        Single(CancelledThrough),
    ],
    ..SETUP
};

/// The same, of groups, tags, or many entries at once.
const IMPATIENT_CLASSES: Setup = Setup {
    classes: CLASSES.classes,
    together: CLASSES.together,
    writes: &[
        Together(All::Invalidate),
        Together(All::Invalidate),
        Together(All::Foreign("UNLINK")),
        Together(All::Cancelled),
        Single(Invalidate),
        Single(Put),
        Single(FailingThrough),
        Single(CancelledThrough),
    ],
    ..IMPATIENT
};

/// The ways in which the cache learns of new versions.
#[derive(Clone, Copy, Debug)]
enum Write {
    /// A new version of one id.
    Single(One),
    /// New versions of all ids of a class.
    Together(All),
}

#[derive(Clone, Copy, Debug)]
enum One {
    /// The origin, then `invalidate`.
    Invalidate,
    /// The origin, then `put`: right where writers take turns.
    Put,
    /// The origin, then a command of another client.
    Foreign(&'static str),
    /// `write_through`.
    Through,
    /// The write takes place, and says that it did not. Nothing is promised until the next one.
    FailingThrough,
    /// Dropped half-way. Nothing is promised until the next one.
    CancelledThrough,
}

#[derive(Clone, Copy, Debug)]
enum All {
    /// The origin, then the group, the tag, or all entries.
    Invalidate,
    /// The same, dropped half-way. Nothing is promised until the next one.
    Cancelled,
    /// The origin, then a command of another client, for the hash, the stamp, or all keys.
    Foreign(&'static str),
}

/// The promise that a reader may rely on once the cache has been told of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promise {
    /// Nothing is served from before the write at the origin.
    Current,
    /// Nothing is served that was stored already. A tag that follows from the value is unknown
    /// while a body runs, so what such a body has read before may be stored afterwards. For each
    /// body has a number, which its value carries, and each value that a writer finds stored before
    /// it invalidates is out of date once it has: with its number those of all bodies that began
    /// earlier, which have lost the slot to it.
    Stored,
}

// The names that templates mention come from here, for they are not those of a macro's own.
races! {
    (id in ids, "{id}")

    calls: u64, [], {}, Setup { seconds: 4, ..SETUP };
    /// Entries expire all the time, too.
    short_lived: u64, [ttl = "20ms"], {}, Setup { rest: Duration::from_millis(40), ..SETUP };
    /// A fill is sent ahead and moved, on servers that cannot compare in `SET`.
    large: Large, [], {}, SETUP;
    refreshed: u64, [], {}, Setup { refreshers: 2, ..SETUP };
    /// Old values are served and refreshed in the background, but none from before an invalidation.
    revalidated: u64, [ttl = "15ms", stale_while_revalidate = "1h"], {}, Setup { refreshers: 1, ..SETUP };
    refreshed_ahead: u64, [ttl = "100ms", refresh_ahead = 0.1], {}, SETUP;
    impatient: u64, [], {}, IMPATIENT;
    /// Calls that wait no longer share a body of their process by the key alone.
    hasty: u64, [wait = "1ms"], {}, SETUP;

    grouped: Numbered, [group = "class:{id / TOGETHER}"], { in_groups }, Setup { refreshers: 1, ..GROUPS };
    /// The mark of a refresh is in a field of its own there.
    grouped_revalidated: Numbered,
        [group = "class:{id / TOGETHER}", ttl = "15ms", stale_while_revalidate = "1h"], { in_groups },
        Setup { refreshers: 1, ..GROUPS };
    grouped_short_lived: Numbered, [group = "class:{id / TOGETHER}", ttl = "20ms"], { in_groups },
        Setup { rest: Duration::from_millis(40), ..GROUPS };
    grouped_large: Large, [group = "class:{id / TOGETHER}"], { in_groups }, GROUPS;
    grouped_impatient: Numbered, [group = "class:{id / TOGETHER}"], { in_groups }, IMPATIENT_CLASSES;

    tagged: Numbered, [tags = ["class:{id / TOGETHER}", "all"]], { by_tag }, Setup { refreshers: 1, ..TAGS };
    tagged_revalidated: Numbered,
        [tags = ["class:{id / TOGETHER}", "all"], ttl = "15ms", stale_while_revalidate = "1h"], { by_tag },
        Setup { refreshers: 1, ..TAGS };
    tagged_in_groups: Numbered, [tags = "class:{id / TOGETHER}", group = "kind:{id % 2}"], { by_tag },
        Setup {
            writes: &[
                Together(All::Invalidate),
                Together(All::Invalidate),
                Together(All::Foreign("UNLINK")),
                Single(Invalidate),
                Single(Through),
                Single(Put),
                Single(Foreign("HDEL")),
                Single(CancelledThrough),
            ],
            ..TAGS
        };
    tagged_by_value: Numbered, [tags = |user: &Numbered| vec![user.class()]], { by_tag },
        Setup { promise: Promise::Stored, refreshers: 1, ..TAGS };
    tagged_impatient: Numbered, [tags = ["class:{id / TOGETHER}", "all"]], { by_tag }, IMPATIENT_CLASSES;

    batched: Numbered, [], { in_batches }, Setup { refreshers: 1, ..BATCHES };
    batched_hasty: Numbered, [wait = "1ms"], { in_batches }, BATCHES;
    batched_large: Large, [], { in_batches }, Setup { most: 4, ..BATCHES };
    batched_in_groups: Numbered, [group = "class:{id / TOGETHER}"], { in_groups in_batches },
        Setup { most: BATCHES.most, refreshers: 1, ..GROUPS };
    batched_by_tag: Numbered, [tags = ["class:{id / TOGETHER}", "all"]], { by_tag in_batches },
        Setup { most: BATCHES.most, refreshers: 1, ..TAGS };
    batched_by_value: Numbered, [tags = |user: &Numbered| vec![user.class()]], { by_tag in_batches },
        Setup { most: BATCHES.most, promise: Promise::Stored, ..TAGS };
    batched_impatient: Numbered, [], { in_batches }, Setup { most: BATCHES.most, ..IMPATIENT_CLASSES };

    #[cfg(feature = "local")]
    local: u64, [local = 1000], {}, LOCAL;
    #[cfg(feature = "local")]
    local_refreshed_ahead: u64, [local = 1000, ttl = "200ms", refresh_ahead = 0.2], {}, LOCAL;
    #[cfg(feature = "local")]
    local_tagged: Numbered, [local = 1000, tags = ["class:{id / TOGETHER}", "all"]], { by_tag },
        Setup { namespace: "staging", ..LOCAL_CLASSES };
    #[cfg(feature = "local")]
    local_batched: Numbered, [local = 1000], { in_batches }, Setup { most: BATCHES.most, ..LOCAL_CLASSES };
    #[cfg(feature = "local")]
    local_batched_by_tag: Numbered, [local = 1000, tags = ["class:{id / TOGETHER}", "all"]], { by_tag in_batches },
        Setup { namespace: "staging", most: BATCHES.most, ..LOCAL_CLASSES };
    #[cfg(all(feature = "local", feature = "tls-rustls"))]
    local_over_tls: u64, [local = 1000], {}, Setup { over_tls: true, ..LOCAL };

    #[cfg(feature = "tls-rustls")]
    calls_over_tls: u64, [], {}, Setup { over_tls: true, ..SETUP };
    #[cfg(feature = "tls-rustls")]
    grouped_over_tls: Numbered, [group = "class:{id / TOGETHER}"], { in_groups }, Setup { over_tls: true, ..GROUPS };
    #[cfg(feature = "tls-rustls")]
    batched_by_tag_over_tls: Numbered, [tags = ["class:{id / TOGETHER}", "all"]], { by_tag in_batches },
        Setup { most: BATCHES.most, over_tls: true, ..TAGS };
}

fn choose<T: Copy>(among: &[T]) -> T {
    among[random(among.len() as u64) as usize]
}

fn random_part(of: Duration) -> Duration {
    Duration::from_micros(random(of.as_micros() as u64 + 1))
}

/// Below `end`; another sequence in each process.
fn random(end: u64) -> u64 {
    static STATE: AtomicU64 = AtomicU64::new(0);
    let step = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed).wrapping_add(u64::from(std::process::id()) << 32);
    let mixed = (step ^ step >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ mixed >> 31) % end
}
