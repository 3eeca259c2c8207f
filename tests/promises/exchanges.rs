//! The exchanges with a server: their spans, and their durations in a scrape.

use redis_cached::{Cache, redis_cached};
use test_support::{PATIENCE, Server};
use tracing::{Instrument, Level};

use crate::scrape::parsed;
use crate::traced::{SECRET, Seen, Tracer};

#[redis_cached(prefix = "exchanges", name = "row", cache = cache, skip(cache))]
async fn row(cache: &Cache, secret: &str, id: u64) -> u64 {
    id + secret.len() as u64
}

#[redis_cached(prefix = "exchanges", name = "plain", cache = cache, skip(cache))]
fn plain(cache: &Cache, secret: &str, id: u64) -> u64 {
    id + secret.len() as u64
}

fn remote(server: &Server) -> Cache {
    Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build()
}

/// The exchanges in a scrape: their operations, failures and numbers. All of them are with this server.
fn scraped(cache: &Cache, server: &Server) -> Vec<(String, Option<String>, f64)> {
    let mut families = parsed(&cache.prometheus());
    let family = families.remove("db_client_operation_duration_seconds").expect("an exchange");
    let counts = family.samples.into_iter().filter(|(suffix, ..)| suffix == "_count");
    counts
        .map(|(_, mut labels, count)| {
            assert_eq!((&*labels["db_system_name"], &*labels["server_address"]), ("redis", "127.0.0.1"));
            assert_eq!(labels["server_port"], server.port().to_string());
            (labels.remove("db_operation_name").unwrap(), labels.remove("error_type"), count)
        })
        .collect()
}

/// The number of exchanges that were answered.
fn answered(cache: &Cache, server: &Server) -> f64 {
    scraped(cache, server).iter().filter(|(_, failure, _)| failure.is_none()).map(|(.., count)| count).sum()
}

#[tokio::test]
async fn each_hit_is_one_exchange() {
    let server = Server::start();
    let cache = remote(&server);
    row(&cache, "", 1).await;
    plain(&cache, "", 1);
    for is_plain in [false, true] {
        // An exchange of the cache itself may come in between.
        let before = answered(&cache, &server);
        for _ in 0..100 {
            match is_plain {
                true => plain(&cache, "", 1),
                false => row(&cache, "", 1).await,
            };
        }
        let hits = answered(&cache, &server) - before;
        assert!((100.0..110.0).contains(&hits), "{hits} exchanges for 100 hits");
    }
    let gets = scraped(&cache, &server).into_iter().find(|(operation, ..)| operation == "GET");
    assert!(gets.is_some_and(|(_, failure, count)| failure.is_none() && count >= 190.0), "few are more than a GET");
}

#[tokio::test]
async fn failed_exchanges_are_told_by_the_reason() {
    let server = Server::start();
    let cache = remote(&server);
    let key = row_entry(&cache, "", 2).key().unwrap().to_owned();
    let plain_key = plain_entry(&cache, "", 2).key().unwrap().to_owned();
    for key in [key, plain_key] {
        redis::cmd("RPUSH").arg(key).arg("a list").exec(&mut server.connection()).unwrap();
    }
    row(&cache, "", 2).await;
    plain(&cache, "", 2);
    let failed: Vec<_> = scraped(&cache, &server).into_iter().filter(|(_, failure, _)| failure.is_some()).collect();
    // Now and then a command travels together with another one, in a pipeline.
    let of_type = |failure: &Option<String>| failure.as_deref() == Some("wrong_type");
    let count: f64 = failed.iter().filter(|(_, failure, _)| of_type(failure)).map(|(.., count)| count).sum();
    assert!(count >= 2.0, "{failed:?}");
}

#[tokio::test]
async fn exchanges_that_are_given_up_count() {
    let server = Server::start();
    let cache = remote(&server);
    row(&cache, "", 3).await;
    server.stop();
    let given_up = tokio::time::timeout(std::time::Duration::from_millis(50), row(&cache, "", 3)).await;
    assert!(given_up.is_err());
    let found = scraped(&cache, &server);
    assert!(found.iter().any(|(_, failure, _)| failure.as_deref() == Some("cancelled")), "{found:?}");
    server.cont();
}

fn has(span: &Seen, field: &str, value: &str) -> bool {
    span.fields.get(field).is_some_and(|found| found == value)
}

#[tokio::test]
async fn each_exchange_has_a_span_at_the_level_trace() {
    let server = Server::start();
    for level in [Level::DEBUG, Level::TRACE] {
        let cache = remote(&server);
        let tracer = Tracer::new(level);
        let _listening = tracer.listen();
        for _ in 0..2 {
            row(&cache, SECRET, 4).instrument(tracing::info_span!(target: "redis_cached", "request")).await;
            tracing::info_span!(target: "redis_cached", "request").in_scope(|| plain(&cache, SECRET, 4));
        }
        assert!(tracer.levels_of_the_secret().iter().all(|level| *level == Level::TRACE), "no span shows a key");
        let spans = tracer.spans("redis");
        if level == Level::DEBUG {
            assert!(spans.is_empty(), "{spans:?}");
            continue;
        }
        let gets: Vec<_> = spans.iter().filter(|span| has(span, "db.operation.name", "GET")).collect();
        assert!(gets.len() >= 2, "the second calls hit: {spans:?}");
        for span in &spans {
            assert!(has(span, "otel.kind", "client") && has(span, "db.system.name", "redis"), "{span:?}");
            assert_eq!(span.fields["otel.name"], span.fields["db.operation.name"]);
            assert!(has(span, "server.address", "127.0.0.1"), "{span:?}");
            assert!(has(span, "server.port", &server.port().to_string()), "{span:?}");
            let is_pipeline = has(span, "db.operation.name", "PIPELINE");
            assert_eq!(span.fields.contains_key("db.operation.batch.size"), is_pipeline, "{span:?}");
            assert!(span.has_ended && !span.fields.contains_key("error.type"), "{span:?}");
        }
        assert!(gets.iter().all(|span| tracer.span(span.parent).name == "request"), "{gets:?}");
    }
}

#[test]
fn the_span_of_a_failed_exchange_tells_why() {
    let server = Server::start();
    let cache = remote(&server);
    let key = plain_entry(&cache, "", 5).key().unwrap().to_owned();
    redis::cmd("RPUSH").arg(key).arg("a list").exec(&mut server.connection()).unwrap();
    let tracer = Tracer::new(Level::TRACE);
    let _listening = tracer.listen();
    plain(&cache, "", 5);
    let spans = tracer.spans("redis");
    assert!(spans.iter().any(|span| has(span, "error.type", "wrong_type")), "{spans:?}");
}
