//! Tags that a closure makes of the value: which calls share the value of a body when such a tag is
//! invalidated before the value is in its place.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize, Serializer};
use test_support::{Server, caches};

thread_local! {
    /// A hook that runs when this thread encodes a value: its stamps have been read by then.
    static ENCODING: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

/// A version of what is at the origin.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(transparent)]
struct Version(u64);

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(meanwhile) = ENCODING.take() {
            meanwhile();
        }
        self.0.serialize(serializer)
    }
}

#[redis_cached(prefix = "own", name = "stored", tags = |_: &Version| ["team:1"], cache = cache, skip(cache, origin))]
fn stored(cache: &Cache, origin: &AtomicU64, id: u64) -> Version {
    let _ = id;
    Version(origin.load(SeqCst))
}

#[redis_cached(prefix = "own", name = "unstored", tags = |_: &Version| ["team:1"], ttl = |_: &Version| 0, cache = cache, skip(cache, origin))]
fn unstored(cache: &Cache, origin: &AtomicU64, id: u64) -> Version {
    let _ = id;
    Version(origin.load(SeqCst))
}

#[redis_cached(prefix = "own", name = "batch", tags = |_: &Version| ["team:1"], batch(id in ids), cache = cache, skip(cache, origin))]
fn batch(cache: &Cache, origin: &AtomicU64, ids: &[u64]) -> Vec<(u64, Version)> {
    ids.iter().map(|id| (*id, Version(origin.load(SeqCst)))).collect()
}

fn first_of_batch(cache: &Cache, origin: &AtomicU64, id: u64) -> Version {
    batch(cache, origin, &[id])[0].1
}

type Call = fn(&Cache, &AtomicU64, u64) -> Version;

/// Calls, and while the value is on its way invalidates its tag and calls in another thread, which
/// is given time to read the lease and to wait for this one.
fn a_call_after_the_invalidation_gets_what_is_current(cache: &Cache, call: Call, id: u64, time: Duration) {
    let origin = Arc::new(AtomicU64::new(0));
    let later: Arc<Mutex<Option<JoinHandle<Version>>>> = Arc::default();
    let meanwhile = {
        let (cache, origin, later) = (cache.clone(), Arc::clone(&origin), Arc::clone(&later));
        move || {
            origin.store(1, SeqCst);
            cache.blocking().invalidate_tag("team:1").unwrap();
            let call = thread::spawn(move || call(&cache, &origin, id));
            thread::sleep(time);
            *later.lock().unwrap_or_else(PoisonError::into_inner) = Some(call);
        }
    };
    ENCODING.set(Some(Box::new(meanwhile)));
    assert_eq!(call(cache, &origin, id), Version(0), "the call before it gets its own");
    let later = later.lock().unwrap().take().expect("the value was encoded");
    assert_eq!(later.join().unwrap(), Version(1));
    assert_eq!(call(cache, &origin, id), Version(1));
}

#[test]
fn nobody_shares_a_value_whose_tag_was_invalidated_on_its_way() {
    let server = Server::start();
    for (number, cache) in caches(&server).into_iter().enumerate() {
        for call in [stored as Call, first_of_batch] {
            // However long it takes to wait, or if it does not come to that.
            for (id, millis) in [0, 20, 200].into_iter().enumerate() {
                let id = (10 * number + id) as u64;
                a_call_after_the_invalidation_gets_what_is_current(&cache, call, id, Duration::from_millis(millis));
            }
        }
    }
}

#[test]
fn followers_of_a_value_that_is_not_stored_run_the_body() {
    let server = Server::start();
    for cache in caches(&server) {
        let origin = Arc::new(AtomicU64::new(0));
        assert_eq!(unstored(&cache, &origin, 1), Version(0));
        origin.store(1, SeqCst);
        assert_eq!(unstored(&cache, &origin, 1), Version(1));
    }
}

#[test]
fn a_value_that_was_not_asked_for_its_tags_is_a_miss() {
    #[redis_cached(prefix = "own", name = "deployed", key = "{id}", cache = cache, skip(cache))]
    fn before(cache: &Cache, id: u64) -> u64 {
        id
    }
    #[redis_cached(prefix = "own", name = "deployed", key = "{id}", tags = |_: &u64| Vec::<String>::new(), cache = cache, skip(cache))]
    fn after(cache: &Cache, id: u64) -> u64 {
        id + 1
    }
    let server = Server::start();
    for cache in caches(&server) {
        assert_eq!(before(&cache, 1), 1);
        assert_eq!(after(&cache, 1), 2, "it might have tags that nobody knows");
        assert_eq!(after(&cache, 1), 2);
        assert_eq!(cache.stats().hits, 1, "a value without any is a hit");
        assert_eq!(before(&cache, 1), 1);
    }
}
