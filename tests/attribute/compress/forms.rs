//! Both forms are hits for all functions, and other forms are misses.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use redis_cached::{Cache, redis_cached};
use test_support::{Server, resealed};

use super::{Report, cache, is_compressed, report_of, store, stored};

macro_rules! reader {
    ($name:ident, $($compress:tt)*) => {
        #[redis_cached(prefix = "z", name = "shared", key = "{id}", $($compress)* cache = cache, skip(cache, runs))]
        fn $name(cache: &Cache, runs: &AtomicUsize, id: u64) -> Report {
            runs.fetch_add(1, SeqCst);
            report_of(id)
        }
    };
}

reader!(without,);
reader!(with_lz4, compress = lz4,);
reader!(with_zstd, compress = zstd,);
reader!(with_off, compress = off,);

/// The identity of a function is the same with and without.
#[test]
fn each_reads_what_each_stored() {
    let server = Server::start();
    let cache = cache(&server);
    let runs = AtomicUsize::new(0);
    let all: [fn(&Cache, &AtomicUsize, u64) -> Report; 4] = [without, with_lz4, with_zstd, with_off];
    for (id, write) in (0..).zip(all) {
        write(&cache, &runs, id);
        assert_eq!(is_compressed(&stored(&server, &format!("z:shared:{id}"))), id == 1 || id == 2);
        for read in all {
            assert_eq!(read(&cache, &runs, id), report_of(id));
        }
    }
    assert_eq!((runs.load(SeqCst), cache.stats().hits), (4, 16));
    let header = |id: u64| stored(&server, &format!("z:shared:{id}"))[50..66].to_vec();
    assert!((1..4).all(|id| header(id) == header(0)), "version, codec and fingerprint");
}

/// Counts the misses for these reasons: format, decode, checksum.
fn misses(cache: &Cache) -> (u64, u64, u64) {
    let functions = cache.functions();
    let unusable = functions.iter().map(|function| &function.unusable);
    unusable.fold((0, 0, 0), |sum, it| (sum.0 + it.format, sum.1 + it.decode, sum.2 + it.checksum))
}

#[test]
fn an_algorithm_of_a_later_version_is_a_miss() {
    let server = Server::start();
    let cache = cache(&server);
    let runs = AtomicUsize::new(0);
    with_lz4(&cache, &runs, 1);
    let mut later = stored(&server, "z:shared:1");
    later[112] = 9;
    store(&server, "z:shared:1", &resealed("z:shared:1", later));
    assert_eq!(with_lz4(&cache, &runs, 1), report_of(1));
    assert_eq!((runs.load(SeqCst), misses(&cache)), (2, (1, 0, 0)));
    assert_eq!(with_lz4(&cache, &runs, 1), report_of(1));
    assert_eq!(runs.load(SeqCst), 2, "it was overwritten");
}

/// Crafted, so that the checksum fits: lengths that are no longer true, blocks that were cut off, flipped bits.
#[test]
fn lies_and_damage_are_misses() {
    let server = Server::start();
    let cache = cache(&server);
    let runs = AtomicUsize::new(0);
    for (id, call) in [(1, with_lz4 as fn(&Cache, &AtomicUsize, u64) -> Report), (2, with_zstd)] {
        let key = format!("z:shared:{id}");
        call(&cache, &runs, id);
        let intact = stored(&server, &key);
        let mut lies: Vec<Vec<u8>> = Vec::new();
        for claimed in [0, 1, 2_000, 1 << 20, u32::MAX] {
            let mut lie = intact.clone();
            lie[113..117].copy_from_slice(&u32::to_le_bytes(claimed));
            lies.push(lie);
        }
        lies.extend([117, 118, 200, intact.len() - 1].map(|len| intact[..len].to_vec()));
        lies.push([&intact[..], b"more"].concat());
        for (case, lie) in lies.into_iter().enumerate() {
            let before = (runs.load(SeqCst), misses(&cache).1);
            store(&server, &key, &resealed(&key, lie));
            assert_eq!(call(&cache, &runs, id), report_of(id), "{case}");
            assert_eq!((runs.load(SeqCst), misses(&cache).1), (before.0 + 1, before.1 + 1), "{case}");
            assert_eq!(call(&cache, &runs, id), report_of(id), "{case}");
            assert_eq!(runs.load(SeqCst), before.0 + 1, "case {case} was overwritten");
        }
    }
    // The codec of a value is not to blame: the next one is written in the same.
    assert_eq!(stored(&server, "z:shared:1")[54..58], stored(&server, "z:shared:2")[54..58]);
    without(&cache, &runs, 3);
    assert_eq!(stored(&server, "z:shared:1")[54..58], stored(&server, "z:shared:3")[54..58]);
}

/// The checksum is over what is stored.
#[test]
fn damage_is_found_before_it_is_undone() {
    let server = Server::start();
    let cache = cache(&server);
    let runs = AtomicUsize::new(0);
    with_lz4(&cache, &runs, 1);
    let intact = stored(&server, "z:shared:1");
    for at in [102, 112, 113, 116, 117, intact.len() - 1] {
        let mut damaged = intact.clone();
        damaged[at] ^= 0x10;
        store(&server, "z:shared:1", &damaged);
        assert_eq!(with_lz4(&cache, &runs, 1), report_of(1), "{at}");
    }
    assert_eq!((runs.load(SeqCst), misses(&cache)), (7, (0, 0, 6)));
}
