//! What is stored: through each kind of function, verb and codec.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use redis_cached::{Cache, Compression, redis_cached};
use test_support::{Server, caches, eventually, expired, in_time};

use super::{Report, cache, is_compressed, noise, report_of, stored};

#[redis_cached(prefix = "z", name = "report", compress = lz4, cache = cache, skip(cache, runs))]
async fn report(cache: &Cache, runs: &AtomicUsize, id: u64) -> Report {
    runs.fetch_add(1, SeqCst);
    report_of(id)
}

#[redis_cached(prefix = "z", name = "plain", compress = zstd, cache = cache, skip(cache, runs))]
fn plain(cache: &Cache, runs: &AtomicUsize, id: u64) -> Result<Report, String> {
    runs.fetch_add(1, SeqCst);
    Ok(report_of(id))
}

#[redis_cached(prefix = "z", name = "reports", compress = lz4, batch(id in ids), none_ttl = "1m", cache = cache, skip(cache, runs))]
async fn reports(cache: &Cache, runs: &AtomicUsize, ids: &[u64]) -> HashMap<u64, Report> {
    runs.fetch_add(1, SeqCst);
    ids.iter().filter(|id| **id < 100).map(|id| (*id, report_of(*id))).collect()
}

#[redis_cached(prefix = "z", name = "member", compress = lz4, group = "class:{class}", cache = cache, skip(cache, runs))]
async fn member(cache: &Cache, runs: &AtomicUsize, class: u64, id: u64) -> Report {
    runs.fetch_add(1, SeqCst);
    report_of(class + id)
}

#[redis_cached(
    prefix = "z", name = "tagged", compress = lz4, tags = ["all", |report: &Report| vec![format!("of:{}", report.id)]],
    cache = cache, skip(cache, runs)
)]
fn tagged(cache: &Cache, runs: &AtomicUsize, id: u64) -> Report {
    runs.fetch_add(1, SeqCst);
    report_of(id)
}

#[redis_cached(prefix = "z", name = "text", compress = "lz4:2000", cache = cache, skip(cache))]
fn text(cache: &Cache, of: &str, len: usize) -> String {
    of.repeat(len)
}

#[tokio::test]
async fn a_hit_of_either_face_is_the_value() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        for _ in 0..3 {
            assert_eq!(report(&cache, &runs, 1).await, report_of(1));
            assert_eq!(plain(&cache, &runs, 1), Ok(report_of(1)));
        }
        assert_eq!((runs.load(SeqCst), cache.stats().hits), (2, 4));
        assert_eq!(report_entry(&cache, 1).get().await.unwrap(), Some(report_of(1)));
        assert_eq!(cache.get_all(&[report_entry(&cache, 1)]).await.unwrap(), [Some(report_of(1))]);
    }
    for key in ["z:report:1", "z:plain:1"] {
        let bytes = stored(&server, key);
        assert!(is_compressed(&bytes) && bytes.len() < 1_200, "{key}: {}", bytes.len());
    }
}

#[tokio::test]
async fn so_is_a_hit_of_a_batch_a_group_and_under_tags() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        for ids in [&[1, 2, 100][..], &[2, 1, 100], &[100, 2]] {
            let found = reports(&cache, &runs, ids).await;
            assert_eq!(found.len(), ids.len() - 1);
            assert!(found.iter().all(|(id, report)| *report == report_of(*id)));
        }
        assert_eq!(runs.load(SeqCst), 1);
        for _ in 0..2 {
            assert_eq!(member(&cache, &runs, 1, 2).await, report_of(3));
            assert_eq!(tagged(&cache, &runs, 5), report_of(5));
        }
        assert_eq!(runs.load(SeqCst), 3);
        cache.blocking().invalidate_tag("of:5").unwrap();
        assert_eq!(tagged(&cache, &runs, 5), report_of(5));
        assert_eq!(runs.load(SeqCst), 4, "the tags of the value are read without undoing it");
    }
    let field: Vec<u8> =
        redis::cmd("HGET").arg("z:#group:class:1").arg("member:1:2").query(&mut server.connection()).unwrap();
    assert!([field, stored(&server, "z:reports:1"), stored(&server, "z:tagged:5")].iter().all(|it| is_compressed(it)));
    assert!(!is_compressed(&stored(&server, "z:reports:100")), "there is no value");
}

#[tokio::test]
async fn verbs_of_entries_compress_too() {
    let server = Server::start();
    let cache = cache(&server);
    let runs = AtomicUsize::new(0);
    report_entry(&cache, 1).put(&report_of(8)).await.unwrap();
    report_entry(&cache, 2).write_through(&report_of(9), || async { Ok::<_, String>(()) }).await.unwrap();
    report_refresh(&cache, &runs, 3).await;
    plain_entry(&cache, 1).put(&report_of(8)).unwrap();
    for key in ["z:report:1", "z:report:2", "z:report:3", "z:plain:1"] {
        assert!(is_compressed(&stored(&server, key)), "{key}");
    }
    assert_eq!(report(&cache, &runs, 1).await, report_of(8));
    assert_eq!(report(&cache, &runs, 2).await, report_of(9));
    assert_eq!(plain(&cache, &runs, 1), Ok(report_of(8)));
    assert_eq!(runs.load(SeqCst), 1, "of the refresh");
}

#[tokio::test]
async fn old_values_are_undone_and_refreshed() {
    #[redis_cached(
        prefix = "z", name = "old", ttl = "30ms", stale_while_revalidate = "1h", compress = lz4, cache = cache, skip(cache, runs)
    )]
    fn old(cache: &Cache, runs: Arc<AtomicUsize>, id: u64) -> Report {
        runs.fetch_add(1, SeqCst);
        report_of(id)
    }
    #[redis_cached(
        prefix = "z", name = "fallback", ttl = "30ms", stale_if_error = "1h", compress = zstd, cache = cache, skip(cache, fails)
    )]
    async fn fallback(cache: &Cache, fails: bool, id: u64) -> Result<Report, String> {
        if fails { Err("it fails".into()) } else { Ok(report_of(id)) }
    }
    let server = Server::start();
    let cache = cache(&server);
    let runs = Arc::<AtomicUsize>::default();
    assert_eq!(old(&cache, Arc::clone(&runs), 1), report_of(1));
    eventually("it is refreshed", || {
        assert_eq!(old(&cache, Arc::clone(&runs), 1), report_of(1));
        runs.load(SeqCst) > 1
    });
    eventually("it is stored again", || cache.stats().stored > 1);
    assert!(is_compressed(&stored(&server, "z:old:1")));

    assert_eq!(fallback(&cache, false, 1).await, Ok(report_of(1)));
    expired(fallback_entry(&cache, 1)).await;
    let stale = cache.stats().stale;
    in_time("the old value is served", async || {
        assert_eq!(fallback(&cache, true, 1).await, Ok(report_of(1)));
        cache.stats().stale > stale
    })
    .await;
}

#[tokio::test]
async fn calls_that_wait_for_a_body_get_its_value() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        let calls = (report(&cache, &runs, 1), report(&cache, &runs, 1), report(&cache, &runs, 1));
        let (first, second, third) = tokio::join!(calls.0, calls.1, calls.2);
        assert!([first, second, third].iter().all(|it| *it == report_of(1)));
        assert_eq!(runs.load(SeqCst), 1);
    }
}

#[test]
fn every_codec_is_compressed() {
    macro_rules! codecs {
        ($($codec:ident)*) => {$({
            #[redis_cached(prefix = "z", name = "coded", codec = $codec, compress = lz4, cache = cache, skip(cache))]
            fn coded(cache: &Cache, codec: &str) -> Report {
                report_of(codec.len() as u64)
            }
            let server = Server::start();
            let cache = cache(&server);
            for _ in 0..2 {
                assert_eq!(coded(&cache, stringify!($codec)).id, stringify!($codec).len() as u64);
            }
            assert_eq!(cache.stats().hits, 1);
            assert!(is_compressed(&stored(&server, concat!("z:coded:", stringify!($codec)))));
        })*};
    }
    codecs!(bincode json messagepack auto);
}

#[test]
fn around_the_threshold() {
    let server = Server::start();
    let cache = cache(&server);
    // The encoding of the text has a length, and four bytes at its end.
    for (len, compressed) in [(0, false), (1, false), (1_992, false), (1_993, true), (2_000, true), (100_000, true)] {
        for _ in 0..2 {
            assert_eq!(text(&cache, "x", len).len(), len);
        }
        assert_eq!(is_compressed(&stored(&server, &format!("z:text:x:{len}"))), compressed, "{len}");
    }
    assert_eq!(cache.stats().hits, 6);
    // Most of a header and its payload are saved.
    assert_eq!(server.cli(&["STRLEN", "z:text:x:1992"]).parse::<usize>().unwrap(), 112 + 1_999);
    assert!(server.cli(&["STRLEN", "z:text:x:1993"]).parse::<usize>().unwrap() < 112 + 60);
}

#[test]
fn what_does_not_compress_is_stored_as_it_is() {
    let server = Server::start();
    let cache = cache(&server);
    let text_of = noise(5_000);
    for _ in 0..2 {
        assert_eq!(text(&cache, &text_of, 1), text_of);
    }
    let entry = text_entry(&cache, &text_of, 1);
    assert!(!is_compressed(&stored(&server, entry.key().unwrap())));
    assert_eq!(cache.stats().hits, 1);
}

#[test]
fn the_builder_decides_for_functions_that_do_not() {
    #[redis_cached(prefix = "z", name = "silent", cache = cache, skip(cache))]
    fn silent(cache: &Cache, id: u64) -> Report {
        report_of(id)
    }
    #[redis_cached(prefix = "z", name = "off", compress = off, cache = cache, skip(cache))]
    fn off(cache: &Cache, id: u64) -> Report {
        report_of(id)
    }
    let server = Server::start();
    let with = |compression| Cache::builder(&server.url()).unwrap().compress(compression).build();
    let length = |call: &dyn Fn() -> Report, key: &str| {
        let (first, hit) = (call(), call());
        assert_eq!(first, hit);
        let bytes = stored(&server, key);
        (is_compressed(&bytes), bytes.len())
    };
    let (lz4, zstd, none) = (with(Compression::LZ4), with(Compression::ZSTD), with(Compression::OFF));
    let large = with(Compression::LZ4.threshold(1 << 20));
    let [(by_lz4, lz4_len), (by_zstd, zstd_len), (by_none, none_len), (by_large, _)] = [
        length(&|| silent(&lz4, 1), "z:silent:1"),
        length(&|| silent(&zstd, 2), "z:silent:2"),
        length(&|| silent(&none, 3), "z:silent:3"),
        length(&|| silent(&large, 4), "z:silent:4"),
    ];
    assert_eq!((by_lz4, by_zstd, by_none, by_large), (true, true, false, false));
    assert!(zstd_len < lz4_len && lz4_len < none_len / 2, "{zstd_len} {lz4_len} {none_len}");
    assert!(!length(&|| off(&lz4, 1), "z:off:1").0, "the function decides");
    assert!(length(&|| plain(&none, &AtomicUsize::new(0), 7).unwrap(), "z:plain:7").0, "the function decides");
}

/// Of what was stored, sizes are what Redis got.
#[test]
fn figures_have_the_stored_sizes() {
    let server = Server::start();
    let cache = cache(&server);
    plain(&cache, &AtomicUsize::new(0), 1).unwrap();
    let functions = cache.functions();
    let sizes = &functions.iter().find(|function| function.name == "plain").unwrap().value_bytes;
    assert_eq!((sizes.count(), sizes.sum as usize), (1, stored(&server, "z:plain:1").len()));
}

#[cfg(feature = "local")]
#[tokio::test]
async fn the_local_tier_undoes_a_value_once() {
    #[redis_cached(prefix = "z", name = "kept", local = 100, compress = lz4, cache = cache, skip(cache))]
    async fn kept(cache: &Cache, id: u64) -> Report {
        report_of(id)
    }
    let server = Server::start();
    let [writer, reader] = [cache(&server), cache(&server)];
    kept(&writer, 1).await;
    assert!(is_compressed(&stored(&server, "z:kept:1")));
    let local = || reader.functions().iter().map(|function| function.calls.local).sum::<u64>();
    in_time("it is kept", async || {
        assert_eq!(kept(&reader, 1).await, report_of(1));
        local() > 0
    })
    .await;
}

/// The tier holds decoded values.
#[cfg(feature = "local")]
#[tokio::test]
async fn the_local_tier_counts_bytes_without_compression() {
    #[redis_cached(prefix = "z", name = "sized", local = 100, compress = lz4, cache = cache, skip(cache))]
    async fn sized(cache: &Cache, len: usize) -> String {
        "x".repeat(len)
    }
    let server = Server::start();
    let builder = Cache::builder(&server.url()).unwrap().timeout(test_support::PATIENCE);
    // A value that takes more than all of it is not kept.
    let cache = builder.local_max_bytes(400_000).build();
    let local = || cache.functions().iter().map(|function| function.calls.local).sum::<u64>();
    in_time("the small one is kept", async || {
        sized(&cache, 1_000_000).await;
        sized(&cache, 10_000).await;
        local() > 0
    })
    .await;
    assert!(stored(&server, "z:sized:1000000").len() < 10_000);
    let before = local();
    for _ in 0..10 {
        sized(&cache, 1_000_000).await;
    }
    assert_eq!(local(), before, "the large one is not");
}
