//! Requests that arrive after their lease has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use redis_cached::{Cache, redis_cached};
use test_support::{Gate, Mode, PATIENCE, Proxy, Server, eventually, in_time};

use crate::kill::{FACES, Face, LEASE, Origin, Party, Row, SMALL, plain_entry, user_entry};

/// The bytes of a value that is sent ahead.
const LARGE: usize = 200_000;

/// Something on its way to the server when its sender gave up.
struct Late {
    server: Server,
    proxy: Proxy,
    /// The cache connects through the proxy.
    sender: Party,
    other: Party,
}

const ID: u64 = 5;

impl Late {
    fn new(face: Face, size: usize) -> Late {
        let server = Server::start();
        let proxy = server.proxy();
        let sender = Party::new(face, &proxy.url(), Duration::from_millis(300), Origin::at(0, size));
        let other = Party::new(face, &server.url(), PATIENCE, Origin::at(0, size));
        // From here on the connection is there, and the server knows the scripts.
        sender.stores(ID + 1, 0);
        Late { server, proxy, sender, other }
    }
}

/// `send` stores version 1, which the server hears of too late: after an invalidation, and perhaps
/// after another party has stored version 2.
fn late(send: impl Fn(&Late)) {
    for face in FACES {
        for size in [SMALL, LARGE] {
            for somebody_else_computes in [false, true] {
                let late = Late::new(face, size);
                let case = format!("{face:?}, {size} bytes, somebody else computes: {somebody_else_computes}");
                late.sender.origin.version.store(1, SeqCst);
                late.proxy.set(Mode::HoldFrom("version-1;"));
                // More than once where the machine is too slow to get as far as sending the value.
                eventually("the value is on its way", || {
                    send(&late);
                    late.proxy.held() > size
                });
                assert_eq!(late.other.get(ID), None, "{case}");

                late.sender.origin.version.store(2, SeqCst);
                late.other.invalidate(ID);
                if somebody_else_computes {
                    late.other.stores(ID, 2);
                }
                late.proxy.deliver(|| {
                    let got = late.other.get(ID);
                    assert!(matches!(got, None | Some(2)), "{case}: {got:?}");
                });
                assert_eq!(late.proxy.held(), 0);
                assert_eq!(late.sender.call(ID), 2, "{case}");
                // A large value that was staged does not stay for long.
                let keys = late.server.cli(&["KEYS", "*:ahead:*"]);
                for ahead in keys.lines().filter(|key| !key.is_empty()) {
                    let left: i64 = late.server.cli(&["PTTL", ahead]).parse().unwrap();
                    assert!(left <= LEASE.as_millis() as i64 && left != -1, "{case}: {ahead} stays for {left} ms");
                }
                late.other.stores(ID, 2);
            }
        }
    }
}

#[test]
fn a_fill_that_arrives_late_stores_nothing() {
    late(|late| assert_eq!(late.sender.call(ID), 1));
}

#[test]
fn a_put_that_arrives_late_stores_nothing() {
    late(|late| {
        let row = Row::of(1, late.sender.origin.size);
        let put = match late.sender.face {
            Face::Async => late.sender.runtime.block_on(user_entry(&late.sender.cache, ID).put(&row)),
            Face::Plain => plain_entry(&late.sender.cache, ID).put(&row),
        };
        put.expect_err("it is held");
    });
}

#[test]
fn a_write_through_that_arrives_late_stores_nothing() {
    late(|late| late.sender.write_through(ID, 1, || {}));
}

/// A request for a lease that was held up on its way is not the lease that its process has.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_request_that_arrives_late_stores_nothing() {
    #[redis_cached(prefix = "kill", name = "row", cache = cache, skip(cache, row, gate))]
    async fn row(cache: &Cache, row: &AtomicU64, gate: &Gate, id: u64) -> u64 {
        let value = row.load(SeqCst) * id;
        gate.pass().await;
        value
    }
    let server = Server::start();
    let proxy = server.proxy();
    let late = Cache::builder(&proxy.url()).unwrap().timeout(Duration::from_secs(2)).build();
    let other = Cache::builder(&server.url()).unwrap().build();
    let (gate, value) = (Arc::new(Gate::closed()), Arc::new(AtomicU64::new(1)));
    gate.open();
    row(&late, &value, &gate, 7).await; // connects
    gate.close();
    // Servers before Redis 7.0 are asked for a lease by a script.
    let request = if server.knows(&["SET", "any", "1", "NX", "GET"]) { "NX" } else { "EVALSHA" };
    proxy.set(Mode::HoldFrom(request));
    let leader = {
        let (cache, value, gate) = (late.clone(), Arc::clone(&value), Arc::clone(&gate));
        tokio::spawn(async move { row(&cache, &value, &gate, 1).await })
    };
    in_time("the request is on its way", async || proxy.held() > 0).await;
    proxy.set(Mode::Pass);
    proxy.close_clients();
    gate.wait_for(2).await;
    value.store(2, SeqCst);
    assert!(row_entry(&other, 1).invalidate().await.unwrap(), "the second request was granted");
    proxy.deliver(|| {});
    gate.open();
    assert_eq!(leader.await.unwrap(), 1);
    assert_ne!(row_entry(&other, 1).get().await.unwrap(), Some(1), "computed before the invalidation");
}
