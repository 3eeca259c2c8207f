//! Spans of `#[tracing::instrument]`: of the body in both places, of each call on a function around.

use std::sync::{Arc, Mutex};

use redis_cached::redis_cached;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_attributes::instrument;

#[instrument]
#[redis_cached]
fn above(id: u64) -> u64 {
    id
}

#[redis_cached]
#[instrument]
fn below(id: u64) -> u64 {
    id
}

#[instrument]
#[redis_cached]
async fn above_async(id: u64) -> u64 {
    id
}

#[redis_cached]
#[instrument]
async fn below_async(id: u64) -> u64 {
    id
}

#[redis_cached]
async fn found(id: u64) -> u64 {
    id
}

#[instrument]
async fn around(id: u64) -> u64 {
    found(id).await
}

/// Remembers the names of this file's spans.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<&'static str>>>);

impl Spans {
    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target() == module_path!()
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.0.lock().unwrap().push(span.metadata().name());
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn a_hit_has_a_span_where_a_function_around_has_it() {
    let spans = Spans::default();
    let _default = tracing::subscriber::set_default(spans.clone());

    // A miss runs the body, and a hit does not.
    assert_eq!((above(1), spans.take()), (1, vec!["above"]));
    assert_eq!((above(1), spans.take()), (1, vec![]));
    assert_eq!((below(1), spans.take()), (1, vec!["below_uncached"]));
    assert_eq!((below(1), spans.take()), (1, vec![]));
    assert_eq!((above_async(1).await, spans.take()), (1, vec!["above_async"]));
    assert_eq!((above_async(1).await, spans.take()), (1, vec![]));
    assert_eq!((below_async(1).await, spans.take()), (1, vec!["below_async_uncached"]));
    assert_eq!((below_async(1).await, spans.take()), (1, vec![]));

    assert_eq!((around(1).await, spans.take()), (1, vec!["around"]));
    assert_eq!((around(1).await, spans.take()), (1, vec!["around"]));
}
