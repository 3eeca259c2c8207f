//! Calls of functions whose responses are stored.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use axum::response::{IntoResponse, Response};

use super::page::Page;
use super::rules::{self, Answer, Closures, Rules};
use super::serve::Forwarded;
use crate::engine::context::Context;
use crate::engine::events;
use crate::engine::flight::Ticket;
#[cfg(feature = "local")]
use crate::engine::local::call::kept_value;
use crate::engine::sharing::Errors;
use crate::engine::tokio::refresh_in_background;
use crate::engine::work::{Body, RefreshableBody, Returns};
use crate::engine::{Engine, Verb};
use crate::error::Error;
use crate::key::Key;
use crate::plan::function::{Function, Plan};
use crate::poll::outlined::nested;
use crate::store::Store;
use crate::stored::envelope::Token;

/// A response of a server that failed is an error: it is not stored, and an old page may take its place.
const RETURNS: Returns<Page, Box<Response>, Answer> = Returns {
    split: |answer| match answer {
        Answer::Page(page) => Ok(page),
        Answer::Failed(response) => Err(response),
    },
    join: |result| match result {
        Ok(page) => Answer::Page(page),
        Err(response) => Answer::Failed(response),
    },
};

/// A call of a function whose response is stored.
pub async fn call_response<F, Fut>(
    cache: &Context,
    plan: Plan<Page>,
    key: Result<Key, Error>,
    verb: Verb,
    rules: &'static Rules,
    body: F,
) -> Response
where
    F: FnOnce() -> Fut,
    Fut: Future<Output: IntoResponse>,
{
    let (now, has_run, reading) = (now(cache, &key), AtomicBool::new(false), Reading::of(rules, &plan));
    let work = Body(|| {
        has_run.store(true, Relaxed);
        nested(move || reading.answer(body()))
    });
    let answer = Engine::tokio(cache).call(verb, plan, key, Errors::never(), RETURNS, work).await;
    rules.respond(answer, now, has_run.load(Relaxed), Forwarded::by(verb))
}

/// This is [`call_response`] for a function that is refreshed in the background.
#[expect(clippy::too_many_arguments, reason = "only generated code calls it")]
pub async fn call_response_in_background<A, F, Fut, O, Bg>(
    cache: &Context,
    plan: Plan<Page>,
    key: Result<Key, Error>,
    verb: Verb,
    rules: &'static Rules,
    args: A,
    body: F,
    own: O,
) -> Response
where
    F: FnOnce(A) -> Fut,
    Fut: Future<Output: IntoResponse>,
    O: Fn(&A) -> Bg,
    Bg: Future<Output: IntoResponse> + Send + 'static,
{
    let (now, has_run, reading) = (now(cache, &key), AtomicBool::new(false), Reading::of(rules, &plan));
    let body = |args| {
        has_run.store(true, Relaxed);
        nested(move || reading.answer(body(args)))
    };
    let start = move |args: &A, cache: &Context, plan: &Plan<Page>, ticket: Ticket, id: Token| {
        let answer = reading.answer(own(args));
        refresh_in_background(cache, plan, ticket, id, Errors::never(), RETURNS, answer);
    };
    let work = RefreshableBody { args, body, start };
    let answer = Engine::tokio(cache).call(verb, plan, key, Errors::never(), RETURNS, work).await;
    rules.respond(answer, now, has_run.load(Relaxed), Forwarded::by(verb))
}

/// The response of a page that this process keeps, in front of the call; else its key.
#[cfg(feature = "local")]
pub fn kept_response(
    cache: &Context,
    plan: &Plan<Page>,
    key: Result<Key, Error>,
    verb: Verb,
    rules: &'static Rules,
) -> Result<Response, Result<Key, Error>> {
    let now = now(cache, &key);
    kept_value(cache, plan, key, verb).map(|page| rules.serve(page, now, None))
}

/// Returns true for a page that stands for a response that must not be stored: it has no body, and needs no tags.
pub fn is_passing(page: &Page) -> bool {
    page.is_passing()
}

/// Returns true for a page that says that there is nothing, which `none_ttl` is about.
pub fn is_missing(page: &Page) -> bool {
    rules::is_missing(page.status)
}

/// How the response of a body is read.
#[derive(Clone, Copy)]
struct Reading {
    rules: &'static Rules,
    closures: Closures,
    function: &'static Function,
}

impl Reading {
    fn of(rules: &'static Rules, plan: &Plan<Page>) -> Reading {
        Reading { rules, closures: Closures::of(plan), function: plan.terms.function }
    }

    async fn answer(self, body: impl Future<Output: IntoResponse>) -> Answer {
        let response = body.await.into_response();
        let answer = self.rules.answer(self.closures, response).await;
        if let Answer::Page(page) = &answer
            && let Some(why) = page.unstored()
        {
            events::unstorable(self.function, why.reason());
        }
        answer
    }
}

/// The store's time, as far as it is known.
fn now(cache: &Context, key: &Result<Key, Error>) -> u64 {
    key.as_ref().map_or(0, |key| cache.tokio_store().now(key))
}
