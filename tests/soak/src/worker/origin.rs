//! The origin of all values: a server of its own, which knows for each id the current version, and the floors below which
//! versions are stale.

use std::sync::{Arc, Mutex};
use std::thread;

use redis::{Cmd, FromRedisValue};
use test_support::PATIENCE;

use super::judge::Judge;
use super::row::Row;
use super::{Scene, random, random_micros};

/// The longest that a body takes, in microseconds.
const BODY: u64 = 3_000;
/// One body in so many fails, where a function's bodies fail.
const FAILS: u64 = 10;

/// The error of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unavailable {
    pub(super) ids: Vec<u64>,
}

/// The versions that readers of an id rely on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floor {
    /// Lower versions are stale.
    pub(super) version: u64,
    /// The same, unless the invalidation was lost in a failover.
    pub(super) unless_lost: u64,
}

/// What the bodies of a function are like.
#[derive(Clone, Copy)]
pub(super) struct Nature {
    pub(super) is_large: bool,
    pub(super) fails: bool,
}

/// The origin, for async functions.
#[derive(Clone)]
pub(super) struct Origin {
    connection: redis::aio::MultiplexedConnection,
    judge: Arc<Judge>,
    process: u64,
}

impl Origin {
    pub(super) async fn connect(url: &str, scene: &Scene) -> Origin {
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        let client = redis::Client::open(url).expect("the URL is right");
        let connection = client.get_multiplexed_async_connection_with_config(&config).await;
        Origin {
            connection: connection.expect("the origin answers"),
            judge: Arc::clone(&scene.judge),
            process: scene.process,
        }
    }

    pub(super) async fn floors(&self, ids: &[u64]) -> Vec<Floor> {
        floors_of(self.ask(&get(&[FLOOR, LOSABLE], ids)).await)
    }

    pub(super) async fn raise(&self, names: &[&str], new: &[(u64, u64)]) {
        self.ask::<()>(&set(names, new)).await;
    }

    pub(super) async fn versions(&self, ids: &[u64]) -> Vec<u64> {
        or_zero(self.ask(&get(&[VERSION], ids)).await)
    }

    /// The body of a function.
    pub(super) async fn rows(&self, ids: &[u64], nature: Nature) -> Result<Vec<Row>, Unavailable> {
        let body = self.judge.begin_body();
        let versions = self.versions(ids).await;
        tokio::time::sleep(random_micros(BODY)).await;
        self.judge.end_body(body);
        made(ids, &versions, (self.process, body), nature)
    }

    /// A write. It takes a moment until it is over.
    pub(super) async fn write(&self, new: &[(u64, u64)]) {
        self.raise(&[VERSION], new).await;
        tokio::time::sleep(random_micros(BODY / 4)).await;
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        command.query_async(&mut self.connection.clone()).await.expect("the origin answers")
    }
}

/// The origin, for plain functions.
#[derive(Clone)]
pub(super) struct PlainOrigin {
    connection: Arc<Mutex<redis::Connection>>,
    judge: Arc<Judge>,
    process: u64,
}

impl PlainOrigin {
    pub(super) fn connect(url: &str, scene: &Scene) -> PlainOrigin {
        let client = redis::Client::open(url).expect("the URL is right");
        let connection = client.get_connection_with_timeout(PATIENCE).expect("the origin answers");
        connection.set_read_timeout(Some(PATIENCE)).expect("a time above zero");
        PlainOrigin {
            connection: Arc::new(Mutex::new(connection)),
            judge: Arc::clone(&scene.judge),
            process: scene.process,
        }
    }

    pub(super) fn floors(&self, ids: &[u64]) -> Vec<Floor> {
        floors_of(self.ask(&get(&[FLOOR, LOSABLE], ids)))
    }

    pub(super) fn raise(&self, names: &[&str], new: &[(u64, u64)]) {
        self.ask::<()>(&set(names, new));
    }

    pub(super) fn versions(&self, ids: &[u64]) -> Vec<u64> {
        or_zero(self.ask(&get(&[VERSION], ids)))
    }

    /// The body of a function.
    pub(super) fn rows(&self, ids: &[u64], nature: Nature) -> Result<Vec<Row>, Unavailable> {
        let body = self.judge.begin_body();
        let versions = self.versions(ids);
        thread::sleep(random_micros(BODY));
        self.judge.end_body(body);
        made(ids, &versions, (self.process, body), nature)
    }

    /// A write. It takes a moment until it is over.
    pub(super) fn write(&self, new: &[(u64, u64)]) {
        self.raise(&[VERSION], new);
        thread::sleep(random_micros(BODY / 4));
    }

    fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        command.query(&mut *self.connection.lock().expect("no thread panics")).expect("the origin answers")
    }
}

/// The current version.
pub(super) const VERSION: &str = "version";
/// The floor of what no failover can lose.
pub(super) const FLOOR: &str = "floor";
/// The floor that a failover may take back.
pub(super) const LOSABLE: &str = "losable";

fn made(ids: &[u64], versions: &[u64], body: (u64, u64), nature: Nature) -> Result<Vec<Row>, Unavailable> {
    if nature.fails && random(FAILS) == 0 {
        return Err(Unavailable { ids: ids.to_vec() });
    }
    let rows = ids.iter().zip(versions).map(|(id, version)| Row::new(*id, *version, Some(body), nature.is_large));
    Ok(rows.collect())
}

/// All at once, as a transaction writes.
fn set(names: &[&str], new: &[(u64, u64)]) -> Cmd {
    let mut command = redis::cmd("MSET");
    for (id, number) in new {
        for name in names {
            command.arg(format!("{name}:{id}")).arg(*number);
        }
    }
    command
}

fn get(names: &[&str], ids: &[u64]) -> Cmd {
    let mut command = redis::cmd("MGET");
    for id in ids {
        for name in names {
            command.arg(format!("{name}:{id}"));
        }
    }
    command
}

fn or_zero(numbers: Vec<Option<u64>>) -> Vec<u64> {
    numbers.into_iter().map(|number| number.unwrap_or(0)).collect()
}

fn floors_of(numbers: Vec<Option<u64>>) -> Vec<Floor> {
    let numbers = or_zero(numbers);
    numbers.chunks(2).map(|pair| Floor { version: pair[0], unless_lost: pair[1] }).collect()
}
