//! The task of a tracked connection.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use ::redis::{Cmd, Pipeline, PushInfo, PushKind, Value, cmd};
use bytes::Bytes;

use super::{Ended, Link};
use crate::error::ErrorKind;
use crate::hash::hash;
use crate::poll::coarse::Coarse;
use crate::store::redis::client::Client;
use crate::store::redis::request::checked;
use crate::store::redis::server::fault::{Blame, Fault};
use crate::store::redis::transport::tokio::Pushes;
use crate::store::tracking::{About, Inquiry};
use crate::stored::envelope::HEAD_LEN;

/// The most inquiries in one write.
const TOGETHER: usize = 64;

/// The pause after a failure, which doubles with each in a row, until a connection has lasted longer than any pause.
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(2);

/// The pause where the server or its user cannot track.
const REFUSED: Duration = Duration::from_secs(30);

/// How often a connection that nothing needs looks if that has changed.
const IDLE: Duration = Duration::from_secs(5);

/// Keeps a tracked connection for as long as the cache lives.
pub(super) async fn follow(ended: Ended, client: Weak<Client>) {
    let link = &ended.0;
    let (mut pause, mut is_told) = (SHORTEST, false);
    loop {
        let begun = Instant::now();
        let outcome = connected(link, &client).await;
        let lasted = link.connected(false) && begun.elapsed() > LONGEST;
        link.lose();
        let Some(alive) = client.upgrade() else { return };
        match outcome {
            Ok(()) => {
                pause = SHORTEST;
                link.asked.wait(IDLE).await;
            }
            Err(fault) => {
                if lasted {
                    pause = SHORTEST;
                }
                if is_refusal(&fault) {
                    if !std::mem::replace(&mut is_told, true) {
                        let (server, error) = (&alive.server.health.server, &fault.error);
                        tracing::warn!(server, %error, "the server does not track keys: `local` keeps nothing, and calls go to Redis");
                    }
                    pause = REFUSED;
                }
                // What waits would be asked about values that have changed by then.
                link.pauses(true);
                link.drop_waiting();
                drop(alive);
                tokio::time::sleep(pause).await;
                link.pauses(false);
                pause = pause.saturating_mul(2).clamp(SHORTEST, LONGEST);
            }
        }
    }
}

/// Returns true if the server, or its user, cannot have a tracked connection.
fn is_refusal(fault: &Fault) -> bool {
    matches!(fault.blame, Blame::Command | Blame::Denied(_)) || fault.error.kind() == ErrorKind::Config
}

/// Connects, and serves inquiries until the connection fails, another server takes the place of this one, or nothing is
/// kept. Returns at once if nothing is asked.
async fn connected(link: &Arc<Link>, client: &Weak<Client>) -> Result<(), Fault> {
    if link.lock().waiting.is_empty() {
        return Ok(());
    }
    let Some(alive) = client.upgrade() else { return Ok(()) };
    // This is read first: a connection to an older endpoint is noticed then.
    let moves = alive.server.moves();
    let patience = alive.server.timeout.max(link.bound);
    let endpoint = in_time(patience, alive.server.endpoint()).await?;
    drop(alive);
    // The pushes of a connection that was given up must not count for the next one.
    let generation = link.proof.generation();
    let told = Arc::clone(link);
    let push = move |push: PushInfo| pushed(&told, generation, push);
    let connection = in_time(patience, Pushes::open(&endpoint, push)).await?;
    in_time(patience, connection.request(cmd("CLIENT").arg("TRACKING").arg("ON"))).await?;
    // A full server does without its other clients first. Users without the right do without it.
    let _ = in_time(patience, connection.request(cmd("CLIENT").arg("NO-EVICT").arg("ON"))).await;
    let session = Session { link, client, connection, moves, generation, patience };
    // This is read before anything is confirmed: what moves later is noticed.
    let slots = session.slots().await?;
    link.connected(true);
    let (mut heartbeats, mut inquiries) = (pin!(session.heartbeats(slots)), pin!(session.inquiries()));
    poll_fn(|context| match heartbeats.as_mut().poll(context) {
        Poll::Pending => inquiries.as_mut().poll(context),
        ended => ended,
    })
    .await
}

struct Session<'a> {
    link: &'a Arc<Link>,
    client: &'a Weak<Client>,
    connection: Pushes,
    /// How often another server had taken the place of this one when it connected.
    moves: u64,
    generation: u64,
    patience: Duration,
}

impl Session<'_> {
    /// Extends the proof with each answer.
    async fn heartbeats(&self, slots: Option<u64>) -> Result<(), Fault> {
        let (mut role, every) = (role(), self.link.bound / 4);
        loop {
            let sent = Coarse::now();
            match in_time(self.link.bound, self.connection.request(&role)).await {
                Ok(answer) if !is_of_master(&answer) => return Err(fault("the server is no master")),
                Ok(_) => {}
                // The user may not ask for the role. A server alone has none.
                Err(refused) if !refused.spoils_connection() => role = cmd("PING"),
                Err(lost) => return Err(lost),
            }
            if self.link.proof.generation() != self.generation {
                return Err(fault("it told that any key may have changed"));
            }
            if !self.is_the_same() || self.slots().await? != slots {
                return Err(fault("another server has taken its place"));
            }
            self.link.proof.extend(self.generation, sent);
            tokio::time::sleep(every).await;
            if self.link.watcher.upgrade().is_none_or(|watcher| watcher.keeps_nothing())
                && self.link.lock().waiting.is_empty()
            {
                return Ok(());
            }
        }
    }

    /// Returns true while the address leads to the same server, and the cache lives.
    fn is_the_same(&self) -> bool {
        self.client.upgrade().is_some_and(|client| client.server.moves() == self.moves)
    }

    /// Where the slots of the cluster are, as a digest that changes with each move; `None` for a server alone. A node
    /// deletes the keys of a slot that it lost, and some versions tell no client; and a slot may come back between two
    /// heartbeats, changed. A node that is cut off from the others does not hear of moves: it is an error.
    async fn slots(&self) -> Result<Option<u64>, Fault> {
        if self.client.upgrade().is_none_or(|client| client.membership.is_none()) {
            return Ok(None);
        }
        let mut pipeline = Pipeline::new();
        pipeline.add_command(cluster("SLOTS")).add_command(cluster("INFO"));
        let replies = in_time(self.link.bound, self.connection.requests(&pipeline)).await?;
        let [slots, info] = &replies[..] else { return Err(Fault::unexpected("CLUSTER SLOTS")) };
        let (slots, info) = (checked(slots.clone())?, text_of(&checked(info.clone())?));
        if !info.lines().any(|line| line.trim_end() == "cluster_state:ok") {
            return Err(fault("the cluster is down, as far as this node knows"));
        }
        Ok(Some(digest(&slots, &info)))
    }

    /// Asks what there is to ask.
    async fn inquiries(&self) -> Result<(), Fault> {
        loop {
            let inquiries = self.link.take(TOGETHER);
            if inquiries.is_empty() {
                self.link.asked.wait(IDLE).await;
                continue;
            }
            self.serve(inquiries).await?;
        }
    }

    async fn serve(&self, inquiries: Vec<Inquiry>) -> Result<(), Fault> {
        let mut pipeline = Pipeline::new();
        for Inquiry { question, .. } in &inquiries {
            pipeline.add_command(match question.about {
                About::Head => head_of(&question.name),
                About::Stamp => stamp_of(&question.name),
            });
        }
        let replies = in_time(self.patience, self.connection.requests(&pipeline)).await?;
        if !self.is_the_same() {
            return Ok(());
        }
        for (inquiry, reply) in inquiries.into_iter().zip(replies) {
            // An error is no value: the slot has moved, holds another type, or is forbidden.
            let vouched = Some((Arc::clone(&self.link.proof), self.generation));
            (inquiry.answered)(content(reply).as_ref(), vouched);
        }
        Ok(())
    }
}

/// Handles a push. The driver of the connection calls it before it hands out any later reply.
fn pushed(link: &Link, generation: u64, push: PushInfo) {
    if link.proof.generation() != generation {
        return;
    }
    let Some(watcher) = link.watcher.upgrade() else { return };
    match push.kind {
        PushKind::Invalidate => match push.data.into_iter().next() {
            Some(Value::Array(names)) => {
                for name in &names {
                    match name {
                        Value::BulkString(name) => drop(std::str::from_utf8(name).map(|name| watcher.changed(name))),
                        Value::SimpleString(name) => watcher.changed(name),
                        _ => link.lose(),
                    }
                }
            }
            // All keys, of a server that was emptied.
            _ => link.lose(),
        },
        PushKind::Disconnection => link.lose(),
        _ => {}
    }
}

fn cluster(command: &str) -> Cmd {
    let mut cluster = cmd("CLUSTER");
    cluster.arg(command);
    cluster
}

fn text_of(reply: &Value) -> String {
    match reply {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::VerbatimString { text, .. } => text.clone(),
        _ => String::new(),
    }
}

/// A digest of where the slots are, which changes with each move: it has the epochs of the cluster, too.
fn digest(slots: &Value, info: &str) -> u64 {
    let epochs = info.lines().filter(|line| line.contains("_epoch")).collect::<Vec<_>>().join(" ");
    hash(0, format!("{slots:?} {epochs}").as_bytes())
}

fn role() -> Cmd {
    cmd("ROLE")
}

/// Returns true for the role of a master, and for a server that was not asked.
fn is_of_master(role: &Value) -> bool {
    match role {
        Value::Array(parts) => match parts.first() {
            Some(Value::BulkString(role)) => role == b"master",
            Some(Value::SimpleString(role)) => role == "master",
            _ => false,
        },
        _ => true,
    }
}

fn head_of(name: &str) -> Cmd {
    let mut command = cmd("GETRANGE");
    command.arg(name).arg(0).arg(HEAD_LEN - 1);
    command
}

fn stamp_of(name: &str) -> Cmd {
    let mut command = cmd("GET");
    command.arg(name);
    command
}

fn content(reply: Value) -> Option<Bytes> {
    match reply {
        Value::BulkString(bytes) if !bytes.is_empty() => Some(bytes.into()),
        _ => None,
    }
}

fn fault(why: &str) -> Fault {
    Fault::new(ErrorKind::Unreachable, Blame::Connection, why)
}

async fn in_time<T>(patience: Duration, step: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    tokio::time::timeout(patience, step).await.unwrap_or_else(|_| Err(Fault::hung()))
}
