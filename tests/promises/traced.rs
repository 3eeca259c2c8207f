//! The spans of bodies and refreshes, and the lines that explain what a call did.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};

use redis_cached::{Cache, redis_cached};
use test_support::{Gate, Server, caches, eventually, in_time};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Instrument, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// What no line and no span of the level DEBUG may have in it.
pub(crate) const SECRET: &str = "hunter2";

#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) name: &'static str,
    pub(crate) parent: Option<u64>,
    pub(crate) fields: HashMap<&'static str, String>,
    follows: Vec<u64>,
    pub(crate) has_ended: bool,
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

#[derive(Debug, Default)]
struct State {
    spans: BTreeMap<u64, Seen>,
    lines: Vec<(Level, Seen)>,
}

/// Keeps what this thread traces, up to a level.
#[derive(Clone)]
pub(crate) struct Tracer(Arc<Mutex<State>>, Level);

impl Tracer {
    pub(crate) fn new(level: Level) -> Tracer {
        Tracer(Arc::default(), level)
    }

    pub(crate) fn listen(&self) -> tracing::subscriber::DefaultGuard {
        tracing::subscriber::set_default(Registry::default().with(self.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn spans(&self, name: &str) -> Vec<Seen> {
        self.state().spans.values().filter(|span| span.name == name).cloned().collect()
    }

    pub(crate) fn span(&self, id: Option<u64>) -> Seen {
        self.state().spans[&id.expect("it has one")].clone()
    }

    /// The lines of the level DEBUG since the last time: their messages, and why.
    fn lines(&self) -> Vec<(String, String)> {
        let lines = std::mem::take(&mut self.state().lines);
        let lines = lines.into_iter().filter(|(level, _)| *level == Level::DEBUG);
        let field = |line: &Seen, name| line.fields.get(name).cloned().unwrap_or_default();
        lines.map(|(_, line)| (field(&line, "message"), field(&line, "why"))).collect()
    }

    /// The levels of the lines that have the secret; no span has it.
    pub(crate) fn levels_of_the_secret(&self) -> BTreeSet<Level> {
        let state = self.state();
        let has_it = |seen: &Seen| seen.fields.values().any(|value| value.contains(SECRET));
        assert!(!state.spans.values().any(has_it), "{:?}", state.spans);
        state.lines.iter().filter(|(_, line)| has_it(line)).map(|(level, _)| *level).collect()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Tracer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let is_own = metadata.target() == "redis_cached" || metadata.target() == module_path!();
        is_own && *metadata.level() <= self.1
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let parent = context.span(id).and_then(|span| Some(span.parent()?.id().into_u64()));
        let mut seen = Seen { name: attributes.metadata().name(), parent, ..Seen::default() };
        attributes.record(&mut seen);
        self.state().spans.insert(id.into_u64(), seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        values.record(self.state().spans.get_mut(&id.into_u64()).unwrap());
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, _: Context<'_, S>) {
        let mut state = self.state();
        assert!(!state.spans[&follows.into_u64()].has_ended, "it follows a span that has ended");
        state.spans.get_mut(&id.into_u64()).unwrap().follows.push(follows.into_u64());
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let parent = context.event_span(event).map(|span| span.id().into_u64());
        let mut line = Seen { parent, ..Seen::default() };
        event.record(&mut line);
        self.state().lines.push((*event.metadata().level(), line));
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        if let Some(span) = self.state().spans.get_mut(&id.into_u64()) {
            span.has_ended = true;
        }
    }
}

/// A query inside of a body.
async fn query() {
    async { tokio::task::yield_now().await }.instrument(tracing::info_span!("query")).await;
}

#[redis_cached(prefix = "traced", name = "row", cache = cache, skip(cache))]
async fn row(cache: &Cache, secret: &str, id: u64) -> Result<u64, String> {
    query().await;
    let _ = secret;
    if id == 13 { Err("no".to_owned()) } else { Ok(id) }
}

#[redis_cached(prefix = "traced", name = "plain", cache = cache, skip(cache))]
fn plain(cache: &Cache, secret: &str, id: u64) -> Option<u64> {
    tracing::info_span!("query").in_scope(|| secret.len());
    (id != 13).then_some(id)
}

#[redis_cached(prefix = "traced", name = "many", batch(id in ids), cache = cache, skip(cache))]
async fn many(cache: &Cache, secret: &str, ids: &[u64]) -> HashMap<u64, u64> {
    query().await;
    let _ = secret;
    ids.iter().map(|id| (*id, *id)).collect()
}

#[tokio::test]
async fn spans_of_a_body_are_inside_of_its_own() {
    let server = Server::start();
    for cache in caches(&server).into_iter().chain([Cache::builder("off://").unwrap().build()]) {
        let is_off = format!("{cache:?}").contains("off://");
        let tracer = Tracer::new(Level::DEBUG);
        let listening = tracer.listen();
        let caller = tracing::info_span!("caller");
        async {
            _ = row(&cache, SECRET, 1).await;
            _ = row(&cache, SECRET, 13).await;
            plain(&cache, SECRET, 1);
            plain(&cache, SECRET, 13);
            many(&cache, SECRET, &[1, 2]).await;
        }
        .instrument(caller)
        .await;
        let (bodies, queries) = (tracer.spans("body"), tracer.spans("query"));
        assert_eq!((bodies.len(), queries.len()), (5, 5));
        for query in &queries {
            let body = tracer.span(query.parent);
            assert_eq!(body.name, "body");
            assert_eq!(tracer.span(body.parent).name, "caller");
        }
        let fields = |name: &str| bodies.iter().map(|body| body.fields[name].clone()).collect::<Vec<_>>();
        let functions = ["traced:row", "traced:row", "traced:plain", "traced:plain", "traced:many"];
        let mut expected: Vec<_> = functions.iter().zip(["ok", "err", "ok", "none", "ok"]).collect();
        let mut found: Vec<_> = bodies.iter().map(|body| (&body.fields["function"], &body.fields["outcome"])).collect();
        expected.sort();
        found.sort();
        assert_eq!(format!("{found:?}"), format!("{expected:?}"));
        let role = if is_off { "alone" } else { "leader" };
        assert!(fields("role").iter().all(|own| own == role || is_off), "{:?}", fields("role"));
        // Hits are not seen at all.
        if !is_off {
            tracer.lines();
            _ = row(&cache, SECRET, 1).await;
            plain(&cache, SECRET, 1);
            many(&cache, SECRET, &[1, 2]).await;
            assert_eq!((tracer.spans("body").len(), tracer.lines()), (5, vec![]));
        }
        assert_eq!(tracer.levels_of_the_secret(), BTreeSet::new());
        drop(listening);
    }
}

#[tokio::test]
async fn a_refresh_follows_from_the_call_that_caused_it() {
    #[redis_cached(
        ttl = "30ms", stale_while_revalidate = "1h", prefix = "traced", name = "old", cache = cache, skip(cache, runs)
    )]
    async fn old(cache: &Cache, runs: Arc<AtomicUsize>, id: u64) -> u64 {
        query().await;
        id + runs.fetch_add(1, SeqCst) as u64
    }
    let server = Server::start();
    for cache in caches(&server) {
        let (tracer, runs) = (Tracer::new(Level::DEBUG), Arc::new(AtomicUsize::new(0)));
        old(&cache, runs.clone(), 1).await;
        test_support::expired(old_entry(&cache, 1)).await;
        let _listening = tracer.listen();
        let caller = tracing::info_span!("caller");
        let caller_id = caller.id().unwrap().into_u64();
        old(&cache, runs.clone(), 1).instrument(caller.clone()).await;
        in_time("the refresh ends", async || cache.functions()[0].refreshes.stored == 1).await;
        drop(caller);
        let [refresh] = &tracer.spans("refresh")[..] else { panic!("one refresh") };
        assert_eq!((refresh.parent, &refresh.follows), (None, &vec![caller_id]));
        let [body] = &tracer.spans("body")[..] else { panic!("one body") };
        assert_eq!(tracer.span(body.parent).name, "refresh");
        assert_eq!((body.fields["role"].as_str(), body.fields["outcome"].as_str()), ("refresh", "ok"));
        let [query] = &tracer.spans("query")[..] else { panic!("one query") };
        assert_eq!(tracer.span(query.parent).name, "body");
    }
}

#[tokio::test]
async fn lines_explain_each_decision() {
    mod before {
        use super::*;
        #[redis_cached(prefix = "traced", name = "changed", ttl = "1h", cache = cache, skip(cache, gate))]
        pub(super) async fn call(cache: &Cache, gate: &Gate, secret: &str) -> u64 {
            let _ = secret;
            gate.pass().await as u64
        }
    }
    mod after {
        use super::*;
        #[redis_cached(prefix = "traced", name = "changed", ttl = "1h", cache = cache, skip(cache, gate))]
        pub(super) async fn call(cache: &Cache, gate: &Gate, secret: &str) -> String {
            let _ = secret;
            gate.pass().await.to_string()
        }
    }
    let server = Server::start();
    let lines =
        |tracer: &Tracer| tracer.lines().into_iter().map(|(line, why)| format!("{line}: {why}")).collect::<Vec<_>>();
    for cache in caches(&server) {
        let tracer = Tracer::new(Level::DEBUG);
        let _listening = tracer.listen();
        let gate = Gate::closed();
        gate.open();
        before::call(&cache, &gate, SECRET).await;
        assert_eq!(lines(&tracer), ["miss: the slot is empty"]);
        after::call(&cache, &gate, SECRET).await;
        let expected = ["a stored value is unusable: it is of another type", "miss: the slot holds nothing usable"];
        assert_eq!(lines(&tracer), expected);
        gate.close();
        after::call_entry(&cache, SECRET).invalidate().await.unwrap();
        // A follower, and an invalidation that comes in between.
        let entered = gate.entered();
        let follower = async {
            gate.wait_for(entered + 1).await;
            let follower = after::call(&cache, &gate, SECRET);
            let voided = async {
                test_support::settle(before::call_entry(&cache, "other").get()).await.unwrap();
                after::call_entry(&cache, SECRET).invalidate().await.unwrap();
                gate.open();
            };
            tokio::join!(follower, voided)
        };
        tokio::join!(after::call(&cache, &gate, SECRET), follower);
        let overtaken = "a value is not stored: it was overtaken by an invalidation, or its lease ended";
        let mut found = lines(&tracer);
        found.sort();
        assert_eq!(found, [overtaken, "miss: the slot is empty", "shared: "]);
        assert_eq!(tracer.levels_of_the_secret(), BTreeSet::new());
    }
    let away = Cache::builder("redis://127.0.0.1:1").unwrap().build();
    let tracer = Tracer::new(Level::DEBUG);
    let _listening = tracer.listen();
    _ = row(&away, SECRET, 1).await;
    assert_eq!(lines(&tracer), ["bypass: "]);
    _ = row(&Cache::builder("off://").unwrap().build(), SECRET, 1).await;
    assert_eq!(lines(&tracer), ["bypass: the call has no entry in this cache"]);
}

#[tokio::test]
async fn each_id_of_a_batch_has_a_line() {
    /// Fails for the id 1, and waits at the gate for others.
    #[redis_cached(prefix = "traced", name = "some", batch(id in ids), cache = cache, skip(cache, gate))]
    async fn some(cache: &Cache, gate: &Gate, ids: &[u64]) -> Result<HashMap<u64, u64>, ()> {
        if ids.contains(&1) {
            return Err(());
        }
        gate.pass().await;
        Ok(ids.iter().map(|id| (*id, *id)).collect())
    }
    let lines = |tracer: &Tracer| {
        let mut lines: Vec<_> = tracer.lines().into_iter().map(|(line, why)| format!("{line}: {why}")).collect();
        lines.sort();
        lines
    };
    let gate = Gate::closed();
    gate.open();
    let away = Cache::builder("redis://127.0.0.1:1").unwrap().build();
    let tracer = Tracer::new(Level::DEBUG);
    let listening = tracer.listen();
    assert_eq!(some(&away, &gate, &[2, 3]).await.map(|found| found.len()), Ok(2));
    assert_eq!(lines(&tracer), ["bypass: a request to the store failed", "bypass: a request to the store failed"]);
    drop(listening);
    let server = Server::start();
    for cache in caches(&server) {
        gate.close();
        let tracer = Tracer::new(Level::DEBUG);
        let _listening = tracer.listen();
        let entered = gate.entered();
        let second = async {
            gate.wait_for(entered + 1).await;
            _ = tracer.lines();
            assert_eq!(some(&cache, &gate, &[1, 2]).await, Err(()));
            let expected = ["miss: the body failed for other ids of the call", "miss: the slot holds nothing usable"];
            assert_eq!(lines(&tracer), expected);
            gate.open();
        };
        let (first, ()) = tokio::join!(some(&cache, &gate, &[2]), second);
        assert_eq!((first.map(|found| found.len()), cache.functions()[0].calls.miss), (Ok(1), 3));
    }
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn a_response_that_is_not_stored_says_why() {
    use axum::response::{IntoResponse, Response};

    #[redis_cached(response, prefix = "traced", name = "cookie", cache = cache, skip(cache))]
    async fn cookie(cache: &Cache) -> Response {
        ([("set-cookie", "session=1")], "text").into_response()
    }
    let cache = Cache::builder("memory://").unwrap().build();
    let tracer = Tracer::new(Level::DEBUG);
    let _listening = tracer.listen();
    cookie(&cache).await;
    let expected = [
        "miss: the slot is empty",
        "a response is not stored: it sets a cookie",
        "a value is not stored: the function says so",
    ];
    let lines = tracer.lines().into_iter().map(|(message, why)| format!("{message}: {why}"));
    assert_eq!(lines.collect::<Vec<_>>(), expected);
}

#[test]
fn the_text_of_a_key_is_shown_at_trace_alone() {
    #[redis_cached(ttl = "30ms", prefix = "traced", name = "short", cache = cache, skip(cache))]
    fn short(cache: &Cache, secret: &str) -> u64 {
        secret.len() as u64
    }
    for (level, expected) in [(Level::DEBUG, BTreeSet::new()), (Level::TRACE, BTreeSet::from([Level::TRACE]))] {
        let cache = Cache::builder("memory://").unwrap().build();
        let tracer = Tracer::new(level);
        let _listening = tracer.listen();
        short(&cache, SECRET);
        eventually("it expires", || short_entry(&cache, SECRET).get().unwrap().is_none());
        short(&cache, SECRET);
        _ = plain(&cache, SECRET, 13);
        assert_eq!(tracer.levels_of_the_secret(), expected);
    }
}
