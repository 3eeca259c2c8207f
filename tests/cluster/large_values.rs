//! Values that are sent ahead of their lease's check, while their slot moves.

use redis_cached::{Cache, redis_cached};
use test_support::{Cluster, Gate, PATIENCE, slot_of};

use crate::rig::{FACES, Face};

const SIZE: usize = 8 << 20;

#[redis_cached(prefix = "large", name = "text", key = "{id}", cache = cache, skip(cache, gate))]
async fn text(cache: &Cache, gate: &Gate, id: u64) -> String {
    large(id, gate.pass().await)
}

#[redis_cached(prefix = "large", name = "text", key = "{id}", cache = cache, skip(cache, gate))]
fn text_plain(cache: &Cache, gate: &Gate, id: u64) -> String {
    large(id, gate.pass_blocking())
}

fn large(id: u64, body: usize) -> String {
    format!("{id} {body} ").repeat(SIZE / 4)
}

/// The moment when the slot is half way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// The lease stays at the old node while the value is computed.
    LeaseBehind,
    /// The lease has moved.
    LeaseAhead,
    /// There is none yet.
    NoLease,
}

#[test]
fn large_values_are_stored_while_their_slot_moves() {
    let cluster = Cluster::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for (at, face) in FACES.into_iter().enumerate() {
        let cache = Cache::builder(&cluster.url()).unwrap().namespace(format!("n{at}")).timeout(PATIENCE).build();
        let open = Gate::closed();
        open.open();
        let call = |gate: &Gate, id: u64| match face {
            Face::Async => runtime.block_on(text(&cache, gate, id)),
            Face::Plain => text_plain(&cache, gate, id),
        };
        // From now on it is known that values are large.
        call(&open, 100);
        for (id, when) in [When::LeaseBehind, When::LeaseAhead, When::NoLease].into_iter().enumerate() {
            let id = id as u64;
            let key = text_entry(&cache, id).key().unwrap().to_owned();
            let to = cluster.other_master(cluster.master_of(&key));
            let gate = Gate::closed();
            let stored = cache.stats().stored;
            let mut migration = (when == When::NoLease).then(|| cluster.begin_migration(slot_of(&key), to));
            std::thread::scope(|scope| {
                let reader = scope.spawn(|| call(&gate, id));
                runtime.block_on(gate.wait_for(1));
                let migration = migration.get_or_insert_with(|| cluster.begin_migration(slot_of(&key), to));
                if when == When::LeaseAhead {
                    migration.move_key(&key);
                }
                gate.open();
                assert!(reader.join().unwrap() == large(id, 1), "{face:?} {when:?}");
            });
            assert_eq!(cache.stats().stored, stored + 1, "{face:?} {when:?}");
            assert!(call(&gate, id) == large(id, 1), "{face:?} {when:?}: a hit");
            let migration = migration.expect("it has begun");
            migration.move_keys();
            migration.finish();
            assert!(call(&gate, id) == large(id, 1), "{face:?} {when:?}: a hit");
            assert_eq!(gate.entered(), 1, "{face:?} {when:?}");
        }
        assert_eq!((cache.stats().bypasses, cache.stats().refused), (0, 0), "{face:?}");
        for node in cluster.masters() {
            assert!(!node.cli(&["KEYS", "*"]).contains("ahead"), "{face:?}: nothing is left over");
        }
    }
}
