//! The readers and writers of a race, in tasks and threads.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use crate::course::Course;
use crate::origin::{Origin, PlainOrigin};
use crate::subject::Subject;
use crate::{All, Promise, Write, choose, random, random_part};

/// Each process has a runtime of several threads, and one of a single thread.
const RUNTIMES: u64 = 2;
const TASKS: u64 = 16;
const THREADS: u64 = 4;

async fn reads<S: Subject>(course: Arc<Course>, origin: Arc<Origin>) {
    while course.goes_on() {
        let rest = course.rest_of_reader();
        if !rest.is_zero() {
            tokio::time::sleep(rest).await;
        }
        if course.setup.most > 0 && random(course.variety() / 4) == 0 {
            read_many::<S>(&course, &origin).await;
            continue;
        }
        let id = course.random_id();
        let floor = origin.floors(&[id]).await[0];
        match random(course.variety()) {
            0..=2 => {
                if let Some(got) = S::get(&course.cache, id).await {
                    course.judge(id, floor, got, "get");
                }
            }
            3 | 4 => {
                let patience = Duration::from_micros(random(6_000));
                match tokio::time::timeout(patience, S::call(&course.cache, &origin, id)).await {
                    Ok(got) => course.judge_call(id, floor, got, "a call in a hurry"),
                    Err(_) => _ = course.counts.cancelled.fetch_add(1, Relaxed),
                }
            }
            _ => course.judge_call(id, floor, S::call(&course.cache, &origin, id).await, "a call"),
        }
    }
}

async fn read_many<S: Subject>(course: &Course, origin: &Origin) {
    let ids = course.random_ids();
    let floors = origin.floors(&ids).await;
    let call = S::call_many(&course.cache, origin, &ids, false);
    if random(3) == 0 {
        let patience = Duration::from_micros(random(6_000));
        match tokio::time::timeout(patience, call).await {
            Ok(got) => course.judge_many(&ids, &floors, &got, "a call for many in a hurry"),
            Err(_) => _ = course.counts.cancelled.fetch_add(1, Relaxed),
        }
    } else {
        course.judge_many(&ids, &floors, &call.await, "a call for many");
    }
}

/// Calls that are aborted wherever they are.
async fn aborts<S: Subject>(course: Arc<Course>, origin: Arc<Origin>) {
    while course.goes_on() {
        let (on, from) = (Arc::clone(&course), Arc::clone(&origin));
        let ids = if course.setup.most > 0 { course.random_ids() } else { vec![course.random_id()] };
        let floors = origin.floors(&ids).await;
        let asked = ids.clone();
        let call = tokio::spawn(async move {
            match on.setup.most {
                0 => vec![(asked[0], S::call(&on.cache, &from, asked[0]).await)],
                _ => S::call_many(&on.cache, &from, &asked, false).await,
            }
        });
        tokio::time::sleep(Duration::from_micros(random(6_000))).await;
        call.abort();
        match call.await {
            Ok(got) => course.judge_many(&ids, &floors, &got, "a call to be aborted"),
            Err(error) if error.is_cancelled() => _ = course.counts.cancelled.fetch_add(1, Relaxed),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

async fn refreshes<S: Subject>(course: Arc<Course>, origin: Arc<Origin>) {
    while course.goes_on() {
        if course.setup.most > 0 {
            let ids = course.random_ids();
            let floors = origin.floors(&ids).await;
            let got = S::call_many(&course.cache, &origin, &ids, true).await;
            course.judge_many(&ids, &floors, &got, "a refresh of many");
        }
        let id = course.random_id();
        let floor = origin.floors(&[id]).await[0];
        course.judge(id, floor, S::refresh(&course.cache, &origin, id).await, "a refresh");
        tokio::time::sleep(random_part(course.setup.body)).await;
    }
}

async fn writes<S: Subject>(course: Arc<Course>, ids: Vec<u64>) {
    let origin = Origin::connect(&course).await;
    let (setup, cache) = (course.setup, &course.cache);
    let mut versions = Versions::of(&ids);
    while course.goes_on() {
        let how = choose(setup.writes);
        let promised = match how {
            Write::Single(how) => {
                let (id, version) = versions.next_of(choose(&ids));
                let promised = S::write(cache, &origin, id, how, version).await;
                if promised {
                    origin.raise_floors(&[(id, version)]).await;
                }
                promised
            }
            Write::Together(how) => {
                let new = versions.next();
                origin.write(&new).await;
                let mut stored = Vec::new();
                if setup.promise == Promise::Stored {
                    for id in &ids {
                        stored.extend(S::get(cache, *id).await.map(|found| (*id, found.number)));
                    }
                }
                let told = match how {
                    All::Invalidate => S::invalidate(cache, &ids).await,
                    All::Foreign(command) => {
                        origin.foreign(command, &S::keys(cache, &ids)).await;
                        true
                    }
                    All::Cancelled => {
                        let patience = Duration::from_micros(random(500));
                        let _ = tokio::time::timeout(patience, S::invalidate(cache, &ids)).await;
                        false
                    }
                };
                match setup.promise {
                    Promise::Current if told => origin.raise_floors(&new).await,
                    Promise::Stored if told => {
                        numbers_of_bodies(&mut stored);
                        if !stored.is_empty() {
                            origin.void(&stored).await;
                        }
                    }
                    _ => {}
                }
                told
            }
        };
        course.note(how, promised);
        tokio::time::sleep(course.rest_of_writer()).await;
    }
}

fn plain_reads<S: Subject>(course: &Arc<Course>) {
    let origin = PlainOrigin::connect(course);
    while course.goes_on() {
        let rest = course.rest_of_reader();
        if !rest.is_zero() {
            thread::sleep(rest);
        }
        if course.setup.most > 0 && random(course.variety() / 4) == 0 {
            let ids = course.random_ids();
            let floors = origin.floors(&ids);
            let got = S::call_many_plain(&course.cache, &origin, &ids, false);
            course.judge_many(&ids, &floors, &got, "a call for many of a thread");
            continue;
        }
        let id = course.random_id();
        let floor = origin.floors(&[id])[0];
        if random(course.variety()) < 3 {
            if let Some(got) = S::get_plain(&course.cache, id) {
                course.judge(id, floor, got, "get of a thread");
            }
        } else {
            course.judge_call(id, floor, S::call_plain(&course.cache, &origin, id), "a call of a thread");
        }
    }
}

fn plain_refreshes<S: Subject>(course: &Arc<Course>) {
    let origin = PlainOrigin::connect(course);
    while course.goes_on() {
        if course.setup.most > 0 {
            let ids = course.random_ids();
            let floors = origin.floors(&ids);
            let got = S::call_many_plain(&course.cache, &origin, &ids, true);
            course.judge_many(&ids, &floors, &got, "a refresh of many of a thread");
        }
        let id = course.random_id();
        let floor = origin.floors(&[id])[0];
        course.judge(id, floor, S::refresh_plain(&course.cache, &origin, id), "a refresh of a thread");
        thread::sleep(random_part(course.setup.body));
    }
}

fn plain_writes<S: Subject>(course: &Arc<Course>, ids: &[u64]) {
    let origin = PlainOrigin::connect(course);
    let (setup, cache) = (course.setup, &course.cache);
    let mut versions = Versions::of(ids);
    while course.goes_on() {
        let how = choose(setup.writes);
        let promised = match how {
            Write::Single(how) => {
                let (id, version) = versions.next_of(choose(ids));
                let promised = S::write_plain(cache, &origin, id, how, version);
                if promised {
                    origin.raise_floors(&[(id, version)]);
                }
                promised
            }
            Write::Together(how) => {
                let new = versions.next();
                origin.write(&new);
                let mut stored = Vec::new();
                if setup.promise == Promise::Stored {
                    stored.extend(ids.iter().filter_map(|id| Some((*id, S::get_plain(cache, *id)?.number))));
                }
                let told = match how {
                    All::Invalidate => S::invalidate_plain(cache, ids),
                    All::Foreign(command) => {
                        origin.foreign(command, &S::keys(cache, ids));
                        true
                    }
                    // A thread cannot be cancelled.
                    All::Cancelled => false,
                };
                match setup.promise {
                    Promise::Current if told => origin.raise_floors(&new),
                    Promise::Stored if told => {
                        numbers_of_bodies(&mut stored);
                        if !stored.is_empty() {
                            origin.void(&stored);
                        }
                    }
                    _ => {}
                }
                told
            }
        };
        course.note(how, promised);
        thread::sleep(course.rest_of_writer());
    }
}

/// Removes the numbers of values that a writer stored itself.
fn numbers_of_bodies(stored: &mut Vec<(u64, u64)>) {
    stored.retain(|(_, number)| *number != u64::MAX);
}

/// The versions of a class's ids.
struct Versions(Vec<(u64, u64)>);

impl Versions {
    fn of(ids: &[u64]) -> Versions {
        Versions(ids.iter().map(|id| (*id, 0)).collect())
    }

    fn next_of(&mut self, id: u64) -> (u64, u64) {
        let of_id = self.0.iter_mut().find(|(other, _)| *other == id).unwrap();
        of_id.1 += 1;
        *of_id
    }

    fn next(&mut self) -> Vec<(u64, u64)> {
        self.0.iter_mut().for_each(|(_, version)| *version += 1);
        self.0.clone()
    }
}

/// The part of one process.
pub(crate) fn run<S: Subject>(course: &Arc<Course>) {
    let refreshers = course.setup.refreshers;
    let runtime = |number: u64| {
        let mut builder = match number {
            0 => tokio::runtime::Builder::new_multi_thread(),
            _ => tokio::runtime::Builder::new_current_thread(),
        };
        let runtime = builder.worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let origin = Arc::new(Origin::connect(course).await);
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..TASKS {
                tasks.spawn(reads::<S>(Arc::clone(course), Arc::clone(&origin)));
            }
            tasks.spawn(aborts::<S>(Arc::clone(course), Arc::clone(&origin)));
            for _ in 0..refreshers {
                tasks.spawn(refreshes::<S>(Arc::clone(course), Arc::clone(&origin)));
            }
            tasks.join_all().await;
        });
    };
    let async_writes = |ids| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(writes::<S>(Arc::clone(course), ids));
    };
    thread::scope(|scope| {
        let runtime = &runtime;
        let async_writes = &async_writes;
        for number in 0..RUNTIMES {
            scope.spawn(move || runtime(number));
        }
        for _ in 0..THREADS {
            scope.spawn(|| plain_reads::<S>(course));
        }
        for _ in 0..refreshers {
            scope.spawn(|| plain_refreshes::<S>(course));
        }
        for ids in course.written(false) {
            scope.spawn(move || async_writes(ids));
        }
        for ids in course.written(true) {
            scope.spawn(move || plain_writes::<S>(course, &ids));
        }
    });
}
