//! A Redis server as a store.
//!
//! [`RedisStore`] writes each operation once (`slots`), as commands and the meaning of their replies
//! (`commands`, `scripts`). A [`Transport`] carries them: for async callers a multiplexed connection in each runtime, for
//! blocking callers a small pool. Both share what is known of the server: [`Health`], its clock,
//! and the invalidations that it has not confirmed.

mod abandoned;
mod breaker;
mod clear;
mod clock;
mod commands;
mod deliverer;
mod delivery;
mod fault;
mod features;
mod health;
mod many;
mod pending;
mod read_plan;
mod rights;
mod sanitize;
mod scripts;
mod sizes;
mod slots;
mod transport;

#[cfg(feature = "blocking")]
mod blocking;
#[cfg(feature = "tls-rustls")]
mod tls;
#[cfg(feature = "tokio")]
mod tokio;
mod wire;

use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ::redis::{Cmd, ConnectionInfo, Pipeline, Value};

use self::abandoned::AbandonedLeases;
use self::breaker::Epoch;
use self::deliverer::Deliverer;
use self::fault::{Blame, Fault};
use self::health::{Health, Prober};
use self::pending::Pending;
use self::scripts::Form;
use self::sizes::Sizes;
use self::transport::{Build, Decode, Features, Load, Reply, Request, Transport, patience};
use super::Release;
use super::url::RedisTarget;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::stored::envelope::Lease;

#[cfg(feature = "tokio")]
pub(crate) type TokioStore = RedisStore<self::tokio::Tokio>;
#[cfg(feature = "blocking")]
pub(crate) type BlockingStore = RedisStore<self::blocking::Blocking>;

/// How often a connection that only reads asks whether its server is still a master.
const ROLE_CHECKED: Duration = Duration::from_secs(5);

/// How long the server's time is known well enough: two clocks part by a fraction of a millisecond in
/// it, and one that was set anew is noticed.
const TIME_KNOWN: Duration = Duration::from_secs(1);

/// One server, for both faces.
#[derive(Debug)]
pub(crate) struct Redis {
    shared: Arc<Shared>,
    #[cfg(feature = "tokio")]
    tokio: TokioStore,
    #[cfg(feature = "blocking")]
    blocking: BlockingStore,
}

impl Redis {
    /// Neither connects nor blocks.
    pub(crate) fn new(target: RedisTarget, timeout: Duration) -> Result<Redis, Error> {
        #[cfg(feature = "tls-rustls")]
        tls::install_provider();
        let shared = Arc::new_cyclic(|itself| Shared {
            itself: Weak::clone(itself),
            health: Arc::new(Health::new(target.to_string())),
            info: tuned(target.info),
            timeout,
            pending: Pending::default(),
            sizes: Sizes::default(),
            denied: AtomicU32::new(0),
            features: AtomicU32::new(Features::default().bits()),
            rights_asked: AtomicU64::new(0),
            rights_due: AtomicU64::new(0),
            role_due: AtomicU64::new(0),
            time_due: AtomicU64::new(0),
            connections: AtomicUsize::new(0),
            abandoned: AbandonedLeases::default(),
            deliverer: Arc::default(),
        });
        Ok(Redis {
            #[cfg(feature = "tokio")]
            tokio: RedisStore::new(&shared, self::tokio::Tokio::new(&shared)),
            #[cfg(feature = "blocking")]
            blocking: RedisStore::new(&shared, self::blocking::Blocking::new(&shared)),
            shared,
        })
    }

    /// How many keys are still to be invalidated.
    pub(crate) fn undelivered(&self) -> usize {
        self.shared.pending.len()
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn tokio(&self) -> &TokioStore {
        &self.tokio
    }

    /// Its futures are ready at the first poll, after blocking.
    #[cfg(feature = "blocking")]
    pub(crate) fn blocking(&self) -> &BlockingStore {
        &self.blocking
    }
}

/// Settings that redis-rs leaves off.
fn tuned(info: ConnectionInfo) -> ConnectionInfo {
    use ::redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
    // A peer that vanished is noticed within 30 s even where nobody calls.
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(5));
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout(Duration::from_secs(30));
    let redis = info.redis_settings().clone().set_skip_set_lib_name();
    info.set_tcp_settings(settings).set_redis_settings(redis)
}

/// What both faces share.
pub(crate) struct Shared {
    itself: Weak<Shared>,
    info: ConnectionInfo,
    timeout: Duration,
    health: Arc<Health>,
    pending: Pending,
    sizes: Sizes,
    /// Features that the server seems to have by its version, but refused, and commands that it refuses.
    denied: AtomicU32,
    /// Of the last server that was connected to.
    features: AtomicU32,
    /// The epoch, from 1, in which the server was asked which commands it refuses.
    rights_asked: AtomicU64,
    /// When to ask again, in the clock's ticks.
    rights_due: AtomicU64,
    /// When to ask for the role again, in the clock's ticks.
    role_due: AtomicU64,
    /// When to ask for the time again, in the clock's ticks.
    time_due: AtomicU64,
    /// Those that the server has greeted and that are still open, as far as this process knows.
    connections: AtomicUsize,
    abandoned: AbandonedLeases,
    deliverer: Arc<Deliverer>,
}

/// One connection among [`Shared::connections`].
struct Open(Weak<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.connections.fetch_sub(1, Relaxed);
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Shared").field(&self.health.server).finish()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.deliverer.end();
    }
}

impl Shared {
    fn allowed(&self, features: Features) -> Features {
        features.without(self.denied.load(Relaxed))
    }

    /// The reply to a `TIME` that was sent then. A missing permission leaves the clock as it is.
    fn note_time(&self, time: &Value, sent: Instant) {
        let now = Instant::now();
        if let Some(micros) = transport::micros(time) {
            self.health.clock.sample(micros, sent, now);
        }
        self.time_due.store(self.health.clock.ticks_at(now) + TIME_KNOWN.as_millis() as u64, Relaxed);
    }

    /// A command, and if it is due the server's time in the same round trip.
    fn timed(&self, command: Cmd) -> Request {
        match self.with_time(command) {
            Ok(pipeline) => Request::Many(pipeline),
            Err(command) => Request::One(command),
        }
    }

    /// The same, for a command that grants a lease.
    fn timed_once(&self, command: Cmd) -> Request {
        match self.with_time(command) {
            Ok(pipeline) => Request::ManyOnce(pipeline),
            Err(command) => Request::OneOnce(command),
        }
    }

    fn with_time(&self, command: Cmd) -> Result<Pipeline, Cmd> {
        if self.health.clock.ticks() < self.time_due.load(Relaxed) {
            return Err(command);
        }
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.add_command(command).cmd("TIME");
        Ok(pipeline)
    }

    fn role_is_known(&self) {
        let due = self.health.clock.ticks() + ROLE_CHECKED.as_millis() as u64;
        self.role_due.store(due, Relaxed);
    }

    /// Whether this read is the one that asks for the role. Its deadline is as good as the time.
    fn claims_role_check(&self, by: Instant) -> bool {
        let now = self.health.clock.ticks_at(by);
        let due = self.role_due.load(Relaxed);
        // 0 until a first connection, which asks for the role itself.
        due != 0
            && now >= due
            && self.role_due.compare_exchange(due, now + ROLE_CHECKED.as_millis() as u64, Relaxed, Relaxed).is_ok()
    }

    /// One more connection, until what is returned is dropped.
    fn opened(&self) -> Open {
        self.connections.fetch_add(1, Relaxed);
        Open(Weak::clone(&self.itself))
    }

    /// Why one more connection could not be had. That the server has no room for it is no failure where others are
    /// open: those carry all calls.
    fn not_opened(&self, fault: Fault) -> Fault {
        if fault.blame != Blame::Full || self.connections.load(Relaxed) == 0 {
            return fault;
        }
        self.health.tell_full(&fault.error);
        Fault { blame: Blame::Wait, ..fault }
    }

    /// Keeps keys to be invalidated.
    fn keep<'a>(&self, keys: impl IntoIterator<Item = &'a str>) {
        self.pending.add(keys);
        self.deliverer.wake(&self.itself);
    }

    /// The same, of one of which nothing is wrong if it is never delivered.
    fn keep_if_room(&self, key: &str) {
        self.pending.add_if_room(key);
        self.deliverer.wake(&self.itself);
    }
}

/// One face of a server.
pub(crate) struct RedisStore<T> {
    core: Arc<Core<T>>,
}

struct Core<T> {
    shared: Arc<Shared>,
    transport: T,
}

impl<T> Clone for RedisStore<T> {
    fn clone(&self) -> Self {
        RedisStore { core: Arc::clone(&self.core) }
    }
}

impl<T> std::fmt::Debug for RedisStore<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Redis").field(&self.core.shared.health.server).finish()
    }
}

impl<T: Transport> RedisStore<T> {
    fn new(shared: &Arc<Shared>, transport: T) -> RedisStore<T> {
        RedisStore { core: Arc::new(Core { shared: Arc::clone(shared), transport }) }
    }

    fn shared(&self) -> &Shared {
        &self.core.shared
    }

    /// Passes the breaker's gate.
    fn admit(&self) -> Result<Epoch, Error> {
        self.shared().health.admit().ok_or_else(|| {
            self.probe(false);
            Error::new(ErrorKind::CircuitOpen, "")
        })
    }

    /// Passes the gate of writes, too.
    fn admit_write(&self) -> Result<Epoch, Error> {
        let epoch = self.admit()?;
        self.shared().health.admit_write()?;
        Ok(epoch)
    }

    fn exchange<R: Send>(
        &self,
        epoch: Epoch,
        build: impl Fn(Features) -> Request + Send + Sync,
        read: impl Fn(Reply) -> Result<R, Fault> + Send + Sync,
        by: Instant,
    ) -> impl Future<Output = Result<R, Fault>> + Send {
        self.exchange_of(epoch, Load::default(), build, read, by)
    }

    /// Sends, reads the reply, and draws the conclusions about the server's health.
    async fn exchange_of<R: Send>(
        &self,
        epoch: Epoch,
        load: Load,
        build: impl Fn(Features) -> Request + Send + Sync,
        read: impl Fn(Reply) -> Result<R, Fault> + Send + Sync,
        by: Instant,
    ) -> Result<R, Fault> {
        let mut decoded = None;
        let mut decode = |reply| {
            decoded = Some(read(reply)?);
            Ok(())
        };
        self.watched(epoch, load, &build, &mut decode, by).await?;
        decoded.ok_or_else(Fault::hung)
    }

    /// The part of an exchange that does not depend on its types, which is compiled once.
    async fn watched(
        &self,
        epoch: Epoch,
        load: Load,
        build: Build<'_>,
        decode: Decode<'_>,
        by: Instant,
    ) -> Result<(), Fault> {
        let watch = self.watch(epoch, by);
        let outcome = self.core.transport.exchange(epoch, load, build, decode, by).await;
        watch.saw(&outcome);
        outcome
    }

    /// The same, of what a slot holds.
    async fn exchange_read<R: Send>(
        &self,
        epoch: Epoch,
        load: Load,
        key: &Key,
        read: impl Fn(Value) -> Result<R, Fault> + Send + Sync,
        by: Instant,
    ) -> Result<R, Fault> {
        let mut decoded = None;
        let mut decode = |reply: Reply| {
            decoded = Some(read(reply.one()?)?);
            Ok(())
        };
        let watch = self.watch(epoch, by);
        let outcome = self.core.transport.read(epoch, load, key, &mut decode, by).await;
        watch.saw(&outcome);
        outcome.and_then(|()| decoded.ok_or_else(Fault::hung))
    }

    fn watch(&self, epoch: Epoch, by: Instant) -> Unanswered<'_, T> {
        Unanswered { store: self, epoch, by, armed: true }
    }

    fn failed(&self, epoch: Epoch, fault: &Fault) {
        if let Blame::Denied(denied) = fault.blame {
            self.note_denied(denied);
        }
        if self.shared().health.failed(epoch, fault) {
            self.probe(false);
        }
    }

    /// What the caller of a verb hears; the log hears of misuse, too. What is refused for good, functions tell.
    fn told(&self, fault: Fault) -> Error {
        if matches!(fault.blame, Blame::Command | Blame::Server) {
            self.shared().health.tell_once(&fault.error);
        }
        fault.error
    }

    /// A single command whose reply `read` understands.
    async fn command<R: Send>(
        &self,
        epoch: Epoch,
        build: impl Fn() -> Cmd + Send + Sync,
        read: impl Fn(Value) -> Result<R, Fault> + Send + Sync,
        by: Instant,
    ) -> Result<R, Fault> {
        self.exchange(epoch, |_| Request::One(build()), |reply| read(reply.one()?), by).await
    }

    /// A command that may be a script, and perhaps the server's time behind it: `request` is `timed` or
    /// `timed_once`. Where the server does not know the script, by its text.
    async fn scripted<R: Send>(
        &self,
        epoch: Epoch,
        request: fn(&Shared, Cmd) -> Request,
        build: impl Fn(Features, Form) -> Cmd + Send + Sync,
        read: impl Fn(Value) -> Result<R, Fault> + Send + Sync,
        by: Instant,
    ) -> Result<R, Fault> {
        let (build, read) = (&build, &read);
        let by_hash = |features| request(self.shared(), build(features, Form::Hash));
        match self.exchange(epoch, by_hash, |reply| read(reply.timed(self.shared())?), by).await {
            Err(fault) if fault.blame == Blame::Script => {
                self.exchange(
                    epoch,
                    |features| request(self.shared(), build(features, Form::Text)),
                    |reply| read(reply.timed(self.shared())?),
                    by,
                )
                .await
            }
            outcome => outcome,
        }
    }

    /// Draws the conclusions about the server's readiness to write.
    fn written<R>(&self, outcome: Result<R, Fault>) -> Result<R, Error> {
        match outcome {
            Ok(result) => {
                self.shared().health.wrote();
                Ok(result)
            }
            Err(fault) => {
                self.shared().health.write_failed(&fault);
                Err(self.told(fault))
            }
        }
    }

    /// As [`written`](Self::written), of a request for a lease: one that may have arrived, or may
    /// still, is given back.
    fn granted<R>(&self, key: &Key, lease: &Lease, outcome: Result<R, Fault>) -> Result<R, Error> {
        if outcome.as_ref().is_err_and(Fault::may_have_arrived) {
            self.abandon_behind(key, lease, Release::Pause(0));
        }
        self.written(outcome)
    }

    /// Starts a prober if one is due.
    fn probe(&self, at_once: bool) {
        if let Some(prober) = self.shared().health.claim_probe(at_once) {
            self.core.transport.background(probe(Arc::downgrade(&self.core), prober));
        }
    }
}

/// Asks a server that is away, until it is back or nobody needs it.
async fn probe<T: Transport>(core: Weak<Core<T>>, mut prober: Prober) {
    loop {
        T::pause(prober.pause).await;
        let Some(core) = core.upgrade() else { return };
        let store = RedisStore { core };
        let patience = patience(store.shared().timeout);
        if !prober.proceeds(patience) {
            return;
        }
        let epoch = store.shared().health.epoch();
        let connected = store.core.transport.reconnect(epoch, Instant::now() + patience).await;
        let recovered = match connected {
            // What the server refuses to take stays undelivered, and is all that does.
            Ok(()) => store.deliver(epoch, Instant::now() + delivery::LONGEST).await.map(drop),
            Err(fault) => Err(fault),
        };
        match recovered {
            Ok(()) => return prober.succeeded(epoch),
            Err(fault) => match prober.failed(&fault, store.shared().pending.any()) {
                Some(pause) => prober.pause = pause,
                None => return,
            },
        }
    }
}

/// Counts an operation that its caller gave up: a caller whose patience is shorter than the
/// deadline must not keep a hung server from being noticed.
struct Unanswered<'a, T: Transport> {
    store: &'a RedisStore<T>,
    epoch: Epoch,
    by: Instant,
    armed: bool,
}

impl<T: Transport> Unanswered<'_, T> {
    /// It had an answer, or none in its time.
    fn saw(mut self, outcome: &Result<(), Fault>) {
        self.armed = false;
        match outcome {
            Ok(()) => self.store.shared().health.succeeded(self.epoch),
            Err(fault) => self.store.failed(self.epoch, fault),
        }
    }
}

impl<T: Transport> Drop for Unanswered<'_, T> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        // Not where its runtime ends, and drops its tasks.
        if T::is_ending() {
            return;
        }
        let timeout = self.store.shared().timeout;
        let waited = timeout.saturating_sub(self.by.saturating_duration_since(Instant::now()));
        if waited > timeout / 4 {
            self.store.failed(self.epoch, &Fault::hung());
        }
    }
}
