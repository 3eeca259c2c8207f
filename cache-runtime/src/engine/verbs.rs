//! What the caller asks the cache itself, about one entry. Here failures are told.

use std::time::{Duration, Instant};

use super::lease::Leased;
use super::{LEASE, Read, encode, read};
use crate::cache::{Cache, count};
use crate::error::Error;
use crate::function::Plan;
use crate::key::Key;
use crate::policy;
use crate::store::Store;
use crate::ttl::Ttl;

pub(crate) async fn get<S: Store, V>(cache: &Cache, store: &S, plan: &Plan<V>, key: &Key) -> Result<Option<V>, Error> {
    Ok(fresh(cache, store, plan, key).await?.map(|(_, value)| value))
}

/// What is left of the fresh lifetime; `Duration::MAX` for ever.
pub(crate) async fn ttl<S: Store, V>(
    cache: &Cache,
    store: &S,
    plan: &Plan<V>,
    key: &Key,
) -> Result<Option<Duration>, Error> {
    let found = fresh(cache, store, plan, key).await?;
    Ok(found.map(|(value, _)| match policy::remaining(&value, store.now()) {
        Ttl::Millis(millis) => Duration::from_millis(millis),
        Ttl::Forever => Duration::MAX,
    }))
}

async fn fresh<S: Store, V>(
    cache: &Cache,
    store: &S,
    plan: &Plan<V>,
    key: &Key,
) -> Result<Option<(crate::envelope::Value, V)>, Error> {
    let Some(bytes) = store.read(key, cache.deadline()).await? else { return Ok(None) };
    Ok(match read(store, plan, key, bytes) {
        Read::Fresh(value, decoded) => Some((value, decoded)),
        Read::Leased | Read::Unusable(_) => None,
    })
}

/// Takes the slot, then fills it if nothing came in between: a value that was invalidated while
/// it was on its way is not stored.
pub(crate) async fn put<S: Store, V>(
    cache: &Cache,
    store: &S,
    plan: &Plan<V>,
    key: &Key,
    value: &V,
) -> Result<bool, Error> {
    let leased = Leased::take(store, key, LEASE, cache.deadline()).await?;
    let by = cache.deadline();
    let sealed = match encode(plan, &leased, value, Instant::now()) {
        Ok(Some(sealed)) => sealed,
        Ok(None) => {
            leased.release(by).await;
            return Ok(false);
        }
        Err(error) => {
            leased.release(by).await;
            return Err(error);
        }
    };
    let (bytes, ttl) = sealed;
    let stored = leased.fill(bytes, ttl, by).await?;
    count(if stored { &cache.counters().stored } else { &cache.counters().refused });
    Ok(stored)
}

pub(crate) async fn invalidate<S: Store>(cache: &Cache, store: &S, key: &Key) -> Result<bool, Error> {
    Ok(store.invalidate(std::slice::from_ref(key), cache.deadline()).await? > 0)
}

/// Takes the slot, writes, and stores what was written if nobody took the slot meanwhile;
/// whenever that is in doubt, the slot is emptied.
pub(crate) async fn write_through<S, V, T, E>(
    cache: &Cache,
    store: &S,
    plan: &Plan<V>,
    key: Result<&Key, Error>,
    value: &V,
    write: impl AsyncFnOnce() -> Result<T, E>,
) -> Result<T, E>
where
    S: Store,
{
    // Without a key, no call could have stored anything under it either.
    let Ok(key) = key else { return write().await };
    let started = Instant::now();
    let leased = match Leased::take(store, key, LEASE, cache.deadline()).await {
        Ok(leased) => Some(leased),
        Err(error) => {
            tracing::warn!(key = key.as_str(), %error, "written through while the cache cannot be asked");
            None
        }
    };
    // The write may have been committed at any point from here: until its outcome is in the
    // slot, dropping this future empties the slot.
    let mut doubt = Doubt { store, key, settled: false };
    let result = write().await;
    match (&result, leased) {
        (Ok(_), Some(leased)) => {
            let by = cache.deadline();
            if let Some((bytes, ttl)) = super::seal(plan, &leased, value, started) {
                doubt.settled = leased.fill(bytes, ttl, by).await.unwrap_or(false);
            } else {
                leased.leave();
            }
        }
        (Err(_), Some(leased)) => leased.leave(),
        (_, None) => {}
    }
    if !doubt.settled {
        // What a third party put there may be older than the write. A failure is kept by the
        // store and delivered later.
        let emptied = store.invalidate(std::slice::from_ref(key), cache.deadline()).await;
        doubt.settled = true;
        if let Err(error) = emptied {
            tracing::warn!(key = key.as_str(), %error, "written, but the entry could not be invalidated yet");
        }
    }
    result
}

/// A write whose outcome the slot does not show.
struct Doubt<'a, S: Store> {
    store: &'a S,
    key: &'a Key,
    settled: bool,
}

impl<S: Store> Drop for Doubt<'_, S> {
    fn drop(&mut self) {
        if !self.settled {
            self.store.queue_invalidation(self.key);
        }
    }
}
