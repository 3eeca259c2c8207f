//! A client that follows redirections: for what others do to the keys of a cache.

use std::collections::BTreeMap;
use std::time::Instant;

use redis::{Cmd, RedisResult, Value};

use super::slot_of;
use crate::PATIENCE;

/// A client of a cluster. It connects when it is used, and repeats a command until a node runs it.
pub struct ClusterClient {
    seeds: Vec<String>,
    /// The addresses of the nodes that ran a command for a slot.
    owners: BTreeMap<u16, String>,
    connections: BTreeMap<String, redis::Connection>,
}

impl ClusterClient {
    /// A client of the cluster with this URL.
    pub fn of(url: &str) -> ClusterClient {
        let (_, hosts) = url.split_once("redis-cluster://").expect("the URL of a cluster without TLS");
        let seeds = hosts.split(',').map(str::to_owned).collect();
        ClusterClient { seeds, owners: BTreeMap::new(), connections: BTreeMap::new() }
    }

    /// Runs a command for this key.
    #[track_caller]
    pub fn run(&mut self, key: &str, command: &Cmd) -> Value {
        let (slot, begun) = (slot_of(key), Instant::now());
        let mut is_asking = false;
        let mut seeds = self.seeds.clone().into_iter().cycle();
        let mut address = self.owners.get(&slot).cloned().or_else(|| seeds.next()).expect("a seed");
        loop {
            let error = match self.try_at(&address, command, is_asking) {
                Ok(value) => {
                    if !is_asking {
                        self.owners.insert(slot, address);
                    }
                    return value;
                }
                Err(error) => error,
            };
            assert!(begun.elapsed() < PATIENCE, "no node runs {command:?}: {error}");
            is_asking = error.code() == Some("ASK");
            address = match error.redirect_node() {
                Some((address, _)) => address.to_owned(),
                None => seeds.next().expect("a seed"),
            };
        }
    }

    fn try_at(&mut self, address: &str, command: &Cmd, is_asking: bool) -> RedisResult<Value> {
        if !self.connections.contains_key(address) {
            let client = redis::Client::open(format!("redis://{address}"))?;
            let connection = client.get_connection_with_timeout(PATIENCE / 10)?;
            connection.set_read_timeout(Some(PATIENCE / 10))?;
            self.connections.insert(address.to_owned(), connection);
        }
        let connection = self.connections.get_mut(address).expect("it is connected");
        let asked = if is_asking { redis::cmd("ASKING").exec(connection) } else { Ok(()) };
        let reply = asked.and_then(|()| command.query(connection));
        if reply.as_ref().is_err_and(|error| error.is_io_error() || error.is_timeout()) {
            self.connections.remove(address);
        }
        reply
    }
}
