//! The threads that refresh plain functions: a process has a fixed number of them, and this test takes all, so that it
//! needs a process without other refreshes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use redis_cached::{Cache, redis_cached};
use test_support::{Gate, eventually};

#[test]
fn arguments_are_copied_for_a_refresh_that_starts_and_for_no_other() {
    struct Counted(Arc<AtomicUsize>);
    impl Clone for Counted {
        fn clone(&self) -> Counted {
            self.0.fetch_add(1, SeqCst);
            Counted(self.0.clone())
        }
    }
    #[redis_cached(prefix = "swr", name = "copied", ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache, gate, counted))]
    fn copied(cache: &Cache, gate: Arc<Gate>, counted: Counted, id: u64) -> u64 {
        let _ = counted;
        id + gate.pass_blocking() as u64
    }
    let cache = Cache::builder("memory://").unwrap().build();
    let (gate, copies) = (Arc::new(Gate::closed()), Arc::new(AtomicUsize::new(0)));
    let call = |id| copied(&cache, gate.clone(), Counted(copies.clone()), id);
    gate.open();
    // At most 64 threads refresh at the same time, and there is one entry more.
    for id in 0..65 {
        call(id);
    }
    assert_eq!(copies.load(SeqCst), 0, "a miss and a hit need none");
    gate.close();
    eventually("they expire", || (0..65).all(|id| copied_entry(&cache, id).get().unwrap().is_none()));
    for _ in 0..100 {
        (0..65).map(call).for_each(drop);
    }
    assert_eq!(copies.load(SeqCst), 64);
    gate.open();
}
