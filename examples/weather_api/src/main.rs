//! An axum service that caches the answers of a slow upstream for 30 seconds. Afterwards it serves the
//! stale answer while it fetches a new one in the background, and for an hour if the upstream is down.
//!
//! ```sh
//! cargo run -p weather_api
//! PORT=8080 REDIS_URL=redis://127.0.0.1:6379 cargo run -p weather_api
//! ```
//!
//! It prints the `curl` commands to try. Start two services on different ports with one `REDIS_URL`:
//! they share what either of them fetched, and an invalidation in one applies to both. If Redis stops
//! while they run, they continue without a cache.

use std::error::Error;
use std::time::{Duration, Instant};

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

#[derive(Clone)]
struct AppState {
    upstream: Upstream,
    cache: Cache,
}

#[derive(Serialize, Deserialize)]
struct Weather {
    city: String,
    celsius: i32,
    wind_kmh: u32,
}

/// The attribute is on this function and not on the handler, because a handler returns a response,
/// and a response (`Json<Weather>` too) cannot be read back from a store.
///
/// An error is not stored: the next request asks the upstream again. Concurrent requests share one
/// request to the upstream, and its error, because the error is `Clone`.
#[redis_cached(
    ttl = "30s",
    stale_while_revalidate = "5m",
    stale_if_error = "1h",
    cache = state.cache,
    skip(state)
)]
async fn forecast(state: &AppState, city: &str) -> Result<Weather, UpstreamError> {
    state.upstream.ask(city).await
}

async fn weather(State(state): State<AppState>, Path(city): Path<String>) -> Result<Json<Weather>, UpstreamError> {
    Ok(Json(forecast(&state, &spelled(&city)).await?))
}

/// `forecast` works without the cache, but this handler does not: a client that invalidates an entry
/// must learn whether it succeeded.
async fn forget(State(state): State<AppState>, Path(city): Path<String>) -> Result<StatusCode, (StatusCode, String)> {
    match forecast_entry(&state, &spelled(&city)).invalidate().await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => Ok(StatusCode::NOT_FOUND),
        Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"))),
    }
}

/// Normalizes the spelling, so that each city has one entry.
fn spelled(city: &str) -> String {
    city.trim().to_lowercase()
}

/// Stands for a slow service of a third party.
#[derive(Clone)]
struct Upstream;

#[derive(Clone)]
struct UpstreamError;

impl Upstream {
    async fn ask(&self, city: &str) -> Result<Weather, UpstreamError> {
        tokio::time::sleep(Duration::from_millis(300)).await;
        if city == "atlantis" {
            return Err(UpstreamError);
        }
        let seed = city.bytes().fold(7u32, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        Ok(Weather { city: city.to_owned(), celsius: (seed % 45) as i32 - 12, wind_kmh: seed / 45 % 90 })
    }
}

impl IntoResponse for UpstreamError {
    fn into_response(self) -> Response {
        (StatusCode::BAD_GATEWAY, "the weather service has no answer\n").into_response()
    }
}

async fn print_time(request: Request, next: Next) -> Response {
    let title = format!("{} {}", request.method(), request.uri());
    let start = Instant::now();
    let response = next.run(request).await;
    println!("{title}: {} after {:.1?}", response.status(), start.elapsed());
    response
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init();
    let state = AppState { upstream: Upstream, cache: Cache::from_env()?.build() };
    let app = Router::new()
        .route("/weather/{city}", get(weather).delete(forget))
        .layer(middleware::from_fn(print_time))
        .with_state(state.clone());

    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse().map_err(|_| "PORT is not a port number"))?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let url = format!("http://{}/weather", listener.local_addr()?);
    println!("Try these, and watch the times here:");
    println!("  curl {url}/oslo             # 300 ms, then immediate for five and a half minutes");
    println!("  curl {url}/rome & curl {url}/rome   # two at the same time: one request to the upstream");
    println!("  curl -X DELETE {url}/oslo   # invalidated: the next request takes 300 ms again");
    println!("  curl {url}/atlantis         # an error is never cached");
    println!("Ctrl-C stops.");

    let stop = async {
        // Without a signal handler the service cannot stop gracefully, but it can run.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;

    let stats = state.cache.stats();
    println!(
        "{} hits, {} old answers, {} waited for another request, {} misses, {} without the cache, {} refreshed behind",
        stats.hits, stats.stale, stats.shared, stats.misses, stats.bypasses, stats.refreshes
    );
    Ok(())
}
