//! Tests of an address that changes.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use ::redis::Value;
use test_support::{Mode, PATIENCE, Server as RealServer, eventually};

use super::client::{Client, RedisStore};
use super::keeper::Lone;
use super::server::Server;
use super::server::endpoint::Endpoint;
use super::server::locator::{Finder, Locator};
use super::settings::Settings;
use super::transport::Transport;
use super::{Keeper, Redis, RedisTarget};
use crate::error::ErrorKind;
use crate::key::{Key, KeyWriter};
use crate::poll::block_on::block_on;
use crate::store::Store;
use crate::store::url::{Target, parse};

fn target(server: &RealServer) -> RedisTarget {
    match parse(&server.url()) {
        Ok(Target::Redis(target)) => *target,
        other => panic!("{other:?}"),
    }
}

fn endpoint(server: &RealServer) -> Endpoint {
    Endpoint::new(target(server), &Settings::default())
}

/// The port of the server that answers.
async fn port<T: Transport>(store: &RedisStore<T>) -> u16 {
    let epoch = store.admit().expect("the breaker is closed");
    let ask = || {
        let mut command = ::redis::cmd("CONFIG");
        command.arg("GET").arg("port");
        command
    };
    let answer = store.command(epoch, ask, Ok, Instant::now() + PATIENCE).await.expect("the server answers");
    let Value::Array(parts) = answer else { panic!("{answer:?}") };
    match &parts[..] {
        [_, Value::BulkString(port)] => {
            std::str::from_utf8(port).ok().and_then(|port| port.parse().ok()).expect("a port")
        }
        _ => panic!("{parts:?}"),
    }
}

#[tokio::test]
async fn connections_to_a_replaced_address_are_not_used_again() {
    let (one, two) = (RealServer::start(), RealServer::start());
    let redis = Redis::new(target(&one), &Settings::with_timeout(PATIENCE));
    let lone = RedisStore::new(&redis.client, Lone::new(&redis.client.server));
    for server in [&one, &two, &one] {
        redis.client.server.replace_endpoint(endpoint(server));
        for _ in 0..2 {
            assert_eq!(port(redis.tokio()).await, server.port());
            assert_eq!(port(redis.blocking()).await, server.port());
            assert_eq!(port(&lone).await, server.port());
        }
    }
}

#[tokio::test]
async fn an_address_that_is_replaced_during_an_outage_is_tried_at_once() {
    let (gone, there) = (RealServer::start(), RealServer::start());
    let redis = Redis::new(target(&gone), &Settings::with_timeout(Duration::from_millis(500)));
    gone.kill();
    let server = &redis.client.server;
    let by = || Instant::now() + Duration::from_millis(500);
    while let Ok(epoch) = redis.tokio().admit() {
        redis.tokio().command(epoch, || ::redis::cmd("PING"), Ok, by()).await.expect_err("it is gone");
    }
    server.replace_endpoint(endpoint(&there));
    test_support::in_time("the breaker closes", async || redis.tokio().admit().is_ok()).await;
    assert_eq!(port(redis.tokio()).await, there.port());
}

#[tokio::test]
async fn what_a_replaced_server_confirmed_is_not_delivered() {
    let (one, two) = (RealServer::start(), RealServer::start());
    let redis = Redis::new(target(&one), &Settings::with_timeout(PATIENCE));
    let (client, store) = (&redis.client, redis.blocking());
    client.backlog.pending.add(["replaced:1"]);
    let earlier = client.server.health.epoch();
    client.server.replace_endpoint(endpoint(&two));
    let by = Instant::now() + PATIENCE;
    let fault = block_on(store.deliver(earlier, by)).expect_err("of an earlier epoch");
    assert_eq!((fault.error.kind(), redis.undelivered()), (ErrorKind::Unreachable, 1));
    assert!(block_on(store.deliver(client.server.health.epoch(), by)).is_ok_and(|refused| refused.is_none()));
    assert_eq!(redis.undelivered(), 0);
}

/// The reply of the old server is on its way when the new one takes its place.
#[tokio::test]
async fn an_invalidation_that_a_replaced_server_confirms_goes_to_the_new_one() {
    const LATE: Duration = Duration::from_secs(2);
    let key: Key = KeyWriter::new("", "replaced").finish().expect("a key");
    for is_async in [true, false] {
        let (one, two) = (RealServer::start(), RealServer::start());
        let proxy = one.proxy();
        let target = match parse(&proxy.url()) {
            Ok(Target::Redis(target)) => *target,
            other => panic!("{other:?}"),
        };
        let redis = Arc::new(Redis::new(target, &Settings::with_timeout(PATIENCE)));
        assert_eq!((port(redis.tokio()).await, port(redis.blocking()).await), (one.port(), one.port()));
        for server in [&one, &two] {
            server.cli(&["SET", key.as_str(), "old"]);
        }
        proxy.set(Mode::Delay(LATE));
        let (store, keys, by) = (Arc::clone(&redis), [key.clone()], Instant::now() + PATIENCE);
        let invalidation = match is_async {
            true => tokio::spawn(async move { store.tokio().invalidate(&keys, by).await }),
            false => tokio::task::spawn_blocking(move || block_on(store.blocking().invalidate(&keys, by))),
        };
        let is_executed = async || one.cli(&["EXISTS", key.as_str()]) == "0";
        test_support::in_time("the old server executes it", is_executed).await;
        redis.client.server.replace_endpoint(endpoint(&two));
        assert_eq!(invalidation.await.expect("it ends").expect("confirmed"), 1);
        assert_eq!(two.cli(&["EXISTS", key.as_str()]), "0", "async: {is_async}");
    }
}

/// Tells one server at first, and the other one, if there is one, from the third question on.
struct Told {
    client: OnceLock<Weak<Client>>,
    ports: (u16, Option<u16>),
    questions: AtomicUsize,
}

impl Finder for Told {
    fn start(&self) {}

    fn hurry(&self) {
        let client = self.client.get().and_then(Weak::upgrade).expect("a client");
        let locator = client.server.locator().expect("a locator");
        let told = match self.questions.fetch_add(1, SeqCst) {
            0 => Some(self.ports.0),
            2 => self.ports.1,
            _ => None,
        };
        if let Some(port) = told {
            let target = match parse(&format!("redis://127.0.0.1:{port}")) {
                Ok(Target::Redis(target)) => *target,
                other => panic!("{other:?}"),
            };
            client.server.replace_endpoint(Endpoint::new(target, &Settings::default()));
        }
        locator.answer(locator.asked(), Ok(()));
    }
}

fn told(ports: (u16, Option<u16>), timeout: Duration) -> (Redis, Arc<Told>) {
    let told = Arc::new(Told { client: OnceLock::new(), ports, questions: AtomicUsize::new(0) });
    let settings = Settings::with_timeout(timeout);
    let finder = Arc::<Told>::clone(&told);
    let server = Server::located("told".to_owned(), Locator::new(finder), timeout, settings.breaker);
    let client = Client::new(server, Keeper::default());
    told.client.set(Arc::downgrade(&client)).expect("named once");
    (Redis::of(client, &settings), told)
}

#[tokio::test]
async fn a_server_that_turns_out_to_be_a_replica_is_asked_for_again() {
    let (master, replica) = (RealServer::start(), RealServer::start());
    replica.replica_of(&master);
    for is_async in [true, false] {
        let (redis, told) = told((replica.port(), Some(master.port())), PATIENCE);
        let found = match is_async {
            true => port(redis.tokio()).await,
            false => port(redis.blocking()).await,
        };
        assert_eq!((found, told.questions.load(SeqCst)), (master.port(), 3), "async: {is_async}");
        // Others find it at once, over connections of the epoch that the switch began.
        assert_eq!((port(redis.tokio()).await, port(redis.blocking()).await), (master.port(), master.port()));
        assert_eq!(told.questions.load(SeqCst), 3);
    }
}

#[tokio::test]
async fn a_server_that_stays_a_replica_is_an_outage_after_the_deadline() {
    let (master, replica) = (RealServer::start(), RealServer::start());
    replica.replica_of(&master);
    for is_async in [true, false] {
        let (redis, _told) = told((replica.port(), None), Duration::from_millis(100));
        let store = (redis.tokio(), redis.blocking());
        let by = Instant::now() + PATIENCE;
        let ping = || ::redis::cmd("PING");
        let fault = match is_async {
            true => store.0.command(store.0.admit().expect("closed"), ping, Ok, by).await,
            false => store.1.command(store.1.admit().expect("closed"), ping, Ok, by).await,
        };
        assert_eq!(fault.expect_err("a replica").error.kind(), ErrorKind::ReadOnly, "async: {is_async}");
        eventually("the breaker is open", || store.0.admit().is_err());
    }
}
