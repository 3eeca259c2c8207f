//! The origin, which knows the current versions.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::thread;

use redis::{Cmd, FromRedisValue, Pipeline};

use crate::course::{Course, Floor};
use crate::random_part;
use crate::subject::Found;
use test_support::PATIENCE;

/// The origin, for async functions. A writer's own connection keeps its writes in order.
#[derive(Clone)]
pub(crate) struct Origin {
    connection: redis::aio::MultiplexedConnection,
    /// A connection to the cache's server that bypasses the cache.
    outside: redis::aio::MultiplexedConnection,
    course: Arc<Course>,
}

impl Origin {
    pub(crate) async fn connect(course: &Arc<Course>) -> Origin {
        let connect = async |url: &str| {
            let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
            let client = redis::Client::open(url).unwrap();
            client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
        };
        Origin {
            connection: connect(&course.origin).await,
            outside: connect(&course.server).await,
            course: Arc::clone(course),
        }
    }

    pub(crate) async fn floors(&self, ids: &[u64]) -> Vec<Floor> {
        floors_of(self.ask(&ask_floors(ids)).await)
    }

    pub(crate) async fn raise_floors(&self, new: &[(u64, u64)]) {
        self.ask::<()>(&set(floor, new)).await;
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
        foreign(command, keys).query_async::<()>(&mut self.outside.clone()).await.unwrap();
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        command.query_async(&mut self.connection.clone()).await.unwrap()
    }
}

/// The origin, for plain functions.
#[derive(Clone)]
pub(crate) struct PlainOrigin {
    connection: Arc<Mutex<redis::Connection>>,
    outside: Arc<Mutex<redis::Connection>>,
    course: Arc<Course>,
}

impl PlainOrigin {
    pub(crate) fn connect(course: &Arc<Course>) -> PlainOrigin {
        let connect = |url: &str| {
            let connection = redis::Client::open(url).unwrap().get_connection_with_timeout(PATIENCE).unwrap();
            connection.set_read_timeout(Some(PATIENCE)).unwrap();
            Arc::new(Mutex::new(connection))
        };
        PlainOrigin {
            connection: connect(&course.origin),
            outside: connect(&course.server),
            course: Arc::clone(course),
        }
    }

    pub(crate) fn floors(&self, ids: &[u64]) -> Vec<Floor> {
        floors_of(self.ask(&ask_floors(ids)))
    }

    pub(crate) fn raise_floors(&self, new: &[(u64, u64)]) {
        self.ask::<()>(&set(floor, new));
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
        foreign(command, keys).query::<()>(&mut *self.outside.lock().unwrap()).unwrap();
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
    let floors = numbers.chunks(2).map(|pair| Floor { version: pair[0].unwrap_or(0), number: pair[1].unwrap_or(0) });
    floors.collect()
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

/// A command for keys, or for fields of hashes, as entries show them.
fn foreign(command: &str, keys: &[String]) -> Pipeline {
    let mut pipeline = redis::pipe();
    for key in keys {
        pipeline.cmd(command);
        for part in key.split(' ') {
            pipeline.arg(part);
        }
    }
    pipeline
}
