//! The suite for all requirements on a store. It runs over memory, and over a real server, one that sentinels know, and a
//! cluster through both faces, with and without TLS, with keys of their own and with fields of hashes.

mod many;
mod marks;
mod on_a_server;
mod tags;

use std::cell::Cell;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::memory::MemoryStore;
use super::{Precondition, ReadMode, Release, Store, TakeReply};
use crate::key::{Key, KeyWriter};
use crate::plan::ttl::Ttl;
use crate::poll::block_on::block_on;
use crate::stored::envelope::{self, Lease, Seal, Token};

thread_local! {
    /// True if the suite's slots are those of a group.
    static GROUPED: Cell<bool> = const { Cell::new(false) };
}

fn key(name: &str) -> Key {
    let mut writer = match GROUPED.get() {
        true => KeyWriter::of_group("", "conformance"),
        false => KeyWriter::new("", "conformance"),
    };
    if GROUPED.get() {
        writer.literal(":group").field("slot");
    }
    writer.arg("name", name).finish().expect("a string is a key")
}

fn token() -> Token {
    Token::random().expect("randomness")
}

fn lease() -> Lease {
    Lease::new(token(), Seal::default(), 60_000)
}

fn by() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

const MINUTE: Ttl = Ttl::Millis(60_000);

/// Repeats `attempt` with longer and longer times, in milliseconds: on a machine that stands still meanwhile, what ends by
/// itself may have ended before it is looked at.
async fn with_time(what: &str, mut attempt: impl AsyncFnMut(u64) -> bool) {
    for millis in [300, 1_500, 6_000] {
        if attempt(millis).await {
            return;
        }
    }
    panic!("not even with seconds: {what}");
}

/// A value of `length` bytes: the front of an unmarked value, then a pattern.
fn value(length: usize, seed: u8) -> Bytes {
    let mut bytes: Vec<u8> = (0..length).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed)).collect();
    bytes[..2].copy_from_slice(b"V\x02");
    envelope::mark(&mut bytes, None, 0);
    bytes.into()
}

/// The store's clock, which is one clock for all keys here.
fn now(store: &impl Store) -> u64 {
    store.now(&key("time"))
}

async fn read(store: &impl Store, key: &Key) -> Option<Bytes> {
    store.read(key, ReadMode::Shared, by()).await.expect("the store answers").bytes
}

async fn acquired(store: &impl Store, key: &Key, lease: &Lease) -> bool {
    matches!(store.take(key, lease, &Precondition::Empty, by()).await, Ok(TakeReply::Taken))
}

/// `expiry` returns the rest of a slot's lifetime, by another way than the store.
async fn suite(store: &impl Store, expiry: &(dyn Fn(&Key) -> Option<Ttl> + Sync)) {
    an_empty_slot_is_taken_once(store).await;
    a_fill_needs_the_lease(store).await;
    large_values_fill_under_the_same_rules(store, expiry).await;
    displacing_compares(store).await;
    take_overrides(store).await;
    release_and_renew_compare(store, expiry).await;
    invalidation_counts(store).await;
    lifetimes(store, expiry).await;
    the_clock_is_a_clock(store).await;
    marks::suite(store, expiry).await;
    tags::suite(store).await;
    many::suite(store, expiry).await;
    if GROUPED.get() {
        groups_go_whole(store, expiry).await;
    }
}

async fn groups_go_whole(store: &impl Store, expiry: &(dyn Fn(&Key) -> Option<Ttl> + Sync)) {
    let group = Key::of_group("", "conformance:group").unwrap();
    store.invalidate(std::slice::from_ref(&group), by()).await.unwrap();
    assert_eq!(store.count(&group, u64::MAX, Duration::from_secs(20)).await.unwrap(), 0);
    assert_eq!(store.invalidate(std::slice::from_ref(&group), by()).await.unwrap(), 0);
    let (one, two, three) = (key("one"), key("two"), key("three"));
    for (key, ttl) in [(&one, Ttl::Millis(90_000)), (&two, MINUTE)] {
        let lease = lease();
        assert!(acquired(store, key, &lease).await);
        assert!(store.fill(key, &lease, value(200, 1), ttl, by()).await.unwrap());
    }
    let leased = lease();
    assert!(acquired(store, &three, &leased).await);
    assert_eq!(store.count(&group, u64::MAX, Duration::from_secs(20)).await.unwrap(), 2, "a lease is no entry");
    assert!(matches!(expiry(&one), Some(Ttl::Millis(80_000..=90_000))));
    assert!(matches!(expiry(&two), Some(Ttl::Millis(50_000..=60_000))));

    assert_eq!(store.invalidate(std::slice::from_ref(&one), by()).await.unwrap(), 1);
    assert_eq!(
        (read(store, &one).await, store.count(&group, u64::MAX, Duration::from_secs(20)).await.unwrap()),
        (None, 1)
    );
    assert_eq!(store.invalidate(std::slice::from_ref(&group), by()).await.unwrap(), 1);
    assert_eq!((read(store, &two).await, read(store, &three).await), (None, None));
    assert!(!store.fill(&three, &leased, value(200, 1), MINUTE, by()).await.unwrap(), "voided");
    assert_eq!(store.count(&group, u64::MAX, Duration::from_secs(20)).await.unwrap(), 0);
}

async fn an_empty_slot_is_taken_once(store: &impl Store) {
    let (key, first, second) = (key("taken once"), lease(), lease());
    assert_eq!(read(store, &key).await, None);
    assert!(acquired(store, &key, &first).await);
    match store.take(&key, &second, &Precondition::Empty, by()).await {
        Ok(TakeReply::Held(held)) => assert_eq!(held.bytes.as_deref(), Some(first.bytes())),
        other => panic!("{other:?}"),
    }
    assert_eq!(read(store, &key).await.as_deref(), Some(first.bytes()));
}

async fn a_fill_needs_the_lease(store: &impl Store) {
    let (key, first, second) = (key("fill"), lease(), lease());
    let old = value(200, 1);
    let new = value(300, 2);
    assert!(!store.fill(&key, &first, old.clone(), MINUTE, by()).await.unwrap(), "no lease");
    assert_eq!(read(store, &key).await, None, "and nothing stored");
    assert!(acquired(store, &key, &first).await);
    assert!(!store.fill(&key, &second, new.clone(), MINUTE, by()).await.unwrap(), "another's lease");
    assert!(store.fill(&key, &first, old.clone(), MINUTE, by()).await.unwrap());
    assert_eq!(read(store, &key).await, Some(old.clone()));
    assert!(!store.fill(&key, &first, new.clone(), MINUTE, by()).await.unwrap(), "a lease fills once");
    assert_eq!(read(store, &key).await, Some(old));

    store.invalidate(std::slice::from_ref(&key), by()).await.unwrap();
    assert!(acquired(store, &key, &first).await);
    store.invalidate(std::slice::from_ref(&key), by()).await.unwrap();
    assert!(!store.fill(&key, &first, new.clone(), MINUTE, by()).await.unwrap(), "voided");
    assert!(acquired(store, &key, &second).await);
    assert!(!store.fill(&key, &first, new, MINUTE, by()).await.unwrap(), "and taken by another");
    assert_eq!(read(store, &key).await.as_deref(), Some(second.bytes()));
}

async fn large_values_fill_under_the_same_rules(store: &impl Store, expiry: &(dyn Fn(&Key) -> Option<Ttl> + Sync)) {
    for length in [16 << 10, 33 << 10, 300 << 10, 3 << 20] {
        let (key, first, second) = (key(&format!("large {length}")), lease(), lease());
        let bytes = value(length, 3);
        assert!(acquired(store, &key, &first).await);
        assert!(store.fill(&key, &first, bytes.clone(), MINUTE, by()).await.unwrap(), "{length}");
        assert_eq!(read(store, &key).await, Some(bytes.clone()), "{length}");
        let left = expiry(&key);
        assert!(matches!(left, Some(Ttl::Millis(50_000..=60_000))), "{length}: {left:?}");

        store.take(&key, &second, &Precondition::Any, by()).await.unwrap();
        assert!(!store.fill(&key, &first, bytes.clone(), MINUTE, by()).await.unwrap(), "{length}");
        assert_eq!(read(store, &key).await.as_deref(), Some(second.bytes()), "{length}");
        assert!(store.fill(&key, &second, bytes, Ttl::Forever, by()).await.unwrap(), "{length}");
        assert_eq!(expiry(&key), Some(Ttl::Forever), "{length}");
        store.invalidate(std::slice::from_ref(&key), by()).await.unwrap();
    }
}

async fn displacing_compares(store: &impl Store) {
    let (key, first, second, third) = (key("displace"), lease(), lease(), lease());
    let old = value(500, 4);
    let mut other_head = old.to_vec();
    other_head[60] ^= 1;
    let mut longer = old.to_vec();
    longer.push(0);
    assert!(acquired(store, &key, &first).await);
    assert!(store.fill(&key, &first, old.clone(), MINUTE, by()).await.unwrap());
    for seen in [other_head, longer, first.bytes().to_vec()] {
        let displaced = store.take(&key, &second, &Precondition::Unchanged(Bytes::from(seen)), by()).await.unwrap();
        assert!(!matches!(displaced, TakeReply::Taken), "{displaced:?}");
        assert_eq!(read(store, &key).await, Some(old.clone()));
    }
    let seen = old;
    assert!(matches!(
        store.take(&key, &second, &Precondition::Unchanged(seen.clone()), by()).await,
        Ok(TakeReply::Taken)
    ));
    assert_eq!(read(store, &key).await.as_deref(), Some(second.bytes()));
    // A second caller that saw the same bytes comes too late, and leaves the newer lease.
    assert!(!matches!(
        store.take(&key, &third, &Precondition::Unchanged(seen.clone()), by()).await,
        Ok(TakeReply::Taken)
    ));
    assert_eq!(read(store, &key).await.as_deref(), Some(second.bytes()));
}

async fn take_overrides(store: &impl Store) {
    let (key, first, second) = (key("take"), lease(), lease());
    store.take(&key, &first, &Precondition::Any, by()).await.unwrap();
    store.take(&key, &second, &Precondition::Any, by()).await.unwrap();
    assert!(!store.fill(&key, &first, value(120, 5), MINUTE, by()).await.unwrap());
    assert!(store.fill(&key, &second, value(120, 6), MINUTE, by()).await.unwrap());
    store.take(&key, &first, &Precondition::Any, by()).await.unwrap();
    assert_eq!(read(store, &key).await.as_deref(), Some(first.bytes()));
}

async fn release_and_renew_compare(store: &impl Store, expiry: &(dyn Fn(&Key) -> Option<Ttl> + Sync)) {
    let (key, first) = (key("release"), lease());
    let short = Lease::new(token(), Seal::default(), 8_000);
    assert!(acquired(store, &key, &short).await);
    assert!(!store.renew(&key, &first, by()).await.unwrap());
    assert!(!store.release(&key, &first, Release::Pause(0), by()).await.unwrap());
    assert!(store.renew(&key, &short, by()).await.unwrap());
    let left = expiry(&key);
    assert!(matches!(left, Some(Ttl::Millis(1..=8_000))), "{left:?}");
    assert!(store.release(&key, &short, Release::Pause(0), by()).await.unwrap());
    assert_eq!(read(store, &key).await, None);
    assert!(!store.release(&key, &short, Release::Pause(0), by()).await.unwrap());
    assert!(!store.renew(&key, &short, by()).await.unwrap());
}

async fn invalidation_counts(store: &impl Store) {
    let keys = [key("one"), key("two"), key("three")];
    assert_eq!(store.invalidate(&keys, by()).await.unwrap(), 0);
    assert!(acquired(store, &keys[0], &lease()).await);
    store.take(&keys[2], &lease(), &Precondition::Any, by()).await.unwrap();
    assert_eq!(store.invalidate(&keys, by()).await.unwrap(), 2);
    assert_eq!(read(store, &keys[0]).await, None);
    assert_eq!(store.invalidate(&[], by()).await.unwrap(), 0);
}

async fn lifetimes(store: &impl Store, expiry: &(dyn Fn(&Key) -> Option<Ttl> + Sync)) {
    let (key, lease) = (key("lifetimes"), lease());
    assert!(acquired(store, &key, &lease).await);
    assert!(store.fill(&key, &lease, value(150, 7), Ttl::Millis(30), by()).await.unwrap());
    let filled = Instant::now();
    while read(store, &key).await.is_some() {
        assert!(filled.elapsed() < Duration::from_secs(20), "it never expires");
    }
    assert!(filled.elapsed() >= Duration::from_millis(20), "{:?}", filled.elapsed());
    assert_eq!(expiry(&key), None);
}

async fn the_clock_is_a_clock(store: &impl Store) {
    let system = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    assert!(now(store).abs_diff(system) < 2_000, "{} against {system}", now(store));
    assert_eq!(store.read(&key("time"), ReadMode::Shared, by()).await.unwrap().times.not_before, 0);
    store.ping(by()).await.unwrap();
}

#[test]
fn memory() {
    let store = MemoryStore::new(64 << 20);
    block_on(suite(&store, &|key| store.expiry(key)));
    GROUPED.set(true);
    block_on(suite(&store, &|key| store.expiry(key)));
}

/// The cases of memory alone: a server does these by itself, or differently.
mod in_memory {
    use super::*;

    fn fill(store: &MemoryStore, name: &str, bytes: usize) -> bool {
        block_on(async {
            let (key, lease) = (key(name), lease());
            store.take(&key, &lease, &Precondition::Any, by()).await.unwrap();
            store.fill(&key, &lease, value(bytes, 9), Ttl::Forever, by()).await.unwrap_or(false)
        })
    }

    fn holds(store: &MemoryStore, name: &str) -> bool {
        block_on(store.read(&key(name), ReadMode::Shared, by())).unwrap().bytes.is_some()
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_read() {
        let store = MemoryStore::new(1 << 20);
        assert!(fill(&store, "hot", 10_000));
        for n in 0..2_000 {
            assert!(holds(&store, "hot"), "after {n}");
            assert!(fill(&store, &format!("cold {n}"), 10_000));
        }
        let kept = (0..2_000).filter(|n| holds(&store, &format!("cold {n}"))).count();
        assert!((50..=105).contains(&kept), "{kept} of 10 KB each in 1 MB");
    }

    #[test]
    fn one_value_may_use_all_the_room_and_no_more() {
        let store = MemoryStore::new(1 << 20);
        for n in 0..50 {
            fill(&store, &format!("small {n}"), 1_000);
        }
        assert!(fill(&store, "large", 1_000_000));
        assert!(holds(&store, "large"));
        assert!(!fill(&store, "too large", 2_000_000));
        assert!(!holds(&store, "too large"));
    }

    #[test]
    fn a_refresh_that_has_no_room_keeps_the_value() {
        let store = MemoryStore::new(1 << 20);
        block_on(async {
            let (key, id) = (key("refreshed"), token());
            marks::put(&store, &key, &marks::sealed(&key, id, 1_000, 1), MINUTE).await;
            let lease = marks::lease();
            assert!(marks::taken(&store, &key, id, &lease).await);
            let larger = marks::sealed(&key, token(), 2_000_000, 2);
            assert!(store.fill(&key, &lease, larger, MINUTE, by()).await.is_err());
            let held = marks::read_value(&store, &key).await;
            assert_eq!((held.id, held.token), (id, None));
            assert!(marks::taken(&store, &key, id, &marks::lease()).await, "without a pause");
        });
    }

    #[test]
    fn a_value_that_is_read_stays_through_its_refresh() {
        let store = MemoryStore::new(1 << 20);
        block_on(async {
            let hot = key("hot");
            let mut id = token();
            marks::put(&store, &hot, &marks::sealed(&hot, id, 10_000, 1), MINUTE).await;
            for n in 0..1_000 {
                // Each time around, the hand passes at most once.
                assert!(read(&store, &hot).await.is_some(), "after {n}");
                let (lease, next) = (marks::lease(), token());
                assert!(marks::taken(&store, &hot, id, &lease).await, "after {n}");
                assert!(store.fill(&hot, &lease, marks::sealed(&hot, next, 10_000, 2), MINUTE, by()).await.unwrap());
                id = next;
                let cold = key(&format!("cold {n}"));
                marks::put(&store, &cold, &value(10_000, 9), Ttl::Forever).await;
            }
        });
    }

    #[test]
    fn marks_are_not_counted() {
        let store = MemoryStore::new(1 << 20);
        block_on(async {
            let (key, id) = (key("counted"), token());
            marks::put(&store, &key, &marks::sealed(&key, id, 1_000, 1), MINUTE).await;
            for _ in 0..10 {
                let lease = marks::lease();
                assert!(marks::taken(&store, &key, id, &lease).await);
                assert!(store.renew(&key, &lease, by()).await.unwrap());
                assert!(store.release(&key, &lease, Release::Pause(0), by()).await.unwrap());
            }
            let lease = marks::lease();
            assert!(marks::taken(&store, &key, id, &lease).await);
            assert!(store.fill(&key, &lease, value(5_000, 1), MINUTE, by()).await.unwrap());
            store.invalidate(std::slice::from_ref(&key), by()).await.unwrap();
        });
        assert!(store.is_empty_inside());
    }

    #[test]
    fn what_comes_and_goes_leaves_nothing() {
        let store = MemoryStore::new(1 << 20);
        for n in 0..200_000 {
            let key = key(&format!("{}", n % 7));
            block_on(async {
                store.take(&key, &lease(), &Precondition::Any, by()).await.unwrap();
                store.invalidate(std::slice::from_ref(&key), by()).await.unwrap();
            });
        }
        assert!(store.is_empty_inside());
    }
}
