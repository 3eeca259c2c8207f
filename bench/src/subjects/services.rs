//! One service, whose handler each library caches in the way that its documentation shows.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use axum_response_cache::CacheLayer as ResponseCache;
use hitbox::Config;
use hitbox::concurrency::BroadcastConcurrencyManager;
use hitbox::policy::{ConcurrencyLimit, PolicyConfig};
use hitbox_http::extractors::Method;
use hitbox_http::extractors::path::PathExtractor as _;
use hitbox_http::predicates::{NeutralRequestPredicate, NeutralResponsePredicate};
use hitbox_redis::{ConnectionMode, RedisBackend};
use http_body_util::Full;
use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};
use tower::{Layer as _, Service, ServiceExt as _};

use super::Result;

/// The lifetime of all responses.
const TTL: Duration = Duration::from_secs(3600);

/// How long the handler waits for its query.
const QUERY: Duration = Duration::from_millis(5);

/// The number of rows with which the JSON of a report has 2 KB.
const ROWS: u64 = 30;

#[derive(Clone)]
struct App {
    cache: Cache,
    runs: Arc<AtomicUsize>,
}

#[derive(Serialize, Deserialize)]
struct Report {
    id: u64,
    rows: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    number: u64,
    name: String,
    amount: f64,
    is_paid: bool,
}

impl App {
    /// Stands for a query of a database.
    async fn query(&self, id: u64) -> Report {
        self.runs.fetch_add(1, Relaxed);
        tokio::time::sleep(QUERY).await;
        let line =
            |number| Line { number, name: format!("article {number}"), amount: 0.5 + number as f64, is_paid: true };
        Report { id, rows: (0..ROWS).map(line).collect() }
    }
}

async fn uncached(State(app): State<App>, Path(id): Path<u64>) -> Json<Report> {
    Json(app.query(id).await)
}

#[redis_cached(ttl = "1h", cache = app.cache, skip(app))]
async fn value(State(app): State<App>, Path(id): Path<u64>) -> Json<Report> {
    Json(app.query(id).await)
}

#[redis_cached(response, ttl = "1h", cache = app.cache, skip(app))]
async fn response(State(app): State<App>, Path(id): Path<u64>) -> Json<Report> {
    Json(app.query(id).await)
}

#[redis_cached(response, ttl = "1h", local = 10_000, cache = app.cache, skip(app))]
async fn kept(State(app): State<App>, Path(id): Path<u64>) -> Json<Report> {
    Json(app.query(id).await)
}

/// How the service is cached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cached {
    No,
    Value,
    Response,
    Kept,
    ResponseCache,
    Hitbox,
    TowerHttpCache,
}

impl Cached {
    pub const ALL: [Cached; 7] = [
        Cached::No,
        Cached::Value,
        Cached::Response,
        Cached::Kept,
        Cached::Hitbox,
        Cached::TowerHttpCache,
        Cached::ResponseCache,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Cached::No => "uncached",
            Cached::Value => "redis-cached, `Json`",
            Cached::Response => "redis-cached, `response`",
            Cached::Kept => "redis-cached, `response` and `local`",
            Cached::ResponseCache => "axum-response-cache (in this process alone)",
            Cached::Hitbox => "hitbox-tower (Redis)",
            Cached::TowerHttpCache => "tower-http-cache (Redis)",
        }
    }

    /// The service. `/runs` says how often the handler ran.
    pub async fn router(self, url: &str) -> Result<Router> {
        let app = App { cache: Cache::builder(url)?.build(), runs: Arc::default() };
        let runs = Arc::clone(&app.runs);
        let route = |handler| Router::new().route("/report/{id}", handler);
        let cached = match self {
            Cached::No => route(get(uncached)).with_state(app),
            Cached::Value => route(get(value)).with_state(app),
            Cached::Response => route(get(response)).with_state(app),
            Cached::Kept => route(get(kept)).with_state(app),
            Cached::ResponseCache => route(get(uncached).layer(ResponseCache::with_lifespan(TTL))).with_state(app),
            Cached::Hitbox => by_hitbox(route(get(uncached)).with_state(app), url)?,
            Cached::TowerHttpCache => by_tower_http_cache(route(get(uncached)).with_state(app), url).await?,
        };
        Ok(cached.route("/runs", get(async move || runs.load(Relaxed).to_string())))
    }
}

fn by_hitbox(service: Router, url: &str) -> Result<Router> {
    let config = Config::builder()
        .request_predicate(NeutralRequestPredicate::new())
        .response_predicate(NeutralResponsePredicate::new())
        .extractor(Method::new().path("/report/{id}"))
        .policy(PolicyConfig::builder().ttl(TTL).concurrency(ConcurrencyLimit::MIN).build())
        .build();
    let layer = hitbox_tower::Cache::builder()
        .backend(RedisBackend::builder().connection(ConnectionMode::single(url)).build()?)
        .config(config)
        .concurrency_manager(BroadcastConcurrencyManager::new())
        .build();
    Ok(Router::new().fallback_service(layer.layer(service)))
}

/// The layer needs bodies that are `Sync`, and makes errors, so that it cannot be a layer of a router.
async fn by_tower_http_cache(service: Router, url: &str) -> Result<Router> {
    use tower_http_cache::prelude::{CacheLayer, RedisBackend};
    let connection = redis::Client::open(url)?.get_connection_manager().await?;
    let layer = CacheLayer::builder(RedisBackend::new(connection)).ttl(TTL).build();
    let cached = layer.layer(Buffered(service));
    let answer = move |request: Request| {
        let cached = cached.clone();
        async move {
            let response = cached.oneshot(request).await;
            response.map_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response(), |found| found.map(Body::new))
        }
    };
    Ok(Router::new().fallback(answer))
}

/// A service whose responses are read to their end.
#[derive(Clone)]
struct Buffered(Router);

impl Service<Request> for Buffered {
    type Response = axum::http::Response<Full<axum::body::Bytes>>;
    type Error = axum::Error;
    type Future = Pin<Box<dyn Future<Output = std::result::Result<Self::Response, axum::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<std::result::Result<(), axum::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let service = self.0.clone();
        Box::pin(async move {
            let (parts, body) = service.oneshot(request).await.unwrap_or_else(|never| match never {}).into_parts();
            Ok(Response::from_parts(parts, Full::new(to_bytes(body, usize::MAX).await?)))
        })
    }
}
