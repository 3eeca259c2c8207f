//! Each feature, over entries at all nodes.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use redis_cached::{Cache, Invalidation, redis_cached};
use test_support::{Cluster, PATIENCE, eventually};

use crate::rig::{FACES, Face, KINDS, Kind, NONE, Rig, Row, TOGETHER};

const IDS: u64 = 48;

/// The ids whose entries are at all three masters.
fn ids(cluster: &Cluster, rig: &Rig, kind: Kind) -> Vec<u64> {
    let ids: Vec<u64> = (0..IDS).collect();
    let nodes: BTreeSet<_> = ids.iter().map(|id| cluster.master_of(&rig.key(kind, *id)).id()).collect();
    assert_eq!(nodes.len(), 3, "the keys are at all nodes");
    ids
}

#[test]
fn entries_at_all_nodes_are_stored_and_invalidated() {
    let cluster = Cluster::shared();
    for (face, kind) in FACES.into_iter().flat_map(|face| KINDS.map(|kind| (face, kind))) {
        let rig = Rig::new(cluster, face);
        let ids = ids(cluster, &rig, kind);
        let call = |id: &u64| rig.call(kind, *id);
        assert!(ids.iter().all(|id| call(id) == Row { id: *id, version: 0 }));
        assert_eq!(rig.asked(), ids, "{face:?} {kind:?}");
        for id in &ids {
            assert_eq!(cluster.master_of(&rig.key(kind, *id)).cli(&["EXISTS", &rig.key(kind, *id)]), "1");
        }
        rig.write();
        assert!(ids.iter().all(|id| call(id).version == 0), "a hit");
        assert_eq!(rig.asked(), NONE, "{face:?} {kind:?}");

        let (even, odd): (Vec<u64>, Vec<u64>) = ids.iter().partition(|id| *id % 2 == 0);
        assert!(even.iter().all(|id| rig.invalidate(kind, *id).unwrap()), "it was there");
        assert!(even.iter().all(|id| !rig.invalidate(kind, *id).unwrap()), "it is gone");
        assert!(even.iter().all(|id| rig.get(kind, *id).unwrap().is_none()));
        assert!(even.iter().all(|id| call(id).version == 1), "computed anew");
        assert!(odd.iter().all(|id| call(id).version == 0));
        assert_eq!(rig.asked(), even, "{face:?} {kind:?}");

        let stats = rig.cache.stats();
        let expected = (IDS + IDS / 2, IDS + IDS / 2, 0, 0);
        assert_eq!((stats.misses, stats.hits, stats.bypasses, stats.refused), expected, "{face:?} {kind:?}: {stats:?}");
        assert_eq!((stats.stored, rig.cache.undelivered()), (stats.misses, 0));
        rig.ping().unwrap();
    }
}

#[test]
fn verbs_of_an_entry_work_at_each_node() {
    let cluster = Cluster::shared();
    for face in FACES {
        let rig = Rig::new(cluster, face);
        for id in ids(cluster, &rig, Kind::Single) {
            assert_eq!(rig.ttl(id).unwrap(), None);
            let version = rig.source.version.load(SeqCst);
            assert!(rig.put(id, &Row { id, version }).unwrap());
            assert!(rig.ttl(id).unwrap().is_some_and(|left| left > Duration::from_secs(500)));
            assert_eq!(rig.get(Kind::Single, id).unwrap(), Some(Row { id, version }));
            rig.write_through(id).unwrap();
            assert_eq!(rig.row(id), Row { id, version: version + 1 });
            rig.write();
            assert_eq!(rig.refresh(id), Row { id, version: version + 2 });
            assert_eq!(rig.row(id), Row { id, version: version + 2 });
            assert_eq!(rig.asked(), [id], "only the refresh asks");
        }
    }
}

/// A text of 5 KB, which takes less than a tenth when it is compressed.
#[cfg(feature = "lz4")]
fn page(asked: &AtomicU64, id: u64) -> String {
    asked.fetch_add(1, SeqCst);
    format!("{id:5}").repeat(1_000)
}

#[cfg(feature = "lz4")]
#[redis_cached(prefix = "packed", name = "page", key = "{id}", compress = lz4, cache = cache, skip(cache, asked))]
async fn packed(cache: &Cache, asked: &AtomicU64, id: u64) -> String {
    page(asked, id)
}

#[cfg(feature = "lz4")]
#[redis_cached(prefix = "packed", name = "page", key = "{id}", compress = lz4, cache = cache, skip(cache, asked))]
fn packed_plain(cache: &Cache, asked: &AtomicU64, id: u64) -> String {
    page(asked, id)
}

#[cfg(feature = "lz4")]
#[test]
fn values_are_compressed_at_each_node() {
    let cluster = Cluster::shared();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for face in FACES {
        let namespace = format!("packed-{face:?}");
        let cache = Cache::builder(&cluster.url()).unwrap().namespace(&namespace).timeout(PATIENCE).build();
        let asked = AtomicU64::new(0);
        let call = |id| match face {
            Face::Async => runtime.block_on(packed(&cache, &asked, id)),
            Face::Plain => packed_plain(&cache, &asked, id),
        };
        let mut nodes = BTreeSet::new();
        for _ in 0..2 {
            for id in 0..IDS {
                assert_eq!(call(id), format!("{id:5}").repeat(1_000));
                let key = packed_entry(&cache, id).key().unwrap().to_owned();
                let node = cluster.master_of(&key);
                let stored: usize = node.cli(&["STRLEN", &key]).parse().unwrap();
                assert!((100..500).contains(&stored), "{stored} bytes");
                nodes.insert(node.id());
            }
        }
        assert_eq!((asked.into_inner(), nodes.len()), (IDS, 3), "{face:?}");
    }
}

#[test]
fn a_batch_asks_for_what_is_missing_at_any_node() {
    let cluster = Cluster::shared();
    for face in FACES {
        let rig = Rig::new(cluster, face);
        let ids = ids(cluster, &rig, Kind::Single);
        let (known, new) = ids.split_at(IDS as usize / 3);
        assert_eq!(rig.rows(known).len(), known.len());
        assert_eq!((rig.asked(), rig.bodies()), (known.to_vec(), 1));
        assert_eq!(rig.rows(&ids), ids.iter().map(|id| Row { id: *id, version: 0 }).collect::<Vec<_>>());
        assert_eq!((rig.asked(), rig.bodies()), (new.to_vec(), 2), "one body for all nodes");
        rig.write();
        assert!(rig.rows(&ids).iter().all(|row| row.version == 0));
        assert!(ids.iter().all(|id| rig.row(*id).version == 0), "the entries are those of single calls");
        assert_eq!(rig.bodies(), 2);

        assert_eq!(rig.invalidate_all(new).unwrap(), new.len() as u64);
        let found = rig.get_all(&ids).unwrap();
        assert!(ids.iter().zip(found).all(|(id, row)| row.is_some() == known.contains(id)));
        assert!(rig.rows(&ids).iter().all(|row| row.version == u64::from(new.contains(&row.id))));
        assert_eq!((rig.asked(), rig.bodies()), (new.to_vec(), 3));
    }
}

#[test]
fn a_group_is_invalidated_at_its_node() {
    let cluster = Cluster::shared();
    for face in FACES {
        let rig = Rig::new(cluster, face);
        let ids = ids(cluster, &rig, Kind::InGroup);
        ids.iter().for_each(|id| _ = rig.call(Kind::InGroup, *id));
        rig.asked();
        let dropped = &ids[TOGETHER as usize..][..2 * TOGETHER as usize];
        for id in dropped.iter().step_by(TOGETHER as usize) {
            assert!(rig.invalidate_group(*id).unwrap());
        }
        rig.write();
        assert!(ids.iter().all(|id| rig.call(Kind::InGroup, *id).version == u64::from(dropped.contains(id))));
        assert_eq!(rig.asked(), dropped);
    }
}

#[test]
fn a_tag_reaches_entries_at_other_nodes() {
    let cluster = Cluster::shared();
    for face in FACES {
        let rig = Rig::new(cluster, face);
        let ids = ids(cluster, &rig, Kind::Tagged);
        ids.iter().for_each(|id| _ = rig.call(Kind::Tagged, *id));
        assert_eq!(rig.asked(), ids);
        let all = rig.stamp("all");
        assert_eq!(cluster.master_of(&all).cli(&["EXISTS", &all]), "1");

        rig.write();
        assert!(rig.invalidate_tag("class:2").unwrap());
        let of_the_tag: Vec<u64> = ids.iter().copied().filter(|id| id / TOGETHER == 2).collect();
        assert!(ids.iter().all(|id| rig.call(Kind::Tagged, *id).version == u64::from(of_the_tag.contains(id))));
        assert_eq!(rig.asked(), of_the_tag);

        rig.write();
        assert!(rig.invalidate_tag("all").unwrap());
        assert!(ids.iter().all(|id| rig.call(Kind::Tagged, *id).version == 2));
        assert_eq!(rig.asked(), ids);
        assert!(ids.iter().all(|id| rig.call(Kind::Tagged, *id).version == 2));
        assert_eq!(rig.asked(), NONE);
    }
}

#[test]
fn entries_groups_and_tags_are_invalidated_together() {
    let cluster = Cluster::shared();
    for face in FACES {
        let rig = Rig::new(cluster, face);
        let ids: Vec<u64> = (0..IDS).collect();
        for (id, kind) in ids.iter().flat_map(|id| KINDS.map(|kind| (id, kind))) {
            rig.call(kind, *id);
        }
        rig.write();
        let invalidations = || {
            let rows = ids.iter().map(|id| rig.invalidation(*id));
            rows.chain([rig.group(0).into(), rig.group(TOGETHER).into(), Invalidation::tag("class:3")])
        };
        let cache = &rig.cache;
        rig.run(cache.invalidate_all(invalidations()), || cache.blocking().invalidate_all(invalidations())).unwrap();
        for (id, kind) in ids.iter().flat_map(|id| KINDS.map(|kind| (id, kind))) {
            let is_gone = match kind {
                Kind::Single => true,
                Kind::InGroup => *id < 2 * TOGETHER,
                Kind::Tagged => id / TOGETHER == 3,
            };
            assert_eq!(rig.call(kind, *id).version, u64::from(is_gone), "{face:?} {kind:?} {id}");
        }
    }
}

#[test]
fn a_clear_reaches_all_nodes_and_nothing_else() {
    let cluster = Cluster::shared();
    for face in FACES {
        let (rig, other) = (Rig::new(cluster, face), Rig::new(cluster, face));
        let ids = ids(cluster, &rig, Kind::Single);
        for (id, kind) in ids.iter().flat_map(|id| KINDS.map(|kind| (id, kind))) {
            rig.call(kind, *id);
            other.call(kind, *id);
        }
        assert_eq!(rig.clear_rows().unwrap(), IDS);
        rig.write();
        assert!(ids.iter().all(|id| rig.row(*id).version == 1), "{face:?}: gone");
        assert!(ids.iter().all(|id| rig.call(Kind::InGroup, *id).version == 0), "{face:?}: of other functions");
        assert!(ids.iter().all(|id| rig.call(Kind::Tagged, *id).version == 0), "{face:?}: of other functions");

        rig.clear().unwrap();
        other.asked();
        for (id, kind) in ids.iter().flat_map(|id| KINDS.map(|kind| (id, kind))) {
            assert_eq!(rig.call(kind, *id).version, 1, "{face:?} {kind:?} {id}: gone");
            other.call(kind, *id);
        }
        assert_eq!(other.asked(), NONE, "another namespace");
    }
}

#[test]
fn nothing_is_undelivered() {
    let cluster = Cluster::shared();
    for face in FACES {
        let rig = Rig::new(cluster, face);
        rig.row(1);
        rig.invalidate(Kind::Single, 1).unwrap();
        rig.flush(Duration::ZERO).unwrap();
        assert_eq!(rig.cache.undelivered(), 0);
    }
}

static RUNS: AtomicU64 = AtomicU64::new(0);

#[redis_cached(prefix = "aging", name = "async", ttl = "2s", refresh_ahead = 0.05, cache = cache, skip(cache))]
async fn ahead(cache: &Cache, id: u64) -> u64 {
    id + 100 * RUNS.fetch_add(1, SeqCst)
}

#[redis_cached(prefix = "aging", name = "plain", ttl = "2s", refresh_ahead = 0.05, cache = cache, skip(cache))]
fn ahead_plain(cache: &Cache, id: u64) -> u64 {
    id + 100 * RUNS.fetch_add(1, SeqCst)
}

#[redis_cached(prefix = "aging", ttl = "30ms", stale_if_error = "1h", cache = cache, skip(cache, fails))]
async fn kept(cache: &Cache, fails: bool, id: u64) -> Result<u64, String> {
    if fails { Err("it fails".to_owned()) } else { Ok(id) }
}

#[redis_cached(prefix = "aging", ttl = "30ms", stale_if_error = "1h", cache = cache, skip(cache, fails))]
fn kept_plain(cache: &Cache, fails: bool, id: u64) -> Result<u64, String> {
    if fails { Err("it fails".to_owned()) } else { Ok(id) }
}

#[redis_cached(prefix = "aging", ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache))]
async fn revalidated(cache: &Cache, id: u64) -> u64 {
    id + 100 * RUNS.fetch_add(1, SeqCst)
}

#[redis_cached(prefix = "aging", ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache))]
fn revalidated_plain(cache: &Cache, id: u64) -> u64 {
    id + 100 * RUNS.fetch_add(1, SeqCst)
}

#[test]
fn old_values_are_refreshed_and_kept_at_each_node() {
    let cluster = Cluster::shared();
    let rig = Rig::new(cluster, Face::Async);
    let cache = &rig.cache;
    for face in FACES {
        let on = |is: Face| face == is;
        let run = |id: u64, which: &str| match (which, on(Face::Async)) {
            ("ahead", true) => rig.runtime.block_on(ahead(cache, id)),
            ("ahead", false) => ahead_plain(cache, id),
            (_, true) => rig.runtime.block_on(revalidated(cache, id)),
            (_, false) => revalidated_plain(cache, id),
        };
        // Some entries at each node.
        for id in 0..12 {
            for which in ["ahead", "revalidated"] {
                let first = run(id, which);
                eventually("it is refreshed in the background", || run(id, which) != first);
            }
            let keep = |fails| match face {
                Face::Async => rig.runtime.block_on(kept(cache, fails, id)),
                Face::Plain => kept_plain(cache, fails, id),
            };
            let expired = || match face {
                Face::Async => rig.runtime.block_on(kept_entry(cache, id).get()).unwrap().is_none(),
                Face::Plain => kept_plain_entry(cache, id).get().unwrap().is_none(),
            };
            assert_eq!(keep(false), Ok(id));
            eventually("it expires", expired);
            assert_eq!(keep(true), Ok(id), "the old value");
        }
    }
}

#[test]
fn a_user_and_its_password_go_to_each_node() {
    let cluster = Cluster::shared();
    cluster.each(&["ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all"]);
    for face in FACES {
        let rig = Rig::with(&cluster.url_as("app", "secret"), face, PATIENCE);
        ids(cluster, &rig, Kind::Single).iter().for_each(|id| _ = rig.row(*id));
        assert_eq!(rig.cache.stats().stored, IDS);
        for master in cluster.masters() {
            assert!(master.cli(&["CLIENT", "LIST"]).contains("user=app"), "{face:?}");
        }
        let wrong = Rig::with(&cluster.url_as("app", "wrong"), face, PATIENCE);
        assert_eq!(wrong.row(1), Row { id: 1, version: 0 }, "the function works all the same");
        assert!(wrong.ping().is_err());
    }
}
