//! Tests of slots that move, and of nodes that fail.

use std::time::{Duration, Instant};

use bytes::Bytes;
use test_support::{Cluster as Nodes, MigratingSlot, PATIENCE, slot_of};

use super::Cluster;
use crate::key::{Key, KeyWriter};
use crate::plan::ttl::Ttl;
use crate::poll::block_on::block_on;
use crate::store::redis::settings::Settings;
use crate::store::url::{Target, parse};
use crate::store::{End, EndRequest, Precondition, ReadMode, Release, Store, TakeReply, TakeRequest};
use crate::stored::envelope::{self, Lease, Seal, Token};

const MINUTE: Ttl = Ttl::Millis(60_000);

fn cluster(url: &str) -> Cluster {
    match parse(url) {
        Ok(Target::Cluster(target)) => Cluster::new(*target, &Settings::with_timeout(Duration::from_secs(5))),
        other => panic!("{other:?}"),
    }
}

fn by() -> Instant {
    Instant::now() + PATIENCE
}

fn key(name: &str) -> Key {
    KeyWriter::new("", "moving").arg("name", name).finish().expect("a key")
}

fn lease() -> Lease {
    Lease::new(Token::random().expect("randomness"), Seal::default(), 60_000)
}

fn value(length: usize) -> Bytes {
    let mut bytes = vec![b'x'; length];
    bytes[..2].copy_from_slice(b"V\x01");
    envelope::mark(&mut bytes, None, 0);
    bytes.into()
}

async fn taken(store: &impl Store, key: &Key, lease: &Lease) -> bool {
    let reply = store.take(key, lease, &Precondition::Empty, by()).await;
    matches!(reply.unwrap_or_else(|error| panic!("{error}")), TakeReply::Taken)
}

async fn read(store: &impl Store, key: &Key) -> Option<Bytes> {
    store.read(key, ReadMode::Shared, by()).await.unwrap_or_else(|error| panic!("{error}")).bytes
}

/// Runs both faces, each on a fresh cache.
fn both_faces(nodes: &Nodes, blocking: impl Fn(&Cluster), tokio: impl AsyncFn(&Cluster)) {
    blocking(&cluster(&nodes.url()));
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(tokio(&cluster(&nodes.url())));
}

/// Operations on a slot that moves: at its beginning, when this key has moved, and at its end.
async fn a_moving_slot(store: &impl Store, nodes: &Nodes, face: &str) {
    for length in [200, 300 << 10] {
        let name = format!("{face} {length}");
        let (held, new) = (key(&name), key(&format!("{name} new")));
        let held_lease = lease();
        assert!(taken(store, &held, &held_lease).await);
        for key in [&held, &new] {
            let slot = slot_of(key.as_str());
            let migration: MigratingSlot<'_> = nodes.begin_migration(slot, nodes.other_master(nodes.owner(slot)));
            if key == &held {
                // The lease is at the old node, where everything new is refused.
                assert!(store.fill(key, &held_lease, value(length), MINUTE, by()).await.unwrap());
                assert_eq!(read(store, key).await, Some(value(length)));
                migration.move_keys();
            } else {
                let lease = lease();
                assert!(taken(store, key, &lease).await, "at the new node");
                assert!(!taken(store, key, &self::lease()).await, "once");
                assert!(store.renew(key, &lease, by()).await.unwrap());
                let done = store.fill(key, &lease, value(length), MINUTE, by()).await;
                assert!(done.unwrap(), "{length}");
            }
            assert_eq!(read(store, key).await, Some(value(length)));
            migration.finish();
            assert_eq!(read(store, key).await, Some(value(length)));
            assert_eq!(store.invalidate(std::slice::from_ref(key), by()).await.unwrap(), 1);
            assert_eq!(read(store, key).await, None);
        }
    }
}

#[test]
fn operations_follow_a_slot_that_moves() {
    let nodes = Nodes::shared();
    both_faces(
        nodes,
        |cluster| block_on(a_moving_slot(cluster.blocking(), nodes, "blocking")),
        async |cluster| a_moving_slot(cluster.tokio(), nodes, "tokio").await,
    );
}

/// Operations on many slots, two of which move, and one of these has moved half of its keys.
async fn many_moving_slots(store: &impl Store, nodes: &Nodes, face: &str) {
    let keys: Vec<Key> = (0..200).map(|number| key(&format!("{face} many {number}"))).collect();
    let leases: Vec<Lease> = keys.iter().map(|_| lease()).collect();
    let requests = || {
        let request = |(key, lease): (_, &Lease)| TakeRequest { key, lease: *lease, precondition: Precondition::Empty };
        keys.iter().zip(&leases).map(request).collect::<Vec<_>>()
    };
    let migrate = |at: usize| {
        let slot = slot_of(keys[at].as_str());
        nodes.begin_migration(slot, nodes.other_master(nodes.owner(slot)))
    };
    let (one, other) = (migrate(0), migrate(1));
    let taken = store.take_many(&requests(), by()).await;
    assert!(taken.iter().all(|reply| matches!(reply, Ok(TakeReply::Taken))), "{taken:?}");
    one.finish();
    let ends: Vec<EndRequest<'_>> = keys
        .iter()
        .zip(&leases)
        .enumerate()
        .map(|(at, (key, lease))| {
            let length = if at % 50 == 1 { 300 << 10 } else { 200 };
            EndRequest { key, lease: *lease, end: End::Fill(value(length), MINUTE) }
        })
        .collect();
    let filled = store.end_many(&ends, by()).await;
    assert!(filled.iter().all(|filled| matches!(filled, Ok(true))), "{filled:?}");
    let refs: Vec<&Key> = keys.iter().collect();
    let reads = store.read_many(&refs, by()).await;
    assert!(reads.iter().all(|read| read.as_ref().is_ok_and(|read| read.bytes.is_some())), "{reads:?}");
    assert_eq!(store.invalidate(&keys, by()).await.unwrap(), 200);
    let reads = store.read_many(&refs, by()).await;
    assert!(reads.iter().all(|read| read.as_ref().is_ok_and(|read| read.bytes.is_none())), "{reads:?}");
    assert!(store.take_many(&requests(), by()).await.iter().all(|reply| matches!(reply, Ok(TakeReply::Taken))));
    other.move_keys();
    let ends = |release| {
        keys.iter().zip(&leases).map(move |(key, lease)| EndRequest { key, lease: *lease, end: End::Release(release) })
    };
    let released = store.end_many(&ends(Release::Pause(0)).collect::<Vec<_>>(), by()).await;
    assert!(released.iter().all(|released| matches!(released, Ok(true))), "{released:?}");
    other.finish();
}

#[test]
fn operations_on_many_slots_follow_those_that_move() {
    let nodes = Nodes::shared();
    both_faces(
        nodes,
        |cluster| block_on(many_moving_slots(cluster.blocking(), nodes, "blocking")),
        async |cluster| many_moving_slots(cluster.tokio(), nodes, "tokio").await,
    );
}
