//! The blocking face of the engine: the same futures, over stores and timers that never return pending.

use std::convert::Infallible;
use std::future::ready;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::timer::OnThreads;
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
use crate::poll::block_on::block_on;
use crate::poll::stack::with_room;
use crate::store::redis::BlockingStore;
use crate::stored::envelope::Token;

impl<'a> Engine<'a, Reached<'a, BlockingStore>, OnThreads<'a>> {
    pub(crate) fn blocking(cache: &'a Context) -> Self {
        Engine { cache, store: cache.blocking_store(), timer: OnThreads(cache) }
    }
}

/// A call of a function whose value is stored as it is.
#[inline(always)]
pub fn call_value<V>(
    cache: &Context,
    plan: Plan<V>,
    key: Result<Key, Error>,
    verb: Verb,
    body: impl FnOnce() -> V,
) -> V {
    let work = Body(|| ready(with_room(body)));
    block_on(Engine::blocking(cache).call(verb, plan, key, Errors::never(), Returns::value(), work))
}

/// A call of a function that returns a `Result`, of which the `Ok` is stored.
#[inline(always)]
pub fn call_result<R: ResultLike>(
    cache: &Context,
    plan: Plan<R::Ok>,
    key: Result<Key, Error>,
    errors: Errors<R::Err>,
    verb: Verb,
    body: impl FnOnce() -> R,
) -> R {
    let work = Body(|| ready(with_room(body)));
    block_on(Engine::blocking(cache).call(verb, plan, key, errors, Returns::result(), work))
}

/// This is [`call_value`] for a function that is refreshed in the background: `body` runs with the arguments, and `own`
/// turns them into the values that a thread of its own needs to run it.
#[inline(always)]
pub fn call_value_in_background<V, A, Bg>(
    cache: &Context,
    plan: Plan<V>,
    key: Result<Key, Error>,
    verb: Verb,
    args: A,
    body: impl FnOnce(A) -> V,
    own: impl Fn(&A) -> Bg,
) -> V
where
    V: Send + 'static,
    Bg: FnOnce() -> V + Send + 'static,
{
    let body = |args| ready(with_room(|| body(args)));
    let start = |args: &A, cache: &Context, plan: &Plan<V>, ticket: Ticket, id: Token| {
        refresh_in_background(cache, plan, ticket, id, Errors::never(), Returns::value(), || own(args));
    };
    let work = RefreshableBody { args, body, start };
    block_on(Engine::blocking(cache).call(verb, plan, key, Errors::never(), Returns::value(), work))
}

/// This is [`call_result`] for a function that is refreshed in the background.
#[expect(clippy::too_many_arguments, reason = "only generated code calls it")]
#[inline(always)]
pub fn call_result_in_background<R, A, Bg>(
    cache: &Context,
    plan: Plan<R::Ok>,
    key: Result<Key, Error>,
    errors: Errors<R::Err>,
    verb: Verb,
    args: A,
    body: impl FnOnce(A) -> R,
    own: impl Fn(&A) -> Bg,
) -> R
where
    R: ResultLike + 'static,
    R::Ok: Send + 'static,
    R::Err: 'static,
    Bg: FnOnce() -> R + Send + 'static,
{
    let body = |args| ready(with_room(|| body(args)));
    let start = |args: &A, cache: &Context, plan: &Plan<R::Ok>, ticket: Ticket, id: Token| {
        refresh_in_background(cache, plan, ticket, id, errors, Returns::result(), || own(args));
    };
    let work = RefreshableBody { args, body, start };
    block_on(Engine::blocking(cache).call(verb, plan, key, errors, Returns::result(), work))
}

/// Starts a thread that refreshes, if it may, with the values that `own` makes of the arguments.
fn refresh_in_background<V, E, R, Bg>(
    cache: &Context,
    plan: &Plan<V>,
    ticket: Ticket,
    id: Token,
    errors: Errors<E>,
    returns: Returns<V, E, R>,
    own: impl FnOnce() -> Bg,
) where
    V: Send + 'static,
    E: 'static,
    R: 'static,
    Bg: FnOnce() -> R + Send + 'static,
{
    let Some(running) = Running::one_more() else { return };
    let (cache, plan, body) = (cache.clone(), *plan, own());
    // A body that relies on the runtime of its caller finds it there, too.
    #[cfg(feature = "tokio")]
    let runtime = tokio::runtime::Handle::try_current().ok();
    let scope = Carried::here();
    let task = move || {
        let _running = running;
        #[cfg(feature = "tokio")]
        let _entered = runtime.as_ref().map(tokio::runtime::Handle::enter);
        let work = Body(|| ready(body()));
        scope.run(|| block_on(Engine::blocking(&cache).refresh_now(&plan, ticket, id, errors, returns, work)));
    };
    // If no thread can be started, the value stays old for now.
    let _ = std::thread::Builder::new().name("redis-cached refresh".to_owned()).spawn(task);
}

/// The most threads that refresh at the same time. If all are busy, old values wait for their turn.
const MOST_THREADS: u32 = 64;

/// A place among these threads. The threads of a process are not those of the one that it was forked from.
struct Running {
    process: u32,
}

impl Running {
    /// The process in the upper half, the number of its threads in the lower half.
    fn count() -> &'static AtomicU64 {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        &COUNT
    }

    fn change(process: u32, more: impl Fn(u32) -> Option<u32>) -> bool {
        let changed = |old: u64| {
            let count = if old >> 32 == u64::from(process) { old as u32 } else { 0 };
            more(count).map(|count| u64::from(process) << 32 | u64::from(count))
        };
        Running::count().fetch_update(Relaxed, Relaxed, changed).is_ok()
    }

    fn one_more() -> Option<Running> {
        let process = std::process::id();
        let more = |count| (count < MOST_THREADS).then_some(count + 1);
        // Not `then_some`: a place that is dropped is given back.
        Running::change(process, more).then(|| Running { process })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A thread that forked has its place in the other process.
        if self.process == std::process::id() {
            Running::change(self.process, |count| count.checked_sub(1));
        }
    }
}

/// A call for many ids, of a function whose map is stored as it is.
pub fn batch_value<M>(
    cache: &Context,
    plan: Plan<M::Value>,
    ids: Ids<M::Id>,
    verb: Verb,
    body: impl Fn(Vec<M::Id>) -> M,
) -> M
where
    M: BatchMap,
    M::Id: Clone + Eq + Hash,
{
    // The body runs within the future, where the calls in it are known to be in it.
    let body = |ids| {
        let run = || Ok::<_, Infallible>(with_room(|| body(ids)).into_pairs());
        async { run() }
    };
    let Ok(pairs) = block_on(Engine::blocking(cache).batch(&plan, ids, verb == Verb::Refresh, body));
    M::from_pairs(pairs)
}

/// A call for many ids, of a function that returns a `Result`, of which the `Ok` is stored.
pub fn batch_result<R>(
    cache: &Context,
    plan: Plan<<R::Ok as BatchMap>::Value>,
    ids: Ids<<R::Ok as BatchMap>::Id>,
    verb: Verb,
    body: impl Fn(Vec<<R::Ok as BatchMap>::Id>) -> R,
) -> R
where
    R: ResultLike<Ok: BatchMap<Id: Clone + Eq + Hash>>,
{
    // The body runs within the future, where the calls in it are known to be in it.
    let body = |ids| {
        let run = || with_room(|| body(ids)).into_result().map(BatchMap::into_pairs);
        async { run() }
    };
    R::from_result(
        block_on(Engine::blocking(cache).batch(&plan, ids, verb == Verb::Refresh, body)).map(BatchMap::from_pairs),
    )
}
