//! The table of the guide, "Old values", over the arguments together: what a call returns in each
//! state of its entry, whatever `single_flight`, `none_ttl` and `cache_if` say, on Redis, in memory,
//! and while Redis is away.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use redis_cached::{Cache, redis_cached};
use test_support::{Server, eventually};

type Returned = Result<Option<u64>, String>;

/// The origin that the body reads.
struct Source {
    runs: AtomicU64,
    next: Mutex<Returned>,
}

impl Source {
    fn read(&self) -> Returned {
        self.runs.fetch_add(1, SeqCst);
        self.next.lock().unwrap().clone()
    }

    fn runs(&self) -> u64 {
        self.runs.load(SeqCst)
    }

    fn set(&self, next: Returned) {
        *self.next.lock().unwrap() = next;
    }
}

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

/// The state that a value has some time after it was stored, for ever.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Fresh,
    Due,
    Stale,
    Fallback,
    Expired,
}

/// A function, and what its arguments make of it.
#[derive(Clone, Copy)]
struct Subject {
    state: State,
    flight: &'static str,
    /// `true` if `None` is stored, and a value that `cache_if` refuses is not.
    chooses: bool,
    face: &'static str,
    call: fn(&Cache, &Arc<Source>, u64) -> Returned,
    stored: fn(&Cache, u64) -> Option<Option<u64>>,
    key: fn(&Cache, u64) -> String,
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}, single_flight = {}, chooses: {}", self.face, self.state, self.flight, self.chooses)
    }
}

/// The value that `cache_if` refuses.
const REFUSED: u64 = 13;

/// Longer than any lifetime below that is not an hour.
const LATER: Duration = Duration::from_millis(80);

macro_rules! subjects {
    ($($state:ident [$($old:tt)*];)*) => {
        fn subjects() -> Vec<Subject> {
            let mut subjects = Vec::new();
            $(
                subjects!(@flights subjects $state [$($old)*] shared process off);
            )*
            subjects
        }
    };
    (@flights $to:ident $state:ident $old:tt $($flight:ident)*) => {$(
        subjects!(@one $to $state $flight false $old []);
        subjects!(@one $to $state $flight true $old [none_ttl = "30ms", cache_if = |value| *value != Some(REFUSED),]);
    )*};
    (@one $to:ident $state:ident $flight:ident $chooses:literal [$($old:tt)*] [$($choice:tt)*]) => {{
        const PREFIX: &str = concat!("old.", stringify!($state), ".", stringify!($flight), ".", stringify!($chooses));
        #[redis_cached(
            prefix = PREFIX,
            name = "tasks",
            lease = "300ms",
            single_flight = $flight,
            cache = cache,
            skip(cache, source),
            $($choice)*
            $($old)*
        )]
        async fn tasks(cache: &Cache, source: &Arc<Source>, id: u64) -> Result<Option<u64>, String> {
            let _ = id;
            tokio::task::yield_now().await;
            source.read()
        }
        #[redis_cached(
            prefix = PREFIX,
            name = "threads",
            lease = "300ms",
            single_flight = $flight,
            cache = cache,
            skip(cache, source),
            $($choice)*
            $($old)*
        )]
        fn threads(cache: &Cache, source: &Arc<Source>, id: u64) -> Result<Option<u64>, String> {
            let _ = id;
            source.read()
        }
        let subject = Subject {
            state: State::$state,
            flight: stringify!($flight),
            chooses: $chooses,
            face: "async",
            call: |cache, source, id| RUNTIME.block_on(tasks(cache, source, id)),
            stored: |cache, id| RUNTIME.block_on(tasks_entry(cache, id).get()).unwrap(),
            key: |cache, id| tasks_entry(cache, id).key().unwrap().to_owned(),
        };
        $to.push(subject);
        $to.push(Subject {
            face: "plain",
            call: threads,
            stored: |cache, id| threads_entry(cache, id).get().unwrap(),
            key: |cache, id| threads_entry(cache, id).key().unwrap().to_owned(),
            ..subject
        });
    }};
}

subjects! {
    Fresh [ttl = "1h", refresh_ahead = 0.9, stale_while_revalidate = "1h", stale_if_error = "2h"];
    Due [ttl = "1h", refresh_ahead = 0.000001, stale_if_error = "1h"];
    Stale [ttl = "30ms", stale_while_revalidate = "1h", stale_if_error = "2h"];
    Fallback [ttl = "30ms", stale_while_revalidate = "20ms", stale_if_error = "1h"];
    Expired [ttl = "30ms", stale_while_revalidate = "20ms", stale_if_error = "20ms"];
}

/// The results that bodies return next.
fn nexts() -> [Returned; 4] {
    [Ok(Some(2)), Ok(None), Ok(Some(REFUSED)), Err("it fails".to_owned())]
}

/// True if a result is stored.
fn stores(subject: Subject, returned: &Returned) -> bool {
    match returned {
        Ok(None) => subject.chooses,
        Ok(Some(value)) => *value != REFUSED || !subject.chooses,
        Err(_) => false,
    }
}

/// A cache, and whether what its entries hold can be looked at and set from outside.
fn caches(server: &Server) -> [Cache; 2] {
    ["memory://", &server.url()].map(|url| Cache::builder(url).unwrap().timeout(test_support::PATIENCE).build())
}

/// An entry of its own for each function and next result, filled with 1 and as old as it gets.
fn entries(cache: &Cache) -> Vec<(Subject, u64, Returned, Arc<Source>)> {
    let mut entries = Vec::new();
    for subject in subjects() {
        for (id, next) in nexts().into_iter().enumerate() {
            let source = Arc::new(Source { runs: AtomicU64::new(0), next: Mutex::new(Ok(Some(1))) });
            assert_eq!((subject.call)(cache, &source, id as u64), Ok(Some(1)), "{subject:?}");
            source.set(next.clone());
            entries.push((subject, id as u64, next, source));
        }
    }
    std::thread::sleep(LATER);
    entries
}

#[test]
fn a_call_returns_what_the_table_says() {
    let server = Server::start();
    for cache in caches(&server) {
        for (subject, id, next, source) in entries(&cache) {
            let case = format!("{subject:?}, next: {next:?}, {cache:?}");
            let returned = (subject.call)(&cache, &source, id);
            let old: Returned = Ok(Some(1));
            match subject.state {
                State::Fresh => {
                    assert_eq!(returned, old, "{case}");
                    assert_eq!(source.runs(), 1, "{case}");
                }
                State::Due | State::Stale => {
                    assert_eq!(returned, old, "{case}");
                    eventually(&case, || source.runs() == 2);
                    // The outcome: the new value, nothing, or still the old value.
                    let after = match &next {
                        Err(_) => old,
                        next => next.clone(),
                    };
                    eventually(&case, || (subject.call)(&cache, &source, id) == after);
                }
                State::Fallback => {
                    let expected = if next.is_err() { old.clone() } else { next.clone() };
                    assert_eq!(returned, expected, "{case}");
                    assert_eq!(source.runs(), 2, "{case}");
                    // After a failure it is the old value for a second, and no body runs.
                    if next.is_err() {
                        assert_eq!((subject.call)(&cache, &source, id), old, "{case}");
                        assert_eq!(source.runs(), 2, "{case}");
                    } else if !stores(subject, &next) {
                        assert_eq!((subject.stored)(&cache, id), None, "{case}");
                    }
                }
                State::Expired => {
                    assert_eq!(returned, next, "{case}");
                    assert_eq!(source.runs(), 2, "{case}");
                    if !stores(subject, &next) {
                        assert_eq!((subject.stored)(&cache, id), None, "{case}");
                    }
                }
            }
        }
    }
}

#[test]
fn nothing_and_junk_make_the_body_run() {
    let server = Server::start();
    for cache in caches(&server) {
        for (subject, id, next, source) in entries(&cache) {
            let case = format!("{subject:?}, next: {next:?}, {cache:?}");
            let key = (subject.key)(&cache, id);
            if format!("{cache:?}").contains("redis://") && id % 2 == 0 {
                server.cli(&["SET", &key, "Vx, and so on"]);
            } else if format!("{cache:?}").contains("redis://") {
                server.cli(&["DEL", &key]);
            } else {
                // Another entry, never filled.
                let id = id + 100;
                assert_eq!((subject.call)(&cache, &source, id), next, "{case}");
                assert_eq!(source.runs(), 2, "{case}");
                continue;
            }
            assert_eq!((subject.call)(&cache, &source, id), next, "{case}");
            assert_eq!(source.runs(), 2, "{case}");
            if subject.state == State::Fresh && next != Ok(None) {
                let stored = stores(subject, &next);
                assert_eq!((subject.stored)(&cache, id), stored.then(|| next.clone().unwrap()), "{case}");
            }
        }
    }
}

#[test]
fn a_stored_none_is_as_any_value() {
    let server = Server::start();
    for cache in caches(&server) {
        let subjects: Vec<_> = subjects().into_iter().filter(|subject| subject.chooses).collect();
        let source = |_| Arc::new(Source { runs: AtomicU64::new(0), next: Mutex::new(Ok(None)) });
        let sources: Vec<_> = subjects.iter().map(source).collect();
        for (subject, source) in subjects.iter().zip(&sources) {
            assert_eq!((subject.call)(&cache, source, 7), Ok(None), "{subject:?}");
            source.set(Ok(Some(2)));
        }
        std::thread::sleep(LATER);
        for (subject, source) in subjects.iter().zip(&sources) {
            // Its lifetime is that of `none_ttl`, and over by now; the windows are as for any value.
            let returned = (subject.call)(&cache, source, 7);
            match subject.state {
                State::Fresh | State::Stale => {
                    assert_eq!(returned, Ok(None), "{subject:?}");
                    eventually("it is refreshed", || (subject.call)(&cache, source, 7) == Ok(Some(2)));
                }
                State::Due | State::Fallback | State::Expired => assert_eq!(returned, Ok(Some(2)), "{subject:?}"),
            }
        }
    }
}

/// A lease without a leader: the calls of `shared` wait for it, the others do not.
#[test]
fn a_lease_of_another_process_is_waited_for_once() {
    let server = Server::start();
    let [_, cache] = caches(&server);
    let lease = [&b"L\x01"[..], &[7; 16]].concat();
    for subject in subjects().into_iter().filter(|subject| subject.state == State::Fresh) {
        let source = Arc::new(Source { runs: AtomicU64::new(0), next: Mutex::new(Ok(Some(1))) });
        let key = (subject.key)(&cache, 9);
        redis::cmd("SET").arg(&key).arg(&lease).arg("PX").arg(60_000).exec(&mut server.connection()).unwrap();
        let begun = std::time::Instant::now();
        assert_eq!((subject.call)(&cache, &source, 9), Ok(Some(1)), "{subject:?}");
        let waited = begun.elapsed() >= Duration::from_millis(290);
        assert_eq!(waited, subject.flight == "shared", "{subject:?}: {:?}", begun.elapsed());
        assert_eq!((subject.stored)(&cache, 9), None, "{subject:?}");
    }
}

#[test]
fn while_redis_is_away_the_body_runs_whatever_the_entry_held() {
    let server = Server::start();
    let [_, cache] = caches(&server);
    let entries = entries(&cache);
    server.kill();
    for (subject, id, next, source) in entries {
        assert_eq!((subject.call)(&cache, &source, id), next, "{subject:?}");
        assert_eq!(source.runs(), 2, "{subject:?}");
    }
}
