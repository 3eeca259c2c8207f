//! The writers, in a task and a thread of each process: one for each class of ids.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use super::functions::Function;
use super::judge::{Harm, Moment};
use super::origin::{FLOOR, LOSABLE, Origin, PlainOrigin};
use super::row::{IDS, Row, TOGETHER};
use super::{Scene, random, random_micros};

/// The longest rest of a writer, and the longest that it waits for a verb that it drops, in microseconds.
const REST: u64 = 8_000;
const HURRY: u64 = 2_000;

/// The ways in which the cache learns of a new version of one id.
#[derive(Clone, Copy, Debug)]
enum How {
    /// The origin, then `invalidate`.
    Invalidate,
    /// The origin, then `put`.
    Put,
    Through,
    ThroughReturning,
    /// The write takes place, and says that it did not. Nothing is promised until the next one.
    FailingThrough,
    /// Dropped half-way. Nothing is promised until the next one. A thread cannot be.
    CancelledThrough,
}

impl How {
    fn random() -> How {
        match random(10) {
            0..=3 => How::Invalidate,
            4 => How::Put,
            5 | 6 => How::Through,
            7 => How::ThroughReturning,
            8 => How::FailingThrough,
            _ => How::CancelledThrough,
        }
    }
}

/// The ids that one writer writes, with the versions that it gave them.
struct Classes {
    classes: Vec<(Function, Vec<u64>)>,
    versions: BTreeMap<u64, u64>,
}

impl Classes {
    fn of(scene: &Scene, is_thread: bool) -> Classes {
        let classes = Function::ALL.iter().flat_map(|function| {
            let first = function.ids(scene.kind).start;
            (0..IDS / TOGETHER).map(move |class| {
                let first = first + class * TOGETHER;
                (*function, (first..first + TOGETHER).collect::<Vec<u64>>())
            })
        });
        let (writers, own) = (scene.processes * 2, scene.process * 2 + u64::from(is_thread));
        let own = classes.enumerate().filter(|(at, _)| *at as u64 % writers == own).map(|(_, class)| class);
        Classes { classes: own.collect(), versions: BTreeMap::new() }
    }

    fn ids(&self) -> Vec<u64> {
        self.classes.iter().flat_map(|(_, ids)| ids).copied().collect()
    }

    fn random(&self) -> (Function, Vec<u64>) {
        self.classes[random(self.classes.len() as u64) as usize].clone()
    }

    fn next(&mut self, ids: &[u64]) -> Vec<(u64, u64)> {
        let mut next = |id: &u64| {
            let version = self.versions.entry(*id).or_default();
            *version += 1;
            (*id, *version)
        };
        ids.iter().map(&mut next).collect()
    }
}

/// The floors that rise after a verb succeeded.
fn floors(scene: &Scene, began: Moment) -> &'static [&'static str] {
    match scene.judge.harm_since(began) {
        Some(Harm::Loses) => &[LOSABLE],
        _ => &[FLOOR, LOSABLE],
    }
}

/// True if a write-through that succeeded has told the cache: it does not say so itself.
fn is_told(scene: &Scene, began: Moment) -> bool {
    scene.judge.harm_since(began).is_none() && scene.cache.undelivered() == 0
}

pub(super) async fn writes(scene: Arc<Scene>, origin: Arc<Origin>) {
    let mut classes = Classes::of(&scene, false);
    let ids = classes.ids();
    classes.versions = ids.iter().copied().zip(origin.versions(&ids).await).collect();
    while scene.goes_on() {
        let (function, ids) = classes.random();
        if random(2) == 0 {
            let new = classes.next(&ids);
            origin.write(&new).await;
            let began = scene.judge.now();
            let _run = scene.judge.run(|| format!("an invalidation of a class of {function:?}, async"));
            if function.invalidate(&scene.cache, &ids).await.is_ok() {
                origin.raise(floors(&scene, began), &new).await;
            }
        } else {
            let id = ids[random(TOGETHER) as usize];
            let new = classes.next(&[id]);
            write(&scene, &origin, function, new[0]).await;
        }
        tokio::time::sleep(random_micros(REST)).await;
    }
}

async fn write(scene: &Scene, origin: &Origin, function: Function, (id, version): (u64, u64)) {
    let (how, new) = (How::random(), [(id, version)]);
    let (entry, row) = (function.entry(&scene.cache, id), Row::new(id, version, None, function.nature().is_large));
    if matches!(how, How::Invalidate | How::Put) {
        origin.write(&new).await;
    }
    let began = scene.judge.now();
    let _run = scene.judge.run(|| format!("{how:?} of {function:?}, async"));
    let is_promised = match how {
        How::Invalidate => entry.invalidate().await.is_ok(),
        How::Put => entry.put(&row).await.is_ok_and(|is_stored| is_stored),
        How::Through => {
            let write = async || {
                origin.write(&new).await;
                Ok::<_, ()>(())
            };
            entry.write_through(&row, write).await.is_ok() && is_told(scene, began)
        }
        How::ThroughReturning => {
            let write = async || {
                origin.write(&new).await;
                Ok::<_, ()>(row)
            };
            entry.write_through_returning(write).await.is_ok() && is_told(scene, began)
        }
        How::FailingThrough => {
            let write = async || {
                origin.write(&new).await;
                Err::<(), _>(())
            };
            entry.write_through(&row, write).await.is_ok()
        }
        How::CancelledThrough => {
            let write = async || {
                origin.write(&new).await;
                Ok::<_, ()>(())
            };
            let _ = tokio::time::timeout(random_micros(HURRY), entry.write_through(&row, write)).await;
            false
        }
    };
    if is_promised {
        origin.raise(floors(scene, began), &new).await;
    }
}

pub(super) fn plain_writes(scene: &Scene, origin: &PlainOrigin) {
    let mut classes = Classes::of(scene, true);
    let ids = classes.ids();
    classes.versions = ids.iter().copied().zip(origin.versions(&ids)).collect();
    while scene.goes_on() {
        let (function, ids) = classes.random();
        if random(2) == 0 {
            let new = classes.next(&ids);
            origin.write(&new);
            let began = scene.judge.now();
            let _run = scene.judge.run(|| format!("an invalidation of a class of {function:?}, plain"));
            if function.invalidate_plain(&scene.cache, &ids).is_ok() {
                origin.raise(floors(scene, began), &new);
            }
        } else {
            let id = ids[random(TOGETHER) as usize];
            let new = classes.next(&[id]);
            write_plain(scene, origin, function, new[0]);
        }
        thread::sleep(random_micros(REST));
    }
}

fn write_plain(scene: &Scene, origin: &PlainOrigin, function: Function, (id, version): (u64, u64)) {
    let (how, new) = (How::random(), [(id, version)]);
    let entry = function.plain_entry(&scene.cache, id);
    let row = Row::new(id, version, None, function.nature().is_large);
    if matches!(how, How::Invalidate | How::Put) {
        origin.write(&new);
    }
    let began = scene.judge.now();
    let _run = scene.judge.run(|| format!("{how:?} of {function:?}, plain"));
    let is_promised = match how {
        How::Invalidate => entry.invalidate().is_ok(),
        How::Put => entry.put(&row).is_ok_and(|is_stored| is_stored),
        How::Through => {
            let write = || {
                origin.write(&new);
                Ok::<_, ()>(())
            };
            entry.write_through(&row, write).is_ok() && is_told(scene, began)
        }
        How::ThroughReturning => {
            let write = || {
                origin.write(&new);
                Ok::<_, ()>(row)
            };
            entry.write_through_returning(write).is_ok() && is_told(scene, began)
        }
        How::FailingThrough | How::CancelledThrough => {
            let write = || {
                origin.write(&new);
                Err::<(), _>(())
            };
            entry.write_through(&row, write).is_ok()
        }
    };
    if is_promised {
        origin.raise(floors(scene, began), &new);
    }
}
