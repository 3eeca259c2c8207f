//! The origin, which knows the current versions.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::thread;

use redis::{Cmd, FromRedisValue, Pipeline};

use crate::course::{Course, Floor};
use crate::random_part;
use crate::subject::Found;
use test_support::{ClusterClient, PATIENCE};

/// The origin, for async functions. A writer's own connection keeps its writes in order.
#[derive(Clone)]
pub(crate) struct Origin {
    connection: redis::aio::MultiplexedConnection,
    outside: Arc<Outside>,
    course: Arc<Course>,
}

impl Origin {
    pub(crate) async fn connect(course: &Arc<Course>) -> Origin {
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        let client = redis::Client::open(&*course.origin).unwrap();
        Origin {
            connection: client.get_multiplexed_async_connection_with_config(&config).await.unwrap(),
            outside: Arc::new(Outside::of(&course.server)),
            course: Arc::clone(course),
        }
    }

    pub(crate) async fn floors(&self, ids: &[u64]) -> Vec<Floor> {
        match self.course.own_floors(ids) {
            Some(floors) => floors,
            None => floors_of(self.ask(&ask_floors(ids)).await),
        }
    }

    pub(crate) async fn raise_floors(&self, new: &[(u64, u64)]) {
        if !self.course.has_noted(new) {
            self.ask::<()>(&set(floor, new)).await;
        }
    }

    /// Whatever bodies up to these numbers made is stale.
    pub(crate) async fn void(&self, numbers: &[(u64, u64)]) {
        self.ask::<()>(&set(voided, numbers)).await;
    }

    /// The body.
    pub(crate) async fn read(&self, ids: &[u64]) -> Vec<Found> {
        self.course.counts.bodies.fetch_add(1, Relaxed);
        let read = ask_found(ids).query_async(&mut self.connection.clone()).await.unwrap();
        tokio::time::sleep(random_part(self.course.setup.body)).await;
        found_of(read)
    }

    pub(crate) async fn write(&self, new: &[(u64, u64)]) {
        self.ask::<()>(&set(version, new)).await;
        tokio::time::sleep(random_part(self.course.setup.body / 4)).await;
    }

    pub(crate) async fn foreign(&self, command: &str, keys: &[String]) {
        let (outside, command, keys) = (Arc::clone(&self.outside), command.to_owned(), keys.to_vec());
        tokio::task::spawn_blocking(move || outside.run(&command, &keys)).await.unwrap();
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        command.query_async(&mut self.connection.clone()).await.unwrap()
    }
}

/// The origin, for plain functions.
#[derive(Clone)]
pub(crate) struct PlainOrigin {
    connection: Arc<Mutex<redis::Connection>>,
    outside: Arc<Outside>,
    course: Arc<Course>,
}

impl PlainOrigin {
    pub(crate) fn connect(course: &Arc<Course>) -> PlainOrigin {
        PlainOrigin {
            connection: Arc::new(Mutex::new(connect(&course.origin))),
            outside: Arc::new(Outside::of(&course.server)),
            course: Arc::clone(course),
        }
    }

    pub(crate) fn floors(&self, ids: &[u64]) -> Vec<Floor> {
        self.course.own_floors(ids).unwrap_or_else(|| floors_of(self.ask(&ask_floors(ids))))
    }

    pub(crate) fn raise_floors(&self, new: &[(u64, u64)]) {
        if !self.course.has_noted(new) {
            self.ask::<()>(&set(floor, new));
        }
    }

    pub(crate) fn void(&self, numbers: &[(u64, u64)]) {
        self.ask::<()>(&set(voided, numbers));
    }

    /// The body.
    pub(crate) fn read(&self, ids: &[u64]) -> Vec<Found> {
        self.course.counts.bodies.fetch_add(1, Relaxed);
        let read = ask_found(ids).query(&mut *self.connection.lock().unwrap()).unwrap();
        thread::sleep(random_part(self.course.setup.body));
        found_of(read)
    }

    pub(crate) fn write(&self, new: &[(u64, u64)]) {
        self.ask::<()>(&set(version, new));
        thread::sleep(random_part(self.course.setup.body / 4));
    }

    pub(crate) fn foreign(&self, command: &str, keys: &[String]) {
        self.outside.run(command, keys);
    }

    fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        command.query(&mut *self.connection.lock().unwrap()).unwrap()
    }
}

fn version(id: u64) -> String {
    format!("version:{id}")
}

fn floor(id: u64) -> String {
    format!("floor:{id}")
}

fn voided(id: u64) -> String {
    format!("voided:{id}")
}

/// All at once, as a transaction writes.
fn set(name: fn(u64) -> String, new: &[(u64, u64)]) -> Cmd {
    let mut command = redis::cmd("MSET");
    for (id, number) in new {
        command.arg(name(*id)).arg(*number);
    }
    command
}

fn ask_floors(ids: &[u64]) -> Cmd {
    let mut command = redis::cmd("MGET");
    for id in ids {
        command.arg(floor(*id)).arg(voided(*id));
    }
    command
}

fn floors_of(numbers: Vec<Option<u64>>) -> Vec<Floor> {
    numbers.chunks(2).map(|pair| Floor::of(pair[0].unwrap_or(0), pair[1].unwrap_or(0))).collect()
}

fn ask_found(ids: &[u64]) -> Pipeline {
    let mut pipeline = redis::pipe();
    pipeline.cmd("INCR").arg("bodies").cmd("MGET");
    for id in ids {
        pipeline.arg(version(*id));
    }
    pipeline
}

fn found_of((number, versions): (u64, Vec<Option<u64>>)) -> Vec<Found> {
    versions.into_iter().map(|version| Found { version: version.unwrap_or(0), number }).collect()
}

/// What bypasses the cache and goes to its server.
enum Outside {
    Server(Mutex<redis::Connection>),
    Cluster(Mutex<ClusterClient>),
}

impl Outside {
    fn of(url: &str) -> Outside {
        match url.starts_with("redis-cluster:") {
            true => Outside::Cluster(Mutex::new(ClusterClient::of(url))),
            false => Outside::Server(Mutex::new(connect(url))),
        }
    }

    /// A command for keys, or for fields of hashes, as entries show them.
    fn run(&self, command: &str, keys: &[String]) {
        let commands = keys.iter().map(|key| {
            let mut parts = redis::cmd(command);
            parts.arg(key.split(' ').collect::<Vec<_>>());
            (key.split(' ').next().unwrap_or_default(), parts)
        });
        match self {
            Outside::Server(connection) => {
                let mut pipeline = redis::pipe();
                for (_, command) in commands {
                    pipeline.add_command(command);
                }
                pipeline.exec(&mut *connection.lock().unwrap()).unwrap();
            }
            Outside::Cluster(client) => {
                let mut client = client.lock().unwrap();
                for (key, command) in commands {
                    client.run(key, &command);
                }
            }
        }
    }
}

fn connect(url: &str) -> redis::Connection {
    let connection = redis::Client::open(url).unwrap().get_connection_with_timeout(PATIENCE).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection
}
