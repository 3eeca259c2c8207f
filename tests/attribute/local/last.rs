//! The last entry of a thread, which serves it without the map of all threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};
use test_support::PATIENCE;

use super::bounds::Large;
use super::{Origin, Row};

#[redis_cached(prefix = "local", name = "last", local = 100, cache = cache, skip(cache, origin))]
fn last(cache: &Cache, origin: &Origin, id: u64) -> Row {
    Row::new(id, origin.read())
}

/// Both sides of a thread that does what it is told.
struct Told {
    tell: Sender<()>,
    done: Receiver<u64>,
}

impl Told {
    fn next(&self) -> u64 {
        self.tell.send(()).unwrap();
        self.done.recv_timeout(PATIENCE).unwrap()
    }
}

#[test]
fn an_invalidation_by_another_thread_ends_it() {
    let (cache, origin) = (Cache::builder("memory://").unwrap().build(), Origin::default());
    let (tell, told) = channel::<()>();
    let (done, is_done) = channel();
    let reader = Told { tell, done: is_done };
    thread::scope(|scope| {
        let (cache, origin) = (&cache, &origin);
        scope.spawn(move || {
            while told.recv().is_ok() {
                // The clock of the tier stands still between some of these.
                let values = [(); 8].map(|()| last(cache, origin, 1).value());
                done.send(values[0]).unwrap();
            }
        });
        for version in 1..500 {
            origin.set(version);
            last_entry(cache, 1).invalidate().unwrap();
            assert_eq!(reader.next(), version, "an old value was served");
        }
        drop(reader);
    });
    assert!(cache.stats().local_hits > 1_000, "{:?}", cache.stats());
}

/// A cache that comes to be where another one was takes nothing of that one's.
#[test]
fn another_cache_takes_nothing_of_it() {
    let origin = Origin::default();
    for version in 0..300 {
        let cache = Cache::builder("memory://").unwrap().build();
        origin.set(version);
        assert!((0..8).all(|_| last(&cache, &origin, 1).value() == version));
        assert!(cache.stats().local_hits > 0, "{:?}", cache.stats());
    }
}

/// A value whose `Drop` panics, once it may.
struct Fragile;

static MAY_PANIC: AtomicBool = AtomicBool::new(false);

impl Drop for Fragile {
    fn drop(&mut self) {
        assert!(!MAY_PANIC.load(SeqCst), "this is expected");
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
struct Shared(Arc<Fragile>);

impl From<u64> for Shared {
    fn from(_: u64) -> Shared {
        Shared(Arc::new(Fragile))
    }
}

impl From<Shared> for u64 {
    fn from(_: Shared) -> u64 {
        0
    }
}

#[redis_cached(prefix = "local", local = 100, cache = cache, skip(cache))]
fn fragile(cache: &Cache, id: u64) -> Shared {
    Shared::from(id)
}

/// The thread is the last to have a value that another one invalidated. A `Drop` that panics then is no failure of its next
/// call, nor of its end, where it would be that of the process.
#[test]
fn a_drop_that_panics_harms_no_call() {
    let cache = Cache::builder("memory://").unwrap().build();
    for calls_again in [true, false] {
        let caller = || {
            for id in [2, 1, 1] {
                fragile(&cache, id);
            }
            let weak = Arc::downgrade(&fragile(&cache, 1).0);
            thread::scope(|scope| {
                scope.spawn(|| fragile_entry(&cache, 1).invalidate().unwrap());
            });
            assert!(weak.upgrade().is_some(), "the thread does not have it");
            MAY_PANIC.store(true, SeqCst);
            if calls_again {
                fragile(&cache, 2);
                assert!(weak.upgrade().is_none(), "the thread still has it");
                MAY_PANIC.store(false, SeqCst);
            }
        };
        thread::scope(|scope| scope.spawn(caller).join()).expect("the thread ends");
        MAY_PANIC.store(false, SeqCst);
    }
}

#[redis_cached(prefix = "local", local = 100, cache = cache, skip(cache))]
fn large(cache: &Cache, id: u64) -> Large {
    Large(Arc::new(vec![id as u8; 100_000]))
}

/// What threads hold that make no more calls counts for nothing, so it is small.
#[test]
fn a_large_value_is_not_held() {
    let cache = Cache::builder("memory://").unwrap().build();
    for _ in 0..3 {
        large(&cache, 1);
    }
    let kept = Arc::downgrade(&large(&cache, 1).0);
    assert!(kept.upgrade().is_some(), "the tier does not keep it");
    thread::scope(|scope| {
        scope.spawn(|| large_entry(&cache, 1).invalidate().unwrap());
    });
    assert!(kept.upgrade().is_none(), "this thread still has it");
}
