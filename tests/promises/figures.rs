//! What the figures of functions tell: what became of values, refreshes, and why a value could not be used.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use redis_cached::{Cache, FunctionStats, redis_cached};
use test_support::{Gate, PATIENCE, Server, caches, in_time};

fn of(cache: &Cache, function: &str) -> FunctionStats {
    cache.functions().into_iter().find(|stats| stats.function == function).expect("it was called")
}

fn remote(server: &Server) -> Cache {
    Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build()
}

#[test]
fn functions_are_told_by_the_heads_of_their_keys() {
    #[redis_cached(prefix = "figures", name = "one", cache = cache, skip(cache))]
    fn one(cache: &Cache, id: u64) -> u64 {
        id
    }
    #[redis_cached(prefix = "figures", name = "one", key = "{id}", cache = cache, skip(cache))]
    fn same(cache: &Cache, id: u64) -> u64 {
        id
    }
    #[redis_cached(prefix = "figures", name = "other", cache = cache, skip(cache))]
    fn other<T: Copy + serde::Serialize + serde::de::DeserializeOwned + 'static>(cache: &Cache, id: T) -> T {
        id
    }
    let [cache, unused] = [0; 2].map(|_| Cache::builder("memory://").unwrap().namespace("n").build());
    assert_eq!(cache.functions(), []);
    one(&cache, 1);
    same(&cache, 1);
    other(&cache, 1_u8);
    other(&cache, 'x');
    let names: Vec<_> =
        cache.functions().into_iter().map(|stats| (stats.function, stats.prefix, stats.calls.all())).collect();
    let expected = [("figures:one", 2), ("figures:other<char>", 1), ("figures:other<u8>", 1)];
    let expected = expected.map(|(function, calls)| (function.to_owned(), "figures".to_owned(), calls));
    assert_eq!(names, expected);
    assert_eq!(of(&cache, "figures:one").calls.ratio(), Some(0.5));
    assert_eq!(of(&cache, "figures:one").name, "one");
    assert_eq!(unused.functions(), [], "each cache has its own");
    let sums = (cache.stats().misses, cache.stats().hits, cache.stats().stored);
    assert_eq!(sums, (3, 1, 3));
}

#[test]
fn figures_serialize() {
    #[redis_cached(prefix = "figures", name = "written", cache = cache, skip(cache))]
    fn written(cache: &Cache, id: u64) -> u64 {
        id
    }
    let cache = Cache::builder("memory://").unwrap().build();
    written(&cache, 1);
    let json = serde_json::to_value(cache.functions()).unwrap();
    assert_eq!(json[0]["function"], "figures:written");
    assert_eq!(json[0]["calls"]["miss"], 1);
    assert_eq!(json[0]["unusable"]["type"], 0);
    assert_eq!(json[0]["bodies"]["ok"]["bounds"][0], 0.0005);
    assert_eq!(json[0]["bodies"]["ok"]["counts"].as_array().unwrap().len(), 17);
    assert_eq!(serde_json::to_value(cache.stats()).unwrap()["invalidations"]["tag"]["failed"], 0);
    assert_eq!(serde_json::to_value(cache.server_stats()).unwrap()["up"], true);
}

#[tokio::test]
async fn fills_are_told_by_what_became_of_the_value() {
    #[redis_cached(prefix = "figures", name = "filled", cache = cache, skip(cache, gate))]
    async fn filled(cache: &Cache, gate: &Gate, id: u64) -> String {
        gate.pass().await;
        "x".repeat(id as usize)
    }
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Gate::closed();
        let voided = async {
            gate.wait_for(1).await;
            filled_entry(&cache, 5000).invalidate().await.unwrap();
            gate.open();
        };
        tokio::join!(filled(&cache, &gate, 5000), voided);
        filled(&cache, &gate, 5000).await;
        let stats = of(&cache, "figures:filled");
        assert_eq!((stats.fills.stored, stats.fills.refused, stats.fills.failed), (1, 1, 0));
        assert_eq!((stats.value_bytes.count(), stats.value_bytes.counts[3]), (1, 1), "up to 16 KB");
        assert!((5000.0..5200.0).contains(&stats.value_bytes.sum), "{stats:?}");
        assert_eq!(cache.stats().invalidations.entry.delivered, 1);
    }
    // The server does not take it.
    let cache = remote(&server);
    let gate = Gate::closed();
    gate.open();
    filled(&cache, &gate, 1).await;
    gate.close();
    let away = async {
        gate.wait_for(2).await;
        server.kill();
        gate.open();
    };
    tokio::join!(filled(&cache, &gate, 2), away);
    assert_eq!(of(&cache, "figures:filled").fills.failed, 1);
    assert_eq!(cache.stats().refused, 1);
    assert!(filled_entry(&cache, 1).invalidate().await.is_err());
    assert_eq!(cache.stats().invalidations.entry.failed, 1);
    in_time("the breaker is open", async || {
        filled(&cache, &gate, 3).await;
        !cache.server_stats().up
    })
    .await;
    let stats = cache.server_stats();
    assert!(!stats.accepts_writes && stats.undelivered >= 1 && !stats.servers[0].up, "{stats:?}");
}

/// Another version of a function, as after a deploy.
#[tokio::test]
async fn unusable_values_are_told_by_the_reason() {
    mod before {
        use super::*;
        #[redis_cached(prefix = "figures", name = "deployed", cache = cache, skip(cache))]
        pub(super) async fn call(cache: &Cache, id: u64) -> u64 {
            id
        }
    }
    mod of_another_type {
        use super::*;
        #[redis_cached(prefix = "figures", name = "deployed", cache = cache, skip(cache))]
        pub(super) async fn call(cache: &Cache, id: u64) -> String {
            id.to_string()
        }
    }
    mod of_another_version {
        use super::*;
        #[redis_cached(prefix = "figures", name = "deployed", version = 2, cache = cache, skip(cache))]
        pub(super) async fn call(cache: &Cache, id: u64) -> u64 {
            id
        }
    }
    mod of_another_codec {
        use super::*;
        #[redis_cached(prefix = "figures", name = "deployed", codec = json, cache = cache, skip(cache))]
        pub(super) async fn call(cache: &Cache, id: u64) -> u64 {
            id
        }
    }
    let server = Server::start();
    // A cache for each, because functions of one name are counted together.
    let [first, second, third, fourth, fifth] = [0; 5].map(|_| remote(&server));
    before::call(&first, 1).await;
    of_another_type::call(&second, 1).await;
    before::call(&first, 1).await;
    of_another_version::call(&third, 1).await;
    before::call(&first, 1).await;
    of_another_codec::call(&fourth, 1).await;
    let unusable = |cache: &Cache| of(cache, "figures:deployed").unusable;
    assert_eq!((unusable(&second).r#type, unusable(&third).version, unusable(&fourth).codec), (1, 1, 1));
    assert_eq!((unusable(&first).r#type, unusable(&first).version), (1, 1));
    // Foreign bytes, and a copy of another key's.
    let mut connection = server.connection();
    redis::cmd("SET").arg("figures:deployed:2").arg("foreign").exec(&mut connection).unwrap();
    before::call(&fifth, 2).await;
    redis::cmd("COPY").arg("figures:deployed:2").arg("figures:deployed:3").exec(&mut connection).unwrap();
    before::call(&fifth, 3).await;
    assert_eq!((unusable(&fifth).format, unusable(&fifth).checksum), (1, 1));
    assert_eq!(of(&fifth, "figures:deployed").calls.miss, 2);
}

#[tokio::test]
async fn refreshes_are_told_by_what_became_of_them() {
    #[redis_cached(
        ttl = "50ms", stale_while_revalidate = "1h", prefix = "figures", name = "refreshed", cache = cache,
        skip(cache, runs, gate)
    )]
    async fn refreshed(
        cache: &Cache,
        runs: std::sync::Arc<AtomicUsize>,
        gate: std::sync::Arc<Gate>,
        id: u64,
    ) -> Result<u64, String> {
        gate.pass().await;
        match runs.fetch_add(1, SeqCst) {
            1 => Err("the second one fails".to_owned()),
            run => Ok(id + run as u64),
        }
    }
    let server = Server::start();
    for cache in caches(&server) {
        let (runs, gate) = (std::sync::Arc::new(AtomicUsize::new(0)), std::sync::Arc::new(Gate::closed()));
        gate.open();
        let call = async || refreshed(&cache, runs.clone(), gate.clone(), 10).await;
        call().await.unwrap();
        test_support::expired(refreshed_entry(&cache, 10)).await;
        in_time("a refresh fails", async || {
            call().await.unwrap();
            of(&cache, "figures:refreshed").refreshes.failed == 1
        })
        .await;
        in_time("a refresh succeeds", async || {
            call().await.unwrap();
            of(&cache, "figures:refreshed").refreshes.stored == 1
        })
        .await;
        let stats = of(&cache, "figures:refreshed");
        assert!(stats.calls.stale >= 2 && stats.refreshes.begun >= 2, "{stats:?}");
        assert_eq!((stats.calls.miss, stats.bodies.err.count(), stats.refreshes.unstored), (1, 1, 0), "{stats:?}");
        // One that is overtaken.
        gate.close();
        let entered = gate.entered();
        let refresh = refreshed_refresh(&cache, runs.clone(), gate.clone(), 10);
        let voided = async {
            gate.wait_for(entered + 1).await;
            refreshed_entry(&cache, 10).invalidate().await.unwrap();
            gate.open();
        };
        tokio::join!(refresh, voided).0.unwrap();
        in_time("it is counted", async || of(&cache, "figures:refreshed").refreshes.unstored >= 1).await;
        assert_eq!(cache.stats().refreshes, of(&cache, "figures:refreshed").refreshes.begun);
    }
}

#[tokio::test]
async fn time_is_saved_by_hits() {
    #[redis_cached(prefix = "figures", name = "saving", cache = cache, skip(cache))]
    async fn saving(cache: &Cache, id: u64) -> u64 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        id
    }
    let server = Server::start();
    for cache in caches(&server) {
        saving(&cache, 1).await;
        assert!(of(&cache, "figures:saving").saved_seconds.abs() < f64::EPSILON);
        saving(&cache, 1).await;
        saving(&cache, 1).await;
        let stats = of(&cache, "figures:saving");
        assert!((stats.saved_seconds - 2.0 * stats.bodies.ok.sum).abs() < 1e-4, "{stats:?}");
        assert!((0.02..).contains(&stats.bodies.ok.sum));
        assert_eq!(stats.bodies.ok.quantile(0.5).map(|bound| bound >= 0.025), Some(true));
        // No body computed this one.
        saving_entry(&cache, 2).put(&2).await.unwrap();
        saving(&cache, 2).await;
        assert!((of(&cache, "figures:saving").saved_seconds - stats.saved_seconds).abs() < f64::EPSILON);
    }
}

#[tokio::test]
async fn connections_are_told_by_what_they_are_for() {
    #[redis_cached(prefix = "figures", name = "connected", cache = cache, skip(cache))]
    async fn connected(cache: &Cache, id: u64) -> u64 {
        id
    }
    #[redis_cached(prefix = "figures", name = "connected_plain", cache = cache, skip(cache))]
    fn connected_plain(cache: &Cache, id: u64) -> u64 {
        id
    }
    let server = Server::start();
    let cache = remote(&server);
    assert_eq!(cache.server_stats().servers[0].connections, Default::default());
    connected(&cache, 1).await;
    connected_plain(&cache, 1);
    let stats = cache.server_stats();
    assert!(stats.up && stats.accepts_writes && stats.servers[0].up, "{stats:?}");
    let connections = stats.servers[0].connections;
    assert!(connections.small >= 1 && connections.blocking == 1, "{stats:?}");
    assert!(stats.servers[0].server.contains(&server.port().to_string()));
}
