//! `cache = EXPR`: which cache a function uses.

use std::sync::{Arc, LazyLock, OnceLock};

use redis_cached::{Cache, redis_cached};

fn memory() -> Cache {
    Cache::builder("memory://").unwrap().build()
}

static LAZY: LazyLock<Cache> = LazyLock::new(memory);
static ONCE: OnceLock<Cache> = OnceLock::new();

#[redis_cached(cache = LAZY)]
fn lazy(id: u64) -> u64 {
    id
}

#[redis_cached(cache = *LAZY)]
fn dereferenced(id: u64) -> u64 {
    id
}

#[redis_cached(cache = ONCE.get_or_init(memory))]
fn once(id: u64) -> u64 {
    id
}

#[redis_cached(cache = cache, skip(cache))]
fn reference(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(cache = cache, skip(cache))]
async fn shared(cache: Arc<Cache>, id: u64) -> u64 {
    id
}

#[redis_cached(cache = cache, name = "optional", skip(cache))]
fn value(id: u64, cache: Cache) -> u64 {
    id
}

struct State {
    inner: Arc<Inner>,
}

struct Inner {
    cache: Cache,
}

impl State {
    fn cache(&self) -> &Cache {
        &self.inner.cache
    }

    fn cloned(&self) -> Cache {
        self.inner.cache.clone()
    }

    #[redis_cached(cache = self.inner.cache, skip(self))]
    async fn field(&self, id: u64) -> u64 {
        id
    }

    #[redis_cached(cache = self.inner.cache, skip(self))]
    async fn taken(self, id: u64) -> u64 {
        id
    }
}

#[redis_cached(cache = state.cache(), skip(state))]
async fn method(state: &State, id: u64) -> u64 {
    id
}

#[redis_cached(cache = state.cloned(), skip(state))]
async fn temporary(id: u64, state: State) -> u64 {
    id
}

struct Extension<T>(T);

#[redis_cached(cache = state.cache(), skip(state))]
async fn extracted(Extension(state): Extension<Arc<State>>, Extension(id): Extension<u64>) -> u64 {
    id
}

#[tokio::test]
async fn it_is_asked() {
    lazy(1);
    dereferenced(1);
    assert_eq!(LAZY.stats().stored, 2);
    once(1);
    assert_eq!(ONCE.get().unwrap().stats().stored, 1);

    let cache = memory();
    reference(&cache, 1);
    value(1, cache.clone());
    shared(Arc::new(cache.clone()), 1).await;
    assert_eq!(cache.stats().stored, 3);
    assert_eq!(reference_entry(&cache, 1).get().unwrap(), Some(1));
    assert_eq!(value_entry(1, cache.clone()).get().unwrap(), Some(1));
    assert_eq!(shared_entry(Arc::new(cache), 1).get().await.unwrap(), Some(1));

    let inner = Arc::new(Inner { cache: memory() });
    let state = || State { inner: inner.clone() };
    state().field(1).await;
    state().taken(1).await;
    method(&state(), 1).await;
    temporary(1, state()).await;
    extracted(Extension(Arc::new(state())), Extension(1)).await;
    assert_eq!(inner.cache.stats().stored, 5);
    assert_eq!(state().field_entry(1).get().await.unwrap(), Some(1));
    assert_eq!(state().taken_entry(1).get().await.unwrap(), Some(1));
    assert_eq!(method_entry(&state(), 1).get().await.unwrap(), Some(1));
    assert_eq!(temporary_entry(1, state()).get().await.unwrap(), Some(1));
    let entry = extracted_entry(Extension(Arc::new(state())), Extension(1));
    assert_eq!(entry.get().await.unwrap(), Some(1));
}

#[test]
fn it_sees_parameters_before_the_body_changes_them() {
    #[redis_cached(cache = caches[0], skip(caches))]
    fn emptied(mut caches: Vec<Cache>, id: u64) -> u64 {
        caches.clear();
        id
    }
    let cache = memory();
    emptied(vec![cache.clone()], 1);
    assert_eq!(cache.stats().stored, 1);
}
