//! The blocking face of the engine: the same futures, over stores that never make them wait.

use std::convert::Infallible;
use std::future::{Future, ready};

use super::Engine;
use super::lease::Leased;
use super::renewal::{EVERY, LONGEST, Renewal};
use crate::__private::ResultLike;
use crate::cache::Cache;
use crate::error::Error;
use crate::function::Plan;
use crate::key::Key;
use crate::once::once;
use crate::sharing::Errors;
use crate::renewer::Pace;
use crate::store::Store;
use crate::store::face::Face;
use crate::store::redis::BlockingStore;

impl<'a> Engine<'a, Face<'a, BlockingStore>, OnThread<'a>> {
    pub(crate) fn blocking(cache: &'a Cache) -> Self {
        Engine { cache, store: cache.blocking(), renewal: OnThread(cache) }
    }
}

/// For bodies that block their thread: another one, of the cache.
pub(crate) struct OnThread<'a>(&'a Cache);

impl Renewal for OnThread<'_> {
    async fn during<S: Store, T>(&self, leased: &Leased<'_, S>, body: impl Future<Output = T>) -> T {
        let cache = self.0.downgrade();
        let pace = Pace { every: EVERY, longest: LONGEST };
        let _held = self.0.renewer().hold(leased.key(), leased.lease(), pace, move |key, lease| {
            let Some(cache) = cache.upgrade() else { return false };
            // A server that cannot be asked may still hold the lease.
            once(cache.blocking().renew(key, lease, cache.deadline())).unwrap_or(true)
        });
        body.await
    }
}

/// A call of a function whose value is stored as it is.
pub fn call_value<V>(cache: &Cache, plan: Plan<V>, key: Result<Key, Error>, body: impl FnOnce() -> V) -> V {
    let body = || ready(Ok::<V, Infallible>(body()));
    let Ok(value) = once(Engine::blocking(cache).call(&plan, key, body));
    value
}

/// A call of a function of whose `Result` the `Ok` is stored.
pub fn call_result<R: ResultLike>(
    cache: &Cache,
    plan: Plan<R::Ok>,
    key: Result<Key, Error>,
    _errors: Errors<R::Err>,
    body: impl FnOnce() -> R,
) -> R {
    let body = || ready(body().into_result());
    R::from_result(once(Engine::blocking(cache).call(&plan, key, body)))
}

/// As [`call_value`], of a function that is refreshed in the background: `body` runs with the
/// arguments, `own` makes of them what a thread of its own needs to run it.
pub fn call_value_behind<V, A, Bg>(
    cache: &Cache,
    plan: Plan<V>,
    key: Result<Key, Error>,
    args: A,
    body: impl FnOnce(A) -> V,
    _own: impl FnOnce(&A) -> Bg,
) -> V
where
    Bg: FnOnce() -> V + Send + 'static,
{
    call_value(cache, plan, key, move || body(args))
}

/// As [`call_result`], of a function that is refreshed in the background.
pub fn call_result_behind<R, A, Bg>(
    cache: &Cache,
    plan: Plan<R::Ok>,
    key: Result<Key, Error>,
    errors: Errors<R::Err>,
    args: A,
    body: impl FnOnce(A) -> R,
    _own: impl FnOnce(&A) -> Bg,
) -> R
where
    R: ResultLike,
    Bg: FnOnce() -> R + Send + 'static,
{
    call_result(cache, plan, key, errors, move || body(args))
}

/// As [`call_value`], whatever is stored.
pub fn refresh_value<V>(cache: &Cache, plan: Plan<V>, key: Result<Key, Error>, body: impl FnOnce() -> V) -> V {
    let body = || ready(Ok::<V, Infallible>(body()));
    let Ok(value) = once(Engine::blocking(cache).refresh(&plan, key, body));
    value
}

/// As [`call_result`], whatever is stored.
pub fn refresh_result<R: ResultLike>(
    cache: &Cache,
    plan: Plan<R::Ok>,
    key: Result<Key, Error>,
    _errors: Errors<R::Err>,
    body: impl FnOnce() -> R,
) -> R {
    let body = || ready(body().into_result());
    R::from_result(once(Engine::blocking(cache).refresh(&plan, key, body)))
}
