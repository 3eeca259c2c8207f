//! Many slots at once give the same results as one after another, in their order.

use bytes::Bytes;

use super::{GROUPED, MINUTE, TakeReply, by, key, lease, marks, now, read, token, value};
use crate::error::ErrorKind;
use crate::key::{Key, KeyWriter};
use crate::plan::ttl::Ttl;
use crate::store::{End, EndRequest, Precondition, Read, ReadMode, Release, STAMP_MILLIS, Store, TakeRequest};
use crate::stored::envelope::{self, HEADER_LEN, Header, Identity, Lease, OwnTags, Seal};

type Expiry<'a> = &'a (dyn Fn(&Key) -> Option<Ttl> + Sync);

/// More slots than one round trip carries.
const MANY: usize = 2_500;

pub(super) async fn suite(store: &impl Store, expiry: Expiry<'_>) {
    reads_are_those_of_each(store).await;
    takes_are_those_of_each(store).await;
    fills_and_releases_are_those_of_each(store, expiry).await;
    values_in_place_end_as_each(store).await;
    renewals_are_those_of_each(store, expiry).await;
    thousands_stay_in_order(store).await;
    one_key_twice_is_taken_once(store).await;
    a_large_part_goes_in_pieces(store).await;
    stamps_outlive_what_is_filled_under_them(store, expiry).await;
    nothing_is_no_operation(store).await;
}

/// The content of a slot before the operation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Before {
    Empty,
    /// A lease of another caller.
    Leased,
    Value(usize),
    /// Bytes of another program.
    Foreign,
}

const SLOTS: [Before; 6] = [
    Before::Value(300),
    Before::Empty,
    Before::Leased,
    Before::Value(20 << 10),
    Before::Foreign,
    Before::Value(300 << 10),
];

/// Puts the content into the slot and returns it.
async fn put(store: &impl Store, key: &Key, slot: Before) -> Option<Bytes> {
    let held = match slot {
        Before::Empty => {
            store.invalidate(std::slice::from_ref(key), by()).await.unwrap();
            return None;
        }
        Before::Leased => {
            let lease = lease();
            store.take(key, &lease, &Precondition::Any, by()).await.unwrap();
            return Some(Bytes::copy_from_slice(lease.bytes()));
        }
        Before::Value(length) => marks::sealed(key, token(), length, 1),
        // The value is too short, and not sealed.
        Before::Foreign => value(60, 1),
    };
    marks::put(store, key, &held, MINUTE).await;
    Some(held)
}

fn refs(keys: &[Key]) -> Vec<&Key> {
    keys.iter().collect()
}

fn keys(name: &str, count: usize) -> Vec<Key> {
    (0..count).map(|at| key(&format!("{name} {at}"))).collect()
}

async fn reads(store: &impl Store, keys: &[Key]) -> Vec<Option<Bytes>> {
    let reads = store.read_many(&refs(keys), by()).await;
    reads.into_iter().map(|read| read.expect("the store answers").bytes).collect()
}

async fn reads_are_those_of_each(store: &impl Store) {
    let keys = keys("read", 3 * SLOTS.len());
    let mut held = Vec::new();
    for (key, slot) in keys.iter().zip(SLOTS.into_iter().cycle()) {
        held.push(put(store, key, slot).await);
    }
    assert_eq!(reads(store, &keys).await, held);
    let backwards: Vec<Key> = keys.iter().rev().cloned().collect();
    held.reverse();
    assert_eq!(reads(store, &backwards).await, held);
    for (key, held) in backwards.iter().zip(held) {
        assert_eq!(read(store, key).await, held);
    }
    let twice = [keys[0].clone(), keys[1].clone(), keys[0].clone()];
    let read = reads(store, &twice).await;
    assert!(read[0].is_some() && read[0] == read[2] && read[1].is_none());
}

/// The reply, without bytes that differ from one to the next.
fn reply(acquired: &TakeReply, held: Option<&Bytes>) -> &'static str {
    match acquired {
        TakeReply::Taken => "taken",
        TakeReply::Held(read) if read.bytes.as_ref() == held => "held",
        TakeReply::Held(_) => "held, but other bytes",
        TakeReply::Changed => "changed",
    }
}

async fn takes_are_those_of_each(store: &impl Store) {
    let preconditions = ["nothing", "what was seen", "something else", "anything"];
    let cases: Vec<(Before, &str)> =
        SLOTS.iter().flat_map(|slot| preconditions.map(|precondition| (*slot, precondition))).collect();
    let precondition_of = |precondition: &str, held: Option<&Bytes>| match precondition {
        "nothing" => Precondition::Empty,
        // If the slot is empty, these are the bytes of a moment ago.
        "what was seen" => Precondition::Unchanged(held.cloned().unwrap_or_else(|| value(300, 9))),
        "something else" => Precondition::Unchanged(value(301, 9)),
        _ => Precondition::Any,
    };
    let (many, each) = (keys("take many", cases.len()), keys("take each", cases.len()));
    let (mut held, mut asked) = (Vec::new(), Vec::new());
    for (key, (slot, precondition)) in many.iter().zip(&cases) {
        let bytes = put(store, key, *slot).await;
        asked.push(TakeRequest { key, lease: lease(), precondition: precondition_of(precondition, bytes.as_ref()) });
        held.push(bytes);
    }
    let taken = store.take_many(&asked, by()).await;
    assert_eq!(taken.len(), cases.len());
    let now = reads(store, &many).await;
    for (at, (slot, precondition)) in cases.iter().enumerate() {
        let bytes = put(store, &each[at], *slot).await;
        let lease = lease();
        let one = store.take(&each[at], &lease, &precondition_of(precondition, bytes.as_ref()), by()).await.unwrap();
        let (one, of_many) = (reply(&one, bytes.as_ref()), reply(taken[at].as_ref().unwrap(), held[at].as_ref()));
        assert_eq!(of_many, one, "{slot:?} precondition {precondition}");
        let expected = if one == "taken" { Some(asked[at].lease.bytes()) } else { held[at].as_deref() };
        assert_eq!(now[at].as_deref(), expected, "{slot:?} precondition {precondition}");
        let left = read(store, &each[at]).await;
        let expected = if one == "taken" { Some(lease.bytes()) } else { bytes.as_deref() };
        assert_eq!(left.as_deref(), expected, "{slot:?} precondition {precondition}");
    }
    // A lease that was granted is not taken from its holder by comparison when it is requested again.
    let seen = asked.iter().zip(&held).filter_map(|(slot, held)| {
        Some(TakeRequest { key: slot.key, lease: lease(), precondition: Precondition::Unchanged(held.clone()?) })
    });
    let seen: Vec<TakeRequest<'_>> = seen.collect();
    let again = store.take_many(&seen, by()).await;
    for (slot, again) in seen.iter().zip(again) {
        let now = read(store, slot.key).await;
        assert_eq!(matches!(again, Ok(TakeReply::Taken)), now.as_deref() == Some(slot.lease.bytes()));
    }
}

/// The holder of the lease that ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stand {
    Stands,
    /// The slot was emptied meanwhile.
    Voided,
    /// Another lease is in its place.
    Overtaken,
    /// The slot was emptied, and filled by another caller.
    Replaced,
}

const STANDS: [Stand; 4] = [Stand::Stands, Stand::Voided, Stand::Overtaken, Stand::Replaced];

/// The lease.
async fn leased(store: &impl Store, key: &Key, stand: Stand) -> Lease {
    let lease = lease();
    store.take(key, &lease, &Precondition::Any, by()).await.unwrap();
    match stand {
        Stand::Stands => None,
        Stand::Voided => put(store, key, Before::Empty).await,
        Stand::Overtaken => put(store, key, Before::Leased).await,
        Stand::Replaced => put(store, key, Before::Value(300)).await,
    };
    lease
}

async fn fills_and_releases_are_those_of_each(store: &impl Store, expiry: Expiry<'_>) {
    let ends =
        [Some((100, MINUTE)), None, Some((20 << 10, Ttl::Forever)), Some((300 << 10, MINUTE)), Some((4097, MINUTE))];
    let cases: Vec<_> = STANDS.iter().flat_map(|stand| ends.map(|end| (*stand, end))).collect();
    let end_of = |key: &Key, end: Option<(usize, Ttl)>| match end {
        Some((length, ttl)) => End::Fill(marks::sealed(key, token(), length, 2), ttl),
        None => End::Release(Release::Pause(0)),
    };
    let (many, each) = (keys("end many", cases.len()), keys("end each", cases.len()));
    let (mut ended, mut before) = (Vec::new(), Vec::new());
    for (key, (stand, end)) in many.iter().zip(&cases) {
        ended.push(EndRequest { key, lease: leased(store, key, *stand).await, end: end_of(key, *end) });
        before.push(read(store, key).await);
    }
    let done: Vec<bool> =
        store.end_many(&ended, by()).await.into_iter().map(|done| done.expect("it answers")).collect();
    let now = reads(store, &many).await;
    for (at, (stand, end)) in cases.iter().enumerate() {
        let lease = leased(store, &each[at], *stand).await;
        let one = match end_of(&each[at], *end) {
            End::Fill(value, ttl) => store.fill(&each[at], &lease, value, ttl, by()).await.unwrap(),
            End::Release(release) => store.release(&each[at], &lease, release, by()).await.unwrap(),
        };
        assert_eq!((one, done[at]), (*stand == Stand::Stands, *stand == Stand::Stands), "{stand:?} {end:?}");
        match &ended[at].end {
            _ if *stand != Stand::Stands => assert_eq!(now[at], before[at], "{stand:?} {end:?}"),
            End::Release(_) => assert_eq!(now[at], None, "{end:?}"),
            End::Fill(value, ttl) => {
                assert_eq!(now[at].as_ref(), Some(value), "{end:?}");
                for left in [expiry(&many[at]), expiry(&each[at])] {
                    let is_right = match left {
                        Some(Ttl::Forever) => *ttl == Ttl::Forever,
                        Some(Ttl::Millis(left)) => *ttl == MINUTE && (50_000..=60_000).contains(&left),
                        None => false,
                    };
                    assert!(is_right, "{left:?} for {end:?}");
                }
            }
        }
    }
    // A lease ends once.
    let again: Vec<bool> =
        store.end_many(&ended, by()).await.into_iter().map(|done| done.expect("it answers")).collect();
    assert!(!again.contains(&true), "{again:?}");
    assert_eq!(reads(store, &many).await, now);
}

async fn values_in_place_end_as_each(store: &impl Store) {
    let keys = keys("in place", 4);
    let mut ended = Vec::new();
    for (at, key) in keys.iter().enumerate() {
        let (id, lease) = (token(), marks::lease());
        marks::put(store, key, &marks::sealed(key, id, 300, 1), MINUTE).await;
        assert!(marks::taken(store, key, id, &lease).await);
        let end = match at {
            0 => End::Fill(marks::sealed(key, token(), 20 << 10, 2), MINUTE),
            1 => End::Release(Release::Pause(5_000)),
            2 => End::Release(Release::Remove),
            _ => {
                store.invalidate(std::slice::from_ref(key), by()).await.unwrap();
                End::Fill(marks::sealed(key, token(), 300, 2), MINUTE)
            }
        };
        ended.push(EndRequest { key, lease, end });
    }
    let renewed =
        store.renew_many(&ended.iter().map(|slot| (slot.key.clone(), slot.lease)).collect::<Vec<_>>(), by()).await;
    assert_eq!(renewed.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [true, true, true, false]);
    let done = store.end_many(&ended, by()).await;
    assert_eq!(done.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [true, true, true, false]);
    assert_eq!(marks::read_value(store, &keys[0]).await.token, None);
    let paused = marks::read_value(store, &keys[1]).await;
    assert!(paused.token.is_none() && paused.until > now(store));
    assert_eq!((read(store, &keys[2]).await, read(store, &keys[3]).await), (None, None));
}

async fn renewals_are_those_of_each(store: &impl Store, expiry: Expiry<'_>) {
    let keys = keys("renew", STANDS.len());
    let mut leases = Vec::new();
    for (key, stand) in keys.iter().zip(STANDS) {
        leases.push((key.clone(), leased(store, key, stand).await));
    }
    // This lease was never granted.
    leases.push((key("renew nothing"), lease()));
    let renewed: Vec<bool> = store.renew_many(&leases, by()).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(renewed, [true, false, false, false, false]);
    for ((key, lease), renewed) in leases.iter().zip(renewed) {
        assert_eq!(store.renew(key, lease, by()).await.unwrap(), renewed);
    }
    let mut lease = lease();
    lease.millis = 8_000;
    store.take(&keys[0], &lease, &Precondition::Any, by()).await.unwrap();
    lease.millis = 60_000;
    assert!(matches!(expiry(&keys[0]), Some(Ttl::Millis(..=8_000))));
    assert!(store.renew_many(&[(keys[0].clone(), lease)], by()).await.only().unwrap().unwrap());
    assert!(matches!(expiry(&keys[0]), Some(Ttl::Millis(50_000..=60_000))));
}

async fn thousands_stay_in_order(store: &impl Store) {
    let keys = keys("thousands", MANY);
    let values: Vec<Bytes> =
        keys.iter().enumerate().map(|(at, key)| marks::sealed(key, token(), 100 + at % 50, at as u8)).collect();
    // Another caller holds every third slot.
    let (mut somebodys, mut asked) = (Vec::new(), Vec::new());
    for (at, key) in keys.iter().enumerate() {
        if at % 3 == 0 {
            somebodys.push(TakeRequest { key, lease: lease(), precondition: Precondition::Empty });
        }
        asked.push(TakeRequest { key, lease: lease(), precondition: Precondition::Empty });
    }
    let first = store.take_many(&somebodys, by()).await;
    assert!(first.len() == somebodys.len() && first.iter().all(|taken| matches!(taken, Ok(TakeReply::Taken))));
    let taken = store.take_many(&asked, by()).await;
    assert_eq!(taken.len(), MANY);
    for (at, taken) in taken.iter().enumerate() {
        match taken {
            Ok(TakeReply::Held(held)) => {
                assert_eq!(held.bytes.as_deref(), Some(somebodys[at / 3].lease.bytes()), "{at}")
            }
            Ok(TakeReply::Taken) => assert!(at % 3 != 0, "{at}"),
            other => panic!("{other:?} at {at}"),
        }
    }
    let leases: Vec<(Key, Lease)> = asked.iter().map(|slot| (slot.key.clone(), slot.lease)).collect();
    let renewed = store.renew_many(&leases, by()).await;
    assert!(
        renewed.len() == MANY && renewed.into_iter().enumerate().all(|(at, stands)| stands.unwrap() == (at % 3 != 0))
    );
    let ended = asked.iter().zip(&values).enumerate().map(|(at, (slot, value))| {
        let end = if at % 5 == 1 { End::Release(Release::Remove) } else { End::Fill(value.clone(), MINUTE) };
        EndRequest { key: slot.key, lease: slot.lease, end }
    });
    let done = store.end_many(&ended.collect::<Vec<_>>(), by()).await;
    assert!(done.len() == MANY && done.into_iter().enumerate().all(|(at, done)| done.unwrap() == (at % 3 != 0)));
    for (at, read) in reads(store, &keys).await.into_iter().enumerate() {
        let expected = match at {
            _ if at % 3 == 0 => Some(somebodys[at / 3].lease.bytes()),
            _ if at % 5 == 1 => None,
            _ => Some(&*values[at]),
        };
        assert_eq!(read.as_deref(), expected, "{at}");
    }
    store.invalidate(&keys, by()).await.unwrap();
}

async fn one_key_twice_is_taken_once(store: &impl Store) {
    let key = key("twice");
    let asked = [(); 2].map(|()| TakeRequest { key: &key, lease: lease(), precondition: Precondition::Empty });
    let taken = store.take_many(&asked, by()).await;
    assert!(matches!(&taken[0], Ok(TakeReply::Taken)));
    assert!(
        matches!(&taken[1], Ok(TakeReply::Held(held)) if held.bytes.as_deref() == Some(asked[0].lease.bytes())),
        "{taken:?}"
    );
    let (one, two) = (marks::sealed(&key, token(), 300, 1), marks::sealed(&key, token(), 300, 2));
    let ended = [(0, &one), (1, &two)].map(|(at, value)| {
        let lease: Lease = asked[at].lease;
        EndRequest { key: &key, lease, end: End::Fill(value.clone(), MINUTE) }
    });
    let done = store.end_many(&ended, by()).await;
    assert_eq!(done.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [true, false]);
    assert_eq!(read(store, &key).await, Some(one));
}

async fn a_large_part_goes_in_pieces(store: &impl Store) {
    let keys = keys("large", 40);
    let asked: Vec<TakeRequest<'_>> =
        keys.iter().map(|key| TakeRequest { key, lease: lease(), precondition: Precondition::Empty }).collect();
    store.take_many(&asked, by()).await.into_iter().for_each(|taken| assert!(matches!(taken, Ok(TakeReply::Taken))));
    let ended: Vec<EndRequest<'_>> = asked
        .iter()
        .enumerate()
        .map(|(at, slot)| {
            let end = match at % 4 {
                0 => End::Release(Release::Pause(0)),
                1 => End::Fill(marks::sealed(slot.key, token(), 300 << 10, 1), MINUTE),
                _ => End::Fill(marks::sealed(slot.key, token(), 100, 1), MINUTE),
            };
            EndRequest { key: slot.key, lease: slot.lease, end }
        })
        .collect();
    assert!(store.end_many(&ended, by()).await.into_iter().all(Result::unwrap));
    for (slot, read) in ended.iter().zip(reads(store, &keys).await) {
        match &slot.end {
            End::Fill(value, _) => assert_eq!(read.as_ref(), Some(value)),
            End::Release(_) => assert_eq!(read, None),
        }
    }
    store.invalidate(&keys, by()).await.unwrap();
}

/// An entry under a tag.
fn tagged(name: &str, tag: &'static str) -> Key {
    let mut writer = match GROUPED.get() {
        true => KeyWriter::of_group("space", "conformance:many"),
        false => KeyWriter::new("space", "conformance:many"),
    };
    if GROUPED.get() {
        writer.literal(":tagged").field("slot");
    }
    writer.arg("name", name).tag().literal(tag).finish().expect("a key")
}

fn under(key: &Key, seal: Seal, own: &OwnTags) -> Bytes {
    let header = Header {
        identity: Identity { version: 1, codec: 2, fingerprint: 3 },
        seal,
        leased_at: 1,
        filled_at: 2,
        fresh_until: 3,
        body_micros: 4,
        negative: false,
        compressed: false,
    };
    let mut buffer = envelope::buffer(own);
    buffer.extend_from_slice(b"payload");
    envelope::seal(key, token(), &header, &mut buffer);
    assert!(buffer.len() > HEADER_LEN);
    buffer.into()
}

async fn stamps_outlive_what_is_filled_under_them(store: &impl Store, expiry: Expiry<'_>) {
    const LONG: u64 = 3 * STAMP_MILLIS;
    let keys = [
        tagged("short", "many-a"),
        tagged("long", "many-a"),
        tagged("forever", "many-b"),
        tagged("released", "many-c"),
    ];
    let tags = ["many-a", "many-b", "many-c", "many-own"].map(|tag| Key::of_tag("space", tag));
    store.invalidate(&tags, by()).await.unwrap();
    assert!(store.read_many(&refs(&keys), by()).await.iter().all(|read| read.as_ref().unwrap().seal.is_none()));
    let own = vec![tags[3].as_str().to_owned()];
    let own_stamp = store.stamp(&own, by()).await.unwrap();
    let own_seal = Seal::of([(own[0].as_str(), &*own_stamp[0])]);
    let own = OwnTags::new(vec!["many-own".to_owned()], own_seal).unwrap();
    let mut ended = Vec::new();
    for (key, ttl) in keys.iter().zip([MINUTE, Ttl::Millis(LONG), Ttl::Forever, MINUTE]) {
        let stamps = store.stamp(key.tags(), by()).await.unwrap();
        let seal = Seal::of(key.tags().iter().zip(&stamps).map(|(tag, stamp)| (tag.as_str(), &**stamp)));
        let lease = Lease::new(token(), seal, 10_000);
        store.take(key, &lease, &Precondition::Any, by()).await.unwrap();
        let own = if key == &keys[1] { &own } else { &OwnTags::default() };
        let end = if key == &keys[3] { End::Release(Release::Pause(0)) } else { End::Fill(under(key, seal, own), ttl) };
        ended.push(EndRequest { key, lease, end });
    }
    assert!(store.end_many(&ended, by()).await.into_iter().all(Result::unwrap));
    let left = tags.each_ref().map(expiry);
    let is = |left: Option<Ttl>, least: u64| matches!(left, Some(Ttl::Millis(left)) if left >= least);
    assert!(is(left[0], LONG - 5_000), "{left:?}");
    assert_eq!(left[1], Some(Ttl::Forever));
    assert!(is(left[2], STAMP_MILLIS - 5_000) && !is(left[2], STAMP_MILLIS + 120_000), "{left:?}");
    assert!(is(left[3], LONG - 5_000), "{left:?}");
    // Each read has the seals of its own tags.
    let many = store.read_many(&refs(&keys), by()).await;
    for (key, of_many) in keys.iter().zip(many) {
        let (of_many, each) = (of_many.unwrap(), store.read(key, ReadMode::Shared, by()).await.unwrap());
        let parts = |read: &Read| (read.bytes.clone(), read.seal, read.own_seal);
        assert_eq!(parts(&of_many), parts(&each), "{key:?}");
        assert!(each.seal.is_some());
        assert_eq!(each.own_seal, Some(if key == &keys[1] { own_seal } else { Seal::default() }));
    }
    store.invalidate(&tags[..1], by()).await.unwrap();
    store.invalidate(&tags[3..], by()).await.unwrap();
    let many = store.read_many(&refs(&keys), by()).await;
    let seals: Vec<_> =
        many.into_iter().map(Result::unwrap).map(|read| (read.seal.is_some(), read.own_seal.is_some())).collect();
    assert_eq!(seals, [(false, true), (false, false), (true, true), (true, true)]);
}

async fn nothing_is_no_operation(store: &impl Store) {
    assert!(store.read_many(&[], by()).await.is_empty());
    assert!(store.take_many(&[], by()).await.is_empty());
    assert!(store.end_many(&[], by()).await.is_empty());
    assert!(store.renew_many(&[], by()).await.is_empty());
    store.abandon(Vec::new());
}

/// Reads a slot that holds no string, or whose hash is not a hash: `spoil` puts the other type there.
pub(super) async fn another_type_is_told_of_its_slot_alone(store: &impl Store, spoil: impl Fn(&Key)) {
    // In a group all slots are in the same hash.
    let count = if GROUPED.get() { 1 } else { 3 };
    let keys = keys("typed", count);
    let bad = count / 2;
    let mut ended: Vec<EndRequest<'_>> = Vec::new();
    for key in &keys {
        store.invalidate(std::slice::from_ref(key), by()).await.unwrap();
        let lease = leased(store, key, Stand::Stands).await;
        ended.push(EndRequest { key, lease, end: End::Fill(marks::sealed(key, token(), 300, 1), MINUTE) });
    }
    spoil(&keys[bad]);
    let done = store.end_many(&ended, by()).await;
    for (at, done) in done.into_iter().enumerate() {
        match done {
            Ok(done) => assert!(done && at != bad),
            Err(error) => assert!(at == bad && error.kind() == ErrorKind::WrongType, "{error}"),
        }
    }
    let read = reads(store, &keys).await;
    assert!(read.iter().enumerate().all(|(at, read)| read.is_none() == (at == bad)), "a miss: {read:?}");
    for precondition in [Precondition::Empty, Precondition::Unchanged(value(300, 1))] {
        let asked = keys.iter().map(|key| TakeRequest { key, lease: lease(), precondition: precondition.clone() });
        let taken = store.take_many(&asked.collect::<Vec<_>>(), by()).await;
        for (at, taken) in taken.into_iter().enumerate() {
            match taken {
                Ok(_) => assert_ne!(at, bad, "{precondition:?}"),
                Err(error) => assert!(at == bad && error.kind() == ErrorKind::WrongType, "{error}"),
            }
        }
    }
    let renewed =
        store.renew_many(&ended.iter().map(|slot| (slot.key.clone(), slot.lease)).collect::<Vec<_>>(), by()).await;
    for (at, renewed) in renewed.into_iter().enumerate() {
        assert_eq!(renewed.is_err(), at == bad, "{renewed:?}");
    }
}
