//! Functions of both faces in a cache on a cluster, as one test uses them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis_cached::{Cache, Error, Group, Invalidation, redis_cached};
use serde::{Deserialize, Serialize};
use test_support::{Cluster, Gate, Node, PATIENCE, slot_of};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    Async,
    Plain,
}

pub(crate) const FACES: [Face; 2] = [Face::Async, Face::Plain];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: u64,
    pub(crate) version: u64,
}

/// No ids.
pub(crate) const NONE: [u64; 0] = [];

/// The ids of a group, and of a tag.
pub(crate) const TOGETHER: u64 = 4;

/// The origin of the rows, and the ids that bodies were asked for.
#[derive(Default)]
pub(crate) struct Source {
    pub(crate) version: AtomicU64,
    asked: Mutex<Vec<u64>>,
    bodies: AtomicU64,
}

impl Source {
    pub(crate) fn read(&self, ids: &[u64]) -> HashMap<u64, Row> {
        let version = self.version.load(SeqCst);
        self.asked.lock().unwrap().extend(ids);
        self.bodies.fetch_add(1, SeqCst);
        ids.iter().map(|id| (*id, Row { id: *id, version })).collect()
    }

    pub(crate) fn row(&self, id: u64) -> Row {
        self.read(&[id])[&id]
    }
}

/// The calls of single rows.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) one: fn(&Rig, u64) -> Row,
    pub(crate) many: fn(&Rig, &[u64]) -> HashMap<u64, Row>,
}

/// Defines the functions of single rows. A test that counts commands has some of its own: a function whose last calls often
/// found nothing asks for a lease with its first look, whatever tests called it. Entries are the same for all of them.
macro_rules! rows {
    ($($(#[$doc:meta])* $module:ident)*) => {$(
        $(#[$doc])*
        pub(crate) mod $module {
            use std::collections::HashMap;

            use redis_cached::{Cache, redis_cached};

            use crate::rig::{Row, Rows, Source};

            #[redis_cached(prefix = "rig", name = "row", key = "{id}", cache = cache, skip(cache, source))]
            pub(crate) async fn row(cache: &Cache, source: &Source, id: u64) -> Row {
                source.row(id)
            }

            #[redis_cached(prefix = "rig", name = "row", key = "{id}", cache = cache, skip(cache, source))]
            pub(crate) fn row_plain(cache: &Cache, source: &Source, id: u64) -> Row {
                source.row(id)
            }

            #[redis_cached(
                prefix = "rig", name = "row", key = "{id}", batch(id in ids), cache = cache, skip(cache, source)
            )]
            pub(crate) async fn rows(cache: &Cache, source: &Source, ids: &[u64]) -> HashMap<u64, Row> {
                source.read(ids)
            }

            #[redis_cached(
                prefix = "rig", name = "row", key = "{id}", batch(id in ids), cache = cache, skip(cache, source)
            )]
            pub(crate) fn rows_plain(cache: &Cache, source: &Source, ids: &[u64]) -> HashMap<u64, Row> {
                source.read(ids)
            }

            pub(crate) const ROWS: Rows = Rows {
                one: |rig, id| {
                    let (cache, source) = (&rig.cache, &*rig.source);
                    rig.run(row(cache, source, id), || row_plain(cache, source, id))
                },
                many: |rig, ids| {
                    let (cache, source) = (&rig.cache, &*rig.source);
                    rig.run(rows(cache, source, ids), || rows_plain(cache, source, ids))
                },
            };
        }
    )*};
}

pub(crate) use rows;

rows! {
    /// The functions that most tests share.
    shared
}

use shared::{row_clear, row_entry, row_plain_clear, row_plain_entry, row_plain_refresh, row_refresh};

#[redis_cached(
    prefix = "rig", name = "member", key = "{id}", group = "class:{id / TOGETHER}", cache = cache, skip(cache, source)
)]
async fn member(cache: &Cache, source: &Source, id: u64) -> Row {
    source.row(id)
}

#[redis_cached(
    prefix = "rig", name = "member", key = "{id}", group = "class:{id / TOGETHER}", cache = cache, skip(cache, source)
)]
fn member_plain(cache: &Cache, source: &Source, id: u64) -> Row {
    source.row(id)
}

#[redis_cached(
    prefix = "rig", name = "tagged", key = "{id}", tags = ["class:{id / TOGETHER}", "all"], cache = cache,
    skip(cache, source)
)]
async fn tagged(cache: &Cache, source: &Source, id: u64) -> Row {
    source.row(id)
}

#[redis_cached(
    prefix = "rig", name = "tagged", key = "{id}", tags = ["class:{id / TOGETHER}", "all"], cache = cache,
    skip(cache, source)
)]
fn tagged_plain(cache: &Cache, source: &Source, id: u64) -> Row {
    source.row(id)
}

#[redis_cached(prefix = "rig", name = "gated", key = "{id}", cache = cache, skip(cache, gate))]
async fn gated(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id * gate.pass().await as u64
}

#[redis_cached(prefix = "rig", name = "gated", key = "{id}", cache = cache, skip(cache, gate))]
fn gated_plain(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id * gate.pass_blocking() as u64
}

/// The functions, by what their entries are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Single,
    InGroup,
    Tagged,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::Single, Kind::InGroup, Kind::Tagged];

/// A cache in a namespace of its own, of functions of one face.
pub(crate) struct Rig {
    pub(crate) cache: Cache,
    pub(crate) face: Face,
    pub(crate) source: Arc<Source>,
    pub(crate) namespace: String,
    pub(crate) runtime: tokio::runtime::Runtime,
    rows: Rows,
}

impl Rig {
    /// A cache with a time-out that a busy machine does not reach.
    pub(crate) fn new(cluster: &Cluster, face: Face) -> Rig {
        Rig::with(&cluster.url(), face, PATIENCE)
    }

    pub(crate) fn with(url: &str, face: Face, timeout: Duration) -> Rig {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let namespace = format!("n{}", NEXT.fetch_add(1, SeqCst));
        let cache = Cache::builder(url).unwrap().namespace(&namespace).timeout(timeout).build();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Rig { cache, face, source: Arc::default(), namespace, runtime, rows: shared::ROWS }
    }

    /// The same with other functions for its single rows.
    pub(crate) fn calling(self, rows: Rows) -> Rig {
        Rig { rows, ..self }
    }

    /// Another process with the same entries and the same origin.
    pub(crate) fn elsewhere(&self, url: &str) -> Rig {
        let cache = Cache::builder(url).unwrap().namespace(&self.namespace).timeout(PATIENCE).build();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (source, namespace) = (Arc::clone(&self.source), self.namespace.clone());
        Rig { cache, face: self.face, source, namespace, runtime, rows: self.rows }
    }

    /// Runs the async or the plain one.
    pub(crate) fn run<T>(&self, future: impl Future<Output = T>, plain: impl FnOnce() -> T) -> T {
        match self.face {
            Face::Async => self.runtime.block_on(future),
            Face::Plain => plain(),
        }
    }

    pub(crate) fn call(&self, kind: Kind, id: u64) -> Row {
        let (cache, source) = (&self.cache, &*self.source);
        match kind {
            Kind::Single => (self.rows.one)(self, id),
            Kind::InGroup => self.run(member(cache, source, id), || member_plain(cache, source, id)),
            Kind::Tagged => self.run(tagged(cache, source, id), || tagged_plain(cache, source, id)),
        }
    }

    /// A call of a single entry.
    pub(crate) fn row(&self, id: u64) -> Row {
        self.call(Kind::Single, id)
    }

    /// A call whose body waits at a gate, and returns the product of the id and the number of the body.
    pub(crate) fn gated(&self, gate: &Gate, id: u64) -> u64 {
        self.run(gated(&self.cache, gate, id), || gated_plain(&self.cache, gate, id))
    }

    pub(crate) fn gated_key(&self, id: u64) -> String {
        gated_entry(&self.cache, id).key().unwrap().to_owned()
    }

    /// A call for many single entries, in the order of their ids.
    pub(crate) fn rows(&self, ids: &[u64]) -> Vec<Row> {
        let mut found: Vec<Row> = (self.rows.many)(self, ids).into_values().collect();
        found.sort_unstable();
        found
    }

    pub(crate) fn get(&self, kind: Kind, id: u64) -> Result<Option<Row>, Error> {
        let cache = &self.cache;
        match kind {
            Kind::Single => self.run(row_entry(cache, id).get(), || row_plain_entry(cache, id).get()),
            Kind::InGroup => self.run(member_entry(cache, id).get(), || member_plain_entry(cache, id).get()),
            Kind::Tagged => self.run(tagged_entry(cache, id).get(), || tagged_plain_entry(cache, id).get()),
        }
    }

    pub(crate) fn put(&self, id: u64, row: &Row) -> Result<bool, Error> {
        let cache = &self.cache;
        self.run(row_entry(cache, id).put(row), || row_plain_entry(cache, id).put(row))
    }

    pub(crate) fn ttl(&self, id: u64) -> Result<Option<Duration>, Error> {
        let cache = &self.cache;
        self.run(row_entry(cache, id).ttl(), || row_plain_entry(cache, id).ttl())
    }

    /// Writes a new version through the entry.
    pub(crate) fn write_through(&self, id: u64) -> Result<(), ()> {
        let (cache, version) = (&self.cache, self.source.version.load(SeqCst) + 1);
        let (new, source) = (Row { id, version }, &self.source);
        let write = || {
            source.version.store(version, SeqCst);
            Ok(())
        };
        self.run(row_entry(cache, id).write_through(&new, async || write()), || {
            row_plain_entry(cache, id).write_through(&new, write)
        })
    }

    pub(crate) fn refresh(&self, id: u64) -> Row {
        let (cache, source) = (&self.cache, &*self.source);
        self.run(row_refresh(cache, source, id), || row_plain_refresh(cache, source, id))
    }

    pub(crate) fn invalidate(&self, kind: Kind, id: u64) -> Result<bool, Error> {
        let cache = &self.cache;
        match kind {
            Kind::Single => self.run(row_entry(cache, id).invalidate(), || row_plain_entry(cache, id).invalidate()),
            Kind::InGroup => {
                self.run(member_entry(cache, id).invalidate(), || member_plain_entry(cache, id).invalidate())
            }
            Kind::Tagged => {
                self.run(tagged_entry(cache, id).invalidate(), || tagged_plain_entry(cache, id).invalidate())
            }
        }
    }

    /// Single entries, together.
    pub(crate) fn invalidate_all(&self, ids: &[u64]) -> Result<u64, Error> {
        let cache = &self.cache;
        let plain = || cache.blocking().invalidate_all(ids.iter().map(|id| row_plain_entry(cache, *id)));
        self.run(cache.invalidate_all(ids.iter().map(|id| row_entry(cache, *id))), plain)
    }

    pub(crate) fn get_all(&self, ids: &[u64]) -> Result<Vec<Option<Row>>, Error> {
        let cache = &self.cache;
        let entries: Vec<_> = ids.iter().map(|id| row_entry(cache, *id)).collect();
        let plain: Vec<_> = ids.iter().map(|id| row_plain_entry(cache, *id)).collect();
        self.run(cache.get_all(&entries), || cache.blocking().get_all(&plain))
    }

    /// The invalidation of a single entry.
    pub(crate) fn invalidation(&self, id: u64) -> Invalidation {
        row_entry(&self.cache, id).into()
    }

    pub(crate) fn group(&self, id: u64) -> Group {
        member_group(&self.cache, id)
    }

    /// The group of an id.
    pub(crate) fn invalidate_group(&self, id: u64) -> Result<bool, Error> {
        let cache = &self.cache;
        self.run(member_group(cache, id).invalidate(), || member_plain_group(cache, id).invalidate())
    }

    pub(crate) fn invalidate_tag(&self, tag: &str) -> Result<bool, Error> {
        self.run(self.cache.invalidate_tag(tag), || self.cache.blocking().invalidate_tag(tag))
    }

    pub(crate) fn clear(&self) -> Result<u64, Error> {
        self.run(self.cache.clear(), || self.cache.blocking().clear())
    }

    /// All single rows, and no others.
    pub(crate) fn clear_rows(&self) -> Result<u64, Error> {
        self.run(row_clear(&self.cache), || row_plain_clear(&self.cache))
    }

    pub(crate) fn flush(&self, deadline: Duration) -> Result<(), Error> {
        self.run(self.cache.flush(deadline), || self.cache.blocking().flush(deadline))
    }

    pub(crate) fn ping(&self) -> Result<(), Error> {
        self.run(self.cache.ping(), || self.cache.blocking().ping())
    }

    /// The key whose slot counts: of a member, that of its group.
    pub(crate) fn key(&self, kind: Kind, id: u64) -> String {
        let cache = &self.cache;
        match kind {
            Kind::Single => row_entry(cache, id).key().unwrap().to_owned(),
            Kind::InGroup => member_group(cache, id).key().unwrap().to_owned(),
            Kind::Tagged => tagged_entry(cache, id).key().unwrap().to_owned(),
        }
    }

    pub(crate) fn slot(&self, kind: Kind, id: u64) -> u16 {
        slot_of(&self.key(kind, id))
    }

    /// The key of a tag's stamp.
    pub(crate) fn stamp(&self, tag: &str) -> String {
        format!("{}:#tag:{tag}", self.namespace)
    }

    /// Those of the ids whose single entries are at this node.
    pub(crate) fn ids_at(&self, cluster: &Cluster, node: &Node, ids: std::ops::Range<u64>) -> Vec<u64> {
        let ids: Vec<u64> =
            ids.filter(|id| cluster.master_of(&self.key(Kind::Single, *id)).id() == node.id()).collect();
        assert!(!ids.is_empty(), "there are keys at this node");
        ids
    }

    /// The first ids whose slots are the same, so many.
    pub(crate) fn neighbours(&self, kind: Kind, count: usize) -> Vec<u64> {
        let mut by_slot: HashMap<u16, Vec<u64>> = HashMap::new();
        // Ids of different groups.
        for id in (0..).step_by(TOGETHER as usize) {
            let ids = by_slot.entry(self.slot(kind, id)).or_default();
            ids.push(id);
            if ids.len() == count {
                return ids.clone();
            }
        }
        unreachable!("there are more ids than slots")
    }

    /// The ids that bodies were asked for since the last time, in order.
    pub(crate) fn asked(&self) -> Vec<u64> {
        let mut asked = std::mem::take(&mut *self.source.asked.lock().unwrap());
        asked.sort_unstable();
        asked
    }

    /// How many bodies have run.
    pub(crate) fn bodies(&self) -> u64 {
        self.source.bodies.load(SeqCst)
    }

    /// Raises the version of all rows.
    pub(crate) fn write(&self) -> u64 {
        self.source.version.fetch_add(1, SeqCst) + 1
    }
}
