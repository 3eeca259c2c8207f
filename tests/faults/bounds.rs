//! What an operation may lose to a server that hangs: one time-out before its body, and one after it.
//!
//! Each operation of both faces meets two silences, at each of its commands: one connection that has no reply from that
//! command on, and a server that has none. It is measured against itself, over the same connection without a silence.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use test_support::{Mode, Server};

/// The time-out of an operation. A large batch takes its time: a time-out that it loses must show next to that.
fn timeout(operation: Operation) -> Duration {
    match operation {
        Operation::Batch(MANY) | Operation::FailingBatch(MANY) | Operation::LabelledBatch(MANY) => {
            Duration::from_millis(1_200)
        }
        _ => Duration::from_millis(300),
    }
}

/// The margin of a busy machine; it is less than one time-out.
const MARGIN: Duration = Duration::from_millis(220);

/// How many ids a large batch has: more than one round trip carries.
const MANY: u64 = 5_000;

/// The functions and their operations, as `async fn` and as plain ones.
macro_rules! face {
    ($face:ident: $($async:ident)?, $($await:tt)*) => {
        mod $face {
            use super::*;

            #[redis_cached(prefix = "bounds", name = "row", cache = cache, skip(cache))]
            $($async)? fn row(cache: &Cache, id: u64) -> u64 {
                id
            }

            #[redis_cached(prefix = "bounds", name = "failing", cache = cache, skip(cache))]
            $($async)? fn failing(cache: &Cache, id: u64) -> Result<u64, u64> {
                Err(id)
            }

            #[redis_cached(prefix = "bounds", name = "tagged", tags = ["org:{id}"], cache = cache, skip(cache))]
            $($async)? fn tagged(cache: &Cache, id: u64) -> u64 {
                id
            }

            #[redis_cached(
                prefix = "bounds", name = "labelled", tags = |id: &u64| vec![format!("of:{id}")], cache = cache, skip(cache)
            )]
            $($async)? fn labelled(cache: &Cache, id: u64) -> u64 {
                id
            }

            #[redis_cached(prefix = "bounds", name = "field", group = "of:{id}", cache = cache, skip(cache))]
            $($async)? fn field(cache: &Cache, id: u64) -> u64 {
                id
            }

            #[redis_cached(prefix = "bounds", name = "batch", batch(id in ids), cache = cache, skip(cache))]
            $($async)? fn batch(cache: &Cache, ids: &[u64]) -> HashMap<u64, u64> {
                ids.iter().map(|id| (*id, *id)).collect()
            }

            #[redis_cached(prefix = "bounds", name = "failing_batch", batch(id in ids), cache = cache, skip(cache))]
            $($async)? fn failing_batch(cache: &Cache, ids: &[u64]) -> Result<HashMap<u64, u64>, u64> {
                Err(ids[0])
            }

            #[redis_cached(
                prefix = "bounds", name = "labelled_batch", batch(id in ids), tags = |id: &u64| vec![format!("of:{id}")],
                cache = cache, skip(cache)
            )]
            $($async)? fn labelled_batch(cache: &Cache, ids: &[u64]) -> HashMap<u64, u64> {
                ids.iter().map(|id| (*id, *id)).collect()
            }

            fn ids(of: u64, count: u64) -> Vec<u64> {
                (of..of + count).collect()
            }

            pub(super) $($async)? fn run(operation: Operation, cache: &Cache, id: u64) {
                match operation {
                    Operation::Hit => _ = row(cache, 1)$($await)*,
                    Operation::Call => _ = row(cache, id)$($await)*,
                    Operation::FailingCall => _ = failing(cache, id)$($await)*,
                    Operation::TaggedCall => _ = tagged(cache, id)$($await)*,
                    Operation::LabelledCall => _ = labelled(cache, id)$($await)*,
                    Operation::CallOfAGroup => _ = field(cache, id)$($await)*,
                    Operation::Refresh => _ = row_refresh(cache, id)$($await)*,
                    Operation::Batch(count) => _ = batch(cache, &ids(id, count))$($await)*,
                    Operation::FailingBatch(count) => _ = failing_batch(cache, &ids(id, count))$($await)*,
                    Operation::LabelledBatch(count) => _ = labelled_batch(cache, &ids(id, count))$($await)*,
                    Operation::Get => _ = row_entry(cache, id).get()$($await)*,
                    Operation::Put => _ = row_entry(cache, id).put(&id)$($await)*,
                    Operation::Ttl => _ = row_entry(cache, id).ttl()$($await)*,
                    Operation::Invalidate => _ = row_entry(cache, id).invalidate()$($await)*,
                    Operation::WriteThrough => {
                        let write = $($async)? || Ok::<(), ()>(());
                        _ = row_entry(cache, id).write_through(&id, write)$($await)*;
                    }
                    Operation::FailingWrite => {
                        let write = $($async)? || Err::<(), ()>(());
                        _ = row_entry(cache, id).write_through(&id, write)$($await)*;
                    }
                    Operation::LabelledWrite => {
                        let write = $($async)? || Ok::<(), ()>(());
                        _ = labelled_entry(cache, id).write_through(&id, write)$($await)*;
                    }
                    Operation::GetAll(count) => {
                        let entries: Vec<_> = ids(id, count).iter().map(|id| row_entry(cache, *id)).collect();
                        _ = all!($face, cache).get_all(&entries)$($await)*;
                    }
                    Operation::InvalidateAll(count) => {
                        let entries: Vec<_> = ids(id, count).iter().map(|id| row_entry(cache, *id)).collect();
                        _ = all!($face, cache).invalidate_all(entries)$($await)*;
                    }
                    Operation::InvalidateTag => _ = all!($face, cache).invalidate_tag(&format!("org:{id}"))$($await)*,
                    Operation::InvalidateGroup => _ = field_group(cache, id).invalidate()$($await)*,
                    Operation::CountGroup => _ = field_group(cache, id).len()$($await)*,
                    Operation::Ping => _ = all!($face, cache).ping()$($await)*,
                }
            }
        }
    };
}

/// The cache whose verbs are those of a face.
macro_rules! all {
    (tasks, $cache:ident) => {
        $cache
    };
    (threads, $cache:ident) => {
        $cache.blocking()
    };
}

face!(tasks: async, .await);
face!(threads: ,);

#[derive(Debug, Clone, Copy)]
enum Operation {
    Hit,
    Call,
    FailingCall,
    TaggedCall,
    LabelledCall,
    CallOfAGroup,
    Refresh,
    Batch(u64),
    FailingBatch(u64),
    LabelledBatch(u64),
    Get,
    Put,
    Ttl,
    Invalidate,
    WriteThrough,
    FailingWrite,
    LabelledWrite,
    GetAll(u64),
    InvalidateAll(u64),
    InvalidateTag,
    InvalidateGroup,
    CountGroup,
    Ping,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Face {
    Async,
    Plain,
}

/// A command as it is written; other commands may have the same word among their arguments.
const GET: &str = "*2\r\n$3\r\nGET\r\n";
const MGET: &str = "$4\r\nMGET\r\n";
const SET: &str = "\r\n$3\r\nSET\r\n";
const EVAL: &str = "\r\nEVAL";
const IFEQ: &str = "\r\nIFEQ\r\n";
const UNLINK: &str = "$6\r\nUNLINK\r\n";
const HMGET: &str = "$5\r\nHMGET\r\n";
const PING: &str = "$4\r\nPING\r\n";

/// Each operation, and where the silence begins: at the n-th occurrence of a command.
const SILENCES: &[(Operation, &[(&str, usize)])] = &[
    (Operation::Hit, &[(GET, 1)]),
    (Operation::Call, &[(GET, 1), (SET, 1), (EVAL, 1)]),
    (Operation::FailingCall, &[(SET, 1), (EVAL, 1)]),
    (Operation::TaggedCall, &[(MGET, 1), (SET, 1), (SET, 2), (EVAL, 1)]),
    (Operation::LabelledCall, &[(GET, 1), (SET, 1), (SET, 2), (EVAL, 1)]),
    (Operation::CallOfAGroup, &[(HMGET, 1), (EVAL, 1), (EVAL, 2)]),
    (Operation::Refresh, &[(SET, 1), (EVAL, 1)]),
    (Operation::Batch(2), &[(MGET, 1), (SET, 1), (EVAL, 1)]),
    (Operation::Batch(MANY), &[(MGET, 1), (MGET, 3), (SET, 2_500), (EVAL, 1), (EVAL, 2_500)]),
    (Operation::FailingBatch(2), &[(EVAL, 1)]),
    (Operation::FailingBatch(MANY), &[(EVAL, 1), (EVAL, 2_500)]),
    (Operation::LabelledBatch(2), &[(MGET, 1), (SET, 1), (SET, 3), (EVAL, 1)]),
    (Operation::LabelledBatch(MANY), &[(SET, 7_500), (EVAL, 1)]),
    (Operation::Get, &[(GET, 1)]),
    (Operation::Put, &[(SET, 1), (EVAL, 1)]),
    (Operation::Ttl, &[(GET, 1)]),
    (Operation::Invalidate, &[(UNLINK, 1)]),
    (Operation::WriteThrough, &[(SET, 1), (EVAL, 1)]),
    (Operation::FailingWrite, &[(SET, 1), (UNLINK, 1)]),
    (Operation::LabelledWrite, &[(SET, 1), (SET, 2), (EVAL, 1)]),
    (Operation::GetAll(MANY), &[(MGET, 1), (MGET, 3)]),
    (Operation::InvalidateAll(2), &[(UNLINK, 1)]),
    (Operation::InvalidateAll(MANY), &[(UNLINK, 1), (UNLINK, 3)]),
    (Operation::InvalidateTag, &[(UNLINK, 1)]),
    (Operation::InvalidateGroup, &[(UNLINK, 1)]),
    (Operation::CountGroup, &[(EVAL, 1)]),
    (Operation::Ping, &[(PING, 1)]),
];

/// How much of the server is silent.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Extent {
    /// A connection that has got the command.
    Connection,
    /// All of it.
    Server,
}

/// How many time-outs an operation may lose: one where it asks for nothing after its body, or for nothing before. A write
/// that cannot take its slot is followed by an invalidation. A large batch that has leased its first ids before the silence
/// stores the values of these; a server before Redis 7.0 leases by a script.
fn documented(operation: Operation, silence: (&str, usize), Dialect { has_nx, .. }: Dialect) -> u32 {
    let loses_two = match operation {
        Operation::WriteThrough | Operation::FailingWrite | Operation::LabelledWrite => silence == (SET, 1),
        Operation::Batch(MANY) => [(MGET, 3), (if has_nx { SET } else { EVAL }, 2_500)].contains(&silence),
        _ => false,
    };
    if loses_two { 2 } else { 1 }
}

/// What a server knows.
#[derive(Clone, Copy)]
struct Dialect {
    /// Leases are requested by `SET`, and not by a script.
    has_nx: bool,
    /// Values are stored by `SET`, and not by a script.
    has_ifeq: bool,
}

/// Ids that nothing was stored for.
fn unused() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(10);
    NEXT.fetch_add(MANY, Relaxed)
}

struct Measured {
    control: Duration,
    took: Duration,
    /// The silence was reached: the operation sends this command.
    was_met: bool,
}

fn measure(
    server: &Server,
    face: Face,
    operation: Operation,
    (command, at): (&'static str, usize),
    extent: Extent,
) -> Measured {
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(timeout(operation)).build();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let timed = |operation, id| {
        let begun = Instant::now();
        match face {
            Face::Async => runtime.block_on(tasks::run(operation, &cache, id)),
            Face::Plain => threads::run(operation, &cache, id),
        }
        begun.elapsed()
    };
    // There are several connections, so that what a call gives back finds one.
    proxy.set(Mode::Delay(Duration::from_millis(20)));
    thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(|| timed(Operation::Call, unused())))));
    proxy.set(Mode::Pass);
    // The server gets to know the scripts, and there are so many hits that calls look before they lease.
    timed(Operation::Call, unused());
    timed(operation, unused());
    let control = timed(operation, unused());
    let hit = match operation {
        Operation::TaggedCall | Operation::LabelledCall | Operation::CallOfAGroup => operation,
        _ => Operation::Hit,
    };
    for _ in 0..8 {
        timed(hit, 1);
    }
    if matches!(operation, Operation::CountGroup | Operation::InvalidateGroup) {
        timed(Operation::CallOfAGroup, 3);
    }
    proxy.set(match extent {
        Extent::Connection if at == 1 => Mode::FreezeOn(command),
        Extent::Connection => Mode::FreezeOnce(command, at),
        Extent::Server => Mode::FreezeFrom(command, at),
    });
    let took = timed(operation, unused());
    // An async face gives a lease back in the background.
    let begun = Instant::now();
    while proxy.frozen() == 0 && begun.elapsed() < timeout(operation) {
        thread::sleep(Duration::from_millis(5));
    }
    let was_met = proxy.frozen() > 0;
    proxy.set(Mode::Pass);
    proxy.cut();
    Measured { control, took, was_met }
}

/// Measures one row; returns what is wrong with it.
fn row(
    server: &Server,
    operation: Operation,
    silence: (&'static str, usize),
    extent: Extent,
    dialect: Dialect,
) -> Option<String> {
    let documented = documented(operation, silence, dialect);
    let (command, at) = silence;
    let or = if command == EVAL && dialect.has_ifeq { IFEQ } else { command };
    let mut excess = None;
    let mut cells = Vec::new();
    for face in [Face::Async, Face::Plain] {
        // The machine may be busy at one time: a time-out that the operation loses is lost at each attempt. An attempt
        // does not count if other rows made the function miss so often that it leased without a look.
        let mut best: Option<(Duration, Measured)> = None;
        for _ in 0..4 {
            let mut measured = measure(server, face, operation, silence, extent);
            if !measured.was_met {
                measured = measure(server, face, operation, (or, at), extent);
            }
            if !measured.was_met {
                continue;
            }
            let bound = measured.control * 2 + timeout(operation) * documented + MARGIN;
            let over = measured.took.saturating_sub(bound);
            if best.as_ref().is_none_or(|(least, _)| over < *least) {
                best = Some((over, measured));
            }
            if over.is_zero() {
                break;
            }
        }
        let Some((over, Measured { took, control, .. })) = best else {
            return Some(format!("{face:?} {operation:?} sends no {silence:?}"));
        };
        let times = |duration: Duration| duration.as_secs_f64() / timeout(operation).as_secs_f64();
        cells.push(format!("{:>5.2} ({:>4.2})", times(took), times(control)));
        if !over.is_zero() {
            excess = Some(format!("{face:?} {operation:?}, {silence:?}, {extent:?}: {took:?}, control {control:?}"));
        }
    }
    let command = command.trim_matches(|character: char| !character.is_ascii_uppercase());
    let command = command.rsplit('\n').next().unwrap();
    println!(
        "| {:<20} | {:<12} | {:<10} | {} | {} | {documented} |",
        format!("{operation:?}"),
        format!("{command} {at}"),
        format!("{extent:?}"),
        cells[0],
        cells[1]
    );
    excess
}

#[test]
fn no_operation_loses_more_than_is_documented() {
    println!("| operation | silence from | of | async fn | fn | documented |, in time-outs (control)");
    let server = Server::start();
    let has_nx = server.knows(&["SET", "any", "1", "NX", "GET"]);
    let dialect = Dialect { has_nx, has_ifeq: server.knows(&["SET", "any", "1", "IFEQ", "0"]) };
    let rows: Vec<_> = SILENCES
        .iter()
        .flat_map(|(operation, silences)| silences.iter().map(move |silence| (*operation, *silence)))
        .filter(|(_, (command, _))| has_nx || *command != SET)
        .flat_map(|(operation, silence)| {
            [Extent::Connection, Extent::Server].map(|extent| (operation, silence, extent))
        })
        .collect();
    let next = AtomicU64::new(0);
    let excess = thread::scope(|scope| {
        let worker = || {
            let mut excess = Vec::new();
            while let Some((operation, silence, extent)) = rows.get(next.fetch_add(1, Relaxed) as usize) {
                excess.extend(row(&server, *operation, *silence, *extent, dialect));
            }
            excess
        };
        let workers: Vec<_> = (0..3).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(excess.is_empty(), "{excess:#?}");
}
