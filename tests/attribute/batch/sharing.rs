//! Batches that overlap, in one process and in several, ask for each id once.

use super::*;

#[tokio::test]
async fn batches_that_overlap_ask_for_each_id_once() {
    let server = Server::start();
    for (first, second) in [(Face::Async, Face::Async), (Face::Async, Face::Plain), (Face::Plain, Face::Async)] {
        // The pairs are in one process, over memory and over the server, and in two.
        let [memory, redis] = caches(&server);
        let pairs = [[memory.clone(), memory], [redis.clone(), redis], [other(&server), other(&server)]];
        for [one, two] in pairs {
            one.invalidate_all((0..10).map(|id| rows_entry(&one, id))).await.unwrap();
            let source = Source::closed();
            let leader = spawn(first, &one, &source, [1, 2, 3]);
            entered(&source, 1).await;
            let follower = spawn(second, &two, &source, [4, 3, 2]);
            entered(&source, 2).await;
            settle(&two).await;
            source.gate.open();
            assert_eq!(finished(leader).await, source.rows(&[1, 2, 3]));
            assert_eq!(finished(follower).await, source.rows(&[2, 3, 4]));
            assert_eq!(source.asked(), [vec![1, 2, 3], vec![4]]);
        }
    }
}

/// Eight batches over overlapping ranges, from several caches or one.
async fn ranges(face: Face, caches: &[Cache]) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    #[redis_cached(prefix = "ranges", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, asked))]
    async fn range(cache: &Cache, asked: &Mutex<Vec<u64>>, ids: &[u64]) -> HashMap<u64, u64> {
        asked.lock().unwrap().extend_from_slice(ids);
        tokio::time::sleep(Duration::from_millis(20)).await;
        ids.iter().map(|id| (*id, id * 3)).collect()
    }
    #[redis_cached(prefix = "ranges", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, asked))]
    fn range_blocking(cache: &Cache, asked: &Mutex<Vec<u64>>, ids: &[u64]) -> HashMap<u64, u64> {
        asked.lock().unwrap().extend_from_slice(ids);
        thread::sleep(Duration::from_millis(20));
        ids.iter().map(|id| (*id, id * 3)).collect()
    }
    caches[0].invalidate_all((0..100).map(|id| range_entry(&caches[0], id))).await.unwrap();
    let mut calls = JoinSet::new();
    let mut wanted = BTreeSet::new();
    for (n, (first, count)) in
        [(0, 60), (50, 30), (20, 40), (79, 1), (10, 90), (40, 5), (0, 100), (70, 29)].into_iter().enumerate()
    {
        let (cache, asked) = (caches[n % caches.len()].clone(), Arc::clone(&asked));
        // Forwards, backwards, and from the middle.
        let mut ids: Vec<u64> = (first..first + count).collect();
        wanted.extend(ids.iter().copied());
        match n % 3 {
            0 => {}
            1 => ids.reverse(),
            _ => ids.rotate_left(count as usize / 2),
        }
        let check = |found: HashMap<u64, u64>, ids: &[u64]| {
            assert_eq!(found, ids.iter().map(|id| (*id, id * 3)).collect());
        };
        match face {
            Face::Async => calls.spawn(async move { check(range(&cache, &asked, &ids).await, &ids) }),
            Face::Plain => calls.spawn_blocking(move || check(range_blocking(&cache, &asked, &ids), &ids)),
        };
    }
    tokio::time::timeout(PATIENCE, calls.join_all()).await.expect("a call hangs");
    assert_eq!(sorted(asked.lock().unwrap().clone()), wanted.into_iter().collect::<Vec<_>>(), "{face:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_of_many_processes_ask_for_each_id_once() {
    let server = Server::start();
    for _ in 0..10 {
        for face in FACES {
            for cache in caches(&server) {
                ranges(face, &[cache]).await;
            }
            ranges(face, &[other(&server), other(&server), other(&server)]).await;
        }
    }
}

#[tokio::test]
async fn what_a_batch_owns_is_there_before_it_waits() {
    let server = Server::start();
    for face in FACES {
        for cache in caches(&server) {
            cache.invalidate_all([1, 2].map(|id| rows_entry(&cache, id))).await.unwrap();
            let (slow, quick) = (Source::closed(), Source::open());
            let one = spawn_one(Face::Async, &cache, &slow, 2);
            entered(&slow, 1).await;
            let batch = spawn(face, &cache, &quick, [2, 1]);
            in_time("its own is stored", async || rows_entry(&cache, 1).get().await.unwrap().is_some()).await;
            settle(&cache).await;
            assert!(!batch.is_finished(), "it waits for the other");
            slow.gate.open();
            assert_eq!(finished(one).await, slow.row(2));
            assert_eq!(finished(batch).await, slow.rows(&[1, 2]));
            assert_eq!(quick.asked(), [[1]]);
        }
    }
}

#[tokio::test]
async fn of_two_batches_that_wait_for_each_other_both_end() {
    let server = Server::start();
    for (first, second) in [(Face::Async, Face::Async), (Face::Plain, Face::Async), (Face::Plain, Face::Plain)] {
        let [memory, redis] = caches(&server);
        let pairs = [[memory.clone(), memory], [redis.clone(), redis], [other(&server), other(&server)]];
        for [one, two] in pairs {
            one.invalidate_all([1, 2].map(|id| rows_entry(&one, id))).await.unwrap();
            // The first batch finds an id that another call has leased, and which the second gets.
            let (blocker, source) = (Source::closed(), Source::closed());
            let blocking = spawn_one(Face::Async, &one, &blocker, 2);
            entered(&blocker, 1).await;
            let a = spawn(first, &one, &source, [1, 2]);
            entered(&source, 1).await;
            blocking.abort();
            let _ = blocking.await;
            in_time("it is given back", async || {
                // An entry without a value may still be leased.
                let empty = rows_entry(&one, 2).get().await.unwrap().is_none();
                empty && !is_leased(&one, &server, 2)
            })
            .await;
            let b = spawn(second, &two, &source, [2, 1]);
            entered(&source, 2).await;
            settle(&two).await;
            source.gate.open();
            assert_eq!(finished(a).await, source.rows(&[1, 2]));
            assert_eq!(finished(b).await, source.rows(&[1, 2]));
            assert_eq!(source.asked(), [[1], [2]]);
        }
    }
}

#[tokio::test]
async fn batches_and_single_calls_wait_for_each_other() {
    let server = Server::start();
    for (batch, single) in [(Face::Async, Face::Async), (Face::Plain, Face::Async), (Face::Async, Face::Plain)] {
        let [memory, redis] = caches(&server);
        let pairs = [[memory.clone(), memory], [redis.clone(), redis], [other(&server), other(&server)]];
        for [one, two] in pairs {
            one.invalidate_all((0..5).map(|id| rows_entry(&one, id))).await.unwrap();
            let source = Source::closed();
            let first = spawn_one(single, &one, &source, 1);
            entered(&source, 1).await;
            let many = spawn(batch, &two, &source, [1, 2, 3]);
            entered(&source, 2).await;
            let last = spawn_one(single, &one, &source, 3);
            settle(&one).await;
            source.gate.open();
            assert_eq!(finished(first).await, source.row(1));
            assert_eq!(finished(many).await, source.rows(&[1, 2, 3]));
            assert_eq!(finished(last).await, source.row(3));
            assert_eq!(source.asked(), [vec![1], vec![2, 3]]);
        }
    }
}

/// The calls that a body makes with the ids that it was given.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Inner {
    Itself,
    One,
    ItsRefresh,
}

#[redis_cached(prefix = "nested", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, inner))]
fn nested<'a>(
    cache: &'a Cache,
    inner: Option<Inner>,
    ids: &'a [u64],
) -> std::pin::Pin<Box<dyn Future<Output = HashMap<u64, u64>> + Send + 'a>> {
    Box::pin(async move {
        let inside = match inner {
            None => return ids.iter().map(|id| (*id, *id)).collect(),
            Some(Inner::Itself) => nested(cache, None, ids).await,
            Some(Inner::ItsRefresh) => nested_refresh(cache, None, ids).await,
            Some(Inner::One) => {
                let last = ids.last().copied().unwrap();
                HashMap::from([(last, nested_one(cache, last).await)])
            }
        };
        ids.iter().map(|id| (*id, inside.get(id).map_or(*id, |found| found + 100))).collect()
    })
}

#[redis_cached(prefix = "nested", name = "row", key = "{id}", lease = "10m", cache = cache, skip(cache))]
async fn nested_one(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "nested", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, inner))]
fn nested_blocking(cache: &Cache, inner: Option<Inner>, ids: &[u64]) -> HashMap<u64, u64> {
    let inside = match inner {
        None => return ids.iter().map(|id| (*id, *id)).collect(),
        Some(Inner::Itself) => nested_blocking(cache, None, ids),
        Some(Inner::ItsRefresh) => nested_blocking_refresh(cache, None, ids),
        Some(Inner::One) => {
            let last = ids.last().copied().unwrap();
            HashMap::from([(last, nested_one_blocking(cache, last))])
        }
    };
    ids.iter().map(|id| (*id, inside.get(id).map_or(*id, |found| found + 100))).collect()
}

#[redis_cached(prefix = "nested", name = "row", key = "{id}", lease = "10m", cache = cache, skip(cache))]
fn nested_one_blocking(cache: &Cache, id: u64) -> u64 {
    id
}

#[tokio::test]
async fn a_body_that_comes_upon_its_own_ids_computes_them() {
    let server = Server::start();
    for cache in caches(&server) {
        for inner in [Inner::Itself, Inner::One, Inner::ItsRefresh] {
            for (refresh, face) in [false, true].into_iter().flat_map(|refresh| FACES.map(|face| (refresh, face))) {
                let task = {
                    let cache = cache.clone();
                    let inner = Some(inner);
                    match (face, refresh) {
                        (Face::Async, false) => tokio::spawn(async move { nested(&cache, inner, &[1, 2]).await }),
                        (Face::Async, true) => {
                            tokio::spawn(async move { nested_refresh(&cache, inner, &[1, 2]).await })
                        }
                        (Face::Plain, false) => spawn_blocking(move || nested_blocking(&cache, inner, &[1, 2])),
                        (Face::Plain, true) => spawn_blocking(move || nested_blocking_refresh(&cache, inner, &[1, 2])),
                    }
                };
                let first = if inner == Inner::One { 1 } else { 101 };
                assert_eq!(finished(task).await, HashMap::from([(1, first), (2, 102)]), "{inner:?} {face:?} {refresh}");
                cache.invalidate_all([1, 2].map(|id| nested_entry(&cache, id))).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn single_flight_says_who_shares() {
    macro_rules! flights {
        ($name:ident, $reach:ident) => {
            #[redis_cached(
                                        prefix = "flights", batch(id in ids), single_flight = $reach, lease = "10m",
                                        cache = cache, skip(cache, source)
                                    )]
            async fn $name(cache: Cache, source: Arc<Source>, ids: &[u64]) -> Rows {
                source.load(ids).await
            }
        };
    }
    flights!(process, process);
    flights!(off, off);
    let server = Server::start();
    let [one, two] = [other(&server), other(&server)];
    let source = Source::closed();
    let calls = [&one, &one, &two, &two].map(|cache| {
        let (cache, source) = (cache.clone(), Arc::clone(&source));
        tokio::spawn(async move { process(cache, source, &[1, 2]).await })
    });
    entered(&source, 2).await;
    settle(&one).await;
    settle(&two).await;
    source.gate.open();
    for call in calls {
        assert_eq!(finished(call).await, source.rows(&[1, 2]));
    }
    assert_eq!(source.asked(), [[1, 2], [1, 2]], "one in each process");
    for cache in [one, Cache::builder("memory://").unwrap().build()] {
        let source = Source::closed();
        let calls = [(); 4].map(|()| {
            let (cache, source) = (cache.clone(), Arc::clone(&source));
            tokio::spawn(async move { off(cache, source, &[1, 2]).await })
        });
        entered(&source, 4).await;
        source.gate.open();
        for call in calls {
            assert_eq!(finished(call).await, source.rows(&[1, 2]));
        }
        assert_eq!(off(cache, source, &[1, 2]).await.len(), 2, "stored by one of them");
    }
}

#[test]
fn many_runtimes_and_none() {
    let server = Server::start();
    let cache = other(&server);
    let source = Source::open();
    thread::scope(|scope| {
        for n in 0..8 {
            let (cache, source) = (&cache, &source);
            scope.spawn(move || {
                for part in 0..10 {
                    let ids: Vec<u64> = (part * 5..part * 5 + 10).collect();
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    let found = match n % 2 {
                        0 => runtime.block_on(rows(cache, source, &ids)),
                        _ => rows_blocking(cache, source, &ids),
                    };
                    assert_eq!(found, source.rows(&ids));
                }
            });
        }
    });
    assert_eq!(sorted(source.asked().concat()), (0..55).collect::<Vec<u64>>());
}
