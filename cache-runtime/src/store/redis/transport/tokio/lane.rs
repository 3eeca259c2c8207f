//! A connection, and the part of it that one exchange uses.

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
use super::dial::Seen;
use super::driver::Driver;
use crate::key::{Address, Key};
use crate::observe::{Exchange, Exchanges, Failure, Operation};
use crate::store::redis::ops::commands;
use crate::store::redis::request::{Load, Reply, Request};
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::Fault;
use crate::store::redis::server::features::Features;
use crate::store::redis::server::{Open, Purpose};
use crate::store::redis::transport::HALF_OPEN;

/// The number of places for spare lanes, which threads share.
const SHARDS: usize = 16;

/// The number of spare lanes that each place keeps.
const SPARE: usize = 128;

/// The kind of load that a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Small,
    /// Requests and replies that would delay small ones.
    Large,
}

impl Line {
    pub(super) fn of(load: Load) -> Line {
        if load.is_large { Line::Large } else { Line::Small }
    }

    pub(super) fn purpose(self) -> Purpose {
        match self {
            Line::Small => Purpose::Small,
            Line::Large => Purpose::Large,
        }
    }
}

pub(super) struct Connection {
    pub(super) line: Line,
    pub(super) multiplexed: MultiplexedConnection,
    pub(super) features: Features,
    /// The epoch in which the connection was made.
    pub(super) epoch: Epoch,
    /// The runtime that drives it.
    pub(super) runtime: Handle,
    /// The number of consecutive time-outs.
    timeouts: AtomicU32,
    /// True if the connection must not be used any more.
    spoilt: AtomicBool,
    coalescer: Arc<Coalescer>,
    /// `None` if redis-rs has spawned it.
    driver: Option<Driver>,
    seen: Arc<Seen>,
    exchanges: Arc<Exchanges>,
    _open: Open,
}

impl Connection {
    pub(super) fn new(
        line: Line,
        (multiplexed, driver, seen): (MultiplexedConnection, Option<Driver>, Arc<Seen>),
        features: Features,
        (epoch, runtime): (Epoch, Handle),
        exchanges: Arc<Exchanges>,
        open: Open,
    ) -> Connection {
        let (timeouts, spoilt) = (AtomicU32::new(0), AtomicBool::new(false));
        let coalescer = Coalescer::new(features, Arc::clone(&exchanges));
        Connection {
            line,
            multiplexed,
            features,
            epoch,
            runtime,
            timeouts,
            spoilt,
            coalescer,
            driver,
            seen,
            exchanges,
            _open: open,
        }
    }

    /// Ensures that the connection is not used any more.
    pub(super) fn spoil(&self) {
        self.spoilt.store(true, Relaxed);
    }

    /// Writes the accepted requests at once.
    pub(super) fn write_now(&self) {
        if let Some(driver) = &self.driver {
            driver.write_now();
        }
    }

    /// The length of a large reply that is under way, if bytes of it arrived since so many had.
    pub(super) fn large_since(&self, received: u64) -> Option<u64> {
        self.seen.arrivals.large_since(received)
    }

    /// Notes that an exchange had no reply in time. Returns true if there were so many that the other end must be gone.
    pub(super) fn timed_out(&self) -> bool {
        self.timeouts.fetch_add(1, Relaxed) + 1 >= HALF_OPEN
    }

    pub(super) fn answered(&self) {
        if self.timeouts.load(Relaxed) != 0 {
            self.timeouts.store(0, Relaxed);
        }
    }
}

/// The share of one exchange in a connection. Taking a spare one is cheaper than making one. It is boxed, because it is
/// moved often.
pub(super) struct Lane(Box<Share>);

struct Share {
    connection: Arc<Connection>,
    multiplexed: MultiplexedConnection,
    /// The timer is kept, because resetting a timer is cheaper than creating and removing one.
    timer: Pin<Box<Sleep>>,
    /// The number of bytes that had arrived on the connection when the exchange began.
    received: u64,
    /// The exchange, until it has ended.
    exchange: Option<(Exchange, Instant)>,
}

impl Share {
    fn end(&mut self, failure: Option<Failure>) {
        if let Some((exchange, began)) = self.exchange.take() {
            exchange.ended(&self.connection.exchanges, began, failure);
        }
    }
}

impl Drop for Share {
    /// The caller gave up.
    fn drop(&mut self) {
        self.end(Some(Failure::Cancelled));
    }
}

impl Lane {
    pub(super) fn of(connection: Arc<Connection>) -> Lane {
        // The timer belongs to the connection's runtime, whatever polls this call.
        let timer = in_runtime(&connection.runtime, || Box::pin(tokio::time::sleep(Duration::ZERO)));
        let multiplexed = connection.multiplexed.clone();
        Lane(Box::new(Share { multiplexed, connection, timer, received: 0, exchange: None }))
    }

    /// Notes the end of the exchange.
    pub(super) fn ended(&mut self, outcome: Result<(), &Fault>) {
        self.0.end(outcome.err().map(Fault::failure));
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.0.connection
    }

    /// The length of a large reply that kept the exchange waiting.
    pub(super) fn large(&self) -> Option<u64> {
        self.0.connection.large_since(self.0.received)
    }

    /// Sends the request, and waits for the reply. `None` means that there was none in time.
    pub(super) async fn carry(&mut self, request: &Request, by: Instant) -> Option<RedisResult<Reply>> {
        let Share { connection, multiplexed, timer, received, exchange } = &mut *self.0;
        *received = connection.seen.arrivals.received();
        *exchange = Some((request.begin(&connection.exchanges), Instant::now()));
        within(timer, by, pin!(send(multiplexed, request))).await
    }

    /// Does what [`carry`](Self::carry) does, for the command that reads a slot: the read may be coalesced with others.
    /// A coalesced read is given up after `patience`.
    pub(super) async fn read(&mut self, key: &Key, by: Instant, patience: Duration) -> Option<RedisResult<Value>> {
        let Share { connection, multiplexed, timer, received, exchange } = &mut *self.0;
        *received = connection.seen.arrivals.received();
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
        *exchange = Some((Exchange::begin(&connection.exchanges, operation_of(key), 1), Instant::now()));
        // This is boxed, because an allocation costs less than moving a large future through all the layers above.
        let mut sent = Box::pin(multiplexed.send_packed_command(&command));
        let reply = within(timer, by, sent.as_mut()).await;
        drop(under_way);
        reply
    }
}

/// What a command that reads a slot does.
pub(super) fn operation_of(key: &Key) -> Operation {
    match key.address() {
        Address::Key(_) => Operation::Get,
        Address::Field { .. } => Operation::HmGet,
    }
}

/// Creates something in the runtime that it runs in, such as a timer.
pub(super) fn in_runtime<T>(runtime: &Handle, make: impl FnOnce() -> T) -> T {
    let _entered = runtime.enter();
    make()
}

/// Returns the output of the future, if it is ready in time.
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
    // This is boxed for the same reason as above.
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

/// The lanes that are not in use.
#[derive(Default)]
pub(super) struct Spare([Shard; SHARDS]);

/// Each shard has a cache line of its own, because processors must not share what every hit writes.
#[derive(Default)]
#[repr(align(128))]
struct Shard(Mutex<Vec<Lane>>);

impl Spare {
    /// The shard of this thread.
    fn shard(&self) -> &Shard {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static SHARD: usize = THREADS.fetch_add(1, Relaxed) % SHARDS;
        }
        // A thread that is ending has no shard of its own.
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
        // This is done under the lock, because spoiling a connection removes its lanes afterwards.
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
