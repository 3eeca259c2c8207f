//! The suite over a real server.

mod cluster;

use super::*;
use crate::store::redis::Redis;
use crate::store::redis::settings::Settings;
use crate::store::url::{Target, parse};
use test_support::Server;

fn redis(url: &str) -> Redis {
    match parse(url).unwrap() {
        Target::Redis(target) => Redis::new(*target, &Settings::with_timeout(Duration::from_secs(20))),
        Target::Sentinel(target) => Redis::of_sentinels(*target, &Settings::with_timeout(Duration::from_secs(20))),
        other => unreachable!("{other:?}"),
    }
}

/// The expiry of a field, by its bytes and, where fields expire, by the server.
fn field_expiry(server: &Server, key: &Key) -> Option<Ttl> {
    let (hash, field) = key.as_str().split_once(' ').expect("a field");
    let mut connection = server.connection();
    let bytes: Option<Vec<u8>> = ::redis::cmd("HGET").arg(hash).arg(field).query(&mut connection).unwrap();
    let bytes = bytes?;
    let end = if bytes[0] == b'L' { &bytes[18..34] } else { &bytes[34..50] };
    let end: u64 = std::str::from_utf8(end).unwrap().parse().unwrap();
    let of_hash: i64 = ::redis::cmd("PTTL").arg(hash).query(&mut connection).unwrap();
    let of_field = ::redis::cmd("HPTTL").arg(hash).arg("FIELDS").arg(1).arg(field).query::<Vec<i64>>(&mut connection);
    // The time comes last: by then, no less was left of what ends with the field or later.
    let (seconds, micros): (u64, u64) = ::redis::cmd("TIME").query(&mut connection).unwrap();
    let now = seconds * 1000 + micros / 1000;
    if end <= now {
        return None;
    }
    let is_forever = end == 9_999_999_999_999_999;
    assert!(of_hash == -1 || (!is_forever && of_hash >= (end - now) as i64 - 5), "the hash ends first");
    if let Ok(left) = of_field {
        let expected = if is_forever { -1 } else { (end - now) as i64 };
        // A command that waits on a busy machine is applied later than the bytes assume. The field must not end first.
        let surplus = left[0] - expected;
        assert!((-5..5_000).contains(&surplus) && (surplus == 0 || !is_forever), "{left:?} for {expected}");
    }
    Some(if is_forever { Ttl::Forever } else { Ttl::Millis(end - now) })
}

fn expiry(server: &Server, key: &Key) -> Option<Ttl> {
    // Stamps have keys of their own.
    if key.as_str().contains(' ') {
        return field_expiry(server, key);
    }
    let left: i64 = ::redis::cmd("PTTL").arg(key.as_str()).query(&mut server.connection()).unwrap();
    match left {
        -1 => Some(Ttl::Forever),
        millis => u64::try_from(millis).ok().map(Ttl::Millis),
    }
}

/// Staged values are in their places, or gone.
fn nothing_ahead(server: &Server) {
    let left: Vec<String> = ::redis::cmd("KEYS").arg("*:ahead:*").query(&mut server.connection()).unwrap();
    assert_eq!(left, [""; 0]);
}

/// The value is free again in both cases, whether the fill was applied or not.
async fn a_fill_that_fails_gives_the_value_back(store: &impl Store, server: &Server) {
    for length in [300, 300 << 10] {
        with_time("a server that pauses does not answer a fill", async |pause| {
            let (key, id, next) = (key(&format!("failed {length}")), token(), token());
            marks::put(store, &key, &marks::sealed(&key, id, length, 1), MINUTE).await;
            let lease = marks::lease();
            assert!(marks::taken(store, &key, id, &lease).await);
            let new = marks::sealed(&key, next, length, 2);
            ::redis::cmd("CLIENT").arg("PAUSE").arg(pause).exec(&mut server.connection()).unwrap();
            let soon = Instant::now() + Duration::from_millis(50);
            if store.fill(&key, &lease, new, MINUTE, soon).await.is_ok() {
                return false;
            }
            let failed = Instant::now();
            while marks::read_value(store, &key).await.token.is_some() {
                assert!(failed.elapsed() < Duration::from_secs(20), "it is never given back");
            }
            let held = marks::read_value(store, &key).await.id;
            assert!(held == id || held == next);
            assert!(marks::taken(store, &key, held, &marks::lease()).await, "without a pause");
            true
        })
        .await;
    }
}

/// Puts a list where the slot is, or its hash.
fn spoil(server: &Server, key: &Key) {
    let name = key.as_str().split_once(' ').map_or(key.as_str(), |(hash, _)| hash);
    let mut connection = server.connection();
    ::redis::cmd("DEL").arg(name).exec(&mut connection).unwrap();
    ::redis::cmd("RPUSH").arg(name).arg("an element").exec(&mut connection).unwrap();
}

fn check_blocking(server: &Server, url: &str) {
    let redis = redis(url);
    for grouped in [false, true] {
        GROUPED.set(grouped);
        block_on(suite(redis.blocking(), &|key| expiry(server, key)));
        nothing_ahead(server);
        block_on(a_fill_that_fails_gives_the_value_back(redis.blocking(), server));
        block_on(many::another_type_is_told_of_its_slot_alone(redis.blocking(), |key| spoil(server, key)));
    }
}

fn check_tokio(server: &Server, url: &str) {
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let redis = redis(url);
    for grouped in [false, true] {
        GROUPED.set(grouped);
        runtime.block_on(suite(redis.tokio(), &|key| expiry(server, key)));
        nothing_ahead(server);
        runtime.block_on(a_fill_that_fails_gives_the_value_back(redis.tokio(), server));
        runtime.block_on(many::another_type_is_told_of_its_slot_alone(redis.tokio(), |key| spoil(server, key)));
    }
}

#[test]
fn blocking() {
    let server = Server::start();
    check_blocking(&server, &server.url());
}

#[test]
fn tokio() {
    let server = Server::start();
    check_tokio(&server, &server.url());
}

mod of_sentinels {
    use super::*;
    use test_support::Sentinels;

    #[test]
    fn blocking() {
        let sentinels = Sentinels::steady();
        check_blocking(sentinels.master(), &sentinels.url());
    }

    #[test]
    fn tokio() {
        let sentinels = Sentinels::steady();
        check_tokio(sentinels.master(), &sentinels.url());
    }
}

#[cfg(feature = "_rustls")]
mod over_tls {
    use super::*;
    use test_support::TlsServer;

    #[test]
    fn blocking() {
        let server = TlsServer::start();
        check_blocking(&server, &server.url());
    }

    #[test]
    fn tokio() {
        let server = TlsServer::start();
        check_tokio(&server, &server.url());
    }
}
