//! The async face of the engine.

use std::convert::Infallible;
use std::future::Future;
use std::hash::Hash;

use super::timer::InTasks;
use super::work::{Body, RefreshableBody, Returns};
use super::{Engine, Verb};
use crate::engine::context::{Context, Reached};
use crate::engine::flight::Ticket;
use crate::engine::ids::{BatchMap, Ids};
use crate::engine::scope::Carried;
use crate::engine::sharing::Errors;
use crate::error::Error;
use crate::key::Key;
use crate::plan::function::Plan;
use crate::plan::result::ResultLike;
use crate::poll::outlined::nested;
use crate::store::redis::TokioStore;
use crate::stored::envelope::Token;

impl<'a> Engine<'a, Reached<'a, TokioStore>, InTasks<'a>> {
    pub(crate) fn tokio(cache: &'a Context) -> Self {
        Engine { cache, store: cache.tokio_store(), timer: InTasks(cache) }
    }
}

/// A call of a function whose value is stored as it is.
#[inline(always)]
pub fn call_value<V, F, Fut>(
    cache: &Context,
    plan: Plan<V>,
    key: Result<Key, Error>,
    verb: Verb,
    body: F,
) -> impl Future<Output = V>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = V>,
{
    Engine::tokio(cache).call(verb, plan, key, Errors::never(), Returns::value(), Body(|| nested(body)))
}

/// A call of a function that returns a `Result`, of which the `Ok` is stored.
#[inline(always)]
pub fn call_result<R, F, Fut>(
    cache: &Context,
    plan: Plan<R::Ok>,
    key: Result<Key, Error>,
    errors: Errors<R::Err>,
    verb: Verb,
    body: F,
) -> impl Future<Output = R>
where
    R: ResultLike,
    F: FnOnce() -> Fut,
    Fut: Future<Output = R>,
{
    Engine::tokio(cache).call(verb, plan, key, errors, Returns::result(), Body(|| nested(body)))
}

/// This is [`call_value`] for a function that is refreshed in the background: `body` runs with the arguments, and `own`
/// turns them into the values that a task of its own needs to run it.
#[inline(always)]
pub fn call_value_in_background<V, A, F, Fut, O, Bg>(
    cache: &Context,
    plan: Plan<V>,
    key: Result<Key, Error>,
    verb: Verb,
    args: A,
    body: F,
    own: O,
) -> impl Future<Output = V>
where
    V: Send + 'static,
    F: FnOnce(A) -> Fut,
    Fut: Future<Output = V>,
    O: Fn(&A) -> Bg,
    Bg: Future<Output = V> + Send + 'static,
{
    let body = move |args| nested(move || body(args));
    let start = move |args: &A, cache: &Context, plan: &Plan<V>, ticket: Ticket, id: Token| {
        refresh_in_background(cache, plan, ticket, id, Errors::never(), Returns::value(), own(args));
    };
    let work = RefreshableBody { args, body, start };
    Engine::tokio(cache).call(verb, plan, key, Errors::never(), Returns::value(), work)
}

/// This is [`call_result`] for a function that is refreshed in the background.
#[expect(clippy::too_many_arguments, reason = "only generated code calls it")]
#[inline(always)]
pub fn call_result_in_background<R, A, F, Fut, O, Bg>(
    cache: &Context,
    plan: Plan<R::Ok>,
    key: Result<Key, Error>,
    errors: Errors<R::Err>,
    verb: Verb,
    args: A,
    body: F,
    own: O,
) -> impl Future<Output = R>
where
    R: ResultLike + 'static,
    R::Ok: Send + 'static,
    R::Err: 'static,
    F: FnOnce(A) -> Fut,
    Fut: Future<Output = R>,
    O: Fn(&A) -> Bg,
    Bg: Future<Output = R> + Send + 'static,
{
    let body = move |args| nested(move || body(args));
    let start = move |args: &A, cache: &Context, plan: &Plan<R::Ok>, ticket: Ticket, id: Token| {
        refresh_in_background(cache, plan, ticket, id, errors, Returns::result(), own(args));
    };
    Engine::tokio(cache).call(verb, plan, key, errors, Returns::result(), RefreshableBody { args, body, start })
}

pub(crate) fn refresh_in_background<V, E, R>(
    cache: &Context,
    plan: &Plan<V>,
    ticket: Ticket,
    id: Token,
    errors: Errors<E>,
    returns: Returns<V, E, R>,
    body: impl Future<Output = R> + Send + 'static,
) where
    V: Send + 'static,
    E: 'static,
    R: 'static,
{
    let (cache, plan) = (cache.clone(), *plan);
    let work = Body(|| nested(|| body));
    spawn(async move { Engine::tokio(&cache).refresh_now(&plan, ticket, id, errors, returns, work).await });
}

/// Runs a task that no other task waits for.
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    let task = Carried::here().into_task(task);
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(task)),
        // Another executor has no common way to spawn; only the memory store works with it.
        Err(_) => {
            let thread = std::thread::Builder::new().name("redis-cached refresh".to_owned());
            // If no thread can be started, the value stays old for now.
            let _ = thread.spawn(|| crate::poll::block_on::block_on(task));
        }
    }
}

/// A call for many ids, of a function whose map is stored as it is.
pub async fn batch_value<M, F, Fut>(cache: &Context, plan: Plan<M::Value>, ids: Ids<M::Id>, verb: Verb, body: F) -> M
where
    M: BatchMap,
    M::Id: Clone + Eq + Hash,
    F: Fn(Vec<M::Id>) -> Fut,
    Fut: Future<Output = M>,
{
    let body = move |ids| nested(|| pairs_of(body(ids)));
    let Ok(pairs) = Engine::tokio(cache).batch(&plan, ids, verb == Verb::Refresh, body).await;
    M::from_pairs(pairs)
}

/// A call for many ids, of a function that returns a `Result`, of which the `Ok` is stored.
pub async fn batch_result<R, F, Fut>(
    cache: &Context,
    plan: Plan<<R::Ok as BatchMap>::Value>,
    ids: Ids<<R::Ok as BatchMap>::Id>,
    verb: Verb,
    body: F,
) -> R
where
    R: ResultLike<Ok: BatchMap<Id: Clone + Eq + Hash>>,
    F: Fn(Vec<<R::Ok as BatchMap>::Id>) -> Fut,
    Fut: Future<Output = R>,
{
    let body = move |ids| nested(|| pairs_of_result(body(ids)));
    R::from_result(Engine::tokio(cache).batch(&plan, ids, verb == Verb::Refresh, body).await.map(BatchMap::from_pairs))
}

async fn pairs_of<M: BatchMap>(map: impl Future<Output = M>) -> Result<Vec<(M::Id, M::Value)>, Infallible> {
    Ok(map.await.into_pairs())
}

async fn pairs_of_result<R>(
    result: impl Future<Output = R>,
) -> Result<Vec<(<R::Ok as BatchMap>::Id, <R::Ok as BatchMap>::Value)>, R::Err>
where
    R: ResultLike<Ok: BatchMap>,
{
    result.await.into_result().map(BatchMap::into_pairs)
}
