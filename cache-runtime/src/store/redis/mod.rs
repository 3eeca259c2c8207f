//! A Redis server as a store.
//!
//! [`RedisStore`] writes each operation once, as commands and the meaning of their replies. A
//! [`Transport`] carries them: for async callers a multiplexed connection in each runtime, for
//! blocking callers a small pool. Both share what is known of the server: [`Health`], its clock,
//! and the invalidations that it has not confirmed.

mod breaker;
mod clock;
mod fault;
mod health;
mod pending;
mod scripts;
mod transport;

#[cfg(feature = "blocking")]
mod blocking;
#[cfg(feature = "tls-rustls")]
mod tls;
#[cfg(feature = "tokio")]
mod tokio;
#[cfg(feature = "blocking")]
mod wire;

use std::future::Future;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ::redis::{Cmd, ConnectionInfo, Pipeline, Value};
use bytes::Bytes;

use self::breaker::Epoch;
use self::fault::{Blame, Fault};
use self::health::{Health, Prober};
use self::pending::{Batch, Pending};
use self::scripts::Script;
use self::transport::{Features, Reply, Request, Transport, checked, patience};
use super::url::RedisTarget;
use super::{Acquired, Marked, Release, Store};
use crate::envelope::{COMPARED, HEAD_LEN, Lease, Place, Token, value_front};
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::ttl::Ttl;

#[cfg(feature = "tokio")]
pub(crate) type TokioStore = RedisStore<self::tokio::Tokio>;
#[cfg(feature = "blocking")]
pub(crate) type BlockingStore = RedisStore<self::blocking::Blocking>;

/// How often a connection that only reads asks whether its server is still a master.
const ROLE_CHECKED: Duration = Duration::from_secs(5);

/// The largest value that travels as a script's argument: past it, sending it ahead under another
/// key is quicker.
const INLINE: usize = 4 * 1024;

/// Keys in one `UNLINK`.
const CHUNK: usize = 1024;

/// How often a healthy server is asked again to take an invalidation that it refused.
const DELIVERY_PAUSE: Duration = Duration::from_millis(500);

/// The longest lifetime, far below where the server's clock would overflow: 30,000 years.
const LONGEST_MILLIS: u64 = 1_000_000_000_000_000;

/// One server, for both faces.
#[derive(Debug)]
pub(crate) struct Redis {
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
        let shared = Arc::new(Shared {
            health: Arc::new(Health::new(target.to_string())),
            info: tuned(target.info),
            timeout,
            pending: Pending::default(),
            denied: AtomicU8::new(0),
            role_due: AtomicU64::new(0),
            delivery_due: AtomicU64::new(0),
        });
        Ok(Redis {
            #[cfg(feature = "tokio")]
            tokio: RedisStore::new(&shared, self::tokio::Tokio::new(&shared)),
            #[cfg(feature = "blocking")]
            blocking: RedisStore::new(&shared, self::blocking::Blocking::new(&shared)),
        })
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
    info: ConnectionInfo,
    timeout: Duration,
    health: Arc<Health>,
    pending: Pending,
    /// Features that the server seems to have by its version, but refused.
    denied: AtomicU8,
    /// When to ask for the role again, in the clock's ticks.
    role_due: AtomicU64,
    /// When to try again to deliver invalidations in the background, in the clock's ticks.
    delivery_due: AtomicU64,
}

impl Shared {
    fn allowed(&self, features: Features) -> Features {
        features.without(self.denied.load(Relaxed))
    }

    /// The reply to a `TIME` that was sent then. A missing permission leaves the clock as it is.
    fn note_time(&self, time: &Value, sent: Instant) {
        if let Some(micros) = transport::micros(time) {
            self.health.clock.sample(micros, sent, Instant::now());
        }
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

    fn claims_delivery(&self) -> bool {
        let now = self.health.clock.ticks();
        let due = self.delivery_due.load(Relaxed);
        let next = now + DELIVERY_PAUSE.as_millis() as u64;
        now >= due && self.delivery_due.compare_exchange(due, next, Relaxed, Relaxed).is_ok()
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
        self.exchange_sized(epoch, 0, build, read, by)
    }

    /// Sends, reads the reply, and draws the conclusions about the server's health.
    async fn exchange_sized<R: Send>(
        &self,
        epoch: Epoch,
        size: usize,
        build: impl Fn(Features) -> Request + Send + Sync,
        read: impl Fn(Reply) -> Result<R, Fault> + Send + Sync,
        by: Instant,
    ) -> Result<R, Fault> {
        let watch = Unanswered { store: self, epoch, by, armed: true };
        let outcome = self.core.transport.exchange(epoch, size, build, read, by).await;
        watch.disarm();
        match &outcome {
            Ok(_) => self.shared().health.succeeded(epoch),
            Err(fault) => self.failed(epoch, fault),
        }
        outcome
    }

    fn failed(&self, epoch: Epoch, fault: &Fault) {
        if self.shared().health.failed(epoch, fault) {
            self.probe(false);
        }
    }

    /// What the caller of a verb hears; the log hears of misuse, too.
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

    /// A script, and the server's time behind it: `request` is `timed` or `timed_once`.
    #[expect(clippy::too_many_arguments, reason = "what is sent, how, and what the reply means")]
    async fn script<R: Send>(
        &self,
        epoch: Epoch,
        request: fn(Cmd) -> Request,
        script: &Script,
        keys: &[&[u8]],
        arguments: &[&[u8]],
        read: impl Fn(Value) -> Result<R, Fault> + Send + Sync,
        by: Instant,
    ) -> Result<R, Fault> {
        let known = self
            .exchange(
                epoch,
                |_| request(script.by_hash(keys, arguments)),
                |reply| run(reply.timed(self.shared()), &read),
                by,
            )
            .await?;
        match known {
            Some(result) => Ok(result),
            None => self.script_by_text(epoch, request, script, keys, arguments, read, by).await,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "as `script`")]
    async fn script_by_text<R: Send>(
        &self,
        epoch: Epoch,
        request: fn(Cmd) -> Request,
        script: &Script,
        keys: &[&[u8]],
        arguments: &[&[u8]],
        read: impl Fn(Value) -> Result<R, Fault> + Send + Sync,
        by: Instant,
    ) -> Result<R, Fault> {
        let build = |_| request(script.by_text(keys, arguments));
        self.exchange(epoch, build, |reply| read(reply.timed(self.shared())?), by).await
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
            self.abandon(key, lease, Release::Pause(0));
        }
        self.written(outcome)
    }

    async fn acquire_by_command(&self, epoch: Epoch, key: &Key, lease: &Lease, by: Instant) -> Result<Acquired, Fault> {
        let millis = bounded(lease.millis);
        self.exchange(
            epoch,
            |features| {
                if !features.has(Features::SET_NX_GET) {
                    let arguments = [lease.bytes(), millis.as_bytes()];
                    return timed_once(scripts::ACQUIRE.by_hash(&[key.as_str().as_bytes()], &arguments));
                }
                let mut command = Cmd::with_capacity(7, key.as_str().len() + 64);
                command.arg("SET").arg(key.as_str()).arg(lease.bytes());
                command.arg("NX").arg("GET").arg("PX").arg(&millis);
                timed_once(command)
            },
            |reply| acquired(reply.timed(self.shared())?),
            by,
        )
        .await
    }

    /// A read of something that may have an undelivered invalidation: of the key itself, which
    /// goes ahead in the same round trip, or of others, which go in the background.
    async fn read_behind_invalidations(&self, epoch: Epoch, key: &Key, by: Instant) -> Result<Option<Bytes>, Fault> {
        let shared = self.shared();
        let value = match shared.pending.find(key.as_str()) {
            None => self.command(epoch, || get(key), value, by).await?,
            Some(batch) => {
                let build = |_| {
                    let mut pipeline = Pipeline::with_capacity(2);
                    pipeline.add_command(unlink([key.as_str()])).add_command(get(key));
                    Request::Many(pipeline)
                };
                // The `GET` counts only if the `UNLINK` does: a replica refuses that alone.
                let read = |reply: Reply| {
                    let Ok([unlinked, read]) = <[Value; 2]>::try_from(reply.all()) else {
                        return Err(Fault::unexpected("UNLINK and GET"));
                    };
                    checked(unlinked)?;
                    value(checked(read)?)
                };
                let value = self.exchange(epoch, build, read, by).await?;
                shared.pending.delivered(&batch);
                value
            }
        };
        shared.pending.settle_losses(shared.health.clock.now());
        if shared.pending.any() && shared.claims_delivery() {
            self.deliver_aside();
        }
        Ok(value)
    }

    fn deliver_aside(&self) {
        let store = self.clone();
        self.core.transport.aside(async move {
            // Where it fails, the keys stay.
            let _ = store.deliver(store.shared().health.epoch()).await;
        });
    }

    /// Sends all undelivered invalidations.
    async fn deliver(&self, epoch: Epoch) -> Result<(), Fault> {
        let shared = self.shared();
        loop {
            let batch = shared.pending.batch(CHUNK);
            if batch.is_empty() {
                break;
            }
            let by = Instant::now() + patience(shared.timeout);
            self.command(epoch, || unlink(names(&batch)), |_| Ok(()), by).await?;
            shared.pending.delivered(&batch);
        }
        shared.pending.settle_losses(shared.health.clock.now());
        Ok(())
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
            Ok(()) => store.deliver(epoch).await,
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
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl<T: Transport> Drop for Unanswered<'_, T> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let timeout = self.store.shared().timeout;
        let waited = timeout.saturating_sub(self.by.saturating_duration_since(Instant::now()));
        if waited > timeout / 4 {
            self.store.failed(self.epoch, &Fault::hung());
        }
    }
}

/// Keys that are kept for later unless the server confirms their invalidation.
struct Undelivered<'a> {
    pending: &'a Pending,
    keys: &'a [Key],
}

impl Drop for Undelivered<'_> {
    fn drop(&mut self) {
        if !self.keys.is_empty() {
            self.pending.add(self.keys.iter().map(Key::as_str));
        }
    }
}

impl<T: Transport> Store for RedisStore<T> {
    async fn read(&self, key: &Key, by: Instant) -> Result<Option<Bytes>, Error> {
        let epoch = self.admit()?;
        let shared = self.shared();
        let outcome = if shared.pending.any() {
            // Boxed, as all that is rare: each call carries its futures along.
            Box::pin(self.read_behind_invalidations(epoch, key, by)).await
        } else if shared.claims_role_check(by) {
            let build = |_| {
                let mut pipeline = Pipeline::with_capacity(3);
                pipeline.add_command(get(key)).cmd("ROLE").cmd("TIME");
                Request::Many(pipeline)
            };
            let read = |reply: Reply| {
                let Reply::Many { values, sent } = reply else { return Err(Fault::unexpected("GET")) };
                let Ok([read, role, time]) = <[Value; 3]>::try_from(values) else {
                    return Err(Fault::unexpected("GET, ROLE and TIME"));
                };
                if transport::name_of_role(&role) == Some("slave") {
                    return Err(Fault::replica());
                }
                shared.note_time(&time, sent);
                value(checked(read)?)
            };
            Box::pin(self.exchange(epoch, build, read, by)).await
        } else {
            self.command(epoch, || get(key), value, by).await
        };
        outcome.map_err(|fault| self.told(fault))
    }

    async fn peek(&self, key: &Key, by: Instant) -> Result<Option<Bytes>, Error> {
        let epoch = self.admit()?;
        // A slot without anything has an empty range.
        let read = |reply| Ok(value(reply)?.filter(|bytes| !bytes.is_empty()));
        self.command(epoch, || head_of(key), read, by).await.map_err(|fault| self.told(fault))
    }

    async fn acquire(&self, key: &Key, lease: &Lease, by: Instant) -> Result<Acquired, Error> {
        let epoch = self.admit_write()?;
        let mut outcome = self.acquire_by_command(epoch, key, lease, by).await;
        if let Err(fault) = &outcome {
            let by_text = match (fault.blame, fault.error.kind()) {
                (Blame::Script, _) => true,
                // Not what the version promised: another server that speaks the protocol.
                (Blame::Command, ErrorKind::Protocol) => {
                    self.shared().denied.fetch_or(Features::SET_NX_GET.bits(), Relaxed);
                    true
                }
                _ => false,
            };
            if by_text {
                let millis = bounded(lease.millis);
                let (keys, arguments) = ([key.as_str().as_bytes()], [lease.bytes(), millis.as_bytes()]);
                let script = &scripts::ACQUIRE;
                outcome = self.script_by_text(epoch, timed_once, script, &keys, &arguments, acquired, by).await;
            }
        }
        self.granted(key, lease, outcome)
    }

    async fn displace(&self, key: &Key, seen: &Bytes, lease: &Lease, by: Instant) -> Result<Acquired, Error> {
        let epoch = self.admit_write()?;
        let (millis, length) = (bounded(lease.millis), seen.len().to_string());
        let head = &seen[..seen.len().min(COMPARED)];
        let arguments = [lease.bytes(), millis.as_bytes(), head, length.as_bytes()];
        let read = |value| if truth(value, "a script")? { Ok(Acquired::Taken) } else { Ok(Acquired::Changed) };
        let keys = [key.as_str().as_bytes()];
        let outcome = self.script(epoch, timed_once, &scripts::DISPLACE, &keys, &arguments, read, by).await;
        self.granted(key, lease, outcome)
    }

    async fn take(&self, key: &Key, lease: &Lease, by: Instant) -> Result<(), Error> {
        let epoch = self.admit_write()?;
        let build = |_| timed_once(set(key.as_str(), lease.bytes(), &bounded(lease.millis)));
        let read = |reply: Reply| match reply.timed(self.shared())? {
            Value::Okay => Ok(()),
            _ => Err(Fault::unexpected("SET")),
        };
        // It does away with what was there, as they would.
        let settled = self.shared().pending.find_all([key.as_str()]);
        let outcome = self.exchange(epoch, build, read, by).await;
        if outcome.is_ok() {
            self.shared().pending.delivered(&settled);
        }
        self.granted(key, lease, outcome)
    }

    async fn mark(&self, key: &Key, id: Token, lease: &Lease, force: bool, by: Instant) -> Result<Marked, Error> {
        debug_assert_eq!(lease.place(), Place::Value);
        let epoch = self.admit_write()?;
        let (millis, front) = (bounded(lease.millis), value_front(id));
        let force: &[u8] = if force { b"1" } else { b"0" };
        let arguments = [lease.proof(), millis.as_bytes(), &front, force];
        let keys = [key.as_str().as_bytes()];
        let outcome = self.script(epoch, timed_once, &scripts::MARK, &keys, &arguments, marked, by).await;
        match outcome {
            // Nothing was written: that says nothing about writes.
            Ok(marked @ (Marked::Until(_) | Marked::Changed)) => Ok(marked),
            outcome => self.granted(key, lease, outcome),
        }
    }

    async fn fill(&self, key: &Key, lease: &Lease, value: Bytes, ttl: Ttl, by: Instant) -> Result<bool, Error> {
        // An invalidation that did not arrive still voids what was computed before it.
        if self.shared().pending.any() && self.shared().pending.find(key.as_str()).is_some() {
            self.abandon(key, lease, Release::Pause(0));
            return Ok(false);
        }
        let outcome = match self.admit_write() {
            Ok(epoch) => self.written(self.fill_by_size(epoch, key, lease, &value, ttl, by).await),
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            // Whether or not it arrived, or still does: once the lease is gone it stores nothing.
            self.abandon(key, lease, Release::Pause(0));
        }
        outcome
    }

    async fn renew(&self, key: &Key, lease: &Lease, by: Instant) -> Result<bool, Error> {
        let epoch = self.admit()?;
        let millis = bounded(lease.millis);
        let arguments = [lease.proof(), millis.as_bytes()];
        let read = |value| truth(value, "a script");
        let keys = [key.as_str().as_bytes()];
        let outcome = self.script(epoch, timed, &scripts::RENEW, &keys, &arguments, read, by).await;
        outcome.map_err(|fault| self.told(fault))
    }

    async fn release(&self, key: &Key, lease: &Lease, release: Release, by: Instant) -> Result<bool, Error> {
        let epoch = self.admit()?;
        let release = match release {
            Release::Pause(millis) => millis.min(LONGEST_MILLIS).to_string(),
            Release::Remove => "remove".to_owned(),
        };
        let (keys, arguments) = ([key.as_str().as_bytes()], [lease.proof(), release.as_bytes()]);
        let read = |value| truth(value, "a script");
        // By its text: by its hash a server that does not know it yet would be asked twice, and
        // a retry on the same connection might overtake the second time.
        let outcome = self.script_by_text(epoch, timed, &scripts::RELEASE, &keys, &arguments, read, by).await;
        outcome.map_err(|fault| self.told(fault))
    }

    async fn invalidate(&self, keys: &[Key], by: Instant) -> Result<u64, Error> {
        if keys.is_empty() {
            return Ok(0);
        }
        let earlier = self.shared().pending.find_all(keys.iter().map(Key::as_str));
        // Also where this future is dropped.
        let mut undelivered = Undelivered { pending: &self.shared().pending, keys };
        let epoch = self.shared().health.epoch();
        let build = |_| match keys {
            [key] => Request::One(unlink([key.as_str()])),
            keys => {
                let mut pipeline = Pipeline::with_capacity(keys.len().div_ceil(CHUNK));
                for chunk in keys.chunks(CHUNK) {
                    pipeline.add_command(unlink(chunk.iter().map(Key::as_str)));
                }
                Request::Many(pipeline)
            }
        };
        let read = |reply: Reply| {
            reply.all().into_iter().try_fold(0, |sum, value| match checked(value)? {
                Value::Int(count) => Ok(sum + u64::try_from(count).unwrap_or(0)),
                _ => Err(Fault::unexpected("UNLINK")),
            })
        };
        let outcome = self.exchange(epoch, build, read, by).await;
        if outcome.is_ok() {
            undelivered.keys = &[];
            self.shared().pending.delivered(&earlier);
            if self.shared().health.is_down() {
                self.probe(true);
            }
        }
        outcome.map_err(|fault| self.told(fault))
    }

    async fn ping(&self, by: Instant) -> Result<(), Error> {
        let epoch = self.admit()?;
        let read = |value| match value {
            Value::SimpleString(_) | Value::BulkString(_) => Ok(()),
            _ => Err(Fault::unexpected("PING")),
        };
        self.command(epoch, || ::redis::cmd("PING"), read, by).await.map_err(|fault| self.told(fault))
    }

    fn abandon(&self, key: &Key, lease: &Lease, release: Release) {
        if self.shared().health.is_down() {
            return self.keep_abandoned(key, lease, release);
        }
        let (store, key, lease) = (self.clone(), key.clone(), *lease);
        self.core.transport.aside(async move {
            let by = Instant::now() + store.shared().timeout;
            if store.release(&key, &lease, release, by).await.is_err() {
                store.keep_abandoned(&key, &lease, release);
            }
        });
    }

    fn queue_invalidation(&self, key: &Key) {
        self.shared().pending.add([key.as_str()]);
        if !self.shared().health.is_down() {
            self.deliver_aside();
        }
    }

    fn now(&self) -> u64 {
        self.shared().health.clock.now()
    }

    fn not_before(&self) -> u64 {
        self.shared().pending.not_before()
    }
}

impl<T: Transport> RedisStore<T> {
    /// A slot that is not given back makes everybody wait for nobody until its lease ends, so it is
    /// emptied like one that was invalidated; so is a value that is known to be out of date. Any
    /// other mark in a value ends by itself.
    fn keep_abandoned(&self, key: &Key, lease: &Lease, release: Release) {
        if lease.place() == Place::Slot || release == Release::Remove {
            self.shared().pending.add_if_room(key.as_str());
        }
    }

    async fn fill_by_size(
        &self,
        epoch: Epoch,
        key: &Key,
        lease: &Lease,
        value: &[u8],
        ttl: Ttl,
        by: Instant,
    ) -> Result<bool, Fault> {
        let key = key.as_str();
        // 0 is for ever.
        let millis = match ttl {
            Ttl::Millis(millis) => bounded(millis),
            Ttl::Forever => "0".to_owned(),
        };
        let lease_millis = bounded(lease.millis);
        let ahead = ahead_of(key, lease);
        let build = |features: Features| {
            // It compares the whole slot, of which a lease in a value's header is a part.
            if lease.place() == Place::Slot && features.has(Features::SET_IFEQ) {
                let mut command = Cmd::with_capacity(7, key.len() + value.len() + 64);
                command.arg("SET").arg(key).arg(value).arg("IFEQ").arg(lease.bytes());
                if ttl != Ttl::Forever {
                    command.arg("PX").arg(&millis);
                }
                return Request::One(command);
            }
            if value.len() <= INLINE {
                let arguments = [lease.proof(), value, millis.as_bytes()];
                return Request::One(scripts::FILL.by_hash(&[key.as_bytes()], &arguments));
            }
            let mut pipeline = Pipeline::with_capacity(2);
            let keys = [key.as_bytes(), ahead.as_bytes()];
            pipeline
                .add_command(set(&ahead, value, &lease_millis))
                .add_command(scripts::MOVE.by_hash(&keys, &[lease.proof(), millis.as_bytes()]));
            Request::Many(pipeline)
        };
        let read = |reply: Reply| match reply {
            Reply::One(reply) => filled(reply),
            Reply::Many { values, .. } => {
                let Ok([sent, moved]) = <[Value; 2]>::try_from(values) else {
                    return Err(Fault::unexpected("SET and a script"));
                };
                checked(sent)?;
                filled(moved)
            }
        };
        let outcome = self.exchange_sized(epoch, value.len(), build, read, by).await;
        let Err(fault) = &outcome else { return outcome };
        let large = value.len() > INLINE;
        match (fault.blame, fault.error.kind()) {
            (Blame::Script, _) if large => {
                let keys = [key.as_bytes(), ahead.as_bytes()];
                let arguments = [lease.proof(), millis.as_bytes()];
                return self.script_by_text(epoch, timed, &scripts::MOVE, &keys, &arguments, filled, by).await;
            }
            (Blame::Script, _) => {}
            // Not what the version promised: another server that speaks the protocol.
            (Blame::Command, ErrorKind::Protocol) => {
                if lease.place() == Place::Slot {
                    self.shared().denied.fetch_or(Features::SET_IFEQ.bits(), Relaxed);
                }
            }
            // A user confined to a pattern of keys, where the one sent ahead has no place.
            (Blame::Server, ErrorKind::Auth) if large => {}
            _ => return outcome,
        }
        let arguments = [lease.proof(), value, millis.as_bytes()];
        self.script_by_text(epoch, timed, &scripts::FILL, &[key.as_bytes()], &arguments, filled, by).await
    }
}

fn get(key: &Key) -> Cmd {
    let mut command = Cmd::with_capacity(2, key.as_str().len() + 3);
    command.arg("GET").arg(key.as_str());
    command
}

fn head_of(key: &Key) -> Cmd {
    let mut command = Cmd::with_capacity(4, key.as_str().len() + 12);
    command.arg("GETRANGE").arg(key.as_str()).arg(0).arg(HEAD_LEN - 1);
    command
}

fn set(key: &str, value: &[u8], millis: &str) -> Cmd {
    let mut command = Cmd::with_capacity(5, key.len() + value.len() + 32);
    command.arg("SET").arg(key).arg(value).arg("PX").arg(millis);
    command
}

fn unlink<'a>(keys: impl IntoIterator<Item = &'a str>) -> Cmd {
    let mut command = ::redis::cmd("UNLINK");
    for key in keys {
        command.arg(key);
    }
    command
}

fn names(batch: &Batch) -> impl Iterator<Item = &str> {
    batch.iter().map(|(key, _)| &**key)
}

/// A command, and the server's time in the same round trip.
fn timed(command: Cmd) -> Request {
    Request::Many(with_time(command))
}

/// The same, for a command that grants a lease.
fn timed_once(command: Cmd) -> Request {
    Request::Once(with_time(command))
}

fn with_time(command: Cmd) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(2);
    pipeline.add_command(command).cmd("TIME");
    pipeline
}

/// A lifetime as the server takes it: neither none nor past its clock's end.
fn bounded(millis: u64) -> String {
    millis.clamp(1, LONGEST_MILLIS).to_string()
}

/// The key under which a large value travels ahead: in the same slot of a cluster.
fn ahead_of(key: &str, lease: &Lease) -> String {
    let hash_tag = key.split_once('{').and_then(|(_, tail)| tail.find('}')).is_some_and(|length| length > 0);
    let mut ahead = if hash_tag { key.to_owned() } else { format!("{{{key}}}") };
    ahead.push_str(":ahead:");
    for byte in lease.bytes() {
        // Writing to a string does not fail.
        let _ = std::fmt::Write::write_fmt(&mut ahead, format_args!("{byte:02x}"));
    }
    ahead
}

fn value(value: Value) -> Result<Option<Bytes>, Fault> {
    match value {
        Value::BulkString(bytes) => Ok(Some(Bytes::from(bytes))),
        Value::Nil => Ok(None),
        _ => Err(Fault::unexpected("GET")),
    }
}

fn acquired(reply: Value) -> Result<Acquired, Fault> {
    Ok(value(reply)?.map_or(Acquired::Taken, Acquired::Held))
}

fn truth(value: Value, command: &str) -> Result<bool, Fault> {
    match value {
        Value::Int(number) => Ok(number > 0),
        _ => Err(Fault::unexpected(command)),
    }
}

fn marked(value: Value) -> Result<Marked, Fault> {
    match value {
        Value::Int(0) => Ok(Marked::Taken),
        Value::Int(until) => Ok(u64::try_from(until).map_or(Marked::Changed, Marked::Until)),
        _ => Err(Fault::unexpected("a script")),
    }
}

/// The reply to `SET … IFEQ`, or to a script.
fn filled(value: Value) -> Result<bool, Fault> {
    match checked(value)? {
        Value::Okay => Ok(true),
        Value::Nil => Ok(false),
        Value::Int(-1) => Err(Fault::new(ErrorKind::Protocol, Blame::Command, "a value sent ahead is gone")),
        Value::Int(number) => Ok(number > 0),
        _ => Err(Fault::unexpected("SET")),
    }
}

/// `None` if the server does not know the script yet.
fn run<R>(
    value: Result<Value, Fault>,
    read: &(impl Fn(Value) -> Result<R, Fault> + Send + Sync),
) -> Result<Option<R>, Fault> {
    match value {
        Err(fault) if fault.blame == Blame::Script => Ok(None),
        value => read(value?).map(Some),
    }
}
