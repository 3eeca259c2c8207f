//! For async callers: a multiplexed connection in each tokio runtime, and another one as soon as
//! there is something large to carry: replies come in order, and small ones would wait behind it.
//!
//! A connection is driven by the runtime that opened it, so each runtime has its own; runtimes
//! come and go, and may exist at the same time.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client};
use tokio::runtime::{Handle, Id};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout_at;

use super::Shared;
use super::breaker::Epoch;
use super::fault::{Blame, Fault};
use super::gather::Gather;
use super::transport::{
    Features, HALF_OPEN, Load, Reply, Request, Transport, alone, cluster_info, greeted, greeting, patience,
};
use crate::error::ErrorKind;
use crate::once::step;

/// Requests of more than this many bytes take part in [`IN_FLIGHT`].
const SMALL: usize = 4 * 1024;

/// Places for spare lanes, to share the threads among.
const SHARDS: usize = 16;

/// So many spare lanes are kept in each.
const SPARE: usize = 128;

/// How many bytes of large requests one runtime has in flight: a hung server must not collect
/// them without a bound.
const IN_FLIGHT: usize = 64 << 20;

/// Multiplexed connections in each runtime.
pub(crate) struct Tokio {
    shared: Arc<Shared>,
    links: Arc<Links>,
}

#[derive(Default)]
struct Links {
    all: RwLock<Vec<Arc<Link>>>,
    spare: [Shard; SHARDS],
}

/// Lanes that nobody uses now, on a cache line of their own: what every hit touches must not be
/// shared between processors.
#[derive(Default)]
#[repr(align(128))]
struct Shard(Mutex<Vec<Lane>>);

/// What one runtime has of the server.
struct Link {
    runtime: Id,
    handle: Handle,
    /// One for each [`Line`].
    slots: [Mutex<Slot>; 2],
    /// Kilobytes of large requests.
    room: Semaphore,
    keeper: AbortHandle,
    /// The runtime has ended.
    over: Arc<AtomicBool>,
}

/// What a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Small,
    /// What small ones would wait for.
    Large,
}

impl Line {
    fn of(load: Load) -> Line {
        if load.is_large { Line::Large } else { Line::Small }
    }
}

enum Slot {
    Empty,
    /// One task connects; whoever needs the connection waits for it.
    Connecting {
        epoch: Epoch,
        outcome: Outcome,
        task: AbortHandle,
    },
    Ready(Arc<Connection>),
}

type Outcome = watch::Receiver<Option<Result<Arc<Connection>, Fault>>>;

struct Connection {
    line: Line,
    multiplexed: MultiplexedConnection,
    features: Features,
    epoch: Epoch,
    /// In a row.
    timeouts: AtomicU32,
    /// Not to be used any more.
    spoilt: AtomicBool,
    gather: Arc<Gather>,
}

/// One exchange's share in a connection. To take a spare one is cheaper than to make one.
struct Lane {
    link: Arc<Link>,
    connection: Arc<Connection>,
    multiplexed: MultiplexedConnection,
}

impl Lane {
    fn of(link: &Arc<Link>, connection: Arc<Connection>) -> Lane {
        Lane { link: Arc::clone(link), multiplexed: connection.multiplexed.clone(), connection }
    }
}

/// Where an exchange starts from.
enum Start {
    Lane(Lane),
    Link(Arc<Link>),
}

/// How far an exchange has come, for when its time is up.
#[derive(Default)]
struct Progress {
    /// `None` while connecting.
    lane: Option<Lane>,
    sent: bool,
}

impl Tokio {
    pub(crate) fn new(shared: &Arc<Shared>) -> Tokio {
        Tokio { shared: Arc::clone(shared), links: Arc::default() }
    }

    /// A lane that is at hand in the current runtime, else what the runtime has.
    fn start(&self, line: Line, epoch: Epoch) -> Result<Start, Fault> {
        let handle = current()?;
        match self.links.take(handle.id(), line, epoch) {
            Some(lane) => Ok(Start::Lane(lane)),
            None => self.link(handle).map(Start::Link),
        }
    }

    fn link(&self, handle: Handle) -> Result<Arc<Link>, Fault> {
        let runtime = handle.id();
        let links = self.links.all.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.iter().find(|link| link.runtime == runtime) {
            return Ok(Arc::clone(link));
        }
        drop(links);
        // A panic here is that of a runtime without timers.
        std::panic::catch_unwind(AssertUnwindSafe(|| drop(tokio::time::sleep(Duration::ZERO))))
            .map_err(|_| unsupported("this tokio runtime has no timers: build it with `enable_all`"))?;
        let over = Arc::new(AtomicBool::new(false));
        let leave = Leave { links: Arc::downgrade(&self.links), over: Arc::clone(&over) };
        // Not under the lock: a runtime that is ending drops the task here and now.
        let keeper = handle.spawn(async move {
            let _leave = leave;
            std::future::pending::<()>().await;
        });
        let keeper = keeper.abort_handle();
        let mut links = self.links.all.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.iter().find(|link| link.runtime == runtime) {
            keeper.abort();
            return Ok(Arc::clone(link));
        }
        // Set before the keeper's end takes the lock: either it finds the link, or this sees it.
        if over.load(SeqCst) {
            return Err(unsupported("this tokio runtime is ending"));
        }
        let slots = [Slot::Empty, Slot::Empty].map(Mutex::new);
        let room = Semaphore::new(IN_FLIGHT / 1024);
        let link = Arc::new(Link { runtime, handle, slots, room, keeper, over });
        links.push(Arc::clone(&link));
        Ok(link)
    }

    /// A new lane in a connection made in `epoch`, and whether that was in use before.
    async fn lane(&self, link: &Arc<Link>, line: Line, epoch: Epoch) -> Result<(Lane, bool), Fault> {
        match self.lane_in(link, line, epoch).await {
            // The server has no room for a second one, it may be.
            Err(_) if line == Line::Large => self.lane_in(link, Line::Small, epoch).await,
            outcome => outcome,
        }
    }

    async fn lane_in(&self, link: &Arc<Link>, line: Line, epoch: Epoch) -> Result<(Lane, bool), Fault> {
        let mut outcome = {
            let mut slot = link.slot(line);
            match &*slot {
                Slot::Ready(connection) if connection.epoch == epoch => {
                    return Ok((Lane::of(link, Arc::clone(connection)), true));
                }
                Slot::Connecting { epoch: same, outcome, .. } if *same == epoch => outcome.clone(),
                _ => self.connect(link, line, &mut slot, epoch),
            }
        };
        wait(&mut outcome).await.map(|connection| (Lane::of(link, connection), false))
    }

    /// Starts the task that connects, in place of whatever is in the slot.
    fn connect(&self, link: &Arc<Link>, line: Line, slot: &mut Slot, epoch: Epoch) -> Outcome {
        match slot {
            Slot::Connecting { task, .. } => task.abort(),
            Slot::Ready(old) => {
                old.spoilt.store(true, Relaxed);
                self.links.purge(|lane| Arc::ptr_eq(&lane.connection, old));
            }
            Slot::Empty => {}
        }
        let (sender, outcome) = watch::channel(None);
        let (shared, at) = (Arc::clone(&self.shared), Arc::downgrade(link));
        let own = outcome.clone();
        let task = link.handle.spawn(async move {
            let limit = patience(shared.timeout);
            let connected =
                tokio::time::timeout(limit, connect(&shared, line, epoch)).await.unwrap_or_else(|_| Err(Fault::hung()));
            if let Some(link) = at.upgrade() {
                let mut slot = link.slot(line);
                // Not if another attempt has replaced this one.
                if matches!(&*slot, Slot::Connecting { outcome, .. } if outcome.same_channel(&own)) {
                    *slot = connected.clone().map_or(Slot::Empty, Slot::Ready);
                }
            }
            sender.send_replace(Some(connected));
        });
        *slot = Slot::Connecting { epoch, outcome: outcome.clone(), task: task.abort_handle() };
        outcome
    }

    async fn attempt<R: Send>(
        &self,
        mut start: Start,
        epoch: Epoch,
        load: Load,
        build: &(impl Fn(Features) -> Request + Send + Sync),
        read: &(impl Fn(Reply) -> Result<R, Fault> + Send + Sync),
        progress: &mut Progress,
    ) -> Result<R, Fault> {
        let mut retried = false;
        loop {
            *progress = Progress::default();
            let (lane, used) = match start {
                Start::Lane(lane) => (lane, true),
                // Boxed, as all that is rare: each exchange carries its futures along.
                Start::Link(link) => Box::pin(self.lane(&link, Line::of(load), epoch)).await?,
            };
            let lane = progress.lane.insert(lane);
            // Before the bytes exist.
            let room = if load.sent > SMALL { Box::pin(lane.link.room(load.sent)).await } else { None };
            let request = build(self.shared.allowed(lane.connection.features));
            progress.sent = true;
            let may_be_repeated = request.may_be_repeated();
            let sent = match request {
                Request::Read(command) if lane.connection.line == Line::Small => {
                    let (gather, handle) = (&lane.connection.gather, &lane.link.handle);
                    match gather.read(&mut lane.multiplexed, command, handle, self.shared.timeout).await {
                        Some(reply) => reply.map(Reply::One),
                        None => {
                            let request = build(self.shared.allowed(lane.connection.features));
                            send(&mut lane.multiplexed, &request).await
                        }
                    }
                }
                request => send(&mut lane.multiplexed, &request).await,
            };
            let outcome = match sent {
                Ok(reply) => read(reply),
                Err(error) => Err(error.into()),
            };
            drop(room);
            let Some(lane) = progress.lane.take() else { return outcome };
            match outcome {
                Err(fault) if fault.spoils_connection() => {
                    self.links.discard(&lane);
                    if fault.blame != Blame::Closed || !used || retried {
                        return Err(fault);
                    }
                    if !may_be_repeated {
                        return Err(Fault { blame: Blame::Dropped, ..fault });
                    }
                    retried = true;
                    start = Start::Link(lane.link);
                }
                outcome => {
                    if lane.connection.timeouts.load(Relaxed) != 0 {
                        lane.connection.timeouts.store(0, Relaxed);
                    }
                    self.links.give_back(lane);
                    return outcome;
                }
            }
        }
    }
}

impl Transport for Tokio {
    async fn exchange<R: Send>(
        &self,
        epoch: Epoch,
        load: Load,
        build: impl Fn(Features) -> Request + Send + Sync,
        read: impl Fn(Reply) -> Result<R, Fault> + Send + Sync,
        by: Instant,
    ) -> Result<R, Fault> {
        let start = self.start(Line::of(load), epoch)?;
        let mut progress = Progress::default();
        let outcome = {
            // Pinned here, so that it is not moved into the timer's future.
            let attempt = pin!(self.attempt(start, epoch, load, &build, &read, &mut progress));
            timeout_at(by.into(), attempt).await
        };
        match (outcome, progress) {
            (Ok(outcome), _) => outcome,
            (Err(_), Progress { lane: Some(_), sent: false }) => {
                Err(Fault::new(ErrorKind::Timeout, Blame::Wait, "too many large values are on their way"))
            }
            (Err(_), Progress { lane, .. }) => {
                if let Some(lane) = lane
                    && lane.connection.timeouts.fetch_add(1, Relaxed) + 1 >= HALF_OPEN
                {
                    self.links.discard(&lane);
                }
                Err(Fault::hung())
            }
        }
    }

    async fn reconnect(&self, epoch: Epoch, by: Instant) -> Result<(), Fault> {
        let link = self.link(current()?)?;
        let mut outcome = {
            let mut slot = link.slot(Line::Small);
            self.connect(&link, Line::Small, &mut slot, epoch)
        };
        let connected = timeout_at(by.into(), wait(&mut outcome)).await;
        connected.unwrap_or_else(|_| Err(Fault::hung())).map(drop)
    }

    fn background(&self, task: impl Future<Output = ()> + Send + 'static) {
        let handle = Handle::try_current().ok().or_else(|| {
            // Dropped outside of its runtime: any one that is left will do.
            let links = self.links.all.read().unwrap_or_else(PoisonError::into_inner);
            links.first().map(|link| link.handle.clone())
        });
        if let Some(handle) = handle {
            handle.spawn(task);
        }
    }

    fn aside(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut task = Box::pin(task);
        // A first step at once: on a connection that is open it sends the command, ahead of
        // whatever the caller sends next.
        let stepped = Handle::try_current().is_ok() && step(task.as_mut()).is_ready();
        if !stepped {
            self.background(task);
        }
    }

    async fn pause(duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

impl Links {
    /// This thread's share of the spare lanes.
    fn shard(&self) -> &Shard {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static SHARD: usize = THREADS.fetch_add(1, Relaxed) % SHARDS;
        }
        // A thread that is ending has none of its own.
        &self.spare[SHARD.try_with(|shard| *shard).unwrap_or(0)]
    }

    fn take(&self, runtime: Id, line: Line, epoch: Epoch) -> Option<Lane> {
        let mut lanes = self.shard().lanes();
        let is_apt = |lane: &Lane| lane.connection.line == line && lane.link.runtime == runtime;
        let at = lanes.iter().rposition(is_apt)?;
        let lane = lanes.swap_remove(at);
        (lane.connection.epoch == epoch).then_some(lane)
    }

    fn give_back(&self, lane: Lane) {
        let mut lanes = self.shard().lanes();
        // Under the lock: whoever spoils a connection looks for its lanes afterwards.
        if lanes.len() < SPARE && !lane.connection.spoilt.load(Relaxed) {
            lanes.push(lane);
        }
    }

    /// Sees to it that nobody uses the lane's connection again.
    fn discard(&self, lane: &Lane) {
        let spoilt = &lane.connection;
        spoilt.spoilt.store(true, Relaxed);
        let discarded = {
            let mut slot = lane.link.slot(spoilt.line);
            match &*slot {
                Slot::Ready(connection) if Arc::ptr_eq(connection, spoilt) => {
                    Some(std::mem::replace(&mut *slot, Slot::Empty))
                }
                _ => None,
            }
        };
        drop(discarded);
        self.purge(|lane| Arc::ptr_eq(&lane.connection, spoilt));
    }

    fn purge(&self, gone: impl Fn(&Lane) -> bool) {
        for shard in &self.spare {
            let purged: Vec<Lane> = shard.lanes().extract_if(.., |lane| gone(lane)).collect();
            drop(purged);
        }
    }
}

impl Shard {
    fn lanes(&self) -> MutexGuard<'_, Vec<Lane>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    fn slot(&self, line: Line) -> MutexGuard<'_, Slot> {
        self.slots[line as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a large request has room.
    async fn room(&self, size: usize) -> Option<SemaphorePermit<'_>> {
        let kilobytes = (size.min(IN_FLIGHT) / 1024) as u32;
        // The semaphore is never closed.
        self.room.acquire_many(kilobytes).await.ok()
    }
}

impl Drop for Tokio {
    fn drop(&mut self) {
        for link in self.links.all.read().unwrap_or_else(PoisonError::into_inner).iter() {
            link.keeper.abort();
        }
    }
}

/// Held by a task that lives as long as its runtime: its end is the runtime's.
struct Leave {
    links: Weak<Links>,
    over: Arc<AtomicBool>,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        if let Some(links) = self.links.upgrade() {
            let mut all = links.all.write().unwrap_or_else(PoisonError::into_inner);
            let left = all.iter().position(|link| Arc::ptr_eq(&link.over, &self.over)).map(|at| all.swap_remove(at));
            drop(all);
            if let Some(link) = left {
                links.purge(|lane| Arc::ptr_eq(&lane.link, &link));
            }
        }
    }
}

async fn wait(outcome: &mut Outcome) -> Result<Arc<Connection>, Fault> {
    match outcome.wait_for(Option::is_some).await {
        Ok(connected) => connected.as_ref().map_or_else(|| Err(Fault::hung()), Clone::clone),
        Err(_) => Err(Fault::new(
            ErrorKind::Unreachable,
            Blame::Connection,
            "the task that connects ended; is I/O enabled in this tokio runtime?",
        )),
    }
}

async fn connect(shared: &Shared, line: Line, epoch: Epoch) -> Result<Arc<Connection>, Fault> {
    let client = Client::open(shared.info.clone())?;
    // Each exchange has its own deadline; a second timer beside it would only cost.
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let mut multiplexed = client.get_multiplexed_async_connection_with_config(&config).await?;
    let greeting = greeting();
    let sent = Instant::now();
    let answers = multiplexed.send_packed_commands(&greeting, 0, greeting.len()).await?;
    let greeted = greeted(answers, sent, shared)?;
    if greeted.clustered {
        alone(multiplexed.send_packed_command(&cluster_info()).await?)?;
    }
    Ok(Arc::new(Connection {
        line,
        multiplexed,
        features: greeted.features,
        epoch,
        timeouts: AtomicU32::new(0),
        spoilt: AtomicBool::new(false),
        gather: Arc::default(),
    }))
}

async fn send(connection: &mut MultiplexedConnection, request: &Request) -> redis::RedisResult<Reply> {
    // Boxed: an allocation costs less than to move a large future through all the layers above.
    Ok(match request {
        Request::One(command) | Request::Read(command) | Request::OneOnce(command) => {
            Reply::One(Box::pin(connection.send_packed_command(command)).await?)
        }
        Request::Many(pipeline) | Request::ManyOnce(pipeline) => {
            let sent = Instant::now();
            let values = Box::pin(connection.send_packed_commands(pipeline, 0, pipeline.len())).await?;
            Reply::Many { values, sent }
        }
    })
}

fn current() -> Result<Handle, Fault> {
    Handle::try_current().map_err(|_| unsupported("called outside of a tokio runtime"))
}

fn unsupported(why: &str) -> Fault {
    Fault::new(ErrorKind::Unsupported, Blame::Caller, why)
}
