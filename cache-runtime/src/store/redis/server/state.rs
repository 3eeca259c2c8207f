//! The state of one server, for both faces and all runtimes.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use ::redis::{Cmd, Pipeline, Value};

use super::breaker::Limits;
use super::endpoint::Endpoint;
use super::fault::{Blame, Fault};
use super::features::Features;
use super::health::Health;
#[cfg(feature = "tokio")]
use super::locator::Locator;
use crate::observe::ExchangeStats;
use crate::observe::snapshot::{Connections, ServerState};
use crate::store::redis::request::{Reply, Request, checked};

/// The interval at which a connection that only reads asks if its server is still a master.
const ROLE_CHECKED: Duration = Duration::from_secs(5);

/// The pause before the address of a server is asked for again.
#[cfg(feature = "tokio")]
const LOCATED_AGAIN: Duration = Duration::from_millis(50);

/// The time for which the server's time is known well enough: two clocks part by a fraction of a millisecond in it, and
/// a clock that was reset is noticed.
const TIME_KNOWN: Duration = Duration::from_secs(1);

/// A server.
pub(crate) struct Server {
    pub(crate) health: Arc<Health>,
    /// The time that an operation may take, connecting included.
    pub(crate) timeout: Duration,
    /// True for a node whose cluster is known, so that it need not serve all keys, or be a master.
    pub(super) in_cluster: bool,
    /// Each new connection reads it. `None` until a [`Locator`] has found it. The lock also covers the begin of the epoch
    /// that a new one opens.
    endpoint: RwLock<Option<Arc<Endpoint>>>,
    /// The number of times that another endpoint took the place of one.
    moves: AtomicU64,
    /// Set if others tell the address of the server, which may change.
    #[cfg(feature = "tokio")]
    locator: Option<Locator>,
    /// The features that the server refused although its version has them, and the commands that it refuses.
    pub(super) denied: AtomicU32,
    /// The features of the last server that was connected to.
    pub(super) features: AtomicU32,
    /// The epoch, from 1, in which the server was asked which commands it refuses.
    pub(super) rights_asked: AtomicU64,
    /// The time of the next questions, in the clock's ticks.
    pub(super) rights_due: AtomicU64,
    /// The time of the next request for the role, in the clock's ticks.
    role_due: AtomicU64,
    /// The time of the next request for the time, in the clock's ticks.
    time_due: AtomicU64,
    /// The number of connections that the server has greeted and that are still open, as far as this process knows, by
    /// what they are for.
    connections: [AtomicU64; 3],
}

/// What a connection is for.
#[cfg_attr(
    not(all(feature = "tokio", feature = "blocking")),
    allow(dead_code, reason = "one of the faces opens no connections")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Small requests of tasks: async functions, and the cache itself.
    Small,
    /// Large values of async functions.
    Large,
    /// Plain functions.
    Blocking,
}

/// A connection among [`Server::connections`].
pub(crate) struct Open(Weak<Server>, Purpose);

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(server) = self.0.upgrade() {
            server.connections[self.1 as usize].fetch_sub(1, Relaxed);
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Server").field(&self.health.server).finish()
    }
}

impl Server {
    /// Neither connects nor blocks. `name` is shown in the log.
    pub(crate) fn new(name: String, endpoint: Endpoint, timeout: Duration, breaker: Limits) -> Server {
        Server::with(name, Some(endpoint), timeout, breaker)
    }

    /// A server whose address is still to be found, and may change.
    #[cfg(feature = "tokio")]
    pub(crate) fn located(name: String, locator: Locator, timeout: Duration, breaker: Limits) -> Server {
        Server { locator: Some(locator), ..Server::with(name, None, timeout, breaker) }
    }

    fn with(name: String, endpoint: Option<Endpoint>, timeout: Duration, breaker: Limits) -> Server {
        Server {
            health: Arc::new(Health::new(name, breaker)),
            timeout,
            in_cluster: false,
            endpoint: RwLock::new(endpoint.map(Arc::new)),
            moves: AtomicU64::new(0),
            #[cfg(feature = "tokio")]
            locator: None,
            denied: AtomicU32::new(0),
            features: AtomicU32::new(Features::default().bits()),
            rights_asked: AtomicU64::new(0),
            rights_due: AtomicU64::new(0),
            role_due: AtomicU64::new(0),
            time_due: AtomicU64::new(0),
            connections: Default::default(),
        }
    }

    /// Makes it a node of a cluster.
    #[cfg(feature = "tokio")]
    pub(crate) fn in_cluster(self) -> Server {
        Server { in_cluster: true, ..self }
    }

    /// The current endpoint, which may have to be found first. A connection that is made in an epoch must read it after
    /// that epoch began, so that it leads to the endpoint of that epoch or of a later one.
    #[cfg(feature = "tokio")]
    pub(crate) async fn endpoint(&self) -> Result<Arc<Endpoint>, Fault> {
        if let Some(endpoint) = self.known_endpoint() {
            return Ok(endpoint);
        }
        if let Some(locator) = &self.locator {
            locator.ask().await?;
        }
        self.known_endpoint().ok_or_else(Fault::hung)
    }

    /// Does the same for a caller that blocks.
    #[cfg(any(feature = "blocking", not(feature = "tokio")))]
    pub(crate) fn endpoint_blocking(&self, by: Instant) -> Result<Arc<Endpoint>, Fault> {
        if let Some(endpoint) = self.known_endpoint() {
            return Ok(endpoint);
        }
        #[cfg(feature = "tokio")]
        if let Some(locator) = &self.locator {
            locator.ask_blocking(by)?;
        }
        let _ = by;
        self.known_endpoint().ok_or_else(Fault::hung)
    }

    /// The current endpoint, if it is known.
    pub(crate) fn known_endpoint(&self) -> Option<Arc<Endpoint>> {
        #[cfg(feature = "tokio")]
        if let Some(locator) = &self.locator {
            locator.follow();
        }
        self.endpoint.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another endpoint than the one that turned out to lead to no master, if there is one within the time-out.
    /// Otherwise, the fault.
    #[cfg(feature = "tokio")]
    pub(crate) async fn other_endpoint(&self, tried: &Arc<Endpoint>, fault: Fault) -> Result<Arc<Endpoint>, Fault> {
        let Some(locator) = self.locator.as_ref().filter(|_| fault.is_of_replica()) else { return Err(fault) };
        let changed = async {
            loop {
                locator.ask().await?;
                match self.known_endpoint() {
                    Some(endpoint) if !Arc::ptr_eq(&endpoint, tried) => return Ok(endpoint),
                    _ => tokio::time::sleep(LOCATED_AGAIN).await,
                }
            }
        };
        tokio::time::timeout(self.timeout, changed).await.unwrap_or(Err(fault))
    }

    /// Does the same for a caller that blocks.
    #[cfg(any(feature = "blocking", not(feature = "tokio")))]
    pub(crate) fn other_endpoint_blocking(
        &self,
        tried: &Arc<Endpoint>,
        fault: Fault,
        by: Instant,
    ) -> Result<Arc<Endpoint>, Fault> {
        #[cfg(feature = "tokio")]
        if let Some(locator) = self.locator.as_ref().filter(|_| fault.is_of_replica()) {
            let by = by.min(Instant::now() + self.timeout);
            while Instant::now() < by && locator.ask_blocking(by).is_ok() {
                if let Some(endpoint) = self.known_endpoint().filter(|endpoint| !Arc::ptr_eq(endpoint, tried)) {
                    return Ok(endpoint);
                }
                std::thread::sleep(LOCATED_AGAIN);
            }
        }
        let _ = (tried, by);
        Err(fault)
    }

    /// Replaces the endpoint, and begins a new epoch: connections made before are not handed out again, by either face.
    #[cfg_attr(not(any(test, feature = "tokio")), expect(dead_code, reason = "no address changes"))]
    pub(crate) fn replace_endpoint(&self, endpoint: Endpoint) {
        let mut current = self.endpoint.write().unwrap_or_else(PoisonError::into_inner);
        let is_first = current.is_none();
        *current = Some(Arc::new(endpoint));
        // This is done under the lock: a caller that sees the new epoch finds the new endpoint. Before the first
        // endpoint, there is no connection that a new epoch could end.
        if !is_first || self.health.is_down() {
            self.moves.fetch_add(1, Relaxed);
            self.health.renew();
        }
    }

    /// The number of times that another server took the place of this one. What a server confirmed counts if this is the
    /// same before the request and after the reply.
    pub(crate) fn moves(&self) -> u64 {
        self.moves.load(Relaxed)
    }

    /// The locator, if others tell the address of the server.
    #[cfg(feature = "tokio")]
    pub(crate) fn locator(&self) -> Option<&Locator> {
        self.locator.as_ref()
    }

    pub(crate) fn allowed(&self, features: Features) -> Features {
        features.without(self.denied.load(Relaxed))
    }

    /// Notes the reply to a `TIME` that was sent then. A missing permission leaves the clock unchanged.
    pub(crate) fn note_time(&self, time: &Value, sent: Instant) {
        let now = Instant::now();
        if let Some(micros) = micros(time) {
            self.health.clock.sample(micros, sent, now);
        }
        self.time_due.store(self.health.clock.ticks_at(now) + TIME_KNOWN.as_millis() as u64, Relaxed);
    }

    /// A command, followed in the same round trip by a request for the server's time if that is due.
    pub(crate) fn timed(&self, command: Cmd) -> Request {
        match self.with_time(command) {
            Ok(pipeline) => Request::Many(pipeline),
            Err(command) => Request::One(command),
        }
    }

    /// Does the same for a command that grants a lease.
    pub(crate) fn timed_once(&self, command: Cmd) -> Request {
        match self.with_time(command) {
            Ok(pipeline) => Request::ManyOnce(pipeline),
            Err(command) => Request::OneOnce(command),
        }
    }

    /// Returns the first reply. The last one may be the server's time.
    pub(crate) fn first_of(&self, reply: Reply) -> Result<Value, Fault> {
        let Reply::Many { mut values, sent } = reply else { return reply.one() };
        if values.len() > 1
            && let Some(time) = values.pop()
        {
            self.note_time(&time, sent);
        }
        checked(values.into_iter().next().unwrap_or_default())
    }

    /// Returns all replies but the last one, which is the server's time.
    pub(crate) fn all_of(&self, reply: Reply) -> Vec<Value> {
        let Reply::Many { mut values, sent } = reply else { return reply.all() };
        if let Some(time) = values.pop() {
            self.note_time(&time, sent);
        }
        values
    }

    fn with_time(&self, command: Cmd) -> Result<Pipeline, Cmd> {
        if self.health.clock.ticks() < self.time_due.load(Relaxed) {
            return Err(command);
        }
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.add_command(command).cmd("TIME");
        Ok(pipeline)
    }

    pub(crate) fn role_is_known(&self) {
        let due = self.health.clock.ticks() + ROLE_CHECKED.as_millis() as u64;
        self.role_due.store(due, Relaxed);
    }

    /// Returns true if this read is the one that asks for the role. Its deadline serves as the time.
    pub(crate) fn claims_role_check(&self, by: Instant) -> bool {
        let now = self.health.clock.ticks_at(by);
        let due = self.role_due.load(Relaxed);
        // This is 0 until a first connection, which asks for the role itself.
        due != 0
            && now >= due
            && self.role_due.compare_exchange(due, now + ROLE_CHECKED.as_millis() as u64, Relaxed, Relaxed).is_ok()
    }

    /// The state of the server, as far as this process knows.
    pub(crate) fn stats(&self) -> ServerState {
        let [small, large, blocking] = self.connections();
        let up = !self.health.is_down();
        ServerState {
            server: self.health.server.clone(),
            up,
            accepts_writes: up && self.health.refuses_writes().is_none(),
            connections: Connections { small, large, blocking },
            local_proof_age_ms: None,
        }
    }

    /// The durations of the exchanges with the server at its current address.
    pub(crate) fn exchanges(&self) -> Vec<ExchangeStats> {
        self.known_endpoint().map(|endpoint| endpoint.exchanges().read()).unwrap_or_default()
    }

    /// Counts one more connection, until the returned value is dropped.
    pub(crate) fn opened(self: &Arc<Self>, purpose: Purpose) -> Open {
        self.connections[purpose as usize].fetch_add(1, Relaxed);
        Open(Arc::downgrade(self), purpose)
    }

    /// The open connections, by what they are for.
    pub(crate) fn connections(&self) -> [u64; 3] {
        std::array::from_fn(|purpose| self.connections[purpose].load(Relaxed))
    }

    /// The reason why one more connection could not be opened. If others are open, it is no failure that the server has
    /// no room for it: those carry all calls.
    pub(crate) fn not_opened(&self, fault: Fault) -> Fault {
        if fault.blame != Blame::Full || self.connections() == [0; 3] {
            return fault;
        }
        self.health.tell_full(&fault.error);
        Fault { blame: Blame::Wait, ..fault }
    }
}

/// The microseconds of a reply to `TIME`.
fn micros(time: &Value) -> Option<i64> {
    let Value::Array(parts) = time else { return None };
    let number = |part: &Value| match part {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?.parse::<i64>().ok(),
        Value::Int(number) => Some(*number),
        _ => None,
    };
    let (seconds, micros) = (number(parts.first()?)?, number(parts.get(1)?)?);
    seconds.checked_mul(1_000_000)?.checked_add(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_microseconds() {
        let text = |text: &str| Value::BulkString(text.into());
        assert_eq!(micros(&Value::Array(vec![text("12"), text("34")])), Some(12_000_034));
        assert_eq!(micros(&Value::Array(vec![text("x"), text("34")])), None);
        assert_eq!(micros(&Value::Array(vec![text("9999999999999999"), text("34")])), None);
        assert_eq!(micros(&Value::Nil), None);
    }
}
