//! The readers, in tasks and threads.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

use super::functions::{self, Function};
use super::judge::Moment;
use super::origin::{Floor, Origin, PlainOrigin, Unavailable};
use super::row::{IDS, Row};
use super::{Scene, random, random_micros};

/// The most ids of a batch.
const MOST: u64 = 10;
/// The longest that a caller in a hurry waits, and the longest rest of a reader, in microseconds.
const HURRY: u64 = 6_000;
const REST: u64 = 2_000;

/// The ways to read an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Call,
    /// A call that is dropped where it is after a short time. A thread cannot be.
    Hurried,
    Many,
    Refresh,
    Get,
}

impl How {
    fn random(function: Function) -> How {
        match random(16) {
            0..=3 => How::Get,
            4 => How::Refresh,
            5 | 6 => How::Hurried,
            7..=10 if function == Function::Single => How::Many,
            _ => How::Call,
        }
    }
}

pub(super) async fn reads(scene: Arc<Scene>, origin: Arc<Origin>) {
    while scene.goes_on() {
        let function = Function::random();
        let how = How::random(function);
        match how {
            How::Many => read_many(&scene, &origin).await,
            _ => read(&scene, &origin, function, how).await,
        }
        tokio::time::sleep(random_micros(REST)).await;
    }
}

async fn read(scene: &Scene, origin: &Origin, function: Function, how: How) {
    let (cache, id) = (&scene.cache, function.random_id(scene.kind));
    let floor = origin.floors(&[id]).await[0];
    let began = scene.judge.now();
    let _run = scene.judge.run(|| format!("{how:?} of {function:?}, async"));
    let outcome = match how {
        How::Get => match function.entry(cache, id).get().await {
            Ok(Some(row)) => Ok(row),
            // Nothing is there, or it cannot be asked.
            Ok(None) | Err(_) => return scene.judge.ended(began),
        },
        How::Refresh => function.refresh(cache, origin, id).await,
        How::Hurried => {
            let call = function.call(cache, origin, id);
            match tokio::time::timeout(random_micros(HURRY), call).await {
                Ok(outcome) => outcome,
                Err(_) => return,
            }
        }
        How::Call | How::Many => function.call(cache, origin, id).await,
    };
    scene.came(outcome, id, floor, began, function, how);
}

async fn read_many(scene: &Scene, origin: &Origin) {
    let ids = random_ids(scene);
    let floors = origin.floors(&ids).await;
    let began = scene.judge.now();
    let _run = scene.judge.run(|| "a batch, async".to_owned());
    let call = functions::many(&scene.cache, origin, &ids);
    let outcome = match random(4) {
        0 => match tokio::time::timeout(random_micros(HURRY), call).await {
            Ok(outcome) => outcome,
            Err(_) => return,
        },
        _ => call.await,
    };
    scene.many_came(outcome, &ids, &floors, began);
}

pub(super) fn plain_reads(scene: &Scene, origin: &PlainOrigin) {
    while scene.goes_on() {
        let function = Function::random();
        let how = How::random(function);
        match how {
            How::Many => read_many_plain(scene, origin),
            _ => read_plain(scene, origin, function, how),
        }
        thread::sleep(random_micros(REST));
    }
}

fn read_plain(scene: &Scene, origin: &PlainOrigin, function: Function, how: How) {
    let (cache, id) = (&scene.cache, function.random_id(scene.kind));
    let floor = origin.floors(&[id])[0];
    let began = scene.judge.now();
    let _run = scene.judge.run(|| format!("{how:?} of {function:?}, plain"));
    let outcome = match how {
        How::Get => match function.plain_entry(cache, id).get() {
            Ok(Some(row)) => Ok(row),
            Ok(None) | Err(_) => return scene.judge.ended(began),
        },
        How::Refresh => function.refresh_plain(cache, origin, id),
        How::Call | How::Hurried | How::Many => function.call_plain(cache, origin, id),
    };
    scene.came(outcome, id, floor, began, function, how);
}

fn read_many_plain(scene: &Scene, origin: &PlainOrigin) {
    let ids = random_ids(scene);
    let floors = origin.floors(&ids);
    let began = scene.judge.now();
    let _run = scene.judge.run(|| "a batch, plain".to_owned());
    let outcome = functions::many_plain(&scene.cache, origin, &ids);
    scene.many_came(outcome, &ids, &floors, began);
}

/// Some ids of [`Function::Single`], each once, in any order.
fn random_ids(scene: &Scene) -> Vec<u64> {
    let mut ids: Vec<u64> = Function::Single.ids(scene.kind).collect();
    for at in (1..ids.len()).rev() {
        ids.swap(at, random(at as u64 + 1) as usize);
    }
    ids.truncate(1 + random(MOST.min(IDS)) as usize);
    ids
}

impl Scene {
    fn came(
        &self,
        outcome: Result<Row, Unavailable>,
        id: u64,
        floor: Floor,
        began: Moment,
        function: Function,
        how: How,
    ) {
        self.judge.ended(began);
        match outcome {
            Ok(row) => self.row(&row, id, floor, began, function, how),
            Err(error) if function.nature().fails && error.ids == [id] => {}
            Err(error) => self.judge.failed(&format!("{how:?} of {id} by {function:?} returned {error:?}")),
        }
    }

    fn many_came(&self, outcome: Result<HashMap<u64, Row>, Unavailable>, ids: &[u64], floors: &[Floor], began: Moment) {
        self.judge.ended(began);
        let rows = match outcome {
            Ok(rows) => rows,
            Err(error) => return self.judge.failed(&format!("a batch of {ids:?} returned {error:?}")),
        };
        if rows.len() != ids.len() {
            self.judge.wrong(&format!("a batch of {ids:?} returned {:?}", rows.keys()));
        }
        for (id, floor) in ids.iter().zip(floors) {
            match rows.get(id) {
                Some(row) => self.row(row, *id, *floor, began, Function::Single, How::Many),
                None => self.judge.failed(&format!("a batch of {ids:?} lacks {id}")),
            }
        }
    }

    fn row(&self, row: &Row, id: u64, floor: Floor, began: Moment, function: Function, how: How) {
        if !row.is_of(id, function.nature().is_large) {
            return self.judge.wrong(&format!("{how:?} of {id} by {function:?} returned {row:.200?}"));
        }
        // A verb asks the cache alone.
        let shares = (how != How::Get).then_some(self.process);
        self.judge.value(
            row,
            floor,
            began,
            shares,
            &format!("{how:?} of {id} by {function:?} in process {}", self.process),
        );
    }
}
