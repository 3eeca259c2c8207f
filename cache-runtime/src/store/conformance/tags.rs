//! Stamps of tags, and the seals over them.

use bytes::Bytes;

use super::{GROUPED, MINUTE, acquired, by, token, value};
use crate::key::{Key, KeyWriter};
use crate::store::{Precondition, Read, ReadMode, Store};
use crate::stored::envelope::{self, Content, Head, Header, Identity, Lease, OwnTags, Seal};

const IDENTITY: Identity = Identity { version: 1, codec: 2, fingerprint: 3 };

/// An entry under tags.
fn key(name: &str, tags: &[&'static str]) -> Key {
    let mut writer = match GROUPED.get() {
        true => KeyWriter::of_group("space", "conformance"),
        false => KeyWriter::new("space", "conformance"),
    };
    if GROUPED.get() {
        writer.literal(":tagged").field("slot");
    }
    writer.arg("name", name);
    for tag in tags {
        writer.tag().literal(tag);
    }
    writer.finish().expect("a key")
}

fn tag(name: &str) -> Key {
    Key::of_tag("space", name)
}

async fn invalidated(store: &impl Store, tag: &Key) -> u64 {
    store.invalidate(std::slice::from_ref(tag), by()).await.expect("the store answers")
}

async fn read(store: &impl Store, key: &Key) -> Read {
    store.read(key, ReadMode::Shared, by()).await.expect("the store answers")
}

fn seal(tags: &[String], stamps: &[Bytes]) -> Seal {
    Seal::of(tags.iter().zip(stamps).map(|(tag, stamp)| (tag.as_str(), &**stamp)))
}

async fn stamped(store: &impl Store, key: &Key) -> Seal {
    let stamps = store.stamp(key.tags(), by()).await.expect("the store answers");
    seal(key.tags(), &stamps)
}

/// A value with tags of its own.
fn sealed(key: &Key, seal: Seal, own: &OwnTags) -> Bytes {
    let header = Header {
        identity: IDENTITY,
        seal,
        leased_at: 1,
        filled_at: 2,
        fresh_until: 3,
        body_micros: 4,
        negative: false,
        compressed: false,
    };
    let mut buffer = envelope::buffer(own);
    buffer.extend_from_slice(&value(200, 1));
    envelope::seal(key, token(), &header, &mut buffer);
    buffer.into()
}

pub(super) async fn suite(store: &impl Store) {
    stamps_are_made_once(store).await;
    a_seal_is_that_of_its_tags(store).await;
    leases_show_their_seal(store).await;
    own_tags_are_read_after_the_value(store).await;
}

async fn stamps_are_made_once(store: &impl Store) {
    let (one, both) = (key("one", &["red"]), key("both", &["red", "blue"]));
    for name in ["red", "blue"] {
        invalidated(store, &tag(name)).await;
    }
    assert_eq!(read(store, &one).await.seal, None, "no stamp, and no entry has that");
    let seal = stamped(store, &one).await;
    assert_ne!(seal, Seal::default());
    assert_eq!(stamped(store, &one).await, seal);
    assert_eq!(read(store, &one).await.seal, Some(seal));
    assert_eq!(read(store, &both).await.seal, None, "one of two");
    let two = stamped(store, &both).await;
    assert_eq!((read(store, &one).await.seal, read(store, &both).await.seal), (Some(seal), Some(two)));

    assert_eq!(invalidated(store, &tag("blue")).await, 1);
    assert_eq!((read(store, &one).await.seal, read(store, &both).await.seal), (Some(seal), None));
    assert_ne!(stamped(store, &both).await, two, "never the same again");
    assert_eq!(invalidated(store, &tag("red")).await, 1);
    assert_eq!(invalidated(store, &tag("red")).await, 0);
    assert_ne!(stamped(store, &one).await, seal);
}

async fn a_seal_is_that_of_its_tags(store: &impl Store) {
    let keys = [key("a", &["red"]), key("a", &["blue"]), key("a", &["blue", "red"])];
    let mut seals = Vec::new();
    for key in &keys {
        seals.push(stamped(store, key).await);
    }
    assert!(seals[0] != seals[1] && seals[1] != seals[2] && seals[0] != seals[2]);
    assert_eq!(stamped(store, &key("another", &["red", "blue"])).await, seals[2], "in any order");
}

async fn leases_show_their_seal(store: &impl Store) {
    let key = key("leased", &["red"]);
    let seal = stamped(store, &key).await;
    let lease = Lease::new(token(), seal, 10_000);
    store.take(&key, &lease, &Precondition::Any, by()).await.unwrap();
    let held = read(store, &key).await.bytes.expect("a lease");
    assert_eq!(held, lease.bytes());
    assert!(matches!(envelope::head(&held), Head::Lease(token, shown) if token == lease.token() && shown == seal));
    let peeked = store.peek(&key, by()).await.unwrap().expect("a lease");
    assert_eq!(peeked, held);
    assert!(store.renew(&key, &lease, by()).await.unwrap());
    assert!(store.fill(&key, &lease, sealed(&key, seal, &OwnTags::default()), MINUTE, by()).await.unwrap());
    let read = read(store, &key).await;
    let Content::Value(value) = envelope::parse(&key, &[IDENTITY; 2], &read.bytes.unwrap()) else { panic!("a value") };
    assert_eq!((Some(value.seal), value.own_seal), (read.seal, None));
}

async fn own_tags_are_read_after_the_value(store: &impl Store) {
    let key = key("own", &[]);
    let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
    let names = own(&["green", "r%20d"]);
    let keys: Vec<String> = names.iter().map(|name| key.tag_key(name)).collect();
    let seal = seal(&keys, &store.stamp(&keys, by()).await.unwrap());
    let lease = Lease::new(token(), Seal::default(), 10_000);
    assert!(acquired(store, &key, &lease).await);
    let value = sealed(&key, Seal::default(), &OwnTags::new(names.clone(), seal).unwrap());
    assert_eq!(envelope::own_tags(&value), names);
    assert!(store.fill(&key, &lease, value, MINUTE, by()).await.unwrap());
    let before = read(store, &key).await;
    let bytes = before.bytes.unwrap();
    let Content::Value(found) = envelope::parse(&key, &[IDENTITY; 2], &bytes) else { panic!("a value") };
    assert_eq!((before.seal, before.own_seal), (Some(Seal::default()), found.own_seal));
    assert_eq!(found.payload(&bytes), super::value(200, 1));
    invalidated(store, &tag("r d")).await;
    assert_eq!(read(store, &key).await.own_seal, None);
    store.stamp(&keys, by()).await.unwrap();
    assert_ne!(read(store, &key).await.own_seal, found.own_seal);
}
