//! Compressed values where no feature for them is on.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use redis_cached::{Cache, redis_cached};
use test_support::{PATIENCE, Server, resealed};

#[redis_cached(prefix = "z", name = "text", cache = cache, skip(cache, runs))]
fn text(cache: &Cache, runs: &AtomicUsize, id: u64) -> String {
    runs.fetch_add(1, SeqCst);
    format!("text {id}")
}

/// Another process has the feature, and displaces what this one stores.
#[test]
fn a_compressed_value_is_a_miss_of_another_format() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    let runs = AtomicUsize::new(0);
    for (id, algorithm) in [(1, 1), (2, 2)] {
        let key = format!("z:text:{id}");
        text(&cache, &runs, id);
        let plain: Vec<u8> = redis::cmd("GET").arg(&key).query(&mut server.connection()).unwrap();
        // Only the first bytes are looked at.
        let raw_len = (plain.len() as u32 - 112).to_le_bytes();
        let mut compressed = [&plain[..112], &[algorithm], &raw_len, b"block"].concat();
        compressed[102] |= 4;
        let crafted = resealed(&key, compressed);
        redis::cmd("SET").arg(&key).arg(&crafted).exec(&mut server.connection()).unwrap();
        for _ in 0..2 {
            assert_eq!(text(&cache, &runs, id), format!("text {id}"));
        }
        assert_eq!(runs.load(SeqCst) as u64, 2 * id, "a miss, and overwritten");
    }
    assert_eq!(cache.functions()[0].unusable.format, 2);
}
