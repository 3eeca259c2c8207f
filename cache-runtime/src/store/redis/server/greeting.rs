//! The greeting of a connection: the login, the questions to the server, and its answers.
//!
//! Each connection is greeted, because the address may lead to another server than a moment ago: to one with another
//! role, after a failover, or with another version, during an upgrade. So the features are kept with the connection.
//! A greeting is one round trip; the first connection of an epoch makes a second one, for the commands that the server
//! refuses.

use std::time::Instant;

use ::redis::{Cmd, Pipeline, Value};

use super::breaker::Epoch;
use super::endpoint::Login;
use super::fault::{Blame, Fault};
use super::features::{Features, field};
use super::rights::questions;
use super::state::Server;
use crate::error::ErrorKind;
use crate::store::redis::request::checked;

/// The greeting of one connection, without its I/O: a face sends each [request](Greeting::request) and hands over the
/// [replies](Greeting::answered), until there are no more requests.
pub(crate) struct Greeting<'a> {
    server: &'a Server,
    epoch: Epoch,
    login: &'a Login,
    step: Step,
    features: Features,
}

#[derive(Clone, Copy)]
enum Step {
    First,
    /// A node of a cluster is asked whether it is alone.
    Cluster,
    /// The server is asked which commands it refuses.
    Rights,
    Done,
}

impl<'a> Greeting<'a> {
    pub(crate) fn new(server: &'a Server, epoch: Epoch, login: &'a Login) -> Greeting<'a> {
        Greeting { server, epoch, login, step: Step::First, features: Features::default() }
    }

    /// The next request. `None` means that the connection is greeted.
    pub(crate) fn request(&self) -> Option<Pipeline> {
        Some(match self.step {
            Step::First => {
                let mut pipeline = Pipeline::with_capacity(7);
                for command in [authentication(self.login), selection(self.login), naming(self.login)] {
                    command.map(|command| pipeline.add_command(command));
                }
                // The last command touches the data set, which a server that is loading it refuses.
                pipeline.cmd("INFO").arg("server").cmd("TIME").cmd("ROLE").cmd("EXISTS").arg("redis-cached");
                pipeline
            }
            Step::Cluster => {
                let mut pipeline = Pipeline::with_capacity(1);
                pipeline.cmd("CLUSTER").arg("INFO");
                pipeline
            }
            Step::Rights => questions(),
            Step::Done => return None,
        })
    }

    /// Takes the replies to the last request, errors among them.
    pub(crate) fn answered(&mut self, replies: Vec<Value>, sent: Instant) -> Result<(), Fault> {
        self.step = match self.step {
            Step::First => match self.first(replies, sent)? {
                Node::OfCluster if !self.server.in_cluster => Step::Cluster,
                _ => self.rights(),
            },
            Step::Cluster => {
                alone(replies.into_iter().next().unwrap_or_default())?;
                self.rights()
            }
            Step::Rights => {
                self.server.note_rights(self.epoch, &replies);
                Step::Done
            }
            Step::Done => Step::Done,
        };
        Ok(())
    }

    /// The features of the server, once the connection is greeted.
    pub(crate) fn features(&self) -> Features {
        self.features
    }

    fn rights(&self) -> Step {
        self.server.note_features(self.features);
        if self.server.is_to_ask_rights(self.epoch) { Step::Rights } else { Step::Done }
    }

    fn first(&mut self, replies: Vec<Value>, sent: Instant) -> Result<Node, Fault> {
        let mut replies = replies.into_iter();
        if authentication(self.login).is_some() {
            checked(replies.next().unwrap_or_default()).map_err(refused_login)?;
        }
        if selection(self.login).is_some() {
            let selected = checked(replies.next().unwrap_or_default());
            selected.map_err(|fault| Fault { blame: Blame::Connection, ..fault })?;
        }
        if naming(self.login).is_some() {
            // A server or a user without the command does without the name.
            replies.next();
        }
        let Ok([info, time, role, exists]) = <[Value; 4]>::try_from(replies.collect::<Vec<_>>()) else {
            return Err(Fault::unexpected("the first commands"));
        };
        [&info, &time, &role, &exists].into_iter().try_for_each(tolerated)?;
        match name_of_role(&role) {
            // A replica in a cluster sends requests on to its master.
            Some("slave") if !self.server.in_cluster => return Err(Fault::replica()),
            Some("sentinel") => {
                let advice = "this is a sentinel; its URL is `redis-sentinel://host:port/master-name`";
                return Err(Fault::new(ErrorKind::Unsupported, Blame::Role, advice));
            }
            _ => self.server.role_is_known(),
        }
        self.server.note_time(&time, sent);
        let info = text(&info);
        self.features = Features::of(&info);
        Ok(if field(&info, "redis_mode") == Some("cluster") { Node::OfCluster } else { Node::Alone })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Node {
    Alone,
    OfCluster,
}

/// The command that logs in, if one is needed.
fn authentication(login: &Login) -> Option<Cmd> {
    let mut command = Cmd::new();
    if login.is_resp3 {
        command.arg("HELLO").arg("3");
        if let Some(password) = &login.password {
            command.arg("AUTH").arg(login.user.as_deref().unwrap_or("default")).arg(password);
        }
    } else {
        command.arg("AUTH").arg(&login.user).arg(login.password.as_ref()?);
    }
    Some(command)
}

fn selection(login: &Login) -> Option<Cmd> {
    let mut command = Cmd::new();
    command.arg("SELECT").arg(login.db);
    (login.db != 0).then_some(command)
}

/// The command that names the connection, for `CLIENT LIST`.
pub(crate) fn naming(login: &Login) -> Option<Cmd> {
    let mut command = Cmd::new();
    command.arg("CLIENT").arg("SETNAME").arg(&*login.client_name);
    (!login.client_name.is_empty()).then_some(command)
}

/// A login that was refused, whatever the words.
fn refused_login(fault: Fault) -> Fault {
    match fault.blame {
        Blame::Command | Blame::Denied(_) => Fault::new(ErrorKind::Auth, Blame::Connection, fault.error.to_string()),
        _ => fault,
    }
}

/// Each question may be refused alone, by a user's permissions: one that is missing here need not be missing elsewhere.
fn tolerated(reply: &Value) -> Result<(), Fault> {
    let Value::ServerError(error) = reply else { return Ok(()) };
    let fault = Fault::from(error);
    let is_tolerable =
        matches!(fault.blame, Blame::Command | Blame::Denied(_)) || matches!(error.code(), "MOVED" | "ASK");
    if is_tolerable { Ok(()) } else { Err(fault) }
}

fn text(info: &Value) -> std::borrow::Cow<'_, str> {
    match info {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes),
        Value::VerbatimString { text, .. } => text.as_str().into(),
        _ => "".into(),
    }
}

/// Accepts a node that serves all slots, because it acts like a single server; any other node holds a part of the keys.
fn alone(info: Value) -> Result<(), Fault> {
    match field(&text(&info), "cluster_size") {
        Some("1") | None => Ok(()),
        Some(size) => Err(Fault::new(
            ErrorKind::Cluster,
            Blame::Role,
            format!("one of {size} masters of a cluster; write redis-cluster:// for all of it"),
        )),
    }
}

/// `master`, `slave` or `sentinel`.
pub(crate) fn name_of_role(role: &Value) -> Option<&str> {
    match role {
        Value::Array(parts) => match parts.first()? {
            Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
            Value::SimpleString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_of_one_is_a_server() {
        let info = |text: &str| alone(Value::BulkString(text.into()));
        assert!(info("cluster_state:ok\r\ncluster_size:1\r\n").is_ok());
        let refused = info("cluster_state:ok\r\ncluster_size:3\r\n").expect_err("one of three");
        assert!(refused.error.to_string().contains("redis-cluster://"), "{}", refused.error);
        assert!(alone(Value::Nil).is_ok());
    }
}
