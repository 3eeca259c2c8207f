//! Functions that have the same path, and so the same default name: all but the first run uncached, and the log says so once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use redis_cached::{Cache, ErrorKind, redis_cached};
use test_support::log;

/// Reaches the functions inside of constants.
trait Rate {
    fn rate(&self, id: u64) -> u64;
    fn bodies(&self) -> usize;
}

struct Net;
struct Gross;

const _: () = {
    static RUNS: AtomicUsize = AtomicUsize::new(0);

    #[redis_cached]
    fn rate_of_constants(id: u64) -> u64 {
        RUNS.fetch_add(1, Relaxed);
        id
    }

    impl Rate for Net {
        fn rate(&self, id: u64) -> u64 {
            rate_of_constants(id)
        }
        fn bodies(&self) -> usize {
            RUNS.load(Relaxed)
        }
    }
};

const _: () = {
    static RUNS: AtomicUsize = AtomicUsize::new(0);

    #[redis_cached]
    fn rate_of_constants(id: u64) -> u64 {
        RUNS.fetch_add(1, Relaxed);
        id + 100
    }

    impl Rate for Gross {
        fn rate(&self, id: u64) -> u64 {
            rate_of_constants(id)
        }
        fn bodies(&self) -> usize {
            RUNS.load(Relaxed)
        }
    }
};

#[test]
fn of_two_constants_the_second_runs_uncached() {
    log::listen();
    for _ in 0..3 {
        assert_eq!((Net.rate(1), Gross.rate(1)), (1, 101));
    }
    assert_eq!((Net.bodies(), Gross.bodies()), (1, 3));
    let lines = log::lines_about("rate_of_constants");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0].level, tracing::Level::WARN);
    let file = file!();
    assert_eq!(lines[0].text.matches(file).count(), 2, "both places: {lines:?}");
    assert!(lines[0].text.contains("write `name = \"…\"`"), "{lines:?}");
}

#[tokio::test]
async fn of_two_blocks_the_second_runs_uncached_with_all_siblings() {
    log::listen();
    static FIRST: AtomicUsize = AtomicUsize::new(0);
    static SECOND: AtomicUsize = AtomicUsize::new(0);
    {
        #[redis_cached(cache = CACHE)]
        async fn rate_of_blocks(id: u64) -> u64 {
            FIRST.fetch_add(1, Relaxed);
            id
        }
        for _ in 0..2 {
            assert_eq!(rate_of_blocks(1).await, 1);
        }
        assert_eq!(rate_of_blocks_refresh(2).await, 2);
        assert_eq!(rate_of_blocks_entry(2).get().await.unwrap(), Some(2));
    }
    {
        #[redis_cached(cache = CACHE)]
        async fn rate_of_blocks(id: u64) -> u64 {
            SECOND.fetch_add(1, Relaxed);
            id + 100
        }
        for _ in 0..2 {
            assert_eq!(rate_of_blocks(1).await, 101);
        }
        assert_eq!(rate_of_blocks_refresh(1).await, 101);
        let entry = rate_of_blocks_entry(1);
        assert_eq!(entry.get().await.unwrap_err().kind(), ErrorKind::Key);
        assert_eq!(entry.ttl().await.unwrap_err().kind(), ErrorKind::Key);
        assert_eq!(entry.put(&101).await.unwrap_err().kind(), ErrorKind::Key);
        assert_eq!(CACHE.get_all(&[rate_of_blocks_entry(1)]).await.unwrap_err().kind(), ErrorKind::Key);
        assert!(entry.invalidate().await.unwrap(), "an invalidation only costs the other function a miss");
        let _ = rate_of_blocks_entry(2).write_through(&102, async || Ok::<_, String>(())).await;
        assert_eq!(rate_of_blocks(2).await, 102);
    }
    assert_eq!((FIRST.load(Relaxed), SECOND.load(Relaxed)), (2, 4));
    let lines = log::lines_about("two functions have the same default name");
    let lines: Vec<_> = lines.iter().filter(|line| line.text.contains("rate_of_blocks")).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn a_batch_and_a_plain_function_are_told_apart_too() {
    {
        #[redis_cached(cache = CACHE, batch(id in ids))]
        fn rates(ids: &[u64]) -> HashMap<u64, u64> {
            ids.iter().map(|id| (*id, *id)).collect()
        }
        assert_eq!(rates(&[1, 2]), HashMap::from([(1, 1), (2, 2)]));
    }
    {
        #[redis_cached(cache = CACHE)]
        fn rates(id: u64) -> u64 {
            id + 100
        }
        assert_eq!((rates(1), rates(1)), (101, 101));
        assert_eq!(rates_entry(1).get().unwrap_err().kind(), ErrorKind::Key);
    }
}

#[test]
fn a_name_tells_them_apart() {
    for expected in [1, 1] {
        let found = {
            #[redis_cached(cache = CACHE, name = "left")]
            fn side(id: u64) -> u64 {
                id
            }
            side(1)
        };
        assert_eq!(found, expected);
    }
    #[redis_cached(cache = CACHE, name = "right")]
    fn side(id: u64) -> u64 {
        RIGHT.fetch_add(1, Relaxed);
        id + 100
    }
    static RIGHT: AtomicUsize = AtomicUsize::new(0);
    assert_eq!((side(1), side(1), RIGHT.load(Relaxed)), (101, 101, 1));
}

/// A place that makes functions of many paths, or one function for many types: none of them is refused.
mod of_one_place {
    use super::*;

    macro_rules! tables {
        ($($module:ident)*) => {$(
            pub(super) mod $module {
                use super::*;

                pub(in super::super) static RUNS: AtomicUsize = AtomicUsize::new(0);

                #[redis_cached(cache = CACHE)]
                pub(in super::super) fn row(id: u64) -> String {
                    RUNS.fetch_add(1, Relaxed);
                    format!("{} {id}", stringify!($module))
                }
            }
        )*};
    }
    tables!(users orders);

    pub(super) static GENERIC: AtomicUsize = AtomicUsize::new(0);

    #[redis_cached(cache = CACHE)]
    pub(super) async fn generic<T: Default + ToString>(id: u64) -> String {
        GENERIC.fetch_add(1, Relaxed);
        format!("{id}{}", T::default().to_string())
    }

    pub(super) static PROVIDED: AtomicUsize = AtomicUsize::new(0);

    pub(super) trait Find {
        fn text(&self) -> &'static str;

        #[redis_cached(cache = CACHE, skip(self))]
        fn find(&self, id: u64) -> String {
            PROVIDED.fetch_add(1, Relaxed);
            format!("{} {id}", self.text())
        }
    }
    impl Find for u8 {
        fn text(&self) -> &'static str {
            "u8"
        }
    }
    impl Find for u16 {
        fn text(&self) -> &'static str {
            "u16"
        }
    }
}

#[tokio::test]
async fn functions_of_one_place_are_cached() {
    use of_one_place::{Find, GENERIC, PROVIDED, generic, generic_refresh, orders, users};

    log::listen();
    for _ in 0..2 {
        assert_eq!((users::row(1), orders::row(1)), ("users 1".into(), "orders 1".into()));
        assert_eq!(generic::<u8>(1).await, "10");
        assert_eq!(generic::<String>(1).await, "1");
        assert_eq!((1_u8.find(1), 1_u16.find(1)), ("u8 1".into(), "u16 1".into()));
    }
    assert_eq!((users::RUNS.load(Relaxed), orders::RUNS.load(Relaxed)), (1, 1));
    assert_eq!((GENERIC.load(Relaxed), PROVIDED.load(Relaxed)), (2, 2));
    // Siblings have the place of their function.
    assert_eq!(generic_refresh::<u8>(1).await, "10");
    assert!(<u8 as Find>::find_entry(1).invalidate().unwrap());
    assert!(users::row_entry(1).invalidate().unwrap());
    assert!(log::lines_about("of_one_place").is_empty(), "{:?}", log::lines_about("of_one_place"));
}

static CACHE: std::sync::LazyLock<Cache> =
    std::sync::LazyLock::new(|| Cache::builder("memory://").expect("a URL").build());
