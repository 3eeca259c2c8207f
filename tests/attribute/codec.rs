//! `codec = …`: how values become bytes.

use redis_cached::{Bincode, Codec, CodecError, redis_cached};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Counts what it encodes, and leaves the work to another one.
struct Counting;

static ENCODED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

impl Codec for Counting {
    const NAME: &'static str = "counting-1";

    fn encode<V: Serialize + ?Sized>(value: &V, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
        ENCODED.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Bincode::encode(value, buffer)
    }

    fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, CodecError> {
        Bincode::decode(bytes)
    }
}

mod codecs {
    pub(super) use super::Counting as Custom;
}

#[redis_cached(codec = bincode)]
fn in_bincode(id: u64) -> Vec<u64> {
    vec![id]
}

#[redis_cached(codec = codecs::Custom)]
fn in_custom(id: u64) -> Vec<u64> {
    vec![id]
}

#[redis_cached(codec = Counting)]
async fn in_custom_by_name(id: u64) -> Vec<u64> {
    vec![id]
}

#[tokio::test]
async fn by_name_or_by_path() {
    for _ in 0..2 {
        assert_eq!(in_bincode(1), [1]);
        assert_eq!(in_custom(1), [1]);
        assert_eq!(in_custom_by_name(1).await, [1]);
    }
    assert_eq!(ENCODED.load(std::sync::atomic::Ordering::SeqCst), 2);
}

#[cfg(feature = "json")]
#[test]
fn json_stores_what_bincode_cannot() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    #[redis_cached(codec = json)]
    fn in_json() -> serde_json::Value {
        RUNS.fetch_add(1, Ordering::SeqCst);
        serde_json::json!({ "a": [1, "b", null] })
    }
    assert_eq!(in_json(), in_json());
    assert_eq!(RUNS.load(Ordering::SeqCst), 1);
}

#[cfg(feature = "messagepack")]
#[test]
fn messagepack() {
    #[redis_cached(codec = messagepack)]
    fn in_messagepack(id: u64) -> Vec<u64> {
        vec![id]
    }
    assert_eq!(in_messagepack(1), in_messagepack(1));
}
