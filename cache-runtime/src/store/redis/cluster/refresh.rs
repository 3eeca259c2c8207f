//! Refreshes of the topology, in the background: no operation waits for one, unless nothing is known yet.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use ::tokio::sync::watch;
use ::tokio::time::timeout_at;

use super::state::ClusterState;
use super::topology::{View, Vote};
use super::{ClusterStore, NodeTransport};
use crate::error::{Error, ErrorKind};
use crate::fork::Process;
use crate::poll::join::join_until;
use crate::store::redis::keeper::Lone;
use crate::store::redis::request::{Load, Reply, Request};
use crate::store::redis::server::breaker::{Limits, Pauses, noise};
use crate::store::redis::server::fault::Fault;
use crate::store::redis::transport::{Transport, patience};

/// The nodes that are asked, in addition to those of the URL.
const ASKED: usize = 3;

/// The most nodes of the URL that are asked.
const SEEDS: usize = 8;

/// The time that the nodes have at least for their answers.
const GRACE: Duration = Duration::from_millis(100);

/// After this time without a cause for a refresh, the pauses between refreshes are short again.
const QUIET: Duration = Duration::from_secs(10);

/// The longest pause between refreshes.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// When the topology was asked for, and with which result.
#[derive(Debug)]
pub(super) struct Refresh {
    state: Mutex<RefreshState>,
    /// The number of refreshes that have ended.
    ended: watch::Sender<u64>,
    process: Process,
}

#[derive(Debug)]
struct RefreshState {
    is_running: bool,
    /// There is a cause for one more refresh.
    is_wanted: bool,
    pauses: Pauses,
    /// The time of the last refresh, and that of the next one at the earliest.
    last: Option<Instant>,
    next: Option<Instant>,
    failure: Option<Error>,
    /// The number of operations in a row that waited for the topology longer than they could.
    given_up: u32,
    /// The log says that nothing is known.
    is_told: bool,
}

impl Default for Refresh {
    fn default() -> Refresh {
        let pauses = Pauses::new(Limits { longest_pause: LONGEST_PAUSE, ..Limits::default() });
        let (last, next) = (None, None);
        let state = RefreshState {
            is_running: false,
            is_wanted: false,
            pauses,
            last,
            next,
            failure: None,
            given_up: 0,
            is_told: false,
        };
        Refresh { state: Mutex::new(state), ended: watch::Sender::new(0), process: Process::default() }
    }
}

impl Refresh {
    /// Notes a cause for a refresh. Returns true if the caller has to start it.
    fn begin(&self) -> bool {
        let mut state = self.lock();
        state.is_wanted = true;
        if self.process.is_forked() {
            // The task runs in another process.
            state.is_running = false;
        }
        !std::mem::replace(&mut state.is_running, true)
    }

    /// The time until the next refresh may begin. `None` if there is no cause for one: then the task ends.
    fn pause(&self) -> Option<Duration> {
        let mut state = self.lock();
        if !state.is_wanted {
            state.is_running = false;
            return None;
        }
        let now = Instant::now();
        if state.last.is_some_and(|last| now.saturating_duration_since(last) > QUIET) {
            state.pauses.reset();
        }
        Some(state.next.map_or(Duration::ZERO, |next| next.saturating_duration_since(now)))
    }

    /// Notes that a refresh begins: causes that come from now on are causes for another one.
    fn began(&self) {
        self.lock().is_wanted = false;
    }

    fn finished(&self, outcome: Result<(), Error>) {
        let mut state = self.lock();
        let now = Instant::now();
        let pause = state.pauses.next(noise());
        if outcome.is_ok() {
            state.given_up = 0;
        }
        (state.last, state.next, state.failure) = (Some(now), Some(now + pause), outcome.err());
        drop(state);
        self.ended.send_modify(|ended| *ended += 1);
    }

    /// Notes that no task runs, because none could be started.
    fn stopped(&self) {
        self.lock().is_running = false;
    }

    /// Notes that the topology is another one than before.
    pub(super) fn changed(&self) {
        self.lock().pauses.reset();
    }

    fn failure(&self) -> Option<Error> {
        self.lock().failure.clone()
    }

    /// The reason why it is no use to wait for a refresh: the last one failed, or too many operations gave it up.
    pub(super) fn hopeless(&self, limits: Limits) -> Option<Error> {
        let state = self.lock();
        state.failure.clone().or_else(|| (state.given_up >= limits.failures).then(|| Fault::hung().error))
    }

    fn was_given_up(&self) {
        let mut state = self.lock();
        state.given_up = state.given_up.saturating_add(1);
    }

    /// The last failure, if the next refresh has to wait.
    fn recent_failure(&self) -> Option<Error> {
        let state = self.lock();
        state.next.filter(|next| Instant::now() < *next).and(state.failure.clone())
    }

    fn lock(&self) -> MutexGuard<'_, RefreshState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A guard in the task that refreshes: if it ends early, another one may start.
struct Running(Weak<ClusterState>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(state) = self.0.upgrade() {
            state.refresh.stopped();
        }
    }
}

impl ClusterState {
    /// Asks for the topology in the background, soon.
    pub(super) fn refresh_soon(&self) {
        if self.refresh.begin() && !self.keeper.spawn(refreshed(Weak::clone(&self.me))) {
            self.refresh.stopped();
        }
    }

    /// Logs that no node tells the topology while nothing is known, and that this is over.
    fn tell(&self, outcome: &Result<(), Error>) {
        let is_unknown = !self.slots.is_known();
        let was_told = std::mem::replace(&mut self.refresh.lock().is_told, is_unknown);
        match outcome {
            Err(error) if is_unknown && !was_told => tracing::warn!(
                server = %self.target,
                %error,
                "Redis is away: functions run uncached until it is back"
            ),
            Ok(()) if was_told => tracing::info!(server = %self.target, "Redis is back: results are cached again"),
            _ => {}
        }
    }

    /// The nodes to ask for the topology: those of the URL, and some of those that have slots.
    fn to_ask(&self) -> Vec<u16> {
        let mut known = self.slots.nodes();
        // Some start is as good as any other.
        let start = noise() as usize % known.len().max(1);
        known.rotate_left(start);
        known.sort_by_key(|node| self.node(*node).is_none_or(|node| node.client.server.health.is_down()));
        known.truncate(ASKED);
        for seed in self.seeds.iter().take(SEEDS) {
            if !known.contains(seed) {
                known.push(*seed);
            }
        }
        known
    }
}

/// Refreshes as long as there is a cause for it.
async fn refreshed(state: Weak<ClusterState>) {
    let _running = Running(Weak::clone(&state));
    loop {
        let Some(pause) = state.upgrade().and_then(|state| state.refresh.pause()) else { return };
        <Lone as Transport>::pause(pause).await;
        let Some(state) = state.upgrade() else { return };
        state.refresh.began();
        let outcome = ClusterStore::<Lone>::new(&state).ask_for_topology().await;
        state.tell(&outcome);
        state.refresh.finished(outcome);
    }
}

impl<T: NodeTransport> ClusterStore<T> {
    /// Asks some nodes for the topology, and applies the view that most of them share.
    async fn ask_for_topology(&self) -> Result<(), Error> {
        let state = self.state();
        let asked = state.to_ask();
        let (vote, mut failure) = (Mutex::new(Vote::default()), None);
        let begun = Instant::now();
        let by = begun + patience(state.settings.timeout);
        let views = asked.iter().map(|node| self.view_of(*node, by));
        let votes = || vote.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut views = pin!(join_until(views, |_, view| match view {
                Ok(view) => votes().add(view, asked.len()),
                Err(error) => {
                    failure.get_or_insert(error);
                    false
                }
            }));
            // Nodes that hang are not waited for if others answer.
            let in_time = timeout_at((begun + GRACE).into(), views.as_mut()).await;
            if in_time.is_err() && votes().is_empty() {
                views.await;
            }
        }
        match votes().winner() {
            Some(view) => {
                state.apply(&view);
                Ok(())
            }
            None => Err(failure.unwrap_or_else(|| Error::new(ErrorKind::Cluster, "no node of the cluster has slots"))),
        }
    }

    /// Asks one node. This says nothing about its health: it may be asked because it is down.
    async fn view_of(&self, number: u16, by: Instant) -> Result<View, Error> {
        let unusable = || Error::new(ErrorKind::Cluster, "the node cannot be used");
        let node = self.state().node(number).ok_or_else(unusable)?;
        let store = self.store(number).ok_or_else(unusable)?;
        let endpoint = node.client.server.known_endpoint().ok_or_else(unusable)?;
        let (host, is_tls) = (&node.address.0, endpoint.is_tls());
        let mut view = None;
        let mut read = |reply: Reply| {
            view = Some(View::of(reply.one()?, host, is_tls).ok_or_else(|| Fault::unexpected("CLUSTER SLOTS"))?);
            Ok(())
        };
        let build = |_| {
            let mut command = ::redis::cmd("CLUSTER");
            command.arg("SLOTS");
            Request::One(command)
        };
        let epoch = node.client.server.health.epoch();
        let outcome = store.core.transport.exchange(epoch, Load::default(), &build, &mut read, by).await;
        outcome.map_err(|fault| no_cluster(fault).error)?;
        view.ok_or_else(unusable)
    }

    /// Waits for the first topology, unless it is known.
    pub(super) async fn first_topology(&self, by: Instant) -> Result<(), Error> {
        if self.state().slots.is_known() {
            Ok(())
        } else {
            self.refreshed_unless(by, || self.state().slots.is_known()).await
        }
    }

    /// Waits for the next topology.
    pub(super) async fn refreshed(&self, by: Instant) -> Result<(), Error> {
        self.refreshed_unless(by, || false).await
    }

    async fn refreshed_unless(&self, by: Instant, is_done: impl Fn() -> bool + Send + Sync) -> Result<(), Error> {
        let refresh = &self.state().refresh;
        let mut ended = refresh.ended.subscribe();
        let before = *ended.borrow_and_update();
        // A refresh ends after its topology was noted: none can end unnoticed between this and the wait.
        if is_done() {
            return Ok(());
        }
        if let Some(failure) = refresh.recent_failure() {
            return Err(failure);
        }
        self.state().refresh_soon();
        let seed = self.state().seeds.first().and_then(|seed| self.store(*seed));
        let seed = seed.ok_or_else(|| Error::new(ErrorKind::Cluster, "no node of the URL can be used"))?;
        let waited = seed.core.transport.wait(ended.wait_for(|ended| *ended != before), by).await;
        match waited.map_err(|fault| fault.error)? {
            Some(_) => refresh.failure().map_or(Ok(()), Err),
            None => {
                refresh.was_given_up();
                Err(Fault::hung().error)
            }
        }
    }
}

/// Says what to write for a server that is not in a cluster.
fn no_cluster(fault: Fault) -> Fault {
    match fault.error.to_string().contains("cluster support disabled") {
        true => Fault::new(ErrorKind::Unsupported, fault.blame, "the server is in no cluster; write redis:// for it"),
        false => fault,
    }
}
