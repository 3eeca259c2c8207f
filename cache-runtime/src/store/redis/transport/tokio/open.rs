//! The task that connects, and the outcome that it reports to the waiting callers.

use std::sync::Arc;
use std::time::Instant;

use redis::aio::MultiplexedConnection;
use tokio::sync::{oneshot, watch};

use super::super::connect::Way;
use super::dial::{self, Seen};
use super::lane::{Connection, Line};
use super::{current, unsupported};
use crate::error::ErrorKind;
use crate::store::redis::server::Server;
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::endpoint::{Endpoint, Login};
use crate::store::redis::server::fault::{Blame, Fault};
use crate::store::redis::server::greeting::Greeting;

/// An attempt to connect, and its outcome, once it has one.
pub(super) type Attempt = watch::Receiver<Option<Outcome>>;

pub(super) enum Outcome {
    Finished(Result<Arc<Connection>, Fault>),
    /// Another attempt has taken its place, or its runtime has ended.
    Dropped,
}

/// A guard in the task that connects: if the task ends early, the waiting callers learn of it.
pub(super) struct End(pub(super) watch::Sender<Option<Outcome>>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.send_if_modified(|outcome| {
            let is_early = outcome.is_none();
            if is_early {
                *outcome = Some(match std::thread::panicking() {
                    // tokio panics if the runtime has no I/O.
                    true => Outcome::Finished(Err(unsupported(
                        "connecting panicked; is I/O enabled in this tokio runtime?",
                    ))),
                    false => Outcome::Dropped,
                });
            }
            is_early
        });
    }
}

/// The fault of no server: the runtime that a connection belongs to is ending.
pub(super) fn ended() -> Fault {
    Fault::new(ErrorKind::Unreachable, Blame::Caller, "the tokio runtime that the connection belongs to has ended")
}

/// The outcome of an attempt. `None` means that it was dropped.
pub(super) async fn wait(attempt: &mut Attempt) -> Option<Result<Arc<Connection>, Fault>> {
    match attempt.wait_for(Option::is_some).await.as_deref() {
        Ok(Some(Outcome::Finished(connected))) => Some(connected.clone()),
        _ => None,
    }
}

pub(super) async fn connect(server: &Arc<Server>, line: Line, epoch: Epoch) -> Result<Arc<Connection>, Fault> {
    let mut endpoint = server.endpoint().await?;
    loop {
        match connect_to(&endpoint, server, line, epoch).await {
            Err(fault) => endpoint = server.other_endpoint(&endpoint, fault).await?,
            connected => return connected,
        }
    }
}

async fn connect_to(
    endpoint: &Arc<Endpoint>,
    server: &Arc<Server>,
    line: Line,
    epoch: Epoch,
) -> Result<Arc<Connection>, Fault> {
    let way = Way::to(endpoint);
    let seen = Arc::<Seen>::default();
    let login = login(endpoint).await?;
    let (mut multiplexed, driver) = dial::dial(&way, &login, &seen).await?;
    let login = way.greeting_login(login);
    let mut greeting = Greeting::new(server, epoch, &login);
    let greeted = greet(&mut multiplexed, &mut greeting).await;
    greeted.map_err(|fault| seen.refusal.get().cloned().unwrap_or_else(|| way.greeting_fault(fault)))?;
    let features = greeting.features();
    Ok(Arc::new(Connection::new(
        line,
        (multiplexed, driver, seen),
        features,
        (epoch, current()?),
        Arc::clone(endpoint.exchanges()),
        server.opened(line.purpose()),
    )))
}

/// The login, which a thread asks the program for. The runtime waits for its own threads when it ends, and for this one it
/// does not: the program may not answer.
async fn login(endpoint: &Arc<Endpoint>) -> Result<Login, Fault> {
    if !endpoint.asks_for_credentials() {
        return endpoint.login();
    }
    let (answer, answered) = oneshot::channel();
    let (endpoint, runtime) = (Arc::clone(endpoint), current()?);
    let thread = std::thread::Builder::new().name("redis-cached login".to_owned());
    let asked = thread.spawn(move || {
        let _entered = runtime.enter();
        // The attempt may have been given up.
        let _ = answer.send(endpoint.login());
    });
    asked.map_err(|error| Fault::new(ErrorKind::Unreachable, Blame::Caller, error.to_string()))?;
    answered.await.unwrap_or_else(|_| Err(ended()))
}

async fn greet(connection: &mut MultiplexedConnection, greeting: &mut Greeting<'_>) -> Result<(), Fault> {
    while let Some(request) = greeting.request() {
        let sent = Instant::now();
        let replies = connection.send_packed_commands(&request, 0, request.len()).await?;
        greeting.answered(replies, sent)?;
    }
    Ok(())
}
