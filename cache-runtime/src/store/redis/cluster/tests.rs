//! Tests of slots that move, and of nodes that fail.

use std::time::{Duration, Instant};

use bytes::Bytes;
use test_support::{Cluster as Nodes, MigratingSlot, PATIENCE, eventually, slot_of};

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
    patient_cluster(url, Duration::from_secs(5))
}

fn patient_cluster(url: &str, timeout: Duration) -> Cluster {
    match parse(url) {
        Ok(Target::Cluster(target)) => Cluster::new(*target, &Settings::with_timeout(timeout)),
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
    bytes[..2].copy_from_slice(b"V\x02");
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

#[test]
fn a_slot_without_a_node_may_have_one_until_a_whole_topology_is_known() {
    async fn found(store: &impl Store, cluster: &Cluster) {
        // This is what a redirection tells, and what the first slots of a topology do while the others follow.
        assert!(cluster.state.gains(cluster.state.seeds[0], 0..=0));
        assert_eq!(read(store, &key("elsewhere")).await, None);
    }
    both_faces(
        Nodes::shared(),
        |cluster| block_on(found(cluster.blocking(), cluster)),
        async |cluster| found(cluster.tokio(), cluster).await,
    );
}

/// An invalidation that meets a cluster without an owner of some slot, which executes nothing until it has one.
async fn invalidated_while_incomplete(store: &impl Store, nodes: &Nodes, face: &str) {
    let (key, missing) = (key(face), slot_of("missing").to_string());
    let lease = lease();
    assert!(taken(store, &key, &lease).await);
    let (owner, asked) = (nodes.owner(slot_of("missing")), nodes.owner(slot_of(key.as_str())));
    nodes.nodes().iter().for_each(|node| drop(node.cli(&["CLUSTER", "DELSLOTS", &missing])));
    let is_refused = || asked.cli(&["INFO", "errorstats"]).contains("CLUSTERDOWN");
    asked.cli(&["CONFIG", "RESETSTAT"]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            eventually("the invalidation is refused", is_refused);
            assert_eq!(owner.cli(&["CLUSTER", "ADDSLOTS", &missing]), "OK");
        });
        let outcome = block_on(store.invalidate(std::slice::from_ref(&key), by()));
        assert_eq!(outcome.unwrap_or_else(|error| panic!("{error}")), 1);
    });
    eventually("the cluster is complete", || {
        nodes.nodes().iter().all(|node| node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok"))
    });
}

#[test]
fn an_invalidation_waits_for_a_cluster_that_is_incomplete_for_a_moment() {
    let nodes = Nodes::start();
    let runtime =
        ::tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    let cluster = cluster(&nodes.url());
    block_on(invalidated_while_incomplete(cluster.blocking(), &nodes, "blocking"));
    block_on(invalidated_while_incomplete(cluster.tokio(), &nodes, "tokio"));
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

/// A group of so many fields that they are counted in steps moves after the time-out of the first one.
async fn counted_while_it_moves(store: &impl Store, nodes: &Nodes, face: &'static str) {
    const FIELDS: usize = 2000;
    const EACH: Duration = Duration::from_millis(1500);
    let group = Key::of_group("", &format!("moving:{face}")).expect("a key");
    let slot = slot_of(group.as_str());
    let owner = nodes.owner(slot);
    let proxy = owner.proxy(nodes);
    let field = |number: usize| {
        let mut writer = KeyWriter::of_group("", "moving");
        writer.literal(":").literal(face).field("row").arg("id", &number).finish().expect("a key")
    };
    let keys: Vec<(Key, Lease)> = (0..FIELDS).map(|number| (field(number), lease())).collect();
    let requests =
        keys.iter().map(|(key, lease)| TakeRequest { key, lease: *lease, precondition: Precondition::Empty });
    store.take_many(&requests.collect::<Vec<_>>(), by()).await;
    let ends = keys.iter().map(|(key, lease)| EndRequest { key, lease: *lease, end: End::Fill(value(200), MINUTE) });
    let filled = store.end_many(&ends.collect::<Vec<_>>(), by()).await;
    assert!(filled.iter().all(|filled| matches!(filled, Ok(true))), "{face}");
    assert_eq!(store.count(&group, u64::MAX, EACH).await.unwrap(), FIELDS as u64, "{face}: in a slot that stays");

    let (sent, begun) = (proxy.commands(), Instant::now());
    proxy.set(test_support::Mode::Delay(EACH * 3 / 5));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            eventually("the second step is on its way", || proxy.commands() >= sent + 2);
            nodes.migrate_slot(slot, nodes.other_master(owner));
        });
        let counted = block_on(store.count(&group, u64::MAX, EACH));
        assert_eq!(counted.unwrap_or_else(|error| panic!("{face}: {error}")), FIELDS as u64, "{face}");
    });
    assert!(begun.elapsed() > EACH, "{face}: it was redirected too early");
}

#[test]
fn a_count_in_steps_follows_a_group_that_moves() {
    let nodes = Nodes::start();
    let runtime =
        ::tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    block_on(counted_while_it_moves(cluster(&nodes.url()).blocking(), &nodes, "blocking"));
    block_on(counted_while_it_moves(cluster(&nodes.url()).tokio(), &nodes, "tokio"));
}

/// Nodes whose replicas take over. By default, none serves anything while one of the masters is away.
fn alert_nodes() -> Nodes {
    let nodes = Nodes::alert();
    nodes.each(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    nodes
}

/// The time-out of operations on nodes that fail.
const SHORT: Duration = Duration::from_millis(250);

fn soon() -> Instant {
    Instant::now() + SHORT
}

/// A key for each master, in their order.
fn keys_of_masters(nodes: &Nodes) -> Vec<Key> {
    let find = |id: &str| {
        let mut keys = (0..).map(|number| key(&format!("of {number}")));
        keys.find(|key| nodes.master_of(key.as_str()).id() == id).expect("endless")
    };
    nodes.masters().iter().map(|node| find(node.id())).collect()
}

async fn stored(store: &impl Store, key: &Key) -> bool {
    let lease = lease();
    let taken = store.take(key, &lease, &Precondition::Any, by()).await;
    matches!(taken.unwrap_or_else(|error| panic!("{error}")), TakeReply::Taken)
        && store.fill(key, &lease, value(200), MINUTE, by()).await.unwrap_or_else(|error| panic!("{error}"))
}

/// A master fails, by `fail`, and its replica takes over. Meanwhile, an invalidation of one of its keys fails.
async fn a_master_fails(store: &impl Store, cluster: &Cluster, nodes: &Nodes, fail: impl Fn(&test_support::Node)) {
    let keys = keys_of_masters(nodes);
    for key in &keys {
        assert!(stored(store, key).await);
    }
    let (failing, replica) = (nodes.master_of(keys[0].as_str()), nodes.replica_of(nodes.master_of(keys[0].as_str())));
    test_support::in_time("the replica has the value", async || replica.cli(&["DBSIZE"]) == failing.cli(&["DBSIZE"]))
        .await;
    fail(failing);
    // A busy machine needs some time for the others.
    assert!(store.invalidate(&keys, Instant::now() + Duration::from_secs(2)).await.is_err());
    assert_eq!(cluster.undelivered(), 1, "the others were delivered");
    let begun = Instant::now();
    test_support::in_time("the key is served again", async || {
        for key in &keys[1..] {
            assert_eq!(read(store, key).await, None, "the other shards go on");
        }
        match store.read(&keys[0], ReadMode::Shared, soon()).await {
            Ok(read) => {
                assert_eq!(read.bytes, None, "it was invalidated");
                true
            }
            Err(_) => false,
        }
    })
    .await;
    println!("served again after {:?}", begun.elapsed());
    test_support::in_time("all are delivered", async || cluster.undelivered() == 0).await;
    assert!(stored(store, &keys[0]).await);
}

fn each_face_fails(fail: impl Fn(&test_support::Node)) {
    let nodes = alert_nodes();
    let cache = patient_cluster(&nodes.url(), SHORT);
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(a_master_fails(cache.tokio(), &cache, &nodes, &fail));
    drop(nodes);
    let nodes = alert_nodes();
    let cache = patient_cluster(&nodes.url(), SHORT);
    runtime.block_on(async { a_master_fails(cache.blocking(), &cache, &nodes, &fail).await });
}

#[test]
fn a_killed_master_is_replaced() {
    each_face_fails(test_support::Node::kill);
}

#[test]
fn a_frozen_master_is_replaced() {
    each_face_fails(test_support::Node::freeze);
}

async fn an_ordered_failover(store: &impl Store, nodes: &Nodes) {
    let keys = keys_of_masters(nodes);
    for key in &keys {
        assert!(stored(store, key).await);
    }
    nodes.failover(nodes.replica_of(nodes.master_of(keys[0].as_str())));
    for key in &keys {
        assert!(read(store, key).await.is_some());
        assert!(stored(store, key).await);
    }
    nodes.settle();
}

#[test]
fn an_ordered_failover_is_followed() {
    let nodes = Nodes::start();
    both_faces(
        &nodes,
        |cluster| block_on(an_ordered_failover(cluster.blocking(), &nodes)),
        async |cluster| an_ordered_failover(cluster.tokio(), &nodes).await,
    );
}

/// The entries of a function, one of which has moved ahead of its slot.
async fn a_clear_during_a_move(store: &impl Store, nodes: &Nodes, face: &str) {
    let head = format!("cleared:{face}");
    let keys: Vec<Key> =
        (0..50).map(|number| KeyWriter::new("", &head).arg("id", &number).finish().expect("a key")).collect();
    for key in &keys {
        assert!(stored(store, key).await);
    }
    let slot = slot_of(keys[0].as_str());
    let migration = nodes.begin_migration(slot, nodes.other_master(nodes.owner(slot)));
    migration.move_key(keys[0].as_str());
    let extent = crate::key::Extent::of_function("", "cleared", face, false);
    assert_eq!(store.clear(&extent, PATIENCE).await.unwrap(), 50);
    let reads = store.read_many(&keys.iter().collect::<Vec<_>>(), by()).await;
    assert!(reads.iter().all(|read| read.as_ref().is_ok_and(|read| read.bytes.is_none())), "{reads:?}");
    migration.finish();
}

#[test]
fn a_clear_follows_a_slot_that_moves() {
    let nodes = Nodes::shared();
    both_faces(
        nodes,
        |cluster| block_on(a_clear_during_a_move(cluster.blocking(), nodes, "blocking")),
        async |cluster| a_clear_during_a_move(cluster.tokio(), nodes, "tokio").await,
    );
}

/// A master is killed, comes back as a replica, and is promoted again.
async fn a_master_comes_back(store: &impl Store, nodes: &Nodes) {
    let key = &keys_of_masters(nodes)[0];
    assert!(stored(store, key).await);
    let (master, replica) = (nodes.master_of(key.as_str()), nodes.replica_of(nodes.master_of(key.as_str())));
    master.kill();
    nodes.await_promotion(replica);
    let is_served = async || {
        let read = store.read(key, ReadMode::Shared, soon()).await;
        read.inspect_err(|error| println!("{error}")).is_ok()
    };
    test_support::in_time("the replica serves", is_served).await;
    master.restart();
    nodes.settle();
    nodes.failover(master);
    // For a moment, a node may know no owner of the slots.
    nodes.settle();
    assert!(stored(store, key).await, "other nodes vouch for it");
}

#[test]
fn a_master_that_comes_back_is_used_again() {
    let nodes = alert_nodes();
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let cache = patient_cluster(&nodes.url(), SHORT);
    runtime.block_on(a_master_comes_back(cache.tokio(), &nodes));
    let cache = patient_cluster(&nodes.url(), SHORT);
    runtime.block_on(a_master_comes_back(cache.blocking(), &nodes));
}
