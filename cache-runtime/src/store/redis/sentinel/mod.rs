//! A master that sentinels know: its address is found when it is needed first, and followed from then on.
//!
//! The keeper holds a connection to each sentinel of the URL, subscribed to `+switch-master`, and asks it each second: an
//! event may be lost together with its connection. An event makes it ask at once. What is told goes through a [`View`],
//! which knows a stale sentinel from a switch.
//!
//! A switch replaces the server's endpoint, which ends the epoch: no connection to the old master is handed out again,
//! by either face. Until it is demoted, which takes ten seconds, the old master accepts writes over open connections,
//! and calls itself a master.
//!
//! Connections ask for the address through a [`Locator`](super::server::locator::Locator). Without an answer of a sentinel,
//! nothing connects. If no sentinel is left, the known master is used on.

mod question;
mod session;
mod view;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use self::view::{Address, Statement, View};
use super::client::Client;
use super::keeper::{Keeper, Signal};
use super::ops::deliverer;
use super::server::Server;
use super::server::endpoint::Endpoint;
use super::server::fault::{Blame, Fault};
use super::server::locator::{Finder, Locator};
use super::settings::Settings;
use crate::error::{Error, ErrorKind};
use crate::store::url::{RedisTarget, SentinelTarget};

/// The time without any sentinel after which the log says so.
const CUT_OFF: Duration = Duration::from_secs(5);

/// The sentinels of one cache.
pub(crate) struct Sentinels {
    target: SentinelTarget,
    settings: Settings,
    all: Vec<Sentinel>,
    keeper: Keeper,
    client: OnceLock<Weak<Client>>,
    state: Mutex<SentinelsState>,
}

struct Sentinel {
    /// The address, for messages.
    name: String,
    endpoint: Endpoint,
    /// Makes its task ask at once.
    hurry: Signal,
}

struct SentinelsState {
    view: View,
    /// The process in which the tasks run; a child of it has none.
    running_in: Option<u32>,
    /// By sentinel: the questions that it has answered, and how.
    reports: Vec<(u64, Result<(), Fault>)>,
    /// The last time at which a sentinel told the address.
    told: Option<Instant>,
    is_cut_off: bool,
}

impl Sentinels {
    pub(crate) fn new(target: SentinelTarget, settings: Settings, keeper: Keeper) -> Arc<Sentinels> {
        // The provider's credentials are those of the servers.
        let own = Settings { credentials: None, ..settings.clone() };
        let sentinel = |target: &RedisTarget| Sentinel {
            name: target.to_string(),
            endpoint: Endpoint::new(target.clone(), &own),
            hurry: Signal::default(),
        };
        let all: Vec<_> = target.sentinels.iter().map(sentinel).collect();
        let unasked = Fault::hung();
        let state = Mutex::new(SentinelsState {
            view: View::new(all.len()),
            running_in: None,
            reports: all.iter().map(|_| (0, Err(unasked.clone()))).collect(),
            told: None,
            is_cut_off: false,
        });
        Arc::new(Sentinels { target, settings, all, keeper, client: OnceLock::new(), state })
    }

    /// The master, whose address is still to be found.
    pub(crate) fn server(self: &Arc<Self>) -> Server {
        let Settings { timeout, breaker, .. } = self.settings;
        let finder = Arc::new(Follower(Arc::clone(self)));
        Server::located(self.target.to_string(), Locator::new(finder), timeout, breaker)
    }

    /// Names the client of that server.
    pub(crate) fn serve(&self, client: &Arc<Client>) {
        // It is named once.
        let _ = self.client.set(Arc::downgrade(client));
    }

    fn client(&self) -> Option<Arc<Client>> {
        self.client.get()?.upgrade()
    }

    /// Notes the answer of a sentinel to the questions up to `asked`.
    fn heard(&self, sentinel: usize, asked: u64, answer: Result<Option<Statement>, Fault>) {
        let Some(client) = self.client() else { return };
        let mut state = self.lock();
        let outcome = match answer {
            Ok(Some(statement)) => self.told(&mut state, &client.server, sentinel, statement),
            Ok(None) => Err(self.unknown()),
            Err(fault) => Err(fault),
        };
        if outcome.is_err() {
            state.view.forget(sentinel);
            self.note_silence(&mut state);
        }
        let (is_told, is_switched) = (outcome.is_ok(), matches!(outcome, Ok(true)));
        state.reports[sentinel] = (asked, outcome.map(drop));
        let Some(locator) = client.server.locator() else { return };
        if is_told {
            locator.answer(asked, Ok(()));
        } else if state.reports.iter().all(|(_, outcome)| outcome.is_err()) {
            let asked = state.reports.iter().map(|(asked, _)| *asked).min().unwrap_or(asked);
            locator.answer(asked, Err(self.none_tells(&state)));
        }
        drop(state);
        // A new master gets the undelivered invalidations before the next attempt is due.
        if is_switched && client.backlog.pending.any() {
            deliverer::wake_at_once(&client);
        }
    }

    /// Notes what a sentinel says, and replaces the endpoint if that is news, which returns true.
    fn told(
        &self,
        state: &mut SentinelsState,
        server: &Server,
        sentinel: usize,
        statement: Statement,
    ) -> Result<bool, Fault> {
        let (host, port) = statement.address.clone();
        let refused = |error: Error| Fault { error, blame: Blame::Connection };
        let target = self.target.server(&host, port).map_err(refused)?;
        let now = Instant::now();
        state.told = Some(now);
        if std::mem::take(&mut state.is_cut_off) {
            tracing::info!(server = server.health.server, "a sentinel answers again");
        }
        let old = state.view.master().cloned();
        if !state.view.heard(sentinel, statement, now) {
            return Ok(false);
        }
        server.replace_endpoint(Endpoint::new(target, &self.settings));
        if let Some(old) = old {
            let (old, new) = (shown(&old), shown(&(host, port)));
            tracing::warn!(server = server.health.server, old, new, "another server is the Redis master now");
        }
        Ok(true)
    }

    /// Logs, once, that no sentinel has told the address for long.
    fn note_silence(&self, state: &mut SentinelsState) {
        let now = Instant::now();
        let is_long = now.saturating_duration_since(*state.told.get_or_insert(now)) >= CUT_OFF;
        let is_silent = state.reports.iter().all(|(_, outcome)| outcome.is_err());
        if !is_long || !is_silent || std::mem::replace(&mut state.is_cut_off, true) {
            return;
        }
        let error = self.none_tells(state).error;
        let master = state.view.master().map_or("none".to_owned(), shown);
        tracing::warn!(server = %self.target, %error, master, "no sentinel answers: the known Redis master is used on");
    }

    /// The fault of a sentinel that does not know the master.
    fn unknown(&self) -> Fault {
        Fault::new(ErrorKind::Config, Blame::Connection, format!("it knows no master `{}`", self.target.master))
    }

    /// The fault of all sentinels together.
    fn none_tells(&self, state: &SentinelsState) -> Fault {
        let faults = || state.reports.iter().filter_map(|(_, outcome)| outcome.as_ref().err());
        let kinds: Vec<ErrorKind> = faults().map(|fault| fault.error.kind()).collect();
        // An answer says more than silence.
        let said = [ErrorKind::Config, ErrorKind::Auth].into_iter().find(|kind| kinds.contains(kind));
        let kind = said.or(kinds.first().copied()).unwrap_or(ErrorKind::Unreachable);
        let each = self.all.iter().zip(faults()).map(|(sentinel, fault)| {
            let error = match fault.error.kind() {
                ErrorKind::Config => fault.error.detail().to_owned(),
                _ => fault.error.to_string(),
            };
            format!("{}: {error}", sentinel.name)
        });
        let each = each.collect::<Vec<_>>().join("; ");
        let why = format!("no sentinel tells the address of the master `{}` ({each})", self.target.master);
        Fault::new(kind, Blame::Connection, why)
    }

    fn lock(&self) -> MutexGuard<'_, SentinelsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown((host, port): &Address) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Starts and hurries the tasks.
struct Follower(Arc<Sentinels>);

impl Finder for Follower {
    fn start(&self) {
        let Follower(sentinels) = self;
        let process = std::process::id();
        let mut state = sentinels.lock();
        if state.running_in == Some(process) {
            return;
        }
        let mut tasks = (0..sentinels.all.len()).map(|number| session::follow(Arc::clone(sentinels), number));
        // If no thread can be started, the next connection tries again.
        if tasks.all(|task| sentinels.keeper.spawn(task)) {
            state.running_in = Some(process);
        }
    }

    fn hurry(&self) {
        self.0.all.iter().for_each(|sentinel| sentinel.hurry.notify());
    }
}
