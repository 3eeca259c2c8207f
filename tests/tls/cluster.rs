//! A cluster whose nodes speak TLS.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use redis_cached::Cache;
use test_support::{Cluster, PATIENCE, slot_of};

use super::{square, square_entry, square_plain, square_plain_entry};

#[test]
fn its_nodes_speak_tls() {
    let cluster = Cluster::over_tls();
    let key = "{s}";
    let moved = cluster.replica_of(cluster.master_of(key)).cli(&["GET", key]);
    assert!(moved.contains("Moved"), "{moved}");
    let master = cluster.master_of(key);
    assert_eq!(master.cli(&["SET", key, "1"]), "OK");
    let to = cluster.other_master(master);
    cluster.migrate_slot(slot_of(key), to);
    assert_eq!(to.cli(&["GET", key]), "1");
}

#[test]
fn functions_of_both_faces_are_cached_in_it() {
    let cluster = Cluster::over_tls();
    let cache = Cache::builder(&cluster.url()).unwrap().timeout(PATIENCE).build();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for is_async in [true, false] {
        let runs = AtomicUsize::new(0);
        let call = |id: u64| match is_async {
            true => runtime.block_on(square(&cache, &runs, id)),
            false => square_plain(&cache, &runs, id),
        };
        for _ in 0..2 {
            assert!((0..24).all(|id| call(id) == id * id));
        }
        assert_eq!(runs.load(SeqCst), 24);
        let key = match is_async {
            true => square_entry(&cache, 5).key().unwrap().to_owned(),
            false => square_plain_entry(&cache, 5).key().unwrap().to_owned(),
        };
        cluster.migrate_slot(slot_of(&key), cluster.other_master(cluster.master_of(&key)));
        let told = match is_async {
            true => runtime.block_on(square_entry(&cache, 5).invalidate()),
            false => square_plain_entry(&cache, 5).invalidate(),
        };
        assert!(told.unwrap());
        assert!((0..24).all(|id| call(id) == id * id));
        assert_eq!((runs.load(SeqCst), cache.stats().bypasses), (25, 0));
    }
}
