//! The questions to a server when a connection is made, and its answers.

use std::time::Instant;

use ::redis::{Cmd, Pipeline, Value};

use super::fault::{Blame, Fault};
use super::features::{Features, field};
use super::state::Server;
use crate::error::ErrorKind;

/// The questions to a server at connecting. Each may be refused alone, by a user's permissions.
/// The last one touches the data set, which a server that is loading it refuses.
pub(crate) fn greeting() -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(4);
    pipeline.cmd("INFO").arg("server").cmd("TIME").cmd("ROLE").cmd("EXISTS").arg("redis-cached");
    pipeline
}

/// The meaning of the answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Greeted {
    pub(crate) features: Features,
    /// True if [`cluster_info`] must be asked too.
    pub(crate) clustered: bool,
}

/// Reads the answers to [`greeting`].
pub(crate) fn greeted(values: Vec<Value>, sent: Instant, server: &Server) -> Result<Greeted, Fault> {
    let Ok([info, time, role, exists]) = <[Value; 4]>::try_from(values) else {
        return Err(Fault::unexpected("the first commands"));
    };
    for value in [&info, &time, &role, &exists] {
        if let Value::ServerError(error) = value {
            let fault = Fault::from(error);
            // A permission that is missing here need not be missing elsewhere.
            let tolerable =
                matches!(fault.blame, Blame::Command | Blame::Denied(_)) || matches!(error.code(), "MOVED" | "ASK");
            if !tolerable {
                return Err(fault);
            }
        }
    }
    match name_of_role(&role) {
        Some("slave") => return Err(Fault::replica()),
        Some("sentinel") => {
            return Err(Fault::new(ErrorKind::Unsupported, Blame::Role, "this is a sentinel; name the master itself"));
        }
        _ => server.role_is_known(),
    }
    server.note_time(&time, sent);
    let info = match &info {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes),
        Value::VerbatimString { text, .. } => text.as_str().into(),
        _ => "".into(),
    };
    Ok(Greeted { features: Features::of(&info), clustered: field(&info, "redis_mode") == Some("cluster") })
}

/// Asks a node of a cluster whether it is alone.
pub(crate) fn cluster_info() -> Cmd {
    let mut command = ::redis::cmd("CLUSTER");
    command.arg("INFO");
    command
}

/// Accepts a node that serves all slots, because it acts like a single server; any other node holds a part of the keys.
pub(crate) fn alone(info: Value) -> Result<(), Fault> {
    let text = match &info {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes),
        Value::VerbatimString { text, .. } => text.as_str().into(),
        _ => return Ok(()),
    };
    match field(&text, "cluster_size") {
        Some("1") | None => Ok(()),
        Some(size) => Err(Fault::new(
            ErrorKind::Cluster,
            Blame::Role,
            format!("one of {size} masters; clusters are not supported yet"),
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
        assert!(info("cluster_state:ok\r\ncluster_size:3\r\n").is_err());
        assert!(alone(Value::Nil).is_ok());
    }
}
