//! A connection, and what one exchange has of it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};
use tokio::runtime::{Handle, Id};
use tokio::time::Sleep;

use super::coalesce::Coalescer;
use super::driver::Driver;
use crate::key::Key;
use crate::store::redis::ops::commands;
use crate::store::redis::request::{Load, Reply, Request};
use crate::store::redis::server::Open;
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::features::Features;
use crate::store::redis::transport::HALF_OPEN;

/// Places for spare lanes, to share the threads among.
const SHARDS: usize = 16;

/// So many spare lanes are kept in each.
const SPARE: usize = 128;

/// What a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Small,
    /// What small ones would wait for.
    Large,
}

impl Line {
    pub(super) fn of(load: Load) -> Line {
        if load.is_large { Line::Large } else { Line::Small }
    }
}

pub(super) struct Connection {
    pub(super) line: Line,
    pub(super) multiplexed: MultiplexedConnection,
    pub(super) features: Features,
    /// When it was made.
    pub(super) epoch: Epoch,
    /// The runtime that drives it.
    pub(super) runtime: Handle,
    /// Time-outs in a row.
    timeouts: AtomicU32,
    /// Not to be used any more.
    spoilt: AtomicBool,
    coalescer: Arc<Coalescer>,
    /// `None` where redis-rs has spawned it.
    driver: Option<Driver>,
    _open: Open,
}

impl Connection {
    pub(super) fn new(
        line: Line,
        (multiplexed, driver): (MultiplexedConnection, Option<Driver>),
        features: Features,
        epoch: Epoch,
        runtime: Handle,
        open: Open,
    ) -> Connection {
        let (timeouts, spoilt, coalescer) = (AtomicU32::new(0), AtomicBool::new(false), Arc::default());
        Connection { line, multiplexed, features, epoch, runtime, timeouts, spoilt, coalescer, driver, _open: open }
    }

    /// Nobody is to use it any more.
    pub(super) fn spoil(&self) {
        self.spoilt.store(true, Relaxed);
    }

    /// Writes at once what was handed to it.
    pub(super) fn write_now(&self) {
        if let Some(driver) = &self.driver {
            driver.write_now();
        }
    }

    /// An exchange had no reply in time. True if there were so many that the other end must be gone.
    pub(super) fn timed_out(&self) -> bool {
        self.timeouts.fetch_add(1, Relaxed) + 1 >= HALF_OPEN
    }

    pub(super) fn answered(&self) {
        if self.timeouts.load(Relaxed) != 0 {
            self.timeouts.store(0, Relaxed);
        }
    }
}

/// One exchange's share in a connection. To take a spare one is cheaper than to make one. Boxed, as it
/// moves from hand to hand.
pub(super) struct Lane(Box<Share>);

struct Share {
    connection: Arc<Connection>,
    multiplexed: MultiplexedConnection,
    /// Kept, because to move a timer's time on is cheaper than to enter one and to take it away.
    timer: Pin<Box<Sleep>>,
}

impl Lane {
    pub(super) fn of(connection: Arc<Connection>) -> Lane {
        // The timer is of the connection's runtime, whatever polls this call.
        let timer = in_runtime(&connection.runtime, || Box::pin(tokio::time::sleep(Duration::ZERO)));
        Lane(Box::new(Share { multiplexed: connection.multiplexed.clone(), connection, timer }))
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.0.connection
    }

    /// Sends, and waits for the reply. `None`: there was none in time.
    pub(super) async fn carry(&mut self, request: &Request, by: Instant) -> Option<RedisResult<Reply>> {
        let Share { multiplexed, timer, .. } = &mut *self.0;
        within(timer, by, pin!(send(multiplexed, request))).await
    }

    /// As [`carry`](Self::carry), of the command that reads a slot: it may travel with others'. Those
    /// are given up after `patience`.
    pub(super) async fn read(&mut self, key: &Key, by: Instant, patience: Duration) -> Option<RedisResult<Value>> {
        let Share { connection, multiplexed, timer } = &mut *self.0;
        let Connection { line, coalescer, runtime, .. } = &**connection;
        let mut under_way = None;
        if *line == Line::Small {
            under_way = coalescer.enter();
            if under_way.is_none() {
                let together = pin!(coalescer.together(key, multiplexed, runtime, patience));
                if let Some(reply) = within(timer, by, together).await? {
                    return Some(reply);
                }
            }
        }
        let command = commands::get(key);
        // Boxed: an allocation costs less than to move a large future through all the layers above.
        let mut sent = Box::pin(multiplexed.send_packed_command(&command));
        let reply = within(timer, by, sent.as_mut()).await;
        drop(under_way);
        reply
    }
}

/// What makes a timer makes it in the runtime that it runs in.
pub(super) fn in_runtime<T>(runtime: &Handle, make: impl FnOnce() -> T) -> T {
    let _entered = runtime.enter();
    make()
}

/// What the future gives, if it does in time.
async fn within<F: Future>(timer: &mut Pin<Box<Sleep>>, by: Instant, mut future: Pin<&mut F>) -> Option<F::Output> {
    let mut is_set = false;
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if !std::mem::replace(&mut is_set, true) {
            timer.as_mut().reset(by.into());
        }
        timer.as_mut().poll(context).map(|()| None)
    })
    .await
}

async fn send(connection: &mut MultiplexedConnection, request: &Request) -> RedisResult<Reply> {
    // Boxed, see above.
    Ok(match request {
        Request::One(command) | Request::OneOnce(command) => {
            Reply::One(Box::pin(connection.send_packed_command(command)).await?)
        }
        Request::Many(pipeline) | Request::ManyOnce(pipeline) => {
            let sent = Instant::now();
            let values = Box::pin(connection.send_packed_commands(pipeline, 0, pipeline.len())).await?;
            Reply::Many { values, sent }
        }
    })
}

/// Lanes that nobody uses now.
#[derive(Default)]
pub(super) struct Spare([Shard; SHARDS]);

/// Each shard has a cache line of its own, because processors must not share what every hit writes.
#[derive(Default)]
#[repr(align(128))]
struct Shard(Mutex<Vec<Lane>>);

impl Spare {
    /// This thread's share.
    fn shard(&self) -> &Shard {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static SHARD: usize = THREADS.fetch_add(1, Relaxed) % SHARDS;
        }
        // A thread that is ending has none of its own.
        &self.0[SHARD.try_with(|shard| *shard).unwrap_or(0)]
    }

    pub(super) fn take(&self, runtime: Id, line: Line, epoch: Epoch) -> Option<Lane> {
        let mut lanes = self.shard().lanes();
        let is_apt = |lane: &Lane| lane.connection().line == line && lane.connection().runtime.id() == runtime;
        let at = lanes.iter().rposition(is_apt)?;
        let lane = lanes.swap_remove(at);
        (lane.connection().epoch == epoch).then_some(lane)
    }

    pub(super) fn give_back(&self, lane: Lane) {
        let mut lanes = self.shard().lanes();
        // Under the lock: whoever spoils a connection looks for its lanes afterwards.
        if lanes.len() < SPARE && !lane.connection().spoilt.load(Relaxed) {
            lanes.push(lane);
        }
    }

    pub(super) fn purge(&self, gone: impl Fn(&Connection) -> bool) {
        for shard in &self.0 {
            let purged: Vec<Lane> = shard.lanes().extract_if(.., |lane| gone(lane.connection())).collect();
            drop(purged);
        }
    }
}

impl Shard {
    fn lanes(&self) -> MutexGuard<'_, Vec<Lane>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
