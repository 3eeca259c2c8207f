//! Invalidations as text: written by one process, delivered by another.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use redis_cached::{Cache, ErrorKind, Invalidation, redis_cached};
use test_support::{Gate, PATIENCE, Server, in_time};

#[redis_cached(prefix = "text", name = "user", tags = "org:{org}", cache = cache, skip(cache, runs))]
async fn user(cache: &Cache, runs: &AtomicUsize, org: &str, id: u64) -> u64 {
    org.len() as u64 + id + runs.fetch_add(1, SeqCst) as u64
}

#[redis_cached(prefix = "text", name = "plain", cache = cache, skip(cache))]
fn plain(cache: &Cache, name: &str) -> usize {
    name.len()
}

#[redis_cached(prefix = "text", name = "seat", group = "room:{room}", cache = cache, skip(cache))]
async fn seat(cache: &Cache, room: u64, id: u64) -> u64 {
    room + id
}

#[redis_cached(prefix = "text", name = "seat_plain", group = "room:{room}", cache = cache, skip(cache))]
fn seat_plain(cache: &Cache, room: u64, id: u64) -> u64 {
    room + id
}

#[redis_cached(prefix = "text", name = "gated", cache = cache, skip(cache, gate))]
async fn gated(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    gate.pass().await;
    id
}

/// A parameter of it may have no text.
#[redis_cached(prefix = "text", name = "size", cache = cache, skip(cache))]
async fn size(cache: &Cache, path: &std::path::Path) -> usize {
    path.as_os_str().len()
}

fn cache(url: &str, namespace: &str) -> Cache {
    Cache::builder(url).unwrap().namespace(namespace).timeout(PATIENCE).build()
}

fn text(invalidation: impl Into<Invalidation>) -> String {
    invalidation.into().to_string()
}

async fn deliver(cache: &Cache, text: &str) -> u64 {
    let read: Invalidation = text.parse().unwrap();
    assert_eq!(read.to_string(), text);
    cache.invalidate_all([read]).await.unwrap()
}

#[test]
fn the_text_of_each_kind() {
    let (cache, spaced) = (cache("memory://", ""), cache("memory://", "eu: 1"));
    for (text, expected) in [
        (text(user_entry(&cache, "a b", 7)), "v1 entry text:user:a%20b:7"),
        (text(plain_entry(&spaced, "x")), "v1 entry@eu%3A%201 text:plain:x"),
        (text(seat_entry(&cache, 7, 1)), "v1 entry text:#group:room:7 seat:7:1"),
        (text(seat_group(&spaced, 7)), "v1 group@eu%3A%201 text:#group:room:7"),
        (text(seat_plain_group(&cache, 7)), "v1 group text:#group:room:7"),
        (text(cache.group("text:room:7")), "v1 group text:#group:room:7"),
        (text(Invalidation::tag("org:a b\n")), "v1 tag org:a%20b%0A"),
    ] {
        assert_eq!(text, expected);
        assert_eq!(text.parse::<Invalidation>().unwrap().to_string(), expected);
    }
}

#[tokio::test]
async fn another_process_delivers_each_kind() {
    let server = Server::start();
    let runs = AtomicUsize::new(0);
    for namespace in ["", "eu"] {
        // The cache that delivers is not the one of the entries, as in another process.
        let (here, other) = (cache(&server.url(), namespace), cache(&server.url(), namespace));
        user(&here, &runs, "x", 1).await;
        plain(&here, "Ada");
        seat(&here, 7, 1).await;
        seat_plain(&here, 8, 1);

        assert_eq!(deliver(&other, &text(plain_entry(&here, "Ada"))).await, 1);
        assert_eq!(plain_entry(&here, "Ada").get().unwrap(), None);
        assert_eq!(deliver(&other, &text(seat_entry(&here, 7, 1))).await, 1);
        assert_eq!(seat_entry(&here, 7, 1).get().await.unwrap(), None);
        assert_eq!(deliver(&other, &text(seat_plain_group(&here, 8))).await, 1);
        assert_eq!(seat_plain_entry(&here, 8, 1).get().unwrap(), None);
        assert_eq!(deliver(&other, &text(Invalidation::tag("org:x"))).await, 1);
        assert_eq!(user_entry(&here, "x", 1).get().await.unwrap(), None);
        user(&here, &runs, "x", 1).await;
        assert_eq!(
            other
                .blocking()
                .invalidate_all([text(user_entry(&here, "x", 1)).parse::<Invalidation>().unwrap()])
                .unwrap(),
            1
        );
        assert_eq!(user_entry(&here, "x", 1).get().await.unwrap(), None);
    }
}

/// One process may have caches of several namespaces, and one outbox.
#[tokio::test]
async fn an_entry_keeps_its_namespace() {
    let server = Server::start();
    let (eu, us) = (cache(&server.url(), "eu"), cache(&server.url(), "us"));
    plain(&eu, "Ada");
    plain(&us, "Ada");
    assert_eq!(deliver(&us, &text(plain_entry(&eu, "Ada"))).await, 1);
    assert_eq!(plain_entry(&eu, "Ada").get().unwrap(), None);
    assert_eq!(plain_entry(&us, "Ada").get().unwrap(), Some(3));
}

#[tokio::test]
async fn it_voids_computations_of_its_own_process_too() {
    let server = Server::start();
    for cache in test_support::caches(&server) {
        let gate = Gate::closed();
        let text = text(gated_entry(&cache, 1));
        let (value, ()) = tokio::join!(gated(&cache, &gate, 1), async {
            in_time("the body runs", async || gate.entered() == 1).await;
            assert_eq!(deliver(&cache, &text).await, 1, "the lease");
            gate.open();
        });
        assert_eq!((value, gated_entry(&cache, 1).get().await.unwrap()), (1, None));
    }
}

#[tokio::test]
async fn an_entry_without_a_key_has_nothing_to_deliver() {
    use std::os::unix::ffi::OsStrExt;

    let cache = cache("memory://", "");
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(b"\xff"));
    let invalidation: Invalidation = size_entry(&cache, path).into();
    let text = invalidation.to_string();
    assert_eq!(text, "v1 none");
    assert_eq!(deliver(&cache, &text).await, 0);
    // The caller that has the entry is told, as before.
    assert_eq!(cache.invalidate_all([invalidation]).await.unwrap_err().kind(), ErrorKind::Key);
}

#[test]
fn other_text_is_refused() {
    for text in ["v2 entry text:user:1", "FLUSHALL", "v1 entry session", ""] {
        assert_eq!(text.parse::<Invalidation>().unwrap_err().kind(), ErrorKind::Text, "{text}");
    }
}
