//! Bodies that fail, panic or are cancelled: no lease stays, and others take over.

use super::*;

// Bodies that come to nothing.

#[redis_cached(prefix = "fails", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, source, fails))]
async fn failing(cache: &Cache, source: &Source, fails: &AtomicBool, ids: &[u64]) -> Result<Rows, String> {
    let fails = fails.load(SeqCst);
    let rows = source.load(ids).await;
    if fails { Err(format!("of {ids:?}")) } else { Ok(rows) }
}

#[redis_cached(prefix = "fails", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, source, fails))]
fn failing_blocking(cache: &Cache, source: &Source, fails: &AtomicBool, ids: &[u64]) -> Result<Rows, String> {
    let fails = fails.load(SeqCst);
    let rows = source.load_blocking(ids);
    if fails { Err(format!("of {ids:?}")) } else { Ok(rows) }
}

#[tokio::test]
async fn an_error_is_that_of_its_caller_alone() {
    let server = Server::start();
    for face in FACES {
        let [memory, redis] = caches(&server);
        let pairs = [[memory.clone(), memory], [redis.clone(), redis], [other(&server), other(&server)]];
        for [one, two] in pairs {
            one.invalidate_all([1, 2, 3].map(|id| failing_entry(&one, id))).await.unwrap();
            let (source, fails) = (Source::closed(), Arc::new(AtomicBool::new(true)));
            let call = |cache: &Cache, ids: [u64; 2]| {
                let (cache, source, fails) = (cache.clone(), Arc::clone(&source), Arc::clone(&fails));
                match face {
                    Face::Async => tokio::spawn(async move { failing(&cache, &source, &fails, &ids).await }),
                    Face::Plain => spawn_blocking(move || failing_blocking(&cache, &source, &fails, &ids)),
                }
            };
            let fails_call = call(&one, [1, 2]);
            entered(&source, 1).await;
            fails.store(false, SeqCst);
            let waits = call(&two, [2, 3]);
            entered(&source, 2).await;
            settle(&two).await;
            source.gate.open();
            assert_eq!(finished(fails_call).await, Err("of [1, 2]".to_owned()));
            assert_eq!(finished(waits).await, Ok(source.rows(&[2, 3])));
            assert_eq!(source.asked(), [vec![1, 2], vec![3], vec![2]]);
            // Nothing is left of it, and the next call does not wait.
            assert_eq!(finished(call(&one, [1, 2])).await, Ok(source.rows(&[1, 2])));
            assert_eq!(source.asked(), [[1]]);
        }
    }
}

#[tokio::test]
async fn a_failing_body_makes_no_queue() {
    let server = Server::start();
    for cache in caches(&server) {
        let (source, fails) = (Source::closed(), Arc::new(AtomicBool::new(true)));
        let calls = (0..20).map(|_| {
            let (cache, source, fails) = (cache.clone(), Arc::clone(&source), Arc::clone(&fails));
            tokio::spawn(async move { failing(&cache, &source, &fails, &[1, 2]).await })
        });
        let calls: Vec<_> = calls.collect();
        // Two after each other, then all others at the same time.
        for bodies in [1, 2, 20] {
            entered(&source, bodies).await;
            settle(&cache).await;
            source.gate.open();
            if bodies < 20 {
                in_time("the next body", async || source.gate.entered() > bodies).await;
            }
        }
        for call in calls {
            finished(call).await.unwrap_err();
        }
        assert_eq!(source.asked().len(), 20);
    }
}

#[tokio::test]
async fn a_panic_gives_all_ids_back() {
    #[redis_cached(prefix = "panics", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, gate))]
    async fn panics(cache: &Cache, gate: &Gate, ids: &[u64]) -> HashMap<u64, usize> {
        let number = gate.pass().await;
        assert!(number > 1, "on purpose");
        ids.iter().map(|id| (*id, number)).collect()
    }
    #[redis_cached(prefix = "panics", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, gate))]
    fn panics_blocking(cache: &Cache, gate: &Gate, ids: &[u64]) -> HashMap<u64, usize> {
        let number = gate.pass_blocking();
        assert!(number > 1, "on purpose");
        ids.iter().map(|id| (*id, number)).collect()
    }
    let server = Server::start();
    for face in FACES {
        for cache in caches(&server) {
            cache.invalidate_all((0..4).map(|id| panics_entry(&cache, id))).await.unwrap();
            let gate = Arc::new(Gate::closed());
            let call = |ids: [u64; 3]| {
                let (cache, gate) = (cache.clone(), Arc::clone(&gate));
                match face {
                    Face::Async => tokio::spawn(async move { panics(&cache, &gate, &ids).await }),
                    Face::Plain => spawn_blocking(move || panics_blocking(&cache, &gate, &ids)),
                }
            };
            let first = call([1, 2, 3]);
            gate.wait_for(1).await;
            let follower = call([3, 2, 1]);
            settle(&cache).await;
            gate.open();
            assert!(first.await.unwrap_err().is_panic());
            // A single body or two ran: a thread may look just when the ids are given back.
            let found = finished(follower).await;
            assert!(found.len() == 3 && found.values().all(|number| matches!(number, 2 | 3)), "{found:?}");
            assert_eq!(finished(call([1, 2, 3])).await, found, "stored");
        }
    }
}

#[tokio::test]
async fn a_cancelled_batch_hands_over() {
    let server = Server::start();
    let [memory, redis] = caches(&server);
    let pairs = [[memory.clone(), memory], [redis.clone(), redis], [other(&server), other(&server)]];
    for [one, two] in pairs {
        one.invalidate_all([1, 2, 3].map(|id| rows_entry(&one, id))).await.unwrap();
        let source = Source::closed();
        // More than a call has patience for, if they did not count as cancelled.
        let mut calls = Vec::new();
        for n in 0..10 {
            calls.push(spawn(Face::Async, [&one, &two][n % 2], &source, [1, 2, 3]));
            if n == 0 {
                entered(&source, 1).await;
            }
        }
        settle(&one).await;
        settle(&two).await;
        calls.remove(0).abort();
        entered(&source, 2).await;
        settle(&one).await;
        assert_eq!(source.asked(), [[1, 2, 3], [1, 2, 3]]);
        source.gate.open();
        for call in calls {
            assert_eq!(finished(call).await, source.rows(&[1, 2, 3]));
        }
        assert_eq!(source.asked(), [[0; 0]; 0]);
    }
}

#[tokio::test]
async fn leaders_that_are_cancelled_one_after_another_are_replaced() {
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::closed();
        let mut calls: Vec<_> = (0..100).map(|_| spawn(Face::Async, &cache, &source, [1, 2, 3])).collect();
        for leader in 1..=5 {
            entered(&source, leader).await;
            settle(&cache).await;
            assert_eq!(source.gate.entered(), leader, "one at a time");
            // Which one leads is not known: cancel one after another until another body begins.
            while source.gate.entered() == leader {
                let call = calls.remove(0);
                call.abort();
                let _ = call.await;
                settle(&cache).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        source.gate.open();
        for call in calls {
            assert_eq!(finished(call).await, source.rows(&[1, 2, 3]));
        }
        assert_eq!(source.gate.entered(), 6);
    }
}

#[tokio::test]
async fn a_batch_that_is_cancelled_anywhere_leaves_no_lease() {
    let server = Server::start();
    let ids: Vec<u64> = (0..20).collect();
    for cache in caches(&server) {
        let source = Source::open();
        let slot = |id: u64| format!("batch:row:{id}");
        for polls in 1.. {
            cache.invalidate_all(ids.iter().map(|id| rows_entry(&cache, *id))).await.unwrap();
            let ended = test_support::polled(polls, rows(&cache, &source, &ids)).await;
            // The next call does not wait: it leads where nothing is stored, and hits elsewhere.
            let next = call(Face::Async, &cache, &source, ids.clone()).await;
            assert_eq!(next, source.rows(&ids));
            in_time("no lease is left", async || {
                ids.iter()
                    .all(|id| !is_leased(&cache, &server, *id) || server.cli(&["GET", &slot(*id)]).starts_with('V'))
            })
            .await;
            if ended.is_some() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn ten_thousand_leases_of_a_batch_that_ends_early_are_given_back() {
    let server = Server::start();
    let ids: Vec<u64> = (0..10_000).collect();
    for face in FACES {
        let cache = other(&server);
        cache.invalidate_all(ids.iter().map(|id| failing_entry(&cache, *id))).await.unwrap();
        let source = Source::closed();
        match face {
            Face::Async => {
                let batch = {
                    let (cache, source, ids) = (cache.clone(), Arc::clone(&source), ids.clone());
                    tokio::spawn(async move { failing(&cache, &source, &AtomicBool::new(false), &ids).await })
                };
                entered(&source, 1).await;
                assert_eq!(server.cli(&["DBSIZE"]), "10000");
                let mut monitor = server.monitor();
                batch.abort();
                let _ = batch.await;
                in_time("the leases are gone", async || server.cli(&["DBSIZE"]) == "0").await;
                drop(monitor.commands());
            }
            Face::Plain => {
                source.gate.open();
                let error = failing_blocking(&cache, &source, &AtomicBool::new(true), &ids).unwrap_err();
                assert!(error.starts_with("of [0, 1"));
                in_time("the leases are gone", async || server.cli(&["DBSIZE"]) == "0").await;
            }
        }
    }
}
