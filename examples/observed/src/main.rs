//! A shop whose cache can be watched: an axum service with `/metrics` for Prometheus, under a load that it makes itself.
//!
//! ```sh
//! cargo run -p observed
//! PORT=8080 REDIS_URL=redis://127.0.0.1:6379 cargo run -p observed
//! ```
//!
//! Without `REDIS_URL`, values are kept in memory. With it, `rcached top` shows the functions of all such services.
//! `grafana/` has a dashboard and the settings of a Prometheus that reads from this service.
//! `RUST_LOG=redis_cached=debug` prints why each call missed.

mod load;
mod shop;

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use redis_cached::{Cache, PROMETHEUS_CONTENT_TYPE};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

/// How often `rcached top` gets new figures.
const PUBLISHED: Duration = Duration::from_secs(2);

/// Everything that the cache counts, for Prometheus.
async fn metrics(State(cache): State<Cache>) -> impl IntoResponse {
    ([(CONTENT_TYPE, PROMETHEUS_CONTENT_TYPE)], cache.prometheus())
}

/// The same for a person: a line for each function.
async fn overview(State(cache): State<Cache>) -> String {
    let mut text = format!("{:<24}{:>10}{:>8}{:>12}\n", "function", "calls", "ratio", "saved");
    for function in cache.functions() {
        text.push_str(&format!(
            "{:<24}{:>10}{:>7.1}%{:>10.1} s\n",
            function.function,
            function.calls.all(),
            function.calls.ratio().unwrap_or(0.0) * 100.0,
            function.saved_seconds,
        ));
    }
    text
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).init();
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "memory://".to_owned());
    let cache = Cache::builder(&url)?.publish_stats(PUBLISHED).build();
    load::start(&cache);

    let app = Router::new().route("/", get(overview)).route("/metrics", get(metrics)).with_state(cache);
    let port = std::env::var("PORT").map_or(Ok(9464), |port| port.parse().map_err(|_| "PORT is not a port number"))?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    println!("http://{address}/ shows each function, http://{address}/metrics is for Prometheus. Ctrl-C stops.");
    let stop = async {
        // Without a signal handler the service cannot stop gracefully, but it can run.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    Ok(())
}
