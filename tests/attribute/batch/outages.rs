//! Servers that are away, or fail for one key.

use super::*;

// The fault.

/// Calls for the same ids at the same time, each of which gets what the body returns.
async fn burst(face: Face, cache: &Cache, source: &Arc<Source>, calls: usize) {
    let calls: Vec<_> = (0..calls).map(|_| spawn(face, cache, source, [1, 2, 3])).collect();
    for call in calls {
        assert_eq!(finished(call).await, source.rows(&[1, 2, 3]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_every_batch_succeeds() {
    for face in FACES {
        let cache = Cache::builder(&format!("redis://127.0.0.1:{}", free_port())).unwrap().build();
        let source = Source::open();
        for _ in 0..3 {
            burst(face, &cache, &source, 100).await;
        }
        // The server gets one probe at a time and nothing else, and calls share what runs.
        let source = Source::closed();
        let calls: Vec<_> = (0..20).map(|_| spawn(face, &cache, &source, [1, 2, 3])).collect();
        entered(&source, 1).await;
        test_support::given_time("all of them have come", |pause| {
            thread::sleep(pause);
            source.gate.entered() >= 1
        });
        source.gate.open();
        for call in calls {
            assert_eq!(finished(call).await, source.rows(&[1, 2, 3]));
        }
        let asked = source.asked();
        assert!(asked.len() <= 5, "{} bodies for 20 calls", asked.len());
        assert_eq!(cache.stats().stored, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_fails_costs_a_batch_no_more_than_a_deadline_or_two() {
    const TIMEOUT: Duration = Duration::from_millis(200);
    type Act = fn(&Server);
    let faults: [(&str, Act, Act); 4] = [
        ("hung", Server::stop, Server::cont),
        ("killed", Server::kill, Server::restart),
        ("read-only", |server| drop(server.cli(&["REPLICAOF", "127.0.0.1", "1"])), Server::promote),
        (
            "out of memory",
            |server| drop(server.cli(&["CONFIG", "SET", "maxmemory", "1"])),
            |server| drop(server.cli(&["CONFIG", "SET", "maxmemory", "0"])),
        ),
    ];
    for (name, strike, heal) in faults {
        for face in FACES {
            let server = Server::start();
            let cache = Cache::builder(&server.url()).unwrap().timeout(TIMEOUT).build();
            let source = Source::open();
            call(face, &cache, &source, [1]).await;
            strike(&server);
            for _ in 0..3 {
                let begun = Instant::now();
                burst(face, &cache, &source, 100).await;
                let elapsed = begun.elapsed();
                assert!(elapsed < TIMEOUT * 2 + Duration::from_secs(1), "{name} {face:?}: {elapsed:?}");
            }
            heal(&server);
            source.asked();
            in_time("all are stored", async || {
                call(face, &cache, &source, [1, 2, 3]).await;
                source.asked().is_empty()
            })
            .await;
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_one_slot_is_wrong_with_one_id() {
    let server = Server::start();
    for face in FACES {
        let cache = other(&server);
        cache.invalidate_all([1, 2, 3].map(|id| rows_entry(&cache, id))).await.unwrap();
        let source = Source::open();
        server.cli(&["RPUSH", "batch:row:2", "not a value"]);
        for _ in 0..2 {
            assert_eq!(call(face, &cache, &source, [1, 2, 3]).await, source.rows(&[1, 2, 3]));
        }
        assert_eq!(source.asked(), [vec![1, 2, 3], vec![2]]);
        assert_eq!(server.cli(&["TYPE", "batch:row:2"]), "list", "it is left alone");
        let stats = cache.stats();
        assert_eq!((stats.misses, stats.hits, stats.bypasses, stats.stored), (2, 2, 2, 2), "{stats:?}");
        server.cli(&["DEL", "batch:row:2"]);
        call(face, &cache, &source, [1, 2, 3]).await;
        source.asked();

        // Bytes that were damaged, cut, or are another's.
        for damage in [
            &["SETRANGE", "batch:row:2", "120", "x~~~~"][..],
            &["SET", "batch:row:2", "V"],
            &["SET", "batch:row:2", ""],
            &["COPY", "batch:row:1", "batch:row:2", "REPLACE"],
        ] {
            assert!(!server.cli(damage).starts_with("(error)"), "{damage:?}");
            for _ in 0..2 {
                assert_eq!(call(face, &cache, &source, [1, 2, 3]).await, source.rows(&[1, 2, 3]));
            }
            assert_eq!(source.asked(), [[2]], "{damage:?}");
        }
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_made_is_one_id_uncached() {
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Odd(u64);
    impl Serialize for Odd {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if self.0.is_multiple_of(2) {
                return Err(serde::ser::Error::custom("even"));
            }
            self.0.serialize(serializer)
        }
    }
    impl<'de> Deserialize<'de> for Odd {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Odd, D::Error> {
            u64::deserialize(deserializer).map(Odd)
        }
    }
    #[redis_cached(prefix = "odd", name = "odds", batch(id in ids), cache = cache, skip(cache, source))]
    async fn odds(cache: &Cache, source: &Source, ids: &[Odd]) -> HashMap<Odd, u64> {
        source.load(&ids.iter().map(|id| id.0).collect::<Vec<_>>()).await;
        ids.iter().map(|id| (id.clone(), id.0)).collect()
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        let ids = [1, 2, 3, 4].map(Odd);
        for _ in 0..2 {
            assert_eq!(odds(&cache, &source, &ids).await.len(), 4);
        }
        assert_eq!(source.asked(), [vec![1, 2, 3, 4], vec![2, 4]]);
        let stats = cache.stats();
        assert_eq!((stats.misses, stats.hits, stats.bypasses, stats.stored), (2, 2, 4, 2), "{stats:?}");
    }
}

#[tokio::test]
async fn a_connection_that_closes_between_read_and_lease_is_made_anew() {
    let server = Server::start();
    for face in FACES {
        let proxy = server.proxy();
        let cache = Cache::builder(&proxy.url()).unwrap().timeout(PATIENCE).build();
        cache.invalidate_all((0..5).map(|id| rows_entry(&cache, id))).await.unwrap();
        let source = Source::open();
        call(face, &cache, &source, [4]).await; // connects
        source.asked();
        // The command that asks for leases says how long they last.
        proxy.set(Mode::HoldFrom("PX"));
        let batch = spawn(face, &cache, &source, [1, 2, 3]);
        in_time("the leases are asked for", async || proxy.held() > 0).await;
        proxy.set(Mode::Pass);
        proxy.close_clients();
        assert_eq!(finished(batch).await, source.rows(&[1, 2, 3]));
        assert_eq!(source.asked(), [[1, 2, 3]]);
        assert_eq!(call(face, &cache, &source, [1, 2, 3]).await, source.rows(&[1, 2, 3]));
        assert_eq!(source.asked(), [[0; 0]; 0], "stored, over a new connection");
        // The first request still arrives, and takes nothing away.
        proxy.deliver(|| ());
        assert_eq!(call(face, &cache, &source, [1, 2, 3]).await, source.rows(&[1, 2, 3]));
        assert_eq!(source.asked(), [[0; 0]; 0]);
    }
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_not_asked_by_every_batch() {
    // A replica is not even read from; one that is full still answers reads.
    for (reads, setting) in [(false, ["REPLICAOF", "127.0.0.1", "1"]), (true, ["CONFIG", "maxmemory", "1"])] {
        for face in FACES {
            let server = Server::start();
            // With a longer time-out, each read would ask for the server's role.
            let cache = Cache::builder(&server.url()).unwrap().timeout(Duration::from_secs(2)).build();
            let source = Source::open();
            call(face, &cache, &source, [1]).await; // connects
            match setting {
                ["CONFIG", name, value] => server.cli(&["CONFIG", "SET", name, value]),
                command => server.cli(&command),
            };
            burst(face, &cache, &source, 20).await;
            let mut monitor = server.monitor();
            for _ in 0..20 {
                burst(face, &cache, &source, 1).await;
            }
            let commands = names(&monitor.commands());
            let count = |asked: &[&str]| commands.iter().filter(|name| asked.contains(&name.as_str())).count();
            assert_eq!(count(&["MGET"]), if reads { 20 } else { 0 }, "{face:?}: {commands:?}");
            // A batch tries now and then. Only the `TIME` that follows the refused command is seen here.
            assert!(count(&["TIME"]) <= 6, "{face:?}: {commands:?}");
        }
    }
}
