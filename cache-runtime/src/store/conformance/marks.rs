//! Leases in the headers of values that stay readable.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{GROUPED, MINUTE, TakeReply, acquired, by, key, now, read, token, value, with_time};
use crate::key::Key;
use crate::plan::ttl::Ttl;
use crate::store::{MarkReply, Precondition, Release, Store};
use crate::stored::envelope::{
    self, Content, HEAD_LEN, HEADER_LEN, Head, Header, Identity, Lease, Mark, OwnTags, Seal, Token,
};

const IDENTITY: Identity = Identity { version: 1, codec: 2, fingerprint: 3 };

/// Lengths for a script, for a packet, and for a connection of its own.
const LENGTHS: [usize; 3] = [200, 300 << 10, 3 << 20];

type Expiry<'a> = &'a (dyn Fn(&Key) -> Option<Ttl> + Sync);

pub(super) fn lease() -> Lease {
    Lease::in_value(token(), Seal::default(), 10_000)
}

/// A value with a payload of `length` bytes.
pub(super) fn sealed(key: &Key, id: Token, length: usize, seed: u8) -> Bytes {
    let header = Header {
        identity: IDENTITY,
        seal: Seal::default(),
        leased_at: 1,
        filled_at: 2,
        fresh_until: 3,
        body_micros: 4,
        negative: false,
        compressed: false,
    };
    let mut buffer = envelope::buffer(&OwnTags::default());
    buffer.extend_from_slice(&value(length, seed));
    envelope::seal(key, id, &header, &mut buffer);
    buffer.into()
}

/// Stores the value, whatever the slot holds.
pub(super) async fn put(store: &impl Store, key: &Key, value: &Bytes, ttl: Ttl) {
    let lease = super::lease();
    store.take(key, &lease, &Precondition::Any, by()).await.expect("the store answers");
    assert!(store.fill(key, &lease, value.clone(), ttl, by()).await.expect("the store answers"));
}

/// The mark of the slot's value, which is intact.
pub(super) async fn read_value(store: &impl Store, key: &Key) -> Mark {
    let bytes = read(store, key).await.expect("a value");
    match (envelope::parse(key, &[IDENTITY; 2], &bytes), envelope::head(&bytes)) {
        (Content::Value(_), Head::Value(mark)) => mark,
        other => panic!("{other:?}"),
    }
}

async fn mark(store: &impl Store, key: &Key, id: Token, lease: &Lease, force: bool) -> MarkReply {
    store.mark(key, id, lease, force, by()).await.expect("the store answers")
}

pub(super) async fn taken(store: &impl Store, key: &Key, id: Token, lease: &Lease) -> bool {
    matches!(mark(store, key, id, lease, false).await, MarkReply::Taken)
}

/// The remaining time of the refresh lease or pause.
async fn left(store: &impl Store, key: &Key, id: Token) -> Option<i64> {
    match mark(store, key, id, &lease(), false).await {
        MarkReply::Until(until) => Some(until as i64 - now(store) as i64),
        _ => None,
    }
}

fn within(left: Option<Ttl>, from: u64, to: u64) -> bool {
    matches!(left, Some(Ttl::Millis(millis)) if (from..=to).contains(&millis))
}

pub(super) async fn suite(store: &impl Store, expiry: Expiry<'_>) {
    peeking_shows_the_front(store).await;
    a_value_is_marked_once(store).await;
    force_overrides(store).await;
    only_the_value_seen_is_marked(store).await;
    headers_are_not_trusted(store).await;
    marks_lapse(store).await;
    a_fill_replaces_the_value(store, expiry).await;
    a_fill_needs_the_mark(store).await;
    renewing_extends(store, expiry).await;
    releasing_pauses(store, expiry).await;
    releasing_may_remove(store).await;
    a_marked_value_outlives_its_lease(store, expiry).await;
    places_are_not_confused(store).await;
}

async fn peeking_shows_the_front(store: &impl Store) {
    let (key, lease) = (key("peek"), super::lease());
    let peek = async || store.peek(&key, by()).await.unwrap();
    assert_eq!(peek().await, None);
    assert!(acquired(store, &key, &lease).await);
    assert_eq!(peek().await.as_deref(), Some(lease.bytes()));
    for length in LENGTHS {
        let (id, marked) = (token(), self::lease());
        put(store, &key, &sealed(&key, id, length, 1), MINUTE).await;
        assert!(taken(store, &key, id, &marked).await);
        let front = peek().await.expect("a value");
        assert_eq!(front, read(store, &key).await.unwrap()[..HEAD_LEN], "{length}");
        match envelope::head(&front) {
            Head::Value(mark) => {
                assert_eq!((mark.id, mark.token), (id, Some(marked.token())), "{length}");
                assert!(mark.until > now(store), "{length}");
            }
            other => panic!("{other:?}"),
        }
    }
    let short = value(HEAD_LEN - 1, 1);
    put(store, &key, &short, MINUTE).await;
    assert_eq!(peek().await, Some(short), "all there is");
}

async fn a_value_is_marked_once(store: &impl Store) {
    let (key, id, first, second) = (key("marked"), token(), lease(), lease());
    let old = sealed(&key, id, 300, 1);
    put(store, &key, &old, MINUTE).await;
    assert!(taken(store, &key, id, &first).await);
    match mark(store, &key, id, &second, false).await {
        MarkReply::Until(until) => assert!(until.abs_diff(now(store) + 10_000) < 5_000, "{until}"),
        other => panic!("{other:?}"),
    }
    let held = read_value(store, &key).await;
    assert_eq!((held.id, held.token), (id, Some(first.token())));
    assert!(held.until.abs_diff(now(store) + 10_000) < 5_000, "{}", held.until);
    let bytes = read(store, &key).await.unwrap();
    assert_eq!((&bytes[..18], &bytes[50..]), (&old[..18], &old[50..]), "all else is as it was");
    // This is the first of two tries, whose reply was lost.
    assert!(taken(store, &key, id, &first).await);
    match store.take(&key, &super::lease(), &Precondition::Empty, by()).await.unwrap() {
        TakeReply::Held(held) => {
            let bytes = held.bytes.unwrap();
            assert!(matches!(envelope::parse(&key, &[IDENTITY; 2], &bytes), Content::Value(_)));
        }
        other => panic!("{other:?}"),
    }
}

async fn force_overrides(store: &impl Store) {
    let (key, id, first, second) = (key("forced"), token(), lease(), lease());
    put(store, &key, &sealed(&key, id, 300, 1), MINUTE).await;
    assert!(taken(store, &key, id, &first).await);
    assert!(matches!(mark(store, &key, id, &second, true).await, MarkReply::Taken));
    assert_eq!(read_value(store, &key).await.token, Some(second.token()));
    assert!(!store.renew(&key, &first, by()).await.unwrap());
    assert!(!store.release(&key, &first, Release::Pause(0), by()).await.unwrap());
    assert!(!store.fill(&key, &first, sealed(&key, token(), 10, 2), MINUTE, by()).await.unwrap());
    assert_eq!(read_value(store, &key).await.token, Some(second.token()));
    assert!(store.release(&key, &second, Release::Pause(60_000), by()).await.unwrap());
    assert!(!taken(store, &key, id, &first).await, "a pause");
    assert!(matches!(mark(store, &key, id, &first, true).await, MarkReply::Taken), "ends by force");
}

async fn only_the_value_seen_is_marked(store: &impl Store) {
    let (key, id) = (key("seen"), token());
    let changed = async |id: Token| {
        for force in [false, true] {
            let marked = mark(store, &key, id, &lease(), force).await;
            assert!(matches!(marked, MarkReply::Changed), "{marked:?}");
        }
    };
    changed(id).await;
    assert_eq!(read(store, &key).await, None, "nothing is made of it");

    let computing = Lease::new(id, Seal::default(), 10_000);
    assert!(acquired(store, &key, &computing).await);
    changed(id).await;
    assert_eq!(read(store, &key).await.as_deref(), Some(computing.bytes()));

    let old = sealed(&key, id, 300, 1);
    put(store, &key, &old, MINUTE).await;
    changed(token()).await;
    assert_eq!(read(store, &key).await, Some(old));
    let new = sealed(&key, token(), 300, 1);
    put(store, &key, &new, MINUTE).await;
    changed(id).await;
    assert_eq!(read(store, &key).await, Some(new));
}

/// A value whose length or digits make no header neither breaks a mark nor is broken by one.
async fn headers_are_not_trusted(store: &impl Store) {
    let (key, id) = (key("untrusted"), token());
    let whole = sealed(&key, id, 300, 1);
    for length in [18, 33, HEAD_LEN - 1] {
        let short = whole.slice(..length);
        put(store, &key, &short, MINUTE).await;
        assert!(matches!(mark(store, &key, id, &lease(), true).await, MarkReply::Changed), "{length}");
        assert_eq!(read(store, &key).await, Some(short));
    }
    put(store, &key, &whole.slice(..HEADER_LEN), MINUTE).await;
    assert!(taken(store, &key, id, &lease()).await, "an empty payload");
    if GROUPED.get() {
        // The mark of a field is elsewhere, and a fill overwrites the bytes in its place.
        return;
    }
    for until in
        [b"             inf", b"0xffffffffffffff", b"9e15            ", b"-000000000000001", &[0; 16], &[0xff; 16]]
    {
        let mut bytes = whole.to_vec();
        bytes[34..50].copy_from_slice(until);
        put(store, &key, &bytes.into(), MINUTE).await;
        assert!(taken(store, &key, id, &lease()).await, "{until:?}");
        assert!(read_value(store, &key).await.until > now(store), "{until:?}");
    }
    let mut bytes = whole.to_vec();
    bytes[34..50].fill(b'9');
    put(store, &key, &bytes.into(), MINUTE).await;
    assert!(left(store, &key, id).await > Some(1_000_000), "for ever");
}

async fn marks_lapse(store: &impl Store) {
    let (key, id) = (key("lapsed"), token());
    let short = Lease::in_value(token(), Seal::default(), 50);
    put(store, &key, &sealed(&key, id, 300, 1), MINUTE).await;
    let marked = Instant::now();
    assert!(taken(store, &key, id, &short).await);
    let next = lease();
    while !taken(store, &key, id, &next).await {
        assert!(marked.elapsed() < Duration::from_secs(20), "it never lapses");
    }
    assert!(marked.elapsed() >= Duration::from_millis(40), "{:?}", marked.elapsed());
    let new = sealed(&key, token(), 300, 2);
    assert!(!store.fill(&key, &short, new.clone(), MINUTE, by()).await.unwrap(), "another's by now");
    assert!(store.release(&key, &next, Release::Pause(0), by()).await.unwrap());

    assert!(taken(store, &key, id, &short).await);
    let read_at = read_value(store, &key).await.until;
    while now(store) <= read_at + 20 {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(store.fill(&key, &short, new.clone(), MINUTE, by()).await.unwrap(), "late, but nobody came");
    assert_eq!(read(store, &key).await, Some(new));
}

async fn a_fill_replaces_the_value(store: &impl Store, expiry: Expiry<'_>) {
    for old_length in LENGTHS {
        for new_length in LENGTHS {
            let case = format!("{old_length} then {new_length}");
            let (key, id, lease) = (key(&format!("refresh {case}")), token(), lease());
            let (old, new) = (sealed(&key, id, old_length, 1), sealed(&key, token(), new_length, 2));
            put(store, &key, &old, Ttl::Forever).await;
            assert!(taken(store, &key, id, &lease).await, "{case}");
            let seen = read(store, &key).await.unwrap();
            assert!(seen[50..] == old[50..], "{case}: readable");
            assert_eq!(read_value(store, &key).await.id, id, "{case}");
            assert!(store.fill(&key, &lease, new.clone(), MINUTE, by()).await.unwrap(), "{case}");
            assert!(read(store, &key).await.unwrap() == new, "{case}");
            assert!(within(expiry(&key), 50_000, 60_000), "{case}: {:?}", expiry(&key));
            // This is the first of two tries, whose reply was lost.
            assert!(!store.fill(&key, &lease, new.clone(), Ttl::Forever, by()).await.unwrap(), "{case}: once");
            assert!(read(store, &key).await.unwrap() == new, "{case}");
            assert!(within(expiry(&key), 50_000, 60_000), "{case}: {:?}", expiry(&key));

            let (id, again) = (read_value(store, &key).await.id, self::lease());
            assert!(taken(store, &key, id, &again).await, "{case}");
            assert!(store.fill(&key, &again, old.clone(), Ttl::Forever, by()).await.unwrap(), "{case}");
            assert_eq!(expiry(&key), Some(Ttl::Forever), "{case}");
            store.invalidate(std::slice::from_ref(&key), by()).await.unwrap();
        }
    }
}

async fn a_fill_needs_the_mark(store: &impl Store) {
    for length in LENGTHS {
        let (key, id, ours) = (key(&format!("refused {length}")), token(), lease());
        let (old, new) = (sealed(&key, id, length, 1), sealed(&key, token(), length, 2));
        let refused = async |why: &str| {
            let before = read(store, &key).await;
            assert!(!store.fill(&key, &ours, new.clone(), MINUTE, by()).await.unwrap(), "{length}: {why}");
            assert!(!store.renew(&key, &ours, by()).await.unwrap(), "{length}: {why}");
            assert!(!store.release(&key, &ours, Release::Pause(0), by()).await.unwrap(), "{length}: {why}");
            assert!(read(store, &key).await == before, "{length}: {why}");
        };
        let marked = async || {
            put(store, &key, &old, MINUTE).await;
            assert!(taken(store, &key, id, &ours).await, "{length}");
        };
        refused("nothing there").await;
        put(store, &key, &old, MINUTE).await;
        refused("not marked").await;

        marked().await;
        store.invalidate(std::slice::from_ref(&key), by()).await.unwrap();
        refused("invalidated").await;
        assert!(acquired(store, &key, &super::lease()).await);
        refused("and leased").await;

        marked().await;
        store.take(&key, &super::lease(), &Precondition::Any, by()).await.unwrap();
        refused("taken").await;

        marked().await;
        let seen = read(store, &key).await.unwrap();
        assert!(
            matches!(
                store.take(&key, &super::lease(), &Precondition::Unchanged(seen), by()).await,
                Ok(TakeReply::Taken)
            ),
            "{length}"
        );
        refused("displaced").await;

        marked().await;
        put(store, &key, &old, MINUTE).await;
        refused("the same value, stored anew").await;

        marked().await;
        let other = lease();
        assert!(matches!(mark(store, &key, id, &other, true).await, MarkReply::Taken), "{length}");
        refused("forced").await;
        assert!(store.fill(&key, &other, sealed(&key, token(), length, 3), MINUTE, by()).await.unwrap(), "{length}");
        refused("filled by another").await;

        marked().await;
        assert!(store.release(&key, &ours, Release::Pause(0), by()).await.unwrap(), "{length}");
        refused("released").await;
        store.invalidate(std::slice::from_ref(&key), by()).await.unwrap();
    }
}

async fn renewing_extends(store: &impl Store, expiry: Expiry<'_>) {
    let (key, id, token) = (key("renewed"), token(), token());
    let for_millis = |millis| Lease::in_value(token, Seal::default(), millis);
    put(store, &key, &sealed(&key, id, 300, 1), Ttl::Millis(20_000)).await;
    assert!(taken(store, &key, id, &for_millis(10_000)).await);
    assert!(left(store, &key, id).await.is_some_and(|left| (1..=10_100).contains(&left)));
    assert!(within(expiry(&key), 10_001, 20_000), "{:?}", expiry(&key));
    assert!(store.renew(&key, &for_millis(60_000), by()).await.unwrap());
    assert!(left(store, &key, id).await.is_some_and(|left| (50_000..=60_100).contains(&left)));
    assert!(within(expiry(&key), 50_000, 60_000), "{:?}", expiry(&key));
    let held = read_value(store, &key).await;
    assert_eq!((held.id, held.token), (id, Some(token)));
    assert!(store.renew(&key, &for_millis(10_000), by()).await.unwrap());
    assert!(left(store, &key, id).await.is_some_and(|left| (1..=10_100).contains(&left)));
    assert!(within(expiry(&key), 50_000, 60_000), "it only grows: {:?}", expiry(&key));

    put(store, &key, &sealed(&key, id, 300, 1), Ttl::Forever).await;
    let lease = lease();
    assert!(taken(store, &key, id, &lease).await);
    assert!(store.renew(&key, &lease, by()).await.unwrap());
    assert_eq!(expiry(&key), Some(Ttl::Forever));
}

async fn releasing_may_remove(store: &impl Store) {
    let (key, id, ours, other) = (key("removed"), token(), lease(), lease());
    put(store, &key, &sealed(&key, id, 300, 1), MINUTE).await;
    assert!(taken(store, &key, id, &ours).await);
    assert!(!store.release(&key, &other, Release::Remove, by()).await.unwrap(), "somebody else's");
    assert!(read(store, &key).await.is_some());
    assert!(store.release(&key, &ours, Release::Remove, by()).await.unwrap());
    assert_eq!(read(store, &key).await, None);
    assert!(acquired(store, &key, &Lease::new(token(), Seal::default(), 10_000)).await);
    assert!(!store.release(&key, &ours, Release::Remove, by()).await.unwrap());
    assert!(read(store, &key).await.is_some(), "a newer lease stays");
}

async fn releasing_pauses(store: &impl Store, expiry: Expiry<'_>) {
    let (key, id, first, second) = (key("released"), token(), lease(), lease());
    let old = sealed(&key, id, 300, 1);
    put(store, &key, &old, MINUTE).await;
    assert!(taken(store, &key, id, &first).await);
    assert!(store.release(&key, &first, Release::Pause(0), by()).await.unwrap());
    assert!(!store.release(&key, &first, Release::Pause(0), by()).await.unwrap(), "once");
    let held = read_value(store, &key).await;
    assert_eq!((held.id, held.token), (id, None));
    assert!(taken(store, &key, id, &second).await, "at once");

    let mut lease = second;
    with_time("a pause is shown", async |pause| {
        let released = Instant::now();
        assert!(store.release(&key, &lease, Release::Pause(pause), by()).await.unwrap());
        assert_eq!(read_value(store, &key).await.token, None);
        let shown = left(store, &key, id).await;
        assert!(shown.is_none_or(|left| (1..=pause as i64 + 10).contains(&left)), "{shown:?}");
        let bytes = read(store, &key).await.unwrap();
        assert_eq!((&bytes[..18], &bytes[50..]), (&old[..18], &old[50..]), "all else is as it was");
        lease = first;
        if shown.is_none() {
            // It was over, and this call has the value now.
            assert!(matches!(mark(store, &key, id, &first, true).await, MarkReply::Taken));
            return false;
        }
        while !taken(store, &key, id, &first).await {
            assert!(released.elapsed() < Duration::from_secs(20), "it never ends");
        }
        assert!(released.elapsed() >= Duration::from_millis(pause - 10), "{:?}", released.elapsed());
        true
    })
    .await;
    assert!(within(expiry(&key), 50_000, 60_000), "{:?}", expiry(&key));

    store.abandon(vec![(key.clone(), first, Release::Pause(60_000))]);
    let abandoned = Instant::now();
    while read_value(store, &key).await.token.is_some() {
        assert!(abandoned.elapsed() < Duration::from_secs(20), "it is never given back");
    }
    assert!(left(store, &key, id).await.is_some_and(|left| (50_000..=60_100).contains(&left)));

    // A lease in a slot of its own has no pause.
    let computing = super::lease();
    store.take(&key, &computing, &Precondition::Any, by()).await.unwrap();
    assert!(store.release(&key, &computing, Release::Pause(60_000), by()).await.unwrap());
    assert_eq!(read(store, &key).await, None);
    assert!(acquired(store, &key, &computing).await);
    store.abandon(vec![(key.clone(), computing, Release::Pause(60_000))]);
    let abandoned = Instant::now();
    while read(store, &key).await.is_some() {
        assert!(abandoned.elapsed() < Duration::from_secs(20), "it is never given back");
    }
    assert!(acquired(store, &key, &super::lease()).await);
}

async fn a_marked_value_outlives_its_lease(store: &impl Store, expiry: Expiry<'_>) {
    let (key, id) = (key("outlives"), token());
    let value = sealed(&key, id, 300, 1);
    put(store, &key, &value, Ttl::Millis(3_000)).await;
    assert!(taken(store, &key, id, &lease()).await);
    assert!(within(expiry(&key), 3_001, 10_000), "{:?}", expiry(&key));
    put(store, &key, &value, Ttl::Millis(30_000)).await;
    let first = Lease::in_value(token(), Seal::default(), 20_000);
    assert!(taken(store, &key, id, &first).await);
    assert!(within(expiry(&key), 20_001, 30_000), "{:?}", expiry(&key));
    assert!(matches!(
        mark(store, &key, id, &Lease::in_value(token(), Seal::default(), 60_000), false).await,
        MarkReply::Until(_)
    ));
    assert!(within(expiry(&key), 20_001, 30_000), "whoever is refused extends nothing: {:?}", expiry(&key));
    put(store, &key, &value, MINUTE).await;
    assert!(taken(store, &key, id, &lease()).await);
    assert!(within(expiry(&key), 50_000, 60_000), "{:?}", expiry(&key));
    put(store, &key, &value, Ttl::Forever).await;
    assert!(taken(store, &key, id, &lease()).await);
    assert_eq!(expiry(&key), Some(Ttl::Forever));
}

/// The same token in both places.
async fn places_are_not_confused(store: &impl Store) {
    let (key, id, token) = (key("places"), token(), token());
    let (alone, marked) = (Lease::new(token, Seal::default(), 10_000), Lease::in_value(token, Seal::default(), 10_000));
    let refused = async |lease: &Lease| {
        let before = read(store, &key).await;
        for length in LENGTHS {
            let new = sealed(&key, id, length, 2);
            assert!(!store.fill(&key, lease, new, MINUTE, by()).await.unwrap(), "{lease:?}");
        }
        assert!(!store.renew(&key, lease, by()).await.unwrap(), "{lease:?}");
        assert!(!store.release(&key, lease, Release::Pause(0), by()).await.unwrap(), "{lease:?}");
        assert_eq!(read(store, &key).await, before, "{lease:?}");
    };
    assert!(acquired(store, &key, &alone).await);
    refused(&marked).await;
    let old = sealed(&key, id, 300, 1);
    put(store, &key, &old, MINUTE).await;
    assert!(taken(store, &key, id, &marked).await);
    refused(&alone).await;
    // The token is in its place, but there is no mark.
    let mut foreign = read(store, &key).await.unwrap().to_vec();
    foreign[0] = b'X';
    put(store, &key, &foreign.into(), MINUTE).await;
    refused(&marked).await;
    refused(&alone).await;
}
