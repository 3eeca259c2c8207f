//! Hits over TLS, next to a hand-written `GET` and a decode on a connection with the same TLS library.
//!
//! `cargo bench --package redis-cached-runtime --features tls-rustls --bench tls` starts a server of its own; with
//! `-- --quick` it takes some seconds, and its figures say less. The subjects take turns, round by round, and a ratio is the
//! median of the rounds' own. It is here, and not with the other comparisons, because it is written against the
//! dependencies of this package.

use std::hint::black_box;
use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Parser, RedisConnectionInfo, Value};
use redis_cached::{Cache, redis_cached};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde::{Deserialize, Serialize};
use test_support::TlsServer;

#[derive(Serialize, Deserialize)]
struct Item {
    id: u64,
    text: String,
}

fn make(size: u32, id: u64) -> Item {
    Item { id, text: "x".repeat(size as usize) }
}

#[redis_cached(prefix = "bench", ttl = "1h", cache = cache, skip(cache))]
async fn item(cache: &Cache, size: u32, id: u64) -> Item {
    make(size, id)
}

#[redis_cached(prefix = "bench", ttl = "1h", cache = cache, skip(cache))]
fn item_plain(cache: &Cache, size: u32, id: u64) -> Item {
    make(size, id)
}

fn decoded(bytes: &[u8]) -> Item {
    bincode::serde::decode_from_slice(bytes, bincode::config::standard()).expect("it decodes").0
}

/// The keys over which concurrent hits are spread.
const KEYS: u64 = 1_000;

fn key(size: u32, id: u64) -> String {
    format!("by_hand:{size}:{id}")
}

fn config(server: &TlsServer) -> Arc<ClientConfig> {
    let read = |file: &str| server.certificates.read(file);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&read("ca.pem")) {
        roots.add(certificate.expect("PEM")).expect("an authority");
    }
    let pem = read("client.pem");
    let chain = CertificateDer::pem_slice_iter(&pem).map(|certificate| certificate.expect("PEM"));
    let key = PrivateKeyDer::from_pem_slice(&read("client.key")).expect("a key");
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots);
    Arc::new(builder.with_client_auth_cert(chain.collect(), key).expect("a pair"))
}

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}

async fn connect(server: &TlsServer) -> MultiplexedConnection {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", server.tls_port())).await.expect("a connection");
    stream.set_nodelay(true).expect("an option");
    let stream = tokio_rustls::TlsConnector::from(config(server)).connect(localhost(), stream).await.expect("TLS");
    let login = RedisConnectionInfo::default();
    let connected = MultiplexedConnection::new_with_config(&login, stream, AsyncConnectionConfig::new()).await;
    let (connection, driver) = connected.expect("a login");
    tokio::spawn(driver);
    connection
}

/// A connection for one command at a time.
struct Plain {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    parser: Parser,
}

impl Plain {
    fn connect(server: &TlsServer) -> Plain {
        let stream = TcpStream::connect(("127.0.0.1", server.tls_port())).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let client = ClientConnection::new(config(server), localhost()).expect("a client");
        Plain { stream: BufReader::new(StreamOwned::new(client, stream)), parser: Parser::new() }
    }

    fn get(&mut self, key: &str) -> Item {
        let command = redis::cmd("GET").arg(key).get_packed_command();
        self.stream.get_mut().write_all(&command).expect("it is sent");
        match self.parser.parse_value(&mut self.stream).expect("a reply") {
            Value::BulkString(bytes) => decoded(&bytes),
            other => panic!("{other:?}"),
        }
    }
}

/// A subject's turn, which returns the time of one call.
type Turn<'a> = Box<dyn FnMut() -> Duration + 'a>;

fn compare(workload: &str, rounds: usize, mut by_hand: Turn<'_>, mut ours: Turn<'_>) {
    let (mut times, mut ratios) = (Vec::new(), Vec::new());
    // The first round is a warm-up.
    for round in 0..=rounds {
        let (hand, our) = if round % 2 == 0 {
            let hand = by_hand();
            (hand, ours())
        } else {
            let our = ours();
            (by_hand(), our)
        };
        if round > 0 {
            times.push(hand.as_secs_f64() * 1e6);
            ratios.push(our.div_duration_f64(hand));
        }
    }
    let ([_, hand, _], [low, ratio, high]) = (middle(times), middle(ratios));
    println!("{workload:32} by hand {hand:8.2} µs, redis-cached {ratio:.3} × ({low:.3} to {high:.3})");
}

/// The median, between the bounds of the middle half.
fn middle(mut figures: Vec<f64>) -> [f64; 3] {
    figures.sort_by(f64::total_cmp);
    let quarter = figures.len() / 4;
    [figures[quarter], figures[figures.len() / 2], figures[figures.len() - 1 - quarter]]
}

fn store(server: &TlsServer, size: u32, count: u64) {
    let mut pipeline = redis::pipe();
    for id in 0..count {
        let bytes = bincode::serde::encode_to_vec(make(size, id), bincode::config::standard()).expect("it encodes");
        pipeline.cmd("SET").arg(key(size, id)).arg(bytes).ignore();
    }
    pipeline.query::<()>(&mut server.connection()).expect("it is stored");
}

fn one_by_one<'a>(count: u32, mut call: impl FnMut() + 'a) -> Turn<'a> {
    Box::new(move || {
        let begun = Instant::now();
        for _ in 0..count {
            call();
        }
        begun.elapsed() / count
    })
}

const TASKS: u64 = 64;
const EACH: u64 = 50;

/// Tasks at the same time, each of which makes several calls.
fn at_once<'a, F>(runtime: &'a tokio::runtime::Runtime, call: impl Fn(u64) -> F + Clone + Send + 'static) -> Turn<'a>
where
    F: Future<Output = Item> + Send,
{
    Box::new(move || {
        runtime.block_on(async {
            let begun = Instant::now();
            let tasks = (0..TASKS).map(|task| {
                let call = call.clone();
                tokio::spawn(async move {
                    for hit in 0..EACH {
                        // The step is prime, so that neighbouring tasks ask for different keys.
                        black_box(call((task * 331 + hit * 7) % KEYS).await);
                    }
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await.expect("it ends");
            }
            begun.elapsed().div_f64((TASKS * EACH) as f64)
        })
    })
}

fn main() {
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let (rounds, few) = if is_quick { (5, 3) } else { (81, 21) };
    let server = TlsServer::start();
    let cache = || Cache::builder(&server.url()).expect("a URL").timeout(Duration::from_secs(5)).build();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    println!("{}", server.program());
    for size in [100, 10_000] {
        store(&server, size, 1);
        let (cache, connection) = (cache(), runtime.block_on(connect(&server)));
        let by_hand = || {
            let mut connection = connection.clone();
            let get = async move { redis::cmd("GET").arg(key(size, 0)).query_async::<Vec<u8>>(&mut connection).await };
            black_box(decoded(&runtime.block_on(get).expect("a value")));
        };
        let ours = || _ = black_box(runtime.block_on(item(&cache, black_box(size), 0)));
        let workload = format!("async hit, {size} B");
        compare(&workload, rounds, one_by_one(500, by_hand), one_by_one(500, ours));
        assert_eq!(cache.stats().misses + cache.stats().bypasses, 1, "hits alone are measured");

        let mut plain = Plain::connect(&server);
        let by_hand = || _ = black_box(plain.get(&key(size, 0)));
        let ours = || _ = black_box(item_plain(&cache, black_box(size), 0));
        let workload = format!("plain hit, {size} B");
        compare(&workload, rounds, one_by_one(500, by_hand), one_by_one(500, ours));
    }
    store(&server, 100, KEYS);
    let (cache, connection) = (cache(), runtime.block_on(connect(&server)));
    for id in 0..KEYS {
        runtime.block_on(item(&cache, 100, id));
    }
    let by_hand = at_once(&runtime, move |id| {
        let mut connection = connection.clone();
        async move {
            let bytes: Vec<u8> =
                redis::cmd("GET").arg(key(100, id)).query_async(&mut connection).await.expect("a value");
            decoded(&bytes)
        }
    });
    let ours = at_once(&runtime, move |id| {
        let cache = cache.clone();
        async move { item(&cache, 100, id).await }
    });
    compare("64 async hits at once, 100 B", few, by_hand, ours);
}
