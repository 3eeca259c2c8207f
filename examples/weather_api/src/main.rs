//! An axum service whose endpoint is cached by path and query for 30 seconds, in front of a slow upstream.
//!
//! ```sh
//! cargo run -p weather_api
//! PORT=8080 REDIS_URL=redis://127.0.0.1:6379 cargo run -p weather_api
//! ```
//!
//! It prints the address of a page that shows what the cache did, and `curl` commands to try. Start two services on different
//! ports with one `REDIS_URL`: they share what either of them fetched, and an invalidation in one applies to both. If Redis
//! stops while they run, they continue without a cache.

use std::error::Error;
use std::time::{Duration, Instant};

use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use redis_cached::axum::conditional;
use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

#[derive(Clone)]
struct App {
    upstream: Upstream,
    cache: Cache,
}

/// A city in lower case, so that each has one entry.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "String")]
struct City(String);

impl From<String> for City {
    fn from(spelled: String) -> City {
        City(spelled.trim().to_lowercase())
    }
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Units {
    #[default]
    Metric,
    Imperial,
}

#[derive(Clone, Serialize, Deserialize)]
struct Settings {
    #[serde(default)]
    units: Units,
}

#[derive(Serialize)]
struct Weather {
    city: String,
    degrees: i32,
    wind: u32,
}

/// The endpoint: `/weather/oslo?units=metric`.
///
/// An error is not stored: the next request asks the upstream again. If there was a response before, it is sent in place of an
/// error, for up to an hour.
#[redis_cached(response, ttl = 30, stale_if_error = "1h", cache_status = on, cache = app.cache, skip(app))]
async fn weather(
    State(app): State<App>,
    Path(city): Path<City>,
    Query(settings): Query<Settings>,
) -> Result<Json<Weather>, UpstreamError> {
    app.upstream.ask(&city.0, settings.units).await.map(Json)
}

/// `weather` works without the cache, but this handler does not: a client that invalidates an entry must learn whether it
/// succeeded.
async fn forget(
    app: State<App>,
    city: Path<City>,
    settings: Query<Settings>,
) -> Result<StatusCode, (StatusCode, String)> {
    match weather_entry(app, city, settings).invalidate().await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => Ok(StatusCode::NOT_FOUND),
        Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"))),
    }
}

/// A page that asks the endpoint, and shows whether the response was a hit, and how long it took.
async fn page() -> Html<&'static str> {
    Html(include_str!("page.html"))
}

/// Stands for a slow service of a third party.
#[derive(Clone)]
struct Upstream;

struct UpstreamError;

impl Upstream {
    async fn ask(&self, city: &str, units: Units) -> Result<Weather, UpstreamError> {
        tokio::time::sleep(Duration::from_millis(300)).await;
        if city == "atlantis" {
            return Err(UpstreamError);
        }
        let seed = city.bytes().fold(7u32, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        let (celsius, kmh) = ((seed % 45) as i32 - 12, seed / 45 % 90);
        let (degrees, wind) = match units {
            Units::Metric => (celsius, kmh),
            Units::Imperial => (celsius * 9 / 5 + 32, kmh * 5 / 8),
        };
        Ok(Weather { city: city.to_owned(), degrees, wind })
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
    let cache = response.headers().get("cache-status").and_then(|value| value.to_str().ok()).unwrap_or_default();
    println!("{title}: {} after {:.1?} {cache}", response.status(), start.elapsed());
    response
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init();
    let app = App { upstream: Upstream, cache: Cache::from_env()?.build() };
    let router = Router::new()
        .route("/", get(page))
        .route("/weather/{city}", get(weather).delete(forget))
        .layer(middleware::from_fn(conditional))
        .layer(middleware::from_fn(print_time))
        .with_state(app.clone());

    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse().map_err(|_| "PORT is not a port number"))?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("Open {url}/ in a browser, or try these, and watch the times here:");
    println!("  curl -i {url}/weather/oslo                  # 300 ms, then immediate for 30 seconds");
    println!("  curl -i '{url}/weather/oslo?units=imperial' # another entry");
    println!("  curl {url}/weather/rome & curl {url}/weather/rome   # at the same time: one request to the upstream");
    println!("  curl -X DELETE {url}/weather/oslo           # invalidated: the next request takes 300 ms again");
    println!("  curl {url}/weather/atlantis                 # an error is never cached");
    println!("Ctrl-C stops.");

    let stop = async {
        // Without a signal handler the service cannot stop gracefully, but it can run.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    axum::serve(listener, router).with_graceful_shutdown(stop).await?;

    let stats = app.cache.stats();
    println!(
        "{} hits, {} old answers, {} waited for another request, {} misses, {} without the cache",
        stats.hits, stats.stale, stats.shared, stats.misses, stats.bypasses
    );
    Ok(())
}
