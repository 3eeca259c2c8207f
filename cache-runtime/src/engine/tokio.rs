//! The async face of the engine.

use std::convert::Infallible;
use std::future::Future;

use super::Engine;
use super::renewal::Alongside;
use crate::__private::ResultLike;
use crate::cache::Cache;
use crate::error::Error;
use crate::function::Plan;
use crate::key::Key;
use crate::sharing::Errors;
use crate::store::face::Face;
use crate::store::redis::TokioStore;

impl<'a> Engine<'a, Face<'a, TokioStore>, Alongside> {
    pub(crate) fn tokio(cache: &'a Cache) -> Self {
        Engine { cache, store: cache.tokio(), renewal: Alongside }
    }
}

/// A call of a function whose value is stored as it is.
pub async fn call_value<V, F, Fut>(cache: &Cache, plan: Plan<V>, key: Result<Key, Error>, body: F) -> V
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = V>,
{
    let body = || async { Ok::<V, Infallible>(body().await) };
    let Ok(value) = Engine::tokio(cache).call(&plan, key, body).await;
    value
}

/// A call of a function of whose `Result` the `Ok` is stored.
pub async fn call_result<R, F, Fut>(
    cache: &Cache,
    plan: Plan<R::Ok>,
    key: Result<Key, Error>,
    _errors: Errors<R::Err>,
    body: F,
) -> R
where
    R: ResultLike,
    F: FnOnce() -> Fut,
    Fut: Future<Output = R>,
{
    let body = || async { body().await.into_result() };
    R::from_result(Engine::tokio(cache).call(&plan, key, body).await)
}

/// As [`call_value`], of a function that is refreshed in the background: `body` runs with the
/// arguments, `own` makes of them what a task of its own needs to run it.
pub async fn call_value_behind<V, A, F, Fut, O, Bg>(
    cache: &Cache,
    plan: Plan<V>,
    key: Result<Key, Error>,
    args: A,
    body: F,
    _own: O,
) -> V
where
    F: FnOnce(A) -> Fut,
    Fut: Future<Output = V>,
    O: FnOnce(&A) -> Bg,
    Bg: Future<Output = V> + Send + 'static,
{
    call_value(cache, plan, key, move || body(args)).await
}

/// As [`call_result`], of a function that is refreshed in the background.
pub async fn call_result_behind<R, A, F, Fut, O, Bg>(
    cache: &Cache,
    plan: Plan<R::Ok>,
    key: Result<Key, Error>,
    errors: Errors<R::Err>,
    args: A,
    body: F,
    _own: O,
) -> R
where
    R: ResultLike,
    F: FnOnce(A) -> Fut,
    Fut: Future<Output = R>,
    O: FnOnce(&A) -> Bg,
    Bg: Future<Output = R> + Send + 'static,
{
    call_result(cache, plan, key, errors, move || body(args)).await
}

/// As [`call_value`], whatever is stored.
pub async fn refresh_value<V, F, Fut>(cache: &Cache, plan: Plan<V>, key: Result<Key, Error>, body: F) -> V
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = V>,
{
    let body = || async { Ok::<V, Infallible>(body().await) };
    let Ok(value) = Engine::tokio(cache).refresh(&plan, key, body).await;
    value
}

/// As [`call_result`], whatever is stored.
pub async fn refresh_result<R, F, Fut>(
    cache: &Cache,
    plan: Plan<R::Ok>,
    key: Result<Key, Error>,
    _errors: Errors<R::Err>,
    body: F,
) -> R
where
    R: ResultLike,
    F: FnOnce() -> Fut,
    Fut: Future<Output = R>,
{
    let body = || async { body().await.into_result() };
    R::from_result(Engine::tokio(cache).refresh(&plan, key, body).await)
}
