//! Tests of an address that changes.

use std::time::{Duration, Instant};

use ::redis::Value;
use test_support::{PATIENCE, Server as RealServer};

use super::client::RedisStore;
use super::keeper::Lone;
use super::server::endpoint::Endpoint;
use super::settings::Settings;
use super::transport::Transport;
use super::{Redis, RedisTarget};
use crate::error::ErrorKind;
use crate::poll::block_on::block_on;
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
