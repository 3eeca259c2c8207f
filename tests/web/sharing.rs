//! Requests at the same time: one body runs for all, unless its response must not be stored.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use redis_cached::axum::Page;
use redis_cached::redis_cached;
use test_support::{Server, let_run};

use crate::{App, apps, get};

#[redis_cached(response, prefix = "share", cache = app.cache, skip(app))]
async fn gated(State(app): State<App>, Path(which): Path<String>) -> Response {
    let run = app.gate.pass().await;
    let mut headers = HeaderMap::new();
    if which == "cookie" {
        headers.insert("set-cookie", format!("session={run}").parse().unwrap());
    }
    (headers, run.to_string()).into_response()
}

async fn at_once(app: &App, uri: &'static str, count: usize) -> Vec<(String, String)> {
    let router = Router::new().route("/{which}", routing::get(gated)).with_state(app.clone());
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let router = router.clone();
            tokio::spawn(async move {
                let answer = get(&router, uri).await;
                (answer.header("set-cookie").to_owned(), answer.text().to_owned())
            })
        })
        .collect();
    app.gate.wait_for(1).await;
    let_run().await;
    app.gate.open();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

#[tokio::test]
async fn one_body_runs_for_all() {
    let server = Server::start();
    for app in apps(&server) {
        let answers = at_once(&app, "/page", 50).await;
        assert_eq!(answers, vec![(String::new(), "1".to_owned()); 50]);
        assert_eq!(app.gate.entered(), 1);
    }
}

/// A cookie is for one client alone: what waited for that body runs its own.
#[tokio::test]
async fn a_response_that_must_not_be_stored_is_not_shared_either() {
    let server = Server::start();
    for app in apps(&server) {
        let mut answers = at_once(&app, "/cookie", 20).await;
        assert_eq!(app.gate.entered(), 20);
        answers.sort();
        answers.dedup();
        assert_eq!(answers.len(), 20, "each client has a session of its own");
    }
}

/// The tags of a response that is not stored are not asked for: its page has no body.
fn tags(page: &Page) -> Vec<String> {
    assert!(!page.body().is_empty());
    vec!["tagged".to_owned()]
}

#[redis_cached(
    response, prefix = "share", client = "public, max-age=60", tags = [tags],
    cache_if = |page: &Page| page.headers().contains_key("x-public"), cache = app.cache, skip(app)
)]
async fn refused(State(app): State<App>, Path(which): Path<String>) -> Response {
    own(&app, &which).await
}

#[redis_cached(
    response, prefix = "share", client = "public, max-age=60", ttl = |_: &Page| Duration::ZERO, cache = app.cache, skip(app)
)]
async fn short_lived(State(app): State<App>, Path(which): Path<String>) -> Response {
    own(&app, &which).await
}

async fn own(app: &App, which: &str) -> Response {
    let run = app.gate.pass().await;
    ([("x-user", run.to_string()), ("date", "yesterday".to_owned())], format!("{which} {run}")).into_response()
}

/// The closures of the attribute decide as the headers do.
#[tokio::test]
async fn what_closures_refuse_goes_to_its_client_alone_and_as_it_came() {
    let server = Server::start();
    for app in apps(&server) {
        for handler in [routing::get(refused), routing::get(short_lived)] {
            app.gate.close();
            let before = app.gate.entered();
            let router = Router::new().route("/{which}", handler).with_state(app.clone());
            let tasks: Vec<_> = (0..20)
                .map(|_| {
                    let router = router.clone();
                    tokio::spawn(async move { get(&router, "/own").await })
                })
                .collect();
            app.gate.wait_for(before + 1).await;
            let_run().await;
            app.gate.open();
            let mut users = BTreeSet::new();
            for task in tasks {
                let answer = task.await.unwrap();
                assert_eq!(answer.text(), format!("own {}", answer.header("x-user")));
                assert_eq!(answer.header("date"), "yesterday");
                assert_eq!((answer.header("etag"), answer.header("cache-control")), ("", ""));
                users.insert(answer.header("x-user").to_owned());
            }
            assert_eq!((users.len(), app.gate.entered() - before), (20, 20));
        }
        assert_eq!(app.cache.stats().stored, 0);
        let fills: u64 = app.cache.functions().iter().map(|stats| stats.fills.failed).sum();
        assert_eq!(fills, 0, "no closure saw a page without its body");
    }
}

/// The same where no server can be asked.
#[tokio::test]
async fn nor_without_a_store() {
    let unreachable = format!("redis://127.0.0.1:{}", test_support::free_port());
    let app = App::new(redis_cached::Cache::builder(&unreachable).unwrap().build());
    let mut answers = at_once(&app, "/cookie", 20).await;
    answers.sort();
    answers.dedup();
    assert_eq!(answers.len(), 20);
    app.gate.close();
}
